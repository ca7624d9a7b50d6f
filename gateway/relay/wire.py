"""The bytes of an SMTP client: replies read under bounds, commands that cannot be broken out of, content dot-stuffed.

Promise: a reply costs at most :data:`REPLY_BYTES` of memory and time-bounded waiting; what the peer wrote is only ever
shown as printable ASCII; no bare CR, bare LF or NUL is ever written; bytes that come when none are due, before or inside
TLS, end the session (RFC 3207 6: response injection).
Failure: :class:`WireError` and its kinds; after any of them the connection is useless and already aborted.
Why not aiosmtplib: docs/adr/0008-the-relay.md.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

LINE_BYTES = 512  # kept of each reply line (F33)
LINES = 100  # kept of each reply
REPLY_BYTES = 256 * 1024  # a longer reply ends the session
SHOWN = 512  # characters of a reply kept in journal and notices


class WireError(Exception):
    """The session cannot go on."""


class Silent(WireError):
    """No complete reply, or no progress in writing, within the time of the phase."""


class Cut(WireError):
    """The peer closed or reset the connection."""


class Garbled(WireError):
    """A reply that is none: no code, codes that disagree, too long. ``text`` is what came, made printable."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Injected(WireError):
    """Bytes that no command asked for."""


class UnsafeContent(WireError):
    """The message holds a bare CR, a bare LF or NUL; nothing of it was completed."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: code 200 to 599, the RFC 3463 status when stated, and its lines made printable."""

    code: int
    status: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """One line for journal and notices."""
        return f"{self.code} {' '.join(line for line in self.lines if line)}".rstrip()[:SHOWN]

    @property
    def positive(self) -> bool:
        return 200 <= self.code < 300


def printable(raw: bytes) -> str:
    """ASCII as it is, everything else as ``\\xNN``: safe in a terminal, a log line and a header (F33)."""
    return "".join([chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in raw])


def parse_reply(lines: list[bytes]) -> Reply:
    """A complete reply from its lines without line ends. Raises :class:`Garbled`."""
    codes = {line[:3] for line in lines}
    if len(codes) != 1:
        raise Garbled(printable(lines[-1]))
    head = codes.pop()
    if not _is_code(head) or not 200 <= int(head) <= 599:
        raise Garbled(printable(lines[0]))
    texts = [line[4:].strip(b" \t") for line in lines]
    return Reply(int(head), _status(texts[0]), tuple(printable(text) for text in texts))


def _is_code(head: bytes) -> bool:
    return len(head) == 3 and all(48 <= byte <= 57 for byte in head)


def _status(text: bytes) -> str:
    """The enhanced status a line begins with (RFC 2034), or an empty string."""
    first = text.split(b" ", 1)[0][:12]
    parts = first.split(b".")
    if len(parts) != 3 or parts[0] not in (b"2", b"4", b"5"):
        return ""
    if not all(1 <= len(part) <= 3 and all(48 <= byte <= 57 for byte in part) for part in parts[1:]):
        return ""
    return first.decode("ascii")


