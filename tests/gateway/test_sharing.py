"""New connections are shared evenly, each is served once, and a worker that is gone or hangs costs nobody his call."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.cli.serve import take_descriptors
from gateway.sharing import Entrance, Sharing
from gateway.smtp import replies
from mailboxes.tally import Crowd, SharedTally
from policies.catalogue import rule
from policies.decision import decide
from tests.space.running import ROOT
from tests.waiting import until


class Desk(asyncio.Protocol):
    """Greets with its worker's name and counts."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def connection_made(self, transport: Any) -> None:
        self.worker.crowd.add(self)
        transport.write(self.worker.name)

    def connection_lost(self, error: Exception | None) -> None:
        self.worker.crowd.discard(self)


class Worker:
    def __init__(self, name: bytes, directory: Path) -> None:
        self.name = name
        self.tally = SharedTally(directory / "connections")
        self.sharing = Sharing(self.tally, directory / "sharing")
        self.crowd: Crowd[Desk] = Crowd(self.tally, 0)

    async def adopt(self, accepted: socket.socket) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: Desk(self), accepted)

    async def listen(self, port: int) -> asyncio.Server:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(("127.0.0.1", port))
        entrance = Entrance(bound)
        server = await asyncio.get_running_loop().create_server(lambda: Desk(self), sock=entrance)
        self.sharing.share("inbound", entrance, self.crowd, self.adopt)
        return server


@asynccontextmanager
async def workers(directory: Path, count: int, *, listening: int) -> AsyncIterator[tuple[int, list[Worker]]]:
    """``count`` workers of one house, of which ``listening`` may accept; the port."""
    made = [Worker(b"%d" % number, directory) for number in range(count)]
    servers = []
    port = 0
    for one in made:
        server = await one.listen(port)
        port = port or server.sockets[0].getsockname()[1]
        servers.append(server)
    for server in servers[listening:]:
        server.close()
    yield port, made
    for server in servers:
        server.close()
    for one in made:
        one.sharing.close()
        one.tally.close()


async def call(port: int) -> tuple[bytes, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    return await asyncio.wait_for(reader.read(1), 10), writer


async def test_whoever_accepts_each_has_as_many(tmp_path: Path) -> None:
    async with workers(tmp_path, 3, listening=1) as (port, made):
        calls = [await call(port) for _ in range(12)]
        assert [len(one.crowd) for one in made] == [4, 4, 4]
        assert sorted(name for name, _ in calls) == sorted([b"0", b"1", b"2"] * 4)
        for _, writer in calls:
            writer.close()
        await until(lambda: [len(one.crowd) for one in made] == [0, 0, 0])


async def test_a_second_listener_of_one_server_counts_nobody_twice(tmp_path: Path) -> None:
    async with workers(tmp_path, 2, listening=1) as (_port, made):
        second = await made[0].listen(0)
        calls = [await call(second.sockets[0].getsockname()[1]) for _ in range(8)]
        assert [len(one.crowd) for one in made] == [4, 4]
        second.close()
        for _, writer in calls:
            writer.close()


async def test_a_burst_is_shared_too(tmp_path: Path) -> None:
    async with workers(tmp_path, 2, listening=1) as (port, made):
        calls = await asyncio.gather(*(call(port) for _ in range(20)))
        assert [len(one.crowd) for one in made] == [10, 10]
        for _, writer in calls:
            writer.close()


async def test_who_is_full_of_old_calls_gets_no_new_ones(tmp_path: Path) -> None:
    async with workers(tmp_path, 2, listening=1) as (port, made):
        old = [Desk(made[0]) for _ in range(5)]
        for each in old:
            made[0].crowd.add(each)
        calls = [await call(port) for _ in range(5)]
        assert {name for name, _ in calls} == {b"1"}
        for _, writer in calls:
            writer.close()


async def test_what_a_worker_that_left_would_get_stays_here(tmp_path: Path) -> None:
    async with workers(tmp_path, 2, listening=1) as (port, made):
        made[1].sharing.close()  # its count still stands in the tally
        calls = [await call(port) for _ in range(4)]
        assert {name for name, _ in calls} == {b"0"}
        for _, writer in calls:
            writer.close()


async def test_what_was_handed_over_before_the_end_is_still_served(tmp_path: Path) -> None:
    async with workers(tmp_path, 2, listening=1) as (port, made):
        first = await call(port)
        loop = asyncio.get_running_loop()
        loop.remove_reader(made[1].sharing._socket)  # type: ignore[arg-type]  # it does not come to fetch
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.05)
        made[1].sharing.close()
        assert await asyncio.wait_for(reader.read(1), 5) == b"1"
        writer.close()
        first[1].close()


