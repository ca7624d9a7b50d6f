"""Dates of birth and of files: strict readers, incomplete and lunar dates, and how two dates compare.

Promise: nothing is guessed silently. Each reader says in which form the date was written (:class:`Form`), and a date that the
calendar does not know is refused (``31/02/1980``), but for the forms that registries really produce: ``00`` days and
months, pseudo-months 20, 30-42, 50-99. Failure: an unreadable text gives ``None``. Source: HID-020 to HID-025, HID-072.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from enum import IntEnum


class Form(IntEnum):
    """How a date was written: as asked, another clear form, or with something missing that had to be supposed."""

    STANDARD = 0
    ISO = 1
    UNUSUAL = 2
    TWO_DIGIT_YEAR = 3


@dataclass(frozen=True, slots=True)
class PartialDate:
    """A date known to the year, the month or the day. ``lunar`` marks a pseudo-month; ``raw`` is what was written."""

    year: int
    month: int | None = None
    day: int | None = None
    raw: str = ""
    lunar: bool = False
    form: Form = Form.STANDARD

    @property
    def whole(self) -> bool:
        return self.month is not None and self.day is not None

    @property
    def may_be_default(self) -> bool:
        """1 January or 31 December: what registries write when only the year is known."""
        return (self.month, self.day) in ((1, 1), (12, 31))

    def first_day(self) -> date:
        """The earliest real day it can be."""
        return date(self.year, self.month or 1, self.day or 1)

    def iso(self) -> str:
        if self.month is None:
            return f"{self.year:04d}"
        return f"{self.year:04d}-{self.month:02d}" + (f"-{self.day:02d}" if self.day else "")

    def french(self) -> str:
        """``JJ/MM/AAAA``; ``00`` where unknown."""
        return f"{self.day or 0:02d}/{self.month or 0:02d}/{self.year:04d}"

    def compact(self) -> str:
        """``YYYYMMDD``, cut where knowledge ends (HL7 and CDA form)."""
        return self.iso().replace("-", "")

    def age(self, on: date) -> int:
        """Whole years on the day ``on`` (negative before birth)."""
        born = self.first_day()
        return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def is_pseudo_month(month: int) -> bool:
    """The months that stand for "unknown" in numbers and in lunar dates."""
    return month == 20 or 30 <= month <= 42 or 50 <= month <= 99


def _build(year: int, month: int, day: int, raw: str, form: Form) -> PartialDate | None:
    if not 1800 <= year <= 9998:
        return None
    if month == 0 or is_pseudo_month(month):
        return PartialDate(year, None, None, raw, lunar=month != 0, form=form) if day <= 31 else None
    if not 1 <= month <= 12:
        return None
    if day == 0:
        return PartialDate(year, month, None, raw, form=form)
    try:
        date(year, month, day)
    except ValueError:
        return None
    return PartialDate(year, month, day, raw, form=form)


_SEPARATED = re.compile(r"([0-9]{1,2})([/.\- ])([0-9]{1,2})\2([0-9]{4}|[0-9]{2})", re.ASCII)
_TIMED = re.compile(r"([0-9]{2}/[0-9]{2}/[0-9]{4})[ T][0-9]{2}[:h][0-9]{2}(?::[0-9]{2})?", re.ASCII)
_ISO = re.compile(r"([0-9]{4})([-/.])([0-9]{2})\2([0-9]{2})", re.ASCII)
_GLUED = re.compile(r"[0-9]{8}", re.ASCII)


def _separated(found: re.Match[str], raw: str, today: date) -> PartialDate | None:
    day, sign, month, year = int(found[1]), found[2], int(found[3]), found[4]
    if len(year) == 2:
        pivot = int(year) + today.year // 100 * 100
        return _build(pivot if pivot <= today.year else pivot - 100, month, day, raw, Form.TWO_DIGIT_YEAR)
    standard = sign == "/" and len(found[1]) == 2 and len(found[3]) == 2
    return _build(int(year), month, day, raw, Form.STANDARD if standard else Form.UNUSUAL)


def _glued(raw: str) -> PartialDate | None:
    french = _build(int(raw[4:]), int(raw[2:4]), int(raw[:2]), raw, Form.UNUSUAL)
    other = _build(int(raw[:4]), int(raw[4:6]), int(raw[6:]), raw, Form.UNUSUAL)
    if french and other:  # both readings make sense: keep the one that is a full, likely birth date, else refuse
        likely = [d for d in (french, other) if d.whole and 1880 <= d.year <= 2100]
        return likely[0] if len(likely) == 1 else None
    return french or other


def read_french(text: str, today: date) -> PartialDate | None:
    """The date in ``text`` (trimmed), written as HPRIM Médecins line 7 allows; ``None`` if it is not a date.

    A two-digit year is read as the last such year not after ``today``.
    """
    raw = text.strip()
    if len(raw) > 10:
        timed = _TIMED.fullmatch(raw) if len(raw) <= 19 else None
        day = read_french(timed[1], today) if timed else None
        return replace(day, raw=raw, form=Form.UNUSUAL) if day else None
    if found := _SEPARATED.fullmatch(raw):
        return _separated(found, raw, today)
    if found := _ISO.fullmatch(raw):
        return _build(int(found[1]), int(found[3]), int(found[4]), raw, Form.ISO)
    return _glued(raw) if _GLUED.fullmatch(raw) else None


_COMPACT = re.compile(r"([0-9]{8,14})(?:\.[0-9]{1,9})?(?:[+-][0-9]{1,4})?|([0-9]{4,7})(?:\+[0-9]{1,4})?", re.ASCII)
"""A zone west of Greenwich follows a whole date only: in ``1961-02-14`` the rest is not one."""


def read_compact(text: str) -> PartialDate | None:
    """An HL7 or CDA time: ``YYYY``, ``YYYYMM``, ``YYYYMMDD`` and longer (the hour is dropped)."""
    raw = text.strip()
    found = _COMPACT.fullmatch(raw)
    if found is None:
        return None
    digits = found[1] or found[2]
    year, month, day = digits[:4], digits[4:6], digits[6:8]
    if len(month) == 1 or len(day) == 1:
        return None
    if not month:
        return PartialDate(int(year), raw=raw) if 1800 <= int(year) <= 9998 else None
    return _build(int(year), int(month), int(day) if day else 0, raw, Form.STANDARD)


def read_iso(text: str) -> PartialDate | None:
    """``YYYY-MM-DD`` (HPRIM XML, JSON); a year or a year and month alone are accepted."""
    raw = text.strip()[:10]
    if not re.fullmatch(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?", raw, re.ASCII):
        return None
    return read_compact(raw.replace("-", ""))


_ANYWHERE = re.compile(r"(?<![0-9])([0-9]{1,2})[/.\-]([0-9]{1,2})[/.\-]([0-9]{4}|[0-9]{2})(?![0-9])", re.ASCII)


def find_dates(text: str, today: date, limit: int = 20) -> list[PartialDate]:
    """Every ``JJ/MM/AAAA``-like real date inside ``text``, at most ``limit``."""
    found: list[PartialDate] = []
    for m in _ANYWHERE.finditer(text[:10_000]):
        year = m[3]
        full = int(year) if len(year) == 4 else int(year) + today.year // 100 * 100
        if len(year) == 2 and full > today.year:
            full -= 100
        made = _build(full, int(m[2]), int(m[1]), m[0], Form.STANDARD)
        if made:
            found.append(made)
        if len(found) >= limit:
            break
    return found


_MONTHS = ("janv", "f[ée]v", "mars", "avr", "mai", "juin", "juil", "ao[ûu]", "sept", "oct", "nov", "d[ée]c")
_SPELLED = re.compile(
    rf"(?<![0-9])([0-9]{{1,2}})(?:er)?\s{{1,3}}(?:{'|'.join(f'({month})' for month in _MONTHS)})"
    r"[^\W\d_]{0,6}\.?\s{1,3}([0-9]{4})(?![0-9])",
    re.IGNORECASE,
)


def in_figures(text: str) -> str:
    """``text`` with each ``30 septembre 1975`` as ``30/9/1975``."""
    return _SPELLED.sub(lambda m: f"{m[1]}/{next(i for i in range(1, 13) if m[i + 1])}/{m[14]}", text)


class DateLevel(IntEnum):
    """How two dates compare, from best to worst."""

    AGREE = 0
    COMPATIBLE = 1
    SLIP = 2
    DISAGREE = 3


_DISAGREE = DateLevel.DISAGREE


def compare_dates(a: PartialDate, b: PartialDate) -> DateLevel:
    """AGREE if equal; COMPATIBLE if one is imprecise or a registry default of the same year; SLIP for a typing slip."""
    if a.year != b.year:
        if a.month != b.month or a.day != b.day:
            return _DISAGREE  # most pairs of people; no single slip is that far
    elif a.month == b.month and a.day == b.day:
        return DateLevel.AGREE
    elif _vague(a, b):
        return DateLevel.COMPATIBLE
    return DateLevel.SLIP if slip(a, b) else _DISAGREE


def _vague(a: PartialDate, b: PartialDate) -> bool:
    if a.may_be_default or b.may_be_default or a.month is None or b.month is None:
        return True
    return a.month == b.month and (a.day is None or b.day is None)


def slip(a: PartialDate, b: PartialDate) -> str:
    """Which typing slip tells two whole dates apart: ``swap``, ``digit``, ``transposition``, ``century`` or "".

    The same day and month in another year is no slip: that is how a parent and a child look.
    """
    if not (a.whole and b.whole):
        return ""
    if a.year == b.year and a.day == b.month and a.month == b.day:
        return "swap"
    same_day = (a.day, a.month) == (b.day, b.month)
    if same_day:
        return "century" if abs(a.year - b.year) == 100 else ""
    if (a.year != b.year) + (a.month != b.month) + (a.day != b.day) > 1:
        return ""  # a single slip stays within the day, the month or the year
    x, y = a.french(), b.french()
    differing = [i for i in range(10) if x[i] != y[i]]
    if len(differing) == 1:
        return "digit"
    if len(differing) == 2:
        i, j = differing
        if j - i == 1 and x[i] == y[j] and x[j] == y[i]:
            return "transposition"
    return ""
