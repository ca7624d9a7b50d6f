"""What acceptance sets going, through the whole intake: followed, confirmed, believed, and nothing for nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from gateway.following import Following, may_be_receipt
from gateway.record import journal
from gateway.relay import outbox, tracking
from gateway.relay.bodies import StoreBodies
from gateway.relay.reception import Reception
from gateway.relay.tables import followed, owed
from mailboxes.anatomy import dissect
from policies.receipts import State
from policies.values import Door, DsnRequest, Peer
from tests.gateway.rig import OURS, THEIRS, Rig, letter, partner, transaction, user

BOB, ALICE, PAUL = f"bob@{THEIRS}", f"alice@{OURS}", f"paul@{OURS}"
SUCCESS = DsnRequest(frozenset({"SUCCESS", "FAILURE"}), envid="E-1")
ASKS = f"Disposition-Notification-To: <{ALICE}>\r\n"
DAY = 24 * 3600.0


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    reception = Reception(StoreBodies(made.store), "smtp.op-a.mssante.test", lambda: made.trusted, DAY)
    made.intake = made.make_intake(followers=Following(reception, made.sealer))
    yield made
    await made.close()


async def lines(rig: Rig) -> dict[str, tracking.Line]:
    def read(connection):
        messages = connection.execute(select(followed.c.message).distinct()).scalars()
        return {line.recipient: line for message in list(messages) for line in tracking.track(connection, message)}

    return await rig.reading.run(read)


async def owing(rig: Rig) -> list[tuple[str, str, str]]:
    query = select(owed.c.action, owed.c.recipient, owed.c.entries)
    return await rig.reading.run(lambda connection: [tuple(row) for row in connection.execute(query)])


def report(author: str, about: str, fields: str, kind: str = "disposition-notification") -> bytearray:
    head = f"Content-Type: multipart/report; report-type={kind}; boundary=b\r\n"
    return letter(author, extra=head, body=f"--b\r\nContent-Type: message/{kind}\r\n\r\n{fields}\r\n--b--\r\n")


def read_by(reader: str, author: str = "") -> bytearray:
    fields = (
        f"Final-Recipient: rfc822; {reader}\r\nOriginal-Message-ID: <m1@{THEIRS}>\r\n"
        "Disposition: manual-action/MDN-sent-manually; displayed\r\n"
    )
    return report(author or reader, "", fields)


async def test_a_user_s_message_is_followed_for_each_recipient(rig: Rig) -> None:
    await rig.intake.message(transaction(user(), ALICE, BOB, PAUL, dsn=SUCCESS), letter(ALICE, extra=ASKS))
    found = await lines(rig)
    assert found[BOB].state is State.QUEUED
    assert found[PAUL].state is State.DELIVERED
    assert {found[BOB].channel, found[PAUL].channel} == {"mssante", "local"}
    assert found[BOB].wants == frozenset({"delivery", "reading"})
    assert found[BOB].deadline_at == found[BOB].sent_at + DAY
    (one,) = await owing(rig)
    assert one[:2] == ("delivered", ALICE)
    assert PAUL in one[2]


async def test_who_asks_for_nothing_is_followed_without_deadline(rig: Rig) -> None:
    await rig.intake.message(transaction(user(), ALICE, BOB), letter(ALICE))
    assert (await lines(rig))[BOB].deadline_at == 0


async def test_a_partner_who_asks_for_success_is_told_once(rig: Rig) -> None:
    answer = await rig.intake.message(transaction(partner(), BOB, ALICE, dsn=SUCCESS), letter(BOB))
    assert [row[:2] for row in await owing(rig)] == [("delivered", BOB)]
    (taken,) = await rig.committer.run(lambda unit: outbox.take(unit, 60.0))
    original = await StoreBodies(rig.store).open(taken.body_id, taken.wrapped)
    assert b"Subject: Essai" in await original.read(0, original.size)
    assert taken.message == answer.message


async def test_the_null_sender_is_never_answered(rig: Rig) -> None:
    content = letter(BOB, extra="Auto-Submitted: auto-replied\r\n")
    await rig.intake.message(transaction(partner(), None, ALICE, dsn=SUCCESS), content)
    assert await owing(rig) == []


async def test_mail_that_asks_nothing_entails_nothing(rig: Rig) -> None:
    await rig.intake.message(transaction(partner(), BOB, ALICE), letter(BOB))
    assert await owing(rig) == []
    assert await lines(rig) == {}


async def test_a_receipt_is_believed_once_and_stays_in_the_mailbox(rig: Rig) -> None:
    sent = await rig.intake.message(transaction(user(), ALICE, BOB), letter(ALICE, extra=ASKS))
    for _ in range(2):
        answer = await rig.intake.message(transaction(partner(), None, ALICE), read_by(BOB))
        assert answer.decision.accepted
    assert (await lines(rig))[BOB].state is State.READ
    assert len(await rig.inbox(1)) == 2
    told = await rig.reading.run(lambda connection: journal.read(connection, message=sent.message))
    assert [record.kind for record in told].count("message.receipt") == 1


async def test_a_failure_told_by_the_partner_reaches_the_line(rig: Rig) -> None:
    sent = await rig.intake.message(transaction(user(), ALICE, BOB), letter(ALICE))
    fields = (
        f"Reporting-MTA: dns; x\r\nOriginal-Envelope-Id: {sent.message}\r\n\r\n"
        f"Final-Recipient: rfc822; {BOB}\r\nAction: failed\r\nStatus: 5.2.2\r\n"
    )
    await rig.intake.message(transaction(partner(), None, ALICE), report(BOB, "", fields, "delivery-status"))
    line = (await lines(rig))[BOB]
    assert (line.state, line.code) == (State.FAILED, "5.2.2")


async def test_nobody_speaks_for_another_s_recipient(rig: Rig) -> None:
    """A partner for a mailbox of ours, a colleague for a partner's reader: neither is believed."""
    await rig.intake.message(transaction(user(), ALICE, BOB, PAUL), letter(ALICE, extra=ASKS))
    await rig.intake.message(transaction(partner(), None, ALICE), read_by(PAUL, BOB))
    await rig.intake.message(transaction(user("paul", 2), PAUL, ALICE), read_by(BOB, PAUL))
    found = await lines(rig)
    assert (found[BOB].state, found[PAUL].state) == (State.QUEUED, State.DELIVERED)


