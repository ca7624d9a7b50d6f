"""What accounts need of keys: sealing small secrets under the operator's key, and the key of each mailbox.

Promise: a sealed secret opens only for the context it was sealed for. Failure: :class:`mailboxes.store.Corrupted` when the
tag fails; database errors propagate and the caller's transaction with them.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailboxes import provision
from mailboxes.commit import Unit
from mailboxes.keys import Keyring, MasterKey


@dataclass(frozen=True, slots=True)
class StoreVault:
    """The vault of a real store."""

    master: MasterKey
    keyring: Keyring

    def seal(self, secret: bytes, context: bytes) -> bytes:
        return self.master.wrap(secret, b"account secret " + context)

    def unseal(self, sealed: bytes, context: bytes) -> bytes:
        return self.master.unwrap(sealed, b"account secret " + context)

    def provision(self, unit: Unit, mailbox_id: int, quota: int) -> None:
        provision.provision(unit, self.keyring, mailbox_id, quota)

    def set_quota(self, unit: Unit, mailbox_id: int, quota: int) -> None:
        provision.set_quota(unit, mailbox_id, quota)

    def destroy(self, unit: Unit, mailbox_id: int) -> None:
        provision.destroy_key(unit, self.keyring, mailbox_id)
