"""The queue under a backlog: 100 000 recipients to 200 destinations, 5 of them dead (reliability figures 2 and 3, F10, F32).

    python bench/queue_backlog.py [--rows 100000] [--postgres]

Partners are real TLS servers on loopback in a process of their own; two of the dead destinations refuse the connection,
three accept it and say nothing. Figures, one line of JSON at the end:
    idle_ms      median and 95th percentile from commit to the partner's 250, empty queue
    waiting_ms   the same while the backlog of the dead destinations waits
    ratio        the second to the first: median over rounds in which one courier sleeps (SIGSTOP) while the other is
                 measured, turn and turn about, so that a machine with other things to do slows both alike
    enqueue_s    writing the backlog
    start_s      a new courier process: from start to ready
    resume_s     from start to the first message handed over, with the whole backlog waiting
    draining_ms  as idle_ms, while the backlog of the living destinations leaves at full speed
    drain_per_s  messages per second of that backlog
    serve        the whole service after a kill -9 in the middle of it (bench/queue_restart.py): see there
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import secrets
import signal
import socket
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import structlog

from bench.queue_restart import restart
from gateway.record.journal import read
from gateway.relay import queue
from gateway.relay.courier import Courier, Settings
from gateway.relay.guard import TrustGuard
from gateway.relay.partners import Partners
from gateway.relay.queue import Queued
from gateway.smtp import tls
from gateway.smtp.chain import PathReader, read_certificates
from gateway.smtp.outbound import Patience
from gateway.smtp.resolver import FixedNames, Routed, Target
from mailboxes import body_rows
from policies.events import Kind
from policies.retry import Schedule
from policies.trust import TrustSettings, trust_list
from policies.values import DsnRequest
from tests import postgres
from tests.gateway.relay.courier_process import RealTime
from tests.gateway.relay.house import HOUSE, Intake, open_house
from tests.gateway.relay.peer import Peer
from tests.gateway.relay.space import HOST, Revocations, Space

CONTENT = b"From: <a@op-a.mssante.test>\r\nSubject: x\r\n\r\n" + (b"x" * 76 + b"\r\n") * 25


def domains(count: int, dead: int) -> tuple[list[str], list[str]]:
    names = [f"d{number:03d}.mssante.test" for number in range(count)]
    return names[dead:], names[:dead]


def serve(folder: str, ports: multiprocessing.Queue, done: multiprocessing.Queue) -> None:
    """The living partners: one server for all of them, in a process of its own."""

    async def main() -> None:
        facts = json.loads((Path(folder) / "facts.json").read_text())
        card = tls.Identity(Path(facts["server"]), Path(facts["server_key"]))
        context = tls.server_context([card], ask_certificate=True, anchors=[Path(facts["ca"])])

        class Counting(Peer):
            async def _data(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
                await self._say(writer, b"354 go\r\n")
                message = await reader.readuntil(b"\r\n.\r\n")
                if message.startswith(b"X-Probe: "):
                    done.put((message.partition(b"\r\n")[0][9:].decode(), time.time()))
                else:
                    self.plain += 1
                    if self.plain in (1, 1000) or self.plain % 5000 == 0:
                        done.put((self.plain, time.time()))
                return await self._say(writer, b"250 2.0.0 ok\r\n")

        peer = Counting(context)
        peer.plain = 0
        server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, limit=2**20, backlog=1000)
        ports.put(server.sockets[0].getsockname()[1])
        await asyncio.sleep(10**6)

    asyncio.run(main())


def carry(
    url: str,
    folder: str,
    port: int,
    mute: int,
    names: tuple[list[str], list[str]],
    ready: multiprocessing.Queue,
    orders: multiprocessing.Queue,
) -> None:
    """One courier process."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    facts = json.loads((Path(folder) / "facts.json").read_text())
    living, dead = names

    async def main() -> None:
        clock = RealTime()
        house = open_house(url, clock)
        context = tls.client_context(tls.Identity(Path(facts["certificate"]), Path(facts["key"])))
        reader = PathReader(read_certificates(Path(facts["ca"])), (), Revocations())
        listed = trust_list(
            [(domain, facts["subject"]) for domain in living + dead], datetime.now(UTC), datetime.now(UTC)
        )
        guard = TrustGuard(lambda: listed, TrustSettings, lambda: context, lambda: reader, lambda: datetime.now(UTC))
        routes = {domain: Target(HOST, ("127.0.0.1",), port) for domain in living}
        routes |= {domain: Target(HOST, ("127.0.0.1",), 1 if at < 2 else mute) for at, domain in enumerate(dead)}
        resolver = Routed(FixedNames(), routes, (), time.monotonic, lambda hosts: None)
        partners = Partners(resolver, guard, "mail.op-a.mssante.test", time.monotonic, Patience(greeting=10))
        courier = Courier(
            f"bench-{secrets.token_hex(4)}",
            house.committer,
            house.reading,
            house.bodies,
            partners,
            Intake(),
            HOUSE,
            clock,
            secrets.SystemRandom().random,
            lambda: secrets.token_hex(16),
            Settings(),
        )
        received, sending = ready_pair(house, courier)
        ready.put("ready")
        runner = asyncio.create_task(courier.run())
        await probes(received, sending, ready)
        await courier.stop(1)
        await runner

    def ready_pair(house, courier):
        async def send(mark: str, domain: str) -> float:
            content = f"X-Probe: {mark}\r\n".encode() + CONTENT
            sealed = await house.sealer.seal(content, b"")
            row = Queued(
                mark,
                sealed.body_id,
                house.sealer.wrap(sealed, 0),
                sealed.size,
                "a@op-a.mssante.test",
                f"u@{domain}",
                domain,
                DsnRequest(frozenset({"NEVER"})),
            )

            def accept(unit):
                house.store.put_body(unit, [sealed])
                body_rows.hold(unit.cursor, [sealed.body_id])
                queue.enqueue(unit, [row], Schedule())
                unit.after_commit(courier.wake)

            await house.committer.run(accept)
            return time.time()

        return house, send

    async def probes(house, send, ready) -> None:
        """Obey: (marks, pause) on standard orders; None ends."""
        loop = asyncio.get_running_loop()
        while (order := await loop.run_in_executor(None, orders.get)) is not None:
            for number in range(order[1]):
                mark = f"{order[0]}{number}"
                at = await send(mark, living[(number * 37) % len(living)])
                ready.put((mark, at))
                await asyncio.sleep(order[2])

    asyncio.run(main())


