"""A list of entries takes the place of the one before: whole or not at all, in portions, on either database (MSS-127)."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from directory import reconcile
from directory.entry import Entry
from directory.search import MemoryDirectory, words
from directory.sources.extraction import Bounds, Reader
from directory.tables import NATIONAL, entry
from gateway.directory.feed import Feed, Limits, NotTaken, status
from gateway.directory.wiring import directory
from mailboxes.store import StoreUnavailable
from tests.directory.extractions import line, people, text
from tests.mailboxes.people import DOMAIN, House


@dataclass
class Desk:
    """A house that lists are brought to, and what others see between two portions."""

    house: House
    folder: Path

    def __post_init__(self) -> None:
        self.seen: list[int] = []
        self.rests = 0
        self.breaks_at = 0
        self.path = self.folder / "list.txt"

    def rest(self, _took: float) -> None:
        self.rests += 1
        self.seen.append(self.count())
        if self.rests == self.breaks_at:
            raise KeyboardInterrupt

    def count(self) -> int:
        known = self.house.ask(status)
        return self.house.ask(lambda connection: reconcile.count(connection, _generation(connection))) if known else 0

    def rows(self) -> int:
        query = select(func.count()).select_from(entry).where(entry.c.owner == NATIONAL)
        return int(self.house.ask(lambda connection: connection.execute(query).scalar_one()))

    def bring(self, *lines: str, limits: Limits | None = None, data: bytes = b"") -> reconcile.Counts:
        self.path.write_bytes(data or text(*lines))
        return Feed(self.house, limits or Limits(), rest=self.rest).bring(self.path)

    def refused(self, *lines: str, **more: object) -> str:
        with pytest.raises(NotTaken) as problem:
            self.bring(*lines, **more)  # type: ignore[arg-type]
        known = self.house.ask(status)
        assert known.trouble == problem.value.word
        return problem.value.word


def _generation(connection: object) -> int:
    row = reconcile.known(connection)  # type: ignore[arg-type]
    assert row is not None
    return int(row.generation)


@pytest.fixture(params=["memory", "file", pytest.param("postgres", marks=pytest.mark.postgres)])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    url = {"memory": "sqlite://", "file": f"sqlite:///{tmp_path}/a.db"}.get(request.param)
    house = House(url or request.getfixturevalue("postgres_url"))
    yield Desk(house, tmp_path)
    house.close()


async def test_the_difference_is_applied(desk: Desk) -> None:
    assert desk.house.ask(status) is None
    first = desk.bring(*people(450))
    assert (first.added, first.entries) == (450, 450)
    again = desk.bring(*people(450))
    assert (again.kept, again.added, again.changed, again.removed) == (450, 0, 0, 0)
    third = desk.bring(*people(5, c17="N"), *people(440, 10), line("new@op-n.mssante.test", "Nouveau"))
    assert (third.kept, third.added, third.changed, third.removed) == (440, 1, 5, 5)
    assert (desk.count(), desk.rows()) == (446, 446)
    known = desk.house.ask(status)
    assert (known.entries, known.added, known.changed, known.removed, known.trouble) == (446, 1, 5, 5, "")
    asked = directory(desk.house)
    assert [one.family for one in (await asked.find(words("nouveau"), 5)).entries] == ["Nouveau"]
    one = await asked.get("p3@op-n.mssante.test")
    assert one is not None
    assert one.paperless is False
    assert await asked.get("p7@op-n.mssante.test") is None


def test_an_address_on_several_lines_counts_once_and_the_first_line_holds(desk: Desk) -> None:
    """169 do (mssante.md 6.5), near one another or far apart; addresses differ in case."""
    twice = [line("P1@op-n.mssante.test", "Other"), *people(450), *people(3)]
    assert desk.bring(*twice).doubled == 4
    again = desk.bring(*twice)
    assert (again.kept, again.doubled, again.entries, desk.rows()) == (450, 4, 450, 450)
    changed = desk.bring(line("P1@op-n.mssante.test", "Third"), *twice)
    assert (changed.changed, changed.doubled, desk.rows()) == (1, 5, 450)


@pytest.mark.parametrize("seed", range(3))
async def test_any_list_after_any_other_is_the_list(desk: Desk, seed: int) -> None:
    """What is in force after each import is what a reader of that file alone would know."""
    chance = random.Random(seed)
    for _ in range(3):
        lines = [line(f"p{chance.randrange(60)}@op-n.mssante.test", f"M{chance.randrange(3)}") for _ in range(500)]
        counts = desk.bring(*lines, limits=Limits(shrink=1))
        with desk.path.open("rb") as file:
            firsts: dict[str, Entry] = {}
            for one in Reader(file):
                firsts.setdefault(one.address, one)
        wanted = await MemoryDirectory(firsts.values()).find(words("m"), 100)
        assert await directory(desk.house).find(words("m"), 100) == wanted
        assert counts.entries == len(firsts) == desk.rows()


def test_nobody_ever_sees_half_a_list(desk: Desk) -> None:
    desk.bring(*people(700))
    desk.seen.clear()
    desk.bring(*people(900, 300), limits=Limits(shrink=1))
    assert set(desk.seen) == {700, 900}
    assert len(desk.seen) > 5


def test_what_is_broken_off_is_undone_by_the_next(desk: Desk) -> None:
    desk.bring(*people(700))
    desk.breaks_at = desk.rests + 3
    with pytest.raises(KeyboardInterrupt):
        desk.bring(*people(700, 100))
    assert desk.count() == 700
    counts = desk.bring(*people(690))
    assert (counts.kept, counts.removed, desk.count(), desk.rows()) == (690, 10, 690, 690)


def test_a_process_that_died_leaves_nothing_anybody_sees(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed: not even the undoing was begun. The list is free again once its time is over."""
    desk.bring(*people(700))
    with monkeypatch.context() as patch:
        patch.setattr(reconcile, "undo", lambda *_given: False)
        patch.setattr(reconcile, "release", lambda *_given: None)
        desk.breaks_at = desk.rests + 3
        with pytest.raises(KeyboardInterrupt):
            desk.bring(*people(700, 100))
    assert desk.count() == 700
    with pytest.raises(NotTaken, match="busy"):
        desk.bring(*people(700))
    desk.house.clock.pass_(reconcile.HELD_SECONDS + 1)
    assert desk.bring(*people(700)).kept == 700
    assert desk.rows() == 700


