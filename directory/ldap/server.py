"""The LDAP doors: 389 with StartTLS and 636 with TLS from the first byte, their limits, and the sweep that ends sessions which
idle too long, do not read, or whose mailbox was withdrawn.

Requests of a connection are answered one after the other, in the order they came; a few may wait, then no more is read. To
abandon works on those that wait and on the one under way (RFC 4511 4.11).
Promise: what one connection makes us hold is bounded by ``limits.message`` and ``limits.waiting``; nothing that was sent in
clear together with StartTLS is read after it; whoever is cut hears why in a notice of disconnection (RFC 4511 4.4.1).
Failure: what is not LDAP ends its own connection, with ``protocolError``.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from contextlib import suppress
from typing import Any

import structlog

from directory.ldap import ber, wire
from directory.ldap.ber import Malformed
from directory.ldap.ports import Service
from directory.ldap.session import Session, Then
from directory.ldap.wire import Abandon, Code, Message, Search
from policies.catalogue.sentences_ldap import both
from policies.events import Event, Kind

log = structlog.get_logger("ldap")

CROWDED = wire.disconnection(Code.BUSY, both("ldap.crowded"))
"""What a caller hears when no descriptor is left for him."""
AT_ONCE = 16
"""Connections accepted in one turn of the loop."""
FLUSH_AT = 1 << 17


class Connection(asyncio.Protocol):
    """One connection: octets in, requests to its session one by one, responses out."""

    __slots__ = (
        "_buffer",
        "_current",
        "_drained",
        "_handshaking",
        "_loop",
        "_server",
        "_task",
        "_waiting",
        "born",
        "closing",
        "heard",
        "session",
        "told",
        "transport",
    )

    def __init__(self, server: LdapServer, *, secure: bool) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._waiting: deque[Message] | None = None
        self._current: Message | None = None
        self._task: asyncio.Task[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._handshaking = False
        self.closing = False
        self.born = self.heard = self.told = self._loop.time()
        self.transport: Any = None
        self.session = Session(server.service, server.door, "", secure)

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.set_write_buffer_limits(high=FLUSH_AT)
        peer = transport.get_extra_info("peername")
        self.session.ip = str(peer[0]) if peer else ""
        if not self._server.admit(self):
            self.bye(Code.BUSY, "ldap.crowded")

    def connection_lost(self, exc: Exception | None) -> None:
        self.closing = True
        if self._task is not None and not self._handshaking:
            self._task.cancel()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._server.left(self)

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def data_received(self, data: bytes) -> None:
        if not self.closing:
            self.heard = self._loop.time()
            self._buffer = self._buffer + data if self._buffer else data
            self._read()

    # requests

    def _read(self) -> None:
        """Take the requests that have arrived, as many as may wait; the others stay where they are until those are answered."""
        most = self._server.service.limits.waiting
        try:
            full = self._take_whole(most)
        except Malformed:
            self.bye(Code.PROTOCOL_ERROR, "ldap.not_ldap")
            return
        if not full:
            self.transport.resume_reading()
            return
        self.transport.pause_reading()
        if self._task is None:  # they were all of a kind that is done at once
            self._loop.call_soon(self._read)

    def _take_whole(self, most: int) -> bool:
        """Whether ``most`` were taken, and there may be more."""
        at = 0
        for _ in range(most):
            if self.closing or (self._waiting is not None and len(self._waiting) >= most):
                break
            end = ber.whole(self._buffer, at, self._server.service.limits.message)
            if not end:
                self._buffer = self._buffer[at:]
                return False
            self._take(wire.read(self._buffer[at:end]))
            at = end
        self._buffer = self._buffer[at:]
        return not self.closing

    def _take(self, message: Message) -> None:
        if isinstance(message.operation, Abandon):
            self._abandon(message.operation.id)
            return
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(message)
        if self._task is None:
            self._task = self._loop.create_task(self._work())

    def _abandon(self, number: int) -> None:
        """Forget a search, whether it waits or is under way; nothing else can be abandoned."""
        if self._waiting is not None:
            self._waiting = deque(each for each in self._waiting if each.id != number or not _searches(each))
        current = self._current
        if self._task is not None and current is not None and current.id == number and _searches(current):
            self._task.cancel()

    async def _work(self) -> None:
        """Answer what waits, and end."""
        while self._waiting and not self.gone():
            self._current = self._waiting.popleft()
            try:
                await self._one(self._current)
            except asyncio.CancelledError:
                if self.gone():
                    break
                asyncio.current_task().uncancel()  # type: ignore[union-attr]
            except Exception as problem:  # noqa: BLE001 - one connection's fault is nobody else's
                log.error("ldap.failed", error=type(problem).__name__)
                self.bye(Code.OTHER, "ldap.unavailable")
            finally:
                self._current = None
                self.heard = self._loop.time()
        self._task = self._waiting = None
        if not self.gone():
            self._read()

    async def _one(self, message: Message) -> None:
        reply = await self.session.answer(message)
        if self.closing:
            return
        if reply.then is Then.START_TLS and (self._buffer or self._waiting):
            self.bye(Code.PROTOCOL_ERROR, "ldap.not_ldap")  # said in clear, it would be taken for said inside TLS
            return
        if reply.octets:
            self.transport.write(reply.octets)
        if reply.then is Then.CLOSE:
            self.close()
        elif reply.then is Then.START_TLS:
            await self._start_tls()
        elif self._drained is not None:
            await self._drained

    async def _start_tls(self) -> None:
        layer = self._server.service.layer
        assert layer is not None
        self._handshaking = True
        waiter: asyncio.Future[None] = self._loop.create_future()
        tls = layer(self, waiter, announced=True)
        self.transport.set_protocol(tls)
        tls.connection_made(self.transport)
        try:
            await waiter
        except (OSError, asyncio.CancelledError):
            self.abort()
            return
        finally:
            self._handshaking = False
        self.transport = tls.app_transport()
        if self.transport is None:
            self.abort()
            return
        self.transport.set_write_buffer_limits(high=FLUSH_AT)
        self.session.secure = True

    # the end

    @property
    def busy(self) -> bool:
        return self._task is not None

    def gone(self) -> bool:
        """Whether it is closing; for after an await, during which it may have begun to."""
        return self.closing

    def bye(self, code: Code, sentence: str) -> None:
        """Say why, and close."""
        if not self.closing:
            self.transport.write(wire.disconnection(code, both(sentence)))
            self.close()

    def close(self) -> None:
        self.closing = True
        self._buffer = b""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        self.closing = True
        if self.transport is not None:
            self.transport.abort()


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
        return _Threshold(Connection(self, secure=True), self.service)

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
                log.error("ldap.sweep_failed", error=type(error).__name__)

    def _end_silent(self, now: float) -> None:
        limits = self.service.limits
        for connection in tuple(self.connections):
            silent, age = now - connection.heard, now - connection.born
            patience = limits.idle_time if connection.session.login is not None else limits.login_time
            if connection.closing or (connection.busy and silent > limits.search_time + limits.login_time):
                if silent > limits.login_time:
                    connection.abort()
            elif not connection.busy and (silent > patience or age > limits.session_time):
                connection.bye(Code.UNAVAILABLE, "ldap.idle")
            if now - connection.told >= limits.tell_every:
                connection.told = now
                connection.session.tell()

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


class _Threshold(asyncio.Protocol):
    """A connection with TLS from the first byte, before its handshake; ``inside`` hears of it afterwards."""

    def __init__(self, inside: Connection, service: Service) -> None:
        self._inside = inside
        self._service = service

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        assert self._service.layer is not None
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter.add_done_callback(_ended)
        layer: Any = self._service.layer(self._inside, waiter, announced=False)
        transport.set_protocol(layer)
        layer.connection_made(transport)


def _searches(message: Message) -> bool:
    return isinstance(message.operation, Search)


def _ended(waiter: asyncio.Future[None]) -> None:
    """A handshake that failed is its caller's affair, who was told by an alert."""
    if not waiter.cancelled():
        with suppress(Exception):
            waiter.exception()
