"""Tells systemd how the service is: ready, reloading, stopping, and alive (sd_notify(3), ``Type=notify``).

Without ``NOTIFY_SOCKET`` in the environment, started by hand or by another manager, it tells nobody and costs nothing. The
variables are taken out of the environment: our processes are not the one systemd listens to.
Promise: what is told arrives in its order; when systemd does not read for a while it is told later, and the event loop
never waits for it. Failure: a socket that cannot be written to is logged once a minute and tried again; the service goes on.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import deque
from collections.abc import Callable, MutableMapping

import structlog

from mailboxes.seldom import Seldom

AGAIN = 0.2
"""Seconds until a systemd that did not read is told again."""
MOST_WAITING = 64

log = structlog.get_logger("service")


class Systemd:
    """The way to the service manager that started us, if it wants to be told."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        named = environment.pop("NOTIFY_SOCKET", "")
        watched = environment.pop("WATCHDOG_PID", "")
        every = environment.pop("WATCHDOG_USEC", "")
        self._address = f"\0{named[1:]}" if named.startswith("@") else named
        meant = watched in ("", str(os.getpid()))  # it may be meant for a shell that started us
        self.watchdog = int(every) / 1e6 if named and meant and every.isdecimal() else 0.0
        """Seconds of silence after which systemd starts us again; 0: it does not watch."""
        self._waiting: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._seldom = Seldom()
        if named:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    def ready(self) -> None:
        """The doors answer, or a reload has ended."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """A reload has begun; :meth:`ready` ends it. The time tells systemd which request it answers."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """A stop has begun, whoever asked for it."""
        self._tell("STOPPING=1")

    def beat(self, alive: Callable[[], bool] = lambda: True) -> None:
        """From now on tell from the running loop that it turns, for as long as ``alive``."""
        if not self.watchdog:
            return
        if not self._waiting and alive():
            self._tell("WATCHDOG=1")
        asyncio.get_running_loop().call_later(self.watchdog / 3, self.beat, alive)

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        self._waiting.append(state.encode("ascii"))
        if len(self._waiting) == 1:
            self._flush()

    def _flush(self) -> None:
        """Say what waits, in order."""
        try:
            while self._waiting:
                self._socket.sendto(self._waiting[0], self._address)
                self._waiting.popleft()
        except OSError as problem:
            asyncio.get_running_loop().call_later(AGAIN, self._flush)
            if not isinstance(problem, BlockingIOError) and (times := self._seldom.times("systemd")):
                log.warning("systemd_not_told", error=type(problem).__name__, reason=problem.strerror, times=times)
