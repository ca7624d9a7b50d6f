"""Answers that a mailbox gives by itself: absence replies (RFC 3834, RFC 5230, MSS-060), automatic receipts (MSS-116).

Both are owed in the transaction that accepts the message they answer, leave with the null reverse-path and re-enter at the
intake like any notice, so that neither can leave the space or be answered in turn.
Promise: one absence reply per mailbox and sender within seven days, one receipt per message; none to the null sender, to
an automatic message, a list, or outside. Failure: errors of the store are the acceptance's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

from gateway.arrival import NOTHING, Arrival, Consequences, Work
from gateway.relay import letters, outbox
from gateway.relay.parcel import Bodies, Result
from gateway.relay.tables import NEVER
from gateway.rule_book import RuleBook
from mailboxes import rules
from mailboxes.anatomy import Anatomy
from mailboxes.rules import Rule
from mailboxes.seal import Sealer
from mailboxes.unit import Unit
from policies import redirection
from policies.catalogue import rule
from policies.decision import Decision, decide
from policies.receipts import ReceiptFacts, may_acknowledge
from policies.trust import TrustList, TrustSettings
from policies.values import DsnRequest, MailboxFacts

PERIOD = 7 * 86400.0
_WISH = DsnRequest(frozenset({"SUCCESS"}))
_LIST_FIELDS = frozenset(
    (b"list-id", b"list-post", b"list-help", b"list-unsubscribe", b"list-subscribe", b"list-owner", b"list-archive")
)
_BULK = frozenset(("bulk", "junk", "list"))


class Answering:
    """``trusted`` and ``settings`` give what is in force; ``clock`` is seconds since the epoch."""

    def __init__(
        self,
        book: RuleBook,
        sealer: Sealer,
        bodies: Bodies,
        trusted: Callable[[], TrustList | None],
        settings: Callable[[], TrustSettings],
        clock: Callable[[], float],
    ) -> None:
        self._book = book
        self._sealer = sealer
        self._bodies = bodies
        self._trusted = trusted
        self._settings = settings
        self._clock = clock

    def __call__(self, arrival: Arrival) -> Consequences:
        """The answers the mailboxes it arrived in owe to this message."""
        works: list[Work] = []
        flags: dict[str, str] = {}
        for key, mailbox in arrival.local.items():
            absent = self._book.absence(mailbox.id, self._clock())
            if absent is not None and self._absence_due(arrival, mailbox).accepted:
                works.append(self._absence(arrival, absent))
            receipt = self._book.acknowledges(mailbox.id)
            if receipt is not None and receipt_due(arrival):
                works.append(self._receipt(arrival, receipt, key))
                flags[key] = "$MDNSent"  # RFC 3503: mail programs send none of their own
        return Consequences(also=tuple(works), flags=flags) if works else NOTHING

    def _absence_due(self, arrival: Arrival, mailbox: MailboxFacts) -> Decision:
        anatomy, sender = arrival.anatomy, arrival.transaction.sender
        own = self._book.names(mailbox.id)
        if sender is not None and sender.key in own:
            return decide(rule("redirection.no_automatic_reply"), "to oneself")
        return redirection.judge_absence_reply(
            sender,
            automatic(anatomy),
            addressed=bool(own & addressed(anatomy)),
            listed_mail=of_a_list(anatomy),
            replied_lately=False,  # asked in the transaction
            trust=self._trusted(),
            now=datetime.fromtimestamp(self._clock(), UTC),
            settings=self._settings(),
        )

    def _absence(self, arrival: Arrival, absent: Rule) -> Work:
        sender = arrival.transaction.sender
        assert sender is not None
        about = identifier(arrival.anatomy)
        said = decide(rule("notice.absent"), address=absent.owner, text=absent.text, message_id=about)

        def work(unit: Unit) -> None:
            if rules.claim(unit, absent.mailbox_id, absent.kind, sender.key, PERIOD):
                of = _about(unit, arrival, str(absent.owner))
                self._owe(unit, letters.ABSENCE, of, said)

        return work

    def _receipt(self, arrival: Arrival, receipt: Rule, key: str) -> Work:
        sender = arrival.transaction.sender
        assert sender is not None
        about = identifier(arrival.anatomy)
        said = decide(rule("notice.processed"), recipient=sender, address=receipt.owner, message_id=about)
        whom = hashlib.sha256((about or arrival.message).encode()).hexdigest()
        sealed = arrival.sealed

        def work(unit: Unit) -> None:
            if rules.claim(unit, receipt.mailbox_id, receipt.kind, whom, rules.ANSWERS_KEPT):
                of = _about(unit, arrival, key or str(receipt.owner))
                of = of._replace(body_id=sealed.body_id, wrapped=self._sealer.wrap(sealed, 0))
                self._owe(unit, letters.PROCESSED, of, said)

        return work

    def _owe(self, unit: Unit, action: str, of: outbox.About, said: Decision) -> None:
        draft = outbox.Draft(self._bodies)
        draft.add(action, of, Result(0, said, said.enhanced))
        draft.commit(unit)


def _about(unit: Unit, arrival: Arrival, owner: str) -> outbox.About:
    """To the sender of what arrived, in the name of its ``owner``, without its body."""
    sender = arrival.transaction.sender
    return outbox.About(arrival.message, 0, b"", str(sender), owner, _WISH, unit.now, NEVER)


def receipt_due(arrival: Arrival) -> bool:
    """May a receipt go out without asking anybody (MSS-117)?"""
    asked = arrival.anatomy.listed(b"disposition-notification-to")
    if not asked.addresses:
        return False
    sender = arrival.transaction.sender
    facts = ReceiptFacts(
        asked_for=tuple(dict.fromkeys(address.key for address in asked.addresses)),
        return_path=sender.key if sender else "",
        automatic=automatic(arrival.anatomy) not in ("", "no") or of_a_list(arrival.anatomy),
    )
    return may_acknowledge(facts).rule.name == "notice.receipt_due"


def automatic(anatomy: Anatomy) -> str:
    """RFC 3834 Auto-Submitted; a report that does not say so is one too."""
    return anatomy.auto_submitted or ("report" if anatomy.parts[0].full_type == "multipart/report" else "")


def of_a_list(anatomy: Anatomy) -> bool:
    """Sent to many by a program."""
    values = anatomy.values
    return not _LIST_FIELDS.isdisjoint(values) or anatomy.text(b"precedence").strip().lower() in _BULK


def addressed(anatomy: Anatomy) -> frozenset[str]:
    """The keys in To and Cc (RFC 5230 4.5: who is named nowhere was not written to)."""
    return frozenset(address.key for name in (b"to", b"cc") for address in anatomy.listed(name).addresses)


def identifier(anatomy: Anatomy) -> str:
    """The Message-ID without its brackets, when it is short enough to be repeated."""
    found = anatomy.message_id.strip("<>")
    return found if len(found) <= 250 else ""
