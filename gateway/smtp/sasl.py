"""Read what a mail program sends to log in: PLAIN, EXTERNAL, OAUTHBEARER, XOAUTH2 (RFC 4616, 4422 A, 7628).

Promise: pure functions over decoded octets, bounded by the caller; no secret in any exception.
Failure: :class:`Unreadable`.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode

SEPARATOR = "\x01"
XOAUTH2_FAILURE = b64encode(json.dumps({"status": "401", "schemes": "bearer", "scope": ""}).encode()).decode("ascii")
OAUTHBEARER_FAILURE = b64encode(json.dumps({"status": "invalid_token", "schemes": "bearer"}).encode()).decode("ascii")


class Unreadable(Exception):
    """Not a message of this mechanism."""


def decoded(word: str) -> bytes:
    """Strict base64; a lone ``=`` is the empty initial response (RFC 4954 4)."""
    if word == "=":
        return b""
    try:
        return b64decode(word, validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable from None


def text(octets: bytes) -> str:
    """UTF-8 without NUL."""
    try:
        found = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable from None
    if "\0" in found:
        raise Unreadable
    return found


def plain(octets: bytes) -> tuple[str, str]:
    """PLAIN: login and password. An authorisation identity other than the login is not ours to grant."""
    fields = octets.split(b"\0")
    if len(fields) != 3:
        raise Unreadable
    identity, login, password = (text(each) for each in fields)
    if not login or not password or identity not in ("", login):
        raise Unreadable
    return login, password


def oauthbearer(octets: bytes) -> tuple[str, str]:
    """OAUTHBEARER: login (may be empty) and token. No channel binding is offered, so the GS2 flag is ``n`` or ``y``."""
    header, separator, rest = text(octets).partition(SEPARATOR)
    flags = header.split(",")
    if not separator or len(flags) != 3 or flags[0] not in ("n", "y") or flags[2]:
        raise Unreadable
    if flags[1] and not flags[1].startswith("a="):
        raise Unreadable
    login = flags[1][2:].replace("=2C", ",").replace("=3D", "=")
    return login, _bearer(_pairs(rest))


def xoauth2(octets: bytes) -> tuple[str, str]:
    """XOAUTH2: ``user=``, ``auth=Bearer``, as MSSanté software sends it (MSS-071)."""
    pairs = _pairs(text(octets))
    if not pairs.get("user"):
        raise Unreadable
    return pairs["user"], _bearer(pairs)


def _pairs(rest: str) -> dict[str, str]:
    if not rest.endswith(SEPARATOR * 2):
        raise Unreadable
    pairs: dict[str, str] = {}
    for pair in rest[:-2].split(SEPARATOR):
        key, equals, value = pair.partition("=")
        if not equals or key in pairs:
            raise Unreadable
        pairs[key] = value
    return pairs


def _bearer(pairs: dict[str, str]) -> str:
    scheme, _, token = pairs.get("auth", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unreadable
    return token.strip()
