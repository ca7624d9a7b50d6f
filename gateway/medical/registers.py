"""What is remembered about patients: oppositions (TOU-A10, TOU-F08) and the conversations they may answer in (MSS-101 to MSS-103).

Numbers and addresses are only kept as keyed digests. Promise: an entry is in force for the next message of every process; no
number is ever written or logged. Failure: :class:`mailboxes.store.StoreError` when the database does not answer;
``ValueError`` for a number that is no matricule.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection, delete, insert, select, update

from gateway.medical.register_key import RegisterKey
from gateway.medical.tables import answer, conversation, opposition
from mailboxes.commit import Reading, Unit
from policies.events import Event, Kind

SCOPES = ("patient", "professionals")
_MOST = 50
_MOST_ANSWERS = 10
_ALLOWED = frozenset("0123456789AB")


class Registers(Protocol):
    """What the reader of documents asks."""

    async def opposed(self, numbers: frozenset[str], scopes: frozenset[str]) -> bool:
        """Did a patient with one of these numbers object to exchanges of one of these kinds?"""
        ...

    async def conversation(self, patient: str, about: Sequence[str]) -> tuple[bool, bool]:
        """Whether one of these messages was sent to this patient, and whether that exchange is closed."""
        ...

    async def answers_to(self, patient: str, about: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        """Who wrote the message answered, and the mailboxes he wanted answers in instead of his own (address keys)."""
        ...

    def remember(
        self,
        patients: Sequence[str],
        message: str,
        references: Sequence[str],
        *,
        closing: bool,
        author: str = "",
        answers: Sequence[str] = (),
    ) -> Callable[[Unit], None]:
        """Work for the transaction that accepts a message to patients; ``answers`` are the addresses of its Reply-To."""
        ...


class NoRegisters:
    """Remembers nothing: nobody objects, and patients may write. For services without patients, and for tests."""

    async def opposed(self, numbers: frozenset[str], scopes: frozenset[str]) -> bool:
        return False

    async def conversation(self, patient: str, about: Sequence[str]) -> tuple[bool, bool]:
        return True, False

    async def answers_to(self, patient: str, about: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        return "", ()

    def remember(
        self,
        patients: Sequence[str],
        message: str,
        references: Sequence[str],
        *,
        closing: bool,
        author: str = "",
        answers: Sequence[str] = (),
    ) -> Callable[[Unit], None]:
        return lambda unit: None


NO_REGISTERS = NoRegisters()


def normal_number(number: str) -> str:
    """The first thirteen characters of a matricule or social security number, the key and blanks left out.

    ``ValueError`` when it is not one: thirteen or fifteen characters, digits, A or B only in the department.
    """
    bare = "".join(sign for sign in number.upper() if sign not in " .-\u00a0\u202f\t")
    if len(bare) not in (13, 15) or not _ALLOWED.issuperset(bare):
        raise ValueError("not a matricule")
    letters = [at for at, sign in enumerate(bare) if sign in "AB"]
    if letters not in ([], [6]):
        raise ValueError("not a matricule")
    return bare[:13]


class Objection(NamedTuple):
    """One line of the register as an administrator sees it: a mark of the digest, never the number."""

    mark: str
    scope: str
    reference: str
    actor: str
    since: int


class PatientRegisters:
    """On the operator's own database."""

    def __init__(self, reading: Reading, key: RegisterKey) -> None:
        self._reading = reading
        self._key = key

    # asked by the reader

    async def opposed(self, numbers: frozenset[str], scopes: frozenset[str]) -> bool:
        found = [bare for bare in map(_normal_or_none, numbers) if bare]
        return bool(found) and await self._reading.run(lambda connection: self._opposed(connection, found, scopes))

    def _opposed(self, connection: Connection, numbers: Iterable[str], scopes: Iterable[str]) -> bool:
        key = self._key.known(connection)
        if key is None:
            return False
        digests = [_number_digest(key, number) for number in numbers]
        query = select(opposition.c.scope).where(opposition.c.digest.in_(digests), opposition.c.scope.in_(list(scopes)))
        return connection.execute(query.limit(1)).first() is not None

    async def conversation(self, patient: str, about: Sequence[str]) -> tuple[bool, bool]:
        return await self._reading.run(lambda connection: self._conversation(connection, patient, about[:_MOST]))

    def _conversation(self, connection: Connection, patient: str, about: Sequence[str]) -> tuple[bool, bool]:
        """The nearest of our messages decides: ``about`` starts with the one that is answered."""
        key = self._key.known(connection)
        if key is None or not about:
            return False, False
        digests = [_conversation_digest(key, patient, message) for message in about]
        query = select(conversation.c.digest, conversation.c.closed).where(conversation.c.digest.in_(digests))
        found = {bytes(row.digest): bool(row.closed) for row in connection.execute(query)}
        nearest = next((digest for digest in digests if digest in found), None)
        return (False, False) if nearest is None else (True, found[nearest])

    async def answers_to(self, patient: str, about: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        return await self._reading.run(lambda connection: self._answers_to(connection, patient, about[:_MOST]))

    def _answers_to(self, connection: Connection, patient: str, about: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        """The nearest of our messages decides, as for :meth:`conversation`."""
        key = self._key.known(connection)
        if key is None or not about:
            return "", ()
        digests = [_conversation_digest(key, patient, message) for message in about]
        query = select(conversation.c.digest).where(conversation.c.digest.in_(digests))
        known = {bytes(digest) for digest in connection.execute(query).scalars()}
        nearest = next((digest for digest in digests if digest in known), None)
        wanted = select(answer.c.author, answer.c.address).where(answer.c.digest == nearest).order_by(answer.c.address)
        rows = connection.execute(wanted).all() if nearest is not None else []
        return (rows[0].author, tuple(row.address for row in rows)) if rows else ("", ())

    def remember(
        self,
        patients: Sequence[str],
        message: str,
        references: Sequence[str],
        *,
        closing: bool,
        author: str = "",
        answers: Sequence[str] = (),
    ) -> Callable[[Unit], None]:
        wanted = tuple(dict.fromkeys(one for one in answers if one != author))[:_MOST_ANSWERS]

        def work(unit: Unit) -> None:
            key = self._key.for_writing(unit)
            for patient in patients:
                digest = _remember(unit, key, patient, message, references[-_MOST:], closing=closing)
                _answers(unit, digest, author, wanted)

        return work

    # asked by administrators

    def object_to(self, unit: Unit, number: str, scopes: Sequence[str], reference: str, actor: str) -> bool:
        """Record an opposition; False when every scope was recorded already. ``ValueError`` for a faulty number."""
        key = self._key.for_writing(unit)
        digest = _number_digest(key, normal_number(number))
        held = set(unit.connection.execute(select(opposition.c.scope).where(opposition.c.digest == digest)).scalars())
        new = [scope for scope in scopes if scope not in held]
        for scope in new:
            row = {
                "digest": digest,
                "scope": scope,
                "reference": reference[:64],
                "actor": actor,
                "since": int(unit.now),
            }
            unit.connection.execute(insert(opposition), row)
        _record(unit, "opposition recorded", digest, new, actor)
        return bool(new)

    def withdraw(self, unit: Unit, number: str, scopes: Sequence[str], actor: str) -> bool:
        """Take an opposition back; False when there was none."""
        key = self._key.for_writing(unit)
        digest = _number_digest(key, normal_number(number))
        gone = unit.connection.execute(
            delete(opposition).where(opposition.c.digest == digest, opposition.c.scope.in_(list(scopes)))
        ).rowcount
        if gone:
            _record(unit, "opposition withdrawn", digest, scopes, actor)
        return bool(gone)

    def listed(self, connection: Connection) -> list[Objection]:
        """Every line, oldest first."""
        rows = connection.execute(select(opposition).order_by(opposition.c.since, opposition.c.digest))
        return [Objection(_mark(bytes(r.digest)), r.scope, r.reference, r.actor, r.since) for r in rows]


def _answers(unit: Unit, digest: bytes, author: str, wanted: Sequence[str]) -> None:
    """The last message of one identifier counts: a program that sends again may have changed its mind."""
    unit.connection.execute(delete(answer).where(answer.c.digest == digest))
    rows = [{"digest": digest, "address": address, "author": author} for address in wanted]
    if rows:
        unit.connection.execute(insert(answer), rows)


def _remember(unit: Unit, key: bytes, patient: str, message: str, references: Sequence[str], *, closing: bool) -> bytes:
    digest = _conversation_digest(key, patient, message)
    known = unit.connection.execute(select(conversation.c.closed).where(conversation.c.digest == digest)).first()
    if known is None:
        row = {"digest": digest, "closed": int(closing), "at": int(unit.now)}
        unit.connection.execute(insert(conversation), row)
    if closing:
        before = [_conversation_digest(key, patient, one) for one in references] + [digest]
        unit.connection.execute(update(conversation).where(conversation.c.digest.in_(before)).values(closed=1))
    return digest


def _record(unit: Unit, what: str, digest: bytes, scopes: Sequence[str], actor: str) -> None:
    detail: dict[str, Any] = {"what": what, "target": f"{_mark(digest)} {' '.join(scopes)}".strip()}
    unit.emit(Event(Kind.RULE, actor=actor, detail=detail))


def _mark(digest: bytes) -> str:
    return digest[:6].hex()


def _normal_or_none(number: str) -> str:
    try:
        return normal_number(number)
    except ValueError:
        return ""


def _number_digest(key: bytes, number: str) -> bytes:
    return hmac.digest(key, b"number " + number.encode("ascii"), hashlib.sha256)


def _conversation_digest(key: bytes, patient: str, message: str) -> bytes:
    text = f"conversation {patient.upper()} {message.strip('<>')}"
    return hmac.digest(key, text.encode("utf-8", "replace"), hashlib.sha256)
