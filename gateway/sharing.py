"""Shares new connections evenly among the workers of a machine.

Workers listen on one port each with a socket of its own (SO_REUSEPORT), and the kernel draws lots who gets a caller: of ten
sessions kept open, seven fall to one of two workers every other time, which then is busy while the other waits. So whoever is
given a connection while another worker has fewer at that door hands it over, before a byte was read, through a Unix socket
in the data directory (SCM_RIGHTS).
Promise: a connection is served by exactly one worker; where handing over fails, by the one that has it. A worker that hangs
is handed no more than its socket's queue holds, some ten.
Failure: where no such socket can be made, the kernel's lots stand. Where this process has no descriptor left, callers are
told so and let go (F08), and the log says it once a minute.
"""

from __future__ import annotations

import array
import asyncio
import errno
import os
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import structlog

from mailboxes.seldom import Seldom
from mailboxes.tally import Crowd, SharedTally

DOORS = ("inbound", "submission", "submissions", "imap", "imaps", "ldap", "ldaps", "https")
SETTLED = 0.1
"""Seconds after which what was handed over was taken, or never will be."""

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_PAUSE = 0.9  # a little less than asyncio waits before it listens again
_AT_ONCE = 64
_ONE = array.array("i", [0])

Adopt = Callable[[socket.socket], Awaitable[Any]]
Keep = Callable[[socket.socket], bool]

log = structlog.get_logger(__name__)


class Entrance(socket.socket):
    """A listening socket whose :meth:`accept` gives only the connections that are to be served here.

    One descriptor is kept to turn callers away with when there is no other: they hear ``crowded`` and no longer wait for a
    greeting that cannot come. By itself asyncio tries as often as the backlog is long, and logs each: a megabyte a second.
    """

    def __init__(self, bound: socket.socket, crowded: bytes = b"") -> None:
        super().__init__(fileno=bound.detach())
        self.setblocking(False)
        self.keeps: Keep = lambda _connection: True
        self._crowded = crowded
        self._spare = -1
        self._paused = float("-inf")
        self._seldom = Seldom()
        self._keep_spare()

    def accept(self) -> tuple[socket.socket, Any]:
        while True:
            try:
                connection, address = super().accept()
            except OSError as problem:
                if problem.errno not in _EXHAUSTED:
                    raise
                self._turn_away(problem)
                continue
            if self.keeps(connection):
                return connection, address

    def close(self) -> None:
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1
        super().close()

    def _turn_away(self, problem: OSError) -> None:
        """Tell one caller to come back. Where not even that can be done, ask for a pause: ``problem``, once in a pause."""
        kind = errno.errorcode[problem.errno or 0]
        if times := self._seldom.times(kind):
            log.error("callers_turned_away", port=self.getsockname()[1], error=kind, times=times)
        if self._spare < 0 or problem.errno not in (errno.EMFILE, errno.ENFILE):
            self._pause(problem)
        os.close(self._spare)
        self._spare = -1
        try:
            with super().accept()[0] as connection, suppress(OSError):
                connection.setblocking(False)
                connection.send(self._crowded)
        except BlockingIOError:
            raise  # nobody else waits
        except OSError:
            self._pause(problem)
        finally:
            self._keep_spare()

    def _pause(self, problem: OSError) -> NoReturn:
        self._keep_spare()
        now = time.monotonic()
        if now - self._paused < _PAUSE:
            raise BlockingIOError
        self._paused = now
        raise problem

    def _keep_spare(self) -> None:
        if self._spare < 0:
            with suppress(OSError):
                self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


@dataclass(slots=True)
class _Sent:
    """What went to one worker and may not show in its count yet."""

    count: int
    taken: int  # how many it had ever taken when the first of them left
    last: float


@dataclass(slots=True)
class _Door:
    number: int
    adopt: Adopt
    crowds: list[Crowd[Any]] = field(default_factory=list)  # one for each listener
    accepted: int = 0  # those that came in, and those on their way
    counted: float = 0.0
    sent: dict[int, _Sent] = field(default_factory=dict)  # by column

    def here(self, now: float) -> int:
        """Connections of ours, with those just accepted that are not in yet."""
        entered = sum(crowd.entered for crowd in self.crowds)
        if now - self.counted > 1.0:  # one that left before it was in is never seen to enter
            self.accepted, self.counted = entered, now
        return sum(map(len, self.crowds)) + max(0, self.accepted - entered)


