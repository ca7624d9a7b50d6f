"""One process watches itself: counts, how late its event loop is, and what it tells the others.

Promise: a second between two looks at the loop, five between two tellings, neither on the loop's own time.
Failure: none ends the process; :mod:`gateway.monitoring.telling` says what happens where nothing can be written.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gateway.monitoring.counts import Counts
from gateway.monitoring.telling import Teller

TELL_EVERY: Final = 5.0
LOOK_EVERY: Final = 1.0
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Monitoring:
    """Of the process that has ``roles``, beside the others that tell in ``folder``."""

    def __init__(self, folder: Path, roles: Sequence[str]) -> None:
        self.counts = Counts()
        self.sessions: Callable[[], Mapping[str, int]] = dict
        """How many are connected, by door."""
        self._roles = tuple(roles)
        self._started = time.time()
        self._teller = Teller(folder, roles, self._told)

    async def run(self) -> None:
        """Look and tell, for ever."""
        await asyncio.gather(self._look(), self._tell())

    async def everyone(self) -> list[dict[str, Any]]:
        """What every process tells, this one first."""
        return await asyncio.to_thread(self._teller.everyone)

    def leave(self) -> None:
        """The process ends."""
        self._teller.leave()

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LOOK_EVERY
            await asyncio.sleep(LOOK_EVERY)
            self.counts.lag.add(max(0.0, loop.time() - due))

    async def _tell(self) -> None:
        while True:
            await asyncio.to_thread(self._teller.tell)
            await asyncio.sleep(TELL_EVERY)

    def _told(self) -> dict[str, Any]:
        return {
            "roles": list(self._roles),
            "started": self._started,
            "cpu": time.process_time(),
            "resident": _resident(),
            "doors": dict(self.sessions()),
            **self.counts.told(),
        }


def _resident() -> int:
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0
