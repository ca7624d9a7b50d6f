"""The entries of a folder as the database packs them: one value a column, opened into entries when they are first wanted.

SELECT needs the UIDs and which flags there are, at once; an object a value, ten a message, takes twice as long to read. Numbers
come as text and are read as JSON, keys joined end to end.
Promise: what is opened are the rows as they were when they were read, in UID order. Failure: what the driver raises, and
``ValueError`` where a column does not fit the others.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, cast

from mailboxes.folder_rows import FolderRow
from mailboxes.sql import Sql
from mailboxes.store import Entry

AT_ONCE = 20_000  # messages packed together: some 3 MB, and 4 ms in which no other thread has the interpreter
_LAST = (1 << 63) - 1

_NUMBERS = ("uid", "modseq", "size", "internal_date", "save_date", "body_id", "thread_id", "zone")
_WHERE = "mailbox_id = ? AND folder_id = ? AND uid > ? AND uid <= ?"
# SQLite goes through them in the order of their key; PostgreSQL is told to.
_SQLITE = Sql(
    f"SELECT {', '.join(f'group_concat({name})' for name in _NUMBERS)}, group_concat(flags, char(10)),"  # noqa: S608
    f" CAST(group_concat(key, '') AS BLOB), max(length(key)) FROM entry WHERE {_WHERE}"
)
_TEXTS = ", ".join(f"string_agg(CAST({name} AS TEXT), ',')" for name in _NUMBERS)
_POSTGRES = Sql(
    f"SELECT {_TEXTS}, string_agg(flags, chr(10)), string_agg(key, CAST('' AS BYTEA)), max(length(key))"  # noqa: S608
    f" FROM (SELECT * FROM entry WHERE {_WHERE} ORDER BY uid) AS ordered"
)
_BOUND = Sql("SELECT uid FROM entry WHERE mailbox_id = ? AND folder_id = ? AND uid > ? ORDER BY uid LIMIT 1 OFFSET ?")

# ``Entry._make`` without its own call and count: every row has all columns.
_entry = cast(Callable[[Any], Entry], partial(tuple.__new__, Entry))


class _Portion(NamedTuple):
    """What follows UID and flags of some messages; ``key`` is the length of each of the keys."""

    numbers: tuple[str, ...]
    keys: bytes
    key: int

    def opened(self, uids: list[int], flags: list[str]) -> list[Entry]:
        modseqs, sizes, internal, saved, bodies, threads, zones = map(_read, self.numbers)
        keys = [self.keys[at : at + self.key] for at in range(0, len(self.keys), self.key)]
        columns = (uids, modseqs, flags, sizes, internal, saved, bodies, keys, threads, zones)
        return list(map(_entry, zip(*columns, strict=True)))


class Packed(NamedTuple):
    """UIDs and flags of all entries, each set of flags once, and the rest packed."""

    uids: list[int]
    flags: list[str]
    spoken: set[str]
    portions: list[_Portion]

    def opened(self) -> list[Entry]:
        """The entries."""
        entries: list[Entry] = []
        for portion in self.portions:
            at = slice(len(entries), len(entries) + len(portion.keys) // portion.key)
            entries += portion.opened(self.uids[at], self.flags[at])
        return entries


def read_packed(cursor: Any, folder: FolderRow) -> Packed:
    """Every entry of a folder, in UID order."""
    found = Packed([], [], set(), [])
    statement = _SQLITE if isinstance(cursor, sqlite3.Cursor) else _POSTGRES
    for first, last in _bounds(cursor, folder):
        uids, *numbers, flags, keys, key = statement(cursor, folder.mailbox_id, folder.id, first, last).fetchone()
        if uids is None:
            continue
        count = len(found.uids)
        found.uids.extend(_read(uids))
        found.flags.extend(flags.split("\n"))
        found.spoken.update(found.flags[count:])
        found.portions.append(_Portion(tuple(numbers), keys, key))
        if len(found.flags) != len(found.uids) or len(keys) != key * (len(found.uids) - count):
            raise ValueError("a column does not fit the others")
    if found.uids != sorted(found.uids):  # SQL promises no order here: better no folder than one whose numbers lie
        raise ValueError("not in the order of their UIDs")
    return found


def _bounds(cursor: Any, folder: FolderRow) -> Iterator[tuple[int, int]]:
    """Ranges of UIDs, first excluded, with at most :data:`AT_ONCE` messages each."""
    first = 0
    for _ in range(AT_ONCE, folder.messages, AT_ONCE):
        bound = _BOUND(cursor, folder.mailbox_id, folder.id, first, AT_ONCE - 1).fetchone()
        if bound is None:
            break
        yield first, bound[0]
        first = bound[0]
    yield first, _LAST


def _read(numbers: str) -> list[int]:
    return cast(list[int], json.loads(f"[{numbers}]"))
