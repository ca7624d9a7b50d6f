"""Our own store as origin and target of a transfer.

Promise: a message imported is judged like one appended by IMAP, stored byte for byte, with its flags and date; events say
that a transfer touched the mailbox. Failure: :class:`mailboxes.transfer.TransferFailed` for a full or absent store.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from mailboxes.anatomy import Anatomy, dissect, pack
from mailboxes.flags import canonical
from mailboxes.store import Entry, Folder, FolderExists, MailStore, NewMessage, OverQuota, StoreError
from mailboxes.transfer import Letter, Shelf, TransferFailed
from policies.events import Event, Kind

Judge = Callable[[bytes, Anatomy], Awaitable[str]]
"""Why a message may not be stored, or nothing."""


class Run(Protocol):
    """Runs a coroutine to its end (``asyncio.Runner.run``)."""

    def __call__(self, work: Any) -> Any: ...


class StoreOrigin:
    """All folders of one mailbox."""

    def __init__(self, store: MailStore, mailbox_id: int, run: Run, actor: str) -> None:
        self._store = store
        self._mailbox = mailbox_id
        self._run = run
        self._actor = actor
        self._entries: dict[str, dict[int, Entry]] = {}

    def shelves(self) -> list[Shelf]:
        found = []
        for folder in self._run(self._store.folders(self._mailbox)):
            snapshot = self._run(self._store.snapshot(self._mailbox, folder.id))
            self._entries[folder.name] = {entry.uid: entry for entry in snapshot.entries}
            uids = tuple(snapshot.packed.uids)
            found.append(Shelf(folder.name, folder.special_use, folder.uidvalidity, uids))
            self._trace(folder, len(uids))
        return found

    def _trace(self, folder: Folder, count: int) -> None:
        detail = {"command": "EXPORT", "folder": folder.reference, "count": count}
        event = Event(Kind.READ, actor=self._actor, mailbox=self._mailbox, detail=detail)
        self._run(self._store.record((event,)))

    def letters(self, shelf: Shelf, uids: Sequence[int]) -> Iterator[Letter]:
        held = self._entries[shelf.name]
        for entry in [held[uid] for uid in uids if uid in held]:
            (content,) = self._run(self._store.bodies(self._mailbox, [entry]))
            date = datetime.fromtimestamp(entry.internal_date, timezone(timedelta(minutes=entry.zone)))
            yield Letter(entry.uid, tuple(entry.flags.split()), date, bytes(content))


class StoreTarget:
    """One mailbox of ours that receives."""

    def __init__(self, store: MailStore, mailbox_id: int, run: Run, actor: str, judge: Judge) -> None:
        self._store = store
        self._mailbox = mailbox_id
        self._run = run
        self._actor = actor
        self._judge = judge
        self._folder: Folder | None = None

    def open(self, shelf: Shelf) -> None:
        self._folder = self._run(self._folder_for(shelf))

    async def _folder_for(self, shelf: Shelf) -> Folder:
        """The folder of that special use, else of that name, else a new one."""
        folders = await self._store.folders(self._mailbox)
        for folder in folders:
            if shelf.special_use and folder.special_use == shelf.special_use:
                return folder
        for folder in folders:
            if folder.name == shelf.name or (folder.name == "INBOX" and shelf.name.upper() == "INBOX"):
                return folder
        try:
            return await self._store.create_folder(self._mailbox, shelf.name)
        except FolderExists:
            return await self._store.folder(self._mailbox, shelf.name)

    def holds(self, letter: Letter) -> bool:
        return bool(self._run(self._find(letter)))

    async def _find(self, letter: Letter) -> bool:
        assert self._folder is not None
        snapshot = await self._store.snapshot(self._mailbox, self._folder.id)
        date = int(letter.date.timestamp())
        alike = [
            entry for entry in snapshot.entries if entry.size == len(letter.content) and entry.internal_date == date
        ]
        return any(bytes(body) == letter.content for body in await self._store.bodies(self._mailbox, alike))

    def put(self, letters: Sequence[Letter]) -> list[str]:
        outcome: list[str] = self._run(self._put(letters))
        return outcome

    async def _put(self, letters: Sequence[Letter]) -> list[str]:
        assert self._folder is not None
        reasons, messages = [], []
        for letter in letters:
            anatomy = dissect(letter.content)
            reason = await self._judge(letter.content, anatomy)
            reasons.append(reason)
            if not reason:
                flags = canonical(flag for flag in letter.flags if flag.lower() != "\\recent")
                messages.append(_new(letter, anatomy, flags))
        if messages:
            await self._append(messages)
        return reasons

    async def _append(self, messages: Sequence[NewMessage]) -> None:
        assert self._folder is not None
        detail = {"command": "IMPORT", "folder": self._folder.reference, "count": len(messages)}
        event = Event(Kind.CHANGED, actor=self._actor, mailbox=self._mailbox, detail=detail)
        try:
            await self._store.append(self._mailbox, self._folder.id, messages, (event,))
        except OverQuota as problem:
            raise TransferFailed("the mailbox is full", "full") from problem
        except StoreError as problem:
            raise TransferFailed(type(problem).__name__, "store") from problem

    def close(self) -> None:
        self._folder = None


def _new(letter: Letter, anatomy: Anatomy, flags: str) -> NewMessage:
    zone = int((letter.date.utcoffset() or timedelta()).total_seconds()) // 60
    return NewMessage(letter.content, pack(anatomy), flags, int(letter.date.timestamp()), zone=zone)
