"""Counts a month from the journal and the register of mailboxes.

The journal is read page by page, each page an instant of its own, so that no long read keeps the database from shrinking its
log; what a page holds is forgotten with it. Memory grows with mailboxes (some hundred octets each) and with lines of the
answer, never with messages. Sums equal what the journal holds: a message accepted from a user counts in what is sent, a copy
delivered to a mailbox in what is received; notices of the service itself count in neither.
Promise: the same journal and register give the same figures whenever they are asked for: what changed after the month
ended is read back from the journal (MSS-140). Of an address only the domain is looked at; patients' stay sealed (TOU-A12).
Failure: a database error propagates. A record written while the clock stood more than a day beside those around it may be missed.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, select

from gateway.record.indicators.figures import Box, Count, Document, Figures, Flow, Line, Month
from gateway.record.journal import head
from mailboxes.account_tables import mailbox
from mailboxes.engine import cursor_of
from mailboxes.sql import Sql
from policies.events import Kind
from policies.lifecycle import Step
from policies.values import Address, BalState, BalType, Door

T = TypeVar("T")
Ask = Callable[[Callable[[Connection], T]], T]
"""Runs a piece of reading: :meth:`mailboxes.reading.Reading.run_sync`, or that of a running service."""

PAGE = 5000
"""Records looked at in one reading: some 20 ms."""
DAY = 24 * 3600.0
RED_LIST = "red_list="
_MOVES = frozenset(step.value for step in Step)
MOST_DOCUMENTS = 10_000
"""Lines of documents. Numbers of programs are what senders write: beyond that many they are counted together."""
TOGETHER = "*"

_PLACE = Sql("SELECT at FROM journal WHERE seq = ?")
_OLDEST = Sql("SELECT min(seq) FROM journal")
_COLUMNS = "SELECT seq, at, kind, mailbox, message, detail FROM journal WHERE seq >= ? AND seq < ? AND kind IN ({}) ORDER BY seq"
_CHANGES = Sql(_COLUMNS.format(f"'{Kind.MAILBOX.word}'"))
_PAGE = Sql(
    _COLUMNS.format(
        ", ".join(f"'{one.word}'" for one in (Kind.MESSAGE_ACCEPTED, Kind.DELIVERED, Kind.LOGIN, Kind.MAILBOX))
    )
)
_BEFORE = (
    "SELECT {} FROM journal WHERE mailbox = ? AND mailbox <> 0 AND seq < ? AND kind = '{}' ORDER BY seq DESC LIMIT 1"
)
_LOGIN_BEFORE = Sql(_BEFORE.format("at", Kind.LOGIN.word))
_STATE_BEFORE = Sql(_BEFORE.format("detail", Kind.MAILBOX.word))


@dataclass(frozen=True, slots=True)
class _Known:
    """A mailbox as the register has it now."""

    id: int
    address: Address
    type: BalType
    created_at: int
    last_login_at: int
    state: BalState
    state_at: int
    red_list: bool


def count(ask: Ask[Any], month: Month, patients: Collection[str]) -> Figures:
    """The figures of ``month``; ``patients`` are the domains of patients' mailboxes."""
    known: dict[int, _Known] = ask(_register)
    first, after, end = ask(lambda connection: _places(connection, month))
    tally = _Tally(month, known, frozenset(patients), first)
    for statement, start, stop in ((_PAGE, first, after), (_CHANGES, after, end)):
        for page in _pages(ask, statement, start, stop):
            for row in page:
                tally.take(*row)
    return Figures(month, _boxes(ask, tally), tally.sent, tally.received, tally.documents)


def used(ask: Ask[Any], month: Month) -> dict[str, bool]:
    """Whether somebody logged in to each mailbox there was, by address: all that may be handed over (TOU-A13)."""
    return {box.address: bool(box.days) for box in count(ask, month, ()).boxes}


def _register(connection: Connection) -> dict[int, _Known]:
    return {
        row.id: _Known(
            row.id,
            Address(row.local, row.domain),
            BalType(row.type),
            row.created_at,
            row.last_login_at,
            BalState(row.state),
            row.state_at,
            bool(row.red_list),
        )
        for row in connection.execute(select(mailbox))
    }


# the journal


def _places(connection: Connection, month: Month) -> tuple[int, int, int]:
    """Where the month's records begin, where they have ended, and where the journal ends. A day more at either end: clocks are put right."""
    cursor, end = cursor_of(connection), head(connection)[0] + 1
    oldest = _OLDEST(cursor).fetchone()[0] or end

    def at(seq: int) -> int:
        row = _PLACE(cursor, seq).fetchone()
        return int(row[0]) if row is not None else 0  # pruned meanwhile: older than all that stay

    places = range(oldest, end)
    first = oldest + bisect_left(places, (month.start - DAY) * 1e6, key=at)
    return first, oldest + bisect_left(places, (month.end + DAY) * 1e6, key=at), end


def _pages(ask: Ask[Any], statement: Sql, first: int, end: int) -> Iterator[list[Any]]:
    for start in range(first, end, PAGE):
        yield ask(partial(_page, statement=statement, start=start, stop=min(start + PAGE, end)))


def _page(connection: Connection, statement: Sql, start: int, stop: int) -> list[Any]:
    rows: list[Any] = statement(cursor_of(connection), start, stop).fetchall()
    return rows


@dataclass(frozen=True, slots=True)
class _Accepted:
    """A message accepted in the transaction being read. ``sender`` is a domain."""

    sender: str
    size: int
    codes: tuple[str, ...]
    ins: str
    program: str


