"""Opens the operator's database: SQLite embedded, or PostgreSQL.

Promise: what a commit says is on disk is on disk. On SQLite that is WAL with ``synchronous=FULL`` (NORMAL does not sync
at commit), and each setting is read back, because SQLite answers a refused pragma with silence (F05). After a failed
sync, :func:`heal` empties the write-ahead log before anything is trusted again. Several processes may open one database.
Failure: :class:`StoreUnavailable` when the database cannot be opened as promised; :func:`fault_of` sorts the errors of
both drivers into the few kinds the rest of the store tells apart.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool, StaticPool

from mailboxes.given import create
from mailboxes.line import Line
from mailboxes.schema import metadata
from mailboxes.store import StoreError, StoreFull, StoreUnavailable

BUSY_SECONDS = 10
CONNECT_SECONDS = 5
CHECKPOINT_PAGES = 12_000
"""48 MiB of write-ahead log are copied at once (mailboxes.checkpoint): rarer checkpoints cost fewer syncs."""
LOG_LIMIT_PAGES = 2 * CHECKPOINT_PAGES
"""Of write-ahead log, after which a commit copies it itself."""
CACHE_KIB = 32 * 1024
MMAP_BYTES = 1 << 30
POSTGRES_CONNECT: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "caducee",
    "tcp_user_timeout": 20_000,  # milliseconds: a server that fell silent is given up (F12)
    "keepalives_idle": 10,
    "keepalives_interval": 5,
}
CACHED_STATEMENTS = 512
_SESSION = f"SET lock_timeout = '{BUSY_SECONDS}s'; SET statement_timeout = '60s'; SET synchronous_commit = on"
"""A write that waits longer than this for a row is given up and said unavailable (F12)."""


@dataclass(frozen=True, slots=True)
class Database:
    """Two engines on one database: ``writer`` starts write transactions, ``reader`` only reads.

    ``turns`` is held during each transaction of an in-memory database, whose one connection serves everybody;
    ``line`` during each write transaction of a SQLite file that several processes share.
    """

    url: str
    writer: Engine
    reader: Engine
    turns: threading.RLock | None = None
    line: Line | None = None

    @property
    def sqlite(self) -> bool:
        return self.writer.dialect.name == "sqlite"

    @property
    def shared(self) -> bool:
        """Whether other processes can open it too."""
        return self.turns is None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for one's turn where there is only one connection."""
        if self.turns is None:
            yield
            return
        with self.turns:
            yield

    def writing(self) -> AbstractContextManager[object]:
        """Held during a write transaction."""
        return self.line or self.turns or nullcontext()

    def create_tables(self) -> None:
        """Create what is missing; for tests and first starts. Migrations do it on a database that lives."""
        with self.turn(), self.writer.begin() as connection:
            metadata.create_all(connection)

    def dispose(self) -> None:
        self.writer.dispose()
        self.reader.dispose()
        if self.line is not None:
            self.line.close()


def open_database(url: str) -> Database:
    """``sqlite:///path``, ``sqlite://`` (in memory, for tests) or ``postgresql+psycopg://...``."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite_memory() if parsed.database in (None, "", ":memory:") else _open_sqlite(url)
    if parsed.get_backend_name() == "postgresql":
        return _open_postgresql(url)
    raise StoreUnavailable(f"no such kind of database: {parsed.get_backend_name()}")


def raw(connection: Connection) -> Any:
    """The driver's own connection."""
    return connection.connection.dbapi_connection


def cursor_of(connection: Connection) -> Any:
    """The driver's own cursor, in the same transaction; on PostgreSQL values travel in binary (bytes twice as fast)."""
    driver = raw(connection)
    return driver.cursor(binary=True) if isinstance(driver, psycopg.Connection) else driver.cursor()


