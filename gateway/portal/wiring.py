"""The portal on an open store, for whoever serves it: the HTTP door, or a test.

Promise: what is in force is asked of ``config`` with each request, so that a reload counts at once. Failure: none.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.routing import Route

from directory.allowance import Allowance
from gateway.compose import Storage
from gateway.directory.wiring import directory
from gateway.people import people
from gateway.portal.ports import Ports
from gateway.portal.routes import routes
from gateway.settings import Config
from mailboxes.rules import Judge


def served(storage: Storage, config: Callable[[], Config], judge: Judge, allowance: Allowance) -> list[Route]:
    """What the HTTP door serves under ``/``; nothing where `portal.enabled` is off."""
    return routes(ports(storage, config, judge, allowance)) if config().portal.enabled else []


def ports(storage: Storage, config: Callable[[], Config], judge: Judge, allowance: Allowance) -> Ports:
    """``judge`` as :class:`gateway.redirecting.Judgement` has it."""
    return Ports(
        config=config,
        people=people(storage),
        committer=storage.committer,
        reading=storage.reading,
        judge=judge,
        directory=directory(storage),
        allowance=allowance,
        clock=storage.clock,
        monotonic=time.monotonic,
    )
