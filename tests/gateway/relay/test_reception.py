"""What accepting a message starts: following, believing, confirming."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from gateway.relay import tracking
from gateway.relay.reception import Kept, Reception, wants
from gateway.smtp.transaction import Recipient, Transaction
from mailboxes.anatomy import dissect
from policies.receipts import State
from policies.trust import TrustList, trust_list
from policies.values import Address, CertificateFacts, Door, DsnRequest, Login, Peer
from tests.gateway.relay.house import House, Intake, Script, running
from tests.waiting import until

ALICE = Address("alice", "op-a.mssante.test")
BOB = Address("Bob", "op-b.mssante.test")
CARL = Address("carl", "op-a.mssante.test")
SUBJECT = "CN=smtp.op-b.mssante.test,OU=399900000000026,O=B,C=FR"
MAILBOX = 7

ASKING = (
    b"From: <alice@op-a.mssante.test>\r\nMessage-ID: <m1@op-a.mssante.test>\r\n"
    b"Disposition-Notification-To: <alice@op-a.mssante.test>\r\n\r\nx\r\n"
)
READ = (
    b"From: <bob@op-b.mssante.test>\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\n"
    b"Content-Type: message/disposition-notification\r\n\r\nFinal-Recipient: rfc822; bob@op-b.mssante.test\r\n"
    b"Original-Message-ID: <m1@op-a.mssante.test>\r\nDisposition: manual-action/MDN-sent-manually; displayed\r\n\r\n--b--\r\n"
)


def listed() -> TrustList:
    now = datetime.now(UTC)
    return trust_list([("op-b.mssante.test", SUBJECT), ("op-c.mssante.test", "CN=smtp.op-c,C=FR")], now, now)


def partner(subject: str) -> Peer:
    now = datetime.now(UTC)
    return Peer(Door.INBOUND, "192.0.2.1", tls=True, certificate=CertificateFacts(subject, "", 1, "", now, now))


def submission() -> Peer:
    return Peer(Door.SUBMISSION, "192.0.2.1", tls=True, login=Login("alice", MAILBOX, ALICE, "device"))


async def accept(
    house: House,
    transaction: Transaction,
    content: bytes,
    local: Sequence[tuple[str, int]] = (),
    message: str = "M" * 26,
) -> None:
    reception = Reception(house.bodies, "mail.op-a.mssante.test", listed, 3600.0)
    sealed = await house.sealer.seal(content, b"")
    kept = Kept(sealed.body_id, house.sealer.wrap(sealed, 0))
    works = reception.followers(transaction, dissect(content), content, message, kept, local)

    def run(unit: object) -> None:
        house.store.put_body(unit, [sealed])  # type: ignore[arg-type]
        for work in works:
            work(unit)  # type: ignore[arg-type]

    await house.committer.run(run)


def sent(*recipients: Recipient) -> Transaction:
    return Transaction(submission(), ALICE, recipients)


async def states(house: House) -> dict[str, State]:
    lines = await house.reading.run(lambda connection: tracking.board(connection, MAILBOX))
    return {line.recipient: line.state for line in lines}


async def test_a_submitted_message_is_followed_per_recipient(lite: House) -> None:
    await accept(lite, sent(Recipient(BOB), Recipient(CARL), Recipient(CARL)), ASKING, [(CARL.key, 9)])
    assert await states(lite) == {BOB.key: State.QUEUED, CARL.key: State.DELIVERED}
    lines = await lite.reading.run(lambda connection: tracking.board(connection, MAILBOX))
    assert {(line.recipient, line.channel) for line in lines} == {(BOB.key, "mssante"), (CARL.key, "local")}
    assert all(line.wants == frozenset({"reading"}) and line.deadline_at for line in lines)


@pytest.mark.parametrize(
    ("peer", "believed"),
    [
        (partner(SUBJECT), True),
        (partner("CN=smtp.op-c,C=FR"), False),  # a listed operator that does not serve the recipient's domain
        (partner("not a name"), False),
        (Peer(Door.INTERNAL, "127.0.0.1"), True),
        (submission(), False),
    ],
    ids=["its operator", "another operator", "no name", "ourselves", "a user of ours"],
)
async def test_a_receipt_is_believed_only_from_who_may_speak(lite: House, peer: Peer, believed: bool) -> None:
    await accept(lite, sent(Recipient(BOB)), ASKING)
    transaction = Transaction(peer, None, (Recipient(ALICE),))
    await accept(lite, transaction, READ, [(ALICE.key, MAILBOX)], "R" * 26)
    assert (await states(lite))[BOB.key] is (State.READ if believed else State.QUEUED)


async def test_our_own_notice_does_not_fail_a_message_that_left(lite: House) -> None:
    """A message sent again under one Message-ID and refused the second time: the first stays handed over."""
    await accept(lite, sent(Recipient(BOB)), ASKING)
    await lite.committer.run(lambda unit: tracking.note(unit, "M" * 26, BOB.key, State.HANDED_OVER))
    notice = (
        b"From: <postmaster@op-a.mssante.test>\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n"
        b"Final-Recipient: rfc822; bob@op-b.mssante.test\r\nAction: failed\r\nStatus: 5.2.1\r\n\r\n--b\r\n"
        b"Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: <m1@op-a.mssante.test>\r\n\r\n--b--\r\n"
    )
    for peer, state in (
        (Peer(Door.INTERNAL, "127.0.0.1"), State.HANDED_OVER),
        (partner(SUBJECT), State.FAILED),
    ):
        transaction = Transaction(peer, None, (Recipient(ALICE),))
        await accept(lite, transaction, notice, [(ALICE.key, MAILBOX)], peer.door.value.ljust(26))
        assert (await states(lite))[BOB.key] is state


async def test_success_asked_for_a_mailbox_of_ours_is_told_by_us(lite: House) -> None:
    """MSS-042: the "accusé de réception" is a DSN that says the message is in the mailbox."""
    asked = Recipient(CARL, DsnRequest(frozenset({"SUCCESS"}), "rfc822;carl@op-a.mssante.test"))
    transaction = Transaction(partner(SUBJECT), BOB, (asked,), envid="E7")
    await accept(lite, transaction, ASKING, [(CARL.key, 9)])
    intake = Intake()
    with running(lite.courier(Script(), intake)):
        await until(lambda: intake.notices)
    to, content = intake.notices[0]
    assert to == "Bob@op-b.mssante.test"
    assert b"Action: delivered\r\nStatus: 2.1.5\r\n" in content
    assert b"Original-Envelope-Id: E7\r\n" in content
    assert b"Remote-MTA: dns; mail.op-a.mssante.test\r\n" in content
    assert content.count(b"mailbox of the recipient") == 1


async def test_automatic_mail_and_mail_of_partners_is_not_followed(lite: House) -> None:
    await accept(lite, sent(Recipient(BOB)), b"Auto-Submitted: auto-replied\r\n" + ASKING)
    await accept(lite, Transaction(partner(SUBJECT), BOB, (Recipient(CARL),)), ASKING, [(CARL.key, 9)], "P" * 26)
    assert await states(lite) == {}


def test_what_a_sender_waits_for() -> None:
    success = DsnRequest(frozenset({"SUCCESS"}))
    assert wants(success, reading=False, delivery=False) == {"delivery"}
    assert wants(DsnRequest(), reading=True, delivery=True) == {"delivery", "reading"}
    assert wants(DsnRequest(frozenset({"FAILURE"})), reading=False, delivery=False) == frozenset()
