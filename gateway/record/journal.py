"""The hash-chained journal: what happened, in the same transaction as what it records.

Each row's hash covers the digest of the row and the hash before it, so an edited, removed, inserted or swapped row breaks the chain at
its place; the head row shows a cut tail; an anchor written outside the database shows a rollback of the whole (F35).
Promise: :meth:`Journal.append` writes inside the caller's transaction and takes the head lock last, so chains of several
processes never fork. Addresses of patients are sealed before they are chained (:mod:`mailboxes.addresses`): whoever has no key
verifies all the same. Failure: a database error propagates and the caller's transaction fails with it: there is no
untraced access (F22, MSS-144).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy import delete as sql_delete
from sqlalchemy import insert as sql_insert

from gateway.record.tables import journal, journal_head, journal_segment
from mailboxes.address_columns import addresses_of
from mailboxes.addresses import Addresses
from mailboxes.engine import raw
from mailboxes.given import create
from mailboxes.sql import Insert, Sql
from policies.events import Event, Kind

GENESIS = hashlib.sha256(b"caducee journal 1").digest()
HEAD = 1
PAGE = 5000
TAIL = 4096

_REFUSED = Kind.MESSAGE_REFUSED
"""It may name a patient's number before a domain that is not of patients: people mistype."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode
_text = json.encoder.encode_basestring


@dataclass(frozen=True, slots=True)
class Record:
    """One journal row as it was told. ``at`` is in microseconds since the epoch, UTC."""

    seq: int
    at: int
    kind: str
    actor: str
    message: str
    recipient: str
    mailbox: int
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where the chain does not hold. ``what`` is ``edited``, ``missing``, ``tail`` or ``rollback``."""

    seq: int
    what: str


Row = tuple[int, str, str, str, str, int, str]
"""What is chained of a record beside its number: time, kind, actor, message, recipient, mailbox, detail."""


def digest(seq: int, row: Row) -> bytes:
    """SHA-256 of one record as a JSON array (unambiguous, readable by anyone)."""
    return hashlib.sha256(_array(seq, row)).digest()


def link(before: bytes, told: bytes) -> bytes:
    """Hash of one row: SHA-256 over the hash before it and the digest of its record.

    With the digest alone the chain is followed across a record without being shown it: evidence of one message goes to a judge
    without what the journal says of others (TOU-A14).
    """
    return hashlib.sha256(before + told).digest()


def formerly_linked(before: bytes, seq: int, row: Row) -> bytes:
    """The hash of a row that a release before evidence packs wrote: over the hash before it and the record itself."""
    return hashlib.sha256(before + _array(seq, row)).digest()


def _array(seq: int, row: Row) -> bytes:
    at, kind, actor, message, recipient, mailbox, detail = row
    # Written out, because this runs in every commit, with all other commits behind it: JSON's own encoder takes five times as long.
    texts = f"{_text(kind)},{_text(actor)},{_text(message)},{_text(recipient)},{mailbox:d},{_text(detail)}"
    return f"[{seq:d},{at:d},{texts}]".encode()


def written(detail: Mapping[str, Any]) -> str:
    """The detail of an event as a record keeps it."""
    return _encode(dict(detail))


class Journal:
    """Appends to the chain. Stateless: the head lives in the database, so any number of processes share one chain."""

    def append(self, connection: Connection, events: Sequence[Event], now: float) -> None:
        """Chain ``events`` after the head, inside the caller's transaction. ``now`` is seconds since the epoch."""
        if not events:
            return
        cursor = raw(connection).cursor()
        seq, before = _lock_head(cursor)
        at = int(now * 1_000_000)
        own = addresses_of(connection)
        rows = []
        for event in events:
            seq += 1
            recipient, detail = event.recipient, event.written or written(event.detail)
            patient = own.concern(recipient) or event.kind is _REFUSED
            if patient or own.concern(detail):
                recipient, detail = own.sealed(recipient), own.sealed_json(detail, patient=patient)
            row = (at, event.kind.word, event.actor, event.message, recipient, event.mailbox, detail)
            before = link(before, digest(seq, row))
            rows.append((seq, *row, before))
        _INSERT(cursor, rows)
        _MOVE_HEAD(cursor, seq, before)