class Running:
    """A courier in a process of its own."""

    def __init__(
        self, context, url: str, folder: str, port: int, mute: int, names: tuple[list[str], list[str]]
    ) -> None:
        self.ready, self.orders = context.Queue(), context.Queue()
        arguments = (url, folder, port, mute, names, self.ready, self.orders)
        self.process = context.Process(target=carry, args=arguments, daemon=True)
        self.process.start()
        assert self.ready.get(timeout=60) == "ready"

    def pause(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        self.process.kill()
        self.process.join()


def latencies(
    courier: Running, name: str, count: int, pause: float, done: multiprocessing.Queue, seen: list
) -> list[float]:
    """Have it send ``count`` probes and match commit with arrival; milliseconds, sorted."""
    courier.orders.put((name, count, pause))
    begun = dict(courier.ready.get(timeout=120) for _ in range(count))
    ended: dict[str, float] = {}
    limit = time.time() + 300
    while len(ended) < count and time.time() < limit:
        what, at = done.get(timeout=300)
        if isinstance(what, str):
            if what.startswith(name):
                ended[what] = at
        else:
            seen.append((what, at))
    return sorted((ended[mark] - begun[mark]) * 1000 for mark in ended)


def side_by_side(
    idle: Running, loaded: Running, rounds: int, count: int, done: multiprocessing.Queue
) -> dict[str, object]:
    """Rounds of probes to one courier while the other sleeps."""
    values: dict[str, list[float]] = {"idle": [], "waiting": []}
    ratios = []
    for number in range(rounds):
        medians = {}
        pairs = [("idle", idle, loaded), ("waiting", loaded, idle)]
        for name, mine, other in pairs if number % 2 == 0 else reversed(pairs):
            other.pause()
            mine.go_on()
            latencies(mine, f"warm{name}{number}-", 5, 0.02, done, [])
            found = latencies(mine, f"{name}{number}-", count, 0.03, done, [])
            values[name] += found
            medians[name] = statistics.median(found)
        ratios.append(medians["waiting"] / medians["idle"])
    for each in (idle, loaded):
        each.go_on()
    told = {f"{name}_ms": figures(sorted(found)) for name, found in values.items()}
    ordered = sorted(ratios)
    spread = [round(ordered[len(ordered) // 4], 2), round(ordered[-1 - len(ordered) // 4], 2)]
    return {**told, "ratio": round(statistics.median(ratios), 2), "ratio_quartiles": spread}


def figures(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 1),
        "p95": round(values[int(len(values) * 0.95)], 1),
        "n": len(values),
    }


async def fill(url: str, rows: int, names: list[str], message: str) -> None:
    """One body, many recipients: the rows are what is measured, in transactions of 5 000."""
    house = open_house(url, RealTime())
    sealed = await house.sealer.seal(CONTENT, b"")
    wrapped = house.sealer.wrap(sealed, 0)
    for start in range(0, rows, 5000):
        part = [
            Queued(
                f"{message}{start + at}",
                sealed.body_id,
                wrapped,
                sealed.size,
                "a@op-a.mssante.test",
                f"u{start + at}@{domain}",
                domain,
                DsnRequest(frozenset({"NEVER"})),
            )
            for at in range(min(5000, rows - start))
            for domain in [names[(start + at) % len(names)]]
        ]

        def accept(unit, part=part, first=start == 0):
            if first:
                house.store.put_body(unit, [sealed])
            body_rows.hold(unit.cursor, [sealed.body_id] * len(part))
            queue.enqueue(unit, part, Schedule())

        await house.committer.run(accept)
    await house.committer.close()
    await house.reading.close()


def deferrals(url: str) -> dict[str, int]:
    """Why anything waited, from the journal: only the dead destinations should."""
    house = open_house(url, RealTime())
    found: dict[str, int] = {}
    for record in house.reading.run_sync(lambda connection: read(connection, kind=Kind.DEFERRED)):
        rule = str(record.detail["rule"])
        found[rule] = found.get(rule, 0) + 1
    house.committer.close_sync()
    house.reading.close_sync()
    return found


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--rows", type=int, default=100_000)
    asked.add_argument("--destinations", type=int, default=200)
    asked.add_argument("--dead", type=int, default=5)
    asked.add_argument("--postgres", action="store_true", help="on a PostgreSQL server of its own")
    asked.add_argument("--rounds", type=int, default=12)
    asked.add_argument("--probes", type=int, default=25, help="per round")
    asked.add_argument("--only", choices=("latency", "drain", "serve"), help="one part of it")
    options = asked.parse_args()
    with postgres.running() if options.postgres else contextlib.nullcontext() as server:
        print(json.dumps(measure(options, server)))


def measure(options: argparse.Namespace, databases: postgres.Server | None) -> dict[str, object]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    folder = tempfile.mkdtemp(prefix="queue-bench-")
    urls = [databases.url() if databases else f"sqlite:///{folder}/{name}.db" for name in ("idle", "loaded")]
    space = Space.build(Path(folder) / "pki")
    ours, theirs = space.pki.operators["op-a"], space.pki.operators["op-b"]
    facts = {
        "certificate": str(ours.client.certificate),
        "key": str(ours.client.key),
        "ca": str(space.pki.ca),
        "server": str(theirs.server_curve.certificate),
        "server_key": str(theirs.server_curve.key),
        "subject": theirs.subject,
    }
    (Path(folder) / "facts.json").write_text(json.dumps(facts))
    mute = socket.create_server(("127.0.0.1", 0), backlog=200)
    context = multiprocessing.get_context("fork")
    ports, done = context.Queue(), context.Queue()
    server = context.Process(target=serve, args=(folder, ports, done), daemon=True)
    server.start()
    port, names = ports.get(timeout=30), domains(options.destinations, options.dead)
    living, dead = names
    database = urls[0].split(":")[0]
    result: dict[str, object] = {"rows": options.rows, "database": database, "cores": os.cpu_count()}

    def start(url: str) -> Running:
        return Running(context, url, folder, port, mute.getsockname()[1], names)

    if options.only in (None, "latency", "drain"):
        # the dead destinations' backlog waits: half of all rows
        began = time.time()
        asyncio.run(fill(urls[1], options.rows // 2, dead, "D"))
        result["enqueue_s"] = round(time.time() - began, 1)
    if options.only in (None, "latency"):
        idle, loaded = start(urls[0]), start(urls[1])
        for each in (idle, loaded):
            latencies(each, f"first{id(each)}-", 30, 0.01, done, [])
        time.sleep(12)  # the dead are found out
        result |= side_by_side(idle, loaded, options.rounds, options.probes, done)
        for each in (idle, loaded):
            each.stop()
    if options.only in (None, "drain"):
        # everything at once: restart with the whole backlog
        asyncio.run(fill(urls[1], options.rows - options.rows // 2, living, "L"))
        began = time.time()
        courier = start(urls[1])
        result["start_s"] = round(time.time() - began, 2)
        seen: list[tuple[int, float]] = []
        what, at = done.get(timeout=120)
        seen.append((what, at))
        result["resume_s"] = round(at - began, 2)
        result["draining_ms"] = figures(latencies(courier, "draining", 50, 0.1, done, seen))
        limit = time.time() + 900
        while seen[-1][0] < options.rows // 2 * 0.9 and time.time() < limit:
            found = done.get(timeout=300)
            if not isinstance(found[0], str):
                seen.append(found)
        result["drain_per_s"] = round((seen[-1][0] - seen[0][0]) / (seen[-1][1] - seen[0][1]))
        courier.stop()
        result["deferred"] = deferrals(urls[1])
    server.kill()
    if options.only in (None, "serve"):
        result["serve"] = restart(options.rows, options.destinations, options.dead, databases)
    return result


if __name__ == "__main__":
    main()
