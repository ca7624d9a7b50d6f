"""A partner's server that does exactly what a test says: well behaved by default, hostile at will (F23-F34).

Every byte of the client is kept, in clear and inside TLS apart, so that a test can assert what was never said.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Answer = bytes | Callable[["Peer", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]

HANG = b"<hang>"
CLOSE = b"<close>"
RESET = b"<reset>"


@dataclass
class Peer:
    """Answers per verb; ``after_tls`` and ``before_tls`` are the EHLO answers. ``rcpt`` maps a local part to an answer."""

    context: ssl.SSLContext | None
    greeting: bytes = b"220 mx.test ESMTP\r\n"
    before_tls: bytes = b"250-mx.test\r\n250-STARTTLS\r\n250 SIZE 1000000\r\n"
    after_tls: bytes = (
        b"250-mx.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 1000000\r\n"
    )
    starttls: bytes = b"220 2.0.0 go ahead\r\n"
    mail: bytes = b"250 2.1.0 ok\r\n"
    rcpt: dict[str, bytes] = field(default_factory=dict)
    data: bytes = b"354 go\r\n"
    dot: bytes = b"250 2.0.0 queued as 42\r\n"
    trickle: float = 0.0
    stop_reading_in_data: bool = False
    mails_per_session: int = 0  # the next one gets 421 and the connection ends; 0: no limit

    port: int = 0
    connections: int = 0
    clear: bytearray = field(default_factory=bytearray)
    commands: list[bytes] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._session(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        secure, mails = False, 0
        if not await self._say(writer, self.greeting):
            return
        while line := await reader.readline():
            if not secure:
                self.clear += line
            self.commands.append(line)
            verb = line[:4].upper()
            mails += verb == b"MAIL"
            if self.mails_per_session and mails > self.mails_per_session:
                await self._say(writer, b"421 4.7.0 enough for one session\r\n")
                return
            if verb == b"STAR":
                if not await self._say(writer, self.starttls) or not self.starttls.startswith(b"220"):
                    continue
                await writer.start_tls(self.context)  # type: ignore[arg-type]
                secure = True
            elif verb == b"DATA":
                if not await self._data(reader, writer):
                    return
            elif not await self._say(writer, self._answer(verb, line, secure)):
                return
            if verb == b"QUIT":
                return

    def _answer(self, verb: bytes, line: bytes, secure: bool) -> bytes:
        if verb == b"EHLO":
            return self.after_tls if secure else self.before_tls
        if verb == b"MAIL":
            return self.mail
        if verb == b"RCPT":
            local = line.partition(b"<")[2].partition(b"@")[0].decode()
            return self.rcpt.get(local, b"250 2.1.5 ok\r\n")
        return b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n"

    async def _data(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if not await self._say(writer, self.data):
            return False
        if not self.data.startswith(b"354"):
            return True
        if self.stop_reading_in_data:
            await asyncio.sleep(3600)
        self.messages.append(await reader.readuntil(b"\r\n.\r\n"))
        return await self._say(writer, self.dot)

    async def _say(self, writer: asyncio.StreamWriter, what: bytes) -> bool:
        if what == HANG:
            await asyncio.sleep(3600)
        if what in (CLOSE, RESET):
            return False
        if what.endswith(CLOSE):
            writer.write(what.removesuffix(CLOSE))
            await writer.drain()
            return False
        if self.trickle:
            for byte in what:
                writer.write(bytes([byte]))
                await asyncio.sleep(self.trickle)
        else:
            writer.write(what)
        await writer.drain()
        return True


@asynccontextmanager
async def serving(peer: Peer, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Peer]:
    """The peer on a free loopback port, or on the one of its twin at another address."""
    server = await asyncio.start_server(peer.serve, host, port, limit=2**22)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
