"""The whole service after a kill -9 with a full queue (reliability figure 2, F10): when it answers, when mail leaves again.

    python bench/queue_backlog.py --only serve [--rows 100000] [--postgres]

``caducee serve`` as it ships (doors, IMAP, courier, journal, trust), with 100 000 rows to 200 destinations of which 5 are dead,
killed while it carries them and started again, three times; the partners are one TLS server on loopback.
    banner_s     from the start of the process to the first 220 at the inbound door
    resume_s     from the start of the process to the first message a partner takes
    connections  most connections any moment at the partners' server, which stands for 195 of them
    left         rows still waiting after the last round
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import socket
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from directory.trustlist import Row
from gateway.admin import authority
from gateway.compose import storage
from gateway.config import load
from gateway.relay import queue
from gateway.relay.queue import Queued
from gateway.smtp import tls
from mailboxes import body_rows
from policies.retry import Schedule
from policies.values import DsnRequest
from tests import postgres
from tests.fault.operator import Killable, build
from tests.gateway.relay.peer import Peer

CONTENT = b"From: <a@op-a.mssante.test>\r\nSubject: x\r\n\r\n" + (b"x" * 76 + b"\r\n") * 25
ROUNDS = 3
CARRYING = 5.0
"""Seconds the service carries before it is killed again."""


class Partners(Peer):
    """Everybody's server: tells when it takes a message, and how many connections it ever had at once."""

    def __init__(self, context: Any, taken: multiprocessing.Queue, most: Any) -> None:
        super().__init__(context)
        self._taken, self._most, self._now = taken, most, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._now += 1
        self._most.value = max(self._most.value, self._now)
        try:
            await super().serve(reader, writer)
        finally:
            self._now -= 1

    async def _data(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        await self._say(writer, b"354 go\r\n")
        await reader.readuntil(b"\r\n.\r\n")
        with contextlib.suppress(Exception):
            self._taken.put_nowait(time.time())
        self.commands.clear()
        return await self._say(writer, b"250 2.0.0 ok\r\n")


def partners(certificate: str, key: str, ca: str, port: Any, taken: multiprocessing.Queue, most: Any) -> None:
    """In a process of its own."""

    async def main() -> None:
        card = tls.Identity(Path(certificate), Path(key))
        context = tls.server_context([card], ask_certificate=True, anchors=[Path(ca)])
        peer = Partners(context, taken, most)
        server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, limit=2**20, backlog=1000)
        port.value = server.sockets[0].getsockname()[1]
        await asyncio.sleep(10**6)

    asyncio.run(main())


def restart(rows: int, destinations: int, dead: int, databases: postgres.Server | None) -> dict[str, Any]:
    """Measure; the figures."""
    folder = Path(tempfile.mkdtemp(prefix="queue-restart-"))
    killable = Killable(build(folder, databases.url().replace("+psycopg", "") if databases else ""))
    pki = killable.space.pki
    assert pki is not None
    context = multiprocessing.get_context("fork")
    port, most, taken = context.Value("i", 0), context.Value("i", 0), context.Queue()
    card = pki.operators["op-b"].server_curve
    where = (str(card.certificate), str(card.key), str(pki.ca), port, taken, most)
    server = context.Process(target=partners, args=where, daemon=True)
    server.start()
    mute = socket.create_server(("127.0.0.1", 0), backlog=200)
    while not port.value:
        time.sleep(0.01)
    names = [f"d{number:03d}.mssante.test" for number in range(destinations)]
    _list(killable, names)
    _routes(killable, names, dead, port.value, mute.getsockname()[1])
    _fill(killable, rows, names)
    banners, resumes = [], []
    try:
        for _ in range(ROUNDS + 1):  # the first start is a warm one: from then on it is killed at work
            banner, resume = _start(killable, taken)
            banners.append(banner)
            resumes.append(resume)
            time.sleep(CARRYING)
            killable.kill()
            _empty(taken)
        left = _left(killable)
    finally:
        with contextlib.suppress(Exception):
            killable.kill()
        server.kill()
    return {
        "banner_s": [round(value, 2) for value in banners[1:]],
        "resume_s": [round(value, 2) for value in resumes[1:]],
        "connections": most.value,
        "left": left,
    }


def _list(killable: Killable, names: list[str]) -> None:
    """Every destination, bound to operator B's certificate, beside the two operators."""
    pki = killable.space.pki
    assert pki is not None
    rows = [Row(cards.operator.domain, cards.subject) for cards in pki.operators.values()]
    rows += [Row(name, pki.operators["op-b"].subject) for name in names]
    signing = authority.signer(pki.signing.certificate, pki.signing.key)
    authority.write(killable.space.list_file, authority.issue(rows, datetime.now(UTC), signing))


def _routes(killable: Killable, names: list[str], dead: int, port: int, mute: int) -> None:
    config = killable.site.config
    text = config.read_text("utf-8").partition("\n[[routes]]\n")
    lines = [text[0]]
    for number, name in enumerate(names):
        where = port if number >= dead else 1 if number < dead // 2 else mute
        lines.append(
            f'[[routes]]\ndomain = "{name}"\nhost = "127.0.0.1"\nport = {where}\nname = "smtp.op-b.mssante.test"\n'
        )
    config.write_text("\n".join(lines), "utf-8")


def _fill(killable: Killable, rows: int, names: list[str]) -> None:
    opened = storage(load(killable.site.config))
    try:
        sealed = asyncio.run(_seal(opened))
        wrapped = opened.sealer.wrap(sealed, 0)
        for start in range(0, rows, 5000):
            part = [
                Queued(
                    f"R{at}",
                    sealed.body_id,
                    wrapped,
                    sealed.size,
                    "a@op-a.mssante.test",
                    f"u{at}@{names[at % len(names)]}",
                    names[at % len(names)],
                    DsnRequest(frozenset({"NEVER"})),
                )
                for at in range(start, min(start + 5000, rows))
            ]

            def accept(unit, part=part, first=start == 0):
                if first:
                    opened.store.put_body(unit, [sealed])
                body_rows.hold(unit.cursor, [sealed.body_id] * len(part))
                queue.enqueue(unit, part, Schedule())

            opened.committer.run_sync(accept)
    finally:
        opened.close_sync()


async def _seal(opened: Any) -> Any:
    return await opened.sealer.seal(CONTENT, b"")


def _start(killable: Killable, taken: multiprocessing.Queue) -> tuple[float, float]:
    """Seconds to the first banner and to the first message taken."""
    import subprocess

    from tests.space.running import ROOT

    command = [sys.executable, "-m", "gateway.cli", "--config", str(killable.site.config), "serve", "--leash", "0"]
    log = killable.site.log.open("ab")
    began = time.time()
    killable.process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=ROOT, start_new_session=True
    )
    banner = _banner(killable.site.ports["inbound"]) - began
    return banner, taken.get(timeout=120) - began


def _banner(port: int) -> float:
    limit = time.time() + 120
    while time.time() < limit:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=60) as raw:
            if raw.recv(4).startswith(b"220"):
                return time.time()
        time.sleep(0.01)
    raise AssertionError("no banner in two minutes")


def _empty(taken: multiprocessing.Queue) -> None:
    time.sleep(0.5)
    while not taken.empty():
        taken.get()


def _left(killable: Killable) -> int:
    opened = storage(load(killable.site.config))
    try:
        return int(opened.reading.run_sync(queue.total))
    finally:
        opened.close_sync()
