"""Notices owed: written in the transaction that makes them due, sent afterwards, so that a kill loses none.

Promise: a recipient's change of state and the notice it owes are one commit. A notice leaves this table only after it
was accepted at intake; a kill in between may send it twice, never zero times. RFC 3461 wishes are obeyed here, in one
place; a message with the null reverse-path is never answered to its sender: the postmaster is told (F34).
Failure: database errors propagate with the caller's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, select, update

from gateway.relay.parcel import Bodies, Result
from gateway.relay.tables import owed
from mailboxes.commit import Unit
from policies.catalogue import rule
from policies.decision import Decision, Language
from policies.events import Event, Kind
from policies.values import DsnRequest

UNKNOWN = -1.0
ENTRIES = 100  # recipients told of in one notice


class Subject(Protocol):
    """What a notice speaks of: a queue row, or anything with the same names."""

    @property
    def message(self) -> str: ...
    @property
    def body_id(self) -> int: ...
    @property
    def wrapped(self) -> bytes: ...
    @property
    def sender(self) -> str: ...
    @property
    def recipient(self) -> str: ...
    @property
    def dsn(self) -> DsnRequest: ...
    @property
    def accepted_at(self) -> float: ...
    @property
    def expires_at(self) -> float: ...


class About(NamedTuple):
    """A subject that has no queue row: a recipient of ours, one that is followed, one a rule spoke to."""

    message: str
    body_id: int
    wrapped: bytes
    sender: str
    recipient: str
    dsn: DsnRequest
    accepted_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One recipient in a notice. ``rule`` and ``parameters`` rebuild the public sentence."""

    recipient: str
    orcpt: str
    status: str
    reply: str
    host: str
    rule: str
    parameters: Mapping[str, str]
    at: float
    until: float

    def sentence(self, language: Language) -> tuple[str, str]:
        """The public sentence and its remedy; empty when another release wrote what this one does not know."""
        try:
            decision = Decision(rule(self.rule), self.parameters)
            return decision.sentence(language), decision.remedy(language)
        except LookupError:  # of the rule, or of a parameter
            return "", ""


@dataclass(frozen=True, slots=True)
class Owed:
    """A notice to be built and sent. ``recipient`` is empty for the postmaster."""

    id: int
    fence: int
    action: str
    message: str
    recipient: str
    body_id: int
    wrapped: bytes
    ret: str
    envid: str
    accepted_at: float
    entries: tuple[Entry, ...]
    attempts: int


def wanted(action: str, notify: frozenset[str]) -> bool:
    """Does RFC 3461 4.1 let this notice be sent? Without NOTIFY: failures and delays, no successes."""
    word = {"failed": "FAILURE", "delayed": "DELAY"}.get(action, "SUCCESS")
    if not notify:
        return word != "SUCCESS"
    return word in notify


class Draft:
    """Gathers what one transaction owes: one notice per message and action, as long as its recipients agree."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._found: dict[tuple[str, str, str], list[tuple[Subject, Entry]]] = {}

    def add(self, action: str, row: Subject, result: Result, at: float = 0.0) -> None:
        """A recipient was failed, delayed, delivered or relayed; ``at`` defaults to the transaction's time, and is
        :data:`UNKNOWN` when nothing was tried at that moment."""
        if not wanted(action, row.dsn.notify) and row.sender:
            return
        if not row.sender and action != "failed":
            return
        entry = Entry(
            row.recipient,
            row.dsn.orcpt,
            result.status,
            result.reply,
            result.host,
            result.decision.rule.name,
            dict(result.decision.parameters),
            at,
            row.expires_at,
        )
        self._found.setdefault((action, row.message, row.sender), []).append((row, entry))

    def commit(self, unit: Unit) -> None:
        """Write what was gathered, in the caller's transaction."""
        for (action, _message, sender), found in self._found.items():
            for start in range(0, len(found), ENTRIES):
                part = found[start : start + ENTRIES]
                _owe(
                    unit, self._bodies, action if sender else "double_bounce", part[0][0], [entry for _, entry in part]
                )
        self._found.clear()


