"""What the LDAP doors need of the house: who logs in, what is found, what is recorded, and their limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from directory.allowance import Allowance
from directory.ldap.telling import Telling
from directory.ldap.wire import Code
from directory.search import Directory
from policies.events import Event
from policies.values import Login


class BindRefused(Exception):
    """A login was refused: the code and the words to answer with."""

    def __init__(self, code: Code, words: str) -> None:
        super().__init__(code.name)
        self.code = code
        self.words = words


class Gate(Protocol):
    """Who may come in, and stay."""

    async def password(self, login: str, secret: str, ip: str) -> Login:
        """A device password; ``login`` is an address. An unknown one and a wrong secret take the same time and raise the
        same :class:`BindRefused`."""
        ...

    async def alive(self, login: Login) -> bool:
        """False once mailbox, account or device was withdrawn (MSS-055)."""
        ...


class Tally(Protocol):
    """Counts of connections, of all workers together."""

    def enter(self, name: str, limit: int) -> bool: ...
    def leave(self, name: str) -> None: ...


class Layer(Protocol):
    """TLS between a transport and ``inside``, which knows the connection already where it is ``announced``. ``waiter`` hears
    of the handshake; :meth:`connection_made` begins it."""

    def __call__(self, inside: asyncio.Protocol, waiter: asyncio.Future[None], *, announced: bool) -> TlsProtocol: ...


class TlsProtocol(Protocol):
    def connection_made(self, transport: Any) -> None: ...
    def app_transport(self) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a door counts. Times are seconds."""

    connections: int = 10_000
    per_ip: int = 500
    per_account: int = 50
    login_time: float = 60.0
    idle_time: float = 600.0
    session_time: float = 86_400.0
    search_time: float = 10.0
    entries: int = 100
    """Entries of one search."""
    failures: int = 5
    """Refused logins of one connection."""
    message: int = 64 * 1024
    """Octets of one request."""
    waiting: int = 32
    """Requests of one connection that wait for their turn; no more are read meanwhile."""
    sweep_every: float = 5.0
    alive_every: float = 30.0


@dataclass(slots=True)
class Service:
    """What every connection of a door shares; ``limits`` may be changed while it runs."""

    directory: Directory
    gate: Gate
    allowance: Allowance
    telling: Telling
    tally: Tally
    record: Callable[[Event], object]
    layer: Layer | None
    base: str
    limits: Limits
