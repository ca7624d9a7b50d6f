"""The line of processes before one SQLite file: one at a time, and nobody waits for the dead."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from mailboxes.line import Line

HOLD = """
import sys
from pathlib import Path
from mailboxes.line import Line
with Line(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(path: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def waiting(line: Line) -> tuple[threading.Thread, threading.Event]:
    entered = threading.Event()

    def enter() -> None:
        with line:
            entered.set()

    thread = threading.Thread(target=enter, daemon=True)
    thread.start()
    return thread, entered


def test_a_process_waits_until_the_other_lets_go(tmp_path: Path) -> None:
    with holder(tmp_path / "line") as child:
        thread, entered = waiting(Line(tmp_path / "line"))
        assert not entered.wait(0.3)
        assert child.stdin is not None
        child.stdin.close()
        assert entered.wait(10)
        thread.join(10)


def test_a_killed_process_holds_nobody_up(tmp_path: Path) -> None:
    with holder(tmp_path / "line") as child:
        thread, entered = waiting(Line(tmp_path / "line"))
        assert not entered.wait(0.3)
        child.kill()
        assert entered.wait(10)
        thread.join(10)


def test_threads_of_one_process_take_turns_too(tmp_path: Path) -> None:
    line = Line(tmp_path / "line")
    with line:
        with line:  # the same thread may enter again
            pass
        thread, entered = waiting(line)
        assert not entered.wait(0.2)
    assert entered.wait(10)
    thread.join(10)
    line.close()


def test_where_no_file_can_be_made_nobody_is_kept_out(tmp_path: Path) -> None:
    with Line(tmp_path / "missing" / "line"):
        pass
