"""Who runs the service, where it keeps what it holds, how it runs: `[operator]`, `[store]`, `[journal]`, `[log]`, `[service]`."""

# ruff: noqa: RUF009  (`setting` makes a dataclass field, as dataclasses.field does)
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.config_fields import Secret, setting
from gateway.settings.units import DAY, MINUTE, KiB

ROLES = ("inbound", "submission", "imap", "courier", "ldap", "http")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Who runs this service, and for which domains."""

    name: str = setting(
        "text", "Legal name of the operator, as partners and users read it.", shipped="Opérateur d’essai"
    )
    domains: tuple[str, ...] = setting(
        "domains",
        "Mail domains served here, lower-case A-labels. Each is matched exactly: list sub-domains one by one.",
        shipped=["operateur.mssante.test"],
        reload=False,
    )
    hostname: str = setting(
        "domain",
        "Name of this server in greetings, identifiers and traces.",
        shipped="mail.operateur.mssante.test",
        reload=False,
    )
    postmaster: str = setting("text", "Where operators write; empty: postmaster@ the first domain.", "", reload=False)
    test_mode: bool = setting(
        "flag",
        "Test service: test PKI and test identities only. Never mixed with production (MSS-148).",
        False,
        reload=False,
        shipped=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Where mailboxes, queue and journal are kept, always encrypted."""

    url: str = setting(
        "database",
        "`sqlite:PATH` (one machine) or `postgresql://USER@HOST:PORT/DATABASE`; never a password here.",
        "sqlite:data/caducee.db",
        reload=False,
    )
    password: Secret = setting(
        "secret", "PostgreSQL password: `file:PATH` or `env:NAME`; empty: none needed.", Secret(), reload=False
    )
    blobs: str = setting("blobs", "Large bodies: a folder, or `s3://BUCKET/PREFIX`.", "data/blobs", reload=False)
    inline_limit: int = setting(
        "size",
        "Bodies up to this size are kept in the database row.",
        128 * KiB,
        low=0,
        high=256 * KiB,
        reload=False,
    )
    master_key: Secret = setting(
        "secret",
        "The operator's key, 32 bytes in base64, that wraps every mailbox key: `file:PATH` or `env:NAME`.\n"
        "Create it with `caducee config master-key FILE`, keep a copy elsewhere: without it all mail is lost.",
        Secret(),
        reload=False,
    )
    readers: int = setting("number", "Database connections for reading, per process.", 4, low=1, high=64, reload=False)
    s3_endpoint: str = setting(
        "text", "S3 endpoint when not Amazon's, such as `https://s3.example.org`.", "", reload=False
    )
    s3_region: str = setting("text", "S3 region.", "fr-par", reload=False)
    s3_access_key: Secret = setting("secret", "S3 access key: `file:PATH` or `env:NAME`.", Secret(), reload=False)
    s3_secret_key: Secret = setting("secret", "S3 secret key: `file:PATH` or `env:NAME`.", Secret(), reload=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """Evidence: the hash-chained journal."""

    anchor: Path = setting(
        "place",
        "File outside the database where the head of the chain is written, so that a rollback shows. Keep it elsewhere.",
        Path("data/journal.anchor"),
        reload=False,
    )
    anchor_every: float = setting("duration", "How often.", 60.0, low=1, high=1 * DAY)
    technical: float = setting(
        "duration",
        "How long technical traces are kept (MSS-145): at least that; in one chain, they leave with the functional ones.",
        365 * DAY,
        low=180 * DAY,
    )
    functional: float = setting(
        "duration", "How long functional traces are kept (MSS-145).", 10 * 365 * DAY, low=180 * DAY
    )
    own_mailboxes: bool = setting(
        "flag",
        "Record what people read, change and erase in their own mailbox too (MSS-143), not in shared ones alone. Each FETCH of\n"
        "a message then waits for a commit of its own.",
        False,
        reload=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The operations log, on standard error: never patient data, subjects, tokens or passwords."""

    level: Literal["debug", "info", "warning", "error"] = setting(
        "choice", "Least severe line written.", "info", choices=("debug", "info", "warning", "error")
    )
    format: Literal["json", "text"] = setting(
        "choice", "One JSON object per line, or text.", "json", choices=("json", "text")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """How the work is split into processes."""

    data: Path = setting(
        "place", "Folder for what is not in the database: fetched lists, sockets.", Path("data"), reload=False
    )
    roles: tuple[str, ...] = setting(
        "roles",
        "What `caducee serve` does: inbound, submission, imap, courier, ldap, http.",
        ROLES,
        choices=ROLES,
        reload=False,
    )
    workers: int = setting(
        "number",
        "Processes sharing the same ports; 0 is one per processor core, at most 8. As many as cores keep to one each.",
        1,
        low=0,
        high=64,
        reload=False,
    )
    grace: float = setting("duration", "Time running work has to end after SIGTERM.", 30.0, low=0, high=5 * MINUTE)
