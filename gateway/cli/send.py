"""Send a document without knowing mail: patient and document in, tracking identifier out; or a folder that does it by itself.

Without ``--patient`` the document must say itself who it is about: a CDA, or a whole HPRIM text.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from gateway.cli import output
from gateway.cli.context import Console, here
from gateway.cli.errors import REFUSED, UNAVAILABLE, USAGE, Said, away, decision_text, said_text
from gateway.cli.language import tr
from gateway.cli.output import Json

if TYPE_CHECKING:
    from gateway.identity import Identity
    from gateway.posting import Post, Request, Sent
    from gateway.submission_there import Server
    from gateway.watch import Folder, NotNow, Outcome
    from policies.decision import Decision, Language
    from policies.values import Address

T = TypeVar("T")
PASSWORD = "CADUCEE_DEVICE_PASSWORD"  # noqa: S105 - the name of a variable

From = Annotated[str, typer.Option("--from", help=tr("La boîte qui envoie.", "The mailbox that sends."))]
To = Annotated[list[str] | None, typer.Option("--to", help=tr("Destinataires.", "Recipients."))]
Patient = Annotated[
    Path | None,
    typer.Option(
        "--patient",
        help=tr(
            "JSON : surname, first_name, birth_date (AAAA-MM-JJ), et au besoin birth_surname, sex, ins, author, to, address...",
            "JSON: surname, first_name, birth_date (YYYY-MM-DD), and if need be birth_surname, sex, ins, author, to, address...",
        ),
    ),
]
DocumentFile = Annotated[
    list[Path] | None, typer.Option("--document", help=tr("CDA (XML), PDF ou texte.", "CDA (XML), PDF or text."))
]
Label = Annotated[str, typer.Option("--label", help=tr("Ce qu’est le document.", "What the document is."))]
Text = Annotated[str, typer.Option("--text", help=tr("Texte d’accompagnement.", "Covering text."))]
Nil = Annotated[str, typer.Option("--nil", help=tr("Numéro de produit (X-MSS-NIL).", "Product number (X-MSS-NIL)."))]
Receipt = Annotated[
    bool,
    typer.Option("--receipt/--no-receipt", help=tr("Demander un accusé de lecture.", "Ask for a reading receipt.")),
]
Closing = Annotated[
    bool, typer.Option("--close", help=tr("Au patient : clore l’échange.", "To a patient: close the exchange."))
]
Copy = Annotated[
    bool,
    typer.Option("--pdf/--no-pdf", help=tr("Joindre une copie PDF à un CDA.", "Put a PDF copy beside a CDA.")),
]
AsCda = Annotated[
    bool,
    typer.Option(
        "--cda",
        help=tr(
            "Mettre un PDF ou un texte dans un CDA, comme pour un patient.",
            "Put a PDF or a text inside a CDA, as for a patient.",
        ),
    ),
]
ReplyTo = Annotated[
    str,
    typer.Option(
        "--reply-to",
        help=tr("La boîte qui reçoit les réponses (Reply-To).", "The mailbox that gets the answers (Reply-To)."),
    ),
]
ServerOption = Annotated[
    str,
    typer.Option(
        "--server",
        metavar="HOST:PORT",
        help=tr(
            "Passer par un serveur de dépôt plutôt que par ce service.",
            "Go through a submission server instead of this service.",
        ),
    ),
]
Login = Annotated[str, typer.Option("--login", help=tr("Identifiant au serveur.", "Login at the server."))]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        help=tr(
            f"Mot de passe d’appareil ; sinon la variable {PASSWORD}.",
            f"Device password; else the variable {PASSWORD}.",
        ),
    ),
]
Certificate = Annotated[
    Path | None, typer.Option("--cert", help=tr("Certificat client (PEM).", "Client certificate (PEM)."))
]
Key = Annotated[Path | None, typer.Option("--key", help=tr("Sa clé.", "Its key."))]
Authority = Annotated[
    Path | None, typer.Option("--ca", help=tr("Autorité du serveur (PEM).", "Authority of the server (PEM)."))
]
Implicit = Annotated[
    bool | None,
    typer.Option(
        "--tls/--starttls",
        help=tr(
            "Avec --server : TLS dès la connexion (par défaut sur le port 465), ou STARTTLS.",
            "With --server: TLS from the start (the default on port 465), or STARTTLS.",
        ),
    ),
]
Watch = Annotated[
    Path | None,
    typer.Option(
        "--watch",
        help=tr(
            "Envoyer ce qui est déposé dans ce dossier (HPRIM, CDA, ou document avec son identité en .json).",
            "Send what is dropped in this folder (HPRIM, CDA, or a document with its identity in .json).",
        ),
    ),
]
Every = Annotated[
    float,
    typer.Option("--every", min=0.1, max=3600, help=tr("Secondes entre deux regards.", "Seconds between two looks.")),
]
Once = Annotated[
    bool, typer.Option("--once", help=tr("Traiter ce qui est là, puis finir.", "Deal with what is there, then end."))
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("send", help=tr("Envoyer un document.", "Send a document."))(send)


def send(
    ctx: typer.Context,
    from_: From,
    to: To = None,
    patient: Patient = None,
    document: DocumentFile = None,
    label: Label = "",
    text: Text = "",
    nil: Nil = "",
    receipt: Receipt = True,
    close: Closing = False,
    pdf: Copy = True,
    cda: AsCda = False,
    reply_to: ReplyTo = "",
    server: ServerOption = "",
    login: Login = "",
    password_file: PasswordFile = None,
    cert: Certificate = None,
    key: Key = None,
    ca: Authority = None,
    tls: Implicit = None,
    watch: Watch = None,
    every: Every = 2.0,
    once: Once = False,
    as_json: Json = False,
) -> None:
    from gateway.posting import Request

    console = here(ctx)
    documents = document or []
    if len(documents) > 1 or (watch is not None and (documents or patient is not None)):
        raise Said("send.one_document", USAGE)
    there = _server(server, login or from_, password_file, cert, key, ca, tls) if server else None
    answers = _addresses([reply_to])[0] if reply_to else None
    request = Request(_addresses(to or []), None, b"", "", label, text, nil, receipt, close, pdf, answers, cda)
    sender = _addresses([from_])[0]
    if watch is not None:
        with _alone(watch):
            asyncio.run(_watching(console, sender, there, request, watch, every, once=once, as_json=as_json))
        return
    if not documents:
        raise Said("send.what", USAGE)
    identity = _identity(patient, console.language) if patient is not None else None
    if identity is not None and not (request.recipients or identity.to):
        raise Said("send.no_recipient", USAGE)
    request = replace(request, identity=identity, document=bytes_of(documents[0]), name=documents[0].name)
    sent = asyncio.run(_one(console, sender, there, request))
    if as_json:
        output.as_json({"message": sent.message, "message_id": sent.message_id})
    else:
        output.line(console.say("send.sent", message=sent.message))


async def _one(console: Console, sender: Address, server: Server | None, request: Request) -> Sent:
    from gateway.posting import posting

    async with posting(sender, config=None if server else console.config(), server=server) as post:
        try:
            return await post.send(request)
        except Exception as problem:
            told = _told(problem, console, request.name)
            if told is None:
                raise
            raise told from None


def _told(problem: Exception, console: Console, name: str) -> Said | None:
    """What went wrong, as an answer of the command line."""
    from gateway.identity import BadIdentity
    from gateway.send import BadDocument
    from gateway.submission_here import UnknownMailbox
    from gateway.submission_there import ServerRefused

    language = console.language
    if isinstance(problem, BadIdentity):
        return Said("send.bad_identity", USAGE, reason=problem.said(language))
    if isinstance(problem, BadDocument):
        return Said("send.bad_document", REFUSED, file=name, reason=problem.said(language))
    if isinstance(problem, UnknownMailbox):
        return Said("send.unknown_mailbox", REFUSED, mailbox=problem)
    if isinstance(problem, ServerRefused):
        name = f"send.server_{problem.word or 'failed'}"
        return Said(name, REFUSED if problem.final else UNAVAILABLE, reason=problem.reason)
    decision = _decision(problem)
    if decision is None:
        return None
    code = REFUSED if decision.code >= 500 else UNAVAILABLE
    return Said("send.refused", code, reason=decision_text(decision, language))


def _decision(problem: Exception) -> Decision | None:
    from gateway.send import WouldBeRefused
    from gateway.submission_here import NotTaken

    if isinstance(problem, NotTaken):
        return problem.decision
    return problem.decisions[0] if isinstance(problem, WouldBeRefused) else None


# a folder


async def _watching(
    console: Console,
    sender: Address,
    server: Server | None,
    request: Request,
    path: Path,
    every: float,
    *,
    once: bool,
    as_json: bool,
) -> None:
    from gateway.posting import posting
    from gateway.watch import Folder

    loop = asyncio.get_running_loop()
    async with posting(sender, config=None if server else console.config(), server=server) as post:

        def one(data: bytes, name: str, digest: str, told: bytes | None = None) -> str:
            given = replace(request, document=data, name=name, identity=_beside(told))
            return asyncio.run_coroutine_threadsafe(_dropped(post, given, digest), loop).result()

        await _open(console, post)
        folder = Folder(path, one, time.monotonic, settle=min(every, 2.0))
        await _in_folder(folder, folder.prepare)
        if not once and not as_json:
            output.line(console.say("send.watching", folder=path))
            sys.stdout.flush()
        last = {outcome.name: outcome for outcome in await _look(console, folder, {}, as_json=as_json)}
        if once:  # a file that is still being written changes between two looks: it is left for the next time
            await asyncio.sleep(folder.settle)
            last |= {outcome.name: outcome for outcome in await _look(console, folder, last, as_json=as_json)}
        waiting = last
        while not once:
            await asyncio.sleep(every)
            found = await _look(console, folder, waiting, as_json=as_json)
            waiting = {outcome.name: outcome for outcome in found}
    if any(outcome.what in ("refused", "later") for outcome in last.values()):
        raise typer.Exit(REFUSED)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Raises :class:`Said` when another program watches the folder, or when it is not there."""
    from gateway.watch import Taken, alone

    with ExitStack() as stack:
        try:
            stack.enter_context(alone(path))
        except Taken:
            raise Said("send.folder_taken", UNAVAILABLE, folder=path) from None
        except OSError as problem:
            raise Said("send.folder", UNAVAILABLE, folder=path, reason=problem) from None
        yield


