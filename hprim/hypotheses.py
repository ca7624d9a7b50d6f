"""Where the header of an HPRIM Médecins message stands, since nothing in the file says it.

Hypotheses (at once, behind a greeting, a line missing or added inside) are scored by what their 12 lines look like: dates, a
number, a postcode, names. The best wins.
Promise: what is found tells how it was found, so that anything but 12 lines at once can be said. Bounded: some 80 hypotheses
a message, lines cut at 1 000 characters. Failure: :func:`find` gives None when there are too few lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from hprim import dates
from hprim.ins import read_number
from hprim.lines import MAX_MESSAGES

MAX_HEADER_LINE = 1_000
FIELDS = 12
_SEARCHED = 30
"""How many lines of greeting may precede a header."""

_NAME = re.compile(r"[^\W\d_][^\W\d_ '\-\u2019.]{0,60}(?:[ '\-\u2019.]{1,3}[^\W\d_]{1,60}){0,8}[ .]{0,60}")
_POSTCODE = re.compile(r"[0-9]{5}(?![0-9])", re.ASCII)
_DATE_LIKE = re.compile(r"[0-9]{1,4}[/.\-][0-9]{1,2}[/.\-][0-9]{1,4}|[0-9]{6}|[0-9]{8}", re.ASCII)

_INSIDE = [(1, 3), (1, 4), (1, 5), (2, 3), (2, 4), (3, 3)]
_NAMES_LOST = [(1, 1), (1, 2)]
"""How many lines are missing, and from which on."""


class Hypothesis(NamedTuple):
    """The header begins ``offset`` lines down (-1: its first line is lost); of its lines ``missing`` are not there, or ``added``
    are too many, from its line ``at`` on (counted from 0)."""

    offset: int
    missing: int = 0
    at: int = 0
    added: int = 0


PLAIN = Hypothesis(0)


@dataclass(frozen=True, slots=True)
class Found:
    """A header: its 12 values, the line number of each (0 for one that is missing), how it was found and its score."""

    values: tuple[str, ...]
    numbers: tuple[int, ...]
    offset: int
    missing: int
    missing_at: int
    added: int
    score: int

    @property
    def plain(self) -> bool:
        return self.offset == 0 and not self.missing and not self.added

    @property
    def after(self) -> int:
        """Index of the first line after the header."""
        return max(self.numbers)


def find(lines: Sequence[str], numbers: Sequence[int], today: date) -> Found | None:
    """The best header hypothesis over ``lines`` (whose original line numbers are ``numbers``)."""
    best = _take(lines, numbers, today, PLAIN)
    if best is None:
        return None
    if best.score >= 14 and dates.read_french(best.values[6], today) and name_score(best.values[1]) == 1:
        return best
    for how in _hypotheses(len(lines)):
        other = _take(lines, numbers, today, how)
        if other and other.score - 1 > best.score - (0 if best.plain else 1):
            best = other
    return best


def _hypotheses(count: int) -> Iterator[Hypothesis]:
    """All but the plain one, over ``count`` lines."""
    yield Hypothesis(-1)
    for missing, at in _NAMES_LOST:
        yield Hypothesis(0, missing, at)
    for offset in range(1, min(_SEARCHED, max(count - 6, 1)) + 1):
        yield Hypothesis(offset)
    for offset in range(min(4, count)):
        for missing, at in _INSIDE:
            yield Hypothesis(offset, missing, at)
        for at in (4, 5):
            yield Hypothesis(offset, 0, at, 1)


def _take(lines: Sequence[str], numbers: Sequence[int], today: date, how: Hypothesis) -> Found | None:
    """The lines as ``how`` has them, scored; None when they are too few."""
    offset, missing, at, added = how
    if offset < 0:
        picked: list[tuple[str, int]] = [("", 0), *zip(lines[: FIELDS - 1], numbers[: FIELDS - 1], strict=False)]
    else:
        end = offset + FIELDS - missing + added
        picked = list(zip(lines[offset:end], numbers[offset:end], strict=False))
    if missing:
        picked[at:at] = [("", 0)] * missing
    elif added:
        del picked[at : at + added]
    if len(picked) < 7:
        return None
    picked += [("", 0)] * (FIELDS - len(picked))
    values = tuple(v[:MAX_HEADER_LINE] for v, _ in picked[:FIELDS])
    places = tuple(n for _, n in picked[:FIELDS])
    return Found(values, places, offset, missing, at, added, score(values, today))


def score(values: Sequence[str], today: date) -> int:
    """How much 12 lines look like a header: 8 for a birth date, 4 for a file date, 3 for a number, 2 for a postcode, 1 a name."""
    birth = values[6].strip()
    total = 8 if dates.read_french(birth, today) else (5 if _DATE_LIKE.fullmatch(birth) else 0)
    total += 4 if dates.find_dates(values[9][:60], today, 1) or dates.read_french(values[9], today) else 0
    total += _number_score(values[7])
    total += 2 if _POSTCODE.match(values[5].strip()) else 0
    return total + name_score(values[1]) + name_score(values[2])


def name_score(text: str) -> int:
    bare = text.strip()
    if not bare:
        return -1
    if any(c in "0123456789" for c in bare[:60]):
        return -3
    if not any(c.isalpha() for c in bare[:60]):
        return -2
    return 1 if len(bare) <= 60 and not bare.endswith((",", ":", ";")) and _NAME.fullmatch(bare) else 0


def _number_score(text: str) -> int:
    number = read_number(text) if text.strip() else None
    if number is None or number.faults or not number.sex:
        return 0
    return 3 if number.key else 1


def convincing(found: Found | None, tagged: bool) -> bool:
    """Whether the lines are a header at all. Tags, or a name ending in .hpr, make less evidence enough."""
    if found is None:
        return False
    if tagged:
        return found.score >= 3 if found.plain else found.score >= 9
    return found.score >= (10 if found.plain else 12)


def _named(lines: Sequence[str], at: int) -> bool:
    """Whether the lines where names would stand above a birth date are not plainly something else: cheap, before any hypothesis."""
    return name_score(lines[at - 5]) + name_score(lines[at - 4]) >= -3


def hidden_headers(lines: Sequence[str], start: int, end: int, today: date) -> list[Found]:
    """Further headers inside one piece, where a sender forgot the tag between two patients."""
    found: list[Found] = []
    at = start
    while at < end and len(found) < MAX_MESSAGES:
        line = lines[at].strip()
        if 8 <= len(line) <= 10 and at - 6 >= start and _named(lines, at) and dates.read_french(line, today):
            numbers = range(at - 5, at + 7)
            header = _take(lines[at - 6 : at + 6], numbers, today, PLAIN)
            if header and (header.score >= 14 or (header.score == 13 and _number_score(header.values[7]) == 3)):
                found.append(header)
                at += 6
        at += 1
    return found
