"""What a running service does again and again with its store: the anchor, the daily housekeeping, volumes an hour old.

Promise: each round follows the configuration in force when it begins, and a round that fails is logged and comes again.
Failure: none of these ends by a fault of the store; :func:`anchor` needs a folder it can make when it begins.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import structlog

from gateway import housekeeping
from gateway.compose import Storage
from gateway.record import journal
from gateway.settings import Config
from gateway.volumes import forget
from mailboxes.given import make_folder
from mailboxes.store import StoreError

log = structlog.get_logger("service")

FORGET_EVERY = 600.0
"""Seconds between two looks at which rows of volumes are older than an hour."""


async def anchor(storage: Storage, config: Callable[[], Config]) -> None:
    """Write the head of the journal outside the database, in time (F35)."""
    file = journal.AnchorFile(config().journal.anchor)
    make_folder(file.path.parent)
    while True:
        try:
            head = await storage.reading.run(journal.head)
            await asyncio.to_thread(file.write, *head, time.time())
        except Exception as problem:  # noqa: BLE001 - an anchor missed is an alarm, not the end of the service
            log.error("anchor_not_written", error=type(problem).__name__)
        await asyncio.sleep(config().journal.anchor_every)


async def retain(storage: Storage, config: Callable[[], Config]) -> None:
    """Once a day, let go of what need not be kept any longer (MSS-145); sooner again when that failed."""
    again = housekeeping.AGAIN
    while True:
        try:
            if removed := await housekeeping.daily(replace(storage, config=config())):
                log.info("journal_purged", records=removed)
            pause, again = housekeeping.EVERY, housekeeping.AGAIN
        except Exception:  # kept a while too long is better than a service that ends
            pause, again = again, min(2 * again, housekeeping.EVERY)
            log.exception("housekeeping_failed", again=pause)
        await asyncio.sleep(pause)


async def forget_volumes(storage: Storage) -> None:
    """What was sent more than an hour ago judges nobody."""
    while True:
        await asyncio.sleep(FORGET_EVERY)
        try:
            await storage.committer.run(forget)
        except StoreError as problem:
            log.warning("volumes_not_forgotten", error=type(problem).__name__)
