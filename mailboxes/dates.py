"""Read the Date of a message (RFC 5322 3.3, obsolete forms 4.3 included).

Promise: one bounded expression and integer arithmetic; ASCII digits only; years 1900 to 9999. Failure: None.
"""

from __future__ import annotations

import re
import time
from typing import NamedTuple

DATE_OCTETS = 200


class Moment(NamedTuple):
    """``epoch`` in seconds UTC; ``offset`` in minutes east of UTC, as the sender wrote it."""

    epoch: int
    offset: int


_DATE = re.compile(
    rb"[ \t\r\n]*+(?>(?:[A-Za-z]{3,9}+[ \t]*+,?+[ \t\r\n]*+)?)"
    rb"([0-9]{1,2}+)[ \t\r\n-]++([A-Za-z]{3})[a-z]*+[ \t\r\n-]++([0-9]{2,4}+)[ \t\r\n]++"
    rb"([0-9]{1,2}+)[ \t]*+:[ \t]*+([0-9]{2})(?>(?:[ \t]*+:[ \t]*+([0-9]{2}))?)"
    rb"[ \t\r\n]*+(?>([+-][0-9]{4}|[A-Za-z]{1,5}+)?)(?![0-9A-Za-z:])"
)
_COMMENT = re.compile(rb"\([^()]*+\)")
_MONTHS = {
    name: number for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)
}
_DAYS = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ZONES = {b"EDT": -240, b"EST": -300, b"CDT": -300, b"CST": -360, b"MDT": -360, b"MST": -420} | {
    b"PDT": -420,
    b"PST": -480,
}


def parse_date(value: bytes) -> Moment | None:
    """The moment a Date field states; None when there is no date to read. Unknown zones count as UTC (RFC 5322 4.3)."""
    value = value[:DATE_OCTETS]
    if b"(" in value:
        value = _COMMENT.sub(b" ", value)
    found = _DATE.match(value)
    if found is None:
        return None
    day, month_name, year_text, hour, minute, second, zone = found.groups()
    month = _MONTHS.get(month_name.lower(), 0)
    year = _year(year_text)
    offset = _offset(zone)
    if not month or not _is_possible(year, month, int(day), int(hour), int(minute), int(second or 0)) or offset is None:
        return None
    seconds = ((int(hour) * 60 + int(minute) - offset) * 60) + int(second or 0)
    return Moment(_days(year, month, int(day)) * 86400 + seconds, offset)


def zone_here(epoch: int) -> int:
    """The server's own offset at that moment, in minutes east of UTC."""
    try:
        return time.localtime(epoch).tm_gmtoff // 60
    except (OverflowError, ValueError, OSError):
        return 0


def _year(text: bytes) -> int:
    """Two and three digit years as RFC 5322 4.3 counts them."""
    year = int(text)
    if len(text) == 2:
        return year + (2000 if year < 50 else 1900)
    return year + 1900 if len(text) == 3 else year


def _offset(zone: bytes | None) -> int | None:
    if zone is None:
        return 0
    if zone[:1] in b"+-":
        hours, minutes = int(zone[1:3]), int(zone[3:5])
        if hours > 23 or minutes > 59:
            return None
        return (hours * 60 + minutes) * (-1 if zone[:1] == b"-" else 1)
    return _ZONES.get(zone.upper(), 0)


def _is_possible(year: int, month: int, day: int, hour: int, minute: int, second: int) -> bool:
    if month == 2 and day == 29 and (year % 4 or (year % 100 == 0 and year % 400)):
        return False
    return year >= 1900 and 1 <= day <= _DAYS[month] and hour < 24 and minute < 60 and second <= 60


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the Gregorian calendar; the year is counted from March."""
    if month < 3:
        year, month = year - 1, month + 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469
