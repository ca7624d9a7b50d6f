"""The one way in: what a door brings is judged, made durable, and only then accepted.

Order of judgement: session, sender, each recipient; then, with the content in hand: build and size, authors, where the
headers point, the scanner, medical content, and each recipient once more with the true size. The gravest decision is the
answer for the whole message, because a sender who hears 250 must not find out later that one recipient was left out.
Promise: 250 follows the durable commit; a refusal stores nothing of the message and is journalled with every decision
that was made. Failure: a store that does not answer is a deferral (``store.unavailable``, ``store.full``); a scanner that
does not answer is one too. No method raises for a bad message.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, partial
from typing import TypeVar

import structlog

from gateway import facts, received
from gateway.acceptance import Acceptance, Acceptor
from gateway.arrival import Arrival, Consequences, Followers, nothing
from gateway.identifiers import message_identifier, thread_named
from gateway.intake_events import Judged, indicated, message_accepted, message_refused, peer_refused
from gateway.intake_ports import Mailboxes, Medical, MedicalReader, NoMedicalReader, NoSanctions, Sanctions, Senders
from gateway.partner_judgement import PartnerJudgement
from gateway.relay.queue import Queued
from gateway.scan import Scanner, ScanUnavailable
from gateway.smtp.transaction import Answer, Content, Recipient, Transaction
from gateway.volumes import Counted, MemoryLedger, Volumes, likeness
from mailboxes.anatomy import Anatomy, Limits, dissect, pack
from mailboxes.commit import Committer, Unit
from mailboxes.seal import Sealer
from mailboxes.seldom import Seldom
from mailboxes.store import Delivery, OverQuota, Sealed, StoreError, StoreFull, StoreUnavailable
from policies import certificate as certificates
from policies import content as content_policy
from policies import recipient as recipient_policy
from policies import redirection, sender, unsolicited
from policies.catalogue import rule
from policies.content import ContentSettings
from policies.decision import Decision, decide, gravest
from policies.events import Event
from policies.recipient import RecipientSettings
from policies.trust import TrustList, TrustSettings
from policies.unsolicited import Volume, VolumeSettings
from policies.values import Address, Door, MailboxFacts, Peer

OFF_LOOP = 128 * 1024
"""Octets above which the walk over a message may hold up the event loop for more than a few milliseconds."""
HEADER_COST = 16
"""What an octet of header is worth in octets of body once names are decoded and addresses read: a part may bear a name of
hundreds of encoded words, and a message a thousand parts."""

log = structlog.get_logger("intake")
_ACCEPTED = "session.message_accepted"


@dataclass(frozen=True, slots=True)
class IntakeSettings:
    """The values every judgement needs; replaced as a whole at reload."""

    hostname: str
    trust: TrustSettings
    recipient: RecipientSettings = recipient_policy.DEFAULT
    content: ContentSettings = content_policy.DEFAULT
    volume: VolumeSettings = unsolicited.DEFAULT
    limits: Limits = field(default_factory=Limits)


@dataclass(slots=True)
class _Held:
    """A message being judged: ``identifier`` is ours, ``now`` when it came (epoch seconds), ``raw`` all of it behind our trace,
    ``judged`` what was decided so far."""

    transaction: Transaction
    identifier: str
    now: float
    anatomy: Anatomy
    raw: bytes
    judged: Judged

    @property
    def accepted(self) -> bool:
        return all(decision.accepted for _, _, decision in self.judged)


T = TypeVar("T")
Also = tuple[Callable[[Unit], None], ...]


class Intake:
    """Implements :class:`gateway.smtp.transaction.Intake`."""

    def __init__(
        self,
        *,
        settings: IntakeSettings,
        trusted: Callable[[], TrustList | None],
        mailboxes: Mailboxes,
        scanner: Scanner,
        sealer: Sealer,
        committer: Committer,
        acceptor: Acceptor,
        clock: Callable[[], float],
        pool: Executor,
        medical: MedicalReader | None = None,
        followers: Followers = nothing,
        room: Callable[[], Decision | None] = lambda: None,
        volumes: Volumes | None = None,
        sanctions: Sanctions | None = None,
    ) -> None:
        self.settings = settings
        self._trusted = trusted
        self._partners = PartnerJudgement(trusted, lambda: self.settings.trust, clock)
        self._mailboxes = mailboxes
        self._scanner = scanner
        self._sealer = sealer
        self._committer = committer
        self._seldom = Seldom()
        self._acceptor = acceptor
        self._clock = clock
        self._pool = pool
        self._medical = medical or NoMedicalReader()
        self._followers = followers
        self._room = room
        self._volumes = volumes or Volumes(MemoryLedger(), clock, time.monotonic)
        self._sanctions = sanctions or NoSanctions()

    # the doors' questions, in the order of the protocol

    async def session(self, peer: Peer) -> Decision:
        """A partner's certificate, or a login: may this peer speak?"""
        decision = self._partners.peer(peer.certificate) if peer.door is Door.INBOUND else self._judge_login(peer)
        if not decision.accepted:
            decision = self._referred(decision)
            await self._record(peer_refused(peer, decision))
        return decision

    def _judge_login(self, peer: Peer) -> Decision:
        """A login rests on its own proof; one by certificate on that certificate, as it is known now (MSS-073)."""
        if peer.login is None or peer.login.means != "certificate":
            return decide(rule("session.accepted"))
        settings = self.settings.trust.certificate
        decision = certificates.judge(peer.certificate, certificates.Role.LOGIN, self._now(), settings)
        return decide(rule("session.accepted")) if decision.accepted else decision

    def follow(self, settings: IntakeSettings) -> None:
        """Judge by other settings from the next question on."""
        self.settings = settings
        self._volumes.reopen()

    async def sender(self, peer: Peer, sender: Address | None, size: int) -> Decision:
        """MAIL FROM."""
        decision = self._room() or content_policy.judge_size(size, self.settings.content)
        if decision.accepted and peer.login is not None and self._volumes.is_shut(peer.login.address.key):
            decision = decide(rule(unsolicited.RATE))
        if decision.accepted:
            decision = await self._judge_sender(peer, sender)
        if not decision.accepted:
            return await self.turned_away(peer, sender, (), "mail", decision)
        return decision

    async def _judge_sender(self, peer: Peer, address: Address | None) -> Decision:
        if peer.door is Door.INBOUND:
            return self._partners.inbound(peer.certificate, address.domain if address else None)
        if peer.login is None:
            return decide(rule("session.auth_required"))
        mailbox = await self._mailboxes.find(peer.login.address.key)
        return sender.judge_mail_from(peer.login, address, mailbox)

    async def recipient(self, peer: Peer, sender: Address | None, recipient: Address) -> Decision:
        """RCPT TO."""
        decision = await self._judge_recipient(peer.door, recipient, 0)
        if decision.accepted:
            decision = await self._judge_standing(peer, sender, lambda: _keys(sender), recipient) or decision
        if not decision.accepted:
            return await self.turned_away(peer, sender, (recipient,), "rcpt", decision)
        return decision

    async def turned_away(
        self, peer: Peer, sender: Address | None, recipients: Sequence[Address], stage: str, decision: Decision
    ) -> Decision:
        """A refusal before there was a message, or because of its form: journalled under a reference of its own."""
        decision = self._referred(decision)
        about = recipients[0].key if stage == "rcpt" else ""
        await self._record(message_refused(peer, sender, recipients, [(stage, about, decision)], decision.reference))
        return decision

    def _referred(self, decision: Decision) -> Decision:
        return replace(decision, reference=message_identifier(self._clock()))

    async def _judge_recipient(self, door: Door, recipient: Address, size: int) -> Decision:
        mailbox = None
        if recipient.domain in self.settings.trust.own_domains:
            mailbox = await self._mailboxes.find(recipient.key)
        return recipient_policy.judge(
            door, recipient, mailbox, size, self._trusted(), self._now(), self.settings.trust, self.settings.recipient
        )

    async def _judge_standing(
        self, peer: Peer, sender: Address | None, senders: Senders, recipient: Address
    ) -> Decision | None:
        """Whether sending is suspended (TOU-B08, TOU-F03). Notices and receipts go on: they belong to receiving and reading."""
        if peer.door is Door.INTERNAL or sender is None:
            return None
        return await self._sanctions.judge(peer.login, senders, recipient)

    # the message itself

    async def message(self, transaction: Transaction, content: Content) -> Answer:
        """Judge, seal, commit, answer."""
        now = self._clock()
        identifier = message_identifier(now)
        # Judged and stored as one piece with our trace in front: a large message is copied once, here.
        trace = self._trace(transaction, identifier, now)
        raw = joined(trace, content)
        anatomy = await self._walked(raw)
        if transaction.peer.door is Door.SUBMISSION:
            missing = [name for name in (b"date", b"message-id") if not anatomy.count(name)]
            if missing:  # rare: walked again, rather than looked for before in every message
                head = received.completing(missing, self.settings.hostname, identifier, now)
                raw = _behind_trace(raw, head, len(trace))
                anatomy = await self._walked(raw)
        headers = sum([part.body_start - part.header_start for part in anatomy.parts])
        weight = len(raw) + HEADER_COST * headers
        judged = await self._off_loop(weight, partial(self._judge_content, transaction, anatomy, raw))
        held = _Held(transaction, identifier, now, anatomy, raw, judged)
        counted = await self._judge_volume(held)
        accepted = False
        try:
            answer = await self._judge_further(held, counted.also)
            accepted = answer.decision.accepted
        finally:
            counted.end(accepted)
        await self._suspect(held, counted)
        return answer

    async def _suspect(self, held: _Held, counted: Counted) -> None:
        """What passed a refusing threshold is a case, for a person to judge (TOU-B03)."""
        login = held.transaction.peer.login
        refused = {decision.rule.name for stage, _, decision in held.judged if stage == "volume"}
        if login is not None and refused & _SUSPECT.keys():
            reached = max(_SUSPECT[name](counted.before) for name in refused & _SUSPECT.keys())
            await self._sanctions.suspect(login, reached)

    async def _judge_further(self, held: _Held, also: Also) -> Answer:
        """What costs more: the scanner, the documents, each recipient again; then the commit, with what is ``also`` in it."""
        medical, judged = Medical(), held.judged
        if held.accepted:
            judged.extend(await self._scan(held.raw))
        if held.accepted:
            medical = await self._medical.read(held.transaction, held.anatomy, held.raw)
            judged.extend(("medical", "", decision) for decision in medical.decisions)
        judged.extend(await self._recipients_again(held.transaction, held.anatomy))
        worst = gravest([decision for _, _, decision in judged])
        if not worst.accepted:
            return await self._refuse(held, worst)
        medical = replace(medical, also=(*medical.also, *also)) if also else medical
        return await self._accept(held, medical)

    async def _judge_volume(self, held: _Held) -> Counted:
        """Count what our own users send (TOU-A06)."""
        transaction, judged = held.transaction, held.judged
        login, settings = transaction.peer.login, self.settings.volume
        if transaction.peer.door is not Door.SUBMISSION or login is None or not settings.counts:
            return _UNCOUNTED
        addresses = [recipient.address for recipient in transaction.recipients]
        try:
            alike = await self._off_loop(len(held.raw), partial(likeness, held.anatomy.parts, held.raw))
            counted = await self._volumes.count(login.address.key, alike, addresses)
        except StoreError as problem:
            judged.append(("volume", "", _store_decision(problem)))
            return _UNCOUNTED
        decision = unsolicited.judge(Door.SUBMISSION, transaction.sender, counted.recipients, counted.before, settings)
        if not decision.accepted:
            judged.append(("volume", "", decision))
            if decision.rule.name == unsolicited.RATE:
                self._volumes.shut(login.address.key)
        return counted

    async def _walked(self, raw: bytes) -> Anatomy:
        walk = partial(dissect, raw, self.settings.limits, line_ends_checked=True)
        return await self._off_loop(len(raw), walk)

    async def _off_loop(self, size: int, work: Callable[[], T]) -> T:
        if size <= OFF_LOOP:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _judge_content(self, transaction: Transaction, anatomy: Anatomy, raw: bytes) -> Judged:
        """Everything that needs no more than the one walk."""
        settings = self.settings
        held = facts.content(anatomy, settings.hostname, own=1)
        judged: Judged = [("content", "", content_policy.judge(held, settings.content))]
        if transaction.peer.door is Door.INTERNAL:
            return judged
        judged.append(("author", "", self._judge_authors(transaction, anatomy)))
        pointing = facts.pointers(anatomy, raw)
        if pointing.fields or pointing.organisers or pointing.unreadable:
            decision = redirection.judge_pointers(pointing, self._trusted(), self._now(), settings.trust)
            judged.append(("pointers", "", decision))
        hidden = facts.hidden(anatomy) if transaction.peer.login is not None else ()
        if hidden != ():
            addresses = [recipient.address for recipient in transaction.recipients]
            judged.append(("author", "", sender.judge_hidden(hidden, addresses)))
        return judged

    def _judge_authors(self, transaction: Transaction, anatomy: Anatomy) -> Decision:
        who = facts.originators(anatomy)
        peer = transaction.peer
        notice = facts.is_notice(anatomy)
        if peer.login is not None:
            count = len(transaction.recipients)
            return sender.judge_submission(peer.login, transaction.sender, who, notice=notice, recipients=count)
        if peer.certificate is None:
            return decide(rule("session.client_certificate_missing"))
        trust, settings = self._trusted(), self.settings.trust
        return sender.judge_inbound_authors(
            transaction.sender, who, peer.certificate, trust, self._now(), settings, notice=notice
        )

    async def _scan(self, raw: bytes) -> Judged:
        try:
            finding = await self._scanner.scan(raw)
        except ScanUnavailable as problem:
            log.warning("scan_unavailable", reason=str(problem))
            return [("scan", "", decide(rule("scan.unavailable"), str(problem)))]
        if finding.threat:
            return [("scan", "", decide(rule("content.infected"), finding.threat))]
        return []

    async def _recipients_again(self, transaction: Transaction, anatomy: Anatomy) -> Judged:
        """Between RCPT and the final dot a mailbox may have filled, closed, or left the space with its domain."""
        peer, sender = transaction.peer, transaction.sender
        senders = cache(lambda: _keys(sender, *facts.originators(anatomy).authors))
        judged: Judged = []
        for recipient in transaction.recipients:
            decision = await self._judge_recipient(peer.door, recipient.address, anatomy.size)
            if decision.accepted:
                decision = await self._judge_standing(peer, sender, senders, recipient.address) or decision
            if not decision.accepted:
                decision = redirection.explain_forward(decision, recipient.address, facts.forwarding(anatomy))
            judged.append(("rcpt", recipient.address.key, decision))
        return judged

    async def _refuse(self, held: _Held, worst: Decision) -> Answer:
        transaction, identifier = held.transaction, held.identifier
        addresses = tuple(recipient.address for recipient in transaction.recipients)
        event = message_refused(transaction.peer, transaction.sender, addresses, held.judged, identifier)
        await self._record(event)
        return Answer(replace(worst, reference=identifier), identifier)

    async def _accept(self, held: _Held, medical: Medical) -> Answer:
        transaction, identifier, anatomy, raw = held.transaction, held.identifier, held.anatomy, held.raw
        head = received.fields(medical.fields) if medical.fields else b""
        try:
            whole = _behind_trace(raw, head, len(self._trace(transaction, identifier, held.now))) if head else raw
            sealed = await self._sealer.seal(whole, pack(anatomy, whole))
        except (StoreError, OSError) as problem:  # before any commit, which would log it and could journal it
            reason = _reason(problem)
            if times := self._seldom.times(reason):
                log.error("body_not_stored", error=type(problem).__name__, reason=reason, times=times)
            return Answer(_store_decision(problem), identifier)
        entailed = Consequences()
        try:
            local = await self._local(transaction)
            arrival = Arrival(transaction, identifier, anatomy, raw, head, sealed, local, medical.forbidden)
            entailed = await self._followers(arrival)
            acceptance = self._acceptance(arrival, held, medical, entailed)
            await self._committer.grouped(self._acceptor.accept, acceptance)
        except (StoreError, OSError) as problem:
            # Of one that does not answer the commit may have happened: a blob too many, which the daily sweep removes, is
            # better than a message without its body.
            if not isinstance(problem, StoreUnavailable):
                for one in (sealed, *entailed.sealed):
                    await self._sealer.discard(one)
            return Answer(_store_decision(problem), identifier)
        return Answer(decide(rule(_ACCEPTED), identifier=identifier), identifier)

    def _trace(self, transaction: Transaction, identifier: str, now: float) -> bytes:
        stamp = received.received(transaction.peer, self.settings.hostname, identifier, now)
        return received.return_path(transaction.sender) + stamp

    async def _local(self, transaction: Transaction) -> dict[str, MailboxFacts]:
        """The recipients that are mailboxes of ours, by address key."""
        found = {}
        for recipient in transaction.recipients:
            address = recipient.address
            if address.domain in self.settings.trust.own_domains:
                mailbox = await self._mailboxes.find(address.key)
                if mailbox is not None:
                    found[address.key] = mailbox
        return found

    def _acceptance(self, arrival: Arrival, held: _Held, medical: Medical, entailed: Consequences) -> Acceptance:
        transaction, sealed, local = arrival.transaction, arrival.sealed, arrival.local
        kept = [(key, mailbox.id) for key, mailbox in local.items() if key not in entailed.withheld]
        thread, at, flags = thread_of(arrival.anatomy), int(held.now), entailed.flags
        deliveries = [
            (key, Delivery(sealed, number, at, flags=flags.get(key, ""), thread_id=thread))
            for key, number in (*kept, *entailed.extra)
        ]
        queued = [
            self._queued(transaction, arrival.message, sealed, recipient)
            for recipient in unique(transaction.recipients)
            if recipient.address.key not in local
        ]
        more = indicated(medical.documents, held.anatomy)
        event = message_accepted(transaction, arrival.message, sealed, held.judged, more)
        also = (*medical.also, *entailed.also)
        return Acceptance(arrival.message, sealed, tuple(deliveries), tuple(queued), event, also)

    def _queued(self, transaction: Transaction, identifier: str, sealed: Sealed, recipient: Recipient) -> Queued:
        return Queued(
            message=identifier,
            body_id=sealed.body_id,
            wrapped=self._sealer.wrap(sealed, 0),
            size=sealed.size,
            sender=str(transaction.sender) if transaction.sender else "",
            recipient=str(recipient.address),
            domain=recipient.address.domain,
            dsn=replace(recipient.dsn, ret=transaction.ret, envid=transaction.envid),
            eight_bit=transaction.eight_bit,
        )

    def _record(self, event: Event) -> Awaitable[None]:
        return self._committer.grouped(_emit, event)

    def _now(self) -> datetime:
        return self._partners.now()


