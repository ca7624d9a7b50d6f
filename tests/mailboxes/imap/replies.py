"""Reads one IMAP response into numbers, words and lists, as strictly as a mail program does.

Atoms and strings become ``bytes``, NIL None, parentheses lists. Failure: :class:`ValueError` for what is not a response.
"""

from __future__ import annotations

import re

Value = bytes | None | list["Value"]

_SPACE = re.compile(rb" *")
_QUOTED = re.compile(rb'"((?:[^"\\\r\n]|\\["\\])*+)"')
_LITERAL = re.compile(rb"~?\{([0-9]+)\}\r\n")
_ATOM = re.compile(rb"(?:[^ ()\[\r\n\"]|\[[^\]\r\n]*+\])++")


def read(line: bytes) -> list[Value]:
    """Everything after ``* `` of a response that holds data."""
    top: list[Value] = []
    stack = [top]
    at = 0
    while (at := _skip(line, at)) < len(line):
        mark = line[at : at + 1]
        if mark == b"(":
            inner: list[Value] = []
            stack[-1].append(inner)
            stack.append(inner)
            at += 1
        elif mark == b")":
            stack.pop()
            at += 1
            if not stack:
                raise ValueError(line)
        else:
            value, at = _word(line, at)
            stack[-1].append(value)
    if len(stack) != 1:
        raise ValueError(line)
    return top


def _skip(line: bytes, at: int) -> int:
    found = _SPACE.match(line, at)
    assert found is not None
    return found.end()


def _word(line: bytes, at: int) -> tuple[Value, int]:
    found = _QUOTED.match(line, at)
    if found:
        return re.sub(rb"\\(.)", rb"\1", found[1]), found.end()
    found = _LITERAL.match(line, at)
    if found:
        end = found.end() + int(found[1])
        if end > len(line):
            raise ValueError(line)
        return line[found.end() : end], end
    found = _ATOM.match(line, at)
    if not found:
        raise ValueError(line[at:])
    return (None if found[0].upper() == b"NIL" else found[0]), found.end()


def items(pairs: Value) -> dict[bytes, Value]:
    """The pairs of a FETCH response by item name."""
    if not isinstance(pairs, list) or len(pairs) % 2:
        raise ValueError(pairs)
    found: dict[bytes, Value] = {}
    for name, value in zip(pairs[::2], pairs[1::2], strict=True):
        if not isinstance(name, bytes) or name.upper() in found:
            raise ValueError(pairs)
        found[name.upper()] = value
    return found


def numbers(ranges: bytes) -> list[int]:
    """``1:3,5`` spelled out, in its order."""
    found: list[int] = []
    for piece in ranges.split(b","):
        low, _, high = piece.partition(b":")
        found += range(int(low), int(high or low) + 1)
    return found


def octets(value: Value) -> bytes:
    """A value that must be an atom or a string."""
    if not isinstance(value, bytes):
        raise ValueError(value)
    return value


def listed(value: Value) -> list[Value]:
    """A value that must be a list."""
    if not isinstance(value, list):
        raise ValueError(value)
    return value
