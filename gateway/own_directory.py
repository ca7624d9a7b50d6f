"""The directory of this operator's own mailboxes, held in memory and read again when the register changes.

Only what is active and not on the red list is read at all (MSS-121). Promise: a change of who may do what, and of what is
public, shows within seconds. Failure: :class:`directory.search.DirectoryUnavailable` while the database does not answer.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from sqlalchemy import Connection, select

from directory.entry import Entry
from directory.search import Answer, Condition, Directory, DirectoryUnavailable, demand_bounded, folded, holds
from gateway.compose import Storage
from mailboxes.account_tables import account, mailbox
from mailboxes.commit import Reading
from mailboxes.store import StoreError
from policies.values import BalState

FRESH_SECONDS = 5.0
_VISIBLE = (
    select(mailbox, account.c.identity, account.c.family_name, account.c.given_name, account.c.title)
    .join(account, account.c.id == mailbox.c.owner_id, isouter=True)
    .where(mailbox.c.state == BalState.ACTIVE, mailbox.c.red_list.is_(False))
)


def directory(storage: Storage) -> Directory:
    """What can be asked of this operator's directory."""
    return _OwnMailboxes(storage.reading)


class _OwnMailboxes:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._held: dict[str, Entry] = {}
        self._read_at = float("-inf")
        self._turn = asyncio.Lock()

    async def find(self, condition: Condition, limit: int) -> Answer:
        demand_bounded(condition)
        return await asyncio.to_thread(_found, await self._fresh(), condition, limit)

    async def get(self, address: str) -> Entry | None:
        return (await self._fresh()).get(address.lower())

    async def _fresh(self) -> dict[str, Entry]:
        async with self._turn:
            if time.monotonic() - self._read_at >= FRESH_SECONDS:
                try:
                    self._held = await self._reading.run(_entries)
                except StoreError:
                    raise DirectoryUnavailable from None
                self._read_at = time.monotonic()
            return self._held


def _found(held: dict[str, Entry], condition: Condition, limit: int) -> Answer:
    found = [entry for entry in held.values() if holds(condition, entry)]
    found.sort(key=lambda entry: (folded(entry.name), entry.address))
    return Answer(tuple(found[:limit]), len(found) > limit)


def _entries(connection: Connection) -> dict[str, Entry]:
    return {entry.address.lower(): entry for entry in map(_entry, connection.execute(_VISIBLE))}


def _entry(row: Any) -> Entry:
    person = row.type in ("PER", "CAB")
    return Entry(
        address=f"{row.local}@{row.domain}",
        type=row.type,
        title=(row.title or "") if person else "",
        family=(row.family_name or "") if person else "",
        given=(row.given_name or "") if person else "",
        person=(row.identity or "") if person else "",
        structure=row.structure,
        service=row.service,
        description=row.description,
        phone=row.phone,
        rank=row.rank,
        paperless=row.paperless,
    )
