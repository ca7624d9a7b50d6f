"""Tokens for the next page of a search: opaque, signed, bound to who searched, good for an hour.

All processes of an operator know the same key, so any of them gives the page another one promised. What was searched for travels in the
token, encrypted: links end up in histories and logs, and the names in them are those of people.
Promise: a token cannot be made, altered or used by another mailbox. Failure: :class:`PageBad`, :class:`PageGone`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LIFE = 3600.0
LONGEST = 12_000
_NONCE = 12


class PageBad(ValueError):
    """Not one of ours, or not this caller's."""


class PageGone(Exception):
    """It was good once."""


@dataclass(frozen=True, slots=True)
class Page:
    """Where a search goes on: its parameters, and how many resources were given before."""

    kind: str
    asked: tuple[tuple[str, str], ...]
    offset: int


class Pages:
    """``key`` is a secret all processes share; what is made of it here serves nothing else."""

    def __init__(self, key: bytes, clock: Callable[[], float] = time.time) -> None:
        self._seal = AESGCM(hmac.new(key, b"caducee pages of the directory", hashlib.sha256).digest())
        self._clock = clock

    def token(self, page: Page, mailbox: int) -> str:
        said = json.dumps([page.kind, page.asked, page.offset, int(self._clock() + LIFE)]).encode()
        nonce = os.urandom(_NONCE)
        return urlsafe_b64encode(nonce + self._seal.encrypt(nonce, said, _whose(mailbox))).rstrip(b"=").decode("ascii")

    def page(self, token: str, mailbox: int) -> Page:
        """What ``token`` promised to this mailbox. Raises :class:`PageBad`, :class:`PageGone`."""
        if len(token) > LONGEST:
            raise PageBad
        try:
            octets = urlsafe_b64decode(token + "=" * (-len(token) % 4))
            said = self._seal.decrypt(octets[:_NONCE], octets[_NONCE:], _whose(mailbox))
        except (InvalidTag, Error, ValueError):
            raise PageBad from None
        kind, asked, offset, until = json.loads(said)
        if until < self._clock():
            raise PageGone
        return Page(kind, _pairs(asked), offset)


def _pairs(asked: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in asked)


def _whose(mailbox: int) -> bytes:
    return b"%d" % mailbox
