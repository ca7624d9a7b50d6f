"""Group commit on every database: what waits shares a transaction, what fails fails alone."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import threading
import time
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from mailboxes import commit, engine, tables  # noqa: F401 - registers the tables
from mailboxes.commit import Committer, Reading
from mailboxes.engine import Database, open_database
from mailboxes.sql import Sql
from mailboxes.store import StoreFull, StoreUnavailable
from policies.events import Event, Kind
from tests.stores import Recorder

PUT = Sql("INSERT INTO subscription (mailbox_id, name) VALUES (?, ?)")
EVENT = Event(Kind.MAILBOX, detail={"what": "test"})


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = open_database(database_url)
    opened.create_tables()
    yield opened
    opened.dispose()


@pytest.fixture
async def journal() -> Recorder:
    return Recorder()


@pytest.fixture
async def committer(database: Database, journal: Recorder) -> AsyncIterator[Committer]:
    made = Committer(database, journal=journal, clock=time.time)
    yield made
    await made.close()


@pytest.fixture
async def reading(database: Database) -> AsyncIterator[Reading]:
    made = Reading(database)
    yield made
    await made.close()


async def names(reading: Reading) -> list[str]:
    query = text("SELECT name FROM subscription ORDER BY name")
    return await reading.run(lambda connection: list(connection.execute(query).scalars()))


def put(name: str):
    def work(unit):
        PUT(unit.cursor, 1, name)
        unit.emit(EVENT)
        return name

    return work


async def behind(committer: Committer, *coroutines):
    """Run ``coroutines`` so that all of them wait for the same next transaction."""
    begun, gate = threading.Event(), threading.Event()
    first = asyncio.ensure_future(committer.run(lambda unit: begun.set() or gate.wait(10)))
    assert await asyncio.to_thread(begun.wait, 10)  # on a busy machine the writer's turn comes late
    tasks = [asyncio.ensure_future(one) for one in coroutines]
    await asyncio.sleep(0.05)
    gate.set()
    await first
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_waits_shares_one_transaction(
    committer: Committer, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []

    def counted(connection, *, immediate):
        begun.append(connection)
        engine.begin(connection, immediate=immediate)

    monkeypatch.setattr("mailboxes.commit.begin", counted)
    outcomes = await behind(committer, *(committer.run(put(f"n{number}")) for number in range(5)))
    assert outcomes == [f"n{number}" for number in range(5)]
    assert len(begun) == 2
    assert await names(reading) == outcomes


async def test_statements_of_core_join_the_transaction_of_the_driver(committer: Committer, reading: Reading) -> None:
    insert = text("INSERT INTO subscription (mailbox_id, name) VALUES (1, :name)")

    def both(unit):
        PUT(unit.cursor, 1, "driver")
        unit.connection.execute(insert, {"name": "core"})

    def neither(unit):
        unit.connection.execute(insert, {"name": "core, undone"})
        PUT(unit.cursor, 1, "driver, undone")
        raise ValueError("undone")

    await committer.run(both)
    with pytest.raises(ValueError, match="undone"):
        await committer.run(neither)
    assert await committer.run(put("after")) == "after"
    assert await names(reading) == ["after", "core", "driver"]


async def test_one_failure_is_undone_alone_with_its_events(
    committer: Committer, reading: Reading, journal: Recorder
) -> None:
    called = []

    def poison(unit):
        PUT(unit.cursor, 1, "poison")
        unit.emit(EVENT)
        unit.after_commit(lambda: called.append("poison"))
        raise ValueError("poison")

    def good(unit):
        unit.after_commit(lambda: called.append("good"))
        return put("good")(unit)

    failed, done = await behind(committer, committer.run(poison), committer.run(good))
    assert isinstance(failed, ValueError)
    assert done == "good"
    assert await names(reading) == ["good"]
    assert journal.events == [EVENT]
    assert called == ["good"]


async def test_a_statement_that_fails_does_not_spoil_the_transaction(committer: Committer, reading: Reading) -> None:
    outcomes = await behind(committer, *(committer.run(put("same")) for _ in range(3)))
    assert outcomes[0] == "same"
    assert [type(one).__name__ for one in outcomes[1:]] in (["IntegrityError"] * 2, ["UniqueViolation"] * 2)
    assert await names(reading) == ["same"]


async def test_a_group_is_called_once_and_after_a_failure_one_by_one(
    committer: Committer, reading: Reading, journal: Recorder
) -> None:
    calls: list[list[str]] = []

    def handler(unit, items):
        calls.append(items)
        for item in items:
            if item == "poison":
                raise ValueError(item)
            put(item)(unit)
        return [item.upper() if item != "refused" else KeyError(item) for item in items]

    first = await behind(committer, *(committer.grouped(handler, item) for item in ("a", "b")))
    assert first == ["A", "B"]
    assert calls == [["a", "b"]]
    second = await behind(committer, *(committer.grouped(handler, item) for item in ("c", "poison", "refused")))
    assert second[0] == "C"
    assert isinstance(second[1], ValueError)
    assert isinstance(second[2], KeyError)
    together = ["c", "poison", "refused"]  # at first without savepoints, then with
    assert calls[1:] == [together, together, ["c"], ["poison"], ["refused"]]
    assert await names(reading) == ["a", "b", "c", "refused"]
    assert len(journal.events) == 4


async def test_a_handler_that_loses_count_is_an_error(committer: Committer) -> None:
    with pytest.raises(RuntimeError, match="outcomes"):
        await committer.grouped(lambda unit, items: [], "item")


async def test_a_journal_that_fails_keeps_nothing(
    committer: Committer, reading: Reading, journal: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(connection, events, now):
        if len(events) != 1:
            raise OSError("no room for evidence")

    monkeypatch.setattr(journal, "append", refuse)

    def twice(unit):
        unit.emit(EVENT)
        return put("twice")(unit)

    outcomes = await behind(committer, committer.run(put("once")), committer.run(twice))
    assert outcomes[0] == "once"
    assert isinstance(outcomes[1], OSError)
    assert await names(reading) == ["once"]


async def test_callbacks_run_on_the_event_loop_after_the_commit(committer: Committer, reading: Reading) -> None:
    here = threading.get_ident()
    seen: list[int] = []

    def work(unit):
        unit.after_commit(lambda: 1 // 0)
        unit.after_commit(lambda: seen.append(threading.get_ident()))

    await committer.run(work)
    await asyncio.sleep(0)
    assert seen == [here]


async def test_a_cancelled_caller_is_not_served(committer: Committer, reading: Reading) -> None:
    gate = threading.Event()
    first = asyncio.ensure_future(committer.run(lambda unit: gate.wait(10)))
    await asyncio.sleep(0.05)
    second = asyncio.ensure_future(committer.run(put("cancelled")))
    await asyncio.sleep(0)
    second.cancel()
    gate.set()
    await first
    assert await committer.run(put("after")) == "after"
    assert await names(reading) == ["after"]


async def test_callers_wait_when_the_queue_is_full(database: Database, journal: Recorder) -> None:
    committer = Committer(database, journal=journal, clock=time.time, max_waiting=2)
    begun, gate = threading.Event(), threading.Event()
    tasks = [asyncio.ensure_future(committer.run(lambda unit: begun.set() or gate.wait(10))) for _ in range(5)]
    assert await asyncio.to_thread(begun.wait, 10)
    assert len(committer._queue) <= 1
    gate.set()
    assert await asyncio.gather(*tasks) == [True] * 5
    await committer.close()


async def test_closing_commits_what_waits_and_refuses_what_comes(
    database: Database, reading: Reading, journal: Recorder
) -> None:
    committer = Committer(database, journal=journal, clock=time.time)
    task = asyncio.ensure_future(committer.run(put("last")))
    await asyncio.sleep(0)
    await committer.close()
    assert await task == "last"
    with pytest.raises(StoreUnavailable):
        await committer.run(put("too late"))
    assert await names(reading) == ["last"]


async def test_a_command_line_needs_no_event_loop(committer: Committer, reading: Reading) -> None:
    def outside():
        with pytest.raises(KeyError):
            committer.run_sync(lambda unit: {}["missing"])
        return committer.run_sync(put("sync")), reading.run_sync(lambda connection: 5)

    assert await asyncio.get_running_loop().run_in_executor(None, outside) == ("sync", 5)


async def test_a_failed_commit_fails_all_and_is_not_trusted(
    committer: Committer, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [engine._SQLITE_FULL, 10]

    def break_down(connection):
        if failures:
            error = sqlite3.OperationalError("disk")
            error.sqlite_errorcode = failures.pop()
            raise error
        engine.commit(connection)

    assert await committer.run(put("before")) == "before"
    connection = committer._connection
    monkeypatch.setattr("mailboxes.commit.commit", break_down)
    with pytest.raises(StoreUnavailable):
        await committer.run(put("lost"))
    with pytest.raises(StoreFull):
        await committer.run(put("lost too"))
    assert await committer.run(put("after")) == "after"
    assert await names(reading) == ["after", "before"]
    assert committer._connection is not connection


async def test_a_writer_outlives_memory_that_runs_out(
    committer: Committer, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread ended with the error of telling of an error: from then on this process committed nothing."""

    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError

    await committer.run(put("before"))
    with monkeypatch.context() as patched:
        patched.setattr(commit.log, "error", exhausted)
        with pytest.raises(StoreUnavailable):
            await committer.run(exhausted)
        patched.setattr(committer, "_hand_over", exhausted)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(committer.run(put("unheard")), 0.2)
    await asyncio.wait_for(committer.run(put("after")), 5)
    assert await names(reading) == ["after", "before", "unheard"]


