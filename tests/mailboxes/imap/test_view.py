"""What sessions are told of a folder, whatever happens in it and whenever they listen: a model replays every announcement."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailboxes.imap.search import Message, Setting, stages
from mailboxes.imap.searching import Context
from mailboxes.imap.values import STAR, Command, Key, Search
from mailboxes.imap.view import Ahead, FolderIndex, Snapshot, _after, _made, _newer, gathered, news
from mailboxes.store import Changes, Entry, MailStore


class Folder:
    """The truth: entries by UID, what was erased when, and MODSEQ."""

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.erased: list[tuple[int, int]] = []
        self.modseq = 1
        self.uidnext = 1

    def act(self, kind: str, choice: int) -> None:
        self.modseq += 1
        if kind == "append" or not self.entries:
            self.entries[self.uidnext] = Entry(self.uidnext, self.modseq, "", 1, 0, 0, self.uidnext, b"", 0)
            self.uidnext += 1
            return
        uid = sorted(self.entries)[choice % len(self.entries)]
        if kind == "flag":
            flags = "" if self.entries[uid].flags else "\\Seen"
            self.entries[uid] = self.entries[uid]._replace(modseq=self.modseq, flags=flags)
        else:
            del self.entries[uid]
            self.erased.append((self.modseq, uid))

    def changes(self, since: int) -> Changes:
        changed = sorted(entry for entry in self.entries.values() if entry.modseq > since)
        return Changes(self.modseq, self.uidnext, changed, sorted(uid for at, uid in self.erased if at > since))


class Session:
    """Keeps only what it was told."""

    def __init__(self, index: FolderIndex) -> None:
        self.index = index
        self.snapshot, self.step = index.snapshot, index.step
        self.told = {entry.uid: entry.flags for entry in index.snapshot.entries}

    def listen(self, may_expunge: bool, most: int = 1 << 62) -> None:
        heard = news(self.index, self.snapshot, self.step, may_expunge, most)
        if heard is None:
            return
        assert may_expunge or not heard.vanished
        for uid in heard.vanished:
            del self.told[uid]  # it was told of before
        before = max(self.told, default=0)
        for entry in heard.changed:
            assert entry.uid in self.told or entry.uid > before
            self.told[entry.uid] = entry.flags
        assert heard.snapshot.uids == sorted(self.told)
        self.snapshot, self.step = heard.snapshot, heard.step


actions = st.lists(
    st.tuples(
        st.sampled_from(["append", "flag", "erase", "refresh", "hear", "hear all", "hear some", "gather"]),
        st.integers(0, 50),
    ),
    max_size=60,
)


@settings(max_examples=400)
@given(actions, st.sampled_from([1, 3, 1000]))
def test_a_session_that_hears_everything_knows_the_folder(history: list[tuple[str, int]], most: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("mailboxes.imap.view.MOST_TOLD", most)
        _live(history, most)


def _live(history: list[tuple[str, int]], most: int) -> None:
    folder = Folder()
    index = FolderIndex(cast(MailStore, cast(Any, None)), 1, 1)
    sessions = [Session(index) for _ in range(3)]
    for kind, choice in history:
        if kind == "refresh":
            index.apply(folder.changes(index.snapshot.highestmodseq))
        elif kind == "hear some":
            sessions[choice % 3].listen(True, most)
        elif kind.startswith("hear"):
            sessions[choice % 3].listen(kind == "hear all")
        elif kind == "gather":
            one = sessions[choice % 3]
            one.step = gathered(index, one.snapshot, one.step)
        else:
            folder.act(kind, choice)
    index.apply(folder.changes(index.snapshot.highestmodseq))
    # a reading that overlaps what is known changes nothing
    index.apply(folder.changes(max(index.snapshot.highestmodseq - 3, 0)))
    for session in sessions:
        ahead = Ahead(session.step).look()
        for uid in session.told:
            last = ahead.get(uid)
            assert uid not in folder.entries or last is None or last.flags == folder.entries[uid].flags
        session.listen(False)
        while session.step.following is not None:
            before = session.step
            session.listen(True, most)
            assert before.highestmodseq <= session.snapshot.highestmodseq <= folder.modseq
        assert session.told == {uid: entry.flags for uid, entry in folder.entries.items()}
        assert session.snapshot is index.snapshot


def test_a_session_behind_keeps_only_the_last_of_each_change() -> None:
    """Forty thousand flags set and taken back for an hour must not all wait for one session that says nothing."""
    folder = Folder()
    index = FolderIndex(cast(MailStore, cast(Any, None)), 1, 1)
    for _ in range(50):
        folder.act("append", 0)
    index.apply(folder.changes(0))
    session = Session(index)
    for turn in range(300):
        folder.act("flag" if turn % 10 else "erase", turn)
        index.apply(folder.changes(index.snapshot.highestmodseq))
    assert index.brought - session.step.begun == 300
    session.step = gathered(index, session.snapshot, session.step)
    assert session.step.following is index.step
    assert index.brought - session.step.begun == len(session.step.changed) + len(session.step.vanished) <= 50
    session.listen(True)
    assert session.told == {uid: entry.flags for uid, entry in folder.entries.items()}


def test_a_change_of_flags_gathers_no_uids() -> None:
    """Of 200 000 messages that takes the event loop 7 ms, at each flag."""
    folder = Folder()
    for _ in range(5):
        folder.act("append", 0)
    before = Snapshot(sorted(folder.entries.values()), 5, 6)
    folder.act("flag", 2)
    flagged = _after(before, [folder.entries[3]], [], 6, 6)
    assert flagged.uids is before.uids
    assert flagged.entries[2].flags == "\\Seen"
    folder.act("append", 0)
    grown = _after(flagged, [folder.entries[6]], [], 7, 7)
    assert (before.uids, grown.uids) == ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6])
    assert _after(grown, [], [2, 6], 8, 7).uids == [1, 3, 4, 5]


async def test_the_entries_of_a_folder_are_opened_behind_select_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SELECT needs none of them, and half of what it took was to make them; of 100 000 it kept everybody waiting for 10 to 25 ms."""
    where: list[bool] = []
    entries = [Entry(uid, 1, flags, 1, 0, 0, uid, b"", 0) for uid, flags in ((2, "\\Seen"), (5, "urgent"), (9, ""))]

    def opened() -> list[Entry]:
        where.append(threading.current_thread() is threading.main_thread())
        return entries

    class Store:
        async def metadata(self, *_: int) -> dict[str, bytes]:
            return {}

        async def snapshot(self, *_: int) -> Any:
            flags = [entry.flags for entry in entries]
            packed = SimpleNamespace(uids=[2, 5, 9], flags=flags, spoken=set(flags), opened=opened)
            return SimpleNamespace(packed=packed, folder=SimpleNamespace(uidvalidity=7, highestmodseq=4, uidnext=10))

    for limit in (3, 2):
        monkeypatch.setattr("mailboxes.imap.beside.HERE", limit)
        index = FolderIndex(cast(MailStore, Store()), 1, 1)
        await index.load()
        assert (index.snapshot.uids, index.snapshot.uidnext, index.keywords) == ([2, 5, 9], 10, {"urgent": "urgent"})
        assert index.snapshot.first_unseen() == 2
        assert len(where) == 3 - limit
        await index.whole()
        assert index.snapshot.entries is entries
        assert index.snapshot.first_unseen() == 2
    assert where == [True, False]


