"""Brings the national extraction in: from a file or an address, by one process, beside mail that flows (MSS-127).

Promise: the list in force changes whole or not at all; a source that is away, truncated, hostile or much shorter than before
leaves it as it is and says why. Between two portions the process gives as much time to others as it took.
Failure: :class:`NotTaken`, with a word of :mod:`directory.sources.extraction` or :mod:`directory.trustlist_fetch`, ``shrunk`` or ``busy``;
:class:`mailboxes.store.StoreError` when the database fails: what was prepared is undone by the next to come.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from directory import reconcile
from directory.entry import Entry
from directory.reconcile import PORTION, Counts, Import, Lost, Shrunk
from directory.sources.extraction import BadExtraction, Bounds, Reader, opened, stamp
from gateway.directory import own
from mailboxes.commit import Committer, Reading, Unit
from policies.events import Event, Kind

T = TypeVar("T")


class NotTaken(Exception):
    """The list in force stays. ``word`` says why."""

    def __init__(self, word: str, detail: str = "") -> None:
        super().__init__(f"{word}: {detail}" if detail else word)
        self.word = word
        self.detail = detail


class Opened(Protocol):
    """The part of an open store that an import needs; :class:`gateway.compose.Storage` is one."""

    @property
    def committer(self) -> Committer: ...
    @property
    def reading(self) -> Reading: ...
    @property
    def clock(self) -> Callable[[], float]: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """``shrink`` is the share a list may lose; ``alarm`` the age in seconds, by its own stamp, that is worth one."""

    shrink: float = 0.2
    alarm: float = 36 * 3600.0
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of the national list. Times are seconds since the epoch; ``trouble`` is why the last try was not taken."""

    entries: int = 0
    stamped_at: int = 0
    taken_at: int = 0
    tried_at: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    trouble: str = ""

    def old(self, now: float, alarm: float) -> bool:
        """Whether the list is older than it should be: unknown is old."""
        return now - self.stamped_at > alarm


def status(connection: Connection) -> Status | None:
    """None where no list was ever asked for."""
    row = reconcile.known(connection)
    if row is None:
        return None
    return Status(**{name: getattr(row, name) for name in Status.__slots__})


class Feed:
    """One process that brings lists in. ``stopped`` asks it to leave off; ``rest`` is called between portions."""

    def __init__(
        self,
        storage: Opened,
        limits: Limits,
        *,
        rest: Callable[[float], None] = time.sleep,
        stopped: Callable[[], bool] = bool,
        actor: str = "system",
    ) -> None:
        self._actor = actor
        self._storage = storage
        self._limits = limits
        self._rest = rest
        self._stopped = stopped
        self._holder = f"{socket.gethostname()[:20]}-{os.getpid()}-{secrets.token_hex(4)}"

    def due(self, every: float) -> bool:
        """Hold the list if nobody looked for a newer one for ``every`` seconds."""
        return self._do(lambda unit: reconcile.claim_due(unit.connection, self._holder, int(unit.now), every))

    def leave(self, trouble: str = "") -> None:
        """Let go of what :meth:`due` held, and record why nothing came of it."""

        def work(unit: Unit) -> None:
            reconcile.release(unit.connection, self._holder, trouble)
            if trouble:
                detail = {"what": "not_taken", "reason": trouble}
                unit.emit(Event(Kind.DIRECTORY_LIST, actor=self._actor, detail=detail))

        self._do(work)

    def bring(self, path: Path, stamped_at: float = 0.0) -> Counts:
        """Have the list in this file in force; ``stamped_at`` where its source told when it was made. Raises :class:`NotTaken`."""
        if not self._do(lambda unit: reconcile.claim(unit.connection, self._holder, int(unit.now))):
            raise NotTaken("busy")
        trouble = ""
        try:
            return self._bring(path, stamped_at)
        except (NotTaken, BadExtraction) as problem:
            trouble = problem.word
            raise NotTaken(trouble, str(problem).partition(": ")[2]) from None
        except Shrunk as problem:
            trouble = "shrunk"
            raise NotTaken(trouble, f"{problem.before} → {problem.after}") from None
        except Lost:
            raise NotTaken("busy") from None
        finally:
            self.leave(trouble)

    def _bring(self, path: Path, stamped_at: float) -> Counts:
        before = self._ask(reconcile.known)
        assert before is not None
        generation = int(before.generation)
        self._until_done(lambda unit: reconcile.undo(unit.connection, generation))
        new = Import(self._holder, generation, own.ours)
        try:
            with opened(path, self._limits.bounds) as (text, name):
                stamped_at = stamped_at or _stamped(path, name)
                self._compare(new, Reader(text, self._limits.bounds))
            new.demand_whole(int(before.entries), self._limits.shrink)
            while self._ask(new.gone):
                self._write(new)
        except BaseException:
            self._until_done(lambda unit: reconcile.undo(unit.connection, generation))
            raise
        self._do(lambda unit: self._take(unit, new, int(stamped_at)))
        self._until_done(lambda unit: reconcile.sweep(unit.connection, generation + 1))
        return new.counts

    def _take(self, unit: Unit, new: Import, stamped_at: int) -> None:
        new.take(unit.connection, int(unit.now), stamped_at)
        counts = new.counts
        told = {"entries": counts.entries, "added": counts.added, "changed": counts.changed, "removed": counts.removed}
        unit.emit(Event(Kind.DIRECTORY_LIST, actor=self._actor, detail={"what": "taken", **told}))

    def _compare(self, new: Import, entries: Iterable[Entry]) -> None:
        for portion in _portions(entries):
            began = time.thread_time()
            self._ask(partial(new.compare, portion=portion))
            self._write(new)
            self._pause(time.thread_time() - began)

    def _write(self, new: Import) -> None:
        while new.waiting:
            self._do(lambda unit: new.write(unit.connection, int(unit.now)))

    def _until_done(self, step: Callable[[Unit], bool]) -> None:
        while self._do(step):
            self._pause(0.0)

    def _pause(self, took: float) -> None:
        if self._stopped():
            raise NotTaken("stopped")
        self._rest(took)

    def _do(self, work: Callable[[Unit], T]) -> T:
        return self._storage.committer.run_sync(work)

    def _ask(self, work: Callable[[Connection], T]) -> T:
        return self._storage.reading.run_sync(work)


def _portions(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    waiting = iter(entries)
    while some := list(islice(waiting, PORTION)):
        yield some


def _stamped(path: Path, name: str) -> float:
    """When a file was made: by its name, else by the file system."""
    told = stamp(name)
    return told.timestamp() if told else path.stat().st_mtime
