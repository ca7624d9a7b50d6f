"""Several workers for one operator: they share the doors, hear of each other at once, and none outlives its supervisor."""

from __future__ import annotations

import imaplib
import os
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.supervisor import SUPERVISOR, ourselves
from tests.fault.operator import build
from tests.space.living import Living, children, living, until
from tests.space.running import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.fault]

MESSAGE = "From: <{0}>\r\nTo: <{0}>\r\nSubject: ouvriers\r\nMessage-ID: <{1}@op-a.mssante.test>\r\n\r\nBonjour\r\n"


@pytest.fixture(scope="module")
def alive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    with living(tmp_path_factory.mktemp("workers"), {("service", "workers"): 2}) as made:
        yield made


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def submit(alive: Living, number: int) -> None:
    box = alive.a.mailboxes[0]
    with smtplib.SMTP_SSL("127.0.0.1", alive.a.ports["submissions"], context=alive.trust(), timeout=30) as smtp:
        smtp.login(box["login"], box["device_password"])
        smtp.sendmail(box["address"], [box["address"]], MESSAGE.format(box["address"], number))


def test_sessions_are_shared_evenly_and_each_is_served(alive: Living) -> None:
    """The kernel draws lots; workers hand sessions over until each has as many."""
    process = alive.a.process
    assert process is not None
    context = alive.trust()
    for door in ("submissions", "imaps", "submission", "imap"):
        port, calls = alive.a.ports[door], []
        for _ in range(16):
            call = socket.create_connection(("127.0.0.1", port), timeout=20)
            if door.endswith("s"):
                call = context.wrap_socket(call, server_hostname="localhost")
            assert call.recv(4) in (b"220 ", b"* OK")
            calls.append(call)
        shares = [at_door(pid, port) for pid in children(process.pid)]
        assert sum(shares) == 16
        assert max(shares) - min(shares) <= 2, (door, shares)
        for call in calls:
            call.close()


def at_door(pid: int, port: int) -> int:
    """Connections a process has at a listening port of its own."""
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text(encoding="utf-8").split("\n")[1:] if line]
    inodes = {row[9] for row in rows if row[3] == "01" and int(row[1].rpartition(":")[2], 16) == port}
    held = (os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd"))
    return sum(link.removeprefix("socket:[").removesuffix("]") in inodes for link in held)


def test_whatever_worker_takes_a_message_every_worker_announces_it(alive: Living) -> None:
    box = alive.a.mailboxes[0]
    sessions = []
    for _ in range(8):
        imap = imaplib.IMAP4_SSL("127.0.0.1", alive.a.ports["imaps"], ssl_context=alive.trust(), timeout=30)
        imap.login(box["login"], box["device_password"])
        sessions.append((imap, int(imap.select("INBOX")[1][0] or 0)))
        imap.send(b"I1 IDLE\r\n")
        assert imap.readline().startswith(b"+")
    for number in range(4):
        submit(alive, number)
    for imap, before in sessions:
        lines = b""
        while b"* %d EXISTS" % (before + 4) not in lines:
            lines += imap.readline()
        imap.shutdown()


def test_a_killed_worker_is_replaced_and_its_work_goes_on(alive: Living) -> None:
    process = alive.a.process
    assert process is not None
    before = children(process.pid)
    os.kill(before[0], signal.SIGKILL)
    until(lambda: len(children(process.pid)) == 2 and before[0] not in children(process.pid), what="replaced")
    deadline = time.monotonic() + 30
    for number in range(10):
        while True:
            try:
                submit(alive, number)
                break
            except OSError:  # the door of the dead may have been tried
                assert time.monotonic() < deadline


def test_a_killed_supervisor_leaves_no_worker_and_the_service_starts_again(alive: Living) -> None:
    process = alive.a.process
    assert process is not None
    workers = children(process.pid)
    assert len(workers) == 2
    submit(alive, 1)
    process.kill()
    process.wait(10)
    until(lambda: not any(running(pid) for pid in workers), what="workers gone")
    alive.space.stop()
    alive.space.start()
    submit(alive, 2)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_reload_asked_while_it_starts_ends_nothing_and_is_done(alive: Living, workers: int) -> None:
    """A hook that renews certificates may come at any time, and systemd takes an end by SIGHUP for a clean one."""
    alive.space.stop()
    before = len(alive.events(alive.a, "service.reloaded"))
    command = [sys.executable, "-m", "gateway.cli", "--config", str(alive.a.config), "serve", "--workers", str(workers)]
    with alive.a.log.open("ab") as log, subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log) as process:
        try:
            until(lambda: hears(process.pid, signal.SIGHUP), what="the signal is expected")
            with socket.socket() as call:  # long before it serves
                assert call.connect_ex(("127.0.0.1", alive.a.ports["imap"])) != 0
            process.send_signal(signal.SIGHUP)
            if workers > 1:
                first = until(lambda: children(process.pid), what="workers start")
                process.send_signal(signal.SIGHUP)
            until(lambda: len(alive.events(alive.a, "service.reloaded")) >= before + workers, what="reloaded")
            assert process.poll() is None
            assert workers == 1 or set(first) <= set(children(process.pid))
        finally:
            process.terminate()
    assert process.returncode == 0


def hears(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler of its own for a signal."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").split("\n")
    (caught,) = (int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
    return bool(caught >> (number - 1) & 1)


def test_a_worker_gives_signs_of_life(tmp_path: Path) -> None:
    """By them its supervisor knows one that hangs."""
    config = build(tmp_path).sites[0].config
    command = [*ourselves(), "--config", str(config), "serve", "--workers", "2", "--worker", "0"]
    environment = {**os.environ, SUPERVISOR: str(os.getpid())}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, env=environment
    ) as worker:
        try:
            assert worker.stdout is not None
            assert worker.stdout.readline().startswith(b'{"ready"')
            assert worker.stdout.readline().startswith(b'{"alive"')
        finally:
            worker.kill()
