"""Open the SMTP doors on the event loop, watch over their connections, and close them gracefully.

``loop.create_server`` with a factory: aiosmtpd's ``Controller`` would run a second loop in a thread.
Promise: :meth:`SmtpServer.connections` is what a supervisor walks to end sessions whose trust or mailbox changed;
:meth:`SmtpServer.drain` stops accepting, says 421 to who waits, lets messages under way end within ``limits.drain``
seconds (F20), then cuts the rest.
Failure: ``OSError`` when the address cannot be bound.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from gateway.smtp.dialogue import Dialogue
from gateway.smtp.doorway import Doorway
from gateway.smtp.inbound import Inbound
from gateway.smtp.limits import Clock
from gateway.smtp.submission import Submission
from gateway.smtp.wire import Wire
from policies.catalogue import rule
from policies.decision import decide

_SWEEP = 1.0  # seconds between two looks at who is slow
_BACKLOG = 512
_AT_ONCE = 16
"""Connections accepted in one turn of the loop, which takes them all if it may: a thousand that come at once would keep
everybody else waiting for a second."""


class SmtpServer:
    """One listening door."""

    def __init__(self, doorway: Doorway, conversation: type[Dialogue], crowd: set[Wire] | None = None) -> None:
        self.doorway = doorway
        self._conversation = conversation
        self._connections: set[Wire] = set() if crowd is None else crowd
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    async def listen(self, host: str | None, port: int | None, sock: socket.socket | None) -> None:
        """Bind ``host`` and ``port``, or take a socket already bound (by one of several workers)."""
        loop = asyncio.get_running_loop()
        where: dict[str, Any] = {"sock": sock} if sock is not None else {"host": host, "port": port}
        turn = _BACKLOG if sock is None else _AT_ONCE  # asyncio's backlog is both: what waits, and what one turn takes
        self._server = await loop.create_server(self.connection, backlog=turn, **where)
        if sock is not None:
            sock.listen(_BACKLOG)
        self._sweep()

    def connection(self) -> Dialogue:
        """A protocol for one more connection."""
        return self._conversation(self.doorway, self._connections)

    async def adopt(self, accepted: socket.socket) -> None:
        """Serve a connection that another worker accepted."""
        await asyncio.get_running_loop().connect_accepted_socket(self.connection, accepted)

    @property
    def port(self) -> int:
        """The port bound, useful when 0 was asked for."""
        return int(self.sockets[0].getsockname()[1])

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        return tuple(self._server.sockets) if self._server is not None else ()

    def connections(self) -> tuple[Wire, ...]:
        """Every open conversation: ``peer`` says who it is, ``close(decision)`` ends it."""
        return tuple(self._connections)

    async def drain(self, grace: float | None = None) -> None:
        """Stop gracefully; returns when no connection is left."""
        self._stop_listening()
        endings = [each.ended for each in self._connections]
        for each in self.connections():
            each.close(decide(rule("session.shutting_down")))
        if endings:
            await asyncio.wait(endings, timeout=self.doorway.limits.drain if grace is None else grace)
        self.cut()

    def cut(self) -> None:
        """Stop at once."""
        self._stop_listening()
        for each in self.connections():
            each.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()

    def _sweep(self) -> None:
        now = self.doorway.clock()
        for each in self.connections():
            each.check(now)
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP, self._sweep)


async def serve_inbound(
    doorway: Doorway,
    host: str | None = None,
    port: int | None = None,
    *,
    sock: socket.socket | None = None,
    crowd: set[Wire] | None = None,
) -> SmtpServer:
    """The door for partners (25)."""
    server = SmtpServer(doorway, Inbound, crowd)
    await server.listen(host, port, sock)
    return server


async def serve_submission(
    doorway: Doorway,
    host: str | None = None,
    port: int | None = None,
    *,
    sock: socket.socket | None = None,
    crowd: set[Wire] | None = None,
) -> SmtpServer:
    """A door for our users: 587, or 465 when ``doorway.implicit_tls``."""
    if doorway.authenticator is None:
        raise ValueError("a submission door needs an authenticator")
    server = SmtpServer(doorway, Submission, crowd)
    await server.listen(host, port, sock)
    return server


__all__ = ["Clock", "Doorway", "SmtpServer", "serve_inbound", "serve_submission"]
