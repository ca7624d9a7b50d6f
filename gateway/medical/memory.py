"""What mailboxes remember of the patients and documents they met, and what a new message makes of it (HID-090 to HID-099, TOU-F09).

Kept: keyed digests only (:mod:`hprim.trace`), with the day they were last met. A mailbox is only judged by what it met itself, or all
by all when the operator wants one memory. Promise: :meth:`Memory.consult` leaves the event loop free; what
:meth:`Memory.remember` is given becomes durable with the message or not at all; what was not met again for the time configured is
gone. Failure: :class:`mailboxes.store.StoreError` when the database does not answer.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Column, Connection, Table, delete, func, select

from gateway.medical.met import Met
from gateway.medical.register_key import RegisterKey
from gateway.medical.tables import seen_document, seen_key, seen_patient
from hprim.history import (
    MAX_CANDIDATES,
    Version,
    blocking_keys,
    judge_trace,
    judge_version,
    number_key,
    someone_else,
)
from hprim.history import said as each_once
from hprim.ins import INS_OIDS
from hprim.model import Words
from hprim.trace import MARK, Trace, compare_traces, digester, mark, pack, trace, unpack
from mailboxes.commit import Reading, Unit
from mailboxes.engine import cursor_of
from mailboxes.sql import Sql
from mailboxes.tables import mailbox_key

OPERATOR = 0
"""The mailbox of those who keep one memory for all."""
CHUNK = 500
_DAY = 24 * 3600


class Remark(NamedTuple):
    """One rule that history brings: about which person of the message, or which document; ``detail`` fills its sentence."""

    rule: str
    person: int = -1
    document: int = -1
    detail: Words | None = None


class Earlier(NamedTuple):
    """A document met before, and the packed trace of the patient it was about."""

    version: int
    content: bytes
    patient: bytes


class Memory(Protocol):
    """What the reader of documents asks, and those who keep house."""

    async def consult(self, mailboxes: Sequence[int], met: Met, issuer: str) -> tuple[Remark, ...]:
        """What these mailboxes know against, or about, this message. ``issuer``: the domain it comes from."""
        ...

    def remember(self, mailboxes: Sequence[int], met: Met, issuer: str) -> Callable[[Unit], None]:
        """Work for the transaction that accepts the message."""
        ...

    def forget(self, unit: Unit, numbers: Iterable[str], mailboxes: Sequence[int] = ()) -> int:
        """Every patient with one of these INS numbers, in these mailboxes or in all. Returns how many entries."""
        ...

    def purge(self, unit: Unit, before: float, limit: int = CHUNK) -> int:
        """What was last met before that time; at most ``limit`` of each kind. Returns how many."""
        ...


class NoMemory:
    """Remembers nothing: for services that keep no history, and for tests."""

    async def consult(self, mailboxes: Sequence[int], met: Met, issuer: str) -> tuple[Remark, ...]:
        return ()

    def remember(self, mailboxes: Sequence[int], met: Met, issuer: str) -> Callable[[Unit], None]:
        return lambda unit: None

    def forget(self, unit: Unit, numbers: Iterable[str], mailboxes: Sequence[int] = ()) -> int:
        return 0

    def purge(self, unit: Unit, before: float, limit: int = CHUNK) -> int:
        return 0


NO_MEMORY = NoMemory()


# what the digests of a message are


@dataclass(frozen=True, slots=True)
class _Digested:
    """A message as memory knows it. ``documents``: own key, group key, keys replaced, version, content."""

    people: tuple[tuple[bytes, bytes, Trace, frozenset[bytes]], ...]  # mark, packed, trace, blocking keys
    documents: tuple[tuple[bytes, bytes, tuple[bytes, ...], int, bytes], ...]

    @property
    def blocking(self) -> frozenset[bytes]:
        return frozenset(key for one in self.people for key in one[3])

    @property
    def document_keys(self) -> frozenset[bytes]:
        found: set[bytes] = set()
        for own, group, replaced, _, _ in self.documents:
            found |= {own, *replaced} | ({group} if group else set())
        return frozenset(found)


def _digested(met: Met, issuer: str, secret: bytes) -> _Digested:
    people = []
    for person in met.people:
        one = trace(person.patient, secret, issuer)
        packed = pack(one)
        people.append((mark(packed, secret), packed, one, blocking_keys(person.patient, secret)))
    digest = digester(secret, MARK)

    def key(text: str) -> bytes:
        """HPRIM numbers are their sender's own; a CDA identifier is unique in the world."""
        return digest("document", text if text.startswith(("cda:", "set:")) else f"{issuer} {text}")

    documents = tuple(
        (
            key(one.own),
            key(one.group) if one.group else b"",
            tuple(key(text) for text in one.replaces),
            one.version,
            digest("content", one.content) if one.content else b"",
        )
        for one in met.documents
    )
    return _Digested(tuple(people), documents)


