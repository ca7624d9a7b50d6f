"""A folder in memory, shared by the sessions that opened it, and what each of them has been told.

:class:`FolderIndex` follows one folder of the store through ``MailStore.changes``. Each refresh makes a new immutable
:class:`Snapshot` and links a :class:`Step` (what changed, what vanished) behind the last one. A session keeps the
snapshot it announced and the step after it: announcing is walking the steps, so a sequence number always means what the
client was last told, and EXPUNGE waits where the RFC forbids it (RFC 9051 7.5.1) by stopping before a step that
erases. Snapshots nobody looks at are freed; a session that hears nothing for long has its steps gathered into one.
Promise: several processes may change the folder; the store's MODSEQ is the only clock.
Failure: what the store raises reaches whoever awaited the refresh; the index stays at its last good snapshot.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import structlog

from mailboxes.imap.beside import beside, let_go
from mailboxes.imap.recent import Recents
from mailboxes.imap.sets import joined
from mailboxes.imap.values import STAR, Ranges
from mailboxes.packed import Packed
from mailboxes.store import Changes, Entry, MailStore, StoreError

MANY = 1000  # entries from which on a table is made rather than each searched for...
SPARSE = 4  # ...when the folder holds no more than so many times as many: one search costs four lines of a table
GATHERED_HERE = 20_000  # changes gathered on the event loop for a session that is silent: 6 ms
LAG = 10_000  # changes a session may be behind, beside twice what the folder holds or held, before they are gathered
MOST_TOLD = 2000  # changes told to one session, some 4 ms, before other connections have their turn
TELLING = 0.005  # seconds of telling sessions before other connections have their turn
KEPT_ORDERS = 4  # of each folder, at some four bytes per message

_UID, _FLAGS = itemgetter(0), itemgetter(2)
log = structlog.get_logger("imap")


class Snapshot:
    """The entries of a folder at one MODSEQ, in UID order. Never changed once made."""

    __slots__ = ("_held", "highestmodseq", "uidnext", "uids")

    def __init__(
        self, held: list[Entry] | Packed, highestmodseq: int, uidnext: int, uids: list[int] | None = None
    ) -> None:
        """``uids`` are those of the entries, where they are known: to gather them takes ten times as long as to copy them."""
        self._held = held
        if uids is None:
            uids = [entry[0] for entry in held] if isinstance(held, list) else held.uids
        self.uids = uids
        self.highestmodseq = highestmodseq
        self.uidnext = uidnext

    @property
    def entries(self) -> list[Entry]:
        held = self._held
        if not isinstance(held, list):  # they are wanted before :meth:`FolderIndex.whole`
            held = self._held = held.opened()
        return held

    def open(self) -> None:
        """Open the entries of a folder that was just read. Two threads at once may both do it: they get the same."""
        _ = self.entries

    def first_unseen(self) -> int:
        """The number of the first message without ``\\Seen``, 0 where all have it."""
        held = self._held
        flags = map(_FLAGS, held) if isinstance(held, list) else held.flags
        return next((number for number, one in enumerate(flags, 1) if "\\Seen" not in one), 0)

    def place(self, uid: int) -> int:
        """Index of ``uid``, or -1."""
        place = bisect_left(self.uids, uid)
        return place if place < len(self.uids) and self.uids[place] == uid else -1

    def places(self, uids: Sequence[int]) -> list[int]:
        """Indexes of those of ``uids`` that are here; both in ascending order."""
        if len(uids) * SPARSE < len(self.uids):
            return [place for place in map(self.place, uids) if place >= 0]
        named = set(uids)
        return [place for place, uid in enumerate(self.uids) if uid in named]

    def each(self, uids: Iterable[int]) -> list[int]:
        """:meth:`place` of each; at a fifth of the cost where they follow one another, as in most that changed at once."""
        here, end, place = self.uids, len(self.uids), -1
        found: list[int] = []
        for uid in uids:
            place += 1
            if place < end and here[place] == uid:
                found.append(place)
                continue
            place = bisect_left(here, uid)
            found.append(place if place < end and here[place] == uid else -1)
        return found

    def find(self, uid: int) -> Entry | None:
        place = self.place(uid)
        return self.entries[place] if place >= 0 else None

    def by_uid(self, ranges: Ranges) -> Sequence[int]:
        """Places of the UIDs in ``ranges``, ascending, each once. ``*`` is the last UID (RFC 9051 6.4.9)."""
        if not self.uids:
            return range(0)
        last = self.uids[-1]
        spans = joined([(min(low, last) if high == STAR else low, high) for low, high in ranges])
        return _places([range(bisect_left(self.uids, low), bisect_right(self.uids, high)) for low, high in spans])

    def by_number(self, ranges: Ranges, clipped: bool = False) -> Sequence[int] | None:
        """Places of sequence numbers, ascending, each once; None when one does not exist, unless ``clipped``."""
        count = len(self.uids)
        if not count:  # programs ask 1:* of an empty folder; only numbers are wrong then
            return range(0) if clipped or all(high == STAR for _, high in ranges) else None
        spans = [(min(low, count), count) if high == STAR else (low, high) for low, high in ranges]
        if clipped:
            spans = [(max(low, 1), min(high, count)) for low, high in spans if low <= count]
        elif any(high > count or not low for low, high in spans):
            return None
        return _places([range(low - 1, high) for low, high in joined(spans)])


def _places(spans: list[range]) -> Sequence[int]:
    if len(spans) == 1:
        return spans[0]
    return [place for span in spans for place in span]


class Step:
    """What one refresh brought, or a part of it (:func:`_chained`). ``following`` is the next one, when there is one;
    ``begun`` how much came before it."""

    __slots__ = ("begun", "changed", "following", "highestmodseq", "uidnext", "vanished")

    def __init__(self, begun: int = 0) -> None:
        self.begun = begun
        self.changed: list[Entry] = []
        self.vanished: list[int] = []
        self.highestmodseq = 0
        self.uidnext = 0
        self.following: Step | None = None


class News:
    """The difference between what a session announced and what it may announce now."""

    __slots__ = ("changed", "snapshot", "step", "vanished")

    def __init__(self, snapshot: Snapshot, step: Step, changed: list[Entry], vanished: list[int]) -> None:
        self.snapshot = snapshot  # to be announced
        self.step = step
        self.changed = changed  # entries the session knew that changed, and new ones; in UID order
        self.vanished = vanished  # UIDs the session knew that are gone, sorted


class Orders:
    """The last orders (SORT) and threads (THREAD) of a whole folder, true as long as its UIDs stay the same."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[list[int], Any]] = OrderedDict()

    def get(self, what: Hashable, uids: list[int]) -> Any:
        """What was kept for these UIDs, or None."""
        kept = self._kept.get(what)
        if kept is None or kept[0] != uids:
            return None
        self._kept[what] = uids, kept[1]  # flags make a new list of the same UIDs: the old one need not stay
        self._kept.move_to_end(what)
        return kept[1]

    def keep(self, what: Hashable, uids: list[int], made: Any) -> None:
        self._kept[what] = uids, made
        while len(self._kept) > KEPT_ORDERS:
            self._kept.popitem(last=False)


