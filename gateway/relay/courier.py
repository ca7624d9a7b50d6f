"""The courier: takes what is due, carries it, settles it, warns, gives up, and sends the notices owed.

A bounded window of leased rows is worked on in lanes, one per destination, so that a backlog of any size costs no
memory and no destination another's time (F32). It wakes when told of new mail, when the next row falls due, and once a
second for what other processes brought.
Promise: state changes only through :mod:`gateway.relay.queue`, in one transaction with their events and notices; a
courier that dies loses nothing, its leases lapse; one that slept past its lease changes nothing (F18, F19). Ages are
never read off a clock that jumped (F16).
Failure: a store that does not answer is waited for; an unexpected error in one parcel defers that parcel alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Connection

from gateway.relay import letters, notices, outbox, queue, tracking
from gateway.relay.parcel import (
    Attempt,
    Bodies,
    Clock,
    Parcel,
    Result,
    Submit,
    Transport,
    Undeliverable,
    Waypoint,
)
from gateway.relay.queue import Settlement, Taken
from mailboxes.commit import Committer, Reading, Unit
from mailboxes.store import Corrupted, MailboxGone, MissingBody, StoreError
from policies.catalogue import rule
from policies.decision import Decision, decide
from policies.receipts import State
from policies.retry import Lane, Schedule

log = structlog.get_logger(__name__)

EXPRESS_EACH = 100  # new rows of one destination taken at once, whatever waits in its lane
RECIPIENTS = 100  # of one message in one SMTP transaction (RFC 5321 4.5.3.1.8)


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
    parcels: deque[tuple[Taken, ...]] = field(default_factory=deque)
    running: int = 0
    rows: int = 0
    failing: bool = False


class _Lease(NamedTuple):
    """A row in hand: ``end`` is monotonic, ``offset`` what separated wall and monotonic time when it was taken."""

    fence: int
    end: float
    offset: float


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
        self._submit = submit
        self._house = house
        self._clock = clock
        self._chance = chance
        self._token = token
        self._settings = settings or Settings()
        self._lanes: dict[str, _Lane] = {}
        self._leases: dict[int, _Lease] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._stopping = False
        self._ended = asyncio.Event()
        self._ended.set()
        self._offset = clock.wall() - clock.monotonic()
        self._chores_at = 0.0
        self._tell_at = 0.0
        self._telling = False
        self._newest = 0
        self._new_mail = False
        self._look_at = 0.0
        self._sessions = asyncio.Semaphore(self._settings.sessions)

    def wake(self) -> None:
        """New mail was committed. Call on the event loop (``Unit.after_commit`` does)."""
        self._new_mail = True
        self._woken.set()

    def _made_room(self) -> None:
        """Work was done: look for more once there is room for a fair share of it, not for each row."""
        if len(self._leases) <= self._settings.window * 3 // 4:
            self._woken.set()

    # the loop

    async def run(self) -> None:
        """Work until :meth:`stop` is called."""
        self._ended.clear()
        await self._patiently(self._begin)
        keeper = asyncio.create_task(self._keep_leases())
        try:
            while not self._stopping:
                self._woken.clear()
                try:
                    pause = await self._turn()
                except StoreError as error:
                    log.warning("queue_store_unavailable", error=type(error).__name__)
                    pause = self._settings.poll
                except Exception as error:
                    log.exception("courier_turn_failed", error=type(error).__name__)
                    pause = self._settings.poll
                await self._sleep(pause)
        finally:
            keeper.cancel()
            self._ended.set()

    async def _begin(self) -> None:
        await self._committer.run(queue.begin)
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
        rows = [(row_id, lease.fence) for row_id, lease in self._leases.items()]
        try:
            await self._committer.run(lambda unit: queue.give_back(unit, self._name, rows))
        except StoreError as error:
            log.warning("leases_left_to_lapse", error=type(error).__name__, count=len(rows))
        self._leases.clear()
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
        offset = self._clock.wall() - self._clock.monotonic()
        jump = offset - self._offset
        if abs(jump) > self._settings.jump:
            log.error("clock_jumped", seconds=int(jump))
            await self._committer.run(lambda unit: queue.steady(unit, jump))
            self._offset = offset
        else:
            self._offset += jump * 0.01  # follows the slow drift between the two clocks, never a step

    async def _do_chores(self) -> None:
        if self._clock.monotonic() < self._chores_at:
            return
        await self._committer.run(queue.beat)
        while await self._committer.run(self._overdue) == queue.CHUNK:
            pass
        while await self._committer.run(self._unanswered) == tracking.CHUNK:
            pass
        await self._transport.sweep()
        self._chores_at = self._clock.monotonic() + self._settings.chores

    def _overdue(self, unit: Unit) -> int:
        done = queue.deadlines(unit, self._bodies, self._trusted_now())
        for message, recipient in done.delayed:
            tracking.note(unit, message, recipient, State.DELAYED)
        for message, recipient in done.expired:
            tracking.note(unit, message, recipient, State.FAILED)
        return done.rows

    def _unanswered(self, unit: Unit) -> int:
        return tracking.deadlines(unit, self._trusted_now())

    def _trusted_now(self) -> float:
        """Wall time as of the last jump we know of: what ages are judged by, never the wall itself (F16)."""
        return self._offset + self._clock.monotonic()

    # taking

    async def _take(self) -> float:
        """Lease what is due, new mail first, until nothing is or the window is full."""
        window = self._settings.window
        while not self._stopping:
            await self._take_fresh()
            if len(self._leases) > window * 3 // 4:
                break
            room, now = self._rooms(), self._clock.wall()
            if not await self._reading.run(partial(_anything_due, now=now, room=room)):
                break
            work = partial(
                queue.take,
                owner=self._name,
                lease=self._settings.lease,
                limit=window - len(self._leases),
                room=queue.room_of(room, self._settings.per_destination),
            )
            taken, next_due = await self._committer.run(work)
            if not taken:
                return max(0.0, next_due - now)
            self._dispatch(taken)
        return self._settings.poll

    async def _take_fresh(self) -> None:
        """New mail first, in places kept for it: when we are told of it, and once per poll for other processes'."""
        now = asyncio.get_running_loop().time()
        free = min(self._settings.window + self._settings.express - len(self._leases), self._settings.express)
        if free <= 0 or not (self._new_mail or now >= self._look_at):
            return
        self._new_mail, self._look_at = False, now + self._settings.poll
        if await self._reading.run(queue.newest) <= self._newest:
            return
        work = partial(
            queue.take_fresh,
            owner=self._name,
            lease=self._settings.lease,
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
        end = self._clock.monotonic() + self._settings.lease
        for row in taken:
            self._leases[row.id] = _Lease(row.fence, end, self._offset)
        for domain, rows in groupby(taken, key=lambda row: row.domain):
            lane = self._lanes.setdefault(domain, _Lane(self._settings.lane.narrow))
            for parcel in _parcels(rows):
                (lane.parcels.appendleft if first else lane.parcels.append)(parcel)
                lane.rows += len(parcel)
                lane.failing = lane.failing or parcel[0].failing
            self._fill(domain, lane)

    def _fill(self, domain: str, lane: _Lane) -> None:
        """As many workers as the lane is wide."""
        while lane.running < min(lane.limit, lane.running + len(lane.parcels)) and not self._stopping:
            lane.running += 1
            self._spawn(self._work(domain, lane, lane.parcels.popleft()))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # carrying

    async def _work(self, domain: str, lane: _Lane, parcel: tuple[Taken, ...]) -> None:
        """Carry one parcel after the other until the lane is empty."""
        try:
            while True:
                await self._one(domain, lane, parcel)
                if not lane.parcels or lane.running > lane.limit or self._stopping:
                    return
                parcel = lane.parcels.popleft()
        finally:
            lane.running -= 1
            if lane.parcels:
                self._fill(domain, lane)
            elif not lane.running and lane.limit <= self._settings.lane.narrow:
                self._lanes.pop(domain, None)
            self._made_room()

    async def _one(self, domain: str, lane: _Lane, rows: tuple[Taken, ...]) -> None:
        try:
            async with self._sessions:
                attempt = await self._carry(rows)
            await self._settle(domain, lane, rows, attempt)
        except StoreError as error:
            # The outcome could not be written: the leases lapse and the message is tried again (F28: loss never).
            log.error("outcome_not_written", message=rows[0].message, error=type(error).__name__)
        finally:
            lane.rows -= len(rows)
            for row in rows:
                self._leases.pop(row.id, None)

    async def _carry(self, rows: tuple[Taken, ...]) -> Attempt:
        if not self._still_ours(rows):
            return _everyone(rows, decide(rule("relay.busy"), "lease lapsed before the attempt"))
        try:
            body = await self._bodies.open(rows[0].body_id, rows[0].wrapped)
        except (MissingBody, Corrupted, MailboxGone) as error:
            log.error("queued_body_unreadable", message=rows[0].message, error=type(error).__name__)
            return _everyone(rows, decide(rule("relay.body_missing"), type(error).__name__))
        except StoreError as error:
            return _everyone(rows, decide(rule("relay.busy"), type(error).__name__))
        first = rows[0]
        parcel = Parcel(
            message=first.message,
            sender=first.sender,
            domain=first.domain,
            recipients=tuple(Waypoint(row.id, row.recipient, row.dsn) for row in rows),
            body=body,
            ret=first.dsn.ret,
            envid=first.dsn.envid,
            eight_bit=first.eight_bit,
            still_ours=lambda: self._still_ours(rows),
        )
        try:
            return await self._transport.send(parcel)
        except Exception as error:
            log.exception("parcel_failed", message=first.message, error=type(error).__name__)
            return _everyone(rows, decide(rule("relay.busy"), type(error).__name__))

    def _still_ours(self, rows: Iterable[Taken]) -> bool:
        now = self._clock.monotonic()
        return all(row.id in self._leases and self._leases[row.id].end > now for row in rows)

    # settling

    async def _settle(self, domain: str, lane: _Lane, rows: tuple[Taken, ...], attempt: Attempt) -> None:
        by_id = {result.id: result for result in attempt.results}
        now = self._clock.monotonic()
        settlements = [Settlement(row, by_id[row.id], self._leases[row.id].offset + now) for row in rows]
        broken = attempt.broken
        if broken is not None and queue.given_up(settlements[0], broken, self._settings.schedule):
            broken = None
        revived = lane.failing and broken is None
        refused = await self._committer.run(
            lambda unit: self._outcome(unit, domain, settlements, broken, revived=revived)
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

    def _outcome(
        self, unit: Unit, domain: str, settlements: list[Settlement], broken: Decision | None, *, revived: bool
    ) -> set[int]:
        schedule, retry_at = self._settings.schedule, dict[str, float]()
        if broken is not None:
            reply = settlements[0].result.reply
            retry_at[domain] = queue.spare(unit, domain, broken, reply, schedule, self._chance())
        elif revived:
            queue.revive(unit, domain)
        refused = queue.settle(unit, self._bodies, self._name, settlements, schedule, self._chance, retry_at)
        tracking.follow_up(unit, [one for one in settlements if one.row.id not in refused])
        return refused

    async def _hand_back(self, lane: _Lane) -> None:
        """What waited behind a parcel that found the destination down is not tried: it waits in the queue."""
        rows = [row for parcel in lane.parcels for row in parcel]
        lane.parcels.clear()
        lane.rows -= len(rows)
        for row in rows:
            self._leases.pop(row.id, None)
        if rows:
            await self._committer.run(lambda unit: queue.give_back(unit, self._name, queue.ids(rows)))

    # leases

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self._settings.lease / 3)
            if not self._leases:
                continue
            rows = [(row_id, lease.fence) for row_id, lease in self._leases.items()]
            began = self._clock.monotonic()
            try:
                kept = await self._committer.run(partial(self._extend, rows=rows))
            except StoreError:
                continue  # what cannot be extended lapses, and still_ours says so
            for row_id, _ in rows:
                if row_id in self._leases:
                    end = began + self._settings.lease if row_id in kept else 0.0
                    self._leases[row_id] = self._leases[row_id]._replace(end=end)

    def _extend(self, unit: Unit, rows: list[tuple[int, int]]) -> set[int]:
        return queue.extend(unit, self._name, rows, self._settings.lease)

    # notices

    async def _tell(self) -> None:
        """Send notices owed, in the background, one round at a time."""
        now = asyncio.get_running_loop().time()
        if self._telling or now < self._tell_at:
            return
        self._tell_at = now + self._settings.poll / 4
        due = await self._reading.run(outbox.next_due)
        if due is not None and due <= self._clock.wall():
            self._telling = True
            self._spawn(self._tell_all())

    async def _tell_all(self) -> None:
        try:
            while not self._stopping:
                owed = await self._committer.run(lambda unit: outbox.take(unit, self._settings.lease * 4))
                if not owed:
                    return
                for notice in owed:
                    await self._tell_one(notice)
        except StoreError as error:
            log.warning("notices_wait", error=type(error).__name__)
        finally:
            self._telling = False

    async def _tell_one(self, notice: outbox.Owed) -> None:
        try:
            identifier = await self._send_notice(notice)
        except (Undeliverable, ValueError, UnicodeError) as error:
            log.warning("notice_undeliverable", about=notice.message, error=type(error).__name__)
            identifier = ""
        except StoreError as error:
            log.warning("notice_waits", about=notice.message, error=type(error).__name__)
            wait = self._settings.notice_retry
            await self._committer.run(lambda unit: outbox.postpone(unit, notice, wait))
            return
        await self._committer.run(lambda unit: outbox.sent(unit, self._bodies, notice, identifier))

    async def _send_notice(self, notice: outbox.Owed) -> str:
        to = notice.recipient or self._house.postmaster
        if notice.action == "double_bounce" and any(_same(entry.recipient, to) for entry in notice.entries):
            raise Undeliverable("the postmaster cannot be told of his own notice")  # F34: the loop is cut here
        original = await self._original(notice)
        content = letters.build(notice, original, self._house, to, self._clock.wall(), self._token())
        return await self._submit.notice(None, to, content)

    async def _original(self, notice: outbox.Owed) -> notices.Original | None:
        if not notice.body_id:
            return None
        try:
            body = await self._bodies.open(notice.body_id, notice.wrapped)
            whole = notice.ret == "FULL" and body.size <= notices.FULL_BYTES
            content = await body.read(0, body.size if whole else notices.HEADER_BYTES)
        except (MissingBody, Corrupted, MailboxGone):
            return None  # the notice matters more than what it returns
        return notices.returned(content, body.size, notice.ret)


def _anything_due(connection: Connection, now: float, room: dict[str, int]) -> bool:
    return any(one.due_at <= now and room.get(one.domain, 1) > 0 for one in queue.waiting(connection))


def _parcels(rows: Iterable[Taken]) -> list[tuple[Taken, ...]]:
    """Recipients of one message travel together."""
    parcels: list[tuple[Taken, ...]] = []
    for _, group in groupby(rows, key=lambda row: (row.message, row.sender, row.body_id)):
        members = tuple(group)
        parcels += [members[at : at + RECIPIENTS] for at in range(0, len(members), RECIPIENTS)]
    return parcels


def _everyone(rows: Iterable[Taken], decision: Decision) -> Attempt:
    return Attempt(tuple(Result(row.id, decision, decision.enhanced) for row in rows))


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()
