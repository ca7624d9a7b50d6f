"""Columns that may hold the address of a patient: what is written to them is sealed, what is read from them is opened.

A statement of SQLAlchemy Core on such a column, its conditions included, needs no word about it. Who speaks through the
driver's own cursor (:mod:`mailboxes.sql`) seals by himself, with :func:`addresses_of` the connection.
Promise: which domains are patients' is read from the database (``sealed_domain``), so that all processes seal alike, however
they are configured: one that is added is known to each of them within :data:`LOOK_EVERY` seconds. No statement sees another
database's key. Failure: database errors propagate; until :func:`seal_with`, texts pass as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic
from typing import Any
from weakref import finalize

from sqlalchemy import Connection, Dialect, String, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from mailboxes.addresses import CLEAR, MARK, Addresses, Kind
from mailboxes.engine import Database, cursor_of
from mailboxes.sql import Sql

LOOK_EVERY = 1.0

_DOMAINS = Sql("SELECT domain FROM sealed_domain")


@dataclass(slots=True)
class _InUse:
    """What seals on one database, and when its domains were last looked for."""

    key: bytes
    addresses: Addresses
    seen: float

    def look(self, connection: Connection) -> None:
        self.seen = monotonic()
        found = {row[0] for row in _DOMAINS(cursor_of(connection)).fetchall()}
        if found != self.addresses.domains:
            self.addresses = Addresses(self.key, found)


_IN_USE: dict[int, _InUse] = {}
"""By the identity of an engine's dialect, as long as that lives: a dictionary of weak keys took six times as long, and this is
asked for each message."""


def seal_with(database: Database, key: bytes, domains: Iterable[str]) -> None:
    """From now on the addresses of ``domains``, and of what ``sealed_domain`` says later, are sealed on this database."""
    made = _InUse(key, Addresses(key, domains), monotonic())
    for engine in (database.writer, database.reader):
        _IN_USE[id(engine.dialect)] = made
        finalize(engine.dialect, _IN_USE.pop, id(engine.dialect), None)


def addresses_of(connection: Connection) -> Addresses:
    """What seals and opens on this connection's database. To be asked once in a transaction."""
    found = _IN_USE.get(id(connection.dialect))
    if found is None:
        return CLEAR
    if monotonic() - found.seen > LOOK_EVERY:
        found.look(connection)
    return found.addresses


class Addressed(TypeDecorator[str]):
    """A text of some kind that may hold addresses."""

    impl = Text
    cache_ok = True

    def __init__(self, length: int | None = None, kind: Kind = "address") -> None:
        super().__init__()
        self.length = length
        self.kind = kind

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return Text() if self.length is None else String(self.length)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return _now(dialect).stored(value, self.kind) if value else value

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return _now(dialect).read(value, self.kind) if value and MARK in value else value


def _now(dialect: Dialect) -> Addresses:
    found = _IN_USE.get(id(dialect))
    return CLEAR if found is None else found.addresses
