"""What is served over HTTP: `[http]` to everybody, `[monitor]` to whoever watches the service."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config_fields import setting
from gateway.config_units import Listen
from gateway.settings.units import DAY, HOUR, MINUTE, KiB, MiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """Port 443: what mail programs, software and browsers ask for. TLS from the first byte."""

    listen: tuple[Listen, ...] = setting(
        "listen", 'Addresses `host:port`, such as "0.0.0.0:443"; empty: this door stays closed.', (), reload=False
    )
    url: str = setting(
        "text",
        "How callers reach it, in links we give out, such as `https://mss.example.org`; empty: `operator.hostname` and\n"
        "the first port listened on.",
        "",
    )
    certificates: bool = setting(
        "flag",
        "Ask callers for a client certificate, by which software of APP mailboxes logs in. A browser that holds one asks\n"
        "its user which to show, on every page.",
        False,
        reload=False,
    )
    connections: int = setting("number", "Connections at once, per process.", 1000, low=1, high=100_000)
    connections_per_ip: int = setting(
        "number", "Connections at once from one address, all workers together.", 50, low=1, high=100_000
    )
    idle_timeout: float = setting("duration", "Silence after which a connection is closed.", 15.0, low=1)
    request_timeout: float = setting(
        "duration", "Longest time a request may take to arrive, or its answer to be fetched.", 30.0, low=1
    )
    header_size: int = setting("size", "Largest head of a request.", 16 * KiB, low=4 * KiB, high=1 * MiB)
    body_size: int = setting(
        "size",
        "Largest body of a request, where its page does not allow for more.",
        64 * KiB,
        low=1 * KiB,
        high=64 * MiB,
    )
    directory: bool = setting(
        "flag", "Serve the directory as FHIR to whoever has a mailbox here, at `/fhir` (MSS-123).", True, reload=False
    )
    directory_entries_per_hour: int = setting(
        "number",
        "Different mailboxes of it one account may see in an hour, shared out evenly between workers (MSS-130). 0: no limit.",
        5000,
        low=0,
        high=100_000,
    )
    directory_searches_per_minute: int = setting(
        "number", "Searches and readings of one account in a minute, likewise. 0: no limit.", 300, low=0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """For machines that watch this one: health and metrics, without TLS or login. Keep it on an address only they reach."""

    listen: tuple[Listen, ...] = setting(
        "listen",
        "Addresses `host:port`; empty: this door stays closed. One that is taken is told to the log, and mail flows.",
        (Listen("127.0.0.1", 9225),),
        reload=False,
    )
    certificate_warn: float = setting(
        "duration", "Life our certificates have left, below which it is worth a warning (F48).", 30 * DAY, low=HOUR
    )
    certificate_fail: float = setting("duration", "The same, below which it is a failure.", 7 * DAY, low=0)
    queue_warn: int = setting(
        "number", "Recipients waiting in the queue from which on it is worth a warning.", 1000, low=1
    )
    queue_fail: int = setting("number", "The same, from which on it is a failure.", 10_000, low=1)
    oldest_warn: float = setting(
        "duration", "Age of the oldest of them from which on it is worth a warning.", 4 * HOUR, low=MINUTE
    )
    oldest_fail: float = setting("duration", "The same, from which on it is a failure.", 2 * DAY, low=MINUTE)
    dsn_warn: float = setting(
        "ratio",
        "Share of the last hour's recipients that failed, from which on it is worth a warning.",
        0.05,
        low=0,
        high=1,
    )
    dsn_fail: float = setting("ratio", "The same, from which on it is a failure.", 0.25, low=0, high=1)
    dsn_least: int = setting("number", "Failures in an hour below which their share says nothing.", 20, low=1)
