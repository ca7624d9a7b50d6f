"""SEARCH, SORT and THREAD as commands: answers, saved results, live contexts (RFC 4731, 5182, 5256, 5267, 9394, 9585).

Promise: ``$`` always names messages that still exist; a context tells what enters and leaves it in the order RFC 5267
wants (REMOVEFROM before the EXPUNGE that causes it); a long search says ``[INPROGRESS]`` every few seconds.
"""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from mailboxes.imap import values as v
from mailboxes.imap.announce import latest
from mailboxes.imap.beside import beside, let_go
from mailboxes.imap.fetch import need_condstore, partial_slice
from mailboxes.imap.names import string
from mailboxes.imap.ordering import dismantle, order_of, ordered_subject, references, rendered
from mailboxes.imap.search import (
    INDEX,
    SUMMARY,
    Message,
    Setting,
    Test,
    codec_of,
    needed,
    stages,
)
from mailboxes.imap.session import BAD, NO, SELECTED, Refused, Selected, Session, command
from mailboxes.imap.sets import compact
from mailboxes.imap.trying import Reader, matching
from mailboxes.imap.view import Snapshot
from mailboxes.store import Entry, StoreError
from policies.events import Kind

MOST_CONTEXTS = 16
MOST_SORTED = 500_000
WARMED = 8 << 20  # bytes of messages read ahead for a live search
PROGRESS_EVERY = 5.0  # seconds
AT_ONCE = 4000  # keys times messages tried without leaving data_received when the index is enough
MOST_TEXTS = 40  # TEXT, BODY and HEADER keys in one search


@command("SEARCH", SELECTED)
def search(session: Session, asked: v.Command) -> Awaitable[None] | None:
    return _search(session, asked, by_uid=False)


@command("UID SEARCH", SELECTED)
def uid_search(session: Session, asked: v.Command) -> Awaitable[None] | None:
    return _search(session, asked, by_uid=True)


@command("SORT", SELECTED)
def sort(session: Session, asked: v.Command) -> Awaitable[None] | None:
    return _search(session, asked, by_uid=False)


@command("UID SORT", SELECTED)
def uid_sort(session: Session, asked: v.Command) -> Awaitable[None] | None:
    return _search(session, asked, by_uid=True)


def _search(session: Session, asked: v.Command, by_uid: bool) -> Awaitable[None] | None:
    try:
        return _begun(session, asked, by_uid)
    except Refused as error:
        if error.status == NO:
            _forget(session.chosen(), asked.args)
        raise


def _forget(selected: Selected, args: v.Search) -> None:
    """RFC 5182 2.1: a search that was to be saved and is answered NO leaves ``$`` empty, one answered BAD leaves it alone."""
    if args.returns is not None and "SAVE" in args.returns.options:
        selected.saved = []


def _begun(session: Session, asked: v.Command, by_uid: bool) -> Awaitable[None] | None:
    selected = session.chosen()
    args: v.Search = asked.args
    _only_uids(session, args.key, by_uid)
    setting = _setting(session, selected, args.charset)
    if _names(args.key, "MODSEQ"):
        need_condstore(session)
    if args.returns is not None and "UPDATE" in args.returns.options:
        _may_update(selected, asked)
    keys, texts = _weigh(args.key)
    if texts > MOST_TEXTS:
        raise Refused("The search looks for too many texts", b"LIMIT")
    tests = stages(args.key, setting)
    small = len(selected.snapshot.uids) * keys <= AT_ONCE
    if small and not args.sort and all(test.need == INDEX for test in tests):
        found = _candidates(selected)
        for test in tests:
            found = test.kept(found)
        _answer(session, selected, asked, by_uid, tests, _outcome(asked, found, by_uid, session.rev2))
        session.done(asked, "Searched", expunge=by_uid)
        return None
    return _search_later(session, selected, asked, tests, by_uid)


def _only_uids(session: Session, key: v.Key, by_uid: bool) -> None:
    if session.uidonly and (not by_uid or _names(key, "SEQUENCE")):
        raise Refused("Sequence numbers are not used once UIDONLY is enabled", b"UIDREQUIRED", BAD)


def _names(key: v.Key, name: str) -> bool:
    """Whether a key of that name is anywhere in the program."""
    stack = [key]
    while stack:
        one = stack.pop()
        if one.name == name:
            return not (name == "SEQUENCE" and one.args[0] == v.SAVED)
        if one.name in ("AND", "OR", "NOT"):
            stack += one.args
    return False


