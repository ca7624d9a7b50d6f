"""The write-ahead log is measured without being copied, copied beside the writers, and never grows without end."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mailboxes import checkpoint, engine
from mailboxes.checkpoint import Checkpointer, Log
from mailboxes.commit import Committer, NoJournal, Unit
from mailboxes.engine import Database, open_database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'kept.db'}")
    opened.create_tables()
    yield opened
    opened.dispose()


def plain(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("CREATE TABLE IF NOT EXISTS heap (number INTEGER PRIMARY KEY, data BLOB)")
    return connection


def frames_by_sqlite(connection: sqlite3.Connection) -> int:
    """What SQLite says, at the price of copying."""
    return int(connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1])


def test_it_counts_what_sqlite_counts(tmp_path: Path) -> None:
    """Growing by one and by many, started again from the beginning over longer old rounds, and cut to nothing."""
    path = tmp_path / "a.db"
    with closing(plain(path)) as connection:
        log = Log(Path(f"{path}-wal"))

        def fresh() -> int:
            return Log(Path(f"{path}-wal")).frames()

        for rounds, sizes in enumerate(([1, 3, 200, 1], [2, 1, 1], [40, 700, 1], [1])):
            for size in sizes:
                connection.execute("INSERT INTO heap (data) VALUES (zeroblob(?))", (size * 4096,))
                seen = log.frames()
                assert seen == fresh()
                assert seen == frames_by_sqlite(connection), (rounds, size)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert log.frames() == fresh() == 0
        log.close()


def test_no_log_holds_nothing(tmp_path: Path) -> None:
    assert Log(tmp_path / "none-wal").frames() == 0
    (tmp_path / "short-wal").write_bytes(b"short")
    assert Log(tmp_path / "short-wal").frames() == 0


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that is full after a hundred pages and looked at each time."""
    monkeypatch.setattr(checkpoint, "CHECKPOINT_PAGES", 100)
    monkeypatch.setattr(checkpoint, "LOOK_SECONDS", 0.0)


def fill(connection: sqlite3.Connection, pages: int) -> None:
    connection.execute("INSERT INTO heap (data) VALUES (zeroblob(?))", (pages * 4096,))


@pytest.mark.usefixtures("small")
def test_a_full_log_starts_again_from_its_beginning(database: Database, tmp_path: Path) -> None:
    log = Log(tmp_path / "kept.db-wal")
    with closing(plain(tmp_path / "kept.db")) as connection:
        checkpointer = Checkpointer(database)
        fill(connection, 30)
        checkpointer.see()
        assert threading.active_count() == 1 or not any(t.name == "checkpointer" for t in threading.enumerate())
        for _ in range(5):
            fill(connection, 120)
            checkpointer.see()
            wait_for(lambda: not checkpointer.busy)
            fill(connection, 1)
            assert log.frames() < 20
        checkpointer.close()
        assert connection.execute("SELECT count(*), sum(length(data)) FROM heap").fetchone() == (
            11,
            (30 + 5 * 121) * 4096,
        )


@pytest.mark.usefixtures("small")
def test_a_reader_that_stays_is_waited_for_only_a_moment_and_the_log_goes_on(
    database: Database, tmp_path: Path
) -> None:
    log = Log(tmp_path / "kept.db-wal")
    with closing(plain(tmp_path / "kept.db")) as connection, closing(plain(tmp_path / "kept.db")) as reader:
        fill(connection, 120)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM heap").fetchone()
        fill(connection, 120)
        checkpointer = Checkpointer(database)
        checkpointer.see()
        wait_for(lambda: not checkpointer.busy)
        assert log.frames() >= 240
        began = time.monotonic()
        fill(connection, 1)  # nobody holds the writers up
        assert time.monotonic() - began < 5
        checkpointer.see()  # it has not grown by half: no second try yet
        assert not checkpointer.busy
        reader.execute("COMMIT")
        fill(connection, 100)
        checkpointer.see()
        wait_for(lambda: not checkpointer.busy)
        fill(connection, 1)
        assert log.frames() < 20
        checkpointer.close()


@pytest.mark.usefixtures("small")
def test_another_process_at_it_is_left_to_it(database: Database, tmp_path: Path) -> None:
    """A checkpoint that fails or finds another under way costs no commit."""
    with closing(plain(tmp_path / "kept.db")) as connection:
        fill(connection, 120)
        checkpointer = Checkpointer(database)
        database.writer.dispose()
        checkpointer._database = open_database(f"sqlite:///{tmp_path / 'nowhere' / 'kept.db'}")
        checkpointer.see()  # it cannot even open it
        wait_for(lambda: not checkpointer.busy)
        checkpointer._database = database
        fill(connection, 120)
        checkpointer.see()
        wait_for(lambda: not checkpointer.busy)
        fill(connection, 1)
        assert Log(tmp_path / "kept.db-wal").frames() < 20
        checkpointer.close()


@pytest.mark.usefixtures("small")
async def test_commits_go_on_while_the_log_is_copied_and_nothing_is_lost(database: Database) -> None:
    committer = Committer(database, journal=NoJournal(), clock=time.time)

    def work(unit: Unit) -> None:
        unit.cursor.execute("CREATE TABLE IF NOT EXISTS heap (number INTEGER PRIMARY KEY, data BLOB)")
        unit.cursor.execute("INSERT INTO heap (data) VALUES (zeroblob(40000))")

    await asyncio.gather(*(committer.run(work) for _ in range(400)))
    await committer.close()
    with closing(sqlite3.connect(engine.make_url(database.url).database)) as connection:  # type: ignore[arg-type]
        assert connection.execute("SELECT count(*) FROM heap").fetchone() == (400,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert not any(thread.name == "checkpointer" for thread in threading.enumerate())
