"""The store on SQLite or PostgreSQL: the one implementation of :class:`mailboxes.store.MailStore`.

Its asynchronous methods serve IMAP and transfer; its plain methods (``deliver``, ``put_body``, ``hold_body``...) take a
:class:`mailboxes.commit.Unit` and run inside the gateway's own transaction, so that accepting a message is delivering it.
Promise and failure: those of :mod:`mailboxes.store`. A body that is missing or fails its tag is also recorded as a
``service.store_fault`` event (F13, F14).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import structlog
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection

from mailboxes import body_rows, entry_rows, folder_rows, placing, provision
from mailboxes import flags as flagging
from mailboxes.blobs import Blobs
from mailboxes.body_readers import FramedBody, InlineBody
from mailboxes.commit import Committer, Reading, Unit
from mailboxes.engine import cursor_of
from mailboxes.folder_rows import FolderRow
from mailboxes.keys import QUEUE, Keyring, open_value, seal_value, unwrap_key
from mailboxes.seal import Sealer, open_small, open_summary
from mailboxes.sql import InList, Sql
from mailboxes.store import (
    Appended,
    BodyReader,
    Changes,
    Copied,
    Corrupted,
    Delivery,
    Entry,
    FlagChange,
    Folder,
    MissingBody,
    NewMessage,
    Notices,
    Placed,
    Quota,
    Sealed,
    Snapshot,
    Stored,
    StoreError,
    StoreUnavailable,
)
from policies.events import Event, Kind

T = TypeVar("T")

SHORT_READ = 32
"""Entries."""

log = structlog.get_logger(__name__)

_SUMMARIES = InList("SELECT body_id, data FROM summary WHERE body_id IN (...)")
_CONTENTS = InList("SELECT body_id, data FROM content WHERE body_id IN (...)")
_BLOBS = InList("SELECT body_id, blob FROM body WHERE body_id IN (...)")
_BODY = Sql(
    "SELECT b.size, b.blob, c.data FROM body b LEFT JOIN content c ON c.body_id = b.body_id WHERE b.body_id = ?"
)
_METADATA = Sql("SELECT name, value FROM folder_metadata WHERE mailbox_id = ? AND folder_id = ?")
_METADATA_DELETE = Sql("DELETE FROM folder_metadata WHERE mailbox_id = ? AND folder_id = ? AND name = ?")
_METADATA_SET = Sql("INSERT INTO folder_metadata (mailbox_id, folder_id, name, value) VALUES (?, ?, ?, ?)")


@dataclass(frozen=True, slots=True)
class _Append:
    """An APPEND on its way to the writer: sealed messages as deliveries, and what is erased with them (REPLACE)."""

    mailbox_id: int
    folder_id: int
    deliveries: tuple[Delivery, ...]
    trace: tuple[Event, ...]
    replaced: tuple[int, int] | None = None  # folder and UID


class SqlStore:
    """Everything about folders and messages. ``pool`` does the decryption that is too heavy for the event loop."""

    def __init__(
        self,
        committer: Committer,
        reading: Reading,
        keyring: Keyring,
        blobs: Blobs,
        sealer: Sealer,
        notices: Notices,
        pool: Executor,
    ) -> None:
        self.committer = committer
        self.reading = reading
        self.keyring = keyring
        self.blobs = blobs
        self.sealer = sealer
        self.notices = notices
        self._pool = pool
        self._deleting: set[asyncio.Task[None]] = set()

    # in the gateway's own transaction

    def put_body(self, unit: Unit, sealed: Sequence[Sealed]) -> None:
        """Insert bodies; :meth:`deliver` and :meth:`hold_body` of the same transaction give them references."""
        body_rows.put_bodies(unit.cursor, sealed)

    def deliver(self, unit: Unit, deliveries: Sequence[Delivery]) -> list[Placed | StoreError]:
        """Place sealed messages in mailboxes; one outcome each. See :mod:`mailboxes.placing`."""
        return placing.deliver(unit, self.keyring, deliveries)

    def hold_body(self, unit: Unit, sealed: Sealed, count: int = 1) -> None:
        """``count`` references more, one per queue row."""
        body_rows.hold(unit.cursor, [sealed.body_id] * count)

    def release_body(self, unit: Unit, body_id: int, count: int = 1) -> None:
        """``count`` references fewer (0: delete it if nothing needs it); at none the body goes."""
        self.drop(unit, {body_id: count})

    def provision(self, unit: Unit, mailbox_id: int, quota: int) -> None:
        """Key and default folders of a new mailbox; ``quota`` in bytes, 0 = none."""
        provision.provision(unit, self.keyring, mailbox_id, quota)

    def set_quota(self, unit: Unit, mailbox_id: int, quota: int) -> None:
        provision.set_quota(unit, mailbox_id, quota)

    def destroy_key(self, unit: Unit, mailbox_id: int) -> bool:
        """Crypto-erasure of a mailbox: every copy of its messages becomes unreadable."""
        return provision.destroy_key(unit, self.keyring, mailbox_id)

    def erase(self, unit: Unit, mailbox_id: int) -> None:
        """Remove what is left of a mailbox after :meth:`destroy_key`."""
        self._delete_blobs(unit, provision.erase(unit, mailbox_id))

    def drop(self, unit: Unit, counts: Mapping[int, int]) -> None:
        """That many references fewer for each body; those nobody needs go, their blobs after the commit."""
        self._delete_blobs(unit, body_rows.release(unit.cursor, counts))

    def _delete_blobs(self, unit: Unit, references: Sequence[str]) -> None:
        if references:
            unit.after_commit(partial(self._start_deleting, tuple(references)))

    def _start_deleting(self, references: tuple[str, ...]) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a command line without an event loop
            asyncio.run(self._delete(references))
            return
        task = loop.create_task(self._delete(references))
        self._deleting.add(task)
        task.add_done_callback(self._deleting.discard)

    async def _delete(self, references: tuple[str, ...]) -> None:
        for reference in references:
            try:
                await self.blobs.delete(reference)
            except StoreError as error:
                # The row is gone; what is left is an orphan for fsck.
                log.warning("blob_not_deleted", reference=reference, error=type(error).__name__)

    async def settle(self) -> None:
        """Wait for blobs being deleted; before closing."""
        await asyncio.gather(*self._deleting, return_exceptions=True)

    # folders

    async def folders(self, mailbox_id: int) -> list[Folder]:
        def read(cursor: Any) -> list[Folder]:
            subscribed = set(folder_rows.subscriptions(cursor, mailbox_id))
            rows = folder_rows.all_folders(cursor, mailbox_id)
            return [row.folder(subscribed=row.name in subscribed) for row in rows]

        return await self._read(read)

    async def folder(self, mailbox_id: int, name: str) -> Folder:
        def read(cursor: Any) -> Folder:
            return _with_subscription(cursor, folder_rows.by_name(cursor, mailbox_id, name))

        return await self._read(read)

    async def create_folder(
        self, mailbox_id: int, name: str, special_use: str = "", trace: Sequence[Event] = ()
    ) -> Folder:
        def work(unit: Unit) -> Folder:
            unit.emit(*trace)
            unit.touched(mailbox_id, 0)
            row = folder_rows.create(unit.cursor, mailbox_id, name, special_use, unit.now)
            return _with_subscription(unit.cursor, row)

        return await self.committer.run(work)

    async def delete_folder(self, mailbox_id: int, folder_id: int, trace: Sequence[Event] = ()) -> None:
        if folder_id == folder_rows.INBOX_ID:
            raise StoreError("INBOX cannot be deleted")

        def work(unit: Unit) -> None:
            unit.emit(*trace)
            folder = folder_rows.lock(unit.cursor, mailbox_id, folder_id)
            entries = entry_rows.read_all(unit.cursor, mailbox_id, folder_id)
            entry_rows.clear(unit.cursor, folder)
            folder_rows.delete(unit.cursor, mailbox_id, folder_id)
            self.drop(unit, Counter(entry.body_id for entry in entries))
            unit.touched(mailbox_id, 0)
            unit.touched(mailbox_id, folder_id)

        await self.committer.run(work)

    async def rename_folder(self, mailbox_id: int, folder_id: int, name: str, trace: Sequence[Event] = ()) -> None:
        def work(unit: Unit) -> None:
            unit.emit(*trace)
            unit.touched(mailbox_id, 0)
            folder = folder_rows.lock(unit.cursor, mailbox_id, folder_id)
            if folder_id != folder_rows.INBOX_ID:
                folder_rows.rename(unit.cursor, mailbox_id, folder, name)
                return
            created = folder_rows.create(unit.cursor, mailbox_id, name, "", unit.now)
            everything = entry_rows.read_all(unit.cursor, mailbox_id, folder_id)
            _transfer(unit, folder, created, everything, int(unit.now))

        await self.committer.run(work)

    async def subscribe(self, mailbox_id: int, name: str, subscribed: bool) -> None:
        def work(unit: Unit) -> None:
            folder_rows.subscribe(unit.cursor, mailbox_id, name, subscribed=subscribed)
            unit.touched(mailbox_id, 0)

        await self.committer.run(work)

    async def subscriptions(self, mailbox_id: int) -> list[str]:
        return await self._read(lambda cursor: folder_rows.subscriptions(cursor, mailbox_id))

    # reading

    async def snapshot(self, mailbox_id: int, folder_id: int) -> Snapshot:
        def read(cursor: Any) -> Snapshot:
            folder = _with_subscription(cursor, folder_rows.by_id(cursor, mailbox_id, folder_id))
            return Snapshot(folder, entry_rows.read_all(cursor, mailbox_id, folder_id))

        return await self.reading.run(lambda connection: read(cursor_of(connection)))

    async def changes(self, mailbox_id: int, folder_id: int, since_modseq: int) -> Changes:
        def read(cursor: Any) -> Changes:
            return entry_rows.read_changes(cursor, folder_rows.by_id(cursor, mailbox_id, folder_id), since_modseq)

        return await self._read(read)

    async def summaries(self, mailbox_id: int, entries: Sequence[Entry]) -> list[bytes]:
        return await self._guarded(self._trip(len(entries), partial(self._summaries, mailbox_id, entries)))

    def _summaries(self, mailbox_id: int, entries: Sequence[Entry], connection: Connection) -> list[bytes]:
        cipher = self.keyring.key(connection, mailbox_id)
        found = dict(_SUMMARIES(cursor_of(connection), [entry.body_id for entry in entries]))
        return _decrypted(cipher, mailbox_id, entries, found, open_summary)

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
        return _decrypted(cipher, mailbox_id, small, found, open_small), readers

    async def open_body(self, mailbox_id: int, entry: Entry) -> BodyReader:
        def read(connection: Connection) -> BodyReader:
            cipher = self.keyring.key(connection, mailbox_id)
            data_key = unwrap_key(cipher, entry.key, mailbox_id, entry.body_id)
            return self._reader(cursor_of(connection), data_key, entry.body_id)

        return await self._guarded(self._trip(1, read))

    async def open_queued(self, body_id: int, wrapped: bytes) -> BodyReader:
        """A message waiting to leave; ``wrapped`` is its key under the queue's (:meth:`Sealer.wrap` with mailbox 0)."""

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
        return FramedBody(self.blobs, self._pool, blob, data_key, body_id, size)

    def _framed(self, cursor: Any, cipher: AESGCM, mailbox_id: int, entries: Sequence[Entry]) -> dict[int, BodyReader]:
        blobs = dict(_BLOBS(cursor, [entry.body_id for entry in entries]))
        readers: dict[int, BodyReader] = {}
        for entry in entries:
            if not blobs.get(entry.body_id):
                raise MissingBody(f"{entry.body_id:x}")
            data_key = unwrap_key(cipher, entry.key, mailbox_id, entry.body_id)
            readers[entry.body_id] = FramedBody(
                self.blobs, self._pool, blobs[entry.body_id], data_key, entry.body_id, entry.size
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

    async def _guarded(self, reading: Awaitable[T]) -> T:
        """Record a damaged body before telling of it."""
        try:
            return await reading
        except (Corrupted, MissingBody) as error:
            what = "corrupted" if isinstance(error, Corrupted) else "missing"
            log.error("body_damaged", what=what, reference=str(error))
            await self.record([Event(Kind.STORE_FAULT, detail={"what": what, "reference": str(error)})])
            raise

    # changing

    async def append(
        self, mailbox_id: int, folder_id: int, messages: Sequence[NewMessage], trace: Sequence[Event] = ()
    ) -> tuple[int, list[Appended]]:
        item = _Append(mailbox_id, folder_id, await self._sealed(mailbox_id, messages), tuple(trace))
        return await self._append(item)

    async def replace(
        self,
        mailbox_id: int,
        folder_id: int,
        uid: int,
        destination_id: int,
        message: NewMessage,
        trace: Sequence[Event] = (),
    ) -> tuple[int, Appended]:
        deliveries = await self._sealed(mailbox_id, [message])
        item = _Append(mailbox_id, destination_id, deliveries, tuple(trace), replaced=(folder_id, uid))
        uidvalidity, appended = await self._append(item)
        return uidvalidity, appended[0]

    async def _sealed(self, mailbox_id: int, messages: Sequence[NewMessage]) -> tuple[Delivery, ...]:
        deliveries: list[Delivery] = []
        try:
            for message in messages:
                sealed = await self.sealer.seal(message.content, message.summary)
                deliveries.append(
                    Delivery(
                        sealed,
                        mailbox_id,
                        message.internal_date,
                        flags=message.flags,
                        thread_id=message.thread_id,
                    )
                )
        except BaseException:
            await self._unseal(deliveries)
            raise
        return tuple(deliveries)

    async def _unseal(self, deliveries: Sequence[Delivery]) -> None:
        await self._delete(tuple(one.sealed.blob for one in deliveries if one.sealed.blob))

    async def _append(self, item: _Append) -> tuple[int, list[Appended]]:
        try:
            return await self.committer.grouped(self._append_all, item)
        except StoreUnavailable:
            raise  # the commit may have happened: an orphan blob is better than a row without one
        except StoreError:
            await self._unseal(item.deliveries)
            raise

    def _append_all(self, unit: Unit, items: list[_Append]) -> list[tuple[int, list[Appended]]]:
        return [self._append_one(unit, item) for item in items]

    def _append_one(self, unit: Unit, item: _Append) -> tuple[int, list[Appended]]:
        cursor, mailbox_id = unit.cursor, item.mailbox_id
        unit.emit(*item.trace)
        cipher = self.keyring.key(unit.connection, mailbox_id)
        placing.demand_room(cursor, mailbox_id, sum(one.sealed.size for one in item.deliveries))
        wanted = {item.folder_id} if item.replaced is None else {item.folder_id, item.replaced[0]}
        folders = folder_rows.lock_all(cursor, mailbox_id, wanted)
        body_rows.put_bodies(cursor, [one.sealed for one in item.deliveries])
        body_rows.hold(cursor, [one.sealed.body_id for one in item.deliveries])
        messages = [placing.new_entry(one, cipher, int(unit.now)) for one in item.deliveries]
        folder, uids = entry_rows.add(cursor, folders[item.folder_id], messages)
        unit.touched(mailbox_id, item.folder_id)
        if item.replaced is not None:
            folders[item.folder_id] = folder
            self._erase(unit, folders[item.replaced[0]], [item.replaced[1]])
        appended = [Appended(uid, folder.modseq, message.body_id) for uid, message in zip(uids, messages, strict=True)]
        return folder.uidvalidity, appended

    def _erase(self, unit: Unit, folder: FolderRow, uids: Sequence[int]) -> None:
        entries = entry_rows.read_some(unit.cursor, folder.mailbox_id, folder.id, uids)
        if entries:
            entry_rows.remove(unit.cursor, folder, entries)
            self.drop(unit, Counter(entry.body_id for entry in entries))
            unit.touched(folder.mailbox_id, folder.id)

    async def store_flags(
        self,
        mailbox_id: int,
        folder_id: int,
        uids: Sequence[int],
        change: FlagChange,
        trace: Sequence[Event] = (),
    ) -> Stored:
        """``changed`` holds every entry named and not refused; one whose flags stayed the same keeps its MODSEQ."""

        def work(unit: Unit) -> Stored:
            unit.emit(*trace)
            before = folder_rows.lock(unit.cursor, mailbox_id, folder_id)
            entries = entry_rows.read_some(unit.cursor, mailbox_id, folder_id, uids)
            folder, changed, refused = entry_rows.set_flags(unit.cursor, before, entries, change)
            if folder.modseq != before.modseq:
                unit.touched(mailbox_id, folder_id)
            return Stored(changed, refused, folder.modseq)

        return await self.committer.run(work)

    async def copy(
        self,
        mailbox_id: int,
        folder_id: int,
        uids: Sequence[int],
        destination_id: int,
        trace: Sequence[Event] = (),
    ) -> Copied:
        def work(unit: Unit) -> Copied:
            unit.emit(*trace)
            folders = folder_rows.lock_all(unit.cursor, mailbox_id, {folder_id, destination_id})
            entries = entry_rows.read_some(unit.cursor, mailbox_id, folder_id, uids)
            placing.demand_room(unit.cursor, mailbox_id, sum(entry.size for entry in entries))
            body_rows.hold(unit.cursor, [entry.body_id for entry in entries])
            copied, _ = _copy(unit, folders[destination_id], entries, int(unit.now))
            return copied

        return await self.committer.run(work)

    async def move(
        self,
        mailbox_id: int,
        folder_id: int,
        uids: Sequence[int],
        destination_id: int,
        trace: Sequence[Event] = (),
    ) -> Copied:
        def work(unit: Unit) -> Copied:
            unit.emit(*trace)
            folders = folder_rows.lock_all(unit.cursor, mailbox_id, {folder_id, destination_id})
            entries = entry_rows.read_some(unit.cursor, mailbox_id, folder_id, uids)
            return _transfer(unit, folders[folder_id], folders[destination_id], entries, int(unit.now))

        return await self.committer.run(work)

    async def expunge(
        self, mailbox_id: int, folder_id: int, uids: Sequence[int] | None, trace: Sequence[Event] = ()
    ) -> list[int]:
        def work(unit: Unit) -> list[int]:
            folder = folder_rows.lock(unit.cursor, mailbox_id, folder_id)
            entries = _deleted(unit.cursor, folder, uids)
            if entries:
                unit.emit(*trace)
                entry_rows.remove(unit.cursor, folder, entries)
                self.drop(unit, Counter(entry.body_id for entry in entries))
                unit.touched(mailbox_id, folder_id)
            return [entry.uid for entry in entries]

        return await self.committer.run(work)

    # mailbox-wide

    async def quota(self, mailbox_id: int) -> Quota:
        used, limit, messages = await self._read(lambda cursor: placing.use(cursor, mailbox_id))
        return Quota(used, limit, messages)

    async def metadata(self, mailbox_id: int, folder_id: int) -> Mapping[str, bytes]:
        def read(connection: Connection) -> dict[str, bytes]:
            rows = _METADATA(cursor_of(connection), mailbox_id, folder_id).fetchall()
            cipher = self.keyring.key(connection, mailbox_id)
            return {name: open_value(cipher, value, _context(mailbox_id, folder_id, name)) for name, value in rows}

        return await self.reading.run(read)

    async def set_metadata(self, mailbox_id: int, folder_id: int, entries: Mapping[str, bytes | None]) -> None:
        def work(unit: Unit) -> None:
            cipher = self.keyring.key(unit.connection, mailbox_id)
            if folder_id:
                folder_rows.lock(unit.cursor, mailbox_id, folder_id)
            for name, value in entries.items():
                _METADATA_DELETE(unit.cursor, mailbox_id, folder_id, name)
                if value is not None:
                    sealed = seal_value(cipher, value, _context(mailbox_id, folder_id, name))
                    _METADATA_SET(unit.cursor, mailbox_id, folder_id, name, sealed)
            unit.touched(mailbox_id, folder_id)

        await self.committer.run(work)

    async def record(self, trace: Sequence[Event]) -> None:
        if trace:
            await self.committer.grouped(_record, tuple(trace))


def _call(connection: Connection, read: Callable[[Connection], T]) -> T:
    return read(connection)


def _record(unit: Unit, traces: list[tuple[Event, ...]]) -> list[None]:
    for trace in traces:
        unit.emit(*trace)
    return [None] * len(traces)


def _with_subscription(cursor: Any, row: FolderRow) -> Folder:
    return row.folder(subscribed=row.name in folder_rows.subscriptions(cursor, row.mailbox_id))


def _decrypted(
    cipher: AESGCM,
    mailbox_id: int,
    entries: Sequence[Entry],
    found: Mapping[int, bytes],
    open_one: Callable[[bytes, int, bytes], bytes],
) -> list[bytes]:
    plain = []
    for entry in entries:
        body_id = entry.body_id
        data = found.get(body_id)
        if data is None:
            raise MissingBody(f"{body_id:x}")
        plain.append(open_one(unwrap_key(cipher, entry.key, mailbox_id, body_id), body_id, data))
    return plain


def _copy(unit: Unit, destination: FolderRow, entries: Sequence[Entry], now: int) -> tuple[Copied, FolderRow]:
    """New entries for the same bodies. The caller has seen to references and room."""
    if not entries:
        return Copied(destination.uidvalidity, [], []), destination
    messages = [
        entry_rows.New(one.flags, one.size, one.internal_date, now, one.body_id, one.key, one.thread_id)
        for one in entries
    ]
    after, uids = entry_rows.add(unit.cursor, destination, messages)
    unit.touched(destination.mailbox_id, destination.id)
    return Copied(destination.uidvalidity, [one.uid for one in entries], uids), after


def _transfer(unit: Unit, source: FolderRow, destination: FolderRow, entries: Sequence[Entry], now: int) -> Copied:
    """Move entries; references stay what they were. Source and destination may be the same folder."""
    copied, after = _copy(unit, destination, entries, now)
    if entries:
        entry_rows.remove(unit.cursor, after if source.id == destination.id else source, entries)
        unit.touched(source.mailbox_id, source.id)
    return copied


def _deleted(cursor: Any, folder: FolderRow, uids: Sequence[int] | None) -> list[Entry]:
    if uids is None:
        entries = entry_rows.read_all(cursor, folder.mailbox_id, folder.id)
    else:
        entries = entry_rows.read_some(cursor, folder.mailbox_id, folder.id, uids)
    return [entry for entry in entries if flagging.has(entry.flags, flagging.DELETED)]


def _context(mailbox_id: int, folder_id: int, name: str) -> bytes:
    return f"{mailbox_id}/{folder_id}/{name}".encode()
