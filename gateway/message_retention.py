"""Messages leave mailboxes that are no archive, after their owner was told in time to fetch them (MSS-066, TOU-A11, TOU-E05, TOU-F02).

Each round looks at each mailbox: if nothing was told yet, a letter says how many messages of which folders will be erased when;
once ``retention.notice`` has passed since, exactly those are. What was told is read back from the journal, so that restarts and
several processes change nothing. Promise: no message is erased that was in its folder for less than ``retention.messages``, or of
which no letter told at least ``retention.notice`` before; each erasure is a record. Names of folders stand in the letter alone.
Failure: a letter that finds no room erases nothing; database errors propagate, and the next round goes on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection, func, select

from gateway import owner_letter
from gateway.compose import Storage
from gateway.record.tables import journal
from mailboxes import register
from mailboxes.register import Mailbox
from mailboxes.store import FlagChange, Folder, Sealed
from mailboxes.tables import entry
from mailboxes.unit import Unit
from policies.catalogue.sentences_console import say
from policies.events import Event, Kind
from policies.values import BalState

TOLD, DONE = "retention notice", "retention done"
PORTION = 500
"""Messages erased in one transaction."""
DAY = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Done:
    """What a round did."""

    told: int = 0
    erased: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """What the owner was told, and when: whatever was in its folder before ``before`` goes. Seconds since the epoch."""

    at: float
    before: float


async def look(storage: Storage) -> Done:
    """One round over all mailboxes; nothing while ``retention.messages`` is 0."""
    own = storage.config.retention
    if not own.messages:
        return Done()
    told = erased = 0
    found = await storage.reading.run(partial(_concerned, domains=own.domains))
    for box in found:
        notice = await storage.reading.run(partial(pending, box=box))
        if notice is None:
            told += await _tell(storage, box)
        elif storage.clock() >= notice.at + own.notice:
            erased += await _erase(storage, box, min(notice.before, storage.clock() - own.messages))
    return Done(told, erased)


def _concerned(connection: Connection, domains: Sequence[str]) -> list[Mailbox]:
    listed = register.listed(connection)
    return [box for box in listed if box.state is BalState.ACTIVE and (not domains or box.address.domain in domains)]


def pending(connection: Connection, box: Mailbox) -> Notice | None:
    """The notice whose messages are not erased yet."""
    newest = (
        select(journal.c.at, journal.c.detail)
        .where(
            journal.c.mailbox == box.id,
            journal.c.mailbox != 0,
            journal.c.kind == Kind.MAILBOX.word,
            journal.c.detail.contains('"what":"retention '),
        )
        .order_by(journal.c.seq.desc())
        .limit(1)
    )
    row = connection.execute(newest).one_or_none()
    if row is None:
        return None
    told = json.loads(row.detail)
    return Notice(row.at / 1e6, float(told["reason"])) if told["what"] == TOLD else None


# telling


def _counts(connection: Connection, box: Mailbox, before: float) -> dict[int, int]:
    """How many messages by folder."""
    old = select(entry.c.folder_id, func.count()).where(entry.c.mailbox_id == box.id, entry.c.save_date < int(before))
    return {row[0]: row[1] for row in connection.execute(old.group_by(entry.c.folder_id))}


async def _tell(storage: Storage, box: Mailbox) -> bool:
    own, now = storage.config.retention, storage.clock()
    before = float(int(now - own.messages + min(own.notice, own.messages)))
    counts = await storage.reading.run(partial(_counts, box=box, before=before))
    if not counts:
        return False
    folders = await storage.store.folders(box.id)
    letter = await owner_letter.sealed(
        storage, box, say("retention.subject", "fr"), _texts(storage, counts, folders, before)
    )
    placed = await storage.committer.run(partial(_place, storage=storage, box=box, letter=letter, before=before))
    if not placed:
        await storage.sealer.discard(letter)
    return placed


def _texts(storage: Storage, counts: dict[int, int], folders: Sequence[Folder], before: float) -> list[str]:
    own, now = storage.config.retention, storage.clock()
    facts = {"kept": int(own.messages // DAY), "day": _day(now + own.notice + DAY), "before": _day(before)}
    texts = []
    for language in ("fr", "en"):
        lines = [
            say("retention.folder", language, folder=one.name, count=counts[one.id])
            for one in folders
            if one.id in counts
        ]
        texts += [
            say("retention.notice", language, **facts),
            "\n".join(lines),
            say("retention.advice", language),
        ]
    return texts


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def _place(unit: Unit, storage: Storage, box: Mailbox, letter: Sealed, before: float) -> bool:
    """The letter and its record; neither where another process was faster, or no room is left."""
    if pending(unit.connection, box) is not None:
        return False
    if not owner_letter.place(unit, storage, box, letter):
        return False
    unit.emit(_event(box, TOLD, str(int(before))))
    return True


def _event(box: Mailbox, what: str, reason: str) -> Event:
    detail = {
        "what": what,
        "type": box.type.value,
        "state": box.state.value,
        "reason": reason,
        "address": box.address.key,
    }
    return Event(Kind.MAILBOX, mailbox=box.id, detail=detail)


# erasing


async def _erase(storage: Storage, box: Mailbox, before: float) -> int:
    """What was told, portion by portion; then the notice is done with."""
    total = 0
    for folder in await storage.store.folders(box.id):
        old = await storage.reading.run(partial(_old, mailbox=box.id, folder=folder.id, before=before))
        for start in range(0, len(old), PORTION):
            total += await _erase_some(storage, box, folder, old[start : start + PORTION])
    await storage.committer.run(lambda unit: unit.emit(_event(box, DONE, f"{total} messages")))
    return total


def _old(connection: Connection, mailbox: int, folder: int, before: float) -> list[int]:
    here = (entry.c.mailbox_id == mailbox) & (entry.c.folder_id == folder) & (entry.c.save_date < int(before))
    return [row[0] for row in connection.execute(select(entry.c.uid).where(here).order_by(entry.c.uid))]


async def _erase_some(storage: Storage, box: Mailbox, folder: Folder, uids: list[int]) -> int:
    detail = {"command": "RETENTION", "folder": folder.reference, "count": len(uids)}
    trace = Event(Kind.ERASED, mailbox=box.id, detail=detail)
    change = FlagChange("add", frozenset(("\\Deleted",)))
    await storage.store.store_flags(box.id, folder.id, uids, change)
    return len(await storage.store.expunge(box.id, folder.id, uids, (trace,)))
