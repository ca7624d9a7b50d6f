"""What is remembered about patients: oppositions (TOU-A10, TOU-F08) and the conversations they may answer in (MSS-101 to MSS-103).

A patient objects under his number, under his strict traits (:mod:`hprim.strict`) or under both, to everybody or to mailboxes he
names. His number, his traits and his address are only kept as keyed digests, and so is what his traits are compared by
(:mod:`hprim.trace`): a patient who only looks like him is told apart from one who is he. An exchange is kept no longer than it may be
answered in (``hprim.conversation_keep``). Promise: an entry is in force for the next message of every process; no number and no trait is
ever written or logged. Failure: :class:`mailboxes.store.StoreError` when the database does
not answer; ``ValueError`` for a number that is no matricule, and for a person without any.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Column, Connection, delete, insert, select, update

from gateway.medical.register_key import RegisterKey
from gateway.medical.tables import answer, conversation, opposition, opposition_key, opposition_trace
from hprim.ins import NIR_OID, key_of
from hprim.match import Comparison, Verdict
from hprim.model import InsId, Patient, Place, Source, Traits
from hprim.names import Level
from hprim.strict import likely
from hprim.trace import MARK, compare_traces, digester, mark, pack, trace, unpack
from mailboxes.commit import Reading, Unit
from policies.events import Event, Kind

SCOPES = ("patient", "professionals")
ANYBODY = ""
"""In the place of a mailbox: the patient objects to all."""
CHUNK = 500
_AT_ONCE = 500
_MOST = 50
_MOST_ALIKE = 200
_MOST_ANSWERS = 10
_ALLOWED = frozenset("0123456789AB")


class Exchange(NamedTuple):
    """What is asked of the register: under what the patients of a message may be known, and of which kinds the exchange is; who they
    are, for those who look like one who objected."""

    numbers: frozenset[str]
    traits: frozenset[str]
    scopes: frozenset[str]
    people: tuple[Patient, ...] = ()


class Objected(NamedTuple):
    """The mailboxes that a patient of the message objected to, and those that somebody nearly like one did; :data:`ANYBODY` among
    them when he objected to all."""

    sure: frozenset[str] = frozenset()
    near: frozenset[str] = frozenset()


class Registers(Protocol):
    """What the reader of documents asks."""

    async def opposed(self, exchange: Exchange) -> Objected:
        """What one of these patients objected to, and what one who looks like him did."""
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

    async def opposed(self, exchange: Exchange) -> Objected:
        return Objected()

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
    """One line of the register as an administrator sees it: a mark of the digest, never the number or a trait. ``known_by`` says under
    what the person is found (number, traits), ``professional`` which mailbox he forbids, empty for all."""

    mark: str
    known_by: tuple[str, ...]
    scope: str
    professional: str
    reference: str
    actor: str
    since: int


class Person(NamedTuple):
    """Who objects: his number, the texts of his strict traits (:func:`hprim.strict.recorded`), or both. ``known``: the traits
    themselves, from which is made what those who look like him are compared by."""

    number: str = ""
    traits: tuple[str, ...] = ()
    known: Traits | None = None


class Wish(NamedTuple):
    """What he objects to: kinds of exchange (:data:`SCOPES`), with the mailboxes he names or with all."""

    scopes: Sequence[str] = SCOPES
    addresses: Sequence[str] = (ANYBODY,)


class PatientRegisters:
    """On the operator's own database."""

    def __init__(self, reading: Reading, key: RegisterKey) -> None:
        self._reading = reading
        self._key = key

    # asked by the reader

    async def opposed(self, exchange: Exchange) -> Objected:
        if not any(map(_normal_or_none, exchange.numbers)) and not exchange.traits and not exchange.people:
            return Objected()
        return await self._reading.run(lambda connection: self._opposed(connection, exchange))

    def _opposed(self, connection: Connection, exchange: Exchange) -> Objected:
        key = self._key.known(connection)
        if key is None:
            return Objected()
        bare = filter(None, map(_normal_or_none, exchange.numbers))
        digests = [*(_number_digest(key, one) for one in bare), *(_traits_digest(key, one) for one in exchange.traits)]
        sure = _addresses(connection, opposition.c.digest, digests, exchange.scopes)
        if ANYBODY in sure:
            return Objected(sure)
        return Objected(
            sure,
            _addresses(connection, opposition.c.subject, _alike(connection, key, exchange.people), exchange.scopes),
        )

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

    def object_to(self, unit: Unit, person: Person, wish: Wish, reference: str, actor: str) -> bool:
        """Record an opposition; False when all of it was recorded already. ``ValueError`` for a faulty number."""
        digests = _digests(self._key.for_writing(unit), person)
        c = opposition.c
        query = select(c.digest, c.scope, c.address, c.subject).where(c.digest.in_(list(digests)))
        held = [(bytes(r.digest), r.scope, r.address, bytes(r.subject)) for r in unit.connection.execute(query)]
        known = {row[:3] for row in held}
        subject = held[0][3] if held else next(iter(digests))
        rows = [
            {
                "digest": digest,
                "scope": scope,
                "address": address,
                "subject": subject,
                "kind": kind,
                "reference": reference[:64],
                "actor": actor,
                "since": int(unit.now),
            }
            for digest, kind in digests.items()
            for scope in wish.scopes
            for address in wish.addresses
            if (digest, scope, address) not in known
        ]
        if rows:
            unit.connection.execute(insert(opposition), rows)
        _keep_trace(unit, self._key.for_writing(unit), person, subject)
        new = [scope for scope in wish.scopes if any(row["scope"] == scope for row in rows)]
        _record(unit, "opposition recorded", subject, Wish(new, wish.addresses), actor)
        return bool(rows)

    def withdraw(self, unit: Unit, person: Person, wish: Wish, actor: str) -> bool:
        """Take an opposition back, under all that the person is known by; False when there was none."""
        subjects = self._subjects(unit, person)
        c = opposition.c
        meant = (c.subject.in_(subjects), c.scope.in_(list(wish.scopes)), c.address.in_(list(wish.addresses)))
        held = set(unit.connection.execute(select(c.scope).where(*meant)).scalars())
        if held:
            unit.connection.execute(delete(opposition).where(*meant))
            _drop_traces(unit, subjects)
            gone = wish._replace(scopes=[scope for scope in wish.scopes if scope in held])
            _record(unit, "opposition withdrawn", subjects[0], gone, actor)
        return bool(held)

    def forbidden(self, unit: Unit, person: Person) -> tuple[str, ...]:
        """The mailboxes this person forbids by name."""
        c = opposition.c
        query = select(c.address).where(c.subject.in_(self._subjects(unit, person)), c.address != ANYBODY)
        return tuple(sorted(set(unit.connection.execute(query).scalars())))

    def _subjects(self, unit: Unit, person: Person) -> list[bytes]:
        digests = _digests(self._key.for_writing(unit), person)
        query = select(opposition.c.subject).where(opposition.c.digest.in_(list(digests))).distinct()
        return [bytes(one) for one in unit.connection.execute(query).scalars()]

    def listed(self, connection: Connection) -> list[Objection]:
        """Every line, oldest first; what one person is known by stands together."""
        found: dict[tuple[bytes, str, str], Objection] = {}
        c = opposition.c
        for r in connection.execute(select(opposition).order_by(c.since, c.subject, c.scope, c.address)):
            place = bytes(r.subject), r.scope, r.address
            line = Objection(_mark(place[0]), (r.kind,), r.scope, r.address, r.reference, r.actor, r.since)
            before = found.setdefault(place, line)
            found[place] = before._replace(known_by=tuple(sorted({*before.known_by, r.kind})))
        return list(found.values())