async def test_a_writer_that_gets_no_thread_asks_again(database: Database, journal: Recorder) -> None:
    made = Committer(database, journal=journal, clock=time.time)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse_a_thread)
        with pytest.raises(StoreUnavailable):
            await made.run(put("refused"))
    assert await asyncio.wait_for(made.run(put("taken")), 5) == "taken"
    await made.close()


def refuse_a_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


async def test_reads_go_on_with_the_threads_there_are(reading: Reading, committer: Committer) -> None:
    """One that was refused (RLIMIT_NPROC) took its question with it, and its place; one that failed took the next question."""
    await committer.run(put("here"))
    assert await names(reading) == ["here"]

    def exhausted() -> None:
        raise MemoryError

    reading._threads.submit(exhausted)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse_a_thread)
        answers = await asyncio.wait_for(asyncio.gather(*(names(reading) for _ in range(9))), 5)
    assert answers == [["here"]] * 9


async def test_nobody_waits_for_ever(database: Database, journal: Recorder) -> None:
    committer = Committer(database, journal=journal, clock=time.time, patience=0.1)
    gate = threading.Event()
    with pytest.raises(StoreUnavailable):
        await committer.run(lambda unit: gate.wait(60))
    with pytest.raises(StoreUnavailable):
        await committer.run(put("too late"))  # given up while it waited: never served
    committer._patience = 60.0  # a busy disk may need longer than that to sync
    gate.set()
    assert await committer.run(put("after")) == "after"
    await committer.close()
    with database.turn(), database.reader.connect() as connection:
        assert list(connection.execute(text("SELECT name FROM subscription")).scalars()) == ["after"]


