"""The names of folders as the database holds them: sealed, because physicians name folders after patients.

A name is encrypted under a key made from the mailbox's, with a nonce that is a keyed digest of the name. So the same name
always gives the same text: it is looked for, and kept unique, without being opened, and tells nobody but who has the key.
It is filled up to :data:`FILL` octets, so that its length tells little. INBOX, which every mailbox has, stays as it is.
Promise: what another mailbox sealed, or somebody altered, is never taken for a name. Failure:
:class:`mailboxes.store.Corrupted` for such a text.
"""

from __future__ import annotations

import hmac
from binascii import Error, a2b_base64, b2a_base64

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from mailboxes.store import Corrupted

INBOX = "INBOX"
FILL = 32
_CONTEXT = b"caducee folder name"
_NONCE_BYTES = 12


class FolderNames:
    """Seals and opens the names of one mailbox's folders. Its own two keys are made when they are first needed."""

    __slots__ = ("_key", "_made")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._made: tuple[AESGCM, bytes] | None = None

    def _keys(self) -> tuple[AESGCM, bytes]:
        if self._made is None:
            drawn = HKDFExpand(SHA512(), 64, _CONTEXT).derive(self._key)
            self._made = AESGCM(drawn[:32]), drawn[32:]
        return self._made

    def sealed(self, name: str) -> str:
        """The name as it is stored."""
        if name == INBOX:
            return name
        cipher, secret = self._keys()
        plain = name.encode("utf-8")
        nonce = hmac.digest(secret, plain, "sha256")[:_NONCE_BYTES]
        filled = plain + bytes(-len(plain) % FILL)
        return b2a_base64(nonce + cipher.encrypt(nonce, filled, _CONTEXT), newline=False).decode("ascii")

    def opened(self, stored: str) -> str:
        """The name again. Raises :class:`Corrupted`."""
        if stored == INBOX:
            return stored
        try:
            sealed = a2b_base64(stored)
            plain = self._keys()[0].decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _CONTEXT)
        except (Error, InvalidTag, ValueError) as error:  # the last: too short, or not ASCII
            raise Corrupted("the name of a folder cannot be read") from error
        return plain.rstrip(b"\0").decode("utf-8")
