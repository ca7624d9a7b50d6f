"""Group commit: one writer thread per process makes changes durable, all that wait in one transaction.

Promise: ``await run(...)`` returns after the transaction that holds the work is durable. While one transaction is being
synced, whatever arrives waits and shares the next; when the writer is idle there is no wait at all. Work that fails is
undone alone (savepoint) and its events with it; the others in the same transaction commit. Events are appended to the
journal last, in the same transaction. After a failed commit or sync the connection is never used again.
Failure: the caller gets its own exception, or :class:`StoreUnavailable` / :class:`StoreFull` when the database failed:
then nothing was kept, except that a commit whose answer was lost, or came after the caller's patience ended, may have
happened (the sender tries again, and at worst one copy is doubled).
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future as ThreadFuture
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import structlog
from sqlalchemy import Connection

from mailboxes.engine import Database, Fault, cursor_of, discard, fault_of, free_pages, heal, raw, refusal
from mailboxes.store import StoreError, StoreUnavailable
from policies.events import Event

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item and what it becomes
O = TypeVar("O")  # noqa: E741

MAX_BATCH = 64
MAX_WAITING = 4096
MAX_RETRIES = 5
PATIENCE_SECONDS = 30.0
"""How long a caller waits for a database that has fallen silent (F12)."""
MAX_READS_WAITING = 2048

log = structlog.get_logger(__name__)


class Journal(Protocol):
    """Where events are recorded: called once per transaction, last, because it takes the lock on the chain's head."""

    def append(self, connection: Connection, events: Sequence[Event], now: float) -> None: ...


class Announcer(Protocol):
    """Tells watchers what changed: ``write`` inside the transaction, ``committed`` after it, on the event loop."""

    def write(self, cursor: Any, touched: frozenset[tuple[int, int]]) -> None: ...
    def committed(self, touched: frozenset[tuple[int, int]]) -> None: ...


class NoJournal:
    """Records nothing: for tests of what does not concern evidence."""

    def append(self, connection: Connection, events: Sequence[Event], now: float) -> None:
        return


