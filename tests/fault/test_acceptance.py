"""Kill -9 and failing syncs over the acceptance path of a running operator: 0 lost after 250 (F01 to F06, F10)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.fault.operator import Killable, Ledger, build

pytestmark = [pytest.mark.fault, pytest.mark.slow]

# What the acceptance path does, and the calls of it that meet their end.
SQLITE_KILLS = [
    ("fdatasync", 1, 0),
    ("fdatasync", 4, 0),
    ("pwrite64", 3, 0),
    ("pwrite64", 20, 0),
    ("pwrite64", 45, 0),
    ("sendto", 30, 0),
    ("sendto", 70, 0),
    ("fsync", 1, 400_000),
    ("fsync", 4, 400_000),
    ("rename", 3, 400_000),
    ("write", 9, 400_000),
]
POSTGRES_KILLS = [("sendto", 40, 0), ("sendto", 90, 0), ("sendto", 150, 0), ("rename", 3, 400_000)]


def operator(directory: Path, url: str = "") -> Killable:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    return Killable(build(directory, url))


def sweep(killable: Killable, kills: list[tuple[str, int, int]]) -> None:
    ledger = Ledger()
    for number, (syscall, when, size) in enumerate(kills):
        killable.start()
        killable.inject(syscall, "signal=KILL", str(when))
        killable.send(ledger, f"k{number}", 6, size)
        killable.kill()
    assert killable.start() <= 15  # 5 s promised; the machine of the tests may be busy
    assert len(ledger.accepted) >= len(kills), "too few messages were accepted: the sweep proves little"
    killable.judge(ledger, len(kills))
    assert killable.stop() == 0


def test_kill_sweep_on_sqlite(tmp_path: Path) -> None:
    sweep(operator(tmp_path), SQLITE_KILLS)


@pytest.mark.postgres
def test_kill_sweep_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    as_configured = postgres_url.replace("postgresql+psycopg://", "postgresql://")
    sweep(operator(tmp_path, as_configured), POSTGRES_KILLS)


def test_failing_syncs_are_told_and_survived_on_sqlite(tmp_path: Path) -> None:
    """F05: an EIO at commit is 451, nothing is half-stored, and the same process accepts again afterwards."""
    killable = operator(tmp_path)
    ledger = Ledger()
    killable.start()
    killable.inject("fdatasync", "error=EIO", "2..4")
    killable.send(ledger, "eio", 5, clients=1)
    killable.detach()
    assert ledger.replies[451] >= 1, ledger.replies
    killable.send(ledger, "after", 3, clients=1)
    assert sum(mark.startswith("after") for mark in ledger.accepted) == 3
    killable.kill()
    killable.start()
    killable.judge(ledger, 1)
    assert killable.stop() == 0


def test_a_full_disk_is_told_and_reading_goes_on(tmp_path: Path) -> None:
    """F07: no space left while storing is 452 or 451; mail already there can be read; room again, mail again."""
    killable = operator(tmp_path)
    ledger = Ledger()
    killable.start()
    killable.send(ledger, "before", 2, clients=1)
    killable.inject("pwrite64", "error=ENOSPC", "1+")
    killable.send(ledger, "full", 3, clients=1)
    assert not any(mark.startswith("full") for mark in ledger.accepted)
    assert ledger.replies[452] + ledger.replies[451] >= 1, ledger.replies
    killable.detach()
    killable.send(ledger, "again", 2, clients=1)
    assert sum(mark.startswith("again") for mark in ledger.accepted) == 2
    killable.judge(ledger, 0)
    assert killable.stop() == 0


def test_a_killed_operator_answers_again_within_five_seconds(tmp_path: Path) -> None:
    """Random moments instead of chosen calls: 250, then kill -9 at once (F03)."""
    killable = operator(tmp_path)
    ledger = Ledger()
    for number in range(5):
        killable.start()
        killable.send(ledger, f"r{number}", 4)
        killable.kill()
    killable.start()
    killable.judge(ledger, 5)
    assert killable.stop() == 0