async def test_readers_do_not_pile_up(database: Database) -> None:
    reading = Reading(database, threads=1, max_waiting=3, patience=0.2)
    gate = threading.Event()
    outcomes = await asyncio.gather(
        *(reading.run(lambda connection: gate.wait(10)) for _ in range(5)), return_exceptions=True
    )
    assert [type(one) for one in outcomes] == [StoreUnavailable] * 5
    gate.set()
    assert await reading.run(lambda connection: 7) == 7
    await reading.close()
    with pytest.raises(StoreUnavailable):
        await reading.run(lambda connection: 7)


async def test_reads_asked_together_share_a_trip_and_fail_alone(reading: Reading) -> None:
    seen = []

    def read(connection, item):
        seen.append((threading.get_ident(), id(connection)))
        if item == 2:
            raise KeyError(item)
        return item * 10

    outcomes = await asyncio.gather(*(reading.grouped(read, item) for item in range(4)), return_exceptions=True)
    assert outcomes[:2] + outcomes[3:] == [0, 10, 30]
    assert isinstance(outcomes[2], KeyError)
    assert len(set(seen)) == 1
    assert await reading.grouped(read, 5) == 50


async def test_a_reader_cannot_write(shared_url: str) -> None:
    database = open_database(shared_url)
    database.create_tables()
    reading = Reading(database)
    with pytest.raises(Exception, match=r"(?i)read-?only"):
        await reading.run(
            lambda connection: connection.exec_driver_sql("INSERT INTO subscription (mailbox_id, name) VALUES (1, 'x')")
        )
    await reading.close()
    database.dispose()


