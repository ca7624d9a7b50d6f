"""Keeps each worker to a processor core of its own, where there is one for each.

A worker's event loop and its writer take turns at the interpreter. On two cores each turn moves it, and what it had at hand,
from one to the other: kept together they accept a seventh more small messages and a quarter more of 1 MiB. With more cores
than workers, or fewer, the kernel places them better.
Promise: only the processes told so are kept; those they start to read documents may run anywhere. Failure: none; where the
system forbids it, the kernel goes on placing.
"""

from __future__ import annotations

import os
from contextlib import suppress

MOST = 8

_usable = frozenset(os.sched_getaffinity(0))
"""The cores this process was given, by the system or by who started it."""


def one_per_core() -> int:
    """How many workers ``service.workers = 0`` means here."""
    return min(len(_usable), MOST)


def keep_to_core(number: int, workers: int) -> None:
    """Worker ``number`` of ``workers`` runs on its core only; to be called before it has threads."""
    if 1 < workers == len(_usable):
        with suppress(OSError):
            os.sched_setaffinity(0, {sorted(_usable)[number]})


def let_go(process: int) -> None:
    """A process started by a worker may run on every core that the worker was given."""
    with suppress(OSError):
        os.sched_setaffinity(process, _usable)
