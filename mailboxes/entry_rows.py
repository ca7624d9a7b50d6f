"""Rows of entries: the messages of a folder, and what happens to them, inside a transaction.

Promise: UIDs of a folder grow for ever and are given while its row is locked, so no process gives one twice. Each change
of a folder raises its MODSEQ by one, and everything changed at once bears that MODSEQ (RFC 7162 3.1). UIDs erased are
remembered with the MODSEQ of their erasure, so VANISHED is exact. Counters of the folder row follow in the same
transaction.
Entries are read as they are stored, their keywords sealed (:mod:`mailboxes.keywords`).
Failure: what :mod:`mailboxes.folder_rows` raises; ``ValueError`` for a flag operation that does not exist.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

from mailboxes import flags as flagging
from mailboxes.folder_rows import FolderRow
from mailboxes.keywords import Keywords
from mailboxes.sql import InList, Insert, Rows, Sql
from mailboxes.store import Changes, Entry, FlagChange

_FIELDS = "uid, modseq, flags, size, internal_date, save_date, body_id, key, thread_id, zone"
_INSERT = Insert(
    "entry", "mailbox_id folder_id uid modseq flags size internal_date save_date body_id key thread_id zone"
)
_ALL = Sql(f"SELECT {_FIELDS} FROM entry WHERE mailbox_id = ? AND folder_id = ? ORDER BY uid")  # noqa: S608
_RANGE = Sql(
    f"SELECT {_FIELDS} FROM entry WHERE mailbox_id = ? AND folder_id = ? AND uid BETWEEN ? AND ? ORDER BY uid"  # noqa: S608
)
_FIRST = Sql(
    f"SELECT {_FIELDS} FROM entry WHERE mailbox_id = ? AND folder_id = ? AND uid < ? ORDER BY uid LIMIT ?"  # noqa: S608
)
_AFTER = Sql(
    f"SELECT {_FIELDS} FROM entry WHERE mailbox_id = ? AND folder_id = ? AND uid > ? ORDER BY uid LIMIT ?"  # noqa: S608
)
_COUNT_FROM = Sql("SELECT COUNT(*) FROM entry WHERE mailbox_id = ? AND folder_id = ? AND uid >= ?")
_LISTED = InList(f"SELECT {_FIELDS} FROM entry WHERE mailbox_id = ? AND folder_id = ? AND uid IN (...)")  # noqa: S608
_SINCE = Sql(
    f"SELECT {_FIELDS} FROM entry WHERE mailbox_id = ? AND folder_id = ? AND modseq > ? ORDER BY uid"  # noqa: S608
)
_VANISHED = Sql("SELECT uid FROM expunged WHERE mailbox_id = ? AND folder_id = ? AND modseq > ? ORDER BY uid")
_UIDS = Sql("SELECT uid FROM entry WHERE mailbox_id = ? AND folder_id = ? ORDER BY uid")
_FLAG = InList("UPDATE entry SET flags = ?, modseq = ? WHERE mailbox_id = ? AND folder_id = ? AND uid IN (...)")
_FLAGS_AFTER = Sql(
    "SELECT folder_id, uid, flags FROM entry WHERE mailbox_id = ? AND (folder_id, uid) > (?, ?)"
    " ORDER BY folder_id, uid LIMIT ?"
)
_SEAL = InList("UPDATE entry SET flags = ? WHERE mailbox_id = ? AND folder_id = ? AND uid IN (...)")
_DELETE = InList("DELETE FROM entry WHERE mailbox_id = ? AND folder_id = ? AND uid IN (...)")
_DELETE_ALL = tuple(
    Sql(f"DELETE FROM {table} WHERE mailbox_id = ? AND folder_id = ?")  # noqa: S608
    for table in ("entry", "expunged")
)
_SOME_OF_ALL = Sql("SELECT folder_id, uid, body_id FROM entry WHERE mailbox_id = ? ORDER BY folder_id, uid LIMIT ?")
_EXPUNGED = Insert("expunged", "mailbox_id folder_id modseq uid")
_COUNT = Rows(
    "UPDATE folder SET uidnext = v.column1, modseq = v.column2, messages = messages + v.column3,"
    " unseen = unseen + v.column4, bytes = bytes + v.column5 FROM (VALUES (...)) AS v"
    " WHERE folder.mailbox_id = v.column6 AND folder.id = v.column7",
    width=7,
)

# ``Entry._make`` without its own call and count: every row has the columns of _FIELDS.
_entry = cast(Callable[[Any], Entry], partial(tuple.__new__, Entry))

DENSE = 4
"""UIDs this much apart on average are still read as one range: skipping rows is cheaper than naming them."""


class New(NamedTuple):
    """A message about to have a UID. ``key`` is already wrapped for the mailbox; ``flags`` are as they are stored."""

    flags: str
    size: int
    internal_date: int
    save_date: int
    body_id: int
    key: bytes
    thread_id: int
    zone: int


def read_all(cursor: Any, mailbox_id: int, folder_id: int) -> list[Entry]:
    """Every entry in UID order."""
    return list(map(_entry, _ALL(cursor, mailbox_id, folder_id).fetchall()))


def count_from(cursor: Any, mailbox_id: int, folder_id: int, first: int) -> int:
    """How many entries have UID ``first`` or a greater one."""
    return int(_COUNT_FROM(cursor, mailbox_id, folder_id, first).fetchone()[0])


def read_first(cursor: Any, mailbox_id: int, folder_id: int, most: int, before: int = 1 << 62) -> list[Entry]:
    """The first ``most`` entries below UID ``before``."""
    return list(map(_entry, _FIRST(cursor, mailbox_id, folder_id, before, most).fetchall()))


def read_after(cursor: Any, mailbox_id: int, folder_id: int, uid: int, most: int) -> list[Entry]:
    """The next ``most`` entries beyond ``uid``: for whoever looks at all of a folder, of any size, and keeps little."""
    return list(map(_entry, _AFTER(cursor, mailbox_id, folder_id, uid, most).fetchall()))


def read_some(cursor: Any, mailbox_id: int, folder_id: int, uids: Sequence[int]) -> list[Entry]:
    """The entries among ``uids``, in UID order; UIDs that do not exist are left out."""
    wanted = sorted(set(uids))
    if not wanted:
        return []
    low, high = wanted[0], wanted[-1]
    if high - low < DENSE * len(wanted):
        rows = _RANGE(cursor, mailbox_id, folder_id, low, high).fetchall()
        named = set(wanted)
        return [_entry(row) for row in rows if row[0] in named]
    rows = _LISTED(cursor, wanted, mailbox_id, folder_id)
    return sorted(map(_entry, rows))


def read_changes(cursor: Any, folder: FolderRow, since: int) -> Changes:
    """What happened after MODSEQ ``since``; when the history does not reach back so far, every missing UID vanished."""
    mailbox_id, folder_id = folder.mailbox_id, folder.id
    if since >= folder.modseq:
        return Changes(folder.modseq, folder.uidnext, [], [])
    changed = list(map(_entry, _SINCE(cursor, mailbox_id, folder_id, since).fetchall()))
    if since < folder.history_from:
        there = {row[0] for row in _UIDS(cursor, mailbox_id, folder_id).fetchall()}
        vanished = [uid for uid in range(1, folder.uidnext) if uid not in there]
    else:
        vanished = [row[0] for row in _VANISHED(cursor, mailbox_id, folder_id, since).fetchall()]
    return Changes(folder.modseq, folder.uidnext, changed, vanished)


def add(cursor: Any, folder: FolderRow, messages: Sequence[New]) -> tuple[FolderRow, list[int]]:
    """Give ``messages`` the next UIDs of a locked folder. Returns the folder as it is now and the UIDs."""
    now = add_all(cursor, [(folder, messages)])[0]
    return now, list(range(folder.uidnext, now.uidnext))


def add_all(cursor: Any, batch: Sequence[tuple[FolderRow, Sequence[New]]]) -> list[FolderRow]:
    """The same for several locked folders at once: one statement for the entries, one for the counters."""
    rows: list[tuple[Any, ...]] = []
    changes: list[tuple[FolderRow, FolderRow]] = []
    for folder, messages in batch:
        now = folder._replace(
            uidnext=folder.uidnext + len(messages),
            modseq=folder.modseq + 1,
            messages=folder.messages + len(messages),
            unseen=folder.unseen + unseen(messages),
            bytes=folder.bytes + sum(message.size for message in messages),
        )
        place = (folder.mailbox_id, folder.id)
        rows.extend((*place, folder.uidnext + step, now.modseq, *message) for step, message in enumerate(messages))
        changes.append((folder, now))
    _INSERT(cursor, rows)
    count(cursor, changes)
    return [now for _, now in changes]


def remove(cursor: Any, folder: FolderRow, entries: Sequence[Entry]) -> FolderRow:
    """Erase entries of a locked folder and remember their UIDs. References to bodies are the caller's business."""
    modseq = folder.modseq + 1
    place = (folder.mailbox_id, folder.id)
    _DELETE.change(cursor, [one.uid for one in entries], *place)
    _EXPUNGED(cursor, [(*place, modseq, one.uid) for one in entries])
    now = folder._replace(
        modseq=modseq,
        messages=folder.messages - len(entries),
        unseen=folder.unseen - unseen(entries),
        bytes=folder.bytes - sum(one.size for one in entries),
    )
    count(cursor, [(folder, now)])
    return now


