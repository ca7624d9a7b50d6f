"""The queue: one row per recipient, changed only inside the transaction of whoever changes it.

:func:`enqueue` belongs to the acceptance transaction; :func:`take` leases what is due to one courier; :func:`settle`
moves a recipient on and writes, in the same transaction, the event that proves it and the notice it owes.
Promise: a row is never lost between two states; whoever settles must still hold the row's fence, so a courier that
slept past its lease changes nothing (F19); taking costs one index step per destination plus what is taken, and no
destination can take the share of another (F32).
Failure: database errors propagate and the caller's transaction fails as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    Case,
    Column,
    Connection,
    ScalarSelect,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)

from gateway.relay import outbox
from gateway.relay.parcel import Bodies, Result
from gateway.relay.tables import NEVER, clock, destination, followed, queue
from mailboxes.commit import Unit
from mailboxes.sql import Insert
from policies.catalogue import rule
from policies.decision import Decision, Verdict, decide
from policies.events import Event, Kind
from policies.retry import Schedule
from policies.values import DsnRequest

# Where a deferral may end early: the domain is listed but gone from DNS (F24).
_MISSING = "relay.domain_missing"
PROBE = 1  # rows taken from a destination that failed: enough to see whether it is back
CHUNK = 500
JUMP_WINDOW = 600.0  # two couriers that see a like jump within this time saw the same one
JUMP_LIKENESS = 60.0
LATER = 60.0  # a row at its end but in a courier's hands is looked at again
AWAY = 3600.0  # a longer absence of every courier does not age what waits


class Queued(NamedTuple):
    """A recipient to be carried. ``dsn`` holds its RFC 3461 wishes; ``sender`` is empty for the null reverse-path."""

    message: str
    body_id: int
    wrapped: bytes
    size: int
    sender: str
    recipient: str
    domain: str
    dsn: DsnRequest
    eight_bit: bool = False


class Taken(NamedTuple):
    """A leased row."""

    id: int
    fence: int
    message: str
    body_id: int
    wrapped: bytes
    size: int
    sender: str
    recipient: str
    domain: str
    dsn: DsnRequest
    eight_bit: bool
    accepted_at: float
    expires_at: float
    attempts: int
    failing: bool  # its destination is being spared; this row is a probe


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is to become of a leased row.

    ``now`` is the time its age is judged by, on the scale of the clock when the row was taken: a clock that jumped in
    between ages nothing (F16). 0 is the transaction's own time.
    """

    row: Taken
    result: Result
    now: float = 0.0


def enqueue(unit: Unit, rows: Sequence[Queued], schedule: Schedule) -> None:
    """Add recipients, inside the acceptance transaction. The caller holds one body reference per row."""
    if not rows:
        return
    _INSERT(unit.cursor, [_fresh(row, unit.now, schedule) for row in rows])
    unit.emit(
        *(
            Event(Kind.QUEUED, message=row.message, recipient=row.recipient.lower(), detail={"domain": row.domain})
            for row in rows
        )
    )


def _fresh(row: Queued, now: float, schedule: Schedule) -> tuple[Any, ...]:
    # Nobody is warned of a delay who did not want to be, and never the null sender.
    silent = (bool(row.dsn.notify) and "DELAY" not in row.dsn.notify) or not row.sender or not schedule.warn
    return (
        row.message,
        row.body_id,
        row.wrapped,
        row.size,
        int(row.eight_bit),
        row.sender,
        row.recipient,
        row.domain,
        " ".join(sorted(row.dsn.notify)),
        row.dsn.orcpt,
        row.dsn.ret,
        row.dsn.envid,
        now,
        now,
        now + (schedule.life if silent else schedule.warn),
        now + schedule.life,
        0,
        0,
        int(silent),
        "",
        0,
        "",
        "",
    )


_INSERT = Insert("queue", " ".join(column.name for column in queue.columns if column.name != "id"))


# taking


class Waiting(NamedTuple):
    """A destination with rows, when the first of them is due, and whether it is being spared."""

    domain: str
    due_at: float
    failures: int


