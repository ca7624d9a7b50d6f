"""What the connections of one SMTP door share, and what one conversation remembers.

Promise: plain data; :class:`Doorway` is made once per door by the wiring, and replaced whole when the configuration
changes (connections open then keep the one they began with). Failure: none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from ssl import SSLContext, SSLObject

from aiosmtpd.smtp import Envelope, Session

from gateway.smtp import replies
from gateway.smtp.budget import Budget
from gateway.smtp.limits import Clock, Gate, Limits
from gateway.smtp.transaction import Intake, Recipient
from mailboxes.authentication import Authenticator
from mailboxes.layer import UNRECOGNIZED_NAME, Hello, only
from mailboxes.seldom import Seldom
from policies.events import Event
from policies.values import Address, CertificateFacts, Door, Login

Facts = Callable[[SSLObject], CertificateFacts | None]
Record = Callable[[Event], None]
Ready = Callable[[SSLObject], Awaitable[None]]


_SMTP_ONLY = only(b"smtp")


async def _at_once(presented: SSLObject) -> None:
    """Nothing has to be asked of anybody."""


@dataclass(frozen=True)
class Doorway:
    """What all connections of one door share. ``names`` are the host names SNI may ask for; empty: any."""

    door: Door
    hostname: str
    context: SSLContext
    facts: Facts
    intake: Intake
    limits: Limits
    budget: Budget
    gate: Gate
    clock: Clock
    domain: str  # where <Postmaster> lives
    implicit_tls: bool = False
    authenticator: Authenticator | None = None
    tokens: bool = False  # somebody issues them: offered to nobody before, since programs that see them prefer them
    names: frozenset[str] = frozenset()
    record: Record = lambda event: None
    seldom: Seldom = field(default_factory=Seldom)  # of what a database that is away does to each command
    ready: Ready = _at_once  # awaited between the handshake and ``facts``: who must be asked elsewhere is asked there

    def refuse(self, hello: Hello) -> int | None:
        """The alert a ClientHello deserves (F52). ALPN has no name for SMTP that mail programs use: none may be asked."""
        if (alert := _SMTP_ONLY(hello)) is not None:
            return alert
        if hello.name and self.names and hello.name not in self.names:
            return UNRECOGNIZED_NAME
        return None

    @cached_property
    def greeting(self) -> bytes:
        return replies.plain(220, f"{self.hostname} ESMTP Caducee")


class DoorSession(Session):
    """aiosmtpd's session, with what our policies ask about the peer."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.certificate: CertificateFacts | None = None
        self.login: Login | None = None
        self.tls = False


class DoorEnvelope(Envelope):
    """aiosmtpd's envelope, with parsed addresses and RFC 3461 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.open = False  # MAIL was accepted
        self.sender: Address | None = None
        self.recipients: list[Recipient] = []
        self.named = 0  # RCPT commands, whatever came of them
        self.excess = 0  # recipients put off
        self.size = 0
        self.eight_bit = False
        self.ret = ""
        self.envid = ""
