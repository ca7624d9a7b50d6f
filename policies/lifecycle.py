"""The life of accounts and mailboxes: which step leads from which state to which (MSS-055).

Promise: a state is left only by the steps of its table; every step but activation needs a reason, which is kept with
its actor and date by the caller. A deleted mailbox is the end: its address stays taken (MSS-054), its key is destroyed.
Failure: none; an impossible step is a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from policies.catalogue import rule
from policies.catalogue.sentences_trust import TRUST
from policies.decision import Decision, decide
from policies.values import BalState


class AccountState(StrEnum):
    """``PENDING`` until a person has checked the identity (TOU-D06)."""

    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"


class Step(StrEnum):
    """What may be done to an account or a mailbox."""

    ACTIVATE = "activate"
    SUSPEND = "suspend"
    RESUME = "resume"
    CLOSE = "close"
    DELETE = "delete"


ACCOUNT_STEPS: Mapping[AccountState, Mapping[Step, AccountState]] = {
    AccountState.PENDING: {Step.ACTIVATE: AccountState.ACTIVE, Step.CLOSE: AccountState.CLOSED},
    AccountState.ACTIVE: {Step.SUSPEND: AccountState.SUSPENDED, Step.CLOSE: AccountState.CLOSED},
    AccountState.SUSPENDED: {Step.RESUME: AccountState.ACTIVE, Step.CLOSE: AccountState.CLOSED},
    AccountState.CLOSED: {},
}
MAILBOX_STEPS: Mapping[BalState, Mapping[Step, BalState]] = {
    BalState.ACTIVE: {Step.SUSPEND: BalState.SUSPENDED, Step.CLOSE: BalState.CLOSED},
    BalState.SUSPENDED: {Step.RESUME: BalState.ACTIVE, Step.CLOSE: BalState.CLOSED},
    # what was closed can be exported until it is deleted, but is never opened to mail again
    BalState.CLOSED: {Step.DELETE: BalState.DELETED},
    BalState.DELETED: {},
}


class Activity(StrEnum):
    """How near a mailbox is to being closed for want of use (MSS-056)."""

    USED = "used"
    WARN = "warn"  # its owner is to be warned, and may object
    CLOSE = "close"


def activity(last_login: float, opened: float, now: float, limit: float, notice: float) -> Activity:
    """Judge by logins alone, not by mail that arrives (MSS-057). Seconds; ``notice`` comes before ``limit``."""
    idle = now - max(last_login, opened)
    if idle >= limit:
        return Activity.CLOSE
    return Activity.WARN if idle >= limit - notice else Activity.USED


@dataclass(frozen=True, slots=True)
class Move:
    """The answer: ``state`` is the new state when the decision accepts, else the old one."""

    decision: Decision
    state: str


def move_account(state: AccountState, step: Step, reason: str) -> Move:
    """May an account in ``state`` take ``step``?"""
    return _move("account", state, step, reason, ACCOUNT_STEPS[state])


def move_mailbox(state: BalState, step: Step, reason: str) -> Move:
    """May a mailbox in ``state`` take ``step``?"""
    return _move("mailbox", state, step, reason, MAILBOX_STEPS[state])


def _move(whose: str, state: StrEnum, step: Step, reason: str, possible: Mapping[Step, StrEnum]) -> Move:
    fr, en = TRUST[f"{whose}.{state}"]
    if step not in possible:
        names = ", ".join(possible)
        facts = {"possible_fr": names or "aucune", "possible_en": names or "none"}
        return Move(decide(rule("lifecycle.impossible"), state_fr=fr, state_en=en, step=step, **facts), state)
    if step is not Step.ACTIVATE and not reason.strip():
        return Move(decide(rule("lifecycle.reason_missing")), state)
    fr, en = TRUST[f"{whose}.{possible[step]}"]
    return Move(decide(rule("lifecycle.accepted"), state_fr=fr, state_en=en), possible[step])
