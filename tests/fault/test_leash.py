"""Nothing of the service outlives whoever started it: kill -9 of the space, of a test run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.space.living import until
from tests.space.running import ROOT, start

pytestmark = [pytest.mark.fault, pytest.mark.slow]


def _commands() -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield (
                    int(folder.name),
                    (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"),
                )
            except OSError:
                continue


def _about(folder: Path) -> list[int]:
    """The processes whose command line names a folder of this test, ourselves left out."""
    return [pid for pid, command in _commands() if str(folder) in command and pid != os.getpid()]


def test_a_space_killed_takes_its_operators_and_their_workers_with_it(tmp_path: Path) -> None:
    space = start(tmp_path, "--set", "service.workers=2")
    assert len(_about(tmp_path)) >= 7  # the space, two supervisors, two workers each
    os.kill(space.process.pid, signal.SIGKILL)
    space.process.wait(10)
    until(lambda: not _about(tmp_path), 45, "everybody is gone")


def test_an_interrupted_run_of_tests_leaves_no_operator(tmp_path: Path) -> None:
    """What a test starts is held by the test's process: here one that is killed in the middle."""
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tests.fault.operator import Killable, build\n"
        "killable = Killable(build(Path(sys.argv[1])))\n"
        "killable.start()\n"
        "print('started', flush=True)\n"
        "time.sleep(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    runner = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT, env=environment
    )
    assert runner.stdout is not None
    assert runner.stdout.readline() == b"started\n"
    assert len(_about(tmp_path)) >= 2
    runner.kill()
    runner.wait(10)
    until(lambda: not _about(tmp_path), 45, "the operator is gone")
