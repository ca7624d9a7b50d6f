"""How much each of our senders wrote lately: the facts :mod:`policies.unsolicited` judges by (TOU-A06, F77).

What was accepted is a row, written by the transaction that accepts the message, so the count is the same for every process
and after a restart; what is under way is held in memory, so that twenty sessions at once do not pass one threshold twenty
times. Contents are compared by a digest of their decoded text: the same letter to many is one content whatever its
subject, boundary or identifier.
Promise: an attempt counts while it is under way and is given back when its message is not accepted; the event loop never
waits for the database, only the sender does. What another process is accepting at this very moment is not seen.
Failure: :class:`mailboxes.store.StoreError` when the rows cannot be read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from sqlalchemy import Connection

from mailboxes.commit import Reading, Unit
from mailboxes.engine import cursor_of
from mailboxes.sql import Insert, Sql
from policies.unsolicited import Volume, counted
from policies.values import Address

HOUR = 3600
AHEAD = 60
"""Seconds by which a row may be ahead of our clock: processes on several machines, never the mark of a clock that jumped."""

DISTINCT = 2_000
"""Recipients remembered of one message: beyond any threshold worth setting."""

MARK = 8
WHITE = b" \t\n\r\v\f"
PIECE = 1 << 20  # bytes looked at while the interpreter is kept from others
SHUT = 30.0
"""Seconds during which a mailbox over its rate hears so at MAIL, before its next message is counted again."""

SENDERS = 20_000


class Sent(NamedTuple):
    """One accepted submission. ``marks`` are its recipients' digests, :data:`MARK` octets each."""

    sender: str
    at: int
    recipients: int
    content: bytes
    marks: bytes


@dataclass(frozen=True, slots=True)
class Past:
    """What was accepted from one sender in the last hour; ``marks`` are of those who got one content."""

    messages: int = 0
    recipients: int = 0
    marks: frozenset[bytes] = frozenset()


class Ledger(Protocol):
    """Where accepted submissions are written down."""

    async def past(self, sender: str, content: bytes, now: float) -> Past: ...

    def note(self, unit: Unit, sent: Sent) -> None:
        """Inside the transaction that accepts the message."""
        ...


