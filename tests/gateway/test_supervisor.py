"""Workers and their supervisor: none is waited for without end, and none runs code of others."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.supervisor import LONGEST_PAUSE, Supervisor, ourselves


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
