"""Disks that others fill, or that become read-only: told with the disk's name, nothing accepted is lost, service goes on (F07)."""

from __future__ import annotations

import imaplib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests import postgres
from tests.fault.operator import PATIENCE, Killable, Ledger, build

pytestmark = [pytest.mark.fault, pytest.mark.slow]

NO_RESERVE = {("limits", "free_space"): "0"}


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder that the user postgres may enter."""
    folder = Path(tempfile.mkdtemp(prefix="caducee-full-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def disk(point: Path, size: str) -> Iterator[Path]:
    point.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(point)]
    if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting needs root")
    try:
        yield point
    finally:
        subprocess.run(["umount", "-l", str(point)], check=True)


def fill(point: Path, leave: int = 0) -> Path:
    """Take all but ``leave`` octets; the file to delete again."""
    ballast = point / "ballast"
    with ballast.open("ab", buffering=0) as file:
        if leave:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(point).free - leave)
            return ballast
        for size in (1 << 20, 4096):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    return ballast


@contextmanager
def block_disk(point: Path, size: str) -> Iterator[Callable[[], None]]:
    """An ext4 on a loop device; what is yielded has it checked and mounted again."""
    image = point.with_suffix(".image")
    point.mkdir()
    if os.geteuid() or shutil.which("mkfs.ext4") is None:
        pytest.skip("a block image needs root and mkfs.ext4")
    subprocess.run(["truncate", "-s", size, str(image)], check=True)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    mount = ["mount", "-o", "loop,errors=remount-ro", str(image), str(point)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("loop devices are not available")

    def again() -> None:
        subprocess.run(["umount", str(point)], check=True)
        os.sync()
        # Of a copy: where a mount namespace that another test made meanwhile still holds this one, the kernel would give
        # back the very file system that it aborted.
        repaired = image.with_suffix(".repaired")
        subprocess.run(["cp", "--sparse=always", str(image), str(repaired)], check=True)
        fsck = subprocess.run(["e2fsck", "-fy", str(repaired)], check=False, capture_output=True)
        assert fsck.returncode in (0, 1), fsck.stdout
        subprocess.run(["mount", "-o", "loop", str(repaired), str(point)], check=True)

    try:
        yield again
    finally:
        subprocess.run(["umount", "-l", str(point)], check=True)


def on(small: Path, elsewhere: Path) -> Killable:
    """An operator whose data lie on the disk."""
    killable = Killable(build(elsewhere, settings=NO_RESERVE))
    data = killable.site.config.parent / "data"
    shutil.move(data, small / "data")
    data.symlink_to(small / "data")
    os.sync()  # what is copied here is not of the service's making
    return killable


def said(killable: Killable, ledger: Ledger, prefix: str, count: int, size: int = 0) -> Counter[int]:
    """What ``count`` messages hear."""
    before = Counter(ledger.replies)
    killable.send(ledger, prefix, count, size, clients=1)
    return ledger.replies - before


def accepted_again(killable: Killable, ledger: Ledger) -> None:
    deadline = time.monotonic() + PATIENCE
    number = 0
    while not said(killable, ledger, f"again{number}", 1)[250]:
        assert time.monotonic() < deadline
        number += 1
        time.sleep(0.5)


def log_lines(killable: Killable, event: str) -> int:
    return killable.site.log.read_text("utf-8", "replace").count(f'"{event}"')


def test_a_full_disk_keeps_neither_the_service_nor_its_commands_from_starting(elsewhere: Path) -> None:
    with disk(elsewhere / "small", "96m") as small:
        killable, ledger = on(small, elsewhere), Ledger()
        killable.start()
        try:
            killable.send(ledger, "before", 2, clients=1)
            assert len(ledger.accepted) == 2
            ballast = fill(small)
            assert set(said(killable, ledger, "full", 3)) == {452}
            assert killable.stop() == 0
            fill(small)
            for words in (("fsck",), ("journal", "verify"), ("mailbox", "list"), ("queue", "list")):
                done = killable.caducee(*words)
                assert done.returncode == 0, (words, done.stderr)
            doctor = killable.caducee("--lang", "en", "doctor")
            assert "nothing can be written in it" in doctor.stdout
            assert doctor.returncode == 3
            for language, sentence in (("fr", "La place manque sur le disque de"), ("en", "The disk of")):
                refused = killable.caducee("--lang", language, "account", "create", "a.b", "--family", "B", "--given", "A",
                                           "--identity", "ESSAI-ab", "--verified", "x")  # fmt: skip
                assert refused.returncode == 3
                assert f"{sentence} {killable.site.config.parent / 'data'}" in refused.stderr
            killable.start()
            assert log_lines(killable, "nothing_can_be_written")
            assert not said(killable, ledger, "still", 3)[250]
            ballast.unlink()
            accepted_again(killable, ledger)
            killable.judge(ledger, 0)
            assert killable.stop() == 0
            # A clean end leaves no log and no index of it: SQLite cannot even read without making them.
            fill(small)
            for words in (("fsck",), ("serve",)):
                refused = killable.caducee("--lang", "en", *words)
                assert refused.returncode == 3
                assert f"The disk of {killable.site.config.parent / 'data'} is full" in refused.stderr
        finally:
            killable.kill()


def test_a_disk_without_inodes_is_named_and_small_mail_goes_on(elsewhere: Path) -> None:
    with disk(elsewhere / "small", "200m,nr_inodes=70") as small:
        killable, ledger = on(small, elsewhere), Ledger()
        killable.start()
        try:
            assert said(killable, ledger, "before", 2, 300_000) == {250: 2}
            taken: list[Path] = []
            with suppress(OSError):
                while True:
                    (small / f"taken{len(taken)}").touch()
                    taken.append(small / f"taken{len(taken)}")
            assert said(killable, ledger, "large", 2, 300_000) == {452: 2}
            assert said(killable, ledger, "small", 2) == {250: 2}
            doctor = killable.caducee("--lang", "en", "doctor")
            assert doctor.returncode == 1
            assert "all its inodes are in use" in doctor.stdout
            deadline = time.monotonic() + PATIENCE
            while not log_lines(killable, "disk_takes_nothing"):
                assert time.monotonic() < deadline
                time.sleep(0.2)
            for one in taken:
                one.unlink()
            assert said(killable, ledger, "again", 2, 300_000) == {250: 2}
            killable.judge(ledger, 0)
            assert killable.stop() == 0
        finally:
            killable.kill()


def test_a_disk_that_becomes_read_only_is_read_and_named(elsewhere: Path) -> None:
    """As after an error of the medium: what was accepted is read, the rest waits at its senders, a stop is clean."""
    with block_disk(elsewhere / "small", "200M") as again:
        killable, ledger = on(elsewhere / "small", elsewhere), Ledger()
        killable.start()
        try:
            assert said(killable, ledger, "before", 2) == {250: 2}
            assert said(killable, ledger, "large", 2, 300_000) == {250: 2}
            subprocess.run(["mount", "-o", "remount,abort", str(elsewhere / "small")], check=True)
            assert said(killable, ledger, "lost", 2) == {451: 2}
            assert said(killable, ledger, "lost-too", 2, 300_000) == {451: 2}
            for words in (("fsck",), ("journal", "verify")):
                assert killable.caducee(*words).returncode == 0
            doctor = killable.caducee("--lang", "en", "doctor")
            assert doctor.returncode == 3
            assert f"{killable.site.config.parent / 'data'} is read-only" in doctor.stdout
            refused = killable.caducee(
                "--lang", "fr", "mailbox", "alias", "add", killable.box["address"], "x@op-a.mssante.test"
            )
            assert refused.returncode == 3
            assert "est en lecture seule" in refused.stderr
            assert killable.stop() == 0
            assert "Traceback" not in killable.site.log.read_text("utf-8")
            again()
            killable.start()
            assert said(killable, ledger, "again", 2, 300_000) == {250: 2}
            killable.judge(ledger, 0)
            assert killable.stop() == 0
        finally:
            killable.kill()


def flags(killable: Killable, work: Callable[[imaplib.IMAP4], tuple[str, list[bytes]]]) -> str:
    """What a mail program hears, of its login or of ``work``."""
    context = killable.trust()
    imap = imaplib.IMAP4_SSL("127.0.0.1", killable.site.ports["imaps"], ssl_context=context, timeout=PATIENCE)
    with suppress(imaplib.IMAP4.error), imap:
        try:
            imap.login(killable.box["login"], killable.box["device_password"])
        except imaplib.IMAP4.error as refused:
            return str(refused)
        imap.select("INBOX")
        return " ".join(str(part) for part in work(imap))
    return ""


@pytest.fixture
def database(elsewhere: Path, request: pytest.FixtureRequest) -> Iterator[tuple[postgres.Server, Path]]:
    """A server of its own, and its small disk: all of it, or its write-ahead log alone."""
    with ExitStack() as stack:
        if request.param == "log":
            small = stack.enter_context(disk(elsewhere / "small", "12m"))
            settings, log_on = "max_wal_size = 1GB\n", small
        else:
            small = stack.enter_context(disk(elsewhere / "small", "110m"))
            settings, log_on = "min_wal_size = 2MB\nmax_wal_size = 8MB\n", None
        place = elsewhere if log_on else small
        yield stack.enter_context(postgres.running(place, settings, log_on)), small


@pytest.mark.postgres
@pytest.mark.parametrize("database", ["data", "log"], indirect=True)
def test_a_postgresql_without_room_is_told_and_survived(database: tuple[postgres.Server, Path], tmp_path: Path) -> None:
    """Without room for its log it ends by itself (PANIC), and is started again by whoever made room."""
    server, small = database
    killable, ledger = Killable(build(tmp_path, server.url().replace("+psycopg", ""))), Ledger()
    killable.start()
    try:
        killable.send(ledger, "before", 3, clients=1)
        assert len(ledger.accepted) == 3
        ballast = fill(small, leave=2 << 20)
        heard = said(killable, ledger, "nearly", 40, 100_000)
        assert heard[452] + heard[451] >= 1, heard
        assert set(heard) <= {250, 451, 452, 421}
        fill(small)
        mail = b"From: a@b.test\r\nSubject: ours\r\n\r\n" + b"x" * 100_000
        answer = flags(killable, lambda imap: imap.append("INBOX", "", "", mail))
        assert "[LIMIT]" in answer or "[UNAVAILABLE]" in answer, answer
        said(killable, ledger, "full", 15, 100_000)
        assert log_lines(killable, "store_fault")
        assert log_lines(killable, "smtp.intake_failed") <= 3, "the log is filled as well"
        doctor = killable.caducee("--lang", "en", "doctor")
        assert doctor.returncode == 3
        assert "nothing can be written in it" in doctor.stdout or "does not answer" in doctor.stdout
        ballast.unlink()
        if not server.alive():
            with suppress(subprocess.CalledProcessError):
                server.stop("immediate")
            server.start()
        accepted_again(killable, ledger)
        assert "OK" in flags(killable, lambda imap: imap.store("1", "+FLAGS", r"(\Flagged)"))
        killable.judge(ledger, 40)
        assert killable.stop() == 0
    finally:
        with suppress(ProcessLookupError):
            assert killable.process is not None
            os.killpg(killable.process.pid, signal.SIGKILL)
