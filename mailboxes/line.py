"""Puts the processes that write to one SQLite file in line (docs/adr/0019-several-processes-on-one-sqlite-file.md).

SQLite's own wait for its write lock is a sleep of 1 to 100 ms, again and again, and whoever just let go takes it back
meanwhile: two busy processes had commits of 240 ms (99th percentile) and were no faster than one. A record lock on a file
of its own wakes who waits at once.
Promise: order, not safety: SQLite locks as before, and the kernel takes the lock back from a process that dies.
Failure: none; who does not know this file, or cannot make it, only waits longer.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

from mailboxes.given import create


class Line:
    """Held during a write transaction; the thread that holds it may take it again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._here = threading.RLock()  # record locks do not hold off another thread of the same process
        self._depth = 0
        self._file = -1

    def __enter__(self) -> None:
        self._here.acquire()
        self._depth += 1
        if self._depth > 1:
            return
        try:
            if self._file < 0:
                self._file = create(self._path, os.O_RDWR)
            fcntl.lockf(self._file, fcntl.LOCK_EX)
        except OSError:
            pass  # a full or read-only disk is for SQLite to report

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        try:
            if self._file >= 0 and not self._depth:
                fcntl.lockf(self._file, fcntl.LOCK_UN)
        except OSError:
            pass
        finally:
            self._here.release()

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
