"""The terms of use in versions, and who answered what to which (TOU-C07).

A version is its text: its name is the SHA-256 of it, and the text is kept, so that what a person accepted can be shown years later.
Promise: an answer is a row that stays, with time and address, and an event of the journal with the person as author; the newest answer
to the version in force counts. Failure: database errors propagate.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select

from mailboxes.portal_tables import terms, terms_answer
from mailboxes.unit import Unit
from policies.events import Event, Kind

LARGEST = 256 * 1024


@dataclass(frozen=True, slots=True)
class Terms:
    """One version."""

    text: str

    @property
    def version(self) -> str:
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Answered:
    version: str
    at: int
    accepted: bool


def accepted(connection: Connection, account_id: int, version: str) -> bool:
    """Whether the person's newest answer to this version is yes."""
    here = (terms_answer.c.account_id == account_id) & (terms_answer.c.version == version)
    query = select(terms_answer.c.accepted).where(here).order_by(terms_answer.c.at.desc()).limit(1)
    return bool(connection.execute(query).scalar())


def answer(unit: Unit, account_id: int, login: str, shown: Terms, ip: str, *, yes: bool) -> None:
    """Keep what the person said of the text that was shown."""
    version = shown.version
    if unit.connection.execute(select(terms.c.since).where(terms.c.version == version)).first() is None:
        unit.connection.execute(insert(terms), {"version": version, "text": shown.text, "since": int(unit.now)})
    here = (terms_answer.c.account_id == account_id) & (terms_answer.c.version == version)
    newest = unit.connection.execute(select(func.max(terms_answer.c.at)).where(here)).scalar()
    at = max(int(unit.now), (newest or 0) + 1)
    row = {"account_id": account_id, "version": version, "at": at, "accepted": int(yes), "ip": ip[:45]}
    unit.connection.execute(insert(terms_answer), row)
    what = "terms accepted" if yes else "terms refused"
    detail = {"what": what, "account": login, "state": "active", "reason": version}
    unit.emit(Event(Kind.ACCOUNT, actor=login, detail=detail))


def answers(connection: Connection, account_id: int) -> list[Answered]:
    """Every answer of a person, oldest first."""
    query = select(terms_answer).where(terms_answer.c.account_id == account_id).order_by(terms_answer.c.at)
    return [Answered(row.version, row.at, bool(row.accepted)) for row in connection.execute(query)]
