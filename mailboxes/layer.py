"""The TLS layer of a door: asyncio's, with its memory and its first message in hand.

asyncio keeps a 256 KiB receive buffer per connection (``SSLProtocol.max_size``, measured 274 KiB an idle connection)
and asks OpenSSL for as much at each read. Here all connections of an event loop receive through one buffer, which is
emptied before the loop can serve another, and read one TLS record at a time.
The ClientHello is read before OpenSSL sees it, because the ``ssl`` module cannot refuse an application protocol: a
program that wants to speak HTTP (ALPACA attack, F52), or another host's name, gets a fatal alert. Every door uses it alike.
Promise: at most one record (16 KiB) of hello is read; a hello cut over several records is passed on unread.
Failure: an alert, and the connection is closed; :meth:`Layer.connection_lost` follows as usual.
"""

from __future__ import annotations

import ssl
import threading
from asyncio import sslproto
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

RECORD = 16 * 1024
_RECEIVE = 64 * 1024
_READ_AHEAD = 64 * 1024

NO_APPLICATION_PROTOCOL = 120  # RFC 7301 3.2
UNRECOGNIZED_NAME = 112  # RFC 6066 3


@dataclass(frozen=True, slots=True)
class Hello:
    """What a ClientHello asks for: ``protocols`` of ALPN, ``name`` of SNI ("" when absent)."""

    protocols: tuple[bytes, ...] = ()
    name: str = ""


def only(protocol: bytes) -> Callable[[Hello], int | None]:
    """The alert for whoever names protocols and not this one: he wants to speak to somebody else (ALPACA, F52)."""

    def refuse(hello: Hello) -> int | None:
        return NO_APPLICATION_PROTOCOL if hello.protocols and protocol not in hello.protocols else None

    return refuse


class _PerThread(threading.local):
    """One receive buffer for each thread that runs an event loop."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_RECEIVE))


_own = _PerThread()


class Layer(sslproto.SSLProtocol):
    """One connection's TLS. ``refuse`` maps a hello to the number of an alert, or None to go on."""

    max_size = RECORD

    def __init__(self, *args: Any, refuse: Callable[[Hello], int | None], **named: Any) -> None:
        super().__init__(*args, **named)
        self._ssl_buffer = bytearray()
        self._receive = self._ssl_buffer_view = _own.view
        self._hello: bytearray | None = bytearray()
        self._refuse = refuse
        self.app_transport().set_read_buffer_limits(_READ_AHEAD, RECORD)

    def app_transport(self) -> Any:
        """The transport the conversation writes to."""
        return self._app_transport

    def farewell(self, octets: bytes) -> None:
        """Write the last octets and close: both leave in one packet, where asyncio would send two."""
        together = not self._ssl_writing_paused  # type: ignore[attr-defined]
        if together:
            self.pause_writing()
        self.app_transport().write(octets)
        self.app_transport().close()
        if together:
            self.resume_writing()

    def _do_read__copied(self) -> None:
        """asyncio's, but it asks OpenSSL only while something is left: to be told that nothing is costs an exception."""
        read, left = self._sslobj.read, self._incoming  # type: ignore[attr-defined]
        chunks = []
        try:
            while chunk := read(self.max_size):
                chunks.append(chunk)
                if not left.pending and not self._sslobj.pending():  # type: ignore[attr-defined]
                    break
        except sslproto.SSLAgainErrors:
            chunk = b"nothing yet"
        if chunks:
            self._app_protocol.data_received(chunks[0] if len(chunks) == 1 else b"".join(chunks))  # type: ignore[attr-defined]
        if not chunk:
            self._call_eof_received()  # type: ignore[attr-defined]
            self._start_shutdown()

    def _on_handshake_complete(self, handshake_exc: BaseException | None) -> None:
        """asyncio closes without sending the alert in which OpenSSL says what it objects to: an old version, no suite in
        common. Without it a program, and whoever is called to help, sees a connection that drops and no reason."""
        if isinstance(handshake_exc, ssl.SSLError):
            self._process_outgoing()  # type: ignore[attr-defined]
        super()._on_handshake_complete(handshake_exc)

    def get_buffer(self, n: int) -> memoryview:
        """The buffer all connections share: the selector loop fills it and calls back in the same turn."""
        return self._receive

    def buffer_updated(self, nbytes: int) -> None:
        if self._hello is None:
            super().buffer_updated(nbytes)
            return
        self._hello += self._receive[:nbytes]
        if not _complete(self._hello):
            return
        alert = self._refuse(read_hello(bytes(self._hello)))
        octets, self._hello = self._hello, None
        if alert is not None:
            raw: Any = self._transport
            raw.write(b"\x15\x03\x03\x00\x02\x02" + bytes([alert]))
            raw.close()
            return
        self._ssl_buffer_view = memoryview(octets)
        super().buffer_updated(len(octets))
        self._ssl_buffer_view = self._receive


def _complete(octets: bytearray) -> bool:
    """Whether the first record has arrived, or what came is no TLS handshake and OpenSSL shall say so."""
    if octets[:1] != b"\x16" or len(octets) > RECORD + 2048:
        return True
    return len(octets) >= 5 and len(octets) >= 5 + int.from_bytes(octets[3:5], "big")


def read_hello(record: bytes) -> Hello:
    """ALPN and SNI of a ClientHello held in one record (RFC 8446 4.1.2); an empty :class:`Hello` when unreadable."""
    try:
        return _hello(_Octets(record))
    except _Short:
        return Hello()


class _Short(Exception):
    """The octets end before the field does."""


class _Octets:
    """A reading place in octets."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def take(self, count: int) -> bytes:
        taken = self._octets[self._at : self._at + count]
        if len(taken) < count:
            raise _Short
        self._at += count
        return taken

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def vector(self, width: int) -> bytes:
        """Octets preceded by their count, written in ``width`` octets."""
        return self.take(self.number(width))

    def __bool__(self) -> bool:
        return self._at < len(self._octets)


def _hello(octets: _Octets) -> Hello:
    octets.take(5)  # record header
    if octets.number(1) != 1:
        return Hello()
    body = _Octets(octets.vector(3))
    body.take(34)  # version and random
    body.vector(1)  # session id
    body.vector(2)  # cipher suites
    body.vector(1)  # compression
    if not body:
        return Hello()
    protocols: tuple[bytes, ...] = ()
    name = ""
    extensions = _Octets(body.vector(2))
    while extensions:
        kind, value = extensions.number(2), _Octets(extensions.vector(2))
        if kind == 16:
            protocols = _names(_Octets(value.vector(2)))
        elif kind == 0:
            name = _host(_Octets(value.vector(2)))
    return Hello(protocols, name)


def _names(octets: _Octets) -> tuple[bytes, ...]:
    found = []
    while octets:
        found.append(octets.vector(1))
    return tuple(found)


def _host(octets: _Octets) -> str:
    while octets:
        kind, value = octets.number(1), octets.vector(2)
        if kind == 0:
            return value.decode("ascii", "replace").lower()
    return ""
