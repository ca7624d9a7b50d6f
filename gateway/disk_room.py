"""Whether the disks we write to have room: looked at all the time, so that accepting a message asks no disk.

Promise: what :meth:`DiskRoom.decision` says is a second or two old, and the log tells once when a disk is nearly full and once
when it has room again, and once that one takes nothing (read-only, no inodes). Failure: a disk that does not answer leaves the
last answer in force; an ``OSError`` of looking is raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path

import structlog

from gateway.compose import flaws, volumes
from gateway.settings import Config
from policies.catalogue import rule
from policies.decision import Decision, decide

log = structlog.get_logger("service")

EVERY = 1.0
"""Seconds between two looks."""


class DiskRoom:
    """The disks of the configuration in force."""

    def __init__(self, config: Callable[[], Config]) -> None:
        self._config = config
        self._has_room = True
        self._flaws: dict[Path, str] = {}

    def decision(self) -> Decision | None:
        """A deferral when a disk is nearly full (F07)."""
        return None if self._has_room else decide(rule("store.full"), "free space below limits.free_space")

    def look(self) -> None:
        """Blocks: a disk of the network may be silent, and nobody must wait for it who does not write there."""
        config = self._config()
        needed = config.limits.free_space
        folder, free = min(volumes(config).items(), key=itemgetter(1))
        had, self._has_room = self._has_room, not needed or free >= needed
        if had and not self._has_room:  # once: every message is now put off, and nothing else says so
            log.error("disk_low", folder=folder.as_posix(), free=free, needed=needed)
        elif self._has_room and not had:
            log.info("disk_has_room", free=free, needed=needed)
        self._tell_flaws(flaws(config))

    def _tell_flaws(self, found: dict[Path, str]) -> None:
        """Each once, for as long as it lasts."""
        for folder, flaw in found.items():
            if self._flaws.get(folder) != flaw:
                log.error("disk_takes_nothing", folder=folder.as_posix(), flaw=flaw)
        self._flaws = found

    async def watch(self) -> None:
        """Look, for ever."""
        while True:
            await asyncio.sleep(EVERY)
            await asyncio.to_thread(self.look)
