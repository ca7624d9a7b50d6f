"""What accounts need of keys: sealing small secrets, and the key of each mailbox.

Small secrets are sealed under the key of the pseudo mailbox 0, which the operator's key wraps: when the operator's key is
replaced (:meth:`mailboxes.keys.Keyring.rewrap`), nothing sealed here has to be touched.
Promise: a sealed secret opens only for the context it was sealed for. Failure: :class:`mailboxes.store.Corrupted` when the
tag fails, :class:`mailboxes.store.MailboxGone` before the keyring was opened; database errors propagate and the caller's
transaction with them.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailboxes import provision
from mailboxes.commit import Unit
from mailboxes.keys import QUEUE, Keyring, open_value, seal_value
from mailboxes.store import MailboxGone


@dataclass(frozen=True, slots=True)
class StoreVault:
    """The vault of a real store."""

    keyring: Keyring

    def seal(self, secret: bytes, context: bytes) -> bytes:
        return seal_value(self._cipher(), secret, b"account secret " + context)

    def unseal(self, sealed: bytes, context: bytes) -> bytes:
        return open_value(self._cipher(), sealed, b"account secret " + context)

    def _cipher(self) -> AESGCM:
        cipher = self.keyring.cached(QUEUE)  # once read, it stays
        if cipher is None:
            raise MailboxGone("the keyring is not open")
        return cipher

    def provision(self, unit: Unit, mailbox_id: int, quota: int) -> None:
        provision.provision(unit, self.keyring, mailbox_id, quota)

    def set_quota(self, unit: Unit, mailbox_id: int, quota: int) -> None:
        provision.set_quota(unit, mailbox_id, quota)

    def destroy(self, unit: Unit, mailbox_id: int) -> None:
        provision.destroy_key(unit, self.keyring, mailbox_id)
