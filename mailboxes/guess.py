"""The addresses of a list that has no single reading, as far as they can be made out: for display, never for a decision.

:func:`policies.address.entries` refuses a whole list for one element that is no address (``root``, ``MAILER-DAEMON``).
Here quoted strings and comments keep their commas, a group stays a group, and each element is shown by itself, with
``MISSING_DOMAIN`` or ``MISSING_MAILBOX`` where it lacks one, as Dovecot writes.
Promise: linear in the value, nothing recurses, each group that opens is closed. Failure: none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from mailboxes.words import unfold

_PIECE = re.compile(rb'[^"(,;:<>]++|["(,;:<>]')
_QUOTED = re.compile(rb'"((?>(?:[^"\\]++|\\.)*))"', re.DOTALL)
_COMMENT_MARK = re.compile(rb"\\.|[()]", re.DOTALL)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_WHITE = b" \t\r\n"
_PLAIN, _WORDS, _COMMENT = b"", b'"', b"("


class Guessed(NamedTuple):
    """One element. ``route`` is the source route of RFC 5322 4.4, such as ``@a,@b``; without a domain it opens a group."""

    name: bytes
    local: bytes
    domain: bytes
    route: bytes = b""


GROUP_END = Guessed(b"", b"", b"")


def guess(value: bytes, limit: int) -> list[Guessed]:
    """The elements of an unreadable list, in order: about ``limit`` at most."""
    found: list[Guessed] = []
    element, group = _Element(), False
    for kind, text in _pieces(unfold(value)):
        if not element.ends(kind, group):
            element.take(kind, text)
            continue
        if kind == b":":
            found.append(Guessed(b"", bytes(element.outside).strip(_WHITE), b""))
            group = True
        else:
            found += element.read()
        if kind == b";" and group:
            found.append(GROUP_END)
            group = False
        element = _Element()
        if len(found) >= limit:
            break
    found += element.read()
    return [*found, GROUP_END] if group else found


def _pieces(value: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and text: quoted strings and comments without their marks, each special by itself, and what is between.

    A quote or a parenthesis that is never closed is an ordinary character; it is looked for only once.
    """
    position, quotes, comments = 0, True, True
    while piece := _PIECE.match(value, position):
        start, position, kind = position, piece.end(), piece[0]
        if kind == b'"':
            quoted = _QUOTED.match(value, start) if quotes else None
            if quoted is None:
                quotes = False
                continue
            position = quoted.end()
            yield _WORDS, _ESCAPE.sub(rb"\1", quoted[1])
        elif kind == b"(":
            end = _comment_end(value, position) if comments else 0
            comments = bool(end)
            if comments:
                yield _COMMENT, _ESCAPE.sub(rb"\1", value[position : end - 1])
                position = end
            else:
                yield _PLAIN, kind
        else:
            yield (kind if kind in (b",", b";", b":", b"<", b">") else _PLAIN), kind


def _comment_end(value: bytes, position: int) -> int:
    depth = 1
    for mark in _COMMENT_MARK.finditer(value, position):
        depth += {b"(": 1, b")": -1}.get(mark[0], 0)
        if not depth:
            return mark.end()
    return 0


class _Element:
    """What stands between two commas: the text outside angle brackets, inside the last of them, and a comment at the end."""

    __slots__ = ("at", "bracket", "comment", "inside", "outside", "routing", "words")

    def __init__(self) -> None:
        self.bracket = b""  # "", "<" once it is open, ">" once it is closed
        self.comment = b""
        self.outside, self.inside = bytearray(), bytearray()  # they grow in place, piece by piece
        self.words = self.at = False  # whether there are any outside, and an "@"
        self.routing = False  # in a source route, whose commas and colon separate nothing

    def ends(self, kind: bytes, group: bool) -> bool:
        if kind == b",":
            return not self.routing
        if kind == b":":
            return self.words and not (self.at or self.bracket or group)
        return kind == b";"

    def take(self, kind: bytes, text: bytes) -> None:
        if kind == _COMMENT:
            self.comment = text
            for written in (self.outside, self.inside):
                while written and written[-1] in _WHITE:
                    written.pop()
        elif kind == b"<":
            if self.bracket == b">":
                self.outside += self.inside
            self.bracket = kind
            self.inside.clear()
        elif kind == b">":
            self.bracket = self.bracket and kind
        elif self.bracket == b"<":
            self.routing = kind != b":" and (self.routing or (not self.inside and text[:1] == b"@"))
            self.inside += text
        elif not self.bracket:
            self._outside(kind, text)

    def _outside(self, kind: bytes, text: bytes) -> None:
        self.outside += text
        said = bool(text.strip(_WHITE))
        if kind == _WORDS or said:
            self.comment = b""  # only one that ends the element names its owner
            self.words = self.words or said  # an empty quoted string names no group
            self.at = self.at or (kind != _WORDS and b"@" in text)

    def read(self) -> list[Guessed]:
        outside = bytes(self.outside)
        text, name = (bytes(self.inside), outside) if self.bracket else (outside, self.comment)
        text, name = text.strip(_WHITE), name.strip(_WHITE)
        if not text and not (name and self.bracket):
            return []
        route, colon, routed = text.partition(b":") if self.bracket and text[:1] == b"@" else (b"", b"", b"")
        text = routed if colon else text
        local, at, domain = text.rpartition(b"@")
        if not at:
            local, domain = text, b""
        local, domain = local.strip(_WHITE) or b"MISSING_MAILBOX", domain.strip(_WHITE) or b"MISSING_DOMAIN"
        return [Guessed(name, local, domain, route if colon else b"")]
