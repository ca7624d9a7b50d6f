"""A few threads that take work, the one that rested last first: its connection and its memory are still warm.

An executor wakes whoever waited longest, and starts another thread when the answer of one is followed by a question
before that one lies down; a mail program alone on a mailbox then went from connection to connection.
Promise: work is taken in order; :meth:`Threads.close` returns when all of it is done.
Failure: ``RuntimeError`` for work given after the close, or when the system grants no thread and there is none yet. Work must
not raise; a thread outlives it if it does, memory having run out, say.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue

Job = Callable[[], None]


class _Worker:
    """One thread: what it is to do next (None: end), and whether it may be given more."""

    __slots__ = ("jobs", "rested", "thread")

    def __init__(self, run: Callable[[_Worker], None], name: str) -> None:
        self.jobs: SimpleQueue[Job | None] = SimpleQueue()
        self.rested = False
        self.thread = threading.Thread(target=run, args=(self,), name=name, daemon=True)


class Threads:
    """At most ``most`` threads, started when they are needed."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._changing = threading.Lock()
        self._here = threading.local()
        self._started: list[_Worker] = []
        self._resting: list[_Worker] = []
        self._waiting: deque[Job] = deque()
        self._closed = False

    def submit(self, job: Job) -> None:
        """Have ``job`` done."""
        with self._changing:
            if self._closed:
                raise RuntimeError("these threads were closed")
            if self._resting:
                self._resting.pop().jobs.put(job)
            elif len(self._started) >= self._most or not self._start(job):
                self._waiting.append(job)

    def _start(self, job: Job) -> bool:
        """Have a new thread do it; False when the system grants none now, and those there are must do."""
        worker = _Worker(self._run, f"{self._name}_{len(self._started)}")
        worker.jobs.put(job)
        try:
            worker.thread.start()
        except RuntimeError:
            if not self._started:
                raise
            return False
        self._started.append(worker)
        return True

    def _run(self, worker: _Worker) -> None:
        self._here.worker = worker
        while (job := worker.jobs.get()) is not None:
            worker.rested = False
            try:
                with suppress(Exception):
                    job()
            finally:
                self.rest()

    def rest(self) -> None:
        """Called inside a job that has only its answer left to give: whoever hears it will find this thread free."""
        worker: _Worker = self._here.worker
        with self._changing:
            if worker.rested:
                return
            worker.rested = True
            if self._waiting:
                worker.jobs.put(self._waiting.popleft())
            elif self._closed:
                worker.jobs.put(None)
            else:
                self._resting.append(worker)

    def close(self) -> None:
        """Take no more work, and wait for what was given."""
        with self._changing:
            self._closed = True
            for worker in self._resting:
                worker.jobs.put(None)
            self._resting.clear()
        for worker in self._started:
            worker.thread.join()
