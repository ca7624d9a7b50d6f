"""What the doors ask of the register while a client waits: is there such a mailbox, and has access changed since?

Promise: :meth:`Mailboxes.find` answers from memory for at most :data:`TTL` seconds, hits and misses alike, so that asking
again costs the same for both; memory is bounded. :meth:`Watch.version` is at most :data:`TTL` seconds old, whatever process made
the change. Failure: :class:`mailboxes.store.StoreUnavailable` when the database must be asked and does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, func, select

from mailboxes.account_tables import access_version, address, mailbox
from mailboxes.commit import Reading
from mailboxes.tables import folder, mailbox_state
from policies.values import Address, BalState, BalType, MailboxFacts

TTL = 5.0
REMEMBERED = 20_000

_USED = select(func.coalesce(func.sum(folder.c.bytes), 0)).where(folder.c.mailbox_id == mailbox.c.id).scalar_subquery()
_FACTS = (
    select(
        mailbox.c.id,
        mailbox.c.local,
        mailbox.c.domain,
        mailbox.c.type,
        mailbox.c.state,
        func.coalesce(mailbox_state.c.bytes_limit, 0).label("quota"),
        _USED.label("used"),
    )
    .join(address, address.c.mailbox_id == mailbox.c.id)
    .join(mailbox_state, mailbox_state.c.mailbox_id == mailbox.c.id, isouter=True)
    .where(address.c.ended_at == 0)
)


def facts(connection: Connection, key: str) -> MailboxFacts | None:
    """The mailbox that has this address or alias, in any state; None when the address was never given."""
    return _facts(connection.execute(_FACTS.where(address.c.key == key)).one_or_none())


def facts_by_id(connection: Connection, mailbox_id: int) -> MailboxFacts | None:
    """The same, by the mailbox's number."""
    query = _FACTS.where(mailbox.c.id == mailbox_id, address.c.alias.is_(False))
    return _facts(connection.execute(query).one_or_none())


def _facts(row: Any) -> MailboxFacts | None:
    if row is None:
        return None
    where = Address(row.local, row.domain)
    return MailboxFacts(row.id, where, BalType(row.type), BalState(row.state), int(row.quota), int(row.used))


class Mailboxes:
    """Our mailboxes, as the SMTP doors and the intake see them. ``clock`` is monotonic."""

    def __init__(self, reading: Reading, clock: Callable[[], float], *, ttl: float = TTL) -> None:
        self._reading = reading
        self._clock = clock
        self._ttl = min(ttl, TTL)
        self._known: dict[str, tuple[float, MailboxFacts | None]] = {}

    async def find(self, address_key: str) -> MailboxFacts | None:
        """The mailbox of an address key (:attr:`policies.values.Address.key`), or None."""
        now = self._clock()
        known = self._known.get(address_key)
        if known is not None and known[0] > now:
            return known[1]
        found = await self._reading.run(lambda connection: facts(connection, address_key))
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[address_key] = (now + self._ttl, found)
        return found

    def forget(self) -> None:
        """Ask the database again from now on."""
        self._known.clear()


class Watch:
    """The number that grows whenever someone may do less than before (:func:`mailboxes.accounts.withdrawn`)."""

    def __init__(self, reading: Reading, clock: Callable[[], float], *, every: float = TTL) -> None:
        self._reading = reading
        self._clock = clock
        self._every = every
        self._asked = float("-inf")
        self._version = 0
        self._asking = asyncio.Lock()

    async def version(self) -> int:
        """The number, at most :data:`TTL` seconds old."""
        if self._clock() - self._asked >= self._every:
            async with self._asking:  # a thousand sessions ask at once: one of them goes
                now = self._clock()
                if now - self._asked >= self._every:
                    self._version = await self._reading.run(version)
                    self._asked = now
        return self._version


def version(connection: Connection) -> int:
    """The number, now."""
    return connection.execute(select(access_version.c.version)).scalar() or 0
