"""The statements of a login, written once for both drivers: they run each time a mail program connects.

Promise: a statement asks the same of the database whether or not there is anything to find. Failure: database errors
propagate.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from mailboxes.sql import Sql
from policies.lifecycle import AccountState
from policies.values import Address, BalState, BalType

_MAILBOX = Sql(
    "SELECT m.id, m.local, m.domain, m.type, m.state, m.owner_id FROM address a JOIN mailbox m ON m.id = a.mailbox_id"
    " WHERE a.key = ? AND a.ended_at = 0"
)
_MAILBOX_BY_ID = Sql("SELECT id, local, domain, type, state, owner_id FROM mailbox WHERE id = ?")
_OWN = Sql("SELECT id FROM mailbox WHERE owner_id = ? AND owner_id <> 0 ORDER BY id LIMIT 2")
_DEVICE = Sql(
    "SELECT d.digest, d.number, d.account_id, d.expires_at, d.revoked_at, d.last_used_at, d.last_ip, a.login, a.state"
    " FROM device d JOIN account a ON a.id = d.account_id WHERE d.mailbox_id = ? AND d.digest = ?"
)
_BINDING = Sql(
    "SELECT mailbox_id, value FROM certificate_binding WHERE value IN (?, ?) AND revoked_at = 0 ORDER BY mailbox_id LIMIT 100"
)
_PERSON = Sql("SELECT id, login, state FROM account WHERE identity = ? AND identity <> ''")
_PERSON_BY_LOGIN = Sql("SELECT id, login, state FROM account WHERE login = ?")
_BOUND = Sql("SELECT revoked_at FROM certificate_binding WHERE mailbox_id = ? AND value = ?")
_DEVICE_UNTIL = Sql("SELECT revoked_at, expires_at FROM device WHERE mailbox_id = ? AND number = ?")
_RIGHTS = Sql("SELECT rights FROM member WHERE mailbox_id = ? AND account_id = ? AND until = 0")
_SEND_AS = Sql(
    "SELECT a.key FROM address a JOIN mailbox m ON m.id = a.mailbox_id WHERE m.state = 'active' AND a.ended_at = 0"
    " AND (a.mailbox_id = ? OR a.mailbox_id IN (SELECT mailbox_id FROM member"
    " WHERE account_id = ? AND account_id <> 0 AND until = 0 AND (' ' || rights || ' ') LIKE '% send_as %'))"
)
_MAILBOX_USED = Sql("UPDATE mailbox SET last_login_at = ? WHERE id = ?")
_ACCOUNT_USED = Sql("UPDATE account SET last_login_at = ? WHERE id = ?")
_DEVICE_USED = Sql("UPDATE device SET last_used_at = ?, last_ip = ? WHERE mailbox_id = ? AND digest = ?")
_BINDING_USED = Sql("UPDATE certificate_binding SET last_used_at = ? WHERE mailbox_id = ? AND value = ?")


class Door(NamedTuple):
    """The mailbox someone stands before."""

    id: int
    address: Address
    type: BalType
    state: BalState
    owner_id: int


class Device(NamedTuple):
    digest: bytes
    number: int
    account_id: int
    expires_at: int
    revoked_at: int
    last_used_at: int
    last_ip: str
    login: str
    state: str


class Person(NamedTuple):
    id: int
    login: str
    state: AccountState


def _door(row: Any) -> Door | None:
    return None if row is None else Door(row[0], Address(row[1], row[2]), BalType(row[3]), BalState(row[4]), row[5])


def door(cursor: Any, key: str) -> Door | None:
    """The mailbox of an address key; an empty key is nobody's."""
    return _door(_MAILBOX(cursor, key).fetchone())


def door_by_id(cursor: Any, mailbox_id: int) -> Door | None:
    return _door(_MAILBOX_BY_ID(cursor, mailbox_id).fetchone())


def own_door(cursor: Any, account_id: int) -> Door | None:
    """The one mailbox a person owns; none when there are several."""
    rows = _OWN(cursor, account_id).fetchall()
    return door_by_id(cursor, rows[0][0]) if len(rows) == 1 else None


def device(cursor: Any, mailbox_id: int, digest: bytes) -> Device | None:
    row = _DEVICE(cursor, mailbox_id, digest).fetchone()
    return None if row is None else Device(bytes(row[0]), *row[1:])


def bindings(cursor: Any, values: tuple[str, str]) -> list[tuple[int, str]]:
    """Mailboxes a certificate is bound to, with what binds it."""
    return [(row[0], row[1]) for row in _BINDING(cursor, *values).fetchall()]


def person(cursor: Any, identity: str) -> Person | None:
    row = _PERSON(cursor, identity).fetchone()
    return None if row is None else Person(row[0], row[1], AccountState(row[2]))


def person_by_login(cursor: Any, login: str) -> Person | None:
    row = _PERSON_BY_LOGIN(cursor, login).fetchone()
    return None if row is None else Person(row[0], row[1], AccountState(row[2]))


def bound(cursor: Any, mailbox_id: int, value: str) -> bool:
    """A certificate is still bound."""
    row = _BOUND(cursor, mailbox_id, value).fetchone()
    return row is not None and row[0] == 0


def device_until(cursor: Any, mailbox_id: int, number: int) -> float:
    """Until when a device holds, in epoch seconds: 0 when it was withdrawn, infinity when it has no end."""
    row = _DEVICE_UNTIL(cursor, mailbox_id, number).fetchone()
    if row is None or row[0]:
        return 0.0
    return float(row[1]) or math.inf


def rights(cursor: Any, mailbox_id: int, account_id: int) -> frozenset[str]:
    """The rights of a member; empty when the person is none. Ownership is the caller's to know."""
    row = _RIGHTS(cursor, mailbox_id, account_id).fetchone()
    return frozenset() if row is None else frozenset(row[0].split())


def send_as(cursor: Any, mailbox_id: int, account_id: int) -> frozenset[str]:
    """Addresses and aliases of a mailbox (0: none) and of the active mailboxes a person may send as."""
    return frozenset(row[0] for row in _SEND_AS(cursor, mailbox_id, account_id).fetchall())


def used(cursor: Any, now: int, mailbox_id: int, account_id: int) -> None:
    """Activity is a login (MSS-057)."""
    _MAILBOX_USED(cursor, now, mailbox_id)
    if account_id:
        _ACCOUNT_USED(cursor, now, account_id)


def device_used(cursor: Any, now: int, ip: str, mailbox_id: int, digest: bytes) -> None:
    _DEVICE_USED(cursor, now, ip[:45], mailbox_id, digest)


def binding_used(cursor: Any, now: int, mailbox_id: int, value: str) -> None:
    _BINDING_USED(cursor, now, mailbox_id, value)
