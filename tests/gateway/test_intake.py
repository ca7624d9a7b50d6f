"""The one way in: what is accepted is durable and journalled, what is refused leaves nothing but its reasons."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from gateway import facts
from gateway.record import explain, journal
from gateway.relay.tables import queue
from mailboxes.anatomy import Anatomy
from mailboxes.store import BlobsUnavailable, StoreUnavailable
from policies.content import ContentFacts
from policies.decision import Verdict
from policies.events import Kind
from tests.gateway.rig import OURS, OUTSIDE, THEIRS, Rig, address, letter, partner, transaction, user

BOB, ALICE, PAUL = f"bob@{THEIRS}", f"alice@{OURS}", f"paul@{OURS}"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.close()


async def queued(rig: Rig) -> list[tuple[str, str]]:
    query = select(queue.c.sender, queue.c.recipient)
    return await rig.reading.run(lambda connection: [tuple(row) for row in connection.execute(query)])


async def events(rig: Rig, message: str) -> list[journal.Record]:
    return await rig.reading.run(lambda connection: journal.read(connection, message=message))


async def test_a_partner_s_message_lies_in_the_mailbox_byte_for_byte(rig: Rig) -> None:
    content = letter(BOB)
    original = bytes(content)
    answer = await rig.intake.message(transaction(partner(), BOB, ALICE, PAUL), content)
    assert answer.decision.code == 250
    assert answer.message in answer.decision.sentence("fr")
    for mailbox in (1, 2):
        (stored,) = await rig.inbox(mailbox)
        assert stored.startswith(
            f"Return-Path: <{BOB}>\r\nReceived: from smtp.op-b.mssante.test ([192.0.2.25])".encode()
        )
        assert stored.endswith(original)
    kinds = [record.kind for record in await events(rig, answer.message)]
    assert kinds == ["message.accepted", "message.delivered", "message.delivered"]


async def test_a_commit_whose_answer_is_lost_keeps_the_body_of_what_it_kept(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL cut while it committed, or slower than our patience: the message stood in the mailbox and could not be read."""
    grouped = rig.committer.grouped

    async def lost(handler: Any, item: Any) -> None:
        await grouped(handler, item)
        raise StoreUnavailable("the answer was lost")

    monkeypatch.setattr(rig.committer, "grouped", lost)
    content = letter(BOB)
    content += (b"y" * 76 + b"\r\n") * 2000
    original = bytes(content)
    answer = await rig.intake.message(transaction(partner(), BOB, ALICE), content)
    assert answer.decision.code == 451
    (stored,) = await rig.inbox(1)
    assert stored.endswith(original)


