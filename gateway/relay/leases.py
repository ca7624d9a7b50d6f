"""The rows a courier holds: until when, under which fence, and since which offset of the clocks.

Promise: :meth:`Leases.ours` says no as soon as a lease has lapsed or was found to be someone else's, so nothing is completed
toward a partner on a row another courier may hold (F19). A row can be taken again by the courier that still carries it, when
a clock that jumped makes its lease look old (F16): from then on only the newer taking counts, and nothing the older one does,
settling or dropping, touches it. Failure: a store that is away lets leases lapse by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

from gateway.relay import queue
from gateway.relay.parcel import Clock
from gateway.relay.queue import Taken
from mailboxes.commit import Committer


class Lease(NamedTuple):
    """A row in hand: ``end`` is monotonic, ``offset`` what separated wall and monotonic time when it was taken."""

    fence: int
    end: float
    offset: float


class Leases:
    """Leases of ``owner``, each ``seconds`` long."""

    def __init__(self, owner: str, committer: Committer, clock: Clock, seconds: float) -> None:
        self._owner = owner
        self._committer = committer
        self._clock = clock
        self._seconds = seconds
        self._held: dict[int, Lease] = {}
        self.ahead = 0.0
        """Seconds by which the clock of another courier may be ahead: it would take a shorter lease for lapsed."""

    @property
    def lasting(self) -> float:
        """How long a lease is written for."""
        return self._seconds + self.ahead

    def __len__(self) -> int:
        return len(self._held)

    def add(self, rows: Iterable[Taken], offset: float) -> None:
        """Rows just taken."""
        end = self._clock.monotonic() + self._seconds
        self._held.update({row.id: Lease(row.fence, end, offset) for row in rows})

    def drop(self, rows: Iterable[Taken]) -> None:
        """Rows settled or given back; those taken again since stay."""
        for row in rows:
            if self._current(row) is not None:
                del self._held[row.id]

    def ours(self, rows: Iterable[Taken]) -> bool:
        """Whether all these leases still hold."""
        now = self._clock.monotonic()
        return all((lease := self._current(row)) is not None and lease.end > now for row in rows)

    def _current(self, row: Taken) -> Lease | None:
        """The lease of this very taking of the row."""
        lease = self._held.get(row.id)
        return lease if lease is not None and lease.fence == row.fence else None

    def age_now(self, row: Taken) -> float:
        """The time to judge a row's age by: that of the clock when it was taken, plus what really passed (F16).

        Of a row no longer in hand any time will do: its fence keeps the outcome from being written.
        """
        lease = self._held.get(row.id)
        monotonic = self._clock.monotonic()
        return lease.offset + monotonic if lease is not None else self._clock.wall()

    async def keep(self) -> None:
        """Lengthen what is held, for ever."""
        while True:
            await asyncio.sleep(self._seconds / 3)
            if self._held:
                await self._extend()

    async def _extend(self) -> None:
        rows = self.pairs()
        end = self._clock.monotonic() + self._seconds
        try:
            kept = await self._committer.run(partial(queue.extend, owner=self._owner, rows=rows, lease=self.lasting))
        except Exception:  # noqa: BLE001 - what cannot be lengthened lapses; whoever lengthens must outlive it
            return
        for row_id, _ in rows:
            if row_id in self._held:
                self._held[row_id] = self._held[row_id]._replace(end=end if row_id in kept else 0.0)

    def pairs(self) -> list[tuple[int, int]]:
        """(id, fence) of everything held."""
        return [(row_id, lease.fence) for row_id, lease in self._held.items()]

    async def give_back(self) -> None:
        """At an orderly stop: everything held is due again at once."""
        rows = self.pairs()
        self._held.clear()
        await self._committer.run(partial(queue.give_back, owner=self._owner, rows=rows))
