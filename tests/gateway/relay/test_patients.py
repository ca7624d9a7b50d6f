"""A patient's address in what the relay writes down: sealed in every row, in clear to whoever asks and to the partner."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, text

import gateway.migrations.tables  # noqa: F401 - registers every table
from gateway.record import journal
from gateway.relay import desk, outbox, tracking
from gateway.relay.desk import Selection
from gateway.relay.tracking import Followed, Receipt
from mailboxes import addresses_in_clear, rules
from mailboxes.address_columns import Addressed, addresses_of, seal_with
from mailboxes.addresses_in_clear import Place
from mailboxes.commit import Unit
from mailboxes.engine import open_database
from mailboxes.schema import metadata
from policies.events import Event, Kind
from policies.receipts import State
from policies.values import DsnRequest
from tests.gateway.relay.house import House, Intake, Script, answering, running
from tests.waiting import until

DOMAIN = "patient.mssante.fr"
NUMBER, OTHER = "279039999900003", "179039999900053"
PATIENT = f"{NUMBER}@{DOMAIN}"
ALICE = "alice@op-a.mssante.test"
WISH = DsnRequest(frozenset({"SUCCESS", "FAILURE"}), f"rfc822;{PATIENT}", envid=f"{NUMBER}@{DOMAIN}")


@pytest.fixture
def sealed(house: House) -> House:
    seal_with(house.database, b"k" * 32, [DOMAIN])
    house.committer.run_sync(lambda unit: _know(unit, DOMAIN))
    return house


def _know(unit: Unit, *domains: str) -> None:
    addresses_in_clear.begin(unit.connection, domains)


def clear(connection: Connection) -> list[str]:
    """Tables in which a number of a patient stands for whoever copies the database."""
    names = [table.name for table in metadata.sorted_tables]
    return [
        name
        for name in names
        for row in connection.execute(text(f"SELECT * FROM {name}"))
        if any(number in str(value) for value in row for number in (NUMBER, OTHER))
    ]


def follow(recipient: str = PATIENT) -> Any:
    def also(unit: Unit, message: str) -> None:
        row = Followed(message, recipient, 7, ALICE, "m1@op-a", "", "mssante", frozenset({"delivery"}))
        tracking.follow(unit, [row], 3600.0)

    return also


async def test_a_patient_s_address_is_in_no_row_and_reaches_the_partner(sealed: House) -> None:
    house, transport = sealed, Script(answering("relay.partner_deferred", f"450 4.2.2 <{PATIENT}> {NUMBER} plein"))
    message = await house.send([PATIENT], dsn=WISH, also=follow())
    with running(house.courier(transport)):
        await until(lambda: transport.sent)

        async def deferred() -> bool:
            return "message.deferred" in await house.words(message)

        await until(deferred)
    assert [way.recipient for way in transport.sent[0].recipients] == [PATIENT]
    assert transport.sent[0].recipients[0].dsn.orcpt == WISH.orcpt
    assert transport.sent[0].envid == WISH.envid
    assert await house.reading.run(clear) == []
    [row] = await house.reading.run(lambda c: desk.rows(c, Selection(recipient=PATIENT), house.time.wall()))
    assert (row.recipient, row.domain, row.reply) == (PATIENT, DOMAIN, f"450 4.2.2 <{PATIENT}> {NUMBER} plein")
    records = await house.journal(message)
    assert {record.recipient for record in records} == {PATIENT}
    assert [record.detail["reply"] for record in records if record.kind == "message.deferred"] == [row.reply]
    [line] = await house.reading.run(lambda c: tracking.track(c, message))
    assert line.recipient == PATIENT


async def test_a_failure_is_told_with_the_address_and_leaves_none_behind(sealed: House) -> None:
    house, intake = sealed, Intake()
    intake.failing = 1
    message = await house.send([PATIENT], dsn=WISH, also=follow())
    with running(house.courier(Script(answering("relay.partner_refused", f"550 5.1.1 {NUMBER} inconnu")), intake)):
        await until(lambda: not intake.failing)  # the notice is owed and waits: its row can be looked at
        assert await house.reading.run(clear) == []
        house.time.pass_(3600)
        await until(lambda: intake.notices)
    recipient, notice = intake.notices[0]
    assert recipient == ALICE
    assert f"Final-Recipient: rfc822; {PATIENT}".encode() in notice
    assert f"Diagnostic-Code: smtp; 550 5.1.1 {NUMBER} inconnu".encode() in notice
    [line] = await house.reading.run(lambda c: tracking.track(c, message))
    assert (line.state, line.recipient) == (State.FAILED, PATIENT)
    assert await house.reading.run(clear) == []


async def test_a_receipt_finds_its_patient_and_housekeeping_forgets_him(sealed: House) -> None:
    house = sealed
    message = await house.send([PATIENT, f"{OTHER}@{DOMAIN}"], also=follow())

    def receive(unit: Unit) -> int:
        return tracking.receive(unit, 7, [Receipt("m1@op-a", "", PATIENT, "", State.DELIVERED)])

    assert await house.committer.run(receive) == 1
    [line] = await house.reading.run(lambda c: tracking.board(c, 7))
    assert (line.message, line.recipient, line.state) == (message, PATIENT, State.DELIVERED)
    assert await house.reading.run(clear) == []
    assert await house.committer.run(lambda unit: tracking.forget(unit, unit.now + 1)) == 1
    assert await house.reading.run(lambda c: tracking.track(c, message)) == []


async def test_a_patient_who_heard_of_an_absence_is_remembered_sealed(sealed: House) -> None:
    def claim(unit: Unit) -> bool:
        return rules.claim(unit, 7, rules.ABSENCE, PATIENT, 3600.0)

    assert await sealed.committer.run(claim)
    assert not await sealed.committer.run(claim)
    assert await sealed.reading.run(clear) == []


async def test_the_journal_verifies_without_the_key_and_tells_nobody(sealed: House, url: str) -> None:
    """Every kind of value an event may hold; the other process knows no key."""
    details: list[dict[str, Any]] = [
        {
            "sender": ALICE,
            "recipients": [PATIENT, "bob@op-b.test"],
            "decisions": [["rcpt", PATIENT, "x", {"a": PATIENT}, ""]],
        },
        {"sender": PATIENT, "recipients": [ALICE], "size": 3},
    ]
    events = [Event(Kind.MESSAGE_ACCEPTED, message=f"M{number}", detail=each) for number, each in enumerate(details)]
    events.append(Event(Kind.FAILED, message="M2", recipient=PATIENT, detail={"reply": f"550 {NUMBER}", "host": "mx"}))
    events.append(Event(Kind.MESSAGE_REFUSED, message="M3", detail={"recipients": [f"{NUMBER}@mssante.example"]}))
    await sealed.committer.run(lambda unit: unit.emit(*events))
    records = await sealed.journal()
    assert [(record.recipient, record.detail) for record in records] == [
        ("", details[0]), ("", details[1]), (PATIENT, dict(events[2].detail)), ("", dict(events[3].detail)),
    ]  # fmt: skip
    stranger = open_database(url)
    with stranger.reader.connect() as connection:
        assert journal.verify(connection) is None
        told = str(journal.read(connection))
        assert NUMBER not in told
        assert f"%@{DOMAIN}" in told
    stranger.dispose()


async def test_what_lies_in_clear_is_sealed_portion_by_portion(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older release wrote the rows; a start that was cut goes on, and another that comes between changes nothing."""
    monkeypatch.setattr(addresses_in_clear, "TOGETHER", 2)
    found = [f"{NUMBER}@{DOMAIN}", f"{OTHER}@{DOMAIN}", "bob@op-b.test", f"{NUMBER}@op-b.test"]
    for recipient in found:
        await house.send([recipient], dsn=WISH, also=follow(recipient))
    about = outbox.About("M", 0, b"", ALICE, PATIENT, WISH, 1.0, 2.0)

    def older(unit: Unit) -> None:
        draft = outbox.Draft(house.bodies)
        draft.add("failed", about, answering("relay.partner_refused", f"550 5.1.1 {NUMBER} x")(_Parcel()).results[0])
        draft.commit(unit)
        rules.claim(unit, 7, rules.ABSENCE, PATIENT, 3600.0)
        unit.connection.exec_driver_sql(
            f"INSERT INTO queue_destination VALUES ('{DOMAIN}', 1, 1, 'relay.partner_refused', '450 {NUMBER}')"
        )

    await house.committer.run(older)
    # The last recipient is no patient: his domain is not one of theirs.
    rows = {name for name in await house.reading.run(clear) if name != "journal"}
    assert rows == {"queue", "followed", "notice_owed", "mailbox_answer", "queue_destination"}
    begun = await house.committer.run(lambda unit: addresses_in_clear.begin(unit.connection, [DOMAIN]))
    seal_with(house.database, b"k" * 32, begun.domains)
    for steps in (3, 1000):
        place: Place | None = begun.place
        while place is not None and steps:
            place = await house.committer.run(lambda unit, at=place: addresses_in_clear.seal(unit, begun.domains, at))
            steps -= 1
        assert (place is None) is (steps > 0)
    held = await house.reading.run(clear)
    assert {name for name in held if name != "journal"} == {"queue", "followed"}  # op-b.test
    assert await house.committer.run(lambda unit: addresses_in_clear.begin(unit.connection, [DOMAIN])) == (
        begun._replace(place=None)
    )
    listed = await house.reading.run(lambda c: [row.recipient for row in desk.every_row(c, Selection(), 0)])
    assert listed == found
    for recipient in found:
        assert await house.reading.run(lambda c, one=recipient: desk.count(c, Selection(recipient=one))) == 1
    owed = await house.committer.run(lambda unit: outbox.take(unit, 60.0))
    assert [(entry.recipient, entry.reply) for one in owed for entry in one.entries] == [
        (PATIENT, f"550 5.1.1 {NUMBER} x")
    ]