async def test_a_body_that_finds_no_place_is_deferred_and_the_log_says_why(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket away or a disk full stops mail before any commit: only the log can tell whoever operates."""

    async def away(content: object, summary: bytes) -> None:
        raise BlobsUnavailable("NotFoundError")

    monkeypatch.setattr(rig.sealer, "seal", away)
    with capture_logs() as logs:
        answers = [await rig.intake.message(transaction(partner(), BOB, ALICE), letter(BOB)) for _ in range(3)]
    assert {answer.decision.code for answer in answers} == {451}
    said = {"error": "BlobsUnavailable", "reason": "NotFoundError", "times": 1}
    told = [line for line in logs if line["event"] == "body_not_stored"]
    assert told == [{"event": "body_not_stored", "log_level": "error", **said}], "once, not at each message"


async def test_a_user_s_message_goes_to_the_queue_and_to_a_colleague(rig: Rig) -> None:
    answer = await rig.intake.message(transaction(user(), ALICE, BOB, PAUL), letter(ALICE))
    assert answer.decision.accepted
    assert await queued(rig) == [(ALICE, BOB)]
    assert len(await rig.inbox(2)) == 1
    assert rig.woken == 1


async def test_a_user_s_message_gets_the_date_and_identifier_its_program_left_out(rig: Rig) -> None:
    """RFC 6409 8.2 and 8.3. Without a Message-ID no receipt finds its message; old Outlooks and scripts send none."""
    bare = f"From: {ALICE}\r\nTo: {PAUL}\r\nSubject: Essai\r\n\r\nBonjour\r\n".encode()
    answer = await rig.intake.message(transaction(user(), ALICE, BOB, PAUL), bytearray(bare))
    (stored,) = await rig.inbox(2)
    assert stored.endswith(
        b"Date: Mon, 2 Mar 2026 09:00:00 +0000\r\nMessage-ID: <%b@smtp.%b>\r\n"
        % (answer.message.encode(), OURS.encode())
        + bare
    )
    assert stored.startswith(b"Return-Path: ")
    sent = bare.replace(b"Subject:", b"message-id: <m2@x>\r\nSubject:")
    await rig.intake.message(transaction(user(), ALICE, PAUL), bytearray(sent))
    *_, second = await rig.inbox(2)
    assert second.lower().count(b"message-id:") == 1
    assert second.endswith(b"+0000\r\n" + sent)


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (f"Bcc: Paul <{PAUL}>", "sender.hidden_recipients"),
        (f"Resent-Bcc: {PAUL}", "sender.hidden_recipients"),
        ("Bcc: ((", "sender.hidden_recipients"),
        ("Bcc:", "session.message_accepted"),
        ("Bcc: undisclosed-recipients:;", "session.message_accepted"),
    ],
)
async def test_a_blind_copy_left_in_the_headers_is_read_by_nobody(rig: Rig, field: str, name: str) -> None:
    answer = await rig.intake.message(transaction(user(), ALICE, BOB, PAUL), letter(ALICE, extra=f"{field}\r\n"))
    assert answer.decision.rule.name == name
    assert len(await queued(rig)) == (name == "session.message_accepted")


async def test_who_names_no_blind_copy_is_told_once_that_he_may_write(rig: Rig) -> None:
    answer = await rig.intake.message(transaction(user(), ALICE, PAUL), letter(ALICE))
    told = await rig.reading.run(lambda connection: explain.explain(connection, answer.message, "fr"))
    assert [reason.rule for reason in told.reasons if reason.stage == "author"] == ["sender.accepted"]


async def test_a_partner_s_message_is_completed_by_nobody(rig: Rig) -> None:
    bare = f"From: {BOB}\r\nTo: {ALICE}\r\nSubject: Essai\r\n\r\nBonjour\r\n".encode()
    await rig.intake.message(transaction(partner(), BOB, ALICE), bytearray(bare))
    (stored,) = await rig.inbox(1)
    assert b"Message-ID" not in stored


async def test_the_same_recipient_named_twice_gets_one_copy(rig: Rig) -> None:
    await rig.intake.message(transaction(partner(), BOB, ALICE, ALICE.upper().replace(OURS.upper(), OURS)), letter(BOB))
    assert len(await rig.inbox(1)) == 1


async def test_what_takes_long_to_judge_is_judged_beside_the_loop(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names in encoded words cost a hundred times what a body of that size does; other sessions shall not wait for it."""
    where: list[bool] = []
    judge = facts.content

    def noted(anatomy: Anatomy, own_host: str, own: int = 0) -> ContentFacts:
        where.append(threading.current_thread() is threading.main_thread())
        return judge(anatomy, own_host, own)

    monkeypatch.setattr(facts, "content", noted)
    name = "\r\n ".join(["=?utf-8?q?=C3=A9?="] * 500)
    for extra in ("", f'Content-Type: application/pdf; name="{name}"\r\n'):
        await rig.intake.message(transaction(user(), ALICE, PAUL), letter(ALICE, extra=extra))
    assert where == [True, False]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (letter(f"mallory@{OUTSIDE}"), "sender.from_not_listed"),
        (letter(BOB, extra=f"From: autre@{THEIRS}\r\n"), "sender.from_several"),
        (letter(BOB, extra=f"Reply-To: x@{OUTSIDE}\r\n"), "redirection.header_outside"),
        (letter(BOB, extra=f"Disposition-Notification-To: x@{OUTSIDE}\r\n"), "redirection.header_outside"),
        (letter(BOB, extra=f"List-Unsubscribe: <mailto:x@{OUTSIDE}>\r\n"), "redirection.header_outside"),
        (letter(BOB, body="MECHANT\r\n"), "content.infected"),
        (letter(BOB, extra="Received: a\r\n" * 60), "content.loop"),
        (
            letter(BOB, extra="Content-Type: application/pdf; name=facture.pdf.exe\r\n"),
            "content.dangerous_attachment",
        ),
        (
            letter(
                BOB,
                extra="Content-Type: text/calendar\r\n",
                body="BEGIN:VCALENDAR\r\nORGANIZER;CN=X:mailto:x@ex\r\n emple.invalid\r\nEND:VCALENDAR\r\n",
            ),
            "redirection.calendar_outside",
        ),
        (
            letter(
                BOB,
                extra="Content-Type: application/ics\r\n",
                body=f"BEGIN:VCALENDAR\r\nORGANIZER;CN={'x' * 500}:mailto:x%40exemple.invalid\r\nEND:VCALENDAR\r\n",
            ),
            "redirection.calendar_outside",
        ),
        (
            letter(
                BOB,
                extra="Content-Type: text/calendar\r\n",
                body=f'BEGIN:VCALENDAR\r\nORGANIZER;CN="a:mailto:{ALICE}":mailto:x@exemple.invalid\r\nEND:VCALENDAR\r\n',
            ),
            "redirection.calendar_outside",
        ),
        (
            letter(
                BOB,
                extra="Content-Type: text/calendar\r\n",
                body='BEGIN:VCALENDAR\r\nORGANIZER;CN="a:mailto:x@exemple.invalid\r\nEND:VCALENDAR\r\n',
            ),
            "redirection.calendar_outside",
        ),
    ],
)
async def test_a_refused_message_leaves_only_its_reasons(rig: Rig, content: bytearray, name: str) -> None:
    answer = await rig.intake.message(transaction(partner(), BOB, ALICE), bytearray(content))
    assert answer.decision.rule.name == name
    assert answer.decision.verdict is Verdict.REFUSE
    assert await rig.inbox(1) == []
    told = await rig.reading.run(lambda connection: explain.explain(connection, answer.message, "fr"))
    assert not told.accepted
    assert name in [reason.rule for reason in told.reasons]
    assert all(reason.sources for reason in told.reasons)