def begin(connection: Connection, *, immediate: bool) -> None:
    """Start a transaction in the driver. SQLAlchemy would take fifty microseconds; it joins in if it is used.

    ``immediate``: for writing. psycopg starts one by itself at the first statement.
    """
    driver = raw(connection)
    if isinstance(driver, sqlite3.Connection):
        driver.execute("BEGIN IMMEDIATE" if immediate else "BEGIN")


def commit(connection: Connection) -> None:
    """End what :func:`begin` started."""
    if connection.in_transaction():
        connection.commit()
    else:
        raw(connection).commit()


def rollback(connection: Connection) -> None:
    """Undo what :func:`begin` started."""
    if connection.in_transaction():
        connection.rollback()
    else:
        raw(connection).rollback()


# SQLite


def _open_sqlite(url: str) -> Database:
    _create_private(Path(str(make_url(url).database)))
    options: dict[str, Any] = {
        "poolclass": NullPool,
        "hide_parameters": True,  # an error's text may reach a log: it names the statement, never its values (MSS-146)
        "connect_args": {
            "timeout": BUSY_SECONDS,
            "check_same_thread": False,
            "isolation_level": None,
            "cached_statements": CACHED_STATEMENTS,
        },
    }
    writer = create_engine(url, **options)
    reader = create_engine(url, **options)
    event.listen(writer, "connect", _prepare_writer)
    event.listen(writer, "begin", _begin_immediate)
    event.listen(reader, "connect", _prepare_reader)
    event.listen(reader, "begin", _begin)
    return Database(url, writer, reader, line=Line(Path(f"{make_url(url).database}-line")))


def _create_private(path: Path) -> None:
    """A new database is for its owner, and the group its folder was given to; the log and its index inherit the mode."""
    if not path.parent.is_dir():
        return
    try:
        os.close(create(path, os.O_RDWR))
    except OSError:
        if not path.exists():
            raise  # else it may still be read, on a disk that became read-only: SQLite says what it can do


def _open_sqlite_memory() -> Database:
    engine = create_engine(
        "sqlite://",
        poolclass=StaticPool,
        hide_parameters=True,
        connect_args={
            "check_same_thread": False,
            "isolation_level": None,
            "cached_statements": CACHED_STATEMENTS,
        },
    )
    event.listen(engine, "begin", _begin)
    return Database("sqlite://", engine, engine, threading.RLock())


def _begin_immediate(connection: Connection) -> None:
    _begin_unless_begun(raw(connection), "BEGIN IMMEDIATE")


def _begin(connection: Connection) -> None:
    _begin_unless_begun(raw(connection), "BEGIN")


def _begin_unless_begun(driver: sqlite3.Connection, statement: str) -> None:
    """By SQLAlchemy, which joins a transaction that :func:`begin` started."""
    if not driver.in_transaction:
        driver.execute(statement)


def _prepare_writer(connection: sqlite3.Connection, _record: object) -> None:
    _prepare(connection)
    _require(connection, "synchronous", "FULL", 2)
    _require(connection, "wal_autocheckpoint", str(LOG_LIMIT_PAGES), LOG_LIMIT_PAGES)
    _require(connection, "foreign_keys", "ON", 1)


def _prepare_reader(connection: sqlite3.Connection, _record: object) -> None:
    _prepare(connection)
    _require(connection, "query_only", "ON", 1)


def _prepare(connection: sqlite3.Connection) -> None:
    _require(connection, "journal_mode", "WAL", "wal")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute(f"PRAGMA mmap_size = {MMAP_BYTES}")
    # What is freed is ciphertext; zeroing it would double the writes of a deletion, and fail them on a full disk (F07).
    # The one thing that must not linger, a destroyed key, is overwritten by mailboxes.keys before it is deleted.
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute("PRAGMA temp_store = MEMORY")  # no plaintext on disk, temporary tables included


def _require(connection: sqlite3.Connection, pragma: str, value: str, expected: object) -> None:
    connection.execute(f"PRAGMA {pragma} = {value}")
    answer = connection.execute(f"PRAGMA {pragma}").fetchone()
    if answer is None or answer[0] != expected:
        raise StoreUnavailable(f"SQLite refuses {pragma} = {value}")


