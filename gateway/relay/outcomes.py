"""What becomes of a recipient: handed over, failed, deferred, warned of, expired; and of a destination: spared, revived.

Each change writes, in its own transaction, the event that proves it and the notice it owes.
Promise: a row is never lost between two states; whoever settles must still hold the row's fence, so a courier that slept
past its lease changes nothing (F19); ages are judged by the time the caller gives, from a clock that did not jump (F16).
Failure: database errors propagate and the caller's transaction fails as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import bindparam, case, delete, insert, select, update

from gateway.relay import outbox
from gateway.relay.parcel import Bodies, Result
from gateway.relay.queue import CHUNK, OURS, Taken, taken_of
from gateway.relay.tables import NEVER, destination, queue
from mailboxes.commit import Unit
from policies.catalogue import rule
from policies.decision import CatalogueError, Decision, Verdict, decide
from policies.events import Event, Kind
from policies.retry import Schedule

# Where a deferral may end early: the domain is listed but gone from DNS (F24).
_MISSING = "relay.domain_missing"
LATER = 60.0  # a row at its end but in a courier's hands is looked at again


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is to become of a leased row.

    ``now`` is the time its age is judged by, on the scale of the clock when the row was taken: a clock that jumped in
    between ages nothing (F16). 0 is the transaction's own time.
    """

    row: Taken
    result: Result
    now: float = 0.0


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
    luck = chance()  # the same for all: recipients put off together are tried together, in one transaction again
    for settlement in settlements:
        row, result = settlement.row, final(settlement, unit.now, schedule)
        if result.decision.verdict is Verdict.DEFER and result.decision.rule.name != "relay.expired":
            at = (retry_at or {}).get(row.domain) or unit.now + schedule.wait(row.attempts + 1, luck)
            ok = _defer(unit, owner, row, result, at)
        else:
            ok = _leave(unit, owner, row, result, notices)
            gone[row.body_id] += ok
        if not ok:
            refused.add(row.id)
    notices.commit(unit)
    _release(unit, bodies, gone)
    return refused


def final(settlement: Settlement, now: float, schedule: Schedule) -> Result:
    """The result after time is taken into account: a deferral at the end of the queue life is an expiry."""
    row, result, now = settlement.row, settlement.result, settlement.now or now
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
    .where(OURS)
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


_DELETE = delete(queue).where(OURS)


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

    The caller gives the time, from a clock that did not jump: the transaction's own may have, a moment ago. Rows leased
    at this moment are left to their courier, which knows better.
    """
    rows = unit.connection.execute(_OVERDUE, {"instant": now, "share": limit}).all()
    notices, gone, done = outbox.Draft(bodies), Counter[int](), Overdue(len(rows), [], [])
    for row in rows:
        taken = taken_of(row, failing=False)
        if now < row.expires_at:
            unit.connection.execute(_WARNED, {"row": row.id})
            notices.add("delayed", taken, _standing(unit, row), outbox.UNKNOWN)
            done.delayed.append((row.message, row.recipient.lower()))
        elif row.owner == "" or row.due_at <= unit.now:
            unit.connection.execute(delete(queue).where(queue.c.id == row.id))
            result = _instead(_standing(unit, row), decide(rule("relay.expired"), row.rule))
            unit.emit(departure(taken, result))
            notices.add("failed", taken, result, outbox.UNKNOWN)
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
    decision = remembered(why, row.domain)
    return Result(row.id, decision, decision.enhanced, reply)


def remembered(name: str, domain: str) -> Decision:
    """The decision a row was put off by, as far as the row tells it: a name of another release says nothing to this one."""
    try:
        found = rule(name)
    except CatalogueError:
        found = rule("relay.busy")
    return Decision(found, _Known(domain=domain, host=domain, certificate="?", hours="?", reason="?"))


class _Known(dict[str, str]):
    """Parameters of a sentence rebuilt from a stored rule name: what is no longer known shows as a question mark."""

    def __missing__(self, key: str) -> str:
        return "?"
