"""Sanctions wired from the configuration, and their round in a running service.

Failure: the round logs what fails and comes again; time that was not counted meanwhile is in the user's favour.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog
from sqlalchemy import Connection

from gateway.arrival import Followers
from gateway.compose import Storage
from gateway.sanctions import rows
from gateway.sanctions.cases import Cases
from gateway.sanctions.inbox import Reporting
from gateway.sanctions.letters import words
from gateway.sanctions.standing import Sanctions
from gateway.sanctions.suspensions import LIVE, Suspensions
from gateway.settings import Config
from mailboxes.store import StoreError

ROUND = 600.0
"""Seconds between two counts of the time that passed."""

log = structlog.get_logger("sanctions")


def cases(config: Config) -> Cases:
    """What is done to cases and suspensions, by the configuration in force."""
    told = words(config)
    return Cases(told, Suspensions(told, config.penalties.answer_within), config.penalties.partner_block)


def at_the_doors(storage: Storage, config: Callable[[], Config]) -> Sanctions:
    """What the intake asks."""
    return Sanctions(storage.committer, storage.reading, lambda: cases(config()), storage.clock, time.monotonic)


def reporting(inner: Followers, storage: Storage, config: Callable[[], Config]) -> Reporting:
    """The intake's followers, with the mailbox of reports."""
    return Reporting(inner, storage.reading, config, cases)


async def keep_time(storage: Storage, config: Callable[[], Config]) -> None:
    """Count the time users have to answer, and end what has an end (TOU-F03)."""
    while True:
        try:
            if await storage.reading.run(_waits):
                await storage.committer.run(cases(config()).suspensions.count)
        except StoreError as problem:
            log.warning("time_not_counted", error=type(problem).__name__)
        await asyncio.sleep(ROUND)


def _waits(connection: Connection) -> bool:
    return any(one.remaining or one.cause == rows.PARTNER for one in rows.suspensions(connection, states=LIVE))
