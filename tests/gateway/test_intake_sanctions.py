"""Suspended sending at the intake: at RCPT, again at the final dot, by envelope or author; what goes on all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from gateway.sanctions.cases import Cases
from gateway.sanctions.letters import Words
from gateway.sanctions.standing import TTL, Sanctions
from gateway.sanctions.suspensions import Subject, Suspensions
from gateway.sanctions.tables import sanction_case
from policies import penalties
from policies.unsolicited import VolumeSettings
from tests.gateway.rig import NOW, OURS, THEIRS, Rig, address, letter, partner, transaction, user

ALICE, PAUL, BOB = f"alice@{OURS}", f"paul@{OURS}", f"bob@{THEIRS}"
WORDS = Words(penalties.DEFAULT, f"assistance@{OURS}", "", "", "A")
SUSPENSIONS = Suspensions(WORDS, 15 * 86400)
RECEIPT = "Auto-Submitted: auto-replied\r\n"


class Clock:
    steady = 100.0

    def __call__(self) -> float:
        return self.steady


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    made.steady = Clock()
    cases = Cases(WORDS, SUSPENSIONS, 86400)
    sanctions = Sanctions(made.committer, made.reading, lambda: cases, lambda: NOW, made.steady)
    made.intake = made.make_intake(sanctions=sanctions)
    yield made
    await made.close()


async def test_who_is_suspended_between_rcpt_and_the_final_dot_is_refused_there(rig: Rig) -> None:
    """TOU-F03: on a session that is open, and nothing of the message is stored."""
    assert (await rig.intake.recipient(user(), address(ALICE), address(PAUL))).accepted
    await rig.committer.run(lambda unit: SUSPENSIONS.at_once(unit, Subject(ALICE, 1), "fuite", "operator:x"))
    rig.steady.steady += TTL
    answer = await rig.intake.message(transaction(user(), ALICE, PAUL), letter(ALICE))
    assert answer.decision.rule.name == "sanction.suspended"
    assert await rig.inbox(2) == []
    assert (await rig.intake.recipient(user(), address(ALICE), address(PAUL))).rule.name == "sanction.suspended"
    assert (await rig.intake.recipient(user("paul", 2), address(PAUL), address(ALICE))).accepted
    assert (await rig.intake.message(transaction(partner(), BOB, ALICE), letter(BOB))).decision.accepted
    receipt = await rig.intake.message(transaction(user(), None, PAUL), letter(ALICE, extra=RECEIPT))
    assert receipt.decision.accepted, receipt.decision


async def test_a_blocked_partner_is_known_by_his_author_too(rig: Rig) -> None:
    """TOU-A06: another envelope of the same house does not bring his letters in."""
    await rig.committer.run(lambda unit: SUSPENSIONS.block(unit, BOB, 86400, "publicité", "operator:x"))
    other = f"facade@{THEIRS}"
    assert (await rig.intake.recipient(partner(), address(BOB), address(ALICE))).rule.name == "sanction.partner_blocked"
    assert (await rig.intake.recipient(partner(), address(other), address(ALICE))).accepted
    answer = await rig.intake.message(transaction(partner(), other, ALICE), letter(BOB))
    assert answer.decision.rule.name == "sanction.partner_blocked"
    assert (await rig.intake.message(transaction(partner(), other, ALICE), letter(other))).decision.accepted
    assert len(await rig.inbox(1)) == 1


async def test_a_threshold_that_slows_down_opens_nothing(rig: Rig) -> None:
    """TOU-B03: only what is refused is a case."""
    rig.intake.follow(replace(rig.intake.settings, volume=VolumeSettings(broadcast_slow_down=1, broadcast_refuse=5)))
    for _ in range(4):
        await rig.intake.message(transaction(user(), ALICE, PAUL, f"bob@{THEIRS}"), letter(ALICE))
    count = select(func.count()).select_from(sanction_case)
    assert await rig.reading.run(lambda connection: connection.execute(count).scalar_one()) == 0
