"""The virus scanner: a port of one question, answered by clamd (MSS-047).

Promise: a message is called clean only when the scanner said so; no answer, a timeout or a scanner that gives up on the
size is :class:`ScanUnavailable`, which becomes 451 4.7.1 (F68, F69). Nothing of the message is written to disk here.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from typing import Protocol

CHUNK = 256 * 1024
ANSWER_LIMIT = 4096


class ScanUnavailable(Exception):
    """The scanner did not say clean or infected. The reason is for the log."""


@dataclass(frozen=True, slots=True)
class Finding:
    """``threat`` is the scanner's name of what it found, empty when the message is clean."""

    threat: str = ""


class Scanner(Protocol):
    async def scan(self, content: bytes | bytearray | memoryview) -> Finding:
        """Judge one whole message. Raises ScanUnavailable."""
        ...


class NoScanner:
    """Scanning is switched off in the configuration: everything is clean, and ``caducee doctor`` says so."""

    async def scan(self, content: bytes | bytearray | memoryview) -> Finding:
        return Finding()


class MemoryScanner:
    """The in-memory twin: knows the threats it is given, by substring; ``broken`` makes it unavailable."""

    def __init__(self, threats: dict[bytes, str] | None = None) -> None:
        self.threats = threats or {}
        self.broken = False

    async def scan(self, content: bytes | bytearray | memoryview) -> Finding:
        if self.broken:
            raise ScanUnavailable("told to be broken")
        whole = bytes(content)
        return next((Finding(name) for mark, name in self.threats.items() if mark in whole), Finding())


class Clamd:
    """clamd's INSTREAM command over a Unix socket (``/path``) or TCP (``host:port``)."""

    def __init__(self, address: str, *, timeout: float = 30.0) -> None:
        self.address = address
        self.timeout = timeout

    async def scan(self, content: bytes | bytearray | memoryview) -> Finding:
        try:
            async with asyncio.timeout(self.timeout):
                answer = await self._ask(memoryview(content))
        except TimeoutError:
            raise ScanUnavailable("timeout") from None
        except (OSError, asyncio.IncompleteReadError) as problem:
            raise ScanUnavailable(type(problem).__name__) from problem
        return _read_answer(answer)

    async def _ask(self, content: memoryview) -> bytes:
        reader, writer = await self._connect()
        try:
            writer.write(b"zINSTREAM\0")
            for start in range(0, len(content), CHUNK):
                piece = content[start : start + CHUNK]
                writer.write(struct.pack("!L", len(piece)))
                writer.write(piece)
                await writer.drain()
            writer.write(struct.pack("!L", 0))
            await writer.drain()
            return await reader.readuntil(b"\0")
        except asyncio.LimitOverrunError as problem:
            raise ScanUnavailable("answer too long") from problem
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.address.startswith("/"):
            return await asyncio.open_unix_connection(self.address, limit=ANSWER_LIMIT)
        host, _, port = self.address.rpartition(":")
        return await asyncio.open_connection(host, int(port), limit=ANSWER_LIMIT)


def _read_answer(answer: bytes) -> Finding:
    """``stream: OK``, ``stream: NAME FOUND``; anything else (such as a size limit) is no answer."""
    text = answer.rstrip(b"\0\r\n").decode("ascii", "replace")
    body = text.removeprefix("stream: ")
    if body == "OK":
        return Finding()
    if body.endswith(" FOUND"):
        return Finding(body.removesuffix(" FOUND"))
    raise ScanUnavailable(body[:200])


class LiveScanner:
    """The scanner the configuration names now: whoever scans keeps this one through a reload."""

    def __init__(self, inner: Scanner) -> None:
        self.inner = inner

    async def scan(self, content: bytes | bytearray | memoryview) -> Finding:
        return await self.inner.scan(content)
