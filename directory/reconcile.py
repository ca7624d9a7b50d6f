"""Puts a list of entries in the place of the one before, in portions, and whole or not at all (MSS-127).

A row is in force from generation ``since`` until before ``until``. The next generation is prepared beside the one in force: what is
new is inserted as of it, what is gone or changed ends with it; then one number moves. Rows nobody sees any more are deleted afterwards.
Every step is a function of a write transaction's connection and takes some milliseconds; the caller puts each in a transaction of its own.
Promise: a question asked between two steps sees the list of before, asked after :func:`take` the new one; one process at a time holds
the list (:func:`claim`), and what another left half done is undone first. A list that shrinks by more than a share is not taken.
Failure: :class:`Shrunk`; :class:`Lost` when another process holds the list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update
from sqlalchemy import insert as sql_insert

from directory.entry import Entry, Source
from directory.index import put, shown
from directory.tables import FOR_EVER, NATIONAL, entry, source

PORTION = 200
"""Entries looked up, and rows written, at once."""
NAME = Source.NATIONAL.value
HELD_SECONDS = 900
"""How long a process that died keeps the others from importing."""
NOTHING_READ = frozenset({"network", "tls", "status", "file", "unreadable", "stopped", "store"})
AGAIN_SECONDS = 900
"""After a try that failed for one of these, which cost nothing."""
EMPTY: dict[str, object] = {
    **dict.fromkeys(("generation", "entries", "stamped_at", "taken_at", "added", "changed", "removed"), 0),
    "tried_at": 0,
    "trouble": "",
    "holder": "",
    "held_until": 0,
}
"""A row of :data:`directory.tables.source` that says nothing."""


class Shrunk(Exception):
    """The new list is shorter than the old one by more than the share allowed."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(f"{before} entries before, {after} now")
        self.before = before
        self.after = after


class Lost(Exception):
    """Another process holds the list."""


@dataclass(slots=True)
class Counts:
    """What a list changes; ``kept`` is what stays as it is, ``doubled`` the lines whose address stood before."""

    kept: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    doubled: int = 0

    @property
    def entries(self) -> int:
        return self.kept + self.added + self.changed


def known(connection: Connection) -> Row[Any] | None:
    """What is known of the national list; None before the first."""
    return connection.execute(select(source).where(source.c.name == NAME)).one_or_none()


def claim(connection: Connection, holder: str, now: int) -> bool:
    """Hold the list for :data:`HELD_SECONDS`, or go on holding it; False when another process does."""
    if known(connection) is None:
        connection.execute(sql_insert(source), {**EMPTY, "name": NAME})
    free = (source.c.holder == holder) | (source.c.held_until < now)
    values = {"holder": holder, "held_until": now + HELD_SECONDS, "tried_at": now}
    return bool(connection.execute(update(source).where(source.c.name == NAME, free).values(values)).rowcount)


def claim_due(connection: Connection, holder: str, now: int, every: float) -> bool:
    """Hold the list if nobody tried for ``every`` seconds, or if the clock went back since; sooner where nothing could be read."""
    row = known(connection)
    if row is not None:
        every = min(every, AGAIN_SECONDS) if row.trouble in NOTHING_READ else every
        if 0 <= now - row.tried_at < every:
            return False
    return claim(connection, holder, now)


def release(connection: Connection, holder: str, trouble: str) -> None:
    """Let go, and say why the list was not taken; empty when it was, or stands already."""
    mine = (source.c.name == NAME) & (source.c.holder == holder)
    connection.execute(update(source).where(mine).values(holder="", held_until=0, trouble=trouble[:64]))


def _nobodys(_connection: Connection, _keys: Sequence[str]) -> Iterable[str]:
    return ()


