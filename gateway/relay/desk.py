"""The queue as an operator sees and handles it: list, show, retry, hold, release, drop.

Promise: every action is a journal event with its count, done in chunks so that nobody waits for a long one; a dropped
recipient is told to its sender like any other failure, because medical mail is never lost in silence (MSS-048). A row
leased by a courier at this moment is left alone and counted as busy.
Failure: database errors propagate; an empty selection changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, true, update

from gateway.relay import outbox, tracking
from gateway.relay.outcomes import departure
from gateway.relay.parcel import Bodies, Result
from gateway.relay.queue import taken_of
from gateway.relay.tables import NEVER, destination, queue
from mailboxes.commit import Unit
from policies.catalogue import rule
from policies.decision import decide
from policies.events import Event, Kind
from policies.receipts import State

PAGE = 500


class Row(NamedTuple):
    """A recipient in the queue. ``state`` is ``waiting``, ``carrying``, ``spared`` (its destination) or ``held``."""

    id: int
    message: str
    sender: str
    recipient: str
    domain: str
    size: int
    accepted_at: float
    due_at: float
    expires_at: float
    attempts: int
    state: str
    rule: str
    reply: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows. All that are given must match; none given is everything, which the command line asks to confirm."""

    message: str = ""
    domain: str = ""
    sender: str = ""
    recipient: str = ""
    ids: tuple[int, ...] = ()
    held: bool | None = None

    def condition(self) -> ColumnElement[bool]:
        conditions: list[ColumnElement[bool]] = [true()]
        for column, value in (
            (queue.c.message, self.message),
            (queue.c.domain, self.domain.lower()),
            (queue.c.sender, self.sender),
            (queue.c.recipient, self.recipient),
        ):
            if value:
                conditions.append(column == value)
        if self.ids:
            conditions.append(queue.c.id.in_(self.ids))
        if self.held is not None:
            conditions.append(queue.c.held == int(self.held))
        return and_(*conditions)


class Summary(NamedTuple):
    """One destination: how many rows, the oldest, how many held, and why it is spared, if it is."""

    domain: str
    rows: int
    held: int
    oldest_at: float
    failures: int
    retry_at: float
    rule: str
    reply: str


def count(connection: Connection, selection: Selection) -> int:
    """How many rows match."""
    return int(connection.execute(select(func.count()).select_from(queue).where(selection.condition())).scalar_one())


def rows(connection: Connection, selection: Selection, now: float, after: int = 0, limit: int = PAGE) -> list[Row]:
    """A page of rows by id, those with an id above ``after``."""
    query = (
        select(
            queue,
            destination.c.retry_at,
            destination.c.rule.label("spared_for"),
            destination.c.reply.label("spared_said"),
        )
        .outerjoin(destination, destination.c.domain == queue.c.domain)
        .where(selection.condition(), queue.c.id > after)
        .order_by(queue.c.id)
        .limit(limit)
    )
    return [_row(row, now) for row in connection.execute(query)]


def every_row(connection: Connection, selection: Selection, now: float) -> Iterator[Row]:
    """All matching rows, page by page."""
    after = 0
    while page := rows(connection, selection, now, after):
        yield from page
        after = page[-1].id


def _row(row: Any, now: float) -> Row:
    if row.held:
        state = "held"
    elif row.owner and row.due_at > now:
        state = "carrying"
    elif row.retry_at is not None and row.retry_at > now:
        state = "spared"
    else:
        state = "waiting"
    due = 0.0 if row.due_at >= NEVER else max(row.due_at, row.retry_at or 0.0)
    why, said = row.rule, row.reply
    if state == "spared" and not why:  # never tried itself: it waits for what another message met
        why, said = row.spared_for, row.spared_said
    return Row(
        row.id,
        row.message,
        row.sender,
        row.recipient,
        row.domain,
        row.size,
        row.accepted_at,
        due,
        row.expires_at,
        row.attempts,
        state,
        why,
        said,
    )


def summary(connection: Connection) -> list[Summary]:
    """Every destination in the queue, the largest first."""
    totals = (
        select(
            queue.c.domain,
            func.count().label("rows"),
            func.sum(queue.c.held).label("held"),
            func.min(queue.c.accepted_at).label("oldest"),
        )
        .group_by(queue.c.domain)
        .subquery()
    )
    query = (
        select(totals, destination.c.failures, destination.c.retry_at, destination.c.rule, destination.c.reply)
        .outerjoin(destination, destination.c.domain == totals.c.domain)
        .order_by(totals.c.rows.desc(), totals.c.domain)
    )
    return [
        Summary(
            row.domain,
            row.rows,
            int(row.held),
            row.oldest,
            row.failures or 0,
            row.retry_at or 0.0,
            row.rule or "",
            row.reply or "",
        )
        for row in connection.execute(query)
    ]


