"""From leased rows to an attempt, and from the attempt to the rows' new state: the two ends of one delivery.

Promise: recipients of one message travel together; whatever happens in between, each row gets a result; what the attempt
taught about recipient, destination and followed message is one transaction. Failure: :class:`StoreError` when it cannot be
written; the caller tries again, the fence decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

import structlog

from gateway.relay import outcomes, tracking
from gateway.relay.outcomes import Settlement
from gateway.relay.parcel import Attempt, Bodies, Parcel, Result, Transport, Waypoint
from gateway.relay.queue import Taken
from mailboxes.commit import Unit
from mailboxes.store import Corrupted, MailboxGone, MissingBody, StoreError
from policies.catalogue import rule
from policies.decision import Decision, decide
from policies.retry import Schedule

log = structlog.get_logger(__name__)

RECIPIENTS = 100  # of one message in one SMTP transaction (RFC 5321 4.5.3.1.8)

Rows = tuple[Taken, ...]


@dataclass(frozen=True, slots=True)
class Handover:
    """``owner`` is the courier's name; ``chance`` is uniform in [0, 1)."""

    owner: str
    bodies: Bodies
    transport: Transport
    schedule: Schedule
    chance: Callable[[], float]

    async def carry(self, rows: Rows, still_ours: Callable[[], bool]) -> Attempt:
        """One attempt for the recipients of one message."""
        if not still_ours():
            return everyone(rows, decide(rule("relay.busy"), "lease lapsed before the attempt"))
        first = rows[0]
        try:
            body = await self.bodies.open(first.body_id, first.wrapped)
        except (MissingBody, Corrupted, MailboxGone) as error:
            log.error("queued_body_unreadable", message=first.message, error=type(error).__name__)
            return everyone(rows, decide(rule("relay.body_missing"), type(error).__name__))
        except StoreError as error:
            return everyone(rows, decide(rule("relay.busy"), type(error).__name__))
        parcel = Parcel(
            message=first.message,
            sender=first.sender,
            domain=first.domain,
            recipients=tuple(Waypoint(row.id, row.recipient, row.dsn) for row in rows),
            body=body,
            ret=first.dsn.ret,
            envid=first.dsn.envid,
            eight_bit=first.eight_bit,
            still_ours=still_ours,
        )
        try:
            return await self.transport.send(parcel)
        except Exception as error:
            log.exception("parcel_failed", message=first.message, error=type(error).__name__)
            return everyone(rows, decide(rule("relay.busy"), type(error).__name__))

    def write(
        self, unit: Unit, domain: str, settlements: list[Settlement], broken: Decision | None, *, revived: bool
    ) -> set[int]:
        """Write the outcome. Returns the rows that are not ours any more."""
        retry_at: dict[str, float] = {}
        if broken is not None:
            reply = settlements[0].result.reply
            retry_at[domain] = outcomes.spare(unit, domain, broken, reply, self.schedule, self.chance())
        elif revived:
            outcomes.revive(unit, domain)
        refused = outcomes.settle(unit, self.bodies, self.owner, settlements, self.schedule, self.chance, retry_at)
        done = [one for one in settlements if one.row.id not in refused]
        tracking.follow_up(unit, [(one.row, outcomes.final(one, unit.now, self.schedule)) for one in done])
        return refused


def parcels(rows: Iterable[Taken]) -> list[Rows]:
    """Recipients of one message travel together."""
    found: list[Rows] = []
    for _, group in groupby(rows, key=lambda row: (row.message, row.sender, row.body_id)):
        members = tuple(group)
        found += [members[at : at + RECIPIENTS] for at in range(0, len(members), RECIPIENTS)]
    return found


def everyone(rows: Iterable[Taken], decision: Decision) -> Attempt:
    """The same decision for each."""
    return Attempt(tuple(Result(row.id, decision, decision.enhanced) for row in rows))
