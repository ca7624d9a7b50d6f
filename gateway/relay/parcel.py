"""The values between queue, courier and outbound, and the ports the courier needs.

A :class:`Parcel` is one message on its way to some recipients of one destination; a :class:`Result` is what became of
one of them. Promise: results come per recipient, in the order given, whatever the peer does.
Failure: a :class:`Transport` never raises for the peer's faults; it answers results, and ``broken`` tells whether the
whole destination is to be spared for a while.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from mailboxes.commit import Unit
from mailboxes.store import BodyReader
from policies.decision import Decision
from policies.values import DsnRequest


@dataclass(frozen=True, slots=True)
class Waypoint:
    """One recipient of a parcel. ``id`` is the queue row."""

    id: int
    recipient: str
    dsn: DsnRequest = field(default_factory=DsnRequest)


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message for some recipients of ``domain``. ``sender`` is empty for the null reverse-path."""

    message: str
    sender: str
    domain: str
    recipients: tuple[Waypoint, ...]
    body: BodyReader
    ret: str = ""
    envid: str = ""
    eight_bit: bool = False
    # Asked just before the message is committed to the peer: False once our lease on the rows has lapsed (F19).
    still_ours: Callable[[], bool] = lambda: True


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one recipient.

    ``decision`` is a rule of ``relay.*`` or ``trust.*``: accepted means handed over. ``reply`` is the peer's answer made
    printable, at most 512 characters, empty when it never spoke. ``status`` is the RFC 3463 status to report.
    ``dsn_passed`` is True when the peer took over the duty to notify of success (RFC 3461 5.2.1).
    """

    id: int
    decision: Decision
    status: str
    reply: str = ""
    host: str = ""
    certificate: str = ""  # fingerprint of the server's certificate
    dsn_passed: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """The results of one parcel. ``broken`` is the reason when the destination as a whole failed."""

    results: tuple[Result, ...]
    broken: Decision | None = None


class Bodies(Protocol):
    """The stored messages the queue refers to. ``hold`` and ``release`` run inside a unit."""

    def hold(self, unit: Unit, body_id: int, count: int = 1) -> None:
        """That many references more."""
        ...

    def release(self, unit: Unit, body_id: int, count: int = 1) -> None:
        """That many references fewer; the last one takes the body away."""
        ...

    async def open(self, body_id: int, wrapped: bytes) -> BodyReader:
        """The message, whose key was wrapped for the queue. Raises StoreError."""
        ...


class Transport(Protocol):
    """Carries parcels to partners; :class:`gateway.relay.partners.Partners` over mutual TLS, and a scripted twin."""

    async def send(self, parcel: Parcel) -> Attempt:
        """One attempt. Returns within the sum of the phase timeouts, whatever the peer does."""
        ...

    async def sweep(self) -> None:
        """Close sessions that have been idle for too long."""
        ...

    async def close(self) -> None:
        """Close every session."""
        ...


class Clock(Protocol):
    """Wall time, which may jump, and monotonic time, which may not. Both in seconds."""

    def wall(self) -> float: ...
    def monotonic(self) -> float: ...


class Submit(Protocol):
    """The way back in for notices: they are judged and stored like any other message."""

    async def notice(self, sender: None, recipient: str, content: bytes) -> str:
        """Accept a notice with the null reverse-path; returns our identifier of it once it is durable.

        Raises :class:`mailboxes.store.StoreError` when it must be tried again, :class:`Undeliverable` when never.
        """
        ...


class Undeliverable(Exception):
    """The notice cannot be delivered to anyone: the recipient is unknown or outside the space."""
