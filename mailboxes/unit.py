"""One write transaction, as the work in it sees it, and the ports that take part in it.

Promise: what is emitted, announced or asked for after the commit happens if and only if the transaction is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection

from policies.events import Event


class Journal(Protocol):
    """Where events are recorded: called once per transaction, last, because it takes the lock on the chain's head."""

    def append(self, connection: Connection, events: Sequence[Event], now: float) -> None: ...


class Announcer(Protocol):
    """Tells watchers what changed: ``write`` inside the transaction, ``committed`` after it, on the event loop."""

    def write(self, cursor: Any, touched: frozenset[tuple[int, int]]) -> None: ...
    def committed(self, touched: frozenset[tuple[int, int]]) -> None: ...


class Meter(Protocol):
    """Counts what was done: told of each transaction once it is durable, by the writer's thread, which waits."""

    def committed(self, events: Sequence[Event], seconds: float) -> None: ...


class NoJournal:
    """Records nothing: for tests of what does not concern evidence."""

    def append(self, connection: Connection, events: Sequence[Event], now: float) -> None:
        return


class Unit:
    """One write transaction, as the work in it sees it.

    ``connection`` is SQLAlchemy's, ``cursor`` the driver's own for hot statements; both are in the same transaction.
    ``now`` is one instant for the whole transaction, in seconds since the epoch.
    """

    __slots__ = ("_touched", "callbacks", "connection", "cursor", "events", "now")

    def __init__(self, connection: Connection, cursor: Any, now: float) -> None:
        self.connection = connection
        self.cursor = cursor
        self.now = now
        self.events: list[Event] = []
        self.callbacks: list[Callable[[], None]] = []
        self._touched: list[tuple[int, int]] = []

    def emit(self, *events: Event) -> None:
        """Record ``events`` in the journal when this transaction commits."""
        self.events.extend(events)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` on the event loop once this transaction is durable; never if it is not."""
        self.callbacks.append(callback)

    def touched(self, mailbox_id: int, folder_id: int) -> None:
        """Wake whoever watches this folder (0: the folder tree) after the commit."""
        self._touched.append((mailbox_id, folder_id))

    def mark(self) -> tuple[int, int, int]:
        """How far this unit has come; :meth:`back_to` forgets what was said since."""
        return len(self.events), len(self.callbacks), len(self._touched)

    def back_to(self, mark: tuple[int, int, int]) -> None:
        del self.events[mark[0] :]
        del self.callbacks[mark[1] :]
        del self._touched[mark[2] :]

    @property
    def all_touched(self) -> frozenset[tuple[int, int]]:
        return frozenset(self._touched)
