"""Writing sets of numbers: ``1:3,5``."""

from __future__ import annotations

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