async def _open(console: Console, post: Post) -> None:
    """A mailbox that cannot send is said once, before any file is taken. Raises :class:`Said`."""
    from gateway.submission_here import UnknownMailbox

    if post.way is None:
        return
    try:
        await post.way.mailbox(post.sender)
    except UnknownMailbox:
        raise Said("send.unknown_mailbox", REFUSED, mailbox=post.sender) from None


async def _in_folder(folder: Folder, work: Callable[[], T]) -> T:
    """Work on the disk, off the loop. Raises :class:`Said` when the folder is not there or is not ours."""
    try:
        return await asyncio.to_thread(work)
    except OSError as problem:
        raise Said("send.folder", UNAVAILABLE, folder=folder.path, reason=problem) from None


async def _look(console: Console, folder: Folder, before: Mapping[str, Outcome], *, as_json: bool) -> list[Outcome]:
    """One look; what waits still for the same reason is not said again."""
    outcomes = await _in_folder(folder, folder.look)
    for outcome in outcomes:
        if outcome.what == "later" and before.get(outcome.name) == outcome:
            continue
        if as_json:
            output.as_json_line({"file": outcome.name, "outcome": outcome.what, "detail": outcome.english})
            continue
        detail = outcome.french if console.language == "fr" else outcome.english
        output.line(f"{console.say(f'send.{outcome.what}_word')}  {outcome.name}  {detail}")
        sys.stdout.flush()
    return outcomes