_READ_HEAD = select(journal_head.c.seq, journal_head.c.hash).where(journal_head.c.id == HEAD)
# Run for every transaction of the house, through the driver's own cursor.
_LOCK_HEAD = Sql("SELECT seq, hash FROM journal_head WHERE id = 1", lock=True)
_FIRST_HEAD = Sql("INSERT INTO journal_head (id, seq, hash) VALUES (1, ?, ?)")
_MOVE_HEAD = Sql("UPDATE journal_head SET seq = ?, hash = ? WHERE id = 1")
_INSERT = Insert("journal", "seq at kind actor message recipient mailbox detail hash")


def _lock_head(cursor: Any) -> tuple[int, bytes]:
    row = _LOCK_HEAD(cursor).fetchone()
    if row is None:
        _FIRST_HEAD(cursor, 0, GENESIS)
        return 0, GENESIS
    return row[0], bytes(row[1])


def read(
    connection: Connection, *, message: str = "", mailbox: int = 0, kind: Kind | None = None, newest: int = 10_000
) -> list[Record]:
    """The newest records about one message, one mailbox, one kind, or all; oldest of them first."""
    query = select(journal).order_by(journal.c.seq.desc()).limit(newest)
    if message:
        query = query.where(journal.c.message == message, journal.c.message != "")
    if mailbox:
        query = query.where(journal.c.mailbox == mailbox, journal.c.mailbox != 0)
    if kind is not None:
        query = query.where(journal.c.kind == kind.word)
    own = addresses_of(connection)
    return [_record(row, own) for row in connection.execute(query)][::-1]


def _record(row: Any, own: Addresses) -> Record:
    recipient, detail = own.opened(row.recipient), own.opened_json(row.detail)
    return Record(row.seq, row.at, row.kind, row.actor, row.message, recipient, row.mailbox, detail)


def head(connection: Connection) -> tuple[int, bytes]:
    """Sequence number and hash of the newest row; ``(0, GENESIS)`` for an empty journal."""
    row = connection.execute(_READ_HEAD).one_or_none()
    return (0, GENESIS) if row is None else (row[0], bytes(row[1]))


def verify(connection: Connection, anchors: Sequence[tuple[int, bytes]] = ()) -> Break | None:
    """Walk the whole chain; the first break, or None. ``anchors`` are (seq, hash) pairs kept outside the database."""
    wanted = dict(anchors)
    seq, before = start(connection)
    seen: dict[int, bytes] = {seq: before}
    for row in _rows(connection):
        seq += 1
        if row[0] != seq:
            return Break(seq, "missing")
        told, linked = tuple(row[1:8]), bytes(row[8])
        if linked != link(before, digest(seq, told)) and linked != formerly_linked(before, seq, told):
            return Break(seq, "edited")
        before = linked
        if seq in wanted:
            seen[seq] = before
    end_seq, end_hash = head(connection)
    if (seq, before) != (end_seq, end_hash):
        return Break(seq + 1, "tail")
    return _against_anchors(wanted, seen, first=start(connection)[0], last=seq)


def _against_anchors(wanted: dict[int, bytes], seen: dict[int, bytes], *, first: int, last: int) -> Break | None:
    for anchor_seq, anchor_hash in sorted(wanted.items()):
        if anchor_seq > last or (anchor_seq >= first and seen.get(anchor_seq) not in (None, anchor_hash)):
            return Break(anchor_seq, "rollback")
    return None


def start(connection: Connection) -> tuple[int, bytes]:
    """Where the kept chain starts: after the last segment retention removed, or at genesis."""
    newest = (
        select(journal_segment.c.last_seq, journal_segment.c.after)
        .order_by(journal_segment.c.first_seq.desc())
        .limit(1)
    )
    row = connection.execute(newest).one_or_none()
    return (0, GENESIS) if row is None else (row[0], bytes(row[1]))


