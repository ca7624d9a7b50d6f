"""The database is opened as durability needs it, or not at all (F05)."""

from __future__ import annotations

import shutil
import sqlite3
import time
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from mailboxes import tables  # noqa: F401 - registers the tables
from mailboxes.engine import (
    BUSY_SECONDS,
    Fault,
    _prepare_writer,
    _require,
    cursor_of,
    discard,
    fault_of,
    first_connection,
    heal,
    open_database,
    refusal,
)
from mailboxes.store import StoreFull, StoreUnavailable


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("temp_store", 2), ("secure_delete", 0)],
)
def test_the_writer_syncs_at_each_commit(tmp_path: Path, pragma: str, value: object) -> None:
    database = open_database(f"sqlite:///{tmp_path}/x.db")
    with database.writer.connect() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    assert database.sqlite
    assert database.shared


def test_a_new_database_is_private(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/x.db")
    database.create_tables()
    with database.writer.connect() as connection:
        connection.exec_driver_sql("INSERT INTO subscription VALUES (1, 'x')")
        connection.commit()
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"x.db": 0o600, "x.db-wal": 0o600, "x.db-shm": 0o600}


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/x.db")
    database.create_tables()
    with database.reader.connect() as connection, pytest.raises(OperationalError, match="readonly"):
        connection.exec_driver_sql("INSERT INTO subscription VALUES (1, 'x')")


def test_a_pragma_that_is_refused_in_silence_is_noticed(tmp_path: Path) -> None:
    class Deaf(sqlite3.Connection):
        def execute(self, sql: str, *arguments: object) -> sqlite3.Cursor:
            return super().execute("SELECT 'delete'" if sql == "PRAGMA journal_mode" else sql, *arguments)

    connection = sqlite3.connect(tmp_path / "x.db", factory=Deaf)
    with pytest.raises(StoreUnavailable, match="journal_mode"):
        _prepare_writer(connection, None)
    with pytest.raises(StoreUnavailable, match="no_such_pragma"):
        _require(connection, "no_such_pragma", "1", 1)
    connection.close()


@pytest.mark.parametrize(
    ("code", "fault", "said"),
    [
        (13, Fault.FULL, StoreFull),
        (10, Fault.BROKEN, StoreUnavailable),
        (10 | 4 << 8, Fault.BROKEN, StoreUnavailable),  # SQLITE_IOERR_FSYNC
        (5, Fault.BROKEN, StoreUnavailable),
        (19, Fault.OWN, None),
        (1, Fault.OWN, None),
    ],
)
def test_errors_of_sqlite_are_sorted(code: int, fault: Fault, said: type | None) -> None:
    error = sqlite3.OperationalError("made up")
    error.sqlite_errorcode = code
    assert fault_of(error) is fault
    assert fault_of(OperationalError("statement", {}, error)) is fault
    assert said is None if refusal(error) is None else isinstance(refusal(error), said or ())


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (psycopg.errors.SerializationFailure(), Fault.RETRY),
        (psycopg.errors.DeadlockDetected(), Fault.RETRY),
        (psycopg.errors.DiskFull(), Fault.FULL),
        (psycopg.errors.AdminShutdown(), Fault.BROKEN),
        (psycopg.errors.LockNotAvailable(), Fault.BROKEN),
        (psycopg.errors.IoError(), Fault.BROKEN),
        (psycopg.errors.ReadOnlySqlTransaction(), Fault.BROKEN),
        (psycopg.OperationalError("gone"), Fault.BROKEN),
        (psycopg.errors.UniqueViolation(), Fault.OWN),
        (psycopg.ProgrammingError("mine"), Fault.OWN),
        (ValueError(), Fault.OWN),
        (MemoryError(), Fault.BROKEN),
        (StoreUnavailable(), Fault.BROKEN),
    ],
)
def test_errors_of_postgresql_are_sorted(error: Exception, fault: Fault) -> None:
    assert fault_of(error) is fault


def test_an_error_says_why_and_never_a_value() -> None:
    refused = psycopg.OperationalError("connection failed: Connection refused\n\tIs the server running there?")
    assert str(refusal(OperationalError("s", {"a": "Durand"}, refused))) == "connection failed: Connection refused"
    assert str(refusal(psycopg.errors.AdminShutdown("row Durand"))) == "AdminShutdown"
    with pytest.raises(sqlite3.OperationalError) as caught:
        sqlite3.connect("/nonexistent/x.db").execute("SELECT 1")
    assert str(refusal(caught.value)) == "SQLITE_CANTOPEN"


def test_a_writer_that_starts_leaves_no_log_behind_it(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/x.db")
    database.create_tables()
    died = database.writer.connect()
    died.exec_driver_sql("INSERT INTO subscription VALUES (1, 'x')")
    died.commit()
    shutil.copyfile(tmp_path / "x.db", tmp_path / "y.db")
    shutil.copyfile(tmp_path / "x.db-wal", tmp_path / "y.db-wal")  # as a killed process leaves it
    after = first_connection(open_database(f"sqlite:///{tmp_path}/y.db"))
    assert (tmp_path / "y.db-wal").stat().st_size == 0
    assert after.exec_driver_sql("SELECT COUNT(*) FROM subscription").scalar() == 1
    assert after.exec_driver_sql("PRAGMA busy_timeout").scalar() == 10_000
    after.close()


def test_a_writer_that_starts_does_not_wait_for_readers(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/x.db")
    database.create_tables()
    with database.reader.connect() as reader, database.writer.connect() as writer:
        reader.exec_driver_sql("SELECT * FROM subscription").all()
        writer.exec_driver_sql("INSERT INTO subscription VALUES (1, 'x')")
        writer.commit()
        began = time.monotonic()
        first_connection(database).close()
        assert time.monotonic() - began < BUSY_SECONDS / 2  # SQLite would give up after all of them, and say nothing


def test_healing_empties_the_log_and_replaces_the_connection(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/x.db")
    database.create_tables()
    suspect = database.writer.connect()
    suspect.exec_driver_sql("INSERT INTO subscription VALUES (1, 'x')")
    suspect.commit()
    log = tmp_path / "x.db-wal"
    assert log.stat().st_size > 0
    trusted = heal(database, suspect)
    assert log.stat().st_size == 0
    assert suspect.closed
    cursor = cursor_of(trusted)
    assert cursor.execute("SELECT name FROM subscription").fetchall() == [("x",)]
    discard(database, trusted)
    discard(database, trusted)


def test_healing_waits_for_nobody_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailboxes.engine.BUSY_SECONDS", 0.05)
    database = open_database(f"sqlite:///{tmp_path}/x.db")
    database.create_tables()
    with database.reader.connect() as reader, database.writer.connect() as writer:
        reader.exec_driver_sql("SELECT * FROM subscription").all()  # an old snapshot keeps the log from being cut
        writer.exec_driver_sql("INSERT INTO subscription VALUES (1, 'x')")
        writer.commit()
        with pytest.raises(StoreUnavailable, match="emptied"):
            heal(database, None)