@dataclass(slots=True)
class Import:
    """One new list, on its way. ``generation`` is the one in force; ``ours`` tells which addresses only our register speaks of.

    What :meth:`compare` and :meth:`gone` find is written before they are asked again.
    """

    holder: str
    generation: int
    ours: Callable[[Connection, Sequence[str]], Iterable[str]] = _nobodys
    counts: Counts = field(default_factory=Counts)
    _seen: bytearray = field(default_factory=bytearray)
    _new: list[Entry] = field(default_factory=list)
    _ended: list[int] = field(default_factory=list)
    _last: int = 0

    # reading: any connection

    def compare(self, connection: Connection, portion: Sequence[Entry]) -> None:
        """See which of ``portion`` are new or changed."""
        first: dict[str, Entry] = {}
        for one in portion:
            first.setdefault(one.address.lower(), one)
        self.counts.doubled += len(portion) - len(first)
        for key in self.ours(connection, list(first)):
            del first[key]
        columns = entry.c["id", "key", "shown", "since"]
        here = entry.c.key.in_(list(first)) & (entry.c.owner == NATIONAL) & (entry.c.until > self.generation)
        for row in connection.execute(select(*columns).where(here)):
            self._meet(row, first)
        self._new += first.values()
        self.counts.added += len(first)

    def _meet(self, row: Row[Any], first: dict[str, Entry]) -> None:
        """One row of an address; where a line before changed it there are two, and both have been met."""
        if row.since > self.generation or self._is_seen(row.id):
            if first.pop(row.key, None) is not None:
                self.counts.doubled += 1
            return
        self._see(row.id)
        if row.shown == shown(first[row.key]):
            del first[row.key]
            self.counts.kept += 1
            return
        self._ended.append(row.id)
        self.counts.changed += 1
        self.counts.added -= 1

    def _is_seen(self, number: int) -> bool:
        return number < len(self._seen) and bool(self._seen[number])

    def _see(self, number: int) -> None:
        if number >= len(self._seen):
            self._seen.extend(bytes(number + 100_000 - len(self._seen)))
        self._seen[number] = 1

    def gone(self, connection: Connection) -> bool:
        """Once all was compared, look for what stood before and stands no more; False when there is no more to look at."""
        live = (entry.c.owner == NATIONAL) & (entry.c.since <= self.generation) & (entry.c.until > self.generation)
        query = select(entry.c.id).where(live, entry.c.id > self._last).order_by(entry.c.id).limit(25 * PORTION)
        numbers = connection.execute(query).scalars().all()
        if not numbers:
            return False
        self._last = numbers[-1]
        removed = [number for number in numbers if not self._is_seen(number)]
        self._ended += removed
        self.counts.removed += len(removed)
        return True

    def demand_whole(self, before: int, shrink_limit: float) -> None:
        """Raises :class:`Shrunk`."""
        if self.counts.entries < before * (1 - shrink_limit):
            raise Shrunk(before, self.counts.entries)

    # writing: in transactions

    @property
    def waiting(self) -> bool:
        """Whether :meth:`write` has something to do."""
        return bool(self._new or self._ended)

    def write(self, connection: Connection, now: int) -> None:
        """At most a portion of what waits. Raises :class:`Lost`."""
        if not claim(connection, self.holder, now):
            raise Lost
        new, self._new = self._new[:PORTION], self._new[PORTION:]
        ended, self._ended = self._ended[:PORTION], self._ended[PORTION:]
        put(connection, new, [NATIONAL] * len(new), self.generation + 1, FOR_EVER)
        if ended:
            connection.execute(update(entry).where(entry.c.id.in_(ended)).values(until=self.generation + 1))

    def take(self, connection: Connection, now: int, stamped_at: int) -> None:
        """Have the new list in force. Raises :class:`Lost`."""
        if not claim(connection, self.holder, now):
            raise Lost
        counts = self.counts
        values = {
            "generation": self.generation + 1,
            "entries": counts.entries,
            "stamped_at": stamped_at,
            "taken_at": now,
        }
        values |= {"added": counts.added, "changed": counts.changed, "removed": counts.removed}
        connection.execute(update(source).where(source.c.name == NAME).values(values))


def undo(connection: Connection, generation: int) -> bool:
    """A portion of what was prepared for after ``generation`` and never taken; False when there is nothing left."""
    numbers = _numbers(connection, entry.c.since > generation)
    _delete(connection, numbers)
    marked = _numbers(connection, (entry.c.until > generation) & (entry.c.until != FOR_EVER))
    if marked:
        connection.execute(update(entry).where(entry.c.id.in_(marked)).values(until=FOR_EVER))
    return bool(numbers or marked)


def sweep(connection: Connection, generation: int) -> bool:
    """Delete a portion of what ended with ``generation`` or before; False when there is nothing left."""
    numbers = _numbers(connection, (entry.c.until <= generation) & (entry.c.until != FOR_EVER))
    _delete(connection, numbers)
    return bool(numbers)


def _numbers(connection: Connection, which: Any) -> list[int]:
    query = select(entry.c.id).where(which, entry.c.owner == NATIONAL).limit(PORTION)
    return list(connection.execute(query).scalars())


def _delete(connection: Connection, numbers: Sequence[int]) -> None:
    if numbers:
        connection.execute(delete(entry).where(entry.c.id.in_(numbers)))


def count(connection: Connection, generation: int) -> int:
    """National entries in force."""
    live = (entry.c.owner == NATIONAL) & (entry.c.since <= generation) & (entry.c.until > generation)
    return int(connection.execute(select(func.count()).select_from(entry).where(live)).scalar_one())
