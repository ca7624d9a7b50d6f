"""LDAP messages (RFC 4511 4): requests read into values, responses written.

Promise: what a request holds is bounded by its octets, its number of attributes by :data:`MOST_ATTRIBUTES` and of controls by
:data:`MOST_CONTROLS`; a request that we do not serve is read as :class:`Other`, so that it can be refused with the right code.
Failure: :class:`directory.ldap.ber.Malformed`, after which nothing of the connection can be trusted (RFC 4511 4.1.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from directory.ldap import ber, filters
from directory.ldap.ber import Malformed, Reader
from directory.ldap.filters import Filter

MOST_ATTRIBUTES = 256
MOST_CONTROLS = 16
LARGEST_ID = 2**31 - 1  # 0 is for what the server says unasked (RFC 4511 4.1.1.1)

STARTTLS = "1.3.6.1.4.1.1466.20037"
WHO_AM_I = "1.3.6.1.4.1.4203.1.11.3"
PAGED = "1.2.840.113556.1.4.319"
DISCONNECTION = "1.3.6.1.4.1.1466.20036"

_BIND, _UNBIND, _SEARCH, _ABANDON, _EXTENDED = 0x60, 0x42, 0x63, 0x50, 0x77
_ENTRY, _DONE, _EXTENDED_RESPONSE = 0x64, 0x65, 0x78
_CONTROLS = 0xA0
_NAMES = {0x66: "modify", 0x68: "add", 0x4A: "delete", 0x6C: "modify DN", 0x6E: "compare"}
"""The requests of RFC 4511 that are not served; the tag of a response is one more, but for delete, which is primitive."""
_RESPONSES = {0x66: 0x67, 0x68: 0x69, 0x4A: 0x6B, 0x6C: 0x6D, 0x6E: 0x6F}


class Code(IntEnum):
    """Result codes of RFC 4511 appendix A that we give."""

    SUCCESS = 0
    OPERATIONS_ERROR = 1
    PROTOCOL_ERROR = 2
    TIME_LIMIT_EXCEEDED = 3
    SIZE_LIMIT_EXCEEDED = 4
    AUTH_METHOD_NOT_SUPPORTED = 7
    STRONGER_AUTH_REQUIRED = 8
    ADMIN_LIMIT_EXCEEDED = 11
    UNAVAILABLE_CRITICAL_EXTENSION = 12
    CONFIDENTIALITY_REQUIRED = 13
    NO_SUCH_OBJECT = 32
    INVALID_DN_SYNTAX = 34
    INVALID_CREDENTIALS = 49
    BUSY = 51
    UNAVAILABLE = 52
    UNWILLING_TO_PERFORM = 53
    OTHER = 80


class Scope(IntEnum):
    BASE = 0
    ONE = 1
    SUBTREE = 2


@dataclass(frozen=True, slots=True)
class Control:
    """RFC 4511 4.1.11."""

    oid: str
    critical: bool
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Paged:
    """The value of the paged results control (RFC 2696): ``size`` wanted, or an estimate, and where to go on."""

    size: int
    cookie: bytes


@dataclass(frozen=True, slots=True)
class Bind:
    """``secret`` is None for SASL."""

    version: int
    name: str
    secret: bytes | None


@dataclass(frozen=True, slots=True)
class Unbind:
    pass


@dataclass(frozen=True, slots=True)
class Search:
    """``limit`` and ``seconds`` are 0 where the client sets none. ``question`` is None where the filter is more than we answer."""

    base: str
    scope: Scope
    limit: int
    seconds: int
    types_only: bool
    question: Filter | None
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Abandon:
    id: int


@dataclass(frozen=True, slots=True)
class Extended:
    oid: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Other:
    """A request of RFC 4511 that is not served: its name, and the tag its response has."""

    name: str
    response: int


Operation: TypeAlias = "Bind | Unbind | Search | Abandon | Extended | Other"


@dataclass(frozen=True, slots=True)
class Message:
    id: int
    operation: Operation
    controls: tuple[Control, ...] = ()


def read(octets: bytes) -> Message:
    """One whole message."""
    outer = Reader(octets)
    inside = outer.inside(ber.SEQUENCE)
    outer.ended()
    number = inside.integer()
    if not 1 <= number <= LARGEST_ID:
        raise Malformed("a message number out of range")
    operation = _operation(inside)
    controls = _controls(inside.inside(_CONTROLS)) if inside.tag() == _CONTROLS else ()
    return Message(number, operation, controls)


def _operation(inside: Reader) -> Operation:
    tag = inside.tag()
    if tag == _BIND:
        return _bind(inside.inside(_BIND))
    if tag == _SEARCH:
        return _search(inside.inside(_SEARCH))
    if tag == _UNBIND:
        inside.any()
        return Unbind()
    if tag == _ABANDON:
        return Abandon(inside.integer(_ABANDON))
    if tag == _EXTENDED:
        return _extended(inside.inside(_EXTENDED))
    if tag in _NAMES:
        inside.any()
        return Other(_NAMES[tag], _RESPONSES[tag])
    raise Malformed("not a request")


def _bind(inside: Reader) -> Bind:
    version, name = inside.integer(), inside.text()
    tag, content = inside.any()
    if tag not in (0x80, 0xA3):
        raise Malformed("a bind that is neither simple nor SASL")
    return Bind(version, name, content if tag == 0x80 else None)


def _search(inside: Reader) -> Search:
    base = inside.text()
    scope, aliases = inside.integer(ber.ENUMERATED), inside.integer(ber.ENUMERATED)
    limit, seconds = inside.integer(), inside.integer()
    types_only = inside.boolean()
    if scope not in (0, 1, 2) or not 0 <= aliases <= 3 or limit < 0 or seconds < 0:
        raise Malformed("a search out of range")
    try:
        question = filters.read(inside)
    except filters.TooLarge:
        question = None
    attributes: list[str] = []
    listed = inside.inside(ber.SEQUENCE)
    while listed:
        if len(attributes) >= MOST_ATTRIBUTES:
            raise Malformed("too many attributes")
        attributes.append(listed.text())
    inside.ended()
    return Search(base, Scope(scope), limit, seconds, types_only, question, tuple(attributes))


def _extended(inside: Reader) -> Extended:
    oid = inside.text(0x80)
    value = inside.octets(0x81) if inside.tag() == 0x81 else None
    return Extended(oid, value)


def _controls(listed: Reader) -> tuple[Control, ...]:
    found: list[Control] = []
    while listed:
        if len(found) >= MOST_CONTROLS:
            raise Malformed("too many controls")
        one = listed.inside(ber.SEQUENCE)
        oid = one.text()
        critical = one.boolean() if one.tag() == ber.BOOLEAN else False
        value = one.octets() if one.tag() == ber.OCTETS else None
        one.ended()
        found.append(Control(oid, critical, value))
    return tuple(found)


def paged(value: bytes | None) -> Paged:
    """The value of a paged results control."""
    inside = Reader(value or b"").inside(ber.SEQUENCE)
    size, cookie = inside.integer(), inside.octets()
    if not 0 <= size <= LARGEST_ID:
        raise Malformed("a page out of range")
    return Paged(size, cookie)


# responses


def done(number: int, code: Code, words: str = "", *, matched: str = "", page: Paged | None = None) -> bytes:
    """The end of a search."""
    content = _result(code, matched, words)
    if page is None:
        return _message(number, ber.element(_DONE, content))
    value = ber.constructed(ber.SEQUENCE, (ber.integer(page.size), ber.element(ber.OCTETS, page.cookie)))
    control = ber.constructed(ber.SEQUENCE, (ber.text(PAGED), ber.element(ber.OCTETS, value)))
    return _message(number, ber.element(_DONE, content), ber.element(_CONTROLS, control))


def bound(number: int, code: Code, words: str = "") -> bytes:
    """The answer to a bind."""
    return result(number, 0x61, code, words)


def result(number: int, tag: int, code: Code, words: str = "") -> bytes:
    """The answer to any request, by the tag of its response."""
    return _message(number, ber.element(tag, _result(code, "", words)))


def extended(number: int, code: Code, words: str = "", *, oid: str = "", value: bytes | None = None) -> bytes:
    """The answer to an extended request; with number 0 an unsolicited notification."""
    content = _result(code, "", words)
    if oid:
        content += ber.text(oid, 0x8A)
    if value is not None:
        content += ber.element(0x8B, value)
    return _message(number, ber.element(_EXTENDED_RESPONSE, content))


def start_tls(number: int) -> bytes:
    """The request for StartTLS, for whoever looks at a door from outside."""
    return _message(number, ber.constructed(0x77, (ber.text(STARTTLS, 0x80),)))


def disconnection(code: Code, words: str) -> bytes:
    """The notice of disconnection (RFC 4511 4.4.1)."""
    return extended(0, code, words, oid=DISCONNECTION)


def entry(number: int, name: str, attributes: Mapping[str, Sequence[str]], *, types_only: bool = False) -> bytes:
    """One entry found, its attributes in the order given."""
    listed = [
        ber.constructed(
            ber.SEQUENCE,
            (ber.text(key), ber.constructed(ber.SET, () if types_only else map(ber.text, values))),
        )
        for key, values in attributes.items()
    ]
    content = (ber.text(name), ber.constructed(ber.SEQUENCE, listed))
    return _message(number, ber.constructed(_ENTRY, content))


def _result(code: Code, matched: str, words: str) -> bytes:
    return ber.integer(code, ber.ENUMERATED) + ber.text(matched) + ber.text(words)


def _message(number: int, operation: bytes, controls: bytes = b"") -> bytes:
    return ber.constructed(ber.SEQUENCE, (ber.integer(number), operation, controls))


def response_tag(operation: Operation) -> int:
    """The tag of the final response to ``operation``; 0 where none is due."""
    if isinstance(operation, Other):
        return operation.response
    tags: Iterable[tuple[type, int]] = ((Bind, 0x61), (Search, _DONE), (Extended, _EXTENDED_RESPONSE))
    return next((tag for kind, tag in tags if isinstance(operation, kind)), 0)
