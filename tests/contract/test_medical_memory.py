"""What mailboxes remember of patients and documents, on each database and in the twin without one (HID-090 to HID-099, TOU-F09)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from gateway.medical.memory import Memory, MemoryHere, StoredMemory, counted, forget_closed
from gateway.medical.met import Met, Person, bare
from gateway.medical.register_key import RegisterKey
from gateway.medical.tables import seen_document, seen_patient
from hprim.history import DocumentMark
from hprim.model import Identifier, Patient, Traits
from mailboxes.commit import Committer, Reading
from mailboxes.engine import open_database
from mailboxes.keys import LocalMasterKey
from mailboxes.tables import mailbox_key
from mailboxes.unit import NoJournal, Unit
from policies.patient import Said
from tests import stores
from tests.hprim.builders import NUMBER, OTHER_NUMBER
from tests.hprim.test_rules import person

DAY = 24 * 3600.0
LABO = "labo.test"


@dataclass
class Bench:
    """A memory, and the transactions it takes part in."""

    memory: Memory
    committer: Committer
    reading: Reading
    now: list[float] = field(default_factory=lambda: [1_772_442_000.0])

    async def meet(self, met: Met, *mailboxes: int, issuer: str = LABO) -> None:
        await self.committer.run(self.memory.remember(mailboxes or (1,), met, issuer))

    async def ask(self, met: Met, *mailboxes: int, issuer: str = LABO) -> list[str]:
        return [one.rule for one in await self.memory.consult(mailboxes or (1,), met, issuer)]


@pytest.fixture(params=["twin", "memory", "file", pytest.param("postgres", marks=pytest.mark.postgres)])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    urls = {"file": f"sqlite:///{tmp_path}/caducee.db"}
    if request.param == "postgres":
        urls["postgres"] = request.getfixturevalue("postgres_url")
    database = open_database(urls.get(request.param, "sqlite://"))
    database.create_tables()
    now = [1_772_442_000.0]
    committer = Committer(database, journal=NoJournal(), clock=lambda: now[0])
    reading = Reading(database)
    stored = StoredMemory(reading, RegisterKey(LocalMasterKey(bytes(32))))
    yield Bench(MemoryHere() if request.param == "twin" else stored, committer, reading, now)
    await committer.close()
    await reading.close()
    database.dispose()


def about(patient: Patient, *documents: DocumentMark) -> Met:
    place = Said("ici", "here")
    return Met((Person(bare(patient), place, place),), documents, ((place, place),) * len(documents))


def code(patient: Patient, number: str, root: str = "") -> Patient:
    return replace(patient, ids=(*patient.ids, Identifier(root, number)))


async def test_a_patient_met_for_the_first_time_says_nothing(bench: Bench) -> None:
    assert await bench.ask(about(person())) == []
    await bench.meet(about(person()))
    assert await bench.ask(about(person())) == []


async def test_one_number_with_two_identities_is_a_collision_in_its_mailbox_only(bench: Bench) -> None:
    await bench.meet(about(person()), 1, 2)
    other = about(person(surname="DURAND", first="PAUL"))
    assert await bench.ask(other, 1) == ["HID-091"]
    assert await bench.ask(other, 2) == ["HID-091"]
    assert await bench.ask(other, 3) == []
    assert await bench.ask(other, 3, 2) == ["HID-091"]
    assert await bench.ask(about(person(surname="LEFEBVRE"))) == []  # one slip is to check, not a collision


async def test_the_same_traits_under_another_number(bench: Bench) -> None:
    await bench.meet(about(person()))
    assert await bench.ask(about(person(number=OTHER_NUMBER))) == ["HID-092"]


async def test_homonyms_duplicates_and_twins_without_number(bench: Bench) -> None:
    nobody = person(number="", sex="")
    await bench.meet(about(code(nobody, "A100")))
    assert await bench.ask(about(code(nobody, "A100"))) == []
    assert await bench.ask(about(code(nobody, "B200"))) == ["HID-093"]
    assert await bench.ask(about(code(nobody, "B200")), issuer="autre.test") == []
    twin = person(number="", sex="", first="MARIE")
    assert await bench.ask(about(code(twin, "B200"))) == ["HID-095"]
    near = person(number="", sex="", first="ANDREA")
    assert await bench.ask(about(code(near, "B200"))) == ["HID-090"]


async def test_a_document_number_used_for_somebody_else(bench: Bench) -> None:
    first, second = DocumentMark("cda:1.2.3", "set:1.2.0", 1, (), "aa"), DocumentMark("cda:1.2.4", "set:1.2.0", 2)
    await bench.meet(about(person(), first))
    other = person(surname="DURAND", first="PAUL", number=OTHER_NUMBER)
    assert await bench.ask(about(other, first)) == ["HID-096"]
    assert await bench.ask(about(other, second)) == ["HID-096"]
    replacing = DocumentMark("cda:9.9", "", 0, ("cda:1.2.3",))
    assert await bench.ask(about(other, replacing)) == ["HID-096"]
    assert await bench.ask(about(person(), replacing)) == []


async def test_file_numbers_are_their_senders_own(bench: Bench) -> None:
    mark = DocumentMark("hprim-medecins:506232::LABO")
    await bench.meet(about(person(), mark))
    other = about(person(surname="DURAND", first="PAUL", number=OTHER_NUMBER), mark)
    assert await bench.ask(other) == ["HID-096"]
    assert await bench.ask(other, issuer="autre.test") == []


async def test_versions_follow_each_other(bench: Bench) -> None:
    first = DocumentMark("cda:1.2.3", "set:1.2.0", 1, (), "aa")
    await bench.meet(about(person(), first))
    assert await bench.ask(about(person(), first)) == ["HID-098"]
    assert await bench.ask(about(person(), replace(first, content="bb"))) == ["HID-099"]
    third = DocumentMark("cda:1.2.5", "set:1.2.0", 3, (), "cc")
    assert await bench.ask(about(person(), third)) == []
    await bench.meet(about(person(), third))
    late = DocumentMark("cda:1.2.4", "set:1.2.0", 2, (), "dd")
    assert await bench.ask(about(person(), late)) == ["HID-099"]
    await bench.meet(about(person(), late))  # accepted all the same: the newest stays the newest
    assert await bench.ask(about(person(), replace(late, own="cda:1.2.6"))) == ["HID-099"]


async def test_a_batch_is_remembered_person_by_person(bench: Bench) -> None:
    one, two = about(person()).people[0], about(person(surname="DURAND", number=OTHER_NUMBER)).people[0]
    await bench.meet(Met((one, two), (DocumentMark("hprim-medecins:1234::L"),), ((one.place, one.told),)))
    swapped = [replace(one.patient, ins=two.patient.ins), replace(two.patient, ins=one.patient.ins)]
    assert sorted(await bench.ask(about(swapped[0]))) == ["HID-091", "HID-092"]
    assert sorted(await bench.ask(about(swapped[1]))) == ["HID-091", "HID-092"]
    assert await bench.ask(about(person(), DocumentMark("hprim-medecins:1234::L"))) == []


async def test_an_operator_forgets_a_number(bench: Bench) -> None:
    await bench.meet(about(person(), DocumentMark("cda:1.2.3", "", 1, (), "aa")), 1, 2)
    other = about(person(surname="DURAND", first="PAUL"))
    assert await bench.committer.run(lambda unit: bench.memory.forget(unit, [NUMBER], [2])) == 1
    assert await bench.ask(other, 1) == ["HID-091"]
    assert await bench.ask(other, 2) == []
    assert await bench.committer.run(lambda unit: bench.memory.forget(unit, [NUMBER])) == 1
    assert await bench.ask(other, 1) == []
    assert await bench.ask(about(person(), DocumentMark("cda:1.2.3", "", 1, (), "aa"))) == []
    assert await bench.committer.run(lambda unit: bench.memory.forget(unit, [OTHER_NUMBER])) == 0


async def test_what_is_not_met_again_is_purged(bench: Bench) -> None:
    start = bench.now[0]
    await bench.meet(about(person(), DocumentMark("cda:1.2.3", "", 1, (), "aa")))
    bench.now[0] = start + 100 * DAY
    await bench.meet(about(person(number=OTHER_NUMBER, surname="DURAND")))
    cut = start + 50 * DAY
    assert await bench.committer.run(lambda unit: bench.memory.purge(unit, cut)) == 1  # with his document
    assert await bench.committer.run(lambda unit: bench.memory.purge(unit, cut)) == 0
    assert await bench.ask(about(person(surname="MARTIN"))) == []
    assert await bench.ask(about(person(surname="MARTIN", number=OTHER_NUMBER))) == ["HID-091"]


async def test_purging_finds_the_documents_of_a_patient_without_reading_them_all(bench: Bench) -> None:
    if isinstance(bench.memory, MemoryHere):
        pytest.skip("the twin has no database")

    def rows(size: int) -> list[dict[str, object]]:
        return [{"mailbox_id": 1, "mark": number.to_bytes(16), "at": 1} for number in range(size)]

    def fill(unit: Unit) -> None:
        unit.connection.execute(insert(seen_patient), [{**row, "trace": b"x"} for row in rows(500)])
        documents = [{**row, "key": row["mark"], "version": 0, "content": b"", "at": 9} for row in rows(30_000)]
        unit.connection.execute(insert(seen_document), documents)

    await bench.committer.run(fill)
    started = time.perf_counter()
    assert await bench.committer.run(lambda unit: bench.memory.purge(unit, 5)) == 500
    assert time.perf_counter() - started < 2  # 20 s when each patient's documents are looked for among all


async def test_what_closed_mailboxes_remembered_is_found_without_reading_what_the_others_do(bench: Bench) -> None:
    if isinstance(bench.memory, MemoryHere):
        pytest.skip("the twin has no database")

    def rows(mailbox: int, size: int) -> list[dict[str, object]]:
        return [{"mailbox_id": mailbox, "mark": number.to_bytes(16), "trace": b"x", "at": 1} for number in range(size)]

    def fill(unit: Unit) -> None:
        unit.connection.execute(insert(mailbox_key), {"mailbox_id": 1, "wrapped": b"x", "created_at": 1})
        unit.connection.execute(insert(seen_patient), [*rows(0, 3), *rows(1, 5000), *rows(2, 4)])

    await bench.committer.run(fill)
    assert await bench.committer.run(lambda unit: stores.effort(unit.connection, lambda: forget_closed(unit))) < 20
    assert await bench.committer.run(forget_closed) == 0
    assert (await bench.reading.run(counted))[0] == 5003  # the operator's own and those of who is still there


async def test_a_patient_met_again_is_kept(bench: Bench) -> None:
    start = bench.now[0]
    for day in range(0, 300, 100):
        bench.now[0] = start + day * DAY
        await bench.meet(about(person()))
    await bench.committer.run(lambda unit: bench.memory.purge(unit, start + 150 * DAY))
    assert await bench.ask(about(person(surname="DURAND"))) == ["HID-091"]


async def test_nothing_of_a_message_that_is_not_accepted_is_remembered(bench: Bench) -> None:
    def failing(unit: object) -> None:
        bench.memory.remember((1,), about(person()), LABO)(unit)  # type: ignore[arg-type]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await bench.committer.run(failing)
    assert await bench.ask(about(person(surname="DURAND"))) == []


async def test_no_identity_is_in_the_database_in_clear(bench: Bench) -> None:
    if isinstance(bench.memory, MemoryHere):
        pytest.skip("the twin has no database")
    patient = replace(code(person(), "IPP42"), traits=Traits("LEFEVRE", "DURAND", "", "ANDREE", birth_place="38185"))
    await bench.meet(about(patient, DocumentMark("cda:1.2.250.99.7", "set:1.2.250.99.0", 1, (), "aa" * 32)))

    def everything(connection: object) -> str:
        tables = ("seen_patient", "seen_key", "seen_document")
        rows = [row for table in tables for row in connection.execute(text(f"SELECT * FROM {table}"))]  # type: ignore[attr-defined]
        return repr([[bytes(value) if isinstance(value, memoryview) else value for value in row] for row in rows])

    held = await bench.reading.run(everything)
    for private in ("LEFEVRE", "DURAND", "ANDREE", "38185", NUMBER, "IPP42", "1.2.250.99", "aaaa"):
        assert private not in held, private
    assert (await bench.reading.run(counted))[:2] == (1, 2)


async def test_two_processes_make_one_key(shared_url: str) -> None:
    """The first entry of each makes the key: one wins, and both remember under it."""
    database = open_database(shared_url)
    database.create_tables()
    other = open_database(shared_url)
    committers = [Committer(one, journal=NoJournal(), clock=lambda: 0.0) for one in (database, other)]
    readings = [Reading(one) for one in (database, other)]
    memories = [StoredMemory(reading, RegisterKey(LocalMasterKey(bytes(32)))) for reading in readings]
    for committer, memory, surname in zip(committers, memories, ("LEFEVRE", "DURAND"), strict=True):
        await committer.run(memory.remember((1,), about(person(surname=surname)), LABO))
    for memory in memories:
        found = await memory.consult((1,), about(person(surname="MARTIN")), LABO)
        assert [one.rule for one in found] == ["HID-091"]
    for committer, reading in zip(committers, readings, strict=True):
        await committer.close()
        await reading.close()
    database.dispose()
    other.dispose()
