"""The LDAP doors, at which address books ask the directory: `[ldap]` and `[ldaps]`."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config_fields import setting
from gateway.config_units import Listen
from gateway.settings.units import DAY, MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapDoor:
    """Settings both LDAP doors have."""

    listen: tuple[Listen, ...] = setting(
        "listen", "Addresses `host:port`; empty: this door stays closed.", (), reload=False
    )
    connections: int = setting("number", "Connections at once, per process.", 10_000, low=1, high=1_000_000)
    connections_per_ip: int = setting(
        "number",
        "Connections at once from one address, both LDAP doors and all workers together.",
        500,
        low=1,
        high=100_000,
    )
    connections_per_account: int = setting(
        "number", "Connections at once for one account, likewise.", 50, low=1, high=10_000
    )
    login_timeout: float = setting(
        "duration", "Silence after which one who has not logged in is cut off.", 1 * MINUTE, low=1
    )
    idle_timeout: float = setting("duration", "Silence after which a session is closed.", 10 * MINUTE, low=1)
    session_timeout: float = setting("duration", "Longest life of one session (MSS-075).", 1 * DAY, low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ldap(LdapDoor):
    """Address books of mail programs ask the directory here: port 389, STARTTLS before login. Closed until you open it, with
    `listen = ["0.0.0.0:389"]`. From `base` on, all keys count for `[ldaps]` too.
    """

    base: str = setting("text", "Where the entries are, as an LDAP name.", "ou=bal,o=mssante,c=fr", reload=False)
    entries: int = setting("number", "Most entries of one search (MSS-130).", 100, low=1, high=1000)
    entries_per_hour: int = setting(
        "number",
        "Different entries one account may see in an hour, shared out evenly between workers. 0: no limit.",
        5000,
        low=0,
        high=100_000,
    )
    searches_per_minute: int = setting(
        "number", "Searches of one account in a minute, likewise: programs search with each letter.", 300, low=0
    )
    search_timeout: float = setting("duration", "Longest time one search may take.", 10.0, low=0.1, high=5 * MINUTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ldaps(LdapDoor):
    """The same with TLS from the first byte, port 636: what most programs want, `listen = ["0.0.0.0:636"]`."""
