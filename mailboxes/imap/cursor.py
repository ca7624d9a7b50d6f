"""Reads the terminals of IMAP's grammar (RFC 9051 section 9) off one command.

A command is its text, each literal announced by ``{n}`` CRLF in it, and the literals apart, so that a large message is
never copied into the text. Promise: each method moves forward or raises :class:`BadSyntax`; nothing recurses and no
expression backtracks.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Callable
from datetime import date
from typing import TypeVar

from mailboxes.dates import Moment
from mailboxes.imap.values import SAVED, STAR, Ranges

_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
_ASTRING = _ATOM
_PATTERN = re.compile(rb"[!#$%&'*+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~\x80-\xff]+")
_FLAG = re.compile(rb"\\?[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|}~\[]+")
_QUOTED = re.compile(rb'"((?:[^\x00\r\n"\\]|\\["\\])*)"')
_LITERAL = re.compile(rb"(~?)\{([0-9]{1,12})\+?\}\r\n")
_NUMBER = re.compile(rb"[0-9]{1,19}")
_SET = re.compile(rb"(?:[0-9]{1,10}|\*)(?::(?:[0-9]{1,10}|\*))?(?:,(?:[0-9]{1,10}|\*)(?::(?:[0-9]{1,10}|\*))?)*")
_DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_DATE_TIME = re.compile(
    rb'"([ 0-9]?[0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)
_UNESCAPE = re.compile(rb"\\(.)", re.DOTALL)
MONTHS = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1
    )
}
MOST_IN_LIST = 1000

T = TypeVar("T")


class BadSyntax(ValueError):
    """The command does not follow the grammar; the text may be shown to the client."""


class Cursor:
    """A position in one command."""

    __slots__ = ("_next", "binary", "literals", "pos", "text")

    def __init__(self, text: bytes, literals: list[bytes], pos: int = 0) -> None:
        self.text = text
        self.literals = literals
        self.pos = pos
        self.binary = False  # the last literal was a literal8
        self._next = 0

    # punctuation

    def at(self, character: bytes) -> bool:
        return self.text.startswith(character, self.pos)

    def take(self, character: bytes) -> bool:
        """Step over ``character`` if it is next."""
        if self.text.startswith(character, self.pos):
            self.pos += len(character)
            return True
        return False

    def expect(self, character: bytes) -> None:
        if not self.take(character):
            raise BadSyntax(f"expected {character.decode('ascii')!r}")

    def space(self) -> None:
        if not self.take(b" "):
            raise BadSyntax("expected a space")

    def ended(self) -> bool:
        return self.pos >= len(self.text)

    def end(self) -> None:
        if self.pos < len(self.text):
            raise BadSyntax("unexpected words at the end of the command")

    # words

    def _match(self, expression: re.Pattern[bytes], what: str) -> bytes:
        found = expression.match(self.text, self.pos)
        if not found:
            raise BadSyntax(f"expected {what}")
        self.pos = found.end()
        return found[0]

    def atom(self) -> bytes:
        return self._match(_ATOM, "an atom")

    def word(self) -> str:
        """An atom in capitals, as names of commands and options are."""
        return self._match(_ATOM, "a word").decode("ascii").upper()

    def key(self) -> str:
        """A word that stops before brackets and parentheses: names of FETCH items."""
        return self._match(_KEY, "a word").decode("ascii").upper()

    def flag(self) -> bytes:
        return self._match(_FLAG, "a flag")

    def flags(self) -> tuple[bytes, ...]:
        """A parenthesized list of flags; it may be empty."""
        return self.listed(self.flag, least=0)

    def number(self) -> int:
        return int(self._match(_NUMBER, "a number"))

    def nz_number(self) -> int:
        value = self.number()
        if not 0 < value < STAR:
            raise BadSyntax("a number is out of range")
        return value

    def number64(self) -> int:
        value = self.number()
        if value >= 1 << 63:
            raise BadSyntax("a number is out of range")
        return value

    def quoted(self) -> bytes:
        found = _QUOTED.match(self.text, self.pos)
        if not found:
            raise BadSyntax("expected a string")
        self.pos = found.end()
        value = found[1]
        return _UNESCAPE.sub(rb"\1", value) if b"\\" in value else value

    def literal(self) -> bytes:
        found = _LITERAL.match(self.text, self.pos)
        if not found or self._next >= len(self.literals):
            raise BadSyntax("expected a literal")
        self.pos = found.end()
        self.binary = found[1] == b"~"
        self._next += 1
        return self.literals[self._next - 1]

    def at_literal(self) -> bool:
        return self.at(b"{") or self.at(b"~{")

    def string(self) -> bytes:
        return self.quoted() if self.at(b'"') else self.literal()

    def astring(self) -> bytes:
        if self.at(b'"'):
            return self.quoted()
        if self.at(b"{"):
            return self.literal()
        return self._match(_ASTRING, "a string")

    def nstring(self) -> bytes | None:
        if self.at(b'"') or self.at_literal():
            return self.string()
        if self.word() != "NIL":
            raise BadSyntax("expected a string or NIL")
        return None

    def mailbox(self) -> bytes:
        if self.at(b'"') or self.at(b"{"):
            return self.string()
        return self._match(_EIGHT_BIT, "a mailbox name")

    def pattern(self) -> bytes:
        """A mailbox name in which ``%`` and ``*`` are wildcards."""
        if self.at(b'"') or self.at(b"{"):
            return self.string()
        return self._match(_PATTERN, "a mailbox pattern")

    # composites

    def ranges(self) -> Ranges:
        """A sequence set, or ``$``."""
        if self.take(b"$"):
            return SAVED
        return parse_ranges(self._match(_SET, "a sequence set"))

    def listed(self, read: Callable[[], T], least: int = 1) -> tuple[T, ...]:
        """``(`` items separated by one space ``)``."""
        self.expect(b"(")
        found: list[T] = []
        if not self.at(b")"):
            found.append(read())
            while self.take(b" "):
                found.append(read())
                if len(found) > MOST_IN_LIST:
                    raise BadSyntax("a list is too long")
        self.expect(b")")
        if len(found) < least:
            raise BadSyntax("a list is empty")
        return tuple(found)

    def partial(self) -> tuple[int, int]:
        """RFC 9394: ``1:100``, or ``-1:-100`` counted from the end; the order of the two does not matter."""
        first = self._signed()
        self.expect(b":")
        last = self._signed()
        if (first < 0) != (last < 0):
            raise BadSyntax("both ends of a partial range count from the same side")
        return (first, last) if abs(first) <= abs(last) else (last, first)

    def _signed(self) -> int:
        negative = self.take(b"-")
        value = self.nz_number()
        return -value if negative else value

    def date(self) -> int:
        """A day, as epoch seconds of its midnight UTC."""
        quoted = self.take(b'"')
        found = _DATE.match(self.text, self.pos)
        if not found:
            raise BadSyntax("expected a date such as 1-Feb-2026")
        self.pos = found.end()
        if quoted:
            self.expect(b'"')
        return _epoch(found[1], found[2], found[3])

    def date_time(self) -> Moment:
        found = _DATE_TIME.match(self.text, self.pos)
        if not found:
            raise BadSyntax('expected a date such as "01-Feb-2026 10:00:00 +0100"')
        self.pos = found.end()
        hour, minute, second = int(found[4]), int(found[5]), int(found[6])
        if hour > 23 or minute > 59 or second > 60:
            raise BadSyntax("no such time")
        zone = int(found[8]) * 60 + int(found[9])
        if int(found[8]) > 23 or int(found[9]) > 59:
            raise BadSyntax("no such time zone")
        offset = zone if found[7] == b"+" else -zone
        local = _epoch(found[1], found[2], found[3]) + hour * 3600 + minute * 60 + second
        return Moment(local - offset * 60, offset)


_KEY = re.compile(rb"[!#$&'+,\-./0-9:;=?@A-Z^_`a-z|}~]+")
_EIGHT_BIT = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~\x80-\xff]+")


def parse_ranges(raw: bytes) -> Ranges:
    """Pairs of a sequence set, as written; numbers are 1 to 2**32-1."""
    found: list[tuple[int, int]] = []
    for piece in raw.split(b","):
        low, _, high = piece.partition(b":")
        first = STAR if low == b"*" else int(low)
        last = (STAR if high == b"*" else int(high)) if high else first
        if not (0 < first <= STAR and 0 < last <= STAR):
            raise BadSyntax("a sequence number is out of range")
        if (first == STAR and low != b"*") or (last == STAR and (high or low) != b"*"):
            raise BadSyntax("a sequence number is out of range")
        found.append((first, last) if first <= last else (last, first))
    return tuple(found)


def _epoch(day: bytes, month: bytes, year: bytes) -> int:
    number = MONTHS.get(month.lower())
    try:  # timegm alone takes 31 February for 3 March
        there = date(max(int(year), 1), number or 0, int(day))
    except ValueError:
        raise BadSyntax("no such date") from None
    return timegm(there.timetuple())