def _remarks(found: _Digested, seen: Sequence[bytes], documents: Mapping[bytes, Earlier]) -> tuple[Remark, ...]:
    """``seen``: packed traces of candidates, the newest first."""
    known = [unpack(packed) for packed in dict.fromkeys(seen[:MAX_CANDIDATES])]
    remarks = [
        Remark(rule, person=index)
        for index, (_, _, one, _) in enumerate(found.people)
        for rule in each_once(judge_trace(one, other) for other in known)
    ]
    if len(found.people) == 1:  # in a batch it is not said whose a document is
        about = found.people[0][2]
        remarks += [
            remark
            for index, document in enumerate(found.documents)
            for remark in _of_document(index, about, document, documents)
        ]
    return tuple(remarks)


def _of_document(
    index: int,
    about: Trace,
    document: tuple[bytes, bytes, tuple[bytes, ...], int, bytes],
    known: Mapping[bytes, Earlier],
) -> Iterable[Remark]:
    own_key, group_key, replaced, version, content = document
    own, group = known.get(own_key), known.get(group_key)
    earlier = [one for one in (own, group, *map(known.get, replaced)) if one is not None]
    if any(someone_else(compare_traces(about, unpack(one.patient))) for one in earlier):
        yield Remark("HID-096", document=index)
        return
    rule, detail = judge_version(version, content, _version(own), _version(group))
    if rule:
        yield Remark(rule, document=index, detail=detail)


def _version(one: Earlier | None) -> Version | None:
    return None if one is None else Version(one.version, one.content)


# in the database


_HEAD = "INSERT INTO {table} ({columns}) VALUES {rows} ON CONFLICT ({key}) {action}"
_PATIENT = (
    "seen_patient",
    "mailbox_id mark trace at",
    "mailbox_id, mark",
    f"DO UPDATE SET at = excluded.at WHERE seen_patient.at < excluded.at - {_DAY}",
)
_KEY = ("seen_key", "mailbox_id key mark", "mailbox_id, key, mark", "DO NOTHING")
_NEWER = (
    "DO UPDATE SET mark = excluded.mark, version = excluded.version, content = excluded.content, at = excluded.at"
    " WHERE excluded.version >= seen_document.version"
)
_DOCUMENT = ("seen_document", "mailbox_id key mark version content at", "mailbox_id, key", _NEWER)


@lru_cache(maxsize=256)
def _upsert(what: tuple[str, str, str, str], rows: int) -> Sql:
    table, columns, key, action = what
    names = columns.split()
    row = "(" + ", ".join("?" * len(names)) + ")"
    return Sql(
        _HEAD.format(table=table, columns=", ".join(names), rows=", ".join([row] * rows), key=key, action=action)
    )


def _put(unit: Unit, what: tuple[str, str, str, str], rows: Iterable[tuple[object, ...]]) -> None:
    listed = sorted(set(rows), key=repr)  # one order for all processes: they do not wait for each other in a circle
    for start in range(0, len(listed), 64):
        some = listed[start : start + 64]
        _upsert(what, len(some))(unit.cursor, *(value for row in some for value in row))


