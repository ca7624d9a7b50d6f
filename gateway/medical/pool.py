"""A few reading processes, kept warm; one that dies or does not answer in time is replaced and its message is said to be poison.

Promise: at most ``size`` processes; :meth:`Readers.read` answers a :class:`Reading` or raises :class:`ReaderDied`, never later than
``patience`` seconds after a process took the question; a death touches one message only. Failure: :class:`ReaderDied`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from typing import Protocol

from gateway.cores import let_go
from gateway.medical.question import Question, Reading, answer_from
from gateway.medical.worker import LENGTH
from gateway.medical.worker import read as read_here

ROOT = Path(__file__).resolve().parents[2]
LARGEST_ANSWER = 8 * 1024 * 1024
MIB = 1024 * 1024


class ReaderDied(Exception):
    """The process that read this message ended, went over a limit, or did not answer in time."""


class Reader(Protocol):
    """Reads the medical content of one message."""

    async def read(self, question: Question) -> Reading:
        """Raises :class:`ReaderDied`."""
        ...

    async def close(self) -> None: ...


class ReaderHere:
    """The twin of :class:`Readers` without processes: for tests and short commands."""

    async def read(self, question: Question) -> Reading:
        return read_here(question)

    async def close(self) -> None:
        return None


class Readers:
    """``memory`` in octets above a process's own, ``seconds`` of processor time per message, ``patience`` of waiting."""

    def __init__(self, size: int = 2, *, memory: int = 256 * MIB, seconds: int = 5, patience: float = 30.0) -> None:
        self._free: asyncio.LifoQueue[Process | None] = asyncio.LifoQueue()
        for _ in range(size):
            self._free.put_nowait(None)
        self._limits = (str(memory), str(seconds))
        self._patience = patience
        self._alive: set[Process] = set()

    async def read(self, question: Question) -> Reading:
        process = await self._free.get()
        kept: Process | None = None
        try:
            data = pickle.dumps(
                question, pickle.HIGHEST_PROTOCOL
            )  # only now: a copy per process, not per message waiting
            process = process if process is not None and process.returncode is None else await self._start()
            reading = await self._ask(process, data)
            kept = process
            return reading
        finally:
            if kept is None and process is not None:
                await self._end(process)
            self._free.put_nowait(kept)

    async def _ask(self, process: Process, data: bytes) -> Reading:
        try:
            async with asyncio.timeout(self._patience):
                return answer_from(await _exchange(process, data))
        except (TimeoutError, OSError, asyncio.IncompleteReadError, ValueError) as fault:
            raise ReaderDied(type(fault).__name__) from None

    async def _start(self) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway.medical.worker",
            *self._limits,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,  # a traceback may quote what was being read
            cwd=ROOT,
            env=_environment(),
            limit=MIB,
        )
        let_go(process.pid)
        self._alive.add(process)
        return process

    async def _end(self, process: Process) -> None:
        self._alive.discard(process)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(OSError):
            await process.stdin.wait_closed()
        await process.wait()

    async def close(self) -> None:
        """End every process."""
        for process in list(self._alive):
            await self._end(process)


def _environment() -> dict[str, str]:
    """Nothing of ours but what Python needs: a reading process has no use for secrets."""
    kept = ("PATH", "LANG", "LC_ALL", "PYTHONUTF8", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
    return {**{name: os.environ[name] for name in kept if name in os.environ}, "PYTHONDONTWRITEBYTECODE": "1"}


async def _exchange(process: Process, data: bytes) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(len(data).to_bytes(LENGTH, "big"))
    process.stdin.write(data)
    await process.stdin.drain()
    size = int.from_bytes(await process.stdout.readexactly(LENGTH), "big")
    if size > LARGEST_ANSWER:
        raise ValueError("an answer beyond measure")
    return await process.stdout.readexactly(size)
