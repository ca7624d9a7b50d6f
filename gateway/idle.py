"""Mailboxes nobody logs in to: their owner is told in time, and only then may they be closed (MSS-056, MSS-057).

Told by a letter in the mailbox's INBOX, on record in the journal. What was told is read back from there, so it is told once
whatever restarts, in whichever process; a login since makes it worthless. Closing is off unless ``accounts.inactivity_close``: the
address then refuses, the content can still be exported, nothing is destroyed. Promise: no mailbox is closed sooner than
``accounts.inactivity_notice`` after a letter that followed its last login. Failure: a letter that does not fit (a full mailbox) is
on record all the same, for its administrator; database errors propagate, and the next round goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection, func, select

from gateway import owner_letter
from gateway.compose import Storage
from gateway.people import people
from gateway.record.tables import journal
from gateway.settings import Accounts
from mailboxes import register
from mailboxes.register import Mailbox
from mailboxes.store import Sealed
from mailboxes.unit import Unit
from policies.catalogue.sentences_console import say
from policies.events import Event, Kind
from policies.lifecycle import Activity, Step, activity
from policies.values import BalState

TOLD = "inactivity notice"
REASON = "inactivity"
"""Why a mailbox was closed, in the register and in the journal."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a round did."""

    told: int = 0
    closed: int = 0


async def look(storage: Storage) -> Done:
    """Tell whoever is to be told, close what is to be closed."""
    own = storage.config.accounts
    found = await storage.reading.run(partial(_unused, settings=own, now=storage.clock()))
    told = closed = 0
    for box, used in found:
        told += await _tell(storage, box)
        if used is Activity.CLOSE and own.inactivity_close:
            closed += await storage.committer.run(partial(_close, storage=storage, box=box))
    return Done(told, closed)


def _unused(connection: Connection, settings: Accounts, now: float) -> list[tuple[Mailbox, Activity]]:
    """The mailboxes in service to warn about or to close: few of many, so judged where they are read, off the event loop."""
    judged = [
        (box, activity(box.last_login_at, box.created_at, now, settings.inactivity, settings.inactivity_notice))
        for box in register.listed(connection)
        if box.state is BalState.ACTIVE
    ]
    return [(box, used) for box, used in judged if used is not Activity.USED]


async def _tell(storage: Storage, box: Mailbox) -> bool:
    """Once for each time without login; False where it was done before."""
    if await storage.reading.run(partial(told_at, box=box)):
        return False
    letter = await owner_letter.sealed(storage, box, say("idle.subject", "fr"), _texts(storage, box))
    placed = await storage.committer.run(partial(_place, storage=storage, box=box, letter=letter))
    if not placed:
        await storage.sealer.discard(letter)
    return placed


def told_at(connection: Connection, box: Mailbox) -> float:
    """When the owner was told since the last login; 0 for not yet."""
    since = max(box.last_login_at, box.created_at) * 1_000_000
    newest = select(func.max(journal.c.at)).where(
        journal.c.mailbox == box.id,
        journal.c.mailbox != 0,
        journal.c.at >= since,
        journal.c.kind == Kind.MAILBOX.word,
        journal.c.detail.contains(f'"what":"{TOLD}"'),
    )
    return float(connection.execute(newest).scalar() or 0) / 1e6


def _place(unit: Unit, storage: Storage, box: Mailbox, letter: Sealed) -> bool:
    """The letter and its record, unless another process was faster or somebody has logged in since."""
    now = register.get(unit.connection, str(box.address))
    if told_at(unit.connection, box) or now.last_login_at != box.last_login_at or now.state is not BalState.ACTIVE:
        return False
    there = owner_letter.place(unit, storage, box, letter)
    unit.emit(_event(box, TOLD, box.state, "" if there else "full"))
    return True


def _close(unit: Unit, storage: Storage, box: Mailbox) -> bool:
    """Close it, if the letter has been there long enough and nobody came."""
    now = register.get(unit.connection, str(box.address))
    told = told_at(unit.connection, now)
    if now.state is not BalState.ACTIVE or now.last_login_at != box.last_login_at or not told:
        return False
    if unit.now - told < storage.config.accounts.inactivity_notice:
        return False
    people(storage).register.move(unit, str(box.address), Step.CLOSE, REASON, "system")
    return True


def _event(box: Mailbox, what: str, state: BalState, reason: str) -> Event:
    detail = {"what": what, "type": box.type.value, "state": state.value, "reason": reason, "address": box.address.key}
    return Event(Kind.MAILBOX, mailbox=box.id, detail=detail)


def _texts(storage: Storage, box: Mailbox) -> list[str]:
    """French, then English: until when to log in, and what happens otherwise."""
    own, now = storage.config.accounts, storage.clock()
    limit = max(max(box.last_login_at, box.created_at) + own.inactivity, now + own.inactivity_notice)
    day = datetime.fromtimestamp(limit, UTC).date().isoformat()
    name = "idle.will_close" if own.inactivity_close else "idle.may_close"
    return [say(name, language, address=box.address, day=day) for language in ("fr", "en")]