async def test_an_organiser_whose_name_or_place_has_a_colon_may_invite(rig: Rig) -> None:
    """The example of RFC 5545 3.8.4.3: its DIR was taken for the address."""
    place = 'CN="Dr Martin : cardiologie";DIR="ldap://example.com:6666/o=DC%20Associates,c=US???(cn=John%20Smith)"'
    body = f"BEGIN:VCALENDAR\r\nORGANIZER;{place}:mailto:{BOB}\r\nEND:VCALENDAR\r\n"
    content = letter(BOB, extra="Content-Type: text/calendar\r\n", body=body)
    answer = await rig.intake.message(transaction(partner(), BOB, ALICE), content)
    assert answer.decision.rule.name == "session.message_accepted"


async def test_a_mailbox_named_by_two_of_its_addresses_gets_one_copy(rig: Rig) -> None:
    """And each address is told of in the journal."""
    alias = f"a.martin@{OURS}"
    rig.boxes.held[alias] = rig.boxes.held[ALICE]
    answer = await rig.intake.message(transaction(partner(), BOB, ALICE, alias), bytearray(letter(BOB)))
    assert answer.decision.accepted
    assert len(await rig.inbox(1)) == 1
    told = await rig.reading.run(lambda connection: explain.explain(connection, answer.message, "fr"))
    delivered = [(step.recipient, step.facts["uid"]) for step in told.steps if step.what == "message.delivered"]
    assert delivered == [(ALICE, 1), (alias, 1)]


async def test_another_operator_s_certificate_does_not_speak_for_the_domain(rig: Rig) -> None:
    decision = await rig.intake.sender(partner(), address(f"x@{OURS}"), 0)
    assert decision.rule.name == "trust.sender_is_ours"


async def test_the_null_sender_is_accepted_from_a_listed_partner(rig: Rig) -> None:
    assert (await rig.intake.sender(partner(), None, 0)).accepted


async def test_recipients_are_answered_one_by_one(rig: Rig) -> None:
    ask = rig.intake.recipient
    assert (await ask(partner(), address(BOB), address(ALICE))).accepted
    assert (await ask(partner(), address(BOB), address(f"personne@{OURS}"))).rule.name == "recipient.unknown"
    assert (await ask(partner(), address(BOB), address(BOB))).rule.name == "recipient.relay_denied"
    assert (await ask(user(), address(ALICE), address(BOB))).accepted
    assert (await ask(user(), address(ALICE), address(f"x@{OUTSIDE}"))).rule.name == "trust.recipient_not_listed"


async def test_a_domain_that_leaves_the_space_between_rcpt_and_the_dot_is_not_written_to(rig: Rig) -> None:
    rig.trusted = None
    answer = await rig.intake.message(transaction(user(), ALICE, BOB), letter(ALICE))
    assert answer.decision.verdict is Verdict.DEFER
    assert await queued(rig) == []


async def test_a_program_that_forwards_outside_hears_why(rig: Rig) -> None:
    content = letter(ALICE, extra="X-Forwarded-Message-Id: <m0@x>\r\n")
    answer = await rig.intake.message(transaction(user(), ALICE, f"x@{OUTSIDE}"), content)
    assert answer.decision.rule.name == "redirection.forwarded_outside"
    assert await queued(rig) == []


