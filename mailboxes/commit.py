"""Group commit: one writer thread per process makes changes durable, all that wait in one transaction.

Promise: ``await run(...)`` returns after the transaction that holds the work is durable. While one transaction is being
synced, whatever arrives waits and shares the next; when the writer is idle there is no wait at all. Work that fails is
undone alone (savepoint) and its events with it; the others in the same transaction commit. Events are appended to the
journal last, in the same transaction. After a failed commit or sync the connection is never used again.
Failure: the caller gets its own exception, or :class:`StoreUnavailable` / :class:`mailboxes.store.StoreFull` when the
database failed: then nothing was kept, except that a commit whose answer was lost, or came after the caller's patience
ended, may have happened (the sender tries again, and at worst one copy is doubled).
"""

from __future__ import annotations

import asyncio
import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future as ThreadFuture
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection

from mailboxes.checkpoint import Checkpointer
from mailboxes.engine import (
    Database,
    Fault,
    begin,
    commit,
    cursor_of,
    discard,
    fault_of,
    first_connection,
    free_pages,
    heal,
    raw,
    refusal,
    rollback,
)
from mailboxes.precedence import go_first
from mailboxes.reading import PATIENCE_SECONDS, Reading, expire
from mailboxes.seldom import Seldom
from mailboxes.store import StoreUnavailable
from mailboxes.unit import Announcer, Journal, Meter, NoJournal, Unit

__all__ = ["Announcer", "Committer", "Journal", "Meter", "NoJournal", "Reading", "Unit"]

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item and what it becomes
O = TypeVar("O")  # noqa: E741

MAX_BATCH = 64
MAX_WAITING = 4096
MAX_RETRIES = 5
RETRY_SECONDS = 0.01
SWITCH_SECONDS = 0.0005
"""How long the event loop may keep the interpreter from the writer.

The sqlite3 module lets go of the interpreter's lock around every step, some thirty times a transaction; beside an event
loop that always has work, each time costs up to the switch interval. With Python's 5 ms a transaction takes 150 ms and
ten connections share 80 to 120 commits a second; with 0.5 ms, 1 700 (measured, docs/adr/0009).
"""

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Waiting:
    """Work in the queue, and where its outcome goes. ``handler`` takes a list of items; ``single`` never shares a call."""

    handler: Callable[[Unit, list[Any]], list[Any]]
    item: Any
    future: asyncio.Future[Any] | ThreadFuture[Any]
    loop: asyncio.AbstractEventLoop | None
    single: bool
    alarm: asyncio.TimerHandle | None = None
    outcome: Any = None
    failed: bool = False

    def end(self, outcome: Any, *, failed: bool) -> None:
        self.outcome = outcome
        self.failed = failed or isinstance(outcome, BaseException)

    def settle(self) -> None:
        """Hand the outcome over, in the thread that owns the future."""
        if self.alarm is not None:
            self.alarm.cancel()
        if self.future.done():
            return
        if self.failed:
            self.future.set_exception(self.outcome)
        else:
            self.future.set_result(self.outcome)


def _one(unit: Unit, items: list[Callable[[Unit], Any]]) -> list[Any]:
    return [items[0](unit)]


@dataclass(slots=True)
class _Done:
    """What is owed on the event loop after a commit."""

    touched: frozenset[tuple[int, int]] = frozenset()
    callbacks: list[Callable[[], None]] = field(default_factory=list)


