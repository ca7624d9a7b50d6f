"""Waking sessions: at once in the process, soon from another process, never missed."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from mailboxes.engine import demand_session, open_database
from mailboxes.notices import LogWire, NotifyWire, SharedNotices
from mailboxes.sqlstore import SqlStore
from mailboxes.store import FlagChange, NewMessage, StoreUnavailable
from tests import stores
from tests.waiting import until

MESSAGE = NewMessage(b"x", b"s")


async def test_a_watcher_hears_of_its_own_mailbox_only(store: SqlStore) -> None:
    heard: list[int] = []
    stop = store.notices.watch(1, heard.append)
    await store.append(2, 1, [MESSAGE])
    await store.append(1, 1, [MESSAGE])
    await asyncio.sleep(0)
    assert heard == [1]
    await store.create_folder(1, "New")
    await asyncio.sleep(0)
    assert heard == [1, 0]
    stop()
    stop()
    await store.append(1, 1, [MESSAGE])
    await asyncio.sleep(0)
    assert heard == [1, 0]


async def test_what_changes_nothing_wakes_nobody(store: SqlStore) -> None:
    await store.append(1, 1, [NewMessage(b"x", b"s", flags="\\Seen")])
    heard: list[int] = []
    store.notices.watch(1, heard.append)
    await store.store_flags(1, 1, [1], FlagChange("add", frozenset({"\\Seen"})))
    await store.expunge(1, 1, None)
    await asyncio.sleep(0.05)
    assert heard == []


async def test_one_watcher_that_fails_does_not_keep_others_asleep(store: SqlStore) -> None:
    heard: list[int] = []
    store.notices.watch(1, lambda folder_id: 1 // 0)
    store.notices.watch(1, heard.append)
    await store.append(1, 1, [MESSAGE])
    await asyncio.sleep(0)
    assert heard == [1]


async def test_another_process_is_heard_soon(shared_url: str) -> None:
    async with stores.opened(shared_url) as here, stores.opened(shared_url) as there:
        await here.committer.run(lambda unit: here.provision(unit, 1, 0))
        heard: list[int] = []
        here.notices.watch(1, heard.append)
        await there.append(1, 1, [MESSAGE])
        await until(lambda: heard == [1])
        await here.append(1, 1, [MESSAGE])
        await asyncio.sleep(0.5)
        assert heard == [1, 1]  # its own change is not heard a second time


@pytest.mark.postgres
def test_a_listener_is_told_by_its_kernel_of_a_server_gone_without_a_word(postgres_url: str) -> None:
    """It says nothing itself, so it believed the connection for two hours, and its sessions heard nothing from other processes."""
    wire = NotifyWire(open_database(postgres_url), origin=1)
    wire.open()
    assert wire._connection is not None
    with socket.socket(fileno=os.dup(wire._connection.fileno())) as line:
        values = [line.getsockopt(socket.IPPROTO_TCP, name) for name in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL)]
        assert values == [10, 5]
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000
    wire.close()


@pytest.mark.postgres
def test_a_session_has_our_limits_whatever_stands_before_the_server(postgres_url: str) -> None:
    """They were asked for while connecting: PgBouncer refuses that, or, told not to, drops them without a word."""
    database = open_database(postgres_url)
    for engine in (database.writer, database.reader):
        with engine.connect() as connection:
            connection.rollback()
            held = [connection.execute(text(f"SHOW {name}_timeout")).scalar() for name in ("lock", "statement")]
            assert held == ["10s", "1min"]


@pytest.mark.parametrize(("told", "served", "good"), [(7, [7], True), (1, [7, 7], True), (1, [7, 8], False)])
def test_a_pooler_that_changes_servers_is_refused(
    monkeypatch: pytest.MonkeyPatch, told: int, served: list[int], *, good: bool
) -> None:
    """LISTEN was lost behind it: sessions heard nothing of other processes, and now and then mail was put off."""
    held: list[str] = []
    other = SimpleNamespace(execute=held.append)
    monkeypatch.setattr("mailboxes.engine.psycopg.connect", lambda url, **_: nullcontext(other))
    answers = iter(served)
    row = SimpleNamespace(fetchone=lambda: (next(answers),))
    connection: Any = SimpleNamespace(info=SimpleNamespace(backend_pid=told), execute=lambda _: row)
    with nullcontext() if good else pytest.raises(StoreUnavailable, match="pool_mode"):
        demand_session(connection, "postgresql://")
    assert len(held) == len(served) - 1


async def test_a_bell_tells_another_process_when_to_look(shared_url: str) -> None:
    if not shared_url.startswith("sqlite"):
        pytest.skip("PostgreSQL tells its listeners itself")
    async with stores.opened(shared_url) as store:
        await store.committer.run(lambda unit: store.provision(unit, 1, 0))
        wire = LogWire(store.committer.database, origin=9999, poll=3600)  # without a bell it would not look today
        wire.open()
        for _ in range(2):
            hearing = asyncio.ensure_future(asyncio.to_thread(wire.hear))
            await asyncio.sleep(0.05)
            await store.append(1, 1, [MESSAGE])
            assert (await asyncio.wait_for(hearing, 20)).touched == {(1, 1)}
        wire.close()


async def test_the_log_is_looked_at_only_while_somebody_watches(tmp_path, monkeypatch) -> None:
    looks: list[float] = []
    hear = LogWire.hear
    monkeypatch.setattr(LogWire, "hear", lambda wire: looks.append(time.monotonic()) or hear(wire))
    url = f"sqlite:///{tmp_path}/caducee.db"
    async with stores.opened(url) as here, stores.opened(url) as there:
        await here.committer.run(lambda unit: here.provision(unit, 1, 0))
        heard: list[int] = []
        for _ in range(3):
            looks.clear()
            await there.append(1, 1, [MESSAGE])
            await asyncio.sleep(0.4)
            assert looks == []
            stop = here.notices.watch(1, heard.append)
            heard.clear()
            await there.append(1, 1, [MESSAGE])
            await until(lambda: heard != [])
            stop()
            await asyncio.sleep(0.3)  # the look under way


async def test_a_change_too_large_to_tell_wakes_everybody(shared_url: str) -> None:
    async with stores.opened(shared_url) as here, stores.opened(shared_url) as there:
        await here.committer.run(lambda unit: here.provision(unit, 1, 0))
        heard: set[int] = set()
        here.notices.watch(1, heard.add)

        def touch_many(unit):
            for mailbox_id in range(2000):
                unit.touched(mailbox_id + 100_000_000, 1)
            unit.touched(1, 3)

        await there.committer.run(touch_many)
        await until(lambda: 3 in heard)


async def test_a_log_cut_short_wakes_everybody(tmp_path) -> None:
    url = f"sqlite:///{tmp_path}/caducee.db"
    async with stores.opened(url) as here, stores.opened(url) as there:
        await here.committer.run(lambda unit: here.provision(unit, 1, 0))
        heard: set[int] = set()
        here.notices.watch(1, heard.add)
        await asyncio.sleep(0.5)

        def write_and_cut(unit):
            wire = LogWire(there.committer.database, 99)
            for _ in range(3):
                wire.write(unit.cursor, frozenset({(7, 7)}))
            unit.connection.exec_driver_sql("DELETE FROM change_log WHERE id < (SELECT MAX(id) FROM change_log)")

        await there.committer.run(write_and_cut)
        await until(lambda: heard == {0, 1, 2, 3, 4, 5, 6})


@pytest.mark.postgres
async def test_a_listener_cut_off_catches_up(postgres_server) -> None:
    url = postgres_server.url()
    async with stores.opened(url) as here, stores.opened(url) as there:
        await here.committer.run(lambda unit: here.provision(unit, 1, 0))
        heard: set[int] = set()
        here.notices.watch(1, heard.add)
        assert isinstance(here.notices, SharedNotices)

        def cut(unit):
            unit.connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN caducee'"
            )

        await there.committer.run(cut)
        await there.append(1, 2, [MESSAGE])
        await until(lambda: 2 in heard)
        heard.clear()
        await there.append(1, 1, [MESSAGE])
        await until(lambda: 1 in heard)


async def test_the_log_does_not_grow_for_ever(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("mailboxes.notices.LOG_KEPT", 100)
    async with stores.opened(f"sqlite:///{tmp_path}/caducee.db") as store:
        wire = LogWire(store.committer.database, 1)

        def write(unit):
            for _ in range(1100):
                wire.write(unit.cursor, frozenset({(1, 1)}))
            return unit.connection.exec_driver_sql("SELECT COUNT(*) FROM change_log").scalar()

        assert await store.committer.run(write) < 200
