"""NOTIFY (RFC 5465): news of folders that are not selected, and news of the selected one without asking.

A :class:`Subscription` listens to the mailbox and compares the folders with what it last told. Promise: one reading of
the folders per wake, however many changed; nothing is said of a folder that is not watched; news of the selected folder
go through :mod:`mailboxes.imap.announce`, with the same rules for EXPUNGE.
Failure: when the store does not answer, the news wait for the next wake.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial

from mailboxes.imap import values as v
from mailboxes.imap.fetch import unasked
from mailboxes.imap.lists import above
from mailboxes.imap.names import SEPARATOR, formerly
from mailboxes.imap.rendering import BODY, SUMMARY, Chosen, Renderer
from mailboxes.imap.session import BAD, LOGGED_IN, Refused, Selected, Session, command
from mailboxes.store import Entry, Folder, StoreError
from policies.events import Kind

MESSAGES = frozenset(("MessageNew", "MessageExpunge"))
SUPPORTED = MESSAGES | {"FlagChange", "MailboxName", "SubscriptionChange"}
_SELECTED = ("selected", "selected-delayed")
TOLD_AT_ONCE = 200  # folders looked at and told of before others have their turn: 2 ms


@command("NOTIFY", LOGGED_IN)
def notify(session: Session, asked: v.Command) -> Awaitable[None] | None:
    args: v.Notify = asked.args
    if args.filters is None:
        if session.notify is not None:
            session.notify.stop()
            session.notify = None
        session.done(asked, "No more news")
        return None
    _check(args.filters)
    return _subscribe(session, asked, args)


def _check(filters: tuple[v.Filter, ...]) -> None:
    """RFC 5465 5: MessageNew and MessageExpunge go together, FlagChange needs them, some events are not offered."""
    for one in filters:
        unknown = one.events - SUPPORTED
        if unknown:
            raise Refused("Some events are not offered", b"BADEVENT (%b)" % " ".join(sorted(SUPPORTED)).encode("ascii"))
        messages = one.events & MESSAGES
        if len(messages) == 1 or ("FlagChange" in one.events and not messages):
            raise Refused("MessageNew and MessageExpunge go together", b"CLIENTBUG", BAD)
        if one.scope in _SELECTED and one.events - MESSAGES - {"FlagChange"}:
            raise Refused("Only message events for the selected folder", b"CLIENTBUG", BAD)
        if one.items and one.scope not in _SELECTED:
            raise Refused("Only the selected folder can be fetched from", b"CLIENTBUG", BAD)
    if sum(one.scope in _SELECTED for one in filters) > 1:
        raise Refused("Only one filter for the selected folder", b"CLIENTBUG", BAD)


async def _subscribe(session: Session, asked: v.Command, args: v.Notify) -> None:
    session.need("lr")
    assert args.filters is not None
    subscription = Subscription(session, args.filters)
    await subscription.begin(args.status)
    if session.notify is not None:
        session.notify.stop()
    session.notify = subscription
    session.done(asked, "Will tell")


class Subscription:
    """What one session wants to hear."""

    def __init__(self, session: Session, filters: tuple[v.Filter, ...]) -> None:
        self.session = session
        chosen = next((one for one in filters if one.scope in _SELECTED), None)
        self.immediate = chosen is not None and bool(chosen.events)
        self.expunges = chosen is not None and chosen.scope == "selected"
        self.items = chosen.items if chosen is not None else ()
        self.filters = tuple(
            (one, frozenset(session.name(raw) for raw in one.mailboxes))
            for one in filters
            if one.scope not in _SELECTED
        )
        self._known: dict[int, Folder] = {}
        self._seen: list[Folder] | None = None  # the last reading, until it can be told
        self._task: asyncio.Task[None] | None = None
        self._again = False

    async def begin(self, status: bool) -> None:
        """Learn the folders as they are; with ``status``, tell them. What changes meanwhile is told once the command ended."""
        if self.filters:
            self.session.service.indexes.listen(self.session.mailbox_id, self._wake)
        try:
            folders = await self.session.service.store.folders(self.session.mailbox_id)
            self._known = {folder.id: folder for folder in folders}
            if status:
                await self._tell_all(folders)
        except BaseException:
            self.stop()
            raise

    async def _tell_all(self, folders: list[Folder]) -> None:
        for count, folder in enumerate(folders, 1):
            events = self._events(folder)
            if events & MESSAGES and not self._is_selected(folder):
                self.session.put(self._status(folder, events, everything=True))
            if not count % TOLD_AT_ONCE:
                await self.session.out.drain()

    def stop(self) -> None:
        if self.filters:
            self.session.service.indexes.unlisten(self.session.mailbox_id, self._wake)
        if self._task is not None:
            self._task.cancel()

    def _is_selected(self, folder: Folder) -> bool:
        selected = self.session.selected
        return selected is not None and selected.folder.id == folder.id

    def _events(self, folder: Folder) -> frozenset[str]:
        """The events of the first filter that names the folder."""
        for one, names in self.filters:
            if _names(one, names, folder):
                return one.events
        return frozenset()

    def _wake(self, _folder_id: int) -> None:
        if self._task is not None and not self._task.done():
            self._again = True
            return
        self._task = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        while True:
            self._again = False
            try:
                folders = await self.session.service.store.folders(self.session.mailbox_id)
            except StoreError:
                return
            if self._seen is None:
                self.session.out.between(self._compare)
            self._seen = folders
            if not self._again:
                return

    async def _compare(self) -> None:
        folders, self._seen = self._seen, None
        if folders is None or self.session.notify is not self:
            return
        known, self._known = self._known, {folder.id: folder for folder in folders}
        for count, folder in enumerate(folders, 1):
            before = known.pop(folder.id, None)
            if before != folder:
                self._tell(before, folder)
            if not count % TOLD_AT_ONCE:
                await self.session.out.drain()
        for count, folder in enumerate(known.values(), 1):
            if "MailboxName" in self._events(folder):
                self._list(folder, b"\\NonExistent")
            if not count % TOLD_AT_ONCE:
                await self.session.out.drain()

    def _tell(self, before: Folder | None, folder: Folder) -> None:
        events = self._events(folder)
        if not events:
            return
        if "MailboxName" in events and (before is None or before.name != folder.name):
            self._list(folder, b"", before.name if before is not None else "")
        if before is not None and "SubscriptionChange" in events and before.subscribed != folder.subscribed:
            self._list(folder, b"\\Subscribed" if folder.subscribed else b"")
        if self._is_selected(folder) or not events & MESSAGES:
            return
        messages, uidnext = (before.messages, before.uidnext) if before is not None else (0, 1)
        moved = (messages, uidnext) != (folder.messages, folder.uidnext)  # a new folder may be heard of with its mail
        flagged = before is not None and "FlagChange" in events and before.highestmodseq != folder.highestmodseq
        if moved or flagged:
            self.session.put(self._status(folder, events, everything=False))

    def _list(self, folder: Folder, attributes: bytes, old: str = "") -> None:
        spelled = self.session.spelled
        was = formerly(spelled(old)) if old else b""
        self.session.put(b'* LIST (%b) "/" %b%b\r\n' % (attributes, spelled(folder.name), was))

    def _status(self, folder: Folder, events: frozenset[str], everything: bool) -> bytes:
        said = f"MESSAGES {folder.messages} UIDNEXT {folder.uidnext} UIDVALIDITY {folder.uidvalidity}"
        if not everything:
            said += f" UNSEEN {folder.unseen}"
        if "FlagChange" in events:
            said += f" HIGHESTMODSEQ {max(folder.highestmodseq, 1)}"
        return b"* STATUS %b (%b)\r\n" % (self.session.spelled(folder.name), said.encode("ascii"))

    def arrived(self, selected: Selected, entries: list[Entry]) -> None:
        """New messages in the selected folder: fetch what MessageNew asked for."""
        chosen = _chosen(selected, entries)
        if not chosen.places:
            return
        renderer = Renderer(self.session, selected, unasked(self.session, self.items))
        made = renderer.at_once(chosen) if renderer.need <= SUMMARY else None
        if made is not None:
            self.session.put(made)
            return
        self.session.out.between(partial(self._fetch, renderer, entries))

    async def _fetch(self, renderer: Renderer, entries: list[Entry]) -> None:
        """The answer is numbered when it is said: some of the messages may be gone by now."""
        session, selected = self.session, renderer.selected
        if session.selected is not selected or session.notify is not self:
            return
        chosen = _chosen(selected, entries)
        try:
            if renderer.need == BODY:
                uids = [entry[0] for entry in chosen.entries]
                read = session.trace(Kind.READ, "NOTIFY", selected.folder.reference, uids)
                if read:  # durable before the first byte leaves (MSS-062)
                    await session.service.store.record(read)
            await renderer.send(chosen)
        except (StoreError, Refused):
            return


def _chosen(selected: Selected, entries: list[Entry]) -> Chosen:
    """Those of the messages that the session's view still holds."""
    places = [place for place in (selected.snapshot.place(entry[0]) for entry in entries) if place >= 0]
    return Chosen(places, [selected.snapshot.entries[place] for place in places])


def _names(one: v.Filter, names: frozenset[str], folder: Folder) -> bool:
    """Whether a filter names a folder (RFC 5465 6)."""
    scope, name = one.scope, folder.name
    if scope == "personal":
        return True
    if scope == "inboxes":
        return name == "INBOX"
    if scope == "subscribed":
        return folder.subscribed
    if scope == "mailboxes":
        return name in names
    if scope == "subtree":
        return name in names or not names.isdisjoint(above(name))
    return name in names or name.rpartition(SEPARATOR)[0] in names
