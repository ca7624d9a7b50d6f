"""What accepting a message starts, ends or owes: following its recipients, believing its receipts, telling of delivery.

The intake asks :meth:`Reception.followers` once per message and runs the answers in the acceptance transaction, so that
what is followed, confirmed or notified is durable exactly when the message is (MSS-118, MSS-042).
Promise: a message from one of our mailboxes is followed per recipient; a DSN or MDN is believed only when whoever brought
it may speak for the recipient's domain; ``NOTIFY=SUCCESS`` for a mailbox of ours owes its sender a "delivered" notice.
Failure: none for a bad message; database errors belong to the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from gateway.relay import outbox, receipts, tracking
from gateway.relay.bounces import Bounces
from gateway.relay.parcel import Bodies, Result
from gateway.relay.tables import NEVER
from gateway.relay.tracking import Followed
from gateway.smtp.transaction import Recipient, Transaction
from mailboxes.anatomy import Anatomy
from mailboxes.commit import Unit
from policies import dn
from policies.catalogue import rule
from policies.decision import decide
from policies.receipts import State
from policies.trust import TrustList
from policies.values import Door, DsnRequest, Peer

Work = Callable[[Unit], None]


class Kept(NamedTuple):
    """The stored message: its body, and the body's key wrapped for the queue."""

    body_id: int
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class Reception:
    """``deadline`` is how many seconds a sender who asked for a confirmation waits before he is told there is none; ``patients``
    what bounces of patients' mailboxes look like (MSS-104)."""

    bodies: Bodies
    hostname: str
    trusted: Callable[[], TrustList | None]
    deadline: float = 24 * 3600.0
    patients: Bounces = receipts.MES

    def followers(
        self,
        transaction: Transaction,
        anatomy: Anatomy,
        raw: bytes,
        message: str,
        kept: Kept,
        local: Sequence[tuple[str, int]],
    ) -> tuple[Work, ...]:
        """The work to do in the acceptance transaction; ``local`` are (address key, mailbox id) of deliveries."""
        works = [
            self._follow(transaction, anatomy, message, frozenset(key for key, _ in local)),
            self._believe(transaction.peer, anatomy, raw, [mailbox for _, mailbox in local]),
            self._confirm(transaction, message, kept, dict(local)),
        ]
        return tuple(work for work in works if work is not None)

    def _follow(self, transaction: Transaction, anatomy: Anatomy, message: str, local: frozenset[str]) -> Work | None:
        login = transaction.peer.login
        if login is None or transaction.sender is None or anatomy.auto_submitted not in ("", "no"):
            return None
        reading = bool(anatomy.count(b"disposition-notification-to"))
        delivery = bool(anatomy.count(b"return-receipt-to"))
        rows = [
            Followed(
                message,
                recipient.address.key,
                login.mailbox_id,
                str(transaction.sender),
                anatomy.message_id.strip("<>"),
                transaction.envid,
                "local" if recipient.address.key in local else "mssante",
                wants(recipient.dsn, reading=reading, delivery=delivery),
                State.DELIVERED if recipient.address.key in local else State.QUEUED,
            )
            for recipient in _unique(transaction.recipients)
        ]
        return lambda unit: tracking.follow(unit, rows, self.deadline)

    def _believe(self, peer: Peer, anatomy: Anatomy, raw: bytes, mailboxes: Sequence[int]) -> Work | None:
        found = receipts.read(anatomy, raw, self.patients) if mailboxes else ()
        if peer.login is not None:  # a colleague does not read for another
            own = {peer.login.address.key, *peer.login.send_as}
            found = tuple(one for one in found if one.recipient in own or one.also in own)
        if peer.door is Door.INTERNAL:  # what our own notices tell was followed when it happened, on the right message
            found = tuple(one for one in found if not one.disposition.startswith("dsn/"))
        if not found:
            return None
        bearer = self._bearer(peer)

        def work(unit: Unit) -> None:
            for mailbox in mailboxes:
                tracking.receive(unit, mailbox, found, bearer)

        return work

    def _bearer(self, peer: Peer) -> Callable[[str], bool]:
        """For which domains whoever brought the message may speak (MSS-033, MSS-035)."""
        if peer.door is Door.INTERNAL:
            return lambda domain: True
        if peer.login is not None:
            own = peer.login.address.domain
            return lambda domain: domain == own
        trust, certificate = self.trusted(), peer.certificate
        if trust is None or certificate is None:
            return lambda domain: False
        try:
            subject = dn.key(certificate.subject)
        except dn.BadName:
            return lambda domain: False
        return lambda domain: trust.binds(domain, subject)

    def _confirm(self, transaction: Transaction, message: str, kept: Kept, local: dict[str, int]) -> Work | None:
        """Success asked for a recipient of ours is told by us: we are where the message ends."""
        if transaction.sender is None:
            return None
        sender = str(transaction.sender)
        asked = [
            recipient
            for recipient in _unique(transaction.recipients)
            if recipient.address.key in local and "SUCCESS" in recipient.dsn.notify
        ]
        if not asked:
            return None

        def work(unit: Unit) -> None:
            draft = outbox.Draft(self.bodies)
            for recipient in asked:
                decision = decide(rule("notice.delivered"))
                dsn = replace(recipient.dsn, ret=transaction.ret, envid=transaction.envid)
                arrived = outbox.About(
                    message, kept.body_id, kept.wrapped, sender, str(recipient.address), dsn, unit.now, NEVER
                )
                draft.add("delivered", arrived, Result(0, decision, "2.1.5", "", self.hostname))
            draft.commit(unit)

        return work


def wants(dsn: DsnRequest, *, reading: bool, delivery: bool) -> frozenset[str]:
    """What the sender waits for, from NOTIFY and from the fields that ask for a receipt."""
    found = set()
    if "SUCCESS" in dsn.notify or delivery:
        found.add("delivery")
    if reading:
        found.add("reading")
    return frozenset(found)


def _unique(recipients: Iterable[Recipient]) -> list[Recipient]:
    """One per address, the first wins, as at acceptance."""
    return list({recipient.address.key: recipient for recipient in reversed(list(recipients))}.values())[::-1]
