"""Counting connections over several processes: exactly one's own, the sum of all, and nothing of the dead."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailboxes.tally import WORKERS, LocalTally, SharedTally, Tally
from tests.space.running import ROOT

HOLDER = """
import sys, time
from pathlib import Path
from mailboxes.tally import SharedTally
tally = SharedTally(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    assert tally.enter("ip 192.0.2.1", 1000)
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture(params=["local", "shared"])
def tally(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tally]:
    if request.param == "local":
        yield LocalTally()
        return
    with closing(SharedTally(tmp_path / "counts")) as made:
        yield made


def test_a_name_is_counted_up_to_its_limit(tally: Tally) -> None:
    assert [tally.enter("a", 2), tally.enter("a", 2), tally.enter("a", 2), tally.enter("b", 2)] == [
        True,
        True,
        False,
        True,
    ]
    tally.leave("a")
    assert tally.enter("a", 2)
    assert not tally.enter("a", 2)
    assert tally.processes == 1


@pytest.mark.parametrize("room", [0, 2, 3])
def test_nothing_is_written_where_the_disk_may_have_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """Into a hole of a mapped file: a worker was killed by SIGBUS, with all its sessions, by one more address that called."""
    made: list[int] = []

    def fill(handle: int, start: int, length: int) -> None:
        if len(made) == room:
            raise OSError(errno.ENOSPC, "made up")
        made.append(length)
        allocate(handle, start, length)

    allocate = os.posix_fallocate
    monkeypatch.setattr(os, "posix_fallocate", fill)
    with closing(SharedTally(tmp_path / "counts")) as tally:
        for number in range(2000):
            assert tally.enter(f"ip {number}", 1)
        assert not tally.enter("ip 7", 1)
        tally.attend(0, 1)
        assert tally.processes == 1
        assert (tally.column is None) is (room < 3)
        os.fsync(tally._file)
        blocks = os.stat(tmp_path / "counts").st_blocks
    assert blocks * 512 <= sum(made) + 3 * 4096
    assert sum(made) > 1 << 17 or room < 3


def test_several_count_together_and_each_leaves_its_own(tmp_path: Path) -> None:
    one, two = SharedTally(tmp_path / "counts"), SharedTally(tmp_path / "counts")
    assert one.processes == two.processes == 2
    assert [one.enter("a", 3), two.enter("a", 3), one.enter("a", 3), two.enter("a", 3)] == [True, True, True, False]
    one.leave("a")
    assert two.enter("a", 3)
    two.close()
    assert one.processes == 1
    assert [one.enter("a", 3), one.enter("a", 3), one.enter("a", 3)] == [True, True, False]
    one.close()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("abc"), st.booleans()), max_size=60))
def test_it_is_one_counter_in_several_pieces(tmp_path: Path, steps: list[tuple[int, str, bool]]) -> None:
    with ExitStack() as opened:
        pieces = [opened.enter_context(closing(SharedTally(tmp_path / "counts"))) for _ in range(3)]
        held: list[tuple[int, str]] = []
        for number, name, coming in steps:
            if coming:
                room = sum(other == name for _, other in held) < 4
                assert pieces[number].enter(name, 4) is room
                held += [(number, name)] * room
            elif (number, name) in held:
                held.remove((number, name))
                pieces[number].leave(name)


def test_what_a_killed_process_held_is_forgotten_when_the_next_one_starts(tmp_path: Path) -> None:
    path = tmp_path / "counts"
    with closing(SharedTally(path)) as first:
        holder = _holding(path, 5)
        assert not first.enter("ip 192.0.2.1", 5)
        assert first.processes == 2
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait(10)
        with closing(SharedTally(path)) as second:
            assert second.enter("ip 192.0.2.1", 1)
            assert not first.enter("ip 192.0.2.1", 1)


def _holding(path: Path, count: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", HOLDER, str(path), str(count)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_one_process_more_than_there_is_room_for_counts_alone(tmp_path: Path) -> None:
    with ExitStack() as opened:
        make: Callable[[], SharedTally] = lambda: opened.enter_context(closing(SharedTally(tmp_path / "counts")))  # noqa: E731
        pieces = [make() for _ in range(WORKERS)]
        late = make()
        assert [late.enter("a", 2), late.enter("a", 2), late.enter("a", 2)] == [True, True, False]
        assert pieces[0].enter("a", 1)
        late.leave("a")
        assert not late.enter("a", 2)


def test_the_file_is_almost_all_holes(tmp_path: Path) -> None:
    path = tmp_path / "counts"
    with closing(SharedTally(path)) as tally:
        for number in range(200):
            tally.enter(f"ip 192.0.2.{number}", 5)
        assert path.stat().st_blocks * 512 <= 512 * 1024
        assert path.stat().st_mode & 0o777 == 0o600
