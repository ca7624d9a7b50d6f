"""One budget for all message octets held while they arrive, shared by every door of the process.

A message may grow to :data:`FREE` octets without asking: these are counted, never delayed. Beyond that its connection
asks once for room for the whole message and reads no further until it is given, first come first served. One ``owner`` (an
account, a partner) never holds the last room: ``spare`` octets of it are for others, so that who announces much and sends
nothing keeps only himself waiting.
Promise: no deadlock: a connection asks once, holding no other room, and the first in line always enters when nobody
holds room. A quarter of the total is kept for free beginnings, more when they are more; reserved and free octets
together stay within the total as long as the beginnings fit their quarter and one message fits the rest.
Failure: :class:`BudgetTimeout` after ``patience`` seconds in the queue; the door answers 452 4.3.1 (``store.busy``).

IMAP APPEND uses it as ``async with budget.reserve(n): ...``.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

FREE = 256 * 1024
"""Octets of a message that need no reservation."""


class BudgetTimeout(Exception):
    """No room was freed in time."""


class _Place(NamedTuple):
    """One that waits in line."""

    octets: int
    owner: str
    given: asyncio.Future[None]


class Budget:
    """``total`` octets for all messages in flight; ``patience`` is the longest wait in seconds.

    ``spare`` is what one owner leaves to others, a largest message at best; never more than half of the room."""

    def __init__(self, total: int, *, spare: int = 0, patience: float = 60.0) -> None:
        if total < FREE:
            raise ValueError(f"a budget of {total} octets cannot hold one small message")
        self.total = total
        self.spare = spare
        self.patience = patience
        self.reserved = 0
        self.borrowed = 0
        self._held: Counter[str] = Counter()  # reserved octets of each owner
        self._queue: deque[_Place] = deque()

    def resize(self, total: int, spare: int) -> None:
        """Another total from now on; a smaller one holds once enough of what is in flight has ended."""
        self.total = max(total, FREE)
        self.spare = spare
        self._admit()

    @property
    def waiting(self) -> int:
        """Connections in the queue."""
        return len(self._queue)

    def borrow(self, octets: int) -> None:
        """Count octets of a message that is still small. Never waits."""
        self.borrowed += octets

    def give_back(self, octets: int) -> None:
        """The counterpart of :meth:`borrow`."""
        self.borrowed -= octets
        self._admit()

    async def take(self, octets: int, owner: str = "") -> None:
        """Wait for room for ``octets``; :class:`BudgetTimeout` when it does not come. Pair with :meth:`release`."""
        place = _Place(octets, owner, asyncio.get_running_loop().create_future())
        self._queue.append(place)
        self._admit()
        if place.given.done():
            return
        try:
            # asyncio.wait_for would swallow a cancellation that comes with the answer
            async with asyncio.timeout(self.patience):
                await asyncio.shield(place.given)
        except TimeoutError:
            self._leave(place)
            raise BudgetTimeout from None
        except asyncio.CancelledError:
            self._leave(place)
            raise

    def release(self, octets: int, owner: str = "") -> None:
        """Give room back and let the next ones in."""
        self.reserved -= octets
        self._held[owner] -= octets
        if not self._held[owner]:
            del self._held[owner]
        self._admit()

    @asynccontextmanager
    async def reserve(self, octets: int) -> AsyncIterator[None]:
        """Room for ``octets`` for the length of the block; small messages enter at once."""
        if octets <= FREE:
            self.borrow(octets)
            try:
                yield
            finally:
                self.give_back(octets)
            return
        await self.take(octets)
        try:
            yield
        finally:
            self.release(octets)

    def _fits(self, octets: int) -> bool:
        if self.reserved == 0:
            return True
        return self.reserved + max(self.borrowed, self.total // 4) + octets <= self.total

    def _shares(self, octets: int, owner: str) -> bool:
        """Whether ``owner`` leaves room to others. The first message of each may be of any size."""
        held, room = self._held[owner], self.total - self.total // 4
        return not owner or not held or held + octets <= room - min(self.spare, room // 2)

    def _admit(self) -> None:
        """In the order of asking; only who holds his share already is overtaken."""
        passed: list[_Place] = []
        while self._queue:
            place = self._queue[0]
            if not self._shares(place.octets, place.owner):
                passed.append(self._queue.popleft())
                continue
            if not self._fits(place.octets):
                break
            self._queue.popleft()
            self.reserved += place.octets
            self._held[place.owner] += place.octets
            place.given.set_result(None)
        self._queue.extendleft(reversed(passed))

    def _leave(self, place: _Place) -> None:
        """Out of the queue without entering; room that was given in the same instant goes to the next."""
        if place.given.done():
            self.release(place.octets, place.owner)
            return
        place.given.cancel()
        self._queue.remove(place)
        self._admit()