class FolderIndex:
    """One folder of one mailbox. Made by :class:`mailboxes.imap.indexes.Indexes`.

    ``sessions`` are called after each change.
    """

    def __init__(self, store: MailStore, mailbox_id: int, folder_id: int, *, shared: bool = False) -> None:
        self.store = store
        self.mailbox_id = mailbox_id
        self.folder_id = folder_id
        self.uidvalidity = 0
        self.snapshot = Snapshot([], 0, 1)
        self.step = Step()  # the still empty step after the snapshot
        self.listeners: set[Callable[[], None]] = set()
        self.brought = 0  # changes and erasures since it was loaded
        self._untold: dict[Callable[[], None], None] = {}
        self._resting = False  # the rest of them is told in a moment
        self.orders = Orders()
        self.users = 0
        self.recents = Recents(store, mailbox_id, folder_id, shared=shared)
        self.keywords: dict[str, str] = {}  # in lower case -> as first written
        self._spoken: set[str] = set()  # flag strings whose keywords are known
        self.gone = False
        self.loaded = False
        self.woken = False  # something changed while it was loading
        self.opening: asyncio.Task[None] | None = None  # of the entries, behind the first SELECT
        self._running: asyncio.Task[None] | None = None
        self._again: asyncio.Future[None] | None = None

    async def load(self) -> None:
        """Read the folder for the first time."""
        # One after the other: two threads at once would keep the interpreter from one another.
        await self.recents.look()
        read = await self.store.snapshot(self.mailbox_id, self.folder_id)
        folder, packed = read.folder, read.packed
        if self.loaded:
            return
        self.uidvalidity = folder.uidvalidity
        self.snapshot = Snapshot(packed, folder.highestmodseq, folder.uidnext)
        self._learn(packed.spoken)
        self.loaded = True
        self.opening = asyncio.get_running_loop().create_task(self._open(self.snapshot))
        if self.woken:
            await self.refresh()

    async def _open(self, snapshot: Snapshot) -> None:
        """Open the entries, behind the answer to SELECT, which needs none."""
        try:
            await beside(len(snapshot.uids), snapshot.open)
        finally:
            self.opening = None

    async def whole(self) -> None:
        """Return once the entries are opened."""
        if self.opening is not None:
            await asyncio.wait((self.opening,))

    def learn(self, entries: Iterable[Entry]) -> None:
        """Remember the keywords in use: FLAGS must name them before FETCH does (RFC 9051 7.3.5)."""
        self._learn({entry[2] for entry in entries})

    def _learn(self, spoken: set[str]) -> None:
        for flags in spoken - self._spoken:
            self._spoken.add(flags)
            for flag in flags.split():
                if flag[0] != "\\":
                    self.keywords.setdefault(flag.lower(), flag)
        if len(self._spoken) > 10_000:
            self._spoken.clear()

    async def refresh(self) -> None:
        """Return once every change committed before this call is in the snapshot."""
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._refresh())
            await asyncio.shield(self._running)
            return
        if self._again is None:  # the one under way may have read before our change
            self._again = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._again)

    async def _refresh(self) -> None:
        try:
            changes = await self.store.changes(self.mailbox_id, self.folder_id, self.snapshot.highestmodseq)
            await self.recents.claim(changes.uidnext)
            await self.whole()
            await self._absorb(changes)
        finally:
            self._running = None
            waiting, self._again = self._again, None
            if waiting is not None:
                self._running = asyncio.get_running_loop().create_task(self._follow(waiting))

    async def _follow(self, waiting: asyncio.Future[None]) -> None:
        try:
            await self._refresh()
        except StoreError as error:
            if not waiting.done():
                waiting.set_exception(error)
                waiting.exception()
        else:
            if not waiting.done():
                waiting.set_result(None)

    async def take(self, changed: list[Entry], highestmodseq: int, uidnext: int = 0) -> None:
        """Have what this process changed, all that bears that MODSEQ; the store is asked when more happened before it."""
        await self.whole()
        known = self.snapshot
        if highestmodseq == known.highestmodseq + 1:
            self.apply(Changes(highestmodseq, max(uidnext, known.uidnext), changed, []))
        elif highestmodseq > known.highestmodseq:
            await self.refresh()

    async def _absorb(self, changes: Changes) -> None:
        """:meth:`apply`; of very many changes what takes long is done beside the event loop."""
        if len(changes.changed) + len(changes.vanished) <= MOST_TOLD:
            self.apply(changes)
            return
        while True:
            before, known = self.snapshot, self.snapshot.highestmodseq
            made = await asyncio.to_thread(_made, before, changes)
            if self.snapshot is before and before.highestmodseq == known:
                break  # nobody brought anything in between (:meth:`take`)
        replaced = before.entries.copy()
        self._bring(made)
        del before
        let_go(replaced)

    def apply(self, changes: Changes) -> None:
        """Make the next snapshot, then tell the sessions."""
        self._bring(_made(self.snapshot, changes))

    def _bring(self, made: _Made) -> None:
        before, brought = self.snapshot, made.brought
        if not brought.changed and not brought.vanished:
            before.highestmodseq = max(brought.highestmodseq, before.highestmodseq)
            before.uidnext = max(brought.uidnext, before.uidnext)
            return
        self._learn(made.spoken)
        self.snapshot = made.snapshot
        last = _chained(self.step, before, brought)
        self.brought += len(brought.changed) + len(brought.vanished)
        self.step = last.following = Step(self.brought)
        self.tell()

    @property
    def present(self) -> Present:
        """Where it stands now, for who goes through what was brought until then beside the event loop."""
        return Present(self.snapshot, self.step, self.brought)

    def tell(self) -> None:
        """Call every session that listens; when that takes long, other connections have their turn in between."""
        self._untold.update(dict.fromkeys(self.listeners))
        if not self._resting:
            self._tell_some()

    def _tell_some(self) -> None:
        self._resting = False
        until = time.monotonic() + TELLING
        while self._untold:
            listener = next(iter(self._untold))
            del self._untold[listener]
            if listener in self.listeners:
                listener()
            if self._untold and time.monotonic() > until:
                self._resting = True
                asyncio.get_running_loop().call_soon(self._tell_some)
                return


