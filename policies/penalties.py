"""Judge unsolicited mail: the steps of the ladder, what each costs, and what a cancelled case changes (TOU-B05 to TOU-B10).

A case is a message that does not directly concern the care of a patient. Persons confirm or dismiss it; what follows from that
is computed here. Amounts are whole cents, all taxes included.
Promise: only confirmed cases count, so an open, dismissed or cancelled one never raises a step; a case that is cancelled lowers
later ones, never raises any, and leaves what was paid as it is, to be told as a refund.
Failure: none; an act that is impossible is a refusal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from policies.catalogue import rule
from policies.catalogue.sentences_sanction import SANCTION
from policies.decision import Decision, decide


class CaseState(StrEnum):
    """``OPEN`` until a person has judged it; a machine punishes nobody."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"
    CANCELLED = "cancelled"


class Step(IntEnum):
    """The ladder (TOU-B06, TOU-B07, TOU-B08). ``NONE``: a partner's sender, whom his own operator punishes."""

    NONE = 0
    WARNED = 1
    CHARGED = 2
    SUSPENDED = 3


class Act(StrEnum):
    """What an administrator does to a case."""

    CONFIRM = "confirm"
    DISMISS = "dismiss"
    ADJUST = "adjust"
    CANCEL = "cancel"
    PAY = "pay"


ACTS: Mapping[CaseState, Mapping[Act, CaseState]] = {
    CaseState.OPEN: {Act.CONFIRM: CaseState.CONFIRMED, Act.DISMISS: CaseState.DISMISSED},
    CaseState.CONFIRMED: {
        Act.ADJUST: CaseState.CONFIRMED,
        Act.CANCEL: CaseState.CANCELLED,
        Act.PAY: CaseState.CONFIRMED,
    },
    CaseState.DISMISSED: {},
    CaseState.CANCELLED: {},
}


@dataclass(frozen=True, slots=True)
class Band:
    """Cents for a second and for a further case, from ``least`` recipients on."""

    least: int
    second: int
    further: int


BANDS = (Band(0, 30_00, 100_00), Band(11, 60_00, 500_00), Band(50, 300_00, 1000_00))
"""TOU-B09: ten recipients belong to the first band, fifty to the last."""


@dataclass(frozen=True, slots=True)
class Scale:
    """``bands`` rise by ``least``, the first from 0 on; ``forget_after`` is how many seconds a case counts against later ones, 0
    for ever."""

    bands: Sequence[Band] = BANDS
    forget_after: float = 0.0


DEFAULT = Scale()


@dataclass(frozen=True, slots=True)
class Case:
    """What a step is computed from. ``at`` is when it was reported, ``decided`` when it was confirmed (seconds since the epoch),
    ``adjusted`` that a person fixed its amount."""

    number: int
    at: int
    recipients: int
    state: CaseState = CaseState.OPEN
    decided: int = 0
    step: Step = Step.NONE
    amount: int = 0
    adjusted: bool = False
    paid: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A later case that stands lower. ``refund`` are the cents to be given back by hand: what was paid is not touched."""

    number: int
    step: Step
    amount: int
    refund: int = 0


def band_of(recipients: int, scale: Scale = DEFAULT) -> Band:
    """The band a number of recipients falls into."""
    return max((band for band in scale.bands if band.least <= recipients), key=lambda band: band.least)


def amount_of(step: Step, recipients: int, scale: Scale = DEFAULT) -> int:
    """Cents: nothing the first time (TOU-B06)."""
    if step <= Step.WARNED:
        return 0
    band = band_of(recipients, scale)
    return band.second if step is Step.CHARGED else band.further


def step_of(at: int, earlier: Iterable[Case], scale: Scale = DEFAULT) -> Step:
    """The step of a case reported ``at``, after those of the same sender confirmed before it."""
    counted = sum(_counts(case, at, scale) for case in earlier)
    return Step(min(counted + 1, Step.SUSPENDED))


def _counts(case: Case, at: int, scale: Scale) -> bool:
    recent = not scale.forget_after or at - case.at < scale.forget_after
    return case.state is CaseState.CONFIRMED and recent


def confirmed(case: Case, others: Iterable[Case], now: int, scale: Scale = DEFAULT) -> Case:
    """The case as it stands once it is confirmed: ``others`` are all cases of the same sender."""
    step = step_of(case.at, (other for other in others if other.number != case.number), scale)
    amount = amount_of(step, case.recipients, scale)
    return replace(case, state=CaseState.CONFIRMED, decided=now, step=step, amount=amount)


def lowered(cases: Iterable[Case], scale: Scale = DEFAULT) -> list[Change]:
    """What changes among the cases of one sender when one of them no longer counts.

    Each confirmed case is looked at again after those confirmed before it. It goes down to the step it would have now, never
    up; its amount becomes that step's, unless a person fixed a lower one.
    """
    found: list[Change] = []
    before: list[Case] = []
    for case in sorted(cases, key=lambda one: (one.decided, one.number)):
        if case.state is not CaseState.CONFIRMED or case.step is Step.NONE:
            continue
        step = step_of(case.at, before, scale)
        before.append(case)
        if step >= case.step:
            continue
        amount = min(case.amount, amount_of(step, case.recipients, scale))
        if case.paid:
            found.append(Change(case.number, case.step, case.amount, case.amount - amount))
        else:
            found.append(Change(case.number, step, amount))
    return found


def due(cases: Iterable[Case]) -> int:
    """Cents that are charged and not paid: sending stays suspended until they are (TOU-B08)."""
    return sum(case.amount for case in cases if case.state is CaseState.CONFIRMED and not case.paid)


def suspends(cases: Sequence[Case]) -> bool:
    """Whether sending is suspended: a third case charges something, and not all that is charged is paid."""
    third = any(case.state is CaseState.CONFIRMED and case.step is Step.SUSPENDED and case.amount for case in cases)
    return third and due(cases) > 0


def judge_act(case: Case, act: Act, reason: str) -> Decision:
    """May this be done to the case? Each act needs a reason, or the reference of a payment, which is kept."""
    to = ACTS[case.state].get(act)
    settled = act in (Act.PAY, Act.ADJUST) and (case.paid or (act is Act.PAY and not case.amount))
    if to is None or settled:
        fr, en = SANCTION["case.paid" if case.paid else f"case.{case.state}"]
        return decide(rule("sanction.impossible"), number=case.number, state_fr=fr, state_en=en, act=act)
    if not reason.strip():
        return decide(rule("lifecycle.reason_missing"))
    return decide(rule("sanction.acceptable"))
