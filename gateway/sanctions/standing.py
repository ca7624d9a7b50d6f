"""What the doors ask: may this sender write to this recipient; and what they tell: somebody passed a refusing threshold.

Promise: the answer is at most :data:`TTL` seconds old whatever process suspended him, so an open session hears it well within a minute;
asking costs a look in memory. The operator's own people (the address where one contests, every postmaster of ours) are always within
reach, or nobody could contest. Telling opens a case that waits for a person, and refuses nothing by itself.
Failure: :class:`mailboxes.store.StoreError` when the rows must be read and cannot; a case that cannot be opened is logged, and the
refusal stands without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection, func, select

from gateway.sanctions import rows
from gateway.sanctions.cases import AUTOMATIC, Cases, Report
from gateway.sanctions.letters import day, money, one_line
from gateway.sanctions.tables import sanction_case, suspension
from mailboxes.commit import Committer, Reading, Unit
from mailboxes.lookup import facts_by_id
from mailboxes.store import StoreError
from policies.catalogue import rule
from policies.decision import Decision, decide
from policies.penalties import CaseState
from policies.values import Address, Login

TTL = 5.0
AGAIN = 600.0
"""Seconds during which one sender's further refusals open nothing."""
SENDERS = 20_000
GROUND = 120
"""Characters of a ground in a reply, one line of which holds 512 octets."""

log = structlog.get_logger("sanctions")


@dataclass(frozen=True, slots=True)
class _Bar:
    cause: str
    subject: str
    ground: str
    until: int


@dataclass(frozen=True, slots=True)
class _Known:
    """All that is in force: of our mailboxes by number, of partners' senders by address key; what each of ours owes."""

    ours: Mapping[int, _Bar] = field(default_factory=dict)
    theirs: Mapping[str, _Bar] = field(default_factory=dict)
    due: Mapping[int, int] = field(default_factory=dict)


class Sanctions:
    """Implements :class:`gateway.intake_ports.Sanctions`. ``cases`` are made from the configuration in force."""

    def __init__(
        self,
        committer: Committer,
        reading: Reading,
        cases: Callable[[], Cases],
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._committer = committer
        self._reading = reading
        self._cases = cases
        self._clock = clock
        self._monotonic = monotonic
        self._known = _Known()
        self._asked = float("-inf")
        self._asking = asyncio.Lock()
        self._told: dict[int, float] = {}

    async def judge(
        self, login: Login | None, senders: Callable[[], Iterable[str]], recipient: Address
    ) -> Decision | None:
        """The refusal of this recipient to a sender of ours, or to a partner's under one of these address keys; None when he may."""
        known = await self._in_force()
        if not known.ours and not known.theirs:
            return None
        if login is not None:
            bar = known.ours.get(login.mailbox_id)
        else:
            now = self._clock()
            found = (known.theirs.get(key) for key in senders())
            bar = next((one for one in found if one is not None and one.until > now), None)
        contest = self._cases().words.contest
        if bar is None or recipient.local.lower() == "postmaster" or recipient.key == contest.lower():
            return None
        return self._refusal(bar, known.due.get(login.mailbox_id, 0) if login else 0, contest)

    def _refusal(self, bar: _Bar, owed: int, contest: str) -> Decision:
        if bar.cause == rows.PENALTY:
            return decide(rule("sanction.unpaid"), address=bar.subject, contest=contest, **money("due", owed))
        if bar.cause == rows.PARTNER:
            until = day("until", bar.until)
            return decide(rule("sanction.partner_blocked"), address=bar.subject, contest=contest, **until)
        ground = one_line(bar.ground)[:GROUND]
        return decide(rule("sanction.suspended"), address=bar.subject, contest=contest, ground=ground)

    async def _in_force(self) -> _Known:
        if self._monotonic() - self._asked >= TTL:
            async with self._asking:
                now = self._monotonic()
                if now - self._asked >= TTL:
                    self._known = await self._reading.run(_read)
                    self._asked = now
        return self._known

    async def suspect(self, login: Login, reached: int) -> None:
        """This mailbox passed a refusing threshold after it had reached so many recipients."""
        now = self._monotonic()
        if self._told.get(login.mailbox_id, 0) > now:
            return
        if len(self._told) >= SENDERS:
            self._told.clear()
        self._told[login.mailbox_id] = now + AGAIN
        try:
            await self._committer.run(lambda unit: self._suspect(unit, login, reached))
        except StoreError as problem:
            log.warning("case_not_opened", error=type(problem).__name__)

    def _suspect(self, unit: Unit, login: Login, reached: int) -> None:
        found = facts_by_id(unit.connection, login.mailbox_id)
        if found is None:
            return
        subject = found.address.key
        waiting = rows.listed(unit.connection, state=CaseState.OPEN, subject=subject)
        if not any(one.source == AUTOMATIC for one in waiting):
            self._cases().open(unit, Report(subject, login.mailbox_id, reached, AUTOMATIC), "system")


def _read(connection: Connection) -> _Known:
    c = suspension.c
    active = select(c.mailbox_id, c.subject, c.cause, c.ground, c.until).where(c.state == rows.ACTIVE).order_by(c.id)
    ours: dict[int, _Bar] = {}
    theirs: dict[str, _Bar] = {}
    for row in connection.execute(active):
        bar = _Bar(row.cause, row.subject, row.ground, row.until)
        if not row.mailbox_id:
            theirs[row.subject] = bar
        elif row.mailbox_id not in ours or bar.cause == rows.PRECAUTION:  # the graver one is told
            ours[row.mailbox_id] = bar
    held = sanction_case.c
    owed = (
        select(held.mailbox_id, func.sum(held.amount).label("due"))
        .where(held.mailbox_id != 0, held.state == CaseState.CONFIRMED, held.paid_at == 0)
        .group_by(held.mailbox_id)
    )
    return _Known(ours, theirs, {row.mailbox_id: int(row.due) for row in connection.execute(owed)} if ours else {})
