"""The queue and a wall clock that may jump (F16): tells true time from a step, and moves what waits along with a step.

Ages are judged by :meth:`Steady.now`, the wall time of the last known jump plus monotonic time. When a courier sees the
wall step away from it, the whole queue is moved by the same amount, once for all processes, except what was written since.
Promise: a jump bounces nobody, however many processes see it; time during which no courier ran at all does not count
toward the end of what waits. Failure: database errors propagate.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Case, Column, ColumnElement, and_, case, insert, not_, select, update

from gateway.relay.parcel import Clock
from gateway.relay.tables import NEVER, clock, destination, followed, queue
from mailboxes.commit import Unit
from policies.events import Event, Kind

JUMP_WINDOW = 600.0  # two couriers that see a like jump within this time saw the same one
JUMP_LIKENESS = 60.0
SEEN_WITHIN = 60.0  # a courier sees a jump sooner than that
AWAY = 3600.0  # a longer absence of every courier does not age what waits
DRIFT = 0.01  # how fast the slow drift between the two clocks is followed, per look


class Steady:
    """The time ages are judged by. ``threshold`` is how many seconds of difference are a jump."""

    def __init__(self, clock: Clock, threshold: float) -> None:
        self._clock = clock
        self._threshold = threshold
        self.offset = clock.wall() - clock.monotonic()

    def now(self) -> float:
        """Wall time as of the last jump known: never the wall itself."""
        return self.offset + self._clock.monotonic()

    def jump(self) -> float:
        """Seconds by which the wall stepped since it was last believed; 0 when it did not."""
        difference = self._clock.wall() - self._clock.monotonic() - self.offset
        if abs(difference) > self._threshold:
            return difference
        self.offset += difference * DRIFT
        return 0.0

    def believe(self, jump: float) -> None:
        """The queue was moved: the wall is right again."""
        self.offset += jump


def steady(unit: Unit, jump: float) -> bool:
    """A courier saw the wall clock jump by ``jump`` seconds: move the queue with it, once for all processes (F16)."""
    row = _clock_row(unit)
    if abs(unit.now - row.jumped_at) < JUMP_WINDOW and abs(jump - row.jumped_by) < JUMP_LIKENESS:
        return False
    shift(unit, jump)
    unit.connection.execute(update(clock).values(beat=unit.now, jumped_at=unit.now, jumped_by=jump))
    unit.emit(Event(Kind.CLOCK_JUMP, detail={"seconds": int(jump)}))
    return True


def begin(unit: Unit, seen: float = 0.0) -> float:
    """A courier starts: time during which none ran is not part of the life of what waits.

    A last beat that is ahead of our clock is returned and nothing done: if it is the same some beats later, ``seen`` then, our
    clock was set back; if not, somebody on a machine that is ahead is at work, and the queue is in his time.
    """
    beat = float(_clock_row(unit).beat)
    away = unit.now - beat
    if away < -JUMP_LIKENESS:
        if beat != seen:
            return 0.0 if seen else beat
        shift(unit, away)
        unit.emit(Event(Kind.CLOCK_JUMP, detail={"seconds": int(away)}))
    elif away > AWAY:
        shift(unit, away, life_only=True)
    unit.connection.execute(update(clock).values(beat=unit.now))
    return 0.0


def beat(unit: Unit) -> float:
    """A courier is at work. Returns by how much the clock of another machine's courier is ahead of ours, which it tells here:
    the latest time stays until ours has come so far, unless it is beyond belief."""
    ahead = float(_clock_row(unit).beat) - unit.now
    if 0 < ahead < AWAY:
        return ahead
    unit.connection.execute(update(clock).values(beat=unit.now))
    return 0.0


def _clock_row(unit: Unit) -> Any:
    row = unit.connection.execute(select(clock).with_for_update()).one_or_none()
    if row is None:
        unit.connection.execute(insert(clock), {"id": 1, "beat": unit.now, "jumped_at": 0.0, "jumped_by": 0.0})
        row = unit.connection.execute(select(clock)).one()
    return row


def shift(unit: Unit, seconds: float, *, life_only: bool = False) -> None:
    """Move the queue's times with a clock that jumped, or its ends of life past a time when no courier ran (F16).

    What was written since the jump already has the new time and is left alone. After a jump back it is known by a time
    just past: what had then waited for as long as the jump looks alike, and lives that much longer.
    """
    if life_only:
        later = case((queue.c.warned == 1, queue.c.deadline_at + seconds), else_=queue.c.deadline_at)
        unit.connection.execute(update(queue).values(expires_at=queue.c.expires_at + seconds, deadline_at=later))
        return
    recent = unit.now - seconds / 2 if seconds > 0 else NEVER
    unit.connection.execute(update(queue).values(due_at=_moved(queue.c.due_at, recent, seconds)))
    unit.connection.execute(update(destination).values(retry_at=_moved(destination.c.retry_at, recent, seconds)))
    unit.connection.execute(
        update(queue)
        .where(not_(_since(queue.c.accepted_at, unit.now, seconds)))
        .values(
            accepted_at=queue.c.accepted_at + seconds,
            expires_at=queue.c.expires_at + seconds,
            deadline_at=queue.c.deadline_at + seconds,
        )
    )
    waits = and_(followed.c.deadline_at < NEVER, not_(_since(followed.c.sent_at, unit.now, seconds)))
    unit.connection.execute(update(followed).where(waits).values(deadline_at=followed.c.deadline_at + seconds))


def _since(column: Column[float], now: float, seconds: float) -> ColumnElement[bool]:
    """Whether a time was written after the jump."""
    return column >= now - seconds / 2 if seconds > 0 else column.between(now - SEEN_WITHIN, now)


def _moved(column: Column[float], recent: float, seconds: float) -> Case[float]:
    """A due time moved with the clock, unless it is on hold or written since; a try too early harms nothing."""
    return case((column < min(recent, NEVER / 2), column + seconds), else_=column)