def _weigh(key: v.Key) -> tuple[int, int]:
    """How many keys a program has, and how many of them read messages."""
    keys = texts = 0
    stack = [key]
    while stack:
        one = stack.pop()
        keys += 1
        texts += one.name in ("TEXT", "BODY", "HEADER")
        if one.name in ("AND", "OR", "NOT"):
            stack += one.args
    return keys, texts


def _setting(session: Session, selected: Selected, charset: bytes) -> Setting:
    codec = codec_of(charset, session.utf8)
    now = session.service.clock()
    return Setting(selected.snapshot, selected.recent, selected.saved, now, codec)


def _candidates(selected: Selected) -> list[Message]:
    """Every message of the view, with the flags it has now."""
    snapshot, current = selected.snapshot, selected.index.snapshot
    if snapshot is current:
        return list(map(Message, range(len(snapshot.entries)), snapshot.entries))
    return list(map(Message, range(len(snapshot.entries)), latest(selected, snapshot.entries)))


async def _search_later(
    session: Session, selected: Selected, asked: v.Command, tests: list[Test], by_uid: bool
) -> None:
    args: v.Search = asked.args
    _forget(selected, args)  # the tests hold what ``$`` was; should reading fail, it is nothing
    reader = Reader(session.service.cache, session.mailbox_id)
    found = candidates = await beside(len(selected.snapshot.uids), _candidates, selected)
    try:
        found = await matching(reader, candidates, tests, _progress(session, asked))
        await _trace(session, selected, asked, tests, found)
        if args.sort:
            found = await _sorted(reader, selected, found, args.sort)
        if args.returns is not None and "UPDATE" in args.returns.options:
            await _warm(session, selected, tests)
        outcome = await beside(len(found), _outcome, asked, found, by_uid, session.rev2)
    finally:
        let_go(candidates, found)
    _answer(session, selected, asked, by_uid, tests, outcome)
    session.done(asked, _told(reader, "Sorted" if args.sort else "Searched"), expunge=by_uid)


async def _trace(
    session: Session, selected: Selected, asked: v.Command, tests: Sequence[Test], found: Sequence[Message]
) -> None:
    """What was learnt of the text of messages by searching it, durable before it is answered (MSS-062, MSS-143)."""
    assert session.standing is not None
    if session.standing.journalled and any(test.need > SUMMARY for test in tests):
        uids = await beside(len(found), lambda: sorted(message.entry[0] for message in found))
        read = session.trace(Kind.READ, asked.name, selected.folder.reference, uids)
        if read:
            await session.service.store.record(read)


def _told(reader: Reader, text: str) -> str:
    return text if reader.complete else "[EXPUNGEISSUED] Some messages were erased"


async def _warm(session: Session, selected: Selected, tests: list[Test]) -> None:
    """Read ahead what a live search will ask, so that it can tell within the command that changes its result."""
    need = needed(tests)
    if need == INDEX:
        return
    if sum(entry[3] for entry in selected.snapshot.entries) > WARMED:
        return
    messages = await beside(len(selected.snapshot.uids), _candidates, selected)
    reader = Reader(session.service.cache, session.mailbox_id)
    try:
        for start in range(0, len(messages), 500):
            await reader.fill(messages[start : start + 500], need)
            await asyncio.sleep(0)
    finally:
        let_go(messages)


async def _sorted(
    reader: Reader, selected: Selected, found: list[Message], criteria: tuple[tuple[str, bool], ...]
) -> list[Message]:
    if len(found) > MOST_SORTED:
        raise Refused("Too many messages to sort", b"LIMIT")
    uids, orders = selected.snapshot.uids, selected.index.orders
    order = orders.get(criteria, uids)
    if order is not None:
        return await beside(len(order), _ordered, found, order, len(uids))
    if any(name not in ("ARRIVAL", "SIZE") for name, _ in criteria):
        found = await _with_summaries(reader, found)
    order = await beside(len(found), order_of, found, criteria)
    if len(found) == len(uids):
        orders.keep(criteria, uids, array("I", order))
    return await beside(len(found), _ordered, found, order, len(found))


