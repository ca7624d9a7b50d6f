"""Where each recipient is: forward only, deadlines once, receipts believed only from who may speak (MSS-118)."""

from __future__ import annotations

from email import message_from_bytes

import pytest

from gateway.relay import tracking
from gateway.relay.tables import NEVER
from gateway.relay.tracking import Followed, Receipt
from mailboxes.commit import Unit
from policies.receipts import State
from policies.values import DsnRequest
from tests import stores
from tests.gateway.relay.house import House, Intake, Script, answering, running
from tests.waiting import until

BOB = "bob@op-b.mssante.test"
MAILBOX = 7


def followed(unit: Unit, message: str, wants: frozenset[str] = frozenset({"delivery", "reading"})) -> None:
    row = Followed(message, BOB, MAILBOX, "alice@op-a.mssante.test", "m1@op-a.mssante.test", "", "mssante", wants)
    tracking.follow(unit, [row], 86400.0)


async def state(house: House, message: str) -> State:
    (line,) = await house.reading.run(lambda connection: tracking.track(connection, message))
    return line.state


def receipt(kind: State = State.READ, recipient: str = BOB, message_id: str = "m1@op-a.mssante.test") -> Receipt:
    return Receipt(message_id, "", recipient, "", kind, "902" if kind is State.REFUSED else "")


async def test_the_whole_way_queued_handed_over_delivered_read(house: House) -> None:
    with running(house.courier(Script())):
        message = await house.send(also=followed)

        async def handed_over() -> bool:
            return await state(house, message) is State.HANDED_OVER

        await until(handed_over)
    for kind in (State.DELIVERED, State.READ):
        assert await house.committer.run(lambda unit, kind=kind: tracking.receive(unit, MAILBOX, [receipt(kind)])) == 1
        assert await state(house, message) is kind
    again = await house.committer.run(
        lambda unit: tracking.receive(unit, MAILBOX, [receipt(), receipt(State.DELIVERED)])
    )
    assert again == 0  # doubles are absorbed
    assert (await house.words(message)).count("message.receipt") == 2


async def test_failure_and_delay_are_states_too(house: House) -> None:
    script = Script(answering("relay.partner_deferred", "451 later"))
    courier = house.courier(script)
    with running(courier):
        message = await house.send(also=followed)
        await until(lambda: script.sent and not courier._leases)
        assert await state(house, message) is State.DELAYED
        script.answer = answering("relay.partner_refused", "550 no")
        house.time.pass_(301)

        async def failed() -> bool:
            return await state(house, message) is State.FAILED

        await until(failed)


async def test_what_is_given_up_has_failed_and_says_why(house: House) -> None:
    """Also when nobody asked for the notice that would say so: the last attempt of a life is no delay."""
    script = Script(answering("relay.partner_deferred", "451 later"))
    courier = house.courier(script, chores=1e9)  # the attempt finds the end of the life, not the round of deadlines
    with running(courier):
        message = await house.send(also=followed, dsn=DsnRequest(frozenset({"NEVER"})))
        await until(lambda: script.sent and not courier._leases)
        house.time.pass_(6 * 86400)

        async def failed() -> bool:
            return await state(house, message) is State.FAILED

        await until(failed)
    (line,) = await house.reading.run(lambda connection: tracking.track(connection, message))
    assert line.code == "4.4.7"


async def test_a_deadline_gives_one_negative_notice_and_a_late_receipt_still_counts(house: House) -> None:
    intake = Intake()
    with running(house.courier(Script(), intake)):
        message = await house.send(also=followed)

        async def handed_over() -> bool:
            return await state(house, message) is State.HANDED_OVER

        await until(handed_over)
        house.time.pass_(90_000)
        await until(lambda: intake.notices)
        assert await state(house, message) is State.LATE
        house.time.pass_(90_000)
        assert await house.committer.run(lambda unit: tracking.deadlines(unit, unit.now)) == 0
    assert len(intake.notices) == 1
    to, content = intake.notices[0]
    assert to == "alice@op-a.mssante.test"
    assert b"no confirmation" in content.lower()
    assert b"Code" not in content  # of a server that "does not answer": it did
    assert await house.committer.run(lambda unit: tracking.receive(unit, MAILBOX, [receipt()])) == 1
    assert await state(house, message) is State.READ
    assert (await house.words(message)).count("message.deadline") == 1


