"""The register of oppositions on each database: by number, by traits, with all or with mailboxes named (TOU-A10, TOU-F08)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from gateway.medical.register_key import RegisterKey
from gateway.medical.registers import ANYBODY, SCOPES, Exchange, PatientRegisters, Person, Wish
from gateway.medical.tables import opposition_key, opposition_trace
from hprim.dates import PartialDate
from hprim.model import InsId, Patient, Place, Source, Traits
from hprim.strict import recorded
from mailboxes.commit import Committer, Reading
from mailboxes.engine import open_database
from mailboxes.keys import LocalMasterKey
from mailboxes.unit import NoJournal
from tests.hprim.builders import ARC, NUMBER, OTHER_NUMBER

ANGE, ANGE_IN_USE, LUC = "MARTIN|ANGE|1961-02-14|F", "PETIT|ANGE|1961-02-14|F", "MARTIN|LUC|1961-02-14|M"
BORN = PartialDate(1961, 2, 14)
PAUL = "paul@op-b.mssante.test"
EVERYTHING = Wish()
ALL, NONE = frozenset({ANYBODY}), frozenset()


@dataclass
class Bench:
    registers: PatientRegisters
    committer: Committer
    reading: Reading

    async def add(self, person: Person, wish: Wish = EVERYTHING) -> bool:
        return await self.committer.run(lambda unit: self.registers.object_to(unit, person, wish, "L-1", "operator:x"))

    async def remove(self, person: Person, wish: Wish = EVERYTHING) -> bool:
        return await self.committer.run(lambda unit: self.registers.withdraw(unit, person, wish, "operator:x"))

    async def ask(self, *traits: str, numbers: tuple[str, ...] = (), scope: str = "professionals") -> frozenset[str]:
        asked = Exchange(frozenset(numbers), frozenset(traits), frozenset({scope}))
        return (await self.registers.opposed(asked)).sure


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    database = open_database(database_url)
    database.create_tables()
    committer = Committer(database, journal=NoJournal(), clock=lambda: 1_772_442_000.0)
    reading = Reading(database)
    yield Bench(PatientRegisters(reading, RegisterKey(LocalMasterKey(bytes(32)))), committer, reading)
    await committer.close()
    await reading.close()
    database.dispose()


async def test_a_patient_is_found_under_his_number_and_under_his_traits(bench: Bench) -> None:
    assert await bench.ask(ANGE, numbers=(NUMBER,)) == NONE
    assert await bench.add(Person(NUMBER, (ANGE, ANGE_IN_USE)))
    assert not await bench.add(Person(NUMBER, (ANGE,)))
    for asked in ((ANGE,), (ANGE_IN_USE,), (LUC, ANGE)):
        assert await bench.ask(*asked) == ALL
    assert await bench.ask(numbers=("x", NUMBER)) == ALL
    assert await bench.ask(LUC, numbers=(OTHER_NUMBER, "x")) == NONE
    lines = await bench.reading.run(bench.registers.listed)
    assert [(line.known_by, line.scope, line.professional) for line in lines] == [
        (("number", "traits"), scope, ANYBODY) for scope in SCOPES
    ]


async def test_what_is_taken_back_under_one_name_is_taken_back_under_all(bench: Bench) -> None:
    await bench.add(Person(NUMBER))
    await bench.add(Person(NUMBER, (ANGE, ANGE_IN_USE)))
    assert await bench.remove(Person(traits=(ANGE_IN_USE,)), Wish(scopes=("patient",)))
    assert await bench.ask(ANGE, numbers=(NUMBER,), scope="patient") == NONE
    assert await bench.ask(ANGE) == ALL
    assert await bench.remove(Person(NUMBER))
    assert await bench.ask(ANGE, ANGE_IN_USE, numbers=(NUMBER,)) == NONE
    assert not await bench.remove(Person(NUMBER))


async def test_a_professional_is_forbidden_by_name(bench: Bench) -> None:
    await bench.add(Person(traits=(ANGE,)), Wish(addresses=(PAUL,)))
    assert await bench.ask(ANGE) == {PAUL}
    assert await bench.ask(LUC) == NONE
    assert not await bench.remove(Person(traits=(ANGE,)))
    assert await bench.ask(ANGE) == {PAUL}
    assert await bench.committer.run(lambda unit: bench.registers.forbidden(unit, Person(traits=(ANGE,)))) == (PAUL,)
    await bench.add(Person(traits=(ANGE,)))
    assert await bench.ask(ANGE) == {PAUL, ANYBODY}
    assert await bench.remove(Person(traits=(ANGE,)), Wish(addresses=(PAUL,)))
    assert await bench.ask(ANGE) == ALL


async def test_a_batch_of_many_patients_is_looked_up_whole(bench: Bench) -> None:
    await bench.add(Person(traits=(ANGE,)))
    assert await bench.ask(*(f"{LUC}{i}" for i in range(1_800)), ANGE) == ALL


async def test_nobody_cannot_object(bench: Bench) -> None:
    with pytest.raises(ValueError, match="nobody"):
        await bench.add(Person())


KNOWN = Traits("GARCIA LOPEZ", "", "MARTIN", "Marie-Ange", birth_date=PartialDate(1961, 2, 14), sex="F")
OBJECTOR = Person(NUMBER, recorded(KNOWN), KNOWN)


ALIKE: list[tuple[dict[str, object], bool]] = [
    ({"surname": "MARTINE"}, True),
    ({"surname": "GARCIA"}, True),
    ({"surname": "LOPEZ GARCIA"}, True),
    ({"first_name": "MARIE ANJE"}, True),
    ({"first_name": "ANGE MARIE"}, True),
    ({"birth_date": PartialDate(1961)}, True),
    ({"birth_date": PartialDate(1961, 12, 31)}, True),
    ({"birth_date": PartialDate(1961, 2, 15)}, True),
    ({"surname": "MARIE ANGE", "first_name": "GARCIA LOPEZ"}, True),
    ({"surname": "MARTINE", "birth_date": PartialDate(1961, 2, 15)}, False),
    ({"surname": "DURAND"}, False),
    ({"first_name": "LUCE"}, False),
    ({"birth_date": PartialDate(1988, 9, 1)}, False),
    ({"surname": "MARTINE", "sex": "M"}, False),
    ({"birth_date": None}, False),
]


async def test_who_looks_like_one_who_objected_is_told_apart(bench: Bench) -> None:
    """TOU-A10: an exact opposition refuses, a near one is a question; another number is another person."""
    await bench.add(OBJECTOR, Wish(addresses=(PAUL,)))

    async def ask(changes: dict[str, object], *ins: InsId) -> frozenset[str]:
        told = {"surname": "MARTIN", "first_name": "MARIE-ANGE", "birth_date": BORN, "sex": "F", **changes}
        people = (Patient(Source.CDA, Place(), Traits(**told), ins),)  # type: ignore[arg-type]
        return (await bench.registers.opposed(Exchange(NONE, NONE, frozenset({"professionals"}), people))).near

    for changes, near in ALIKE:
        assert await ask(changes) == ({PAUL} if near else NONE), changes
        assert await ask(changes, InsId(ARC + "8", OTHER_NUMBER)) == NONE
    assert await bench.remove(OBJECTOR, Wish(addresses=(PAUL,)))
    assert await ask(ALIKE[0][0]) == NONE


async def test_what_people_are_compared_by_goes_with_the_last_opposition(bench: Bench) -> None:
    await bench.add(OBJECTOR)
    await bench.add(OBJECTOR, Wish(addresses=(PAUL,)))
    for wish, left in ((EVERYTHING, 1), (Wish(addresses=(PAUL,)), 0)):
        await bench.remove(OBJECTOR, wish)
        rows = await bench.reading.run(lambda connection: connection.execute(opposition_trace.select()).all())
        keys = await bench.reading.run(lambda connection: connection.execute(opposition_key.select()).all())
        assert (len(rows), bool(keys)) == (left, bool(left))