def _ordered(found: list[Message], order: Sequence[int], whole: int) -> list[Message]:
    """The messages in an order of ``whole`` places, of which they may be only some."""
    if len(found) == whole:
        return [found[place] for place in order]
    there = {message.place: message for message in found}
    return [there[place] for place in order if place in there]


async def _with_summaries(reader: Reader, messages: list[Message]) -> list[Message]:
    kept: list[Message] = []
    for start in range(0, len(messages), 1000):
        kept += await reader.fill(messages[start : start + 1000], SUMMARY)
        await asyncio.sleep(0)
    return kept


def _progress(session: Session, asked: v.Command) -> Callable[[int, int], Awaitable[None]]:
    """RFC 9585: tell how far a long command is."""
    loop = asyncio.get_running_loop()
    last = loop.time()

    async def tell(done: int, goal: int) -> None:
        nonlocal last
        if loop.time() - last < PROGRESS_EVERY:
            return
        last = loop.time()
        code = b"INPROGRESS (%b %d %d)" % (string(asked.tag), done, max(goal, done))
        session.put(b"* OK [%b] Still searching\r\n" % code)
        await session.out.drain()

    return tell


# --------------------------------------------------------------------------- answers


class _Outcome(NamedTuple):
    """What a search comes to: the untagged answer, the UIDs that ``$`` names, those a live search holds; None where not asked."""

    said: bytes
    saved: list[int] | None
    held: set[int] | None


def _outcome(asked: v.Command, found: list[Message], by_uid: bool, rev2: bool) -> _Outcome:
    wanted = asked.args.returns
    options = wanted.options if wanted is not None else frozenset()
    return _Outcome(
        _said(asked, found, by_uid, rev2),
        _saved(found, wanted) if "SAVE" in options else None,
        {message.entry[0] for message in found} if "UPDATE" in options else None,
    )


def _said(asked: v.Command, found: list[Message], by_uid: bool, rev2: bool) -> bytes:
    """The untagged answer; empty when the result is only saved."""
    args: v.Search = asked.args
    wanted = args.returns
    with_modseq = _names(args.key, "MODSEQ")
    if wanted is None and not rev2:
        word = b"SORT" if args.sort else b"SEARCH"
        numbers = " ".join(["", *map(str, _numbers(found, by_uid))]).encode("ascii")
        modseq = max((message.entry[1] for message in found), default=0) if with_modseq else 0
        tail = b" (MODSEQ %d)" % modseq if modseq else b""
        return b"* %b%b%b\r\n" % (word, numbers, tail)
    if wanted is None:
        wanted = v.Return(frozenset(("ALL",)))
    return b"" if wanted.options == {"SAVE"} else _esearch(asked, found, wanted, by_uid, with_modseq)


def _answer(
    session: Session, selected: Selected, asked: v.Command, by_uid: bool, tests: list[Test], outcome: _Outcome
) -> None:
    if outcome.saved is not None:
        selected.saved = outcome.saved
    if outcome.said:
        session.put(outcome.said)
    if outcome.held is not None:
        selected.contexts[asked.tag] = Context(asked, by_uid, outcome.held, tests)


def _numbers(found: Iterable[Message], by_uid: bool) -> list[int]:
    if by_uid:
        return [message.entry[0] for message in found]
    return [message.place + 1 for message in found]


def _saved(found: list[Message], wanted: v.Return) -> list[int]:
    """RFC 5182 2.1: MIN and MAX alone save only themselves; PARTIAL saves what it shows (RFC 9394 3.2)."""
    uids = sorted([message.entry[0] for message in found])
    if wanted.partial is not None:
        return list(partial_slice(uids, wanted.partial))
    if "ALL" in wanted.options or "COUNT" in wanted.options or not wanted.options & {"MIN", "MAX"}:
        return uids
    picked = [*(uids[:1] if "MIN" in wanted.options else []), *(uids[-1:] if "MAX" in wanted.options else [])]
    return sorted(set(picked))


