"""The way to partners: `[queue]`, `[[routes]]` and `[dns]`."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config_fields import setting
from gateway.settings.units import DAY, HOUR, MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """How long and how often a partner that does not answer is tried again."""

    first_retry: float = setting("duration", "Pause before the second attempt; it doubles each time.", 300.0, low=0.1)
    longest_retry: float = setting("duration", "Longest pause between two attempts.", 4000.0, low=0.1)
    lifetime: float = setting("duration", "Age at which a message is given up and its sender told.", 5 * DAY, low=1)
    warn_after: float = setting(
        "duration", "Age at which the sender is told that it is late. 0: never.", 4 * HOUR, low=0
    )
    confirm_within: float = setting(
        "duration",
        "Time a confirmation asked for (delivery, reading) may take before the sender is told of none.",
        3 * DAY,
        low=1,
    )
    unknown_domain: float = setting(
        "duration", "How long a listed domain may be missing from the DNS before mail to it fails.", 4 * HOUR, low=0
    )
    per_destination: int = setting("number", "Connections at once to one destination.", 20, low=1, high=1000)
    connections: int = setting(
        "number", "Connections at once to all destinations, per process.", 200, low=1, high=10_000, reload=False
    )
    messages_per_connection: int = setting(
        "number", "Messages sent on one connection before it is closed.", 100, low=1, high=10_000
    )
    keep_open: float = setting(
        "duration", "How long an unused connection to a partner is kept.", 30.0, low=0, high=5 * MINUTE
    )
    lease: float = setting(
        "duration",
        "Time after which the work of a courier that died is taken over.",
        30.0,
        low=5,
        high=1 * HOUR,
        reload=False,
    )
    port: int = setting("number", "Port of partners found by their MX records.", 25, low=1, high=65535)
    connect_timeout: float = setting("duration", "Time to connect.", 30.0, low=0.1)
    command_timeout: float = setting(
        "duration", "Time to wait for a greeting or an answer (RFC 5321 4.5.3.2).", 300.0, low=0.1
    )
    data_timeout: float = setting("duration", "Time to wait for the answer to DATA.", 120.0, low=0.1)
    block_timeout: float = setting("duration", "Time to wait for the partner to take the next block.", 180.0, low=0.1)
    final_timeout: float = setting(
        "duration", "Time to wait after the final dot; shorter makes duplicates (RFC 1047).", 600.0, low=0.1
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A fixed way to one domain, instead of its MX records. Trust and certificates are judged all the same."""

    domain: str = setting("domain", "The recipient domain.", shipped="partenaire.mssante.test")
    host: str = setting(
        "host", "Server to connect to: a name or an IP address.", shipped="smtp.partenaire.mssante.test"
    )
    port: int = setting("number", "Its port.", 25, low=1, high=65535)
    name: str = setting("text", "Name its certificate must bear; empty: the host.", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dns:
    """How partners' servers are found. A name never widens trust: the certificate decides."""

    servers: tuple[str, ...] = setting("addresses", "Resolvers (IP addresses); empty: those of the system.", ())
    port: int = setting("number", "Their port.", 53, low=1, high=65535)
    timeout: float = setting("duration", "Time for one resolution, retries included.", 10.0, low=0.1, high=5 * MINUTE)
    cache: float = setting(
        "duration", "Longest time an answer is kept, whatever its own TTL.", 1 * HOUR, low=0, high=1 * DAY
    )
    allow_loopback: bool = setting(
        "flag", "Let names and routes lead to this very machine (test services only).", False
    )