def test_a_list_that_shrinks_is_refused_until_someone_says_so(desk: Desk) -> None:
    desk.bring(*people(300))
    assert desk.refused(*people(239)) == "shrunk"
    assert (desk.count(), desk.rows()) == (300, 300)
    assert desk.bring(*people(240)).removed == 60
    assert desk.bring(*people(2), limits=Limits(shrink=1)).removed == 238


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (text(*people(500))[:-20], "truncated"),
        (text(*people(400)) + b"x" * 20_000, "line_too_long"),
        (text(*people(400)) + b"no entry\n" * 100, "bad_lines"),
        (b"<html>", "not_an_extraction"),
    ],
)
def test_a_list_that_ends_badly_changes_nothing(desk: Desk, data: bytes, word: str) -> None:
    desk.bring(*people(300))
    assert desk.refused(data=data) == word
    assert (desk.count(), desk.rows()) == (300, 300)
    assert desk.refused(*people(400), limits=replace(Limits(), bounds=Bounds(lines=399))) == "too_large"
    assert (desk.count(), desk.rows()) == (300, 300)


async def test_addresses_of_ours_are_the_registers_alone(desk: Desk) -> None:
    """On the red list here, in the extraction of yesterday (MSS-121)."""
    desk.house.person()
    desk.house.mailbox(attributes={"red_list": True})
    counts = desk.bring(*people(3), line(f"Marie.Martin@{DOMAIN}"))
    assert (counts.added, desk.rows()) == (3, 3)
    assert await directory(desk.house).get(f"marie.martin@{DOMAIN}") is None


def test_one_process_at_a_time(desk: Desk) -> None:
    inner: list[str] = []

    def rest(_took: float) -> None:
        if not inner:
            with pytest.raises(NotTaken) as problem:
                Feed(desk.house, Limits()).bring(desk.path)
            inner.append(problem.value.word)

    desk.path.write_bytes(text(*people(450)))
    assert Feed(desk.house, Limits(), rest=rest).bring(desk.path).added == 450
    assert inner == ["busy"]


def test_whoever_is_asked_to_stop_leaves_off(desk: Desk) -> None:
    desk.path.write_bytes(text(*people(450)))
    answers: Callable[[], bool] = iter([False, True, *[False] * 50]).__next__
    with pytest.raises(NotTaken, match="stopped"):
        Feed(desk.house, Limits(), rest=desk.rest, stopped=answers).bring(desk.path)
    assert desk.rows() == 0


def test_a_store_that_fails_is_said_to_fail(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not taken for a fault of the file."""

    def fail(*_given: object) -> None:
        raise StoreUnavailable("the disk is away")

    monkeypatch.setattr(reconcile.Import, "write", fail)
    with pytest.raises(StoreUnavailable):
        desk.bring(*people(3))


def test_the_trigrams_agree_with_the_entries_and_the_database_can_be_dumped(tmp_path: Path) -> None:
    house = House(f"sqlite:///{tmp_path}/a.db")
    desk = Desk(house, tmp_path)
    desk.bring(*people(300))
    desk.bring(*people(200, 50), *people(100, 250, c17="N"))
    house.close()
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("INSERT INTO directory_gram(directory_gram) VALUES ('integrity-check')")
        assert any("martin349" in line for line in connection.iterdump())
