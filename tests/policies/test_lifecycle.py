"""Life cycles: the whole matrix of states and steps (MSS-055)."""

from __future__ import annotations

from itertools import product

import pytest

from policies.lifecycle import AccountState, Activity, Step, activity, move_account, move_mailbox
from policies.values import BalState

MAILBOX = {
    (BalState.ACTIVE, Step.SUSPEND): BalState.SUSPENDED,
    (BalState.ACTIVE, Step.CLOSE): BalState.CLOSED,
    (BalState.SUSPENDED, Step.RESUME): BalState.ACTIVE,
    (BalState.SUSPENDED, Step.CLOSE): BalState.CLOSED,
    (BalState.CLOSED, Step.DELETE): BalState.DELETED,
}
ACCOUNT = {
    (AccountState.PENDING, Step.ACTIVATE): AccountState.ACTIVE,
    (AccountState.PENDING, Step.CLOSE): AccountState.CLOSED,
    (AccountState.ACTIVE, Step.SUSPEND): AccountState.SUSPENDED,
    (AccountState.ACTIVE, Step.CLOSE): AccountState.CLOSED,
    (AccountState.SUSPENDED, Step.RESUME): AccountState.ACTIVE,
    (AccountState.SUSPENDED, Step.CLOSE): AccountState.CLOSED,
}


@pytest.mark.parametrize(("state", "step"), list(product(BalState, Step)))
def test_the_matrix_of_mailboxes(state: BalState, step: Step) -> None:
    move = move_mailbox(state, step, "because")
    if (state, step) in MAILBOX:
        assert (move.decision.rule.name, move.state) == ("lifecycle.accepted", MAILBOX[state, step])
    else:
        assert (move.decision.rule.name, move.state) == ("lifecycle.impossible", state)


@pytest.mark.parametrize(("state", "step"), list(product(AccountState, Step)))
def test_the_matrix_of_accounts(state: AccountState, step: Step) -> None:
    move = move_account(state, step, "because")
    if (state, step) in ACCOUNT:
        assert (move.decision.rule.name, move.state) == ("lifecycle.accepted", ACCOUNT[state, step])
    else:
        assert (move.decision.rule.name, move.state) == ("lifecycle.impossible", state)


def test_every_step_but_activation_wants_a_reason() -> None:
    assert move_mailbox(BalState.ACTIVE, Step.SUSPEND, "  ").decision.rule.name == "lifecycle.reason_missing"
    assert move_account(AccountState.PENDING, Step.ACTIVATE, "").decision.accepted


def test_nothing_leaves_deleted_and_nothing_reopens_closed() -> None:
    assert all(not move_mailbox(BalState.DELETED, step, "x").decision.accepted for step in Step)
    assert not move_mailbox(BalState.CLOSED, Step.RESUME, "x").decision.accepted


def test_an_impossible_step_names_the_possible_ones_in_both_languages() -> None:
    decision = move_mailbox(BalState.ACTIVE, Step.DELETE, "x").decision
    assert "suspend, close" in decision.remedy("fr")
    assert "suspend, close" in decision.remedy("en")


DAY = 86400.0


@pytest.mark.parametrize(
    ("last_login", "opened", "now", "answer"),
    [
        (0, 0, 334 * DAY, Activity.USED),
        (0, 0, 335 * DAY, Activity.WARN),
        (0, 0, 365 * DAY, Activity.CLOSE),
        (300 * DAY, 0, 400 * DAY, Activity.USED),
        (0, 300 * DAY, 400 * DAY, Activity.USED),
        (300 * DAY, 0, 640 * DAY, Activity.WARN),
        (500 * DAY, 0, 400 * DAY, Activity.USED),  # the clock went back
    ],
)
def test_only_logins_keep_a_mailbox_alive(last_login: float, opened: float, now: float, answer: Activity) -> None:
    """MSS-057."""
    assert activity(last_login, opened, now, 365 * DAY, 30 * DAY) is answer


def test_closing_is_announced_for_the_whole_notice_and_a_login_is_the_objection() -> None:
    """MSS-056: never closed unannounced, never before a year; who objects by using the mailbox has a year again."""
    limit, notice = 365 * DAY, 30 * DAY
    life = [activity(0, 0, day * DAY, limit, notice) for day in range(400)]
    assert life[:335] == [Activity.USED] * 335
    assert life[335:365] == [Activity.WARN] * 30
    assert life[365:] == [Activity.CLOSE] * 35
    objected = 364 * DAY
    again = [activity(objected, 0, objected + day * DAY, limit, notice) for day in range(400)]
    assert again == life