class Looked(Entry):
    """Counts how often a field of any was asked for."""

    looks = 0

    def __getitem__(self, key: Any) -> Any:
        Looked.looks += 1
        return super().__getitem__(key)


@pytest.fixture
def large() -> Snapshot:
    made = Snapshot([Looked(uid, 1, "", 1, 0, 0, uid, b"", 0) for uid in range(1, 10_001)], 1, 10_001)
    Looked.looks = 0
    return made


@pytest.mark.parametrize(
    "erased",
    [[7], [7, 8, 9000], list(range(100, 2100)), list(range(1, 4001, 2)), list(range(1, 10_001))],
    ids=["one", "few", "a portion", "here and there", "all"],
)
def test_erasing_a_portion_looks_at_no_other_message(large: Snapshot, erased: list[int]) -> None:
    after = _after(large, [], erased, 2, 10_001)
    assert Looked.looks < 10
    gone = set(erased)
    assert after.uids == [uid for uid in large.uids if uid not in gone] == [entry.uid for entry in after.entries]


def test_many_erased_here_and_there_are_gone(large: Snapshot) -> None:
    after = _after(large, [], large.uids[::7], 2, 10_001)
    assert after.uids == [uid for uid in range(1, 10_001) if uid % 7 != 1] == [entry.uid for entry in after.entries]


def test_the_places_of_few_and_of_many(large: Snapshot) -> None:
    for uids in ([3, 9000, 10_002], large.uids[::3], large.uids):
        assert large.places(uids) == [uid - 1 for uid in uids if uid <= 10_000]


