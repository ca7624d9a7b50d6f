"""What the intake writes to the journal: a message accepted, one refused, a peer turned away.

Promise: pure; the decisions are kept so that ``caducee explain`` can account for each; nothing of the content is.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.record.explain import noted
from gateway.record.journal import written
from gateway.smtp.transaction import Transaction
from mailboxes.store import Sealed
from policies.decision import Decision, Verdict
from policies.events import Event, Kind
from policies.values import Address, Peer

Judged = list[tuple[str, str, Decision]]
"""Stage (``mail``, ``rcpt``, ``content``…), recipient when it is about one, decision."""


def _who(peer: Peer) -> str:
    if peer.login is not None:
        return peer.login.account
    return peer.certificate.subject if peer.certificate is not None else "unknown"


def message_accepted(transaction: Transaction, identifier: str, sealed: Sealed, judged: Judged) -> Event:
    peer = transaction.peer
    detail = {
        "door": peer.door.value,
        "ip": peer.ip,
        "helo": peer.helo,
        "size": sealed.size,
        "sender": transaction.sender.key if transaction.sender else "",
        "recipients": [recipient.address.key for recipient in transaction.recipients],
        "sha256": sealed.sha256.hex(),
        "certificate": peer.certificate.fingerprint if peer.certificate else "",
        "envid": transaction.envid,
        "decisions": [noted(*entry) for entry in judged],
    }
    return Event(
        Kind.MESSAGE_ACCEPTED,
        actor=_who(peer),
        message=identifier,
        mailbox=peer.login.mailbox_id if peer.login else 0,
        detail=detail,
        written=written(detail),
    )


def message_refused(
    peer: Peer, sender: Address | None, recipients: Sequence[Address], judged: Judged, identifier: str = ""
) -> Event:
    return Event(
        Kind.MESSAGE_REFUSED,
        actor=_who(peer),
        message=identifier,
        mailbox=peer.login.mailbox_id if peer.login else 0,
        detail={
            "door": peer.door.value,
            "ip": peer.ip,
            "helo": peer.helo,
            "sender": sender.key if sender else "",
            "recipients": [address.key for address in recipients],
            "certificate": peer.certificate.fingerprint if peer.certificate else "",
            "decisions": [noted(*entry) for entry in judged if entry[2].verdict is not Verdict.ACCEPT],
        },
    )


def peer_refused(peer: Peer, decision: Decision) -> Event:
    detail = {
        "door": peer.door.value,
        "ip": peer.ip,
        "helo": peer.helo,
        "rule": decision.rule.name,
        "certificate": peer.certificate.fingerprint if peer.certificate else "",
        "detail": decision.detail,
        "decisions": [noted("session", "", decision)],
    }
    mailbox = peer.login.mailbox_id if peer.login else 0
    return Event(Kind.PEER_REFUSED, actor=_who(peer), message=decision.reference, mailbox=mailbox, detail=detail)
