"""Requests as an LDAP client writes them, and its reading of responses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from directory.ldap import ber
from directory.ldap.ber import Reader
from directory.ldap.filters import And, Compare, Extensible, Filter, Match, Not, Or, Present, Substrings

BASE = "ou=bal,o=mssante,c=fr"
EVERYTHING = Present("objectClass")


def message(number: int, operation: bytes, *controls: bytes) -> bytes:
    listed = (ber.constructed(0xA0, controls),) if controls else ()
    return ber.constructed(ber.SEQUENCE, (ber.integer(number), operation, *listed))


def control(oid: str, *, critical: bool = False, value: bytes | None = None) -> bytes:
    rest = b"" if value is None else ber.element(ber.OCTETS, value)
    return ber.constructed(ber.SEQUENCE, (ber.text(oid), ber.boolean(critical), rest))


def page(size: int, cookie: bytes = b"") -> bytes:
    value = ber.constructed(ber.SEQUENCE, (ber.integer(size), ber.element(ber.OCTETS, cookie)))
    return control("1.2.840.113556.1.4.319", value=value)


def bind(number: int, name: str, secret: str, *, version: int = 3) -> bytes:
    return message(number, ber.constructed(0x60, (ber.integer(version), ber.text(name), ber.text(secret, 0x80))))


def sasl(number: int) -> bytes:
    way = ber.constructed(0xA3, (ber.text("EXTERNAL"),))
    return message(number, ber.constructed(0x60, (ber.integer(3), ber.text(""), way)))


def unbind(number: int) -> bytes:
    return message(number, ber.element(0x42, b""))


def abandon(number: int, other: int) -> bytes:
    return message(number, ber.integer(other, 0x50))


def extended(number: int, oid: str) -> bytes:
    return message(number, ber.constructed(0x77, (ber.text(oid, 0x80),)))


def search(
    number: int,
    asked: Filter = EVERYTHING,
    *controls: bytes,
    base: str = BASE,
    scope: int = 2,
    limit: int = 0,
    attributes: Iterable[str] = (),
) -> bytes:
    parts = (
        ber.text(base),
        ber.integer(scope, ber.ENUMERATED),
        ber.integer(0, ber.ENUMERATED),
        ber.integer(limit),
        ber.integer(0),
        ber.boolean(False),
        written(asked),
        ber.constructed(ber.SEQUENCE, map(ber.text, attributes)),
    )
    return message(number, ber.constructed(0x63, parts), *controls)


def written(asked: Filter) -> bytes:
    """A filter as octets."""
    if isinstance(asked, And | Or):
        return ber.constructed(0xA0 if isinstance(asked, And) else 0xA1, map(written, asked.parts))
    if isinstance(asked, Not):
        return ber.constructed(0xA2, (written(asked.part),))
    if isinstance(asked, Present):
        return ber.text(asked.attribute, 0x87)
    if isinstance(asked, Substrings):
        pieces = [
            *([ber.element(0x80, asked.initial)] if asked.initial else []),
            *(ber.element(0x81, each) for each in asked.middle),
            *([ber.element(0x82, asked.final)] if asked.final else []),
        ]
        return ber.constructed(0xA4, (ber.text(asked.attribute), ber.constructed(ber.SEQUENCE, pieces)))
    if isinstance(asked, Extensible):
        parts = [
            *([ber.text(asked.rule, 0x81)] if asked.rule else []),
            *([ber.text(asked.attribute, 0x82)] if asked.attribute else []),
            ber.element(0x83, asked.value),
            *([ber.boolean(True, 0x84)] if asked.in_name else []),
        ]
        return ber.constructed(0xA9, parts)
    tag = {Match.EQUAL: 0xA3, Match.GREATER: 0xA5, Match.LESS: 0xA6, Match.APPROXIMATE: 0xA8}[asked.match]
    assert isinstance(asked, Compare)
    return ber.constructed(tag, (ber.text(asked.attribute), ber.element(ber.OCTETS, asked.value)))


@dataclass
class Response:
    """``name`` is an entry's, ``matched`` a result's."""

    number: int
    tag: int
    code: int = -1
    matched: str = ""
    words: str = ""
    oid: str = ""
    value: bytes = b""
    name: str = ""
    attributes: dict[str, list[str]] = field(default_factory=dict)
    cookie: bytes | None = None


def responses(octets: bytes) -> Iterator[Response]:
    at = 0
    while at < len(octets):
        end = ber.whole(octets, at, 1 << 24)
        assert end, "a response was cut short"
        yield _response(Reader(octets, at, end).inside(ber.SEQUENCE))
        at = end


def _response(inside: Reader) -> Response:
    number, tag = inside.integer(), inside.tag()
    content = inside.inside(tag)
    if tag == 0x64:
        found = Response(number, tag, name=content.text())
        listed = content.inside(ber.SEQUENCE)
        while listed:
            one = listed.inside(ber.SEQUENCE)
            key, values = one.text(), one.inside(ber.SET)
            found.attributes[key] = []
            while values:
                found.attributes[key].append(values.text())
        return found
    found = Response(number, tag, content.integer(ber.ENUMERATED), content.text(), content.text())
    if content.tag() == 0x8A:
        found.oid = content.text(0x8A)
    if content.tag() == 0x8B:
        found.value = content.octets(0x8B)
    if inside:
        one = inside.inside(0xA0).inside(ber.SEQUENCE)
        assert one.text() == "1.2.840.113556.1.4.319"
        value = Reader(one.octets()).inside(ber.SEQUENCE)
        value.integer()
        found.cookie = value.octets()
    return found
