"""Our own mailboxes in the directory: published by themselves, hidden at once, and never told from what is not there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy import insert as sql_insert

from directory.entry import Entry, Source
from directory.index import Index, put
from directory.reconcile import EMPTY
from directory.search import Answer, Condition, DirectoryUnavailable, Every, Field, Way, words
from directory.tables import FOR_EVER, NATIONAL, entry, source
from gateway.directory import own, wiring
from gateway.directory.wiring import directory
from gateway.record.journal import Journal
from mailboxes import addresses_in_clear
from mailboxes.account_tables import mailbox as mailbox_table
from mailboxes.commit import Committer
from policies.lifecycle import Step
from policies.values import BalType
from tests.mailboxes.people import ACTOR, DOMAIN, House
from tests.stores import effort
from tests.waiting import until

MARIE = f"marie.martin@{DOMAIN}"
NEURO = f"neurologie@{DOMAIN}"


class Publishing(House):
    """The small register, with the journal that publishes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.committer.close_sync()
        self.committer = Committer(self.database, journal=own.Publishing(Journal()), clock=self.clock)
        self.do(lambda unit: own.begin(unit.connection))
        self.admit()

    def admit(self) -> None:
        self.person()
        self.mailbox()
        self.mailbox("neurologie", BalType.ORG, attributes={"service": "Neurologie", "responsible": "Zoé Secret"})

    def set(self, address: str, **attributes: Any) -> None:
        self.do(lambda unit: self.register.set_attributes(unit, address, attributes, ACTOR))

    def move(self, address: str, step: Step) -> None:
        self.do(lambda unit: self.register.move(unit, address, step, "test", ACTOR))

    async def found(self, condition: Condition) -> list[str]:
        return [one.address for one in (await directory(self).find(condition, 50)).entries]


class Another(Publishing):
    """One more process on the same register."""

    def admit(self) -> None:
        """Everybody is there."""


@pytest.fixture(params=["memory", "file", pytest.param("postgres", marks=pytest.mark.postgres)])
def house(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Publishing]:
    url = {"memory": "sqlite://", "file": f"sqlite:///{tmp_path}/a.db"}.get(request.param)
    made = Publishing(url or request.getfixturevalue("postgres_url"))
    yield made
    made.close()


async def test_a_mailbox_is_an_entry_by_itself(house: Publishing) -> None:
    """MSS-120, TOU-A07: what identifies the professional, never who is responsible."""
    assert await directory(house).get(MARIE.upper()) == Entry(
        address=MARIE, type="PER", family="Martin", given="Marie", person="8ANS0001"
    )
    assert await house.found(words("neurologie")) == [NEURO]
    everything = repr(await directory(house).find(Every(()), 50))
    assert "Secret" not in everything
    with house.database.turn(), house.database.reader.begin() as connection:
        assert "secret" not in repr(connection.execute(select(entry)).all()).lower()


async def test_only_what_may_be_seen_answers_and_from_the_commit_on(house: Publishing) -> None:
    """MSS-121, MSS-122, TOU-A08, TOU-E06: address by address."""
    house.mailbox("m.martin.cabinet", BalType.CAB)
    other = f"m.martin.cabinet@{DOMAIN}"
    assert await house.found(words("martin")) == [other, MARIE]
    house.set(MARIE, red_list=True)
    assert await house.found(words("martin")) == [other]
    assert await directory(house).get(MARIE) is None
    house.set(MARIE, red_list=False)
    house.move(other, Step.SUSPEND)
    assert await house.found(words("martin")) == [MARIE]
    house.do(lambda unit: house.accounts.move(unit, "marie.martin", Step.SUSPEND, "test", ACTOR))
    assert await house.found(words("martin")) == []
    house.do(lambda unit: house.accounts.move(unit, "marie.martin", Step.RESUME, "test", ACTOR))
    house.move(other, Step.RESUME)
    assert await house.found(words("martin")) == [other, MARIE]
    house.move(other, Step.CLOSE)
    assert await house.found(words("martin")) == [MARIE]


async def test_who_changes_the_register_past_its_events_hides_all_the_same(house: Publishing) -> None:
    with house.database.turn(), house.database.writer.begin() as connection:
        connection.execute(update(mailbox_table).values(red_list=True))
    assert await house.found(Every(())) == []
    assert await directory(house).get(MARIE) is None


async def test_a_change_that_is_undone_publishes_nothing(house: Publishing) -> None:
    def work(unit: Any) -> None:
        house.register.set_attributes(unit, MARIE, {"red_list": True}, ACTOR)
        raise OSError("the power went")

    with pytest.raises(OSError, match="power"):
        house.do(work)
    assert await house.found(words("martin")) == [MARIE]


@pytest.mark.parametrize("kind", ["file", pytest.param("postgres", marks=pytest.mark.postgres)])
async def test_processes_that_change_an_account_and_its_mailbox_at_once(
    kind: str, request: pytest.FixtureRequest, tmp_path: Any
) -> None:
    """MSS-122: whoever comes last, the entry has what both said, and one process hides for all."""
    url = f"sqlite:///{tmp_path}/a.db" if kind == "file" else request.getfixturevalue("postgres_url")
    first = Publishing(url)
    second = Another(url)

    def describe() -> None:
        for number in range(25):
            given = {"title": f"T{number}"}
            first.do(lambda unit, given=given: first.accounts.describe(unit, "marie.martin", given, ACTOR))

    other = threading.Thread(target=describe)
    other.start()
    for number in range(25):
        second.set(MARIE, phone=str(number))
    other.join()
    seen = await directory(first).get(MARIE)
    assert seen is not None
    assert (seen.title, seen.phone) == ("T24", "24")
    second.set(MARIE, red_list=True)
    assert await directory(first).get(MARIE) is None
    first.close()
    second.close()