def _esearch(asked: v.Command, found: list[Message], wanted: v.Return, by_uid: bool, with_modseq: bool) -> bytes:
    pieces = [b"* ESEARCH (TAG %b)" % string(asked.tag)]
    if by_uid:
        pieces.append(b"UID")
    options = wanted.options
    numbers = _numbers(found, by_uid)
    if found and "MIN" in options:
        pieces.append(b"MIN %d" % (numbers[0] if asked.args.sort else min(numbers)))
    if found and "MAX" in options:
        pieces.append(b"MAX %d" % (numbers[-1] if asked.args.sort else max(numbers)))
    if found and "ALL" in options:
        pieces.append(b"ALL %b" % compact(numbers))
    if "COUNT" in options:
        pieces.append(b"COUNT %d" % len(numbers))
    if wanted.partial is not None:
        shown = compact(partial_slice(numbers, wanted.partial)) or b"NIL"
        pieces.append(b"PARTIAL (%d:%d %b)" % (*wanted.partial, shown))
    if with_modseq and found:
        pieces.append(b"MODSEQ %d" % _highest(found, options))
    return b" ".join(pieces) + b"\r\n"


def _highest(found: list[Message], options: frozenset[str]) -> int:
    """RFC 7162 3.1.10: of the messages MIN and MAX name when nothing else was asked, else of all."""
    if options & {"ALL", "COUNT", "PARTIAL", "SAVE"} or not options & {"MIN", "MAX"}:
        return max(message.entry[1] for message in found)
    ends = [*(found[:1] if "MIN" in options else []), *(found[-1:] if "MAX" in options else [])]
    return max(message.entry[1] for message in ends)


# --------------------------------------------------------------------------- THREAD


@command("THREAD", SELECTED)
def thread(session: Session, asked: v.Command) -> Awaitable[None]:
    return _thread(session, asked, by_uid=False)


@command("UID THREAD", SELECTED)
def uid_thread(session: Session, asked: v.Command) -> Awaitable[None]:
    return _thread(session, asked, by_uid=True)


async def _thread(session: Session, asked: v.Command, by_uid: bool) -> None:
    selected = session.chosen()
    args: v.Search = asked.args
    _only_uids(session, args.key, by_uid)
    if _weigh(args.key)[1] > MOST_TEXTS:
        raise Refused("The search looks for too many texts", b"LIMIT")
    tests = stages(args.key, _setting(session, selected, args.charset))
    reader = Reader(session.service.cache, session.mailbox_id)
    found = candidates = await beside(len(selected.snapshot.uids), _candidates, selected)
    try:
        found = await matching(reader, candidates, tests, _progress(session, asked))
        await _trace(session, selected, asked, tests, found)
        if len(found) > MOST_SORTED:
            raise Refused("Too many messages to thread", b"LIMIT")
        uids, orders, what = selected.snapshot.uids, selected.index.orders, (args.thread, by_uid)
        said = orders.get(what, uids) if len(found) == len(uids) else None
        if said is None:
            found = await _with_summaries(reader, found)
            said = await asyncio.to_thread(_threaded, found, args.thread, by_uid)
            if len(found) == len(uids):
                orders.keep(what, uids, said)
    finally:
        let_go(candidates, found)
    session.put(b"* THREAD %b\r\n" % said if said else b"* THREAD\r\n")
    session.done(asked, _told(reader, "Threaded"), expunge=by_uid)


def _threaded(found: list[Message], algorithm: str, by_uid: bool) -> bytes:
    if algorithm == "ORDEREDSUBJECT":
        roots = ordered_subject(found)
    else:
        roots = references(found, by_subject=algorithm == "REFERENCES")
    said = rendered(roots, lambda message: message.entry[0] if by_uid else message.place + 1)
    dismantle(roots)
    return said


# --------------------------------------------------------------------------- contexts


def _may_update(selected: Selected, asked: v.Command) -> None:
    if asked.tag in selected.contexts:
        raise Refused("A context has that tag", b"CLIENTBUG", BAD)
    if len(selected.contexts) >= MOST_CONTEXTS:
        raise Refused("Too many live searches", b"NOUPDATE " + string(asked.tag))


@command("CANCELUPDATE", SELECTED)
def cancel_update(session: Session, asked: v.Command) -> None:
    selected = session.chosen()
    if any(tag not in selected.contexts for tag in asked.args.words):
        raise Refused("No live search has that tag", b"CLIENTBUG", BAD)
    for tag in asked.args.words:
        selected.contexts.pop(tag, None)
    session.done(asked, "Cancelled")


