"""Which threads go first: one that holds what all others wait for shall not wait for a processor itself.

Promise: nothing but the order in which threads run depends on it. Failure: none; where the system does not let us, nothing changes.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

FIRST = -10
"""The nice value of a thread that holds what all others wait for."""


def go_first() -> None:
    """Have the kernel run the calling thread before others as soon as it can go on.

    That is for root and for whom systemd's LimitNICE lets; for others nothing changes. On Linux alone a thread has a nice
    value of its own, which those that it starts inherit.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), FIRST)


def go_in_turn() -> None:
    """Undo what :func:`go_first` did to the calling thread: it runs as the process does."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, os.getpid()))
