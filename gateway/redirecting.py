"""Executes the forwarding rules of our mailboxes, in the transaction that accepts the message (MSS-058, MSS-059, F78).

A forward is one more recipient. To a mailbox of ours it is one more delivery of the same sealed body, when that mailbox
would take it from anybody. To a partner it is a queue row of the same bytes behind a Resent block (RFC 5322 3.6.6), sent
in the owner's name, so that failures come back to the owner and a message that returns is known again.
Promise: each target is judged at each execution, and is none that the patient of the message forbade by name (TOU-F08);
what may not go on, or cannot, stays in the mailbox, whatever its rule says of keeping a copy; a forward that fails brings
the whole message back; a rule whose target left the space ends, and its owner is told once. Every chain ends: a mailbox is
visited once, a message its owner sent on already stays. Failure: :class:`mailboxes.store.StoreError` as at acceptance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from gateway import received
from gateway.arrival import NOTHING, Arrival, Consequences, Work
from gateway.record.explain import noted
from gateway.relay import letters, outbox, queue
from gateway.relay.notices import FULL_BYTES
from gateway.relay.parcel import Bodies, Result
from gateway.relay.queue import Queued
from gateway.relay.tables import NEVER
from gateway.rule_book import RuleBook
from mailboxes import rules
from mailboxes.anatomy import Anatomy, pack
from mailboxes.rules import Rule
from mailboxes.seal import Sealer
from mailboxes.sqlstore import SqlStore
from mailboxes.store import Sealed, StoreError
from mailboxes.unit import Unit
from policies import recipient as recipient_policy
from policies import redirection
from policies.catalogue import rule
from policies.decision import Decision, Verdict, decide
from policies.events import Event, Kind
from policies.recipient import RecipientSettings
from policies.retry import Schedule
from policies.trust import TrustList, TrustSettings
from policies.values import Address, DsnRequest, MailboxFacts

HOPS = 10  # mailboxes of ours one message is led through
LEGS = 200  # targets at partners
RETURNED = FULL_BYTES - 64 * 1024  # the largest message that comes back whole, with what we add, when a forward fails
_WISHES = DsnRequest(notify=frozenset({"FAILURE", "DELAY"}), ret="FULL")


class Mailboxes(Protocol):
    async def find(self, key: str) -> MailboxFacts | None:
        """The mailbox of an address key, aliases followed; None when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is in force at this moment, for every question about targets."""

    trusted: Callable[[], TrustList | None]
    trust: Callable[[], TrustSettings]
    recipient: Callable[[], RecipientSettings]
    clock: Callable[[], float]

    def target(self, owner: Address, target: Address, *, executing: bool) -> Decision:
        """:func:`policies.redirection.judge_target`, now."""
        now = datetime.fromtimestamp(self.clock(), UTC)
        return redirection.judge_target(owner, target, self.trusted(), now, self.trust(), executing=executing)

    def written(self, owner: Address, target: Address) -> Decision:
        """The same for a rule that is being written."""
        return self.target(owner, target, executing=False)


class Stop(NamedTuple):
    """A mailbox the message visits. ``path`` are the owners who led it here, the first one first."""

    mailbox: MailboxFacts
    path: tuple[Address, ...] = ()


class Leg(NamedTuple):
    """Targets at partners of one owner's rules."""

    path: tuple[Address, ...]  # owners, the one who sends last
    targets: list[Address]


@dataclass(slots=True)
class Course:
    """Where one message goes on to, as it is found out."""

    seen: set[int]
    extra: dict[int, str] = field(default_factory=dict)  # mailbox, address key
    gone: set[int] = field(default_factory=set)  # mailboxes that keep no copy
    legs: list[Leg] = field(default_factory=list)
    ended: list[tuple[Rule, Decision]] = field(default_factory=list)
    decisions: list[tuple[str, str, Decision]] = field(default_factory=list)
    executed: list[Rule] = field(default_factory=list)