async def test_a_reader_sees_one_instant(shared_url: str) -> None:
    database = open_database(shared_url)
    database.create_tables()
    committer = Committer(database, journal=Recorder(), clock=time.time)
    reading = Reading(database)
    count = text("SELECT COUNT(*) FROM subscription")

    def twice(connection):
        first = connection.execute(count).scalar()
        committer.run_sync(put("between"))
        return first, connection.execute(count).scalar()

    assert await reading.run(twice) == (0, 0)
    assert await reading.run(lambda connection: connection.execute(count).scalar()) == 1
    await reading.close()
    await committer.close()
    database.dispose()


@pytest.mark.postgres
async def test_a_deadlock_is_tried_again(postgres_server) -> None:
    database = open_database(postgres_server.url())
    database.create_tables()
    committers = [Committer(database, journal=Recorder(), clock=time.time) for _ in range(2)]
    for name in ("a", "b"):
        await committers[0].run(put(name))
    lock = Sql("SELECT name FROM subscription WHERE name = ?", lock=True)
    met = threading.Barrier(2)
    tries = []

    def cross(first, second):
        def work(unit):
            tries.append(first)
            lock(unit.cursor, first)
            if len(tries) <= 2:
                met.wait(5)
            lock(unit.cursor, second)
            return first

        return work

    both = await asyncio.gather(committers[0].run(cross("a", "b")), committers[1].run(cross("b", "a")))
    assert both == ["a", "b"]
    assert len(tries) >= 3
    for committer in committers:
        await committer.close()
    database.dispose()


@pytest.mark.postgres
async def test_a_cut_connection_is_opened_again(postgres_server) -> None:
    database = open_database(postgres_server.url())
    database.create_tables()
    committer = Committer(database, journal=Recorder(), clock=time.time)
    reading = Reading(database, threads=1)
    await committer.run(put("before"))
    assert await names(reading) == ["before"]
    cut = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with database.reader.connect() as connection:
        connection.execute(cut)
    with pytest.raises(StoreUnavailable):
        await committer.run(put("lost"))
    assert await committer.run(put("after")) == "after"
    assert await names(reading) == ["after", "before"]
    await reading.close()
    await committer.close()
    database.dispose()


@pytest.mark.postgres
async def test_a_server_that_does_not_sync_is_refused(postgres_server) -> None:
    url = postgres_server.url()
    with open_database(url).writer.connect() as connection:
        connection.exec_driver_sql("ALTER ROLE caducee SET synchronous_commit = off")
        connection.commit()
    try:
        # Our own connection asks for synchronous_commit=on, which wins over the role's default.
        with open_database(url).writer.connect() as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    finally:
        with open_database(url).writer.connect() as connection:
            connection.exec_driver_sql("ALTER ROLE caducee RESET synchronous_commit")
            connection.commit()


