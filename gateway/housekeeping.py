"""What the service does once a day, and what an operator does once after putting a backup back.

Promise: many small transactions, so that mail waiting for its commit waits little; running it again, or in several
processes, changes nothing more. Failure: a database error propagates; what was done before stays done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice

from gateway import idle
from gateway.compose import Storage
from gateway.medical import registers
from gateway.medical.memory import CHUNK, StoredMemory, forget_closed
from gateway.medical.register_key import RegisterKey
from gateway.record import retention
from gateway.record.indicators import files as indicators
from gateway.relay import tracking
from mailboxes import fsck, rules, upkeep
from mailboxes.commit import Unit
from mailboxes.engine import cursor_of
from mailboxes.store import PORTION
from policies.events import Event, Kind

EVERY = 24 * 3600.0
"""Seconds between two rounds."""

AGAIN = 300.0
"""Seconds after a round that failed, such as one that met an absent bucket; twice as many after each further one."""

TRACKED = 180 * 24 * 3600.0
"""Seconds a message whose recipients are all settled stays on the "sent" board."""

TOGETHER = 50
"""Mailboxes treated in one transaction."""


async def daily(storage: Storage) -> int:
    """Let go of what is too old: journal records (MSS-145), histories of erasures, answers given, settled messages (TOU-F02),
    patients not met again (HID-090 to HID-099), exchanges a patient may no longer answer in (MSS-101), what is left of deleted
    mailboxes, blobs without a row. Tell owners of mailboxes nobody uses (MSS-057). Returns the journal records removed.
    """
    age = retention.kept(storage.config.journal)
    removed = await retention.purge(storage.committer, storage.reading, age, storage.clock())
    mailboxes = await storage.reading.run(lambda connection: upkeep.mailboxes(cursor_of(connection)))
    for some in _parts(mailboxes):
        await storage.committer.run(partial(_forget, mailboxes=some))
    now = storage.clock()
    await storage.committer.run(rules.forget)
    while await storage.committer.run(partial(tracking.forget, before=now - TRACKED)) >= tracking.CHUNK:
        pass
    kept = StoredMemory(storage.reading, RegisterKey(storage.master))
    since = now - storage.config.hprim.history_keep
    while await storage.committer.run(partial(kept.purge, before=since)) >= CHUNK:
        pass
    while await storage.committer.run(forget_closed) >= CHUNK:
        pass
    ended = partial(registers.old_conversations, before=now - storage.config.hprim.conversation_keep)
    while old := await storage.reading.run(ended):
        await storage.committer.run(partial(registers.forget_conversations, digests=old))
    for mailbox in await storage.reading.run(lambda connection: upkeep.deleted(cursor_of(connection))):
        await erase(storage, mailbox)
    await fsck.sweep(storage.store, now=now)
    await asyncio.to_thread(indicators.make_anonymous, storage)
    await idle.look(storage)
    return removed


async def erase(storage: Storage, mailbox: int) -> None:
    """All that is left of a mailbox, whose key is destroyed; recorded with the last portion."""
    gone = 0

    def work(unit: Unit) -> int:
        count = storage.store.erase(unit, mailbox)
        if count < PORTION:
            detail = {"what": "mailbox", "count": gone + count}
            unit.emit(Event(Kind.PURGED, actor="system", mailbox=mailbox, detail=detail))
        return count

    while (count := await storage.committer.run(work)) >= PORTION:
        gone += count


def _forget(unit: Unit, mailboxes: Sequence[int]) -> None:
    for mailbox in mailboxes:
        upkeep.forget_history(unit, mailbox)


def after_restore(storage: Storage, actor: str) -> int:
    """Make every mailbox safe to serve after the database came from a backup (F36). Returns how many."""
    mailboxes = storage.reading.run_sync(lambda connection: upkeep.mailboxes(cursor_of(connection)))
    for some in _parts(mailboxes):
        storage.committer.run_sync(partial(_leap, mailboxes=some))
    told = Event(Kind.STORE_FAULT, actor=actor, detail={"what": "restored", "reference": f"{len(mailboxes)} mailboxes"})
    storage.committer.run_sync(lambda unit: unit.emit(told))
    return len(mailboxes)


def _leap(unit: Unit, mailboxes: Sequence[int]) -> None:
    for mailbox in mailboxes:
        upkeep.after_restore(unit, mailbox)


def _parts(mailboxes: Sequence[int]) -> Iterator[list[int]]:
    waiting = iter(mailboxes)
    while some := list(islice(waiting, TOGETHER)):
        yield some