@dataclass(slots=True)
class _Tally:
    """What is counted so far. A message and its deliveries are one transaction, and so bear one time: no more need be held."""

    month: Month
    known: Mapping[int, _Known]
    patients: frozenset[str]
    first: int
    sent: dict[Line, Flow] = field(default_factory=dict)
    received: dict[Line, Flow] = field(default_factory=dict)
    documents: dict[Document, Count] = field(default_factory=dict)
    days: dict[int, int] = field(default_factory=dict)
    moved: dict[int, int] = field(default_factory=dict)
    """Mailboxes that left their state since the month ended: the number of the first record that says so."""
    listed: dict[int, bool] = field(default_factory=dict)
    """Those whose red list was changed since: what it was before."""
    _at: int = 0
    _day: int = 0
    _accepted: dict[str, _Accepted] = field(default_factory=dict)
    _met: set[str] = field(default_factory=set)

    def take(self, seq: int, at: int, kind: str, box: int, message: str, detail: str) -> None:
        """One record of the kinds that are asked for."""
        if kind == Kind.MAILBOX.word:
            if at >= self.month.end * 1e6:
                self._changed_since(seq, box, json.loads(detail))
            return
        if not self.month.start * 1e6 <= at < self.month.end * 1e6:
            return
        if at != self._at:
            self._at = at
            self._accepted.clear()
            self._met.clear()
            self._day = int((at / 1e6 - self.month.start) // DAY) + 1
        if kind == Kind.DELIVERED.word:
            self._delivered(box, message)
        elif kind == Kind.LOGIN.word:
            if box in self.known:
                self.days[box] = self.days.get(box, 0) | 1 << self._day
        else:
            self._take_accepted(box, message, json.loads(detail))

    def _take_accepted(self, box: int, message: str, told: Mapping[str, Any]) -> None:
        one = _Accepted(
            str(told.get("sender", "")).rpartition("@")[2],
            int(told.get("size", 0)),
            tuple(told.get("codes", ())),
            str(told.get("ins", "")),
            str(told.get("nil", "")),
        )
        door = told.get("door")
        if door != Door.INTERNAL.value:
            self._accepted[message] = one
        own = self.known.get(box)
        if door != Door.SUBMISSION.value or own is None:
            return
        first = True
        for recipient in dict.fromkeys(told.get("recipients", ())):
            self._add(self.sent, own, recipient.rpartition("@")[2], one, first=first, way="sent")
            first = False

    def _delivered(self, box: int, message: str) -> None:
        one, own = self._accepted.get(message), self.known.get(box)
        if one is None or own is None:
            return
        first = message not in self._met  # the first copy stands for the message itself
        self._met.add(message)
        self._add(self.received, own, one.sender, one, first=first, way="received")

    def _add(self, flows: dict[Line, Flow], own: _Known, other: str, one: _Accepted, *, first: bool, way: str) -> None:
        line = (own.address.domain, self._day, own.type.value, other)
        flow = flows.get(line)
        if flow is None:
            flow = flows[line] = Flow()
        flow.messages += 1
        flow.sent += first
        flow.octets += one.size
        flow.octets_sent += one.size if first else 0
        flow.patients += other in self.patients
        flow.documents += bool(one.codes)
        flow.ins_yes += one.ins == "O"
        flow.ins_no += one.ins == "N"
        for code in one.codes or ("",):
            counted = self._document((own.address.domain, way, code, one.program))
            counted.messages += 1
            counted.sent += first

    def _changed_since(self, seq: int, box: int, told: Mapping[str, Any]) -> None:
        what = str(told.get("what", ""))
        if what in _MOVES:
            self.moved.setdefault(box, seq)
        for word in what.split():
            if word.startswith(RED_LIST):
                self.listed.setdefault(box, word != f"{RED_LIST}on")

    def _document(self, key: Document) -> Count:
        found = self.documents.get(key)
        if found is None:
            if len(self.documents) >= MOST_DOCUMENTS:
                key = (*key[:2], TOGETHER, TOGETHER)
            found = self.documents.setdefault(key, Count())
        return found


# the register, as it was


def _boxes(ask: Ask[Any], tally: _Tally) -> list[Box]:
    found = []
    for one in tally.known.values():
        if one.created_at >= tally.month.end:
            continue
        state = _state(ask, one, tally.moved.get(one.id))
        if state is BalState.DELETED and one.state_at < tally.month.start:
            continue
        days = tuple(day for day in range(1, 32) if tally.days.get(one.id, 0) >> day & 1)
        found.append(
            Box(
                str(one.address),
                one.address.domain,
                one.type,
                _date(one.created_at),
                tally.month.day(days[-1]) if days else _last_login(ask, one, tally),
                state,
                tally.listed.get(one.id, one.red_list),
                days,
            )
        )
    return found


def _state(ask: Ask[Any], one: _Known, moved: int | None) -> BalState:
    """The state when the month ended. A mailbox that left it since was in the one its record before that tells, active at first."""
    if moved is None:
        return one.state
    row = ask(lambda connection: _STATE_BEFORE(cursor_of(connection), one.id, moved).fetchone())
    return BalState(json.loads(row[0])["state"]) if row is not None else BalState.ACTIVE


def _last_login(ask: Ask[Any], one: _Known, tally: _Tally) -> date | None:
    """Before a month without login. None: never, or no longer known."""
    if not one.last_login_at:
        return None
    if one.last_login_at < tally.month.end:
        return _date(one.last_login_at)
    row = ask(lambda connection: _LOGIN_BEFORE(cursor_of(connection), one.id, tally.first).fetchone())
    return _date(row[0] / 1e6) if row is not None else None


def _date(seconds: float) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()
