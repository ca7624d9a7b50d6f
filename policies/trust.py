"""The trust space as a value, and the functions that judge who may send to us and to whom we may send.

A :class:`TrustList` maps each domain to the canonical names (:func:`policies.dn.key`) of the certificates that may speak
for it. The same functions serve at the door, when a forwarding rule is written, and at each delivery attempt.

Promise: a domain matches exactly, as a lower-case A-label, never by suffix or wildcard (MSS-005, MSS-006); local mail
depends on no list; a list that could not be confirmed for too long defers everything that leaves or enters the house
(MSS-013) and refuses nothing.
Failure: none of these functions raises for a bad peer; a list is never built from a name it cannot compare
(:class:`policies.dn.BadName`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from policies import certificate as certificates
from policies import dn
from policies.catalogue import rule
from policies.certificate import CertificateSettings, Role
from policies.decision import Decision, decide
from policies.values import CertificateFacts


@dataclass(frozen=True, slots=True)
class TrustList:
    """One version of the white list. ``fetched_at`` is when it was last confirmed by its source, aware, UTC.

    Two lists are equal when they were made from the same bytes at the same confirmation.
    """

    domains: Mapping[str, frozenset[str]] = field(compare=False)
    certificates: frozenset[str] = field(compare=False)
    generated: datetime
    sha256: str
    fetched_at: datetime

    @property
    def version(self) -> str:
        """The date of generation, compact and sortable: ``20260313T145410Z``."""
        return self.generated.strftime("%Y%m%dT%H%M%SZ")

    def lists(self, domain: str) -> bool:
        """Whether the domain is listed, exactly."""
        return domain_key(domain) in self.domains

    def binds(self, domain: str, subject_key: str) -> bool:
        """Whether the certificate of that canonical name may speak for the domain."""
        return subject_key in self.domains.get(domain_key(domain), _NONE)


_NONE: frozenset[str] = frozenset()


def trust_list(
    rows: Iterable[tuple[str, str]], generated: datetime, fetched_at: datetime, sha256: str = ""
) -> TrustList:
    """Build a list from (domain, distinguished name) pairs; several rows for one domain add up (MSS-003, MSS-004).

    Raises :class:`policies.dn.BadName`. Without ``sha256``, one is computed from the rows.
    """
    found: dict[str, set[str]] = {}
    for domain, name in rows:
        found.setdefault(domain_key(domain), set()).add(dn.key(name))
    # Operators have many domains and one certificate: equal sets are shared, 10 000 rows stay small.
    shared: dict[frozenset[str], frozenset[str]] = {}
    domains = {domain: shared.setdefault(frozenset(keys), frozenset(keys)) for domain, keys in found.items()}
    everyone = frozenset(key for keys in shared for key in keys)
    digest = sha256 or _digest(domains)
    return TrustList(MappingProxyType(domains), everyone, generated, digest, fetched_at)


def _digest(domains: Mapping[str, frozenset[str]]) -> str:
    lines = sorted(f"{domain}\x00{key}" for domain, keys in domains.items() for key in keys)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def domain_key(domain: str) -> str:
    """Lower case, without the final dot of DNS. IDNA was applied where the name was read."""
    return domain.lower().removesuffix(".")


class Freshness(StrEnum):
    """How long ago the list was confirmed, in words: the clock of MSS-013."""

    FRESH = "fresh"
    WARN = "warn"
    ALARM = "alarm"
    STALE = "stale"


class FromPolicy(StrEnum):
    """How the header author of incoming mail must agree with its envelope (MSS-034); see :mod:`policies.sender`."""

    SAME_DOMAIN = "same_domain"
    SAME_CERTIFICATE = "same_certificate"
    LISTED = "listed"


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """``refuse_after`` and ``generated_within`` may be None: never. ``generated_within`` bounds the age of the list's own
    date, against a source that replays the same signed list for ever."""

    own_domains: frozenset[str] = frozenset()
    warn_after: timedelta = timedelta(hours=24)
    alarm_after: timedelta = timedelta(hours=72)
    refuse_after: timedelta | None = timedelta(days=7)
    generated_within: timedelta | None = None
    certificate: CertificateSettings = certificates.DEFAULT
    from_policy: FromPolicy = FromPolicy.SAME_CERTIFICATE
    accept_resent: bool = True


def freshness(trust: TrustList, now: datetime, settings: TrustSettings) -> Freshness:
    """A clock that went back makes a list look young, never stale (F16)."""
    age = now - trust.fetched_at
    if settings.refuse_after is not None and age > settings.refuse_after:
        return Freshness.STALE
    if settings.generated_within is not None and now - trust.generated > settings.generated_within:
        return Freshness.STALE
    if age > settings.alarm_after:
        return Freshness.ALARM
    return Freshness.WARN if age > settings.warn_after else Freshness.FRESH


def usable(trust: TrustList | None, now: datetime, settings: TrustSettings) -> Decision | None:
    """The deferral owed when there is no list or it is stale, else None."""
    if trust is None:
        return decide(rule("trust.list_missing"))
    if freshness(trust, now, settings) is Freshness.STALE:
        hours = max(0, int((now - trust.fetched_at).total_seconds() // 3600))
        return decide(rule("trust.list_stale"), f"generated {trust.version}", hours=hours)
    return None


def judge_peer(
    certificate: CertificateFacts | None, trust: TrustList | None, now: datetime, settings: TrustSettings
) -> Decision:
    """May this caller speak at all, before any sender is named? Its certificate is in order and on the list."""
    decision = certificates.judge(certificate, Role.CLIENT, now, settings.certificate)
    if not decision.accepted or certificate is None:
        return decision
    waiting = usable(trust, now, settings)
    if waiting is not None or trust is None:
        return waiting or decision
    if _subject(certificate) not in trust.certificates:
        return decide(
            rule("trust.certificate_not_listed"),
            _detail(certificate, trust),
            certificate=certificates.label(certificate),
        )
    return decision


def judge_inbound(
    certificate: CertificateFacts | None,
    sender_domain: str | None,
    trust: TrustList | None,
    now: datetime,
    settings: TrustSettings,
) -> Decision:
    """May the holder of this certificate send in the name of this domain (MSS-032, MSS-033)?

    ``sender_domain`` is None for the null sender, which any listed certificate may use (MSS-035).
    """
    decision = judge_peer(certificate, trust, now, settings)
    if not decision.accepted or certificate is None or trust is None:
        return decision
    if sender_domain is None:
        return decide(rule("trust.accepted"), _detail(certificate, trust), domain=certificates.label(certificate))
    domain = domain_key(sender_domain)
    bound = _bound(certificate, domain, trust)
    if bound:
        return decide(rule("trust.accepted"), _detail(certificate, trust), domain=domain)
    if domain in settings.own_domains:
        return decide(rule("trust.sender_is_ours"), _detail(certificate, trust), domain=domain)
    if not trust.lists(domain):
        return decide(rule("trust.sender_not_listed"), f"list {trust.version}", domain=domain)
    return decide(
        rule("trust.certificate_not_bound"),
        _detail(certificate, trust),
        domain=domain,
        certificate=certificates.label(certificate),
    )


def may_deliver(domain: str, trust: TrustList | None, now: datetime, settings: TrustSettings) -> Decision:
    """May a message go to this domain at this moment? The one gate of every path out (MSS-037, MSS-058, F43).

    Accepts with ``trust.local`` when the domain is ours, whatever the state of the list.
    """
    domain = domain_key(domain)
    if domain in settings.own_domains:
        return decide(rule("trust.local"), domain=domain)
    waiting = usable(trust, now, settings)
    if waiting is not None or trust is None:
        return waiting or decide(rule("trust.list_missing"))
    if not trust.lists(domain):
        return decide(rule("trust.recipient_not_listed"), f"list {trust.version}", domain=domain)
    return decide(rule("trust.accepted"), f"list {trust.version}", domain=domain)


def judge_outbound(
    domain: str,
    certificate: CertificateFacts | None,
    mx_host: str | None,
    trust: TrustList | None,
    now: datetime,
    settings: TrustSettings,
) -> Decision:
    """May our courier speak to this server for this domain (MSS-038)? Asked at each attempt, after the TLS handshake.

    ``mx_host`` is the name the route gives, None for a route without a name: the binding of the certificate to the
    domain is then the whole proof, and in all cases the part that a lying DNS cannot fake (F25).
    """
    decision = may_deliver(domain, trust, now, settings)
    if not decision.accepted or trust is None:
        return decision
    judged = certificates.judge(certificate, Role.SERVER, now, settings.certificate, mx_host)
    if not judged.accepted or certificate is None:
        return judged
    if not _bound(certificate, domain, trust):
        return decide(
            rule("trust.partner_not_bound"),
            _detail(certificate, trust),
            domain=domain_key(domain),
            host=mx_host or certificates.label(certificate),
        )
    return decision


def _subject(certificate: CertificateFacts) -> str:
    try:
        return dn.key(certificate.subject)
    except dn.BadName:
        return ""


def _bound(certificate: CertificateFacts, domain: str, trust: TrustList) -> bool:
    return trust.binds(domain, _subject(certificate))


def _detail(certificate: CertificateFacts, trust: TrustList) -> str:
    return f"{certificate.subject} sha256 {certificate.fingerprint} list {trust.version}"
