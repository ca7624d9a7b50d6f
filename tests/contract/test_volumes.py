"""What our senders wrote lately: the same counts whoever asks, in which process and after which restart; and its twin."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import pytest

import gateway.volume_tables  # noqa: F401 - before the tables are created
from gateway.volumes import HOUR, MemoryLedger, SqlLedger, Volumes, forget
from mailboxes.commit import Unit
from mailboxes.sqlstore import SqlStore
from policies.values import Address

ALICE = "alice@op-a.mssante.test"


def people(*names: str) -> list[Address]:
    return [Address(name, "op-b.mssante.test") for name in names]


@dataclass
class Clocks:
    wall: float = 1_772_442_000.0
    steady: float = 50.0

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def monotonic(self) -> float:
        """Never the same twice, as with the real one: whether a read began before an end is told by it."""
        self.steady += 1e-6
        return self.steady


@dataclass
class House:
    """One ledger, as many counting processes as wanted, and who commits."""

    process: Callable[[], Volumes]
    commit: Callable[..., object]
    clocks: Clocks

    async def send(self, process: Volumes, content: bytes, *names: str, sender: str = ALICE, accepted: bool = True):
        """One whole message."""
        counted = await process.count(sender, content, people(*names))
        if accepted:
            await self.commit(lambda unit: [note(unit) for note in counted.also])
        counted.end(accepted)
        return counted.before


@pytest.fixture(params=["twin", "database"])
async def house(request: pytest.FixtureRequest, store: SqlStore) -> House:
    ledger = MemoryLedger() if request.param == "twin" else SqlLedger(store.reading)
    clocks = Clocks()
    return House(lambda: Volumes(ledger, lambda: clocks.wall, clocks.monotonic), store.committer.run, clocks)


async def test_what_one_process_accepted_the_others_count_and_so_does_the_next_life(house: House) -> None:
    """TOU-A06, F77: whichever process a session falls into, the same thresholds."""
    first, second = house.process(), house.process()
    await house.send(first, b"a", "b1", "b2", "postmaster")
    await house.send(second, b"a", "b2", "b3")
    await house.send(second, b"c", "b9", sender="paul@op-a.mssante.test")
    for process in (first, second, house.process()):
        before = (await process.count(ALICE, b"a", people("b4"))).before
        assert (before.messages_last_hour, before.recipients_last_hour, before.same_content) == (2, 4, 3)


async def test_what_was_refused_is_given_back_and_an_hour_forgets(house: House) -> None:
    process = house.process()
    await house.send(process, b"a", "b1", accepted=False)
    before = await house.send(process, b"a", "b1", "b2")
    assert (before.messages_last_hour, before.recipients_last_hour, before.same_content) == (0, 0, 0)
    house.clocks.pass_(HOUR - 1)
    assert (await house.send(process, b"b", accepted=False)).recipients_last_hour == 2
    house.clocks.pass_(2)
    before = await house.send(process, b"a", accepted=False)
    assert (before.recipients_last_hour, before.same_content) == (0, 0)


async def test_who_was_written_to_is_told_to_nobody_without_the_key(store: SqlStore) -> None:
    """Numbers of patients are few enough to try them all: processes with the key agree, another key finds nothing."""
    patient = Address("279039999900003", "patient.mssante.fr")
    alike = [Volumes(SqlLedger(store.reading), lambda: 1e9, lambda: 1.0, key * 32) for key in (b"k", b"k", b"o", b"")]
    counted = await alike[0].count(ALICE, b"a", [patient])
    await store.committer.run(lambda unit: [note(unit) for note in counted.also])
    [marks] = await store.reading.run(lambda c: c.exec_driver_sql("SELECT marks FROM volume").scalars().all())
    assert bytes(marks) != hashlib.blake2b(patient.key.encode(), digest_size=8).digest()
    assert [one.mark(patient) == bytes(marks) for one in alike] == [True, True, False, False]


async def test_attempts_under_way_count_and_none_counts_twice(house: House) -> None:
    """Twenty sessions at once do not pass one threshold twenty times."""
    process = house.process()
    under_way = [await process.count(ALICE, b"a", people(f"b{number}")) for number in range(20)]
    assert [one.before.same_content for one in under_way] == list(range(20))
    for one in under_way:
        await house.commit(lambda unit, one=one: [note(unit) for note in one.also])
        one.end(True)
    assert (await house.send(process, b"a", accepted=False)).recipients_last_hour == 20
    one, two = await asyncio.gather(*(house.send(process, b"z", f"c{number}") for number in range(2)))
    assert {one.same_content, two.same_content} == {0, 1}


async def test_a_clock_that_jumps_keeps_nobody_out(house: House) -> None:
    """F16: rows from a time that has not come, and rows of before, judge nobody for long."""
    process = house.process()
    house.clocks.wall += 5 * 86400
    await house.send(process, b"a", "b1")
    house.clocks.wall -= 5 * 86400
    house.clocks.steady += 60
    assert (await house.send(process, b"a", "b2")).recipients_last_hour == 0
    assert (await house.send(process, b"a", "b3")).recipients_last_hour == 1


async def test_a_mailbox_over_its_rate_hears_so_for_a_moment(house: House) -> None:
    process = house.process()
    assert not process.is_shut(ALICE)
    process.shut(ALICE)
    assert process.is_shut(ALICE)
    house.clocks.steady += 31
    assert not process.is_shut(ALICE)


async def test_old_rows_are_removed_and_the_memory_is_let_go(store: SqlStore) -> None:
    ledger, clocks = SqlLedger(store.reading), Clocks()
    process = Volumes(ledger, lambda: clocks.wall, clocks.monotonic)

    def write(unit: Unit, notes) -> None:
        for note in notes:
            note(unit)

    for number in range(50):
        counted = await process.count(f"s{number}@op-a.mssante.test", b"x", people("b"))
        await store.committer.run(lambda unit, notes=counted.also: write(unit, notes))
        counted.end(True)
        clocks.pass_(100)
    assert len(process._under_way) == 50  # a word each, until the sender writes again
    assert not [held for held in process._under_way.values() if len(held) > 1]
    await store.committer.run(forget)
    left = await store.reading.run(
        lambda connection: connection.exec_driver_sql("SELECT count(*) FROM volume").scalar_one()
    )
    assert left == 0  # written long ago, by the clock of the store