class Present(NamedTuple):
    """What of a :class:`FolderIndex` its steps lead to: the snapshot, the still empty step behind it, and how much that was."""

    snapshot: Snapshot
    step: Step
    brought: int


class _Made(NamedTuple):
    """The next snapshot, what of the changes it took that was not known, and the sets of flags among that."""

    snapshot: Snapshot
    brought: Changes
    spoken: set[str]


def _made(before: Snapshot, changes: Changes) -> _Made:
    changed = _newer(before, changes.changed)
    there = before.each(changes.vanished)
    vanished = [uid for uid, place in zip(changes.vanished, there, strict=True) if place >= 0]
    brought = Changes(changes.highestmodseq, changes.uidnext, changed, vanished)
    if not changed and not vanished:
        return _Made(before, brought, set())
    after = _after(before, changed, vanished, changes.highestmodseq, changes.uidnext)
    return _Made(after, brought, {entry[2] for entry in changed})


def _newer(snapshot: Snapshot, entries: list[Entry]) -> list[Entry]:
    """Those of the entries that the snapshot does not hold, or as they were before."""
    if len(entries) < MANY or len(entries) * SPARSE < len(snapshot.uids):
        known = [(entry, snapshot.find(entry[0])) for entry in entries]
        return [entry for entry, held in known if held is None or held[1] < entry[1]]
    modseqs = dict(zip(snapshot.uids, [entry[1] for entry in snapshot.entries], strict=True))
    return [entry for entry in entries if modseqs.get(entry[0], 0) < entry[1]]


