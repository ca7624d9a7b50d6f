"""Our figures beside Postfix + Dovecot, in one run, alternating A B A B (`make bench`).

Counted end to end: from the first byte of the first message until IMAP STATUS shows the last one. Same machine, same
minutes, same load generator, same mutual TLS (one authority, the same certificates on both sides); ours with encryption
at rest, journal and content policies, theirs with durable queue, policy service and milter. ``--open-peers`` asks less of
the peers than of us: their own certificate, and no certificate of the client. ``--sync-ms``: each sync of either side waits that long first,
as on a slower disk (needs cc). Each side keeps its own data under $BENCH_DIR (default .bench/), which the user postfix must
be able to enter.

usage: side_by_side.py [--rounds N] [--quick] [--json FILE] [--only CASE] [--workers N] [--open-peers]
       [--sync-ms MS]
"""

from __future__ import annotations

import argparse
import imaplib
import json
import os
import signal
import ssl
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator import build
from slow_sync import slow_syncs

HERE = Path(__file__).resolve().parent
WORK = Path(os.environ.get("BENCH_DIR", HERE.parent / ".bench")).resolve()
USERS = 20


@dataclass(frozen=True)
class Case:
    name: str
    size: int
    per_session: int
    ours: int  # messages sent to us
    theirs: int  # messages sent to the peer
    target: float


CASES = (
    Case("2 KiB, kept open", 2048, 100_000, 3000, 800, 5.0),
    Case("50 KiB, kept open", 51_200, 100_000, 2000, 700, 5.0),
    Case("2 KiB, one session each", 2048, 1, 900, 500, 2.0),
    Case("50 KiB, one session each", 51_200, 1, 900, 450, 2.0),
    Case("1 MiB, kept open", 1_048_576, 100_000, 300, 150, 2.0),
    Case("10 MiB, one session each", 10_485_760, 1, 40, 20, 2.0),
)


@dataclass(frozen=True)
class Side:
    """One server under load: where to send, how to count."""

    name: str
    load: list[str]
    imaps: tuple[str, int]
    users: list[tuple[str, str]]

    def count(self) -> int:
        """Messages visible in all INBOXes, over IMAP."""
        total = 0
        for user, password in self.users:
            context = ssl._create_unverified_context()
            with imaplib.IMAP4_SSL(self.imaps[0], self.imaps[1], ssl_context=context) as imap:
                imap.login(user, password)
                _, data = imap.status("INBOX", "(MESSAGES)")
                total += int(data[0].split()[-1].rstrip(b")"))
        return total

    def run(self, case: Case, messages: int, generator: Path, connections: int = 10) -> float:
        """Send ``messages`` over so many connections at once and wait until all are visible; messages per second."""
        before = self.count()
        command = [str(generator), *self.load, "-c", str(connections), "-n", str(messages), "-s", str(case.size), "-Q"]
        command += ["-r", str(case.per_session), "-u", str(USERS)]
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=600)
        sent = time.perf_counter()
        while self.count() - before < messages:
            if time.perf_counter() - sent > 300:
                raise SystemExit(f"{self.name}: messages are missing in IMAP")
            time.sleep(0.05)
        return messages / (time.perf_counter() - started)


def start_peers(space: dict[str, Any] | None) -> Side:
    """With ``space``, a trust space in a box, they show its first operator's certificate and ask for one of its authority."""
    environment = {}
    load = ["-p", "2525", "-t"]
    if space is not None:
        first, second = space["operators"]
        own = Path(space["pki"][first["name"]]["server_cert"])
        curve = own.with_name(f"{own.stem}_curve.pem")
        environment = {"PEERS_CERTIFICATE": str(curve), "PEERS_KEY": str(curve.with_suffix(".key"))}
        environment |= {"PEERS_CA": space["pki"]["ca"]}
        card = space["pki"][second["name"]]
        load += ["-C", card["client_cert"], "-K", card["client_key"]]
    peers("start", **environment)
    users = [(f"user{number}", "pw") for number in range(USERS)]
    return Side("Postfix + Dovecot", load, ("127.0.0.1", 2993), users)


