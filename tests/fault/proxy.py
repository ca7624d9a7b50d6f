"""A small proxy between our courier and a partner that does what an attacker on the way would do, and a silent listener.

It runs in a thread of its own; what passed in clear is kept for the test to read.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

HONEST, STRIP, REFUSE, INJECT = "honest", "strip", "refuse", "inject"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Listener:
    """A loopback listener in a thread; ``serve`` handles each connection."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(serve, "127.0.0.1", 0), self._loop).result(10)
        self.port = int(server.sockets[0].getsockname()[1])

    def call(self, work: Callable[[], None]) -> None:
        """Run something where the connections are."""
        self._loop.call_soon_threadsafe(work)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(10)

    def _end(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.call_later(0.1, self._loop.stop)


@dataclass
class Sink:
    """Counts whoever comes, and what they bring."""

    connections: int = 0
    octets: bytearray = field(default_factory=bytearray)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(b"220 evil.test ESMTP\r\n")
        while data := await reader.read(65536):
            self.octets += data
            writer.write(b"250 Ok\r\n")
        writer.close()


@dataclass
class Proxy:
    """``target`` is the partner's port, ``mode`` what is done to the next connections."""

    target: int
    mode: str = HONEST
    sessions: int = 0
    ports: list[int] = field(default_factory=list)  # by which of our ports each session came
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    clear: bytearray = field(default_factory=bytearray)  # what the courier said before TLS

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sessions += 1
        self.open.add(writer)
        self.ports.append(int(writer.get_extra_info("sockname")[1]))
        with contextlib.suppress(OSError):
            back, forth = await asyncio.open_connection("127.0.0.1", self.target)
            downstream = asyncio.ensure_future(self._down(back, writer))
            await self._up(reader, forth)
            forth.close()
            await downstream
        self.open.discard(writer)
        writer.close()

    def forget(self) -> None:
        """End every session: kept connections would not meet the next mode."""
        for writer in list(self.open):
            writer.transport.abort()

    async def _up(self, reader: asyncio.StreamReader, forth: asyncio.StreamWriter) -> None:
        secured = False
        while data := await reader.read(65536):
            secured = secured or data[:1] == b"\x16"
            if not secured:
                self.clear += data
            forth.write(data)
            await forth.drain()

    async def _down(self, back: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await back.read(65536):
            writer.write(self._changed(data))
            await writer.drain()
        writer.close()

    def _changed(self, data: bytes) -> bytes:
        if self.mode == STRIP:
            return data.replace(b"250-STARTTLS\r\n", b"").replace(b"250 STARTTLS\r\n", b"250 HELP\r\n")
        ready = data.startswith(b"220 ") and b"TLS" in data.upper()
        if ready and self.mode == REFUSE:
            return b"454 4.7.0 TLS not available\r\n"
        if ready and self.mode == INJECT:
            return data + b"250-evil.test\r\n250 AUTH PLAIN\r\n"
        return data
