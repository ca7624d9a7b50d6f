"""One HTTP connection: uvicorn's protocol on h11, behind our own TLS layer and held to our limits.

uvicorn reads requests and writes answers; of its server nothing is used, because it takes the process's signals, ends what is under way
by its own rules, and waits for ever for a caller who sends half a request.
Promise: a caller over a limit hears 503; one who is silent, slow to ask or does not fetch his answer is let go; who wants to speak
another protocol by TLS gets an alert (ALPACA, F52). Failure: 400 for what is no HTTP, 408 for what did not come in time.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import h11
import structlog
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from gateway.smtp.limits import Gate
from mailboxes.layer import Layer, only

log = structlog.get_logger("http")

HANDSHAKE: Final = 30.0
"""Seconds a handshake may take."""
SLOWEST: Final = 4096
"""Octets per second a body must bring, beyond the time any request has."""
UNWANTED: Final = 1 << 20
"""Octets of a body still read once it was refused: closed at once, the caller would not hear why."""
PROTOCOL: Final = "http/1.1"
CROWDED: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)
"""What a caller hears for whom there is no room."""
LATE: Final = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(slots=True)
class House:
    """What the connections of one door share; ``idle`` and ``request`` are seconds."""

    uvicorn: Config
    state: ServerState
    gate: Gate
    clock: Callable[[], float]
    idle: float
    request: float


class Connection(H11Protocol):
    """A caller."""

    def __init__(self, house: House) -> None:
        super().__init__(house.uvicorn, house.state, {})
        self._house = house
        self._ip = ""
        self._entered = False
        self._refused = False
        self._seen: tuple[Any, ...] = ()
        self._since = house.clock()
        self._octets = 0
        self._resumed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._ip = str(peer[0]) if peer else ""
        self.app_state = {"tls": transport.get_extra_info("ssl_object")}
        self._entered = self._house.gate.enter(self._ip)
        if not self._entered:
            self._leave(CROWDED)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._entered:
            self._entered = False
            self._house.gate.leave(self._ip)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._octets += len(data)
        super().data_received(data)
        if self._octets > UNWANTED and self.conn.their_state is h11.SEND_BODY and not self.busy:
            self.transport.abort()

    def resume_writing(self) -> None:
        self._resumed += 1
        super().resume_writing()

    @property
    def busy(self) -> bool:
        """A request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def check(self, now: float) -> None:
        """Let go of a caller who stands still; asked every second."""
        seen = (self._standing(), self.cycle, self._resumed)
        if seen != self._seen:
            if self.cycle is not (self._seen[1] if self._seen else None):
                self._octets = 0
            self._seen, self._since = seen, now
            return
        still = now - self._since
        if seen[0] == "idle" and still > self._house.idle:
            self.transport.close()
        elif seen[0] == "asking" and still > self._house.request + self._octets / SLOWEST:
            self._leave(b"" if self.busy and self.cycle.response_started else LATE)
        elif seen[0] in ("answering", "leaving") and still > 2 * self._house.request:
            self.transport.abort()

    def _standing(self) -> str:
        if self.transport.is_closing():
            return "leaving"
        if self.conn.their_state is h11.SEND_BODY:
            return "asking"
        if self.busy:
            return "answering"
        return "asking" if self.conn.trailing_data[0] else "idle"

    def _leave(self, words: bytes) -> None:
        self._refused = True
        if words:
            self.transport.write(words)
        self.transport.close()


class Threshold(asyncio.Protocol):
    """A connection before its handshake; ``inside`` hears of it afterwards."""

    def __init__(self, inside: asyncio.Protocol, context: ssl.SSLContext) -> None:
        self._inside = inside
        self._context = context

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        waiter.add_done_callback(_handshaken)
        layer = Layer(
            loop,
            self._inside,
            self._context,
            waiter,
            server_side=True,
            call_connection_made=True,
            ssl_handshake_timeout=HANDSHAKE,
            refuse=only(PROTOCOL.encode()),
        )
        transport.set_protocol(layer)
        layer.connection_made(transport)


def _handshaken(waiter: asyncio.Future[None]) -> None:
    error = None if waiter.cancelled() else waiter.exception()
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        log.info("handshake_failed", detail=(error.reason or type(error).__name__).lower().replace("_", " "))
