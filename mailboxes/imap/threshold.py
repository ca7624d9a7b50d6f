"""The handshake of an IMAP connection: with TLS from the first byte, or after STARTTLS.

Promise: nothing of the conversation begins before the handshake is done, and it is given :data:`HANDSHAKE_SECONDS`.
Failure: the caller has its alert; a handshake that was waited for raises in the waiter.
"""

from __future__ import annotations

import asyncio
from ssl import SSLContext

from mailboxes.layer import NO_APPLICATION_PROTOCOL, Hello, Layer

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
        waiter.add_done_callback(_unheard)
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
        refuse=_refuse,
    )


def _refuse(hello: Hello) -> int | None:
    """The alert a ClientHello deserves: who names protocols and not IMAP wants to speak to somebody else (F52)."""
    return NO_APPLICATION_PROTOCOL if hello.protocols and b"imap" not in hello.protocols else None


def _unheard(waiter: asyncio.Future[None]) -> None:
    """A handshake failed: the caller has its alert, and there is nobody else to tell."""
    if not waiter.cancelled():
        waiter.exception()