@pytest.mark.postgres
async def test_a_server_that_stops_and_comes_back(postgres_server) -> None:
    """F11: nothing is accepted while it is away; both sides serve again within seconds of its return."""
    database = open_database(postgres_server.url())
    database.create_tables()
    committer = Committer(database, journal=Recorder(), clock=time.time)
    reading = Reading(database)
    assert await committer.run(put("before")) == "before"
    assert await names(reading) == ["before"]
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, postgres_server.stop)
    try:
        with capture_logs() as logs:
            for _ in range(2):
                with pytest.raises(StoreUnavailable):
                    await committer.run(put("away"))
                with pytest.raises(StoreUnavailable):
                    await names(reading)
    finally:
        await loop.run_in_executor(None, postgres_server.start)
    assert [each["event"] for each in logs] == ["store_fault"]  # of what goes on the log tells once a minute
    assert await committer.run(put("back")) == "back"
    assert await names(reading) == ["back", "before"]
    await reading.close()
    await committer.close()
    database.dispose()


@pytest.mark.postgres
async def test_a_standby_in_the_place_of_the_primary_is_left_for_the_next_primary(postgres_server) -> None:
    """F11: a connection to a server that only reads stays open for ever; a writer that kept it never wrote again."""
    url = postgres_server.url()
    database = open_database(url)
    database.create_tables()
    with database.writer.connect() as connection:
        name = connection.exec_driver_sql("SELECT current_database()").scalar()
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")  # in new sessions
        connection.commit()
    committer = Committer(database, journal=Recorder(), clock=time.time)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="ReadOnlySqlTransaction"):
            await committer.run(put("refused"))
    with database.writer.connect() as connection:
        connection.exec_driver_sql("SET TRANSACTION READ WRITE")
        connection.exec_driver_sql(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        connection.commit()
    assert await committer.run(put("kept")) == "kept"
    await committer.close()
    database.dispose()


@pytest.mark.postgres
async def test_a_server_that_falls_silent(postgres_server) -> None:
    """F12: callers are told within their patience, nobody piles up, and all goes on when it wakes."""
    database = open_database(postgres_server.url())
    database.create_tables()
    committer = Committer(database, journal=Recorder(), clock=time.time, patience=0.3)
    reading = Reading(database, threads=2, patience=0.3)
    await committer.run(put("before"))
    assert await names(reading) == ["before"]
    postgres_server.send(signal.SIGSTOP)
    try:
        asked = [committer.run(put(f"silent{number}")) for number in range(4)]
        outcomes = await asyncio.gather(*asked, *(names(reading) for _ in range(4)), return_exceptions=True)
        assert {type(one) for one in outcomes} == {StoreUnavailable}
        with pytest.raises(StoreUnavailable):
            await committer.run(put("behind"))
    finally:
        postgres_server.send(signal.SIGCONT)
    await asyncio.sleep(0.5)
    assert await committer.run(put("after")) == "after"
    # What was already with the server may have been committed (the answer was lost); what waited behind it was not.
    found = set(await names(reading))
    assert {"before", "after"} <= found
    assert "behind" not in found
    await reading.close()
    await committer.close()
    database.dispose()


async def test_a_database_that_is_not_there_is_said_unavailable(tmp_path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/no/such/directory/x.db")
    committer = Committer(database, journal=Recorder(), clock=time.time)
    with pytest.raises(StoreUnavailable):
        await committer.run(put("x"))
    reading = Reading(database)
    with pytest.raises(StoreUnavailable):
        await reading.run(lambda connection: None)
    (tmp_path / "no/such/directory").mkdir(parents=True)
    database.create_tables()
    assert await committer.run(put("x")) == "x"
    await committer.close()
    await reading.close()
    with pytest.raises(StoreUnavailable):
        open_database("mysql://localhost/x")
