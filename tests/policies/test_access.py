"""Who may enter, own, share: each rule with the fact that decides it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import access
from policies.access import NewDevice, Opening, Presented, judge_device, judge_login, judge_member, judge_opening
from policies.catalogue.account import RULES
from policies.lifecycle import AccountState
from policies.values import BalState, BalType

NOW = 1000.0
GOOD = Presented(
    "device",
    known=True,
    proved=True,
    account=AccountState.ACTIVE,
    mailbox=BalState.ACTIVE,
    type=BalType.PER,
    rights=access.owner_rights(),
)


@pytest.mark.parametrize(
    ("change", "rule", "reason"),
    [
        ({}, "access.granted", ""),
        ({"known": False}, "session.auth_failed", "unknown"),
        ({"proved": False}, "session.auth_failed", "password"),
        ({"withdrawn": True}, "session.auth_failed", "withdrawn"),
        ({"expires": NOW}, "session.auth_failed", "expired"),
        ({"expires": NOW + 1}, "access.granted", ""),
        ({"account": AccountState.SUSPENDED}, "session.auth_failed", "account"),
        ({"account": AccountState.PENDING}, "session.auth_failed", "account"),
        ({"mailbox": BalState.SUSPENDED}, "session.mailbox_suspended", "suspended"),
        ({"mailbox": BalState.DELETED}, "session.mailbox_suspended", "deleted"),
        ({"mailbox": BalState.SUSPENDED, "proved": False}, "session.auth_failed", "password"),
        ({"rights": frozenset({"write"})}, "session.auth_failed", "rights"),
        ({"type": BalType.APP}, "session.auth_failed", "means"),
        ({"means": "certificate"}, "session.auth_failed", "means"),
        ({"means": "certificate", "type": BalType.APP, "account": None}, "access.granted", ""),
        ({"locked_until": NOW + 1}, "session.auth_locked", "locked"),
        ({"locked_until": NOW}, "access.granted", ""),
        ({"locked_until": NOW + 1, "familiar": True}, "access.granted", ""),
        ({"locked_until": NOW + 1, "familiar": True, "proved": False}, "session.auth_locked", "locked"),
    ],
)
def test_logging_in(change: dict[str, Any], rule: str, reason: str) -> None:
    decision = judge_login(replace(GOOD, **change), NOW)
    assert (decision.rule.name, decision.detail) == (rule, reason)


@given(st.builds(Presented, means=st.just("device"), proved=st.just(False)))
def test_without_the_secret_the_words_are_always_the_same(facts: Presented) -> None:
    decision = judge_login(facts, NOW)
    expected = "session.auth_locked" if facts.locked_until > NOW else "session.auth_failed"
    assert decision.rule.name == expected


def opening(kind: BalType, **more: Any) -> str:
    facts = {"domain": "op.test", "owner": "8X", "owner_active": True, "structure": "1X", **more}
    return judge_opening(Opening(kind, **facts), ("op.test",)).rule.name


@pytest.mark.parametrize("kind", list(BalType))
def test_opening_a_mailbox(kind: BalType) -> None:
    owned = kind in (BalType.PER, BalType.CAB)
    assert opening(kind) == "mailbox.acceptable"
    assert opening(kind, domain="other.test") == "mailbox.domain_not_ours"
    assert opening(kind, owner="") == ("mailbox.owner_missing" if owned else "mailbox.acceptable")
    assert opening(kind, owner_active=False) == ("mailbox.owner_missing" if owned else "mailbox.acceptable")
    assert opening(kind, structure="") == ("mailbox.acceptable" if owned else "mailbox.structure_missing")
    assert opening(kind, structure_problem="finess_form") == "mailbox.structure_malformed"
    without = opening(kind, structure="", structure_problem="finess_form")  # of a structure that is not given
    assert without == ("mailbox.acceptable" if owned else "mailbox.structure_missing")


@pytest.mark.parametrize(
    ("kind", "attribute", "rule"),
    [
        (BalType.PER, "red_list", "mailbox.acceptable"),
        (BalType.PER, "service", "mailbox.attribute_foreign"),
        (BalType.CAB, "service", "mailbox.attribute_foreign"),
        (BalType.CAB, "responsible", "mailbox.acceptable"),
        (BalType.ORG, "service", "mailbox.acceptable"),
        (BalType.APP, "description", "mailbox.acceptable"),
        (BalType.APP, "colour", "mailbox.attribute_foreign"),
        (BalType.ORG, "type", "mailbox.immutable"),
        (BalType.ORG, "address", "mailbox.immutable"),
    ],
)
def test_attributes_belong_to_types(kind: BalType, attribute: str, rule: str) -> None:
    assert access.judge_attributes(kind, [attribute]).rule.name == rule


@pytest.mark.parametrize(
    ("kind", "rights", "active", "consent", "rule"),
    [
        (BalType.ORG, ["read"], True, False, "member.acceptable"),
        (BalType.CAB, ["read", "send_as"], True, False, "member.acceptable"),
        (BalType.PER, ["read"], True, False, "member.consent_missing"),
        (BalType.PER, ["read"], True, True, "member.acceptable"),
        (BalType.APP, ["read"], True, True, "member.not_for_application"),
        (BalType.ORG, ["own"], True, False, "member.rights_unknown"),
        (BalType.ORG, [], True, False, "member.rights_missing"),
        (BalType.ORG, ["read"], False, False, "account.unusable"),
    ],
)
def test_members(kind: BalType, rights: list[str], active: bool, consent: bool, rule: str) -> None:
    assert judge_member(kind, rights, account_active=active, login="x", consent=consent).rule.name == rule


DEVICE = NewDevice("x", "a@op.test", "phone", BalState.ACTIVE, frozenset({"read"}), 0, 2)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({}, "device.acceptable"),
        ({"name": ""}, "device.name_malformed"),
        ({"name": " "}, "device.name_malformed"),
        ({"name": "x"}, "device.acceptable"),
        ({"name": "x" * 64}, "device.acceptable"),
        ({"name": "x" * 65}, "device.name_malformed"),
        ({"name": "a\x1b[0m"}, "device.name_malformed"),
        ({"mailbox": BalState.SUSPENDED}, "mailbox.unusable"),
        ({"rights": frozenset({"write"})}, "device.no_right"),
        ({"existing": 2}, "device.too_many"),
    ],
)
def test_devices(change: dict[str, Any], rule: str) -> None:
    assert judge_device(replace(DEVICE, **change)).rule.name == rule


def failures_of_three_hours(threshold: int, lock: float) -> list[float]:
    """Fail as fast as a lock after ``threshold`` permits."""
    times: list[float] = []
    now, first, count = 0.0, 0.0, 0
    while now < 3 * 3600:
        if count == 0 or now - first >= 3600:
            first, count = now, 0
        times.append(now)
        count += 1
        now += lock if count >= threshold else 0.001
    return times


def most_in_an_hour(times: list[float]) -> int:
    return max(sum(start <= at < start + 3600 for at in times) for start in times)


@given(st.integers(1, 10), st.floats(600, 900))
def test_no_hour_holds_more_failures_than_allowed(per_hour: int, lock: float) -> None:
    threshold = access.evaluated_before_lock(per_hour, lock)
    assert most_in_an_hour(failures_of_three_hours(threshold, lock)) <= max(per_hour, math.ceil(3600 / lock))


@pytest.mark.parametrize(
    ("per_hour", "lock", "threshold"), [(10, 600, 5), (10, 700, 5), (10, 900, 7), (5, 900, 2), (1, 600, 1)]
)
def test_nobody_is_locked_out_sooner_than_needed(per_hour: int, lock: float, threshold: int) -> None:
    assert access.evaluated_before_lock(per_hour, lock) == threshold
    assert most_in_an_hour(failures_of_three_hours(threshold + 1, lock)) > per_hour


def test_nobody_is_told_to_resume_what_is_closed_for_good() -> None:
    advice = judge_device(replace(DEVICE, mailbox=BalState.CLOSED))
    assert "ne se rouvre pas" in advice.remedy("fr")
    assert "never opened again" in advice.remedy("en")


def test_every_rule_has_sources_and_a_remedy_when_it_refuses() -> None:
    for rule in RULES:
        assert rule.sources, rule.name
        assert rule.verdict == "accept" or (rule.remedy_fr and rule.remedy_en), rule.name
