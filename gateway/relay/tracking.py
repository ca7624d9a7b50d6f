"""Follows each recipient of a message: queued, handed over, delivered, read, refused, or late.

The journal holds what happened; this table holds what the sender still waits for, so that a deadline can fall due and a
receipt can find its message (MSS-118). Promise: one row per message and recipient (TOU-C02); a state only moves forward;
a receipt is believed only for a recipient the message really had, about a message of the mailbox it came to; the second
copy of a receipt changes nothing; a deadline gives one negative notice, and a late receipt still updates the state.
Failure: database errors propagate; an unknown message or recipient is ignored and counted as nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, Text, and_, bindparam, delete, select, type_coerce, update

from gateway.relay import outbox
from gateway.relay.parcel import Result
from gateway.relay.queue import Taken
from gateway.relay.tables import NEVER, followed
from mailboxes.address_columns import addresses_of
from mailboxes.addresses import Addresses
from mailboxes.commit import Unit
from mailboxes.sql import Insert
from policies.catalogue import rule
from policies.decision import Decision, decide
from policies.events import Event, Kind
from policies.receipts import State, advance, confirmed
from policies.values import DsnRequest

CHUNK = 500
SENT_AGAIN = 20  # sendings of one Message-ID to one recipient that a receipt is looked for in


class Followed(NamedTuple):
    """A recipient to follow. ``channel`` is ``local`` or ``mssante``; ``wants`` holds ``delivery``, ``reading``.

    A mailbox of ours is ``DELIVERED`` from the start: the same transaction puts the message there.
    """

    message: str
    recipient: str  # address key
    mailbox: int
    sender: str
    message_id: str
    envid: str
    channel: str
    wants: frozenset[str]
    state: State = State.QUEUED


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the "sent" board. Times are seconds since the epoch; ``deadline_at`` is 0 when there is none."""

    message: str
    recipient: str
    channel: str
    sent_at: float
    state: State
    state_at: float
    code: str
    wants: frozenset[str]
    deadline_at: float


def follow(unit: Unit, rows: Sequence[Followed], deadline: float) -> None:
    """Start following, in the acceptance transaction. Who asked for something is answered within ``deadline`` seconds."""
    if rows:
        own = addresses_of(unit.connection)
        _INSERT(unit.cursor, [_fresh(row, unit.now, deadline, own) for row in rows])


_COLUMNS = "message recipient mailbox sender message_id envid channel wants sent_at state state_at code deadline_at"
_INSERT = Insert("followed", _COLUMNS)


def _fresh(row: Followed, now: float, deadline: float, own: Addresses) -> tuple[Any, ...]:
    waits = bool(row.wants) and not confirmed(row.state, row.wants)
    return (
        row.message,
        own.sealed(row.recipient),
        row.mailbox,
        own.sealed(row.sender),
        row.message_id[:250],
        own.sealed(row.envid),
        row.channel,
        " ".join(sorted(row.wants)),
        now,
        row.state.value,
        now,
        "",
        now + deadline if waits else NEVER,
    )


def follow_up(unit: Unit, settled: Iterable[tuple[Taken, Result]]) -> None:
    """What the courier settled for good or for now, in its transaction; a failure with its RFC 3463 status."""
    for row, result in settled:
        state = _state_of(result.decision)
        note(unit, row.message, row.recipient.lower(), state, result.status if state is State.FAILED else "")


def _state_of(decision: Decision) -> State:
    if decision.accepted:
        return State.HANDED_OVER
    return State.DELAYED if decision.code < 500 and decision.rule.name != "relay.expired" else State.FAILED


def note(unit: Unit, message: str, recipient: str, news: State, code: str = "") -> bool:
    """Move one recipient on; False when the news changes nothing (unknown, doubled, or older than what is known)."""
    row = unit.connection.execute(_ONE, {"about": message, "of": recipient}).one_or_none()
    if row is None:
        return False
    before = State(row.state)
    after = advance(before, news)
    if after is before:
        return False
    settled = confirmed(after, frozenset(row.wants.split()))
    values = {
        "about": message,
        "of": recipient,
        "to": after.value,
        "at": unit.now,
        "why": code or row.code,
        "until": NEVER if settled or after is State.LATE else row.deadline_at,
    }
    unit.connection.execute(_MOVE, values)
    return True


