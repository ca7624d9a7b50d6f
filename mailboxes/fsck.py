"""Looks for what cannot be in a healthy store, and repairs what can be repaired without guessing.

Promise: :func:`check` only reads, on one instant of the database, while the store serves, and holds of a store of any size
what is wrong with it, its queue, and two numbers for each blob. :func:`repair` touches nothing
that could hold a message somebody still needs: it corrects counters and reference counts, and removes bodies and blobs
nobody refers to once they are old enough not to be on their way in. Lost or damaged messages are reported, never
replaced.
Failure: database and blob store errors propagate; a repair is one transaction per kind.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from array import array
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from mailboxes import entry_rows, folder_rows
from mailboxes.commit import Unit
from mailboxes.engine import cursor_of
from mailboxes.folder_rows import FolderRow
from mailboxes.keys import unwrap_key
from mailboxes.keywords import any_sealed
from mailboxes.seal import open_summary
from mailboxes.sql import InList, Sql, chunks
from mailboxes.sqlstore import SqlStore
from mailboxes.store import Corrupted, Entry, MailboxGone, MissingBody

GRACE_SECONDS = 3600.0
"""A blob younger than this may belong to a message that is being accepted."""

SWEPT = 1000
"""Blobs whose rows are asked for at once."""

AT_ONCE = 10_000
"""Rows held at once of a table that is walked through in the order of its key."""

Holders = Callable[[Connection], Mapping[int, int]]
"""References other rooms hold (the queue): body id to count, read in the same transaction."""

_FOLDERS = Sql(f"SELECT {folder_rows.COLUMNS} FROM folder ORDER BY mailbox_id, id")  # noqa: S608
# Rows that look right to the database stay there. What the queue holds is not counted here: it is told apart by the caller.
_UNEVEN = Sql(
    "SELECT b.body_id, b.refs, COALESCE(e.held, 0) FROM body b"
    " LEFT JOIN (SELECT body_id, COUNT(*) AS held FROM entry GROUP BY body_id) e ON e.body_id = b.body_id"
    " WHERE b.refs <> COALESCE(e.held, 0) OR b.refs = 0"
)
_UNHURRIED = Sql("SET LOCAL statement_timeout = 0")
_EVEN = InList("SELECT body_id, refs FROM body WHERE body_id IN (...)")
_LARGE = Sql("SELECT blob FROM body WHERE blob <> ''")
_LARGE_AFTER = Sql("SELECT body_id, blob FROM body WHERE body_id > ? AND blob <> '' ORDER BY body_id LIMIT ?")
_BLOBS = InList("SELECT blob FROM body WHERE body_id IN (...)")
_NUMBER = re.compile("[0-7][0-9a-f]{15}")
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
    lost_keywords: list[tuple[int, int, int]] = field(default_factory=list)  # the same, of one with a label less
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
        bodies = len(self.missing_blobs) + len(self.missing_rows)
        return bodies + len(self.lost_entries) + len(self.damaged) + len(self.lost_keywords)

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
    listed = await _list(store, now - grace)
    report, chosen = Report(), _Sample(sample or 0, seed)

    def read(connection: Connection) -> tuple[list[tuple[int, str]], list[FolderRow]]:
        nonlocal report, chosen  # a connection that was lost is read again from the beginning
        report, chosen = Report(), _Sample(sample or 0, seed)
        cursor = cursor_of(connection)
        if not store.reading.database.sqlite:
            _UNHURRIED(cursor)
        _check_bodies(connection, cursor, holders, report)
        report.orphan_blobs.extend(sorted(_orphans(connection, listed)))
        return _unlisted(cursor, listed), _check_folders(store, cursor, report, chosen)

    # Not through the patience of a session: all of a large store takes minutes.
    unlisted, folders = await asyncio.to_thread(store.reading.run_here, read)
    for body_id, reference in unlisted:
        try:
            await store.blobs.read(reference, 0, 1)
        except MissingBody:
            report.missing_blobs.append(body_id)
    if sample is not None:
        await _check_messages(store, chosen.kept, report)
        return report
    for row in folders:
        async for places in _places(store, row):
            await _check_messages(store, places, report)
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


async def _places(store: SqlStore, row: FolderRow) -> AsyncIterator[list[Place]]:
    """Every message of a folder, some at a time; those of one deleted meanwhile are gone."""
    last = 0

    def read(connection: Connection) -> list[Entry]:
        return entry_rows.read_after(cursor_of(connection), row.mailbox_id, row.id, last, AT_ONCE)

    while entries := await store.reading.run(read):
        yield [(row.mailbox_id, row.id, entry) for entry in entries]
        last = entries[-1].uid


async def _check_messages(store: SqlStore, places: Sequence[Place], report: Report) -> None:
    for mailbox_id, folder_id, entry in places:
        await _check_message(store, mailbox_id, folder_id, entry, report)


def _check_bodies(connection: Connection, cursor: Any, holders: Sequence[Holders], report: Report) -> None:
    report.wrong_refs.extend(_wrong_refs(connection, cursor, holders))
    report.lost_entries.extend(tuple(row) for row in _WITHOUT_BODY(cursor).fetchall())
    for statement in (_WITHOUT_CONTENT, _WITHOUT_SUMMARY):
        report.missing_rows.extend(row[0] for row in statement(cursor).fetchall())


def _wrong_refs(connection: Connection, cursor: Any, holders: Sequence[Holders]) -> list[tuple[int, int, int]]:
    """Bodies whose count is not the number of those who need them, or that nobody needs: body, stored, counted."""
    held: dict[int, int] = {}
    for holder in holders:
        for body_id, count in holder(connection).items():
            held[body_id] = held.get(body_id, 0) + count
    wrong = []
    for body_id, refs, entries in _UNEVEN(cursor).fetchall():
        needed = entries + held.pop(body_id, 0)
        if refs != needed or refs == 0:
            wrong.append((body_id, refs, needed))
    # Those left are as many as their entries, and held besides.
    wrong.extend(
        (body_id, refs, refs + held[body_id]) for body_id, refs in _EVEN(cursor, sorted(held)) if held[body_id]
    )
    return sorted(wrong)


def _check_folders(store: SqlStore, cursor: Any, report: Report, chosen: _Sample) -> list[FolderRow]:
    folders = [FolderRow._make(row) for row in _FOLDERS(cursor).fetchall()]

    def see(row: FolderRow, entries: Sequence[Entry]) -> None:
        for entry in entries:
            chosen.offer((row.mailbox_id, row.id, entry))
        if any_sealed(entries):
            report.lost_keywords.extend(_lost_keywords(store, cursor, row, entries))

    for row in folders:
        stored, counted = _stored(row), _counted(cursor, row, see)
        if stored != counted:
            report.drifts.append(Drift(row.mailbox_id, row.id, stored, counted))
    return folders


def _stored(row: FolderRow) -> tuple[int, int, int, int, int]:
    return row.uidnext, row.modseq, row.messages, row.unseen, row.bytes


def _lost_keywords(
    store: SqlStore, cursor: Any, row: FolderRow, entries: Sequence[Entry]
) -> list[tuple[int, int, int]]:
    """Messages with a keyword that does not open; where the key was destroyed nothing does, and that is no fault."""
    try:
        words = store.keyring.keywords(cursor, row.mailbox_id)
    except (MailboxGone, Corrupted):
        return []
    return [(row.mailbox_id, row.id, entry.uid) for entry in entries if words.lost(entry.flags)]


def _counted(
    cursor: Any, row: FolderRow, see: Callable[[FolderRow, Sequence[Entry]], None] | None = None
) -> tuple[int, int, int, int, int]:
    """What the counters should be; UIDNEXT and MODSEQ only ever grow. ``see`` is shown every entry."""
    highest = _HIGHEST(cursor, row.mailbox_id, row.id).fetchone()[0]
    last = messages = unseen = octets = 0
    while entries := entry_rows.read_after(cursor, row.mailbox_id, row.id, last, AT_ONCE):
        last = entries[-1].uid
        highest = max(highest, *(entry.modseq for entry in entries))
        messages += len(entries)
        unseen += entry_rows.unseen(entries)
        octets += sum(entry.size for entry in entries)
        if see is not None:
            see(row, entries)
    return max(row.uidnext, last + 1), max(row.modseq, highest), messages, unseen, octets


@dataclass(slots=True)
class _Listed:
    """The blobs there are. A blob bears its body's number; others, half-written ones, are kept by name.

    ``old`` are those old enough to be called orphans.
    """

    numbers: array[int] = field(default_factory=lambda: array("q"))
    old: array[int] = field(default_factory=lambda: array("q"))
    names: set[str] = field(default_factory=set)
    old_names: list[str] = field(default_factory=list)

    def __contains__(self, reference: str) -> bool:
        if not _NUMBER.fullmatch(reference):
            return reference in self.names
        number = int(reference, 16)
        place = bisect_left(self.numbers, number)
        return place < len(self.numbers) and self.numbers[place] == number


async def _list(store: SqlStore, before: float) -> _Listed:
    listed = _Listed()
    async for found in store.blobs.stored():
        if _NUMBER.fullmatch(found.reference):
            listed.numbers.append(int(found.reference, 16))
            if found.modified < before:
                listed.old.append(listed.numbers[-1])
        else:
            listed.names.add(found.reference)
            if found.modified < before:
                listed.old_names.append(found.reference)
    listed.numbers = array("q", sorted(listed.numbers))
    return listed


def _orphans(connection: Connection, listed: _Listed) -> Iterator[str]:
    for some in chunks(listed.old, SWEPT):
        yield from _without_row(connection, [f"{number:016x}" for number in some])
    if listed.old_names:
        yield from _without_row(connection, listed.old_names)


def _unlisted(cursor: Any, listed: _Listed) -> list[tuple[int, str]]:
    """Bodies whose blob was not there when blobs were listed."""
    found: list[tuple[int, str]] = []
    last = 0
    while rows := _LARGE_AFTER(cursor, last, AT_ONCE).fetchall():
        last = rows[-1][0]
        found.extend((body_id, blob) for body_id, blob in rows if blob not in listed)
    return found


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
    needed = {body_id: count for body_id, _, count in _wrong_refs(unit.connection, unit.cursor, holders)}
    rows = _REFS(unit.cursor, sorted(needed.keys() & {body_id for body_id, _, _ in report.wrong_refs}))
    wrong = [(needed[body_id], body_id) for body_id, refs in rows if refs != needed[body_id]]
    _SET_REFS.many(unit.cursor, wrong)
    unneeded = {body_id: 0 for body_id, _ in rows if not needed[body_id]}
    store.drop(unit, unneeded)
    return len(wrong) + sum(1 for body_id, refs in rows if refs == 0 and body_id in unneeded)


def _repair_folders(unit: Unit, report: Report) -> int:
    repaired = 0
    for drift in report.drifts:
        row = folder_rows.lock(unit.cursor, drift.mailbox_id, drift.folder_id)
        counted = _counted(unit.cursor, row)
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