async def test_delivered_but_not_read_is_told_as_such_and_stays_delivered(house: House) -> None:
    """What is proved is not denied: only the reading is in doubt, and no server failed to answer."""
    intake = Intake()
    with running(house.courier(Script(), intake)):
        message = await house.send(also=followed)

        async def left() -> bool:
            return await house.waiting() == 0

        await until(left)
        await house.committer.run(lambda unit: tracking.note(unit, message, BOB, State.DELIVERED))
        house.time.pass_(90_000)
        await until(lambda: intake.notices)
        assert await house.committer.run(lambda unit: tracking.deadlines(unit, unit.now)) == 0
    assert await state(house, message) is State.DELIVERED
    notice = message_from_bytes(intake.notices[0][1])
    text = notice.get_payload(0).get_payload(decode=True).decode()  # type: ignore[union-attr]
    assert "was delivered" in text
    assert "nothing proves" not in text
    assert "Code" not in text
    assert b"Action: delivered\r\nStatus: 2.1.5\r\n" in intake.notices[0][1]


async def test_who_asked_for_delivery_only_is_answered_by_it(house: House) -> None:
    message = await house.send(also=lambda unit, made: followed(unit, made, frozenset({"delivery"})))
    await house.committer.run(lambda unit: tracking.note(unit, message, BOB, State.DELIVERED))
    house.time.pass_(90_000)
    assert await house.committer.run(lambda unit: tracking.deadlines(unit, unit.now)) == 0


async def test_nobody_speaks_for_what_is_not_theirs(house: House) -> None:
    message = await house.send(also=followed)
    cases: list[tuple[int, Receipt, bool]] = [
        (8, receipt(), True),  # another mailbox's message
        (MAILBOX, receipt(recipient="eve@op-b.mssante.test"), True),  # a recipient it never had
        (MAILBOX, receipt(message_id="other@x"), True),
        (MAILBOX, receipt(message_id=""), True),
        (MAILBOX, receipt(), False),  # brought by an operator that may not speak for op-b
    ]
    for mailbox, one, trusted in cases:
        done = await house.committer.run(
            lambda unit, mailbox=mailbox, one=one, trusted=trusted: tracking.receive(
                unit, mailbox, [one], lambda domain: trusted
            )
        )
        assert done == 0
    assert await state(house, message) is State.QUEUED


async def test_a_receipt_finds_its_message_by_our_identifier_and_the_final_address(house: House) -> None:
    message = await house.send(also=followed)
    one = Receipt("", message, "team@op-b.mssante.test", BOB, State.DELIVERED)
    assert await house.committer.run(lambda unit: tracking.receive(unit, MAILBOX, [one])) == 1
    assert await state(house, message) is State.DELIVERED


@pytest.mark.parametrize("told", ["Q+R=1", "Q+2BR+3D1"])
async def test_a_notice_finds_its_message_by_the_sender_s_envelope_identifier(house: House, told: str) -> None:
    """A notice that returns nothing names it decoded, as RFC 3464 asks, or as it was given (MSS-042)."""

    def wanted(unit: Unit, message: str) -> None:
        row = Followed(message, BOB, MAILBOX, "alice@op-a.mssante.test", "", "Q+2BR+3D1", "mssante", frozenset())
        tracking.follow(unit, [row], 86400.0)

    await house.send(also=wanted)
    news = Receipt("", told, BOB, "", State.DELIVERED)
    assert await house.committer.run(lambda unit: tracking.receive(unit, MAILBOX, [news])) == 1


