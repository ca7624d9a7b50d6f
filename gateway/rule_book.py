"""The rules of all mailboxes, in memory, as the intake asks for them with each message.

Promise: :meth:`RuleBook.ruled` and its like answer from memory at once; a rule written, removed or disabled by any process
is in force here within :data:`LOOK_EVERY` seconds of the next message, an owner's new alias within :data:`RELOAD_EVERY`.
Failure: :class:`mailboxes.store.StoreUnavailable` from :meth:`look` when the database must be asked and does not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from mailboxes import rules
from mailboxes.commit import Reading
from mailboxes.rules import ABSENCE, ACKNOWLEDGE, FORWARD, Rule

LOOK_EVERY = 2.0
RELOAD_EVERY = 60.0

_Page = tuple[tuple[int, int], list[Rule], dict[int, frozenset[str]]]


class RuleBook:
    """``clock`` is monotonic."""

    def __init__(self, reading: Reading, clock: Callable[[], float]) -> None:
        self._reading = reading
        self._clock = clock
        self._look_at = float("-inf")
        self._reload_at = float("-inf")
        self._version = (-1, -1)
        self._rules: dict[int, list[Rule]] = {}
        self._names: dict[int, frozenset[str]] = {}

    def stale(self) -> bool:
        """Is it time for a look?"""
        return self._clock() >= self._look_at

    async def look(self) -> None:
        """See what changed; asks the database at most once per :data:`LOOK_EVERY` seconds."""
        now = self._clock()
        if not self.stale():
            return
        known = None if now >= self._reload_at else self._version
        page = await self._reading.run(lambda connection: _page(connection, known))
        self._look_at = now + LOOK_EVERY
        if page is not None:
            self._reload_at = now + RELOAD_EVERY
            self._version, found, self._names = page
            self._rules = {}
            for one in found:
                self._rules.setdefault(one.mailbox_id, []).append(one)

    def forget(self) -> None:
        """Ask again at the next message."""
        self._look_at = self._reload_at = float("-inf")

    def ruled(self, mailbox_id: int) -> bool:
        """Has this mailbox any rule in force?"""
        return mailbox_id in self._rules

    def forwards(self, mailbox_id: int) -> Sequence[Rule]:
        """Where this mailbox sends on."""
        return [one for one in self._rules.get(mailbox_id, ()) if one.kind == FORWARD]

    def absence(self, mailbox_id: int, now: float) -> Rule | None:
        """The absence at this instant (epoch seconds)."""
        for one in self._rules.get(mailbox_id, ()):
            if one.kind == ABSENCE and one.starts_at <= now < one.ends_at:
                return one
        return None

    def acknowledges(self, mailbox_id: int) -> Rule | None:
        """The rule to send reading receipts without asking, if any."""
        return next((one for one in self._rules.get(mailbox_id, ()) if one.kind == ACKNOWLEDGE), None)

    def names(self, mailbox_id: int) -> frozenset[str]:
        """The keys of all addresses of a mailbox that has rules."""
        return self._names.get(mailbox_id, frozenset())


def _page(connection: Connection, known: tuple[int, int] | None) -> _Page | None:
    current = rules.version(connection)
    if current == known:
        return None
    return current, rules.listed(connection), rules.names(connection)
