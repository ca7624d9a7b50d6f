"""Our own identifier of a message: 26 characters, ordered by time, safe in a reply, a file name and a header.

Crockford base 32 of 48 bits of milliseconds and 80 random bits. Promise: two calls never give the same one in practice,
and an identifier tells its reader when the message was accepted but nothing about anyone.
"""

from __future__ import annotations

import os
from collections.abc import Callable

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 26
_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]


def message_identifier(now: float, randomness: Callable[[int], bytes] = os.urandom) -> str:
    """A new identifier; ``now`` is seconds since the epoch."""
    number = (int(now * 1000) << 80) | int.from_bytes(randomness(10), "big")
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def is_message_identifier(text: str) -> bool:
    """True for the form :func:`message_identifier` makes."""
    return len(text) == LENGTH and all(character in ALPHABET for character in text)