def _after(
    before: Snapshot, changed: Iterable[Entry], vanished: list[int], highestmodseq: int, uidnext: int
) -> Snapshot:
    """A snapshot with the changes applied; entries arrive in UID order."""
    entries, uids = _without(before, vanished) if vanished else (before.entries.copy(), before.uids)
    last = entries[-1][0] if entries else 0
    fresh: list[int] = []
    late: list[Entry] = []
    place = 0
    for entry in changed:
        if entry[0] > last:
            entries.append(entry)
            fresh.append(entry[0])
            continue
        if place >= len(uids) or uids[place] != entry[0]:  # not the neighbour of the last one
            place = bisect_left(uids, entry[0])
        if place < len(uids) and uids[place] == entry[0]:
            entries[place] = entry
            place += 1
        else:
            late.append(entry)
    if late:  # appended by another process with a smaller UID but committed later
        entries.extend(late)
        entries.sort()
        uids = [entry[0] for entry in entries]
    elif fresh:
        uids = uids + fresh
    return Snapshot(entries, max(highestmodseq, before.highestmodseq), max(uidnext, before.uidnext), uids)


def _without(before: Snapshot, vanished: list[int]) -> tuple[list[Entry], list[int]]:
    """The entries and their UIDs without those erased, which are sorted and are there."""
    entries: list[Entry] = []
    uids: list[int] = []
    kept = 0  # up to here what stays is copied, run by run: to look at each message costs forty times as much
    for place in before.each(vanished):
        if place > kept:
            entries += before.entries[kept:place]
            uids += before.uids[kept:place]
        kept = place + 1
    entries += before.entries[kept:]
    uids += before.uids[kept:]
    return entries, uids


