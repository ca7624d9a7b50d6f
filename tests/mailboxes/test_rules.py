"""Rules as rows, on both databases: written, found, ended once, and whom they answered."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from gateway.rule_book import LOOK_EVERY, RELOAD_EVERY, RuleBook
from mailboxes import rules
from mailboxes.accounts import Refused
from mailboxes.sessions import StrongSession
from policies.catalogue import rule
from policies.decision import Decision, decide
from policies.events import Kind
from policies.lifecycle import Step
from policies.values import Address
from tests.mailboxes.people import ACTOR, DOMAIN, House

MARIE = f"marie.martin@{DOMAIN}"
BOB = "bob@op-b.mssante.test"
DAY = 86400


def inside(owner: Address, target: Address) -> Decision:
    return decide(rule("redirection.accepted"))


@pytest.fixture
def marie(shared_house: House) -> int:
    shared_house.person()
    return shared_house.mailbox()


def test_rules_are_written_found_and_end_once(shared_house: House, marie: int) -> None:
    house = shared_house
    number = house.do(lambda unit: rules.forward(unit, MARIE, BOB, ACTOR, inside, keep=False))
    now = house.clock()
    house.do(lambda unit: rules.absence(unit, MARIE, now, now + DAY, " Absente.\r\n\r\nÀ lundi.\x07 \n", ACTOR))
    forward, absence = house.ask(rules.listed)
    assert (forward.number, forward.owner, forward.destination.key, forward.keep) == (
        number, Address("marie.martin", DOMAIN), BOB, False,
    )  # fmt: skip
    assert absence.text == "Absente.\n\nÀ lundi."
    ended = [house.do(lambda unit: rules.disable(unit, forward, "redirection.rule_disabled")) for _ in range(2)]
    assert ended == [True, False]
    said = [record.detail["what"] for record in house.events(Kind.RULE)]
    assert said == ["forward written", "absence written", "forward disabled: redirection.rule_disabled"]


def test_the_version_tells_of_each_change(shared_house: House, marie: int) -> None:
    house, seen = shared_house, []
    seen.append(house.ask(rules.version))
    first = house.do(lambda unit: rules.forward(unit, MARIE, BOB, ACTOR, inside))
    seen.append(house.ask(rules.version))
    house.do(lambda unit: rules.forward(unit, MARIE, BOB, ACTOR, inside, keep=False))  # replaces the first
    seen.append(house.ask(rules.version))
    with pytest.raises(Refused):
        house.do(lambda unit: rules.remove(unit, MARIE, first, ACTOR))
    house.do(lambda unit: rules.remove(unit, MARIE, first + 1, ACTOR))
    seen.append(house.ask(rules.version))
    assert all(before != after for before, after in pairwise(seen))


def test_one_answer_within_a_period_and_old_ones_are_forgotten(shared_house: House, marie: int) -> None:
    def claimed(whom: str, kind: str = rules.ABSENCE) -> bool:
        return bool(shared_house.do(lambda unit: rules.claim(unit, marie, kind, whom, 7 * DAY)))

    assert [claimed(BOB), claimed(BOB), claimed("x@op-b.mssante.test"), claimed(BOB, rules.ACKNOWLEDGE)] == [
        True, False, True, True,
    ]  # fmt: skip
    shared_house.clock.pass_(7 * DAY - 1)
    assert not claimed(BOB)
    shared_house.clock.pass_(1)
    assert claimed(BOB)
    shared_house.clock.pass_(31 * DAY)
    assert shared_house.do(rules.forget) == 3


def test_an_answer_undone_with_its_transaction_was_not_given(shared_house: House, marie: int) -> None:
    def fail(unit: object) -> None:
        assert rules.claim(unit, marie, rules.ABSENCE, BOB, DAY)  # type: ignore[arg-type]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        shared_house.do(fail)
    assert shared_house.do(lambda unit: rules.claim(unit, marie, rules.ABSENCE, BOB, DAY))


def test_a_closed_mailbox_takes_no_new_rule(shared_house: House, marie: int) -> None:
    shared_house.do(lambda unit: shared_house.register.move(unit, MARIE, Step.CLOSE, "fin", ACTOR))
    with pytest.raises(Refused) as refused:
        shared_house.do(lambda unit: rules.forward(unit, MARIE, BOB, ACTOR, inside))
    assert refused.value.decision.rule.name == "mailbox.unusable"


def test_the_rules_of_a_deleted_mailbox_end_with_it(shared_house: House, marie: int) -> None:
    house = shared_house
    house.do(lambda unit: rules.forward(unit, MARIE, BOB, ACTOR, inside))
    for step in (Step.CLOSE, Step.DELETE):
        house.do(lambda unit, step=step: house.register.move(unit, MARIE, step, "fin", ACTOR))
    assert house.ask(rules.listed) == []
    (ended,) = house.ask(lambda connection: rules.listed(connection, ended=True))
    assert (ended.ended_by, ended.ended_at) == (ACTOR, int(house.clock()))


def test_only_owner_and_administrators_change_rules(shared_house: House, marie: int) -> None:
    house = shared_house
    paul = house.person("paul.durand", identity="8ANS0002")
    session = StrongSession(paul, "paul.durand", int(house.clock() + 60))
    with pytest.raises(Refused) as refused:
        house.ask(lambda connection: rules.may_change(connection, MARIE, session))
    assert refused.value.decision.rule.name == "redirection.no_right"


async def test_the_book_sees_what_another_process_wrote(shared_house: House, marie: int) -> None:
    house = shared_house
    book = RuleBook(house.reading, house.clock)
    await book.look()
    assert not book.ruled(marie)
    number = await house.committer.run(lambda unit: rules.forward(unit, MARIE, BOB, ACTOR, inside))
    await book.look()
    assert not book.ruled(marie)  # from memory, until the next look
    house.clock.pass_(LOOK_EVERY)
    await asyncio.gather(*(book.look() for _ in range(3)))
    assert [one.number for one in book.forwards(marie)] == [number]
    assert book.names(marie) == {MARIE}
    await house.committer.run(lambda unit: house.register.add_alias(unit, MARIE, f"mm@{DOMAIN}", ACTOR))
    house.clock.pass_(RELOAD_EVERY)
    await book.look()
    assert book.names(marie) == {MARIE, f"mm@{DOMAIN}"}
    assert book.absence(marie, house.clock()) is None
    await house.committer.run(lambda unit: rules.remove(unit, MARIE, number, ACTOR))
    house.clock.pass_(LOOK_EVERY)
    await book.look()
    assert not book.ruled(marie)
