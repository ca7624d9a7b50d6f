"""Gathers the evidence of one message from the journal, the anchors and what is followed of it (TOU-A14).

Promise: nothing of another message but the digests of its records; a stretch of the chain is read page by page and costs 66
octets a record. The body is added only by whoever may read it. Failure: :class:`gateway.record.explain.UnknownMessage`;
:class:`TooLong` when the anchors around a record lie further apart than :data:`LONGEST` records; database errors propagate.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from sqlalchemy import Connection, Table, func, select

from gateway.record import journal
from gateway.record.evidence import pack
from gateway.record.explain import UnknownMessage, explain
from gateway.record.tables import journal as journal_table
from gateway.relay import tracking
from mailboxes.address_columns import addresses_of
from mailboxes.register import Mailbox
from mailboxes.tables import entry, folder, mailbox_key
from policies.events import Kind
from policies.values import BalState

LONGEST = 2_000_000
"""Records between two anchors: a day of a large operator."""
PAGE = 5000
MOST_RECORDS = 100_000


class TooLong(Exception):
    """The anchors lie too far apart to tell the chain between them."""


class NotDestroyed(Exception):
    """The mailbox still has its key."""


class UnfitKey(Exception):
    """The operator's key signs nothing we could verify."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of the chain: from the hash before its first record to that of its last."""

    first: int
    last: int
    anchored: tuple[bool, bool]


@dataclass(frozen=True, slots=True)
class Signer:
    """The operator's key and its certificates, the first of them its own."""

    certificate: bytes
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

    @classmethod
    def read(cls, certificate: Path, key: Path) -> Signer:
        """Raises ``OSError``, ``ValueError`` or :class:`UnfitKey`."""
        found = serialization.load_pem_private_key(key.read_bytes(), None)
        if not isinstance(found, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise UnfitKey(type(found).__name__)
        chain = x509.load_pem_x509_certificates(certificate.read_bytes())
        return cls(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain), found)

    def sign(self, data: bytes) -> bytes:
        """What ``openssl dgst -sha256 -verify`` accepts."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(data, ec.ECDSA(hashes.SHA256()))


def gather(
    connection: Connection, message: str, anchors: Sequence[tuple[int, bytes]], *, operator: str, now: float
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The facts of the manifest, and the files but the signature. ``anchors`` are those kept outside the database."""
    where = (journal_table.c.message == message) & (journal_table.c.message != "")
    rows = list(
        connection.execute(select(journal_table).where(where).order_by(journal_table.c.seq).limit(MOST_RECORDS))
    )
    if not rows:
        raise UnknownMessage(message)
    facts = {"message": message, **_made(operator, now)}
    explained = {language: explain(connection, message, language).to_json() for language in ("fr", "en")}
    return facts, {
        **_proven(connection, rows, anchors),
        pack.FOLLOWED: pack.written([_line(line) for line in tracking.track(connection, message)]),
        pack.EXPLAINED: pack.written(explained),
        pack.ABOUT: pack.TEXT.format(**facts).encode(),
    }


