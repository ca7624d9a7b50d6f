"""Filters of searches (RFC 4511 4.5.1.7) as values, read from their octets.

Promise: a filter nests at most :data:`DEPTH` deep, holds at most :data:`ITEMS` items and pieces of them and is no longer than
:data:`LONGEST`, so that what is done with it takes a few milliseconds at most; it is read without recursion.
Failure: :class:`TooLarge` for one beyond that, of which the octets were read over; :class:`directory.ldap.ber.Malformed` else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from directory.ldap.ber import Malformed, Reader
from directory.search import DEPTH

ITEMS = 64
LONGEST = 4096
"""Octets of a whole filter; those of programs have a tenth of it."""
PIECES = 16
"""Most substrings of one item."""

_AND, _OR, _NOT = 0xA0, 0xA1, 0xA2
_EQUAL, _SUBSTRINGS, _GREATER, _LESS, _PRESENT, _APPROXIMATE, _EXTENSIBLE = 0xA3, 0xA4, 0xA5, 0xA6, 0x87, 0xA8, 0xA9
_INITIAL, _ANY, _FINAL = 0x80, 0x81, 0x82


class TooLarge(ValueError):
    """A filter that is well-formed as far as it was read, and more than anyone needs."""


class Match(Enum):
    """How an attribute is compared with one value."""

    EQUAL = "="
    APPROXIMATE = "~="
    GREATER = ">="
    LESS = "<="


@dataclass(frozen=True, slots=True)
class Compare:
    attribute: str
    match: Match
    value: bytes


@dataclass(frozen=True, slots=True)
class Substrings:
    """``initial`` and ``final`` are empty where the pattern leaves them open."""

    attribute: str
    initial: bytes
    middle: tuple[bytes, ...]
    final: bytes


@dataclass(frozen=True, slots=True)
class Present:
    attribute: str


@dataclass(frozen=True, slots=True)
class Extensible:
    """``attribute`` or ``rule`` may be empty; ``in_name`` asks for the attributes of the DN as well."""

    rule: str
    attribute: str
    value: bytes
    in_name: bool


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Filter


Item: TypeAlias = "Compare | Substrings | Present | Extensible"
Filter: TypeAlias = "And | Or | Not | Item"


class _Open:
    """A set of filters whose parts are being read."""

    __slots__ = ("inside", "parts", "tag")

    def __init__(self, tag: int, inside: Reader) -> None:
        self.tag = tag
        self.inside = inside
        self.parts: list[Filter] = []

    def closed(self) -> Filter:
        if self.tag == _AND:
            return And(tuple(self.parts))
        if self.tag == _OR:
            return Or(tuple(self.parts))
        if len(self.parts) != 1:
            raise Malformed("a not of something else than one filter")
        return Not(self.parts[0])


def read(octets: Reader) -> Filter:
    """The filter that comes next in ``octets``; it is passed over even where it is refused."""
    tag = octets.tag()
    if octets.size() > LONGEST:
        octets.any()
        raise TooLarge("a filter of too many octets")
    if tag not in (_AND, _OR, _NOT):
        return _item(octets)
    under_way = [_Open(tag, octets.inside(tag))]
    items = 0
    while True:
        current = under_way[-1]
        if not current.inside:
            under_way.pop()
            if not under_way:
                return current.closed()
            under_way[-1].parts.append(current.closed())
            continue
        items += 1
        tag = current.inside.tag()
        if items > ITEMS or len(under_way) > DEPTH:
            raise TooLarge("a filter of too many parts")
        if tag in (_AND, _OR, _NOT):
            under_way.append(_Open(tag, current.inside.inside(tag)))
        else:
            item = _item(current.inside)
            items += len(item.middle) if isinstance(item, Substrings) else 0
            current.parts.append(item)


def _item(octets: Reader) -> Item:
    tag = octets.tag()
    if tag == _PRESENT:
        return Present(octets.text(_PRESENT))
    if tag == _SUBSTRINGS:
        return _substrings(octets.inside(tag))
    if tag == _EXTENSIBLE:
        return _extensible(octets.inside(tag))
    match = {_EQUAL: Match.EQUAL, _APPROXIMATE: Match.APPROXIMATE, _GREATER: Match.GREATER, _LESS: Match.LESS}.get(tag)
    if match is None:
        raise Malformed("not a filter")
    inside = octets.inside(tag)
    found = Compare(inside.text(), match, inside.octets())
    inside.ended()
    return found


def _substrings(inside: Reader) -> Substrings:
    attribute = inside.text()
    pieces = inside.inside(0x30)
    inside.ended()
    initial, final, middle, place = b"", b"", list[bytes](), 0
    if not pieces:
        raise Malformed("substrings without one")
    while pieces:
        tag, content = pieces.any()
        if tag not in (_INITIAL, _ANY, _FINAL) or not content or place == 2 or (tag == _INITIAL and place):
            raise Malformed("substrings out of order")
        place = 2 if tag == _FINAL else 1
        if tag == _INITIAL:
            initial = content
        elif tag == _FINAL:
            final = content
        else:
            middle.append(content)
        if len(middle) > PIECES:
            raise Malformed("too many substrings")
    return Substrings(attribute, initial, tuple(middle), final)


def _extensible(inside: Reader) -> Extensible:
    rule = inside.text(0x81) if inside.tag() == 0x81 else ""
    attribute = inside.text(0x82) if inside.tag() == 0x82 else ""
    value = inside.octets(0x83)
    in_name = inside.boolean(0x84) if inside.tag() == 0x84 else False
    inside.ended()
    return Extensible(rule, attribute, value, in_name)
