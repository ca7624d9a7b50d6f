"""What the SMTP doors ask and are told: the values of one mail transaction and the port :class:`Intake`.

The doors (:mod:`gateway.smtp.inbound`, :mod:`gateway.smtp.submission`) translate words into these values and decisions
into replies; :mod:`gateway.intake` judges and commits.
Failure: an ``Intake`` method never raises for a bad message: it answers a decision. If it does raise, the door says
451 4.3.0 (``store.unavailable``), keeps nothing, and logs the exception's type.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from policies.decision import Decision
from policies.values import Address, DsnRequest, Peer

Content = bytes | bytearray | list[bytes]
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

    async def message(self, transaction: Transaction, content: Content) -> Answer:
        """The whole message after the final dot, dots already unstuffed, line ends checked. Returns once durable.

        A list of pieces is emptied, so that the message is not held twice.
        """
        ...
