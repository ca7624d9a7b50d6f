"""Judge who writes: the envelope sender and the authors named in the headers (MSS-034, MSS-035, MSS-074, F75, F76).

Promise: on submission, MAIL FROM and every author field (From, Sender, Resent-From, Resent-Sender) name addresses the
login may use, and there is exactly one author. From a partner, the author's domain is listed and its operator is the one
that speaks, or openly resends.
Failure: none; a field that did not parse is an :class:`Originators` fact and is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from policies import dn
from policies.catalogue import rule
from policies.decision import Decision, decide
from policies.trust import FromPolicy, TrustList, TrustSettings, domain_key, usable
from policies.values import Address, BalState, CertificateFacts, Login, MailboxFacts


@dataclass(frozen=True, slots=True)
class Originators:
    """Who the headers say wrote or resent the message.

    ``from_fields`` counts the From header fields, ``authors`` are the addresses in all of them. ``unreadable`` names the
    author fields whose addresses the strict reader refused.
    """

    from_fields: int = 0
    authors: tuple[Address, ...] = ()
    senders: tuple[Address, ...] = ()
    resent: tuple[Address, ...] = ()  # Resent-From and Resent-Sender
    unreadable: tuple[str, ...] = ()


def judge_mail_from(login: Login, sender: Address | None, mailbox: MailboxFacts | None = None) -> Decision:
    """MAIL FROM on the submission door. The null sender passes here and is judged with the headers."""
    if mailbox is not None and mailbox.state is not BalState.ACTIVE:
        return decide(rule("sender.mailbox_not_active"), mailbox.state.value, address=mailbox.address)
    if sender is not None and not _may_use(login, sender):
        return _not_to_be_used(login, sender, "sender.not_yours")
    return decide(rule("sender.accepted"))


def judge_submission(
    login: Login, sender: Address | None, who: Originators, *, notice: bool = False, recipients: int = 1
) -> Decision:
    """The author fields of a message that one of our users submits.

    ``notice`` says the message is a multipart/report or carries Auto-Submitted other than "no": the only kind that may
    have a null sender (a mail program's own read receipt, RFC 8098 section 3), and then to one recipient.
    """
    fault = _author_fault(who)
    if fault is not None:
        return fault
    for address in (*who.authors, *who.senders, *who.resent):
        if not _may_use(login, address):
            return _not_to_be_used(login, address, "sender.header_not_yours")
    if sender is None:
        return judge_null(notice=notice, recipients=recipients)
    return decide(rule("sender.accepted"))


def judge_hidden(hidden: Sequence[Address] | None, recipients: Sequence[Address]) -> Decision:
    """The blind copies that the headers of a submitted message still name (``None``: a field that cannot be read).

    A program may send those named a copy of their own that says so (RFC 5322 3.6.3); nobody else may get it.
    """
    if hidden is None or (hidden and not {one.key for one in recipients} <= {one.key for one in hidden}):
        return decide(rule("sender.hidden_recipients"))
    return decide(rule("sender.accepted"))


def judge_null(*, notice: bool, recipients: int) -> Decision:
    """A message without a return path must be a notice and have one recipient (RFC 5321 section 4.5.5)."""
    if not notice:
        return decide(rule("sender.null_not_a_notice"))
    if recipients > 1:
        return decide(rule("sender.null_several_recipients"), str(recipients))
    return decide(rule("sender.accepted"))


def judge_inbound_authors(
    sender: Address | None,
    who: Originators,
    certificate: CertificateFacts,
    trust: TrustList | None,
    now: datetime,
    settings: TrustSettings,
    *,
    notice: bool = False,
) -> Decision:
    """The author fields of a message from a partner whose envelope was accepted (MSS-034).

    Every author's domain must be listed. By ``settings.from_policy`` it must also be the envelope's domain, or one the
    same certificate speaks for; with ``accept_resent`` a message openly resent (Resent-From) by such an address passes.
    A ``notice`` without a return path is its server's own word, and Postfix, Exim and Sendmail sign it with the host's
    name unless told otherwise: the name in the certificate is as good, or our senders would not hear what failed.
    """
    waiting = usable(trust, now, settings)
    if waiting is not None or trust is None:
        return waiting or decide(rule("trust.list_missing"))
    fault = _author_fault(who)
    if fault is not None:
        return fault
    author = who.authors[0]
    if notice and sender is None and domain_key(author.domain) in certificate.dns_names:
        return decide(rule("sender.accepted"))
    if not trust.lists(author.domain):
        return decide(rule("sender.from_not_listed"), domain=author.domain)
    if not _consistent(author, sender, certificate, trust, settings) and not _resent(
        sender, who, certificate, trust, settings
    ):
        return decide(rule("sender.from_not_consistent"), f"envelope {sender}", domain=author.domain)
    return decide(rule("sender.accepted"))


def _author_fault(who: Originators) -> Decision | None:
    if who.unreadable:
        return decide(rule("sender.header_unreadable"), field=who.unreadable[0])
    if who.from_fields == 0 or not who.authors:
        return decide(rule("sender.from_missing"))
    if who.from_fields > 1 or len(who.authors) > 1:
        return decide(rule("sender.from_several"), f"{who.from_fields} fields, {len(who.authors)} authors")
    return None


def _may_use(login: Login, address: Address) -> bool:
    """The mailbox one is logged in to is no exception: a member may have the right to read it alone (MSS-061)."""
    return address.key in login.send_as


def _not_to_be_used(login: Login, address: Address, name: str) -> Decision:
    if address.key == login.address.key:
        return decide(rule("sender.no_right"), address=address)
    return decide(rule(name), address=address, login=login.address)


def _consistent(
    author: Address,
    sender: Address | None,
    certificate: CertificateFacts,
    trust: TrustList,
    settings: TrustSettings,
) -> bool:
    if settings.from_policy is FromPolicy.LISTED:
        return True
    if sender is not None and domain_key(author.domain) == domain_key(sender.domain):
        return True
    if settings.from_policy is FromPolicy.SAME_DOMAIN and sender is not None:
        return False
    return _speaks_for(certificate, author.domain, trust)


def _resent(
    sender: Address | None,
    who: Originators,
    certificate: CertificateFacts,
    trust: TrustList,
    settings: TrustSettings,
) -> bool:
    if not settings.accept_resent or not who.resent:
        return False
    # The newest resender comes first (RFC 5322 3.6.6) and is the one this partner answers for.
    return _consistent(who.resent[0], sender, certificate, trust, settings)


def _speaks_for(certificate: CertificateFacts, domain: str, trust: TrustList) -> bool:
    try:
        return trust.binds(domain, dn.key(certificate.subject))
    except dn.BadName:
        return False
