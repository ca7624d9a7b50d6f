"""Several processes for one service: starts them, passes signals on, replaces the one that dies.

With ``workers = 1`` there is nothing to supervise and :mod:`gateway.service` runs in this very process. With more, each
worker is the same command with ``--worker``; workers share listening ports by SO_REUSEPORT, hand one another connections
(:mod:`gateway.sharing`), and share nothing else but the database and the blobs.
Promise: SIGTERM reaches every worker and waits for its graceful end; one that hangs then, or whose event loop is silent for
two minutes while it serves, is killed; a worker that dies is
started again after a pause that grows while it keeps dying, and stays short while no other serves; no worker outlives its
supervisor, however that ends. systemd is told when all serve, and that we live for as long as one does.
Failure: when the first worker cannot start at all (a configuration fault), the supervisor ends with that worker's exit
code instead of trying for ever.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from gateway.leash import NONE, hold
from gateway.sd_notify import Systemd
from mailboxes.given import create

GRACE = 40.0  # seconds between SIGTERM and SIGKILL, at least: a running DATA has 30 s to end (F20)
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
LONGEST_ALONE = 2.0  # while no other worker serves: a caller would find nobody
STEADY = 60.0  # a worker that lived this long starts again at once
PULSE = 10.0  # seconds between two signs of life of a worker's event loop
SILENCE = 120.0  # without one it hangs: its callers wait for nothing, while the kernel goes on giving it new ones

SUPERVISOR = "CADUCEE_SUPERVISOR"
_PR_SET_PDEATHSIG = 1

log = structlog.get_logger("caducee.supervisor")


def ourselves() -> list[str]:
    """The command ``caducee`` as another process, without the folder it is called from on Python's path (``-P``): whoever may
    write there, ``/tmp`` for one, would have his modules run in place of ours."""
    return [sys.executable, "-P", "-m", "gateway.cli"]


def die_with_supervisor() -> None:
    """Have the kernel kill this worker when its supervisor ends: a service that was killed must be gone as a whole.

    Elsewhere than on Linux the worker then serves on until it is told to stop.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.environ.get(SUPERVISOR) not in (None, str(os.getppid())):
        os.kill(os.getpid(), signal.SIGKILL)  # it ended before we could ask


