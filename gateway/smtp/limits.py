"""What the doors allow: limits as values, token buckets, and the count of who is connected.

The defaults are Postfix's where it has them (connections, errors, junk, line, data rate), and RFC 5321 4.5.3.2's times.
Promise: memory of strangers is bounded (:data:`KEYS` addresses or accounts remembered, the oldest forgotten first); time
comes from the clock given.
Failure: none raises; each question answers yes or no.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from mailboxes.tally import LocalTally, Tally

Clock = Callable[[], float]
"""Seconds, never going back (``time.monotonic``)."""

KEYS = 10_000
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rate:
    """``per_minute`` events on average and ``burst`` at once; 0 per minute means no limit."""

    per_minute: float = 0.0
    burst: int = 100

    @classmethod
    def hourly(cls, count: int) -> Rate:
        """``count`` an hour, all at once if need be; 0: no limit."""
        return cls(count / 60.0, max(count, 1))


NOTES = Rate(per_minute=6, burst=30)
"""Journal lines about sessions cut and handshakes failed, per address; the log has them all."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Everything a door counts. Octets, seconds, or plain numbers; 0 means no limit only for :class:`Rate`."""

    message_size: int = 30 * MIB
    header_size: int = 256 * 1024
    line_length: int = 64 * 1024  # of content; RFC 5321 asks for 1 000 at least
    command_length: int = 2048
    auth_length: int = 16 * 1024  # RFC 4954 asks for 12 288
    recipients: int = 1000
    overshoot: int = 1000  # recipients of a message put off without being errors (Postfix's figure)
    soft_errors: int = 10
    hard_errors: int = 20
    junk_commands: int = 100
    refused_recipients: int = 20
    login_failures: int = 3
    connections: int = 1000
    connections_per_ip: int = 50
    connections_per_account: int = 50
    connections_rate_per_ip: Rate = Rate()
    messages_per_ip: Rate = Rate()
    login_failures_per_ip: Rate = Rate(per_minute=10, burst=30)
    session_timeout: float = 3600.0
    command_timeout: float = 300.0
    handshake_timeout: float = 30.0
    content_timeout: float = 600.0
    content_rate: int = 500  # octets per second, after the first content_grace seconds
    content_grace: float = 30.0
    soft_error_delay: float = 1.0
    login_failure_delay: float = 2.0
    linger: float = 1.0  # how long a closed connection may still read our last words
    drain: float = 30.0


class Buckets:
    """A token bucket per key. Full buckets are indistinguishable from forgotten ones."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def follow(self, rate: Rate) -> None:
        """Another rate from now on; what was used stays used."""
        if rate != self._rate:
            spent = {key: self._rate.burst - self._level(key) for key in self._levels}
            self._rate, now = rate, self._clock()
            for key, used in spent.items():
                self._levels[key] = (float(rate.burst) - used, now)

    def allow(self, key: str, cost: float = 1.0) -> bool:
        """Take ``cost`` tokens from ``key``'s bucket; False when it holds fewer."""
        if not self._rate.per_minute:
            return True
        level = self._level(key)
        allowed = level >= cost
        self._levels[key] = (level - cost if allowed else level, self._clock())
        self._levels.move_to_end(key)
        if len(self._levels) > KEYS:
            self._levels.popitem(last=False)
        return allowed

    def __len__(self) -> int:
        return len(self._levels)

    def empty(self, key: str) -> bool:
        """True when the next :meth:`allow` would say no; takes nothing."""
        return bool(self._rate.per_minute) and self._level(key) < 1.0

    def _level(self, key: str) -> float:
        level, since = self._levels.get(key, (float(self._rate.burst), self._clock()))
        return min(float(self._rate.burst), level + (self._clock() - since) * self._rate.per_minute / 60.0)


class Gate:
    """Who is connected and how fast they send, at the door ``name``; ``tally`` counts with the other workers of the machine.

    New connections are spread over the workers by the kernel, so each lets its share of their rate in; all other rates are
    this process's own.
    """

    def __init__(self, limits: Limits, clock: Clock, tally: Tally | None = None, name: str = "") -> None:
        self._limits = limits
        self._tally = tally or LocalTally()
        self._name = name
        self._open = 0
        self._connections_ip = Buckets(limits.connections_rate_per_ip, clock)
        self._messages_ip = Buckets(limits.messages_per_ip, clock)
        self._notes = Buckets(NOTES, clock)
        self._failures = Buckets(limits.login_failures_per_ip, clock)

    def follow(self, limits: Limits) -> None:
        """Other limits from now on. Who is connected stays; what was used of a rate stays used."""
        self._limits = limits
        for buckets, rate in (
            (self._connections_ip, limits.connections_rate_per_ip),
            (self._messages_ip, limits.messages_per_ip),
            (self._failures, limits.login_failures_per_ip),
        ):
            buckets.follow(rate)

    def enter(self, ip: str) -> bool:
        """Count a new connection; False, and not counted, when there are too many."""
        limits = self._limits
        if self._open >= limits.connections or not self._connections_ip.allow(ip, self._tally.processes):
            return False
        if not self._tally.enter(f"{self._name} ip {ip}", limits.connections_per_ip):
            return False
        self._open += 1
        return True

    def leave(self, ip: str) -> None:
        self._open -= 1
        self._tally.leave(f"{self._name} ip {ip}")

    def log_in(self, account: str) -> bool:
        """Count a session of an account; False, and not counted, when there are too many."""
        return self._tally.enter(f"{self._name} account {account}", self._limits.connections_per_account)

    def log_out(self, account: str) -> None:
        self._tally.leave(f"{self._name} account {account}")

    def message(self, ip: str) -> bool:
        """May one more message begin? What one mailbox may send is counted by the intake, for all processes."""
        return self._messages_ip.allow(ip)

    def may_log_in(self, ip: str) -> bool:
        """False while an address has failed too many logins."""
        return not self._failures.empty(ip)

    def worth_noting(self, ip: str) -> bool:
        """False when the journal has enough lines about what this address does wrong."""
        return self._notes.allow(ip)

    def login_failed(self, ip: str) -> None:
        self._failures.allow(ip)
