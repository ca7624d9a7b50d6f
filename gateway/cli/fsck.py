"""Fsck: look for what a healthy store cannot hold, and repair what needs no guessing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
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
    from mailboxes.keys import Keyring

SHOWN = 5  # findings of each kind, and holders of each body, that are named


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
        storage.mark.demand()  # without their disk all large messages would look lost
        if restored:
            from gateway import housekeeping

            housekeeping.after_restore(storage, actor())
        report, repaired = asyncio.run(_examine(storage, None if everything else sample, repair))
        known = (
            _Known()
            if report.healthy
            else storage.reading.run_sync(partial(_known, keyring=storage.keyring, report=report))
        )
    if as_json:
        done = None if repaired is None else asdict(repaired)
        output.as_json({**asdict(report), "healthy": report.healthy, "lost": report.lost, "repaired": done})
    else:
        _tell(report, repaired, known)
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


@dataclass(slots=True)
class _Known:
    """What people call the mailboxes and folders of a report, and who needs the bodies that are missing."""

    mailboxes: dict[int, str] = field(default_factory=dict)
    folders: dict[tuple[int, int], str] = field(default_factory=dict)
    holders: dict[int, list[str]] = field(default_factory=dict)

    def folder(self, mailbox: int, folder: int) -> str:
        address = self.mailboxes.get(mailbox) or f"{tr('boîte', 'mailbox')} {mailbox}"
        return f"{address} {self.folders.get((mailbox, folder)) or folder}"

    def entry(self, mailbox: int, folder: int, uid: int) -> str:
        return f"{self.folder(mailbox, folder)} UID {uid}"

    def body(self, body: int) -> str:
        held = self.holders.get(body, [])
        return f"{tr('corps', 'body')} {body} ({', '.join(held[:SHOWN])}{', …' if len(held) > SHOWN else ''})"


def _known(connection: Connection, keyring: Keyring, report: Report) -> _Known:
    from sqlalchemy import select

    from gateway.relay.tables import queue
    from mailboxes.account_tables import mailbox
    from mailboxes.engine import cursor_of
    from mailboxes.store import Corrupted, MailboxGone
    from mailboxes.tables import entry, folder

    named = connection.execute(select(mailbox.c.id, mailbox.c.local, mailbox.c.domain))
    known = _Known({row.id: f"{row.local}@{row.domain}" for row in named})
    for mailbox_id, folder_id, name in connection.execute(select(folder.c.mailbox_id, folder.c.id, folder.c.name)):
        with suppress(Corrupted, MailboxGone):
            known.folders[(mailbox_id, folder_id)] = keyring.names(cursor_of(connection), mailbox_id).opened(name)
    bodies = [*report.missing_blobs[:SHOWN], *report.missing_rows[:SHOWN]]
    place = select(entry.c.body_id, entry.c.mailbox_id, entry.c.folder_id, entry.c.uid)
    for body_id, *where in connection.execute(place.where(entry.c.body_id.in_(bodies))):
        known.holders.setdefault(body_id, []).append(known.entry(*where))
    for row in connection.execute(
        select(queue.c.body_id, queue.c.message).where(queue.c.body_id.in_(bodies)).distinct()
    ):
        known.holders.setdefault(row.body_id, []).append(f"{tr('file d’attente', 'queue')} {row.message}")
    return known


def _tell(report: Report, repaired: Repaired | None, known: _Known) -> None:
    instead = tr("au lieu de", "instead of")
    why = {
        "corrupted": tr("illisible", "unreadable"),
        "missing": tr("corps manquant", "body missing"),
        "digest": tr("contenu altéré", "content altered"),
    }
    findings: list[tuple[str, list[Any], Callable[[Any], str]]] = [
        (tr("corps sans ligne", "bodies without a row"), report.orphan_blobs, str),
        (tr("corps manquants", "missing bodies"), report.missing_blobs, known.body),
        (tr("lignes manquantes", "missing rows"), report.missing_rows, known.body),
        (tr("messages perdus", "lost messages"), report.lost_entries, lambda one: known.entry(*one)),
        (
            tr("références fausses", "wrong references"),
            report.wrong_refs,
            lambda one: f"{tr('corps', 'body')} {one[0]} ({one[1]} {instead} {one[2]})",
        ),
        (
            tr("compteurs faux", "wrong counters"),
            report.drifts,
            lambda one: known.folder(one.mailbox_id, one.folder_id),
        ),
        (
            tr("messages abîmés", "damaged messages"),
            report.damaged,
            lambda one: f"{known.entry(one.mailbox_id, one.folder_id, one.uid)} ({why[one.why]})",
        ),
        (tr("étiquettes illisibles", "unreadable labels"), report.lost_keywords, lambda one: known.entry(*one)),
    ]
    for name, found, said in findings:
        if found:
            output.line(f"{name}{tr(' :', ':')} {len(found)}")
            for item in found[:SHOWN]:
                output.line(f"  {said(item)}")
            if len(found) > SHOWN:
                output.line("  …")
    verdict = tr("sain", "healthy") if report.healthy else tr("à examiner", "to be examined")
    output.line(f"{verdict} ({tr('messages déchiffrés :', 'messages decrypted:')} {report.read})")
    if repaired is not None:
        output.line(
            tr(
                f"réparés : dossiers {repaired.folders}, corps {repaired.bodies} + {repaired.blobs}",
                f"repaired: folders {repaired.folders}, bodies {repaired.bodies} + {repaired.blobs}",
            )
        )
