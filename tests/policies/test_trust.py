"""Who may send to us and to whom we may send (MSS-003 to MSS-006, MSS-013, MSS-032 to MSS-038, F25, F40 to F43, F76)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from policies import dn, trust
from policies.decision import Verdict
from policies.trust import Freshness, TrustSettings
from policies.values import Revocation
from tests.policies.cases import A_SUBJECT, B_SUBJECT, C_SUBJECT, GOOD, NOW, SETTINGS, certificate, says, spaces


def test_a_domain_may_have_several_certificates_and_operators() -> None:
    both = spaces(("op-b.mssante.test", C_SUBJECT), ("op-b.mssante.test", B_SUBJECT))
    for subject in (B_SUBJECT, C_SUBJECT):
        assert trust.judge_inbound(certificate(subject=subject), "op-b.mssante.test", both, NOW, SETTINGS).accepted


@pytest.mark.parametrize("domain", ["x.op-b.mssante.test", "b.mssante.test", "mssante.test", "xop-b.mssante.test", ""])
def test_a_domain_matches_exactly_or_not_at_all(domain: str) -> None:
    says(trust.judge_inbound(GOOD, domain, spaces(), NOW, SETTINGS), "trust.sender_not_listed", "MSS-005")
    says(trust.may_deliver(domain, spaces(), NOW, SETTINGS), "trust.recipient_not_listed", "MSS-005")


def test_case_and_final_dot_do_not_count() -> None:
    listed = spaces(("UC-Essai.mssante.test", B_SUBJECT))
    assert trust.may_deliver("uc-essai.MSSANTE.test.", listed, NOW, SETTINGS).accepted


def test_the_list_decides_not_the_suffix() -> None:
    listed = spaces(("autre.exemple.test", B_SUBJECT))
    assert trust.may_deliver("autre.exemple.test", listed, NOW, SETTINGS).accepted
    says(trust.may_deliver("foo.mssante.fr", listed, NOW, SETTINGS), "trust.recipient_not_listed", "MSS-037")


def test_a_partner_speaks_for_its_own_domain() -> None:
    accepted = trust.judge_inbound(GOOD, "op-b.mssante.test", spaces(), NOW, SETTINGS)
    says(accepted, "trust.accepted", "MSS-032")


def test_a_partner_does_not_speak_for_another() -> None:
    refused = says(
        trust.judge_inbound(GOOD, "op-c.mssante.test", spaces(), NOW, SETTINGS),
        "trust.certificate_not_bound",
        "MSS-033",
    )
    assert (refused.code, refused.enhanced) == (550, "5.7.1")
    assert "smtp.op-b.mssante.test" in refused.sentence("fr")


def test_a_partner_does_not_speak_for_us() -> None:
    says(trust.judge_inbound(GOOD, "op-a.mssante.test", spaces(), NOW, SETTINGS), "trust.sender_is_ours", "MSS-033")


def test_a_domain_we_share_with_another_operator_may_come_from_it() -> None:
    shared = spaces(("op-a.mssante.test", B_SUBJECT))
    assert trust.judge_inbound(GOOD, "op-a.mssante.test", shared, NOW, SETTINGS).accepted


def test_the_subject_compares_by_meaning() -> None:
    mirrored = certificate(subject=", ".join(reversed(B_SUBJECT.split(","))).lower())
    assert trust.judge_inbound(mirrored, "op-b.mssante.test", spaces(), NOW, SETTINGS).accepted


def test_a_certificate_of_nobody_is_refused_before_any_sender() -> None:
    stranger = certificate(subject=B_SUBJECT.replace("smtp.op-b", "smtp9.op-b"))
    for sender in (None, "op-b.mssante.test"):
        says(trust.judge_inbound(stranger, sender, spaces(), NOW, SETTINGS), "trust.certificate_not_listed", "MSS-035")
    says(trust.judge_peer(stranger, spaces(), NOW, SETTINGS), "trust.certificate_not_listed", "MSS-035")
    unreadable = certificate(subject="")
    says(trust.judge_peer(unreadable, spaces(), NOW, SETTINGS), "trust.certificate_not_listed", "MSS-035")


def test_the_null_sender_needs_a_listed_certificate_only() -> None:
    says(trust.judge_inbound(GOOD, None, spaces(), NOW, SETTINGS), "trust.accepted", "MSS-032")


def test_a_bad_certificate_wins_over_everything() -> None:
    revoked = certificate(revocation=Revocation.REVOKED)
    for domain in (None, "op-b.mssante.test", "evil.test"):
        for space in (spaces(), spaces(fetched=NOW - timedelta(days=30)), None):
            says(trust.judge_inbound(revoked, domain, space, NOW, SETTINGS), "trust.certificate_revoked", "MSS-018")
    of_nobody = certificate(revocation=Revocation.REVOKED, subject="CN=autre")
    says(trust.judge_peer(of_nobody, spaces(), NOW, SETTINGS), "trust.certificate_revoked", "MSS-018")
    says(
        trust.judge_inbound(None, "op-b.mssante.test", spaces(), NOW, SETTINGS),
        "session.client_certificate_missing",
        "MSS-031",
    )


def test_the_courier_speaks_to_the_server_of_the_domain_only() -> None:
    host = "smtp.op-b.mssante.test"
    assert trust.judge_outbound("op-b.mssante.test", GOOD, host, spaces(), NOW, SETTINGS).accepted
    assert trust.judge_outbound("op-b.mssante.test", GOOD, None, spaces(), NOW, SETTINGS).accepted
    other = trust.judge_outbound("op-c.mssante.test", GOOD, host, spaces(), NOW, SETTINGS)
    says(other, "trust.partner_not_bound", "MSS-038")
    assert other.verdict is Verdict.DEFER
    lied = trust.judge_outbound("op-b.mssante.test", GOOD, "mx.evil.test", spaces(), NOW, SETTINGS)
    says(lied, "trust.partner_certificate_wrong_name", "MSS-038")
    bare = trust.judge_outbound("op-b.mssante.test", None, host, spaces(), NOW, SETTINGS)
    says(bare, "trust.partner_certificate_missing", "MSS-038")


def test_a_domain_off_the_list_is_refused_whatever_its_server_shows() -> None:
    for facts in (GOOD, None):
        decision = trust.judge_outbound("evil.test", facts, "mx.evil.test", spaces(), NOW, SETTINGS)
        says(decision, "trust.recipient_not_listed", "TOU-A01")
        assert decision.verdict is Verdict.REFUSE


def test_local_mail_needs_no_list_at_all() -> None:
    old = spaces(fetched=NOW - timedelta(days=400))
    for listed in (None, old):
        says(trust.may_deliver("op-a.mssante.test", listed, NOW, SETTINGS), "trust.local", "MSS-036")


def test_without_a_list_partners_wait() -> None:
    says(trust.may_deliver("op-b.mssante.test", None, NOW, SETTINGS), "trust.list_missing", "MSS-013")
    says(trust.judge_inbound(GOOD, "op-b.mssante.test", None, NOW, SETTINGS), "trust.list_missing", "MSS-013")


@pytest.mark.parametrize(
    ("age", "state"),
    [
        (timedelta(hours=24), Freshness.FRESH),
        (timedelta(hours=24, seconds=1), Freshness.WARN),
        (timedelta(hours=72), Freshness.WARN),
        (timedelta(hours=72, seconds=1), Freshness.ALARM),
        (timedelta(days=7), Freshness.ALARM),
        (timedelta(days=7, seconds=1), Freshness.STALE),
        (-timedelta(hours=2), Freshness.FRESH),  # the clock went back (F16)
    ],
)
def test_the_clock_of_the_list(age: timedelta, state: Freshness) -> None:
    assert trust.freshness(spaces(fetched=NOW - age), NOW, SETTINGS) is state


def test_a_stale_list_makes_both_ways_wait_and_refuses_nothing() -> None:
    stale = spaces(fetched=NOW - timedelta(days=8))
    for decision in (
        trust.judge_inbound(GOOD, "op-b.mssante.test", stale, NOW, SETTINGS),
        trust.judge_inbound(GOOD, "evil.test", stale, NOW, SETTINGS),
        trust.may_deliver("op-b.mssante.test", stale, NOW, SETTINGS),
        trust.judge_outbound("op-b.mssante.test", GOOD, None, stale, NOW, SETTINGS),
    ):
        says(decision, "trust.list_stale", "MSS-013")
        assert (decision.code, decision.enhanced) == (451, "4.7.1")
        assert "192" in decision.sentence("fr")


def test_limits_that_are_none_never_stop_anything() -> None:
    for_ever = TrustSettings(refuse_after=None)
    ancient = spaces(fetched=NOW - timedelta(days=4000))
    assert trust.freshness(ancient, NOW, for_ever) is Freshness.ALARM
    replayed = TrustSettings(generated_within=timedelta(hours=12))
    assert trust.freshness(spaces(), NOW, replayed) is Freshness.STALE
    assert trust.freshness(spaces(), NOW, TrustSettings(generated_within=timedelta(days=1))) is Freshness.FRESH


def test_a_list_is_a_value() -> None:
    rows = [("op-b.mssante.test", B_SUBJECT), ("op-a.mssante.test", A_SUBJECT)]
    one, same = (trust.trust_list(order, NOW, NOW) for order in (rows, rows[::-1]))
    assert one == same
    assert hash(one) == hash(same)
    assert len(one.sha256) == 64
    assert trust.trust_list(rows[:1], NOW, NOW).sha256 != one.sha256
    assert trust.trust_list(rows, NOW, NOW, "of the file").sha256 == "of the file"
    assert one.version == "20260302T080000Z"
    assert one.lists("OP-A.mssante.test")
    assert not one.binds("op-a.mssante.test", dn.key(B_SUBJECT))
    with pytest.raises(TypeError):
        one.domains["evil.test"] = frozenset()  # type: ignore[index]
    with pytest.raises(dn.BadName):
        trust.trust_list([("op-b.mssante.test", "not a name")], NOW, NOW)


def test_versions_sort_as_time_does() -> None:
    early, late = (trust.trust_list([], datetime(2026, 3, day, tzinfo=UTC), NOW).version for day in (9, 10))
    assert early < late
