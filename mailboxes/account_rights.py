"""Rights an account has beyond its own mailboxes. There is one, ``administrator``: accounts and mailboxes, in the portal.

An administrator sees who has which mailbox and in which state, never what is in one (MSS-063).
Promise: a right is dated and recorded with who gave it; ended ones stay as evidence. Failure: :class:`mailboxes.accounts.Refused`.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from mailboxes import accounts
from mailboxes.accounts import refuse, withdrawn
from mailboxes.portal_tables import account_right
from mailboxes.unit import Unit
from policies.events import Event, Kind
from policies.lifecycle import AccountState

ADMINISTRATOR = "administrator"


def grant(unit: Unit, login: str, actor: str, name: str = ADMINISTRATOR) -> None:
    """Give a person a right; one that is there already stays as it is."""
    person = accounts.get(unit.connection, login)
    if person.state is not AccountState.ACTIVE:
        raise refuse("account.unusable", login=person.login)
    if has(unit.connection, person.id, name):
        return
    newest = select(func.max(account_right.c.since)).where(_of(person.id, name))
    since = max(int(unit.now), int(unit.connection.execute(newest).scalar() or 0) + 1)
    row = {"account_id": person.id, "name": name, "since": since, "until": 0, "given_by": actor}
    unit.connection.execute(insert(account_right), row)
    unit.emit(_event(actor, f"{name} granted", person.login))


def end(unit: Unit, login: str, actor: str, name: str = ADMINISTRATOR) -> bool:
    """Take the right back, at once; False when there was none."""
    person = accounts.get(unit.connection, login)
    live = _of(person.id, name) & (account_right.c.until == 0)
    ended = unit.connection.execute(update(account_right).where(live).values(until=max(int(unit.now), 1))).rowcount
    if ended:
        withdrawn(unit)
        unit.emit(_event(actor, f"{name} withdrawn", person.login))
    return bool(ended)


def has(connection: Connection, account_id: int, name: str = ADMINISTRATOR) -> bool:
    """Whether the right is in force."""
    live = _of(account_id, name) & (account_right.c.until == 0)
    return connection.execute(select(account_right.c.since).where(live)).first() is not None


def _of(account_id: int, name: str) -> ColumnElement[bool]:
    return (account_right.c.account_id == account_id) & (account_right.c.name == name)


def _event(actor: str, what: str, login: str) -> Event:
    return Event(Kind.ACCOUNT, actor=actor, detail={"what": what, "account": login, "state": "active", "reason": ""})