def _beside(told: bytes | None) -> Identity | None:
    """Whom the file beside a dropped one names. Raises :class:`gateway.watch.Refused`."""
    from gateway.identity import BadIdentity, identity_from
    from gateway.watch import Refused

    try:
        return None if told is None else identity_from(json_of(told))
    except BadIdentity as problem:
        raise Refused(problem.french, problem.english) from None


def _token(sender: Address, recipients: tuple[Address, ...], digest: str) -> str:
    """The same for the same octets from this mailbox to these people: another folder may drop them for somebody else."""
    whom = " ".join([sender.key, *sorted(one.key for one in recipients)])
    return hashlib.sha256(f"{digest} {whom}".encode("utf-8", "replace")).hexdigest()[:32]


async def _dropped(post: Post, request: Request, digest: str) -> str:
    """Send one dropped file, in the terms of :mod:`gateway.watch`."""
    from gateway.identity import Unsendable
    from gateway.submission_here import UnknownMailbox
    from gateway.submission_there import ServerRefused
    from gateway.watch import NotNow, Refused
    from mailboxes.store import StoreError

    try:
        return (await post.send(request, _token(post.sender, request.recipients, digest))).message
    except Unsendable as problem:
        raise Refused(problem.french, problem.english) from None
    except ServerRefused as problem:
        if problem.final and not problem.ours:
            raise Refused(problem.reason, problem.reason) from None
        waits = Said(f"send.server_{problem.word or 'failed'}", reason=problem.reason)
        raise _later(waits) from None  # the server, or our own login: the file is not at fault
    except UnknownMailbox as problem:
        raise _later(Said("send.unknown_mailbox", mailbox=problem)) from None
    except StoreError as problem:
        raise _later(away(problem)) from None
    except Exception as problem:  # one file must not stop the folder: it stays in sending/ and is tried again
        decision = _decision(problem)
        if decision is None:
            raise _later(Said("send.unexpected", reason=type(problem).__name__)) from problem
        told = NotNow if decision.code < 500 else Refused
        raise told(decision_text(decision, "fr"), decision_text(decision, "en")) from None


