"""Looks for what cannot be in a healthy store, and repairs what can be repaired without guessing.

Promise: :func:`check` only reads, on one instant of the database, while the store serves. :func:`repair` touches nothing
that could hold a message somebody still needs: it corrects counters and reference counts, and removes bodies and blobs
nobody refers to once they are old enough not to be on their way in. Lost or damaged messages are reported, never
replaced.
Failure: database and blob store errors propagate; a repair is one transaction per kind.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from mailboxes import entry_rows, folder_rows
from mailboxes.blobs import Found
from mailboxes.commit import Unit
from mailboxes.engine import cursor_of
from mailboxes.folder_rows import FolderRow
from mailboxes.keys import unwrap_key
from mailboxes.seal import open_summary
from mailboxes.sql import InList, Sql
from mailboxes.sqlstore import SqlStore
from mailboxes.store import Corrupted, Entry, MailboxGone, MissingBody, NoSuchFolder

GRACE_SECONDS = 3600.0
"""A blob younger than this may belong to a message that is being accepted."""

SWEPT = 1000
"""Blobs whose rows are asked for at once."""

Holders = Callable[[Connection], Mapping[int, int]]
"""References other rooms hold (the queue): body id to count, read in the same transaction."""

_FOLDERS = Sql(f"SELECT {folder_rows.COLUMNS} FROM folder ORDER BY mailbox_id, id")  # noqa: S608
_BODIES = Sql("SELECT body_id, refs, blob FROM body")
_LARGE = Sql("SELECT blob FROM body WHERE blob <> ''")
_BLOBS = InList("SELECT blob FROM body WHERE body_id IN (...)")
_NUMBER = re.compile("[0-7][0-9a-f]{15}")
_ENTRIES_PER_BODY = Sql("SELECT body_id, COUNT(*) FROM entry GROUP BY body_id")
_WITHOUT_BODY = Sql(
    "SELECT e.mailbox_id, e.folder_id, e.uid FROM entry e LEFT JOIN body b ON b.body_id = e.body_id"
    " WHERE b.body_id IS NULL"
)
_WITHOUT_CONTENT = Sql(
    "SELECT b.body_id FROM body b LEFT JOIN content c ON c.body_id = b.body_id WHERE b.blob = '' AND c.body_id IS NULL"
)
_WITHOUT_SUMMARY = Sql(
    "SELECT b.body_id FROM body b LEFT JOIN summary s ON s.body_id = b.body_id WHERE s.body_id IS NULL"
)
_HIGHEST = Sql("SELECT COALESCE(MAX(modseq), 0) FROM expunged WHERE mailbox_id = ? AND folder_id = ?")
_DIGEST = Sql("SELECT b.size, b.sha256, s.data FROM body b JOIN summary s ON s.body_id = b.body_id WHERE b.body_id = ?")
_SET_FOLDER = Sql(
    "UPDATE folder SET uidnext = ?, modseq = ?, messages = ?, unseen = ?, bytes = ? WHERE mailbox_id = ? AND id = ?"
)
_REFS = InList("SELECT body_id, refs FROM body WHERE body_id IN (...)", lock=True)
_SET_REFS = Sql("UPDATE body SET refs = ? WHERE body_id = ?")


@dataclass(frozen=True, slots=True)
class Drift:
    """A folder whose counters are not those of its entries."""

    mailbox_id: int
    folder_id: int
    stored: tuple[int, int, int, int, int]  # uidnext, modseq, messages, unseen, bytes
    counted: tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Damaged:
    """A message that cannot be read. ``why`` is ``corrupted``, ``missing`` or ``digest``."""

    mailbox_id: int
    folder_id: int
    uid: int
    body_id: int
    why: str


@dataclass(slots=True)
class Report:
    """What :func:`check` found. Empty lists are health."""

    orphan_blobs: list[str] = field(default_factory=list)
    missing_blobs: list[int] = field(default_factory=list)  # bodies
    missing_rows: list[int] = field(default_factory=list)  # bodies without content or without summary
    lost_entries: list[tuple[int, int, int]] = field(default_factory=list)  # mailbox, folder, UID without a body
    wrong_refs: list[tuple[int, int, int]] = field(default_factory=list)  # body, stored, counted
    drifts: list[Drift] = field(default_factory=list)
    damaged: list[Damaged] = field(default_factory=list)
    read: int = 0  # messages decrypted
    without_key: int = 0  # entries of mailboxes whose key was destroyed: not a fault

    @property
    def healthy(self) -> bool:
        return not (self.lost or self.repairable)

    @property
    def lost(self) -> int:
        """Findings that a backup or a human must answer."""
        return len(self.missing_blobs) + len(self.missing_rows) + len(self.lost_entries) + len(self.damaged)

    @property
    def repairable(self) -> int:
        """Findings that :func:`repair` answers."""
        return len(self.orphan_blobs) + len(self.wrong_refs) + len(self.drifts)


@dataclass(frozen=True, slots=True)
class Repaired:
    blobs: int
    bodies: int
    folders: int


async def check(
    store: SqlStore,
    *,
    now: float,
    holders: Sequence[Holders] = (),
    sample: int | None = 100,
    seed: int = 0,
    grace: float = GRACE_SECONDS,
) -> Report:
    """Examine the whole index, and decrypt ``sample`` messages chosen by ``seed`` (None: all of them)."""
    # Blobs are listed before rows are read: a row seen later whose blob was not listed is asked for once more.
    blobs = {found.reference: found async for found in store.blobs.stored()}
    report = Report()

    chosen = _Sample(sample or 0, seed)

    def read(connection: Connection) -> tuple[dict[int, str], list[FolderRow]]:
        cursor = cursor_of(connection)
        blobs_of = _check_bodies(connection, cursor, holders, report)
        return blobs_of, _check_folders(cursor, report, chosen)

    blobs_of, folders = await store.reading.run(read)
    await _check_blobs(store, blobs, blobs_of, report, now - grace)
    if sample is not None:
        await _check_messages(store, chosen.kept, report)
        return report
    for row in folders:
        await _check_messages(store, await _places(store, row), report)
    return report


Place = tuple[int, int, Entry]


class _Sample:
    """A fair choice of ``size`` among any number of entries, in bounded memory."""

    def __init__(self, size: int, seed: int) -> None:
        self.kept: list[Place] = []
        self._size = size
        self._seen = 0
        self._random = random.Random(seed)  # noqa: S311 - chooses what to look at, protects nothing

    def offer(self, place: Place) -> None:
        self._seen += 1
        if len(self.kept) < self._size:
            self.kept.append(place)
        elif self._size and (index := self._random.randrange(self._seen)) < self._size:
            self.kept[index] = place


async def _places(store: SqlStore, row: FolderRow) -> list[Place]:
    try:
        entries = (await store.snapshot(row.mailbox_id, row.id)).entries
    except NoSuchFolder:  # deleted meanwhile
        return []
    return [(row.mailbox_id, row.id, entry) for entry in entries]


async def _check_messages(store: SqlStore, places: Sequence[Place], report: Report) -> None:
    for mailbox_id, folder_id, entry in places:
        await _check_message(store, mailbox_id, folder_id, entry, report)


def _check_bodies(connection: Connection, cursor: Any, holders: Sequence[Holders], report: Report) -> dict[int, str]:
    needed = _needed(connection, cursor, holders)
    blobs_of: dict[int, str] = {}
    for body_id, refs, blob in _BODIES(cursor).fetchall():
        if blob:
            blobs_of[body_id] = blob
        if refs != needed.get(body_id, 0):
            report.wrong_refs.append((body_id, refs, needed.get(body_id, 0)))
        elif refs == 0:
            report.wrong_refs.append((body_id, 0, 0))
    report.lost_entries.extend(tuple(row) for row in _WITHOUT_BODY(cursor).fetchall())
    for statement in (_WITHOUT_CONTENT, _WITHOUT_SUMMARY):
        report.missing_rows.extend(row[0] for row in statement(cursor).fetchall())
    return blobs_of


def _needed(connection: Connection, cursor: Any, holders: Sequence[Holders]) -> dict[int, int]:
    needed: dict[int, int] = dict(_ENTRIES_PER_BODY(cursor).fetchall())
    for holder in holders:
        for body_id, count in holder(connection).items():
            needed[body_id] = needed.get(body_id, 0) + count
    return needed


def _check_folders(cursor: Any, report: Report, chosen: _Sample) -> list[FolderRow]:
    folders = [FolderRow._make(row) for row in _FOLDERS(cursor).fetchall()]
    for row in folders:
        entries = entry_rows.read_all(cursor, row.mailbox_id, row.id)
        for entry in entries:
            chosen.offer((row.mailbox_id, row.id, entry))
        stored, counted = _stored(row), _counted(cursor, row, entries)
        if stored != counted:
            report.drifts.append(Drift(row.mailbox_id, row.id, stored, counted))
    return folders


def _stored(row: FolderRow) -> tuple[int, int, int, int, int]:
    return row.uidnext, row.modseq, row.messages, row.unseen, row.bytes


def _counted(cursor: Any, row: FolderRow, entries: Sequence[Entry]) -> tuple[int, int, int, int, int]:
    """What the counters should be; UIDNEXT and MODSEQ only ever grow."""
    modseqs = [entry.modseq for entry in entries]
    highest = _HIGHEST(cursor, row.mailbox_id, row.id).fetchone()[0]
    return (
        max(row.uidnext, entries[-1].uid + 1 if entries else 1),
        max(row.modseq, highest, *modseqs) if modseqs else max(row.modseq, highest),
        len(entries),
        entry_rows.unseen(entries),
        sum(entry.size for entry in entries),
    )


async def _check_blobs(
    store: SqlStore, blobs: Mapping[str, Found], blobs_of: Mapping[int, str], report: Report, before: float
) -> None:
    wanted = set(blobs_of.values())
    report.orphan_blobs.extend(
        sorted(found.reference for found in blobs.values() if found.reference not in wanted and found.modified < before)
    )
    for body_id, reference in blobs_of.items():
        if reference in blobs:
            continue
        try:
            await store.blobs.read(reference, 0, 1)
        except MissingBody:
            report.missing_blobs.append(body_id)


async def _check_message(store: SqlStore, mailbox_id: int, folder_id: int, entry: Entry, report: Report) -> None:
    def read(connection: Connection) -> tuple[Any, bytes]:
        row = _DIGEST(cursor_of(connection), entry.body_id).fetchone()
        key = unwrap_key(store.keyring.key(connection, mailbox_id), entry.key, mailbox_id, entry.body_id)
        return row, key

    try:
        row, data_key = await store.reading.run(read)
        if row is None:
            return  # erased meanwhile, or reported as missing already
        open_summary(data_key, entry.body_id, row[2])
        body = await store.reader(data_key, entry.body_id)
        why = "" if await _digest(body) == (row[0], bytes(row[1])) else "digest"
    except MailboxGone:
        report.without_key += 1
        return
    except Corrupted:
        why = "corrupted"
    except MissingBody:
        why = "missing"
    report.read += 1
    if why:
        report.damaged.append(Damaged(mailbox_id, folder_id, entry.uid, entry.body_id, why))


async def _digest(body: Any) -> tuple[int, bytes]:
    digest = hashlib.sha256()
    size = 0
    while block := await body.read(size, 1 << 20):
        digest.update(block)
        size += len(block)
    return size, digest.digest()


async def repair(store: SqlStore, report: Report, *, holders: Sequence[Holders] = ()) -> Repaired:
    """Answer what is :attr:`Report.repairable`, looking again inside the writing transaction."""
    bodies = await store.committer.run(lambda unit: _repair_refs(store, unit, report, holders))
    folders = await store.committer.run(lambda unit: _repair_folders(unit, report))
    return Repaired(await _sweep(store, report.orphan_blobs), bodies, folders)


async def sweep(store: SqlStore, *, now: float, grace: float = GRACE_SECONDS) -> int:
    """The daily part of the above: delete old blobs without a row, half-written ones included. Returns how many.

    A serving process does it: it holds a part of the names at a time, and asks for the rows of these only.
    """
    gone, old = 0, list[str]()
    async for found in store.blobs.stored():
        if found.modified < now - grace:
            old.append(found.reference)
        if len(old) == SWEPT:
            gone += await _sweep(store, old)
            old.clear()
    return gone + await _sweep(store, old)


async def _sweep(store: SqlStore, references: Sequence[str]) -> int:
    gone = await store.reading.run(lambda connection: _without_row(connection, references))
    await store.delete_blobs(gone)
    return len(gone)


def _repair_refs(store: SqlStore, unit: Unit, report: Report, holders: Sequence[Holders]) -> int:
    if not report.wrong_refs:
        return 0
    needed = _needed(unit.connection, unit.cursor, holders)
    rows = _REFS(unit.cursor, sorted(body_id for body_id, _, _ in report.wrong_refs))
    wrong = [(needed.get(body_id, 0), body_id) for body_id, refs in rows if refs != needed.get(body_id, 0)]
    _SET_REFS.many(unit.cursor, wrong)
    unneeded = {body_id: 0 for body_id, _ in rows if not needed.get(body_id)}
    store.drop(unit, unneeded)
    return len(wrong) + sum(1 for body_id, refs in rows if refs == 0 and body_id in unneeded)


def _repair_folders(unit: Unit, report: Report) -> int:
    repaired = 0
    for drift in report.drifts:
        row = folder_rows.lock(unit.cursor, drift.mailbox_id, drift.folder_id)
        entries = entry_rows.read_all(unit.cursor, drift.mailbox_id, drift.folder_id)
        counted = _counted(unit.cursor, row, entries)
        if counted != _stored(row):
            _SET_FOLDER(unit.cursor, *counted, drift.mailbox_id, drift.folder_id)
            unit.touched(drift.mailbox_id, drift.folder_id)
            repaired += 1
    return repaired


def _without_row(connection: Connection, references: Sequence[str]) -> list[str]:
    """Those that no body refers to. A blob bears its body's number; another name is looked for in every row."""
    cursor = cursor_of(connection)
    numbered = [reference for reference in references if _NUMBER.fullmatch(reference)]
    used = {row[0] for row in _BLOBS(cursor, [int(reference, 16) for reference in numbered])}
    if strange := set(references).difference(numbered):
        used |= strange.intersection(row[0] for row in _LARGE(cursor))
    return [reference for reference in references if reference not in used]
