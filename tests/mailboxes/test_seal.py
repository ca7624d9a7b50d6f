"""Sealing: every byte comes back, every alteration is noticed, any range needs only its frames (MSS-067)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from mailboxes import seal
from mailboxes.blobs import FileBlobs, MemoryBlobs, OpenBlob
from mailboxes.body_readers import FramedBody, InlineBody
from mailboxes.keys import Keyring, LocalMasterKey, wrap_key
from mailboxes.seal import FRAME, TAG, BodyIds, Sealer, frame_count, frame_span, open_frames, open_small, open_summary
from mailboxes.store import Corrupted, Entry, MailboxGone, MissingBody, StoreFull
from tests.stores import open_files

LARGE = os.urandom(3 * FRAME + 1000)


@pytest.fixture
async def pool() -> AsyncIterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


@pytest.fixture
async def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
async def sealer(pool: ThreadPoolExecutor, blobs: MemoryBlobs) -> Sealer:
    return Sealer(Keyring(LocalMasterKey(b"m" * 32), lambda: 0.0), blobs, BodyIds(1), pool)


@pytest.mark.parametrize("size", [0, 1, 2048, seal.ON_LOOP_LIMIT, seal.ON_LOOP_LIMIT + 1, seal.INLINE_LIMIT])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_a_small_message_goes_into_the_row(sealer: Sealer, blobs: MemoryBlobs, size: int, kind: type) -> None:
    content = os.urandom(size)
    sealed = await sealer.seal(kind(content), b"summary")
    assert sealed.inline is not None
    assert sealed.blob == ""
    assert blobs.kept == {}
    assert (sealed.size, sealed.sha256) == (size, hashlib.sha256(content).digest())
    assert open_small(sealed.data_key, sealed.body_id, sealed.inline) == content
    assert open_summary(sealed.data_key, sealed.body_id, sealed.summary) == b"summary"


async def test_a_large_message_goes_into_a_blob(sealer: Sealer, blobs: MemoryBlobs) -> None:
    sealed = await sealer.seal(LARGE, b"summary")
    assert sealed.inline is None
    assert (sealed.size, sealed.sha256) == (len(LARGE), hashlib.sha256(LARGE).digest())
    stored = blobs.kept[sealed.blob]
    assert len(stored) == 1 + len(LARGE) + 4 * TAG
    await sealer.discard(sealed)
    assert blobs.kept == {}


async def test_a_sealed_message_keeps_its_key_out_of_sight(sealer: Sealer) -> None:
    sealed = await sealer.seal(b"content", b"summary")
    assert sealed.data_key not in repr(sealed).encode("latin-1")
    assert "data_key" not in repr(sealed)


async def test_a_mailbox_key_that_is_not_at_hand_is_said_so(sealer: Sealer) -> None:
    with pytest.raises(MailboxGone):
        sealer.wrap(await sealer.seal(b"x", b""), 7)


def test_the_inline_limit_is_at_most_a_frame(pool: ThreadPoolExecutor) -> None:
    with pytest.raises(ValueError, match="inline_limit"):
        Sealer(Keyring(LocalMasterKey(b"m" * 32), lambda: 0.0), MemoryBlobs(), BodyIds(1), pool, FRAME + 1)


async def test_a_nearly_full_disk_takes_no_new_message(pool: ThreadPoolExecutor) -> None:
    free = [5000]
    ring = Keyring(LocalMasterKey(b"m" * 32), lambda: 0.0)
    sealer = Sealer(ring, MemoryBlobs(), BodyIds(1), pool, room=lambda: free[0], reserve=1000)
    await sealer.seal(b"x" * 4000, b"")
    with pytest.raises(StoreFull):
        await sealer.seal(b"x" * 4001, b"")
    free[0] += 1
    await sealer.seal(b"x" * 4001, b"")


@pytest.mark.parametrize("size", [1, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, len(LARGE)])
async def test_any_range_of_a_blob_is_read(pool: ThreadPoolExecutor, size: int) -> None:
    blobs = MemoryBlobs()
    sealer = Sealer(Keyring(LocalMasterKey(b"m" * 32), lambda: 0.0), blobs, BodyIds(1), pool, inline_limit=0)
    content = LARGE[:size]
    sealed = await sealer.seal(content, b"")
    reader = FramedBody(blobs, pool, sealed.blob, sealed.data_key, sealed.body_id, size)
    edges = {0, 1, size // 2, FRAME - 1, FRAME, FRAME + 1, size - 1, size, size + 5}
    for offset in edges:
        for length in (0, 1, 100, FRAME, size, size * 2):
            assert await reader.read(offset, length) == content[offset : offset + length]
    assert await reader.read(-1, 5) == b""


async def test_a_range_reads_only_its_frames(sealer: Sealer, blobs: MemoryBlobs, pool: ThreadPoolExecutor) -> None:
    sealed = await sealer.seal(LARGE, b"")
    asked: list[tuple[int, int]] = []

    class Asked:
        async def read(self, offset: int, length: int) -> bytes:
            asked.append((offset, length))
            return await blobs.read(sealed.blob, offset, length)

    class Watched(MemoryBlobs):
        async def open(self, reference: str) -> OpenBlob:
            return Asked()

    reader = FramedBody(Watched(), pool, sealed.blob, sealed.data_key, sealed.body_id, sealed.size)
    await reader.read(FRAME + 10, 20)
    await reader.read(FRAME + 30, 20)
    assert asked == [(1 + FRAME + TAG, FRAME + TAG)]


async def test_a_body_read_to_its_end_holds_no_file(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    files = FileBlobs(tmp_path / "blobs", pool)
    sealer = Sealer(Keyring(LocalMasterKey(b"m" * 32), lambda: 0.0), files, BodyIds(1), pool)
    sealed = await sealer.seal(LARGE, b"")
    reader = FramedBody(files, pool, sealed.blob, sealed.data_key, sealed.body_id, sealed.size)
    assert await reader.read(0, 10) == LARGE[:10]
    assert open_files(tmp_path) == 1
    assert await reader.read(0, sealed.size) == LARGE
    assert open_files(tmp_path) == 0


async def test_altered_cut_swapped_and_foreign_frames_are_refused(
    sealer: Sealer, blobs: MemoryBlobs, pool: ThreadPoolExecutor
) -> None:
    sealed = await sealer.seal(LARGE, b"")
    good = blobs.kept[sealed.blob]
    step = FRAME + TAG
    first, second, rest = good[1 : 1 + step], good[1 + step : 1 + 2 * step], good[1 + 2 * step :]

    async def read(data: bytes, *, size: int = sealed.size, body_id: int = sealed.body_id) -> bytes:
        blobs.kept[sealed.blob] = data
        reader = FramedBody(blobs, pool, sealed.blob, sealed.data_key, body_id, size)
        return await reader.read(0, size)

    assert await read(good) == LARGE
    flipped = bytearray(good)
    flipped[FRAME // 2] ^= 1
    for bad in (bytes(flipped), good[:-1], good[:1] + second + first + rest, good[: 1 + step], good[:1]):
        with pytest.raises(Corrupted):
            await read(bad)
    with pytest.raises(Corrupted):
        await read(good, body_id=sealed.body_id + 1)
    with pytest.raises(Corrupted):  # a whole number of frames fewer: the last is not marked as the last
        await read(good[: 1 + 2 * step], size=2 * FRAME)
    blobs.kept.clear()
    reader = FramedBody(blobs, pool, sealed.blob, sealed.data_key, sealed.body_id, sealed.size)
    with pytest.raises(MissingBody):
        await reader.read(0, 1)


@given(st.binary(max_size=200), st.integers(0, 199), st.integers(1, 255))
def test_one_altered_byte_is_noticed(content: bytes, place: int, difference: int) -> None:
    sealed = seal.seal_small(5, content, b"summary" + content)
    assert sealed.inline is not None
    for data, opener in ((sealed.inline, open_small), (sealed.summary, open_summary)):
        bad = bytearray(data)
        bad[place % len(bad)] ^= difference
        with pytest.raises(Corrupted):
            opener(sealed.data_key, 5, bytes(bad))
        with pytest.raises(Corrupted):
            opener(sealed.data_key, 6, data)


@given(st.integers(0, 5 * FRAME), st.integers(0, 5 * FRAME), st.integers(1, 5 * FRAME))
@settings(max_examples=200)
def test_the_span_of_a_range_holds_it(size: int, offset: int, length: int) -> None:
    size = max(size, 1)
    offset %= size
    first, last, start, extent = frame_span(size, offset, length)
    assert first * FRAME <= offset < (first + 1) * FRAME
    assert last * FRAME < min(offset + length, size) <= (last + 1) * FRAME
    assert start == 1 + first * (FRAME + TAG)
    assert start + extent <= 1 + size + frame_count(size) * TAG


@given(st.binary(max_size=60))
def test_no_bytes_open_as_a_message(junk: bytes) -> None:
    for opener in (open_small, open_summary):
        with pytest.raises(Corrupted):
            opener(b"k" * 32, 5, junk)
        with pytest.raises(Corrupted):
            opener(b"k" * 32, 5, seal.FORMAT + junk)


@pytest.mark.parametrize("opener", ["open_smalls", "open_summaries"])
def test_many_messages_are_opened_the_quick_way(opener: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow way opens the same, so that nothing else would show when the quick one no longer fits what is written."""
    mailbox = AESGCM(b"m" * 32)
    entries, found = [], {}
    for body_id in (5, 6):
        sealed = seal.seal_small(body_id, b"content %d" % body_id, b"summary %d" % body_id)
        assert sealed.inline is not None
        entries.append(Entry(1, 1, "", 9, 0, 0, body_id, wrap_key(mailbox, sealed.data_key, 7, body_id), 1))
        found[body_id] = sealed.inline if opener == "open_smalls" else sealed.summary
    word = b"content" if opener == "open_smalls" else b"summary"
    with monkeypatch.context() as quick:
        quick.delattr(seal, "_one_by_one")
        assert getattr(seal, opener)(mailbox, 7, entries, found) == [word + b" 5", word + b" 6"]
    for spoiled in (b"", b"\x02" + found[6][1:], found[5], found[6][:9]):
        with pytest.raises(Corrupted, match="6"):
            getattr(seal, opener)(mailbox, 7, entries, {**found, 6: spoiled})
    with pytest.raises(MissingBody, match="6"):
        getattr(seal, opener)(mailbox, 7, entries, {5: found[5]})


def test_an_empty_message_has_one_frame() -> None:
    cipher = AESGCM(b"k" * 32)
    parts = list(seal.frames(cipher, 5, b"", lambda block: None))
    assert open_frames(cipher, 5, 0, 0, parts[1]) == b""


async def test_an_inline_body_is_read_by_range() -> None:
    body = InlineBody(b"0123456789")
    assert (body.size, await body.read(3, 4), await body.read(8, 9)) == (10, b"3456", b"89")


def test_body_ids_grow_even_when_the_clock_goes_back() -> None:
    now = [2_000_000_000.0]
    ids = BodyIds(3, lambda: now[0])
    seen = [ids.next() for _ in range(1000)]
    now[0] -= 7200
    seen += [ids.next() for _ in range(1000)]
    now[0] += 86400
    seen.append(ids.next())
    assert seen == sorted(set(seen))
    assert max(seen) < 1 << 63


def test_two_processes_never_make_the_same_id() -> None:
    clock = lambda: 2_000_000_000.0  # noqa: E731
    one, two = BodyIds(1, clock), BodyIds(2, clock)
    assert {one.next() for _ in range(5000)}.isdisjoint({two.next() for _ in range(5000)})