# actions, one chunk at a time


def chunks(connection: Connection, selection: Selection) -> Iterator[list[int]]:
    """The ids an action is about, in chunks; fixed at the start so that what arrives meanwhile is not touched."""
    ids = list(connection.execute(select(queue.c.id).where(selection.condition()).order_by(queue.c.id)).scalars())
    for start in range(0, len(ids), PAGE):
        yield ids[start : start + PAGE]


def retry(unit: Unit, ids: Sequence[int], actor: str = "operator") -> int:
    """Due at once, its destination too. Held rows stay held."""
    wanted = and_(_free(unit, ids), queue.c.held == 0)
    _wake(unit, wanted)
    done = unit.connection.execute(update(queue).where(wanted).values(due_at=unit.now)).rowcount
    return _record(unit, actor, "retry", done)


def hold(unit: Unit, ids: Sequence[int], actor: str = "operator") -> int:
    """Kept until released; a row being carried is held when its attempt ends without delivery."""
    carried = and_(queue.c.owner != "", queue.c.due_at > unit.now, queue.c.due_at < NEVER)
    here = queue.c.id.in_(ids)
    _witness(unit, Kind.HELD, actor, and_(here, queue.c.held == 0))
    done = unit.connection.execute(update(queue).where(here, queue.c.held == 0).values(held=1)).rowcount
    unit.connection.execute(update(queue).where(here, ~carried).values(due_at=NEVER))
    return _record(unit, actor, "hold", done)


def release(unit: Unit, ids: Sequence[int], actor: str = "operator") -> int:
    """Due at once again, its destination too. The time on hold counts toward the end of life.

    A row still carried stays its courier's: were it due, another would send it a second time meanwhile.
    """
    here = and_(queue.c.id.in_(ids), queue.c.held == 1)
    _wake(unit, here)
    _witness(unit, Kind.RELEASED, actor, here)
    unit.connection.execute(update(queue).where(here, _free(unit, ids)).values(due_at=unit.now, owner=""))
    done = unit.connection.execute(update(queue).where(here).values(held=0)).rowcount
    return _record(unit, actor, "release", done)


def drop(unit: Unit, bodies: Bodies, ids: Sequence[int], actor: str = "operator") -> int:
    """Out of the queue, and the sender is told."""
    found = unit.connection.execute(select(queue).where(_free(unit, ids)).with_for_update(skip_locked=True)).all()
    notices, gone = outbox.Draft(bodies), Counter[int]()
    for row in found:
        taken = taken_of(row, failing=False)
        decision = decide(rule("relay.dropped"))
        result = Result(row.id, decision, decision.enhanced, row.reply)
        unit.emit(departure(taken, result))
        tracking.note(unit, row.message, row.recipient.lower(), State.FAILED, decision.enhanced)
        notices.add("failed", taken, result, outbox.UNKNOWN)
        gone[row.body_id] += 1
    unit.connection.execute(delete(queue).where(queue.c.id.in_([row.id for row in found])))
    notices.commit(unit)
    for body_id, number in gone.items():
        bodies.release(unit, body_id, number)
    return _record(unit, actor, "drop", len(found))


def _free(unit: Unit, ids: Sequence[int]) -> ColumnElement[bool]:
    """Rows no courier holds at this moment."""
    return and_(queue.c.id.in_(ids), or_(queue.c.owner == "", queue.c.due_at <= unit.now, queue.c.due_at >= NEVER))


def _wake(unit: Unit, wanted: ColumnElement[bool]) -> None:
    """Probe the destinations of these rows now: while they are spared nothing leaves, however due it is."""
    domains = select(queue.c.domain).where(wanted).distinct()
    spared = and_(destination.c.domain.in_(domains), destination.c.retry_at > unit.now)
    unit.connection.execute(update(destination).where(spared).values(retry_at=unit.now))


def _witness(unit: Unit, kind: Kind, actor: str, wanted: ColumnElement[bool]) -> None:
    """Say of each recipient what is done to it: who asks about a message reads its own records, not those of the queue."""
    found = unit.connection.execute(select(queue.c.message, queue.c.recipient).where(wanted).with_for_update())
    unit.emit(*(Event(kind, actor=actor, message=row.message, recipient=row.recipient.lower()) for row in found))


def _record(unit: Unit, actor: str, what: str, done: int) -> int:
    if done:
        unit.emit(Event(Kind.QUEUE_ACTION, actor=actor, detail={"what": what, "count": done}))
    return done