class Unit:
    """One write transaction, as the work in it sees it.

    ``connection`` is SQLAlchemy's, ``cursor`` the driver's own for hot statements; both are in the same transaction.
    ``now`` is one instant for the whole transaction, in seconds since the epoch.
    """

    __slots__ = ("_touched", "callbacks", "connection", "cursor", "events", "now")

    def __init__(self, connection: Connection, cursor: Any, now: float) -> None:
        self.connection = connection
        self.cursor = cursor
        self.now = now
        self.events: list[Event] = []
        self.callbacks: list[Callable[[], None]] = []
        self._touched: list[tuple[int, int]] = []

    def emit(self, *events: Event) -> None:
        """Record ``events`` in the journal when this transaction commits."""
        self.events.extend(events)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` on the event loop once this transaction is durable; never if it is not."""
        self.callbacks.append(callback)

    def touched(self, mailbox_id: int, folder_id: int) -> None:
        """Wake whoever watches this folder (0: the folder tree) after the commit."""
        self._touched.append((mailbox_id, folder_id))

    def mark(self) -> tuple[int, int, int]:
        """How far this unit has come; :meth:`back_to` forgets what was said since."""
        return len(self.events), len(self.callbacks), len(self._touched)

    def back_to(self, mark: tuple[int, int, int]) -> None:
        del self.events[mark[0] :]
        del self.callbacks[mark[1] :]
        del self._touched[mark[2] :]

    @property
    def all_touched(self) -> frozenset[tuple[int, int]]:
        return frozenset(self._touched)


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


def _give_up(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(StoreUnavailable("the database does not answer"))


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
        self._loop: asyncio.AbstractEventLoop | None = None

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
            alarm = loop.call_later(self._patience, _give_up, future)
            self._put(_Waiting(handler, item, future, loop, single, alarm))
            return await future

    def _put(self, waiting: _Waiting) -> None:
        with self._arrived:
            if self._closing:
                raise StoreUnavailable("the store is closed")
            self._loop = waiting.loop or self._loop
            self._queue.append(waiting)
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_for_ever, name="committer", daemon=True)
                self._thread.start()
            self._arrived.notify()

    def _take(self) -> list[_Waiting]:
        """Everything that waits, up to the batch size; empty when closing and done. Who gave up waiting is not served."""
        with self._arrived:
            while not self._queue and not self._closing:
                self._arrived.wait()
            batch: list[_Waiting] = []
            while self._queue and len(batch) < self._max_batch:
                waiting = self._queue.popleft()
                if not waiting.future.done():
                    batch.append(waiting)
            return batch

    def _write_for_ever(self) -> None:
        while True:
            batch = self._take()
            if batch:
                self._hand_over(batch, self._commit(batch))
            elif self._closing:
                break
        if self._connection is not None:
            self._connection.close()

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
        """Make ``batch`` durable, together or, when something common to all fails, one by one."""
        try:
            return [self._transaction(batch)]
        except Exception as error:  # noqa: BLE001 - whatever it is, every caller must hear of it
            if len(batch) == 1 or refusal(error) is not None:
                _fail(batch, error)
                return []
        done = []
        for waiting in batch:
            try:
                done.append(self._transaction([waiting]))
            except Exception as error:  # noqa: BLE001
                _fail([waiting], error)
        return done

    def _transaction(self, batch: list[_Waiting]) -> _Done:
        for attempt in range(MAX_RETRIES + 1):
            try:
                with self.database.turn():
                    return self._attempt(batch)
            except Exception as error:
                fault = fault_of(error)
                self._give_up(fault)
                if fault is not Fault.RETRY or attempt == MAX_RETRIES:
                    raise
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
                self._connection.rollback()
        except Exception:  # noqa: BLE001
            self._suspect = True

    def _attempt(self, batch: list[_Waiting]) -> _Done:
        connection = self._trusted()
        unit = Unit(connection, None, self._clock())
        connection.begin()
        unit.cursor = cursor_of(connection)
        calls = _calls(batch)
        for handler, members in calls:
            _call(unit, handler, members, guarded=len(calls) > 1 or len(members) > 1)
        if all(waiting.failed for waiting in batch):
            connection.rollback()
            return _Done()
        if unit.events:
            self._journal.append(connection, unit.events, unit.now)
        touched = unit.all_touched
        if touched and self.announcer is not None:
            self.announcer.write(unit.cursor, touched)
        connection.commit()
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
            self._connection = heal(self.database, suspect) if self._suspect else self.database.writer.connect()
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


def _fail(batch: list[_Waiting], error: BaseException) -> None:
    said = refusal(error)
    if said is not None:
        log.error("store_fault", error=type(error).__name__, kind=type(said).__name__, count=len(batch))
        said.__cause__ = error
    for waiting in batch:
        waiting.end(said or error, failed=True)


def _call_safely(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception as error:  # noqa: BLE001 - the change is durable; a listener cannot undo it
        log.error("after_commit_failed", error=type(error).__name__)


class Reading:
    """A few threads with a read connection each. ``run`` gives the work one instant of the database to read.

    What :meth:`grouped` is asked during one turn of the event loop shares one trip to a thread and one instant.
    """

    def __init__(
        self,
        engine: Database,
        threads: int = 4,
        *,
        max_waiting: int = MAX_READS_WAITING,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.database = engine
        self._pool = ThreadPoolExecutor(threads if engine.shared else 1, thread_name_prefix="reading")
        self._local = threading.local()
        self._opened: list[Connection] = []
        self._max_waiting = max_waiting
        self._patience = patience
        self._waiting = 0
        self._groups: dict[Callable[..., Any], list[tuple[Any, asyncio.Future[Any]]]] = {}

    async def run(self, work: Callable[[Connection], T]) -> T:
        """The result of ``work``, which must not write and may be called twice if the connection was lost."""
        result: T = await self._ask(_read_one, work)
        return result

    async def grouped(self, handler: Callable[[Connection, I], O], item: I) -> O:
        """``handler(connection, item)``, together with whatever else is asked of ``handler`` at the same moment."""
        result: O = await self._ask(handler, item)
        return result

    async def _ask(self, handler: Callable[[Connection, Any], Any], item: Any) -> Any:
        if self._waiting >= self._max_waiting:
            raise StoreUnavailable("too many reads wait for the database")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        alarm = loop.call_later(self._patience, _give_up, future)
        self._waiting += 1
        try:
            if handler is _read_one:
                self._send(loop, handler, [(item, future)])
            elif handler in self._groups:
                self._groups[handler].append((item, future))
            else:
                self._groups[handler] = [(item, future)]
                loop.call_soon(self._flush, loop, handler)
            return await future
        finally:
            self._waiting -= 1
            alarm.cancel()

    def _flush(self, loop: asyncio.AbstractEventLoop, handler: Callable[[Connection, Any], Any]) -> None:
        self._send(loop, handler, self._groups.pop(handler))

    def _send(
        self,
        loop: asyncio.AbstractEventLoop,
        handler: Callable[[Connection, Any], Any],
        group: list[tuple[Any, asyncio.Future[Any]]],
    ) -> None:
        try:
            self._pool.submit(self._serve, loop, handler, group)
        except RuntimeError:
            for _, future in group:
                future.set_exception(StoreUnavailable("the store is closed"))

    def _serve(
        self,
        loop: asyncio.AbstractEventLoop,
        handler: Callable[[Connection, Any], Any],
        group: list[tuple[Any, asyncio.Future[Any]]],
    ) -> None:
        live = [pair for pair in group if not pair[1].done()]
        outcomes: list[tuple[bool, Any]]
        try:
            outcomes = self.run_here(lambda connection: [_outcome(handler, connection, item) for item, _ in live])
        except Exception as error:  # noqa: BLE001 - every caller must hear of it
            outcomes = [(False, error)] * len(live)
        try:
            loop.call_soon_threadsafe(_settle_all, [future for _, future in live], outcomes)
        except RuntimeError:  # the loop was closed: nobody waits any more
            log.warning("reads_without_loop", count=len(live))

    def run_sync(self, work: Callable[[Connection], T]) -> T:
        """Same as :meth:`run` without an event loop."""
        return self._pool.submit(self.run_here, work).result()

    def run_here(self, work: Callable[[Connection], T]) -> T:
        """Same, in the calling thread."""
        try:
            return self._once(work)
        except StoreError:
            raise
        except Exception as error:
            if refusal(error) is None:
                raise
        try:
            return self._once(work)
        except StoreError:
            raise
        except Exception as error:
            said = refusal(error)
            raise said or error from error

    def _once(self, work: Callable[[Connection], T]) -> T:
        with self.database.turn():
            connection = self._connected()
            try:
                with connection.begin() as transaction:
                    result = work(connection)
                    transaction.rollback()
                return result
            except Exception as error:
                if fault_of(error) is not Fault.OWN:
                    self._local.connection = None
                    discard(self.database, connection)
                raise

    def _connected(self) -> Connection:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self.database.reader.connect()
            self._local.connection = connection
            self._opened.append(connection)
        return connection

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.close_sync)

    def close_sync(self) -> None:
        """Wait for the reads under way, close the connections."""
        self._pool.shutdown(wait=True)
        for connection in self._opened:
            if not connection.closed:
                connection.close()


def _read_one(connection: Connection, work: Callable[[Connection], Any]) -> Any:
    return work(connection)


def _outcome(handler: Callable[[Connection, Any], Any], connection: Connection, item: Any) -> tuple[bool, Any]:
    """One caller's own error is its own; a failing database fails the whole trip."""
    try:
        return True, handler(connection, item)
    except Exception as error:
        if fault_of(error) is not Fault.OWN:
            raise
        return False, error


def _settle_all(futures: list[asyncio.Future[Any]], outcomes: list[tuple[bool, Any]]) -> None:
    for future, (good, outcome) in zip(futures, outcomes, strict=True):
        if future.done():
            continue
        if good:
            future.set_result(outcome)
        else:
            future.set_exception(outcome)
