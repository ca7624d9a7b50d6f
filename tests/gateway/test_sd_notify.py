"""What systemd is told, by the real command over a real datagram socket: ready, reloading, alive, stopping (sd_notify(3))."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.admin.space import Space
from gateway.sd_notify import Systemd
from tests.fault.operator import build
from tests.space.running import ROOT

PATIENCE = 40.0
WATCHDOG = 1.2


class Manager:
    """The end of the socket where systemd reads."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self.socket.settimeout(PATIENCE)

    def read(self) -> tuple[str, int]:
        """One message and the process it came from."""
        said, more, _, _ = self.socket.recvmsg(4096, 256)
        (pid, _, _) = struct.unpack("3i", more[0][2])
        return said.decode("ascii"), pid

    def states(self, process: int, *, beats: bool = False) -> Iterator[str]:
        """What ``process`` tells; nobody else may tell anything."""
        while True:
            said, pid = self.read()
            assert pid == process
            if beats or said != "WATCHDOG=1":
                yield said


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify") if request.param == "path" else f"@caducee-{os.getpid()}-notify")
    yield made
    made.socket.close()


@pytest.fixture(scope="module")
def operators(tmp_path_factory: pytest.TempPathFactory) -> Space:
    return build(tmp_path_factory.mktemp("notify"))


@contextmanager
def serving(space: Space, manager: Manager, workers: int) -> Iterator[subprocess.Popen[bytes]]:
    site = space.sites[0]
    environment = {**os.environ, "NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": str(int(WATCHDOG * 1e6))}
    command = [sys.executable, "-m", "gateway.cli", "--config", str(site.config), "serve", "--workers", str(workers)]
    with site.log.open("ab") as log:
        process = subprocess.Popen(
            [*command, "--leash", "0"], cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(PATIENCE)


def answers(space: Space) -> bool:
    with socket.create_connection(("127.0.0.1", space.sites[0].ports["imap"]), 5) as call:
        call.settimeout(PATIENCE)
        return call.recv(100).startswith(b"* OK")


@pytest.mark.parametrize("workers", [1, 2])
def test_each_step_is_told_when_it_is_done(operators: Space, manager: Manager, workers: int) -> None:
    with serving(operators, manager, workers) as process:
        told = manager.states(process.pid)
        assert next(told) == "READY=1"
        assert answers(operators)
        began = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        process.send_signal(signal.SIGHUP)
        begun = dict(line.split("=") for line in next(told).split("\n"))
        assert begun["RELOADING"] == "1"
        assert began <= int(begun["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert next(told) == "READY=1"
        process.terminate()
        assert next(told) == "STOPPING=1"
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_it_is_alive_for_as_long_as_it_serves(operators: Space, manager: Manager, workers: int) -> None:
    with serving(operators, manager, workers) as process:
        told = manager.states(process.pid, beats=True)
        assert next(told) == "READY=1"
        began = time.monotonic()
        assert [next(told) for _ in range(4)] == ["WATCHDOG=1"] * 4
        assert 0.8 * WATCHDOG < time.monotonic() - began < PATIENCE
        process.send_signal(signal.SIGSTOP)
        time.sleep(2 * WATCHDOG)
        manager.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            deque(iter(manager.read, None), 0)  # what was on its way, and then nothing more
        process.send_signal(signal.SIGCONT)
        manager.socket.settimeout(PATIENCE)
        assert next(told) == "WATCHDOG=1"


def test_a_faulty_configuration_ends_the_reload_too(operators: Space, manager: Manager) -> None:
    config = operators.sites[0].config
    good = config.read_text("utf-8")
    with serving(operators, manager, 1) as process:
        told = manager.states(process.pid)
        assert next(told) == "READY=1"
        try:
            config.write_text(good + "\n[nothing]\n", "utf-8")
            process.send_signal(signal.SIGHUP)
            assert next(told).startswith("RELOADING=1")
            assert next(told) == "READY=1"
        finally:
            config.write_text(good, "utf-8")


async def test_no_worker_left_is_silence(manager: Manager) -> None:
    left = [1, 1]
    systemd = Systemd({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "30000"})
    systemd.beat(lambda: bool(left and left.pop()))
    await asyncio.sleep(0.2)
    assert [manager.read()[0] for _ in range(2)] == ["WATCHDOG=1"] * 2
    manager.socket.settimeout(0)
    with pytest.raises(BlockingIOError):
        manager.read()


async def test_a_manager_that_does_not_read_hears_all_in_order_later(manager: Manager) -> None:
    systemd = Systemd({"NOTIFY_SOCKET": manager.address})
    pairs = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text("ascii")) // 2 + 10
    for _ in range(pairs):
        systemd.reloading()
        systemd.ready()
    heard: list[str] = []

    def read() -> bool:
        manager.socket.settimeout(0)
        try:
            while True:
                heard.append(manager.read()[0].partition("\n")[0])
        except BlockingIOError:
            return len(heard) == 2 * pairs

    assert not read(), "the socket held everything: this shows nothing"
    await asyncio.wait_for(_until(read), PATIENCE)
    assert heard == ["RELOADING=1", "READY=1"] * pairs


async def _until(question: Callable[[], bool]) -> None:
    while not question():
        await asyncio.sleep(0.02)


async def test_without_a_manager_nothing_is_told_and_the_environment_is_clean() -> None:
    for_another = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1", "PATH": "/bin"}
    systemd = Systemd(for_another)
    assert for_another == {"PATH": "/bin"}
    assert systemd.watchdog == 0
    for one in (systemd, Systemd({})):
        one.ready()
        one.reloading()
        one.beat()
        one.stopping()
