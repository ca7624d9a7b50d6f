"""What one process has done since it began, counted where it happens.

Counted is what the journal records (:mod:`policies.events`), so that figures and evidence say the same, with the little that leaves no
event: IMAP commands, the time of commits, how late the event loop is, HTTP answers.
Promise: plain additions in memory, a microsecond each; the number of different keys is bounded whatever partners send: names of doors,
rules and commands are ours, domains beyond :data:`DOMAINS` are counted together. No address is ever a key. Failure: none.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from policies.events import Event, Kind

DOMAINS: Final = 50
"""Domains counted by name; the others are :data:`OTHER`."""
OTHER: Final = "other"
COMMIT_BOUNDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0)
LAG_BOUNDS: Final = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0)
"""Seconds."""
MINUTES: Final = 60


class Spread:
    """How often a duration fell below each of ``bounds``, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds

    def told(self) -> dict[str, Any]:
        return {"counts": list(self.counts), "sum": self.total}


class Hour:
    """Recipients of the last sixty minutes whose mail arrived elsewhere, or failed; and notices sent."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._minutes = [[0, 0, 0] for _ in range(MINUTES)]
        self._now = int(clock() // 60)

    def add(self, place: int) -> None:
        self._advance()[place] += 1

    def told(self) -> list[int]:
        """Arrived, failed, notices."""
        self._advance()
        return [sum(minute[place] for minute in self._minutes) for place in range(3)]

    def _advance(self) -> list[int]:
        now = int(self._clock() // 60)
        for minute in range(self._now + 1, min(now, self._now + MINUTES) + 1):
            self._minutes[minute % MINUTES] = [0, 0, 0]
        self._now = max(self._now, now)
        return self._minutes[self._now % MINUTES]


ARRIVED, FAILED, NOTICES = range(3)


class Counts:
    """One process's. Events are counted in the thread that commits, the rest on the event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.events: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()
        self.deferred: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.handed_over: Counter[str] = Counter()
        self.imap: Counter[str] = Counter()
        self.http: Counter[tuple[str, str]] = Counter()
        self.commits = Spread(COMMIT_BOUNDS)
        self.lag = Spread(LAG_BOUNDS)
        self.hour = Hour(clock)
        self._also: Mapping[Kind, Callable[[Event], None]] = {
            Kind.MESSAGE_ACCEPTED: self._accepted,
            Kind.MESSAGE_REFUSED: self._refused,
            Kind.PEER_REFUSED: self._turned_away,
            Kind.HANDED_OVER: self._handed_over,
            Kind.DEFERRED: self._deferred,
            Kind.FAILED: self._failed,
            Kind.EXPIRED: self._failed,
            Kind.NOTICE: self._notice,
        }

    def committed(self, events: Sequence[Event], seconds: float) -> None:
        """A transaction that is durable now (:class:`mailboxes.commit.Meter`)."""
        self.commits.add(seconds)
        for event in events:
            kind = event.kind
            self.events[kind.word] += 1
            also = self._also.get(kind)
            if also is not None:
                also(event)

    def imap_command(self, name: str) -> None:
        self.imap[name] += 1

    def answered(self, door: str, status: int) -> None:
        """An HTTP request."""
        self.http[door, str(status)] += 1

    def _accepted(self, event: Event) -> None:
        self.accepted[str(event.detail["door"])] += 1

    def _refused(self, event: Event) -> None:
        decisions = event.detail.get("decisions") or [["", "", "unknown"]]
        self.refused[str(event.detail.get("door", "")), str(decisions[0][2])] += 1

    def _turned_away(self, event: Event) -> None:
        self.refused[str(event.detail.get("door", "")), str(event.detail.get("rule", "unknown"))] += 1

    def _handed_over(self, event: Event) -> None:
        domain = event.recipient.rpartition("@")[2]
        self.handed_over[domain if domain in self.handed_over or len(self.handed_over) < DOMAINS else OTHER] += 1
        self.hour.add(ARRIVED)

    def _deferred(self, event: Event) -> None:
        self.deferred[str(event.detail.get("rule", ""))] += 1

    def _failed(self, event: Event) -> None:
        self.failed[str(event.detail.get("rule", "")) or event.kind.word] += 1
        self.hour.add(FAILED)

    def _notice(self, _event: Event) -> None:
        self.hour.add(NOTICES)

    def told(self) -> dict[str, Any]:
        """As JSON has it: keys of two parts are joined by a tab."""
        return {
            "events": dict(self.events),
            "accepted": dict(self.accepted),
            "refused": _joined(self.refused),
            "deferred": dict(self.deferred),
            "failed": dict(self.failed),
            "handed_over": dict(self.handed_over),
            "imap": dict(self.imap),
            "http": _joined(self.http),
            "commits": self.commits.told(),
            "lag": self.lag.told(),
            "hour": self.hour.told(),
        }


def _joined(counted: Counter[tuple[str, str]]) -> dict[str, int]:
    return {"\t".join(key): count for key, count in dict(counted).items()}
