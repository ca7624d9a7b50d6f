"""Failed logins, counted so that nobody guesses and nobody is kept out (MSS-078, F61, F73, F74).

An attempt is *charged before* it is judged, and the one that reaches the threshold locks the door behind itself, so
that fifty threads at once get no more tries than one after the other; success forgets the charge and the lock. Counters
are kept per subject (what was tried) and address, and per address for all subjects together; they live one hour, a lock
at most a quarter of an hour. What a clock that was wrong dated more than an hour ahead counts for nothing: it would
keep the owner out for days once the clock is right again.
Promise: no hour holds more than the configured failures of one subject from one address. Subjects are stored hashed: what
people type in the wrong field, such as a password, is never kept. Failure: database errors propagate.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from typing import Any

from mailboxes.sql import Sql
from policies.access import evaluated_before_lock

HOUR = 3600
KEPT = 24 * HOUR
ANYONE = "ip"

# values: subject, ip, now, hour_ago, hour_ahead, now, hour_ago, hour_ahead, now, hour_ahead
_CHARGE = Sql(
    "INSERT INTO login_failure (subject, ip, count, first_at, locked_until) VALUES (?, ?, 1, ?, 0)"
    " ON CONFLICT (subject, ip) DO UPDATE SET"
    " count = CASE WHEN login_failure.first_at <= ? OR login_failure.first_at > ? THEN 1"
    "  WHEN login_failure.locked_until > ? THEN login_failure.count ELSE login_failure.count + 1 END,"
    " first_at = CASE WHEN login_failure.first_at <= ? OR login_failure.first_at > ? THEN ? ELSE login_failure.first_at END,"
    " locked_until = CASE WHEN login_failure.first_at > ? THEN 0 ELSE login_failure.locked_until END"
    " RETURNING count, locked_until"
)
_LOCK = Sql("UPDATE login_failure SET locked_until = ? WHERE subject = ? AND ip = ?")
_LOCKED_UNTIL = Sql("SELECT locked_until FROM login_failure WHERE subject = ? AND ip = ? AND first_at <= ?")
_FORGET = Sql("DELETE FROM login_failure WHERE subject = ? AND ip = ?")
_UNLOCK = Sql("DELETE FROM login_failure WHERE subject = ?")
_FORGET_OLD = Sql("DELETE FROM login_failure WHERE first_at < ? AND locked_until < ?")


@dataclass(frozen=True, slots=True)
class Charged:
    """An attempt that was counted; ``locked_until`` is in epoch seconds, 0 when it may be judged freely.

    ``first_lock``: the lock met is the first of its hour on this subject, not one that followed another.
    """

    subject: str
    ip: str
    count: int
    locked_until: float
    first_lock: bool = False


def unlock(cursor: Any, subject: str) -> int:
    """Forget the failures of one subject, from everywhere, and its locks. How many places were counted."""
    return int(_UNLOCK(cursor, subject).rowcount)


def subject_of(means: str, name: str) -> str:
    """The counter of one thing that can be tried, such as the device passwords of one address."""
    return hashlib.sha256(f"{means}\0{name.lower()}".encode("utf-8", "surrogatepass")).hexdigest()


def network(ip: str) -> str:
    """The address counted: IPv4 whole, IPv6 by its /64, because one subscriber has all of it."""
    try:
        parsed = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return ip[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False).network_address) + "/64"
    return str(parsed)


@dataclass(frozen=True, slots=True)
class Attempts:
    """The counters of one operator. ``lock`` in seconds; ``cursor`` is the one of a write transaction."""

    per_hour: int = 10
    per_ip: int = 100
    lock: float = 900.0

    @property
    def threshold(self) -> int:
        return evaluated_before_lock(self.per_hour, self.lock)

    def charge(self, cursor: Any, subject: str, ip: str, now: float) -> Charged:
        """Count one attempt, or learn that it is locked. The row stays ours until the transaction ends."""
        place = network(ip)
        count, locked_until = _charge(cursor, subject, place, int(now))
        if locked_until <= now and count >= self.threshold:
            self._lock(cursor, subject, place, now)
        spray = _LOCKED_UNTIL(cursor, ANYONE, place, int(now) + HOUR).fetchone()
        locked = max(locked_until, spray[0] if spray is not None else 0)
        first = locked_until > now and count <= self.threshold
        return Charged(subject, place, count, locked if locked > now else 0.0, first)

    def failed(self, cursor: Any, charged: Charged, now: float) -> None:
        """The attempt was wrong: counted against the address too. One that met a lock was not judged."""
        if charged.locked_until:
            return
        count, _ = _charge(cursor, ANYONE, charged.ip, int(now))
        if count >= self.per_ip:
            self._lock(cursor, ANYONE, charged.ip, now)
        _FORGET_OLD(cursor, int(now) - KEPT, int(now))

    def succeeded(self, cursor: Any, charged: Charged) -> None:
        """The attempt was right: its counter is forgotten."""
        _FORGET(cursor, charged.subject, charged.ip)

    def _lock(self, cursor: Any, subject: str, ip: str, now: float) -> None:
        _LOCK(cursor, int(now + self.lock), subject, ip)


def _charge(cursor: Any, subject: str, ip: str, now: int) -> tuple[int, int]:
    """One more for this counter, unless it is locked: the count, and the end of a lock that stood before."""
    ago, ahead = now - HOUR, now + HOUR
    row = _CHARGE(cursor, subject, ip, now, ago, ahead, now, ago, ahead, now, ahead).fetchall()[0]
    return int(row[0]), int(row[1])
