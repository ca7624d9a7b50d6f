"""Builds a store for tests, wired as the gateway wires it."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection

from mailboxes.blobs import Blobs, MemoryBlobs
from mailboxes.commit import Committer, Reading, Unit
from mailboxes.engine import open_database, raw
from mailboxes.keys import Keyring, LocalMasterKey
from mailboxes.notices import open_notices
from mailboxes.provision import next_instance
from mailboxes.seal import INLINE_LIMIT, BodyIds, Sealer
from mailboxes.sqlstore import SqlStore
from policies.events import Event

MASTER = b"test master key, 32 bytes long!!"


def open_files(folder: Path) -> int:
    """How many files below ``folder`` this process holds open; files of other tests do not count."""
    held = 0
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the descriptor that lists them is gone by now
            held += Path(os.readlink(f"/proc/self/fd/{number}")).is_relative_to(folder)
    return held


def effort(connection: Connection, work: Callable[[], object]) -> int:
    """Hundreds of SQLite's own instructions that ``work`` takes: what grows with a table shows, however fast the machine.

    PostgreSQL does not tell: 0.
    """
    steps: list[None] = []
    count = getattr(raw(connection), "set_progress_handler", lambda handler, every: None)
    count(lambda: steps.append(None), 100)
    try:
        work()
    finally:
        count(None, 0)
    return len(steps)


class Recorder:
    """A journal that keeps what it was given, once committed or not."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def append(self, connection: Connection, events: Sequence[Event], now: float) -> None:
        self.events.extend(events)


@asynccontextmanager
async def opened(
    url: str,
    *,
    blobs: Blobs | None = None,
    inline_limit: int = INLINE_LIMIT,
    journal: Recorder | None = None,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
    room: Callable[[], int] | None = None,
    reserve: int = 0,
) -> AsyncIterator[SqlStore]:
    """A store on ``url``, its tables created. Two of them on one URL stand for two processes."""
    database = open_database(url)
    database.create_tables()
    blobs = blobs or MemoryBlobs()
    committer = Committer(database, journal=journal or Recorder(), clock=clock)
    reading = Reading(database)
    keyring = Keyring(LocalMasterKey(MASTER), monotonic)

    def start(unit: Unit) -> int:
        keyring.open(unit.connection, unit.now)
        return next_instance(unit.cursor)

    instance = await committer.run(start)
    notices = open_notices(database, instance)
    committer.announcer = notices
    notices.start()
    pool = ThreadPoolExecutor(2, thread_name_prefix="sealing")
    sealer = Sealer(keyring, blobs, BodyIds(instance), pool, inline_limit, room=room, reserve=reserve)
    store = SqlStore(committer, reading, keyring, blobs, sealer, notices, pool)
    try:
        yield store
    finally:
        await notices.close()
        await committer.close()
        await store.settle()
        await reading.close()
        pool.shutdown()
        database.dispose()