def destruction(
    connection: Connection, box: Mailbox, anchors: Sequence[tuple[int, bytes]], *, operator: str, now: float
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The same of the end of a mailbox (TOU-E07). Raises :class:`NotDestroyed` while anything of it could still be read."""
    left = {
        "key": _count(connection, mailbox_key, box.id),
        "folders": _count(connection, folder, box.id),
        "messages": _count(connection, entry, box.id),
    }
    if box.state is not BalState.DELETED or left["key"]:
        raise NotDestroyed(str(box.address))
    kinds = (Kind.MAILBOX.word, Kind.PURGED.word)
    where = (journal_table.c.mailbox == box.id) & (journal_table.c.mailbox != 0) & journal_table.c.kind.in_(kinds)
    rows = list(
        connection.execute(select(journal_table).where(where).order_by(journal_table.c.seq).limit(MOST_RECORDS))
    )
    facts = {"mailbox": box.id, "address": str(box.address), **_made(operator, now)}
    found = {"mailbox": box.id, "address": str(box.address), "state": box.state.value, "left": left}
    return facts, {
        **_proven(connection, rows, anchors),
        pack.DESTROYED: pack.written({**found, "destroyed_by": box.state_by, "reason": box.state_reason}),
        pack.ABOUT: pack.DESTRUCTION.format(**facts).encode(),
    }


def _count(connection: Connection, table: Table, box: int) -> int:
    return int(connection.execute(select(func.count()).where(table.c.mailbox_id == box)).scalar() or 0)


def _made(operator: str, now: float) -> dict[str, Any]:
    made = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    return {"operator": operator, "made": made, "software": f"caducee {version('caducee')}"}


def _proven(connection: Connection, rows: Sequence[Any], anchors: Sequence[tuple[int, bytes]]) -> dict[str, bytes]:
    """Records, and the chain around them."""
    wanted = [row.seq for row in rows]
    chain = [_told(connection, one, set(wanted)) for one in stretches(connection, wanted, anchors)]
    return {
        pack.RECORDS: pack.written([_record(connection, row) for row in rows]),
        pack.CHAIN: pack.written(chain),
    }


def sealed(facts: Mapping[str, Any], files: Mapping[str, bytes], signer: Signer) -> bytes:
    """The pack."""
    shown = hashlib.sha256(signer.certificate).hexdigest()
    told = pack.manifest({**facts, "certificate": shown}, files)
    signed = {pack.MANIFEST: told, pack.SIGNATURE: signer.sign(told), pack.CERTIFICATE: signer.certificate}
    return pack.archive({**files, **signed})


def stretches(connection: Connection, wanted: Sequence[int], anchors: Sequence[tuple[int, bytes]]) -> list[Stretch]:
    """The chain around the records ``wanted``: from the newest anchor before each to the oldest one at it or behind it.

    Where there is none, from where the journal begins and to its head. An anchor that is not of this chain (a rollback) is none.
    """
    start, end = journal.start(connection)[0], journal.head(connection)[0]
    held = sorted({seq: told for seq, told in anchors if start < seq <= end}.items())
    seqs = [seq for seq, _ in held]

    def nearest(places: Iterable[int]) -> int | None:
        return next(
            (held[place][0] for place in places if _hash_at(connection, held[place][0]) == held[place][1]), None
        )

    found: list[Stretch] = []
    for seq in wanted:
        if found and seq <= found[-1].last:
            continue
        place = bisect_left(seqs, seq)
        before, after = nearest(range(place - 1, -1, -1)), nearest(range(place, len(seqs)))
        first = max(start if before is None else before, found[-1].last if found else start)
        last = end if after is None else after
        if last - first > LONGEST:
            raise TooLong(str(seq))
        joined = bool(found) and first == found[-1].last
        anchored = found[-1].anchored[1] if joined else before is not None
        found.append(Stretch(first + 1, last, (anchored, after is not None)))
    return found


def _hash_at(connection: Connection, seq: int) -> bytes:
    row = connection.execute(select(journal_table.c.hash).where(journal_table.c.seq == seq)).one_or_none()
    return b"" if row is None else bytes(row[0])


def _told(connection: Connection, one: Stretch, own: set[int]) -> dict[str, Any]:
    """A stretch: hash before it, each record by its digest (null: it is in records.json), hash at its end.

    A record chained by an older release bears its hash instead: its digest alone would not lead there.
    """
    start, beginning = journal.start(connection)
    before = beginning if one.first == start + 1 else _hash_at(connection, one.first - 1)
    links: list[str | None] = []
    hashed = before
    for row in _rows(connection, one):
        told = journal.digest(row[0], tuple(row[1:8]))
        following = bytes(row[8])
        if following != journal.link(hashed, told):
            links.append(f"={following.hex()}")
        else:
            links.append(None if row[0] in own else told.hex())
        hashed = following
    return {
        "first": one.first,
        "last": one.last,
        "before": before.hex(),
        "after": hashed.hex(),
        "anchored": {"before": one.anchored[0], "after": one.anchored[1]},
        "links": links,
    }


def _rows(connection: Connection, one: Stretch) -> Any:
    query = select(journal_table).where(journal_table.c.seq.between(one.first, one.last)).order_by(journal_table.c.seq)
    return connection.execution_options(yield_per=PAGE).execute(query)


def _record(connection: Connection, row: Any) -> dict[str, Any]:
    own = addresses_of(connection)
    told = {"recipient": own.opened(row.recipient), "detail": own.opened_json(row.detail)}
    chained = {"recipient": row.recipient, "detail": row.detail}
    more = {"told": told} if (told["recipient"], told["detail"]) != (row.recipient, json.loads(row.detail)) else {}
    return {
        "seq": row.seq,
        "at": row.at,
        "time": datetime.fromtimestamp(row.at / 1e6, UTC).isoformat(timespec="microseconds"),
        "kind": row.kind,
        "actor": row.actor,
        "message": row.message,
        "mailbox": row.mailbox,
        **chained,
        "hash": bytes(row.hash).hex(),
        **more,
    }


def _line(line: tracking.Line) -> dict[str, Any]:
    return {
        "recipient": line.recipient,
        "channel": line.channel,
        "sent_at": line.sent_at,
        "state": line.state.value,
        "state_at": line.state_at,
        "code": line.code,
        "wants": sorted(line.wants),
    }
