"""Reads addresses back out of a rendered ENVELOPE, for SORT=DISPLAY (RFC 5957).

Promise: one pass, a depth counter instead of recursion. Failure: what is not an ENVELOPE gives no address.
"""

from __future__ import annotations

import re
from typing import NamedTuple

FROM, TO = 2, 5
_TOKEN = re.compile(rb'"((?>(?:[^"\\]|\\.)*))"|\{([0-9]+)\}\r\n|NIL|[()]', re.DOTALL)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)


class Address(NamedTuple):
    """As ENVELOPE has it: ``name`` may hold encoded words; a group has no host."""

    name: bytes
    mailbox: bytes
    host: bytes


def addresses(envelope: bytes, field: int, most: int = 1000) -> list[Address]:
    """The addresses of a field, by its place in ENVELOPE (:data:`FROM` ...); at most ``most``."""
    found: list[Address] = []
    values: list[bytes] = []
    depth, place, at = 0, 0, 0
    while len(found) < most and (token := _TOKEN.search(envelope, at)):
        at = token.end()
        if token[0] == b"(":
            depth += 1
        elif token[0] == b")":
            depth -= 1
            place += depth == 1
            if depth == 2 and len(values) == 4:
                found.append(Address(values[0], values[2], values[3]))
            values = []
        else:
            value, at = _value(envelope, token)
            if depth == 1:
                place += 1
            elif depth == 3 and place == field:
                values.append(value)
        if place > field:
            break
    return found


def _value(envelope: bytes, token: re.Match[bytes]) -> tuple[bytes, int]:
    if token[2] is not None:
        end = token.end() + int(token[2])
        return envelope[token.end() : end], end
    if token[1] is not None:
        value = token[1]
        return (_ESCAPE.sub(rb"\1", value) if b"\\" in value else value), token.end()
    return b"", token.end()
