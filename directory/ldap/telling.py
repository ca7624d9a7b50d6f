"""Who searched, how often, and how many entries came: told to the journal, and never what was looked for (MSS-130).

Some address books open a connection for each letter typed. The first search of an account is told at once, those of the next
minute together at its end.
Promise: what is untold is bounded by :data:`MOST` accounts and addresses, and is told when the doors close. Failure: a process
that is killed takes the last minute along.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from policies.events import Event, Kind
from policies.values import Login

MOST = 10_000


@dataclass(slots=True)
class _Sum:
    told: float
    mailbox: int
    searches: int = 0
    entries: int = 0
    refused: int = 0


class Telling:
    """``clock`` is monotonic, ``every`` seconds."""

    def __init__(self, record: Callable[[Event], object], clock: Callable[[], float], every: float = 60.0) -> None:
        self._record = record
        self._clock = clock
        self._every = every
        self._sums: dict[tuple[str, str, str], _Sum] = {}

    def searched(self, login: Login, door: str, ip: str, entries: int, *, refused: bool) -> None:
        """One search, that showed ``entries`` or was refused."""
        key, now = (login.account, door, ip), self._clock()
        if len(self._sums) >= MOST:
            self.tell(everything=True)
        found = self._sums.setdefault(key, _Sum(float("-inf"), login.mailbox_id))
        found.searches += 1
        found.entries += entries
        found.refused += refused
        if now - found.told >= self._every:
            self._tell(key, found)

    def tell(self, *, everything: bool = False) -> None:
        """Tell what has waited long enough, and forget who asked no more."""
        now = self._clock()
        for key, found in tuple(self._sums.items()):
            if everything or now - found.told >= self._every:
                if found.searches:
                    self._tell(key, found)
                else:
                    del self._sums[key]
        if everything:
            self._sums.clear()

    def _tell(self, key: tuple[str, str, str], found: _Sum) -> None:
        account, door, ip = key
        detail = {
            "door": door,
            "ip": ip,
            "searches": found.searches,
            "entries": found.entries,
            "refused": found.refused,
        }
        self._record(Event(Kind.DIRECTORY_SEARCHED, actor=account, mailbox=found.mailbox, detail=detail))
        found.told = self._clock()
        found.searches = found.entries = found.refused = 0
