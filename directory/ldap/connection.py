"""One LDAP connection: octets in, requests to its session one by one, responses out.

Requests are answered one after the other, in the order they came; a few may wait, then no more is read. To abandon works on
those that wait and on the one under way (RFC 4511 4.11).
Promise: what one connection makes us hold is bounded by ``limits.message`` and ``limits.waiting``; nothing that was sent in
clear together with StartTLS is read after it; whoever is cut hears why in a notice of disconnection (RFC 4511 4.4.1).
Failure: what is not LDAP ends its own connection, with ``protocolError``.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from functools import partial
from typing import Any, Protocol

import structlog

from directory.ldap import ber, wire
from directory.ldap.ber import Malformed
from directory.ldap.ports import Service
from directory.ldap.session import Session, Then
from directory.ldap.wire import Abandon, Code, Message, Search
from policies.catalogue.sentences_ldap import both

log = structlog.get_logger("ldap")

FLUSH_AT = 1 << 17


class Host(Protocol):
    """The server a connection belongs to."""

    @property
    def service(self) -> Service: ...
    @property
    def door(self) -> str: ...
    def admit(self, connection: Connection) -> bool:
        """Count a new connection; False where it is one too many."""
        ...

    def left(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """One connection: octets in, requests to its session one by one, responses out."""

    __slots__ = (
        "_buffer",
        "_current",
        "_drained",
        "_handshaking",
        "_host",
        "_loop",
        "_task",
        "_waiting",
        "born",
        "closing",
        "heard",
        "session",
        "transport",
    )

    def __init__(self, host: Host, *, secure: bool) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._waiting: deque[Message] | None = None
        self._current: Message | None = None
        self._task: asyncio.Task[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._handshaking = False
        self.closing = False
        self.born = self.heard = self._loop.time()
        self.transport: Any = None
        self.session = Session(host.service, host.door, "", secure)

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.set_write_buffer_limits(high=FLUSH_AT)
        peer = transport.get_extra_info("peername")
        self.session.ip = str(peer[0]) if peer else ""
        if not self._host.admit(self):
            self.bye(Code.BUSY, "ldap.crowded")

    def connection_lost(self, exc: Exception | None) -> None:
        self.closing = True
        if self._task is not None and not self._handshaking:
            self._task.cancel()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._host.left(self)

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
        most = self._host.service.limits.waiting
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
            end = ber.whole(self._buffer, at, self._host.service.limits.message)
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
        layer = self._host.service.layer
        assert layer is not None
        self._handshaking = True
        waiter: asyncio.Future[None] = self._loop.create_future()
        tls = layer(self, waiter, announced=True)
        self.transport.set_protocol(tls)
        tls.connection_made(self.transport)
        try:
            await waiter
        except (OSError, asyncio.CancelledError):
            note_failed(self.transport, waiter)
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


class Threshold(asyncio.Protocol):
    """A connection with TLS from the first byte, before its handshake; ``inside`` hears of it afterwards."""

    def __init__(self, inside: Connection, service: Service) -> None:
        self._inside = inside
        self._service = service

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        assert self._service.layer is not None
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter.add_done_callback(partial(note_failed, transport))
        layer: Any = self._service.layer(self._inside, waiter, announced=False)
        transport.set_protocol(layer)
        layer.connection_made(transport)


def _searches(message: Message) -> bool:
    return isinstance(message.operation, Search)


def note_failed(transport: asyncio.Transport, waiter: asyncio.Future[None]) -> None:
    """A handshake that failed is told to the log: address books show their users nothing but a connection lost. Who only
    leaves, as monitors of ports do, is no news."""
    error = waiter.exception() if waiter.done() and not waiter.cancelled() else None
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        peer = transport.get_extra_info("peername")
        reason = (error.reason or type(error).__name__).lower().replace("_", " ")
        log.info("ldap.handshake_failed", ip=peer[0] if peer else "", detail=reason)