@contextmanager
def overwriting(cursor: Any) -> Iterator[None]:
    """What SQLite frees meanwhile is zeroed: for the little that was no ciphertext. PostgreSQL leaves it to VACUUM."""
    if not isinstance(cursor, sqlite3.Cursor):
        yield
        return
    cursor.execute("PRAGMA secure_delete = ON")
    try:
        yield
    finally:
        cursor.execute("PRAGMA secure_delete = OFF")


def free_pages(cursor: Any) -> int:
    """Bytes of SQLite's file that hold nothing and will be used before the file grows."""
    count, size = (cursor.execute(f"PRAGMA {word}").fetchone()[0] for word in ("freelist_count", "page_size"))
    return int(count * size)


# PostgreSQL


def _open_postgresql(url: str) -> Database:
    parsed = make_url(url).set(drivername="postgresql+psycopg")
    options: dict[str, Any] = {
        "poolclass": NullPool,
        "hide_parameters": True,  # an error's text may reach a log: it names the statement, never its values (MSS-146)
        "connect_args": POSTGRES_CONNECT,
    }
    writer = create_engine(parsed, isolation_level="READ COMMITTED", **options)
    read_only = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    reader = create_engine(parsed, execution_options=read_only, **options)
    for engine in (writer, reader):
        event.listen(engine, "connect", _settle)
    event.listen(writer, "connect", _synchronous)
    return Database(parsed.render_as_string(hide_password=False), writer, reader)


def _settle(connection: psycopg.Connection[Any], _record: object) -> None:
    """Said in the session, not while it is opened: a pooler refuses what it does not know there, or drops it unsaid."""
    connection.execute(_SESSION)
    connection.commit()


def demand_session(connection: psycopg.Connection[Any], url: str) -> None:
    """Raises :class:`StoreUnavailable` behind a pooler that gives each transaction another server (PgBouncer, ``transaction``).

    What LISTEN asked for is lost there, and a statement prepared on one server is not known to the next. Such a pooler has
    its own word for the server's process; whether the server stays is seen by having another session take it.
    """
    served = connection.execute("SELECT pg_backend_pid()").fetchone()
    if served == (connection.info.backend_pid,):
        return
    with psycopg.connect(url, **POSTGRES_CONNECT) as other:
        other.execute("SELECT 1")
        if connection.execute("SELECT pg_backend_pid()").fetchone() != served:
            raise StoreUnavailable("a pooler gives each transaction another server: it takes pool_mode = session")


def _synchronous(connection: psycopg.Connection[Any], _record: object) -> None:
    row = connection.execute("SELECT current_setting('synchronous_commit'), current_setting('fsync')").fetchone()
    connection.rollback()
    if row != ("on", "on"):
        raise StoreUnavailable("PostgreSQL runs without fsync or synchronous_commit: commits would not be durable")


# errors


class Fault(Enum):
    """What an error of the database means for the work that met it."""

    OWN = "own"  # the statement's own fault: nobody else is harmed
    RETRY = "retry"  # serialization or deadlock: the same transaction may be tried again
    FULL = "full"
    BROKEN = "broken"  # the connection, or the disk under it, is not to be trusted


_SQLITE_FULL = 13
_SQLITE_BROKEN = {
    5: "busy",
    6: "locked",
    7: "no memory",
    8: "read only",
    10: "input/output error",
    11: "corrupt",
    14: "cannot open",
    15: "protocol",
    26: "not a database",
}
_POSTGRES_RETRY = {"40001", "40P01"}
_POSTGRES_FULL = {"53100"}
_POSTGRES_BROKEN = ("08", "25006", "53", "55", "57", "58", "F0", "XX")
"""25006: a server that only reads, the standby where a primary was. The next connection may lead to the new primary."""


