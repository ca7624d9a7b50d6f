"""Whose ``\\Recent`` each message is: the first session's that is told of it, whichever process it is in (RFC 3501 2.3.2).

Promise: a message is given once; one nobody was told of is given to the next session that may change the folder. What
was given is a mark kept with the folder: UIDs below it are taken. A process alone raises it a moment later, so that no
announcement waits for a commit; processes that share the store raise it first, and what they passed is theirs to give.
Failure: ``\\Recent`` is advice, so a store that does not answer costs no more than the flag.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterable

import structlog

from mailboxes.store import Folder, MailStore, StoreError

MARK = "caducee/recent"  # without a leading slash: no client can name it (RFC 5464)
SAVED_AFTER = 1.0  # seconds: one small commit for all that arrives meanwhile

log = structlog.get_logger("imap")


async def recent(store: MailStore, mailbox_id: int, folders: Iterable[Folder]) -> dict[int, int]:
    """How many no session has been told of, by the marks that are kept: for folders that are not in memory.

    It is one reading for all of them: one after the other, 300 folders took ten times as long.
    """
    filled = [folder.id for folder in folders if folder.messages]
    return await store.beyond(mailbox_id, filled, MARK) if filled else {}


class Recents:
    """The mark of one folder. ``takers`` counts the sessions of this process that would be given messages."""

    __slots__ = ("_folder_id", "_mailbox_id", "_ours", "_saving", "_shared", "_store", "mark", "takers")

    def __init__(self, store: MailStore, mailbox_id: int, folder_id: int, *, shared: bool) -> None:
        self._store = store
        self._mailbox_id = mailbox_id
        self._folder_id = folder_id
        self._shared = shared
        self._ours: list[tuple[int, int]] = []  # passed by this process, given to no session yet
        self._saving: asyncio.Task[None] | None = None
        self.mark = 1
        self.takers = 0

    async def look(self) -> None:
        """Read the mark: the first time, and whenever another process may have raised it."""
        if self.mark > 1 and not self._shared:
            return
        kept = (await self._store.metadata(self._mailbox_id, self._folder_id)).get(MARK, b"")
        self.mark = max(self.mark, int(kept) if kept.isdigit() else 1)

    async def claim(self, uidnext: int) -> None:
        """Before messages below ``uidnext`` are told where other processes could tell them too."""
        if not self._shared or not self.takers or uidnext <= self.mark:
            return
        try:
            before = await self._store.raise_mark(self._mailbox_id, self._folder_id, MARK, uidnext)
        except StoreError as error:
            log.info("imap.recent_not_claimed", error=type(error).__name__)
            return
        self._pass(max(before, 1), uidnext)

    def take(self, uids: list[int], uidnext: int) -> set[int]:
        """The UIDs no session has been told of; they are the asking session's from now on."""
        if not self._shared and uidnext > self.mark:
            self._pass(self.mark, uidnext)
            self._saving = self._saving or asyncio.get_running_loop().create_task(self._save())
        taken: set[int] = set()
        for low, high in self._ours:
            taken.update(uids[bisect_left(uids, low) : bisect_left(uids, min(high, uidnext))])
        self._ours = [(max(low, uidnext), high) for low, high in self._ours if high > uidnext]
        return taken

    def count(self, uids: list[int]) -> int:
        """How many no session has been told of."""
        return len(uids) - bisect_left(uids, self.mark)

    def _pass(self, low: int, high: int) -> None:
        if low < high:
            self._ours.append((low, high))
        self.mark = max(self.mark, high)

    async def _save(self) -> None:
        try:
            await asyncio.sleep(SAVED_AFTER)
            await self._store.raise_mark(self._mailbox_id, self._folder_id, MARK, self.mark)
        except StoreError as error:
            log.info("imap.recent_not_kept", error=type(error).__name__)
        finally:
            self._saving = None
