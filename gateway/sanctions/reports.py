"""Who reported what: a message is found again by our identifier or its Message-ID, and reported by whoever received it (TOU-B05).

The journal says who sent a message, to how many, and into which mailboxes it went; nothing of the message itself is kept. By the
Message-ID of a partner's message it is found as long as it lies in the mailbox of who reports it.
Promise: nobody can report a message that did not reach him, or his operator's users. Failure: :class:`mailboxes.accounts.Refused` with ``sanction.not_received``,
``sanction.own_message`` or ``sanction.message_unknown``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import Connection, select

from gateway.identifiers import thread_named
from gateway.record.journal import read
from gateway.record.tables import journal
from gateway.relay import tracking
from gateway.sanctions.cases import OPERATOR, RECIPIENT, Report
from mailboxes.accounts import refuse
from mailboxes.lookup import facts
from mailboxes.register_rows import Mailbox
from mailboxes.tables import entry
from policies.events import Kind
from policies.values import Address

IDENTIFIER = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}", re.ASCII)
"""Our identifiers, as :func:`gateway.identifiers.message_identifier` makes them."""
HEADER_BYTES = 64 * 1024
FIELD_BYTES = 2000
MOST = 1000
NEAR = 5
"""Seconds between the date of a message in its mailbox and the record of its delivery."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was accepted: its sender's address key, its recipients', when, and the mailboxes it went into."""

    message: str
    sender: str
    recipients: tuple[str, ...]
    at: int
    mailboxes: frozenset[int]


def sent(connection: Connection, message: str) -> Sent | None:
    """The message of this identifier, or of this Message-ID when one of ours sent it; None when the journal knows none."""
    for one in _identifiers(connection, message):
        records = read(connection, message=one)
        accepted = next((record for record in records if record.kind == Kind.MESSAGE_ACCEPTED.word), None)
        if accepted is not None and accepted.detail["sender"]:
            held = frozenset(record.mailbox for record in records if record.kind == Kind.DELIVERED.word)
            to = tuple(accepted.detail["recipients"])
            return Sent(one, accepted.detail["sender"], to, accepted.at // 1_000_000, held)
    return None


def _identifiers(connection: Connection, message: str) -> Iterable[str]:
    if IDENTIFIER.fullmatch(message):
        return [message]
    return sorted({line.message for line in tracking.track(connection, message)})


def of_recipient(connection: Connection, message: str, reporter: Mailbox) -> Report:
    """A recipient of ours says it is unsolicited."""
    found = sent(connection, message) or _in_mailbox(connection, message, reporter.id)
    key = reporter.address.key
    if found is None or reporter.id not in found.mailboxes:
        raise refuse("sanction.not_received", address=key, reference=message[:100])
    return _about(connection, found, RECIPIENT, key)


def of_stranger(connection: Connection, message: str, reporter: Address) -> Report:
    """A recipient at a partner's says so, or his postmaster for him."""
    found = sent(connection, message)
    speaks = found is not None and (
        reporter.key in found.recipients
        or (_postmaster(reporter) and any(key.endswith(f"@{reporter.domain}") for key in found.recipients))
    )
    if found is None or not speaks:
        raise refuse("sanction.not_received", address=reporter.key, reference=message[:100])
    return _about(connection, found, OPERATOR if _postmaster(reporter) else RECIPIENT, reporter.key)


def _postmaster(reporter: Address) -> bool:
    return reporter.local.lower() in ("postmaster", "abuse")


def _about(connection: Connection, found: Sent, source: str, reporter: str) -> Report:
    offender = facts(connection, found.sender)
    subject, number = (offender.address.key, offender.id) if offender else (found.sender, 0)
    if subject == reporter:
        raise refuse("sanction.own_message", address=reporter)
    return Report(subject, number, len(found.recipients), source, found.message, found.at, reporter)


def _in_mailbox(connection: Connection, message_id: str, mailbox: int) -> Sent | None:
    """By the Message-ID of a message that still lies in this mailbox: its conversation is known by it, its delivery by its date.

    The oldest that lies there is meant. Who never received the first message of a conversation, but an answer to it, names that
    one: what was named stands in the case, for the person who judges.
    """
    bare = message_id.strip().strip("<>")
    thread = thread_named(f"<{bare}>") if bare else 0
    here = (entry.c.mailbox_id == mailbox) & (entry.c.thread_id == thread)
    query = select(entry.c.uid, entry.c.internal_date).where(here).order_by(entry.c.internal_date, entry.c.uid)
    lying = connection.execute(query.limit(1)).all() if thread else []
    for each in lying:
        near = _delivered(connection, mailbox, each.internal_date)
        exact = [message for message, uid in near if uid == each.uid]
        chosen = exact or [message for message, _ in near]  # one that was moved has another number
        if len(chosen) == 1:
            return sent(connection, chosen[0])
    return None


def _delivered(connection: Connection, mailbox: int, at: int) -> list[tuple[str, int]]:
    """What was delivered to a mailbox within moments of ``at``: message and number."""
    c, first = journal.c, at * 1_000_000
    query = select(c.message, c.detail).where(
        c.mailbox == mailbox,
        c.mailbox != 0,  # for the partial index
        c.kind == Kind.DELIVERED.word,
        c.at.between(first, first + NEAR * 1_000_000),
    )
    rows = connection.execute(query.order_by(c.seq.desc()).limit(MOST)).all()
    return [(row.message, json.loads(row.detail)["uid"]) for row in rows]


def of_sender(connection: Connection, message: str, sender: Mailbox | None, address: str) -> Report:
    """A message of this sender, on the word of an administrator or of a partner operator."""
    found = sent(connection, message)
    mine = found and (found.sender == address or _same_mailbox(connection, found.sender, sender))
    if found is None or not mine:
        raise refuse("sanction.message_unknown", address=address, reference=message[:100])
    subject, number = (sender.address.key, sender.id) if sender else (address, 0)
    return Report(subject, number, len(found.recipients), message=found.message, sent_at=found.at)


def _same_mailbox(connection: Connection, address: str, sender: Mailbox | None) -> bool:
    found = facts(connection, address)
    return sender is not None and found is not None and found.id == sender.id


def identifier_in(header: bytes, hostname: str) -> str:
    """Our identifier of a message, from the Received field that we put on top of it; empty when there is none."""
    block = header[:HEADER_BYTES].replace(b"\r\n", b"\n").split(b"\n\n", 1)[0]
    fields = block.replace(b"\n ", b" ").replace(b"\n\t", b" ").split(b"\n")
    return identifier_of([one[9:] for one in fields if one[:9].lower() == b"received:"], hostname)


def identifier_of(traces: Iterable[bytes], hostname: str) -> str:
    """The same, from the values of the Received fields."""
    ours = hostname.lower()
    for trace in traces:
        words = trace[:FIELD_BYTES].decode("ascii", "replace").split()
        follows = dict(
            pairwise(words)
        )  # of a word twice what follows the last: the first may be what the peer called himself
        identifier = follows.get("id", "").rstrip(";").upper()
        if follows.get("by", "").lower() == ours and IDENTIFIER.fullmatch(identifier):
            return identifier
    return ""
