"""The directory as every interface asks it: command line, LDAP, FHIR, portal (MSS-121).

Promise: :func:`directory` answers from the database of the moment, away from the event loop; nothing is kept in memory, so a
change made by any process is in the next answer. Failure: :class:`directory.search.DirectoryUnavailable`.
"""

from __future__ import annotations

from typing import Protocol

from directory.entry import Entry
from directory.index import Index
from directory.search import Answer, Condition, Directory, DirectoryUnavailable, demand_bounded
from gateway.directory import own
from mailboxes.commit import Reading
from mailboxes.store import StoreError


class Opened(Protocol):
    """The part of an open store that is asked; :class:`gateway.compose.Storage` is one."""

    @property
    def reading(self) -> Reading: ...


class StoredDirectory:
    """The port over the operator's database."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._index = Index(own.visible())

    async def find(self, condition: Condition, limit: int) -> Answer:
        demand_bounded(condition)
        try:
            return await self._reading.run(lambda connection: self._index.find(connection, condition, limit))
        except StoreError as problem:
            raise DirectoryUnavailable(str(problem)) from problem

    async def get(self, address: str) -> Entry | None:
        try:
            return await self._reading.run(lambda connection: self._index.get(connection, address))
        except StoreError as problem:
            raise DirectoryUnavailable(str(problem)) from problem


def directory(storage: Opened) -> Directory:
    """Who can be reached: our own mailboxes and the national extraction, without what is hidden."""
    return StoredDirectory(storage.reading)
