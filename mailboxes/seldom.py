"""What goes on for a while is logged at once, then once a minute with how often it happened: a log of an hour must be readable.

Promise: the first time is never withheld, and of the same thing at most one line comes per ``every`` seconds and process.
Failure: none.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

EVERY = 60.0


class Seldom:
    """One place that logs. Threads may share it: at worst a line too many."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, every: float = EVERY) -> None:
        self._clock = clock
        self._every = every
        self._said: dict[str, float] = {}
        self._times: Counter[str] = Counter()

    def times(self, what: str) -> int:
        """How often ``what`` happened since it was last told, this time included; 0 when it is too soon to tell again."""
        self._times[what] += 1
        now = self._clock()
        if what in self._said and now - self._said[what] < self._every:
            return 0
        self._said[what] = now
        return self._times.pop(what)
