"""Reads messages back: summaries and bodies, decrypted, whole or by range.

Promise: bytes come out only after their tag was checked; a body that is missing or fails its tag is recorded as a
``service.store_fault`` event before the caller hears of it (F13, F14). A body nothing needs any more, because its
messages were erased while it was being read, is missing without fault.
Failure: :class:`Corrupted`, :class:`MissingBody`, :class:`mailboxes.store.MailboxGone`,
:class:`mailboxes.store.StoreUnavailable`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, TypeVar

import structlog
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection

from mailboxes.blobs import Blobs
from mailboxes.body_readers import FramedBody, InlineBody
from mailboxes.commit import Committer
from mailboxes.engine import cursor_of
from mailboxes.keys import QUEUE, Keyring, unwrap_key
from mailboxes.reading import Reading
from mailboxes.seal import open_small, open_smalls, open_summaries
from mailboxes.sql import InList, Sql
from mailboxes.store import BodyReader, Corrupted, Entry, MissingBody
from mailboxes.unit import Unit
from policies.events import Event, Kind

T = TypeVar("T")

SHORT_READ = 32
"""Entries."""
FAULTS_KEPT = 10_000

_SUMMARIES = InList("SELECT body_id, data FROM summary WHERE body_id IN (...)")
_CONTENTS = InList("SELECT body_id, data FROM content WHERE body_id IN (...)")
_BLOBS = InList("SELECT body_id, blob FROM body WHERE body_id IN (...)")
_NEEDED = Sql("SELECT 1 FROM body WHERE body_id = ?")
_BODY = Sql(
    "SELECT b.size, b.blob, c.data FROM body b LEFT JOIN content c ON c.body_id = b.body_id WHERE b.body_id = ?"
)

log = structlog.get_logger(__name__)


class Retrieving:
    """The part of the store that decrypts. ``pool`` does what is too heavy for the event loop."""

    def __init__(self, committer: Committer, reading: Reading, keyring: Keyring, blobs: Blobs, pool: Executor) -> None:
        self.committer = committer
        self.reading = reading
        self.keyring = keyring
        self.blobs = blobs
        self._pool = pool
        self._faults: set[tuple[str, str]] = set()

    async def summaries(self, mailbox_id: int, entries: Sequence[Entry]) -> list[bytes]:
        return await self._guarded(self._trip(len(entries), partial(self._summaries, mailbox_id, entries)))

    def _summaries(self, mailbox_id: int, entries: Sequence[Entry], connection: Connection) -> list[bytes]:
        cipher = self.keyring.key(connection, mailbox_id)
        found = dict(_SUMMARIES(cursor_of(connection), [entry.body_id for entry in entries]))
        return open_summaries(cipher, mailbox_id, entries, found)

    async def bodies(self, mailbox_id: int, entries: Sequence[Entry]) -> list[bytes]:
        return await self._guarded(self._bodies(mailbox_id, entries))

    async def _bodies(self, mailbox_id: int, entries: Sequence[Entry]) -> list[bytes]:
        plain, readers = await self._trip(len(entries), partial(self._contents, mailbox_id, entries))
        if not readers:
            return plain
        small = iter(plain)
        return [
            await readers[entry.body_id].read(0, entry.size) if entry.body_id in readers else next(small)
            for entry in entries
        ]

    def _contents(
        self, mailbox_id: int, entries: Sequence[Entry], connection: Connection
    ) -> tuple[list[bytes], dict[int, BodyReader]]:
        """The small messages decrypted, and readers of the large ones."""
        cipher = self.keyring.key(connection, mailbox_id)
        cursor = cursor_of(connection)
        found = dict(_CONTENTS(cursor, [entry.body_id for entry in entries]))
        large = [entry for entry in entries if entry.body_id not in found]
        readers = self._framed(cursor, cipher, mailbox_id, large) if large else {}
        small = [entry for entry in entries if entry.body_id in found] if large else entries
        return open_smalls(cipher, mailbox_id, small, found), readers

    async def open_body(self, mailbox_id: int, entry: Entry) -> BodyReader:
        def read(connection: Connection) -> BodyReader:
            cipher = self.keyring.key(connection, mailbox_id)
            data_key = unwrap_key(cipher, entry.key, mailbox_id, entry.body_id)
            return self._reader(cursor_of(connection), data_key, entry.body_id)

        return await self._guarded(self._trip(1, read))

    async def open_queued(self, body_id: int, wrapped: bytes) -> BodyReader:
        """A message waiting to leave; ``wrapped`` is what :meth:`mailboxes.seal.Sealer.wrap` made of its key for mailbox 0."""

        def read(connection: Connection) -> BodyReader:
            data_key = unwrap_key(self.keyring.key(connection, QUEUE), wrapped, QUEUE, body_id)
            return self._reader(cursor_of(connection), data_key, body_id)

        return await self._guarded(self.reading.run(read))

    async def reader(self, data_key: bytes, body_id: int) -> BodyReader:
        """A body by its own key."""
        return await self._read(lambda cursor: self._reader(cursor, data_key, body_id))

    def _reader(self, cursor: Any, data_key: bytes, body_id: int) -> BodyReader:
        row = _BODY(cursor, body_id).fetchone()
        if row is None or (not row[1] and row[2] is None):
            raise MissingBody(f"{body_id:x}")
        size, blob, data = row
        if data is not None:
            return InlineBody(open_small(data_key, body_id, data))
        return FramedBody(self.blobs, self._pool, blob, data_key, body_id, size, self._guarded)

    def _framed(self, cursor: Any, cipher: AESGCM, mailbox_id: int, entries: Sequence[Entry]) -> dict[int, BodyReader]:
        blobs = dict(_BLOBS(cursor, [entry.body_id for entry in entries]))
        readers: dict[int, BodyReader] = {}
        for entry in entries:
            if not blobs.get(entry.body_id):
                raise MissingBody(f"{entry.body_id:x}")
            data_key = unwrap_key(cipher, entry.key, mailbox_id, entry.body_id)
            readers[entry.body_id] = FramedBody(
                self.blobs, self._pool, blobs[entry.body_id], data_key, entry.body_id, entry.size, self._guarded
            )
        return readers

    async def _read(self, read: Callable[[Any], T]) -> T:
        return await self._trip(1, lambda connection: read(cursor_of(connection)))

    async def _trip(self, size: int, read: Callable[[Connection], T]) -> T:
        """Short reads asked at the same moment share one trip to a thread; a long one must not hold them up."""
        if size > SHORT_READ:
            return await self.reading.run(read)
        result: T = await self.reading.grouped(_call, read)
        return result

    def _new_fault(self, what: str, reference: str) -> bool:
        """Whether this process has not recorded it yet: a mail program that insists must not fill the journal."""
        if (what, reference) in self._faults:
            return False
        if len(self._faults) >= FAULTS_KEPT:
            self._faults.clear()
        self._faults.add((what, reference))
        return True

    async def _guarded(self, reading: Awaitable[T]) -> T:
        """Record a damaged body before telling of it."""
        try:
            return await reading
        except (Corrupted, MissingBody) as error:
            what = "corrupted" if isinstance(error, Corrupted) else "missing"
            if (what == "missing" and await self._erased(int(str(error), 16))) or not self._new_fault(what, str(error)):
                raise
            log.error("body_damaged", what=what, reference=str(error))
            await self.record([Event(Kind.STORE_FAULT, detail={"what": what, "reference": str(error)})])
            raise

    async def _erased(self, body_id: int) -> bool:
        """Whether the row that counts who needs the body went with its last message."""
        return await self._read(lambda cursor: _NEEDED(cursor, body_id).fetchone()) is None

    async def record(self, trace: Sequence[Event]) -> None:
        """Commit events that accompany no change (a FETCH of bodies in an ORG mailbox, MSS-062)."""
        if trace:
            await self.committer.grouped(_record, tuple(trace))


def _record(unit: Unit, traces: list[tuple[Event, ...]]) -> list[None]:
    for trace in traces:
        unit.emit(*trace)
    return [None] * len(traces)


def _call(connection: Connection, read: Callable[[Connection], T]) -> T:
    return read(connection)