def waiting(connection: Connection) -> list[Waiting]:
    """Every destination in the queue; the longest waiting first. One index step each."""
    return [Waiting(*row) for row in connection.execute(_WAITING) if row[1] < NEVER]


def _loose_scan() -> Any:
    """Distinct domains by jumping from one to the next in the index, instead of reading every row."""
    first = select(func.min(queue.c.domain).label("domain"))
    names = first.cte("names", recursive=True)
    following = (
        select(func.min(queue.c.domain)).where(queue.c.domain > names.c.domain).correlate(names).scalar_subquery()
    )
    names = names.union_all(select(following).where(names.c.domain.is_not(None)))
    first_due: ScalarSelect[Any] = (
        select(func.min(queue.c.due_at)).where(queue.c.domain == names.c.domain).correlate(names).scalar_subquery()
    )
    spared = destination
    inner = (
        select(
            names.c.domain,
            first_due.label("first_due"),
            func.coalesce(spared.c.retry_at, 0.0).label("retry_at"),
            func.coalesce(spared.c.failures, 0).label("failures"),
        )
        .select_from(names.outerjoin(spared, spared.c.domain == names.c.domain))
        .where(names.c.domain.is_not(None))
        .subquery()
    )
    ready = case((inner.c.first_due > inner.c.retry_at, inner.c.first_due), else_=inner.c.retry_at)
    return select(inner.c.domain, ready.label("ready"), inner.c.failures).order_by(literal_column("ready"))


_WAITING = _loose_scan()


