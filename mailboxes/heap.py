"""Tells glibc's heap what a mail server is like: large blocks come and go, very many small ones come at once and stay.

By default glibc raises the size from which it asks the system for a block of its own to what was last freed, up to 32 MiB, and keeps
later blocks of that size in its heap, in pieces: receiving 50 x 25 MiB under a budget of 64 MiB then grew the process by 122 MiB
(measured; now by 45). And it gives each thread a heap of its own, which grows by a page and a system call at a time: reading 10 000
messages was 8 000 of them. One heap for all, in steps of :data:`STEP`, answers a tenth sooner.
Promise: nothing but speed and memory depend on it. Failure: none; without glibc all stays as it is.
"""

from __future__ import annotations

import ctypes

LARGE = 256 * 1024
"""Octets from which a block goes back to the system when it is freed."""
STEP = 16 * 1024 * 1024

_M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -2, -3, -8  # malloc.h


def shape() -> bool:
    """Call before there are threads. False where there is no glibc."""
    try:
        told = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return all([told(_M_ARENA_MAX, 1), told(_M_TOP_PAD, STEP), told(_M_MMAP_THRESHOLD, LARGE)])