def old_conversations(connection: Connection, before: float) -> list[bytes]:
    """Some of the exchanges whose message of ours is older. Read beside the writers, who shall not wait for the look."""
    query = select(conversation.c.digest).where(conversation.c.at < int(before)).limit(CHUNK)
    return [bytes(digest) for digest in connection.execute(query).scalars()]


def forget_conversations(unit: Unit, digests: Sequence[bytes]) -> None:
    """Nobody may answer in these exchanges any more, and nothing of them is kept."""
    for table in (answer, conversation):
        unit.connection.execute(delete(table).where(table.c.digest.in_(digests)))


def _addresses(
    connection: Connection, column: Column[bytes], digests: Sequence[bytes], scopes: frozenset[str]
) -> frozenset[str]:
    """What the entries with one of these ``digests`` object to."""
    found: set[str] = set()
    for start in range(0, len(digests), _AT_ONCE):
        query = select(opposition.c.address).where(
            column.in_(digests[start : start + _AT_ONCE]), opposition.c.scope.in_(scopes)
        )
        found.update(connection.execute(query).scalars())
    return frozenset(found)


# those who look alike


def _keys(key: bytes, traits: Traits) -> list[bytes]:
    digest = digester(key, MARK)
    return sorted(digest("alike", text) for text in likely(traits))


