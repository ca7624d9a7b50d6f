"""When a queued message is tried again, when its sender is warned, when we give up: pure arithmetic of time.

Promise: the wait grows from ``first`` to ``cap`` and never leaves [first, cap * (1 + jitter)]; the same inputs give the
same answer. Ages are given by the caller, who alone knows whether the wall clock can be believed (F16).
Failure: none; a nonsensical schedule is refused when it is built.
Sources: RFC 5321 4.5.4.1, MSS-041, and figure 3 of the reliability promises (5 min to 67 min, 4 h, 5 days).
"""

from __future__ import annotations

from dataclasses import dataclass

HOUR = 3600
DAY = 86400


@dataclass(frozen=True, slots=True)
class Schedule:
    """All times in seconds; ``warn`` 0 is never.

    ``unknown_domain`` is how long a listed domain may be missing from DNS before it fails (F24).
    """

    first: float = 300.0
    cap: float = 4000.0
    jitter: float = 0.1
    warn: float = 4 * HOUR
    life: float = 5 * DAY
    unknown_domain: float = DAY

    def __post_init__(self) -> None:
        if not 0 < self.first <= self.cap or not 0 <= self.jitter <= 1:
            raise ValueError("a retry schedule needs 0 < first <= cap and 0 <= jitter <= 1")
        if not 0 <= self.warn < self.life:
            raise ValueError("the delay warning comes before the end of the queue life")

    def wait(self, attempts: int, chance: float) -> float:
        """Seconds until the next try after ``attempts`` failed ones (1 or more); ``chance`` is uniform in [0, 1)."""
        # 2**40 is past any cap: the exponent is cut so that a counter gone wild cannot build a giant integer.
        doubled = self.first * (1 << min(max(attempts, 1) - 1, 40))
        return min(doubled, self.cap) * (1 + self.jitter * chance)


@dataclass(frozen=True, slots=True)
class Lane:
    """How many sessions one destination may have: wide while it answers, narrow after a failure (F31, F32)."""

    wide: int = 20
    narrow: int = 5

    def after_failure(self, current: int) -> int:
        return min(current, self.narrow)

    def after_success(self, current: int) -> int:
        return min(current + 1, self.wide)


def reply_class(code: int) -> int:
    """What a reply code means by its first digit; anything outside 2 to 5 counts as a temporary failure (F33)."""
    digit = code // 100
    return digit if 2 <= digit <= 5 and code < 600 else 4


def enhanced_status(code: int, stated: str) -> str:
    """The RFC 3463 status to report: the one the peer stated when its class agrees with the code, else x.0.0.

    An odd code becomes 4.5.0: the peer does not speak the protocol.
    """
    if not 200 <= code <= 599:
        return "4.5.0"
    kind = reply_class(code)
    if stated[:1] == str(kind):
        return stated
    return f"{kind}.0.0"
