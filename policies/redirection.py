"""Keep mail from leaving by a side door (TOU-A02, MSS-058 to MSS-060, F78).

Four doors are watched: the target of a user's rule (when written, when the list changes, at each execution), headers that
make answers go elsewhere, the organiser of an attached invitation, and a mail program that forwards by itself.
Promise: each asks the same question as the courier, :func:`policies.trust.may_deliver`; nothing of the subject or the
text is looked at. A field that cannot be read is refused, since it cannot be checked.
Failure: none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from policies.catalogue import rule
from policies.decision import Decision, Verdict, decide
from policies.trust import TrustList, TrustSettings, may_deliver
from policies.values import Address

# Header fields that make a program or a person send something somewhere, lower case.
POINTING_FIELDS = frozenset(
    (
        "reply-to",
        "errors-to",
        "return-receipt-to",
        "disposition-notification-to",
        "mail-followup-to",
        "mail-reply-to",
        "x-confirm-reading-to",
        "x-reply-to",
        "resent-to",
        "resent-cc",
        "resent-bcc",
        "resent-from",
        "resent-sender",
        "resent-reply-to",
        "list-post",
        "list-help",
        "list-unsubscribe",
        "list-subscribe",
        "list-owner",
    )
)
# Marks a program leaves when it forwards or redirects, lower case.
FORWARD_MARKS = frozenset(
    (
        "resent-from",
        "resent-to",
        "resent-date",
        "x-forwarded-message-id",
        "x-forwarded-to",
        "x-forwarded-for",
        "x-resent-by",
    )
)


MOST_RULES = 50
LONGEST_TEXT = 2000
LONGEST_ABSENCE = 366 * 86400.0


@dataclass(frozen=True, slots=True)
class Pointers:
    """Where the message's headers and calendars point.

    ``fields`` maps a lower-case field name of :data:`POINTING_FIELDS` to the addresses in it (``mailto:`` ones for
    List-*); ``unreadable`` names those the strict reader refused; ``organisers`` come from its calendars.
    ``marks`` are the names of :data:`FORWARD_MARKS` present; ``embedded`` is true when a message/rfc822 part is there.
    """

    fields: Mapping[str, tuple[Address, ...]]
    unreadable: tuple[str, ...] = ()
    organisers: tuple[Address, ...] = ()
    marks: frozenset[str] = frozenset()
    embedded: bool = False


def judge_target(
    owner: Address,
    target: Address,
    trust: TrustList | None,
    now: datetime,
    settings: TrustSettings,
    *,
    executing: bool = False,
) -> Decision:
    """May a rule of ``owner``'s mailbox send on to ``target``? ``executing`` when the rule exists already.

    A stale list defers (the message stays in the mailbox and the rule waits); a target that left the list refuses with
    ``redirection.rule_disabled``.
    """
    if owner.key == target.key:
        return decide(rule("redirection.to_itself"))
    decision = may_deliver(target.domain, trust, now, settings)
    if decision.verdict is Verdict.DEFER:
        return decision
    if not decision.accepted:
        name = "redirection.rule_disabled" if executing else "redirection.rule_outside"
        return decide(rule(name), decision.detail, domain=target.domain)
    return decide(rule("redirection.accepted"))


def may_forward(sender: Address | None, resent_by: frozenset[str], owner: frozenset[str]) -> Decision:
    """May a mailbox's forwarding rules send this message on at all, whatever their targets?

    ``resent_by`` are the keys in its Resent-From fields, ``owner`` the mailbox's own addresses. What the owner forwarded
    already ends here, and a notice (null sender) never leaves the mailbox that got it: it may be about the forwarding.
    """
    if sender is None:
        return decide(rule("redirection.notice_stays"))
    if resent_by & owner:
        return decide(rule("redirection.loop"))
    return decide(rule("redirection.accepted"))


def judge_number(existing: int) -> Decision:
    """Not one forwarding rule too many for one mailbox."""
    if existing >= MOST_RULES:
        return decide(rule("redirection.too_many"), limit=MOST_RULES)
    return decide(rule("redirection.accepted"))


def judge_absence(starts: float, ends: float, now: float, text: str) -> Decision:
    """An absence has an end, ahead and within a year, and a text that is not a book. Times in epoch seconds."""
    if not (starts < ends and now < ends <= max(now, starts) + LONGEST_ABSENCE):
        return decide(rule("redirection.absence_dates"))
    if not 0 < len(text) <= LONGEST_TEXT:
        return decide(rule("redirection.absence_text"), limit=LONGEST_TEXT)
    return decide(rule("redirection.accepted"))


def judge_pointers(pointers: Pointers, trust: TrustList | None, now: datetime, settings: TrustSettings) -> Decision:
    """No header and no invitation makes an answer leave the space."""
    if pointers.unreadable:
        return decide(rule("redirection.header_unreadable"), field=pointers.unreadable[0])
    for name in sorted(pointers.fields):
        for address in pointers.fields[name]:
            decision = may_deliver(address.domain, trust, now, settings)
            if not decision.accepted:
                return _outside("redirection.header_outside", decision, address.domain, name)
    for organiser in pointers.organisers:
        decision = may_deliver(organiser.domain, trust, now, settings)
        if not decision.accepted:
            return _outside("redirection.calendar_outside", decision, organiser.domain, "organizer")
    return decide(rule("redirection.accepted"))


def explain_forward(decision: Decision, recipient: Address, pointers: Pointers) -> Decision:
    """Name the forwarding when a refused outside recipient was written by a program that forwards.

    ``decision`` is what :func:`policies.trust.may_deliver` said of the recipient; any other decision returns as it is.
    """
    outside = decision.rule.name == "trust.recipient_not_listed"
    if outside and (pointers.marks or pointers.embedded):
        return decide(rule("redirection.forwarded_outside"), " ".join(sorted(pointers.marks)), domain=recipient.domain)
    return decision


def judge_absence_reply(
    sender: Address | None,
    auto_submitted: str,
    *,
    addressed: bool,
    listed_mail: bool,
    replied_lately: bool,
    trust: TrustList | None,
    now: datetime,
    settings: TrustSettings,
) -> Decision:
    """May an absence reply go out (RFC 3834 section 2, RFC 5230, MSS-060)?

    ``addressed``: the owner is named in To or Cc; ``listed_mail``: List-* or Precedence bulk; ``replied_lately``: this
    sender already had one within the period. Never to a null sender, an automatic message, a list or a system address.
    """
    if sender is None or auto_submitted not in ("", "no") or not addressed or listed_mail or replied_lately:
        return decide(rule("redirection.no_automatic_reply"))
    if _system(sender):
        return decide(rule("redirection.no_automatic_reply"), "system address")
    decision = may_deliver(sender.domain, trust, now, settings)
    if decision.verdict is Verdict.REFUSE:
        return decide(rule("redirection.no_automatic_reply"), decision.rule.name)
    return decision if not decision.accepted else decide(rule("redirection.accepted"))


def _system(address: Address) -> bool:
    local = address.local.lower()
    return (
        local in ("mailer-daemon", "postmaster", "listserv", "majordomo")
        or local.startswith(("owner-", "noreply", "no-reply"))
        or local.endswith(("-request", "-owner", "-bounces"))
    )


def _outside(name: str, decision: Decision, domain: str, field: str) -> Decision:
    if decision.verdict is Verdict.DEFER:
        return decision
    return decide(rule(name), decision.detail, domain=domain, field=field)
