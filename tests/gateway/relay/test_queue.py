"""The queue's promises: fair, leased, fenced, timed; on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import func, select, update
from structlog.testing import capture_logs

from gateway.record.journal import Journal
from gateway.relay import clockwork, desk, outcomes, queue
from gateway.relay.desk import Selection
from gateway.relay.outcomes import Settlement
from gateway.relay.parcel import Result
from gateway.relay.queue import Taken
from gateway.relay.tables import NEVER, owed
from gateway.relay.tables import queue as queue_table
from mailboxes.commit import Committer
from policies.catalogue import rule
from policies.decision import decide
from policies.retry import Schedule
from policies.values import DsnRequest
from tests.gateway.relay.house import House, Intake, Script, Time, accepted, answering, running
from tests.waiting import until

DAY = 86400.0


async def take(house: House, owner: str = "one", limit: int = 100, room: int = 100) -> list[Taken]:
    found, _ = await house.committer.run(lambda unit: queue.take(unit, owner, 30.0, limit, lambda domain: room))
    return found


async def settle(
    house: House,
    rows: list[Taken],
    name: str = "relay.handed_over",
    owner: str = "one",
    chance: Callable[[], float] = lambda: 0.0,
) -> set[int]:
    decision = decide(rule(name), host="mx.test", domain="x.test")
    done = [Settlement(row, Result(row.id, decision, decision.enhanced)) for row in rows]
    return await house.committer.run(
        lambda unit: outcomes.settle(unit, house.bodies, owner, done, house.schedule, chance)
    )


async def test_a_row_is_leased_to_one_and_falls_due_again_when_it_dies(house: House) -> None:
    """F18."""
    await house.send()
    first = await take(house, "one")
    assert [row.recipient for row in first] == ["bob@op-b.mssante.test"]
    assert await take(house, "two") == []
    house.time.pass_(31)
    second = await take(house, "two")
    assert second[0].fence == first[0].fence + 1


async def test_who_slept_past_the_lease_changes_nothing(house: House) -> None:
    """F19: the late commit is refused, nothing is said twice to the journal."""
    message = await house.send()
    slept = await take(house, "one")
    house.time.pass_(31)
    await take(house, "two")
    assert await settle(house, slept, "relay.handed_over", "one") == {slept[0].id}
    assert await settle(house, slept, "relay.partner_deferred", "one") == {slept[0].id}
    assert await house.words(message) == ["message.queued"]
    assert await house.waiting() == 1


async def test_a_lease_is_lengthened_only_by_its_holder(house: House) -> None:
    await house.send()
    rows = await take(house, "one")
    house.time.pass_(20)
    kept = await house.committer.run(lambda unit: queue.extend(unit, "one", queue.ids(rows), 30.0))
    assert kept == {rows[0].id}
    house.time.pass_(20)
    assert await take(house, "two") == []
    assert await house.committer.run(lambda unit: queue.extend(unit, "two", queue.ids(rows), 30.0)) == set()


async def test_no_destination_takes_the_share_of_another(house: House) -> None:
    """F32: a flood to one does not delay the one message to each other."""
    for _ in range(40):
        await house.send(("bob@flood.test",))
    for at in range(5):
        await house.send((f"bob@small{at}.test",))
    rows = await take(house, limit=12)
    domains = [row.domain for row in rows]
    assert {f"small{at}.test" for at in range(5)} <= set(domains)
    assert domains.count("flood.test") <= 2 + 5


async def test_the_room_of_a_destination_is_respected(house: House) -> None:
    for _ in range(8):
        await house.send()
    assert len(await take(house, room=3)) == 3


async def test_a_spared_destination_gives_one_probe_when_its_time_comes(house: House) -> None:
    for _ in range(5):
        await house.send()
    bad = decide(rule("relay.unreachable"), host="mx.test")
    at = await house.committer.run(lambda unit: outcomes.spare(unit, "op-b.mssante.test", bad, "", house.schedule, 0.0))
    again = await house.committer.run(
        lambda unit: outcomes.spare(unit, "op-b.mssante.test", bad, "", house.schedule, 0.0)
    )
    assert again == at == house.time.wall() + 300  # a second courier that finds out the same does not double the wait
    assert await take(house) == []
    house.time.pass_(301)
    probe = await take(house)
    assert len(probe) == 1
    assert probe[0].failing
    await house.committer.run(lambda unit: outcomes.revive(unit, "op-b.mssante.test"))
    assert len(await take(house)) == 4


async def test_waits_grow_from_five_minutes_to_sixty_seven(house: House) -> None:
    """The third of the twelve figures."""
    await house.send()
    waits = []
    for _ in range(7):
        rows = await take(house)
        assert await settle(house, rows, "relay.partner_deferred") == set()
        _, next_due = await house.committer.run(lambda unit: queue.take(unit, "one", 30.0, 10, lambda domain: 10))
        waits.append(next_due - house.time.wall())
        house.time.pass_(waits[-1])
    assert waits == pytest.approx([300, 600, 1200, 2400, 4000, 4000, 4000])


async def test_recipients_put_off_together_are_tried_together(house: House) -> None:
    """A partner that greylists fifty recipients gets the message once more, not fifty times."""
    await house.send([f"{name}@op-b.mssante.test" for name in ("bob", "eve", "zoe")])
    luck = iter((0.9, 0.0, 0.5))
    await settle(house, await take(house), "relay.partner_deferred", chance=lambda: next(luck))
    found: list[Taken] = []
    while not found:
        house.time.pass_(1)
        found = await take(house)
    assert len(found) == 3


async def test_a_delay_is_told_once_at_four_hours_and_the_end_at_five_days(house: House) -> None:
    """F30: delayed DSN at 4 h, still queued at 72 h, bounced at 5 d with 4.4.7."""
    intake = Intake()
    script = Script(answering("relay.partner_deferred", "451 4.3.2 not now"))
    courier = house.courier(script, intake, lease=10**6)
    with running(courier):
        message = await house.send()
        await until(lambda: script.sent and not courier._leases)
        while house.time.wall() - 1_800_000_000 < 3 * DAY:
            before = len(script.sent)
            house.time.pass_(4100)
            await until(lambda before=before: len(script.sent) > before and not courier._leases)
        assert await house.waiting() == 1
        assert len(intake.notices) == 1
        house.time.pass_(2 * DAY)
        await until(lambda: len(intake.notices) == 2)
    delayed, failed = (content for _, content in intake.notices)
    assert b"Action: delayed\r\n" in delayed
    assert b"Will-Retry-Until: " in delayed
    assert b"Last-Attempt-Date: " not in delayed  # the warning was no attempt: its time is no proof of one
    assert b"Status: 4.3.2\r\n" in delayed or b"Status: 4.0.0\r\n" in delayed
    assert b"Action: failed\r\n" in failed
    assert b"Status: 4.4.7\r\n" in failed
    assert (await house.words(message)).count("message.expired") == 1
    assert await house.waiting() == 0


async def test_without_a_delay_warning_only_the_end_is_told(house: House) -> None:
    """``queue.warn_after = "0"``."""
    house.schedule = Schedule(warn=0)
    intake = Intake()
    courier = house.courier(Script(answering("relay.partner_deferred", "451 4.3.2 not now")), intake)
    with running(courier):
        await house.send()
        house.time.pass_(5 * DAY + 60)
        await until(lambda: intake.notices != [])
    assert [b"Action: failed\r\n" in content for _, content in intake.notices] == [True]


async def test_only_those_who_want_it_are_told_of_a_delay(lite: House) -> None:
    """RFC 3461 4.1: by default, or when they asked; never the null sender."""
    intake = Intake()
    script = Script(answering("relay.partner_deferred", "451 4.3.2 not now"))
    courier = lite.courier(script, intake)
    with running(courier):
        await lite.send()
        await lite.send(sender="zoe@op-a.mssante.test", dsn=DsnRequest(frozenset({"DELAY"})))
        await lite.send(sender="max@op-a.mssante.test", dsn=DsnRequest(frozenset({"FAILURE"})))
        await lite.send(sender="")
        await until(lambda: len(script.sent) == 4 and not courier._leases)
        lite.time.pass_(4 * 3600 + 60)
        await until(lambda: len(script.sent) >= 8 and len(intake.notices) >= 2 and not courier._leases)
    assert {to for to, _ in intake.notices} == {"alice@op-a.mssante.test", "zoe@op-a.mssante.test"}
    assert await lite.waiting() == 4


async def test_a_message_never_tried_because_its_destination_is_spared_is_warned_of_too(house: House) -> None:
    intake = Intake()
    script = Script(answering("relay.unreachable", broken=True))
    courier = house.courier(script, intake)
    with running(courier):
        await house.send()
        await until(lambda: script.sent and not courier._leases)
        await house.send(sender="zoe@op-a.mssante.test")
        house.time.pass_(4 * 3600 + 60)
        await until(lambda: len(intake.notices) == 2)
    assert {to for to, _ in intake.notices} == {"alice@op-a.mssante.test", "zoe@op-a.mssante.test"}
    assert all(b"X-Caducee-Rule: relay.unreachable\r\n" in content for _, content in intake.notices)


async def test_a_reason_this_release_does_not_know_stops_nothing(house: House) -> None:
    """A newer release was here and left the queue to this one: its words must not keep all mail from leaving."""
    intake = Intake()
    waits, script = await house.send(), Script()
    later = update(queue_table).values(rule="relay.of_another_release", due_at=house.time.wall() + 6 * 3600)
    await house.committer.run(lambda unit: unit.connection.execute(later))
    house.time.pass_(5 * 3600)
    with running(house.courier(script, intake)):
        await until(lambda: intake.notices)
        await house.send()
        await until(lambda: script.sent)
    assert b"Action: delayed\r\n" in intake.notices[0][1]
    assert "message.notice" in await house.words(waits)


async def test_a_notice_of_a_reason_this_release_does_not_know_is_sent(house: House) -> None:
    intake = Intake()
    await house.send()
    chosen = await ids(house, Selection())
    await house.committer.run(lambda unit: desk.drop(unit, house.bodies, chosen))
    told = update(owed).values(entries=func.replace(owed.c.entries, "relay.dropped", "relay.of_another_release"))
    await house.committer.run(lambda unit: unit.connection.execute(told))
    with running(house.courier(Script(), intake)):
        await until(lambda: intake.notices)
    assert b"X-Caducee-Rule: relay.of_another_release\r\n" in intake.notices[0][1]


async def test_a_clock_that_jumps_five_days_fails_nobody(house: House) -> None:
    """F16."""
    intake = Intake()
    script = Script(answering("relay.partner_deferred", "451 4.3.2 not now"))
    courier = house.courier(script, intake)
    with running(courier):
        message = await house.send()
        await until(lambda: script.sent and not courier._leases)
        house.time.jump(5 * DAY + 7200)

        async def seen() -> bool:
            return any(record.kind == "service.clock_jump" for record in await house.journal())

        await until(seen)
        for _ in range(3):
            before = len(script.sent)
            house.time.pass_(4100)
            await until(lambda before=before: len(script.sent) > before and not courier._leases)
        assert intake.notices == []
        script.answer = accepted
        house.time.pass_(4100)

        async def gone() -> bool:
            return await house.waiting() == 0

        await until(gone)
    assert "message.expired" not in await house.words(message)


async def test_a_clock_that_jumps_back_keeps_the_queue_moving(house: House) -> None:
    script = Script(answering("relay.partner_deferred", "451 4.3.2 not now"))
    courier = house.courier(script)
    with running(courier):
        await house.send()
        await until(lambda: script.sent and not courier._leases)
        house.time.jump(-7200)

        async def seen() -> bool:
            return any(record.kind == "service.clock_jump" for record in await house.journal())

        await until(seen)
        house.time.pass_(301)
        await until(lambda: len(script.sent) == 2)


async def test_two_couriers_move_the_queue_with_one_jump_once(house: House) -> None:
    await house.send()
    house.time.jump(5 * DAY)
    assert await house.committer.run(lambda unit: clockwork.steady(unit, 5 * DAY))
    house.time.pass_(3)
    assert not await house.committer.run(lambda unit: clockwork.steady(unit, 5 * DAY + 1))
    rows = await take(house)
    assert rows[0].expires_at - house.time.wall() == pytest.approx(house.schedule.life, abs=5)


async def test_a_machine_whose_clock_is_ahead_takes_nothing_that_is_under_way(house: House) -> None:
    """Every lease looked lapsed to it, and what it saw under way went out a second time."""
    fast = Time(house.time.wall() + 300)
    other = Committer(house.database, journal=Journal(), clock=fast.wall)
    gate = _Gate()
    with capture_logs() as logs, running(courier := house.courier(gate)):
        await until(lambda: courier._chores_at)
        await other.run(clockwork.beat)
        await until(lambda: courier._leases.ahead)
        await house.send()
        await until(lambda: gate.sent)
        assert await other.run(lambda unit: queue.take(unit, "fast", 30.0, 10, lambda domain: 10)[0]) == []
        gate.open()
        while await house.waiting():
            await asyncio.sleep(0.01)
    assert {"event": "clocks_differ", "log_level": "error", "seconds": 300, "times": 1} in logs
    await other.close()


async def test_a_clock_beyond_belief_lengthens_no_lease(house: House) -> None:
    fast = Time(house.time.wall() + 5 * DAY)
    other = Committer(house.database, journal=Journal(), clock=fast.wall)
    await other.run(clockwork.beat)
    assert await house.committer.run(clockwork.beat) == 0
    assert await other.run(clockwork.beat) == 0
    await other.close()


async def test_a_courier_that_starts_behind_the_others_leaves_the_queue_in_their_time(house: House) -> None:
    """It took its clock for one that was set back: what waited lost as much of its life, at each of its starts."""
    slow = Time(house.time.wall() - 300)
    other = Committer(house.database, journal=Journal(), clock=slow.wall)
    await house.committer.run(clockwork.begin)
    await house.send()
    before = await end_of_life(house)
    seen = await other.run(clockwork.begin)
    assert seen == house.time.wall()
    house.time.pass_(15)
    await house.committer.run(clockwork.beat)
    assert await other.run(lambda unit: clockwork.begin(unit, seen)) == 0
    assert await end_of_life(house) == before
    await other.close()


async def test_a_clock_set_back_while_no_courier_ran_takes_the_queue_with_it(house: House) -> None:
    await house.committer.run(clockwork.begin)
    await house.send()
    before = await end_of_life(house)
    house.time.jump(-300)
    script = Script(answering("relay.partner_deferred", "451 4.3.2 not now"))
    with running(courier := house.courier(script, chores=10.0)):
        await asyncio.sleep(0.1)
        assert (script.sent, await end_of_life(house)) == ([], before)
        house.time.pass_(21)
        await until(lambda: courier._chores_at)
        assert await end_of_life(house) == before - 279


async def end_of_life(house: House) -> float:
    return float(
        await house.reading.run(lambda connection: connection.execute(select(queue_table.c.expires_at)).scalar())
    )


async def test_time_without_a_courier_does_not_age_what_waits(house: House) -> None:
    """Six days of power cut, and nobody bounces at the first breath."""
    await house.committer.run(clockwork.begin)
    await house.send()
    house.time.pass_(6 * DAY)
    await house.committer.run(clockwork.begin)
    done = await house.committer.run(lambda unit: outcomes.deadlines(unit, house.bodies, unit.now))
    assert done.expired == []
    assert len(await take(house)) == 1


async def test_a_listed_domain_missing_from_dns_is_retried_for_hours_then_refused(house: House) -> None:
    """F24."""
    await house.send()
    await settle(house, await take(house), "relay.domain_missing")
    house.time.pass_(5 * 3600)
    await settle(house, await take(house), "relay.domain_missing")
    assert await house.waiting() == 1
    house.time.pass_(house.schedule.unknown_domain)
    await settle(house, await take(house), "relay.domain_missing")
    assert await house.waiting() == 0
    kinds = [(record.kind, record.detail.get("rule")) for record in await house.journal()]
    assert ("message.failed", "relay.domain_unknown") in kinds


async def test_notify_never_and_the_null_sender_are_not_answered(house: House) -> None:
    """RFC 3461 4.1 and F34: a bounce of a bounce goes to the postmaster, once, and ends there."""
    intake = Intake()
    script = Script(answering("relay.partner_refused", "550 5.1.1 unknown"))
    with running(house.courier(script, intake)):
        await house.send(dsn=DsnRequest(frozenset({"NEVER"})))
        await house.send(dsn=DsnRequest(frozenset({"DELAY"})))
        bounce = await house.send(sender="")
        looped = await house.send(("postmaster@op-a.mssante.test",), sender="")
        await until(lambda: intake.notices)

        async def all_gone() -> bool:
            return await house.bodies_left() == 0

        await until(all_gone)
    assert [to for to, _ in intake.notices] == ["postmaster@op-a.mssante.test"]
    assert b"Undeliverable" in intake.notices[0][1] or b"=?UTF-8?B?" in intake.notices[0][1]
    assert [record.detail["status"] for record in await house.journal(bounce) if record.kind == "message.notice"] == [
        "double_bounce",
        "double_bounce",
    ]
    assert [record.detail["status"] for record in await house.journal(looped) if record.kind == "message.notice"] == [
        "double_bounce",
        "undeliverable",
    ]


async def test_success_is_relayed_by_us_only_when_the_partner_will_not_tell(house: House) -> None:
    """RFC 3461 5.2.2, MSS-042."""
    intake = Intake()
    with running(house.courier(Script(), intake)):
        await house.send(dsn=DsnRequest(frozenset({"SUCCESS"}), "rfc822;Bob+40op-b", "FULL", "env+2B1"))
        await until(lambda: intake.notices)
    content = intake.notices[0][1]
    assert b"Action: relayed\r\n" in content
    assert b"Status: 2.0.0\r\n" in content
    assert b"Original-Envelope-Id: env+1\r\n" in content
    assert b"Original-Recipient: rfc822; Bob@op-b\r\n" in content
    assert b"Content-Type: message/rfc822\r\n" in content
    assert b"Bonjour\r\n.une ligne\r\n" in content


async def test_a_notice_intake_cannot_take_now_is_sent_later(house: House) -> None:
    intake = Intake()
    intake.failing = 2
    with running(house.courier(Script(answering("relay.partner_refused", "550 no")), intake)):
        await house.send()
        for _ in range(3):
            await until(lambda: True)
            house.time.pass_(61)
            await until(lambda: intake.failing < 2 or intake.notices)
        await until(lambda: _pass(house) or intake.notices)
    assert len(intake.notices) == 1


def _pass(house: House) -> None:
    house.time.pass_(61)


async def test_a_notice_nobody_can_receive_is_recorded_and_forgotten(house: House) -> None:
    intake = Intake()
    intake.refusing.add("alice@op-a.mssante.test")
    with running(house.courier(Script(answering("relay.partner_refused", "550 no")), intake)):
        message = await house.send()

        async def forgotten() -> bool:
            return await house.bodies_left() == 0

        await until(forgotten)
    notices = [record.detail["status"] for record in await house.journal(message) if record.kind == "message.notice"]
    assert notices == ["undeliverable"]


async def test_a_body_that_cannot_be_read_fails_its_recipients_and_says_so(house: House) -> None:
    from mailboxes.tables import content

    intake = Intake()
    message = await house.send()
    await house.committer.run(lambda unit: unit.connection.execute(content.delete()))
    with running(house.courier(Script(), intake)):
        await until(lambda: intake.notices)
    assert b"X-Caducee-Rule: relay.body_missing\r\n" in intake.notices[0][1]
    assert "message.failed" in await house.words(message)


async def test_stopping_gives_back_what_was_not_tried(house: House) -> None:
    """F20."""
    gate = _Gate()
    courier = house.courier(gate, sessions=1)
    with running(courier):
        for _ in range(3):
            await house.send()
        await until(lambda: gate.sent)
        gate.open()
        await courier.stop()
    left = await house.waiting()
    assert left == 3 - len(gate.sent)
    assert len(await take(house, "next")) == left


async def test_new_mail_finds_a_place_while_older_mail_holds_all_the_others(house: House) -> None:
    """Two hundred destinations may wait for the same sessions: a few of these are never theirs."""
    gate = _Gate()
    courier = house.courier(gate, sessions=20)
    for number in range(60):
        await house.send((f"old@d{number % 12}.mssante.test",))
    with running(courier):
        await until(lambda: len(gate.sent) >= 18)
        assert len(gate.sent) == 18
        fresh = await house.send(("new@d3.mssante.test",))
        courier.wake()
        await until(lambda: fresh in [parcel.message for parcel in gate.sent], 5)
        for _ in range(5):
            await house.send(("new@d4.mssante.test",))
        courier.wake()
        await until(lambda: len(gate.sent) == 20, 5)  # within the sessions allowed
        gate.open()
        await until(lambda: len(gate.sent) == 66, 15)
        await until(lambda: not any(lane.rows or lane.passing for lane in courier._lanes.values()), 5)
        await courier.stop()
    assert await house.waiting() == 0


class _Gate(Script):
    """Holds the first parcel until told."""

    def __init__(self) -> None:
        import asyncio

        super().__init__()
        self._opened = asyncio.Event()

    def open(self) -> None:
        self._opened.set()

    async def send(self, parcel):  # type: ignore[no-untyped-def]
        self.sent.append(parcel)
        await self._opened.wait()
        return self.answer(parcel)


# what the operator does


async def ids(house: House, selection: Selection) -> list[int]:
    return await house.reading.run(
        lambda connection: [number for chunk in desk.chunks(connection, selection) for number in chunk]
    )


async def states(house: House, selection: Selection | None = None) -> list[str]:
    now = house.time.wall()
    found = await house.reading.run(lambda connection: desk.rows(connection, selection or Selection(), now))
    return [row.state for row in found]


async def test_the_operator_holds_releases_and_retries(house: House) -> None:
    await house.send()
    await house.send(("dan@op-c.mssante.test",))
    chosen = await ids(house, Selection(domain="op-c.mssante.test"))
    assert await house.committer.run(lambda unit: desk.hold(unit, chosen)) == 1
    assert await states(house) == ["waiting", "held"]
    assert [row.domain for row in await take(house)] == ["op-b.mssante.test"]
    assert await states(house) == ["carrying", "held"]
    assert await house.committer.run(lambda unit: desk.release(unit, chosen)) == 1
    rows = await take(house)
    assert [row.domain for row in rows] == ["op-c.mssante.test"]
    await settle(house, rows, "relay.partner_deferred")
    assert await take(house) == []
    assert await house.committer.run(lambda unit: desk.retry(unit, chosen)) == 1
    assert len(await take(house)) == 1


async def test_what_is_released_to_a_spared_destination_is_due_at_once(house: House) -> None:
    await house.send()
    row = (await take(house))[0]
    await house.committer.run(lambda unit: queue.give_back(unit, "one", [(row.id, row.fence)]))
    await house.committer.run(lambda unit: desk.hold(unit, [row.id]))
    silent = decide(rule("relay.unreachable"), host="mx", domain=row.domain)
    await house.committer.run(lambda unit: outcomes.spare(unit, row.domain, silent, "", house.schedule, 0.0))
    await house.committer.run(lambda unit: desk.release(unit, [row.id]))
    assert [taken.id for taken in await take(house)] == [row.id]


async def test_a_row_released_while_it_is_carried_is_not_carried_twice(house: House) -> None:
    await house.send()
    rows = await take(house)
    await house.committer.run(lambda unit: desk.hold(unit, [rows[0].id]))
    assert await house.committer.run(lambda unit: desk.release(unit, [rows[0].id])) == 1
    assert await take(house, "two") == []
    assert await settle(house, rows) == set()


async def test_a_message_tells_that_it_is_held(house: House) -> None:
    message = await house.send()
    chosen = await ids(house, Selection(message=message))
    for act in (desk.hold, desk.hold, desk.release):
        await house.committer.run(lambda unit, act=act: act(unit, chosen, "operator:eve"))
    records = [record for record in await house.journal() if record.message == message]
    assert [
        (one.kind, one.recipient, one.actor) for one in records if one.kind in ("message.held", "message.released")
    ] == [
        ("message.held", "bob@op-b.mssante.test", "operator:eve"),
        ("message.released", "bob@op-b.mssante.test", "operator:eve"),
    ]


async def test_a_row_held_while_it_is_carried_waits_after_its_attempt(house: House) -> None:
    await house.send()
    rows = await take(house)
    await house.committer.run(lambda unit: desk.hold(unit, [rows[0].id]))
    await settle(house, rows, "relay.partner_deferred")
    house.time.pass_(DAY)
    assert await take(house) == []
    assert await states(house) == ["held"]


async def test_a_row_held_while_carried_by_a_courier_that_died_is_shelved(house: House) -> None:
    await house.send()
    rows = await take(house)
    await house.committer.run(lambda unit: desk.hold(unit, [rows[0].id]))
    house.time.pass_(31)
    assert await take(house, "two") == []
    waiting = await house.reading.run(queue.waiting)
    assert [one.due_at for one in waiting if one.due_at < NEVER] == []


async def test_a_dropped_recipient_is_told_to_the_sender(house: House) -> None:
    """MSS-048."""
    intake = Intake()
    message = await house.send()
    chosen = await ids(house, Selection(message=message))
    assert await house.committer.run(lambda unit: desk.drop(unit, house.bodies, chosen)) == 1
    assert await house.waiting() == 0
    with running(house.courier(Script(), intake)):
        await until(lambda: intake.notices)
    assert b"X-Caducee-Rule: relay.dropped\r\n" in intake.notices[0][1]
    assert b"Last-Attempt-Date: " not in intake.notices[0][1]
    kinds = [record.kind for record in await house.journal()]
    assert "service.queue_action" in kinds


async def test_a_row_being_carried_is_not_dropped_under_its_courier(house: House) -> None:
    await house.send()
    rows = await take(house)
    assert await house.committer.run(lambda unit: desk.drop(unit, house.bodies, [rows[0].id])) == 0


async def test_a_row_never_tried_says_what_its_destination_is_spared_for(house: House) -> None:
    """ "What waits, for whom, why": also for mail that came after the one that found the partner down."""
    await house.send()
    bad = decide(rule("relay.unreachable"), host="mx.test")
    await house.committer.run(
        lambda unit: outcomes.spare(unit, "op-b.mssante.test", bad, "421 down", house.schedule, 0.0)
    )
    now = house.time.wall()
    (row,) = await house.reading.run(lambda connection: desk.rows(connection, Selection(), now))
    assert (row.state, row.rule, row.reply) == ("spared", "relay.unreachable", "421 down")


async def test_the_summary_counts_by_destination(house: House) -> None:
    for _ in range(3):
        await house.send()
    await house.send(("dan@op-c.mssante.test",))
    found = await house.reading.run(desk.summary)
    assert [(line.domain, line.rows, line.held) for line in found] == [
        ("op-b.mssante.test", 3, 0),
        ("op-c.mssante.test", 1, 0),
    ]


async def test_new_mail_does_not_queue_behind_a_backlog(house: House) -> None:
    for _ in range(20):
        await house.send()
    last = await house.reading.run(queue.newest)
    fresh = await house.send(("zoe@op-b.mssante.test",))
    taken, seen = await house.committer.run(
        lambda unit: queue.take_fresh(unit, "one", 30.0, 10, lambda domain: 10, last)
    )
    assert [row.message for row in taken] == [fresh]
    assert seen == last + 1
    bad = decide(rule("relay.unreachable"), host="mx.test")
    await house.send()
    await house.committer.run(lambda unit: outcomes.spare(unit, "op-b.mssante.test", bad, "", house.schedule, 0.0))
    assert await house.committer.run(lambda unit: queue.take_fresh(unit, "one", 30.0, 10, lambda domain: 10, seen)) == (
        [],
        seen + 1,
    )


async def test_new_mail_passes_a_backlog_also_when_newer_mail_has_left(house: House) -> None:
    """A row's number is never given again: what came in last has the greatest, whatever left in between."""
    await house.send(["old@op-b.mssante.test"])
    seen = 0
    for _ in range(3):
        await house.send(["new@op-c.mssante.test"])
        taken, newest = await house.committer.run(
            lambda unit, seen=seen: queue.take_fresh(unit, "me", 30.0, 10, lambda domain: 10, seen)
        )
        assert [row.domain for row in taken if row.domain == "op-c.mssante.test"] == ["op-c.mssante.test"]
        assert newest > seen
        seen = newest
        await settle(house, [row for row in taken if row.domain == "op-c.mssante.test"], owner="me")


