"""The courier: takes what is due, carries it, settles it, warns, gives up, and sends the notices owed.

A bounded window of leased rows is worked on in lanes, one per destination, so that a backlog of any size costs no
memory and no destination another's time (F32). It wakes when told of new mail, when the next row falls due, and once a
second for what other processes brought.
Promise: state changes only through :mod:`gateway.relay.outcomes`, in one transaction with their events and notices; a
courier that dies loses nothing, its leases lapse; one that slept past its lease changes nothing (F18, F19). Ages are
never read off a clock that jumped (F16).
Failure: a store that does not answer is waited for; an unexpected error in one parcel defers that parcel alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection

from gateway.relay import clockwork, notices, outcomes, queue, tracking
from gateway.relay.handover import Handover, Rows, parcels
from gateway.relay.leases import Leases
from gateway.relay.outcomes import Settlement
from gateway.relay.parcel import Attempt, Bodies, Clock, Submit, Transport
from gateway.relay.queue import Taken
from gateway.relay.tables import NEVER
from gateway.relay.teller import Teller
from mailboxes.commit import Committer, Reading, Unit
from mailboxes.seldom import Seldom
from mailboxes.store import StoreError
from policies.catalogue import rule
from policies.receipts import State
from policies.retry import Lane, Schedule

T = TypeVar("T")

log = structlog.get_logger(__name__)

TURN_SECONDS = 1.0  # how long a lane keeps a session to itself while others wait for one
PASSING_SHARE = 10  # one session in so many is kept for new mail while older mail takes all the others
NOTICE_LEASES = 4  # a round of notices may take as many leases of a row
BEATS = 2  # of other couriers that a start waits for when their last one is ahead of our clock
DIFFERS = 2.0  # seconds between the clocks of two machines that are worth a word
EXPRESS_EACH = 100  # new rows of one destination taken at once, whatever waits in its lane


@dataclass(frozen=True, slots=True)
class Settings:
    """``window`` rows are leased at most, and ``express`` more that are new; ``sessions`` parcels carried at once.

    Times are in seconds.
    """

    schedule: Schedule = field(default_factory=Schedule)
    lane: Lane = field(default_factory=Lane)
    window: int = 1000
    express: int = 200
    sessions: int = 200
    per_destination: int = 100
    lease: float = 30.0
    poll: float = 1.0
    chores: float = 15.0
    jump: float = 60.0
    notice_retry: float = 60.0


@dataclass(slots=True, eq=False)
class _Lane:
    """Work in hand for one destination."""

    limit: int
    parcels: deque[Rows] = field(default_factory=deque)
    running: int = 0
    passing: int = 0  # new messages carried beside the workers, whom older ones keep busy
    rows: int = 0
    failing: bool = False


class Courier:
    """One courier. ``name`` is unlike any other courier's, of this or another run; ``token`` gives 128 random bits.

    ``chance`` is uniform in [0, 1). :meth:`run` works until :meth:`stop`.
    """

    def __init__(
        self,
        name: str,
        committer: Committer,
        reading: Reading,
        bodies: Bodies,
        transport: Transport,
        submit: Submit,
        house: notices.House,
        clock: Clock,
        chance: Callable[[], float],
        token: Callable[[], str],
        settings: Settings | None = None,
    ) -> None:
        self._name = name
        self._committer = committer
        self._reading = reading
        self._bodies = bodies
        self._transport = transport
        self._clock = clock
        self._settings = settings or Settings()
        self._handover = Handover(name, bodies, transport, self._settings.schedule, chance)
        self._teller = Teller(
            committer,
            reading,
            bodies,
            submit,
            house,
            clock,
            token,
            lease=self._settings.lease * NOTICE_LEASES,
            retry=self._settings.notice_retry,
        )
        self._lanes: dict[str, _Lane] = {}
        self._active = 0  # lanes with somebody at work
        self._leases = Leases(name, committer, clock, self._settings.lease)
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._stopping = False
        self._ended = asyncio.Event()
        self._ended.set()
        self._seldom = Seldom()
        self._steady = clockwork.Steady(clock, self._settings.jump)
        self._chores_at = 0.0
        self._sweep: asyncio.Task[None] | None = None
        self._tell_at = 0.0
        self._telling = False
        self._newest = 0
        self._new_mail = False
        self._look_at = 0.0
        self._has_room = True  # something left the window since the queue was last looked at
        self._next_due = 0.0  # wall time before which nothing known falls due
        self._look_again = 0.0
        kept = self._settings.sessions // PASSING_SHARE  # places older mail never takes
        self._sessions = asyncio.Semaphore(self._settings.sessions - kept)
        self._passing = asyncio.Semaphore(kept)

    def follow(self, schedule: Schedule, lane: Lane) -> None:
        """Take up another schedule and width of lanes: from the next outcome and the next success or failure on."""
        self._settings = replace(self._settings, schedule=schedule, lane=lane)
        self._handover = replace(self._handover, schedule=schedule)

    def wake(self) -> None:
        """New mail was committed. Call on the event loop (``Unit.after_commit`` does)."""
        self._new_mail = True
        self._woken.set()

    def _made_room(self) -> None:
        """Work was done: look for more once there is room for a fair share of it, not for each row."""
        self._has_room = True
        if len(self._leases) <= self._settings.window * 3 // 4:
            self._woken.set()

    # the loop

    async def run(self) -> None:
        """Work until :meth:`stop` is called."""
        self._ended.clear()
        await self._patiently(self._begin)
        keeper = asyncio.create_task(self._leases.keep())
        try:
            while not self._stopping:
                self._woken.clear()
                try:
                    pause = await self._turn()
                except StoreError as error:
                    if times := self._seldom.times("store"):
                        log.warning("queue_store_unavailable", error=type(error).__name__, times=times)
                    pause = self._settings.poll
                except Exception as error:
                    log.exception("courier_turn_failed", error=type(error).__name__)
                    pause = self._settings.poll
                await self._sleep(pause)
        finally:
            keeper.cancel()
            self._ended.set()

    async def _begin(self) -> None:
        if seen := await self._committer.run(clockwork.begin):
            until = self._clock.monotonic() + BEATS * self._settings.chores
            while not self._stopping and self._clock.monotonic() < until:
                self._woken.clear()
                await self._sleep(self._settings.poll)
            await self._committer.run(partial(clockwork.begin, seen=seen))
        self._newest = await self._reading.run(queue.newest)

    async def stop(self, grace: float = 30.0) -> None:
        """Take nothing more, let what is being said end within ``grace`` seconds, give the rest back."""
        self._stopping = True
        self.wake()
        ended = asyncio.ensure_future(self._ended.wait())  # what the loop is just taking is given back too
        await asyncio.wait([ended, *self._tasks], timeout=grace)
        ended.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._leases.give_back()
        except StoreError as error:
            log.warning("leases_left_to_lapse", error=type(error).__name__)
        await self._transport.close()

    async def _patiently(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        while not self._stopping:
            try:
                await work()
            except StoreError:
                await asyncio.sleep(self._settings.poll)
            else:
                return

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, min(seconds, self._settings.poll))):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _turn(self) -> float:
        """One look at everything that may be due; returns how long nothing can be."""
        await self._check_clock()
        await self._do_chores()
        await self._tell()
        return await self._take()

    async def _check_clock(self) -> None:
        jump = self._steady.jump()
        if jump:
            log.error("clock_jumped", seconds=int(jump))
            await self._committer.run(lambda unit: clockwork.steady(unit, jump))
            self._steady.believe(jump)

    async def _do_chores(self) -> None:
        if self._clock.monotonic() < self._chores_at:
            return
        await self._see_others()
        while await self._committer.run(self._overdue) == queue.CHUNK:
            pass
        while await self._committer.run(self._unanswered) == tracking.CHUNK:
            pass
        if self._sweep is None or self._sweep.done():  # beside the loop: a partner may be slow even to say goodbye
            self._sweep = self._spawn(self._transport.sweep())
        self._chores_at = self._clock.monotonic() + self._settings.chores

    async def _see_others(self) -> None:
        """Tell our time, and let our leases outlast the clock of a machine that is ahead: it took them for lapsed, and every
        message it saw under way went out twice."""
        ahead = await self._committer.run(clockwork.beat)
        self._leases.ahead = ahead + self._settings.chores if ahead > DIFFERS else 0.0
        self._teller = replace(self._teller, lease=self._settings.lease * NOTICE_LEASES + self._leases.ahead)
        if self._leases.ahead and (times := self._seldom.times("clocks")):
            log.error("clocks_differ", seconds=int(ahead), times=times)

    def _overdue(self, unit: Unit) -> int:
        if self._steady.jump():
            return 0  # just now: another courier may have moved the queue already, and our time is the old one
        done = outcomes.deadlines(unit, self._bodies, self._steady.now())
        for message, recipient in done.delayed:
            tracking.note(unit, message, recipient, State.DELAYED)
        for message, recipient in done.expired:
            tracking.note(unit, message, recipient, State.FAILED, rule("relay.expired").enhanced)
        return done.rows

    def _unanswered(self, unit: Unit) -> int:
        if self._steady.jump():
            return 0
        return tracking.deadlines(unit, self._steady.now())

    # taking

    async def _take(self) -> float:
        """Lease what is due, new mail first, until nothing is or the window is full."""
        window = self._settings.window
        while not self._stopping:
            await self._take_fresh()
            if len(self._leases) > window * 3 // 4:
                return self._settings.poll
            now = self._clock.wall()
            if not self._worth_looking(now):
                break
            room = self._rooms()
            found, self._next_due = await self._reading.run(partial(_anything_due, now=now, room=room))
            if not found:
                break
            work = partial(
                queue.take,
                owner=self._name,
                lease=self._leases.lasting,
                limit=window - len(self._leases),
                room=queue.room_of(room, self._settings.per_destination),
            )
            taken, next_due = await self._committer.run(work)
            if not taken:
                return max(0.0, next_due - now)
            self._has_room = True
            self._dispatch(taken)
        return min(self._settings.poll, max(0.0, self._next_due - self._clock.wall()))

    def _worth_looking(self, now: float) -> bool:
        """Whether the queue may have changed for us: time passed, room was made, or a second went by in which others may
        have changed it. New mail of our own is known without looking."""
        instant = asyncio.get_running_loop().time()
        if not self._has_room and now < self._next_due and instant < self._look_again:
            return False
        self._has_room, self._look_again = False, instant + self._settings.poll
        return True

    async def _take_fresh(self) -> None:
        """New mail first, in places kept for it: when we are told of it, and once per poll for other processes'."""
        now = asyncio.get_running_loop().time()
        free = min(self._settings.window + self._settings.express - len(self._leases), self._settings.express)
        if free <= 0 or not (self._new_mail or now >= self._look_at):
            return
        told, self._new_mail, self._look_at = self._new_mail, False, now + self._settings.poll
        if not told and await self._reading.run(queue.newest) <= self._newest:
            return
        work = partial(
            queue.take_fresh,
            owner=self._name,
            lease=self._leases.lasting,
            limit=free,
            room=lambda domain: EXPRESS_EACH,
            after=self._newest,
        )
        taken, self._newest = await self._committer.run(work)
        self._dispatch(taken, first=True)

    def _rooms(self) -> dict[str, int]:
        return {domain: self._room(lane) for domain, lane in self._lanes.items()}

    def _room(self, lane: _Lane) -> int:
        """How many rows more a lane takes: none before it is half empty, so that rows are taken many at a time."""
        room = self._settings.per_destination - lane.rows
        return 0 if lane.failing or room * 2 < self._settings.per_destination else room

    def _dispatch(self, taken: list[Taken], *, first: bool = False) -> None:
        self._leases.add(taken, self._steady.offset)
        for domain, rows in groupby(taken, key=lambda row: row.domain):
            lane = self._lanes.setdefault(domain, _Lane(self._settings.lane.narrow))
            for parcel in parcels(rows):
                lane.rows += len(parcel)
                lane.failing = lane.failing or parcel[0].failing
                if first and self._may_pass(lane):
                    lane.passing += 1
                    self._spawn(self._pass(domain, lane, parcel))
                else:
                    (lane.parcels.appendleft if first else lane.parcels.append)(parcel)
            self._fill(domain, lane)

    def _may_pass(self, lane: _Lane) -> bool:
        """Whether a new message would only wait for older ones: its destination works and has not too much at once."""
        busy = self._sessions.locked() or lane.running >= self._width(lane)
        own = self._settings.lane
        if self._passing.locked():
            return False
        return busy and not lane.failing and lane.passing < own.narrow and lane.running + lane.passing < own.wide

    def _fill(self, domain: str, lane: _Lane) -> None:
        """As many workers as the lane is wide."""
        while lane.parcels and lane.running < self._width(lane) and not self._stopping:
            self._active += not lane.running
            lane.running += 1
            self._spawn(self._work(domain, lane, lane.parcels.popleft()))

    def _width(self, lane: _Lane) -> int:
        """How many workers a lane may have now: its own limit, and its share of the sessions when many want them.

        Two hundred destinations with one session each keep these open; with five each they would close one another's.
        """
        return max(1, min(lane.limit, self._settings.sessions // max(1, self._active)))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # carrying

    async def _work(self, domain: str, lane: _Lane, parcel: Rows) -> None:
        """Carry one parcel after the other until the lane is empty, in turns when others wait for a session too."""
        try:
            while True:
                following = await self._turn_of(domain, lane, parcel)
                if following is None:
                    return
                parcel = following
        finally:
            lane.running -= 1
            self._active -= not lane.running
            if lane.parcels:
                self._fill(domain, lane)
            self._left(domain, lane)

    async def _turn_of(self, domain: str, lane: _Lane, parcel: Rows) -> Rows | None:
        """One turn; the parcel that comes next when the turn is over before the lane is empty.

        A turn is time, not a message: a session just opened carries many, and a slow partner still only one.
        """
        async with self._sessions:
            ends = asyncio.get_running_loop().time() + TURN_SECONDS
            while True:
                await self._one(domain, lane, parcel)
                if not lane.parcels or lane.running > self._width(lane) or self._stopping:
                    return None
                parcel = lane.parcels.popleft()
                if asyncio.get_running_loop().time() > ends:
                    return parcel

    async def _pass(self, domain: str, lane: _Lane, parcel: Rows) -> None:
        """Carry one new message past the older ones."""
        try:
            async with self._passing:
                await self._one(domain, lane, parcel)
        finally:
            lane.passing -= 1
            self._left(domain, lane)

    def _left(self, domain: str, lane: _Lane) -> None:
        """A worker ended: forget a lane where nothing happens, and look for more."""
        quiet = not (lane.parcels or lane.running or lane.passing)
        if quiet and lane.limit <= self._settings.lane.narrow:
            self._lanes.pop(domain, None)
        self._made_room()

    async def _one(self, domain: str, lane: _Lane, rows: Rows) -> None:
        try:
            attempt = await self._handover.carry(rows, lambda: self._leases.ours(rows))
            await self._settle(domain, lane, rows, attempt)
        except StoreError as error:
            # The outcome could not be written: the leases lapse and the message is tried again (F28: loss never).
            log.error("outcome_not_written", message=rows[0].message, error=type(error).__name__)
        except Exception as error:
            log.exception("parcel_not_settled", message=rows[0].message, error=type(error).__name__)
        finally:
            lane.rows -= len(rows)
            self._leases.drop(rows)

    # settling

    async def _settle(self, domain: str, lane: _Lane, rows: Rows, attempt: Attempt) -> None:
        by_id = {result.id: result for result in attempt.results}
        settlements = [Settlement(row, by_id[row.id], self._leases.age_now(row)) for row in rows]
        broken = attempt.broken
        if broken is not None and outcomes.given_up(settlements[0], broken, self._settings.schedule):
            broken = None
        revived = lane.failing and broken is None
        refused = await self._insist(
            lambda unit: self._handover.write(unit, domain, settlements, broken, revived=revived)
        )
        if refused:
            log.warning("lease_lost", message=rows[0].message, count=len(refused))
        if broken is None:
            lane.failing = False
            lane.limit = self._settings.lane.after_success(lane.limit)
        else:
            lane.failing = True
            lane.limit = self._settings.lane.after_failure(lane.limit)
            await self._hand_back(lane)

    async def _insist(self, work: Callable[[Unit], T]) -> T:
        """Write what happened at the partner's, waiting out a store that is away (F11): the fence says if it is too late."""
        for pause in (1, 2, 4, 8, 16, *[30] * 20):
            try:
                return await self._committer.run(work)
            except StoreError as error:
                if self._stopping:
                    raise
                log.warning("outcome_waits", error=type(error).__name__)
                await asyncio.sleep(pause * self._settings.poll)
        return await self._committer.run(work)

    async def _hand_back(self, lane: _Lane) -> None:
        """What waited behind a parcel that found the destination down is not tried: it waits in the queue."""
        rows = [row for parcel in lane.parcels for row in parcel]
        lane.parcels.clear()
        lane.rows -= len(rows)
        self._leases.drop(rows)
        if rows:
            await self._committer.run(lambda unit: queue.give_back(unit, self._name, queue.ids(rows)))

    # notices

    async def _tell(self) -> None:
        """Send notices owed, in the background, one round at a time."""
        now = asyncio.get_running_loop().time()
        if self._telling or now < self._tell_at:
            return
        self._tell_at = now + self._settings.poll / 4
        if await self._teller.due():
            self._telling = True
            self._spawn(self._tell_all())

    async def _tell_all(self) -> None:
        try:
            while not self._stopping and await self._teller.tell():
                pass
        except StoreError as error:
            log.warning("notices_wait", error=type(error).__name__)
        finally:
            self._telling = False


def _anything_due(connection: Connection, now: float, room: dict[str, int]) -> tuple[bool, float]:
    """Whether a destination we have room for has something due, and when the next one that has nothing will."""
    everyone = queue.waiting(connection)
    later = min((one.due_at for one in everyone if one.due_at > now), default=NEVER)
    return any(one.due_at <= now and room.get(one.domain, 1) > 0 for one in everyone), later
