"""Mailboxes nobody logs in to: their owner is told in time, and only then may they be closed (MSS-056, MSS-057).

Told by a letter in the mailbox's INBOX, on record in the journal. What was told is read back from there, so it is told once
whatever restarts, in whichever process; a login since makes it worthless. Closing is off unless ``accounts.inactivity_close``: the
address then refuses, the content can still be exported, nothing is destroyed. Promise: no mailbox is closed sooner than
``accounts.inactivity_notice`` after a letter that followed its last login. Failure: a letter that does not fit (a full mailbox) is
on record all the same, for its administrator; database errors propagate, and the next round goes on.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection, func, select

from gateway.compose import Storage
from gateway.config import postmaster
from gateway.people import people
from gateway.received import date
from gateway.record.tables import journal
from gateway.relay.notices import encoded_word, field_line, quoted_printable
from mailboxes import register
from mailboxes.anatomy import dissect, pack
from mailboxes.register import Mailbox
from mailboxes.store import Delivery, Sealed, StoreError
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
    own, now = storage.config.accounts, storage.clock()
    found: Sequence[Mailbox] = await storage.reading.run(register.listed)
    told = closed = 0
    for box in found:
        used = activity(box.last_login_at, box.created_at, now, own.inactivity, own.inactivity_notice)
        if box.state is not BalState.ACTIVE or used is Activity.USED:
            continue
        told += await _tell(storage, box)
        if used is Activity.CLOSE and own.inactivity_close:
            closed += await storage.committer.run(partial(_close, storage=storage, box=box))
    return Done(told, closed)


async def _tell(storage: Storage, box: Mailbox) -> bool:
    """Once for each time without login; False where it was done before."""
    if await storage.reading.run(partial(told_at, box=box)):
        return False
    content = _letter(storage, box)
    sealed = await storage.sealer.seal(content, pack(dissect(content)))
    placed = await storage.committer.run(partial(_place, storage=storage, box=box, sealed=sealed))
    if not placed:
        await storage.sealer.discard(sealed)
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


def _place(unit: Unit, storage: Storage, box: Mailbox, sealed: Sealed) -> bool:
    """The letter and its record, unless another process was faster or somebody has logged in since."""
    now = register.get(unit.connection, str(box.address))
    if told_at(unit.connection, box) or now.last_login_at != box.last_login_at or now.state is not BalState.ACTIVE:
        return False
    storage.store.put_body(unit, [sealed])
    (outcome,) = storage.store.deliver(unit, [Delivery(sealed, box.id, int(unit.now))])
    if isinstance(outcome, StoreError):
        storage.store.release_body(unit, sealed.body_id, 0)
    unit.emit(_event(box, TOLD, box.state, "full" if isinstance(outcome, StoreError) else ""))
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


def _letter(storage: Storage, box: Mailbox) -> bytes:
    """French, then English: until when to log in, and what happens otherwise."""
    config, now = storage.config, storage.clock()
    own = config.accounts
    limit = max(max(box.last_login_at, box.created_at) + own.inactivity, now + own.inactivity_notice)
    day = datetime.fromtimestamp(limit, UTC).date().isoformat()
    name = "idle.will_close" if own.inactivity_close else "idle.may_close"
    texts = [say(name, language, address=box.address, day=day) for language in ("fr", "en")]
    fields = (
        ("Date", date(now)),
        ("From", f"Caducee <{postmaster(config.operator)}>"),
        ("To", f"<{box.address}>"),
        ("Subject", encoded_word(say("idle.subject", "fr"))),
        ("Message-ID", f"<{secrets.token_hex(16)}@{config.operator.hostname}>"),
        ("Auto-Submitted", "auto-generated"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", "quoted-printable"),
    )
    head = b"".join(field_line(title, value) for title, value in fields)
    return head + b"\r\n" + quoted_printable("\n\n".join(texts) + "\n")