def _alike(connection: Connection, key: bytes, people: Sequence[Patient]) -> list[bytes]:
    """The subjects that one of ``people`` is, as far as can be told, or nearly is: one trait spelt otherwise or told in part."""
    found: set[bytes] = set()
    t = opposition_trace.c
    for person in people[:_MOST]:
        held = select(opposition_key.c.mark).where(opposition_key.c.key.in_(_keys(key, person.traits)))
        rows = connection.execute(select(t.subject, t.trace).where(t.mark.in_(held)).limit(_MOST_ALIKE)).all()
        if rows:
            own = trace(person, key)
            found |= {bytes(row.subject) for row in rows if _nearly(compare_traces(own, unpack(bytes(row.trace))))}
    return sorted(found)


def _nearly(c: Comparison) -> bool:
    return c.verdict is not Verdict.DIFFERENT and Level.SILENT not in (c.surname, c.first, c.date)


def _keep_trace(unit: Unit, key: bytes, person: Person, subject: bytes) -> None:
    if person.known is None:
        return
    number = normal_number(person.number) if person.number else ""
    numbers = (InsId(NIR_OID, number + key_of(number)),) if number else ()
    packed = pack(trace(Patient(Source.CDA, Place(), person.known, numbers), key))
    row = {"mark": mark(packed, key), "subject": subject, "trace": packed}
    t = opposition_trace.c
    if unit.connection.execute(select(t.mark).where(t.mark == row["mark"])).first() is None:
        unit.connection.execute(insert(opposition_trace), row)
        keys = [{"key": one, "mark": row["mark"]} for one in _keys(key, person.known)]
        unit.connection.execute(insert(opposition_key), keys)


def _drop_traces(unit: Unit, subjects: Sequence[bytes]) -> None:
    """Of those who object to nothing any more."""
    query = select(opposition.c.subject).where(opposition.c.subject.in_(subjects)).distinct()
    left = set(map(bytes, unit.connection.execute(query).scalars()))
    gone = [one for one in subjects if one not in left]
    marks = select(opposition_trace.c.mark).where(opposition_trace.c.subject.in_(gone))
    unit.connection.execute(delete(opposition_key).where(opposition_key.c.mark.in_(marks)))
    unit.connection.execute(delete(opposition_trace).where(opposition_trace.c.subject.in_(gone)))


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


def _record(unit: Unit, what: str, digest: bytes, wish: Wish, actor: str) -> None:
    words = (_mark(digest), *wish.scopes, *filter(None, wish.addresses))
    detail: dict[str, Any] = {"what": what, "target": " ".join(words)}
    unit.emit(Event(Kind.RULE, actor=actor, detail=detail))


def _digests(key: bytes, person: Person) -> dict[bytes, str]:
    """What a person is known by, the number first. ``ValueError`` when there is nothing, or for a faulty number."""
    found = {_number_digest(key, normal_number(person.number)): "number"} if person.number else {}
    found |= {_traits_digest(key, one): "traits" for one in person.traits}
    if not found:
        raise ValueError("nobody")
    return found


def _mark(digest: bytes) -> str:
    return digest[:6].hex()


def _normal_or_none(number: str) -> str:
    try:
        return normal_number(number)
    except ValueError:
        return ""


def _number_digest(key: bytes, number: str) -> bytes:
    return hmac.digest(key, b"number " + number.encode("ascii"), hashlib.sha256)


def _traits_digest(key: bytes, traits: str) -> bytes:
    return hmac.digest(key, b"traits " + traits.encode("utf-8", "replace"), hashlib.sha256)


def _conversation_digest(key: bytes, patient: str, message: str) -> bytes:
    text = f"conversation {patient.upper()} {message.strip('<>')}"
    return hmac.digest(key, text.encode("utf-8", "replace"), hashlib.sha256)
