"""Failed logins, counted so that nobody guesses and nobody is kept out (MSS-078, F61, F73, F74).

An attempt is *charged before* it is judged, and the one that reaches the threshold locks the door behind itself, so that
fifty threads at once get no more tries than one after the other; success forgets the charge and the lock. Counters are kept per subject (what was tried) and address, and per address for all subjects
together; they live one hour, a lock at most a quarter of an hour.
Promise: no hour holds more than the configured failures of one subject from one address. Subjects are stored hashed: what
people type in the wrong field, such as a password, is never kept. Failure: database errors propagate.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, text, update

from mailboxes.account_tables import login_failure
from policies.access import evaluated_before_lock

HOUR = 3600
KEPT = 24 * HOUR
ANYONE = "ip"

_CHARGE = text(
    "INSERT INTO login_failure (subject, ip, count, first_at, locked_until) VALUES (:subject, :ip, 1, :now, 0)"
    " ON CONFLICT (subject, ip) DO UPDATE SET"
    " count = CASE WHEN login_failure.first_at <= :hour_ago THEN 1"
    "  WHEN login_failure.locked_until > :now THEN login_failure.count ELSE login_failure.count + 1 END,"
    " first_at = CASE WHEN login_failure.first_at <= :hour_ago THEN :now ELSE login_failure.first_at END"
    " RETURNING count, locked_until"
)


@dataclass(frozen=True, slots=True)
class Charged:
    """An attempt that was counted; ``locked_until`` is in epoch seconds, 0 when it may be judged freely."""

    subject: str
    ip: str
    count: int
    locked_until: float


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
    """The counters of one operator. ``lock`` in seconds."""

    per_hour: int = 10
    per_ip: int = 100
    lock: float = 900.0

    @property
    def threshold(self) -> int:
        return evaluated_before_lock(self.per_hour, self.lock)

    def charge(self, connection: Connection, subject: str, ip: str, now: float) -> Charged:
        """Count one attempt, or learn that it is locked. The row stays ours until the transaction ends."""
        place = network(ip)
        values = {"subject": subject, "ip": place, "now": int(now), "hour_ago": int(now) - HOUR}
        count, locked_until = connection.execute(_CHARGE, values).one()
        if locked_until <= now and count >= self.threshold:
            self._lock(connection, subject, place, now)
        query = select(login_failure.c.locked_until).where(
            (login_failure.c.subject == ANYONE) & (login_failure.c.ip == place)
        )
        spray = connection.execute(query).scalar() or 0
        locked = max(locked_until, spray)
        return Charged(subject, place, count, locked if locked > now else 0.0)

    def failed(self, connection: Connection, charged: Charged, now: float) -> None:
        """The attempt was wrong: counted against the address too. One that met a lock was not judged."""
        if charged.locked_until:
            return
        values = {"subject": ANYONE, "ip": charged.ip, "now": int(now), "hour_ago": int(now) - HOUR}
        count, _ = connection.execute(_CHARGE, values).one()
        if count >= self.per_ip:
            self._lock(connection, ANYONE, charged.ip, now)
        old = (login_failure.c.first_at < int(now) - KEPT) & (login_failure.c.locked_until < int(now))
        connection.execute(delete(login_failure).where(old))

    def succeeded(self, connection: Connection, charged: Charged) -> None:
        """The attempt was right: its counter is forgotten."""
        here = (login_failure.c.subject == charged.subject) & (login_failure.c.ip == charged.ip)
        connection.execute(delete(login_failure).where(here))

    def _lock(self, connection: Connection, subject: str, ip: str, now: float) -> None:
        here = (login_failure.c.subject == subject) & (login_failure.c.ip == ip)
        connection.execute(update(login_failure).where(here).values(locked_until=int(now + self.lock)))
