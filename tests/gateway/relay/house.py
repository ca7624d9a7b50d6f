"""A house for the relay's tests: a real store on SQLite or PostgreSQL, a scripted transport, a clock that obeys."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import gateway.relay.tables  # noqa: F401 - registers the tables
from gateway.record.journal import Journal, Record
from gateway.record.journal import read as read_journal
from gateway.relay import notices, queue
from gateway.relay.bodies import StoreBodies
from gateway.relay.courier import Courier, Settings
from gateway.relay.parcel import Attempt, Parcel, Result, Undeliverable
from gateway.relay.queue import Queued
from mailboxes import body_rows
from mailboxes.blobs import MemoryBlobs
from mailboxes.commit import Committer, Reading, Unit
from mailboxes.engine import Database, open_database
from mailboxes.keys import Keyring, LocalMasterKey
from mailboxes.seal import BodyIds, Sealer
from mailboxes.sqlstore import SqlStore
from mailboxes.store import StoreUnavailable
from policies.catalogue import rule
from policies.decision import decide
from policies.retry import Schedule
from policies.values import DsnRequest

MESSAGE = (
    b"From: <alice@op-a.mssante.test>\r\nTo: <bob@op-b.mssante.test>\r\nSubject: XDM/1.0/DDM+CR\r\n"
    b"Message-ID: <m1@op-a.mssante.test>\r\n\r\nBonjour\r\n.une ligne\r\n"
)
HOUSE = notices.House("mail.op-a.mssante.test", "postmaster@op-a.mssante.test")


class Time:
    """Wall and monotonic time as the test sets them; ``jump`` moves the wall alone."""

    def __init__(self, wall: float = 1_800_000_000.0) -> None:
        self._wall = wall
        self._monotonic = 1000.0

    def wall(self) -> float:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic

    def pass_(self, seconds: float) -> None:
        self._wall += seconds
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        self._wall += seconds


class NoOneWatches:
    def watch(self, mailbox_id: int, wake: Callable[[int], None]) -> Callable[[], None]:
        return lambda: None


class Script:
    """A transport that does what it is told: a function from parcel to attempt."""

    def __init__(self, answer: Callable[[Parcel], Attempt] | None = None) -> None:
        self.answer = answer or accepted
        self.sent: list[Parcel] = []
        self.bodies: list[bytes] = []

    async def send(self, parcel: Parcel) -> Attempt:
        self.sent.append(parcel)
        self.bodies.append(await parcel.body.read(0, parcel.body.size))
        await asyncio.sleep(0)
        return self.answer(parcel)

    async def sweep(self) -> None:
        return

    async def close(self) -> None:
        return


def accepted(parcel: Parcel) -> Attempt:
    good = decide(rule("relay.handed_over"), host="mx.test")
    return Attempt(tuple(Result(way.id, good, "2.0.0", "250 ok", "mx.test") for way in parcel.recipients))


def answering(name: str, reply: str = "", *, broken: bool = False) -> Callable[[Parcel], Attempt]:
    def answer(parcel: Parcel) -> Attempt:
        said = decide(rule(name), host="mx.test", domain=parcel.domain, certificate="?")
        status = reply.split(" ")[1] if reply.count(" ") > 1 else said.enhanced
        found = tuple(Result(way.id, said, status, reply, "mx.test") for way in parcel.recipients)
        return Attempt(found, said if broken else None)

    return answer


class Intake:
    """Where notices come back in; ``refusing`` names recipients nobody knows."""

    def __init__(self) -> None:
        self.notices: list[tuple[str, bytes]] = []
        self.refusing: set[str] = set()
        self.failing = 0

    async def notice(self, sender: None, recipient: str, content: bytes) -> str:
        if self.failing:
            self.failing -= 1
            raise StoreUnavailable("not now")
        if recipient in self.refusing:
            raise Undeliverable(recipient)
        self.notices.append((recipient, content))
        return f"N{len(self.notices)}"


@dataclass
class House:
    """The store and what works on it."""

    database: Database
    committer: Committer
    reading: Reading
    store: SqlStore
    sealer: Sealer
    bodies: StoreBodies
    time: Time
    schedule: Schedule = field(default_factory=Schedule)
    serial: int = 0

    async def send(
        self,
        recipients: Sequence[str] = ("bob@op-b.mssante.test",),
        *,
        sender: str = "alice@op-a.mssante.test",
        dsn: DsnRequest | None = None,
        content: bytes = MESSAGE,
        also: Callable[[Unit, str], None] | None = None,
    ) -> str:
        """Accept one message for remote recipients, as intake does. Returns its identifier."""
        self.serial += 1
        message = f"MSG{self.serial:023d}"
        sealed = await self.sealer.seal(content, b"")
        wrapped = self.sealer.wrap(sealed, 0)
        rows = [
            Queued(
                message,
                sealed.body_id,
                wrapped,
                sealed.size,
                sender,
                recipient,
                recipient.rpartition("@")[2],
                dsn or DsnRequest(),
            )
            for recipient in recipients
        ]

        def accept(unit: Unit) -> None:
            self.store.put_body(unit, [sealed])
            body_rows.hold(unit.cursor, [sealed.body_id] * len(rows))
            queue.enqueue(unit, rows, self.schedule)
            if also:
                also(unit, message)

        await self.committer.run(accept)
        return message

    def courier(self, transport: object, intake: Intake | None = None, name: str = "c1", **settings: object) -> Courier:
        values: dict[str, object] = {"schedule": self.schedule, "poll": 0.02, "chores": 0.0, **settings}
        tokens = iter(range(10**6))
        return Courier(
            name,
            self.committer,
            self.reading,
            self.bodies,
            transport,  # type: ignore[arg-type]
            intake or Intake(),
            HOUSE,
            self.time,
            lambda: 0.0,
            lambda: f"tok{next(tokens):029d}",
            Settings(**values),  # type: ignore[arg-type]
        )

    async def waiting(self) -> int:
        return await self.reading.run(queue.total)

    async def journal(self, message: str = "") -> list[Record]:
        return await self.reading.run(lambda connection: read_journal(connection, message=message))

    async def words(self, message: str) -> list[str]:
        return [record.kind for record in await self.journal(message)]

    async def bodies_left(self) -> int:
        def count(connection: object) -> int:
            from sqlalchemy import func, select

            from mailboxes.tables import body

            return int(connection.execute(select(func.count()).select_from(body)).scalar_one())  # type: ignore[attr-defined]

        return await self.reading.run(count)


def open_house(url: str, time: Time | None = None) -> House:
    """Open (and create what is missing of) a house on a database."""
    time = time or Time()
    database = open_database(url)
    database.create_tables()
    committer = Committer(database, journal=Journal(), clock=time.wall)
    reading = Reading(database, 2)
    keyring = Keyring(LocalMasterKey(b"k" * 32), time.wall)
    committer.run_sync(lambda unit: keyring.open(unit.connection, unit.now))
    pool = ThreadPoolExecutor(1)
    blobs = MemoryBlobs()
    sealer = Sealer(keyring, blobs, BodyIds(os.getpid(), time.wall), pool)
    store = SqlStore(committer, reading, keyring, blobs, sealer, NoOneWatches(), pool)
    return House(database, committer, reading, store, sealer, StoreBodies(store), time)


async def close_house(house: House) -> None:
    await house.committer.close()
    await house.reading.close()
    house.database.dispose()


@contextmanager
def running(courier: Courier) -> Iterator[asyncio.Task[None]]:
    task = asyncio.create_task(courier.run())
    try:
        yield task
    finally:
        courier._stopping = True  # a worker that is cancelled must not begin another one
        # Workers too: one that is collected while it waits is told of in a traceback, and Python 3.11.2 cannot read source for
        # that while another test is reading source (gh-106905).
        for each in (task, *courier._tasks):
            each.cancel()