def _nothing(accepted: bool) -> None:
    """No attempt was counted."""


_SUSPECT: dict[str, Callable[[Volume], int]] = {
    "sender.broadcast_refused": lambda before: before.same_content,
    "sender.volume_refused": lambda before: before.recipients_last_hour,
}
"""The rules that open a case, and how many recipients were reached before."""

_UNCOUNTED = Counted(Volume(), 0, (), _nothing)


def _keys(*addresses: Address | None) -> list[str]:
    return [address.key for address in addresses if address is not None]


def _emit(unit: Unit, events: list[Event]) -> list[None]:
    unit.emit(*events)
    return [None] * len(events)


def joined(head: bytes, content: Content) -> bytes:
    """``head`` and the content in one piece; a list of pieces is emptied as soon as it was copied."""
    if not isinstance(content, list):
        return head + content
    content.insert(0, head)
    whole = b"".join(content)
    content.clear()
    return whole


def _behind_trace(raw: bytes, added: bytes, trace: int) -> bytes:
    """``added`` between our trace and the message: Return-Path stays the first line, where final delivery looks for it."""
    return b"".join((raw[:trace], added, raw[trace:]))


def unique(recipients: Iterable[Recipient]) -> list[Recipient]:
    """Recipients without repetition: the same mailbox named twice gets one copy."""
    return list({recipient.address.key: recipient for recipient in recipients}.values())


def thread_of(anatomy: Anatomy) -> int:
    """RFC 8474 THREADID: the same for a message and its answers, from the first identifier of the conversation."""
    return thread_named((*anatomy.references[:1], *anatomy.in_reply_to[:1], anatomy.message_id)[0])


def _reason(problem: StoreError | OSError) -> str:
    """What went wrong, for the log: our own words, or the system's without the name of the file."""
    return str(problem) if isinstance(problem, StoreError) else os.strerror(problem.errno or 0)


def _store_decision(problem: Exception) -> Decision:
    if isinstance(problem, OverQuota):
        return decide(rule("store.unavailable"), "over quota at commit")
    name = "store.full" if isinstance(problem, StoreFull) else "store.unavailable"
    return decide(rule(name), type(problem).__name__)