async def test_calendars_are_read_once_however_many_recipients_are_refused(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty calendars take a third of a second: on the event loop, for each of a thousand recipients."""
    read: list[Anatomy] = []
    organisers = facts._organisers

    def counted(anatomy: Anatomy, raw: bytes) -> object:
        read.append(anatomy)
        return organisers(anatomy, raw)

    monkeypatch.setattr(facts, "_organisers", counted)
    rig.trusted = None
    recipients = [f"medecin{number}@{THEIRS}" for number in range(5)]
    answer = await rig.intake.message(transaction(user(), ALICE, *recipients), letter(ALICE))
    assert answer.decision.verdict is Verdict.DEFER
    assert len(read) == 1


async def test_local_mail_flows_without_any_list(rig: Rig) -> None:
    rig.trusted = None
    answer = await rig.intake.message(transaction(user(), ALICE, PAUL), letter(ALICE))
    assert answer.decision.accepted
    assert len(await rig.inbox(2)) == 1


async def test_a_scanner_that_does_not_answer_defers(rig: Rig) -> None:
    rig.scanner.broken = True
    answer = await rig.intake.message(transaction(partner(), BOB, ALICE), letter(BOB))
    assert answer.decision.rule.name == "scan.unavailable"
    assert answer.decision.code == 451
    assert await rig.inbox(1) == []


async def test_a_mailbox_that_fills_before_the_commit_undoes_the_whole_message(rig: Rig) -> None:
    rig.open_box(3, "pleine", quota=64)
    full = f"pleine@{OURS}"
    facts = rig.boxes.held[full]
    rig.boxes.held[full] = type(facts)(3, facts.address, facts.type, facts.state, 0, 0)  # a stale view of the quota
    answer = await rig.intake.message(transaction(partner(), BOB, ALICE, full), letter(BOB))
    assert answer.decision.verdict is Verdict.DEFER
    assert await rig.inbox(1) == []
    assert [record.kind for record in await events(rig, answer.message)] == []


async def test_one_poisoned_message_does_not_hurt_those_that_share_its_transaction(rig: Rig) -> None:
    import asyncio

    rig.open_box(3, "pleine", quota=64)
    full = f"pleine@{OURS}"
    facts = rig.boxes.held[full]
    rig.boxes.held[full] = type(facts)(3, facts.address, facts.type, facts.state, 0, 0)
    work = [rig.intake.message(transaction(partner(), BOB, ALICE), letter(BOB)) for _ in range(8)]
    work.insert(4, rig.intake.message(transaction(partner(), BOB, full), letter(BOB)))
    answers = await asyncio.gather(*work)
    assert [answer.decision.accepted for answer in answers] == [True] * 4 + [False] + [True] * 4
    assert len(await rig.inbox(1)) == 8


async def test_the_journal_of_a_busy_intake_verifies(rig: Rig) -> None:
    import asyncio

    await asyncio.gather(
        *(rig.intake.message(transaction(partner(), BOB, ALICE), letter(BOB)) for _ in range(30)),
        *(rig.intake.recipient(partner(), address(BOB), address(f"x@{OURS}")) for _ in range(10)),
    )
    assert await rig.reading.run(journal.verify) is None


async def test_no_event_holds_a_subject_or_text(rig: Rig) -> None:
    await rig.intake.message(transaction(partner(), BOB, ALICE), letter(BOB, "SECRET-OBJET", body="SECRET-TEXTE\r\n"))
    await rig.intake.message(transaction(partner(), BOB, ALICE), letter(f"m@{OUTSIDE}", "SECRET-OBJET"))
    records = await rig.reading.run(lambda connection: journal.read(connection))
    assert len(records) == 3
    assert "SECRET" not in str(records)


@pytest.mark.parametrize(
    ("field", "kept"),
    [
        ("", None),
        ("X-MSS-NIL: DEV935997", "DEV935997"),
        ("X-MSS-NIL: DUPONT Jean", "?"),
        ("X-MSS-NIL: 199999912345678", "?"),
    ],
)
async def test_the_journal_keeps_the_number_of_the_program_and_no_other_word(
    rig: Rig, field: str, kept: str | None
) -> None:
    """MSS-142, MSS-146: what stands in X-MSS-NIL is what senders write."""
    content = letter(f"alice@{OURS}", extra=f"{field}\r\n" if field else "")
    answer = await rig.intake.message(transaction(user(), f"alice@{OURS}", f"paul@{OURS}"), content)
    assert answer.decision.accepted
    records = await rig.reading.run(lambda connection: journal.read(connection, kind=Kind.MESSAGE_ACCEPTED))
    assert records[-1].detail.get("nil") == kept
    assert "codes" not in records[-1].detail
