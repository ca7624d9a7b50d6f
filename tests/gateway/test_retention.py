"""Retention of the journal: cut at its old end, part by part, each cut recorded (MSS-145, TOU-F02)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.record import journal, retention
from gateway.settings import Journal
from gateway.settings.units import DAY
from mailboxes.commit import Committer, Reading
from mailboxes.engine import Database, open_database
from policies.events import Event, Kind
from tests import stores

START = 1_700_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path}/caducee.db")
    opened.create_tables()
    yield opened
    opened.dispose()


def test_the_longer_of_the_two_durations_is_kept() -> None:
    assert retention.kept(Journal(technical=400 * DAY, functional=900 * DAY)) == 900 * DAY


async def test_what_is_too_old_leaves_and_the_purge_is_on_record(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The purge itself is traced (MSS-144)."""
    monkeypatch.setattr(retention, "MOST", 2)
    clock = Clock()
    committer, reading = Committer(database, journal=journal.Journal(), clock=clock), Reading(database)
    for _ in range(5):
        await committer.run(lambda unit: unit.emit(Event(Kind.STARTED, detail={"roles": ["imap"]})))
        clock.now += DAY
    age = 2.5 * DAY
    assert await reading.run(lambda connection: retention.due(connection, age, clock.now)) == 3
    assert await retention.purge(committer, reading, age, clock.now, "operator:someone") == 3
    assert await retention.purge(committer, reading, age, clock.now) == 0
    left = await reading.run(journal.read)
    assert [record.kind for record in left] == ["service.started"] * 2 + ["service.purged"] * 2
    assert [record.detail["count"] for record in left[2:]] == [2, 1]
    assert {record.actor for record in left[2:]} == {"operator:someone"}
    assert left[2].detail["before"] == "2023-11-17T10:13:20+00:00"
    assert await reading.run(journal.verify) is None
    await committer.close()


async def test_a_clock_that_jumped_years_takes_no_evidence(database: Database) -> None:
    """F16: a machine that starts in 2037 has not been silent for years; what it wrote before stays until its time has passed."""
    clock = Clock()
    committer, reading = Committer(database, journal=journal.Journal(), clock=clock), Reading(database)

    async def started() -> None:
        await committer.run(lambda unit: unit.emit(Event(Kind.STARTED, detail={"roles": ["imap"]})))

    await started()
    clock.now += 4000 * DAY
    assert (
        await retention.purge(committer, reading, 3650 * DAY, clock.now) == 0
    )  # the only record, and years of nothing
    await started()
    assert await retention.purge(committer, reading, 3650 * DAY, clock.now) == 0
    for _ in range(74):
        clock.now += 50 * DAY
        await started()
    assert await retention.purge(committer, reading, 3650 * DAY, clock.now) == 2  # both of the first, in their time
    await committer.close()
    await reading.close()


@pytest.mark.parametrize("old", [400, 4000])
def test_a_cut_reads_what_it_removes_and_not_all_that_is_old(database: Database, old: int) -> None:
    """It is a write transaction: with a year to remove, part by part, each one held all mail while it read the year."""
    committer = Committer(database, journal=journal.Journal(), clock=Clock())
    started = Event(Kind.STARTED, detail={"roles": ["imap"]})
    committer.run_sync(lambda unit: unit.emit(*[started] * old))
    committer.close_sync()
    with database.writer.begin() as connection:
        cost = stores.effort(connection, lambda: journal.prune(connection, int((START + DAY) * 1e6), 0, most=100))
        assert journal.older(connection, int((START + DAY) * 1e6)) == old - 100
    assert cost < 40
