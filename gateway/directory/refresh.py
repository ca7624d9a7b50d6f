"""Keeps the national extraction fresh while the service runs: looks for a newer one in time, and tells when it grows old (MSS-127).

One of all processes looks, whoever finds that it is time; the others go on asking the database. A list whose own time stamp is
that of the one in force is not read again.
Promise: nothing of this keeps mail waiting; what fails is logged and comes again. Failure: none.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path

import structlog

from directory.sources.extraction import Bounds, stamp
from directory.trustlist_fetch import Unreachable, WebFetch
from gateway.compose import Storage
from gateway.directory.feed import Feed, Limits, NotTaken, Status, status
from gateway.settings import Config
from mailboxes.given import make_folder
from mailboxes.store import StoreError

log = structlog.get_logger("directory")

LOOK_EVERY = 60.0
"""Seconds between two looks at whether it is time."""
ALARM_EVERY = 3600.0
"""Seconds between two lines of the log that say the list is old."""


def limits(config: Config) -> Limits:
    """What a list may be, by the configuration."""
    own = config.directory
    return Limits(own.shrink_limit, own.alarm_age, Bounds(octets=own.size))


async def keep(storage: Storage, config: Callable[[], Config]) -> None:
    """For ever."""
    told = float("-inf")
    while True:
        own = config().directory
        if own.source:
            try:
                await look(storage, config())
                told = await _tell_age(storage, config(), told)
            except StoreError as problem:
                log.warning("extraction_not_looked_for", error=type(problem).__name__)
            except Exception:  # a list grown old is better than a service that ends
                log.exception("extraction_not_looked_for")
        await asyncio.sleep(min(LOOK_EVERY, own.refresh))


async def look(storage: Storage, config: Config) -> bool:
    """Look for a newer list when it is time; True when one was taken."""
    stop = threading.Event()
    feed = Feed(storage, limits(config), stopped=stop.is_set)
    if not await asyncio.to_thread(feed.due, config.directory.refresh):
        return False
    try:
        return await _look(storage, config, feed)
    except Unreachable as problem:
        await asyncio.to_thread(feed.leave, problem.word)
        log.warning("extraction_not_taken", reason=problem.word)
    except NotTaken as problem:
        log.warning("extraction_not_taken", reason=problem.word)
    finally:
        stop.set()
    return False


async def _look(storage: Storage, config: Config, feed: Feed) -> bool:
    known = await storage.reading.run(status)
    source = config.directory.source
    if "://" not in source:
        path = Path(source)
        return await _bring(feed, path, 0.0 if _stamp(path) else _written_at(path), known)
    folder = config.service.data / "directory"
    make_folder(folder)
    with tempfile.NamedTemporaryFile(dir=folder, prefix="extraction-") as file:
        fetch = WebFetch(anchors(config))
        told = await fetch.save(
            source, file.file, config.directory.size, lambda fields: not _is_known(_stamped(fields), known)
        )
        file.flush()
        return await _bring(feed, Path(file.name), _stamped(told), known)


def anchors(config: Config) -> tuple[Path, ...]:
    """Whose certificates count at the sources of the directory."""
    if config.directory.anchors:
        return config.directory.anchors
    return config.trust.test_anchors if config.operator.test_mode else config.trust.anchors


def _stamped(fields: Mapping[str, str]) -> float:
    """When the source made its list: by the name it gives the file, else by Last-Modified; 0 when it says neither."""
    named = stamp(fields.get("content-disposition", "")[:1000])
    if named is not None:
        return named.timestamp()
    try:
        return parsedate_to_datetime(fields["last-modified"][:100]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return 0.0


def _stamp(path: Path) -> float:
    named = stamp(path.name)
    return named.timestamp() if named else 0.0


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _is_known(stamped_at: float, known: Status | None) -> bool:
    """Whether the list in force bears this stamp."""
    return known is not None and bool(known.taken_at) and 0 < int(stamped_at) == known.stamped_at


async def _bring(feed: Feed, path: Path, stamped_at: float, known: Status | None) -> bool:
    if _is_known(stamped_at or _stamp(path), known):
        await asyncio.to_thread(feed.leave)
        return False
    counts = await asyncio.to_thread(feed.bring, path, stamped_at)
    log.info("extraction_in_force", entries=counts.entries, added=counts.added, removed=counts.removed)
    return True


async def _tell_age(storage: Storage, config: Config, told: float) -> float:
    """Once an hour, while the list is older than it should be. Returns when that was said last."""
    known = await storage.reading.run(status)
    now = storage.clock()
    if known is None or not known.old(now, config.directory.alarm_age) or 0 <= now - told < ALARM_EVERY:
        return told
    log.error("extraction_old", hours=int((now - known.stamped_at) // 3600), last_trouble=known.trouble)
    return now
