"""Reading the register of mailboxes: who has which address, who may do what, which certificates are bound.

Promise: functions of a read connection (or of a write transaction's), never writing. Failure: ``get`` raises
:class:`mailboxes.accounts.Refused` with ``mailbox.not_found``; the others answer None or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from mailboxes.account_tables import account, address, certificate_binding, mailbox, member
from mailboxes.accounts import refuse
from policies.access import owner_rights
from policies.address import AddressError, parse
from policies.values import Address, BalState, BalType


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox as the register knows it; nothing of its content."""

    id: int
    address: Address
    type: BalType
    owner_id: int
    structure: str
    description: str
    service: str
    responsible: str
    phone: str
    red_list: bool
    paperless: bool
    rank: int
    state: BalState
    state_at: int
    state_by: str
    state_reason: str
    created_at: int
    last_login_at: int


@dataclass(frozen=True, slots=True)
class Membership:
    login: str
    rights: tuple[str, ...]
    since: int
    until: int
    given_by: str


def _mailbox(row: Any) -> Mailbox:
    names = [item for item in Mailbox.__slots__ if item not in ("address", "type", "state")]
    values = {name: getattr(row, name) for name in names}
    return Mailbox(address=Address(row.local, row.domain), type=BalType(row.type), state=BalState(row.state), **values)


def find(connection: Connection, written: str) -> Mailbox | None:
    """The mailbox that has, or had as its own, this address; aliases count while they last."""
    live = (address.c.key == key_of(written)) & (address.c.ended_at == 0)
    query = select(mailbox).join(address, address.c.mailbox_id == mailbox.c.id).where(live)
    row = connection.execute(query).one_or_none()
    return None if row is None else _mailbox(row)


def get(connection: Connection, written: str) -> Mailbox:
    """The same; raises :class:`mailboxes.accounts.Refused` when there is none."""
    found = find(connection, written)
    if found is None:
        raise refuse("mailbox.not_found", address=written[:254])
    return found


def by_id(connection: Connection, mailbox_id: int) -> Mailbox | None:
    """The mailbox with this number, in any state."""
    row = connection.execute(select(mailbox).where(mailbox.c.id == mailbox_id)).one_or_none()
    return None if row is None else _mailbox(row)


def of_person(connection: Connection, account_id: int) -> list[Mailbox]:
    """The mailboxes a person owns or is a member of, the person's own first, deleted ones included."""
    shared = select(member.c.mailbox_id).where((member.c.account_id == account_id) & (member.c.until == 0))
    query = select(mailbox).where((mailbox.c.owner_id == account_id) | mailbox.c.id.in_(shared))
    found = [_mailbox(row) for row in connection.execute(query.order_by(mailbox.c.domain, mailbox.c.local).limit(1000))]
    return sorted(found, key=lambda one: (one.owner_id != account_id, one.rank or 1001))


def search(connection: Connection, begins: str, limit: int) -> list[Mailbox]:
    """Mailboxes whose own address begins so, by domain and address, deleted ones included."""
    query = select(mailbox).order_by(mailbox.c.domain, mailbox.c.local).limit(limit)
    if begins:
        local, at, domain = begins.partition("@")
        like = local.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + ("" if at else "%")
        query = query.where(mailbox.c.local.ilike(like, escape="\\"))
        if domain:
            query = query.where(mailbox.c.domain == domain.lower())
    return [_mailbox(row) for row in connection.execute(query)]


def count_by_state(connection: Connection) -> dict[str, int]:
    """How many mailboxes are in each state."""
    query = select(mailbox.c.state, func.count()).group_by(mailbox.c.state).order_by(mailbox.c.state)
    return {state: int(count) for state, count in connection.execute(query)}


def listed(connection: Connection) -> list[Mailbox]:
    """All mailboxes, deleted ones included, by domain and address."""
    query = select(mailbox).order_by(mailbox.c.domain, mailbox.c.local)
    return [_mailbox(row) for row in connection.execute(query)]


def key_of(written: str) -> str:
    """The key of an address; empty, which is nobody's, for what is no address (it may hold anything)."""
    try:
        return parse(written).key
    except AddressError:
        return ""


def addresses(connection: Connection, mailbox_id: int) -> list[tuple[str, bool]]:
    """Keys of the addresses in force, the mailbox's own first; True for an alias."""
    live = (address.c.mailbox_id == mailbox_id) & (address.c.ended_at == 0)
    query = select(address.c.key, address.c.alias).where(live).order_by(address.c.alias, address.c.key)
    return [(row.key, bool(row.alias)) for row in connection.execute(query)]


def members(connection: Connection, mailbox_id: int) -> list[Membership]:
    """Every membership, ended ones included, oldest first."""
    query = (
        select(member, account.c.login)
        .join(account, account.c.id == member.c.account_id)
        .where(member.c.mailbox_id == mailbox_id)
        .order_by(member.c.since, account.c.login)
    )
    return [
        Membership(row.login, tuple(row.rights.split()), row.since, row.until, row.given_by)
        for row in connection.execute(query)
    ]


def rights(connection: Connection, found: Mailbox, account_id: int) -> frozenset[str]:
    """What a person may do with a mailbox today."""
    if account_id and found.owner_id == account_id:
        return owner_rights()
    here = (member.c.mailbox_id == found.id) & (member.c.account_id == account_id) & (member.c.until == 0)
    row = connection.execute(select(member.c.rights).where(here)).one_or_none()
    return frozenset() if row is None else frozenset(row.rights.split())


def certificates(connection: Connection, mailbox_id: int) -> list[str]:
    """The certificates in force, as the administrator gave them."""
    live = (certificate_binding.c.mailbox_id == mailbox_id) & (certificate_binding.c.revoked_at == 0)
    query = select(certificate_binding.c.shown).where(live).order_by(certificate_binding.c.created_at)
    return [row.shown for row in connection.execute(query)]
