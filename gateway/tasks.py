"""Work that one process does beside its doors: begun, begun again after a fault, kept until the store takes it, ended.

Promise: what goes on for ever outlives its own faults, and each is logged; :meth:`Tasks.end` leaves nothing running.
Failure: the fault of work that was to happen once is logged, and nobody else hears of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

import structlog

from mailboxes.seldom import Seldom
from mailboxes.store import StoreError

log = structlog.get_logger("service")

STORE_AGAIN = 5.0
"""Seconds until what the store could not take is tried again."""

TASK_AGAIN = 1.0
"""Seconds until work that ended by a fault begins again; twice as many after each further one, up to a minute."""

Work = Callable[[], Coroutine[Any, Any, None]]


class Tasks:
    """What runs now. One event loop's."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._seldom = Seldom()

    def begin(self, work: Work) -> None:
        """Do it once, beside the caller."""
        task = asyncio.create_task(work())
        task.add_done_callback(self._running.discard)
        task.add_done_callback(report)
        self._running.add(task)

    def keep_up(self, work: Work) -> None:
        """Do what goes on as long as the process does."""
        self.begin(partial(for_ever, work))

    async def at_last(self, work: Work) -> None:
        """What a store that is away must not make us forget is done when it is back (F11)."""
        while True:
            try:
                return await work()
            except StoreError as problem:
                if times := self._seldom.times("store"):
                    log.warning("work_waits_for_store", error=type(problem).__name__, times=times)
                await asyncio.sleep(STORE_AGAIN)

    async def end(self) -> None:
        """Break off whatever still runs."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def for_ever(work: Work) -> None:
    """Work that goes on as long as the service does: whatever ends it, memory that ran out for one, it begins again.

    A courier that ended alone left a service behind that took mail and sent none.
    """
    pause = TASK_AGAIN
    while True:
        try:
            return await work()
        except Exception:
            with suppress(Exception):  # where memory ran out, telling fails too
                log.exception("task_ended", again=pause)
        await asyncio.sleep(pause)
        pause = min(2 * pause, 60 * TASK_AGAIN)


def report(task: asyncio.Task[None]) -> None:
    """Log the fault a task ended by."""
    if not task.cancelled() and (problem := task.exception()) is not None:
        log.error("task_ended", exc_info=problem)