class _Parcel:
    domain, recipients = DOMAIN, (type("Way", (), {"id": 1})(),)


async def test_a_domain_named_by_another_process_is_sealed_by_all(
    sealed: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command may read a configuration that the service has not: a row of each must be found by both."""
    now = [0.0]
    monkeypatch.setattr("mailboxes.address_columns.monotonic", lambda: now[0] + 1e9)
    await sealed.committer.run(lambda unit: _know(unit, "mes.test"))
    now[0] += 1.5
    await sealed.send([f"{NUMBER}@mes.test"], also=follow(f"{NUMBER}@mes.test"))
    assert await sealed.reading.run(clear) == []
    assert await sealed.reading.run(lambda c: addresses_of(c).domains) == {DOMAIN, "mes.test"}


def test_no_column_that_names_a_person_was_forgotten() -> None:
    """Columns of texts called as addresses are, and why those that are not sealed are not."""
    names = {"recipient", "sender", "orcpt", "envid", "reply", "entries", "whom", "target", "address", "author"}
    plain = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if column.name in names and not isinstance(column.type, Addressed)
    }
    assert plain == {
        "directory_entry.address",  # professionals: a patient is in no directory
        "directory_source.entries",  # how many
        "journal.recipient",  # sealed before it is chained
        "patient_answer.address", "patient_answer.author", "patient_opposition.address",  # professionals
        "volume.sender",  # one of our mailboxes
    }  # fmt: skip