def _later(said: Said) -> NotNow:
    from gateway.watch import NotNow

    return NotNow(said_text(said, "fr"), said_text(said, "en"))


# reading the options


def _addresses(written: list[str]) -> tuple[Address, ...]:
    from gateway.send import recipients_of
    from policies.address import AddressError

    found: list[Address] = []
    for text in written:
        try:
            found += recipients_of([text])
        except AddressError as problem:
            raise Said("cli.bad_address", USAGE, address=text, problem=problem.word) from None
    return tuple(dict.fromkeys(found))


def _identity(path: Path, language: Language) -> Identity:
    from gateway.identity import BadIdentity, identity_from

    try:
        return identity_from(json_of(bytes_of(path)))
    except BadIdentity as problem:
        raise Said("send.bad_identity", USAGE, reason=problem.said(language)) from None


def json_of(data: bytes) -> object:
    """What a JSON file holds; None, which is no identity, when it is not JSON."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise Said("hprim.file_unreadable", USAGE, file=path, reason=problem) from None


def _server(
    where: str,
    login: str,
    password_file: Path | None,
    cert: Path | None,
    key: Path | None,
    ca: Path | None,
    implicit: bool | None,
) -> Server:
    from gateway.submission_there import BadFile, Server, context_of

    host, _, port = where.rpartition(":")
    if not host or not port.isascii() or not port.isdigit():
        host, port = where, "587"
    password = os.environ.get(PASSWORD, "")
    if password_file is not None:
        password = bytes_of(password_file).decode("utf-8", "replace").strip("\r\n")
    given = Server(host.strip("[]"), int(port), login, password, cert, key, ca, implicit=implicit)
    try:
        context_of(given)
    except BadFile as problem:
        raise Said(f"send.bad_{problem.what}", USAGE, file=problem.file) from None
    return given
