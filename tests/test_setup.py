"""What a newcomer meets first: `make` on a machine that lacks something, in a clone that moved, or twice at once."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STRANGER = {"id": "echo 1000", "dpkg-query": "exit 1"}
ADMINISTRATOR = {"id": "echo 0", "dpkg-query": "exit 1"}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files of a clone that setting up reads, in a folder whose name needs quoting; nothing set up yet."""
    folder = tmp_path / "l'été du dépôt"
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    return folder


def programs(folder: Path, **scripts: str) -> str:
    """A PATH in front of which stand these shell scripts."""
    place = folder / "programs"
    place.mkdir(exist_ok=True)
    for name, script in scripts.items():
        script_file = place / name
        script_file.write_text(f"#!/bin/sh\n{script}\n")
        script_file.chmod(0o755)
    return f"{place}:{os.environ['PATH']}"


def sh(clone: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    return subprocess.run(
        words, cwd=clone, env={**given, **environment}, capture_output=True, text=True, timeout=30, check=False
    )


def packages(clone: Path, purpose: str, **scripts: str) -> subprocess.CompletedProcess[str]:
    path = programs(clone, **{"python3": "exit 1", **scripts})
    return sh(clone, "sh", "deploy/system-packages.sh", purpose, PATH=path, PYTHON="python3")


@pytest.mark.parametrize("found", ["", "/nowhere/python3.9"])
def test_without_a_fitting_python_make_says_what_to_install(clone: Path, found: str) -> None:
    answer = sh(clone, "make", "setup", f"PYTHON={found}")
    assert answer.returncode
    assert "Python 3.11 or later is needed" in answer.stderr
    assert found in answer.stderr
    assert "make PYTHON=" in answer.stderr


def test_a_stranger_without_venv_is_told_the_package_and_nothing_else_is_tried(clone: Path) -> None:
    answer = packages(clone, "setup", **STRANGER)
    assert answer.returncode == 1
    assert "sudo apt-get install python3-venv" in answer.stderr
    assert "skipped" not in answer.stderr


@pytest.mark.parametrize(
    "who", [STRANGER, {**ADMINISTRATOR, "apt-get": "for n in $(seq 99); do echo no $n; done >&2; exit 100"}]
)
@pytest.mark.parametrize(("purpose", "code"), [("test", 0), ("bench", 1)])
def test_without_packages_tests_are_skipped_and_no_comparison_is_made(
    clone: Path, who: dict[str, str], purpose: str, code: int
) -> None:
    answer = packages(clone, purpose, **who)
    assert answer.returncode == code
    assert "postfix" in answer.stderr
    assert ("no 99" in answer.stderr) == ("apt-get" in who)
    assert "no 9\n" not in answer.stderr
    assert ("will be skipped" in answer.stderr) == (purpose == "test")


@pytest.mark.parametrize("ours", [True, False])
def test_an_environment_that_runs_the_code_of_another_folder_is_made_anew(clone: Path, ours: bool) -> None:
    ready = clone / ".venv/.ready"
    (clone / ".venv/bin").mkdir(parents=True)
    ready.touch()
    (clone / ".venv/bin/python").symlink_to(sys.executable)
    elsewhere = clone if ours else clone / "deploy"
    (elsewhere / "gateway").mkdir()
    (elsewhere / "gateway/__init__.py").touch()
    (clone / "gateway").mkdir(exist_ok=True)
    sh(clone, "make", "help", PYTHONPATH=str(elsewhere))
    assert ready.exists() == ours


def test_setting_up_compiles_for_those_who_may_not_write_beside_the_code(clone: Path) -> None:
    """The users of the units may not, nor may anybody where PYTHONDONTWRITEBYTECODE is set: each start compiled all it imported."""
    rooms = ("policies", "hprim", "directory", "mailboxes", "gateway", "tests")
    for room in rooms:
        (clone / room).mkdir()
        (clone / room / "__init__.py").touch()
    (clone / ".venv/bin").mkdir(parents=True)
    (clone / ".venv/bin/python").symlink_to(sys.executable)
    (clone / ".venv/.ready").touch()
    answer = sh(clone, "make", "setup", PYTHONPATH=str(clone), PYTHONDONTWRITEBYTECODE="1")
    assert answer.returncode == 0, answer.stderr
    assert {path.parts[-3] for path in clone.glob("*/__pycache__/__init__.*.pyc")} == set(rooms)


def test_two_that_set_up_at_once_take_turns(clone: Path) -> None:
    """The second would empty the folder that the first is filling, and both would fail."""
    path = programs(clone, python3='echo "$@" >> calls')
    command = ["sh", "deploy/environment.sh", ".venv"]
    with (clone / "requirements.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = subprocess.Popen(
            command, cwd=clone, env={**os.environ, "PATH": path, "PYTHON": "python3"}, stdout=subprocess.PIPE, text=True
        )
        assert second.stdout is not None
        assert "waiting" in second.stdout.readline()
        (clone / ".venv").mkdir()
        (clone / ".venv/.ready").touch()
    assert second.wait(30) == 0
    assert "-m venv" not in (clone / "calls").read_text()


@pytest.mark.parametrize(
    ("scripts", "said"),
    [
        (STRANGER, "by root only"),
        ({**ADMINISTRATOR, "runuser": "exit 1"}, "BENCH_DIR=/var/tmp/bench"),
        ({**ADMINISTRATOR, "runuser": "exit 0", "python": "exit 1"}, "pymilter"),
    ],
)
def test_what_keeps_the_peers_from_starting_is_said_before_anything_runs(
    clone: Path, scripts: dict[str, str], said: str
) -> None:
    """A clone in root's home was set up, built and served for minutes, and then a traceback shown."""
    path = programs(clone, **scripts)
    answer = sh(clone, "sh", str(ROOT / "bench/peers.sh"), "check", PATH=path, PYTHON="python")
    assert answer.returncode == 1
    assert said in answer.stderr


@pytest.mark.parametrize("killed", [True, False])
def test_a_killed_test_run_leaves_no_database_server(tmp_path: Path, killed: bool) -> None:
    """Ctrl-C on `make test` left the PostgreSQL servers of its workers running."""
    folder, stopped = tmp_path / "served", tmp_path / "stopped"
    folder.mkdir()
    work = (
        "import os, sys; from pathlib import Path; from tests.postgres import after_our_death\n"
        "with after_our_death(Path(sys.argv[1]), ['touch', sys.argv[2]]):\n"
        "    sys.argv[3] == 'True' and os.kill(os.getpid(), 9)\n"
    )
    words = [sys.executable, "-c", work, str(folder), str(stopped), str(killed)]
    assert subprocess.run(words, cwd=ROOT, check=False).returncode == (-9 if killed else 0)
    deadline = time.monotonic() + 20
    while killed and folder.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (stopped.exists(), folder.exists()) == (killed, not killed)
