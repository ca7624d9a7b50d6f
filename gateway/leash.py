"""End with whoever started us: a pipe whose other end only they hold.

The kernel closes it however they end, kill -9 included, so that a service started by a supervisor, by ``caducee space`` or
by a test never goes on alone, keeping ports that the next one needs.
Promise: ``ended`` is called once, on the event loop, when the other end is closed; what is written to it is read and
forgotten. Failure: a descriptor that cannot be watched raises ``OSError`` or ``ValueError`` at once.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable

NONE = -1
_READ = 4096


def hold(descriptor: int, ended: Callable[[], None]) -> None:
    """Watch ``descriptor`` on the running loop; :data:`NONE` watches nothing."""
    if descriptor == NONE:
        return
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISFIFO(mode) and not stat.S_ISSOCK(mode):
        raise ValueError(f"descriptor {descriptor} is not a pipe")
    os.set_blocking(descriptor, False)
    loop = asyncio.get_running_loop()

    def look() -> None:
        try:
            if os.read(descriptor, _READ):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        loop.remove_reader(descriptor)
        ended()

    loop.add_reader(descriptor, look)