async def test_very_much_is_brought_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred thousand erased by another process, or moved at once, kept everybody waiting for 14 to 37 ms."""
    monkeypatch.setattr("mailboxes.imap.view.MOST_TOLD", 2)
    folder = Folder()
    for _ in range(6):
        folder.act("append", 0)

    class Store:
        async def metadata(self, *_: int) -> dict[str, bytes]:
            return {}

        async def changes(self, _mailbox: int, _folder: int, since: int) -> Changes:
            return folder.changes(since)

    index = FolderIndex(cast(MailStore, Store()), 1, 1)
    where: list[bool] = []
    goes, between = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def made(before: Snapshot, changes: Changes) -> Any:
        where.append(threading.current_thread() is threading.main_thread())
        if len(where) == 2:
            loop.call_soon_threadsafe(between.set)
            assert goes.wait(10)
        return _made(before, changes)

    monkeypatch.setattr("mailboxes.imap.view._made", made)
    await index.refresh()
    assert index.snapshot.uids == [1, 2, 3, 4, 5, 6]
    session = Session(index)
    folder.act("flag", 0)
    flagged = folder.entries[1]
    for uid in (1, 2):
        folder.act("flag", uid)
        folder.act("erase", 6 - uid)
    refreshed = asyncio.ensure_future(index.refresh())
    await between.wait()
    await index.take([flagged], flagged.modseq)  # what this process changed comes in between
    goes.set()
    await refreshed
    assert where == [False, False, True, False]
    session.listen(True)
    assert session.told == {1: "\\Seen", 2: "\\Seen", 3: "\\Seen", 4: ""}


def test_what_is_ahead_is_gone_through_once() -> None:
    """Who was told 100 000 changes portion by portion had all the others gone through for each portion, 10 ms."""
    gone: list[int] = []

    class Gone(list[Entry]):
        def __iter__(self) -> Any:
            gone.append(len(self))
            return super().__iter__()

    folder = Folder()
    index = FolderIndex(cast(MailStore, cast(Any, None)), 1, 1)
    step = index.step
    ahead = Ahead(step)
    for _ in range(3):
        folder.act("append", 0)
        index.apply(folder.changes(index.snapshot.highestmodseq))
    step.changed = Gone(step.changed)
    assert ahead.look() == folder.entries
    often = len(gone)
    folder.act("flag", 1)
    index.apply(folder.changes(index.snapshot.highestmodseq))
    assert ahead.look() == folder.entries
    assert len(gone) == often > 0


class Unlisted(set[int]):
    """May be asked, not gone through."""

    def __iter__(self) -> NoReturn:
        raise AssertionError


def test_a_live_search_looks_only_at_what_changes(large: Snapshot) -> None:
    """One with 100 000 results went through them for each flag anybody changed."""
    said: list[bytes] = []
    session, selected = cast(Any, SimpleNamespace(put=said.append)), cast(Any, SimpleNamespace(snapshot=large))
    tests = stages(Key("ALL"), Setting(large, set(), [], 0.0, "utf-8"))
    context = Context(Command(b"t", "SEARCH", Search(Key("ALL"))), True, set(large.uids[1:]), tests)
    context.held = Unlisted(context.held)
    context.vanished(session, [1, 2], large)
    context._settle(session, selected, [Message(2, large.entries[2]), Message(0, large.entries[0])], [])
    context._settle(session, selected, [Message(0, large.entries[0])], [Message(0, large.entries[0])])
    assert [line.partition(b"UID ")[2] for line in said] == [
        b"REMOVEFROM (0 2)\r\n",
        b"REMOVEFROM (0 3)\r\n",
        b"ADDTO (0 1)\r\n",
    ]


def test_a_portion_that_changed_looks_at_no_other_message(large: Snapshot) -> None:
    portion = [Entry(uid, 2, "\\Seen", 1, 0, 0, uid, b"", 0) for uid in range(1, 2001)]
    assert _newer(large, portion) == portion
    assert Looked.looks == len(portion)


async def test_telling_many_sessions_leaves_turns_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailboxes.imap.view.TELLING", 0.0)
    index = FolderIndex(cast(MailStore, cast(Any, None)), 1, 1)
    heard: list[int] = []
    told: list[Callable[[], None]] = [partial(heard.append, number) for number in range(5)]
    index.listeners.update(told)
    index.tell()
    assert len(heard) == 1
    index.listeners.discard(told[next(number for number in range(5) if number not in heard)])
    for _ in range(8):
        await asyncio.sleep(0)
    assert len(heard) == 4
    index.tell()
    for _ in range(8):
        await asyncio.sleep(0)
    assert len(heard) == 8


def test_places_of_sets() -> None:
    snapshot = Snapshot([Entry(uid, 1, "", 1, 0, 0, uid, b"", 0) for uid in (2, 3, 5, 9)], 1, 10)
    assert list(snapshot.by_uid(((1, 3),))) == [0, 1]
    assert list(snapshot.by_uid(((20, STAR),))) == [3]
    assert list(snapshot.by_uid(((STAR, STAR), (2, 2)))) == [0, 3]
    assert list(snapshot.by_number(((2, STAR),)) or ()) == [1, 2, 3]
    assert snapshot.by_number(((4, 5),)) is None
    assert list(snapshot.by_number(((4, 5),), clipped=True) or ()) == [3]
    empty = Snapshot([], 1, 1)
    assert list(empty.by_uid(((1, STAR),))) == []
    assert empty.by_number(((1, 1),)) is None
    assert list(empty.by_number(((1, STAR),)) or ()) == []
    assert empty.by_number(((1, STAR),)) is not None
