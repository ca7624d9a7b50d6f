"""Copies SQLite's write-ahead log into the database file beside the writer, where SQLite would have a commit wait for it.

With SQLite's own rule the commit that fills the log copies all of it, thousands of pages, while every other writer waits:
commits of 50 KiB spent two fifths of their time so. Here a thread copies while commits go on, and only what they added
meanwhile is copied in their turn, so that the log starts again from its beginning and stays small.
Promise: nothing depends on it. SQLite's own rule stays behind it, at :data:`mailboxes.engine.LOG_LIMIT_PAGES`.
Failure: a checkpoint that fails is logged, loses nothing (the log still holds all), and is tried again by a new connection.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.engine import make_url

from mailboxes.engine import CHECKPOINT_PAGES, Database, discard, raw
from mailboxes.precedence import go_in_turn

LOOK_SECONDS = 0.02
READERS_MS = 100
"""How long the last step waits for readers of the log, with the writers waiting behind it."""

log = structlog.get_logger(__name__)


class Checkpointer:
    """One for each writer. :meth:`see` after each commit; the thread exists once the log was full for the first time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._log = Log(Path(f"{make_url(database.url).database}-wal"))
        self._looked = 0.0
        self._due = CHECKPOINT_PAGES
        self._wanted = threading.Event()
        self.busy = False
        """Whether a checkpoint was asked for and has not ended."""
        self._closing = False
        self._thread: threading.Thread | None = None

    def see(self) -> None:
        """Have the log copied if it is long. Costs some ten microseconds at most once in :data:`LOOK_SECONDS`."""
        now = time.monotonic()
        if self.busy or now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        if self._log.frames() < self._due:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="checkpointer", daemon=True)
            self._thread.start()
        self.busy = True
        self._wanted.set()

    def close(self) -> None:
        """End the thread after the checkpoint under way."""
        self._closing = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()
        self._log.close()

    def _serve(self) -> None:
        go_in_turn()  # it was started by the writer, which need not wait for it
        connection: Any = None
        while self._wanted.wait():
            self._wanted.clear()
            if self._closing:
                break
            try:
                connection = connection or self._database.writer.connect()
                self._copy(raw(connection))
            except Exception as error:  # noqa: BLE001 - whatever it is, commits go on and SQLite's own rule remains
                log.error("checkpoint_failed", error=type(error).__name__)
                if connection is not None:
                    discard(self._database, connection)
                connection = None
                self._due += CHECKPOINT_PAGES
            self.busy = False
        if connection is not None:
            discard(self._database, connection)

    def _copy(self, driver: sqlite3.Connection) -> None:
        """Most of it beside the writers, the rest in their turn."""
        driver.execute("PRAGMA busy_timeout = 0")
        busy, _frames, _copied = driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if busy:  # another process is at it
            return
        driver.execute(f"PRAGMA busy_timeout = {READERS_MS}")
        with self._database.writing():
            busy, frames, _copied = driver.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        # A reader that stays keeps the log: it grows, and is looked at again when it has grown by half.
        self._due = max(CHECKPOINT_PAGES, frames + CHECKPOINT_PAGES // 2) if busy else CHECKPOINT_PAGES


class Log:
    """How many frames a write-ahead log holds since it last started again from its beginning.

    SQLite does not say without copying. Frames of the present round bear the salt of the log's header, older ones behind
    them another (https://sqlite.org/fileformat2.html#walformat), so the border is found in a few looks, from where it was.
    """

    _HEADER, _FRAME = 32, 24

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._last = 0

    def frames(self) -> int:
        """0 when there is no log to be read."""
        try:
            if self._file < 0:
                self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            return self._count()
        except OSError:
            return 0

    def _count(self) -> int:
        header = os.pread(self._file, self._HEADER, 0)
        if len(header) < self._HEADER:
            return 0
        page, salt = int.from_bytes(header[8:12], "big"), header[16:24]
        size = self._FRAME + page
        there = (os.fstat(self._file).st_size - self._HEADER) // size

        def of_this_round(frame: int) -> bool:
            return os.pread(self._file, 8, self._HEADER + (frame - 1) * size + 8) == salt

        low, step = (self._last, 16) if self._last and of_this_round(self._last) else (0, there + 1)
        while low + step <= there and of_this_round(low + step):
            low, step = low + step, step * 2
        high = min(there, low + step - 1)
        while low < high:
            middle = (low + high + 1) // 2
            if of_this_round(middle):
                low = middle
            else:
                high = middle - 1
        self._last = low
        return low

    def close(self) -> None:
        """Let go of the file. SQLite takes its locks on other files, so none is lost with it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
