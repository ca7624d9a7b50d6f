"""Fifty clients send 25 MiB at once: the process that receives them stays under its budget (issue 2, design 7)."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import ssl
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from gateway.smtp.budget import Budget
from gateway.smtp.limits import Limits
from gateway.smtp.server import serve_inbound
from gateway.smtp.transaction import Answer, Content, Transaction
from mailboxes import heap
from tests.gateway.smtp_twin import ACCEPT, HOSTNAME, MemoryIntake, Pki, doorway, make_pki

MIB = 1024 * 1024
CLIENTS = 50
BUDGET = 64 * MIB
LINE = b"x" * 76 + b"\r\n"
MESSAGE = b"Subject: x\r\n\r\n" + LINE * (25 * MIB // len(LINE)) + b".\r\n"


class Weigher(MemoryIntake):
    """Keeps only the sizes, and takes its time as a disk would."""

    async def message(self, transaction: Transaction, content: Content) -> Answer:
        await asyncio.sleep(0.05)
        return Answer(ACCEPT, str(sum(len(piece) for piece in content)))


def _serve(pki: Pki, sock: socket.socket, ready: Connection) -> None:
    heap.shape()

    async def main() -> None:
        limits = Limits(message_size=30 * MIB, connections_per_ip=CLIENTS)
        await serve_inbound(
            doorway(pki, intake=Weigher(), limits=limits, budget=Budget(BUDGET, patience=250)), sock=sock
        )
        ready.send("ready")
        await asyncio.Event().wait()

    asyncio.run(main())


def _memory(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text("ascii").split("\n"):
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def _send(pki: Pki, port: int, start: threading.Barrier, answers: list[str], declared: bool) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=280) as plain:
        _say(plain, b"", b"220")
        _say(plain, b"EHLO x\r\n", b"250 ")
        _say(plain, b"STARTTLS\r\n", b"220")
        with pki.client_context().wrap_socket(plain, server_hostname=HOSTNAME) as tls:
            _say(tls, b"EHLO x\r\n", b"250 ")
            size = f" SIZE={len(MESSAGE)}" if declared else ""
            start.wait(60)
            _say(tls, f"MAIL FROM:<a@b.test>{size}\r\nRCPT TO:<c@d.test>\r\nDATA\r\n".encode(), b"354")
            tls.sendall(MESSAGE)
            answers.append(_say(tls, b"", b"250 "))


def _say(sock: socket.socket | ssl.SSLSocket, octets: bytes, expected: bytes) -> str:
    sock.sendall(octets)
    said = b""
    while expected not in said:
        more = sock.recv(4096)
        assert more, said
        said += more
    return said.decode()


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("declared", [True, False], ids=["size_declared", "size_unknown"])
def test_fifty_large_messages_at_once_fit_the_budget(tmp_path: Path, declared: bool) -> None:
    pki = make_pki(tmp_path)
    sock = socket.create_server(("127.0.0.1", 0), backlog=128)
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=_serve, args=(pki, sock, theirs), daemon=True)
    child.start()
    try:
        assert ours.recv() == "ready"
        assert child.pid is not None
        before = _memory(child.pid, "VmRSS")
        answers: list[str] = []
        start = threading.Barrier(CLIENTS)
        port = sock.getsockname()[1]
        threads = [threading.Thread(target=_send, args=(pki, port, start, answers, declared)) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        grown = _memory(child.pid, "VmHWM") - before
    finally:
        child.terminate()
        child.join()
        sock.close()
    assert len(answers) == CLIENTS
    assert all(f"{len(MESSAGE) - 3}" in answer for answer in answers)
    print(f"grew by {grown / MIB:.1f} MiB for {CLIENTS * 25} MiB, budget {BUDGET / MIB:.0f} MiB")
    assert grown < BUDGET
