"""Tells Python's garbage collector what a mail server is like: much lives as long as the process, much comes at once.

Promise: nothing is collected later than some ten thousand objects; reference counts free the rest as ever.
"""

from __future__ import annotations

import gc

OBJECTS = 20_000
"""A folder of 10 000 is as many tuples, twice while it is read: they need not be walked over thirty times meanwhile."""


def settle() -> None:
    """Call once everything is open. What exists now will stay, and is not walked over again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS, 10, 10)
