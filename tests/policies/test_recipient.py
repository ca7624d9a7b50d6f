"""One recipient at a time (MSS-036, MSS-037, MSS-044, MSS-045, MSS-055, MSS-065, F79, F80)."""

from __future__ import annotations

import pytest

from policies import recipient
from policies.recipient import MIB, RecipientSettings
from policies.values import BalState, Door
from tests.policies.cases import B_SUBJECT, NOW, SETTINGS, address, mailbox, says, spaces

MARIE = "marie.martin@op-a.mssante.test"
SPACE = spaces(("patient.mssante.fr", B_SUBJECT))


@pytest.mark.parametrize("door", list(Door))
@pytest.mark.parametrize(
    ("state", "rule", "code", "enhanced"),
    [
        (BalState.ACTIVE, "recipient.accepted", 250, "2.1.5"),
        (BalState.SUSPENDED, "recipient.suspended", 450, "4.2.1"),
        (BalState.CLOSED, "recipient.closed", 550, "5.2.1"),
        (BalState.DELETED, "recipient.unknown", 550, "5.1.1"),
        (None, "recipient.unknown", 550, "5.1.1"),
    ],
)
def test_each_state_has_its_answer(door: Door, state: BalState | None, rule: str, code: int, enhanced: str) -> None:
    box = mailbox(MARIE, state) if state else None
    decision = recipient.judge(door, address(MARIE), box, 0, SPACE, NOW, SETTINGS)
    assert (decision.rule.name, decision.code, decision.enhanced) == (rule, code, enhanced)
    assert {"MSS-036", "MSS-055"} & set(decision.rule.sources)


def test_a_deleted_mailbox_answers_as_one_that_never_was() -> None:
    gone = recipient.judge_local(address(MARIE), mailbox(MARIE, BalState.DELETED), 0)
    never = recipient.judge_local(address(MARIE), None, 0)
    assert gone == never


def test_suspension_and_overflow_can_be_final() -> None:
    strict = RecipientSettings(suspended_refuses=True, full_refuses=True)
    suspended = recipient.judge_local(address(MARIE), mailbox(MARIE, BalState.SUSPENDED), 0, strict)
    says(suspended, "recipient.suspended_refused", "MSS-055")
    full = recipient.judge_local(address(MARIE), mailbox(MARIE, quota=100, used=90), 11, strict)
    assert says(full, "recipient.over_quota_refused", "MSS-065").code == 552


def test_quota_counts_this_message() -> None:
    box = mailbox(MARIE, quota=100, used=90)
    assert recipient.judge_local(address(MARIE), box, 10).accepted
    decision = says(recipient.judge_local(address(MARIE), box, 11), "recipient.over_quota", "MSS-065")
    assert (decision.code, decision.enhanced) == (452, "4.2.2")
    assert recipient.judge_local(address(MARIE), mailbox(MARIE, quota=0, used=10**12), 10**9).accepted


def test_a_partner_cannot_use_us_as_a_relay() -> None:
    for domain in ("op-b.mssante.test", "evil.test"):
        decision = recipient.judge(Door.INBOUND, address(f"x@{domain}"), None, 0, SPACE, NOW, SETTINGS)
        says(decision, "recipient.relay_denied", "MSS-036")


def test_our_users_write_to_the_whole_space_and_no_further() -> None:
    for door in (Door.SUBMISSION, Door.INTERNAL):
        inside = recipient.judge(door, address("x@op-b.mssante.test"), None, 0, SPACE, NOW, SETTINGS)
        says(inside, "recipient.accepted", "MSS-036")
        outside = recipient.judge(door, address("x@evil.test"), None, 0, SPACE, NOW, SETTINGS)
        says(outside, "trust.recipient_not_listed", "MSS-037")


def test_patients_have_their_own_size_limit() -> None:
    patient = address("279035121518989@patient.mssante.fr")
    assert recipient.judge(Door.SUBMISSION, patient, None, 25 * MIB, SPACE, NOW, SETTINGS).accepted
    decision = recipient.judge(Door.SUBMISSION, patient, None, 25 * MIB + 1, SPACE, NOW, SETTINGS)
    says(decision, "recipient.too_big_for_patients", "MSS-045")
    assert "25 Mio" in decision.sentence("fr")
    assert recipient.judge_size(address("x@op-b.mssante.test"), 25 * MIB + 1).accepted


def test_a_domain_may_have_a_size_limit() -> None:
    small = RecipientSettings(domain_sizes={"op-b.mssante.test": 10 * MIB})
    decision = recipient.judge_size(address("x@op-b.mssante.test"), 11 * MIB, small)
    assert says(decision, "recipient.too_big_for_domain", "MSS-044").code == 552
    assert recipient.judge_size(address("x@op-b.mssante.test"), 10 * MIB, small).accepted
    assert recipient.judge_size(address("x@op-c.mssante.test"), 11 * MIB, small).accepted
