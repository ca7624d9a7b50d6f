"""A courier in a process of its own, to be killed, stopped and continued: URL PORT PKI NAME LEASE on the command line.

Real time, real TLS, a real queue. Notices are appended, one JSON line each, to the file named by ``NOTICES``. It says
``ready`` on standard output once it runs.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import ssl
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from gateway.relay.courier import Courier, Settings
from gateway.relay.guard import TrustGuard
from gateway.relay.partners import Partners
from gateway.smtp import tls
from gateway.smtp.chain import PathReader, read_certificates
from gateway.smtp.outbound import Patience
from gateway.smtp.resolver import FixedNames, Routed, Target
from policies.retry import Schedule
from policies.trust import TrustSettings, trust_list
from tests.gateway.relay.house import HOUSE, Intake, open_house
from tests.gateway.relay.space import DOMAIN, HOST, Revocations


class RealTime:
    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def pass_(self, seconds: float) -> None:
        raise AssertionError("real time cannot be moved")


class FileIntake(Intake):
    """Notices are durable in a file before they are acknowledged, as at intake."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    async def notice(self, sender: None, recipient: str, content: bytes) -> str:
        if self._path:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(json.dumps([recipient, content.decode("latin-1")]) + "\n")
                file.flush()
                os.fsync(file.fileno())
        return "N"


def now() -> datetime:
    return datetime.now(UTC)


def guard(folder: Path) -> TrustGuard:
    """As the PKI folder of the test says: operator A's certificate, operator B listed."""
    facts = json.loads((folder / "facts.json").read_text())
    context: ssl.SSLContext = tls.client_context(tls.Identity(Path(facts["certificate"]), Path(facts["key"])))
    reader = PathReader(read_certificates(Path(facts["ca"])), (), Revocations())
    return TrustGuard(
        lambda: trust_list([(DOMAIN, facts["subject"])], now(), now()),
        lambda: TrustSettings(),
        lambda: context,
        lambda: reader,
        now,
    )


async def main(url: str, port: int, folder: Path, name: str, lease: float) -> None:
    clock = RealTime()
    house = open_house(url, clock)  # type: ignore[arg-type]
    resolver = Routed(
        FixedNames(), {DOMAIN: Target(HOST, ("127.0.0.1",), port)}, (), time.monotonic, lambda hosts: None
    )
    partners = Partners(resolver, guard(folder), name, time.monotonic, Patience(dot=30, data=30))
    settings = Settings(schedule=Schedule(first=0.5, cap=1.0), lease=lease, poll=0.1, chores=1.0)
    courier = Courier(
        f"{name}-{secrets.token_hex(4)}",
        house.committer,
        house.reading,
        house.bodies,
        partners,
        FileIntake(os.environ.get("NOTICES", "")),
        HOUSE,
        clock,
        random.random,
        lambda: secrets.token_hex(16),
        settings,
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await courier.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], float(sys.argv[5])))
