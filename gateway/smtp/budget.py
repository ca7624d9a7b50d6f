"""One budget for all message octets held while they arrive, shared by every door of the process.

A message may grow to :data:`FREE` octets without asking: these are counted, never delayed. Beyond that its connection
asks once for room for the whole message and reads no further until it is given, first come first served.
Promise: no deadlock: a connection asks once, holding no other room, and the first in line always enters when nobody
holds room. A quarter of the total is kept for free beginnings, more when they are more; reserved and free octets
together stay within the total as long as the beginnings fit their quarter and one message fits the rest.
Failure: :class:`BudgetTimeout` after ``patience`` seconds in the queue; the door answers 452 4.3.1 (``store.busy``).

IMAP APPEND uses it as ``async with budget.reserve(n): ...``.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

FREE = 256 * 1024
"""Octets of a message that need no reservation."""
_M_MMAP_THRESHOLD = -3  # malloc.h


def give_large_blocks_back() -> bool:
    """Make glibc return each large block to the system when it is freed; False where there is no glibc.

    By default it raises its threshold to the size of what was freed, up to 32 MiB, and keeps later blocks of that size
    in its heap, in pieces: receiving 50 x 25 MiB under a budget of 64 MiB then grew the process by 122 MiB (measured).
    """
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, FREE))
    except (AttributeError, OSError):
        return False


class BudgetTimeout(Exception):
    """No room was freed in time."""


class Budget:
    """``total`` octets for all messages in flight; ``patience`` is the longest wait in seconds."""

    def __init__(self, total: int, *, patience: float = 60.0) -> None:
        if total < FREE:
            raise ValueError(f"a budget of {total} octets cannot hold one small message")
        self.total = total
        self.patience = patience
        self.reserved = 0
        self.borrowed = 0
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    def resize(self, total: int) -> None:
        """Another total from now on; a smaller one holds once enough of what is in flight has ended."""
        self.total = max(total, FREE)
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

    async def take(self, octets: int) -> None:
        """Wait for room for ``octets``; :class:`BudgetTimeout` when it does not come. Pair with :meth:`release`."""
        if not self._queue and self._fits(octets):
            self.reserved += octets
            return
        place = asyncio.get_running_loop().create_future()
        self._queue.append((octets, place))
        try:
            # asyncio.wait_for would swallow a cancellation that comes with the answer
            async with asyncio.timeout(self.patience):
                await asyncio.shield(place)
        except TimeoutError:
            self._leave(octets, place)
            raise BudgetTimeout from None
        except asyncio.CancelledError:
            self._leave(octets, place)
            raise

    def release(self, octets: int) -> None:
        """Give room back and let the next ones in."""
        self.reserved -= octets
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
        free = max(self.borrowed, self.total // 4)
        return self.reserved + free + octets <= self.total

    def _admit(self) -> None:
        while self._queue and self._fits(self._queue[0][0]):
            octets, place = self._queue.popleft()
            self.reserved += octets
            place.set_result(None)

    def _leave(self, octets: int, place: asyncio.Future[None]) -> None:
        """Out of the queue without entering; room that was given in the same instant goes to the next."""
        if place.done():
            self.release(octets)
            return
        place.cancel()
        self._queue.remove((octets, place))
        self._admit()
