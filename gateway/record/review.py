"""The periodic review of accounts (TOU-F05): who has access and does not use it.

What is told is what a reviewer looks for: people who never logged in or not for long, mailboxes nobody reads, members who never used what
they were admitted to, device passwords unused or about to end, accounts that own nothing. That it was done is a record of the
journal. Promise: a reading; nothing is changed. Failure: none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from gateway.record.tables import journal
from mailboxes import accounts, devices, register
from mailboxes.account_tables import account, device, member
from policies.events import Kind
from policies.lifecycle import AccountState
from policies.values import BalState

REVIEWED = "accounts reviewed"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to look at. ``what`` is ``never_logged_in``, ``not_logged_in``, ``pending``, ``nothing``, ``mailbox_unused``,
    ``member_unused``, ``device_unused`` or ``device_ends``; ``since`` in epoch seconds, 0 for never."""

    what: str
    login: str
    mailbox: str
    detail: str
    since: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: ``unused`` without use is remarked on, ``ends`` ahead an end is."""

    unused: float
    ends: float


def remarks(connection: Connection, now: float, limits: Limits) -> list[Remark]:
    """In the order of their kinds, then by login."""
    return [
        *_people(connection, now, limits),
        *_mailboxes(connection, now, limits),
        *_members(connection, now, limits),
        *_devices(connection, now, limits),
    ]


def last(connection: Connection) -> float:
    """When accounts were last reviewed; 0 for never. Looks through the whole journal: a third of a second for a million records."""
    where = (journal.c.kind == Kind.ACCOUNT.word) & journal.c.detail.contains(f'"what":"{REVIEWED}"')
    return float(connection.execute(select(func.max(journal.c.at)).where(where)).scalar() or 0) / 1e6


def _people(connection: Connection, now: float, limits: Limits) -> Iterator[Remark]:
    owners = {box.owner_id for box in register.listed(connection) if box.state is not BalState.DELETED}
    admitted = {row[0] for row in connection.execute(select(member.c.account_id).where(member.c.until == 0))}
    newest = select(device.c.account_id, func.max(device.c.last_used_at)).group_by(device.c.account_id)
    used: dict[int, int] = {row[0]: row[1] for row in connection.execute(newest)}
    for one in accounts.listed(connection):
        if one.state is AccountState.CLOSED:
            continue
        seen = max(one.last_login_at, used.get(one.id, 0))
        if one.state is AccountState.PENDING:
            yield Remark("pending", one.login, "", "", one.created_at)
        elif not seen:
            yield Remark("never_logged_in", one.login, "", "", 0)
        elif now - seen > limits.unused:
            yield Remark("not_logged_in", one.login, "", "", seen)
        if one.id not in owners and one.id not in admitted:
            yield Remark("nothing", one.login, "", "", one.created_at)


def _mailboxes(connection: Connection, now: float, limits: Limits) -> Iterator[Remark]:
    for box in register.listed(connection):
        live = box.state in (BalState.ACTIVE, BalState.SUSPENDED)
        if live and now - max(box.last_login_at, box.created_at) > limits.unused:
            yield Remark("mailbox_unused", "", str(box.address), "", box.last_login_at)


def _members(connection: Connection, now: float, limits: Limits) -> Iterator[Remark]:
    """Members without a device of theirs that was used for the mailbox."""
    lately = select(device.c.mailbox_id, device.c.account_id, func.max(device.c.last_used_at).label("used"))
    lately_used = lately.group_by(device.c.mailbox_id, device.c.account_id).subquery()
    same = (lately_used.c.mailbox_id == member.c.mailbox_id) & (lately_used.c.account_id == member.c.account_id)
    query = (
        select(member.c.mailbox_id, member.c.since, member.c.rights, account.c.login, lately_used.c.used)
        .join(account, account.c.id == member.c.account_id)
        .outerjoin(lately_used, same)
        .where(member.c.until == 0)
        .order_by(account.c.login, member.c.mailbox_id)
    )
    boxes = {box.id: box for box in register.listed(connection)}
    for row in connection.execute(query):
        if now - max(row.used or 0, row.since) > limits.unused:
            yield Remark("member_unused", row.login, str(boxes[row.mailbox_id].address), row.rights, row.used or 0)


def _devices(connection: Connection, now: float, limits: Limits) -> Iterator[Remark]:
    for one in devices.listed(connection):
        if one.revoked_at or (one.expires_at and one.expires_at <= now):
            continue
        if now - max(one.last_used_at, one.created_at) > limits.unused:
            yield Remark("device_unused", one.login, one.address, f"{one.number} {one.name}", one.last_used_at)
        if one.expires_at and one.expires_at - now < limits.ends:
            yield Remark("device_ends", one.login, one.address, f"{one.number} {one.name}", one.expires_at)
