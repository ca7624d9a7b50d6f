"""How much each of our senders wrote lately, in memory: the facts :mod:`policies.unsolicited` judges by (TOU-A06, F77).

Recipients are counted per sending mailbox in minutes of the last hour; contents by a digest of their decoded text, so that
the same letter to many is one content whatever its subject, boundary or identifier.
Promise: bounded (:data:`SENDERS`, :data:`CONTENTS`, :data:`DISTINCT`); an attempt counts while it is under way and is given
back when its message is not accepted. Counters belong to one process and start empty. Failure: none.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from policies.unsolicited import Volume, counted
from policies.values import Address

HOUR = 3600.0
MINUTE = 60.0
SENDERS = 20_000
CONTENTS = 200
DISTINCT = 2_000
"""Recipients remembered for one content: beyond any threshold worth setting."""


@dataclass(slots=True)
class _Content:
    since: float
    recipients: set[bytes] = field(default_factory=set)


@dataclass(slots=True)
class _Sender:
    minutes: deque[list[float]] = field(default_factory=deque)  # [start, recipients]
    contents: OrderedDict[bytes, _Content] = field(default_factory=OrderedDict)


@dataclass(frozen=True, slots=True)
class Counted:
    """One attempt: what went before it, how many it adds, and how to take it back."""

    before: Volume
    recipients: int
    undo: Callable[[], None]


class Volumes:
    """Counts for one process; ``clock`` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float], senders: int = SENDERS) -> None:
        self._clock = clock
        self._limit = senders
        self._senders: OrderedDict[str, _Sender] = OrderedDict()

    def count(self, sender: str, content: bytes, recipients: Iterable[Address]) -> Counted:
        """Count an attempt of ``sender`` (an address key) and tell what went before."""
        now = self._clock()
        known = self._of(sender, now)
        marks = {_mark(address.key) for address in recipients if counted(address)}
        held = known.contents.setdefault(content, _Content(now))
        known.contents.move_to_end(content)
        while len(known.contents) > CONTENTS:
            known.contents.popitem(last=False)
        new = marks - held.recipients if len(held.recipients) < DISTINCT else set()
        before = Volume(int(sum(count for _, count in known.minutes)), len(held.recipients))
        minute = self._minute(known, now)
        minute[1] += len(marks)
        held.recipients |= new

        def undo() -> None:
            minute[1] = max(0.0, minute[1] - len(marks))
            held.recipients.difference_update(new)

        return Counted(before, len(marks), undo)

    def _of(self, sender: str, now: float) -> _Sender:
        known = self._senders.setdefault(sender, _Sender())
        self._senders.move_to_end(sender)
        if len(self._senders) > self._limit:
            self._senders.popitem(last=False)
        while known.minutes and known.minutes[0][0] <= now - HOUR:
            known.minutes.popleft()
        for digest in [digest for digest, held in known.contents.items() if held.since <= now - HOUR]:
            del known.contents[digest]
        return known

    @staticmethod
    def _minute(known: _Sender, now: float) -> list[float]:
        if not known.minutes or now - known.minutes[-1][0] >= MINUTE:
            known.minutes.append([now, 0.0])
        return known.minutes[-1]


def _mark(key: str) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=8).digest()


class Spans(Protocol):
    """The part of a message's part that is asked here."""

    @property
    def kind(self) -> bytes: ...
    @property
    def body_start(self) -> int: ...
    @property
    def body_end(self) -> int: ...
    @property
    def children(self) -> list[int]: ...


def likeness(parts: Iterable[Spans], raw: bytes) -> bytes:
    """A digest of what the leaves hold, encoded as sent: header fields and boundaries do not count, nor white space."""
    digest = hashlib.sha256()
    for part in parts:
        if not part.children:
            digest.update(b"".join(raw[part.body_start : part.body_end].split()))
            digest.update(b"\0")
    return digest.digest()
