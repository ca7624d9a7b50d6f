"""Send a document without knowing mail: patient and document in, tracking identifier out; or a folder that does it by itself."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import output
from gateway.cli.context import Console, actor, here
from gateway.cli.errors import REFUSED, UNAVAILABLE, USAGE, Said, decision_text
from gateway.cli.language import tr
from gateway.cli.output import Json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.send import Built, Circumstances, Outgoing
    from gateway.submission_here import WayIn
    from gateway.submission_there import Server
    from gateway.watch import Outcome
    from policies.values import Address

PASSWORD = "CADUCEE_DEVICE_PASSWORD"  # noqa: S105 - the name of a variable

From = Annotated[str, typer.Option("--from", help=tr("La boîte qui envoie.", "The mailbox that sends."))]
To = Annotated[list[str] | None, typer.Option("--to", help=tr("Destinataires.", "Recipients."))]
Patient = Annotated[
    Path | None,
    typer.Option(
        "--patient",
        help=tr(
            "JSON : surname, first_name, birth_date (AAAA-MM-JJ), et au besoin birth_surname, sex, ins, nir, address, city...",
            "JSON: surname, first_name, birth_date (YYYY-MM-DD), and if need be birth_surname, sex, ins, nir, address, city...",
        ),
    ),
]
DocumentFile = Annotated[
    Path | None, typer.Option("--document", help=tr("CDA (XML), PDF ou texte.", "CDA (XML), PDF or text."))
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
Watch = Annotated[
    Path | None,
    typer.Option(
        "--watch",
        help=tr(
            "Envoyer ce qui est déposé dans ce dossier (HPRIM ou CDA).",
            "Send what is dropped in this folder (HPRIM or CDA).",
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


@dataclass(frozen=True, slots=True)
class _Job:
    """The options of one run."""

    console: Console
    sender: Address
    recipients: tuple[Address, ...]
    label: str
    text: str
    nil: str
    receipt: bool
    closing: bool
    server: Server | None

    def outgoing(self, identity: Any, data: bytes, name: str, recipients: tuple[Address, ...], shown: str) -> Outgoing:
        from gateway.send import Outgoing

        return Outgoing(
            sender=self.sender,
            recipients=recipients,
            identity=identity,
            document=data,
            document_name=name,
            sender_name=shown,
            label=self.label,
            text=self.text,
            nil=self.nil,
            receipt=self.receipt,
            closing=self.closing,
        )


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
    server: ServerOption = "",
    login: Login = "",
    password_file: PasswordFile = None,
    cert: Certificate = None,
    key: Key = None,
    ca: Authority = None,
    watch: Watch = None,
    every: Every = 2.0,
    once: Once = False,
    as_json: Json = False,
) -> None:
    console = here(ctx)
    there = _server(server, login or from_, password_file, cert, key, ca) if server else None
    job = _Job(console, _address(from_), _addresses(to or []), label, text, nil, receipt, close, there)
    if watch is not None:
        _watch(job, watch, every, once=once, as_json=as_json)
        return
    if patient is None or document is None:
        raise Said("send.what", USAGE)
    if not job.recipients:
        raise Said("send.no_recipient", USAGE)
    answer = asyncio.run(_send_one(job, _identity(patient), _bytes(document), document.name))
    if as_json:
        output.as_json(answer)
    else:
        output.line(console.say("send.sent", message=answer["message"]))


# one document


async def _send_one(job: _Job, identity: Any, data: bytes, name: str) -> dict[str, str]:
    from gateway.send import build

    async with _posting(job) as post:
        outgoing = job.outgoing(identity, data, name, job.recipients, await post.shown())
        built = _built(build, outgoing, post.around(secrets.token_hex(16)), name, job.console)
        return {"message": await _posted(post, built, job.recipients), "message_id": built.message_id}


def _built(
    builder: Callable[..., Built], outgoing: Outgoing, around: Circumstances, name: str, console: Console
) -> Built:
    from gateway.send import BadDocument, BadIdentity, WouldBeRefused

    try:
        return builder(outgoing, around)
    except BadIdentity as problem:
        raise Said("send.bad_identity", USAGE, reason=problem) from None
    except BadDocument as problem:
        raise Said("send.bad_document", REFUSED, file=name, reason=problem) from None
    except WouldBeRefused as problem:
        raise Said("send.refused", REFUSED, reason=decision_text(problem.decisions[0], console.language)) from None


async def _posted(post: _Post, built: Built, recipients: tuple[Address, ...]) -> str:
    from gateway.submission_here import NotTaken, UnknownMailbox
    from gateway.submission_there import ServerRefused

    try:
        return await post.submit(recipients, built.content) or built.message_id
    except UnknownMailbox as problem:
        raise Said("send.unknown_mailbox", REFUSED, mailbox=problem) from None
    except NotTaken as problem:
        code = REFUSED if problem.decision.code >= 500 else UNAVAILABLE
        raise Said("send.refused", code, reason=decision_text(problem.decision, post.job.console.language)) from None
    except ServerRefused as problem:
        server = post.job.server.host if post.job.server else ""
        code = REFUSED if problem.final else UNAVAILABLE
        raise Said("send.server_failed", code, server=server, reason=problem.reason) from None


# a folder


def _watch(job: _Job, folder: Path, every: float, *, once: bool, as_json: bool) -> None:
    asyncio.run(_watching(job, folder, every, once=once, as_json=as_json))


async def _watching(job: _Job, path: Path, every: float, *, once: bool, as_json: bool) -> None:
    from gateway.watch import Folder

    async with _posting(job) as post:
        loop = asyncio.get_running_loop()

        def one(data: bytes, name: str, digest: str) -> str:
            return asyncio.run_coroutine_threadsafe(_dropped(post, data, name, digest), loop).result()

        folder = Folder(path, one, time.monotonic, settle=0.0 if once else min(every, 2.0))
        await asyncio.to_thread(folder.prepare)
        if not once:
            output.line(job.console.say("send.watching", folder=path))
        while True:
            outcomes = await asyncio.to_thread(folder.look)
            _tell(outcomes, as_json=as_json)
            if once:
                if any(outcome.what in ("refused", "later") for outcome in outcomes):
                    raise typer.Exit(REFUSED)
                return
            await asyncio.sleep(every)


def _tell(outcomes: list[Outcome], *, as_json: bool) -> None:
    for outcome in outcomes:
        if as_json:
            output.as_json({"file": outcome.name, "outcome": outcome.what, "detail": outcome.detail})
        else:
            output.line(f"{outcome.what}\t{outcome.name}\t{outcome.detail}")


async def _dropped(post: _Post, data: bytes, name: str, digest: str) -> str:
    from gateway.send import BadDocument, BadIdentity, WouldBeRefused, build_dropped, receivers_of
    from gateway.submission_here import NotTaken, UnknownMailbox
    from gateway.submission_there import ServerRefused
    from gateway.watch import NotNow, Refused
    from mailboxes.store import StoreError
    from policies.address import AddressError

    job = post.job
    try:
        recipients = job.recipients or _strict(receivers_of(data, name))
        if not recipients:
            raise Refused(job.console.say("send.no_recipient"), job.console.say("send.no_recipient"))
        outgoing = job.outgoing(None, data, name, recipients, await post.shown())
        built = build_dropped(outgoing, post.around(digest[:32]))
        return (
            await post.left_already(built.message_id)
            or await post.submit(recipients, built.content)
            or built.message_id
        )
    except (WouldBeRefused, NotTaken) as problem:
        decision = problem.decision if isinstance(problem, NotTaken) else problem.decisions[0]
        if decision.code < 500:
            raise NotNow(decision.rule.name) from None
        raise Refused(decision_text(decision, "fr"), decision_text(decision, "en")) from None
    except (BadDocument, BadIdentity, AddressError, UnknownMailbox) as problem:
        raise Refused(
            f"Ce fichier ne peut pas être envoyé : {problem}", f"This file cannot be sent: {problem}"
        ) from None
    except ServerRefused as problem:
        if problem.final:
            raise Refused(problem.reason, problem.reason) from None
        raise NotNow(problem.reason) from None
    except StoreError as problem:
        raise NotNow(type(problem).__name__) from None


def _strict(written: tuple[str, ...]) -> tuple[Address, ...]:
    from gateway.send import recipients_of

    return recipients_of(written)


# the two ways out


@dataclass(slots=True)
class _Post:
    """Through this operator's own intake, or through a server."""

    job: _Job
    way: WayIn | None
    circumstances: Callable[[str], Circumstances]
    name: str | None = None

    def around(self, token: str) -> Circumstances:
        return self.circumstances(token)

    async def submit(self, recipients: tuple[Address, ...], content: bytes) -> str:
        from gateway.submission_there import submit

        if self.way is not None:
            return await self.way.submit(self.job.sender, recipients, content, actor())
        assert self.job.server is not None
        written = [str(one) for one in recipients]
        return await asyncio.to_thread(submit, self.job.server, str(self.job.sender), written, content)

    async def shown(self) -> str:
        """The sender's display name, from the register when this is his operator."""
        if self.way is None:
            return ""
        if self.name is None:
            from gateway.sender_name import display_name

            address = str(self.job.sender)
            self.name = await self.way.storage.reading.run(lambda connection: display_name(connection, address))
        return self.name

    async def left_already(self, message_id: str) -> str:
        """Our identifier of a message with this Message-ID; empty when there is none, or when a server would know."""
        if self.way is None:
            return ""
        from gateway.relay import tracking

        lines = await self.way.storage.reading.run(lambda connection: tracking.track(connection, message_id))
        return lines[0].message if lines else ""


