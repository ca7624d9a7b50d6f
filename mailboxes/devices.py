"""Device passwords: one secret for one mail program, one mailbox and one person (MSS-076, TOU-D08).

Promise: a secret is shown once, when it is made, and only in a strong session (:mod:`mailboxes.sessions`); the database
holds its SHA-256. Withdrawing it is in force within seconds, on open sessions too.
Failure: :class:`mailboxes.accounts.Refused`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from mailboxes import accounts, register
from mailboxes.account_tables import account, device, mailbox
from mailboxes.accounts import AccountRules, refuse, require, withdrawn
from mailboxes.commit import Unit
from mailboxes.passwords import device_digest, new_device_secret
from mailboxes.sessions import StrongSession
from policies.access import NewDevice, judge_device
from policies.events import Event, Kind


@dataclass(frozen=True, slots=True)
class Device:
    """A device, without its secret. Times in epoch seconds, 0 for never."""

    address: str
    number: int
    login: str
    name: str
    created_at: int
    expires_at: int
    last_used_at: int
    last_ip: str
    revoked_at: int


@dataclass(frozen=True, slots=True)
class Created:
    """A device just made; ``secret`` is shown once and never kept."""

    number: int
    secret: str = field(repr=False)


def create(unit: Unit, rules: AccountRules, session: StrongSession, written: str, name: str) -> Created:
    """A new device password for the person of ``session`` and the mailbox ``written``."""
    found = register.get(unit.connection, written)
    live = (device.c.mailbox_id == found.id) & (device.c.account_id == session.account_id)
    valid = live & (device.c.revoked_at == 0)
    existing = unit.connection.execute(select(func.count()).select_from(device).where(valid)).scalar() or 0
    given = register.rights(unit.connection, found, session.account_id)
    asked = NewDevice(session.login, str(found.address), name, found.state, given, existing, rules.devices)
    require(judge_device(asked))
    highest = select(func.max(device.c.number)).where(device.c.mailbox_id == found.id)
    number = (unit.connection.execute(highest).scalar() or 0) + 1
    secret = new_device_secret()
    now = int(unit.now)
    row = {
        "mailbox_id": found.id,
        "digest": device_digest(secret),
        "number": number,
        "account_id": session.account_id,
        "name": name,
        "created_at": now,
        "expires_at": int(now + rules.device_lifetime) if rules.device_lifetime else 0,
        "last_used_at": 0,
        "last_ip": "",
        "revoked_at": 0,
        "revoked_by": "",
    }
    unit.connection.execute(insert(device), row)
    unit.emit(_event(session.login, found.id, "created", number, name))
    return Created(number, secret)


def revoke(unit: Unit, written: str, number: int, actor: str) -> None:
    """Withdraw a device; the operator may, and whoever lost it."""
    found = register.get(unit.connection, written)
    here = (device.c.mailbox_id == found.id) & (device.c.number == number) & (device.c.revoked_at == 0)
    row = unit.connection.execute(select(device.c.name).where(here)).one_or_none()
    if row is None:
        raise refuse("device.not_found")
    unit.connection.execute(update(device).where(here).values(revoked_at=max(int(unit.now), 1), revoked_by=actor))
    withdrawn(unit, found.id)
    unit.emit(_event(actor, found.id, "revoked", number, row.name))


def revoke_all(unit: Unit, login: str, actor: str) -> int:
    """Withdraw every device of a person, on all mailboxes: a phone was lost, a secret leaked (TOU-D08). How many."""
    person = accounts.get(unit.connection, login)
    query = select(device.c.mailbox_id, device.c.number, mailbox.c.local, mailbox.c.domain).where(
        (device.c.account_id == person.id) & (device.c.revoked_at == 0) & (mailbox.c.id == device.c.mailbox_id)
    )
    found = unit.connection.execute(query).all()
    for row in found:
        revoke(unit, f"{row.local}@{row.domain}", row.number, actor)
    return len(found)


def listed(connection: Connection, *, written: str = "", login: str = "") -> list[Device]:
    """Devices of a mailbox, of a person, or all, oldest first; withdrawn ones included."""
    query = (
        select(device, account.c.login, mailbox.c.local, mailbox.c.domain)
        .join(account, account.c.id == device.c.account_id)
        .join(mailbox, mailbox.c.id == device.c.mailbox_id)
        .order_by(device.c.mailbox_id, device.c.number)
        .limit(100_000)
    )
    if written:
        query = query.where(device.c.mailbox_id == register.get(connection, written).id)
    if login:
        query = query.where(device.c.account_id == accounts.get(connection, login).id)
    return [_device(row) for row in connection.execute(query)]


def _device(row: Any) -> Device:
    return Device(
        address=f"{row.local}@{row.domain}",
        number=row.number,
        login=row.login,
        name=row.name,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        last_ip=row.last_ip,
        revoked_at=row.revoked_at,
    )


def _event(actor: str, mailbox_id: int, what: str, number: int, name: str) -> Event:
    detail = {"what": what, "device": str(number), "name": name}
    return Event(Kind.DEVICE, actor=actor, mailbox=mailbox_id, detail=detail)
