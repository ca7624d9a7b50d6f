"""What each process of this machine tells the others about itself: a small file each, from which any of them answers for all.

Roles and workers are processes of their own, and whoever watches asks one of them, never knowing which. Counts are not added up here: each
keeps the name of its process, ``imap-0``, because one that starts again counts from nothing, which Prometheus understands of a series
and misreads in a sum.
Promise: a file never tells less than before while its process lives, so that figures do not go back when another one answers; names are
the lowest free, so their number stays that of the processes. A process that ends takes its file along; one that was killed leaves it, and is
seen to be silent. Failure: where the folder takes nothing, a process tells only of itself, and the log says so once in a while.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import structlog

from mailboxes.given import create, make_folder
from mailboxes.seldom import Seldom

PROCESSES: Final = 64
SILENT: Final = 30.0
"""Seconds after which a process that told nothing more is no longer counted, and missed."""
FORGOTTEN: Final = 24 * 3600.0
LARGEST: Final = 1 << 20

log = structlog.get_logger("monitoring")


class Teller:
    """This process's place in ``folder``; ``told`` answers what it has to say."""

    def __init__(self, folder: Path, roles: Sequence[str], told: Callable[[], dict[str, Any]]) -> None:
        self._folder = folder
        self._kind = "all" if len(roles) > 1 else (roles[0] if roles else "none")
        self._told = told
        self._held = -1
        self._left = False
        self._writing = threading.Lock()  # who tells is a thread, which may be at it when the process leaves
        self._seldom = Seldom()
        self.name = ""

    def tell(self) -> None:
        """Write what is known now. Blocks."""
        try:
            with self._writing:
                if not self._left:
                    self._write()
        except OSError as problem:
            if times := self._seldom.times("tell"):
                log.warning("process_not_told", reason=os.strerror(problem.errno or 0), times=times)

    def everyone(self) -> list[dict[str, Any]]:
        """What all processes told, this one first. Blocks."""
        self.tell()
        found = read(self._folder)
        own = next((each for each in found if each["process"] == self.name), None) or self._now()
        return [own, *(each for each in found if each["process"] != own["process"])]

    def leave(self) -> None:
        """Nothing more will be told."""
        with self._writing:
            self._left = True
            if self._held >= 0:
                with suppress(OSError):
                    self._path.unlink()
                os.close(self._held)
                self._held = -1

    def _write(self) -> None:
        self._take()
        temporary = self._path.with_suffix(".new")
        with os.fdopen(create(temporary, os.O_WRONLY | os.O_TRUNC), "wb") as file:
            file.write(json.dumps(self._now()).encode())
        temporary.replace(self._path)

    @property
    def _path(self) -> Path:
        return self._folder / f"{self.name}.json"

    def _now(self) -> dict[str, Any]:
        return {"process": self.name or self._kind, "pid": os.getpid(), "at": time.time(), **self._told()}

    def _take(self) -> None:
        """Hold the lowest number nobody holds: the lock goes with the process, however that ends."""
        if self._held >= 0:
            return
        make_folder(self._folder)
        for number in range(PROCESSES):
            name = f"{self._kind}-{number}"
            handle = create(self._folder / f"{name}.lock", os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(handle)
                continue
            self.name, self._held = name, handle
            return
        raise OSError(0, "no number is left")


def read(folder: Path) -> list[dict[str, Any]]:
    """What was told by processes that live, or were killed in the last day; the seconds since as ``age``."""
    found = []
    with suppress(OSError):
        for path in sorted(folder.glob("*.json"))[:PROCESSES]:
            with suppress(OSError, ValueError, KeyError, TypeError):
                if path.stat().st_size <= LARGEST:
                    said = json.loads(path.read_bytes())
                    said["age"] = max(0.0, time.time() - float(said["at"]))
                    if said["age"] < FORGOTTEN and isinstance(said["process"], str):
                        found.append(said)
    return found


def living(processes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those not silent."""
    return [each for each in processes if each.get("age", 0.0) <= SILENT]
