"""The ladder and the scale of penalties, at every boundary; what dismissed and cancelled cases change (TOU-B05 to TOU-B10)."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import penalties
from policies.penalties import Act, Case, CaseState, Scale, Step
from tests.policies.cases import says

DAY = 86400


@pytest.mark.parametrize(
    ("recipients", "second", "third"),
    [
        (0, 30_00, 100_00),
        (1, 30_00, 100_00),
        (10, 30_00, 100_00),  # ten belongs to the first band
        (11, 60_00, 500_00),
        (49, 60_00, 500_00),
        (50, 300_00, 1000_00),  # fifty to the last
        (51, 300_00, 1000_00),
        (1_000_000, 300_00, 1000_00),
    ],
)
def test_the_scale_at_its_limits(recipients: int, second: int, third: int) -> None:
    """TOU-B06, TOU-B09."""
    asked = [penalties.amount_of(step, recipients) for step in Step]
    assert asked == [0, 0, second, third]


@pytest.mark.parametrize(
    ("earlier", "step"),
    [
        ([], Step.WARNED),
        (["confirmed"], Step.CHARGED),
        (["confirmed", "confirmed"], Step.SUSPENDED),
        (["confirmed"] * 7, Step.SUSPENDED),
        (["dismissed", "cancelled", "open"], Step.WARNED),
        (["confirmed", "dismissed", "cancelled", "open"], Step.CHARGED),
    ],
)
def test_the_ladder(earlier: list[str], step: Step) -> None:
    """TOU-B06, TOU-B07, TOU-B08."""
    cases = [Case(number, 0, 3, CaseState(state)) for number, state in enumerate(earlier)]
    assert penalties.step_of(1, cases) is step


@pytest.mark.parametrize(("age", "step"), [(DAY - 1, Step.CHARGED), (DAY, Step.WARNED), (-5, Step.CHARGED)])
def test_a_case_is_forgotten_after_the_window(age: int, step: Step) -> None:
    earlier = [Case(1, 1_000_000, 3, CaseState.CONFIRMED)]
    assert penalties.step_of(1_000_000 + age, earlier, Scale(forget_after=DAY)) is step
    assert penalties.step_of(1_000_000 + age, earlier) is Step.CHARGED


def history(recipients: list[int], scale: Scale = penalties.DEFAULT) -> list[Case]:
    """Cases confirmed one after the other."""
    found: list[Case] = []
    for number, count in enumerate(recipients, 1):
        found.append(penalties.confirmed(Case(number, number, count), found, number, scale))
    return found


def test_three_cases_in_a_row() -> None:
    cases = history([60, 10, 49])
    assert [(case.step, case.amount) for case in cases] == [
        (Step.WARNED, 0),
        (Step.CHARGED, 30_00),
        (Step.SUSPENDED, 500_00),
    ]
    assert penalties.due(cases) == 530_00
    assert penalties.suspends(cases)
    assert not penalties.suspends(cases[:2])
    assert penalties.suspends([*cases[:2], replace(cases[2], paid=True)])  # all that is charged is to be paid
    assert not penalties.suspends([*cases[:2], replace(cases[2], amount=0)])
    paid = [replace(case, paid=True) for case in cases]
    assert penalties.due(paid) == 0
    assert not penalties.suspends(paid)


def test_what_a_cancelled_case_changes() -> None:
    """TOU-B10: later unpaid cases go down; what was paid is told as a refund and stays."""
    first, second, third, fourth = history([5, 20, 60, 60])
    cancelled = replace(first, state=CaseState.CANCELLED)
    changes = penalties.lowered([cancelled, replace(second, paid=True), third, fourth])
    assert [(one.number, one.step, one.amount, one.refund) for one in changes] == [
        (2, Step.CHARGED, 60_00, 60_00),
        (3, Step.CHARGED, 300_00, 0),
    ]
    adjusted = replace(third, amount=10_00, adjusted=True)
    assert penalties.lowered([cancelled, adjusted])[0].amount == 0  # now the first of all
    assert [one.amount for one in penalties.lowered([cancelled, second, adjusted])] == [0, 10_00]
    partner = replace(third, step=Step.NONE)
    assert penalties.lowered([cancelled, partner]) == []


REASON = "annonce d’un congrès"


@pytest.mark.parametrize(("state", "act"), list(product(CaseState, Act)))
def test_the_matrix_of_acts(state: CaseState, act: Act) -> None:
    case = Case(7, 0, 3, state, step=Step.CHARGED, amount=30_00)
    decision = penalties.judge_act(case, act, REASON)
    if act in penalties.ACTS[state]:
        says(decision, "sanction.acceptable", "TOU-B10")
        says(penalties.judge_act(case, act, " "), "lifecycle.reason_missing", "MSS-055")
    else:
        says(decision, "sanction.impossible", "TOU-B10")


def test_what_is_paid_is_paid_once_and_a_warning_never() -> None:
    confirmed = Case(7, 0, 3, CaseState.CONFIRMED, step=Step.CHARGED, amount=30_00, paid=True)
    for act in (Act.PAY, Act.ADJUST):
        says(penalties.judge_act(confirmed, act, "x"), "sanction.impossible", "TOU-B10")
    assert penalties.judge_act(confirmed, Act.CANCEL, "x").accepted
    warned = replace(confirmed, step=Step.WARNED, amount=0, paid=False)
    says(penalties.judge_act(warned, Act.PAY, "x"), "sanction.impossible", "TOU-B10")


case = st.builds(
    Case,
    number=st.integers(1, 50),
    at=st.integers(0, 100),
    recipients=st.integers(0, 80),
    state=st.sampled_from(CaseState),
    decided=st.integers(0, 100),
    step=st.sampled_from(Step),
    amount=st.integers(0, 1000_00),
    paid=st.booleans(),
)
cases = st.lists(case, max_size=12, unique_by=lambda one: one.number)
scales = st.builds(Scale, forget_after=st.sampled_from([0.0, 1.0, 30.0]))


@given(cases, case, scales, st.integers(0, 100))
def test_one_case_more_never_lowers_a_step_and_one_that_does_not_count_never_raises_it(
    held: list[Case], more: Case, scale: Scale, at: int
) -> None:
    before, after = penalties.step_of(at, held, scale), penalties.step_of(at, [*held, more], scale)
    assert before <= after <= before + 1
    if more.state is not CaseState.CONFIRMED:
        assert before is after


@given(cases, st.integers(0, 100), st.sampled_from([1.0, 5.0, 50.0]))
def test_a_longer_memory_never_lowers_a_step(held: list[Case], at: int, window: float) -> None:
    short, long = Scale(forget_after=window), Scale(forget_after=2 * window)
    assert penalties.step_of(at, held, short) <= penalties.step_of(at, held, long) <= penalties.step_of(at, held)


@given(st.integers(0, 500), st.integers(0, 500), st.sampled_from(Step))
def test_more_recipients_never_cost_less(few: int, many: int, step: Step) -> None:
    few, many = sorted((few, many))
    assert penalties.amount_of(step, few) <= penalties.amount_of(step, many)


@given(cases, scales)
def test_what_is_looked_at_again_is_never_raised(held: list[Case], scale: Scale) -> None:
    known = {one.number: one for one in held}
    for change in penalties.lowered(held, scale):
        one = known[change.number]
        assert one.state is CaseState.CONFIRMED
        assert change.step <= one.step
        assert change.amount <= one.amount
        assert 0 <= change.refund <= one.amount
        assert not change.refund or one.paid


@given(st.lists(st.integers(0, 80), max_size=8), st.data())
def test_cancelling_is_as_if_it_had_not_been(recipients: list[int], data: st.DataObject) -> None:
    """Whatever was not paid or adjusted stands afterwards as a history without the cancelled case."""
    held = history(recipients)
    if not held:
        return
    gone = data.draw(st.sampled_from(held))
    left = [replace(one, state=CaseState.CANCELLED) if one is gone else one for one in held]
    changes = {one.number: one for one in penalties.lowered(left)}
    expected = history([one.recipients for one in held if one is not gone])
    for now, then in zip([one for one in held if one is not gone], expected, strict=True):
        change = changes.get(now.number)
        assert ((change.step, change.amount) if change else (now.step, now.amount)) == (then.step, then.amount)
