"""What the outbound queue needs of the store: hold a message, let it go, open it to send.

Promise: a message held by the queue stays, whatever its recipients here do with theirs. Failure: :class:`MissingBody`,
:class:`Corrupted`, :class:`StoreUnavailable` of :mod:`mailboxes.store`.
"""

from __future__ import annotations

from mailboxes import body_rows
from mailboxes.commit import Unit
from mailboxes.sqlstore import SqlStore
from mailboxes.store import BodyReader


class QueuedBodies:
    """The queue's view of a :class:`mailboxes.sqlstore.SqlStore`."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def hold(self, unit: Unit, body_id: int, count: int = 1) -> None:
        """That many references more."""
        body_rows.hold(unit.cursor, [body_id] * count)

    def release(self, unit: Unit, body_id: int, count: int = 1) -> None:
        """That many references fewer; the last one takes the body away."""
        self._store.release_body(unit, body_id, count)

    async def open(self, body_id: int, wrapped: bytes) -> BodyReader:
        """The message, whose key was wrapped for mailbox 0."""
        return await self._store.open_queued(body_id, wrapped)
