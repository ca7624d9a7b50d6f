"""Reads of the database, in a few threads, away from the event loop.

Promise: each piece of work sees one instant of the database; short reads asked at the same moment share one trip to a
thread. A lost connection is opened again once, without the caller noticing.
Failure: :class:`StoreUnavailable` when the database fails or does not answer within the caller's patience, or when too
many reads wait already (F12).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future as ThreadFuture
from functools import partial
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection

from mailboxes.engine import Database, Fault, begin, discard, fault_of, refusal, rollback
from mailboxes.store import StoreError, StoreUnavailable
from mailboxes.threads import Threads

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item and what it becomes
O = TypeVar("O")  # noqa: E741

PATIENCE_SECONDS = 30.0
"""How long a caller waits for a database that has fallen silent (F12)."""
MAX_READS_WAITING = 2048

log = structlog.get_logger(__name__)


def expire(future: asyncio.Future[Any]) -> None:
    """End a wait whose patience is over."""
    if not future.done():
        future.set_exception(StoreUnavailable("the database does not answer"))


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
        self._threads = Threads(threads if engine.shared else 1, "reading")
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
        alarm = loop.call_later(self._patience, expire, future)
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
            self._threads.submit(partial(self._serve, loop, handler, group))
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
        self._threads.rest()
        try:
            loop.call_soon_threadsafe(_settle_all, [future for _, future in live], outcomes)
        except RuntimeError:  # the loop was closed: nobody waits any more
            log.warning("reads_without_loop", count=len(live))

    def run_sync(self, work: Callable[[Connection], T]) -> T:
        """Same as :meth:`run` without an event loop."""
        future: ThreadFuture[T] = ThreadFuture()

        def job() -> None:
            try:
                result = self.run_here(work)
            except BaseException as error:  # noqa: BLE001 - the caller's to handle
                future.set_exception(error)
            else:
                future.set_result(result)

        self._threads.submit(job)
        return future.result()

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
                begin(connection, immediate=False)
                result = work(connection)
                rollback(connection)
                return result
            except Exception as error:
                if fault_of(error) is Fault.OWN:
                    rollback(connection)
                else:
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
        self._threads.close()
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