class StoredMemory:
    """On the operator's own database."""

    def __init__(self, reading: Reading, key: RegisterKey) -> None:
        self._reading = reading
        self._key = key

    async def consult(self, mailboxes: Sequence[int], met: Met, issuer: str) -> tuple[Remark, ...]:
        if not mailboxes or not met.people:
            return ()
        return await self._reading.run(lambda connection: self._consult(connection, mailboxes, met, issuer))

    def _consult(self, connection: Connection, mailboxes: Sequence[int], met: Met, issuer: str) -> tuple[Remark, ...]:
        secret = self._key.known(connection)
        if secret is None:
            return ()
        found = _digested(met, issuer, secret)
        seen = _candidates(connection, mailboxes, found.blocking)
        return _remarks(found, seen, _documents(connection, mailboxes, found.document_keys))

    def remember(self, mailboxes: Sequence[int], met: Met, issuer: str) -> Callable[[Unit], None]:
        def work(unit: Unit) -> None:
            found, now = _digested(met, issuer, self._key.for_writing(unit)), int(unit.now)
            people, documents = found.people, found.documents if len(found.people) == 1 else ()
            _put(unit, _PATIENT, [(box, name, packed, now) for box in mailboxes for name, packed, _, _ in people])
            _put(unit, _KEY, [(box, key, name) for box in mailboxes for name, _, _, keys in people for key in keys])
            rows = [
                (box, key, people[0][0], version, content, now)
                for box in mailboxes
                for own, group, _, version, content in documents
                for key in (own, group)
                if key
            ]
            _put(unit, _DOCUMENT, {row[:2]: row for row in rows}.values())

        return work if mailboxes and met.people else lambda unit: None

    def forget(self, unit: Unit, numbers: Iterable[str], mailboxes: Sequence[int] = ()) -> int:
        secret = self._key.known(unit.connection)
        if secret is None:
            return 0
        keys = [number_key(oid, number, secret) for number in numbers for oid in sorted(INS_OIDS)]
        query = select(seen_key.c.mailbox_id, seen_key.c.mark).where(seen_key.c.key.in_(keys)).distinct()
        if mailboxes:
            query = query.where(seen_key.c.mailbox_id.in_(list(mailboxes)))
        return _drop(unit, [(row.mailbox_id, bytes(row.mark)) for row in unit.connection.execute(query)])

    def purge(self, unit: Unit, before: float, limit: int = CHUNK) -> int:
        old = select(seen_patient.c.mailbox_id, seen_patient.c.mark).where(seen_patient.c.at < int(before)).limit(limit)
        gone = _drop(unit, [(row.mailbox_id, bytes(row.mark)) for row in unit.connection.execute(old)])
        late = select(seen_document.c.mailbox_id, seen_document.c.key).where(seen_document.c.at < int(before))
        rows = [(row.mailbox_id, bytes(row.key)) for row in unit.connection.execute(late.limit(limit))]
        _delete(unit, seen_document, seen_document.c.key, rows)
        return gone + len(rows)


def forget_closed(unit: Unit, limit: int = CHUNK) -> int:
    """What mailboxes closed for good remembered, that is those whose key is destroyed. Returns how many patients."""
    closed = list(unit.connection.execute(_KEYLESS.limit(limit)).scalars())
    if not closed:
        return 0
    query = select(seen_patient.c.mailbox_id, seen_patient.c.mark).where(seen_patient.c.mailbox_id.in_(closed))
    return _drop(unit, [(row.mailbox_id, bytes(row.mark)) for row in unit.connection.execute(query.limit(limit))])


def _keyless() -> Any:
    """Mailboxes that remember patients and have no key, by jumping from one to the next in the index: all mail waits
    for this transaction, and patients are many more than mailboxes."""
    names = select(func.min(seen_patient.c.mailbox_id).label("id")).cte("names", recursive=True)
    following = (
        select(func.min(seen_patient.c.mailbox_id))
        .where(seen_patient.c.mailbox_id > names.c.id)
        .correlate(names)
        .scalar_subquery()
    )
    names = names.union_all(select(following).where(names.c.id.is_not(None)))
    kept = select(mailbox_key.c.mailbox_id).where(mailbox_key.c.mailbox_id == names.c.id).correlate(names)
    return select(names.c.id).where(names.c.id.is_not(None), names.c.id != OPERATOR, ~kept.exists())


_KEYLESS = _keyless()


def _drop(unit: Unit, entries: Sequence[tuple[int, bytes]]) -> int:
    """The patients, what finds them, and the documents that are known as theirs."""
    for table in (seen_patient, seen_key, seen_document):
        _delete(unit, table, table.c.mark, entries)
    return len(entries)


def _delete(unit: Unit, table: Table, column: Column[bytes], entries: Sequence[tuple[int, bytes]]) -> None:
    """The rows of these mailboxes with these values in ``column``."""
    by_mailbox: dict[int, list[bytes]] = {}
    for mailbox, value in entries:
        by_mailbox.setdefault(mailbox, []).append(value)
    for mailbox, values in by_mailbox.items():
        for start in range(0, len(values), CHUNK):
            some = values[start : start + CHUNK]
            unit.connection.execute(delete(table).where(table.c.mailbox_id == mailbox, column.in_(some)))


def _candidates(connection: Connection, mailboxes: Sequence[int], keys: frozenset[bytes]) -> list[bytes]:
    if not keys:
        return []
    asked = _asked(_SAME_KEY, len(mailboxes), len(keys))
    rows = asked(cursor_of(connection), *mailboxes, *sorted(keys), MAX_CANDIDATES)
    return [bytes(trace) for trace, _ in rows.fetchall()]