async def test_a_notice_about_a_message_sent_again_speaks_of_that_one(house: House) -> None:
    """Both have one Message-ID; the partner's notice returns our identifier of the one it is about."""
    first, second = [await house.send(also=followed) for _ in range(2)]
    news = Receipt("m1@op-a.mssante.test", second, BOB, "", State.FAILED, "5.2.1")
    assert await house.committer.run(lambda unit: tracking.receive(unit, MAILBOX, [news])) == 1
    lines = await house.reading.run(lambda connection: tracking.track(connection, "m1@op-a.mssante.test"))
    assert [(line.message, line.state) for line in lines] == [(first, State.QUEUED), (second, State.FAILED)]


async def test_reading_receipts_of_a_message_sent_again_answer_both(house: House) -> None:
    """An MDN knows the Message-ID alone: the second one was booked on the first sending, and the second was called late."""
    first = await house.send(also=followed)
    house.time.pass_(60)
    second = await house.send(also=followed)
    assert (
        await house.committer.run(lambda unit: tracking.receive(unit, MAILBOX, [receipt(), receipt(), receipt()])) == 2
    )
    assert [await state(house, message) for message in (first, second)] == [State.READ, State.READ]


async def test_a_receipt_answers_the_sending_that_waits_not_the_one_given_up(house: House) -> None:
    first = await house.send(also=followed)
    await house.committer.run(lambda unit: tracking.note(unit, first, BOB, State.FAILED, "5.2.2"))
    second = await house.send(also=followed)
    assert await house.committer.run(lambda unit: tracking.receive(unit, MAILBOX, [receipt()])) == 1
    assert [await state(house, message) for message in (first, second)] == [State.FAILED, State.READ]


async def test_the_sent_board_is_one_line_per_message_and_recipient(house: House) -> None:
    """TOU-C02."""
    first = await house.send(also=followed)
    house.time.pass_(60)
    second = await house.send(also=followed)
    lines = await house.reading.run(lambda connection: tracking.board(connection, MAILBOX))
    assert [(line.message, line.recipient, line.channel, line.state) for line in lines] == [
        (second, BOB, "mssante", State.QUEUED),
        (first, BOB, "mssante", State.QUEUED),
    ]
    older = await house.reading.run(lambda connection: tracking.board(connection, MAILBOX, before=lines[0].sent_at))
    assert [line.message for line in older] == [first]
    assert lines[0].deadline_at - lines[0].sent_at == 86400.0


async def test_an_unknown_message_is_not_followed(house: House) -> None:
    assert not await house.committer.run(lambda unit: tracking.note(unit, "nobody", BOB, State.READ))


def _years(unit: Unit, count: int) -> None:
    """A mailbox that sent so many messages, all settled."""
    rows = [
        (
            f"S{number:06}",
            BOB,
            MAILBOX,
            "alice@op-a.mssante.test",
            "",
            "",
            "mssante",
            "",
            1e9,
            "delivered",
            1e9,
            "",
            NEVER,
        )
        for number in range(count)
    ]
    tracking._INSERT(unit.cursor, rows)


async def test_forgetting_and_receipts_read_what_they_are_about_and_not_all_that_is_followed(house: House) -> None:
    """Both are in write transactions, with all other mail behind them."""
    await house.committer.run(lambda unit: _years(unit, 3000))
    own = Followed("own", BOB, MAILBOX, "alice@op-a.mssante.test", "", "E+1", "mssante", frozenset({"delivery"}))
    await house.committer.run(lambda unit: tracking.follow(unit, [own], 86400.0))

    def costs(unit: Unit) -> tuple[int, int]:
        told = Receipt("", "E+1", BOB, "", State.DELIVERED)
        return (
            stores.effort(unit.connection, lambda: tracking.forget(unit, 1e8)),
            stores.effort(unit.connection, lambda: tracking.receive(unit, MAILBOX, [told])),
        )

    assert max(await house.committer.run(costs)) < 20
    assert await state(house, "own") is State.DELIVERED
    assert await house.committer.run(lambda unit: tracking.forget(unit, 2e9)) == tracking.CHUNK