class Wire(asyncio.Protocol):
    """One connection. Not for use by two tasks at once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._lines: list[bytes] = []
        self._replies: list[Reply | WireError] = []
        self._skipping = False
        self._spent = 0
        self._expected = 1  # the greeting
        self._unexpected = False
        self._closed = False
        self._paused = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._wake()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._writer and not self._writer.done():
            self._writer.set_result(None)

    def eof_received(self) -> bool:
        self._closed = True
        self._wake()
        return False

    def data_received(self, data: bytes) -> None:
        if self._closed:
            return
        self._spent += len(data)
        self._buffer += data
        if not self._split():
            self.abort()
        self._wake()

    def _split(self) -> bool:
        """Move complete lines out of the buffer; False when the peer is to be cut off."""
        start = 0
        while (end := self._buffer.find(b"\n", start)) >= 0:
            line = bytes(self._buffer[start : min(end, start + LINE_BYTES)])
            start = end + 1
            if self._skipping:
                self._skipping = False
            elif not self._line(line.removesuffix(b"\r")):
                return False
        del self._buffer[:start]
        return self._long_line()

    def _long_line(self) -> bool:
        """What stands in the buffer without a line end: kept to its first bytes, the rest thrown away as it comes."""
        if len(self._buffer) > LINE_BYTES:
            line = bytes(self._buffer[:LINE_BYTES])
            self._buffer.clear()
            if not self._skipping:
                self._skipping = True
                if not self._line(line):
                    return False
        if self._spent > REPLY_BYTES:
            self._replies.append(Garbled(printable(self._lines[0]) if self._lines else "reply too long"))
            return False
        return True

    def _line(self, line: bytes) -> bool:
        if len(self._lines) < LINES:
            self._lines.append(line)
        if not _is_code(line[:3]):
            self._replies.append(Garbled(printable(line)))
            return False
        if line[3:4] == b"-":
            return True
        if len(self._lines) == LINES:
            self._lines[-1] = line  # the last line is what ends a reply, so it is always kept
        lines, self._lines, self._spent = self._lines, [], 0
        if len(self._replies) >= self._expected:
            self._unexpected = True
            return False
        try:
            self._replies.append(parse_reply(lines))
        except Garbled as garbled:
            self._replies.append(garbled)
            return False
        return True

    def _wake(self) -> None:
        for waiter in (self._reader, self._writer):
            if waiter and not waiter.done():
                waiter.set_result(None)

    # what a session uses

    @property
    def ssl_object(self) -> ssl.SSLObject | None:
        """The TLS state, once :meth:`start_tls` succeeded."""
        return self._transport.get_extra_info("ssl_object") if self._transport else None

    @property
    def usable(self) -> bool:
        """False once the peer hung up or spoke out of turn: an idle session is then not worth a MAIL."""
        return not (self._closed or self._unexpected or self._buffer or self._lines or self._replies)

    def command(self, *lines: str) -> None:
        """Write commands in one block (RFC 2920). Raises Injected when the peer spoke out of turn, Cut when gone."""
        if self._unexpected or ((self._buffer or self._lines or self._replies) and not self._closed):
            self.abort()
            raise Injected("bytes before the command")
        block = b"".join([_command(line) for line in lines])
        self._expected = len(lines)
        self._spent = 0
        self._write(block)

    async def reply(self, timeout: float) -> Reply:  # noqa: ASYNC109 - the bound is on the whole reply
        """The next reply, complete within ``timeout`` seconds. Raises Silent, Cut, Garbled or Injected."""
        try:
            async with asyncio.timeout(timeout):
                while not self._replies and not self._closed and not self._unexpected:
                    self._reader = self._loop.create_future()
                    await self._reader
        except TimeoutError:
            self.abort()
            raise Silent("no reply in time") from None
        return self._take_reply()

    def _take_reply(self) -> Reply:
        if not self._replies:
            self.abort()
            raise Injected("more replies than commands") if self._unexpected else Cut("connection closed")
        found = self._replies.pop(0)
        self._expected -= 1
        if isinstance(found, WireError):
            self.abort()
            raise found
        return found

    async def write(self, data: bytes | bytearray | memoryview, timeout: float) -> None:  # noqa: ASYNC109
        """Write content; returns when the transport can take more. Raises Silent after ``timeout`` without room."""
        self._write(data)
        if not self._paused:
            return
        try:
            async with asyncio.timeout(timeout):
                while self._paused and not self._closed:
                    self._writer = self._loop.create_future()
                    await self._writer
        except TimeoutError:
            self.abort()
            raise Silent("the peer does not read") from None

    def expect(self, replies: int) -> None:
        """Say how many replies are due, when content rather than a command asks for them."""
        self._expected = replies
        self._spent = 0

    def _write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closed or self._transport is None or self._transport.is_closing():
            if self._replies:  # a farewell such as 421 explains more than the closed socket
                return
            raise Cut("connection closed")
        self._transport.write(data)

    async def start_tls(self, context: ssl.SSLContext, host: str, timeout: float) -> None:  # noqa: ASYNC109
        """Switch to TLS after the 220. Raises Injected when clear text follows it, ssl.SSLError, OSError, Silent."""
        if self._buffer or self._lines or self._replies or self._unexpected:
            self.abort()
            raise Injected("clear text after the answer to STARTTLS")
        if self._closed or self._transport is None:
            raise Cut("connection closed")
        try:
            upgraded = await self._loop.start_tls(
                self._transport, self, context, server_hostname=host, ssl_handshake_timeout=timeout
            )
        except (TimeoutError, ConnectionAbortedError):
            self.abort()
            raise Silent("TLS handshake not finished in time") from None
        except BaseException:
            self.abort()
            raise
        self._transport = cast(asyncio.Transport, upgraded)

    def abort(self) -> None:
        """Close at once, without a farewell."""
        self._closed = True
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close after what was written is sent."""
        self._closed = True
        if self._transport is not None:
            self._transport.close()


def _command(line: str) -> bytes:
    """One command line. ValueError when it could break out of its line: our own values are printable ASCII."""
    raw = line.encode("ascii")
    if len(raw) > 2000 or not all(32 <= byte < 127 for byte in raw):
        raise ValueError("a command holds printable ASCII only")
    return raw + b"\r\n"


class Stuffing:
    """Dot-stuffing of content given in blocks of any size (RFC 5321 4.5.2), with the guard of RFC 5321 2.3.8.

    A block without a line that begins with a dot is passed on as it is, without a copy.
    """

    def __init__(self) -> None:
        self._last = b"\r\n"  # the last two bytes written: the start of the content is the start of a line

    def feed(self, block: bytes) -> Iterable[bytes]:
        """The pieces to write for ``block``. Raises :class:`UnsafeContent`."""
        if not block:
            return ()
        self._check(block)
        pieces: list[bytes] = []
        if self._last == b"\r\n" and block[:1] == b".":
            pieces.append(b".")
        elif self._last[-1:] == b"\r" and block[:2] == b"\n.":
            pieces.append(b"\n.")
            block = block[1:]
            self._last = b"\r\n"
        pieces.append(block.replace(b"\r\n.", b"\r\n..") if b"\r\n." in block else block)
        self._last = (self._last + block)[-2:] if len(block) < 2 else block[-2:]
        return pieces

    def _check(self, block: bytes) -> None:
        """Every CR is followed by LF and every LF preceded by CR, across blocks too."""
        pairs, feeds, returns = block.count(b"\r\n"), block.count(b"\n"), block.count(b"\r")
        pending = self._last[-1:] == b"\r"
        joined = int(pending and block[:1] == b"\n")
        open_end = int(block[-1:] == b"\r")
        if pending and not joined:
            raise UnsafeContent("bare CR")
        if feeds != pairs + joined or returns != pairs + open_end or b"\0" in block:
            raise UnsafeContent("bare CR, bare LF or NUL")

    def end(self) -> bytes:
        """The end of the content, with a line end before it when the content lacks one. Raises UnsafeContent."""
        if self._last[-1:] == b"\r":
            raise UnsafeContent("bare CR")
        return b".\r\n" if self._last == b"\r\n" else b"\r\n.\r\n"
