"""Short texts of a mailbox that are looked for without being opened: the same text always gives the same octets.

A text is encrypted under a key made from the mailbox's, with a nonce that is a keyed digest of the text: equal texts are equal
sealed, unequal ones tell nothing. It is filled up with NUL, so that its length tells little. ``context`` keeps apart the kinds
of texts.
Promise: what another mailbox sealed, or somebody altered, is never taken for a text. Failure:
:class:`mailboxes.store.Corrupted` for such octets.
"""

from __future__ import annotations

import hmac
from binascii import Error, a2b_base64, b2a_base64

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from mailboxes.store import Corrupted

_NONCE_BYTES = 12


class SealedText:
    """Seals and opens one kind of texts of one mailbox, in base64. Its own two keys are made when they are first needed."""

    __slots__ = ("_context", "_fill", "_key", "_made")

    def __init__(self, key: bytes, context: bytes, fill: int) -> None:
        """``key`` is the mailbox's; ``fill`` the octets of whose multiple a text takes up."""
        self._key = key
        self._context = context
        self._fill = fill
        self._made: tuple[AESGCM, bytes] | None = None

    def _keys(self) -> tuple[AESGCM, bytes]:
        if self._made is None:
            drawn = HKDFExpand(SHA512(), 64, self._context).derive(self._key)
            self._made = AESGCM(drawn[:32]), drawn[32:]
        return self._made

    def sealed(self, text: str) -> str:
        """The text as it is stored."""
        cipher, secret = self._keys()
        plain = text.encode("utf-8")
        nonce = hmac.digest(secret, plain, "sha256")[:_NONCE_BYTES]
        filled = plain + bytes(-len(plain) % self._fill)
        return b2a_base64(nonce + cipher.encrypt(nonce, filled, self._context), newline=False).decode("ascii")

    def opened(self, stored: str) -> str:
        """The text again. Raises :class:`Corrupted`."""
        try:
            sealed = a2b_base64(stored)
            plain = self._keys()[0].decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._context)
        except (Error, InvalidTag, ValueError) as error:  # the last: too short, or not ASCII
            raise Corrupted("a sealed text cannot be read") from error
        return plain.rstrip(b"\0").decode("utf-8")
