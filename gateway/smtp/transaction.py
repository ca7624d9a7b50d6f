"""What the SMTP doors ask and are told: the values of one mail transaction and the port :class:`Intake`.

The doors (:mod:`gateway.smtp.inbound`, :mod:`gateway.smtp.submission`) translate words into these values and decisions
into replies; :mod:`gateway.intake` judges and commits.
A refusal of the port carries the reference under which the journal tells of it.
Failure: an ``Intake`` method never raises for a bad message: it answers a decision. If it does raise, the door says
451 4.3.0 (``store.unavailable``), keeps nothing, and logs the exception's type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from policies.decision import Decision
from policies.values import Address, DsnRequest, Peer

Content = bytes | bytearray | list[bytes | memoryview]
"""A message in one piece, or in the pieces it arrived in."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """One accepted RCPT TO with its RFC 3461 parameters."""

    address: Address
    dsn: DsnRequest = field(default_factory=DsnRequest)


@dataclass(frozen=True, slots=True)
class Transaction:
    """A mail transaction when DATA has been read. ``sender`` is None for the null reverse-path."""

    peer: Peer
    sender: Address | None
    recipients: tuple[Recipient, ...]
    ret: str = ""  # RFC 3461 RET
    envid: str = ""  # RFC 3461 ENVID, xtext as received
    eight_bit: bool = False  # BODY=8BITMIME was given


@dataclass(frozen=True, slots=True)
class Answer:
    """What DATA ends with: one decision for the whole message and, when accepted, our identifier of it."""

    decision: Decision
    message: str = ""


class Intake(Protocol):
    """The one way in. Called by the doors in the order of the protocol."""

    async def session(self, peer: Peer) -> Decision:
        """After EHLO inside TLS, or after login: may this peer speak at all?"""
        ...

    async def sender(self, peer: Peer, sender: Address | None, size: int) -> Decision:
        """MAIL FROM; ``size`` is the declared SIZE or 0."""
        ...

    async def recipient(self, peer: Peer, sender: Address | None, recipient: Address) -> Decision:
        """RCPT TO."""
        ...

    async def turned_away(
        self, peer: Peer, sender: Address | None, recipients: Sequence[Address], stage: str, decision: Decision
    ) -> Decision:
        """The door itself refused (a limit, a content that broke the protocol): journalled, with a reference."""
        ...

    async def message(self, transaction: Transaction, content: Content) -> Answer:
        """The whole message after the final dot, dots already unstuffed, line ends checked. Returns once durable.

        A list of pieces is emptied, so that the message is not held twice.
        """
        ...
