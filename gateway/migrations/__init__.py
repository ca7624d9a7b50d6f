"""Brings an operator's tables to this release's form (Alembic); called at each start, before anything serves.

Revisions are the modules ``versions/r<number>_<words>.py``, one line without branches; the newest file is the form this
release needs. There is no way down: an operator who must go back restores the backup taken before (docs/adr/0013).
Promise: a database already in form costs one small read, and Alembic is not even imported. One process upgrades while
the others wait, whole revisions in one transaction: a failure leaves the database as it was. A database written by a
newer release, or whose tables nobody numbered, is refused and never changed.
Failure: :class:`NewerDatabase`, naming the revision found and the newest one known; :class:`mailboxes.store.StoreUnavailable`
when the database is away.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from mailboxes.engine import Database, raw, refusal
from mailboxes.store import StoreUnavailable

VERSIONS = Path(__file__).parent / "versions"
WAIT_SECONDS = 600
"""How long a process waits for the one that upgrades."""

_ADVISORY = 0x63616475  # PostgreSQL: the number all our processes lock while one of them upgrades
_TABLE_OF = {
    "sqlite": "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'",
    "postgresql": "SELECT 1 WHERE to_regclass('alembic_version') IS NOT NULL",
}


class NewerDatabase(StoreUnavailable):
    """The database answers, but a newer release wrote it: nothing to repair, another program to run."""

    def __init__(self, found: str, known: str) -> None:
        super().__init__(f"the database has revision {found}, this release knows up to {known}: run the newer release")
        self.found = found
        self.known = known


@cache
def revisions() -> tuple[str, ...]:
    """Every revision this release knows, oldest first."""
    return tuple(sorted(path.name[1:5] for path in VERSIONS.glob("r[0-9][0-9][0-9][0-9]_*.py")))


def upgrade(database: Database) -> None:
    """Create or upgrade the tables. Raises :class:`mailboxes.store.StoreError`."""
    try:
        _upgrade(database)
    except SQLAlchemyError as problem:
        away = refusal(problem)
        if away is None:
            raise
        raise away from problem


def _upgrade(database: Database) -> None:
    with database.turn():
        with database.reader.connect() as connection:  # takes no lock: a process that starts waits for no writer
            found = current(connection)
        if found == revisions()[-1]:
            return
        _refuse_unknown(found)
        from gateway.migrations.steps import climb

        with _alone(database) as connection:
            found = current(connection)  # another process may have done it meanwhile
            _refuse_unknown(found)
            if found != revisions()[-1]:
                climb(connection, found)


def current(connection: Connection) -> str | None:
    """The revision the database says it has; None when it says nothing."""
    if connection.execute(text(_TABLE_OF[connection.dialect.name])).first() is None:
        return None
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return None if row is None else str(row[0])


def _refuse_unknown(found: str | None) -> None:
    if found is not None and found not in revisions():
        raise NewerDatabase(found, revisions()[-1])


@contextmanager
def _alone(database: Database) -> Iterator[Connection]:
    """A write transaction no other upgrading process can be in."""
    with database.writer.connect() as connection:
        if database.sqlite:  # BEGIN IMMEDIATE waits for whoever writes
            raw(connection).execute(f"PRAGMA busy_timeout = {WAIT_SECONDS * 1000}")
        with connection.begin():
            if not database.sqlite:
                connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'"))
                connection.execute(text(f"SET LOCAL statement_timeout = '{WAIT_SECONDS}s'"))
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY})"))
            yield connection
