"""A bell between the processes of one machine: rings all the others, carries nothing.

Each process hangs a datagram socket of its own in a directory beside the database; ringing sends an empty datagram to
every other one.
Promise: a ring never blocks and never raises; a bell that hangs is heard by :meth:`Bell.wait` at once. What it is rung for
stands in the database: a ring too many or too few changes only when somebody looks.
Failure: where no socket can be made (a file system without them), ``wait`` is a sleep. The socket of a process that died is
taken down by the next that rings.
"""

from __future__ import annotations

import os
import select
import socket
import time
from pathlib import Path

from mailboxes.given import make_folder, share

_TICK_NS = 50_000_000


class Bell:
    """One process's bell. ``directory`` is shared, ``name`` its own. ``ring`` may be called from any thread."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = name
        self._place = -1  # the open directory: paths of sockets are short, whatever the path of the directory is
        self._socket: socket.socket | None = None
        self._seen = -1
        self._others: list[str] = []

    def hang(self) -> None:
        """Begin to hear. Does nothing when it hangs already, or cannot."""
        if self._socket is not None:
            return
        own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            make_folder(self._directory)
            self._place = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            (self._directory / self._name).unlink(missing_ok=True)
            own.bind(self._path(self._name))
            share(Path(self._path(self._name)), self._directory)
        except OSError:
            own.close()
            self._let_go()
            return
        self._socket = own

    def ring(self) -> None:
        """Wake the others."""
        own = self._socket
        if own is None:
            return
        try:
            changed = os.fstat(self._place).st_mtime_ns
            if changed != self._seen:
                self._others = [name for name in os.listdir(self._place) if name != self._name]  # noqa: PTH208 - of an open directory
                # A time is good for several changes while the clock that stamps them has not moved on.
                self._seen = changed if time.time_ns() - changed > _TICK_NS else -1
        except OSError:
            return
        for name in self._others:
            try:
                own.sendto(b"", self._path(name))
            except BlockingIOError:
                pass  # it has rings enough waiting
            except ConnectionRefusedError:
                self._take_down(name)
            except OSError:
                pass

    def wait(self, seconds: float) -> bool:
        """True as soon as somebody rings; False after ``seconds``."""
        own = self._socket
        if own is None:
            time.sleep(seconds)
            return False
        return bool(select.select([own], [], [], seconds)[0])

    def hush(self) -> None:
        """Forget the rings so far."""
        own = self._socket
        try:
            while own is not None:
                own.recv(1)
        except OSError:
            pass

    def close(self) -> None:
        """Hear no more."""
        own, self._socket = self._socket, None
        if own is not None:
            own.close()
            self._take_down(self._name)
        self._let_go()

    def _path(self, name: str) -> str:
        return f"/proc/self/fd/{self._place}/{name}"

    def _take_down(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._place)
        except OSError:
            pass

    def _let_go(self) -> None:
        if self._place >= 0:
            os.close(self._place)
            self._place = -1