def _owe(unit: Unit, bodies: Bodies, action: str, row: Subject, entries: Sequence[Entry]) -> None:
    if action == "double_bounce":
        _record(unit, row.message, row.recipient, "", action)
    if row.body_id:
        bodies.hold(unit, row.body_id)
    unit.connection.execute(
        insert(owed),
        {
            "action": action,
            "message": row.message,
            "recipient": row.sender,
            "body_id": row.body_id,
            "wrapped": row.wrapped,
            "ret": row.dsn.ret,
            "envid": row.dsn.envid,
            "accepted_at": row.accepted_at,
            "entries": json.dumps([_flat(entry, unit.now) for entry in entries]),
            "due_at": unit.now,
            "attempts": 0,
            "fence": 0,
        },
    )


def _flat(entry: Entry, now: float) -> dict[str, Any]:
    return {
        "recipient": entry.recipient,
        "orcpt": entry.orcpt,
        "status": entry.status,
        "reply": entry.reply,
        "host": entry.host,
        "rule": entry.rule,
        "parameters": dict(entry.parameters),
        "at": entry.at or now,
        "until": entry.until,
    }


def _record(unit: Unit, message: str, recipient: str, notice: str, status: str) -> None:
    detail = {"notice": notice, "about": message, "status": status}
    unit.emit(Event(Kind.NOTICE, message=message, recipient=recipient.lower(), detail=detail))


def take(unit: Unit, lease: float, limit: int = 20) -> list[Owed]:
    """Lease notices that are due."""
    rows = unit.connection.execute(_DUE, {"instant": unit.now, "share": limit}).all()
    if rows:
        unit.connection.execute(_LEASE, [{"row": row.id, "until": unit.now + lease} for row in rows])
    return [_owed(row) for row in rows]


_DUE = (
    select(owed)
    .where(owed.c.due_at <= bindparam("instant"))
    .order_by(owed.c.due_at, owed.c.id)
    .limit(bindparam("share"))
    .with_for_update(skip_locked=True)
)
_LEASE = update(owed).where(owed.c.id == bindparam("row")).values(due_at=bindparam("until"), fence=owed.c.fence + 1)
_MINE = and_(owed.c.id == bindparam("row"), owed.c.fence == bindparam("held_fence"))


def _owed(row: Any) -> Owed:
    entries = tuple(Entry(**entry) for entry in json.loads(row.entries))
    return Owed(
        row.id,
        row.fence + 1,
        row.action,
        row.message,
        row.recipient,
        row.body_id,
        bytes(row.wrapped),
        row.ret,
        row.envid,
        row.accepted_at,
        entries,
        row.attempts,
    )


def sent(unit: Unit, bodies: Bodies, notice: Owed, identifier: str) -> None:
    """The notice is durable at intake (or, with an empty ``identifier``, is given up): forget it, record it."""
    gone = unit.connection.execute(delete(owed).where(_MINE), {"row": notice.id, "held_fence": notice.fence})
    if not gone.rowcount:
        return  # another courier took it over and will record it
    if notice.body_id:
        bodies.release(unit, notice.body_id)
    for entry in notice.entries:
        _record(unit, notice.message, entry.recipient, identifier, notice.action if identifier else "undeliverable")


def postpone(unit: Unit, notice: Owed, seconds: float) -> None:
    """Intake could not take it: try again later."""
    parameters = {"row": notice.id, "held_fence": notice.fence, "until": unit.now + seconds}
    unit.connection.execute(_POSTPONE, parameters)


_POSTPONE = update(owed).where(_MINE).values(due_at=bindparam("until"), attempts=owed.c.attempts + 1)


def next_due(connection: Connection) -> float | None:
    """When the next notice is due; None when none is owed."""
    found = connection.execute(select(func.min(owed.c.due_at))).scalar_one()
    return None if found is None else float(found)
