"""Wakes whoever watches a mailbox: at once in this process, within some 20 ms from another one.

A wire carries the changes between processes: on SQLite a small log table and ``PRAGMA data_version`` (a few microseconds
per look while nothing happens), on PostgreSQL NOTIFY, both written in the transaction of the change itself. Beside the
log a bell (:mod:`mailboxes.bell`) says when to look; where it cannot ring, a look every 0.2 s finds the change.
Promise: no committed change of a watched mailbox goes unannounced; when a wire lost its place (a connection cut, a log
cut short) every folder of every watched mailbox is announced. A wake may be superfluous, never missing. A process in which
nobody watches (a role that serves no mailbox) does not look at the log at all.
Failure: a wire that fails is opened again every second; meanwhile changes of this process are still announced.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import psycopg
import structlog
from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from mailboxes.bell import Bell
from mailboxes.engine import POSTGRES_CONNECT, Database, cursor_of, demand_session, discard
from mailboxes.seldom import Seldom
from mailboxes.sql import InList, Sql

POLL_SECONDS = 0.2
PAUSE_SECONDS = 0.01
"""Between two looks: a busy process that commits a thousand times a second must not make the others look as often."""
REOPEN_SECONDS = 1.0
LOG_KEPT = 8192
CHANNEL = "caducee"
PAYLOAD_LIMIT = 7900  # PostgreSQL refuses a payload of 8000 bytes
LOST = "*"

Touched = frozenset[tuple[int, int]]
Wake = Callable[[int], None]

log = structlog.get_logger(__name__)


class Heard(NamedTuple):
    """What other processes changed; ``lost`` when something may have been missed."""

    touched: Touched = frozenset()
    lost: bool = False


class Wire(Protocol):
    """Carries changes between processes. ``hear`` blocks up to a poll's length; only one thread calls it.

    ``committed`` is called on the event loop once what was written is durable. ``keeps`` tells that what nobody hears is
    kept: then it need not be asked while nobody watches.
    """

    keeps: bool

    def write(self, cursor: Any, touched: Touched) -> None: ...
    def committed(self) -> None: ...
    def open(self) -> None: ...
    def hear(self) -> Heard: ...
    def close(self) -> None: ...


class LocalNotices:
    """Announcements inside one process. All methods but ``write`` run on the event loop."""

    def __init__(self) -> None:
        self._watchers: dict[int, list[Wake]] = defaultdict(list)

    def watch(self, mailbox_id: int, wake: Wake) -> Callable[[], None]:
        """See :class:`mailboxes.store.Notices`."""
        self._watchers[mailbox_id].append(wake)

        def stop() -> None:
            watching = self._watchers.get(mailbox_id, [])
            if wake in watching:
                watching.remove(wake)
            if not watching:
                self._watchers.pop(mailbox_id, None)

        return stop

    def write(self, cursor: Any, touched: Touched) -> None:
        """Nobody else can see an in-memory database."""

    def committed(self, touched: Iterable[tuple[int, int]]) -> None:
        """Wake the watchers of what this process changed."""
        self.wake(touched)

    def wake(self, touched: Iterable[tuple[int, int]]) -> None:
        """Wake the watchers in this process."""
        for mailbox_id, folder_id in touched:
            for wake in tuple(self._watchers.get(mailbox_id, ())):
                try:
                    wake(folder_id)
                except Exception as error:  # noqa: BLE001 - one session's fault must not keep the others asleep
                    log.error("wake_failed", error=type(error).__name__)

    def watched(self) -> list[int]:
        return list(self._watchers)

    def start(self) -> None:
        """There is nothing to listen to."""

    async def close(self) -> None:
        self._watchers.clear()


class SharedNotices(LocalNotices):
    """The same, and a thread that listens to the other processes. ``start`` is called on the event loop."""

    def __init__(self, database: Database, wire: Wire) -> None:
        super().__init__()
        self._database = database
        self._wire = wire
        self._stopping = threading.Event()
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def watch(self, mailbox_id: int, wake: Wake) -> Callable[[], None]:
        stop = super().watch(mailbox_id, wake)
        self._wanted.set()
        return stop

    def write(self, cursor: Any, touched: Touched) -> None:
        self._wire.write(cursor, touched)

    def committed(self, touched: Iterable[tuple[int, int]]) -> None:
        self.wake(touched)
        self._wire.committed()

    def start(self) -> None:
        """Listen; returns once changes committed from now on cannot be missed."""
        self._loop = asyncio.get_running_loop()
        self._wire.open()
        self._thread = threading.Thread(target=self._listen, name="notices", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        self._stopping.set()
        self._wanted.set()
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        await super().close()

    def _listen(self) -> None:
        opened, seldom = True, Seldom()
        while not self._stopping.is_set():
            if self._wire.keeps:
                self._rest()
            try:
                if not opened:
                    self._wire.open()
                heard = self._wire.hear() if opened else Heard(lost=True)
                opened = True
                touched = heard.touched | self._everything() if heard.lost else heard.touched
                self._pass_on(touched)
            except Exception as error:  # noqa: BLE001 - the database may be away; this thread outlives it
                opened = False
                with suppress(Exception):  # where memory ran out, telling fails too
                    if times := seldom.times("interrupted"):
                        log.warning("notices_interrupted", error=type(error).__name__, times=times)
                    self._wire.close()
                self._stopping.wait(REOPEN_SECONDS)
        self._wire.close()

    def _rest(self) -> None:
        """Wait until somebody watches."""
        while not (self._watchers or self._stopping.is_set()):
            self._wanted.clear()
            if not self._watchers:  # who came before that was not forgotten
                self._wanted.wait(REOPEN_SECONDS)

    def _pass_on(self, touched: Touched) -> None:
        loop = self._loop
        if touched and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self.wake, touched)

    def _everything(self) -> Touched:
        """All folders of the watched mailboxes."""
        watched = self.watched()
        with self._database.reader.connect() as connection:
            rows = _FOLDERS(cursor_of(connection), watched) if watched else []
        return frozenset([*((row[0], row[1]) for row in rows), *((mailbox_id, 0) for mailbox_id in watched)])


_FOLDERS = InList("SELECT mailbox_id, id FROM folder WHERE mailbox_id IN (...)")


def open_notices(database: Database, origin: int) -> LocalNotices:
    """The notices that fit a database. ``origin`` is this process's number (:func:`mailboxes.provision.next_instance`)."""
    if not database.shared:
        return LocalNotices()
    wire: Wire = LogWire(database, origin) if database.sqlite else NotifyWire(database, origin)
    return SharedNotices(database, wire)


