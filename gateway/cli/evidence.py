"""Evidence of one message: a signed file for whoever must judge, verified by that file alone."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import output
from gateway.cli.context import Console, Desk, actor, here, opened, session
from gateway.cli.errors import REFUSED, USAGE, Said
from gateway.cli.language import tr
from gateway.cli.output import Json

if TYPE_CHECKING:
    from gateway.record.evidence.verification import Verified

app = typer.Typer(no_args_is_help=True, help=tr("Dossiers de preuve d’un message.", "Evidence of one message."))


@app.command(
    help=tr(
        "Établir le dossier de preuve d’un message : journal, chaîne, décisions, accusés ; jamais le corps sans son titulaire.",
        "Make the evidence of a message: journal, chain, decisions, receipts; never the body without its owner.",
    )
)
def pack(
    ctx: typer.Context,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help=tr("Notre identifiant.", "Our identifier."))],
    out: Annotated[Path, typer.Option("--out", help=tr("Fichier à écrire, qui n’existe pas encore.", "New file."))],
    with_body: Annotated[
        bool,
        typer.Option(
            "--with-body",
            help=tr(
                "Avec le message : pour qui peut le lire, en session forte (account session).",
                "With the message: for who may read it, in a strong session (account session).",
            ),
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    from gateway.cli._signing import signer
    from gateway.record.evidence import gathering
    from gateway.record.evidence import pack as packing
    from gateway.record.explain import UnknownMessage
    from gateway.record.journal import AnchorFile
    from policies.events import Event, Kind

    with opened(ctx) as desk:
        config = desk.storage.config
        anchors, now = AnchorFile(config.journal.anchor).read(), desk.storage.clock()
        who = session(desk).login if with_body else actor()
        try:
            facts, files = desk.ask(
                lambda connection: gathering.gather(
                    connection, message, anchors, operator=config.operator.name, now=now
                )
            )
        except UnknownMessage:
            raise Said("evidence.unknown", message=message[:100]) from None
        except gathering.TooLong:
            raise Said("evidence.too_long", limit=gathering.LONGEST) from None
        if with_body:
            files[packing.BODY] = _body(desk, message)
        data = gathering.sealed(facts, files, signer(desk))
        output.new_file(out, (data,))
        detail = {"what": "pack", "with_body": with_body}
        desk.do(lambda unit: unit.emit(Event(Kind.EVIDENCE, actor=who, message=message, detail=detail)))
    if as_json:
        output.as_json({"file": str(out), "files": sorted(files), "octets": len(data)})
    else:
        output.line(desk.console.say("evidence.made", path=out, size=output.size(len(data))))


def _body(desk: Desk, message: str) -> bytes:
    """The message, from the first mailbox it was delivered to that the person of the strong session may read."""
    from gateway.record.evidence.body import read_copy, readable

    person = session(desk)
    place = desk.ask(lambda connection: readable(connection, message, person))
    if place is None:
        raise Said("evidence.not_yours")
    with asyncio.Runner() as runner:
        return runner.run(read_copy(desk.storage.store, place, person.login, message))


@app.command(
    help=tr(
        "Vérifier un dossier de preuve, sans rien d’autre que lui.",
        "Verify a pack of evidence, with nothing but the file.",
    )
)
def verify(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    anchors: Annotated[
        Path | None,
        typer.Option(
            "--anchors",
            help=tr("Ancres gardées ailleurs, pour comparer.", "Anchors kept elsewhere, to compare with."),
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    from gateway.record.evidence.verification import LARGEST, Tampered
    from gateway.record.evidence.verification import verify as check
    from gateway.record.journal import AnchorFile

    try:
        with file.open("rb") as opened_file:
            data = opened_file.read(LARGEST + 1)
        known = None if anchors is None else AnchorFile(anchors).read()
    except OSError as problem:
        raise Said("cli.cannot_read", USAGE, path=file, reason=problem) from None
    try:
        if len(data) > LARGEST:
            raise Tampered("too_large")
        found = check(data, known)
    except Tampered as problem:
        if as_json:
            output.as_json({"intact": False, "problem": problem.word, "where": problem.what})
            raise typer.Exit(REFUSED) from None
        raise Said(f"evidence.{problem.word}", where=problem.what) from None
    whole = not found.missing and not found.unproven
    if as_json:
        output.as_json({"intact": whole, **asdict(found)})
    else:
        _show(found, here(ctx), compared=anchors is not None)
    if not whole:
        raise typer.Exit(REFUSED)


def _show(found: Verified, console: Console, *, compared: bool) -> None:
    names = tr(
        "message|boîte détruite|opérateur|établi le|signé par|empreinte du certificat|valable jusqu’au|enregistrements|corps joint",
        "message|mailbox destroyed|operator|made at|signed by|certificate fingerprint|valid until|records|body enclosed",
    ).split("|")
    values = (
        found.message,
        found.mailbox,
        found.operator,
        found.made,
        found.signer,
        found.fingerprint,
        found.not_after,
        found.records,
        tr("oui", "yes") if found.body else tr("non", "no"),
    )
    output.facts(zip(names, values, strict=True))
    for seq, value in found.anchors:
        output.line(f"{tr('ancre', 'anchor')} {seq} {value}")
    if found.unproven:
        output.line(console.say("evidence.unproven", records=", ".join(f"#{one}" for one in found.unproven[:20])))
    if found.missing:
        output.line(console.say("evidence.other_anchors", records=", ".join(f"#{one}" for one in found.missing[:20])))
    elif compared:
        output.line(console.say("evidence.same_anchors"))
    else:
        output.line(console.say("evidence.holds"))
