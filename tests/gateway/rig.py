"""An intake with a real store behind it, on an in-memory or a file database, without any server around it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mailboxes.tables  # noqa: F401
from gateway.acceptance import Acceptor
from gateway.intake import Intake, IntakeSettings
from gateway.record.journal import Journal
from gateway.scan import MemoryScanner
from gateway.smtp.transaction import Recipient, Transaction
from mailboxes.blobs import FileBlobs, MemoryBlobs
from mailboxes.commit import Committer, Reading
from mailboxes.engine import open_database
from mailboxes.keys import Keyring, LocalMasterKey
from mailboxes.notices import open_notices
from mailboxes.provision import next_instance
from mailboxes.seal import BodyIds, Sealer
from mailboxes.sqlstore import SqlStore
from policies.retry import Schedule
from policies.trust import TrustList, TrustSettings, trust_list
from policies.values import (
    Address,
    BalState,
    BalType,
    CertificateFacts,
    Door,
    DsnRequest,
    Login,
    MailboxFacts,
    Peer,
    Revocation,
)

NOW = 1_772_442_000.0
OURS, THEIRS, OUTSIDE = "op-a.mssante.test", "op-b.mssante.test", "exemple.invalid"
PARTNER_DN = "CN=smtp.op-b.mssante.test,OU=399900000000026,O=OPERATEUR B,ST=Essai (99),C=FR"


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def certificate(subject: str = PARTNER_DN) -> CertificateFacts:
    day = timedelta(days=1)
    return CertificateFacts(
        subject=subject,
        issuer="CN=AC",
        serial=7,
        fingerprint="ab" * 32,
        not_before=at(NOW) - day,
        not_after=at(NOW) + 30 * day,
        dns_names=("smtp.op-b.mssante.test",),
        client_usage=True,
        server_usage=True,
        key_bits=2048,
        revocation=Revocation.GOOD,
    )


@dataclass
class Boxes:
    """The mailboxes of the rig, by key."""

    held: dict[str, MailboxFacts] = field(default_factory=dict)

    async def find(self, key: str) -> MailboxFacts | None:
        return self.held.get(key)


class Rig:
    """Everything an acceptance needs, with ``alice`` and ``paul`` as local mailboxes 1 and 2."""

    def __init__(self, directory: Path | None = None, clock=lambda: NOW, url: str = "") -> None:
        self.clock = clock
        self.database = open_database(url or (f"sqlite:///{directory}/c.db" if directory else "sqlite://"))
        self.database.create_tables()
        self.committer = Committer(self.database, journal=Journal(), clock=clock)
        self.keyring = Keyring(LocalMasterKey(bytes(32)), clock)
        self.pool = ThreadPoolExecutor(2)
        instance = self.committer.run_sync(self._begin)
        self.reading = Reading(self.database)
        blobs = FileBlobs(directory / "blobs", self.pool) if directory else MemoryBlobs()
        self.sealer = Sealer(self.keyring, blobs, BodyIds(instance, clock), self.pool)
        self.notices = open_notices(self.database, instance)
        self.committer.announcer = self.notices
        self.store = SqlStore(self.committer, self.reading, self.keyring, blobs, self.sealer, self.notices, self.pool)
        self.boxes = Boxes()
        self.trusted: TrustList | None = trust_list([(THEIRS, PARTNER_DN)], at(NOW), at(NOW))
        self.scanner = MemoryScanner({b"MECHANT": "Test.Virus"})
        self.woken = 0
        for number, name in enumerate(("alice", "paul"), start=1):
            self.open_box(number, name)
        self.intake = self.make_intake()

    def _begin(self, unit) -> int:
        self.keyring.open(unit.connection, unit.now)
        return next_instance(unit.cursor)

    def open_box(self, number: int, name: str, quota: int = 0) -> None:
        self.committer.run_sync(lambda unit: self.store.provision(unit, number, quota))
        address = Address(name, OURS)
        self.boxes.held[address.key] = MailboxFacts(number, address, BalType.PER, BalState.ACTIVE, quota, 0)

    def make_intake(self, **changes) -> Intake:
        acceptor = Acceptor(self.store, Schedule(), self._wake)
        settings = IntakeSettings("smtp.op-a.mssante.test", TrustSettings(own_domains=frozenset({OURS})))
        return Intake(
            settings=settings, trusted=lambda: self.trusted, mailboxes=self.boxes, scanner=self.scanner,
            sealer=self.sealer, committer=self.committer, acceptor=acceptor, clock=self.clock, pool=self.pool, **changes,
        )  # fmt: skip

    def _wake(self) -> None:
        self.woken += 1

    async def inbox(self, mailbox: int) -> list[bytes]:
        folder = await self.store.folder(mailbox, "INBOX")
        snapshot = await self.store.snapshot(mailbox, folder.id)
        return await self.store.bodies(mailbox, snapshot.entries)

    async def close(self) -> None:
        await self.notices.close()
        await self.committer.close()
        await self.reading.close()
        self.pool.shutdown()
        self.database.dispose()


def partner() -> Peer:
    return Peer(Door.INBOUND, "192.0.2.25", "smtp.op-b.mssante.test", tls=True, certificate=certificate())


def user(name: str = "alice", mailbox: int = 1) -> Peer:
    own = Address(name, OURS)
    login = Login(f"account-{name}", mailbox, own, "device", frozenset({own.key}))
    return Peer(Door.SUBMISSION, "192.0.2.7", "poste", tls=True, login=login)


def transaction(peer: Peer, sender: str | None, *recipients: str, dsn: DsnRequest | None = None) -> Transaction:
    return Transaction(
        peer,
        address(sender) if sender else None,
        tuple(Recipient(address(text), dsn or DsnRequest()) for text in recipients),
    )


def address(text: str) -> Address:
    local, _, domain = text.rpartition("@")
    return Address(local, domain)


def letter(sender: str, subject: str = "Essai", extra: str = "", body: str = "Bonjour,\r\nVoici.\r\n") -> bytearray:
    return bytearray(
        f"From: {sender}\r\nTo: x@{OURS}\r\nSubject: {subject}\r\nMessage-ID: <m1@{THEIRS}>\r\n"
        f"Date: Mon, 02 Mar 2026 10:00:00 +0100\r\n{extra}\r\n{body}",
        "utf-8",
    )