class Sharing:
    """One worker's part. ``directory`` is the same for all; made on the event loop."""

    def __init__(self, tally: SharedTally, directory: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._tally = tally
        self._clock = clock
        self._doors: dict[str, _Door] = {}
        self._loop = asyncio.get_running_loop()
        self._arriving: set[asyncio.Future[Any]] = set()
        self._place = -1  # the open directory: paths of sockets are short, whatever the path of the directory is
        self._socket: socket.socket | None = None
        self._hang(directory)

    def share(self, name: str, entrance: Entrance, crowd: Crowd[Any], adopt: Adopt) -> None:
        """Share what arrives at a listener of the door ``name``; the first one's ``adopt`` serves what others hand over."""
        if self._socket is None:
            return
        door = self._doors.setdefault(name, _Door(DOORS.index(name), adopt))
        if not any(each is crowd for each in door.crowds):  # one server may have several listeners
            door.crowds.append(crowd)
        entrance.keeps = lambda connection: not self._hand_over(name, door, connection)

    def close(self) -> None:
        """Take what was handed over and not yet fetched, then no more."""
        own, self._socket = self._socket, None
        if own is not None:
            self._fetch(own)
            self._loop.remove_reader(own)
            own.close()
            try:
                os.unlink(str(self._tally.column), dir_fd=self._place)
            except OSError:
                pass
        if self._place >= 0:
            os.close(self._place)
            self._place = -1

    def _hang(self, directory: Path) -> None:
        if self._tally.column is None:
            return
        own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            self._place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            (directory / str(self._tally.column)).unlink(missing_ok=True)
            own.bind(self._path(self._tally.column))
        except OSError:
            own.close()
            return
        self._socket = own
        self._loop.add_reader(own, self._fetch, own)

    def _path(self, column: int) -> str:
        return f"/proc/self/fd/{self._place}/{column}"

    # giving

    def _hand_over(self, name: str, door: _Door, connection: socket.socket) -> bool:
        """Whether the connection is another worker's now."""
        now = self._clock()
        here = door.here(now)
        there, column = min(self._elsewhere(door, now), default=(here, -1))
        if there >= here or not self._send(name, column, connection):
            door.accepted += 1
            return False
        sent = door.sent[column]
        sent.count += 1
        sent.last = now
        connection.close()
        return True

    def _elsewhere(self, door: _Door, now: float) -> list[tuple[int, int]]:
        """Connections of each other worker, as far as is known, with its column."""
        found = []
        for column, (count, taken) in self._tally.elsewhere(door.number).items():
            sent = door.sent.get(column)
            if sent is None or now - sent.last > SETTLED:
                sent = door.sent[column] = _Sent(0, taken, now)
            on_their_way = sent.count - (taken - sent.taken)
            found.append((count + max(0, on_their_way), column))
        return found

    def _send(self, name: str, column: int, connection: socket.socket) -> bool:
        own = self._socket
        if own is None:
            return False
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [connection.fileno()]))]
        try:
            own.sendmsg([name.encode()], rights, 0, self._path(column))
        except OSError:  # it is gone, or has enough to do
            return False
        return True

    # taking

    def _fetch(self, own: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                word, rights, _flags, _sender = own.recvmsg(
                    32, socket.CMSG_SPACE(_ONE.itemsize), socket.MSG_CMSG_CLOEXEC
                )
            except OSError:
                return
            for connection in _connections(rights):
                self._adopt(word.decode("ascii", "replace"), connection)

    def _adopt(self, name: str, connection: socket.socket) -> None:
        door = self._doors.get(name)
        if door is None:
            connection.close()
            return
        connection.setblocking(False)
        door.accepted += 1
        self._tally.taken(door.number)
        arriving = asyncio.ensure_future(door.adopt(connection))
        self._arriving.add(arriving)
        arriving.add_done_callback(self._arrived)

    def _arrived(self, arriving: asyncio.Future[Any]) -> None:
        self._arriving.discard(arriving)
        if not arriving.cancelled():
            arriving.exception()  # a caller that left, or whose handshake failed: as after accept, nobody minds


def _connections(rights: list[tuple[int, int, bytes]]) -> list[socket.socket]:
    """The connected sockets among what came with a datagram."""
    found = []
    for level, kind, data in rights:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers = array.array("i")
            numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
            found += [socket.socket(fileno=number) for number in numbers]
    return found
