"""How fast the doors alone are: messages per second over kept-open TLS connections, with an intake that only says yes.

Three servers take turns in the same minutes, because the machine's speed drifts:

    stock     aiosmtpd's own SMTP class, STARTTLS, a handler that returns 250
    streams   aiosmtpd's class and stream loop, with what profiling blames replaced: own DATA reader, no introspection
              per connection, own address reader, replies gathered in one write
    doors     gateway.smtp.inbound

    python -m bench.smtp_doors_speed [--rounds 3] [--profile doors]

The load generator (smtpload.c, built with cc) is a program of its own; so is each server, in a child process. Prints one line per run and the medians.
Failure: a run with a refused message stops everything.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import multiprocessing
import pstats
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from aiosmtpd.smtp import SMTP, syntax

from bench.generator import build
from gateway.smtp.commands import parse_mail, parse_rcpt
from gateway.smtp.content import ContentReader
from gateway.smtp.limits import Limits
from gateway.smtp.server import serve_inbound
from tests.gateway.smtp_twin import HOSTNAME, MemoryIntake, Pki, doorway, make_pki

CASES = ((2048, 6000), (51200, 3000), (1048576, 150), (10485760, 15))


class Nod:
    """aiosmtpd handler: every message is fine."""

    async def handle_DATA(self, server, session, envelope):
        return "250 OK"


class Streams(SMTP):
    """aiosmtpd's stream loop with its measured costs replaced, to see what the loop itself costs."""

    def __init__(self, context, loop):
        asyncio.StreamReaderProtocol.__init__(
            self, asyncio.StreamReader(limit=65536, loop=loop), client_connected_cb=self._cb_client_connected, loop=loop
        )
        self.loop, self.tls_context, self.hostname = loop, context, HOSTNAME
        self.__ident__ = "bench"
        self.enable_SMTPUTF8 = self._enforce_call_limit = self._auth_required = False
        self._tls_handshake_okay, self._tls_protocol, self._original_transport = True, None, None
        self.require_starttls, self._timeout_duration, self._timeout_handle = True, 300, None
        self.session = self.envelope = self.transport = self._handler_coroutine = self._proxy_timeout = None
        self._handle_hooks, self._data, self._said = {}, None, []
        self._smtp_methods = {name[5:]: getattr(self, name) for name in VERBS}

    async def push(self, status):
        self._said.append(status.encode() if isinstance(status, str) else status)
        if b"\n" not in self._reader._buffer:
            self.say()

    def say(self):
        if self._said:
            self._writer.write(b"".join(line + b"\r\n" for line in self._said))
            self._said = []

    @syntax("EHLO hostname")
    async def smtp_EHLO(self, hostname):
        self.session.host_name, self.session.extended_smtp = hostname, True
        await self.push(f"250-{HOSTNAME}\r\n250-PIPELINING\r\n250 STARTTLS")

    async def smtp_MAIL(self, arg):
        self.envelope.mail_from = parse_mail(arg).sender
        await self.push("250 OK")

    async def smtp_RCPT(self, arg):
        self.envelope.rcpt_tos.append(parse_rcpt(arg).address)
        await self.push("250 OK")

    async def smtp_DATA(self, arg):
        await self.push("354 go on")
        self.say()
        reader = ContentReader(size=32 << 20, line=65536, header=1 << 18, discard=1 << 20)
        self._data, self._done = reader, self.loop.create_future()
        held = bytes(self._reader._buffer)
        self._reader._buffer.clear()
        if held:
            self.data_received(held)
        await self._done
        self._set_post_data_state()
        await self.push("250 OK")

    def data_received(self, data):
        if self._data is None:
            super().data_received(data)
        elif self._data.feed(data):
            rest, self._data = self._data.rest, None
            if rest:
                super().data_received(rest)
            self._done.set_result(None)


VERBS = [name for name in dir(Streams) if name.startswith("smtp_")]


async def _serve(which: str, pki: Pki, sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    if which == "doors":
        shared = doorway(pki, intake=MemoryIntake(keep_content=False), limits=Limits())
        shared.intake.kept = Forgetful()
        await serve_inbound(shared, sock=sock)
    elif which == "streams":
        context = pki.server_context()
        await loop.create_server(lambda: Streams(context, loop), sock=sock)
    else:
        context = pki.server_context()
        await loop.create_server(
            lambda: SMTP(Nod(), tls_context=context, require_starttls=True, hostname=HOSTNAME, loop=loop), sock=sock
        )
    await asyncio.Event().wait()


class Forgetful(list):
    """A list that keeps nothing."""

    def append(self, item):
        pass


def _child(which: str, pki: Pki, sock: socket.socket, profile: str) -> None:
    import logging

    logging.disable(logging.WARNING)
    if not profile:
        asyncio.run(_serve(which, pki, sock))
        return
    import signal

    profiler = cProfile.Profile()

    def stop(*_):
        profiler.disable()
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(28)
        sys.stderr.flush()
        raise SystemExit

    signal.signal(signal.SIGTERM, stop)
    profiler.enable()
    asyncio.run(_serve(which, pki, sock))


def measure(which: str, pki: Pki, load: str, size: int, count: int, per: int, profile: str = "") -> float:
    """Messages per second; the server lives for this run only."""
    sock = socket.create_server(("127.0.0.1", 0))
    child = multiprocessing.get_context("fork").Process(target=_child, args=(which, pki, sock, profile))
    child.start()
    port = str(sock.getsockname()[1])
    command = [load, "-p", port, "-c", "10", "-n", str(count), "-s", str(size), "-t", "-r", str(per), "-Q"]
    command += ["-C", str(pki.client), "-K", str(pki.client_key)]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300)
    finally:
        child.terminate()
        child.join()
        sock.close()
    words = done.stdout.split()
    print(f"{which:8} {size:9} octets  {per:5} a session  {done.stdout.strip()}", flush=True)
    if done.returncode:
        raise SystemExit(f"{which}: a message was refused")
    return float(words[words.index("rate") + 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="stock,streams,doors")
    parser.add_argument("--sizes", default="2048,51200")
    parser.add_argument("--profile", default="")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pki, load = make_pki(Path(folder)), str(build(Path(folder)))
        if chosen.profile:
            measure(chosen.profile, pki, load, 2048, 6000, 10**6, "yes")
            return
        rates: dict[tuple[str, int, int], list[float]] = {}
        for _ in range(chosen.rounds):
            for size, count in CASES:
                if str(size) not in chosen.sizes.split(","):
                    continue
                for which in chosen.only.split(","):
                    for per, share in ((10**6, 1), (1, 5)):
                        rate = measure(which, pki, load, size, max(count // share, 10), per)
                        rates.setdefault((which, size, per), []).append(rate)
        for (which, size, per), found in sorted(rates.items()):
            print(
                f"{which:8} {size:9} octets  {'kept open' if per > 1 else 'one each':9}  {statistics.median(found):7.0f}/s"
            )


if __name__ == "__main__":
    main()
