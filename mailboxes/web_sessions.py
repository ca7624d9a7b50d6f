"""Sessions of browsers: opened by password and code, ended by silence, by their age, or by whoever opened them (TOU-A05).

The token is in a cookie, its digest here, bound to the browser that opened it. A session ends with the account's suspension, a new
password or a new code. What matters most (a new device password, closing an account) asks for a fresh proof: :attr:`WebSession.fresh`.
Promise: an unknown token, one of another browser and one that ended are one answer, None; opening and proving again change the token.
Failure: :class:`mailboxes.accounts.Refused` as at :meth:`mailboxes.sessions.Sessions.prove`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from mailboxes import known_browsers
from mailboxes.account_tables import account
from mailboxes.commit import Committer
from mailboxes.passwords import new_session_token
from mailboxes.portal_tables import web_session
from mailboxes.sessions import Credential, Proved, Sessions, StrongSession
from mailboxes.unit import Unit
from policies.lifecycle import AccountState

SEEN_EVERY = 60
"""Seconds between two notes that a session is in use: not each page costs a write."""
KEPT = 30 * 86400


@dataclass(frozen=True, slots=True)
class WebRules:
    """Durations in seconds. ``idle``: silence that ends a session; ``longest``: its life; ``proof``: how long a proof is fresh."""

    idle: float = 7200.0
    longest: float = 43200.0
    proof: float = 600.0
    remember: float = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class WebSession:
    """Who looks at a page."""

    account_id: int
    login: str
    name: str
    proved_at: int
    expires_at: int
    seen_at: int
    token: str = field(repr=False)

    def fresh(self, rules: WebRules, now: float) -> bool:
        """Password and code were typed a moment ago."""
        return 0 <= now - self.proved_at <= rules.proof

    @property
    def strong(self) -> StrongSession:
        """For :mod:`mailboxes.devices`; only of a session that is :meth:`fresh`."""
        return StrongSession(self.account_id, self.login, self.expires_at)


@dataclass(frozen=True, slots=True)
class Opened:
    """``browser`` is the token of a browser just remembered, else empty."""

    token: str = field(repr=False)
    login: str
    browser: str = field(default="", repr=False)


def digest(token: str) -> bytes:
    return hashlib.sha256(b"caducee web 1\0" + token.encode("utf-8", "surrogatepass")).digest()


def open_session(
    sessions: Sessions, committer: Committer, given: Credential, rules: WebRules, *, remember: bool, before: str = ""
) -> Opened:
    """A new session; the one ``before`` ends. Takes as long as one Argon2id hash: not for the event loop."""

    def begin(unit: Unit, who: Proved) -> Opened:
        if before:
            end(unit, before)
        _forget_old(unit)
        token = _insert(unit, who, given)
        wanted = remember and who.by_code and rules.remember > 0
        own = known_browsers.remember(unit, who.account_id, who.login, rules.remember, given.place) if wanted else ""
        return Opened(token, who.login, own)

    return sessions.prove(committer, given, begin)


def _insert(unit: Unit, who: Proved, given: Credential) -> str:
    token, now = new_session_token(), int(unit.now)
    row = {
        "digest": digest(token),
        "account_id": who.account_id,
        "bound_to": _browser(given.bound_to),
        "created_at": now,
        "seen_at": now,
        "proved_at": now if who.by_code else 0,
        "ended_at": 0,
    }
    unit.connection.execute(insert(web_session), row)
    return token


def _forget_old(unit: Unit) -> None:
    unit.connection.execute(delete(web_session).where(web_session.c.created_at < int(unit.now) - KEPT))


def _browser(bound_to: str) -> bytes:
    return hashlib.sha256(bound_to.encode("utf-8", "surrogatepass")).digest()


def current(connection: Connection, token: str, bound_to: str, rules: WebRules, now: float) -> WebSession | None:
    """Who a cookie stands for, while it does."""
    person = (account.c.login, account.c.state, account.c.title, account.c.given_name, account.c.family_name)
    query = select(web_session, *person).join(account, account.c.id == web_session.c.account_id)
    row = connection.execute(query.where(web_session.c.digest == digest(token))).one_or_none()
    if row is None or row.ended_at or row.bound_to != _browser(bound_to) or row.state != AccountState.ACTIVE:
        return None
    if now - row.seen_at > rules.idle + SEEN_EVERY or now - row.created_at > rules.longest:
        return None
    name = " ".join(part for part in (row.title, row.given_name, row.family_name) if part)
    expires = int(row.created_at + rules.longest)
    return WebSession(row.account_id, row.login, name, row.proved_at, expires, row.seen_at, token)


def seen(unit: Unit, token: str) -> None:
    """The session is in use."""
    unit.connection.execute(update(web_session).where(_live(token)).values(seen_at=int(unit.now)))


def end(unit: Unit, token: str) -> None:
    """End one session."""
    unit.connection.execute(update(web_session).where(_live(token)).values(ended_at=max(int(unit.now), 1)))


def end_others(unit: Unit, session: WebSession) -> int:
    """End every other session of this person. How many there were."""
    others = (web_session.c.account_id == session.account_id) & (web_session.c.ended_at == 0)
    others &= web_session.c.digest != digest(session.token)
    return unit.connection.execute(update(web_session).where(others).values(ended_at=max(int(unit.now), 1))).rowcount


def _live(token: str) -> ColumnElement[bool]:
    return (web_session.c.digest == digest(token)) & (web_session.c.ended_at == 0)
