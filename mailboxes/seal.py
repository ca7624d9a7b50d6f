"""Turns a message into ciphertext once, and ciphertext back into any range of the message.

Each message has a key of its own. A small one becomes a single AES-256-GCM ciphertext for a database row; a large one a
blob of frames of :data:`FRAME` bytes in the STREAM manner (the nonce counts frames and marks the last), so that a range
is read by decrypting only its frames and a cut, doubled or moved frame fails its tag. Associated data is the message's
``body_id``; the summary has a random nonce and a context of its own.
Promise: a small message costs the event loop some ten microseconds; a large one is hashed, encrypted and written in
blocks on a worker thread. Plaintext is never written (MSS-067).
Failure: :class:`Corrupted`, naming the body, when a tag fails or a format is unknown (never any bytes), and what
:mod:`mailboxes.blobs` raises.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection

from mailboxes.blobs import Blobs
from mailboxes.keys import KEY_BYTES, NONCE_BYTES, Keyring, unwrap_key, wrap_key
from mailboxes.store import Corrupted, Entry, MailboxGone, MissingBody, Sealed, StoreFull, StoreUnavailable

FORMAT = b"\x01"
_FORMAT = FORMAT[0]
FRAME = 256 * 1024
TAG = 16
INLINE_LIMIT = 128 * 1024
ON_LOOP_LIMIT = 64 * 1024
"""Above this, hashing and encrypting cost more than a hop to a thread and back."""

RESERVE_BYTES = 64 * 1024 * 1024

Content = bytes | bytearray | memoryview

_EPOCH_MS = 1_735_689_600_000  # 2025-01-01: 41 bits of milliseconds from here last until 2094
_INSTANCE_BITS = 14
_SERIAL_BITS = 8
INSTANCES = 1 << _INSTANCE_BITS
NO_INSTANCE = 0


class BodyIds:
    """Numbers for messages: milliseconds, the number of this process, a serial; 63 bits, growing.

    Known before any row exists, so that ciphertext can be bound to it. ``instance`` comes from
    :func:`mailboxes.provision.next_instance`, which gives each process another one; :data:`NO_INSTANCE` for one that began
    while nothing could be written, and numbers nothing until it has one.
    """

    def __init__(self, instance: int, clock: Callable[[], float] = time.time) -> None:
        self.instance = instance
        self._clock = clock
        self._tick = 0  # milliseconds and serial; never goes back, even when the clock does
        self._lock = threading.Lock()

    def next(self) -> int:
        """Raises :class:`StoreUnavailable` without an instance."""
        if self.instance == NO_INSTANCE:
            raise StoreUnavailable("nothing could be written since this process began")
        now = (int(self._clock() * 1000) - _EPOCH_MS) << _SERIAL_BITS
        with self._lock:
            self._tick = max(self._tick + 1, now)
            tick = self._tick
        milliseconds, serial = divmod(tick, 1 << _SERIAL_BITS)
        low = (self.instance % INSTANCES) << _SERIAL_BITS
        return (milliseconds << (_INSTANCE_BITS + _SERIAL_BITS)) | low | serial


class Sealer:
    """Encrypts what arrives. ``pool`` does what is too heavy for the event loop.

    ``room`` tells the bytes free on the store's disk. Below ``reserve`` new messages are refused, so that reading, and
    the writes that deleting needs, still work on a disk that is nearly full (F07).
    """

    def __init__(
        self,
        keyring: Keyring,
        blobs: Blobs,
        ids: BodyIds,
        pool: Executor,
        inline_limit: int = INLINE_LIMIT,
        *,
        room: Callable[[], int] | None = None,
        reserve: int = RESERVE_BYTES,
    ) -> None:
        if not 0 <= inline_limit <= FRAME:
            raise ValueError(f"inline_limit must be between 0 and {FRAME}")
        self._keyring = keyring
        self._blobs = blobs
        self._ids = ids
        self._pool = pool
        self._inline_limit = inline_limit
        self._room = room
        self._reserve = reserve

    async def seal(self, content: Content, summary: bytes) -> Sealed:
        """Encrypt; for a large message also write the blob, durable when this returns (F13: blob first, row after).

        Raises :class:`StoreFull` when it would eat into the reserve.
        """
        if self._room is not None and self._room() - len(content) < self._reserve:
            raise StoreFull("the disk is nearly full")
        body_id = self._ids.next()
        if len(content) > self._inline_limit:
            return await self._seal_large(body_id, content, summary)
        if len(content) > ON_LOOP_LIMIT:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, seal_small, body_id, content, summary)
        return seal_small(body_id, content, summary)

    async def _seal_large(self, body_id: int, content: Content, summary: bytes) -> Sealed:
        data_key = os.urandom(KEY_BYTES)
        cipher = AESGCM(data_key)
        digest = hashlib.sha256()
        reference = f"{body_id:016x}"
        await self._blobs.put(reference, frames(cipher, body_id, content, digest.update))
        return Sealed(
            body_id=body_id,
            size=len(content),
            sha256=digest.digest(),
            inline=None,
            blob=reference,
            summary=seal_summary(cipher, body_id, summary),
            data_key=data_key,
        )

    async def discard(self, sealed: Sealed) -> None:
        """Forget a sealed message that was not committed: its blob, if any, is removed."""
        if sealed.blob:
            await self._blobs.delete(sealed.blob)

    def wrap(self, sealed: Sealed, mailbox_id: int, connection: Connection | None = None) -> bytes:
        """The message's key under a mailbox's (0: the queue's, always at hand). Raises :class:`MailboxGone`."""
        cipher = self._keyring.cached(mailbox_id)
        if cipher is None:
            if connection is None:
                raise MailboxGone(f"the key of mailbox {mailbox_id} is not at hand")
            cipher = self._keyring.key(connection, mailbox_id)
        return wrap_key(cipher, sealed.data_key, mailbox_id, sealed.body_id)


def seal_small(body_id: int, content: Content, summary: bytes) -> Sealed:
    """Encrypt a message of at most one frame."""
    drawn = os.urandom(KEY_BYTES + NONCE_BYTES)  # each call lets another thread have the interpreter: one is enough
    data_key = drawn[:KEY_BYTES]
    cipher = AESGCM(data_key)
    return Sealed(
        body_id=body_id,
        size=len(content),
        sha256=hashlib.sha256(content).digest(),
        inline=FORMAT + cipher.encrypt(_nonce(0, last=True), content, _context(body_id)),
        blob="",
        summary=seal_summary(cipher, body_id, summary, drawn[KEY_BYTES:]),
        data_key=data_key,
    )


def open_small(data_key: bytes, body_id: int, data: bytes) -> bytes:
    """The message of :func:`seal_small`."""
    if data[:1] != FORMAT:
        raise Corrupted(f"{body_id:x}")
    try:
        return AESGCM(data_key).decrypt(_LAST_ONLY, memoryview(data)[1:], _context(body_id))
    except InvalidTag as error:
        raise Corrupted(f"{body_id:x}") from error


def seal_summary(cipher: AESGCM, body_id: int, summary: bytes, nonce: bytes = b"") -> bytes:
    """``nonce`` is random, and drawn here when it is not given."""
    nonce = nonce or os.urandom(NONCE_BYTES)
    return FORMAT + nonce + cipher.encrypt(nonce, summary, _summary_context(body_id))


def open_summary(data_key: bytes, body_id: int, data: bytes) -> bytes:
    """The packed summary of a message."""
    if data[:1] != FORMAT:
        raise Corrupted(f"{body_id:x}")
    try:
        return AESGCM(data_key).decrypt(data[1:13], memoryview(data)[13:], _summary_context(body_id))
    except (InvalidTag, ValueError) as error:  # ValueError: too short to hold a nonce
        raise Corrupted(f"{body_id:x}") from error


def open_smalls(cipher: AESGCM, mailbox_id: int, entries: Sequence[Entry], found: Mapping[int, bytes]) -> list[bytes]:
    """The messages of many entries of a mailbox, ``found`` being their ciphertexts by body.

    The same as unwrapping each key for :func:`open_small`, in two thirds of the time. Raises what those do, and
    :class:`MissingBody`.
    """
    try:
        opened = _opened(cipher, mailbox_id, entries, found)
        return [one.decrypt(_LAST_ONLY, data[1:], _BODY + name) for one, data, name in opened]
    except _UNREADABLE:
        return _one_by_one(cipher, mailbox_id, entries, found, open_small)


def open_summaries(
    cipher: AESGCM, mailbox_id: int, entries: Sequence[Entry], found: Mapping[int, bytes]
) -> list[bytes]:
    """The packed summaries of many entries, in the same way."""
    try:
        opened = _opened(cipher, mailbox_id, entries, found)
        return [one.decrypt(data[1:13], data[13:], _SUMMARY + name) for one, data, name in opened]
    except _UNREADABLE:
        return _one_by_one(cipher, mailbox_id, entries, found, open_summary)


_UNREADABLE = (KeyError, Corrupted, InvalidTag, ValueError, IndexError)  # the last two: too short to be ours


def _opened(
    cipher: AESGCM, mailbox_id: int, entries: Sequence[Entry], found: Mapping[int, bytes]
) -> Iterator[tuple[AESGCM, bytes, bytes]]:
    """Each message's own cipher, its ciphertext, and the body's name as associated data has it."""
    unwrap, owner = cipher.decrypt, b"%d/%%d" % mailbox_id
    for entry in entries:
        body_id, key = entry[6], entry[7]
        data = found[body_id]
        if data[0] != _FORMAT or key[0] != _FORMAT:
            raise Corrupted
        yield AESGCM(unwrap(key[1:13], key[13:], owner % body_id)), data, body_id.to_bytes(8, "big")


def _one_by_one(
    cipher: AESGCM,
    mailbox_id: int,
    entries: Sequence[Entry],
    found: Mapping[int, bytes],
    open_one: Callable[[bytes, int, bytes], bytes],
) -> list[bytes]:
    """The slow way, which names the body that cannot be read."""
    plain = []
    for entry in entries:
        body_id = entry.body_id
        data = found.get(body_id)
        if data is None:
            raise MissingBody(f"{body_id:x}")
        plain.append(open_one(unwrap_key(cipher, entry.key, mailbox_id, body_id), body_id, data))
    return plain


# framed blobs


def frames(cipher: AESGCM, body_id: int, content: Content, seen: Callable[[Content], None]) -> Iterator[bytes]:
    """The blob of a message, in pieces; ``seen`` is told each block of plaintext (it computes the digest)."""
    context = _context(body_id)
    view = memoryview(content)
    yield FORMAT
    count = frame_count(len(view))
    for index in range(count):
        block = view[index * FRAME : (index + 1) * FRAME]
        seen(block)
        yield cipher.encrypt(_nonce(index, last=index == count - 1), block, context)


def frame_count(size: int) -> int:
    """Frames of a message of ``size`` bytes; an empty one has one."""
    return max(1, -(-size // FRAME))


def frame_span(size: int, offset: int, length: int) -> tuple[int, int, int, int]:
    """Which frames hold a range: first and last index, offset and length of their ciphertext in the blob."""
    first = offset // FRAME
    last = (min(offset + length, size) - 1) // FRAME
    start = len(FORMAT) + first * (FRAME + TAG)
    end = min(len(FORMAT) + (last + 1) * (FRAME + TAG), len(FORMAT) + size + frame_count(size) * TAG)
    return first, last, start, end - start


def open_frames(cipher: AESGCM, body_id: int, size: int, first: int, data: bytes) -> bytes:
    """Plaintext of consecutive frames, the first of which has index ``first``."""
    context = _context(body_id)
    end = frame_count(size) - 1
    view = memoryview(data)
    parts = []
    for position in range(0, len(view), FRAME + TAG):
        index = first + position // (FRAME + TAG)
        try:
            parts.append(
                cipher.decrypt(_nonce(index, last=index == end), view[position : position + FRAME + TAG], context)
            )
        except InvalidTag as error:
            raise Corrupted(f"{body_id:x}") from error
    return b"".join(parts)


def _nonce(index: int, *, last: bool) -> bytes:
    """7 zero bytes (the key is used for one message only), the frame's number, the mark of the last frame."""
    return b"\0\0\0\0\0\0\0" + index.to_bytes(4, "big") + (b"\1" if last else b"\0")


_LAST_ONLY = _nonce(0, last=True)


_BODY, _SUMMARY = b"caducee body", b"caducee summary"


def _context(body_id: int) -> bytes:
    return _BODY + body_id.to_bytes(8, "big")


def _summary_context(body_id: int) -> bytes:
    return _SUMMARY + body_id.to_bytes(8, "big")
