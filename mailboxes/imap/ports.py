"""What the IMAP server asks of the rest of the house: small ports, limits, and the bag that holds them.

The store and the authenticator have their own contracts (:mod:`mailboxes.store`, :mod:`mailboxes.authentication`).
Their in-memory twins are in ``tests/mailboxes/imap/harness.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Protocol

from mailboxes.anatomy import Anatomy
from mailboxes.authentication import Authenticator
from mailboxes.imap.content import Cache
from mailboxes.imap.indexes import Indexes
from mailboxes.seldom import Seldom
from mailboxes.store import MailStore
from mailboxes.tally import LocalTally, Tally
from policies.decision import Decision
from policies.values import BalType, CertificateFacts, Login

ALL_RIGHTS = "lrswipkxtecda"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a login may do in its mailbox: the mailbox's type and RFC 4314 rights, in the RFC's letters."""

    type: BalType
    rights: str = ALL_RIGHTS
    traced: bool = False

    @property
    def journalled(self) -> bool:
        """Shared mailboxes keep track of who read and erased what (MSS-062, TOU-F01); with ``traced`` personal ones do too (MSS-143)."""
        return self.traced or self.type is not BalType.PER


class Standings(Protocol):
    """Rights of ORG and CAB members; an owner has them all."""

    async def of(self, login: Login) -> Standing: ...

    async def members(self, mailbox_id: int) -> Sequence[tuple[str, str]]:
        """Every login with rights on the mailbox, and its rights."""
        ...


class Gate(Protocol):
    """The content policies (virus, size) for what enters by APPEND."""

    async def judge(self, login: Login, content: bytes, anatomy: Anatomy) -> Decision: ...


class Room(Protocol):
    """The byte budget shared by every door; ``take`` waits for room, and raises when none comes. ``owner`` is the account."""

    async def take(self, octets: int, owner: str = "") -> None: ...

    def release(self, octets: int, owner: str = "") -> None: ...


class Unbounded:
    """A :class:`Room` without walls, for tests and tools."""

    async def take(self, octets: int, owner: str = "") -> None:
        """Enter at once."""

    def release(self, octets: int, owner: str = "") -> None:
        """Nothing was held."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    message: int = 35 * 1024 * 1024
    login_time: int = 60
    idle_time: int = 30 * 60
    session_time: int = 24 * 3600  # longest life of a session, whatever it does (MSS-075)
    stuck_time: int = 5 * 60  # a client that does not read its answer
    command_time: int = 5 * 60  # from a command's first octet to its last
    slowest: int = 10 * 1024  # octets per second of a literal, beyond that time
    sweep_every: float = 5.0
    alive_every: float = 30.0  # so that a withdrawn mailbox is cut within 60 s (MSS-055)
    connections: int = 20_000
    per_ip: int = 200
    per_account: int = 50
    bad_commands: int = 20
    bad_logins: int = 5
    folders: int = 2000
    keywords: int = 100
    metadata_value: int = 64 * 1024
    metadata_entries: int = 100


def uncounted(_name: str) -> None:
    """Where nobody counts commands."""


@dataclass(slots=True)
class Service:
    """Everything the sessions of one server share."""

    store: MailStore
    authenticator: Authenticator
    standings: Standings
    gate: Gate
    indexes: Indexes
    cache: Cache
    clock: Callable[[], float]
    certificate: Callable[[bytes], CertificateFacts | None]  # DER of a client certificate -> facts
    room: Room = field(default_factory=Unbounded)
    limits: Limits = field(default_factory=Limits)
    tls: SSLContext | None = None
    tokens: bool = False  # offer OAUTHBEARER and XOAUTH2
    seldom: Seldom = field(default_factory=Seldom)
    tally: Tally = field(default_factory=LocalTally)  # connections per IP and per account
    count: Callable[[str], None] = uncounted  # told the name of each command
