"""Implements :class:`gateway.intake_ports.MedicalReader`: read apart, judge by policy, give back decisions, headers and what to store.

Order: a quick look (most mail ends there), the patient's own conversation, the names inside archives, the reading process, what the
mailbox remembers, the opposition register, the policy. Warnings become one notice in the sender's INBOX, in the same transaction as his message.
Promise: no exception for a bad message; a reading process that dies is a deferral, the third time a refusal (F09); nothing that
names a patient is in a decision. Failure: :class:`mailboxes.store.StoreError` when the register cannot be read, which the door
answers with 451.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Literal, Protocol

import structlog

from gateway.facts import is_notice
from gateway.intake_ports import NO_DOCUMENTS, Documents, Mailboxes, Medical
from gateway.medical import notice
from gateway.medical.memory import NO_MEMORY, OPERATOR, Memory
from gateway.medical.parts import archived_names, leaves, worth_reading
from gateway.medical.pool import Reader, ReaderDied
from gateway.medical.question import PartBytes, Question, ReaderOptions, Reading
from gateway.medical.registers import ANYBODY, NO_REGISTERS, Exchange, Objected, Registers
from gateway.medical.telling import completed, due_fields, remarks_of, remembered
from gateway.relay import receipts
from gateway.relay.notices import House
from gateway.smtp.transaction import Transaction
from hprim.ins import is_matricule
from mailboxes.anatomy import Anatomy, dissect, pack
from mailboxes.commit import Unit
from mailboxes.seal import Sealer
from mailboxes.store import Delivery, Placed, Sealed, StoreError
from policies import patient
from policies.content import judge_archived
from policies.decision import Decision
from policies.events import Event, Kind
from policies.patient import Finding, PatientFacts, PatientSettings, Said
from policies.values import Address, Door

OFF_LOOP = 256 * 1024
PATIENT_DOMAIN = "patient.mssante.fr"
LARGE_AT_ONCE = 4
_POISONED = 1000
_MOST_CONCERNED = 50
_NIL = Finding(
    "MSS-096",
    "N",
    Said("en-tête X-MSS-NIL", "header X-MSS-NIL"),
    Said("En-tête X-MSS-NIL absent", "Header X-MSS-NIL is missing"),
)

log = structlog.get_logger("medical")


class Placing(Protocol):
    """The part of the store a notice needs."""

    def put_body(self, unit: Unit, sealed: Sequence[Sealed]) -> None: ...
    def deliver(self, unit: Unit, deliveries: Sequence[Delivery]) -> list[Placed | StoreError]: ...
    def release_body(self, unit: Unit, body_id: int, count: int = 1) -> None: ...


@dataclass(frozen=True, slots=True)
class MedicalSettings:
    """Values of the configuration; replaced as a whole at reload."""

    house: House
    policy: PatientSettings = patient.DEFAULT
    options: ReaderOptions = field(default_factory=ReaderOptions)
    notices: bool = True
    history: Literal["mailbox", "operator", "none"] = "mailbox"


class DocumentReader:
    """``token`` gives 128 random bits in printable characters."""

    def __init__(
        self,
        *,
        settings: MedicalSettings,
        readers: Reader,
        mailboxes: Mailboxes,
        sealer: Sealer,
        store: Placing,
        clock: Callable[[], float],
        token: Callable[[], str],
        pool: Executor,
        registers: Registers = NO_REGISTERS,
        memory: Memory = NO_MEMORY,
    ) -> None:
        self.settings = settings
        self._readers = readers
        self._mailboxes = mailboxes
        self._sealer = sealer
        self._store = store
        self._clock = clock
        self._token = token
        self._pool = pool
        self.registers = registers
        self._memory = memory
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._poison: OrderedDict[bytes, int] = OrderedDict()
        self._without_number: dict[str, tuple[PatientSettings, Medical]] = {}

    async def read(self, transaction: Transaction, anatomy: Anatomy, raw: bytes) -> Medical:
        """Implements :meth:`gateway.intake_ports.MedicalReader.read`."""
        peer = transaction.peer
        if peer.door is Door.INTERNAL:
            return Medical()
        sender = transaction.sender
        if sender is None and _is_report(anatomy):
            return Medical()  # what comes back was judged when it left, and nobody could be told of a refusal
        if sender is not None and peer.door is Door.INBOUND and sender.domain in self._patients:
            refused = await self._answer(transaction, anatomy, raw)
            if refused is not None:
                return Medical((refused,))
        recipients = tuple(recipient.address for recipient in transaction.recipients)
        kind = await self._sender_type(transaction)
        asked = patient.header_required(recipients, kind, self.settings.policy) and not _is_report(anatomy)
        to_patients = patient.to_patients(recipients, self.settings.policy)
        if not (asked or to_patients or worth_reading(anatomy, raw)):
            return self._unread(transaction, anatomy, kind)
        return await self._read(transaction, anatomy, raw, recipients, to_patients, kind, asked=asked)

    async def close(self) -> None:
        await self._readers.close()

    @property
    def _patients(self) -> frozenset[str]:
        return self.settings.policy.patient_domains

    async def _sender_type(self, transaction: Transaction) -> str:
        """Asked only when the configuration distinguishes types."""
        policy, login = self.settings.policy, transaction.peer.login
        if login is None or not (policy.types or policy.header_types):
            return ""
        found = await self._mailboxes.find(login.address.key)
        return found.type.value if found else ""

    def _unread(self, transaction: Transaction, anatomy: Anatomy, kind: str) -> Medical:
        """Nothing medical: only the number of the sending program is looked for (MSS-096)."""
        if transaction.peer.door is not Door.SUBMISSION or b"x-mss-nil" in anatomy.values:
            return Medical()
        policy = self.settings.policy
        if policy.domains or policy.partners:
            return Medical(patient.judge(self._facts(transaction, (), kind, (_NIL,)), policy))
        kept = self._without_number.get(kind)
        if kept is None or kept[0] is not policy:
            kept = policy, Medical(patient.judge(self._facts(transaction, (), kind, (_NIL,)), policy))
            self._without_number[kind] = kept
        return kept[1]

    def _facts(
        self, transaction: Transaction, recipients: tuple[Address, ...], kind: str, findings: tuple[Finding, ...]
    ) -> PatientFacts:
        return PatientFacts(
            door=transaction.peer.door,
            findings=findings,
            recipients=recipients or tuple(recipient.address for recipient in transaction.recipients),
            sender_domain=transaction.sender.domain if transaction.sender else "",
            sender_type=kind,
        )

    # reading

    async def _read(
        self,
        transaction: Transaction,
        anatomy: Anatomy,
        raw: bytes,
        recipients: tuple[Address, ...],
        to_patients: tuple[Address, ...],
        kind: str,
        *,
        asked: bool,
    ) -> Medical:
        try:
            async with self._large if len(raw) > OFF_LOOP else nullcontext():  # few decoded copies at a time
                question = await self._question(anatomy, raw, recipients, asked=asked)
                packed = judge_archived(archived_names(question.parts))
                if not packed.accepted:
                    return Medical((packed,))
                reading = await self._readers.read(question)
        except ReaderDied as death:
            return Medical((self._poisoned(raw, anatomy, str(death)),))
        reading = completed(reading, anatomy)
        concerned, issuer = await self._concerned(transaction, reading), _issuer(transaction)
        own = concerned[:1] if transaction.peer.door is Door.SUBMISSION else concerned
        reading = remembered(reading, await self._memory.consult(own, reading.met, issuer))
        objected, alike = await self._objected(transaction, reading, to_patients)
        named, between = objected - {ANYBODY}, frozenset[str]()
        if named or alike - {ANYBODY}:
            between = await self._between(transaction, anatomy)
        facts = replace(
            self._facts(transaction, recipients, kind, self._findings(reading, transaction)),
            has_header=reading.has_header,
            has_cda=reading.has_cda,
            attachments=reading.attachments,
            body_length=reading.body_length,
            sealed=reading.sealed,
            qualified=reading.qualified,
            opposed=ANYBODY in objected,
            forbidden=tuple(sorted(named & between)),
            alike=ANYBODY in alike or not alike.isdisjoint(between),
            closing=anatomy.mss.get("MES", ""),
            header_asked=asked,
        )
        decisions = patient.judge(facts, self.settings.policy)
        medical = await self._medical(transaction, anatomy, reading, decisions, to_patients)
        medical = replace(medical, forbidden=named, documents=_documents(reading))
        if concerned and all(decision.accepted for decision in decisions):
            medical = replace(medical, also=(*medical.also, self._memory.remember(concerned, reading.met, issuer)))
        return medical

    async def _concerned(self, transaction: Transaction, reading: Reading) -> tuple[int, ...]:
        """The mailboxes of ours whose history this is: the sender's first, then the recipients'."""
        history = self.settings.history
        if history == "none" or not reading.met.people:
            return ()
        if history == "operator":
            return (OPERATOR,)
        login = transaction.peer.login
        found = [login.mailbox_id] if login is not None else []
        for recipient in transaction.recipients[:_MOST_CONCERNED]:
            box = await self._mailboxes.find(recipient.address.key)
            if box is not None:
                found.append(box.id)
        return tuple(dict.fromkeys(found))

    async def _question(
        self, anatomy: Anatomy, raw: bytes, recipients: tuple[Address, ...], *, asked: bool
    ) -> Question:
        def work() -> tuple[PartBytes, ...]:
            return tuple(leaves(anatomy, raw))

        if len(raw) > OFF_LOOP:
            parts = await asyncio.get_running_loop().run_in_executor(self._pool, work)
        else:
            parts = work()
        return Question(
            parts=parts,
            subject=anatomy.subject,
            recipients=tuple(self._reader_address(address) for address in recipients),
            headers={f"X-MSS-{name}": value for name, value in anatomy.mss.items()},
            options=replace(self.settings.options, header_required=asked),
            today=self._today(),
        )

    def _reader_address(self, address: Address) -> str:
        """A test service has patients' domains of its own; the reader knows the one of the field."""
        return f"{address.local}@{PATIENT_DOMAIN}" if address.domain in self._patients else str(address)

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock(), UTC).date()

    def _findings(self, reading: Reading, transaction: Transaction) -> tuple[Finding, ...]:
        """Partners give the number of the sending program to their own operator, not to us."""
        if transaction.peer.door is Door.SUBMISSION:
            return reading.findings
        return tuple(found for found in reading.findings if found.name != "MSS-096")

    def _poisoned(self, raw: bytes, anatomy: Anatomy, why: str) -> Decision:
        """Count the deaths of readers on one and the same content."""
        digest = hashlib.sha256(memoryview(raw)[anatomy.header_end :]).digest()
        count = self._poison[digest] = self._poison.pop(digest, 0) + 1
        while len(self._poison) > _POISONED:
            self._poison.popitem(last=False)
        decision = patient.judge_poison(count)
        log.error("medical_reader_died", cause=why, times=count, outcome=decision.rule.name)
        return decision

    async def _objected(self, transaction: Transaction, reading: Reading, to_patients: tuple[Address, ...]) -> Objected:
        """TOU-A10, TOU-F08: the mailboxes that a patient of the message, or one written to, objected to."""
        numbers = {number for _, number in reading.ins} or set(reading.numbers)
        scopes = {"patient"} if to_patients else set()
        if len(transaction.recipients) > len(to_patients):
            scopes.add("professionals")
        numbers |= {address.local for address in to_patients}
        people = tuple(person.patient for person in reading.met.people)
        if not numbers and not reading.traits and not people:
            return Objected()
        asked = Exchange(frozenset(numbers), frozenset(reading.traits), frozenset(scopes), people)
        return await self.registers.opposed(asked)

    async def _between(self, transaction: Transaction, anatomy: Anatomy) -> frozenset[str]:
        """Who writes and who is written to: as named, and the mailboxes of ours behind aliases."""
        login, sender = transaction.peer.login, transaction.sender
        authors = [*anatomy.listed(b"from").addresses, *anatomy.listed(b"sender").addresses]
        named = [one.key for one in (login and login.address, sender, *authors) if one]
        for recipient in transaction.recipients:
            named.append(recipient.address.key)
            box = await self._mailboxes.find(recipient.address.key)
            if box is not None:
                named.append(box.address.key)
        return frozenset(named)

    # patients' answers

    async def _answer(self, transaction: Transaction, anatomy: Anatomy, raw: bytes) -> Decision | None:
        """MSS-101, MSS-102. A receipt or a bounce is no answer: a closed exchange is not closed to it (MSS-104)."""
        sender = transaction.sender
        assert sender is not None
        if is_notice(anatomy) and not is_matricule(sender.local.upper()):
            return None  # the patients' own service speaks
        about = tuple(dict.fromkeys((*anatomy.in_reply_to, *reversed(anatomy.references), *_reported(anatomy, raw))))
        known, closed = await self.registers.conversation(sender.local, about)
        decision = patient.judge_answer(known=known, closed=closed and not _is_report(anatomy))
        return None if decision.accepted else decision

    # what goes with the message

    async def _medical(
        self,
        transaction: Transaction,
        anatomy: Anatomy,
        reading: Reading,
        decisions: tuple[Decision, ...],
        to_patients: tuple[Address, ...],
    ) -> Medical:
        if any(not decision.accepted for decision in decisions):
            return Medical(decisions)
        also: list[Callable[[Unit], None]] = []
        if to_patients and transaction.peer.door is Door.SUBMISSION and anatomy.message_id:
            closing = patient.is_closing(anatomy.mss.get("MES", ""), anatomy.subject)
            locals_ = tuple(address.local for address in to_patients)
            answers = tuple(address.key for address in anatomy.listed(b"reply-to").addresses)
            author = transaction.sender.key if transaction.sender is not None else ""
            also.append(
                self.registers.remember(
                    locals_, anatomy.message_id, anatomy.references, closing=closing, author=author, answers=answers
                )
            )
        warned = patient.warnings(decisions)
        if warned and self.settings.notices and transaction.peer.login is not None:
            also.append(await self._notice(transaction, anatomy, reading, warned))
        return Medical(decisions, due_fields(reading, anatomy), tuple(also))

    async def _notice(
        self, transaction: Transaction, anatomy: Anatomy, reading: Reading, warned: tuple[Decision, ...]
    ) -> Callable[[Unit], None]:
        login = transaction.peer.login
        assert login is not None
        about, to = anatomy.message_id, str(login.address)
        content = notice.build(
            remarks_of(warned, reading), self.settings.house, to, about, self._clock(), self._token()
        )
        sealed = await self._sealer.seal(content, pack(dissect(content)))
        delivery = Delivery(sealed, login.mailbox_id, int(self._clock()))
        store = self._store

        def place(unit: Unit) -> None:
            store.put_body(unit, [sealed])
            (outcome,) = store.deliver(unit, [delivery])
            if isinstance(outcome, StoreError):  # full or gone: the message matters, the notice does not
                store.release_body(unit, sealed.body_id, 0)
                return
            detail = {"notice": "remarks", "about": about, "status": "delivered"}
            unit.emit(Event(Kind.NOTICE, mailbox=login.mailbox_id, detail=detail))

        return place


def _reported(anatomy: Anatomy, raw: bytes) -> tuple[str, ...]:
    """The messages that the receipts in this one are about."""
    if not _is_report(anatomy):
        return ()
    return tuple(one.message_id for one in receipts.read(anatomy, raw) if one.message_id)


def _is_report(anatomy: Anatomy) -> bool:
    return anatomy.parts[0].full_type == "multipart/report"


_CODE = re.compile(r"[A-Za-z0-9]{1,12}(?:-[A-Za-z0-9]{1,12}){0,3}")
_MOST_CODES = 20


def _documents(reading: Reading) -> Documents:
    """For the journal: codes of the form codes have, so that nothing else a document says enters it (MSS-146)."""
    if not reading.codes:
        return NO_DOCUMENTS
    codes = [code if _CODE.fullmatch(code) else "?" for code in reading.codes[:_MOST_CODES]]
    return Documents(tuple(dict.fromkeys(codes)), "O" if reading.qualified else "N")


def _issuer(transaction: Transaction) -> str:
    """Whose record and file numbers these are, where the document does not say."""
    return transaction.sender.domain if transaction.sender else ""