_KEY = and_(followed.c.message == bindparam("about"), followed.c.recipient == bindparam("of"))
_ONE = select(followed).where(_KEY).with_for_update()
_MOVE = (
    update(followed)
    .where(_KEY)
    .values(state=bindparam("to"), state_at=bindparam("at"), code=bindparam("why"), deadline_at=bindparam("until"))
)


# receipts that come in


class Receipt(NamedTuple):
    """What an incoming DSN or MDN says of one recipient, known under one or two addresses (keys).

    ``message_id`` names the message, or ``envid``: the sender's, or our identifier, which we give when he gave none.
    """

    message_id: str
    envid: str
    recipient: str
    also: str
    state: State
    code: str = ""
    disposition: str = ""


def receive(
    unit: Unit, mailbox: int, receipts: Iterable[Receipt], trusted: Callable[[str], bool] = lambda domain: True
) -> int:
    """Receipts delivered to ``mailbox``, in the transaction that delivers them; returns how many changed something.

    A receipt speaks only of messages sent from the mailbox it came to, and of recipients they had; ``trusted`` tells
    whether whoever brought it may speak for the recipient's domain. Anything else is ignored, so that nobody can mark
    another's message as read. Of a message sent twice, a second receipt answers the second.
    """
    return sum(_receive(unit, mailbox, receipt, trusted) for receipt in receipts)


def _receive(unit: Unit, mailbox: int, receipt: Receipt, trusted: Callable[[str], bool]) -> bool:
    for row in _about(unit.connection, mailbox, receipt):
        if not trusted(row.recipient.rpartition("@")[2]):
            continue
        if note(unit, row.message, row.recipient, receipt.state, receipt.code):
            unit.emit(_event(row, mailbox, receipt))
            return True
    return False


def _about(connection: Connection, mailbox: int, receipt: Receipt) -> Sequence[Any]:
    """The followed rows a receipt may speak of: several when a message was sent again under its Message-ID, and then the
    one that waits comes before those that were answered or given up."""
    for query in _ways(select(followed.c.message, followed.c.recipient).where(followed.c.mailbox == mailbox), receipt):
        query = query.order_by(followed.c.deadline_at, followed.c.sent_at).limit(SENT_AGAIN)
        for name in (receipt.recipient, receipt.also):
            found = connection.execute(query.where(followed.c.recipient == name)).all()
            if found:
                return found
    return ()


def _ways(query: Select[Any], receipt: Receipt) -> Iterator[Select[Any]]:
    """How a receipt may name its message, the surest first: a program that sends again keeps its Message-ID, and our own
    identifier is never given twice."""
    if receipt.envid:
        yield query.where(followed.c.message == receipt.envid)
    if receipt.message_id:
        yield query.where(followed.c.message_id == receipt.message_id[:250])
    elif receipt.envid:
        given = (receipt.envid, _xtext(receipt.envid))  # notices carry it decoded (RFC 3464 2.2.1), or as it was given
        yield query.where(followed.c.envid.in_(given), followed.c.envid != "")  # the second for the partial index
    elif receipt.disposition == "bounce":
        # A letter that names nobody but the recipient: it speaks of the last message he was sent (MSS-104).
        yield query.where(followed.c.state.in_(_UNDER_WAY)).order_by(followed.c.sent_at.desc())


def _xtext(value: str) -> str:
    """RFC 3461 4: as MAIL gives it, with ``+`` and ``=`` in hexadecimal."""
    return "".join([f"+{ord(sign):02X}" if sign in "+=" else sign for sign in value])


_UNDER_WAY = tuple(state.value for state in (State.QUEUED, State.DELAYED, State.HANDED_OVER, State.LATE))


def _event(row: Any, mailbox: int, receipt: Receipt) -> Event:
    detail = {
        "disposition": receipt.disposition or receipt.state.value,
        "code": receipt.code,
        "about": receipt.message_id or receipt.envid,
    }
    return Event(Kind.RECEIPT, message=row.message, recipient=row.recipient, mailbox=mailbox, detail=detail)


