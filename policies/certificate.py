"""Judge what a presented certificate proves (MSS-016 to MSS-020), whoever presents it.

The path to an anchor and the revocation status are facts that someone else established; here they become answers.
Promise: each fault has its own rule, the same fault always the same rule, and faults are named in a fixed order: first
what makes the certificate worthless (no path), then its dates, its use, its strength, its names, its revocation. A
certificate's CN is never taken for a host name.
Failure: none; unknown words in ``chain_problem`` count as ``bad_chain``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from policies import dn
from policies.catalogue import rule
from policies.decision import Decision, decide
from policies.values import CertificateFacts, Revocation


class Role(StrEnum):
    """What the holder of the certificate was doing: calling us as an operator, answering our courier, or logging in to
    its APP mailbox (MSS-073: such a certificate names an organisation, not a host)."""

    CLIENT = "client"
    SERVER = "server"
    LOGIN = "login"


class WhenUnknown(StrEnum):
    """The configured answer when revocation cannot be established (MSS-020)."""

    DEFER = "defer"
    REFUSE = "refuse"
    ACCEPT = "accept"


@dataclass(frozen=True, slots=True)
class CertificateSettings:
    """``any_usage`` admits a certificate made for servers when it calls, and the reverse (some authorities issue one
    certificate for both sides of SMTP); ``match_host`` asks that the server's SAN names the host we called."""

    revocation_unknown: WhenUnknown = WhenUnknown.DEFER
    rsa_bits: int = 2048
    curve_bits: int = 256
    any_usage: bool = False
    match_host: bool = True


DEFAULT = CertificateSettings()
_CHAIN_WORDS = frozenset(
    ("untrusted", "self_signed", "expired", "not_yet_valid", "wrong_usage", "weak_key", "weak_signature", "bad_chain")
)


def judge(
    facts: CertificateFacts | None,
    role: Role,
    now: datetime,
    settings: CertificateSettings = DEFAULT,
    host: str | None = None,
) -> Decision:
    """One decision about one certificate at the moment ``now`` (aware, UTC).

    ``host`` is the name our courier called (a lower-case A-label), None when the route names none; it only counts for
    servers. Accepts with ``trust.certificate_accepted``, or ``trust.revocation_unknown_tolerated`` when so configured.
    """
    if facts is None:
        return _missing(role, host)
    fault = first_fault(facts, role, now, settings)
    if fault:
        return _faulty(fault, facts, role, host)
    if role is Role.SERVER and settings.match_host and host is not None and not names_host(facts, host):
        return _partner("trust.partner_certificate_wrong_name", facts, host, f"SAN {', '.join(facts.dns_names)}")
    if facts.revocation is not Revocation.GOOD:
        return _unknown(facts, role, settings, host)
    return decide(rule("trust.certificate_accepted"), _detail(facts), certificate=label(facts))


def first_fault(facts: CertificateFacts, role: Role, now: datetime, settings: CertificateSettings = DEFAULT) -> str:
    """The gravest fault as a word of :data:`policies.catalogue.trust.FAULTS`, or an empty string."""
    if facts.chain_problem:
        return facts.chain_problem if facts.chain_problem in _CHAIN_WORDS else "bad_chain"
    if now < facts.not_before:
        return "not_yet_valid"
    if now > facts.not_after:
        return "expired"
    if not _usage_allowed(facts, role, settings):
        return "wrong_usage"
    if facts.key_bits < (settings.rsa_bits if facts.key_type in ("rsa", "dsa") else settings.curve_bits):
        return "weak_key"
    if not facts.dns_names and role is not Role.LOGIN:
        return "no_name"
    return "revoked" if facts.revocation is Revocation.REVOKED else ""


def names_host(facts: CertificateFacts, host: str) -> bool:
    """Whether a SAN dNSName equals the host exactly: no wildcard is honoured in the trust space (RFC 9525 6.3)."""
    return host.lower().rstrip(".") in facts.dns_names


def label(facts: CertificateFacts | None) -> str:
    """How a sentence calls the certificate: its common name, else the start of its fingerprint."""
    if facts is None:
        return "-"
    return dn.first(facts.subject, dn.COMMON_NAME) or facts.fingerprint[:16]


def _usage_allowed(facts: CertificateFacts, role: Role, settings: CertificateSettings) -> bool:
    if settings.any_usage:
        return facts.client_usage or facts.server_usage
    return facts.server_usage if role is Role.SERVER else facts.client_usage


def _detail(facts: CertificateFacts) -> str:
    return f"{facts.subject} sha256 {facts.fingerprint} serial {facts.serial:x} issuer {facts.issuer}"


def _missing(role: Role, host: str | None) -> Decision:
    if role is not Role.SERVER:
        return decide(rule("session.client_certificate_missing"))
    return decide(rule("trust.partner_certificate_missing"), host=host or "-")


def _faulty(fault: str, facts: CertificateFacts, role: Role, host: str | None) -> Decision:
    if role is Role.SERVER:
        return _partner(f"trust.partner_certificate_{fault}", facts, host)
    return decide(rule(f"trust.certificate_{fault}"), _detail(facts), certificate=label(facts))


def _partner(name: str, facts: CertificateFacts, host: str | None, more: str = "") -> Decision:
    detail = f"{_detail(facts)} {more}".rstrip()
    return decide(rule(name), detail, certificate=label(facts), host=host or label(facts))


def _unknown(facts: CertificateFacts, role: Role, settings: CertificateSettings, host: str | None) -> Decision:
    if settings.revocation_unknown is WhenUnknown.ACCEPT:
        return decide(rule("trust.revocation_unknown_tolerated"), _detail(facts), certificate=label(facts))
    if role is Role.SERVER:
        return _partner("trust.partner_revocation_unknown", facts, host)
    refused = settings.revocation_unknown is WhenUnknown.REFUSE
    name = "trust.revocation_unknown_refused" if refused else "trust.revocation_unknown"
    return decide(rule(name), _detail(facts), certificate=label(facts))