def _chained(step: Step, before: Snapshot, brought: Changes) -> Step:
    """Put what was brought after ``before`` into the empty ``step``, and very much of it into as many behind it as it takes:
    a session may stop after each. The answer is the last of them.

    Until all is told the MODSEQ stays what it was, so that who leaves in between is told the rest again (RFC 7162 3.2.5).
    """
    changed, vanished = brought.changed, brought.vanished
    if len(changed) + len(vanished) <= MOST_TOLD:
        parts = [(changed, vanished)]
    else:
        none: list[Any] = []
        parts = [(changed[at : at + MOST_TOLD], none) for at in range(0, len(changed), MOST_TOLD)]
        parts += [(none, vanished[at : at + MOST_TOLD]) for at in range(0, len(vanished), MOST_TOLD)]
    uidnext = before.uidnext
    for place, (some, gone) in enumerate(parts):
        if place:
            step.following = Step(step.begun + len(step.changed) + len(step.vanished))
            step = step.following
        uidnext = max(uidnext, some[-1][0] + 1 if some else 0)
        step.changed, step.vanished = some, gone
        step.highestmodseq, step.uidnext = before.highestmodseq, uidnext
    step.highestmodseq, step.uidnext = brought.highestmodseq, brought.uidnext
    return step


def news(
    index: FolderIndex | Present, snapshot: Snapshot, step: Step, may_expunge: bool, most: int = 1 << 62
) -> News | None:
    """What a session that announced ``snapshot`` (and stands before ``step``) may hear now; None when nothing.

    No further step is gone once ``most`` changes are gathered.
    """
    end = index.step
    changed: dict[int, Entry] = {}
    vanished: list[int] = []
    highestmodseq, uidnext = snapshot.highestmodseq, snapshot.uidnext
    at: Step = step
    while at is not end and at.following is not None and at.begun - step.begun < most:
        known_gone = [uid for uid, place in zip(at.vanished, snapshot.each(at.vanished), strict=True) if place >= 0]
        if known_gone and not may_expunge:
            break
        vanished += known_gone
        for uid in at.vanished:
            changed.pop(uid, None)
        for entry in at.changed:
            changed[entry[0]] = entry
        highestmodseq, uidnext = at.highestmodseq, at.uidnext
        at = at.following
    if at is step:
        return None
    entries = [changed[uid] for uid in sorted(changed)]
    vanished.sort()
    after = index.snapshot if at is end else _after(snapshot, entries, vanished, highestmodseq, uidnext)
    return News(after, at, entries, vanished)


def gathered(index: FolderIndex | Present, snapshot: Snapshot, step: Step) -> Step:
    """All that a session which announced ``snapshot`` has not heard yet, gathered: of each message only the last change.

    Without it a silent session would keep alive each version of each message that another one goes on changing.
    """
    heard = news(index, snapshot, step, may_expunge=True)
    if heard is None:
        return step
    one = Step(index.brought - len(heard.changed) - len(heard.vanished))
    now = heard.snapshot
    last = _chained(one, snapshot, Changes(now.highestmodseq, now.uidnext, heard.changed, heard.vanished))
    last.following = heard.step
    return one


class Ahead:
    """The entries changed in the steps from ``step`` on, by UID, the newest of each; what was read of them stays read."""

    __slots__ = ("_found", "_step")

    def __init__(self, step: Step) -> None:
        self._step = step
        self._found: dict[int, Entry] = {}

    def look(self) -> dict[int, Entry]:
        found, at = self._found, self._step
        while at.following is not None:
            found.update(zip(map(_UID, at.changed), at.changed, strict=True))
            at = at.following
        self._step = at
        return found


def walk_off(held: list[Step]) -> None:
    """Let go of what ``held`` alone holds, step by step: a chain of 200 000 changes takes 20 ms to free at one go."""
    at: Step | None = held.pop()
    while at is not None:
        at = at.following
