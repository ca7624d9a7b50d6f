"""The LDAP doors: 389 with StartTLS and 636 with TLS from the first byte, their limits, and the sweep that ends sessions which
idle too long, do not read, or whose mailbox was withdrawn.

Promise: a connection over a limit is told so and closed; a suspended or closed mailbox is cut within a minute (MSS-055);
:meth:`LdapServer.close` says so to everybody inside. Failure: none; one connection's trouble is its own.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import structlog

from directory.ldap import wire
from directory.ldap.connection import Connection, Threshold
from directory.ldap.ports import Service
from directory.ldap.wire import Code
from policies.catalogue.sentences_ldap import both
from policies.events import Event, Kind

log = structlog.get_logger("ldap")

CROWDED = wire.disconnection(Code.BUSY, both("ldap.crowded"))
"""What a caller hears when no descriptor is left for him."""
AT_ONCE = 16
"""Connections accepted in one turn of the loop."""


class LdapServer:
    """Serves LDAP on any number of addresses of the door ``door``. ``implicit`` is TLS from the first byte."""

    def __init__(self, service: Service, door: str, *, implicit: bool, crowd: set[Any] | None = None) -> None:
        self.service = service
        self.door = door
        self.connections: set[Connection] = set() if crowd is None else crowd
        self._implicit = implicit
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.Task[None] | None = None
        self._checked = 0.0

    async def listen(self, sock: socket.socket, backlog: int = 1024) -> int:
        """Listen at a socket that is bound; the answer is its port."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._caller, sock=sock, backlog=AT_ONCE)
        sock.listen(backlog)
        self._servers.append(server)
        if self._sweeper is None:
            self._sweeper = loop.create_task(self._sweep())
        return int(server.sockets[0].getsockname()[1])

    async def adopt(self, accepted: socket.socket) -> None:
        """Serve a connection that another worker accepted."""
        await asyncio.get_running_loop().connect_accepted_socket(self._caller, accepted)

    def _caller(self) -> asyncio.Protocol:
        if not self._implicit:
            return Connection(self, secure=False)
        return Threshold(Connection(self, secure=True), self.service)

    def admit(self, connection: Connection) -> bool:
        """Count a new connection; False where it is one too many."""
        limits = self.service.limits
        if len(self.connections) >= limits.connections:
            return False
        if not self.service.tally.enter(f"ldap ip {connection.session.ip}", limits.per_ip):
            return False
        self.connections.add(connection)
        return True

    def left(self, connection: Connection) -> None:
        if connection in self.connections:
            self.connections.discard(connection)
            self.service.tally.leave(f"ldap ip {connection.session.ip}")
        connection.session.ended()

    async def close(self, patience: float = 5.0) -> None:
        """Stop listening, say so to everybody inside, and give requests under way ``patience`` seconds."""
        for server in self._servers:
            server.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        while any(each.busy for each in self.connections) and loop.time() < deadline:  # noqa: ASYNC110 - twice a life
            await asyncio.sleep(0.02)
        for connection in tuple(self.connections):
            connection.bye(Code.UNAVAILABLE, "ldap.stopping")
        while self.connections and loop.time() < deadline:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.02)
        for connection in tuple(self.connections):
            connection.abort()
        self.service.telling.tell(everything=True)
        await asyncio.sleep(0)

    # the sweep

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.service.limits.sweep_every)
            try:
                self._end_silent(loop.time())
                self.service.telling.tell()
                if loop.time() - self._checked >= self.service.limits.alive_every:
                    self._checked = loop.time()
                    await self.check_alive()
            except Exception as error:  # noqa: BLE001 - the sweep must go on
                log.error("ldap.sweep_failed", error=type(error).__name__)

    def _end_silent(self, now: float) -> None:
        limits = self.service.limits
        for connection in tuple(self.connections):
            silent, age = now - connection.heard, now - connection.born
            known = connection.session.login is not None
            patience = limits.idle_time if known else limits.login_time
            longest = limits.session_time if known else 3 * limits.login_time
            if connection.closing or (connection.busy and silent > limits.search_time + limits.login_time):
                if silent > limits.login_time:
                    connection.abort()
            elif not connection.busy and (silent > patience or age > longest):
                connection.bye(Code.UNAVAILABLE, "ldap.idle")

    async def check_alive(self) -> None:
        """Cut every session whose mailbox, account or device was withdrawn (MSS-055)."""
        by_login: dict[Any, list[Connection]] = {}
        for connection in self.connections:
            if connection.session.login is not None:
                by_login.setdefault(connection.session.login, []).append(connection)
        for login, connections in by_login.items():
            if await self.service.gate.alive(login):
                continue
            for connection in connections:
                connection.bye(Code.UNAVAILABLE, "ldap.withdrawn")
            detail = {"reason": "withdrawn", "ip": connections[0].session.ip}
            self.service.record(Event(Kind.CUT, actor=login.account, mailbox=login.mailbox_id, detail=detail))