async def test_a_word_no_worker_would_say_closes_what_came_with_it(tmp_path: Path) -> None:
    async with workers(tmp_path, 1, listening=1) as (_port, made):
        here, there = socket.socketpair()
        with closing(here), closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as stranger:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, there.fileno().to_bytes(4, sys.byteorder))]
            stranger.sendmsg([b"kitchen"], rights, 0, str(tmp_path / "sharing" / str(made[0].tally.column)))
            stranger.sendmsg([b""], [], 0, str(tmp_path / "sharing" / str(made[0].tally.column)))
            there.close()
            here.setblocking(False)
            assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(here, 1), 5) == b""


HANGING = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from tests.gateway.test_sharing import Worker

async def main() -> None:
    await Worker(b"h", Path(sys.argv[1])).listen(int(sys.argv[2]))
    print("here", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@contextmanager
def hanging(directory: Path, port: int) -> Iterator[None]:
    """A worker in a process of its own, stopped in the middle of everything; it does not accept any more."""
    command = [sys.executable, "-c", HANGING, str(directory), str(port), str(ROOT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"here\n"
            os.kill(process.pid, signal.SIGSTOP)
            yield
        finally:
            process.kill()


async def test_a_worker_that_hangs_is_not_handed_everything(tmp_path: Path) -> None:
    async with workers(tmp_path, 1, listening=1) as (port, made):
        with socket.socket() as elsewhere:  # its own listener is another one: only what is handed over reaches it
            elsewhere.bind(("127.0.0.1", 0))
            spare = elsewhere.getsockname()[1]
        with hanging(tmp_path, spare):
            calls = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
            await asyncio.sleep(0.2)
            assert len(made[0].crowd) >= 20
            for _, writer in calls:
                writer.close()


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Nothing more can be opened in this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 8, before[1]))
    taken: list[int] = []
    try:
        with suppress(OSError):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        for each in taken:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_without_a_descriptor_left_callers_are_told_and_let_go() -> None:
    """F08: they waited for a greeting that could not come, and the log grew by a megabyte a second."""
    loop = asyncio.get_running_loop()
    bound = socket.create_server(("127.0.0.1", 0))
    entrance = Entrance(bound, replies.reply(decide(rule("session.crowded"))))
    server = await loop.create_server(lambda: Greeter(), sock=entrance)
    callers = [socket.socket() for _ in range(4)]
    for caller in callers:
        caller.setblocking(False)
    with capture_logs() as said:
        with no_descriptor_left():
            for caller in callers[:3]:
                await loop.sock_connect(caller, server.sockets[0].getsockname())
                assert (await loop.sock_recv(caller, 1000)).startswith(b"421-4.3.2 ")
                assert await loop.sock_recv(caller, 10) == b""
        await loop.sock_connect(callers[3], server.sockets[0].getsockname())
        assert await loop.sock_recv(callers[3], 10) == b"hello"
    assert [line["event"] for line in said] == ["callers_turned_away"]
    for caller in callers:
        caller.close()
    server.close()
    await server.wait_closed()


async def test_where_nobody_can_be_turned_away_the_door_rests_instead_of_turning() -> None:
    bound = socket.create_server(("127.0.0.1", 0))
    entrance = Entrance(bound)
    with socket.create_connection(entrance.getsockname()), no_descriptor_left():
        os.close(entrance._spare)
        stolen, entrance._spare = os.dup(0), -1  # by another thread, say
        with pytest.raises(OSError, match="Too many open files"):  # asyncio pauses the door for a second
            entrance.accept()
        for _ in range(3):
            with pytest.raises(BlockingIOError):
                entrance.accept()
        os.close(stolen)
    entrance.close()


class Greeter(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        transport.write(b"hello")
        transport.close()


def test_a_service_takes_all_the_descriptors_it_may_have() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 8, before[1]))
    try:
        take_descriptors()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
