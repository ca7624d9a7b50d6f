"""Users' rules through the whole intake: what is forwarded, what stays, what is answered, and that every chain ends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from gateway.answering import PERIOD, Answering
from gateway.following import Following
from gateway.intake_ports import Medical
from gateway.record import journal
from gateway.redirecting import RETURNED, Judgement, Redirecting
from gateway.relay import letters, outbox
from gateway.relay.bodies import StoreBodies
from gateway.relay.notices import House, returned
from gateway.relay.reception import Reception
from gateway.relay.tables import owed, queue
from gateway.rule_book import RuleBook
from gateway.user_rules import UserRules
from mailboxes import rules
from mailboxes.account_tables import address as address_table
from mailboxes.account_tables import mailbox as mailbox_table
from mailboxes.accounts import Refused
from mailboxes.anatomy import dissect
from policies.recipient import RecipientSettings
from policies.retry import Schedule
from policies.trust import TrustSettings, trust_list
from policies.values import BalState, BalType, Door, DsnRequest, Peer
from tests.gateway.rig import NOW, OURS, PARTNER_DN, THEIRS, Rig, address, at, letter, partner, transaction, user

BOB, ALICE, PAUL, ZOE = f"bob@{THEIRS}", f"alice@{OURS}", f"paul@{OURS}", f"zoe@{OURS}"
EVIL = "voleur@evil.test"
HOUSE = House("smtp.op-a.mssante.test", f"postmaster@{OURS}")
ACTOR = "operator:essai"


class Ruled(Rig):
    """The rig with rules, and the register rows that rules are written against."""

    def __init__(self, url: str = "") -> None:
        self.wall = NOW
        super().__init__(clock=lambda: self.wall, url=url)
        self.open_box(3, "zoe")
        for number, name in enumerate(("alice", "paul", "zoe"), start=1):
            self.register(number, name)
        bodies, settings = StoreBodies(self.store), lambda: TrustSettings(own_domains=frozenset({OURS}))
        self.judgement = Judgement(lambda: self.trusted, settings, RecipientSettings, self.clock)
        self.book = RuleBook(self.reading, lambda: self.wall)
        redirecting = Redirecting(
            self.book, self.boxes, self.judgement, self.sealer, self.store, bodies, Schedule(), self._wake, HOUSE.hostname
        )  # fmt: skip
        answering = Answering(self.book, self.sealer, bodies, lambda: self.trusted, settings, self.clock)
        self.rules = UserRules(self.book, redirecting, answering, self.judgement, bodies)
        reception = Reception(bodies, HOUSE.hostname, lambda: self.trusted, 3600.0)
        self.followers = Following(reception, self.sealer, self.rules)
        self.intake = self.make_intake(followers=self.followers)

    def register(self, number: int, name: str) -> None:
        texts = dict.fromkeys(("structure", "description", "service", "responsible", "phone", "state_by"), "")
        row = {
            "id": number, "local": name, "domain": OURS, "type": BalType.PER.value, "owner_id": 1, **texts,
            "red_list": False, "paperless": False, "rank": 0, "state": BalState.ACTIVE.value, "state_at": 0,
            "state_reason": "", "created_at": 0, "last_login_at": 0,
        }  # fmt: skip
        key = {"key": f"{name}@{OURS}", "mailbox_id": number, "alias": False, "given_at": 0, "ended_at": 0}

        def work(unit) -> None:
            unit.connection.execute(mailbox_table.insert(), row)
            unit.connection.execute(address_table.insert(), key)

        self.committer.run_sync(work)

    async def forward(self, owner: str, target: str, *, keep: bool = True) -> int:
        judge = lambda one, other: self.judgement.target(one, other, executing=False)  # noqa: E731
        number = await self.committer.run(lambda unit: rules.forward(unit, owner, target, ACTOR, judge, keep=keep))
        self.book.forget()
        return number

    async def write(self, work: Callable) -> int:
        number = await self.committer.run(work)
        self.book.forget()
        return number

    async def absent(self, owner: str, text: str = "De retour lundi.") -> int:
        return await self.write(lambda unit: rules.absence(unit, owner, NOW - 1, NOW + 30 * 86400, text, ACTOR))

    async def queued(self) -> list[tuple[str, str]]:
        query = select(queue.c.sender, queue.c.recipient).order_by(queue.c.id)
        return await self.reading.run(lambda connection: [tuple(row) for row in connection.execute(query)])

    async def carried(self) -> list[bytes]:
        query = select(queue.c.body_id, queue.c.wrapped).order_by(queue.c.id)
        rows = await self.reading.run(lambda connection: connection.execute(query).all())
        opened = [await StoreBodies(self.store).open(row.body_id, bytes(row.wrapped)) for row in rows]
        return [await body.read(0, body.size) for body in opened]

    async def owing(self) -> list[tuple[str, str]]:
        query = select(owed.c.action, owed.c.recipient).order_by(owed.c.id)
        return await self.reading.run(lambda connection: [tuple(row) for row in connection.execute(query)])

    async def said(self) -> list[str]:
        query = select(owed.c.entries).order_by(owed.c.id)
        rows = await self.reading.run(lambda connection: connection.execute(query).scalars().all())
        return [entry["rule"] for row in rows for entry in json.loads(row)]

    async def letters(self) -> list[bytes]:
        built = []
        for notice in await self.committer.run(lambda unit: outbox.take(unit, 60.0)):
            original = None
            if notice.body_id:
                body = await StoreBodies(self.store).open(notice.body_id, notice.wrapped)
                original = returned(await body.read(0, body.size), body.size, notice.ret)
            built.append(letters.build(notice, original, HOUSE, notice.recipient, NOW, "f" * 32))
        return built

    async def active(self) -> list[rules.Rule]:
        return await self.reading.run(rules.listed)

    async def bodies_left(self) -> int:
        from mailboxes.tables import body

        return len(await self.reading.run(lambda connection: connection.execute(select(body.c.body_id)).all()))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Ruled]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    made = Ruled(url)
    yield made
    await made.close()


async def arrives(rig: Ruled, *recipients: str, content: bytearray | None = None, sender: str | None = BOB):
    return await rig.intake.message(transaction(partner(), sender, *recipients), content or letter(BOB))


# written


async def test_a_rule_that_points_outside_is_never_written(rig: Ruled) -> None:
    with pytest.raises(Refused) as refused:
        await rig.forward(ALICE, EVIL)
    assert refused.value.decision.rule.name == "redirection.rule_outside"
    assert await rig.active() == []


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (ALICE, "redirection.to_itself"),
        (f"alias@{OURS}", "redirection.to_itself"),
        (f'"bob evil"@{THEIRS}', "mailbox.address_malformed"),
        ("pas une adresse", "mailbox.address_malformed"),
        (f"x@sub.{THEIRS}", "redirection.rule_outside"),
        (f"bob%evil.test@{THEIRS}", "mailbox.address_malformed"),
    ],
)
async def test_a_bad_target_is_refused_with_its_reason(rig: Ruled, target: str, name: str) -> None:
    alias = {"key": f"alias@{OURS}", "mailbox_id": 1, "alias": True, "given_at": 0, "ended_at": 0}
    await rig.committer.run(lambda unit: unit.connection.execute(address_table.insert(), alias))
    with pytest.raises(Refused) as refused:
        await rig.forward(ALICE, target)
    assert refused.value.decision.rule.name == name


async def test_a_mailbox_has_only_so_many_rules(rig: Ruled) -> None:
    for number in range(50):
        await rig.forward(ALICE, f"b{number}@{THEIRS}")
    with pytest.raises(Refused) as refused:
        await rig.forward(ALICE, f"b50@{THEIRS}")
    assert refused.value.decision.rule.name == "redirection.too_many"


@pytest.mark.parametrize(
    ("starts", "ends", "text", "name"),
    [
        (0, -1, "x", "redirection.absence_dates"),
        (0, 400 * 86400, "x", "redirection.absence_dates"),
        (0, 86400, "\x00\n", "redirection.absence_text"),
        (0, 86400, "x" * 2001, "redirection.absence_text"),
    ],
)
async def test_an_absence_has_an_end_and_a_text(rig: Ruled, starts: int, ends: int, text: str, name: str) -> None:
    with pytest.raises(Refused) as refused:
        await rig.write(lambda unit: rules.absence(unit, ALICE, NOW + starts, NOW + ends, text, ACTOR))
    assert refused.value.decision.rule.name == name


async def test_a_new_rule_replaces_its_like_and_what_ended_stays_as_evidence(rig: Ruled) -> None:
    await rig.forward(ALICE, BOB)
    second = await rig.forward(ALICE, BOB.upper(), keep=False)
    assert [one.number for one in await rig.active()] == [second]
    assert len(await rig.reading.run(lambda connection: rules.listed(connection, ended=True))) == 2
    await rig.write(lambda unit: rules.remove(unit, ALICE, second, ACTOR))
    with pytest.raises(Refused) as refused:
        await rig.write(lambda unit: rules.remove(unit, ALICE, second, ACTOR))
    assert refused.value.decision.rule.name == "redirection.rule_unknown"
    records = await rig.reading.run(lambda connection: journal.read(connection, mailbox=1))
    assert [record.kind for record in records].count("account.rule") == 3


# forwarded


async def test_a_forward_to_a_partner_is_sent_in_the_owner_s_name_and_keeps_the_bytes(rig: Ruled) -> None:
    await rig.forward(ALICE, BOB)
    content = letter(BOB)
    original = bytes(content)
    answer = await arrives(rig, ALICE, content=content)
    assert await rig.queued() == [(ALICE, BOB)]
    (carried,) = await rig.carried()
    assert carried.endswith(original)
    assert carried.startswith(f"Return-Path: <{ALICE}>\r\nResent-Date: ".encode())
    assert carried.lower().count(b"\r\nreturn-path:") == 0  # the one of the delivery to the mailbox stays there
    assert f"Resent-From: <{ALICE}>\r\nResent-To: <{BOB}>\r\n".encode() in carried
    (kept,) = await rig.inbox(1)
    assert b"Resent-" not in kept
    assert dissect(carried).listed(b"resent-from").addresses == (address(ALICE),)
    records = await rig.reading.run(lambda connection: journal.read(connection, message=answer.message))
    assert {"message.queued", "account.rule", "message.delivered"} <= {record.kind for record in records}


async def test_without_a_copy_the_mailbox_stays_empty_and_no_body_is_left_over(rig: Ruled) -> None:
    await rig.forward(ALICE, BOB, keep=False)
    assert (await arrives(rig, ALICE)).decision.accepted
    assert await rig.inbox(1) == []
    assert await rig.queued() == [(ALICE, BOB)]
    assert await rig.bodies_left() == 1


async def test_a_message_too_large_to_come_back_whole_is_kept(rig: Ruled) -> None:
    """A forward that fails returns the message to its owner; what a notice cannot hold stays in the mailbox."""
    await rig.forward(ALICE, BOB, keep=False)
    await arrives(rig, ALICE, content=letter(BOB, body="x" * 70 + "\r\n"))
    assert await rig.inbox(1) == []
    await arrives(rig, ALICE, content=letter(BOB, body=("x" * 70 + "\r\n") * (RETURNED // 72)))
    assert len(await rig.inbox(1)) == 1
    rows = await rig.reading.run(lambda connection: connection.execute(select(queue.c.ret)).scalars().all())
    assert rows == ["FULL", "FULL"]


async def test_a_forward_to_a_mailbox_of_ours_is_one_more_delivery(rig: Ruled) -> None:
    await rig.forward(ALICE, PAUL, keep=False)
    await arrives(rig, ALICE)
    assert await rig.inbox(1) == []
    (moved,) = await rig.inbox(2)
    assert moved.startswith(f"Return-Path: <{BOB}>".encode())
    assert await rig.queued() == []


async def test_a_group_mailbox_serves_all_its_members_once(rig: Ruled) -> None:
    for member in (ALICE, PAUL, BOB):
        await rig.forward(ZOE, member, keep=False)
    await arrives(rig, ZOE, ALICE)
    assert [len(await rig.inbox(number)) for number in (1, 2, 3)] == [1, 1, 0]
    assert await rig.queued() == [(ZOE, BOB)]


async def test_a_ring_of_rules_ends_and_loses_nothing(rig: Ruled) -> None:
    await rig.forward(ALICE, PAUL, keep=False)
    await rig.forward(PAUL, ZOE, keep=False)
    await rig.forward(ZOE, ALICE, keep=False)
    await arrives(rig, ALICE)
    assert [len(await rig.inbox(number)) for number in (1, 2, 3)] == [0, 0, 1]


async def test_aliases_hide_no_ring(rig: Ruled) -> None:
    alias = f"al@{OURS}"
    rig.boxes.held[alias] = rig.boxes.held[ALICE]
    await rig.forward(ALICE, PAUL, keep=False)
    await rig.forward(PAUL, alias, keep=False)
    await arrives(rig, alias, ALICE)
    assert [len(await rig.inbox(number)) for number in (1, 2)] == [0, 1]


async def test_a_chain_names_every_owner_to_the_partner_the_last_one_first(rig: Ruled) -> None:
    await rig.forward(ALICE, PAUL)
    await rig.forward(PAUL, BOB)
    await arrives(rig, ALICE)
    assert await rig.queued() == [(PAUL, BOB)]
    (carried,) = await rig.carried()
    assert dissect(carried).listed(b"resent-from").addresses == (address(PAUL), address(ALICE))


async def test_a_message_that_returns_stays(rig: Ruled) -> None:
    await rig.forward(ALICE, BOB, keep=False)
    await arrives(rig, ALICE, content=letter(BOB, extra=f"Resent-From: <{BOB}>\r\nResent-From: <{ALICE}>\r\n"))
    assert len(await rig.inbox(1)) == 1
    assert await rig.queued() == []


async def test_a_notice_stays_in_the_mailbox(rig: Ruled) -> None:
    await rig.forward(ALICE, BOB, keep=False)
    content = letter(BOB, extra="Auto-Submitted: auto-replied\r\n")
    await arrives(rig, ALICE, sender=None, content=content)
    assert len(await rig.inbox(1)) == 1
    assert await rig.queued() == []


async def test_a_colleague_who_may_not_receive_leaves_the_message_where_it_is(rig: Ruled) -> None:
    await rig.forward(ALICE, PAUL, keep=False)
    held = rig.boxes.held[PAUL]
    for changed in (replace(held, state=BalState.CLOSED), replace(held, quota=1, used=1)):
        rig.boxes.held[PAUL] = changed
        assert (await arrives(rig, ALICE)).decision.accepted
    assert (len(await rig.inbox(1)), len(await rig.inbox(2))) == (2, 0)
    assert len(await rig.active()) == 1


# the list changes


async def test_whom_a_patient_forbade_gets_nothing_by_a_rule_either(rig: Ruled) -> None:
    """TOU-F08: of two rules the one that leads to him is not executed, the message stays, and ``explain`` says why."""

    class Reading:
        async def read(self, *given: object) -> Medical:
            return Medical(forbidden=frozenset({ZOE, f"tiers@{THEIRS}"}))

    rig.intake = rig.make_intake(medical=Reading(), followers=rig.followers)
    await rig.forward(PAUL, f"tiers@{THEIRS}", keep=False)
    await arrives(rig, PAUL)
    assert (await rig.queued(), len(await rig.inbox(2))) == ([], 1)
    await rig.forward(PAUL, f"autre@{THEIRS}", keep=False)
    await rig.forward(ALICE, ZOE, keep=False)
    answer = await arrives(rig, ALICE)
    assert (len(await rig.inbox(1)), await rig.inbox(3)) == (1, [])
    records = await rig.reading.run(lambda connection: journal.read(connection, message=answer.message))
    assert "patient.forbidden" in str([record.detail for record in records])
    await arrives(rig, PAUL)
    assert [recipient for _, recipient in await rig.queued()] == [f"autre@{THEIRS}"]


async def test_a_target_that_left_the_space_ends_the_rule_at_execution_and_tells_the_owner_once(rig: Ruled) -> None:
    await rig.forward(ALICE, BOB, keep=False)
    rig.trusted = trust_list([("op-c.mssante.test", PARTNER_DN)], at(NOW), at(NOW))
    for _ in range(2):
        await rig.intake.message(transaction(user("paul", 2), PAUL, ALICE), letter(PAUL))
        rig.book.forget()
    assert len(await rig.inbox(1)) == 2
    assert await rig.queued() == []
    assert await rig.active() == []
    assert await rig.owing() == [(letters.RULE_DISABLED, ALICE)]
    (told,) = await rig.letters()
    assert b"Auto-Submitted: auto-generated" in told
    assert THEIRS.encode() in told


async def test_a_new_list_ends_rules_before_any_message(rig: Ruled) -> None:
    await rig.forward(ALICE, BOB)
    await rig.forward(ALICE, PAUL)
    assert await rig.rules.rejudge(rig.committer) == 0
    rig.trusted = trust_list([("op-c.mssante.test", PARTNER_DN)], at(NOW), at(NOW))
    assert [await rig.rules.rejudge(rig.committer) for _ in range(2)] == [1, 0]
    assert [one.target for one in await rig.active()] == [PAUL]
    (ended,) = [one for one in await rig.reading.run(lambda each: rules.listed(each, ended=True)) if one.ended_at]
    assert ended.ended_why == "redirection.rule_disabled"
    assert await rig.owing() == [(letters.RULE_DISABLED, ALICE)]


async def test_a_stale_list_makes_rules_wait(rig: Ruled) -> None:
    await rig.forward(ALICE, BOB, keep=False)
    old = at(NOW) - timedelta(days=30)
    rig.trusted = trust_list([(THEIRS, PARTNER_DN)], old, old)
    await rig.intake.message(transaction(user("paul", 2), PAUL, ALICE), letter(PAUL))
    assert len(await rig.inbox(1)) == 1
    assert len(await rig.active()) == 1


# absence


async def test_an_absence_is_answered_once_a_week_without_the_original(rig: Ruled) -> None:
    await rig.absent(ALICE)
    content = letter(BOB, "Objet secret", body="Corps secret\r\n")
    content[:] = content.replace(f"To: x@{OURS}".encode(), f"To: {ALICE}".encode())
    for _ in range(2):
        await arrives(rig, ALICE, content=bytearray(content))
    assert await rig.owing() == [(letters.ABSENCE, BOB)]
    assert await rig.said() == ["notice.absent"]
    (reply,) = await rig.letters()
    assert b"secret" not in reply
    assert f"From: <{ALICE}>\r\nTo: <{BOB}>\r\n".encode() in reply
    assert b"Auto-Submitted: auto-replied\r\n" in reply
    assert f"In-Reply-To: <m1@{THEIRS}>".encode() in reply
    assert b"De retour lundi." in reply
    assert dissect(reply).problems == frozenset()
    rig.wall = NOW + PERIOD + 1
    rig.trusted = trust_list([(THEIRS, PARTNER_DN)], at(rig.wall), at(rig.wall))
    await arrives(rig, ALICE, content=bytearray(content))
    assert len(await rig.owing()) == 2


@pytest.mark.parametrize(
    ("sender", "extra"),
    [
        (BOB, "Auto-Submitted: auto-generated\r\n"),
        (BOB, f"List-Id: <l.{THEIRS}>\r\n"),
        (BOB, "Precedence: bulk\r\n"),
        (f"noreply@{THEIRS}", ""),
        (f"postmaster@{THEIRS}", ""),
        (None, "Auto-Submitted: auto-replied\r\n"),
    ],
)
async def test_nobody_answers_a_machine(rig: Ruled, sender: str | None, extra: str) -> None:
    await rig.absent(ALICE)
    content = letter(sender or BOB, extra=extra)
    content[:] = content.replace(f"To: x@{OURS}".encode(), f"To: {ALICE}".encode())
    assert (await arrives(rig, ALICE, content=content, sender=sender)).decision.accepted
    assert await rig.owing() == []


async def test_who_is_named_nowhere_does_not_answer(rig: Ruled) -> None:
    await rig.absent(ALICE)
    await arrives(rig, ALICE, content=letter(BOB))
    assert await rig.owing() == []


async def test_an_absence_over_is_not_answered(rig: Ruled) -> None:
    await rig.write(lambda unit: rules.absence(unit, ALICE, NOW - 1, NOW + 10, "bientôt", ACTOR))
    rig.wall = NOW + 11
    content = letter(BOB)
    content[:] = content.replace(f"To: x@{OURS}".encode(), f"To: {ALICE}".encode())
    await arrives(rig, ALICE, content=content)
    assert await rig.owing() == []


async def test_what_an_owner_writes_cannot_leave_the_body(rig: Ruled) -> None:
    await rig.absent(ALICE, "Bonjour\r\n.\r\nBcc: voleur@evil.test\r\n\x00\x1bÉté 😀")
    content = letter(BOB)
    content[:] = content.replace(f"To: x@{OURS}".encode(), f"To: {ALICE}".encode())
    await arrives(rig, ALICE, content=content)
    (reply,) = await rig.letters()
    found = dissect(reply)
    assert b"bcc" not in found.values
    assert found.problems == frozenset()
    assert reply.isascii()


# receipts by themselves


async def test_a_receipt_is_sent_once_when_the_mailbox_does_so_by_itself(rig: Ruled) -> None:
    await rig.write(lambda unit: rules.acknowledge(unit, ALICE, ACTOR))
    for _ in range(2):
        await arrives(rig, ALICE, content=letter(BOB, extra=f"Disposition-Notification-To: <{BOB}>\r\n"))
    assert await rig.owing() == [(letters.PROCESSED, BOB)]
    assert await rig.said() == ["notice.processed"]
    (receipt,) = await rig.letters()
    assert b"Disposition: automatic-action/MDN-sent-automatically; processed\r\n" in receipt
    assert f"Original-Message-ID: <m1@{THEIRS}>".encode() in receipt
    assert b"Subject: Essai\r\n" in receipt
    folder = await rig.store.folder(1, "INBOX")
    snapshot = await rig.store.snapshot(1, folder.id)
    assert all("$MDNSent" in entry.flags for entry in snapshot.entries)


@pytest.mark.parametrize(
    ("sender", "extra"),
    [
        (BOB, ""),
        (BOB, f"Disposition-Notification-To: <autre@{THEIRS}>\r\n"),
        (BOB, f"Disposition-Notification-To: <{BOB}>, <autre@{THEIRS}>\r\n"),
        (BOB, f"Disposition-Notification-To: <{BOB}>\r\nAuto-Submitted: auto-generated\r\n"),
        (None, f"Disposition-Notification-To: <{BOB}>\r\nAuto-Submitted: auto-generated\r\n"),
    ],
)
async def test_no_receipt_without_request_nor_to_another_nor_to_a_machine(
    rig: Ruled, sender: str | None, extra: str
) -> None:
    await rig.write(lambda unit: rules.acknowledge(unit, ALICE, ACTOR))
    assert (await arrives(rig, ALICE, sender=sender, content=letter(BOB, extra=extra))).decision.accepted
    assert await rig.owing() == []


async def test_rules_cost_the_others_nothing(rig: Ruled) -> None:
    await rig.forward(ALICE, BOB)
    await rig.absent(ALICE)
    await arrives(rig, PAUL)
    assert await rig.queued() == []
    assert await rig.owing() == []


async def test_a_forward_that_cannot_be_committed_leaves_nothing(rig: Ruled) -> None:
    rig.open_box(4, "pleine", quota=64)
    full = f"pleine@{OURS}"
    rig.boxes.held[full] = replace(rig.boxes.held[full], quota=0)
    await rig.forward(ALICE, BOB)
    answer = await arrives(rig, ALICE, full)
    assert not answer.decision.accepted
    assert await rig.queued() == []
    assert await rig.bodies_left() == 0


async def test_our_own_notices_never_set_a_rule_going(rig: Ruled) -> None:
    await rig.forward(ALICE, BOB, keep=False)
    await rig.absent(ALICE)
    house = Peer(Door.INTERNAL, "127.0.0.1", tls=True)
    await rig.intake.message(transaction(house, None, ALICE, dsn=DsnRequest()), letter(f"postmaster@{OURS}"))
    assert len(await rig.inbox(1)) == 1
    assert (await rig.queued(), await rig.owing()) == ([], [])


async def test_what_stays_is_explained(rig: Ruled) -> None:
    await rig.forward(ALICE, BOB, keep=False)
    answer = await arrives(rig, ALICE, content=letter(BOB, extra=f"Resent-From: <{BOB}>, <{ALICE}>\r\n"))
    records = await rig.reading.run(lambda connection: journal.read(connection, message=answer.message))
    said = json.dumps([record.detail for record in records if record.kind == "message.decision"])
    assert "redirection.loop" in said