def _rows(connection: Connection) -> Iterator[Any]:
    query = select(journal).order_by(journal.c.seq)
    yield from connection.execution_options(yield_per=PAGE).execute(query)


def older(connection: Connection, before_us: int, most: int = 1 << 62) -> int:
    """How many records, from the oldest on, were all written before ``before_us``; counts no further than ``most``.

    A record written after it keeps those behind it, whatever time they bear: a clock that jumped loses no evidence.
    """
    start_seq = start(connection)[0]
    end_seq = min(head(connection)[0], start_seq + most)
    here = journal.c.seq.between(start_seq + 1, end_seq)
    young = select(journal.c.seq).where(here, journal.c.at >= before_us).order_by(journal.c.seq).limit(1)
    stop = connection.execute(young).scalar()
    return int((end_seq if stop is None else stop - 1) - start_seq)


def silence(connection: Connection, before_us: int, now_us: int) -> int:
    """Microseconds between the last record that :func:`prune` would remove and the first that would stay, or now; 0 for none."""
    count = older(connection, before_us)
    if not count:
        return 0
    last = start(connection)[0] + count
    following = connection.execute(select(journal.c.at).where(journal.c.seq == last + 1)).scalar()
    return max((now_us if following is None else int(following)) - int(_end(connection, last).at), 0)


def prune(connection: Connection, before_us: int, now_us: int, most: int = 1 << 62) -> int:
    """Remove up to ``most`` of the oldest records written before ``before_us`` as one sealed segment (TOU-F02).

    The rest still verifies, from the hash the segment ends with. Returns the number of records removed; the caller
    records a ``service.purged`` event in the same transaction.
    """
    start_seq, start_hash = start(connection)
    count = older(connection, before_us, most)
    if count <= 0:
        return 0
    oldest, newest = (_end(connection, start_seq + 1), _end(connection, start_seq + count))
    segment = {
        "first_seq": oldest.seq,
        "last_seq": newest.seq,
        "first_at": oldest.at,
        "last_at": newest.at,
        "before": start_hash,
        "after": bytes(newest.hash),
        "removed_at": now_us,
    }
    connection.execute(sql_insert(journal_segment), segment)
    connection.execute(sql_delete(journal).where(journal.c.seq <= newest.seq))
    return count


def _end(connection: Connection, seq: int) -> Any:
    return connection.execute(select(journal).where(journal.c.seq == seq)).one()


_ANCHOR = re.compile(rb"([0-9]{1,18}) ([0-9a-f]{64}) [0-9]+")


class AnchorFile:
    """The head of the chain, written outside the database: one line ``seq hash at`` per anchor, synced to disk.

    Kept on another disk, or shipped to a log host, it shows a rollback of the whole database (F35, F36).
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, seq: int, digest: bytes, now: float) -> None:
        """Append one anchor and sync it. OSError propagates: an anchor that is not on disk is not an anchor.

        Behind a line that a power cut or a full disk cut short, a new one begins: joined, none of the two could be read.
        """
        handle = create(self.path, os.O_RDWR | os.O_APPEND)
        try:
            size = os.fstat(handle).st_size
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            line = b"\n" * torn + f"{seq} {digest.hex()} {int(now)}\n".encode("ascii")
            if os.write(handle, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            os.fsync(handle)
        finally:
            os.close(handle)

    def last(self) -> tuple[int, bytes] | None:
        """The newest whole anchor, read from the end of the file; None when there is none."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
                whole = map(_ANCHOR.fullmatch, file.read(TAIL).split(b"\n")[:-1])
        except FileNotFoundError:
            return None
        found = [line for line in whole if line is not None]
        return (int(found[-1][1]), bytes.fromhex(found[-1][2].decode("ascii"))) if found else None

    def read(self) -> list[tuple[int, bytes]]:
        """All anchors, oldest first; an incomplete line (power cut, full disk) is left out."""
        if not self.path.exists():
            return []
        whole = map(_ANCHOR.fullmatch, self.path.read_bytes().split(b"\n")[:-1])
        return [(int(line[1]), bytes.fromhex(line[2].decode("ascii"))) for line in whole if line is not None]
