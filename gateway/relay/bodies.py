"""The queue's hold on stored messages: :class:`gateway.relay.parcel.Bodies` on the mail store.

Promise: a queued message keeps its bytes until its last recipient is settled and its last notice sent.
Failure: those of :mod:`mailboxes.store`.
"""

from __future__ import annotations

from mailboxes import body_rows
from mailboxes.commit import Unit
from mailboxes.sqlstore import SqlStore
from mailboxes.store import BodyReader


class StoreBodies:
    """Bodies in the store of mailboxes, under the key of the queue."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def hold(self, unit: Unit, body_id: int, count: int = 1) -> None:
        """See :class:`gateway.relay.parcel.Bodies`."""
        body_rows.hold(unit.cursor, [body_id] * count)

    def release(self, unit: Unit, body_id: int, count: int = 1) -> None:
        """See :class:`gateway.relay.parcel.Bodies`."""
        self._store.release_body(unit, body_id, count)

    async def open(self, body_id: int, wrapped: bytes) -> BodyReader:
        """See :class:`gateway.relay.parcel.Bodies`."""
        return await self._store.open_queued(body_id, wrapped)