class Context:
    """A live search: the UIDs it holds.

    What can only be judged by reading is judged between commands, one change after the other: otherwise answers would come
    in any order, and speak of messages that were erased or changed again meanwhile.
    """

    __slots__ = ("asked", "by_uid", "held", "need", "tests", "waiting")

    def __init__(self, asked: v.Command, by_uid: bool, held: set[int], tests: list[Test]) -> None:
        self.asked = asked
        self.by_uid = by_uid
        self.held = held
        self.tests = tests
        self.need = needed(tests)
        self.waiting: dict[int, Entry] = {}  # by UID, what is still to be judged

    def vanished(self, session: Session, gone: list[int], before: Snapshot) -> None:
        """Messages are about to be told as erased."""
        held = [uid for uid in gone if uid in self.held]
        if held:
            self._leave(session, held, before)

    def changed(self, session: Session, selected: Selected, entries: list[Entry]) -> None:
        """Messages are new or have other flags: see whether they belong here now."""
        changed = {entry[0]: entry for entry in entries}
        messages = _shown(selected, changed)
        if not messages:
            return
        reader = Reader(session.service.cache, session.mailbox_id)
        if not self.waiting and not self.asked.args.sort and reader.fill_now(messages, self.need):
            self._settle(session, selected, messages, self._holding(messages))
            return
        if not self.waiting:
            session.out.between(partial(self._read, session, selected))
        self.waiting.update(changed)

    def _holding(self, messages: list[Message]) -> list[Message]:
        for test in self.tests:
            messages = test.kept(messages)
        return messages

    async def _read(self, session: Session, selected: Selected) -> None:
        messages, self.waiting = _shown(selected, self.waiting), {}
        if session.selected is not selected or selected.contexts.get(self.asked.tag) is not self:
            return
        reader = Reader(session.service.cache, session.mailbox_id)
        try:
            holding = await matching(reader, messages, self.tests)
            entering = self._settle(session, selected, messages, holding)
            if entering and self.asked.args.sort:
                await self._place(session, selected, entering)
        except (StoreError, Refused):
            del selected.contexts[self.asked.tag]
            session.put(b"* NO [NOUPDATE %b] Some messages cannot be read\r\n" % string(self.asked.tag))

    def _settle(
        self, session: Session, selected: Selected, messages: list[Message], holding: list[Message]
    ) -> list[int]:
        """Say what leaves and what enters; the answer is what entered."""
        holds = {message.entry[0] for message in holding}
        tried = {message.entry[0] for message in messages}
        leaving = sorted((tried & self.held) - holds)
        entering = sorted(holds - self.held)
        if leaving:
            self._leave(session, leaving, selected.snapshot)
        if entering and not self.asked.args.sort:
            self._say(session, b"ADDTO", 0, entering, selected.snapshot)
            self.held.update(entering)
        return entering

    def _leave(self, session: Session, uids: list[int], snapshot: Snapshot) -> None:
        self._say(session, b"REMOVEFROM", 0, uids, snapshot)
        self.held.difference_update(uids)

    async def _place(self, session: Session, selected: Selected, entering: list[int]) -> None:
        """A sorted context tells the position of what entered (RFC 5267 4.3.2); equals are in the folder's order."""
        snapshot = selected.snapshot
        places = snapshot.places(sorted({*self.held, *entering}))
        messages = [Message(place, snapshot.entries[place]) for place in places]
        reader = Reader(session.service.cache, session.mailbox_id)
        ordered = await _sorted(reader, selected, messages, self.asked.args.sort)
        new = set(entering)
        self.held = {message.entry[0] for message in ordered}
        for position, message in enumerate(ordered, 1):
            uid = message.entry[0]
            if uid in new:
                self._say(session, b"ADDTO", position, [uid], snapshot)

    def _say(self, session: Session, word: bytes, position: int, uids: list[int], snapshot: Snapshot) -> None:
        numbers = uids if self.by_uid else [bisect_left(snapshot.uids, uid) + 1 for uid in uids]
        uid = b" UID" if self.by_uid else b""
        said = b"* ESEARCH (TAG %b)%b %b (%d %b)\r\n"
        session.put(said % (string(self.asked.tag), uid, word, position, compact(numbers)))


def _shown(selected: Selected, entries: dict[int, Entry]) -> list[Message]:
    """Those of the entries that the session's view still holds, at their place in it."""
    places = [(selected.snapshot.place(uid), entries[uid]) for uid in sorted(entries)]
    return [Message(place, entry) for place, entry in places if place >= 0]