# deadlines


class NoBodies:
    """Negative notices return nothing of the original, so there is nothing to hold."""

    def hold(self, unit: Unit, body_id: int, count: int = 1) -> None:
        raise AssertionError("a negative notice holds no body")

    def release(self, unit: Unit, body_id: int, count: int = 1) -> None:
        raise AssertionError("a negative notice holds no body")

    async def open(self, body_id: int, wrapped: bytes) -> Any:
        raise AssertionError("a negative notice opens no body")


def deadlines(unit: Unit, now: float, limit: int = CHUNK) -> int:
    """Recipients whose confirmation did not come by ``now`` become late, and their senders are told. Returns how many."""
    query = select(followed).where(followed.c.deadline_at <= now).order_by(followed.c.deadline_at).limit(limit)
    rows = unit.connection.execute(query.with_for_update(skip_locked=True)).all()
    notices = outbox.Draft(NoBodies())
    for row in rows:
        said, status = rule("notice.unanswered"), "4.4.7"
        if not note(unit, row.message, row.recipient, State.LATE):
            said, status = rule("notice.unread"), "2.1.5"
            # Delivered but not read: the state is a proof and stays, the waiting ends all the same.
            unit.connection.execute(
                update(followed)
                .where(followed.c.message == row.message, followed.c.recipient == row.recipient)
                .values(deadline_at=NEVER)
            )
        unit.emit(Event(Kind.DEADLINE, message=row.message, recipient=row.recipient, detail={"about": row.wants}))
        notices.add(said.name.removeprefix("notice."), _silence(row), Result(0, decide(said), status), outbox.UNKNOWN)
    notices.commit(unit)
    return len(rows)


def _silence(row: Any) -> outbox.About:
    dsn = DsnRequest(frozenset({"SUCCESS", "FAILURE"}), envid=row.envid)
    return outbox.About(row.message, 0, b"", row.sender, row.recipient, dsn, row.sent_at, row.deadline_at)


def forget(unit: Unit, before: float, limit: int = CHUNK) -> int:
    """Stop following what was sent before that time and waits for nothing any more (TOU-F02). Returns how many rows."""
    old = and_(followed.c.deadline_at == NEVER, followed.c.sent_at < before)  # one range of ix_followed_deadline
    stored = type_coerce(followed.c.recipient, Text)  # one that does not open must go too
    found = unit.connection.execute(select(followed.c.message, stored.label("whom")).where(old).limit(limit)).all()
    if found:
        gone = delete(followed).where(followed.c.message == bindparam("about"), stored == bindparam("of"))
        unit.connection.execute(gone, [{"about": row.message, "of": row.whom} for row in found])
    return len(found)


# reading


def track(connection: Connection, message: str) -> list[Line]:
    """Every recipient of a message, by address. Takes our identifier or an RFC 5322 Message-ID."""
    wanted = message.strip("<>")
    query = select(followed).where((followed.c.message == message) | (followed.c.message_id == wanted))
    return sorted(map(_line, connection.execute(query)), key=attrgetter("message", "recipient"))


def board(connection: Connection, mailbox: int, *, before: float = NEVER, limit: int = 100) -> list[Line]:
    """The "sent" board of a mailbox: newest first, one line per message and recipient (TOU-C02)."""
    query = select(followed).where(followed.c.mailbox == mailbox, followed.c.sent_at < before)
    rows = connection.execute(query.order_by(followed.c.sent_at.desc(), followed.c.recipient).limit(limit))
    return sorted(map(_line, rows), key=lambda line: (-line.sent_at, line.recipient))  # the database sorts sealed ones


def _line(row: Any) -> Line:
    deadline = 0.0 if row.deadline_at >= NEVER else row.deadline_at
    return Line(
        row.message,
        row.recipient,
        row.channel,
        row.sent_at,
        State(row.state),
        row.state_at,
        row.code,
        frozenset(row.wants.split()),
        deadline,
    )
