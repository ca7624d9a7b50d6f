"""Cases, penalties and suspensions on each database: each act with its evidence and its notice, and nothing removed."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import insert, select

import gateway.record.tables
import gateway.relay.tables  # noqa: F401
from gateway.config import load
from gateway.record import journal
from gateway.relay.tables import owed
from gateway.sanctions import letters, rows, statement
from gateway.sanctions.cases import AUTOMATIC, RECIPIENT, Cases, Report
from gateway.sanctions.letters import Words
from gateway.sanctions.rows import Dossier
from gateway.sanctions.standing import AGAIN, TTL, Sanctions
from gateway.sanctions.suspensions import MOST_AT_ONCE, Subject, Suspensions, of_structure
from gateway.sanctions.wiring import keep_time
from mailboxes.account_tables import address, mailbox
from mailboxes.accounts import Refused
from mailboxes.address_columns import seal_with
from mailboxes.commit import Committer, Reading, Unit
from mailboxes.engine import Database, open_database
from mailboxes.tables import sealed_domain
from policies import penalties
from policies.penalties import CaseState, Step
from policies.values import Address, Login

DAY = 86400
MARIE, PAUL, THEIRS = "marie@op-a.mssante.test", "paul@op-a.mssante.test", "pub@op-b.mssante.test"
DESK = "assistance@op-a.mssante.test"
STRUCTURE = "1990000001"
COLLEAGUE = Address("jeanne", "op-b.mssante.test")
WORDS = Words(
    penalties.DEFAULT, DESK, "https://op-a.mssante.test/charte", "virement, référence du dossier", "Opérateur A"
)
BOSS = "operator:chef"
TEXT = """\
[operator]
name = "Test"
domains = ["op-a.mssante.test"]
hostname = "mail.op-a.mssante.test"
test_mode = true
"""


@dataclass
class Bench:
    database: Database
    committer: Committer
    reading: Reading
    now: list[float] = field(default_factory=lambda: [1_772_442_000.0])

    @property
    def cases(self) -> Cases:
        return Cases(WORDS, Suspensions(WORDS, 15 * DAY), 30 * DAY)

    async def do(self, work: Callable[[Unit], Any]) -> Any:
        return await self.committer.run(work)

    async def refused(self, work: Callable[[Unit], Any]) -> str:
        with pytest.raises(Refused) as caught:
            await self.committer.run(work)
        return caught.value.decision.rule.name

    async def open(self, subject: str = MARIE, number: int = 1, recipients: int = 5, **more: Any) -> Dossier:
        report = Report(subject, number, recipients, **more)
        return (await self.do(lambda unit: self.cases.open(unit, report, BOSS, "vu")))[0]

    async def confirmed(self, *recipients: int, subject: str = MARIE, number: int = 1) -> list[Dossier]:
        found = []
        for count in recipients:
            case = await self.open(subject, number, count)
            found.append(
                await self.do(lambda unit, case=case: self.cases.confirm(unit, case.case.number, "spam", BOSS))
            )
        return found

    async def letters(self) -> list[tuple[str, str]]:
        """Who is told, by which rule, in the order it was owed."""
        found = await self.reading.run(lambda connection: connection.execute(select(owed).order_by(owed.c.id)).all())
        return [(row.recipient, json.loads(row.entries)[0]["rule"].removeprefix("sanction.")) for row in found]

    async def events(self) -> list[tuple[str, str]]:
        found = await self.reading.run(journal.read)
        return [(record.kind, record.detail["what"]) for record in found]

    async def states(self, subject: str = MARIE) -> list[tuple[str, str]]:
        found = await self.reading.run(lambda connection: rows.suspensions(connection, subject=subject))
        return [(one.cause, one.state) for one in found]

    async def case(self, number: int) -> Dossier:
        return await self.reading.run(lambda connection: rows.get(connection, number))

    def doors(self) -> Sanctions:
        """Those of one process, which looks again when asked to."""
        return Sanctions(self.committer, self.reading, lambda: self.cases, lambda: self.now[0], lambda: self.now[0])


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with opened(database_url) as made:
        yield made


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Bench]:
    database = open_database(url)
    database.create_tables()
    now = [1_772_442_000.0]
    committer = Committer(database, journal=journal.Journal(), clock=lambda: now[0])
    reading = Reading(database)
    made = Bench(database, committer, reading, now)
    await committer.run(lambda unit: [_mailbox(unit, key) for key in (MARIE, PAUL)])
    yield made
    assert await reading.run(journal.verify) is None
    await committer.close()
    await reading.close()
    database.dispose()


def _mailbox(unit: Unit, key: str) -> None:
    texts = dict.fromkeys(("description", "service", "responsible", "phone", "state_by", "state_reason"), "")
    numbers = dict.fromkeys(("owner_id", "rank", "state_at", "created_at", "last_login_at"), 0)
    local, domain = key.split("@")
    row = {"local": local, "domain": domain, "type": "ORG", "structure": STRUCTURE, "state": "active"}
    flags = {"red_list": False, "paperless": False}
    number = unit.connection.execute(insert(mailbox), {**row, **texts, **numbers, **flags}).inserted_primary_key[0]
    given = {"key": key, "mailbox_id": number, "alias": False, "given_at": 0, "ended_at": 0}
    unit.connection.execute(insert(address), given)


def login(number: int = 1, key: str = MARIE) -> Login:
    return Login("marie", number, Address(*key.split("@")), "device")


def nobody() -> list[str]:
    return []


async def test_the_ladder_from_a_warning_to_a_suspension_and_back(bench: Bench) -> None:
    """TOU-B06, TOU-B07, TOU-B08: each step told, charged and recorded in one commit; paid, the mailbox sends again."""
    found = await bench.confirmed(5, 20, 60)
    assert [(one.case.step, one.case.amount) for one in found] == [
        (Step.WARNED, 0),
        (Step.CHARGED, 60_00),
        (Step.SUSPENDED, 1000_00),
    ]
    told = [(MARIE, "letter_warned"), (MARIE, "letter_charged"), (MARIE, "letter_suspended")]
    assert await bench.letters() == told
    assert await bench.states() == [(rows.PENALTY, rows.ACTIVE)]
    doors = bench.doors()
    refusal = await doors.judge(login(), nobody, COLLEAGUE)
    assert refusal is not None
    assert refusal.rule.name == "sanction.unpaid"
    assert "1060,00 €" in refusal.sentence("fr")
    assert await doors.judge(login(2, PAUL), nobody, COLLEAGUE) is None
    for reachable in (DESK, "Postmaster@op-a.mssante.test", "postmaster@op-b.mssante.test"):
        assert await doors.judge(login(), nobody, Address(*reachable.split("@"))) is None
    second, number = found[1].case.number, found[2].case.number
    assert (
        await bench.refused(lambda unit: bench.cases.suspensions.lift(unit, MARIE, "x", BOSS))
        == "sanction.unpaid_remains"
    )
    await bench.do(lambda unit: bench.cases.pay(unit, number, "VIR 7", BOSS))
    assert await bench.states() == [(rows.PENALTY, rows.ACTIVE)]  # the second is not paid
    await bench.do(lambda unit: bench.cases.pay(unit, second, "VIR 8", BOSS))
    assert await bench.states() == [(rows.PENALTY, rows.ENDED)]
    bench.now[0] += TTL
    assert await doors.judge(login(), nobody, COLLEAGUE) is None
    assert (await bench.letters())[3:] == [(MARIE, "letter_paid"), (MARIE, "letter_paid"), (MARIE, "letter_lifted")]
    assert await bench.refused(lambda unit: bench.cases.pay(unit, number, "VIR 7", BOSS)) == "sanction.impossible"
    assert ("account.suspension", "lifted") in await bench.events()


async def test_a_message_is_one_case_however_often_it_is_reported(bench: Bench) -> None:
    """TOU-B05."""
    message = "01KB0000000000000000000000"
    first = await bench.open(message=message, source=RECIPIENT, reporter=PAUL)
    again = Report(MARIE, 1, 5, RECIPIENT, message, 0, "jeanne@op-a.mssante.test")
    dossier, new = await bench.do(lambda unit: bench.cases.open(unit, again, BOSS))
    assert (dossier.case.number, new) == (first.case.number, False)
    acts = await bench.reading.run(lambda connection: rows.acts(connection, case=first.case.number))
    assert [(act.what, act.reason) for act in acts] == [("opened", "vu"), ("reported", "jeanne@op-a.mssante.test")]
    assert (await bench.open()).case.number != (await bench.open()).case.number
    assert await bench.letters() == []


async def test_what_a_person_dismisses_counts_for_nothing(bench: Bench) -> None:
    case = (await bench.open()).case
    await bench.do(lambda unit: bench.cases.dismiss(unit, case.number, "une vraie demande d’avis", BOSS))
    assert await bench.refused(lambda unit: bench.cases.confirm(unit, case.number, "x", BOSS)) == "sanction.impossible"
    [next_one] = await bench.confirmed(5)
    assert next_one.case.step is Step.WARNED
    assert await bench.refused(lambda unit: bench.cases.confirm(unit, 999, "x", BOSS)) == "sanction.not_found"
    other = (await bench.open()).case.number
    assert await bench.refused(lambda unit: bench.cases.confirm(unit, other, " ", BOSS)) == "lifecycle.reason_missing"


async def test_cancelling_keeps_the_trace_and_lowers_what_follows(bench: Bench) -> None:
    """TOU-B10: the third becomes the second, is no longer a reason to suspend, and the ledger says every cent."""
    first, second, third = [one.case.number for one in await bench.confirmed(5, 20, 60)]
    await bench.do(lambda unit: bench.cases.pay(unit, second, "VIR 1", BOSS))
    assert await bench.states() == [(rows.PENALTY, rows.ACTIVE)]
    _, changes = await bench.do(lambda unit: bench.cases.cancel(unit, first, "erreur de notre part", BOSS))
    assert [(one.number, one.refund) for one in changes] == [(second, 60_00), (third, 0)]
    assert [(await bench.case(n)).case.amount for n in (first, second, third)] == [0, 60_00, 300_00]
    assert (await bench.case(third)).case.step is Step.CHARGED
    assert await bench.states() == [(rows.PENALTY, rows.ENDED)]
    text = await bench.reading.run(lambda connection: statement.csv_of(connection, 0, 1 << 40))
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [
        (int(line["case"]), line["what"], int(line["charged_cents"]), int(line["received_cents"])) for line in lines
    ] == [
        (second, "confirmed", 60_00, 0),
        (third, "confirmed", 1000_00, 0),
        (second, "paid", 0, 60_00),
        (third, "lowered", -700_00, 0),
    ]
    assert {line["structure"] for line in lines} == {STRUCTURE}
    assert (await bench.letters())[-2:] == [(MARIE, "letter_lowered"), (MARIE, "letter_lifted")]


async def test_an_amount_is_adjusted_and_no_formula_reaches_the_accountant(bench: Bench) -> None:
    _, second, third = [one.case.number for one in await bench.confirmed(5, 20, 60)]
    await bench.do(lambda unit: bench.cases.adjust(unit, third, 0, "=cmd|’/c calc’!A1", BOSS))
    assert await bench.states() == [(rows.PENALTY, rows.ENDED)]  # the second is due, and suspends nobody
    await bench.do(lambda unit: bench.cases.adjust(unit, second, 12_34, "réseau moins cher", BOSS))
    text = await bench.reading.run(lambda connection: statement.csv_of(connection, 0, 1 << 40))
    assert "'=cmd" in text
    assert sum(int(line["charged_cents"]) for line in csv.DictReader(io.StringIO(text))) == 12_34
    empty = await bench.reading.run(lambda connection: statement.csv_of(connection, 0, 1))
    assert empty == ",".join(statement.COLUMNS) + "\r\n"
    told = await bench.reading.run(lambda c: bench.cases.letter(c, rows.get(c, second)))
    assert "12,34 €" in letters.text(told.rule.name, told.parameters)


async def test_what_was_paid_too_much_is_told_to_be_given_back(bench: Bench) -> None:
    """TOU-B10: adjusted down or cancelled after it was paid; never adjusted up, and nothing is said where nothing was paid."""
    _, second = [one.case.number for one in await bench.confirmed(5, 20)]
    await bench.do(lambda unit: bench.cases.pay(unit, second, "VIR 1", BOSS))
    assert await bench.refused(lambda unit: bench.cases.adjust(unit, second, 60_01, "x", BOSS)) == "sanction.impossible"
    await bench.do(lambda unit: bench.cases.adjust(unit, second, 45_00, "réseau", BOSS))
    await bench.do(lambda unit: bench.cases.cancel(unit, second, "erreur", BOSS))
    await bench.do(lambda unit: bench.cases.cancel(unit, 1, "erreur", BOSS))
    query = select(owed.c.entries).order_by(owed.c.id.desc()).limit(3)
    found = await bench.reading.run(lambda connection: connection.execute(query).scalars().all())
    said = [letters.text(one["rule"], one["parameters"]) for [one] in map(json.loads, found)]
    assert ["à vous rendre" in text for text in said] == [False, True, True]
    assert "à vous rendre : 45,00 €" in said[1]
    assert "à vous rendre : 15,00 €" in said[2]
    text = await bench.reading.run(lambda connection: statement.csv_of(connection, 0, 1 << 40))
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [sum(int(line[name]) for line in lines) for name in ("charged_cents", "received_cents")] == [0, 60_00]


async def test_no_address_of_a_patient_lies_in_clear(bench: Bench) -> None:
    """A patient may report, and people may write of one."""
    patient = "279039999900003@patient.mssante.test"
    seal_with(bench.database, bytes(32), ["patient.mssante.test"])
    await bench.do(
        lambda unit: unit.connection.execute(insert(sealed_domain), {"domain": "patient.mssante.test", "done": 1})
    )
    for _ in range(2):
        report = Report(MARIE, 1, 2, RECIPIENT, "01KB0000000000000000000000", 0, patient)
        dossier, _ = await bench.do(
            lambda unit, report=report: bench.cases.open(unit, report, patient, f"dit {patient}")
        )
    assert (dossier.reporter, dossier.opened_by) == (patient, patient)
    await bench.do(lambda unit: bench.cases.suspensions.at_once(unit, Subject(PAUL, 2), f"écrit à {patient}", BOSS))
    for table in ("sanction_case", "sanction_act", "sending_suspension"):
        held = await bench.reading.run(
            lambda connection, table=table: connection.exec_driver_sql(f"SELECT * FROM {table}").all()
        )
        assert held
        assert "279039999900003" not in str([tuple(row) for row in held])
    [one] = await bench.reading.run(lambda connection: rows.suspensions(connection, subject=PAUL))
    assert patient in one.ground


async def test_two_cases_judged_at_once_are_two_steps(shared_url: str) -> None:
    """One of them waits for the other, whichever process judges it."""
    async with opened(shared_url) as bench:
        await _two_at_once(bench, shared_url)


async def _two_at_once(bench: Bench, url: str) -> None:
    other_database = open_database(url)
    other = Committer(other_database, journal=journal.Journal(), clock=lambda: bench.now[0])
    one, two = (await bench.open()).case.number, (await bench.open()).case.number
    await asyncio.gather(
        bench.do(lambda unit: bench.cases.confirm(unit, one, "spam", BOSS)),
        other.run(lambda unit: bench.cases.confirm(unit, two, "spam", BOSS)),
    )
    steps = [(await bench.case(number)).case.step for number in (one, two)]
    assert sorted(steps) == [Step.WARNED, Step.CHARGED]
    await other.close()
    other_database.dispose()


async def test_a_partners_sender_is_reported_and_refused_here_for_a_while(bench: Bench) -> None:
    """TOU-A06: no amount; his operator is told within the trust space; the block has an end."""
    found = (await bench.confirmed(60, subject=THEIRS, number=0))[0]
    assert (found.case.step, found.case.amount) == (Step.NONE, 0)
    assert await bench.letters() == [("postmaster@op-b.mssante.test", "letter_partner")]
    doors, here = bench.doors(), Address("paul", "op-a.mssante.test")
    refusal = await doors.judge(None, lambda: ["x@op-b.mssante.test", THEIRS], here)
    assert refusal is not None
    assert refusal.rule.name == "sanction.partner_blocked"
    assert await doors.judge(None, lambda: ["x@op-b.mssante.test"], here) is None
    assert await doors.judge(None, lambda: [THEIRS], Address("postmaster", "op-a.mssante.test")) is None
    bench.now[0] += 30 * DAY
    assert await doors.judge(None, lambda: [THEIRS], here) is None
    assert await bench.do(bench.cases.suspensions.count) == 1
    assert await bench.states(THEIRS) == [(rows.PARTNER, rows.ENDED)]
    await bench.confirmed(60, subject=THEIRS, number=0)
    await bench.do(lambda unit: bench.cases.suspensions.block(unit, THEIRS, DAY, "x", BOSS))  # shorter: nothing new
    await bench.do(lambda unit: bench.cases.cancel(unit, 2, "c’était un autre", BOSS))
    assert await bench.states(THEIRS) == [(rows.PARTNER, rows.ENDED)] * 2
    assert (await bench.letters())[-1] == ("postmaster@op-b.mssante.test", "letter_cancelled")


async def test_a_threshold_opens_one_case_and_tells_the_operator(bench: Bench) -> None:
    """TOU-B03: nobody is punished by a machine alone."""
    doors, other = bench.doors(), bench.doors()
    for _ in range(3):
        await doors.suspect(login(), 52)
        await other.suspect(login(), 55)
        bench.now[0] += AGAIN + 1
    [case] = await bench.reading.run(lambda connection: rows.listed(connection, state=CaseState.OPEN))
    assert (case.subject, case.source, case.case.recipients, case.opened_by) == (MARIE, AUTOMATIC, 52, "system")
    assert await bench.letters() == [(DESK, "letter_opened")]
    assert await doors.judge(login(), nobody, COLLEAGUE) is None
    await bench.do(lambda unit: bench.cases.dismiss(unit, case.case.number, "un vrai rappel", BOSS))
    bench.now[0] += 3601
    await doors.suspect(login(), 60)
    assert len(await bench.reading.run(rows.listed)) == 2


async def test_a_precaution_is_announced_and_a_person_says_that_it_persists(bench: Bench) -> None:
    """TOU-F03: breach, remedy, fifteen days."""
    own, one = bench.cases.suspensions, Subject(MARIE, 1)
    announce = lambda unit: own.announce(unit, one, "signature sans nom", "la compléter", BOSS)  # noqa: E731
    assert await bench.do(announce) is False
    assert await bench.letters() == [(MARIE, "letter_announced")]
    doors = bench.doors()
    assert await doors.judge(login(), nobody, COLLEAGUE) is None
    assert await bench.refused(announce) == "sanction.delay_runs"
    await _pass(bench, 15 * DAY - MOST_AT_ONCE)
    assert await bench.refused(announce) == "sanction.delay_runs"
    await _pass(bench, MOST_AT_ONCE)
    assert await bench.states() == [(rows.PRECAUTION, rows.OVER)]
    assert (await bench.letters())[1:] == [(DESK, "letter_delay_over")]
    assert await doors.judge(login(), nobody, COLLEAGUE) is None  # nobody has said that it persists
    assert await bench.do(announce) is True
    bench.now[0] += TTL
    refusal = await doors.judge(login(), nobody, COLLEAGUE)
    assert refusal is not None
    assert refusal.rule.name == "sanction.suspended"
    assert "signature sans nom" in refusal.sentence("fr")
    assert await bench.refused(announce) == "sanction.already_suspended"
    await bench.do(lambda unit: own.lift(unit, MARIE, "complétée", BOSS))
    assert [name for _, name in await bench.letters()][2:] == ["letter_persists", "letter_lifted"]
    assert await bench.refused(lambda unit: own.lift(unit, MARIE, "x", BOSS)) == "sanction.not_suspended"


async def _pass(bench: Bench, seconds: int) -> None:
    """Time of a service that runs."""
    while seconds > 0:
        bench.now[0] += min(seconds, MOST_AT_ONCE)
        seconds -= MOST_AT_ONCE
        await bench.do(bench.cases.suspensions.count)


async def test_neither_a_jump_of_the_clock_nor_a_service_away_shortens_the_time_to_answer(bench: Bench) -> None:
    """TOU-F03, F16."""
    own = bench.cases.suspensions
    await bench.do(lambda unit: own.announce(unit, Subject(MARIE, 1), "motif", "remède", BOSS))
    for jump in (400 * DAY, -900 * DAY, 90 * DAY):
        bench.now[0] += jump
        await bench.do(own.count)
    [one] = await bench.reading.run(lambda connection: rows.suspensions(connection, subject=MARIE))
    assert 15 * DAY - 2 * MOST_AT_ONCE <= one.remaining <= 15 * DAY
    assert one.state == rows.ANNOUNCED


def _written(folder: Path) -> Path:
    path = folder / "config.toml"
    path.write_text(TEXT)
    return path


async def test_the_round_of_a_running_service_counts(bench: Bench, tmp_path: Path) -> None:
    """TOU-F03: by the configuration in force, and only where there is something to count."""
    own = bench.cases.suspensions
    await bench.do(lambda unit: own.announce(unit, Subject(MARIE, 1), "motif", "remède", BOSS))
    bench.now[0] += 700
    config = load(_written(tmp_path))
    storage = SimpleNamespace(committer=bench.committer, reading=bench.reading)
    running = asyncio.create_task(keep_time(storage, lambda: config))

    async def counted() -> bool:
        [one] = await bench.reading.run(lambda connection: rows.suspensions(connection, subject=MARIE))
        return one.remaining == 15 * DAY - 700

    while not await counted():
        await asyncio.sleep(0.01)
        assert not running.done()
    running.cancel()


async def test_what_cannot_wait_is_suspended_at_once_and_for_a_structure_together(bench: Bench) -> None:
    """TOU-F03, TOU-F04: with its ground, and then fifteen days to ask for the end."""
    own = bench.cases.suspensions
    found = await bench.reading.run(lambda connection: of_structure(connection, STRUCTURE))
    assert [one.key for one in found] == [MARIE, PAUL]
    await bench.do(lambda unit: own.announce(unit, Subject(MARIE, 1), "motif", "remède", BOSS))
    await bench.do(lambda unit: [own.at_once(unit, one, "fuite de données", BOSS, STRUCTURE) for one in found])
    assert await bench.states() == [(rows.PRECAUTION, rows.ENDED), (rows.PRECAUTION, rows.ACTIVE)]
    doors = bench.doors()
    for number, key in ((1, MARIE), (2, PAUL)):
        refusal = await doors.judge(login(number, key), nobody, COLLEAGUE)
        assert refusal is not None
        assert refusal.rule.name == "sanction.suspended"
    assert (
        await bench.refused(lambda unit: own.at_once(unit, Subject(MARIE, 1), "x", BOSS))
        == "sanction.already_suspended"
    )
    await _pass(bench, 15 * DAY)
    told = [who for who, name in await bench.letters() if name == "letter_delay_over"]
    assert told == [DESK, DESK]
    assert await bench.states(PAUL) == [(rows.PRECAUTION, rows.ACTIVE)]  # until a person lifts it


NOTICES = {
    "sanction.letter_warned": ("Aucune somme", "deuxième envoi : 30,00 €", "1000,00 € à partir de 50"),
    "sanction.letter_charged": ("pénalité de", "résiliation", "virement"),
    "sanction.letter_suspended": ("ne peut plus envoyer", "virement"),
    "sanction.letter_adjusted": ("passe de 3,00 €", "une raison."),
    "sanction.letter_cancelled": ("annulé", "une raison.", "à vous rendre : 2,00 €"),
    "sanction.letter_lowered": ("descend à l’étape 1",),
    "sanction.letter_paid": ("payée", "une raison."),
    "sanction.letter_announced": ("jusqu’au", "Pour y remédier"),
    "sanction.letter_immediate": ("dès maintenant", "un motif. Bcc: x. Elle reçoit"),
    "sanction.letter_persists": ("persiste",),
    "sanction.letter_lifted": ("peut envoyer",),
    "sanction.letter_opened": ("attend qu’une personne",),
    "sanction.letter_delay_over": ("délai donné",),
    "sanction.letter_partner": ("nous", "Opérateur A"),
    "sanction.letter_reported": ("dossier 1",),
    "sanction.letter_not_reported": ("Joignez le message entier",),
}
"""By its rule, what the reader is told in French."""
FURTHER = [
    "sanction.charter",
    "sanction.charter_place",
    "sanction.amounts",
    "sanction.offer",
    "sanction.payment",
    "sanction.refund",
    "sanction.contest",
]


def test_every_paragraph_is_of_a_notice() -> None:
    assert letters.PARAGRAPHS.keys() == NOTICES.keys()
    assert {each for found in letters.PARAGRAPHS.values() for each in found} == set(FURTHER)


@pytest.mark.parametrize("name", NOTICES)
async def test_each_notice_speaks_both_languages_and_fits_its_facts(bench: Bench, name: str) -> None:
    dossier = (await bench.confirmed(5))[0]
    if name in (
        "sanction.letter_announced",
        "sanction.letter_immediate",
        "sanction.letter_persists",
        "sanction.letter_lifted",
    ):
        own, subject = bench.cases.suspensions, Subject(PAUL, 2)
        await bench.do(lambda unit: own.at_once(unit, subject, "un motif.\r\nBcc: x", BOSS))
        [row] = await bench.reading.run(lambda c: c.execute(select(owed).where(owed.c.recipient == PAUL)).all())
        facts = json.loads(row.entries)[0]["parameters"]
    elif name == "sanction.letter_delay_over":
        facts = {"address": PAUL, "ground": "motif"}
    else:
        told = await bench.reading.run(lambda c: bench.cases.letter(c, dossier, name, "une raison.", 3_00, 2_00))
        facts = told.parameters
    text = letters.text(name, facts)
    fr, en = text.split("\n\n-- \n\n")
    for said in NOTICES[name]:
        assert said.lower() in fr.lower()
    assert en
    assert "{" not in text
    assert ".." not in text
    assert len(fr.split("\n\n")) == len(en.split("\n\n"))
    if letters.CHARTER in letters.PARAGRAPHS[name]:
        assert "<https://op-a.mssante.test/charte>" in text
    if letters.CONTEST in letters.PARAGRAPHS[name]:
        assert DESK in fr
        assert DESK in en
