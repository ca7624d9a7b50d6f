"""Which folders a process holds in memory, and who is woken by a change in a mailbox.

Promise: a folder is in memory once (:class:`mailboxes.imap.view.FolderIndex`), however many sessions have it open; whoever
opened it sees what was committed before.
Failure: what the store raises reaches whoever opens; a refresh that nobody awaits is logged, and done again at the next
wake.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import structlog

from mailboxes.imap.view import FolderIndex
from mailboxes.store import Added, Folder, MailStore, NoSuchFolder, StoreError

KEPT_FOLDERS = 64
KEPT_ENTRIES = 500_000

log = structlog.get_logger("imap")


class _Watch:
    """One mailbox in use: the store's watch on it, its open folders counted, and who else listens."""

    __slots__ = ("holders", "listeners", "stop", "wakes")

    def __init__(self) -> None:
        self.holders = 0
        self.wakes = 0
        self.listeners: set[Callable[[int], None]] = set()
        self.stop: Callable[[], None] = lambda: None


class Indexes:
    """The folders in memory of this process, and who listens to which mailbox.

    The store is watched once per mailbox in use. Folders nobody has open are kept for a while, within
    :data:`KEPT_FOLDERS` and :data:`KEPT_ENTRIES`, and brought up to date when they are opened again. ``shared`` when
    sessions of other processes may have the same folders open.
    """

    def __init__(self, store: MailStore, *, shared: bool = False) -> None:
        self.store = store
        self._shared = shared
        self._open: dict[tuple[int, int], FolderIndex] = {}
        self._idle: OrderedDict[tuple[int, int], FolderIndex] = OrderedDict()
        self._watches: dict[int, _Watch] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    # one folder

    async def open(self, mailbox_id: int, folder_id: int, seen: Folder | None = None) -> FolderIndex:
        """The folder, as fresh as the store, or at least as it was ``seen``. Pair with :meth:`release`."""
        key = (mailbox_id, folder_id)
        index = self._open.get(key) or self._idle.pop(key, None)
        if index is None:
            index = FolderIndex(self.store, mailbox_id, folder_id, shared=self._shared)
        self._open[key] = index
        index.users += 1
        self._watch(mailbox_id).holders += 1
        try:
            if not index.loaded:
                await index.load()
            if seen is None or index.snapshot.highestmodseq < seen.highestmodseq:
                await index.refresh()
        except BaseException:
            self.release(index)
            raise
        return index

    def holds(self, mailbox_id: int, folder_id: int) -> bool:
        """Whether the folder is in memory."""
        return (mailbox_id, folder_id) in self._open or (mailbox_id, folder_id) in self._idle

    async def open_named(self, mailbox_id: int, name: str) -> tuple[Folder, FolderIndex]:
        """The folder of that name. Its row tells whether what is in memory is fresh, unless a wake came meanwhile."""
        watch = self._watch(mailbox_id)
        watch.holders += 1
        try:
            wakes = watch.wakes
            folder = await self.store.folder(mailbox_id, name)
            return folder, await self.open(mailbox_id, folder.id, folder if watch.wakes == wakes else None)
        finally:
            watch.holders -= 1
            self._unwatch(mailbox_id)

    def release(self, index: FolderIndex) -> None:
        index.users -= 1
        self._watch(index.mailbox_id).holders -= 1
        self._unwatch(index.mailbox_id)
        if index.users:
            return
        key = (index.mailbox_id, index.folder_id)
        self._open.pop(key, None)
        if index.loaded and not index.gone:
            self._idle[key] = index
            self._shrink()

    def _shrink(self) -> None:
        held = sum(len(index.snapshot.uids) for index in self._idle.values()) if len(self._idle) > 8 else 0
        while len(self._idle) > KEPT_FOLDERS or (held > KEPT_ENTRIES and self._idle):
            _, dropped = self._idle.popitem(last=False)
            held -= len(dropped.snapshot.uids)

    async def committed(self, mailbox_id: int, folder_id: int) -> None:
        """A change of ours is committed: sessions on that folder hear of it before its author hears OK."""
        index = self._open.get((mailbox_id, folder_id))
        if index is not None and index.loaded:
            await index.refresh()

    async def added(self, mailbox_id: int, added: Added) -> None:
        """Messages of ours are committed: the same."""
        index = self._open.get((mailbox_id, added.folder_id))
        if index is not None and index.loaded:
            await index.take(added.entries, added.highestmodseq, added.uidnext)

    def erased(self, mailbox_id: int, folder_id: int) -> None:
        """The folder was deleted: sessions that have it open are told."""
        self._idle.pop((mailbox_id, folder_id), None)
        index = self._open.get((mailbox_id, folder_id))
        if index is not None:
            index.gone = True
            index.tell()

    # one mailbox

    def listen(self, mailbox_id: int, listener: Callable[[int], None]) -> None:
        """Call ``listener(folder_id)`` after each change in the mailbox, whoever made it."""
        self._watch(mailbox_id).listeners.add(listener)

    def unlisten(self, mailbox_id: int, listener: Callable[[int], None]) -> None:
        watch = self._watches.get(mailbox_id)
        if watch is not None:
            watch.listeners.discard(listener)
            self._unwatch(mailbox_id)

    def _watch(self, mailbox_id: int) -> _Watch:
        watch = self._watches.get(mailbox_id)
        if watch is None:
            watch = self._watches[mailbox_id] = _Watch()
            watch.stop = self.store.notices.watch(mailbox_id, lambda folder_id: self._woken(mailbox_id, folder_id))
        return watch

    def _unwatch(self, mailbox_id: int) -> None:
        watch = self._watches[mailbox_id]
        if not watch.holders and not watch.listeners:
            watch.stop()
            del self._watches[mailbox_id]

    def _woken(self, mailbox_id: int, folder_id: int) -> None:
        """The store says something changed (0: anything may have): refresh what is open, tell who listens."""
        if folder_id:
            index = self._open.get((mailbox_id, folder_id))
            found = [index] if index is not None else []
        else:
            found = [index for key, index in self._open.items() if key[0] == mailbox_id]
        for index in found:
            index.woken = True
            if index.loaded:
                task = asyncio.get_running_loop().create_task(_quietly(index))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        watch = self._watches.get(mailbox_id)
        if watch is not None:
            watch.wakes += 1
            for listener in tuple(watch.listeners):
                listener(folder_id)


async def _quietly(index: FolderIndex) -> None:
    """Refresh for the sake of those who listen; a store that does not answer is asked again at the next wake."""
    try:
        await index.refresh()
    except NoSuchFolder:
        index.gone = True
        index.tell()
    except StoreError as error:
        log.info("imap.refresh_failed", error=type(error).__name__)