def fault_of(error: BaseException) -> Fault:
    """Sort an exception of a driver, or of SQLAlchemy around it."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        if error.connection_invalidated:
            return Fault.BROKEN
        error = error.orig
    if isinstance(error, sqlite3.Error):
        return _sqlite_fault(error)
    if isinstance(error, psycopg.Error):
        return _postgres_fault(error)
    if isinstance(error, MemoryError):  # the sqlite3 module says SQLite's own "no memory" like this too
        return Fault.BROKEN
    # StoreUnavailable and StoreFull raised while a connection is opened; pool errors of SQLAlchemy.
    if isinstance(error, StoreUnavailable):
        return Fault.BROKEN
    return Fault.BROKEN if isinstance(error, SQLAlchemyError) and "disconnect" in str(error) else Fault.OWN


def _sqlite_fault(error: sqlite3.Error) -> Fault:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == _SQLITE_FULL:
        return Fault.FULL
    return Fault.BROKEN if code in _SQLITE_BROKEN else Fault.OWN


def _postgres_fault(error: psycopg.Error) -> Fault:
    state = error.sqlstate
    if state in _POSTGRES_RETRY:
        return Fault.RETRY
    if state in _POSTGRES_FULL:
        return Fault.FULL
    if state is None:
        return Fault.BROKEN if isinstance(error, psycopg.OperationalError) else Fault.OWN
    return Fault.BROKEN if state.startswith(_POSTGRES_BROKEN) else Fault.OWN


def refusal(error: BaseException) -> StoreError | None:
    """What a caller is told of a database error; None when the error is the caller's own."""
    fault = fault_of(error)
    if fault is Fault.OWN:
        return None
    kind = StoreFull if fault is Fault.FULL else StoreUnavailable
    return kind(_cause(error))


def _cause(error: BaseException) -> str:
    """Why, for whoever must mend it; never a value of a statement (MSS-146).

    SQLite has a name for it. A connection that PostgreSQL refused, or that broke, bears no state, and its text is the
    connection's own.
    """
    origin = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if isinstance(origin, sqlite3.Error):
        return str(getattr(origin, "sqlite_errorname", type(origin).__name__))
    if isinstance(origin, psycopg.Error) and origin.sqlstate is None:
        return " ".join(str(origin).partition("\n\t")[0].split())[:300] or type(origin).__name__
    return type(origin).__name__


def first_connection(database: Database) -> Connection:
    """A connection for a writer that starts.

    SQLite: whoever died before may have died of a failed sync, so the log it left is copied into the database file,
    synced there and cut, unless another process is using it (then that process has seen to it).
    """
    connection = database.writer.connect()
    if database.sqlite and database.shared:
        driver = raw(connection)
        driver.execute("PRAGMA busy_timeout = 0")
        try:
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except BaseException:
            connection.close()
            raise
        driver.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    return connection


def heal(database: Database, suspect: Connection | None) -> Connection:
    """A connection to trust after a failed write or sync. Raises when there is none yet.

    SQLite: frames of the failed transaction may lie in the log without being on disk, and a second fsync of the same
    file would claim they are. While ``suspect`` still holds the log's index, which does not count those frames, a new
    connection copies what was committed before into the database file, syncs it, and cuts the log to nothing.
    """
    connection = database.writer.connect()
    try:
        if database.sqlite and database.shared:
            _cut_log(raw(connection))
    except BaseException:
        connection.close()
        raise
    if suspect is not None:
        discard(database, suspect)
    return connection


def _cut_log(connection: sqlite3.Connection) -> None:
    busy, _pages, _moved = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StoreUnavailable("the write-ahead log cannot be emptied after a failed sync")


def discard(database: Database, connection: Connection) -> None:
    """Close without trusting: errors of closing change nothing any more. (An in-memory database lives in it: kept.)"""
    try:
        if database.shared:
            connection.invalidate()
        connection.close()
    except (SQLAlchemyError, sqlite3.Error, psycopg.Error):
        pass
