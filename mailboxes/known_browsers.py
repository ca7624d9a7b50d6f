"""Browsers a person asked to remember: each stands for the one-time code at later logins (TOU-D07).

Promise: a browser is remembered only in a session opened with password and code, for a limited time, and never stands for the password;
a new password, a new code or the loss of a device forgets them all. The token is 256 random bits; the database holds its SHA-256.
Failure: database errors propagate.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import ColumnElement, Connection, insert, select, update

from mailboxes.passwords import new_session_token
from mailboxes.portal_tables import known_browser
from mailboxes.unit import Unit
from policies.events import Event, Kind


@dataclass(frozen=True, slots=True)
class KnownBrowser:
    """A browser remembered. Times in epoch seconds, 0 for never."""

    created_at: int
    expires_at: int
    last_used_at: int
    last_ip: str


class Shown(Protocol):
    """The part of a credential a browser shows."""

    @property
    def browser(self) -> str: ...
    @property
    def place(self) -> str: ...


def digest(token: str) -> bytes:
    return hashlib.sha256(b"caducee browser 1\0" + token.encode("utf-8", "surrogatepass")).digest()


def remember(unit: Unit, account_id: int, login: str, lifetime: float, ip: str) -> str:
    """The token to keep in this browser."""
    token, now = new_session_token(), int(unit.now)
    row = {
        "digest": digest(token),
        "account_id": account_id,
        "created_at": now,
        "expires_at": int(now + lifetime),
        "last_used_at": 0,
        "last_ip": ip[:45],
        "ended_at": 0,
    }
    unit.connection.execute(insert(known_browser), row)
    unit.emit(_event(login, "browser remembered"))
    return token


def stands(unit: Unit, account_id: int, given: Shown) -> bool:
    """Whether this browser stands for the code of this person; notes its use."""
    here = (
        _live(account_id) & (known_browser.c.digest == digest(given.browser)) & (known_browser.c.expires_at > unit.now)
    )
    used = {"last_used_at": int(unit.now), "last_ip": given.place[:45]}
    return unit.connection.execute(update(known_browser).where(here).values(used)).rowcount == 1


def listed(connection: Connection, account_id: int, now: float) -> list[KnownBrowser]:
    """Those that still stand for the code, newest first."""
    query = select(known_browser).where(_live(account_id), known_browser.c.expires_at > now)
    rows = connection.execute(query.order_by(known_browser.c.created_at.desc()).limit(100))
    return [KnownBrowser(row.created_at, row.expires_at, row.last_used_at, row.last_ip) for row in rows]


def forget(unit: Unit, account_id: int, login: str) -> int:
    """None stands for the code any more. How many did."""
    gone = update(known_browser).where(_live(account_id)).values(ended_at=max(int(unit.now), 1))
    count = unit.connection.execute(gone).rowcount
    if count:
        unit.emit(_event(login, "browsers forgotten"))
    return count


def _live(account_id: int) -> ColumnElement[bool]:
    return (known_browser.c.account_id == account_id) & (known_browser.c.ended_at == 0)


def _event(login: str, what: str) -> Event:
    return Event(Kind.ACCOUNT, actor=login, detail={"what": what, "account": login, "state": "active", "reason": ""})