def some_of_all(cursor: Any, mailbox_id: int, most: int) -> dict[int, list[tuple[int, int]]]:
    """UID and body of up to ``most`` entries of a mailbox, by folder."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for folder_id, uid, body_id in _SOME_OF_ALL(cursor, mailbox_id, most).fetchall():
        found[folder_id].append((uid, body_id))
    return found


def erase(cursor: Any, mailbox_id: int, folder_id: int, uids: Sequence[int]) -> None:
    """Erase entries of a folder nobody will open again: neither history nor counters are kept."""
    _DELETE.change(cursor, uids, mailbox_id, folder_id)


def clear(cursor: Any, folder: FolderRow) -> None:
    """Erase every entry of a folder that is about to disappear, history included."""
    for statement in _DELETE_ALL:
        statement(cursor, folder.mailbox_id, folder.id)


def set_flags(
    cursor: Any, folder: FolderRow, entries: Sequence[Entry], change: FlagChange, words: Keywords
) -> tuple[FolderRow, list[Entry], list[int]]:
    """STORE on a locked folder: the folder now, the entries now, opened, the UIDs UNCHANGEDSINCE protected.

    An entry whose flags stay the same keeps its MODSEQ.
    """
    modseq = folder.modseq + 1
    limit = change.unchanged_since
    after: list[Entry] = []
    altered: dict[str, list[int]] = defaultdict(list)  # by the flags to store: as many statements as there are of these
    refused: list[int] = []
    came_unseen = 0
    outcomes: dict[str, _Outcome] = {}
    for one in entries:
        if limit is not None and one.modseq > limit:
            refused.append(one.uid)
            continue
        outcome = outcomes.get(one.flags)
        if outcome is None:
            outcome = outcomes[one.flags] = _outcome(one.flags, change, words)
        if outcome.altered:
            came_unseen += outcome.unseen
            altered[outcome.stored].append(one.uid)
            one = one._replace(flags=outcome.flags, modseq=modseq)
        elif outcome.flags != one.flags:
            one = one._replace(flags=outcome.flags)
        after.append(one)
    if altered:
        for flags, uids in altered.items():
            _FLAG.change(cursor, uids, flags, modseq, folder.mailbox_id, folder.id)
        before, folder = folder, folder._replace(modseq=modseq, unseen=folder.unseen + came_unseen)
        count(cursor, [(before, folder)])
    return folder, after, refused


class _Outcome(NamedTuple):
    """What STORE makes of some flags: opened, and as they are stored; ``unseen`` is 1 when they lose ``\\Seen``, -1 when they get it."""

    flags: str
    stored: str
    altered: bool
    unseen: int


def _outcome(stored: str, change: FlagChange, words: Keywords) -> _Outcome:
    before = words.opened(stored)
    new = flagging.change(before, change.operation, change.flags, change.kept)
    unseen = flagging.has(before, flagging.SEEN) - flagging.has(new, flagging.SEEN)
    replaced = change.operation == "set" and flagging.KEYWORDS not in change.kept
    return _Outcome(new, words.sealed(new, "" if replaced else stored), new != before, unseen)


def seal_keywords(
    cursor: Any, mailbox_id: int, after: tuple[int, int], most: int, words: Keywords
) -> tuple[int, tuple[int, int] | None]:
    """Seal what is in clear among the keywords of the next ``most`` entries beyond folder and UID ``after``.

    Returns how many were looked at, and the last one, None when no other follows. What is sealed already stays, MODSEQs too:
    to mail programs nothing changes.
    """
    rows = _FLAGS_AFTER(cursor, mailbox_id, *after, most).fetchall()
    clear: dict[tuple[str, int], list[int]] = defaultdict(list)
    for folder_id, uid, flags in rows:
        clear[(flags, folder_id)].append(uid)
    for (flags, folder_id), uids in clear.items():
        sealed = words.sealed(words.opened(flags), flags)
        if sealed != flags:
            _SEAL.change(cursor, uids, sealed, mailbox_id, folder_id)
    return len(rows), (rows[-1][0], rows[-1][1]) if len(rows) == most else None


def unseen(messages: Sequence[New] | Sequence[Entry]) -> int:
    """How many are not ``\\Seen``."""
    return sum(not flagging.has(message.flags, flagging.SEEN) for message in messages)


def count(cursor: Any, changes: Sequence[tuple[FolderRow, FolderRow]]) -> None:
    """Write the counters of locked folders, each given as it was and as it is."""
    _COUNT(
        cursor,
        [
            (
                now.uidnext,
                now.modseq,
                now.messages - before.messages,
                now.unseen - before.unseen,
                now.bytes - before.bytes,
                now.mailbox_id,
                now.id,
            )
            for before, now in changes
        ],
    )
