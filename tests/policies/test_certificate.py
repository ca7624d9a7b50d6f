"""What certificates prove (MSS-016 to MSS-020)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from policies import certificate
from policies.certificate import CertificateSettings, Role, WhenUnknown
from policies.decision import Verdict
from policies.values import CertificateFacts, Revocation
from tests.policies.cases import GOOD, NOW, says
from tests.policies.cases import certificate as changed

FAULTS = [
    ({"chain_problem": "untrusted"}, "untrusted", "MSS-016"),
    ({"chain_problem": "self_signed"}, "self_signed", "MSS-016"),
    ({"chain_problem": "expired"}, "expired", "MSS-017"),
    ({"not_after": NOW - timedelta(seconds=1)}, "expired", "MSS-017"),
    ({"chain_problem": "not_yet_valid"}, "not_yet_valid", "MSS-017"),
    ({"not_before": NOW + timedelta(seconds=1)}, "not_yet_valid", "MSS-017"),
    ({"chain_problem": "wrong_usage"}, "wrong_usage", "MSS-016"),
    ({"client_usage": False, "server_usage": False}, "wrong_usage", "RFC 5280 4.2.1.12"),
    ({"chain_problem": "weak_key"}, "weak_key", "RFC 9325 4.5"),
    ({"key_bits": 2047}, "weak_key", "RFC 9325 4.5"),
    ({"key_bits": 224, "key_type": "ec"}, "weak_key", "RFC 9325 4.5"),
    ({"key_bits": 0, "key_type": "other"}, "weak_key", "RFC 9325 4.5"),
    ({"chain_problem": "weak_signature"}, "weak_signature", "RFC 9155 2"),
    ({"chain_problem": "bad_chain"}, "bad_chain", "RFC 5280 6.1"),
    ({"chain_problem": "something new"}, "bad_chain", "RFC 5280 6.1"),
    ({"dns_names": ()}, "no_name", "RFC 9525 2"),
    ({"revocation": Revocation.REVOKED}, "revoked", "MSS-018"),
]


@pytest.mark.parametrize(("changes", "fault", "source"), FAULTS)
def test_each_fault_refuses_a_caller_and_defers_our_sending(
    changes: dict[str, object], fault: str, source: str
) -> None:
    facts = changed(**changes)
    inbound = says(certificate.judge(facts, Role.CLIENT, NOW), f"trust.certificate_{fault}", source)
    assert (inbound.verdict, inbound.code, inbound.enhanced) == (Verdict.REFUSE, 554, "5.7.5")
    outbound = certificate.judge(facts, Role.SERVER, NOW, host="smtp.op-b.mssante.test")
    says(outbound, f"trust.partner_certificate_{fault}", "MSS-038")
    assert (outbound.verdict, outbound.code, outbound.enhanced) == (Verdict.DEFER, 451, "4.7.5")
    assert GOOD.fingerprint in inbound.detail
    assert GOOD.fingerprint not in inbound.sentence("fr")


def test_the_partner_rules_are_named_after_the_same_faults() -> None:
    # The names written out, so that a search for a rule finds its test.
    assert {f"trust.partner_certificate_{fault}" for _, fault, _ in FAULTS} == {
        "trust.partner_certificate_untrusted",
        "trust.partner_certificate_self_signed",
        "trust.partner_certificate_expired",
        "trust.partner_certificate_not_yet_valid",
        "trust.partner_certificate_wrong_usage",
        "trust.partner_certificate_weak_key",
        "trust.partner_certificate_weak_signature",
        "trust.partner_certificate_bad_chain",
        "trust.partner_certificate_no_name",
        "trust.partner_certificate_revoked",
    }
    assert {f"trust.certificate_{fault}" for _, fault, _ in FAULTS} == {
        "trust.certificate_untrusted",
        "trust.certificate_self_signed",
        "trust.certificate_expired",
        "trust.certificate_not_yet_valid",
        "trust.certificate_wrong_usage",
        "trust.certificate_weak_key",
        "trust.certificate_weak_signature",
        "trust.certificate_bad_chain",
        "trust.certificate_no_name",
        "trust.certificate_revoked",
    }


def test_a_good_certificate_is_accepted_for_its_role_only() -> None:
    says(certificate.judge(GOOD, Role.CLIENT, NOW), "trust.certificate_accepted", "MSS-018")
    says(certificate.judge(GOOD, Role.SERVER, NOW), "trust.certificate_accepted", "MSS-016")
    only_server = changed(client_usage=False)
    assert not certificate.judge(only_server, Role.CLIENT, NOW).accepted
    assert certificate.judge(only_server, Role.SERVER, NOW).accepted
    any_usage = CertificateSettings(any_usage=True)
    assert certificate.judge(only_server, Role.CLIENT, NOW, any_usage).accepted
    assert certificate.judge(changed(server_usage=False), Role.SERVER, NOW, any_usage).accepted
    neither = changed(client_usage=False, server_usage=False)
    assert certificate.first_fault(neither, Role.CLIENT, NOW, any_usage) == "wrong_usage"


def test_the_first_and_the_last_second_of_a_certificate_count() -> None:
    """RFC 5280 4.1.2.5: both dates are inside."""
    assert certificate.judge(changed(not_before=NOW), Role.CLIENT, NOW).accepted
    assert certificate.judge(changed(not_after=NOW), Role.CLIENT, NOW).accepted


def test_the_certificate_of_a_login_needs_no_host_name() -> None:
    assert certificate.judge(changed(dns_names=()), Role.LOGIN, NOW).accepted


def test_a_p256_key_is_strong_enough() -> None:
    assert certificate.judge(changed(key_bits=256, key_type="ec"), Role.CLIENT, NOW).accepted


def test_no_certificate() -> None:
    says(certificate.judge(None, Role.CLIENT, NOW), "session.client_certificate_missing", "MSS-031")
    missing = certificate.judge(None, Role.SERVER, NOW, host="mx.test")
    says(missing, "trust.partner_certificate_missing", "MSS-038")
    assert "mx.test" in missing.sentence("fr")
    assert certificate.judge(None, Role.SERVER, NOW).parameters["host"] == "-"


@pytest.mark.parametrize(
    "host", ["smtp.op-c.mssante.test", "x.smtp.op-b.mssante.test", "op-b.mssante.test", "*.op-b.mssante.test"]
)
def test_the_server_must_bear_the_name_that_was_called(host: str) -> None:
    says(certificate.judge(GOOD, Role.SERVER, NOW, host=host), "trust.partner_certificate_wrong_name", "RFC 9525 6.3")
    assert certificate.judge(GOOD, Role.SERVER, NOW, CertificateSettings(match_host=False), host).accepted
    assert certificate.judge(GOOD, Role.CLIENT, NOW, host=host).accepted  # nobody called a client by a name


def test_a_refusal_names_the_server_that_was_called_or_its_certificate() -> None:
    revoked = changed(revocation=Revocation.REVOKED, subject="CN=autre")
    assert certificate.judge(revoked, Role.SERVER, NOW, host="mx.test").parameters["host"] == "mx.test"
    assert certificate.judge(revoked, Role.SERVER, NOW).parameters["host"] == "autre"


def test_host_names_compare_without_case_or_final_dot_and_wildcards_prove_nothing() -> None:
    assert certificate.names_host(GOOD, "SMTP.op-b.mssante.test.")
    assert not certificate.names_host(changed(dns_names=("*.op-b.mssante.test",)), "smtp.op-b.mssante.test")


@pytest.mark.parametrize(
    ("configured", "caller", "server"),
    [
        (WhenUnknown.DEFER, "trust.revocation_unknown", "trust.partner_revocation_unknown"),
        (WhenUnknown.REFUSE, "trust.revocation_unknown_refused", "trust.partner_revocation_unknown"),
        (WhenUnknown.ACCEPT, "trust.revocation_unknown_tolerated", "trust.revocation_unknown_tolerated"),
    ],
)
def test_unknown_revocation_has_its_configured_answer(configured: WhenUnknown, caller: str, server: str) -> None:
    facts = changed(revocation=Revocation.UNKNOWN)
    settings = CertificateSettings(revocation_unknown=configured)
    says(certificate.judge(facts, Role.CLIENT, NOW, settings), caller, "MSS-020")
    says(certificate.judge(facts, Role.SERVER, NOW, settings), server, "MSS-020")


def test_the_default_for_unknown_revocation_is_a_temporary_answer() -> None:
    decision = certificate.judge(changed(revocation=Revocation.UNKNOWN), Role.CLIENT, NOW)
    assert (decision.code, decision.enhanced) == (421, "4.7.5")


def test_the_label_is_the_common_name_or_the_fingerprint() -> None:
    assert certificate.label(GOOD) == "smtp.op-b.mssante.test"
    assert certificate.label(changed(subject="")) == "ab" * 8
    assert certificate.label(None) == "-"


def test_faults_are_named_in_a_fixed_order() -> None:
    worst: CertificateFacts = changed(
        chain_problem="untrusted", key_bits=512, dns_names=(), revocation=Revocation.REVOKED
    )
    assert certificate.first_fault(worst, Role.CLIENT, NOW) == "untrusted"
    assert certificate.first_fault(changed(key_bits=512, dns_names=()), Role.CLIENT, NOW) == "weak_key"