async def test_a_jump_during_an_attempt_ages_nothing(house: House) -> None:
    """F16: the outcome is judged by the time at which the attempt began plus what really passed."""
    gate = _Gate()
    gate.answer = answering("relay.partner_deferred", "451 4.3.2 not now")
    courier = house.courier(gate, chores=1e9)
    with running(courier):
        message = await house.send()
        await until(lambda: gate.sent)
        house.time.jump(5 * DAY + 60)
        gate.open()
        await until(lambda: not courier._leases)
    assert "message.expired" not in await house.words(message)
    assert await house.waiting() == 1


async def test_what_was_written_after_the_jump_is_not_moved_with_it(house: House) -> None:
    await house.send()
    house.time.jump(5 * DAY)
    await house.send(("dan@op-c.mssante.test",))
    house.time.pass_(2)
    assert await house.committer.run(lambda unit: clockwork.steady(unit, 5 * DAY))
    rows = sorted(await take(house), key=lambda row: row.id)
    assert len(rows) == 2
    for row in rows:
        assert row.expires_at - house.time.wall() == pytest.approx(house.schedule.life, abs=5)
        assert row.accepted_at == pytest.approx(house.time.wall(), abs=5)


async def test_what_was_written_after_a_jump_back_is_not_moved_with_it(house: House) -> None:
    """It was moved into a past in which its time was over, and came back to its sender at once."""
    await house.send()
    house.time.jump(-6 * DAY)
    await house.send(("dan@op-c.mssante.test",))
    house.time.pass_(2)
    assert await house.committer.run(lambda unit: clockwork.steady(unit, -6 * DAY))
    rows = sorted(await take(house), key=lambda row: row.id)
    assert len(rows) == 2
    for row in rows:
        assert row.expires_at - house.time.wall() == pytest.approx(house.schedule.life, abs=5)
        assert row.accepted_at == pytest.approx(house.time.wall(), abs=5)


async def test_no_time_is_over_by_a_clock_that_another_courier_has_corrected(house: House) -> None:
    """It had looked before the jump, and then waited behind the transaction that moved the queue."""
    courier = house.courier(Script())
    await house.send()
    house.time.jump(-6 * DAY)
    assert await house.committer.run(lambda unit: clockwork.steady(unit, -6 * DAY))
    assert await house.committer.run(courier._overdue) == 0
    assert await house.committer.run(courier._unanswered) == 0
    assert await house.waiting() == 1


async def test_a_share_does_not_cut_a_message_in_two(house: House) -> None:
    await house.send([f"u{number}@op-b.mssante.test" for number in range(12)])
    await house.send()
    rows = await take(house, limit=3)
    assert len(rows) == 12
    assert len({row.message for row in rows}) == 1
