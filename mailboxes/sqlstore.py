"""The store on SQLite or PostgreSQL: the one implementation of :class:`mailboxes.store.MailStore`.

Its asynchronous methods serve IMAP and transfer; its plain methods (``deliver``, ``put_body``, ``hold_body``...) take a
:class:`mailboxes.unit.Unit` and run inside the gateway's own transaction, so that accepting a message is delivering it.
Promise and failure: those of :mod:`mailboxes.store`. A body that is missing or fails its tag is also recorded as a
``service.store_fault`` event (F13, F14).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection

from mailboxes import body_rows, entry_rows, folder_rows, placing
from mailboxes import flags as flagging
from mailboxes.blobs import Blobs
from mailboxes.commit import Committer, Reading, Unit
from mailboxes.engine import cursor_of
from mailboxes.folder_names import FolderNames
from mailboxes.folder_rows import FolderRow
from mailboxes.holding import Holding
from mailboxes.keys import Keyring, open_value, seal_value
from mailboxes.keywords import MARK, any_sealed
from mailboxes.packed import read_packed
from mailboxes.retrieving import Retrieving
from mailboxes.seal import Sealer
from mailboxes.sql import Sql
from mailboxes.store import (
    PORTION,
    Added,
    Appended,
    Changes,
    Copied,
    Delivery,
    Entry,
    FlagChange,
    Folder,
    NewMessage,
    Notices,
    Quota,
    Snapshot,
    Stored,
    StoreError,
    StoreUnavailable,
)
from policies.events import Event

_METADATA = Sql("SELECT name, value FROM folder_metadata WHERE mailbox_id = ? AND folder_id = ?")
_METADATA_ONE = Sql("SELECT value FROM folder_metadata WHERE mailbox_id = ? AND folder_id = ? AND name = ?")
_METADATA_NAMED = Sql("SELECT folder_id, value FROM folder_metadata WHERE mailbox_id = ? AND name = ?")
_METADATA_DELETE = Sql("DELETE FROM folder_metadata WHERE mailbox_id = ? AND folder_id = ? AND name = ?")
_METADATA_SET = Sql("INSERT INTO folder_metadata (mailbox_id, folder_id, name, value) VALUES (?, ?, ?, ?)")


@dataclass(frozen=True, slots=True)
class _Append:
    """An APPEND on its way to the writer: sealed messages as deliveries, and what is erased with them (REPLACE).

    ``folder`` is the destination's number, or its name.
    """

    mailbox_id: int
    folder: int | str
    deliveries: tuple[Delivery, ...]
    trace: tuple[Event, ...]
    replaced: tuple[int, int] | None = None  # folder and UID


class SqlStore(Holding, Retrieving):
    """Everything about folders and messages."""

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
        Holding.__init__(self, keyring, blobs)
        Retrieving.__init__(self, committer, reading, keyring, blobs, pool)
        self.sealer = sealer
        self.notices = notices

    # folders

    async def folders(self, mailbox_id: int) -> list[Folder]:
        def read(cursor: Any) -> list[Folder]:
            names = self.keyring.names(cursor, mailbox_id)
            subscribed = folder_rows.subscriptions(cursor, mailbox_id)
            rows = folder_rows.all_folders(cursor, mailbox_id)
            found = [row.folder(names, subscribed=row.name in subscribed) for row in rows]
            return sorted(found, key=attrgetter("name"))

        return await self._read(read)

    async def folder(self, mailbox_id: int, name: str) -> Folder:
        def read(cursor: Any) -> Folder:
            names = self.keyring.names(cursor, mailbox_id)
            return _with_subscription(cursor, folder_rows.by_name(cursor, mailbox_id, name, names), names)

        return await self._read(read)

    async def create_folder(
        self, mailbox_id: int, name: str, special_use: str = "", trace: Sequence[Event] = ()
    ) -> Folder:
        def work(unit: Unit) -> Folder:
            unit.touched(mailbox_id, 0)
            names = self.keyring.names(unit.cursor, mailbox_id)
            row = folder_rows.create(unit.cursor, mailbox_id, name, special_use, unit.now, names)
            unit.emit(*_located(trace, row))
            return _with_subscription(unit.cursor, row, names)

        return await self.committer.run(work)

    async def delete_folder(self, mailbox_id: int, folder_id: int, trace: Sequence[Event] = ()) -> None:
        if folder_id == folder_rows.INBOX_ID:
            raise StoreError("INBOX cannot be deleted")

        untold = list(trace)  # the first transaction says what is being done

        def work(unit: Unit) -> bool:
            unit.emit(*untold)
            folder = folder_rows.lock(unit.cursor, mailbox_id, folder_id)
            entries = entry_rows.read_first(unit.cursor, mailbox_id, folder_id, PORTION)
            last = len(entries) < PORTION
            if last:
                entry_rows.clear(unit.cursor, folder)
                folder_rows.delete(unit.cursor, mailbox_id, folder_id)
                unit.touched(mailbox_id, 0)
            else:
                entry_rows.remove(unit.cursor, folder, entries)
            self.drop(unit, Counter(entry.body_id for entry in entries))
            unit.touched(mailbox_id, folder_id)
            return last

        while not await self.committer.run(work):
            untold.clear()

    async def rename_folder(self, mailbox_id: int, folder_id: int, name: str, trace: Sequence[Event] = ()) -> None:
        def work(unit: Unit) -> tuple[int, int]:
            unit.emit(*trace)
            unit.touched(mailbox_id, 0)
            folder = folder_rows.lock(unit.cursor, mailbox_id, folder_id)
            names = self.keyring.names(unit.cursor, mailbox_id)
            if folder_id != folder_rows.INBOX_ID:
                folder_rows.rename(unit.cursor, mailbox_id, folder, name, names)
                return 0, 0
            return folder_rows.create(unit.cursor, mailbox_id, name, "", unit.now, names).id, folder.uidnext

        def transfer(unit: Unit) -> bool:
            folders = folder_rows.lock_all(unit.cursor, mailbox_id, {folder_id, created})
            entries = entry_rows.read_first(unit.cursor, mailbox_id, folder_id, PORTION, before)
            _transfer(unit, folders[folder_id], folders[created], entries, int(unit.now))
            return len(entries) == PORTION

        created, before = await self.committer.run(work)
        while created and await self.committer.run(transfer):
            pass

    async def subscribe(self, mailbox_id: int, name: str, subscribed: bool) -> None:
        def work(unit: Unit) -> None:
            names = self.keyring.names(unit.cursor, mailbox_id)
            folder_rows.subscribe(unit.cursor, mailbox_id, name, names, subscribed=subscribed)
            unit.touched(mailbox_id, 0)

        await self.committer.run(work)

    async def subscriptions(self, mailbox_id: int) -> list[str]:
        def read(cursor: Any) -> list[str]:
            names = self.keyring.names(cursor, mailbox_id)
            return sorted(map(names.opened, folder_rows.subscriptions(cursor, mailbox_id)))

        return await self._read(read)

    # reading

    async def snapshot(self, mailbox_id: int, folder_id: int) -> Snapshot:
        def read(cursor: Any) -> Snapshot:
            row, names = folder_rows.by_id(cursor, mailbox_id, folder_id), self.keyring.names(cursor, mailbox_id)
            folder = _with_subscription(cursor, row, names)
            packed = read_packed(cursor, row)
            if any(MARK in flags for flags in packed.spoken):
                opened = self.keyring.keywords(cursor, mailbox_id).opened
                flags, spoken = list(map(opened, packed.flags)), set(map(opened, packed.spoken))
                packed = packed._replace(flags=flags, spoken=spoken)
            return Snapshot(folder, packed)

        return await self.reading.run(lambda connection: read(cursor_of(connection)))

    async def changes(self, mailbox_id: int, folder_id: int, since_modseq: int) -> Changes:
        def read(cursor: Any) -> Changes:
            found = entry_rows.read_changes(cursor, folder_rows.by_id(cursor, mailbox_id, folder_id), since_modseq)
            return replace(found, changed=self._opened(cursor, mailbox_id, found.changed))

        return await self._read(read)

    def _opened(self, cursor: Any, mailbox_id: int, entries: list[Entry]) -> list[Entry]:
        """Entries with their keywords opened."""
        return self.keyring.keywords(cursor, mailbox_id).open_all(entries) if any_sealed(entries) else entries

    # changing

    async def append(
        self, mailbox_id: int, folder_id: int, messages: Sequence[NewMessage], trace: Sequence[Event] = ()
    ) -> tuple[int, list[Appended]]:
        item = _Append(mailbox_id, folder_id, await self._sealed(mailbox_id, messages), tuple(trace))
        added = await self._append(item)
        return added.uidvalidity, list(map(_appended, added.entries))

    async def append_to(
        self, mailbox_id: int, name: str, messages: Sequence[NewMessage], trace: Sequence[Event] = ()
    ) -> Added:
        return await self._append(_Append(mailbox_id, name, await self._sealed(mailbox_id, messages), tuple(trace)))

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
        added = await self._append(item)
        return added.uidvalidity, _appended(added.entries[0])

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
                        zone=message.zone,
                    )
                )
        except BaseException:
            await self._unseal(deliveries)
            raise
        return tuple(deliveries)

    async def _unseal(self, deliveries: Sequence[Delivery]) -> None:
        await self.delete_blobs(tuple(one.sealed.blob for one in deliveries if one.sealed.blob))

    async def _append(self, item: _Append) -> Added:
        try:
            return await self.committer.grouped(self._append_all, item)
        except StoreUnavailable:
            raise  # the commit may have happened: an orphan blob is better than a row without one
        except StoreError:
            await self._unseal(item.deliveries)
            raise

    def _append_all(self, unit: Unit, items: list[_Append]) -> list[Added]:
        return [self._append_one(unit, item) for item in items]

    def _append_one(self, unit: Unit, item: _Append) -> Added:
        cursor, mailbox_id = unit.cursor, item.mailbox_id
        cipher = self.keyring.key(unit.connection, mailbox_id)
        placing.demand_room(cursor, mailbox_id, sum(one.sealed.size for one in item.deliveries))
        folder, source = _locked(cursor, item, self.keyring.names(cursor, mailbox_id))
        unit.emit(*(_located(item.trace, folder) if isinstance(item.folder, str) else item.trace))
        body_rows.put_bodies(cursor, [one.sealed for one in item.deliveries], [1] * len(item.deliveries))
        words = self.keyring.keywords(cursor, mailbox_id)
        messages = [placing.new_entry(one, cipher, words, int(unit.now)) for one in item.deliveries]
        folder, uids = entry_rows.add(cursor, folder, messages)
        unit.touched(mailbox_id, folder.id)
        if item.replaced is not None:
            self._erase(unit, folder if source is None else source, [item.replaced[1]])
        entries = [Entry(uid, folder.modseq, *message) for uid, message in zip(uids, messages, strict=True)]
        return Added(folder.id, folder.uidvalidity, folder.uidnext, folder.modseq, words.open_all(entries))

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
            words = self.keyring.keywords(unit.cursor, mailbox_id)
            folder, changed, refused = entry_rows.set_flags(unit.cursor, before, entries, change, words)
            altered = folder.modseq != before.modseq
            if altered:
                unit.touched(mailbox_id, folder_id)
            return Stored(changed, refused, folder.modseq, altered)

        return await self.committer.run(work)

    async def copy(
        self,
        mailbox_id: int,
        folder_id: int,
        uids: Sequence[int],
        destination_id: int,
        trace: Sequence[Event] = (),
        kept: frozenset[str] | None = None,
    ) -> Copied:
        def work(unit: Unit) -> Copied:
            unit.emit(*trace)
            folders = folder_rows.lock_all(unit.cursor, mailbox_id, {folder_id, destination_id})
            entries = entry_rows.read_some(unit.cursor, mailbox_id, folder_id, uids)
            placing.demand_room(unit.cursor, mailbox_id, sum(entry.size for entry in entries))
            body_rows.hold(unit.cursor, [entry.body_id for entry in entries])
            if kept is not None:
                entries = [one._replace(flags=flagging.change(one.flags, "set", frozenset(), kept)) for one in entries]
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

    async def set_metadata(
        self, mailbox_id: int, folder_id: int, entries: Mapping[str, bytes | None], special_use: str | None = None
    ) -> None:
        def work(unit: Unit) -> None:
            cipher = self.keyring.key(unit.connection, mailbox_id)
            if folder_id:
                folder_rows.lock(unit.cursor, mailbox_id, folder_id)
            for name, value in entries.items():
                _METADATA_DELETE(unit.cursor, mailbox_id, folder_id, name)
                if value is not None:
                    sealed = seal_value(cipher, value, _context(mailbox_id, folder_id, name))
                    _METADATA_SET(unit.cursor, mailbox_id, folder_id, name, sealed)
            if special_use is not None:
                folder_rows.use(unit.cursor, mailbox_id, folder_id, special_use)
            unit.touched(mailbox_id, folder_id)

        await self.committer.run(work)

    async def raise_mark(self, mailbox_id: int, folder_id: int, name: str, value: int) -> int:
        def work(unit: Unit) -> int:
            cipher, context = self.keyring.key(unit.connection, mailbox_id), _context(mailbox_id, folder_id, name)
            folder_rows.lock(unit.cursor, mailbox_id, folder_id)
            row = _METADATA_ONE(unit.cursor, mailbox_id, folder_id, name).fetchone()
            before = int(open_value(cipher, row[0], context)) if row is not None else 0
            if value > before:
                _METADATA_DELETE(unit.cursor, mailbox_id, folder_id, name)
                sealed = seal_value(cipher, b"%d" % value, context)
                _METADATA_SET(unit.cursor, mailbox_id, folder_id, name, sealed)
            return before

        return await self.committer.run(work)

    async def beyond(self, mailbox_id: int, folder_ids: Collection[int], name: str) -> dict[int, int]:
        def read(connection: Connection) -> dict[int, int]:
            cipher, cursor = self.keyring.key(connection, mailbox_id), cursor_of(connection)
            kept = dict(_METADATA_NAMED(cursor, mailbox_id, name).fetchall())
            found: dict[int, int] = {}
            for folder_id in folder_ids:
                value, context = kept.get(folder_id), _context(mailbox_id, folder_id, name)
                mark = int(open_value(cipher, value, context)) if value is not None else 1
                found[folder_id] = entry_rows.count_from(cursor, mailbox_id, folder_id, mark)
            return found

        return await self.reading.run(read)


def _locked(cursor: Any, item: _Append, names: FolderNames) -> tuple[FolderRow, FolderRow | None]:
    """The destination of an APPEND, and the folder REPLACE erases from when it is another one."""
    if isinstance(item.folder, str):
        return folder_rows.lock_name(cursor, item.mailbox_id, item.folder, names), None
    wanted = {item.folder} if item.replaced is None else {item.folder, item.replaced[0]}
    folders = folder_rows.lock_all(cursor, item.mailbox_id, wanted)
    source = folders[item.replaced[0]] if item.replaced is not None else None
    return folders[item.folder], source if len(folders) > 1 else None


def _located(trace: Sequence[Event], folder: FolderRow) -> list[Event]:
    """The events of what knew its folder by name only, with the reference the journal has instead."""
    return [replace(event, detail={**event.detail, "folder": folder.reference}) for event in trace]


def _appended(entry: Entry) -> Appended:
    return Appended(entry.uid, entry.modseq, entry.body_id)


def _with_subscription(cursor: Any, row: FolderRow, names: FolderNames) -> Folder:
    return row.folder(names, subscribed=row.name in folder_rows.subscriptions(cursor, row.mailbox_id))


def _copy(unit: Unit, destination: FolderRow, entries: Sequence[Entry], now: int) -> tuple[Copied, FolderRow]:
    """New entries for the same bodies. The caller has seen to references and room."""
    if not entries:
        return Copied(destination.uidvalidity, [], []), destination
    messages = [
        entry_rows.New(one.flags, one.size, one.internal_date, now, one.body_id, one.key, one.thread_id, one.zone)
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