def _documents(connection: Connection, mailboxes: Sequence[int], keys: frozenset[bytes]) -> dict[bytes, Earlier]:
    if not keys:
        return {}
    asked = _asked(_SAME_DOCUMENT, len(mailboxes), len(keys))
    rows = asked(cursor_of(connection), *mailboxes, *sorted(keys))
    return {
        bytes(key): Earlier(version, bytes(content), bytes(trace)) for key, version, content, trace in rows.fetchall()
    }


_SAME_KEY = (
    "SELECT DISTINCT p.trace, p.at FROM seen_key k"
    " JOIN seen_patient p ON p.mailbox_id = k.mailbox_id AND p.mark = k.mark"
    " WHERE k.mailbox_id IN ({mailboxes}) AND k.key IN ({keys}) ORDER BY p.at DESC LIMIT ?"
)
_SAME_DOCUMENT = (
    "SELECT d.key, d.version, d.content, p.trace FROM seen_document d"
    " JOIN seen_patient p ON p.mailbox_id = d.mailbox_id AND p.mark = d.mark"
    " WHERE d.mailbox_id IN ({mailboxes}) AND d.key IN ({keys}) ORDER BY d.version"
)


@lru_cache(maxsize=512)
def _asked(text: str, mailboxes: int, keys: int) -> Sql:
    return Sql(text.format(mailboxes=", ".join("?" * mailboxes), keys=", ".join("?" * keys)))


def counted(connection: Connection) -> tuple[int, int, int]:
    """How many patients and documents are remembered, and since when the oldest was not met (0: none)."""
    people = connection.execute(select(func.count(), func.min(seen_patient.c.at))).one()
    documents = connection.execute(select(func.count()).select_from(seen_document)).scalar_one()
    return int(people[0]), int(documents), int(people[1] or 0)


# in memory


@dataclass(slots=True)
class _Entry:
    packed: bytes
    keys: frozenset[bytes]
    at: float


@dataclass(slots=True)
class MemoryHere:
    """The twin of :class:`StoredMemory` without a database: for tests, and for a reader alone."""

    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    people: dict[tuple[int, bytes], _Entry] = field(default_factory=dict)
    documents: dict[tuple[int, bytes], tuple[bytes, int, bytes, float]] = field(default_factory=dict)

    async def consult(self, mailboxes: Sequence[int], met: Met, issuer: str) -> tuple[Remark, ...]:
        found = _digested(met, issuer, self.secret)
        entries = [one for (box, _), one in self.people.items() if box in mailboxes and one.keys & found.blocking]
        entries.sort(key=lambda one: -one.at)
        known: dict[bytes, Earlier] = {}
        for (box, key), (name, version, content, _) in sorted(self.documents.items(), key=lambda one: one[1][1]):
            person = self.people.get((box, name))
            if box in mailboxes and key in found.document_keys and person is not None:
                known[key] = Earlier(version, content, person.packed)
        return _remarks(found, [one.packed for one in entries], known)

    def remember(self, mailboxes: Sequence[int], met: Met, issuer: str) -> Callable[[Unit], None]:
        def work(unit: Unit) -> None:
            found, now = _digested(met, issuer, self.secret), unit.now
            unit.after_commit(lambda: self._keep(mailboxes, found, now))

        return work

    def _keep(self, mailboxes: Sequence[int], found: _Digested, now: float) -> None:
        for box in mailboxes:
            for name, packed, _, keys in found.people:
                self.people[box, name] = _Entry(packed, keys, now)
            for own, group, _, version, content in found.documents if len(found.people) == 1 else ():
                for key in (own, group):
                    before = self.documents.get((box, key))
                    if key and (before is None or version >= before[1]):
                        self.documents[box, key] = (found.people[0][0], version, content, now)

    def forget(self, unit: Unit, numbers: Iterable[str], mailboxes: Sequence[int] = ()) -> int:
        keys = {number_key(oid, number, self.secret) for number in numbers for oid in INS_OIDS}
        within = [
            (box, name)
            for (box, name), one in self.people.items()
            if one.keys & keys and (not mailboxes or box in mailboxes)
        ]
        self._drop(within)
        return len(within)

    def purge(self, unit: Unit, before: float, limit: int = CHUNK) -> int:
        old = [entry for entry, one in self.people.items() if one.at < before][:limit]
        self._drop(old)
        late = [entry for entry, one in self.documents.items() if one[3] < before][:limit]
        for entry in late:
            del self.documents[entry]
        return len(old) + len(late)

    def _drop(self, entries: Iterable[tuple[int, bytes]]) -> None:
        for box, name in entries:
            del self.people[box, name]
            for place in [at for at, one in self.documents.items() if at[0] == box and one[0] == name]:
                del self.documents[place]
