"""What the store does inside the gateway's own transaction: hold bodies, deliver, bring mailboxes into being.

Promise: nothing here commits; it happens with the caller's unit or not at all. Blobs nobody needs any more are deleted
after the commit, and when that fails they are orphans for :mod:`mailboxes.fsck`.
Failure: database errors propagate to the unit; refusals of single deliveries are values.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

import structlog

from mailboxes import body_rows, placing, provision
from mailboxes.blobs import Blobs
from mailboxes.keys import Keyring
from mailboxes.store import Delivery, Placed, Sealed, StoreError
from mailboxes.unit import Unit

log = structlog.get_logger(__name__)


class Holding:
    """The part of the store that other rooms use in transactions of theirs."""

    def __init__(self, keyring: Keyring, blobs: Blobs) -> None:
        self.keyring = keyring
        self.blobs = blobs
        self._deleting: set[asyncio.Task[None]] = set()

    def put_body(self, unit: Unit, sealed: Sequence[Sealed], references: Sequence[int] = ()) -> None:
        """Insert bodies, with so many references each; without, :meth:`deliver` and :meth:`hold_body` give them some."""
        body_rows.put_bodies(unit.cursor, sealed, references)

    def deliver(
        self, unit: Unit, deliveries: Sequence[Delivery], *, counted: bool = False
    ) -> list[Placed | StoreError]:
        """Place sealed messages in mailboxes; one outcome each. See :mod:`mailboxes.placing`.

        ``counted``: the bodies' references are what :meth:`put_body` of this transaction said.
        """
        return placing.deliver(unit, self.keyring, deliveries, counted=counted)

    def hold_body(self, unit: Unit, sealed: Sealed, count: int = 1) -> None:
        """``count`` references more, one per queue row."""
        body_rows.hold(unit.cursor, [sealed.body_id] * count)

    def release_body(self, unit: Unit, body_id: int, count: int = 1) -> None:
        """``count`` references fewer (0: delete it if nothing needs it); at none the body goes."""
        self.drop(unit, {body_id: count})

    def provision(self, unit: Unit, mailbox_id: int, quota: int) -> None:
        """Key and default folders of a new mailbox; ``quota`` in bytes, 0 = none."""
        provision.provision(unit, self.keyring, mailbox_id, quota)

    def set_quota(self, unit: Unit, mailbox_id: int, quota: int) -> None:
        provision.set_quota(unit, mailbox_id, quota)

    def destroy_key(self, unit: Unit, mailbox_id: int) -> bool:
        """Crypto-erasure of a mailbox: every copy of its messages becomes unreadable."""
        return provision.destroy_key(unit, self.keyring, mailbox_id)

    def erase(self, unit: Unit, mailbox_id: int) -> int:
        """Remove a portion of what is left of a mailbox after :meth:`destroy_key`; below :data:`mailboxes.store.PORTION`, it was the last."""
        count, blobs = provision.erase(unit, mailbox_id)
        self._delete_blobs(unit, blobs)
        return count

    def drop(self, unit: Unit, counts: Mapping[int, int]) -> None:
        """That many references fewer for each body; those nobody needs go, their blobs after the commit."""
        self._delete_blobs(unit, body_rows.release(unit.cursor, counts))

    def _delete_blobs(self, unit: Unit, references: Sequence[str]) -> None:
        if references:
            unit.after_commit(partial(self._start_deleting, tuple(references)))

    def _start_deleting(self, references: tuple[str, ...]) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a command line without an event loop
            asyncio.run(self.delete_blobs(references))
            return
        task = loop.create_task(self.delete_blobs(references))
        self._deleting.add(task)
        task.add_done_callback(self._deleting.discard)

    async def delete_blobs(self, references: Sequence[str]) -> None:
        """Delete blobs whose rows are gone, or never were."""
        for reference in references:
            try:
                await self.blobs.delete(reference)
            except StoreError as error:
                # The row is gone; what is left is an orphan for fsck.
                log.warning("blob_not_deleted", reference=reference, error=type(error).__name__)

    async def settle(self) -> None:
        """Wait for blobs being deleted; before closing."""
        await asyncio.gather(*self._deleting, return_exceptions=True)