def take(unit: Unit, owner: str, lease: float, limit: int, room: Callable[[str], int]) -> tuple[list[Taken], float]:
    """Lease due rows to ``owner`` for ``lease`` seconds: at most ``limit``, shared evenly between the destinations that
    have something due, at most ``room(domain)`` of one.

    Returns them grouped by destination and message, and when the next row falls due (:data:`NEVER` when none will).
    A destination being spared gives one probe once its time has come, and nothing before.
    """
    now, found = unit.now, list[Taken]()
    everyone = waiting(unit.connection)
    due = [one for one in everyone if one.due_at <= now]
    later = [one.due_at for one in everyone if one.due_at > now]
    fair = max(1, -(-limit // max(1, len(due))))
    for domain, _, failures in due:
        share = min(limit - len(found), fair, PROBE if failures else CHUNK, room(domain))
        if share > 0:
            found += _lease(unit, domain, owner, lease, share, failing=failures > 0)
    return found, min(later, default=NEVER)


def take_fresh(
    unit: Unit, owner: str, lease: float, limit: int, room: Callable[[str], int], after: int
) -> tuple[list[Taken], int]:
    """Lease rows never tried that came in after row ``after``: new mail does not queue behind a backlog.

    Returns them, and the newest row seen. Rows of spared or full destinations are left for :func:`take`.
    """
    found = unit.connection.execute(_FRESH, {"newest": after, "share": limit}).all()
    spared = set(unit.connection.execute(select(destination.c.domain)).scalars()) if found else set()
    rows, shares = [], Counter[str]()
    for row in found:
        if row.attempts or row.held or row.due_at > unit.now or row.domain in spared:
            continue
        shares[row.domain] += 1
        if shares[row.domain] <= room(row.domain):
            rows.append(row)
    _mark(unit, rows, owner, lease)
    taken = [taken_of(row, failing=False) for row in rows]
    return sorted(taken, key=lambda row: (row.domain, row.id)), max((row.id for row in found), default=after)


# Nothing but the primary key decides which rows are read: the planner of a database without statistics cannot err.
_FRESH = (
    select(queue)
    .where(queue.c.id > bindparam("newest"))
    .order_by(queue.c.id)
    .limit(bindparam("share"))
    .with_for_update(skip_locked=True)
)


def newest(connection: Connection) -> int:
    """The id of the newest row; 0 for an empty queue."""
    return int(connection.execute(select(func.coalesce(func.max(queue.c.id), 0))).scalar_one())


def _mark(unit: Unit, rows: Sequence[Any], owner: str, lease: float) -> None:
    if rows:
        until = unit.now + lease
        unit.connection.execute(_LEASE, [{"row": row.id, "holder": owner, "until": until} for row in rows])


def _lease(unit: Unit, domain: str, owner: str, lease: float, share: int, *, failing: bool) -> list[Taken]:
    connection, now = unit.connection, unit.now
    found = list(connection.execute(_DUE, {"wanted": domain, "instant": now, "share": share}))
    if len(found) == share > 1 and found[-1].message == found[-2].message:
        found += _rest(connection, found[-1], now)
    rows = [row for row in found if not row.held]
    if len(rows) < len(found):  # put on hold while a courier, now gone, was carrying them
        connection.execute(_SHELVE, [{"row": row.id} for row in found if row.held])
    _mark(unit, rows, owner, lease)
    return [taken_of(row, failing=failing) for row in rows]


def _rest(connection: Connection, last: Any, now: float) -> Sequence[Any]:
    """The other due recipients of a message that the share cut in two: one more transaction costs the partner more."""
    parameters = {"about": last.message, "wanted": last.domain, "instant": now, "last": last.id}
    return connection.execute(_REST, parameters).all()


_REST = (
    select(queue)
    .where(
        queue.c.message == bindparam("about"),
        queue.c.domain == bindparam("wanted"),
        queue.c.due_at <= bindparam("instant"),
        queue.c.id > bindparam("last"),
    )
    .order_by(queue.c.id)
    .limit(CHUNK)
    .with_for_update(skip_locked=True)
)
_DUE = (
    select(queue)
    .where(queue.c.domain == bindparam("wanted"), queue.c.due_at <= bindparam("instant"))
    .order_by(queue.c.due_at, queue.c.id)
    .limit(bindparam("share"))
    .with_for_update(skip_locked=True)
)
_SHELVE = update(queue).where(queue.c.id == bindparam("row")).values(owner="", due_at=NEVER)
_LEASE = (
    update(queue)
    .where(queue.c.id == bindparam("row"))
    .values(owner=bindparam("holder"), due_at=bindparam("until"), fence=queue.c.fence + 1)
)


def taken_of(row: Any, *, failing: bool) -> Taken:
    dsn = DsnRequest(frozenset(row.notify.split()), row.orcpt, row.ret, row.envid)
    return Taken(
        row.id,
        row.fence + 1,
        row.message,
        row.body_id,
        bytes(row.wrapped),
        row.size,
        row.sender,
        row.recipient,
        row.domain,
        dsn,
        bool(row.eight_bit),
        row.accepted_at,
        row.expires_at,
        row.attempts,
        failing,
    )


def extend(unit: Unit, owner: str, rows: Sequence[tuple[int, int]], lease: float) -> set[int]:
    """Lengthen the lease of (id, fence) pairs; returns the ids still ours."""
    kept: set[int] = set()
    for row_id, fence in rows:
        parameters = {"row": row_id, "holder": owner, "held_fence": fence, "until": unit.now + lease}
        if unit.connection.execute(_EXTEND, parameters).rowcount:
            kept.add(row_id)
    return kept


_OURS = and_(
    queue.c.id == bindparam("row"), queue.c.owner == bindparam("holder"), queue.c.fence == bindparam("held_fence")
)
_EXTEND = update(queue).where(_OURS).values(due_at=bindparam("until"))


def give_back(unit: Unit, owner: str, rows: Sequence[tuple[int, int]]) -> None:
    """Rows taken but not tried, at an orderly stop: due again at once."""
    for row_id, fence in rows:
        unit.connection.execute(_GIVE_BACK, {"row": row_id, "holder": owner, "held_fence": fence, "until": unit.now})


_GIVE_BACK = update(queue).where(_OURS).values(due_at=bindparam("until"), owner="")


# settling


def settle(
    unit: Unit,
    bodies: Bodies,
    owner: str,
    settlements: Sequence[Settlement],
    schedule: Schedule,
    chance: Callable[[], float],
    retry_at: Mapping[str, float] | None = None,
) -> set[int]:
    """Move leased rows on. Returns the ids refused because the lease was lost: those are someone else's now.

    Handed over and failed rows leave the queue; deferred ones wait, or expire. ``retry_at`` gives, for destinations just
    spared, when their rows are due.
    """
    refused: set[int] = set()
    notices = outbox.Draft(bodies)
    gone: Counter[int] = Counter()
    for settlement in settlements:
        row, result = settlement.row, _final(settlement, settlement.now or unit.now, schedule)
        if result.decision.verdict is Verdict.DEFER and result.decision.rule.name != "relay.expired":
            at = (retry_at or {}).get(row.domain) or unit.now + schedule.wait(row.attempts + 1, chance())
            ok = _defer(unit, owner, row, result, at)
        else:
            ok = _leave(unit, owner, row, result, notices)
            gone[row.body_id] += ok
        if not ok:
            refused.add(row.id)
    notices.commit(unit)
    _release(unit, bodies, gone)
    return refused


def _final(settlement: Settlement, now: float, schedule: Schedule) -> Result:
    """The result after time is taken into account: a deferral at the end of the queue life is an expiry."""
    row, result = settlement.row, settlement.result
    decision = result.decision
    if decision.verdict is not Verdict.DEFER:
        return result
    if now >= row.expires_at:
        return _instead(result, decide(rule("relay.expired"), f"{decision.rule.name} {decision.detail}"))
    if decision.rule.name == _MISSING and now - row.accepted_at >= schedule.unknown_domain:
        return _instead(result, decide(rule("relay.domain_unknown"), decision.detail, domain=row.domain))
    return result


def _instead(result: Result, decision: Decision) -> Result:
    return Result(result.id, decision, decision.enhanced, result.reply, result.host, result.certificate)


def _defer(unit: Unit, owner: str, row: Taken, result: Result, at: float) -> bool:
    parameters = {
        "row": row.id,
        "holder": owner,
        "held_fence": row.fence,
        "until": at,
        "why": result.decision.rule.name,
        "said": result.reply,
    }
    if not unit.connection.execute(_DEFER, parameters).rowcount:
        return False
    detail = {
        "host": result.host,
        "reply": result.reply,
        "rule": result.decision.rule.name,
        "attempt": row.attempts + 1,
        "next": int(at),
    }
    unit.emit(Event(Kind.DEFERRED, message=row.message, recipient=row.recipient.lower(), detail=detail))
    return True


_DEFER = (
    update(queue)
    .where(_OURS)
    .values(
        due_at=case((queue.c.held == 1, NEVER), else_=bindparam("until")),
        attempts=queue.c.attempts + 1,
        owner="",
        rule=bindparam("why"),
        reply=bindparam("said"),
    )
)


def _leave(unit: Unit, owner: str, row: Taken, result: Result, notices: outbox.Draft) -> bool:
    parameters = {"row": row.id, "holder": owner, "held_fence": row.fence}
    if not unit.connection.execute(_DELETE, parameters).rowcount:
        return False
    unit.emit(departure(row, result))
    if result.decision.accepted:
        if "SUCCESS" in row.dsn.notify and not result.dsn_passed:
            notices.add("relayed", row, result)
    else:
        notices.add("failed", row, result)
    return True


_DELETE = delete(queue).where(_OURS)


def departure(row: Taken, result: Result) -> Event:
    if result.decision.accepted:
        detail: dict[str, Any] = {
            "host": result.host,
            "reply": result.reply,
            "certificate": result.certificate,
            "attempt": row.attempts + 1,
        }
        return Event(Kind.HANDED_OVER, message=row.message, recipient=row.recipient.lower(), detail=detail)
    if result.decision.rule.name == "relay.expired":
        return Event(Kind.EXPIRED, message=row.message, recipient=row.recipient.lower(), detail={"reply": result.reply})
    detail = {
        "host": result.host,
        "reply": result.reply,
        "rule": result.decision.rule.name,
        "status": result.status,
    }
    return Event(Kind.FAILED, message=row.message, recipient=row.recipient.lower(), detail=detail)


def _release(unit: Unit, bodies: Bodies, gone: Counter[int]) -> None:
    for body_id, count in gone.items():
        if count:
            bodies.release(unit, body_id, count)


# destinations


# Deferrals that say nothing about the destination: its wait does not grow, so that mail flows soon after the cure.
_OUR_OWN = frozenset({"trust.list_stale", "trust.list_missing"})


def given_up(settlement: Settlement, broken: Decision, schedule: Schedule) -> bool:
    """A domain missing from DNS for so long that its mail fails now: then each row is judged by itself, not spared."""
    return broken.rule.name == _MISSING and settlement.now - settlement.row.accepted_at >= schedule.unknown_domain


def spare(unit: Unit, domain: str, decision: Decision, reply: str, schedule: Schedule, chance: float) -> float:
    """Leave a destination in peace for a while, in every process. Returns when it is probed next."""
    row = unit.connection.execute(
        select(destination.c.failures, destination.c.retry_at).where(destination.c.domain == domain).with_for_update()
    ).one_or_none()
    if row is not None and row.retry_at > unit.now:
        return float(row.retry_at)  # another courier has just found out the same
    failures = 1 if decision.rule.name in _OUR_OWN else (row.failures if row else 0) + 1
    values = {
        "failures": failures,
        "retry_at": unit.now + schedule.wait(failures, chance),
        "rule": decision.rule.name,
        "reply": reply or decision.detail[:200],
    }
    if row is None:
        unit.connection.execute(insert(destination), {"domain": domain, **values})
    else:
        unit.connection.execute(update(destination).where(destination.c.domain == domain).values(values))
    return float(values["retry_at"])


def revive(unit: Unit, domain: str) -> None:
    """The destination answers again."""
    unit.connection.execute(delete(destination).where(destination.c.domain == domain))


# deadlines


class Overdue(NamedTuple):
    """How many rows :func:`deadlines` treated; ``delayed`` and ``expired`` are (message, recipient key) pairs."""

    rows: int
    delayed: list[tuple[str, str]]
    expired: list[tuple[str, str]]


def deadlines(unit: Unit, bodies: Bodies, now: float, limit: int = CHUNK) -> Overdue:
    """Warn senders of delayed recipients, fail those at the end of their life, as of ``now``.

    The caller gives the time, from a clock that did not jump: the transaction's own may have, a moment ago. Rows leased at this moment are left to their courier, which knows better.
    """
    rows = unit.connection.execute(_OVERDUE, {"instant": now, "share": limit}).all()
    notices, gone, done = outbox.Draft(bodies), Counter[int](), Overdue(len(rows), [], [])
    for row in rows:
        taken = taken_of(row, failing=False)
        if now < row.expires_at:
            unit.connection.execute(_WARNED, {"row": row.id})
            notices.add("delayed", taken, _standing(unit, row))
            done.delayed.append((row.message, row.recipient.lower()))
        elif row.owner == "" or row.due_at <= unit.now:
            unit.connection.execute(delete(queue).where(queue.c.id == row.id))
            result = _instead(_standing(unit, row), decide(rule("relay.expired"), row.rule))
            unit.emit(departure(taken, result))
            notices.add("failed", taken, result)
            done.expired.append((row.message, row.recipient.lower()))
            gone[row.body_id] += 1
        else:
            unit.connection.execute(update(queue).where(queue.c.id == row.id).values(deadline_at=now + LATER))
    notices.commit(unit)
    _release(unit, bodies, gone)
    return done


_OVERDUE = (
    select(queue)
    .where(queue.c.deadline_at <= bindparam("instant"), queue.c.held == 0)
    .order_by(queue.c.deadline_at)
    .limit(bindparam("share"))
    .with_for_update(skip_locked=True)
)
_WARNED = update(queue).where(queue.c.id == bindparam("row")).values(warned=1, deadline_at=queue.c.expires_at)


def _standing(unit: Unit, row: Any) -> Result:
    """Why a row waits, from its own last attempt or, when it had none, from its destination's."""
    why, reply = row.rule, row.reply
    if not why:
        spared = unit.connection.execute(select(destination).where(destination.c.domain == row.domain)).one_or_none()
        why, reply = (spared.rule, spared.reply) if spared else ("relay.busy", "")
    found = rule(why)
    decision = Decision(found, _Known(domain=row.domain, host=row.domain, certificate="?", hours="?", reason="?"))
    return Result(row.id, decision, found.enhanced, reply)


class _Known(dict[str, str]):
    """Parameters of a sentence rebuilt from a stored rule name: what is no longer known shows as a question mark."""

    def __missing__(self, key: str) -> str:
        return "?"


# time


def steady(unit: Unit, jump: float) -> bool:
    """A courier saw the wall clock jump by ``jump`` seconds: move the queue with it, once for all processes (F16)."""
    row = _clock_row(unit)
    if abs(unit.now - row.jumped_at) < JUMP_WINDOW and abs(jump - row.jumped_by) < JUMP_LIKENESS:
        return False
    shift(unit, jump)
    unit.connection.execute(update(clock).values(beat=unit.now, jumped_at=unit.now, jumped_by=jump))
    unit.emit(Event(Kind.CLOCK_JUMP, detail={"seconds": int(jump)}))
    return True


def begin(unit: Unit) -> None:
    """A courier starts: time during which none ran is not part of the life of what waits."""
    away = unit.now - _clock_row(unit).beat
    if away > AWAY:
        shift(unit, away, life_only=True)
    elif away < -JUMP_LIKENESS:
        shift(unit, away)
        unit.emit(Event(Kind.CLOCK_JUMP, detail={"seconds": int(away)}))
    beat(unit)


def beat(unit: Unit) -> None:
    """A courier is at work."""
    unit.connection.execute(update(clock).values(beat=unit.now))


def _clock_row(unit: Unit) -> Any:
    row = unit.connection.execute(select(clock).with_for_update()).one_or_none()
    if row is None:
        unit.connection.execute(insert(clock), {"id": 1, "beat": unit.now, "jumped_at": 0.0, "jumped_by": 0.0})
        row = unit.connection.execute(select(clock)).one()
    return row


def shift(unit: Unit, seconds: float, *, life_only: bool = False) -> None:
    """Move the queue's times with a clock that jumped, or its ends of life past a time when no courier ran (F16).

    After a jump forward, what was written since it already has the new time and is left alone.
    """
    if life_only:
        later = case((queue.c.warned == 1, queue.c.deadline_at + seconds), else_=queue.c.deadline_at)
        unit.connection.execute(update(queue).values(expires_at=queue.c.expires_at + seconds, deadline_at=later))
        return
    recent = unit.now - seconds / 2 if seconds > 0 else NEVER
    old = queue.c.accepted_at < recent
    unit.connection.execute(update(queue).values(due_at=_moved(queue.c.due_at, recent, seconds)))
    unit.connection.execute(update(destination).values(retry_at=_moved(destination.c.retry_at, recent, seconds)))
    unit.connection.execute(
        update(queue)
        .where(old)
        .values(
            accepted_at=queue.c.accepted_at + seconds,
            expires_at=queue.c.expires_at + seconds,
            deadline_at=queue.c.deadline_at + seconds,
        )
    )
    waits = and_(followed.c.deadline_at < NEVER, followed.c.sent_at < recent)
    unit.connection.execute(update(followed).where(waits).values(deadline_at=followed.c.deadline_at + seconds))


def _moved(column: Column[float], recent: float, seconds: float) -> Case[float]:
    """A due time moved with the clock, unless it is on hold or written since; a try too early harms nothing."""
    return case((column < min(recent, NEVER / 2), column + seconds), else_=column)


def room_of(limits: Mapping[str, int], otherwise: int) -> Callable[[str], int]:
    """A ``room`` for :func:`take` from a mapping."""
    return lambda domain: limits.get(domain, otherwise)


def total(connection: Connection) -> int:
    """How many rows there are."""
    return int(connection.execute(select(func.count()).select_from(queue)).scalar_one())


def ids(rows: Iterable[Taken]) -> list[tuple[int, int]]:
    """(id, fence) pairs of leased rows."""
    return [(row.id, row.fence) for row in rows]
