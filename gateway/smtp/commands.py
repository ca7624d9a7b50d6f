"""Read the arguments of MAIL and RCPT: the path and the ESMTP parameters we announce.

Promise: strict (RFC 5321 4.1.1.11 and 4.1.2, RFC 1870, RFC 6152, RFC 3461 4, RFC 4954 5): a parameter unknown, given
twice or with a value outside its grammar is refused; nothing is guessed. Spaces after the colon are tolerated, since
field software writes them. Work is linear in the line, whose length the caller has limited.
Failure: :class:`Malformed` names the rule of the catalogue to answer with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from policies.address import AddressError, parse_path
from policies.values import Address, DsnRequest

_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_DIGITS = frozenset("0123456789")
_KEYWORD = _LETTERS | _DIGITS | {"-"}
_HEX = frozenset("0123456789ABCDEF")
_XTEXT = frozenset(map(chr, range(0x21, 0x7F))) - {"+", "="}
_VALUE = frozenset(map(chr, range(0x21, 0x7F))) - {"="}
_NOTIFY = frozenset({"SUCCESS", "FAILURE", "DELAY"})

ENVID = 100
ORCPT = 500
"""Longest ENVID and ORCPT (RFC 3461 4.4 and 4.2)."""


class Malformed(Exception):
    """The line cannot be taken; ``rule`` is the catalogue's name for why, ``parameters`` fill its sentence."""

    def __init__(self, rule: str, parameters: dict[str, str] | None = None) -> None:
        super().__init__(rule)
        self.rule = rule
        self.parameters = parameters or {}


@dataclass(frozen=True, slots=True)
class MailCommand:
    """``MAIL FROM``: ``sender`` is None for the null reverse-path; ``size`` is 0 when not declared."""

    sender: Address | None
    size: int = 0
    eight_bit: bool = False
    ret: str = ""
    envid: str = ""


@dataclass(frozen=True, slots=True)
class RcptCommand:
    """``RCPT TO``. The domain of ``address`` is empty for the bare ``<Postmaster>`` of RFC 5321 4.1.1.3."""

    address: Address
    dsn: DsnRequest


def parse_mail(argument: str) -> MailCommand:
    """``argument`` is what follows ``MAIL ``."""
    sender, words = _split(argument, "FROM:")
    values = _parameters(words, {"SIZE", "BODY", "RET", "ENVID", "AUTH", "SMTPUTF8"})
    if "SMTPUTF8" in values:
        raise Malformed("session.smtputf8_unsupported")
    if sender is not None and not sender.domain:
        raise Malformed("session.bad_address", {"problem": "no_at"})
    return MailCommand(
        sender,
        _size(values.get("SIZE", "0")),
        _one_of(values.get("BODY", "7BIT"), {"7BIT", "8BITMIME"}) == "8BITMIME",
        _one_of(values["RET"], {"FULL", "HDRS"}) if "RET" in values else "",
        _checked(values["ENVID"], ENVID, is_xtext) if "ENVID" in values else "",
    )


def parse_rcpt(argument: str) -> RcptCommand:
    """``argument`` is what follows ``RCPT ``."""
    address, words = _split(argument, "TO:")
    values = _parameters(words, {"NOTIFY", "ORCPT"})
    if address is None:
        raise Malformed("session.bad_address", {"problem": "empty"})
    notify = _notify(values["NOTIFY"]) if "NOTIFY" in values else frozenset()
    orcpt = _checked(values["ORCPT"], ORCPT, _is_orcpt) if "ORCPT" in values else ""
    return RcptCommand(address, DsnRequest(notify=notify, orcpt=orcpt))


def is_xtext(text: str) -> bool:
    """RFC 3461 4: printable ASCII without ``+`` and ``=``, which are written ``+2B`` and ``+3D``."""
    rest = text
    while "+" in rest:
        before, _, rest = rest.partition("+")
        if not set(before) <= _XTEXT or len(rest) < 2 or not set(rest[:2]) <= _HEX:
            return False
        rest = rest[2:]
    return bool(text) and set(rest) <= _XTEXT


def _split(argument: str, keyword: str) -> tuple[Address | None, list[str]]:
    """The path and the parameters."""
    if argument[: len(keyword)].upper() != keyword:
        raise Malformed("session.syntax")
    try:
        address, rest = parse_path(argument[len(keyword) :].encode("ascii"))
    except AddressError as problem:
        raise Malformed("session.bad_address", problem.parameters) from problem
    return address, [word for word in rest.decode("ascii").split(" ") if word]


def _parameters(words: list[str], known: set[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for word in words:
        keyword, equals, value = word.partition("=")
        keyword = keyword.upper()
        if not keyword or keyword[0] == "-" or not set(keyword) <= _KEYWORD or (equals and not value):
            raise Malformed("session.syntax")
        if keyword not in known:
            raise Malformed("session.parameter_unknown")
        if keyword in values or not set(value) <= _VALUE:
            raise Malformed("session.syntax")
        values[keyword] = value
    return values


def _size(value: str) -> int:
    """RFC 1870 5: one to twenty digits."""
    if not 1 <= len(value) <= 20 or not set(value) <= _DIGITS:
        raise Malformed("session.syntax")
    return int(value)


def _one_of(value: str, allowed: set[str]) -> str:
    if value.upper() not in allowed:
        raise Malformed("session.syntax")
    return value.upper()


def _checked(value: str, longest: int, grammar: Callable[[str], bool]) -> str:
    if len(value) > longest or not grammar(value):
        raise Malformed("session.syntax")
    return value


def _notify(value: str) -> frozenset[str]:
    """RFC 3461 4.1: NEVER alone, or a list without NEVER."""
    words = value.upper().split(",")
    asked = frozenset(words)
    if len(asked) != len(words) or not (asked == {"NEVER"} or asked <= _NOTIFY):
        raise Malformed("session.syntax")
    return asked


def _is_orcpt(value: str) -> bool:
    """RFC 3461 4.2: ``addr-type;xtext``."""
    kind, semicolon, address = value.partition(";")
    return bool(semicolon and kind) and set(kind) <= _KEYWORD and is_xtext(address)
