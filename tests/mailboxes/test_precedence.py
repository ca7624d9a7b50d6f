"""Which threads go first."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

import pytest

from mailboxes.precedence import FIRST, go_first, go_in_turn

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads have no nice value of their own")


def nice() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def seen(*done: Callable[[], None]) -> int:
    """The nice value a thread has after that."""
    found: list[int] = []

    def run() -> None:
        for one in done:
            one()
        found.append(nice())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="takes the right to it")
def test_a_thread_goes_first_alone_and_what_it_starts_can_stand_in_line_again() -> None:
    before = nice()
    assert seen(go_first) == FIRST
    started: list[int] = []
    seen(go_first, lambda: started.append(seen()))
    assert started == [FIRST]
    assert seen(go_first, go_in_turn) == before
    assert nice() == before
