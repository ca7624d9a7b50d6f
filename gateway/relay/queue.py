"""The queue: one row per recipient, changed only inside the transaction of whoever changes it.

:func:`enqueue` belongs to the acceptance transaction; :func:`take` leases what is due to one courier, whose name and the
row's fence, which grows each time the row is taken, prove that the lease is still his; :mod:`gateway.relay.outcomes` moves
recipients on.
Promise: a courier that dies needs nobody to notice, its rows fall due (F18); taking costs one index step per destination
plus what is taken, and no destination can take the share of another (F32); new mail does not wait behind a backlog.
Failure: database errors propagate and the caller's transaction fails as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    ScalarSelect,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    select,
    update,
)

from gateway.relay.tables import NEVER, destination, queue
from mailboxes.address_columns import addresses_of
from mailboxes.addresses import Addresses
from mailboxes.commit import Unit
from mailboxes.sql import Insert
from policies.events import Event, Kind
from policies.retry import Schedule
from policies.values import DsnRequest

PROBE = 1  # rows taken from a destination that failed: enough to see whether it is back
CHUNK = 500


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


def enqueue(unit: Unit, rows: Sequence[Queued], schedule: Schedule) -> None:
    """Add recipients, inside the acceptance transaction. The caller holds one body reference per row."""
    if not rows:
        return
    own = addresses_of(unit.connection)
    _INSERT(unit.cursor, [_fresh(row, unit.now, schedule, own) for row in rows])
    unit.emit(
        *(
            Event(Kind.QUEUED, message=row.message, recipient=row.recipient.lower(), detail={"domain": row.domain})
            for row in rows
        )
    )


def _fresh(row: Queued, now: float, schedule: Schedule, own: Addresses) -> tuple[Any, ...]:
    # Nobody is warned of a delay who did not want to be, and never the null sender.
    silent = (bool(row.dsn.notify) and "DELAY" not in row.dsn.notify) or not row.sender or not schedule.warn
    return (
        row.message,
        row.body_id,
        row.wrapped,
        row.size,
        int(row.eight_bit),
        own.sealed(row.sender),
        own.sealed(row.recipient),
        row.domain,
        " ".join(sorted(row.dsn.notify)),
        own.sealed(row.dsn.orcpt),
        row.dsn.ret,
        own.sealed(row.dsn.envid),
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


OURS = and_(
    queue.c.id == bindparam("row"), queue.c.owner == bindparam("holder"), queue.c.fence == bindparam("held_fence")
)
_EXTEND = update(queue).where(OURS).values(due_at=bindparam("until"))


def give_back(unit: Unit, owner: str, rows: Sequence[tuple[int, int]]) -> None:
    """Rows taken but not tried, at an orderly stop: due again at once."""
    for row_id, fence in rows:
        unit.connection.execute(_GIVE_BACK, {"row": row_id, "holder": owner, "held_fence": fence, "until": unit.now})


_GIVE_BACK = update(queue).where(OURS).values(due_at=bindparam("until"), owner="")


def room_of(limits: Mapping[str, int], otherwise: int) -> Callable[[str], int]:
    """A ``room`` for :func:`take` from a mapping."""
    return lambda domain: limits.get(domain, otherwise)


def total(connection: Connection) -> int:
    """How many rows there are."""
    return int(connection.execute(select(func.count()).select_from(queue)).scalar_one())


def ids(rows: Iterable[Taken]) -> list[tuple[int, int]]:
    """(id, fence) pairs of leased rows."""
    return [(row.id, row.fence) for row in rows]
