"""The directory in SQL answers as its twin in memory does, on either database (MSS-121, MSS-131)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, true
from sqlalchemy import insert as sql_insert

from directory.entry import Entry, Source
from directory.index import MOST, Index, put
from directory.reconcile import EMPTY
from directory.search import (
    TEXTS,
    Answer,
    Condition,
    Directory,
    Every,
    Field,
    MemoryDirectory,
    Not,
    Some,
    Way,
    folded,
    words,
)
from directory.tables import FOR_EVER, NATIONAL, entry, source
from mailboxes.engine import Database, open_database
from tests.directory.test_search import HOPITAL, MARTIN

GENERATION = 5


@dataclass
class Stored:
    """The index over one database, with the national generation 5 in force."""

    database: Database

    def __post_init__(self) -> None:
        self.index = Index(true())
        self.database.create_tables()
        self.fill(())
        with self.database.turn(), self.database.writer.begin() as connection:
            row = {**EMPTY, "name": Source.NATIONAL.value, "generation": GENERATION}
            connection.execute(sql_insert(source), row)

    def fill(self, entries: Sequence[Entry], since: int = 1, until: int = FOR_EVER) -> None:
        owners = [NATIONAL if one.source is Source.NATIONAL else number for number, one in enumerate(entries, 1)]
        with self.database.turn(), self.database.writer.begin() as connection:
            connection.execute(delete(entry))
            put(connection, entries, owners, since, until)

    async def find(self, condition: Condition, limit: int) -> Answer:
        with self.database.turn(), self.database.reader.begin() as connection:
            return self.index.find(connection, condition, limit)

    async def get(self, address: str) -> Entry | None:
        with self.database.turn(), self.database.reader.begin() as connection:
            return self.index.get(connection, address)


@pytest.fixture
def stored(database_url: str) -> Iterator[Stored]:
    database = open_database(database_url)
    yield Stored(database)
    database.dispose()


async def agree(one: Directory, other: Directory, condition: Condition, limit: int = 50) -> None:
    assert await one.find(condition, limit) == await other.find(condition, limit), condition


HOSTILE = Entry(
    address="100%_sure\\'\"@op-a.mssante.test",
    type="ORG",
    organisation='50 % "AND" NOT * OR (NEAR) a_b',
    service="x\\y \\% \\_",
    source=Source.NATIONAL,
)


HOSTILE_QUESTIONS: tuple[Condition, ...] = (
    *[Field("organisation", way, text) for way in Way for text in ("%", "_", "*", '"', '50 % "a', "\\", "NOT")],
    *[Field("service", way, text) for way in Way for text in ("\\%", "\\_", "x\\y", "x_y", "x%")],
    *[Field("name", way, text) for way in Way for text in ("\0", "a\0b", "\ud800abc", "x" * 5000, "\n\n\n", "\n \n")],
    Not(Field("name", Way.IS, "\0")),
    Every((Some(()), Field("name", Way.CONTAINS, "martin"))),
    Some((Field("name", Way.CONTAINS, "martin"), Field("family", Way.PRESENT))),
    Every((Field("family", Way.CONTAINS, "artin"), Not(Field("given", Way.CONTAINS, "lise")))),
    Field("address", Way.IS, "elise.martin-durand@OP-A.mssante.test"),
    words("elise cardio 080"),
    words('a" OR "b'),
    words(""),
)


async def test_hostile_questions(stored: Stored) -> None:
    entries = (HOPITAL, MARTIN, HOSTILE)
    stored.fill(entries)
    for condition in HOSTILE_QUESTIONS:
        await agree(stored, MemoryDirectory(entries), condition)


SHORT = st.text(st.sampled_from("abcAÉœ-' .@%_*\"\\19"), max_size=7)
ADDRESSES = st.from_regex(r"[a-c.%_']{1,6}@op-[ab]\.mssante\.test", fullmatch=True)
ENTRIES = st.builds(
    Entry,
    address=ADDRESSES,
    type=st.sampled_from(("PER", "ORG", "APP", "CAB")),
    source=st.sampled_from(Source),
    **{name: SHORT for name in TEXTS if name not in ("address", "type", "name")},
    rank=st.integers(0, 3),
    paperless=st.sampled_from((None, True, False)),
)
FIELDS = st.builds(Field, st.sampled_from(TEXTS), st.sampled_from(Way), SHORT)


def _wider(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(inner, max_size=3).map(tuple)
    return st.one_of(st.builds(Every, several), st.builds(Some, several), st.builds(Not, inner))


CONDITIONS: st.SearchStrategy[Condition] = st.recursive(FIELDS, _wider, max_leaves=6)


@given(entries=st.lists(ENTRIES, max_size=6, unique_by=lambda one: one.address.lower()), data=st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_questions_have_the_same_answers(stored: Stored, entries: list[Entry], data: st.DataObject) -> None:
    stored.fill(entries)
    twin = MemoryDirectory(entries)
    for _ in range(5):
        condition = data.draw(CONDITIONS)
        asyncio.run(agree(stored, twin, condition, data.draw(st.integers(0, 4))))


@given(st.text(max_size=20))
def test_folding_again_changes_nothing(text: str) -> None:
    assert folded(folded(text)) == folded(text)


async def test_only_the_generation_in_force_answers(stored: Stored) -> None:
    """A list is seen whole or not at all (MSS-127); own mailboxes have no generation."""
    national = [Entry(address="a@op-b.mssante.test", type="PER", source=Source.NATIONAL)]
    for since, until, seen in ((6, FOR_EVER, 0), (1, GENERATION, 0), (GENERATION, 6, 1), (1, FOR_EVER, 1)):
        stored.fill(national, since, until)
        assert len((await stored.find(Every(()), 5)).entries) == seen
        assert (await stored.get("A@op-b.mssante.test") is not None) is bool(seen)
    stored.fill([MARTIN], 0)
    assert await stored.get(MARTIN.address) == MARTIN


async def test_an_answer_is_bounded_whatever_is_asked(stored: Stored) -> None:
    """MSS-130."""
    stored.fill([Entry(address=f"a{number}@op-a.mssante.test", type="PER") for number in range(MOST + 1)])
    answer = await stored.find(words("op-a"), 10 * MOST)
    assert answer.entries == ()
    answer = await stored.find(Field("address", Way.CONTAINS, "op-a"), 10 * MOST)
    assert (len(answer.entries), answer.more) == (MOST, True)
    assert (await stored.find(Every(()), -1)).entries == ()


async def test_where_the_trigrams_leave_many_the_entries_are_walked(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [
        Entry(address=f"a{number}@op-a.mssante.test", type="PER", family=f"Martin{number}") for number in range(9)
    ]
    stored.fill(entries)
    for few, walk in ((2, 100), (2, 4), (2, 1), (100, 100)):
        monkeypatch.setattr("directory.index.FEW", few)
        monkeypatch.setattr("directory.index.WALK", walk)
        stored.index = Index(true())
        await agree(stored, MemoryDirectory(entries), words("martin"), 3)
        await agree(stored, MemoryDirectory(entries), words("martin8"), 3)
        await agree(stored, MemoryDirectory(entries), words("ma"), 9)
        await agree(stored, MemoryDirectory(entries), words("zq"), 3)
