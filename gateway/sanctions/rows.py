"""Reading cases, acts and suspensions: functions of a connection, never writing.

Failure: :func:`get` raises :class:`mailboxes.accounts.Refused` with ``sanction.not_found``; the others answer None or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, select

from gateway.sanctions.tables import sanction_act, sanction_case, suspension
from mailboxes.account_tables import account, mailbox
from mailboxes.accounts import refuse
from policies.penalties import Case, CaseState, Step

MOST = 10_000
"""Rows of one answer."""

ANNOUNCED, OVER, ACTIVE, ENDED = "announced", "over", "active", "ended"
PENALTY, PRECAUTION, PARTNER = "penalty", "precaution", "partner"


@dataclass(frozen=True, slots=True)
class Dossier:
    """A case with all that is known of it. ``mailbox_id`` is 0 for a partner's sender, ``message`` empty when there were several."""

    case: Case
    subject: str
    mailbox_id: int
    message: str
    source: str
    reporter: str
    opened_at: int
    opened_by: str
    paid_at: int


@dataclass(frozen=True, slots=True)
class Done:
    """One act. ``charged`` are cents added to what is owed or taken off, ``received`` cents paid."""

    case: int
    suspension: int
    at: int
    actor: str
    what: str
    reason: str
    charged: int
    received: int


@dataclass(frozen=True, slots=True)
class Suspended:
    """Sending that is, was or is about to be suspended. ``until`` is the end of a partner's, ``remaining`` the seconds left to answer."""

    number: int
    subject: str
    mailbox_id: int
    structure: str
    cause: str
    ground: str
    way: str
    state: str
    opened_at: int
    until: int
    remaining: int
    seen_at: int


def find(connection: Connection, number: int) -> Dossier | None:
    """The case of that number."""
    row = connection.execute(select(sanction_case).where(sanction_case.c.id == number)).one_or_none()
    return None if row is None else _dossier(row)


def get(connection: Connection, number: int) -> Dossier:
    """The same; raises :class:`mailboxes.accounts.Refused` when there is none."""
    found = find(connection, number)
    if found is None:
        raise refuse("sanction.not_found", number=number)
    return found


def of_subject(connection: Connection, subject: str, *, locked: bool = False) -> list[Dossier]:
    """Every case of one sender. ``locked``: whoever judges another of them at this moment waits."""
    query = select(sanction_case).where(sanction_case.c.subject == subject).order_by(sanction_case.c.id)
    return _dossiers(connection, query.with_for_update() if locked else query)


def listed(connection: Connection, *, state: str = "", subject: str = "") -> list[Dossier]:
    """The newest cases, the oldest of them first."""
    query = select(sanction_case).order_by(sanction_case.c.id.desc()).limit(MOST)
    if state:
        query = query.where(sanction_case.c.state == state)
    if subject:
        query = query.where(sanction_case.c.subject == subject)
    return _dossiers(connection, query)[::-1]


def _dossiers(connection: Connection, query: Select[Any]) -> list[Dossier]:
    return [_dossier(row) for row in connection.execute(query)]


def _dossier(row: Any) -> Dossier:
    case = Case(
        row.id,
        row.sent_at,
        row.recipients,
        CaseState(row.state),
        row.decided_at,
        Step(row.step),
        row.amount,
        bool(row.adjusted),
        bool(row.paid_at),
    )
    return Dossier(
        case,
        row.subject,
        row.mailbox_id,
        row.message,
        row.source,
        row.reporter,
        row.opened_at,
        row.opened_by,
        row.paid_at,
    )


def acts(connection: Connection, *, case: int = 0, since: int = 0, before: int = 1 << 62) -> list[Done]:
    """What was done to one case, or to all in a span of time; the oldest first."""
    c = sanction_act.c
    query = select(sanction_act).where(c.at >= since, c.at < before).order_by(c.id)
    if case:
        query = query.where(c.case_id == case)
    return [
        Done(row.case_id, row.suspension_id, row.at, row.actor, row.what, row.reason, row.charged, row.received)
        for row in connection.execute(query)
    ]


def suspensions(
    connection: Connection, *, subject: str = "", states: Sequence[str] = (), locked: bool = False
) -> list[Suspended]:
    """Suspensions, the oldest first."""
    query = select(suspension).order_by(suspension.c.id.desc()).limit(MOST)
    if subject:
        query = query.where(suspension.c.subject == subject)
    if states:
        query = query.where(suspension.c.state.in_(list(states)))
    rows = connection.execute(query.with_for_update() if locked else query).all()
    return [_suspended(row) for row in rows][::-1]


def _suspended(row: Any) -> Suspended:
    names = [name for name in Suspended.__slots__ if name != "number"]
    return Suspended(number=row.id, **{name: getattr(row, name) for name in names})


def contact(connection: Connection, mailbox_id: int) -> str:
    """Where the owner of a mailbox is reached outside the space; nothing is ever sent there, a letter may be (TOU-A04)."""
    query = (
        select(account.c.contact).join(mailbox, mailbox.c.owner_id == account.c.id).where(mailbox.c.id == mailbox_id)
    )
    return connection.execute(query).scalar() or ""