def peers(order: str, **environment: str) -> None:
    """``check``, ``start`` or ``stop`` them; what hinders it they say themselves, and the comparison ends there."""
    environment = {**os.environ, "PEERS_DIR": str(WORK / "peers"), "PYTHON": sys.executable, **environment}
    ended = subprocess.run(["sh", HERE / "peers.sh", order], env=environment, stdout=subprocess.DEVNULL)
    if ended.returncode and order != "stop":
        raise SystemExit(1)


def start_ours(workers: int, *settings: str) -> tuple[subprocess.Popen[bytes], Side, dict[str, Any]]:
    ready = WORK / "space.json"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "gateway.cli", "space", "--dir", str(WORK / "space"), "--ready-file", str(ready)]
    chosen = [f"--set={setting}" for setting in (f"service.workers={workers}", *settings)]
    process = subprocess.Popen(
        [*command, "--load-mailboxes", str(USERS), *chosen],
        stdout=subprocess.DEVNULL,
        cwd=HERE.parent,
        start_new_session=True,
    )
    deadline = time.monotonic() + 90
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("the trust space did not start")
        time.sleep(0.1)
    space = json.loads(ready.read_text("utf-8"))
    first, second = space["operators"]
    card = space["pki"][second["name"]]
    load = ["-p", str(first["smtp"]["port"]), "-t", "-C", card["client_cert"], "-K", card["client_key"]]
    load += ["-F", f"load@{second['domain']}", "-U", f"user%d@{first['domain']}", "-H", f"smtp.{second['domain']}"]
    boxes = {box["address"]: box for box in first["mailboxes"]}
    users = [
        (f"user{number}@{first['domain']}", boxes[f"user{number}@{first['domain']}"]["device_password"])
        for number in range(USERS)
    ]
    return process, Side("Caducée", load, (first["imaps"]["host"], first["imaps"]["port"]), users), space


def measure(case: Case, ours: Side, theirs: Side, generator: Path, rounds: int, scale: float) -> dict[str, object]:
    """Alternate the two sides; median rates and the median of the pairwise ratios."""
    pairs = []
    for _ in range(rounds):
        a = ours.run(case, max(10, int(case.ours * scale)), generator)
        b = theirs.run(case, max(10, int(case.theirs * scale)), generator)
        pairs.append((a, b))
    ratio = statistics.median(a / b for a, b in pairs)
    return {
        "case": case.name,
        "ours": round(statistics.median(a for a, _ in pairs), 1),
        "theirs": round(statistics.median(b for _, b in pairs), 1),
        "ratio": round(ratio, 2),
        "target": case.target,
        "held": ratio >= case.target,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a fifth of the messages, one round")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument(
        "--workers", type=int, default=0, help="our processes; 0, as for the peers, is what the cores give"
    )
    parser.add_argument("--open-peers", action="store_true", help="the peers ask for no client certificate")
    parser.add_argument("--sync-ms", type=float, default=0.0, help="as on a disk whose syncs take that much longer")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rounds, scale = (1, 0.2) if options.quick else (options.rounds, 1.0)
    WORK.mkdir(parents=True, exist_ok=True)
    peers("check")
    generator = build(WORK)
    if options.sync_ms:
        os.environ.update(slow_syncs(WORK, options.sync_ms))
    process, ours, space = start_ours(options.workers)
    results = []
    try:
        theirs = start_peers(None if options.open_peers else space)
        print(f"{'messages/s, end to end':28}{ours.name:>12}{theirs.name:>20}{'ratio':>8}{'target':>8}")
        for case in CASES:
            if options.only not in case.name:
                continue
            row = measure(case, ours, theirs, generator, rounds, scale)
            results.append(row)
            print(
                f"{case.name:28}{row['ours']:>12}{row['theirs']:>20}{row['ratio']:>8}{'>= ' + str(case.target):>8}",
                flush=True,
            )
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        peers("stop")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2), "utf-8")


if __name__ == "__main__":
    main()
