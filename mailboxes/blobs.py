"""Large ciphertexts, outside the database: files on this machine, an S3 bucket, or memory.

A blob is written once under a reference the caller chose and never changed. Write order is blob, then row; delete order
is row, then blob: a crash leaves at worst a blob nobody refers to, which :mod:`mailboxes.fsck` finds.
Promise: :meth:`Blobs.put` returns after the bytes and their name are on disk (file synced, renamed, directory synced);
a half-written blob never has its name. Nothing here sees a plaintext.
Failure: :class:`StoreFull`, :class:`BlobsUnavailable` (a folder without its mark is one, :mod:`mailboxes.blob_mark`), and
:class:`MissingBody` for a reference that is not there.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from mailboxes.blob_mark import Mark
from mailboxes.given import create, make_folder, sync_folder
from mailboxes.store import BlobsUnavailable, MissingBody, StoreError, StoreFull

T = TypeVar("T")

_FULL = {errno.ENOSPC, errno.EDQUOT}
_TEMPORARY = ".part"


class Found(NamedTuple):
    """A blob as :meth:`Blobs.stored` sees it: ``modified`` is in seconds since the epoch."""

    reference: str
    modified: float
    size: int


class OpenBlob(Protocol):
    """A blob somebody is reading."""

    async def read(self, offset: int, length: int) -> bytes:
        """Bytes from ``offset``, shorter only at the end."""
        ...


class Blobs(Protocol):
    """The port. References are short ASCII words without ``/``."""

    async def put(self, reference: str, frames: Iterable[bytes]) -> None:
        """Write ``frames`` one after the other; durable when it returns. ``frames`` is consumed off the event loop."""
        ...

    async def open(self, reference: str) -> OpenBlob:
        """For reading in several pieces: what is open stays readable when it is deleted meanwhile, except in a bucket."""
        ...

    async def read(self, reference: str, offset: int, length: int) -> bytes:
        """Bytes from ``offset``, shorter only at the end."""
        ...

    async def delete(self, reference: str) -> None:
        """Remove it; nothing happens when it is not there."""
        ...

    def stored(self) -> AsyncIterator[Found]:
        """All blobs, half-written ones included, in no order."""
        ...


class MemoryBlobs:
    """The in-memory twin, for tests."""

    def __init__(self, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.kept: dict[str, bytes] = {}
        self._written: dict[str, float] = {}
        self._clock = clock

    async def put(self, reference: str, frames: Iterable[bytes]) -> None:
        self.kept[reference] = b"".join(frames)
        self._written[reference] = self._clock()

    async def open(self, reference: str) -> OpenBlob:
        if reference not in self.kept:
            raise MissingBody(reference)
        return _OpenMemory(self.kept[reference])

    async def read(self, reference: str, offset: int, length: int) -> bytes:
        return await (await self.open(reference)).read(offset, length)

    async def delete(self, reference: str) -> None:
        self.kept.pop(reference, None)
        self._written.pop(reference, None)

    async def stored(self) -> AsyncIterator[Found]:
        for reference, data in list(self.kept.items()):
            yield Found(reference, self._written[reference], len(data))


class _OpenMemory:
    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]


class FileBlobs:
    """One file per blob in 256 directories. ``pool`` runs what touches the disk; ``mark`` knows ours from another."""

    def __init__(self, root: Path, pool: Executor, mark: Mark | None = None) -> None:
        self._root = root
        self._pool = pool
        self._mark = mark or Mark(root)
        self._known: set[Path] = set()

    async def put(self, reference: str, frames: Iterable[bytes]) -> None:
        await self._away(self._put, reference, frames)

    async def open(self, reference: str) -> OpenBlob:
        return await self._away(self._open, reference)

    async def read(self, reference: str, offset: int, length: int) -> bytes:
        return await self._away(self._read, reference, offset, length)

    async def delete(self, reference: str) -> None:
        await self._away(self._delete, reference)

    async def stored(self) -> AsyncIterator[Found]:
        for directory in await self._away(self._directories):
            for found in await self._away(_files, directory):
                yield found

    async def _away(self, work: Callable[..., T], *arguments: Any) -> T:
        try:
            return await _away(self._pool, work, *arguments)
        except MissingBody:
            await _away(self._pool, self._mark.demand)  # lost is only what is missing on our own disk
            raise

    def _path(self, reference: str) -> Path:
        return place(self._root, reference)

    def _directories(self) -> list[Path]:
        return sorted(path for path in self._root.iterdir() if path.is_dir()) if self._root.exists() else []

    def _put(self, reference: str, frames: Iterable[bytes]) -> None:
        self._mark.demand()
        path = self._path(reference)
        self._directory(path.parent)
        part = path.with_name(path.name + _TEMPORARY)
        try:
            _write(part, frames)
            part.rename(path)
            sync_folder(path.parent)
        except BaseException:
            # Never a second fsync on what failed: the bytes are thrown away and the sender starts again (F05, F06).
            part.unlink(missing_ok=True)
            raise

    def _directory(self, directory: Path) -> None:
        if directory in self._known and directory.is_dir():  # another disk may be in its place by now
            return
        missing = [directory]
        while not missing[-1].parent.exists():
            missing.append(missing[-1].parent)
        for one in reversed(missing):
            make_folder(one)
            sync_folder(one.parent)  # else the new directory, and all in it, may vanish with the power
        self._known.add(directory)

    def _open(self, reference: str) -> _OpenFile:
        return _OpenFile(os.open(self._path(reference), os.O_RDONLY | os.O_CLOEXEC), self._pool)

    def _read(self, reference: str, offset: int, length: int) -> bytes:
        return self._open(reference).read_now(offset, length)

    def _delete(self, reference: str) -> None:
        self._path(reference).unlink(missing_ok=True)


def place(root: Path, reference: str) -> Path:
    """Where :class:`FileBlobs` keeps a blob."""
    name = reference.removesuffix(_TEMPORARY)  # a half-written blob lies beside the whole one
    shard = hashlib.blake2b(name.encode("ascii"), digest_size=1).hexdigest()
    return root / shard / reference


class _OpenFile:
    """Closed when nobody has it any more."""

    __slots__ = ("_handle", "_pool")

    def __init__(self, handle: int, pool: Executor) -> None:
        self._handle = handle
        self._pool = pool

    def __del__(self) -> None:
        os.close(self._handle)

    async def read(self, offset: int, length: int) -> bytes:
        return await _away(self._pool, self.read_now, offset, length)

    def read_now(self, offset: int, length: int) -> bytes:
        return _read_fully(self._handle, offset, length)


async def _away(pool: Executor, work: Callable[..., T], *arguments: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(pool, _translated, work, arguments)


def _write(path: Path, frames: Iterable[bytes]) -> None:
    handle = create(path, os.O_WRONLY | os.O_TRUNC)
    try:
        for frame in frames:
            _write_fully(handle, frame)
        os.fsync(handle)
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)  # an error of close is an error of the write


def _write_fully(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _read_fully(handle: int, offset: int, length: int) -> bytes:
    data = os.pread(handle, length, offset)
    if len(data) in (0, length):
        return data
    parts = [data]
    done = len(data)
    while done < length and (data := os.pread(handle, length - done, offset + done)):
        parts.append(data)
        done += len(data)
    return b"".join(parts)


def _files(directory: Path) -> list[Found]:
    found = []
    with os.scandir(directory) as entries:
        for entry in entries:
            state = entry.stat(follow_symlinks=False)
            found.append(Found(entry.name, state.st_mtime, state.st_size))
    return found


def _translated(work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    try:
        return work(*arguments)
    except FileNotFoundError as error:
        raise MissingBody("no such blob") from error
    except OSError as error:
        raise _said(error) from error


def _said(error: OSError) -> StoreError:
    kind = StoreFull if error.errno in _FULL else BlobsUnavailable
    return kind(errno.errorcode.get(error.errno or 0, "OSError"))


class S3Blobs:
    """Objects in a bucket, through obstore. ``prefix`` keeps one operator's blobs together."""

    def __init__(self, store: Any, prefix: str = "bodies") -> None:
        self._store = store
        self._prefix = prefix

    async def put(self, reference: str, frames: Iterable[bytes]) -> None:
        import obstore

        try:
            # A lazy iterator makes obstore upload in parts, so a large message is never whole in memory twice.
            await obstore.put_async(self._store, self._key(reference), _lazily(frames))
        except Exception as error:
            raise _said_by_s3(error) from error

    async def open(self, reference: str) -> OpenBlob:
        return _OpenObject(self, reference)

    async def read(self, reference: str, offset: int, length: int) -> bytes:
        import obstore

        try:
            return bytes(await obstore.get_range_async(self._store, self._key(reference), start=offset, length=length))
        except FileNotFoundError as error:
            raise MissingBody("no such blob") from error
        except Exception as error:
            raise _said_by_s3(error) from error

    async def delete(self, reference: str) -> None:
        import obstore

        try:
            await obstore.delete_async(self._store, self._key(reference))
        except FileNotFoundError:
            return
        except Exception as error:
            raise _said_by_s3(error) from error

    async def stored(self) -> AsyncIterator[Found]:
        import obstore

        try:
            async for page in obstore.list(self._store, prefix=self._prefix):
                for item in page:
                    name = str(item["path"]).rpartition("/")[2]
                    yield Found(name, item["last_modified"].timestamp(), int(item["size"]))
        except Exception as error:
            raise _said_by_s3(error) from error

    def _key(self, reference: str) -> str:
        return f"{self._prefix}/{reference}"


class _OpenObject:
    """A bucket keeps nothing open: each piece is a request, and the object may go between two."""

    __slots__ = ("_blobs", "_reference")

    def __init__(self, blobs: S3Blobs, reference: str) -> None:
        self._blobs = blobs
        self._reference = reference

    async def read(self, offset: int, length: int) -> bytes:
        return await self._blobs.read(self._reference, offset, length)


def _lazily(frames: Iterable[bytes]) -> Iterator[bytes]:
    yield from frames


def _said_by_s3(error: Exception) -> StoreError:
    return error if isinstance(error, StoreError) else BlobsUnavailable(type(error).__name__)