class Redirecting:
    """The forwarding half of :class:`gateway.user_rules.UserRules`."""

    def __init__(
        self,
        book: RuleBook,
        boxes: Mailboxes,
        judgement: Judgement,
        sealer: Sealer,
        store: SqlStore,
        bodies: Bodies,
        schedule: Schedule,
        wake: Callable[[], None],
        hostname: str,
    ) -> None:
        self._book = book
        self._boxes = boxes
        self._judgement = judgement
        self._sealer = sealer
        self._store = store
        self._bodies = bodies
        self.schedule = schedule
        self._wake = wake
        self._hostname = hostname

    async def __call__(self, arrival: Arrival) -> Consequences:
        """What the forwarding rules of the mailboxes it arrived in make of this message."""
        if not any(self._book.forwards(mailbox.id) for mailbox in arrival.local.values()):
            return NOTHING
        course = await self._course(arrival)
        sealed: list[Sealed] = []
        rows: list[Queued] = []
        try:
            for leg in course.legs:
                body = await self._resealed(arrival, leg, len(sealed))
                sealed.append(body)
                rows += [self._row(arrival, leg, target, body) for target in leg.targets]
        except (StoreError, OSError):
            for body in sealed:
                await self._sealer.discard(body)
            raise
        works = self._works(arrival, course, sealed, rows)
        return Consequences(
            also=tuple(works),
            extra=tuple((key, number) for number, key in course.extra.items() if number not in course.gone),
            withheld=frozenset(key for key, mailbox in arrival.local.items() if mailbox.id in course.gone),
            sealed=tuple(sealed),
        )

    # where it goes

    async def _course(self, arrival: Arrival) -> Course:
        first = {mailbox.id: Stop(mailbox) for mailbox in arrival.local.values()}
        course, waiting = Course(set(first)), list(first.values())
        resenders = resent_by(arrival.anatomy)
        for stop in waiting:  # grows while it is walked; each mailbox once
            found = self._book.forwards(stop.mailbox.id)
            if not found or len(stop.path) >= HOPS:
                continue
            own = self._book.names(stop.mailbox.id)
            allowed = redirection.may_forward(arrival.transaction.sender, resenders, own)
            if allowed.accepted:
                waiting += await self._send_on(arrival, stop, found, course)
            else:
                course.decisions.append(("rule", stop.mailbox.address.key, allowed))
        return course

    async def _send_on(self, arrival: Arrival, stop: Stop, found: Iterable[Rule], course: Course) -> list[Stop]:
        """Execute the rules of one mailbox; the mailboxes of ours newly reached."""
        reached: list[Stop] = []
        keep, path, far = False, (*stop.path, stop.mailbox.address), list[Address]()
        for one in found:
            keep = keep or one.keep
            decision = self._judgement.target(stop.mailbox.address, one.destination, executing=True)
            if decision.accepted and arrival.forbidden:
                decision = await self._permitted(one.destination, arrival) or decision
            if decision.accepted and one.destination.domain in self._judgement.trust().own_domains:
                decision, target = await self._ours(one.destination, arrival, course)
                if target is not None:
                    course.seen.add(target.id)
                    course.extra[target.id] = one.destination.key
                    reached.append(Stop(target, path))
            elif decision.accepted and _room(course, far):
                far.append(one.destination)
            if decision.accepted:
                course.executed.append(one)
            else:
                keep = True
                course.decisions.append(("rule", one.destination.key, decision))
                if decision.verdict is Verdict.REFUSE and decision.rule.name == "redirection.rule_disabled":
                    course.ended.append((one, decision))
        if far:
            course.legs.append(Leg(path, far))
            keep = keep or arrival.sealed.size > RETURNED
        if (far or reached) and not keep:
            course.gone.add(stop.mailbox.id)
        return reached

    async def _permitted(self, target: Address, arrival: Arrival) -> Decision | None:
        """TOU-F08: a refusal when the patient of the message forbade this mailbox, under this address or its main one."""
        mailbox = await self._boxes.find(target.key)
        named = {target.key, mailbox.address.key if mailbox else target.key} & arrival.forbidden
        return decide(rule("patient.forbidden"), professionals=str(target)) if named else None

    async def _ours(self, target: Address, arrival: Arrival, course: Course) -> tuple[Decision, MailboxFacts | None]:
        """May a mailbox of ours get it; the mailbox when it has not yet."""
        mailbox = await self._boxes.find(target.key)
        decision = recipient_policy.judge_local(target, mailbox, arrival.sealed.size, self._judgement.recipient())
        return decision, mailbox if decision.accepted and mailbox and mailbox.id not in course.seen else None

    # what is written

    async def _resealed(self, arrival: Arrival, leg: Leg, number: int) -> Sealed:
        now = self._judgement.clock()
        # our own Return-Path is the delivery's to the mailbox, not part of what is sent on
        cut = arrival.raw.find(b"\r\n") + 2 if arrival.raw[:12].lower() == b"return-path:" else 0
        blocks = [
            received.resent(owner, targets, self._hostname, f"{arrival.message}.{number}.{place}", now)
            for place, (owner, targets) in enumerate(_steps(leg))
        ]
        head = received.return_path(leg.path[-1]) + b"".join(reversed(blocks)) + arrival.head
        whole = b"".join((head, memoryview(arrival.raw)[cut:]))
        return await self._sealer.seal(whole, pack(arrival.anatomy, whole))

    def _row(self, arrival: Arrival, leg: Leg, target: Address, body: Sealed) -> Queued:
        return Queued(
            message=arrival.message,
            body_id=body.body_id,
            wrapped=self._sealer.wrap(body, 0),
            size=body.size,
            sender=str(leg.path[-1]),
            recipient=str(target),
            domain=target.domain,
            dsn=_WISHES,
            eight_bit=arrival.transaction.eight_bit,
        )

    def _works(self, arrival: Arrival, course: Course, sealed: list[Sealed], rows: list[Queued]) -> list[Work]:
        def send_on(unit: Unit) -> None:
            self._store.put_body(unit, sealed)
            for body in sealed:
                self._store.hold_body(unit, body, sum(row.body_id == body.body_id for row in rows))
            queue.enqueue(unit, rows, self.schedule)
            unit.after_commit(self._wake)

        def record(unit: Unit) -> None:
            unit.emit(*(_executed(arrival.message, one) for one in course.executed))
            if course.decisions:
                said = [noted(*entry) for entry in course.decisions]
                unit.emit(Event(Kind.DECISION, message=arrival.message, detail={"decisions": said}))
            for one, decision in course.ended:
                end(unit, self._bodies, one, decision, arrival.message)
            if course.gone:  # perhaps nobody keeps the body as it came
                self._store.release_body(unit, arrival.sealed.body_id, 0)

        return [send_on, record] if rows else [record]