def _packed(touched: Touched) -> str:
    return " ".join(f"{mailbox_id}:{folder_id}" for mailbox_id, folder_id in sorted(touched))


def _unpacked(text: str) -> Touched:
    pairs = (word.partition(":") for word in text.split(" ") if word)
    return frozenset((int(mailbox_id), int(folder_id)) for mailbox_id, _, folder_id in pairs)


class LogWire:
    """SQLite: a log table, looked at when another connection has committed anything."""

    keeps = True

    _WRITE = Sql("INSERT INTO change_log (origin, touched) VALUES (?, ?)")
    _CUT = Sql("DELETE FROM change_log WHERE id < ?")
    _NEWEST = Sql("SELECT COALESCE(MAX(id), 0), COALESCE(MIN(id), 1) FROM change_log")
    _SINCE = Sql("SELECT id, origin, touched FROM change_log WHERE id > ? ORDER BY id")
    _VERSION = Sql("PRAGMA data_version")

    def __init__(self, database: Database, origin: int, poll: float = POLL_SECONDS) -> None:
        self._database = database
        self._origin = origin
        self._poll = poll
        self._bell = Bell(Path(f"{make_url(database.url).database}-bells"), str(origin))
        self._connection: Connection | None = None
        self._cursor: Any = None
        self._version = -1
        self._last = 0

    def write(self, cursor: Any, touched: Touched) -> None:
        written = self._WRITE(cursor, self._origin, _packed(touched)).lastrowid
        if written % 1024 == 0:
            self._CUT(cursor, written - LOG_KEPT)

    def committed(self) -> None:
        self._bell.ring()

    def open(self) -> None:
        self._bell.hang()
        self._connection = self._database.reader.connect()
        self._cursor = cursor_of(self._connection)
        self._version = self._VERSION(self._cursor).fetchone()[0]
        self._last = self._NEWEST(self._cursor).fetchone()[0]

    def hear(self) -> Heard:
        if self._bell.wait(self._poll):
            time.sleep(PAUSE_SECONDS)
            self._bell.hush()
        version = self._VERSION(self._cursor).fetchone()[0]
        if version == self._version:
            return Heard()
        self._version = version
        rows = self._SINCE(self._cursor, self._last).fetchall()
        if not rows:
            return Heard()
        lost = rows[0][0] > self._last + 1
        self._last = rows[-1][0]
        others = [_unpacked(text) for _, origin, text in rows if origin != self._origin]
        return Heard(frozenset().union(*others), lost)

    def close(self) -> None:
        if self._connection is not None:
            discard(self._database, self._connection)
            self._connection = self._cursor = None
        self._bell.close()


class NotifyWire:
    """PostgreSQL: NOTIFY in the transaction, LISTEN on a connection of its own."""

    keeps = False  # for ever, and for everybody: a listener that does not listen holds up its queue

    _WRITE = Sql("SELECT pg_notify(?, ?)")

    def __init__(self, database: Database, origin: int, poll: float = POLL_SECONDS) -> None:
        url = make_url(database.url).set(drivername="postgresql")
        self._url = url.render_as_string(hide_password=False)
        self._origin = origin
        self._poll = poll
        self._connection: psycopg.Connection[Any] | None = None

    def write(self, cursor: Any, touched: Touched) -> None:
        payload = f"{self._origin} {_packed(touched)}"
        if len(payload) > PAYLOAD_LIMIT:
            payload = f"{self._origin} {LOST}"
        self._WRITE(cursor, CHANNEL, payload)

    def committed(self) -> None:
        """The server has told them with the commit."""

    def open(self) -> None:
        # Whoever only listens never notices by himself that the server is gone without a word: the kernel asks for him.
        self._connection = psycopg.connect(self._url, autocommit=True, **POSTGRES_CONNECT)
        demand_session(self._connection, self._url)
        self._connection.execute(f"LISTEN {CHANNEL}")

    def hear(self) -> Heard:
        if self._connection is None:
            raise psycopg.OperationalError("not listening")
        touched: set[tuple[int, int]] = set()
        lost = False
        for notice in self._connection.notifies(timeout=self._poll, stop_after=1):
            origin, _, text = notice.payload.partition(" ")
            if text == LOST:
                lost = True
            elif int(origin) != self._origin:
                touched |= _unpacked(text)
        return Heard(frozenset(touched), lost)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
