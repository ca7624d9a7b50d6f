"""Fsck: look for what a healthy store cannot hold, and repair what needs no guessing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import output
from gateway.cli.context import actor, here, open_store
from gateway.cli.errors import REFUSED
from gateway.cli.language import tr
from gateway.cli.output import Json

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.compose import Storage
    from mailboxes.fsck import Repaired, Report


def register(app: typer.Typer) -> None:
    """Add the command."""
    text = tr(
        "Vérifier base et corps : compteurs, références, messages perdus ou abîmés. Sortie 1 si quelque chose cloche.",
        "Check database and bodies: counters, references, lost or damaged messages. Exit 1 when something is wrong.",
    )
    app.command("fsck", help=text)(fsck)


def fsck(
    ctx: typer.Context,
    repair: Annotated[
        bool, typer.Option("--repair", help=tr("Réparer ce qui peut l’être.", "Repair what can be."))
    ] = False,
    sample: Annotated[
        int,
        typer.Option("--sample", min=0, help=tr("Messages à déchiffrer au hasard.", "Messages to decrypt at random.")),
    ] = 100,
    everything: Annotated[
        bool, typer.Option("--all", help=tr("Déchiffrer tous les messages.", "Decrypt every message."))
    ] = False,
    restored: Annotated[
        bool,
        typer.Option(
            "--restored",
            help=tr(
                "La base vient d’une sauvegarde : à dire une fois, avant de servir, pour que les logiciels de messagerie suivent.",
                "The database comes from a backup: say so once, before serving, so that mail programs follow.",
            ),
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    with open_store(here(ctx).config()) as storage:
        if restored:
            from gateway import housekeeping

            housekeeping.after_restore(storage, actor())
        report, repaired = asyncio.run(_examine(storage, None if everything else sample, repair))
    if as_json:
        done = None if repaired is None else asdict(repaired)
        output.as_json({**asdict(report), "healthy": report.healthy, "lost": report.lost, "repaired": done})
    else:
        _tell(report, repaired)
    if report.lost or (report.repairable and repaired is None):
        raise typer.Exit(REFUSED)


async def _examine(storage: Storage, sample: int | None, repair: bool) -> tuple[Report, Repaired | None]:
    from mailboxes import fsck

    report = await fsck.check(storage.store, now=storage.clock(), holders=(held_by_the_relay,), sample=sample)
    if not repair or not report.repairable:
        return report, None
    return report, await fsck.repair(storage.store, report, holders=(held_by_the_relay,))


def held_by_the_relay(connection: Connection) -> Mapping[int, int]:
    """References to bodies held by queue rows and by notices owed: one per row."""
    from sqlalchemy import func, select

    from gateway.relay.tables import owed, queue

    held: Counter[int] = Counter()
    for table in (queue, owed):
        query = select(table.c.body_id, func.count()).where(table.c.body_id != 0).group_by(table.c.body_id)
        for body_id, count in connection.execute(query):
            held[body_id] += count
    return held


def _tell(report: Report, repaired: Repaired | None) -> None:
    findings: list[tuple[str, list[Any]]] = [
        (tr("corps sans ligne", "bodies without a row"), report.orphan_blobs),
        (tr("corps manquants", "missing bodies"), report.missing_blobs),
        (tr("lignes manquantes", "missing rows"), report.missing_rows),
        (tr("messages perdus", "lost messages"), report.lost_entries),
        (tr("références fausses", "wrong references"), report.wrong_refs),
        (tr("compteurs faux", "wrong counters"), report.drifts),
        (tr("messages abîmés", "damaged messages"), report.damaged),
    ]
    for name, found in findings:
        if found:
            output.line(f"{name}: {len(found)}  {', '.join(str(item) for item in found[:5])}")
    verdict = tr("sain", "healthy") if report.healthy else tr("à examiner", "to be examined")
    output.line(f"{verdict} ({tr('messages déchiffrés', 'messages decrypted')}: {report.read})")
    if repaired is not None:
        output.line(
            tr("réparé", "repaired")
            + f": {repaired.folders} {tr('dossiers', 'folders')}, {repaired.bodies} + {repaired.blobs} {tr('corps', 'bodies')}"
        )
