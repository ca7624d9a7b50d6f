"""What stands in the store and on the disks at one moment, as numbers: the queue, ages, days left, room.

Promise: nothing is changed and nothing blocks the event loop; one look serves all who ask within :data:`FRESH` seconds. What cannot be
read is None or left out. Failure: none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, func, select, text
from sqlalchemy.engine import make_url

from gateway.compose import database_url, volumes
from gateway.directory.feed import status
from gateway.expiry_watch import own_certificates
from gateway.relay.tables import queue
from mailboxes.store import StoreError

if TYPE_CHECKING:
    from gateway.compose import Storage
    from gateway.settings import Config
    from gateway.trust_space import TrustSpace

FRESH: Final = 5.0
DESTINATIONS: Final = 20
"""Domains whose queue is told by name, the longest first."""
OTHER: Final = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Ages and what is left are seconds; sizes octets. ``queue`` counts recipients by domain."""

    queue: Mapping[str, int] | None = None
    oldest: float = 0.0
    database: int | None = None
    free: Mapping[str, int] = field(default_factory=dict)
    list_age: float | None = None
    revocation_left: Mapping[str, float] = field(default_factory=dict)
    certificate_left: Mapping[str, float] = field(default_factory=dict)
    anchor_age: float | None = None
    extraction_age: float | None = None
    """Of the national list in force, by its own time stamp; None while none was taken."""

    @property
    def depth(self) -> int:
        return sum((self.queue or {}).values())


class Look:
    """Looks for everybody who asks at about the same time."""

    def __init__(self, config: Callable[[], Config], space: TrustSpace, storage: Storage) -> None:
        self._config = config
        self._space = space
        self._storage = storage
        self._alone = asyncio.Lock()
        self._seen: tuple[float, Figures] | None = None

    async def figures(self) -> Figures:
        async with self._alone:
            if self._seen is None or time.monotonic() - self._seen[0] > FRESH:
                self._seen = (time.monotonic(), await self._fresh())
            return self._seen[1]

    async def _fresh(self) -> Figures:
        config, now = self._config(), self._space.now
        stored, (free, certificates, anchor) = await asyncio.gather(
            self._stored(now.timestamp()), asyncio.to_thread(_on_disk, config, now)
        )
        waiting, oldest, database, listed = stored
        trusted = self._space.trusted()
        lists = self._space.revocation_lists().lists()
        return Figures(
            queue=waiting,
            oldest=oldest,
            database=database,
            free=free,
            list_age=(now - trusted.fetched_at).total_seconds() if trusted is not None else None,
            revocation_left={each.issuer_name: (each.next_update - now).total_seconds() for each in lists},
            certificate_left=certificates,
            anchor_age=anchor,
            extraction_age=listed,
        )

    async def _stored(self, now: float) -> tuple[dict[str, int] | None, float, int | None, float | None]:
        try:
            waiting, oldest = await self._storage.reading.run(waiting_in)
            listed = await self._storage.reading.run(status)
            size = await self._size()
        except StoreError:
            return None, 0.0, None, None
        age = max(0.0, now - listed.stamped_at) if listed is not None and listed.taken_at else None
        return waiting, max(0.0, now - oldest) if oldest is not None else 0.0, size, age

    async def _size(self) -> int | None:
        config = self._config()
        if config.store.url.startswith("sqlite:"):
            return await asyncio.to_thread(_file_size, Path(make_url(database_url(config)).database or ""))
        return await self._storage.reading.run(_server_size)


def waiting_in(connection: Connection) -> tuple[dict[str, int], float | None]:
    """Recipients in the queue by domain, and when the oldest was accepted. Numbers of rows grow with time, so the first is
    the oldest; domains are counted in their index."""
    by_domain = connection.execute(select(queue.c.domain, func.count()).group_by(queue.c.domain)).all()
    oldest = connection.execute(select(queue.c.accepted_at).order_by(queue.c.id).limit(1)).scalar()
    ordered = sorted(((str(domain), int(count)) for domain, count in by_domain), key=lambda one: -one[1])
    told = dict(ordered[:DESTINATIONS])
    if rest := sum(count for _, count in ordered[DESTINATIONS:]):
        told[OTHER] = rest
    return told, None if oldest is None else float(oldest)


def _server_size(connection: Connection) -> int:
    return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


def _file_size(path: Path) -> int:
    """With its log."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(each.stat().st_size for each in files if each.exists())


def _on_disk(config: Config, now: datetime) -> tuple[dict[str, int], dict[str, float], float | None]:
    try:
        free = {str(folder): octets for folder, octets in volumes(config).items()}
    except OSError:
        free = {}
    left = {
        one.subject.rfc4514_string(): (one.not_valid_after_utc - now).total_seconds()
        for one in own_certificates(config)
    }
    return free, left, anchor_age(config, now)


def anchor_age(config: Config, now: datetime) -> float | None:
    """Since the head of the journal was last written outside the database; None when it never was."""
    try:
        return max(0.0, now.timestamp() - config.journal.anchor.stat().st_mtime)
    except OSError:
        return None
