"""The handshake of an IMAP connection: with TLS from the first byte, or after STARTTLS.

Promise: nothing of the conversation begins before the handshake is done, and it is given :data:`HANDSHAKE_SECONDS`.
Failure: the caller has its alert and the log the reason; a handshake that was waited for raises in the waiter.
"""

from __future__ import annotations

import asyncio
import ssl
from functools import partial
from ssl import SSLContext

import structlog

from mailboxes.layer import Layer, only

log = structlog.get_logger("imap")

HANDSHAKE_SECONDS = 30


class Threshold(asyncio.Protocol):
    """A connection with implicit TLS before its handshake; ``inside`` hears of it afterwards."""

    def __init__(self, inside: asyncio.Protocol, context: SSLContext) -> None:
        self._inside = inside
        self._context = context

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        waiter.add_done_callback(partial(_ended, transport))
        layer = tls_layer(loop, self._inside, self._context, waiter, announced=False)
        transport.set_protocol(layer)
        layer.connection_made(transport)


def tls_layer(
    loop: asyncio.AbstractEventLoop,
    inside: asyncio.Protocol,
    context: SSLContext,
    waiter: asyncio.Future[None],
    *,
    announced: bool,
) -> Layer:
    """The TLS layer of a connection; ``announced`` when ``inside`` knows the connection already."""
    return Layer(
        loop,
        inside,
        context,
        waiter,
        server_side=True,
        call_connection_made=not announced,
        ssl_handshake_timeout=HANDSHAKE_SECONDS,
        refuse=only(b"imap"),
    )


def _ended(transport: asyncio.Transport, waiter: asyncio.Future[None]) -> None:
    """A handshake that failed is told to the log: the caller's program shows its user nothing but a connection lost."""
    if not waiter.cancelled():
        note_failed(transport, waiter.exception())


def note_failed(transport: asyncio.Transport, error: BaseException | None) -> None:
    """What OpenSSL or the caller objected to: an old version, an authority unknown to the device. Who only leaves, as
    monitors of ports do, is no news."""
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        peer = transport.get_extra_info("peername")
        reason = (error.reason or type(error).__name__).lower().replace("_", " ")
        log.info("imap.handshake_failed", ip=peer[0] if peer else "", detail=reason)
