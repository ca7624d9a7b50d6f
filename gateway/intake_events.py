"""What the intake writes to the journal: a message accepted, one refused, a peer turned away.

Promise: pure; the decisions are kept so that ``caducee explain`` can account for each; nothing of the content is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gateway.intake_ports import Documents
from gateway.record.explain import noted
from gateway.record.journal import written
from gateway.smtp.transaction import Transaction
from mailboxes.anatomy import Anatomy
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


_NIL = re.compile(rb"[A-Za-z]{0,12}[0-9]{1,10}")


def indicated(documents: Documents, anatomy: Anatomy) -> dict[str, object]:
    """What indicators count of a message beside its envelope (MSS-142): nothing for most mail."""
    facts: dict[str, object] = {}
    if documents.codes:
        facts = {"codes": list(documents.codes), "ins": documents.ins}
    if b"x-mss-nil" in anatomy.values:
        # what programs write there: a number in another form than programs are given is not repeated, it may be anybody's
        number = anatomy.values[b"x-mss-nil"][0].strip()
        facts["nil"] = number.decode("ascii") if _NIL.fullmatch(number) else "?"
    return facts


def message_accepted(
    transaction: Transaction, identifier: str, sealed: Sealed, judged: Judged, more: Mapping[str, object]
) -> Event:
    """``more`` is what :func:`indicated` gave."""
    peer = transaction.peer
    detail = {
        **more,
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
