"""What is served over HTTP: `[http]` to everybody, `[monitor]` to whoever watches the service."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config_fields import setting
from gateway.config_units import Listen
from gateway.settings.units import KiB, MiB


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """For machines that watch this one: health and metrics, without TLS or login. Keep it on an address only they reach."""

    listen: tuple[Listen, ...] = setting(
        "listen",
        "Addresses `host:port`; empty: this door stays closed. One that is taken is told to the log, and mail flows.",
        (Listen("127.0.0.1", 9225),),
        reload=False,
    )
