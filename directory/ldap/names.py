"""Distinguished names as LDAP writes them (RFC 4514): read, compared, written.

Promise: two spellings of one name (case, spaces, escapes, another name of an attribute) read alike. What is read is bounded
by :data:`LONGEST`. Failure: :class:`BadName`.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from directory.ldap import schema

LONGEST = 1024
Name: TypeAlias = tuple[tuple[str, str], ...]
"""The pairs of attribute and value, the entry's own first; both as they are compared."""

_PAIR = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*)\s*=\s*((?:\\.|[^\\,;+])*)", re.DOTALL)
_PLAIN = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)", re.DOTALL)
_ESCAPED = re.compile(r'([\\",+;<>=])')


class BadName(ValueError):
    """A text that is no distinguished name."""


def read(text: str) -> Name:
    """The pairs of a name; the empty text is the root's, and has none."""
    if len(text) > LONGEST:
        raise BadName("too long")
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text) or found:
        pair = _PAIR.match(text, at)
        if pair is None:
            raise BadName("not a distinguished name")
        found.append((_attribute(pair[1]), _value(pair[2])))
        at = pair.end()
        if at == len(text):
            break
        if text[at] == "+":
            raise BadName("a name of several values, which no entry here has")
        at += 1
    return tuple(found)


def write(attribute: str, value: str, base: str) -> str:
    """The name of an entry right below ``base``."""
    escaped = _ESCAPED.sub(r"\\\1", value).replace("\0", r"\00")
    if escaped[:1] in ("#", " "):
        escaped = "\\" + escaped
    if escaped.endswith(" "):
        escaped = escaped[:-1] + "\\ "
    return f"{attribute}={escaped},{base}"


def _attribute(name: str) -> str:
    known = schema.find(name)
    return known.name.lower() if known else name.lower()


def _value(raw: str) -> str:
    raw = raw.lstrip()
    stripped = raw.rstrip()
    if stripped.endswith("\\") and len(raw) > len(stripped):
        stripped += " "  # an escaped space is part of the value
    try:
        plain = _PLAIN.sub(_unescaped, stripped)
    except UnicodeDecodeError:
        raise BadName("escaped octets that are not UTF-8") from None
    return " ".join(plain.casefold().split())


def _unescaped(found: re.Match[str]) -> str:
    """Octets in hexadecimal are UTF-8 together; any other sign stands for itself."""
    return bytes.fromhex(found[1].replace("\\", "")).decode("utf-8") if found[1] else found[2]
