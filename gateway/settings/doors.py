"""The doors, and what one client may ask of them: `[inbound]`, `[submission]`, `[submissions]`, `[imap]`, `[imaps]`, `[limits]`
and `[unsolicited]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.config_fields import setting
from gateway.config_units import Listen
from gateway.settings.units import DAY, HOUR, MINUTE, GiB, KiB, MiB


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpDoor:
    """Settings every SMTP door has."""

    listen: tuple[Listen, ...] = setting("listen", "Addresses; empty: this door stays closed.", (), reload=False)
    connections: int = setting("number", "Connections at once, per process.", 1000, low=1, high=100_000)
    connections_per_ip: int = setting(
        "number", "Connections at once from one address, all workers together.", 50, low=1, high=100_000
    )
    idle_timeout: float = setting("duration", "Silence after which a session is closed.", 5 * MINUTE, low=1)
    data_timeout: float = setting("duration", "Longest time one message may take to arrive.", 10 * MINUTE, low=1)
    minimum_rate: int = setting("size", "Bytes per second below which a sender is cut off.", 500, low=0)
    session_timeout: float = setting("duration", "Longest life of one session.", 1 * HOUR, low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound(SmtpDoor):
    """Port 25: partners. STARTTLS and a client certificate of the trust space are required."""

    listen: tuple[Listen, ...] = setting(
        "listen",
        "Addresses `host:port`; empty: this door stays closed.",
        (Listen("0.0.0.0", 25),),  # noqa: S104
        reload=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission(SmtpDoor):
    """Port 587: our users and their software. STARTTLS, then login."""

    listen: tuple[Listen, ...] = setting(
        "listen",
        "Addresses `host:port`; empty: this door stays closed.",
        (Listen("0.0.0.0", 587),),  # noqa: S104
        reload=False,
    )
    connections_per_account: int = setting(
        "number", "Connections at once for one account, all workers together.", 20, low=1, high=10_000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Submissions(SmtpDoor):
    """Port 465: the same with TLS from the first byte."""

    listen: tuple[Listen, ...] = setting(
        "listen",
        "Addresses `host:port`; empty: this door stays closed.",
        (Listen("0.0.0.0", 465),),  # noqa: S104
        reload=False,
    )
    connections_per_account: int = setting(
        "number", "Connections at once for one account, all workers together.", 20, low=1, high=10_000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapDoor:
    """Settings both IMAP doors have."""

    listen: tuple[Listen, ...] = setting("listen", "Addresses; empty: this door stays closed.", (), reload=False)
    connections: int = setting("number", "Connections at once, per process.", 10_000, low=1, high=1_000_000)
    connections_per_ip: int = setting(
        "number",
        "Connections at once from one address, both IMAP doors and all workers together.",
        500,
        low=1,
        high=100_000,
    )
    connections_per_account: int = setting(
        "number", "Connections at once for one account, likewise.", 50, low=1, high=10_000
    )
    login_timeout: float = setting("duration", "Time a client has to log in.", 1 * MINUTE, low=1)
    idle_timeout: float = setting(
        "duration",
        "Silence after which a logged-in session is closed (RFC 9051 5.4: 30 min or more).",
        30 * MINUTE,
        low=1,
    )
    session_timeout: float = setting("duration", "Longest life of one session (MSS-075).", 1 * DAY, low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imap(ImapDoor):
    """Port 143: reading mail. STARTTLS before login."""

    listen: tuple[Listen, ...] = setting(
        "listen",
        "Addresses `host:port`; empty: this door stays closed.",
        (Listen("0.0.0.0", 143),),  # noqa: S104
        reload=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Imaps(ImapDoor):
    """Port 993: the same with TLS from the first byte."""

    listen: tuple[Listen, ...] = setting(
        "listen",
        "Addresses `host:port`; empty: this door stays closed.",
        (Listen("0.0.0.0", 993),),  # noqa: S104
        reload=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client may ask for. Every limit is per process unless it says otherwise."""

    message_size: int = setting(
        "size", "Largest message accepted, sent or received (MSS-044).", 25 * MiB, low=64 * KiB, high=1 * GiB
    )
    header_size: int = setting("size", "Largest header block.", 100 * KiB, low=4 * KiB, high=4 * MiB)
    bytes_in_flight: int = setting(
        "size",
        "Memory all messages being received may take together; when it is full, new ones wait or hear 452. Each worker "
        "may always hold one: three times message_size, whatever is set here.",
        512 * MiB,
        low=1 * MiB,
        high=1024 * GiB,
    )
    domain_sizes: Mapping[str, int] = setting(
        "sizes", 'Smaller limits of recipient domains: `domain_sizes = { "mssante.exemple.fr" = "10MiB" }`.', {}
    )
    patient_domains: tuple[str, ...] = setting(
        "domains",
        "Domains of patients' mailboxes (MSS-098). Once named here, their addresses are sealed in the database for good.",
        ("patient.mssante.fr",),
    )
    patient_size: int = setting("size", "Largest message to a patient (MSS-045).", 25 * MiB, low=64 * KiB, high=1 * GiB)
    mime_depth: int = setting("number", "Deepest nesting of parts.", 32, low=4, high=100)
    mime_parts: int = setting("number", "Most parts in one message.", 1000, low=10, high=10_000)
    recipients: int = setting("number", "Recipients of one message.", 100, low=1, high=10_000)
    hops: int = setting("number", "Received lines after which a message is a loop (MSS-046).", 50, low=5, high=200)
    messages_per_account: int = setting(
        "number", "Messages one mailbox may send per hour, all processes together. 0: no limit.", 500, low=0
    )
    recipients_per_account: int = setting(
        "number", "Recipients one mailbox may write to per hour, all processes together. 0: no limit.", 2000, low=0
    )
    messages_per_ip: int = setting(
        "number", "Messages begun from one address per hour, in each process. 0: no limit.", 0, low=0
    )
    connections_per_minute: int = setting(
        "number",
        "New connections from one address per minute, shared out evenly between workers. 0: no limit.",
        600,
        low=0,
    )
    errors: int = setting("number", "Errors after which a session is closed.", 20, low=1, high=1000)
    junk: int = setting(
        "number", "Commands without effect (NOOP, RSET...) after which a session is closed.", 100, low=1, high=10_000
    )
    unknown_recipients: int = setting(
        "number", "Unknown recipients after which a session is closed.", 20, low=1, high=10_000
    )
    append_size: int = setting(
        "size", "Largest message an IMAP client may store.", 64 * MiB, low=64 * KiB, high=1 * GiB
    )
    free_space: int = setting(
        "size", "Free space on each disk we write to below which mail is no longer accepted (452).", 256 * MiB, low=0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsolicited:
    """Volumes that look like unsolicited mail (TOU-A06, TOU-B03): numbers of recipients, 0 switches one off.

    Counted for each sending mailbox, all processes together, and not forgotten by a restart.
    """

    slow_down: int = setting("number", "Recipients per hour from which a sender is asked to wait (450).", 200, low=0)
    refuse: int = setting("number", "Recipients per hour from which a sender is refused (550).", 500, low=0)
    broadcast_slow_down: int = setting("number", "The same, for one and the same content.", 30, low=0)
    broadcast_refuse: int = setting("number", "The same, for one and the same content.", 50, low=0)
    exempt: tuple[str, ...] = setting(
        "names", "Addresses or domains that may: an APP mailbox sending results to many is normal.", ()
    )
