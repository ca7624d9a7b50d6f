"""Who reported what: a message is found again by our identifier, and reported by whoever received it here (TOU-B05).

The journal says who sent a message, to how many, and into which mailboxes it went; nothing of the message itself is kept.
Promise: nobody can report a message that did not reach him. Failure: :class:`mailboxes.accounts.Refused` with ``sanction.not_received``,
``sanction.own_message`` or ``sanction.message_unknown``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from gateway.record.journal import read
from gateway.relay import tracking
from gateway.sanctions.cases import RECIPIENT, Report
from mailboxes.accounts import refuse
from mailboxes.lookup import facts
from mailboxes.register_rows import Mailbox
from policies.events import Kind

IDENTIFIER = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}", re.ASCII)
"""Our identifiers, as :func:`gateway.identifiers.message_identifier` makes them."""
HEADER_BYTES = 256 * 1024
_TRACE = re.compile(
    rb"^received:.{0,2000}?\bby\s+([a-z0-9.-]{1,255}).{0,2000}?\bid\s+([0-9A-HJKMNP-TV-Z]{26})\b",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was accepted: its sender's address key, how many recipients it had, when, and the mailboxes that hold it."""

    message: str
    sender: str
    recipients: int
    at: int
    mailboxes: frozenset[int]


def sent(connection: Connection, message: str) -> Sent | None:
    """The message of this identifier, or of this Message-ID when one of ours sent it; None when the journal knows none."""
    for one in _identifiers(connection, message):
        records = read(connection, message=one)
        accepted = next((record for record in records if record.kind == Kind.MESSAGE_ACCEPTED.word), None)
        if accepted is not None and accepted.detail["sender"]:
            held = frozenset(record.mailbox for record in records if record.kind == Kind.DELIVERED.word)
            to = len(accepted.detail["recipients"])
            return Sent(one, accepted.detail["sender"], to, accepted.at // 1_000_000, held)
    return None


def _identifiers(connection: Connection, message: str) -> Iterable[str]:
    if IDENTIFIER.fullmatch(message):
        return [message]
    return sorted({line.message for line in tracking.track(connection, message)})


def of_recipient(connection: Connection, message: str, reporter: Mailbox) -> Report:
    """A recipient of ours says it is unsolicited."""
    found = sent(connection, message)
    key = reporter.address.key
    if found is None or reporter.id not in found.mailboxes:
        raise refuse("sanction.not_received", address=key, reference=message[:100])
    offender = facts(connection, found.sender)
    if offender is not None and offender.id == reporter.id:
        raise refuse("sanction.own_message", address=key)
    subject, number = (offender.address.key, offender.id) if offender else (found.sender, 0)
    return Report(subject, number, found.recipients, RECIPIENT, found.message, found.at, key)


def of_sender(connection: Connection, message: str, sender: Mailbox | None, address: str) -> Report:
    """A message of this sender, on the word of an administrator or of a partner operator."""
    found = sent(connection, message)
    mine = found and (found.sender == address or _same_mailbox(connection, found.sender, sender))
    if found is None or not mine:
        raise refuse("sanction.message_unknown", address=address, reference=message[:100])
    subject, number = (sender.address.key, sender.id) if sender else (address, 0)
    return Report(subject, number, found.recipients, message=found.message, sent_at=found.at)


def _same_mailbox(connection: Connection, address: str, sender: Mailbox | None) -> bool:
    found = facts(connection, address)
    return sender is not None and found is not None and found.id == sender.id


def identifier_in(header: bytes, hostname: str) -> str:
    """Our identifier of a message, from the Received field that we put on top of it; empty when there is none."""
    block = header[:HEADER_BYTES].split(b"\r\n\r\n", 1)[0].split(b"\n\n", 1)[0]
    for field in re.sub(rb"\r?\n[ \t]+", b" ", block).splitlines():
        trace = _TRACE.match(field)
        if trace is not None and trace[1].decode("ascii").lower() == hostname.lower():
            return trace[2].decode("ascii").upper()
    return ""
