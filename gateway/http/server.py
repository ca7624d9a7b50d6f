"""An HTTP door: listeners, the connections behind them, and the sweep that ends those that stand still.

Promise: :meth:`HttpServer.drain` lets requests under way be answered, idle connections go at once; other limits are in force from the
next request on. Failure: ``OSError`` from listening.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from typing import Any

from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.server import ServerState

from gateway.http.connection import Connection, House, Threshold
from gateway.smtp.limits import Gate, Limits
from mailboxes.tally import Tally

SWEEP = 1.0
"""Seconds between two looks at who stands still."""
BACKLOG = 256
AT_ONCE = 16
"""Connections accepted in one turn of the loop."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds of silence, seconds for a request, octets of its head; ``counted`` is what the gate counts."""

    idle: float
    request: float
    head: int
    counted: Limits


class HttpServer:
    """Serves one application on any number of addresses. ``crowd`` holds the connections."""

    def __init__(
        self,
        name: str,
        application: ASGIApp,
        patience: Patience,
        tally: Tally,
        crowd: set[Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connections: set[Any] = set() if crowd is None else crowd
        state = ServerState()
        state.connections = self.connections
        self._house = House(
            _uvicorn(application, patience.head),
            state,
            Gate(patience.counted, clock, tally, name),
            clock,
            patience.idle,
            patience.request,
        )
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.TimerHandle | None = None

    async def listen(self, sock: socket.socket, tls: ssl.SSLContext | None) -> int:
        """Serve what arrives at a socket already bound; its port. Without ``tls`` in clear."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(partial(self._caller, tls), sock=sock, backlog=AT_ONCE)
        sock.listen(BACKLOG)
        self._servers.append(server)
        if self._sweeper is None:
            self._sweep()
        return int(server.sockets[0].getsockname()[1])

    async def adopt(self, accepted: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Serve a connection that another worker accepted."""
        await asyncio.get_running_loop().connect_accepted_socket(partial(self._caller, tls), accepted)

    def follow(self, patience: Patience) -> None:
        """Other limits from now on."""
        house = self._house
        house.idle, house.request = patience.idle, patience.request
        house.uvicorn.h11_max_incomplete_event_size = patience.head
        house.gate.follow(patience.counted)

    async def drain(self, grace: float) -> None:
        """Stop listening; requests under way have ``grace`` seconds."""
        for server in self._servers:
            server.close()
        deadline = self._house.clock() + grace
        self._let_go()
        while self.connections and self._house.clock() < deadline:
            await asyncio.sleep(0.02)
            self._let_go()
        for connection in tuple(self.connections):
            connection.transport.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def _let_go(self) -> None:
        for connection in tuple(self.connections):
            if not connection.busy and not connection.transport.is_closing():
                connection.transport.close()

    def _caller(self, tls: ssl.SSLContext | None) -> asyncio.Protocol:
        connection = Connection(self._house)
        return connection if tls is None else Threshold(connection, tls)

    def _sweep(self) -> None:
        self._house.state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        now = self._house.clock()
        for connection in tuple(self.connections):
            connection.check(now)
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP, self._sweep)


def _uvicorn(application: ASGIApp, head: int) -> Config:
    """What uvicorn's protocol reads of its configuration: it logs nothing (what fails is told by the shell) and believes no
    header about where a caller is."""
    config = Config(
        application,
        http="h11",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=24 * 3600,  # ours is shorter
        h11_max_incomplete_event_size=head,
    )
    config.load()
    return config