@asynccontextmanager
async def _posting(job: _Job) -> AsyncIterator[_Post]:
    from gateway.medical.question import ReaderOptions
    from gateway.send import Circumstances

    if job.server is not None:
        domain = job.sender.domain
        # which identities are real is for that server to say
        lenient = ReaderOptions(test_identities=True)
        yield _Post(job, None, lambda token: Circumstances(_now(), token, domain, options=lenient))
        return
    from dataclasses import replace

    from gateway.medical.wiring import medical_settings
    from gateway.submission_here import way_in

    config = job.console.config()
    medical = medical_settings(config)
    job = replace(job, nil=job.nil or config.hprim.nil)

    def around(token: str) -> Circumstances:
        return Circumstances(_now(), token, config.operator.hostname, policy=medical.policy, options=medical.options)

    async with way_in(config) as way:
        yield _Post(job, way, around)


def _now() -> datetime:
    return datetime.now(UTC)


# reading the options


def _address(written: str) -> Address:
    return _addresses([written])[0]


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


def _identity(path: Path) -> Any:
    from gateway.send import BadIdentity, identity_from

    try:
        return identity_from(json.loads(_bytes(path)))
    except (BadIdentity, ValueError, RecursionError) as problem:
        reason = problem if isinstance(problem, BadIdentity) else "JSON"
        raise Said("send.bad_identity", USAGE, reason=reason) from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise Said("hprim.file_unreadable", USAGE, file=path, reason=problem.strerror) from None


def _server(
    where: str, login: str, password_file: Path | None, cert: Path | None, key: Path | None, ca: Path | None
) -> Server:
    from gateway.submission_there import Server

    host, _, port = where.rpartition(":")
    if not host or not port.isascii() or not port.isdigit():
        host, port = where, "587"
    password = os.environ.get(PASSWORD, "")
    if password_file is not None:
        password = _bytes(password_file).decode("utf-8", "replace").strip("\r\n")
    return Server(host.strip("[]"), int(port), login, password, cert, key, ca)
