"""Work in proportion to a folder, done in a thread beside the event loop, which 100 000 messages would keep for 10 to 60 ms.

Promise: what is little is done at once, where a thread would only cost time; an interpreter's loop in a thread gives way every half
millisecond (:mod:`mailboxes.commit`), so only what one call of C does to many objects holds everybody up.
Failure: what the work raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

HERE = 2000  # messages gone through on the event loop: a millisecond at most
FREED_AT_ONCE = 2000

T = TypeVar("T")


async def beside(count: int, work: Callable[..., T], *given: Any) -> T:
    """What ``work`` makes of so many messages; it must not change what the event loop may look at meanwhile."""
    return await asyncio.to_thread(work, *given) if count > HERE else work(*given)


def let_go(*done: list[Any] | dict[Any, Any]) -> None:
    """Empty what is done with. To free what only it holds takes 100 ns each, at one go if nobody sees to it."""
    if max(map(len, done)) > HERE:
        asyncio.get_running_loop().run_in_executor(None, _empty, done)


def _empty(done: tuple[list[Any] | dict[Any, Any], ...]) -> None:
    for held in done:
        while held:
            if isinstance(held, dict):
                held.popitem()
            else:
                del held[-FREED_AT_ONCE:]
