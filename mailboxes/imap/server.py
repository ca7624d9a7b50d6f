"""The IMAP service: listeners on 143 (STARTTLS) and 993 (implicit TLS), connection limits, and the sweep that ends
sessions which idle too long, do not read, or whose mailbox was withdrawn.

:meth:`ImapServer.listen` may be called for several addresses. Promise: a connection over a limit is told why
(``* BYE [LIMIT]``) and closed; a suspended or closed mailbox is cut within a minute with a clear BYE (MSS-055, F47);
:meth:`ImapServer.close` says goodbye to everyone.
"""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from ssl import SSLContext
from typing import Any

import structlog

# Importing a module of commands registers them.
from mailboxes.imap import (
    access,
    appending,
    changing,
    fetch,
    folders,
    metadata,
    notify,
    searching,
    selecting,
)
from mailboxes.imap.login import certificate_of, greet
from mailboxes.imap.ports import Service
from mailboxes.imap.session import NEW, Session
from mailboxes.imap.threshold import Threshold
from mailboxes.imap.wire import Wire
from policies.events import Event, Kind

__all__ = ["ImapServer", "access", "appending", "changing", "fetch", "folders", "metadata", "notify"]
__all__ += ["searching", "selecting"]

CROWDED = b"* BYE [UNAVAILABLE] The server has all the connections it can have, try again in a minute\r\n"
"""What a caller hears when no descriptor is left for him (F08)."""

log = structlog.get_logger("imap")

AT_ONCE = 16
"""Connections accepted in one turn of the loop, which takes them all if it may: a thousand that come at once would keep
everybody else waiting for a second."""


class _Connection(Session):
    """A session that knows its wire and where to sign off."""

    def __init__(self, server: ImapServer, secure: bool) -> None:
        super().__init__(server.service, "", secure)
        self.server = server
        self.wire: Wire

    def opened(self, wire: Any) -> Any:
        self.wire = wire
        transport = wire.transport
        peer = transport.get_extra_info("peername")
        self.ip = str(peer[0]) if peer else ""
        if self.secure:
            self.certificate = certificate_of(self, transport)
        super().opened(wire)
        refusal = self.server.admit(self)
        if refusal:
            wire.bye(refusal)
        else:
            greet(self)
        return None

    def closed(self) -> None:
        super().closed()
        self.server.left(self)


class ImapServer:
    """Serves IMAP on any number of addresses with one :class:`mailboxes.imap.ports.Service`."""

    def __init__(self, service: Service, crowd: set[Any] | None = None) -> None:
        self.service = service
        self.connections: set[_Connection] = set() if crowd is None else crowd
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.Task[None] | None = None
        self._checked = 0.0

    async def listen(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        sock: socket.socket | None = None,
        tls: SSLContext | None = None,
        backlog: int = 1024,
    ) -> int:
        """Start a listener and return its port. With ``tls`` it is implicit TLS, without STARTTLS is offered.

        ``sock`` is a socket already bound, instead of ``host`` and ``port``.
        """
        loop = asyncio.get_running_loop()
        where: dict[str, Any] = {"sock": sock} if sock is not None else {"host": host, "port": port}
        turn = backlog if sock is None else AT_ONCE  # asyncio's backlog is both: what waits, and what one turn takes
        server = await loop.create_server(partial(self._caller, tls), backlog=turn, **where)
        if sock is not None:
            sock.listen(backlog)
        self._servers.append(server)
        if self._sweeper is None:
            self._sweeper = loop.create_task(self._sweep())
        found = server.sockets[0].getsockname()[1]
        assert isinstance(found, int)
        return found

    async def adopt(self, accepted: socket.socket, tls: SSLContext | None) -> None:
        """Serve a connection that another worker accepted, as one of a listener with that ``tls``."""
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(partial(self._caller, tls), accepted)

    def _caller(self, tls: SSLContext | None) -> asyncio.Protocol:
        """A protocol for one more connection."""
        wire = Wire(_Connection(self, tls is not None), asyncio.get_running_loop())
        return wire if tls is None else Threshold(wire, tls)

    def admit(self, session: _Connection) -> bytes:
        """Count a new connection; the answer is empty, or why it is refused."""
        service = self.service
        if len(self.connections) >= service.limits.connections:
            return b"[LIMIT] Too many connections"
        name = f"imap ip {session.ip}"
        if not service.tally.enter(name, service.limits.per_ip):
            return b"[LIMIT] Too many connections from your address"
        session.on_close.append(lambda: service.tally.leave(name))
        self.connections.add(session)
        return b""

    def left(self, session: _Connection) -> None:
        self.connections.discard(session)

    async def close(self, patience: float = 5.0) -> None:
        """Stop listening, say BYE, and give commands under way ``patience`` seconds."""
        for server in self._servers:
            server.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for session in tuple(self.connections):
            if not session.wire.busy:
                session.wire.bye(b"[UNAVAILABLE] The server is stopping")
        deadline = asyncio.get_running_loop().time() + patience
        while self.connections and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - twice a life
            await asyncio.sleep(0.02)
        for session in tuple(self.connections):
            session.wire.abort()
        await asyncio.sleep(0)

    # the sweep

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.service.limits.sweep_every)
            try:
                self._end_silent(loop.time())
                if loop.time() - self._checked >= self.service.limits.alive_every:
                    self._checked = loop.time()
                    await self.check_alive()
            except Exception as error:  # noqa: BLE001 - the sweep must go on
                log.error("imap.sweep_failed", error=type(error).__name__)

    def _end_silent(self, now: float) -> None:
        limits = self.service.limits
        for session in tuple(self.connections):
            wire = session.wire
            silent = now - wire.heard
            patience = limits.command_time + wire.expected / limits.slowest
            if wire.begun and not wire.busy and now - wire.begun > patience:
                wire.bye(b"[LIMIT] The command came too slowly")
            elif wire.busy:
                if silent > limits.stuck_time and not wire.writable:
                    wire.abort()
            elif session.state == NEW:
                if silent > limits.login_time or now - wire.born > limits.login_time * 3:
                    wire.bye(b"[UNAVAILABLE] Login took too long")
            elif silent > limits.idle_time:
                wire.bye(b"[UNAVAILABLE] Idle for too long")
            elif now - wire.born > limits.session_time:
                wire.bye(b"[UNAVAILABLE] The session lasted long enough; connect again")
            if wire.closing and silent > limits.login_time:
                wire.abort()

    async def check_alive(self) -> None:
        """Cut every session whose mailbox, account, device or certificate was withdrawn."""
        by_login: dict[Any, list[_Connection]] = {}
        for session in self.connections:
            if session.login is not None:
                by_login.setdefault(session.login, []).append(session)
        for login, sessions in by_login.items():
            if await self.service.authenticator.alive(login):
                standing = await self.service.standings.of(login)
                for session in sessions:
                    session.standing = standing
                continue
            for session in sessions:
                session.wire.bye(b"[UNAVAILABLE] This mailbox or device was withdrawn; ask your administrator")
            detail = {"reason": "withdrawn", "ip": sessions[0].ip}
            self.service.cache.clear()
            event = Event(Kind.CUT, actor=login.account, mailbox=login.mailbox_id, detail=detail)
            await self.service.store.record((event,))
