"""Invitations: one link, once, by which a person chooses a password and takes up one-time codes (TOU-D05).

The link is made by the operator and handed over outside the service. It is not enough by itself: whoever uses it types the login too. Until
password and first code are both right nothing changes, so a page left half-way can be opened again.
Promise: a link works once, for a limited time, and a newer one ends it; the token is 256 random bits, of which the database holds the
SHA-256. A link sent to the contact address, used, verifies that address. Failure: :class:`mailboxes.accounts.Refused`: unknown, used,
late and for another login are one answer (``account.invitation_over``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update

from mailboxes import accounts, known_browsers
from mailboxes.account_tables import account
from mailboxes.accounts import Account, Accounts, end_sessions, login_key, refuse, require, totp_context
from mailboxes.attempts import subject_of, unlock
from mailboxes.passwords import new_session_token, new_totp_secret, totp_step
from mailboxes.portal_tables import invitation
from mailboxes.unit import Unit
from policies.events import Event, Kind
from policies.lifecycle import AccountState


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation in force. ``secret`` is the one for codes, base32."""

    account: Account
    expires_at: int
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the person typed."""

    login: str
    password: str = field(repr=False)
    code: str = field(repr=False)


def digest(token: str) -> bytes:
    return hashlib.sha256(b"caducee invitation 1\0" + token.encode("utf-8", "surrogatepass")).digest()


def invite(unit: Unit, own: Accounts, login: str, lifetime: float, actor: str, *, to_contact: bool = False) -> str:
    """The token of a new link. Earlier links of this person end."""
    person = accounts.get(unit.connection, login)
    if person.state not in (AccountState.ACTIVE, AccountState.PENDING):
        raise refuse("account.unusable", login=person.login)
    if to_contact and not person.contact:
        raise refuse("account.contact_missing", login=person.login)
    token, now = new_session_token(), int(unit.now)
    earlier = (invitation.c.account_id == person.id) & (invitation.c.ended_at == 0) & (invitation.c.used_at == 0)
    unit.connection.execute(update(invitation).where(earlier).values(ended_at=max(now, 1)))
    row = {
        "digest": digest(token),
        "account_id": person.id,
        "totp": own.vault.seal(new_totp_secret().encode(), totp_context(person.id)),
        "contact": person.contact if to_contact else "",
        "created_at": now,
        "created_by": actor,
        "expires_at": int(now + lifetime),
        "used_at": 0,
        "ended_at": 0,
    }
    unit.connection.execute(insert(invitation), row)
    unit.emit(_event(actor, "invited", person))
    return token


def find(connection: Connection, own: Accounts, token: str, now: float) -> Invited:
    """The invitation of a link, while it is in force."""
    row = _row(connection, token, now)
    secret = own.vault.unseal(bytes(row.totp), totp_context(row.account_id)).decode()
    return Invited(accounts.get(connection, row.login), row.expires_at, secret)


def accept(unit: Unit, own: Accounts, token: str, given: Answer, hashed: str) -> str:
    """Take the password and the code's secret into use; ``hashed`` is the password's Argon2id hash. The login."""
    row = _row(unit.connection, token, unit.now)
    if row.login != login_key(given.login):
        raise refuse("account.invitation_over")
    person = accounts.get(unit.connection, row.login)
    require(own.judge_password(person, given.password))
    secret = own.vault.unseal(bytes(row.totp), totp_context(row.account_id)).decode()
    step = totp_step(secret, given.code, unit.now, 0)
    if not step:
        raise refuse("account.code_wrong")
    once = _in_force(token, unit.now)
    if unit.connection.execute(update(invitation).where(once).values(used_at=max(int(unit.now), 1))).rowcount != 1:
        raise refuse("account.invitation_over")
    values = {"password": hashed, "totp": row.totp, "totp_last": step}
    unit.connection.execute(update(account).where(account.c.id == person.id).values(values))
    end_sessions(unit, person.id)
    known_browsers.forget(unit, person.id, person.login)
    unlock(unit.cursor, subject_of("session", person.login))
    unit.emit(_event(person.login, "invitation accepted", person))
    if row.contact and row.contact == person.contact:
        unit.emit(_event(person.login, "contact verified", person))
    return person.login


def contact_verified_at(connection: Connection, person: Account) -> int:
    """When the person used a link sent to the contact address in force; 0 for never (TOU-D05)."""
    here = (
        (invitation.c.account_id == person.id) & (invitation.c.used_at > 0) & (invitation.c.contact == person.contact)
    )
    query = select(invitation.c.used_at).where(here, invitation.c.contact != "").order_by(invitation.c.used_at.desc())
    return int(connection.execute(query.limit(1)).scalar() or 0)


def _row(connection: Connection, token: str, now: float) -> Any:
    query = select(invitation, account.c.login, account.c.state).join(account, account.c.id == invitation.c.account_id)
    row = connection.execute(query.where(_in_force(token, now))).one_or_none()
    if row is None or row.state not in (AccountState.ACTIVE, AccountState.PENDING):
        raise refuse("account.invitation_over")
    return row


def _in_force(token: str, now: float) -> ColumnElement[bool]:
    unused = (invitation.c.used_at == 0) & (invitation.c.ended_at == 0) & (invitation.c.expires_at > now)
    return (invitation.c.digest == digest(token)) & unused


def _event(actor: str, what: str, person: Account) -> Event:
    detail = {"what": what, "account": person.login, "state": str(person.state), "reason": ""}
    return Event(Kind.ACCOUNT, actor=actor, detail=detail)
