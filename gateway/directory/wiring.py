"""The directory as every interface asks it: command line, LDAP, FHIR, portal (MSS-121).

Promise: :func:`directory` answers from the database of the moment, away from the event loop; nothing is kept in memory, so a
change made by any process is in the next answer; two searches run at once, the others wait, so that whoever reads mail does not. Failure: :class:`directory.search.DirectoryUnavailable`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection

from directory.entry import Entry
from directory.index import Index
from directory.search import Answer, Condition, Directory, DirectoryUnavailable, demand_bounded
from gateway.directory import own
from mailboxes.commit import Reading
from mailboxes.store import StoreError

T = TypeVar("T")


class Opened(Protocol):
    """The part of an open store that is asked; :class:`gateway.compose.Storage` is one."""

    @property
    def reading(self) -> Reading: ...


AT_ONCE = 2
"""Searches under way in one process, of all interfaces together: the threads they run in read mailboxes too."""
PATIENCE_SECONDS = 20.0
"""How long a search waits for its turn."""
_TURNS: WeakKeyDictionary[Reading, asyncio.Semaphore] = WeakKeyDictionary()


class StoredDirectory:
    """The port over the operator's database."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._turns = _TURNS.setdefault(reading, asyncio.Semaphore(AT_ONCE))
        self._index = Index(own.visible())

    async def find(self, condition: Condition, limit: int) -> Answer:
        demand_bounded(condition)
        return await self._ask(lambda connection: self._index.find(connection, condition, limit))

    async def get(self, address: str) -> Entry | None:
        return await self._ask(lambda connection: self._index.get(connection, address))

    async def _ask(self, work: Callable[[Connection], T]) -> T:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self._turns:
                return await self._reading.run(work)
        except (StoreError, TimeoutError) as problem:
            raise DirectoryUnavailable(str(problem) or "too many searches") from problem


def directory(storage: Opened) -> Directory:
    """Who can be reached: our own mailboxes and the national extraction, without what is hidden."""
    return StoredDirectory(storage.reading)