def _room(course: Course, far: list[Address]) -> bool:
    return sum(len(leg.targets) for leg in course.legs) + len(far) < LEGS


def _steps(leg: Leg) -> list[tuple[Address, list[Address]]]:
    """Each owner on the way and to whom they resent it, the first one first."""
    ways = [[owner] for owner in leg.path[1:]] + [leg.targets]
    return list(zip(leg.path, ways, strict=True))


def _executed(message: str, one: Rule) -> Event:
    detail = {"what": "forwarded", "rule": one.number, "target": one.target}
    return Event(Kind.RULE, message=message, recipient=one.destination.key, mailbox=one.mailbox_id, detail=detail)


def resent_by(anatomy: Anatomy) -> frozenset[str]:
    """Who sent this message on already, as far as it says so itself."""
    if b"resent-from" not in anatomy.values:
        return frozenset()
    return frozenset(address.key for address in anatomy.listed(b"resent-from").addresses)


def end(unit: Unit, bodies: Bodies, ended: Rule, decision: Decision, message: str = "") -> bool:
    """Disable a rule and owe its owner the news, once."""
    if not rules.disable(unit, ended, decision.rule.name):
        return False
    draft = outbox.Draft(bodies)
    owner = str(ended.owner)
    wish = DsnRequest(frozenset({"SUCCESS"}))
    about = outbox.About(message, 0, b"", owner, ended.target, wish, unit.now, NEVER)
    draft.add(letters.RULE_DISABLED, about, Result(0, decision, decision.enhanced))
    draft.commit(unit)
    return True


def rejudge(unit: Unit, bodies: Bodies, judgement: Judgement) -> int:
    """The white list changed: rules that now point outside end (MSS-058). Returns how many."""
    done = 0
    for one in rules.listed(unit.connection):
        if one.kind == rules.FORWARD:
            decision = judgement.target(one.owner, one.destination, executing=True)
            if decision.rule.name == "redirection.rule_disabled":
                done += end(unit, bodies, one, decision)
    return done
