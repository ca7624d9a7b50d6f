"""Couriers as real processes on one queue, killed and stopped (F18, F19, F28); SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.relay import queue
from tests.gateway.relay.house import House, close_house, open_house
from tests.gateway.relay.peer import Peer, serving
from tests.gateway.relay.space import DOMAIN, Space
from tests.waiting import until

pytestmark = [pytest.mark.fault, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Gated(Peer):
    """Withholds the answer to DATA from the couriers named in ``held`` until they are let go."""

    held: dict[bytes, asyncio.Event] = field(default_factory=dict)
    waiting: Counter[bytes] = field(default_factory=Counter)
    names: dict[int, bytes] = field(default_factory=dict)
    done_by: list[bytes] = field(default_factory=list)

    def _answer(self, verb: bytes, line: bytes, secure: bool) -> bytes:
        if verb == b"EHLO":
            self.names[id(asyncio.current_task())] = line[5:].strip()
        return super()._answer(verb, line, secure)

    async def _data(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        name = self.names[id(asyncio.current_task())]
        if name in self.held:
            self.waiting[name] += 1
            await self.held[name].wait()
        done = await super()._data(reader, writer)
        self.done_by.append(name)
        return done


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Space:
    made = Space.build(tmp_path_factory.mktemp("pki"))
    held, other = made.pki.operators["op-a"], made.pki.operators["op-b"]
    facts = {
        "certificate": str(held.client.certificate),
        "key": str(held.client.key),
        "ca": str(made.pki.ca),
        "subject": other.subject,
    }
    (made.pki.directory / "facts.json").write_text(json.dumps(facts))
    return made


@asynccontextmanager
async def courier(
    url: str, peer: Peer, space: Space, name: str, lease: float = 2.0, environment: dict[str, str] | None = None
) -> AsyncIterator[int]:
    """A courier process; yields its process id, ends it at the end."""
    words = [
        "-m",
        "tests.gateway.relay.courier_process",
        url,
        str(peer.port),
        str(space.pki.directory),
        name,
        str(lease),
    ]
    process = subprocess.Popen(
        [sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, **(environment or {})}
    )
    assert process.stdout is not None
    try:
        assert await asyncio.to_thread(process.stdout.readline) == b"ready\n"
        said = asyncio.create_task(asyncio.to_thread(process.stdout.read))  # a full pipe would stop it
        yield process.pid
        process.send_signal(signal.SIGCONT)
        process.kill()
        assert b"parcel_not_settled" not in await said
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        await asyncio.to_thread(process.wait)
        process.stdout.close()


def writes(pid: int) -> bool:
    """Whether the process holds a lock by which others wait to write to an SQLite file."""
    rows = (row.split() for row in Path("/proc/locks").read_text("ascii").splitlines())
    return any(row[1:4] == ["POSIX", "ADVISORY", "WRITE"] and row[4] == str(pid) for row in rows)


async def stop_outside_writes(pid: int) -> None:
    """SIGSTOP, again if it came in the middle of a transaction (a lease made longer): on SQLite nobody could write then.

    After ten seconds the others said so ("database is locked"), which is not what is looked at here.
    """
    while True:
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] == "T", 10)
        if not writes(pid):
            return
        os.kill(pid, signal.SIGCONT)
        await asyncio.sleep(0.01)


@pytest.fixture
async def store(url: str) -> AsyncIterator[House]:
    class Wall:
        def wall(self) -> float:
            import time

            return time.time()

    made = open_house(url, Wall())  # type: ignore[arg-type]
    yield made
    await close_house(made)


def body(number: int) -> bytes:
    return f"Message-ID: <n{number}@op-a.test>\r\n\r\nmessage {number}\r\n".encode()


async def empty(store: House) -> bool:
    return await store.reading.run(queue.total) == 0


async def test_a_courier_killed_in_the_middle_loses_nothing_and_doubles_nothing(
    url: str, store: House, space: Space
) -> None:
    """F18: the killed courier had leased and begun to say everything; the other says each message once."""
    async with serving(Gated(space.server())) as peer:
        assert isinstance(peer, Gated)
        peer.held[b"first"] = asyncio.Event()
        for number in range(12):
            await store.send((f"bob@{DOMAIN}",), content=body(number))
        async with courier(url, peer, space, "first") as pid:
            await until(lambda: peer.waiting[b"first"] >= 3, 30)
            os.kill(pid, signal.SIGKILL)
            async with courier(url, peer, space, "second"):
                await until(lambda: empty(store), 40)
    got = Counter(message.partition(b"\r\n")[0] for message in peer.messages)
    assert got == Counter({body(number).partition(b"\r\n")[0]: 1 for number in range(12)})


async def test_a_courier_stopped_past_its_lease_completes_nothing(url: str, store: House, space: Space) -> None:
    """F19: stopped before the content, continued after another delivered; the final dot is never said twice."""
    async with serving(Gated(space.server())) as peer:
        assert isinstance(peer, Gated)
        peer.held[b"sleeper"] = asyncio.Event()
        message = await store.send((f"bob@{DOMAIN}",), content=body(1))
        async with courier(url, peer, space, "sleeper") as pid:
            await until(lambda: peer.waiting[b"sleeper"] == 1, 30)
            await stop_outside_writes(pid)
            async with courier(url, peer, space, "second"):
                await until(lambda: empty(store), 30)
                os.kill(pid, signal.SIGCONT)
                peer.held[b"sleeper"].set()
                await asyncio.sleep(1.5)
    assert len(peer.messages) == 1
    assert (await store.words(message)).count("message.handed_over") == 1
    assert await store.bodies_left() == 0


async def test_killed_again_and_again_everything_arrives_with_few_doubles(url: str, store: House, space: Space) -> None:
    """F28: a duplicate for what was being said when the kill came, loss never."""
    total, doubles_allowed = 60, 0
    async with serving(Gated(space.server())) as peer:
        for number in range(total):
            await store.send((f"bob@{DOMAIN}",), content=body(number))
        for turn in range(3):
            before = len(peer.messages)
            async with courier(url, peer, space, f"turn{turn}", 1.0) as pid:
                await until(lambda before=before: len(peer.messages) > before + 5, 30)
                os.kill(pid, signal.SIGKILL)
            doubles_allowed += 20
        async with courier(url, peer, space, "last", 1.0):
            await until(lambda: empty(store), 40)
    got = Counter(message.partition(b"\r\n")[0] for message in peer.messages)
    assert len(got) == total
    assert sum(got.values()) - total <= doubles_allowed


@pytest.mark.parametrize("jump", ["+6d", "-30m"])
async def test_a_real_clock_that_jumps_bounces_nobody(
    url: str, store: House, space: Space, tmp_path: Path, jump: str
) -> None:
    """F16, with libfaketime: six days ahead, or half an hour back, in the middle of retries: the queue goes on as if nothing were."""
    library = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
    if not library.exists():
        pytest.skip("libfaketime is not installed")
    offset = tmp_path / "offset"
    offset.write_text("+0\n")
    environment = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    async with serving(Gated(space.server(), mail=b"451 4.3.2 not now\r\n")) as peer:
        messages = [await store.send((f"bob@{DOMAIN}",), content=body(number)) for number in range(5)]
        async with courier(url, peer, space, "jumper", 30.0, environment):
            await until(lambda: sum(line.startswith(b"MAIL") for line in peer.commands) >= 8, 30)
            ahead = offset.with_name("ahead")
            ahead.write_text(f"{jump}\n")
            ahead.replace(offset)  # libfaketime reads it at every call, and must never find it empty

            async def noticed() -> bool:
                return any(record.kind == "service.clock_jump" for record in await store.journal())

            await until(noticed, 20)
            before = len(peer.commands)
            await until(lambda: len(peer.commands) > before + 10, 20)
            peer.mail = b"250 ok\r\n"
            await until(lambda: empty(store), 20)
    for message in messages:
        words = await store.words(message)
        assert "message.expired" not in words
        assert words.count("message.handed_over") == 1
    assert len(peer.messages) == 5


async def test_no_notice_is_lost_however_often_the_courier_is_killed(
    url: str, store: House, space: Space, tmp_path: Path
) -> None:
    """The failure and the notice it owes are one commit: at most one double for each kill, never a gap."""
    ledger, kills = tmp_path / "notices", 6
    async with serving(Gated(space.server(), mail=b"550 5.1.1 nobody\r\n")) as peer:
        messages = [await store.send((f"bob@{DOMAIN}",), content=body(number)) for number in range(40)]
        for turn in range(kills):
            async with courier(url, peer, space, f"turn{turn}", 1.0, {"NOTICES": str(ledger)}) as pid:
                await asyncio.sleep(0.1 + 0.13 * turn)
                os.kill(pid, signal.SIGKILL)
        async with courier(url, peer, space, "last", 1.0, {"NOTICES": str(ledger)}):

            async def all_told() -> bool:
                return await empty(store) and await store.bodies_left() == 0

            await until(all_told, 60)
    told: Counter[str] = Counter()
    for line in ledger.read_text().splitlines():
        recipient, content = json.loads(line)
        assert recipient == "alice@op-a.mssante.test"
        told.update(message for message in messages if message in content)
    assert set(told) == set(messages)
    assert sum(told.values()) - len(messages) <= kills
    for message in messages:
        assert (await store.words(message)).count("message.failed") == 1
