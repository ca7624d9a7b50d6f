"""Small builders the policy tests share."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from policies import trust
from policies.decision import Decision
from policies.trust import TrustList, TrustSettings
from policies.values import Address, BalState, BalType, CertificateFacts, Login, MailboxFacts, Revocation

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
A_SUBJECT = "CN=smtp.op-a.mssante.test,OU=399900000000018,O=OPERATEUR A ESSAI,ST=Test (99),C=FR"
B_SUBJECT = "CN=smtp.op-b.mssante.test,OU=399900000000026,O=OPERATEUR B ESSAI,ST=Test (99),C=FR"
C_SUBJECT = "CN=smtp.op-c.mssante.test,OU=399900000000034,O=OPERATEUR C ESSAI,ST=Test (99),C=FR"
SETTINGS = TrustSettings(own_domains=frozenset({"op-a.mssante.test"}))

GOOD = CertificateFacts(
    subject=B_SUBJECT,
    issuer="CN=AC ELEMENTAIRE ORGANISATIONS ESSAI,O=AUTORITE ESSAI,C=FR",
    serial=4242,
    fingerprint="ab" * 32,
    not_before=NOW - timedelta(days=1),
    not_after=NOW + timedelta(days=89),
    dns_names=("smtp.op-b.mssante.test",),
    client_usage=True,
    server_usage=True,
    key_bits=2048,
    revocation=Revocation.GOOD,
)


def spaces(*more: tuple[str, str], fetched: datetime = NOW) -> TrustList:
    """A trust list of op-a, op-b, op-c and the rows given."""
    rows = [("op-a.mssante.test", A_SUBJECT), ("op-b.mssante.test", B_SUBJECT), ("op-c.mssante.test", C_SUBJECT)]
    return trust.trust_list([*rows, *more], NOW - timedelta(days=1), fetched)


def certificate(**changes: object) -> CertificateFacts:
    return replace(GOOD, **changes)  # type: ignore[arg-type]


def address(text: str) -> Address:
    local, _, domain = text.rpartition("@")
    return Address(local, domain)


def login(own: str, *send_as: str) -> Login:
    return Login(own, 7, address(own), "device", frozenset({address(own).key, *send_as}))


def mailbox(text: str, state: BalState = BalState.ACTIVE, quota: int = 0, used: int = 0) -> MailboxFacts:
    return MailboxFacts(7, address(text), BalType.PER, state, quota, used)


def says(decision: Decision, name: str, source: str) -> Decision:
    """Assert the rule and that it rests on the source; the decision, for more assertions."""
    assert decision.rule.name == name
    assert source in decision.rule.sources
    return decision
