"""The journal: verify its chain, read what it says, let go of what is too old."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from gateway.cli import output
from gateway.cli.context import actor, opened
from gateway.cli.errors import REFUSED
from gateway.cli.language import tr
from gateway.cli.output import Json

app = typer.Typer(no_args_is_help=True, help=tr("Le journal de preuves.", "The journal of evidence."))


_BREAKS = {"edited": "modifié", "missing": "manquant", "tail": "fin coupée", "rollback": "retour en arrière"}


@app.command(
    help=tr(
        "Vérifier toute la chaîne, et les ancres gardées hors de la base.",
        "Verify the whole chain, and the anchors kept outside the database.",
    )
)
def verify(ctx: typer.Context, as_json: Json = False) -> None:
    from gateway.record.journal import AnchorFile, head
    from gateway.record.journal import verify as walk

    with opened(ctx) as desk:
        anchors = AnchorFile(desk.storage.config.journal.anchor).read()
        found = desk.ask(lambda connection: walk(connection, anchors))
        newest = desk.ask(head)
    if as_json:
        fault = None if found is None else {"seq": found.seq, "what": found.what}
        output.as_json({"intact": found is None, "records": newest[0], "head": newest[1].hex(), "break": fault})
    elif found is None:
        output.line(
            tr(
                f"Chaîne intacte. Enregistrements : {newest[0]} ; ancres : {len(anchors)}.",
                f"Chain intact. Records: {newest[0]}; anchors: {len(anchors)}.",
            )
        )
    else:
        output.line(
            tr(
                f"Chaîne rompue à l’enregistrement {found.seq} ({_BREAKS.get(found.what, found.what)}).",
                f"Chain broken at record {found.seq} ({found.what}).",
            )
        )
    if found is not None:
        raise typer.Exit(REFUSED)


@app.command("list", help=tr("Montrer des enregistrements.", "Show records."))
def list_(
    ctx: typer.Context,
    message: Annotated[str, typer.Option("--message", help=tr("D’un message.", "Of one message."))] = "",
    mailbox: Annotated[str, typer.Option("--mailbox", help=tr("D’une boîte.", "Of one mailbox."))] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000)] = 200,
    as_json: Json = False,
) -> None:
    from gateway.record.journal import read
    from mailboxes import register
    from mailboxes.lookup import facts_by_id

    with opened(ctx) as desk:
        number = desk.ask(lambda connection: register.get(connection, mailbox)).id if mailbox else 0
        records = desk.ask(lambda connection: read(connection, message=message, mailbox=number, newest=limit))
        boxes = desk.ask(lambda connection: {one: facts_by_id(connection, one) for one in {r.mailbox for r in records}})
    if as_json:
        keys = ("seq", "at", "kind", "actor", "message", "recipient", "mailbox", "detail")
        output.as_json([{key: getattr(record, key) for key in keys} for record in records])
        return
    rows = [
        (
            record.seq,
            datetime.fromtimestamp(record.at / 1e6).astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            record.kind,
            record.actor,
            record.recipient or record.message or (box.address if (box := boxes[record.mailbox]) else ""),
            " ".join(f"{key}={value}" for key, value in record.detail.items() if key != "decisions"),
        )
        for record in records
    ]
    output.table(
        ("#", tr("heure", "time"), tr("quoi", "what"), tr("qui", "who"), tr("objet", "about"), tr("faits", "facts")),
        rows,
    )


@app.command(
    help=tr(
        "Retirer les enregistrements plus vieux que journal.technical et journal.functional. Le service le fait chaque jour.",
        "Remove records older than both journal.technical and journal.functional. The service does it every day.",
    )
)
def prune(
    ctx: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help=tr("Compter sans retirer.", "Count without removing."))
    ] = False,
    as_json: Json = False,
) -> None:
    from gateway.record import retention

    with opened(ctx) as desk:
        age = retention.kept(desk.storage.config.journal)
        if dry_run:
            count = desk.ask(lambda connection: retention.due(connection, age, desk.storage.clock()))
        else:
            count = 0
            while removed := desk.do(lambda unit: retention.cut(unit, age, actor())):
                count += removed
    if as_json:
        output.as_json({"records": count, "removed": not dry_run})
    elif dry_run:
        output.line(tr(f"Enregistrements à retirer : {count}.", f"Records to remove: {count}."))
    else:
        output.line(tr(f"Enregistrements retirés : {count}.", f"Records removed: {count}."))