def write_atomically(path: Path, content: str) -> None:
    """Replace ``path`` in one step, so that a reader sees the old file or the whole new one; private (:mod:`mailboxes.given`).

    Raises ``OSError``, a full disk's included, and then leaves the old file alone.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(create(temporary, os.O_WRONLY | os.O_TRUNC), "wb") as file:
            file.write(content.encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@dataclass(slots=True)
class _Worker:
    number: int
    process: asyncio.subprocess.Process | None = None
    pause: float = FIRST_PAUSE
    ports: dict[str, object] = field(default_factory=dict)
    hurried: bool = False  # asked to read its configuration again before it was ready
    reloading: int = 0  # reloads it has not answered
    heard: float = 0.0  # when it last said anything, by the loop's clock


class Supervisor:
    """Runs ``workers`` copies of ``command`` until told to stop; who has not ended ``grace`` seconds later is killed."""

    def __init__(
        self,
        command: Sequence[str],
        workers: int,
        ready_file: Path | None,
        leash: int = NONE,
        grace: float = GRACE,
        silence: float = SILENCE,
    ) -> None:
        self.leash = leash
        self.grace = grace
        self.silence = silence
        self.command = list(command)
        self.workers = [_Worker(number) for number in range(workers)]
        self.ready_file = ready_file
        self.stopping = asyncio.Event()
        self.exit_code = 0
        self._systemd = Systemd(os.environ)
        self._served = False

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT; returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        hold(self.leash, self._stop)
        await asyncio.gather(self._watch(), *(self._keep(worker) for worker in self.workers))
        return self.exit_code

    def _stop(self) -> None:
        self.stopping.set()
        self._systemd.stopping()
        self._pass_on(signal.SIGTERM, self.workers)
        asyncio.get_running_loop().call_later(self.grace, self._pass_on, signal.SIGKILL, self.workers)

    def _reload(self) -> None:
        """Workers that serve hear it now, one that starts when it is ready: before, it would die of it."""
        self._systemd.reloading()
        for worker in self.workers:
            worker.hurried = not worker.ports
            worker.reloading += bool(worker.ports)
        self._pass_on(signal.SIGHUP, [worker for worker in self.workers if worker.ports])
        self._tell_reloaded()

    def _tell_reloaded(self) -> None:
        """Once nobody reads the configuration any more; a worker that died reads it when it starts."""
        if self._served and not any(worker.reloading for worker in self.workers):
            self._systemd.ready()

    def _pass_on(self, number: signal.Signals, workers: Sequence[_Worker]) -> None:
        for worker in workers:
            if worker.process is not None and worker.process.returncode is None:
                worker.process.send_signal(number)

    async def _keep(self, worker: _Worker) -> None:
        loop = asyncio.get_running_loop()
        ever_ready = False
        while not self.stopping.is_set():
            started = loop.time()
            code, ready = await self._run_once(worker)
            ever_ready = ever_ready or ready
            if self.stopping.is_set():
                return
            if not ever_ready:
                self.exit_code = code or 1
                self._stop()
                return
            lived = loop.time() - started
            worker.pause = FIRST_PAUSE if lived > STEADY else min(worker.pause * 2, LONGEST_PAUSE)
            pause = self._pause(worker)
            log.warning("worker_died", worker=worker.number, ended=code, lived=round(lived, 1), pause=pause)
            await self._rest(worker)

    async def _watch(self) -> None:
        """Kill the worker that hangs; who supervises it starts another."""
        loop = asyncio.get_running_loop()
        last = loop.time()
        while not self.stopping.is_set():
            await self._sleep(self.silence / 4)
            now = loop.time()
            held_up = (
                now - last > self.silence / 2
            )  # we, by a debugger or a machine without time: nothing was heard meanwhile
            last = now
            for worker in self.workers:
                if held_up:
                    worker.heard = now
                elif worker.ports and now - worker.heard > self.silence:
                    log.error("worker_hangs", worker=worker.number, silent=round(now - worker.heard, 1))
                    self._pass_on(signal.SIGKILL, [worker])

    def _pause(self, worker: _Worker) -> float:
        return worker.pause if any(one.ports for one in self.workers) else min(worker.pause, LONGEST_ALONE)

    async def _rest(self, worker: _Worker) -> None:
        """The pause of a worker that died; it grows shorter when the last one that served dies meanwhile."""
        loop = asyncio.get_running_loop()
        died = loop.time()
        while not self.stopping.is_set() and (left := died + self._pause(worker) - loop.time()) > 0:
            await self._sleep(min(left, LONGEST_ALONE))

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            pass

    async def _run_once(self, worker: _Worker) -> tuple[int, bool]:
        """One life of one worker: its exit code, and whether it ever said it was ready."""
        process = await asyncio.create_subprocess_exec(
            *self.command,
            "--worker",
            str(worker.number),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, SUPERVISOR: str(os.getpid())},
        )
        worker.process = process
        assert process.stdout is not None
        ready = False
        async for line in process.stdout:
            worker.heard = asyncio.get_running_loop().time()
            if line.startswith(b'{"ready"'):
                ready = True
                worker.ports = json.loads(line)
                if worker.hurried:
                    worker.hurried = False
                    worker.reloading += 1
                    process.send_signal(signal.SIGHUP)
                self._announce()
            elif line.startswith(b'{"reloaded"'):
                worker.reloading = max(0, worker.reloading - 1)
                self._tell_reloaded()
            elif not line.startswith(b'{"alive"'):
                sys.stdout.buffer.write(line)
                sys.stdout.flush()
        code = await self._reap(process)
        worker.ports = {}
        if worker.reloading:
            worker.reloading = 0
            self._tell_reloaded()
        return code, ready

    async def _reap(self, process: asyncio.subprocess.Process) -> int:
        try:
            return await asyncio.wait_for(process.wait(), self.grace)
        except TimeoutError:
            process.kill()
            return await process.wait()

    def _announce(self) -> None:
        """Tell once every worker serves: systemd, the first time, and whoever waits for the ready file."""
        if not all(worker.ports for worker in self.workers):
            return
        if self.ready_file is not None:
            write_atomically(self.ready_file, json.dumps({**self.workers[0].ports, "pid": os.getpid()}))
        if not self._served:
            self._served = True
            self._systemd.ready()
            self._systemd.beat(lambda: any(worker.ports for worker in self.workers))
