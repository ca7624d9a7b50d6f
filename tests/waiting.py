"""Waiting for what must come true, as long as a busy machine may need, and no longer than it takes.

A fixed pause is right only before what must *not* happen: whoever asks after it for something that must fails on a slow machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], seconds: float = 15.0) -> None:
    """Wait for something that must come true; awaits the condition when it is a coroutine."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.01)