async def test_a_register_of_before_is_published_at_the_start(house: Publishing) -> None:
    house.set(NEURO, red_list=True)
    with house.database.turn(), house.database.writer.begin() as connection:
        connection.execute(delete(entry))
        connection.execute(delete(source))
    house.do(lambda unit: own.begin(unit.connection))
    assert await house.found(Every(())) == [MARIE]


async def test_a_patient_is_in_no_directory(house: Publishing) -> None:
    """A domain named as one of patients, before or after its mailboxes were opened (MSS-098)."""
    assert await house.found(Every(()))
    house.do(lambda unit: addresses_in_clear.begin(unit.connection, [DOMAIN]))
    assert await house.found(Every(())) == []
    house.set(NEURO, rank=3)
    house.do(lambda unit: own.begin(unit.connection))
    with house.database.turn(), house.database.reader.begin() as connection:
        assert connection.execute(select(entry)).all() == []
        assert own.ours(connection, [f"anybody@{DOMAIN}", "x@op-b.mssante.test"]) == [f"anybody@{DOMAIN}"]


async def test_searches_leave_threads_to_those_who_read_mail(
    house: Publishing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MSS-130: of all interfaces together, however many directories were made; who waits too long is told to come again."""
    running, most, ended = [], [], threading.Event()

    def slow(*_given: Any) -> Answer:
        running.append(1)
        most.append(len(running))
        ended.wait(30)
        running.pop()
        return Answer()

    monkeypatch.setattr(Index, "find", slow)
    asked = [asyncio.create_task(directory(house).find(Every(()), 1)) for _ in range(6)]
    await until(lambda: most)
    monkeypatch.setattr(wiring, "PATIENCE_SECONDS", 0.05)
    with pytest.raises(DirectoryUnavailable):
        await directory(house).find(Every(()), 1)
    ended.set()
    await asyncio.gather(*asked)
    assert max(most) <= wiring.AT_ONCE


def national(house: House, *entries: Entry) -> None:
    with house.database.turn(), house.database.writer.begin() as connection:
        connection.execute(delete(source).where(source.c.name == Source.NATIONAL.value))
        connection.execute(delete(entry).where(entry.c.owner == NATIONAL))
        connection.execute(sql_insert(source), {**EMPTY, "name": Source.NATIONAL.value, "generation": 1})
        put(
            connection,
            [replace(one, source=Source.NATIONAL) for one in entries],
            [NATIONAL] * len(entries),
            1,
            FOR_EVER,
        )


async def test_the_extraction_does_not_tell_what_the_red_list_hides(house: Publishing) -> None:
    """Yesterday's list still has it, under its own address or an alias (MSS-121)."""
    alias = f"m.martin@{DOMAIN}"
    house.do(lambda unit: house.register.add_alias(unit, MARIE, alias, ACTOR))
    house.set(MARIE, red_list=True)
    national(house, *[Entry(address=one, type="PER", family="Martin", given="Marie") for one in (MARIE, alias)])
    assert await house.found(words("martin")) == []
    assert await directory(house).get(MARIE) is None
    house.set(MARIE, rank=2)
    with house.database.turn(), house.database.reader.begin() as connection:
        assert connection.execute(select(entry).where(entry.c.owner == NATIONAL)).all() == []


@pytest.mark.parametrize("red_list", [False, True])
async def test_a_mailbox_that_moved_to_another_operator_is_known_from_the_extraction(
    house: Publishing, red_list: bool
) -> None:
    """417 domains are served by two operators (mssante.md 11); what was deleted on the red list stays hidden."""
    house.set(MARIE, red_list=red_list)
    moved = Entry(address=MARIE, type="PER", family="Martin", given="Marie")
    house.move(MARIE, Step.CLOSE)
    national(house, moved)
    assert await house.found(words("martin")) == []
    house.move(MARIE, Step.DELETE)
    assert own_keys(house) == ([MARIE] if red_list else [])
    national(house, moved)
    assert await house.found(words("martin")) == ([] if red_list else [MARIE])


def own_keys(house: House) -> list[str]:
    with house.database.turn(), house.database.reader.begin() as connection:
        return own.ours(connection, [MARIE])


QUESTIONS: tuple[Condition, ...] = (
    Every(()),
    words("martin"),
    words("ma"),
    Field("address", Way.IS, MARIE),
    Field("person", Way.IS, "8ANS0001"),
    Field("type", Way.IS, "PER"),
)


async def test_hidden_and_missing_take_the_same_answers_and_the_same_work(tmp_path: Any) -> None:
    """MSS-121: one house where Marie is on the red list, one where she never was; SQLite's own instructions are counted."""
    answers, work = [], []
    for name in ("hidden", "missing"):
        made = Publishing(f"sqlite:///{tmp_path}/{name}.db")
        for number in range(30):
            made.mailbox(f"other{number}", BalType.ORG, attributes={"service": f"Martin {number}"})
        if name == "hidden":
            made.set(MARIE, red_list=True)
        else:
            made.move(MARIE, Step.CLOSE)
        known = directory(made)
        answers.append(([await known.find(one, 10) for one in QUESTIONS], await known.get(MARIE)))
        work.append(spent(made))
        made.close()
    assert answers[0] == answers[1]
    assert work[0] == work[1]


def spent(made: House) -> list[int]:
    """What each question costs, in SQLite's own instructions."""
    index = Index(own.visible())
    with made.database.reader.begin() as connection:
        asked = [partial(index.find, connection, one, 10) for one in QUESTIONS]
        return [effort(connection, one) for one in (*asked, partial(index.get, connection, MARIE))]
