"""One durable commit: the body, the rows of local recipients, the queue rows of remote ones, the journal entry.

Promise: when :func:`accept` has returned and its transaction committed, every recipient of the message has it in a
mailbox or in the queue, and the journal says so; before that, nobody has anything (design: accept is deliver, MSS-040).
Messages accepted at the same time share the transaction.
Failure: an item whose mailbox is full or gone raises that :class:`mailboxes.store.StoreError`; the committer then runs
the items one by one, so that only this one is undone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.relay import queue
from gateway.relay.queue import Queued
from mailboxes.commit import Unit
from mailboxes.sqlstore import SqlStore
from mailboxes.store import Delivery, Placed, Sealed, StoreError
from policies.events import Event, Kind
from policies.retry import Schedule


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One judged message, ready to be committed. ``also`` runs in the same transaction (tracking, absence replies)."""

    message: str
    sealed: Sealed
    deliveries: tuple[tuple[str, Delivery], ...]  # recipient key, delivery; a mailbox named twice gets one copy
    queued: tuple[Queued, ...]
    event: Event
    also: tuple[Callable[[Unit], None], ...] = field(default=())


class Acceptor:
    """The handler the committer groups messages under; one instance per process, so that they share transactions."""

    def __init__(self, store: SqlStore, schedule: Schedule, queued: Callable[[], None]) -> None:
        self.schedule = schedule
        self._store = store
        self._queued = queued

    def accept(self, unit: Unit, items: list[Acceptance]) -> list[None]:
        """Commit ``items``. Raises the first :class:`StoreError` met."""
        copies = [_copies(item) for item in items]
        references = [len(own) + len(item.queued) for item, own in zip(items, copies, strict=True)]
        self._store.put_body(unit, [item.sealed for item in items], references)
        unit.emit(*(item.event for item in items))
        self._deliver(unit, items, copies)
        rows = [row for item in items for row in item.queued]
        if rows:
            queue.enqueue(unit, rows, self.schedule)
            unit.after_commit(self._queued)
        for item in items:
            for work in item.also:
                work(unit)
        return [None] * len(items)

    def _deliver(self, unit: Unit, items: list[Acceptance], copies: list[dict[int, Delivery]]) -> None:
        every = [copy for own in copies for copy in own.values()]
        if not every:
            return
        outcomes = iter(self._store.deliver(unit, every, counted=True))
        for item, own in zip(items, copies, strict=True):
            placed = {mailbox: next(outcomes) for mailbox in own}
            for key, delivery in item.deliveries:
                outcome = placed[delivery.mailbox_id]
                if isinstance(outcome, StoreError):
                    raise outcome
                unit.emit(_delivered(item.message, key, delivery, outcome))


def _copies(item: Acceptance) -> dict[int, Delivery]:
    """One delivery per mailbox, however many of its addresses the sender named."""
    return {delivery.mailbox_id: delivery for _, delivery in reversed(item.deliveries)}


def _delivered(message: str, key: str, delivery: Delivery, placed: Placed) -> Event:
    detail = {"folder": delivery.folder, "uid": placed.uid}
    return Event(Kind.DELIVERED, message=message, recipient=key, mailbox=placed.mailbox_id, detail=detail)