class Committer:
    """The writer. Made anywhere; its thread starts with the first work and ends with :meth:`close`."""

    def __init__(
        self,
        engine: Database,
        *,
        journal: Journal,
        clock: Callable[[], float],
        max_batch: int = MAX_BATCH,
        max_waiting: int = MAX_WAITING,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.database = engine
        self._patience = patience
        self.announcer: Announcer | None = None
        self.meter: Meter | None = None
        self.reusable_bytes = 0
        """Bytes inside SQLite's file that deletions freed: they are room for new messages (F07)."""
        self._room_seen = -math.inf
        self._journal = journal
        self._clock = clock
        self._max_batch = max_batch
        self._slots = asyncio.Semaphore(max_waiting)
        self._queue: deque[_Waiting] = deque()
        self._arrived = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._connection: Connection | None = None
        self._suspect = False
        self._seldom = Seldom()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._checkpointer = Checkpointer(engine) if engine.sqlite and engine.shared else None

    # what callers use

    async def run(self, work: Callable[[Unit], T]) -> T:
        """Do ``work`` in a write transaction; its result once durable. ``work`` may be called again after a rollback."""
        result: T = await self._submit(_one, work, single=True)
        return result

    async def grouped(self, handler: Callable[[Unit, list[I]], list[O]], item: I) -> O:
        """Have ``handler`` treat ``item`` together with others that wait for the same handler.

        ``handler`` returns one outcome per item, in order; an exception instance fails its item alone. If it raises,
        it is called again with one item at a time.
        """
        result: O = await self._submit(handler, item, single=False)
        return result

    def run_sync(self, work: Callable[[Unit], T]) -> T:
        """Same as :meth:`run` for a caller without an event loop (command line, tests)."""
        future: ThreadFuture[T] = ThreadFuture()
        self._put(_Waiting(_one, work, future, None, single=True))
        return future.result()

    async def close(self) -> None:
        """Commit what waits, stop the writer, close its connection."""
        await asyncio.get_running_loop().run_in_executor(None, self.close_sync)

    def close_sync(self) -> None:
        with self._arrived:
            self._closing = True
            self._arrived.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    # the queue

    async def _submit(self, handler: Callable[[Unit, list[Any]], list[Any]], item: Any, *, single: bool) -> Any:
        loop = asyncio.get_running_loop()
        async with self._slots:
            future: asyncio.Future[Any] = loop.create_future()
            alarm = loop.call_later(self._patience, expire, future)
            self._put(_Waiting(handler, item, future, loop, single, alarm))
            return await future

    def _put(self, waiting: _Waiting) -> None:
        with self._arrived:
            if self._closing:
                raise StoreUnavailable("the store is closed")
            self._loop = waiting.loop or self._loop
            self._queue.append(waiting)
            if self._thread is None:
                self._start()
            self._arrived.notify()

    def _start(self) -> None:
        """Start the writer; where the system grants no thread now, the next to come tries again."""
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_SECONDS))
        thread = threading.Thread(target=self._write_for_ever, name="committer", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._queue.pop()
            raise StoreUnavailable("no thread for the writer") from error
        self._thread = thread

    def _work_waits(self) -> bool:
        """Sleep until something waits; False when closing and done."""
        with self._arrived:
            while not self._queue and not self._closing:
                self._arrived.wait()
            return bool(self._queue)

    def _take(self) -> list[_Waiting]:
        """Everything that waits, up to the batch size. Who gave up waiting is not served."""
        with self._arrived:
            batch: list[_Waiting] = []
            while self._queue and len(batch) < self._max_batch:
                waiting = self._queue.popleft()
                if not waiting.future.done():
                    batch.append(waiting)
            return batch

    def _write_for_ever(self) -> None:
        go_first()  # other processes wait for its transaction: it holds their turn while the event loop has the processor
        while self._work_waits():
            batch: list[_Waiting] = []
            try:
                # The turn first, then the work: what arrives while another process writes shares the transaction too.
                with self.database.writing():
                    batch = self._take()
                    done = self._commit(batch) if batch else []
                self._hand_over(batch, done)
                if self._checkpointer is not None:
                    self._checkpointer.see()
            except Exception:  # noqa: BLE001 - where memory ran out even telling fails: the writer must outlive it
                self._let_down(batch)
        if self._checkpointer is not None:
            self._checkpointer.close()
        if self._connection is not None:
            self._connection.close()

    def _let_down(self, batch: list[_Waiting]) -> None:
        """Something failed that nothing answers for: who waits hears it if that can be told, else his patience ends."""
        self._give_up(Fault.BROKEN)
        with suppress(Exception):
            for waiting in batch:
                if waiting.outcome is None:
                    waiting.end(StoreUnavailable("the writer failed"), failed=True)
            self._hand_over(batch, [])

    def _hand_over(self, batch: list[_Waiting], done: list[_Done]) -> None:
        """Settle futures and run callbacks, on the event loop where there is one; one hop per transaction."""
        here = [waiting for waiting in batch if waiting.loop is None]
        there = [waiting for waiting in batch if waiting.loop is not None]
        for waiting in here:
            waiting.settle()
        loop = there[0].loop if there else self._loop
        if loop is None or loop.is_closed():
            self._finish(there, done)
            return
        try:
            loop.call_soon_threadsafe(self._finish, there, done)
        except RuntimeError:  # the loop was closed in between: nobody waits any more
            log.warning("outcomes_without_loop", count=len(there))

    def _finish(self, batch: list[_Waiting], done: list[_Done]) -> None:
        for waiting in batch:
            waiting.settle()
        for after in done:
            if self.announcer is not None and after.touched:
                self.announcer.committed(after.touched)
            for callback in after.callbacks:
                _call_safely(callback)

    # one batch

    def _commit(self, batch: list[_Waiting]) -> list[_Done]:
        """Make ``batch`` durable: at one go, then item guarded from item, then, when something common fails, one by one."""
        for guarded in (False, True):
            try:
                return [self._transaction(batch, guarded=guarded)]
            except Exception as error:  # noqa: BLE001 - whatever it is, every caller must hear of it
                if len(batch) == 1 or refusal(error) is not None:
                    self._fail(batch, error)
                    return []
        done = []
        for waiting in batch:
            try:
                done.append(self._transaction([waiting]))
            except Exception as error:  # noqa: BLE001
                self._fail([waiting], error)
        return done

    def _fail(self, batch: list[_Waiting], error: BaseException) -> None:
        said = refusal(error)
        if said is not None:
            kind = type(said).__name__
            if times := self._seldom.times(kind):
                log.error("store_fault", error=type(error).__name__, kind=kind, count=len(batch), times=times)
            said.__cause__ = error
        for waiting in batch:
            waiting.end(said or error, failed=True)

    def _transaction(self, batch: list[_Waiting], *, guarded: bool = False) -> _Done:
        for attempt in range(MAX_RETRIES + 1):
            try:
                return self._attempt(batch, guarded=guarded)
            except Exception as error:
                fault = fault_of(error)
                self._give_up(fault)
                if fault is not Fault.RETRY or attempt == MAX_RETRIES:
                    raise
            time.sleep(RETRY_SECONDS * 2**attempt)  # the transaction that won must get past the rows we let go of
        raise AssertionError("the last attempt returns or raises")

    def _give_up(self, fault: Fault) -> None:
        """Undo the transaction; distrust the connection when the database failed under it, or when it cannot undo."""
        if self._connection is None:
            return
        self._suspect = fault in (Fault.BROKEN, Fault.FULL)
        try:
            if self._suspect:
                raw(self._connection).rollback()  # lets go of the locks; nothing else is asked of it
            else:
                rollback(self._connection)
        except Exception:  # noqa: BLE001
            self._suspect = True

    def _attempt(self, batch: list[_Waiting], *, guarded: bool) -> _Done:
        connection = self._trusted()
        unit = Unit(connection, cursor_of(connection), self._clock())
        begun = time.perf_counter()
        begin(connection, immediate=True)
        calls = _calls(batch)
        for handler, members in calls:
            _call(unit, handler, members, guarded=guarded or len(calls) > 1)
        if all(waiting.failed for waiting in batch):
            rollback(connection)
            return _Done()
        if unit.events:
            self._journal.append(connection, unit.events, unit.now)
        touched = unit.all_touched
        if touched and self.announcer is not None:
            self.announcer.write(unit.cursor, touched)
        commit(connection)
        if self.meter is not None:
            with suppress(Exception):  # the change is durable, counted or not
                self.meter.committed(unit.events, time.perf_counter() - begun)
        self._see_room(unit)
        return _Done(touched, unit.callbacks)

    def _see_room(self, unit: Unit) -> None:
        """Once a second, or after any backward step of the clock, how much SQLite can use again."""
        if self.database.sqlite and not 0 <= unit.now - self._room_seen < 1:
            self._room_seen = unit.now
            self.reusable_bytes = free_pages(unit.cursor)

    def _trusted(self) -> Connection:
        if self._suspect or self._connection is None:
            suspect = self._connection
            if suspect is not None and not self.database.sqlite:
                discard(self.database, suspect)
                suspect = self._connection = None
            self._connection = heal(self.database, suspect) if self._suspect else first_connection(self.database)
            self._suspect = False
        return self._connection


def _calls(batch: list[_Waiting]) -> list[tuple[Callable[[Unit, list[Any]], list[Any]], list[_Waiting]]]:
    """The batch as calls: items of one handler together, at the place of the first."""
    groups: dict[Hashable, list[_Waiting]] = {}
    for waiting in batch:
        groups.setdefault(id(waiting) if waiting.single else waiting.handler, []).append(waiting)
    return [(members[0].handler, members) for members in groups.values()]


def _call(
    unit: Unit, handler: Callable[[Unit, list[Any]], list[Any]], members: list[_Waiting], *, guarded: bool
) -> None:
    """Call ``handler``; on its own error undo it, and with several items try each alone."""
    mark = unit.mark()
    if guarded:
        unit.cursor.execute("SAVEPOINT work")
    try:
        outcomes = handler(unit, [waiting.item for waiting in members])
        if len(outcomes) != len(members):
            raise RuntimeError(f"{handler!r} returned {len(outcomes)} outcomes for {len(members)} items")
    except Exception as error:
        if fault_of(error) is not Fault.OWN or not guarded:
            raise
        unit.cursor.execute("ROLLBACK TO SAVEPOINT work")
        unit.cursor.execute("RELEASE SAVEPOINT work")
        unit.back_to(mark)
        if len(members) == 1:
            members[0].end(error, failed=True)
            return
        for waiting in members:
            _call(unit, handler, [waiting], guarded=True)
        return
    if guarded:
        unit.cursor.execute("RELEASE SAVEPOINT work")
    for waiting, outcome in zip(members, outcomes, strict=True):
        waiting.end(outcome, failed=False)


def _call_safely(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception as error:  # noqa: BLE001 - the change is durable; a listener cannot undo it
        log.error("after_commit_failed", error=type(error).__name__)
