"""Sets of numbers: writing ``1:3,5``, joining ranges a client wrote in any order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


def compact(numbers: Iterable[int]) -> bytes:
    """A sequence set of ``numbers`` in their order; ascending runs become ranges. Empty for none."""
    pieces: list[bytes] = []
    first = last = -1
    for number in numbers:
        if number == last + 1 and first >= 0:
            last = number
            continue
        if first >= 0:
            pieces.append(b"%d" % first if first == last else b"%d:%d" % (first, last))
        first = last = number
    if first >= 0:
        pieces.append(b"%d" % first if first == last else b"%d:%d" % (first, last))
    return b",".join(pieces)


def joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same numbers as disjoint ranges in ascending order, however often and in whatever order they were named."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            if high > found[-1][1]:
                found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return found


def inside(numbers: Iterable[int], ranges: list[tuple[int, int]]) -> list[int]:
    """The numbers that lie in ``ranges``, which :func:`joined` made."""
    starts = [low for low, _ in ranges]
    kept: list[int] = []
    for number in numbers:
        at = bisect_right(starts, number) - 1
        if at >= 0 and number <= ranges[at][1]:
            kept.append(number)
    return kept
