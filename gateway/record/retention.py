"""How long the journal is kept, and how its oldest records leave it (MSS-145, TOU-F02).

Technical and functional traces lie in one chain, and a record in the middle of a chain cannot leave it without breaking
the proof of all that follow. So the journal is cut at its old end only, and at the longer of the two durations: evidence
is never lost early, and a technical trace is kept as long as the functional ones it lies between (docs/adr/0012).
Promise: what is left still verifies from the seal of what went; each cut is itself recorded (``service.purged``); nothing
goes by itself on the word of a clock that jumped (F16): see :data:`SILENCE`.
Failure: a database error propagates; the cut and its record are one transaction.
"""

from __future__ import annotations

from datetime import UTC, datetime

import structlog
from sqlalchemy import Connection

from gateway.record import journal
from gateway.settings import Journal
from mailboxes.commit import Committer, Reading, Unit
from policies.events import Event, Kind

MOST = 20_000
"""Records removed in one transaction, so that mail waiting for its commit waits a fraction of a second."""

SILENCE = 100 * 24 * 3600.0
"""Seconds without a record, between what would go and what would stay, that are a wrong clock's rather than a silent service's.

A machine that starts in a wrong year would else let go of everything. A service that was really off so long keeps what it
wrote before by that much longer.
"""

log = structlog.get_logger("caducee.journal")


def kept(settings: Journal) -> float:
    """Seconds a record is kept."""
    return max(settings.technical, settings.functional)


async def purge(committer: Committer, reading: Reading, age: float, now: float, actor: str = "system") -> int:
    """Remove every record older than ``age`` seconds, a part at a time; the number removed."""
    silent = await reading.run(lambda connection: journal.silence(connection, int((now - age) * 1e6), int(now * 1e6)))
    if silent > SILENCE * 1e6:
        log.warning("journal_kept", silent_days=silent // 86_400_000_000)
        return 0
    total = 0
    while removed := await committer.run(lambda unit: cut(unit, age, actor)):
        total += removed
    return total


def cut(unit: Unit, age: float, actor: str) -> int:
    """Remove the oldest part of what is older than ``age`` seconds, in the caller's transaction."""
    before = unit.now - age
    removed = journal.prune(unit.connection, int(before * 1e6), int(unit.now * 1e6), MOST)
    if removed:
        limit = datetime.fromtimestamp(before, UTC).isoformat(timespec="seconds")
        unit.emit(Event(Kind.PURGED, actor=actor, detail={"what": "journal", "count": removed, "before": limit}))
    return removed


def due(connection: Connection, age: float, now: float) -> int:
    """How many records are older than ``age`` seconds."""
    return journal.older(connection, int((now - age) * 1e6))
