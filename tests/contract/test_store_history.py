"""Random histories of one mailbox served by two processes at once, against a model of what IMAP promises.

No flag is lost, no UID given twice, MODSEQ only grows, and whoever comes back with an old MODSEQ can bring an old copy of
the folder to the present with what ``changes`` tells, exactly (RFC 7162).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailboxes.sqlstore import SqlStore
from mailboxes.store import FlagChange, NewMessage
from tests import postgres, stores

FLAGS = ["\\Seen", "\\Flagged", "\\Deleted", "work", "$Junk"]
FOLDERS = (1, 2, 3)

which = st.integers(0, 1)
folders = st.sampled_from(FOLDERS)
picks = st.lists(st.integers(0, 30), max_size=6)
flags = st.frozensets(st.sampled_from(FLAGS), max_size=3)
operation = st.one_of(
    st.tuples(st.just("append"), which, folders, st.integers(1, 4), flags),
    st.tuples(st.just("store"), which, folders, picks, st.sampled_from(["set", "add", "remove"]), flags),
    st.tuples(st.just("race"), folders, picks, flags, flags),
    st.tuples(st.just("copy"), which, folders, picks, folders),
    st.tuples(st.just("move"), which, folders, picks, folders),
    st.tuples(st.just("expunge"), which, folders, st.none() | picks),
    st.tuples(st.just("remember"), folders),
)
histories = st.lists(operation, min_size=1, max_size=25)


@dataclass
class Model:
    """One folder as it must be. ``gone`` are UIDs erased, each with the number of the step that erased it."""

    messages: dict[int, tuple[frozenset[str], bytes]] = field(default_factory=dict)
    gone: list[tuple[int, int]] = field(default_factory=list)
    uidnext: int = 1
    modseq: int = 1
    copies: list[tuple[int, int, dict[int, frozenset[str]]]] = field(default_factory=list)

    def pick(self, numbers: list[int] | None) -> list[int]:
        uids = sorted(self.messages)
        return sorted({uids[number % len(uids)] for number in numbers or ()}) if uids else []

    def add(self, flags: frozenset[str], body: bytes) -> int:
        uid, self.uidnext = self.uidnext, self.uidnext + 1
        self.messages[uid] = flags, body
        return uid


class Two:
    """Two stores on one database, as two processes have them, driven from a synchronous test."""

    def __init__(self, url: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._open = AsyncExitStack()
        self.stores = [self.run(self._open.enter_async_context(stores.opened(url))) for _ in range(2)]
        self.mailboxes = itertools.count(1)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        self.run(self._open.aclose())
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()


@pytest.fixture(scope="module", params=["file", pytest.param("postgres", marks=pytest.mark.postgres)])
def two(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    if request.param == "file":
        url = f"sqlite:///{tmp_path_factory.mktemp('history')}/caducee.db"
    else:
        server: postgres.Server = request.getfixturevalue("postgres_server")
        url = server.url()
    made = Two(url)
    yield made
    made.close()


@given(history=histories)
@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_history_ends_as_the_model_says(two: Two, history: list[tuple[Any, ...]]) -> None:
    two.run(play(two, history))


async def play(two: Two, history: list[tuple[Any, ...]]) -> None:
    mailbox_id = next(two.mailboxes)
    first = two.stores[0]
    await first.committer.run(lambda unit: first.provision(unit, mailbox_id, 0))
    models = {folder_id: Model() for folder_id in FOLDERS}
    for step, (name, *arguments) in enumerate(history):
        await STEPS[name](two.stores, mailbox_id, models, step, *arguments)
        for folder_id, model in models.items():
            modseq = (await two.stores[step % 2].changes(mailbox_id, folder_id, 1 << 60)).highestmodseq
            assert modseq >= model.modseq
            model.modseq = modseq
    for folder_id, model in models.items():
        for store in two.stores:
            await compare(store, mailbox_id, folder_id, model)


async def compare(store: SqlStore, mailbox_id: int, folder_id: int, model: Model) -> None:
    snapshot = await store.snapshot(mailbox_id, folder_id)
    assert {entry.uid: frozenset(entry.flags.split()) for entry in snapshot.entries} == {
        uid: flags for uid, (flags, _) in model.messages.items()
    }
    assert await store.bodies(mailbox_id, snapshot.entries) == [
        model.messages[uid][1] for uid in sorted(model.messages)
    ]
    folder = snapshot.folder
    assert (folder.uidnext, folder.messages) == (model.uidnext, len(model.messages))
    assert folder.unseen == sum("\\Seen" not in flags for flags, _ in model.messages.values())
    assert all(entry.modseq <= folder.highestmodseq for entry in snapshot.entries)
    for step, since, copy in model.copies:
        changes = await store.changes(mailbox_id, folder_id, since)
        assert changes.vanished == sorted(uid for uid, when in model.gone if when > step)
        now = {uid: flags for uid, flags in copy.items() if uid not in changes.vanished}
        now |= {entry.uid: frozenset(entry.flags.split()) for entry in changes.changed}
        assert now == {uid: flags for uid, (flags, _) in model.messages.items()}


bodies = itertools.count()


async def append(stores_, mailbox_id, models, step, index, folder_id, count, flags):
    contents = [b"body %d" % next(bodies) for _ in range(count)]
    messages = [NewMessage(content, b"summary", " ".join(flags)) for content in contents]
    _, appended = await stores_[index].append(mailbox_id, folder_id, messages)
    assert [one.uid for one in appended] == [models[folder_id].add(flags, content) for content in contents]


async def store_flags(stores_, mailbox_id, models, step, index, folder_id, numbers, operation, named):
    model = models[folder_id]
    uids = model.pick(numbers)
    await stores_[index].store_flags(mailbox_id, folder_id, uids, FlagChange(operation, named))
    for uid in uids:
        flags, body = model.messages[uid]
        after = {"set": named, "add": flags | named, "remove": flags - named}[operation]
        model.messages[uid] = frozenset(after), body


async def race(stores_, mailbox_id, models, step, folder_id, numbers, one, other):
    """Both processes add flags to the same messages at the same time: all of them must be there."""
    model = models[folder_id]
    uids = model.pick(numbers)
    await asyncio.gather(
        stores_[0].store_flags(mailbox_id, folder_id, uids, FlagChange("add", one)),
        stores_[1].store_flags(mailbox_id, folder_id, uids, FlagChange("add", other)),
    )
    for uid in uids:
        flags, body = model.messages[uid]
        model.messages[uid] = flags | one | other, body


async def copy(stores_, mailbox_id, models, step, index, folder_id, numbers, destination_id):
    source, destination = models[folder_id], models[destination_id]
    uids = source.pick(numbers)
    copied = await stores_[index].copy(mailbox_id, folder_id, uids, destination_id)
    assert copied.destination == [destination.add(*source.messages[uid]) for uid in uids]


async def move(stores_, mailbox_id, models, step, index, folder_id, numbers, destination_id):
    source, destination = models[folder_id], models[destination_id]
    uids = source.pick(numbers)
    moved = await stores_[index].move(mailbox_id, folder_id, uids, destination_id)
    assert moved.source == uids
    assert moved.destination == [destination.add(*source.messages[uid]) for uid in uids]
    for uid in uids:
        del source.messages[uid]
        source.gone.append((uid, step))


async def expunge(stores_, mailbox_id, models, step, index, folder_id, numbers):
    model = models[folder_id]
    named = sorted(model.messages) if numbers is None else model.pick(numbers)
    expected = [uid for uid in named if "\\Deleted" in model.messages[uid][0]]
    erased = await stores_[index].expunge(mailbox_id, folder_id, None if numbers is None else named)
    assert erased == expected
    for uid in expected:
        del model.messages[uid]
        model.gone.append((uid, step))


async def remember(stores_, mailbox_id, models, step, folder_id):
    model = models[folder_id]
    folder = (await stores_[step % 2].snapshot(mailbox_id, folder_id)).folder
    model.copies.append((step, folder.highestmodseq, {uid: flags for uid, (flags, _) in model.messages.items()}))


STEPS = {
    "append": append,
    "store": store_flags,
    "race": race,
    "copy": copy,
    "move": move,
    "expunge": expunge,
    "remember": remember,
}


async def test_two_processes_appending_at_once_share_the_uids(shared_url: str) -> None:
    async with stores.opened(shared_url) as one, stores.opened(shared_url) as two:
        await one.committer.run(lambda unit: one.provision(unit, 1, 0))
        outcomes = await asyncio.gather(
            *(store.append(1, 1, [NewMessage(b"x", b"s")]) for _ in range(40) for store in (one, two))
        )
        uids = sorted(appended[0].uid for _, appended in outcomes)
        assert uids == list(range(1, 81))
        folder = await one.folder(1, "INBOX")
        assert (folder.messages, folder.uidnext) == (80, 81)


async def test_two_processes_expunging_at_once_erase_once(shared_url: str) -> None:
    async with stores.opened(shared_url) as one, stores.opened(shared_url) as two:
        await one.committer.run(lambda unit: one.provision(unit, 1, 0))
        await one.append(1, 1, [NewMessage(b"x", b"s", "\\Deleted") for _ in range(20)])
        erased = await asyncio.gather(one.expunge(1, 1, None), two.expunge(1, 1, None))
        assert sorted(map(len, erased)) == [0, 20]
        assert (await two.quota(1)).bytes_used == 0
