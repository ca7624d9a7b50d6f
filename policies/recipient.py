"""Judge one recipient: is it ours, is it open, has it room, may it be reached (MSS-036, MSS-037, MSS-045, MSS-055).

Promise: one answer per recipient, never per message. A deleted mailbox and one that never existed answer the same, and a
red-listed mailbox answers as any other: the red list hides a directory entry, not a mailbox.
Failure: none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from policies.catalogue import rule
from policies.decision import Decision, decide
from policies.trust import TrustList, TrustSettings, domain_key, may_deliver
from policies.values import Address, BalState, Door, MailboxFacts

MIB = 1024 * 1024
PATIENT_DOMAIN = "patient.mssante.fr"


@dataclass(frozen=True, slots=True)
class RecipientSettings:
    """Sizes in octets. ``domain_sizes`` limits messages to given domains; patients' own limit is fixed by the field
    (MSS-045). ``suspended_refuses`` and ``full_refuses`` turn the temporary answers into final ones."""

    suspended_refuses: bool = False
    full_refuses: bool = False
    patient_domains: frozenset[str] = frozenset({PATIENT_DOMAIN})
    patient_size: int = 25 * MIB
    domain_sizes: Mapping[str, int] = field(default_factory=dict)


DEFAULT = RecipientSettings()


def judge(
    door: Door,
    recipient: Address,
    mailbox: MailboxFacts | None,
    size: int,
    trust: TrustList | None,
    now: datetime,
    settings: TrustSettings,
    own: RecipientSettings = DEFAULT,
) -> Decision:
    """One RCPT TO. ``mailbox`` is ours of that address, if any; ``size`` the size known so far, 0 when none.

    A partner may only write to our own domains (no relay); our users may write to the whole trust space.
    """
    if domain_key(recipient.domain) in settings.own_domains:
        return judge_local(recipient, mailbox, size, own)
    if door is Door.INBOUND:
        return decide(rule("recipient.relay_denied"), recipient=recipient)
    return judge_remote(recipient, size, trust, now, settings, own)


def judge_local(
    recipient: Address, mailbox: MailboxFacts | None, size: int, own: RecipientSettings = DEFAULT
) -> Decision:
    """A recipient in one of our domains."""
    if mailbox is None or mailbox.state is BalState.DELETED:
        return decide(rule("recipient.unknown"), recipient=recipient)
    if mailbox.state is BalState.CLOSED:
        return decide(rule("recipient.closed"), recipient=recipient)
    if mailbox.state is BalState.SUSPENDED:
        refused = "recipient.suspended_refused" if own.suspended_refuses else "recipient.suspended"
        return decide(rule(refused), recipient=recipient)
    if mailbox.quota and mailbox.used + size > mailbox.quota:
        full = "recipient.over_quota_refused" if own.full_refuses else "recipient.over_quota"
        return decide(rule(full), f"{mailbox.used} + {size} > {mailbox.quota}", recipient=recipient)
    return decide(rule("recipient.accepted"))


def judge_remote(
    recipient: Address,
    size: int,
    trust: TrustList | None,
    now: datetime,
    settings: TrustSettings,
    own: RecipientSettings = DEFAULT,
) -> Decision:
    """A recipient at another operator: inside the trust space, and not over what its domain takes."""
    decision = may_deliver(recipient.domain, trust, now, settings)
    if not decision.accepted:
        return decision
    return judge_size(recipient, size, own)


def judge_size(recipient: Address, size: int, own: RecipientSettings = DEFAULT) -> Decision:
    """The limits of the recipient's own domain (MSS-044, MSS-045), asked again when the true size is known."""
    domain = domain_key(recipient.domain)
    if domain in own.patient_domains and size > own.patient_size:
        return decide(rule("recipient.too_big_for_patients"), str(size), limit=own.patient_size // MIB)
    limit = own.domain_sizes.get(domain, 0)
    if limit and size > limit:
        return decide(rule("recipient.too_big_for_domain"), str(size), recipient=recipient, limit=limit // MIB)
    return decide(rule("recipient.accepted"))
