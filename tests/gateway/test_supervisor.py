"""Workers and their supervisor: none is waited for without end, and none runs code of others."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.supervisor import LONGEST_PAUSE, Supervisor, ourselves
from tests.waiting import until


async def test_a_worker_that_does_not_end_is_killed(tmp_path: Path) -> None:
    """Its supervisor waited for it for ever."""
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('{\"ready\": true}', flush=True); time.sleep(60)"
    ready = tmp_path / "ready"
    made = Supervisor([sys.executable, "-c", deaf], 1, ready, grace=0.5)
    running = asyncio.create_task(made.run())
    while not ready.exists():
        await asyncio.sleep(0.05)
    made._stop()
    assert await asyncio.wait_for(running, 20) == 0


async def test_a_worker_whose_loop_hangs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd saw no single one among several: its callers waited for nothing until somebody looked."""
    monkeypatch.setattr("gateway.supervisor.FIRST_PAUSE", 0.01)
    hangs = (
        "import sys, time\n"
        "print('{{\"ready\": true}}', flush=True)\n"
        "print(sys.argv[-1], file=open({lives!r}, 'a'), flush=True)\n"
        "while True:\n"
        "    time.sleep(0.1)\n"
        "    if sys.argv[-1] == '1': print('{{\"alive\": true}}', flush=True)\n"
    )
    lives = tmp_path / "lives"
    command = [sys.executable, "-c", hangs.format(lives=str(lives))]
    made = Supervisor(command, 2, tmp_path / "ready", silence=5.0)
    running = asyncio.create_task(made.run())
    await until(lambda: lives.exists() and lives.read_text("utf-8").split().count("0") >= 3, 60)
    assert lives.read_text("utf-8").split().count("1") == 1
    made._stop()
    assert await asyncio.wait_for(running, 20) == 0


async def test_a_supervisor_that_was_held_up_itself_blames_no_worker() -> None:
    made = Supervisor([], 1, None, silence=0.4)
    worker = made.workers[0]
    worker.ports = {"ready": True}
    killed: list[object] = []
    made._pass_on = lambda *given: killed.append(given)  # type: ignore[method-assign]
    watching = asyncio.create_task(made._watch())
    await asyncio.sleep(0)
    time.sleep(0.5)
    await asyncio.sleep(0.05)
    assert worker.heard
    assert not killed
    made.stopping.set()
    await watching


async def test_a_worker_in_its_pause_starts_when_nobody_serves_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers that died of the same message rested for half a minute each, and every caller was turned away."""
    monkeypatch.setattr("gateway.supervisor.LONGEST_ALONE", 0.05)
    made = Supervisor([], 2, None)
    worker, other = made.workers
    worker.pause, other.ports = LONGEST_PAUSE, {"ready": True}
    resting = asyncio.create_task(made._rest(worker))
    await asyncio.sleep(0.2)
    assert not resting.done()
    other.ports = {}
    await asyncio.wait_for(resting, 5)


def test_workers_run_our_modules_whoever_may_write_where_they_are_started(tmp_path: Path) -> None:
    """A `structlog.py` left in /tmp ran as whoever started the service there with several workers, and `caducee space` too."""
    (tmp_path / "structlog.py").write_text("raise SystemExit(99)")
    command = [*ourselves(), "--version"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout[:8]) == (0, "caducee ")
