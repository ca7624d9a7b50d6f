"""Our own identifiers: of a conversation by its first Message-ID, and of a message: 26 characters, ordered by time, safe in a reply, a file name and a header.

Crockford base 32 of 48 bits of milliseconds and 80 random bits. Promise: two calls never give the same one in practice,
and an identifier tells its reader when the message was accepted but nothing about anyone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 26
_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]


class _Drawn:
    """Random octets drawn from the system in advance: identifiers are no secrets, and each draw is a system call."""

    def __init__(self) -> None:
        self._octets = b""
        self._at = 0

    def __call__(self, count: int) -> bytes:
        if self._at + count > len(self._octets):
            self._octets, self._at = os.urandom(4096), 0
        start, self._at = self._at, self._at + count
        return self._octets[start : self._at]


_drawn = _Drawn()


def message_identifier(now: float, randomness: Callable[[int], bytes] = _drawn) -> str:
    """A new identifier; ``now`` is seconds since the epoch. For one thread, the event loop's."""
    number = (int(now * 1000) << 80) | int.from_bytes(randomness(10), "big")
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def thread_named(first: str) -> int:
    """RFC 8474 THREADID of the conversation that begins with this Message-ID, brackets and all; 0 without one."""
    return int.from_bytes(hashlib.sha256(first.encode()).digest()[:8], "big") >> 1 if first else 0
