"""The store under kill -9, failing syncs, a full disk and a power cut: what was said durable is there (F01-F07, F13).

A child process appends messages under strace, which kills it or fails a system call at the n-th occurrence. Afterwards
the store is opened again: every message said OK must be there exactly once, nothing may be damaged, and what was refused
may be there at most once.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mailboxes import fsck
from mailboxes.blobs import FileBlobs
from mailboxes.commit import Committer
from mailboxes.store import FlagChange, NewMessage, StoreFull
from policies.events import Event, Kind
from tests import stores
from tests.mailboxes import store_writer

pytestmark = [pytest.mark.fault, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.path.realpath(sys.executable)  # strace counts per process: no shim in between
STRACE = shutil.which("strace")
FAR = 4_000_000_000.0
SYNCS = "fsync,fdatasync"
NAMES = "rename,renameat2,unlink,unlinkat"

needs_strace = pytest.mark.skipif(STRACE is None, reason="strace is not installed")


def prepared(directory: Path) -> Path:
    """A store with an empty mailbox."""

    async def make() -> None:
        async with stores.opened(store_writer.url(directory)) as store:
            await store.committer.run(lambda unit: store.provision(unit, 1, 0))

    asyncio.run(make())
    return directory


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("empty"))


@pytest.fixture
def directory(empty: Path, tmp_path: Path) -> Path:
    return shutil.copytree(empty, tmp_path / "store")


def command(directory: Path, first: int, count: int) -> list[str]:
    return [PYTHON, "-m", "tests.mailboxes.store_writer", str(directory), str(first), str(count)]


def environment() -> dict[str, str]:
    paths = [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}


def inject(
    directory: Path, calls: str, fault: str, *, first: int = 0, count: int = 4
) -> subprocess.CompletedProcess[str]:
    """Run the writer with ``fault`` in ``calls`` (strace counts them per thread; SQLite writes with pwrite64)."""
    tool = [str(STRACE), "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:{fault}"]
    return subprocess.run(
        [*tool, *command(directory, first, count)],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def ledger(output: str, word: str = "OK") -> list[int]:
    return [int(number) for number in re.findall(rf"^{word} (\d+)", output, re.MULTILINE)]


def verify(directory: Path, kept: list[int], *, tried: int) -> None:
    """Everything in ``kept`` is there once, the rest at most once, and fsck finds nothing it cannot repair."""

    async def look() -> None:
        with ThreadPoolExecutor(1) as pool:
            blobs = FileBlobs(directory / "blobs", pool)
            async with stores.opened(store_writer.url(directory), blobs=blobs) as store:
                entries = (await store.snapshot(1, 1)).entries
                found = Counter(await store.bodies(1, entries))
                for number in range(tried):
                    copies = found.pop(store_writer.content(number), 0)
                    assert copies == 1 if number in kept else copies <= 1, number
                assert not found
                report = await fsck.check(store, now=FAR, sample=None)
                assert report.lost == 0
                assert report.drifts == []
                assert report.wrong_refs == []
                await fsck.repair(store, report)
                assert (await fsck.check(store, now=FAR)).healthy
                # And it goes on.
                await store.append(1, 1, [NewMessage(b"afterwards", b"s")])

    asyncio.run(look())


@needs_strace
@pytest.mark.parametrize(
    ("calls", "moments"),
    [
        (SYNCS, (1, 2, 3, 4, 5, 6, 7)),
        ("pwrite64", (1, 3, 7, 12, 18, 25, 33, 42)),
        (NAMES, (1, 2)),
    ],
    ids=["sync", "write", "rename"],
)
def test_a_kill_at_any_moment_loses_nothing_said_durable(
    empty: Path, tmp_path: Path, calls: str, moments: range
) -> None:
    killed = 0
    for moment in moments:
        directory = shutil.copytree(empty, tmp_path / f"at{moment}")
        done = inject(directory, calls, f"signal=KILL:when={moment}")
        killed += done.returncode != 0
        verify(directory, ledger(done.stdout), tried=4)
    assert killed >= 2


@needs_strace
@pytest.mark.parametrize("fault", ["EIO", "ENOSPC"])
def test_a_failed_sync_is_never_said_durable(empty: Path, tmp_path: Path, fault: str) -> None:
    refused = 0
    for moment in (1, 3, 4, 5, 6) if fault == "EIO" else (2, 4):
        directory = shutil.copytree(empty, tmp_path / f"at{moment}")
        done = inject(directory, SYNCS, f"error={fault}:when={moment}")
        refused += len(ledger(done.stdout, "NO"))
        assert done.returncode == 0 or not ledger(done.stdout)
        verify(directory, ledger(done.stdout), tried=4)
    assert refused >= 1


@needs_strace
def test_syncs_that_fail_for_a_while_refuse_and_recover(directory: Path) -> None:
    done = inject(directory, SYNCS, "error=EIO:when=4..6", count=10)
    kept = ledger(done.stdout)
    assert ledger(done.stdout, "NO")
    assert 9 in kept
    verify(directory, kept, tried=10)


@needs_strace
def test_after_a_failed_sync_the_log_is_emptied_before_it_is_trusted(directory: Path, tmp_path: Path) -> None:
    """F05: frames that never reached the disk must not stay in the log in front of later commits."""
    trace = tmp_path / "trace"
    tool = [str(STRACE), "-f", "-qq", "-y", "-o", str(trace), "-e", f"trace={SYNCS},ftruncate"]
    done = subprocess.run(
        [*tool, "-e", "inject=fdatasync:error=EIO:when=5", *command(directory, 0, 4)],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ledger(done.stdout, "NO")
    lines = trace.read_text().splitlines()
    failed = next(number for number, line in enumerate(lines) if "EIO" in line and "-wal" in line)
    cut = next(
        number for number, line in enumerate(lines) if "ftruncate" in line and "-wal" in line and number > failed
    )
    later = [line for line in lines[failed + 1 : cut] if "-wal" in line and "sync" in line and "EIO" not in line]
    database = [line for line in lines[failed:cut] if "caducee.db>" in line and "sync" in line]
    assert database, "what was committed before is synced into the database file first"
    assert len(later) <= 1, "between the failed sync and the cut no commit may rely on the log"
    verify(directory, ledger(done.stdout), tried=4)


@needs_strace
def test_a_failed_rename_or_close_keeps_nothing_half(empty: Path, tmp_path: Path) -> None:
    for fault, calls in (("EIO", "rename,renameat2"), ("ENOSPC", "rename,renameat2")):
        directory = shutil.copytree(empty, tmp_path / fault)
        done = inject(directory, calls, f"error={fault}:when=1", count=3)
        assert ledger(done.stdout, "NO") == [2]
        verify(directory, ledger(done.stdout), tried=3)
        assert not list((directory / "blobs").rglob("*.part"))


@needs_strace
def test_a_disk_that_refuses_writes_is_said_full_or_unavailable(directory: Path) -> None:
    done = inject(directory, "pwrite64", "error=ENOSPC:when=12+", count=5)
    assert ledger(done.stdout, "NO")
    assert "StoreFull" in done.stdout
    verify(directory, ledger(done.stdout), tried=5)


def test_killed_a_moment_after_the_answer(directory: Path) -> None:
    """F03, six times: the reader of the ledger kills the writer as soon as it has read one line."""
    kept: list[int] = []
    for turn in range(6):
        with subprocess.Popen(
            command(directory, turn * 50, 50), cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            for _ in range(turn + 1):
                kept += ledger(child.stdout.readline())
            child.kill()
            kept += ledger(child.stdout.read())
    assert len(kept) >= 6
    verify(directory, kept, tried=300)


def test_no_plaintext_is_on_disk_running_or_killed(directory: Path) -> None:
    with subprocess.Popen(
        command(directory, 0, 200), cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        for _ in range(20):
            child.stdout.readline()
        assert hits(directory) == []
        child.kill()
        child.stdout.read()
    assert hits(directory) == []
    assert (directory / "caducee.db-wal").exists()


def hits(directory: Path) -> list[str]:
    """Files that hold a piece of the canary, as it is or in base64."""
    import base64

    pieces = [store_writer.CANARY[:16], base64.b64encode(store_writer.CANARY)[:16], stores.MASTER]
    found = []
    for path in directory.rglob("*"):
        if path.is_file():
            try:
                data = path.read_bytes()
            except FileNotFoundError:  # a blob renamed meanwhile
                continue
            found += [path.name for piece in pieces if piece in data]
    return found


# with disks of our own (root only)


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A directory that pytest does not rotate away while something is mounted in it."""
    directory = Path(tempfile.mkdtemp(prefix="caducee-disk-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def small_disk(elsewhere: Path) -> Iterator[Path]:
    point = elsewhere / "small"
    point.mkdir()
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(point)], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("mounting needs root")
    yield point
    subprocess.run(["umount", str(point)], check=True)


async def test_a_full_disk_refuses_reads_deletes_and_recovers(small_disk: Path) -> None:
    def free() -> int:
        return shutil.disk_usage(small_disk).free + sum(committer.reusable_bytes for committer in committers)

    committers: list[Committer] = []
    async with stores.opened(store_writer.url(small_disk), room=free, reserve=2 << 20) as store:
        committers.append(store.committer)
        await store.committer.run(lambda unit: store.provision(unit, 1, 0))
        message = NewMessage(os.urandom(60_000), b"s", "\\Deleted")
        while free() - 60_000 >= 2 << 20:
            await store.append(1, 1, [message])
        with pytest.raises(StoreFull):
            await store.append(1, 1, [message])
        entries = (await store.snapshot(1, 1)).entries
        assert len(entries) > 10
        assert await store.bodies(1, entries[-1:]) == [message.content]
        await store.store_flags(1, 1, [1], FlagChange("add", frozenset({"\\Seen"})))
        assert len(await store.expunge(1, 1, None)) == len(entries)
        # Deleting makes room again: SQLite keeps the pages, and they count as free at the next look, a second later.
        await asyncio.sleep(1.1)
        await store.record([Event(Kind.READ, mailbox=1)])
        await store.append(1, 1, [message])
        assert (await fsck.check(store, now=FAR)).healthy


@pytest.fixture
def block_disk(elsewhere: Path) -> Iterator[tuple[Path, Path]]:
    """An ext4 file system in an image file, mounted."""
    image, point = elsewhere / "image", elsewhere / "disk"
    point.mkdir()
    with image.open("wb") as file:
        file.truncate(96 << 20)
    if os.geteuid() or shutil.which("mkfs.ext4") is None:
        pytest.skip("a block image needs root and mkfs.ext4")
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    if subprocess.run(["mount", "-o", "loop", str(image), str(point)], check=False, capture_output=True).returncode:
        pytest.skip("loop devices are not available")
    yield image, point
    subprocess.run(["umount", str(point)], check=True)


def test_a_power_cut_loses_nothing_said_durable(block_disk: tuple[Path, Path], elsewhere: Path) -> None:
    """F04: what reached the block device is copied while the writer works; the copy is mounted as after a cut."""
    image, point = block_disk
    directory = prepared(point)
    after = elsewhere / "after"
    after.mkdir()
    first = 0
    for turn in range(2):
        cut = elsewhere / f"cut{turn}"  # another test's mount namespace may still hold the one before
        with subprocess.Popen(
            command(directory, first, 100), cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            kept = list(range(first))
            for _ in range(15):
                kept += ledger(child.stdout.readline())
            shutil.copyfile(image, cut)  # a file system in use: its journal is replayed at the next mount
            child.stdout.read()
        subprocess.run(["mount", "-o", "loop", str(cut), str(after)], check=True)
        try:
            verify(after, kept, tried=first + 100)
        finally:
            subprocess.run(["umount", str(after)], check=True)
        first += 100
