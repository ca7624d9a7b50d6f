"""Who is connected, counted by name (an address, an account), for one process or for all workers of a machine.

Workers that share a port divide the connections of one client among them as the kernel likes; only their sum means
anything. Each worker writes what it holds into a column of its own in a mapped file and reads the others': there is no lock
to wait for and nothing to send. A column belongs to whoever holds the lock on its byte, which the kernel takes back from a
process that dies; what it left there is wiped by the next one that starts.

Promise: what this process holds is counted exactly; what others hold may be counted too high, when two names share both
their cells (about once in a hundred million pairs of names), never too low by more than what they are changing at this
instant. Failure: without a column to be had (:data:`WORKERS` are taken, the disk is full) only this process is counted.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections import Counter
from hashlib import blake2b
from pathlib import Path
from typing import Protocol, TypeVar

WORKERS = 64
CELLS = 1 << 14
ROWS = 2
DOORS = 8
_COLUMN = CELLS * ROWS
_WORD = 4
_OPEN = (
    WORKERS + WORKERS * _COLUMN
)  # behind the columns, for each worker and door: what it holds, and one; what it took
_SIZE = _WORD * (_OPEN + WORKERS * DOORS * 2)
_NOBODY = bytes(_WORD * _COLUMN)

T = TypeVar("T")


class Tally(Protocol):
    """Counts of connections."""

    def enter(self, name: str, limit: int) -> bool:
        """Count one more under ``name``; False, and not counted, when ``limit`` are there already."""
        ...

    def leave(self, name: str) -> None:
        """One less."""
        ...

    @property
    def processes(self) -> int:
        """How many processes count together, this one included."""
        ...

    def attend(self, door: int, change: int) -> None:
        """This process serves door number ``door`` of :data:`DOORS`, and has ``change`` connections more there."""
        ...

    def taken(self, door: int) -> None:
        """It took one of them from another process."""
        ...

    def elsewhere(self, door: int) -> dict[int, tuple[int, int]]:
        """Of each other process that serves it, by its column: connections there, and how many it ever took from others."""
        ...


class Crowd(set[T]):
    """The connections of a listener of this process; the number at its door is told to the other processes."""

    def __init__(self, tally: Tally, door: int) -> None:
        super().__init__()
        self.entered = 0
        """How many ever came in."""
        self._tally = tally
        self._door = door
        tally.attend(door, 0)

    def add(self, connection: T) -> None:
        if connection not in self:
            super().add(connection)
            self.entered += 1
            self._tally.attend(self._door, 1)

    def discard(self, connection: object) -> None:
        if connection in self:
            super().discard(connection)
            self._tally.attend(self._door, -1)


class LocalTally:
    """One process alone."""

    processes = 1

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    def enter(self, name: str, limit: int) -> bool:
        if self._held[name] >= limit:
            return False
        self._held[name] += 1
        return True

    def leave(self, name: str) -> None:
        self._held[name] -= 1
        if self._held[name] <= 0:
            del self._held[name]

    def attend(self, door: int, change: int) -> None:
        pass  # nobody asks

    def taken(self, door: int) -> None:
        pass

    def elsewhere(self, door: int) -> dict[int, tuple[int, int]]:
        return {}

    def __len__(self) -> int:
        return len(self._held)


class SharedTally:
    """All processes that open the same file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.fstat(self._file).st_size < _SIZE:
            os.ftruncate(self._file, _SIZE)  # holes: only columns in use take room
        common = self._has_room(0, WORKERS) and self._has_room(_OPEN, WORKERS * DOORS * 2)
        self._map = mmap.mmap(self._file if common else -1, _SIZE)
        self._cells = memoryview(self._map).cast("I")
        self._held = LocalTally()
        self._column = self._seat()

    def enter(self, name: str, limit: int) -> bool:
        cells = _cells(name)
        if not self._held.enter(name, limit - self._elsewhere(cells)):
            return False
        self._write(cells, 1)
        return True

    def leave(self, name: str) -> None:
        self._held.leave(name)
        self._write(_cells(name), -1)

    @property
    def processes(self) -> int:
        return max(1, sum(map(bool, self._cells[:WORKERS].tolist())))

    @property
    def column(self) -> int | None:
        """The column this process writes to, if it has one."""
        return self._column

    def attend(self, door: int, change: int) -> None:
        if self._column is not None:
            cell = _OPEN + (self._column * DOORS + door) * 2
            self._cells[cell] = max(self._cells[cell], 1) + change

    def taken(self, door: int) -> None:
        if self._column is not None:
            cell = _OPEN + (self._column * DOORS + door) * 2 + 1
            self._cells[cell] = (self._cells[cell] + 1) & 0xFFFFFFFF

    def elsewhere(self, door: int) -> dict[int, tuple[int, int]]:
        said = zip(
            self._cells[_OPEN + 2 * door :: 2 * DOORS], self._cells[_OPEN + 2 * door + 1 :: 2 * DOORS], strict=False
        )
        return {column: (one - 1, took) for column, (one, took) in enumerate(said) if one and column != self._column}

    def close(self) -> None:
        """Leave the column empty to the next one."""
        if self._column is not None:
            self._wipe(self._column)
        self._cells.release()
        self._map.close()
        os.close(self._file)

    def _elsewhere(self, cells: tuple[int, int]) -> int:
        """What the others hold: in each row the sum of their cells, and the smaller sum is nearer the truth."""
        others = [
            WORKERS + column * _COLUMN
            for column, taken in enumerate(self._cells[:WORKERS].tolist())
            if taken and column != self._column
        ]
        return min(sum(self._cells[start + cell] for start in others) for cell in cells)

    def _write(self, cells: tuple[int, int], change: int) -> None:
        if self._column is None:
            return
        start = WORKERS + self._column * _COLUMN
        for cell in cells:
            self._cells[start + cell] = max(0, self._cells[start + cell] + change)

    def _seat(self) -> int | None:
        """Take the first column nobody holds; wipe what the dead left in others."""
        mine = None
        for column in range(WORKERS):
            if not self._lock(column, fcntl.F_WRLCK):
                continue
            dead = self._cells[column]
            if (dead or mine is None) and self._has_room(WORKERS + column * _COLUMN, _COLUMN):
                if dead:
                    self._wipe(column)
                if mine is None:
                    mine = column
                    self._cells[column] = 1
                    continue
            self._lock(column, fcntl.F_UNLCK)
        return mine

    def _wipe(self, column: int) -> None:
        start = _WORD * (WORKERS + column * _COLUMN)
        self._map[start : start + len(_NOBODY)] = _NOBODY
        start = _WORD * (_OPEN + column * DOORS * 2)
        self._map[start : start + _WORD * DOORS * 2] = bytes(_WORD * DOORS * 2)
        self._cells[column] = 0

    def _has_room(self, cell: int, cells: int) -> bool:
        """Make room for them on the disk: who writes into a hole of a mapped file while it is full is killed (SIGBUS)."""
        try:
            os.posix_fallocate(self._file, _WORD * cell, _WORD * cells)
        except OSError:
            return False
        return True

    def _lock(self, column: int, kind: int) -> bool:
        """A lock on one byte, held by this open file: the kernel lets go of it when we end, however we end."""
        asked = struct.pack("hhqqi4x", kind, os.SEEK_SET, column, 1, 0)
        try:
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, asked)
        except OSError:
            return False
        return True


def _cells(name: str) -> tuple[int, int]:
    """The cell of a name in each row, as places in a column."""
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    first, second = struct.unpack("II", digest)
    return first % CELLS, CELLS + second % CELLS
