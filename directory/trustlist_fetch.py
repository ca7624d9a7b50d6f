"""Fetch the white list and its checksum from where they are published (MSS-001, MSS-010, F40).

Promise: HTTPS is verified against the anchors given and nothing else, never switched off; no redirection, no proxy from the
environment; the answer is read up to a limit of octets. A path is read from the disk.
Failure: :class:`Unreachable`, with a word for the event; the caller keeps its list.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Protocol

import httpx

from directory.trustlist_history import History, Outcome
from policies.events import Event, Kind

TIMEOUT = 30.0
COMPANION_LIMIT = 4096
SAVING = 600.0
BLOCK = 1 << 20


class Unreachable(Exception):
    """Nothing usable came from the source. ``word``: ``network``, ``tls``, ``status``, ``too_large``, ``file``."""

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(f"{word}: {detail}")
        self.word = word


class Fetch(Protocol):
    async def get(self, source: str, limit: int) -> bytes:
        """The octets at a source (an address or a path), at most ``limit`` of them. Raises Unreachable."""
        ...


@dataclass
class MemoryFetch:
    """The twin in memory: sources by name, an exception where one is to be raised."""

    sources: dict[str, bytes | Unreachable] = field(default_factory=dict)

    async def get(self, source: str, limit: int) -> bytes:
        found = self.sources.get(source, Unreachable("network", source))
        if isinstance(found, Unreachable):
            raise found
        if len(found) > limit:
            raise Unreachable("too_large", source)
        return found


class WebFetch:
    """``https://`` addresses with pinned anchors (PEM files), anything else as a path on this machine.

    ``plain`` also allows ``http://``, for what carries its own signature and nothing else (revocation lists, OCSP).
    """

    def __init__(self, anchors: tuple[Path, ...], timeout: float = TIMEOUT, *, plain: bool = False) -> None:
        self._schemes = ("https://", "http://") if plain else ("https://",)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        for anchor in anchors:
            self._context.load_verify_locations(cafile=str(anchor))
        self._timeout = timeout

    async def get(self, source: str, limit: int) -> bytes:
        if "://" not in source:
            return await asyncio.to_thread(_file, Path(source), limit)
        return await self._web("GET", source, limit)

    async def post(self, source: str, body: bytes, content_type: str, limit: int) -> bytes:
        """Send octets to an address and read the answer, at most ``limit`` octets. Raises Unreachable."""
        return await self._web("POST", source, limit, content=body, headers={"Content-Type": content_type})

    async def save(
        self, source: str, target: IO[bytes], limit: int, wanted: Callable[[Mapping[str, str]], bool]
    ) -> Mapping[str, str]:
        """Write what an address holds to a file, block by block, when its header fields are ``wanted``; answers them.

        For what is too large to be held: it may take :data:`SAVING` seconds. Raises Unreachable.
        """
        if not source.startswith(self._schemes):
            raise Unreachable("network", f"{source}: only {' and '.join(self._schemes)} addresses are read")
        client = httpx.AsyncClient(verify=self._context, trust_env=False, follow_redirects=False, timeout=self._timeout)
        try:
            async with asyncio.timeout(SAVING), client, client.stream("GET", source) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise Unreachable("status", f"{source}: {answer.status_code}")
                if wanted(answer.headers):
                    await _written(answer, source, target, limit)
                return answer.headers
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise _unreachable(error, source) from None

    async def _web(self, method: str, source: str, limit: int, **request: Any) -> bytes:
        if not source.startswith(self._schemes):
            raise Unreachable("network", f"{source}: only {' and '.join(self._schemes)} addresses are read")
        client = httpx.AsyncClient(verify=self._context, trust_env=False, follow_redirects=False, timeout=self._timeout)
        try:
            async with asyncio.timeout(self._timeout), client, client.stream(method, source, **request) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise Unreachable("status", f"{source}: {answer.status_code}")
                return await _bounded(answer, source, limit)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise _unreachable(error, source) from None


def _unreachable(error: Exception, source: str) -> Unreachable:
    word = "tls" if isinstance(error.__cause__, ssl.SSLError) or "SSL" in str(error) else "network"
    return Unreachable(word, f"{source}: {type(error).__name__}")


async def refresh(
    history: History,
    fetch: Fetch,
    source: str,
    *,
    now: datetime,
    checksum: str = "",
    limit: int,
) -> Outcome:
    """Fetch once and let the history judge. A source that does not answer leaves everything as it was."""
    try:
        data = await fetch.get(source, limit)
        companion = await fetch.get(checksum, COMPANION_LIMIT) if checksum else None
    except Unreachable as failure:
        event = Event(Kind.TRUST_LIST, detail={"what": "unreachable", "reason": failure.word})
        return Outcome("refused", history.current(), failure.word, str(failure), events=(event,))
    return await asyncio.to_thread(history.accept, data, now=now, companion=companion)


async def _bounded(answer: httpx.Response, source: str, limit: int) -> bytes:
    read = bytearray()
    async for block in answer.aiter_bytes():
        read += block
        if len(read) > limit:
            raise Unreachable("too_large", source)
    return bytes(read)


async def _written(answer: httpx.Response, source: str, target: IO[bytes], limit: int) -> None:
    read = 0
    async for block in answer.aiter_bytes(BLOCK):
        read += len(block)
        if read > limit:
            raise Unreachable("too_large", source)
        await asyncio.to_thread(target.write, block)


def _file(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise Unreachable("file", f"{path}: {error.strerror}") from None
    if len(data) > limit:
        raise Unreachable("too_large", str(path))
    return data