class SqlLedger:
    """The rows of :mod:`gateway.volume_tables`."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    async def past(self, sender: str, content: bytes, now: float) -> Past:
        found: Past = await self._reading.run(lambda connection: _past(connection, sender, content, int(now)))
        return found

    def note(self, unit: Unit, sent: Sent) -> None:
        _INSERT(unit.cursor, [sent])


class MemoryLedger:
    """The twin in memory."""

    def __init__(self) -> None:
        self.rows: list[Sent] = []

    async def past(self, sender: str, content: bytes, now: float) -> Past:
        rows = [row for row in self.rows if row.sender == sender and now - HOUR < row.at <= now + AHEAD]
        same = (row.marks for row in rows if row.content == content)
        return Past(len(rows), sum(row.recipients for row in rows), _split(same))

    def note(self, unit: Unit, sent: Sent) -> None:
        unit.after_commit(lambda: self.rows.append(sent))


_INSERT = Insert("volume", "sender at recipients content marks")
_TOTALS = Sql("SELECT count(*), coalesce(sum(recipients), 0) FROM volume WHERE sender = ? AND at > ? AND at <= ?")
_MARKS = Sql("SELECT marks FROM volume WHERE sender = ? AND at > ? AND at <= ? AND content = ?")
_FORGET = Sql("DELETE FROM volume WHERE at <= ?")


def _past(connection: Connection, sender: str, content: bytes, now: int) -> Past:
    cursor = cursor_of(connection)
    span = (sender, now - HOUR, now + AHEAD)
    messages, recipients = _TOTALS(cursor, *span).fetchone()
    marks = _MARKS(cursor, *span, content).fetchall()
    return Past(int(messages), int(recipients), _split(bytes(row[0]) for row in marks))


def forget(unit: Unit) -> None:
    """Remove what is older than an hour."""
    _FORGET(unit.cursor, int(unit.now) - HOUR)


@dataclass(slots=True, eq=False)
class _Attempt:
    """A message under way; ``done`` is when it ended well, on the monotonic clock: a read begun before has not seen it."""

    content: bytes
    recipients: int
    marks: frozenset[bytes]
    done: float | None = None


@dataclass(slots=True)
class Counted:
    """One attempt: what went before it, how many it adds, and what becomes of it."""

    before: Volume
    recipients: int
    also: tuple[Callable[[Unit], None], ...]
    end: Callable[[bool], None] = field(repr=False)


class Volumes:
    """``clock`` is seconds since the epoch, ``monotonic`` never goes back. ``key`` is the operator's, of recipients' digests:
    without one whoever has them could try all numbers of patients."""

    def __init__(
        self, ledger: Ledger, clock: Callable[[], float], monotonic: Callable[[], float], key: bytes = b""
    ) -> None:
        self._ledger = ledger
        self._key = key
        self._clock = clock
        self._monotonic = monotonic
        self._under_way: dict[str, list[_Attempt]] = {}
        self._shut: dict[str, float] = {}

    async def count(self, sender: str, content: bytes, recipients: Iterable[Address]) -> Counted:
        """Count an attempt of ``sender`` (an address key) and tell what went before. Its ``end`` must be called."""
        began = self._monotonic()
        past = await self._ledger.past(sender, content, self._clock())
        marks = frozenset(self.mark(address) for address in recipients if counted(address))
        others = [one for one in self._under_way.get(sender, ()) if one.done is None or one.done > began]
        same = past.marks.union(*(one.marks for one in others if one.content == content))
        before = Volume(
            recipients_last_hour=past.recipients + sum(one.recipients for one in others),
            same_content=len(same),
            messages_last_hour=past.messages + len(others),
        )
        attempt = _Attempt(content, len(marks), marks)
        self._under_way[sender] = [*others, attempt]
        kept = b"".join(sorted(marks)[:DISTINCT])
        row = Sent(sender, int(self._clock()), len(marks), content, kept)
        return Counted(
            before,
            len(marks),
            (lambda unit: self._ledger.note(unit, row),),
            lambda accepted: self._ended(sender, attempt, accepted),
        )

    def mark(self, address: Address) -> bytes:
        """The digest a recipient is counted by."""
        return hashlib.blake2b(address.key.encode(), digest_size=MARK, key=self._key).digest()

    def _ended(self, sender: str, attempt: _Attempt, accepted: bool) -> None:
        """An accepted one stays a moment longer, for the reads that began before its row was there."""
        now = self._monotonic()
        attempt.done = now
        kept = [one for one in self._under_way.get(sender, ()) if one.done is None or one.done > now - 1.0]
        if not accepted:
            kept = [one for one in kept if one is not attempt]
        if kept:
            self._under_way[sender] = kept
        else:
            self._under_way.pop(sender, None)
        if len(self._under_way) > SENDERS:  # rows tell of the ended ones soon enough
            for name in [name for name, held in self._under_way.items() if all(one.done for one in held)]:
                del self._under_way[name]

    def shut(self, sender: str) -> None:
        """This mailbox is over its rate: let it hear so before it sends a whole message again."""
        if len(self._shut) >= SENDERS:
            self._shut.clear()
        self._shut[sender] = self._monotonic() + SHUT

    def reopen(self) -> None:
        """Other rates are in force: what was over the old ones is asked again."""
        self._shut.clear()

    def is_shut(self, sender: str) -> bool:
        """Whether it was over its rate a moment ago."""
        if sender not in self._shut:
            return False
        if self._monotonic() < self._shut[sender]:
            return True
        del self._shut[sender]
        return False


def _split(marks: Iterable[bytes]) -> frozenset[bytes]:
    return frozenset(row[at : at + MARK] for row in marks for at in range(0, len(row), MARK))


class Spans(Protocol):
    """The part of a message's part that is asked here."""

    @property
    def kind(self) -> bytes: ...
    @property
    def body_start(self) -> int: ...
    @property
    def body_end(self) -> int: ...
    @property
    def children(self) -> list[int]: ...


def likeness(parts: Iterable[Spans], raw: bytes) -> bytes:
    """A digest of what the leaves hold, encoded as sent: header fields and boundaries do not count, nor white space."""
    digest = hashlib.sha256()
    for part in parts:
        if not part.children:
            for start in range(part.body_start, part.body_end, PIECE):
                piece = raw[start : min(start + PIECE, part.body_end)]
                digest.update(piece.translate(None, WHITE))
            digest.update(b"\0")
    return digest.digest()
