"""Sends the notices owed: builds each around the original, hands it to the intake, forgets it once it is durable there.

Promise: a notice leaves :mod:`gateway.relay.outbox` only after intake accepted it; one that nobody can receive is recorded
and forgotten; loops end at the postmaster (F34). Failure: a store that does not answer is waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from gateway.relay import letters, notices, outbox
from gateway.relay.parcel import Bodies, Clock, Submit, Undeliverable
from mailboxes.commit import Committer, Reading
from mailboxes.store import Corrupted, MailboxGone, MissingBody, StoreError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Teller:
    """``token`` gives 128 random bits; ``lease`` and ``retry`` are in seconds."""

    committer: Committer
    reading: Reading
    bodies: Bodies
    submit: Submit
    house: notices.House
    clock: Clock
    token: Callable[[], str]
    lease: float
    retry: float

    async def due(self) -> bool:
        """Whether anything is owed now."""
        found = await self.reading.run(outbox.next_due)
        return found is not None and found <= self.clock.wall()

    async def tell(self) -> bool:
        """Send what is owed, some at a time; False when nothing was."""
        owed = await self.committer.run(lambda unit: outbox.take(unit, self.lease))
        for notice in owed:
            await self._one(notice)
        return bool(owed)

    async def _one(self, notice: outbox.Owed) -> None:
        try:
            identifier = await self._send(notice)
        except (Undeliverable, ValueError, UnicodeError) as error:
            log.warning("notice_undeliverable", about=notice.message, error=type(error).__name__)
            identifier = ""
        except StoreError as error:
            log.warning("notice_waits", about=notice.message, error=type(error).__name__)
            await self.committer.run(lambda unit: outbox.postpone(unit, notice, self.retry))
            return
        await self.committer.run(lambda unit: outbox.sent(unit, self.bodies, notice, identifier))

    async def _send(self, notice: outbox.Owed) -> str:
        to = notice.recipient or self.house.postmaster
        if notice.action == "double_bounce" and any(_same(entry.recipient, to) for entry in notice.entries):
            raise Undeliverable("the postmaster cannot be told of his own notice")  # F34: the loop is cut here
        original = await self._original(notice)
        content = letters.build(notice, original, self.house, to, self.clock.wall(), self.token())
        return await self.submit.notice(None, to, content)

    async def _original(self, notice: outbox.Owed) -> notices.Original | None:
        if not notice.body_id:
            return None
        try:
            body = await self.bodies.open(notice.body_id, notice.wrapped)
            whole = notice.ret == "FULL" and body.size <= notices.FULL_BYTES
            content = await body.read(0, body.size if whole else notices.HEADER_BYTES)
        except (MissingBody, Corrupted, MailboxGone):
            return None  # the notice matters more than what it returns
        return notices.returned(content, body.size, notice.ret)


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()
