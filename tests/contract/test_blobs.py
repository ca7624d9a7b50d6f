"""What every blob store must do: memory, files, S3 (moto's server on a loopback port)."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway import compose
from mailboxes.blob_mark import NAME, Mark, claim
from mailboxes.blobs import Blobs, FileBlobs, MemoryBlobs, S3Blobs, place
from mailboxes.engine import Database, cursor_of, open_database
from mailboxes.store import BlobsUnavailable, BlobsUnmounted, MissingBody, StoreFull, StoreUnavailable
from mailboxes.tables import body
from tests.stores import open_files


@pytest.fixture(scope="module")
def s3_address() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def bucket(address: str, name: str = "caducee") -> S3Blobs:
    import urllib.request

    from obstore.store import S3Store

    request = urllib.request.Request(f"{address}/{name}", method="PUT")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
    store = S3Store(
        name,
        endpoint=address,
        access_key_id="test",
        secret_access_key="test",
        region="us-east-1",
        client_options={"allow_http": True},
    )
    return S3Blobs(store, prefix=f"test-{os.urandom(4).hex()}")


@pytest.fixture(params=["memory", "files", "s3"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Blobs]:
    if request.param == "memory":
        yield MemoryBlobs()
    elif request.param == "s3":
        yield bucket(request.getfixturevalue("s3_address"))
    else:
        with ThreadPoolExecutor(2) as pool:
            yield FileBlobs(tmp_path / "blobs", pool)


async def test_what_was_put_is_read_by_range(blobs: Blobs) -> None:
    frames = [os.urandom(1000), b"", os.urandom(70_000)]
    whole = b"".join(frames)
    await blobs.put("00ff", iter(frames))
    assert await blobs.read("00ff", 0, len(whole)) == whole
    assert await blobs.read("00ff", 990, 20) == whole[990:1010]
    assert await blobs.read("00ff", len(whole) - 5, 100) == whole[-5:]


async def test_a_large_blob_comes_back_whole(blobs: Blobs) -> None:
    frame = os.urandom(1 << 20)
    await blobs.put("large", (frame for _ in range(12)))
    assert await blobs.read("large", 0, 12 << 20) == frame * 12


async def test_a_missing_blob_is_said_missing(blobs: Blobs) -> None:
    with pytest.raises(MissingBody):
        await blobs.read("absent", 0, 1)


async def test_deleting_is_final_and_may_be_repeated(blobs: Blobs) -> None:
    await blobs.put("gone", [b"x"])
    await blobs.delete("gone")
    await blobs.delete("gone")
    with pytest.raises(MissingBody):
        await blobs.read("gone", 0, 1)


async def test_what_is_open_is_read_to_its_end_whoever_deletes_it(blobs: Blobs) -> None:
    await blobs.put("read", [b"abc", b"def"])
    opened = await blobs.open("read")
    assert await opened.read(0, 3) == b"abc"
    await blobs.delete("read")
    if isinstance(blobs, S3Blobs):
        with pytest.raises(MissingBody):
            await opened.read(3, 3)
    else:
        assert await opened.read(3, 9) == b"def"


async def test_an_open_file_is_closed_with_its_reader(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        blobs = FileBlobs(tmp_path / "blobs", pool)
        await blobs.put("read", [b"abc"])
        opened = [await blobs.open("read") for _ in range(20)]
        assert open_files(tmp_path) == 20
        opened.clear()
        # The event loop holds on to the last one for this turn, the thread that opened it until it waits for more.
        for _ in range(200):
            await asyncio.sleep(0.01)
            if not open_files(tmp_path):
                break
        assert open_files(tmp_path) == 0


async def test_all_blobs_are_listed_with_their_age_and_size(blobs: Blobs) -> None:
    assert [found async for found in blobs.stored()] == []
    for number in range(5):
        await blobs.put(f"blob{number}", [b"x" * number])
    found = {one.reference: one async for one in blobs.stored()}
    assert {name: one.size for name, one in found.items()} == {f"blob{number}": number for number in range(5)}
    assert all(one.modified >= 0 for one in found.values())


async def test_a_put_that_fails_leaves_nothing(blobs: Blobs) -> None:
    def frames() -> Iterator[bytes]:
        yield b"half"
        raise StoreUnavailable("the source failed")

    with pytest.raises(StoreUnavailable):
        await blobs.put("half", frames())
    with pytest.raises(MissingBody):
        await blobs.read("half", 0, 1)
    assert [found.reference async for found in blobs.stored()] == []


# files


async def test_errors_of_the_disk_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def failing(number: int) -> Callable[..., None]:
        def fail(*_: object) -> None:
            raise OSError(number, "made up")

        return fail

    with ThreadPoolExecutor(1) as pool:
        blobs = FileBlobs(tmp_path, pool)
        for step in ("fsync", "write", "close"):
            for number, kind in ((errno.EIO, StoreUnavailable), (errno.ENOSPC, StoreFull)):
                with monkeypatch.context() as patched:
                    patched.setattr(f"mailboxes.blobs.os.{step}", failing(number))
                    with pytest.raises(kind):
                        await blobs.put("x", [b"data"])
                assert [found async for found in blobs.stored()] == []
        await blobs.put("x", [b"data"])
        assert await blobs.read("x", 0, 9) == b"data"


async def test_a_disk_that_was_replaced_serves_at_once(tmp_path: Path) -> None:
    """Folders made on the old one were taken for granted: what belonged in them was put off until a restart."""
    with ThreadPoolExecutor(1) as pool:
        blobs = FileBlobs(tmp_path / "blobs", pool)
        await blobs.put("00", [b"old"])
        (tmp_path / "blobs").rename(tmp_path / "old")
        await blobs.put("00", [b"new"])
        assert await blobs.read("00", 0, 9) == b"new"


async def test_a_half_written_file_never_has_the_name(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        blobs = FileBlobs(tmp_path, pool)
        seen: list[list[str]] = []

        def frames() -> Iterator[bytes]:
            yield b"first"
            seen.append([path.name for path in tmp_path.rglob("*") if path.is_file()])
            yield b"second"

        await blobs.put("whole", frames())
        assert seen == [["whole.part"]]
        [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert path.name == "whole"
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_a_server_that_is_away_is_said_unavailable(s3_address: str) -> None:
    from obstore.store import S3Store

    from tests.postgres import free_port

    away = S3Blobs(
        S3Store(
            "caducee",
            endpoint=f"http://127.0.0.1:{free_port()}",
            access_key_id="test",
            secret_access_key="test",
            region="us-east-1",
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )
    )
    with pytest.raises(StoreUnavailable):
        await away.put("x", [b"x"])
    with pytest.raises(StoreUnavailable):
        await away.read("x", 0, 1)
    with pytest.raises(StoreUnavailable):
        await away.delete("x")
    with pytest.raises(StoreUnavailable):
        [found async for found in away.stored()]


async def test_a_bucket_that_never_answers_is_away_when_patience_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """F12: obstore tried for three minutes, longer than mail programs wait."""
    monkeypatch.setattr(compose, "S3_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(2) as pool:
        keys = {"s3_access_key": "", "s3_secret_key": "", "s3_region": "fr-par"}
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        config: Any = SimpleNamespace(store=SimpleNamespace(blobs="s3://caducee", s3_endpoint=endpoint, **keys))
        blobs = compose.blob_store(config, pool)
        async with asyncio.timeout(10):
            with pytest.raises(BlobsUnavailable):
                await blobs.put("silent", iter([b"x"]))
            with pytest.raises(BlobsUnavailable):
                await blobs.read("silent", 0, 1)


# the mark of the folder


def mark_of(database: Database, root: Path, bodies: tuple[str, ...] = ()) -> Mark:
    """What a start would find, with ``bodies`` of large messages in the database."""
    with database.turn(), database.writer.begin() as connection:
        for number, blob in enumerate(bodies):
            values = {"body_id": number, "refs": 1, "size": 1, "sha256": b"", "blob": blob}
            connection.execute(body.insert(), values)
        return claim(cursor_of(connection), root, lambda blob: place(root, blob).exists())


@pytest.fixture
def database() -> Database:
    database = open_database("sqlite://")
    database.create_tables()
    return database


async def test_nothing_is_written_or_called_lost_where_the_disk_is_not_mounted(
    tmp_path: Path, database: Database
) -> None:
    """Bodies lay on the disk below, hidden the day ours was mounted again, and queued mail was given back as lost."""
    root, unmounted = tmp_path / "blobs", tmp_path / "away"
    with ThreadPoolExecutor(1) as pool:
        blobs = FileBlobs(root, pool, mark_of(database, root))
        await blobs.put("0", [b"kept"])
        root.rename(unmounted)
        root.mkdir()
        for work in (blobs.put("1", [b"lost"]), blobs.read("0", 0, 9), blobs.open("0")):
            with pytest.raises(BlobsUnmounted):
                await work
        assert not list(root.iterdir())
        with pytest.raises(BlobsUnmounted, match="mounted"):
            mark_of(database, root).demand()
        root.rmdir()
        unmounted.rename(root)
        await blobs.put("1", [b"back"])
        with pytest.raises(MissingBody):
            await blobs.read("2", 0, 1)
        assert [await blobs.read(name, 0, 9) for name in "01"] == [b"kept", b"back"]


async def test_a_folder_of_an_older_release_is_known_by_what_lies_in_it(tmp_path: Path, database: Database) -> None:
    root = tmp_path / "blobs"
    root.mkdir()
    mark = mark_of(database, root, ("0", "1"))
    with pytest.raises(BlobsUnmounted):
        mark.demand()
    with ThreadPoolExecutor(1) as pool:
        await FileBlobs(root, pool).put("1", [b"large"])
    first = mark_of(database, root)
    first.demand()
    (root / NAME).unlink()  # a backup that left it out
    assert mark_of(database, root) == first
    first.demand()


def test_an_operator_vouches_for_an_empty_folder_and_no_other_is_taken(tmp_path: Path, database: Database) -> None:
    for root, bodies in ((tmp_path / "new", ("0",)), (tmp_path / "newer", ())):
        root.mkdir()
        with pytest.raises(BlobsUnmounted) as refused:
            mark_of(database, root, bodies).demand()
        refused.value.file.write_text(f"{refused.value.word}\n")  # as `caducee serve` advises
        mark_of(database, root).demand()
    (root / NAME).write_text("another\n")
    with pytest.raises(BlobsUnmounted):
        mark_of(database, root).demand()


def test_a_folder_that_cannot_be_marked_serves_unmarked(tmp_path: Path, database: Database) -> None:
    (tmp_path / "file").touch()
    mark_of(database, tmp_path / "file").demand()
    assert mark_of(database, tmp_path / "blobs").word