async def test_a_reader_of_ours_confirms_for_himself_alone(rig: Rig) -> None:
    rig.open_box(3, "zoe")
    await rig.intake.message(transaction(user(), ALICE, PAUL), letter(ALICE, extra=ASKS))
    zoe = f"zoe@{OURS}"
    await rig.intake.message(transaction(user("zoe", 3), zoe, ALICE), read_by(PAUL, zoe))
    assert (await lines(rig))[PAUL].state is State.DELIVERED
    await rig.intake.message(transaction(user("paul", 2), PAUL, ALICE), read_by(PAUL))
    assert (await lines(rig))[PAUL].state is State.READ


async def test_our_own_notice_speaks_for_our_own_mailboxes(rig: Rig) -> None:
    await rig.intake.message(transaction(user(), ALICE, PAUL, BOB), letter(ALICE, extra=ASKS))
    house = Peer(Door.INTERNAL, "127.0.0.1", tls=True)
    await rig.intake.message(transaction(house, None, ALICE), read_by(PAUL))
    assert (await lines(rig))[PAUL].state is State.READ


async def test_the_integration_error_that_is_no_report_is_understood(rig: Rig) -> None:
    await rig.intake.message(transaction(user(), ALICE, BOB), letter(ALICE))
    subject = "[KO =?UTF-8?Q?Int=C3=A9gration_syst=C3=A8me_!=5D?= [902] CR"
    content = letter(BOB, subject, extra=f"In-Reply-To: <m1@{THEIRS}>\r\n")
    assert may_be_receipt(dissect(bytes(content)))
    await rig.intake.message(transaction(partner(), BOB, ALICE), content)
    line = (await lines(rig))[BOB]
    assert (line.state, line.code) == (State.REFUSED, "902")


async def test_what_fails_to_commit_leaves_no_line(rig: Rig) -> None:
    rig.open_box(3, "pleine", quota=64)
    full = f"pleine@{OURS}"
    facts = rig.boxes.held[full]
    rig.boxes.held[full] = type(facts)(3, facts.address, facts.type, facts.state, 0, 0)
    answer = await rig.intake.message(transaction(user(), ALICE, BOB, full, dsn=SUCCESS), letter(ALICE, extra=ASKS))
    assert not answer.decision.accepted
    assert await lines(rig) == {}
    assert await owing(rig) == []
