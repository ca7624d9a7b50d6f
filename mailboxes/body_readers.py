"""Reads decrypted messages by range, from a row or from a blob.

Promise: bytes come out only after their tag was checked. Failure: :class:`Corrupted`, :class:`MissingBody`,
:class:`mailboxes.store.StoreUnavailable`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailboxes.blobs import Blobs, OpenBlob
from mailboxes.seal import FRAME, frame_count, frame_span, open_frames
from mailboxes.store import Corrupted, MissingBody

Guard = Callable[[Awaitable[bytes]], Awaitable[bytes]]
"""Stands around each read of a blob: records what it finds damaged."""


class InlineBody:
    """A small message, already decrypted."""

    __slots__ = ("_content", "size")

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)

    async def read(self, offset: int, length: int) -> bytes:
        return self._content[offset : offset + length]


class FramedBody:
    """A large message: reads and decrypts only the frames a range touches, and keeps the last one read.

    Once begun it can be read to its end, whoever erases it meanwhile (a bucket excepted).
    """

    __slots__ = (
        "_blob",
        "_blobs",
        "_body_id",
        "_cipher",
        "_guard",
        "_kept",
        "_kept_index",
        "_pool",
        "_reference",
        "size",
    )

    def __init__(
        self,
        blobs: Blobs,
        pool: Executor,
        reference: str,
        data_key: bytes,
        body_id: int,
        size: int,
        guard: Guard | None = None,
    ) -> None:
        self._guard = guard
        self._blobs = blobs
        self._blob: OpenBlob | None = None
        self._pool = pool
        self._reference = reference
        self._cipher = AESGCM(data_key)
        self._body_id = body_id
        self._kept_index = -1
        self._kept = b""
        self.size = size

    async def read(self, offset: int, length: int) -> bytes:
        length = min(length, self.size - offset)
        if offset < 0 or length <= 0:
            return b""
        first, last, start, extent = frame_span(self.size, offset, length)
        if first == last == self._kept_index:
            plain = self._kept
        elif self._guard is None:
            plain = await self._decrypt(first, last, start, extent)
        else:
            plain = await self._guard(self._decrypt(first, last, start, extent))
        inside = offset - first * FRAME
        return plain if inside == 0 and length == len(plain) else plain[inside : inside + length]

    async def _decrypt(self, first: int, last: int, start: int, extent: int) -> bytes:
        try:
            if self._blob is None:
                self._blob = await self._blobs.open(self._reference)
            data = await self._blob.read(start, extent)
            if last == frame_count(self.size) - 1:
                self._blob = None  # nearly always nothing more is asked: a list of bodies must not hold a file each
        except MissingBody as error:
            raise MissingBody(f"{self._body_id:x}") from error
        if len(data) != extent:
            raise Corrupted(f"{self._body_id:x}")  # shorter than it was written
        if first == last:
            plain = open_frames(self._cipher, self._body_id, self.size, first, data)
            self._kept_index, self._kept = first, plain
            return plain
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, open_frames, self._cipher, self._body_id, self.size, first, data)
