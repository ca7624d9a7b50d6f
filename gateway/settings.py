"""Every setting of Caducée: one frozen dataclass per section of config.toml.

This is the only place where a key, its meaning, its unit and its default are written. Values are already read: sizes are
bytes, durations are seconds (float), paths are absolute, secrets are references.
Promise: a :class:`Config` made by :func:`gateway.config.load` has passed every check of :mod:`gateway.config_check`.
"""

# ruff: noqa: RUF009  (`setting` makes a dataclass field, as dataclasses.field does)
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gateway.config_fields import Secret, setting
from gateway.config_units import Listen
from policies.bounces import PHRASES

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB
MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR

Severity = Literal["refuse", "warn", "note"]
ROLES = ("inbound", "submission", "imap", "courier")
SUITES = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
# The two CBC suites of the API LPS list, 0xC028 and 0xC027, off by default (MSS-023).
CBC_SUITES = ("ECDHE-RSA-AES256-SHA384", "ECDHE-RSA-AES128-SHA256")


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
class Tls:
    """Our own certificates (PEM), and what TLS may be. TLS 1.2 and 1.3 only, no compression, no renegotiation."""

    certificates: tuple[Path, ...] = setting(
        "files", "Server certificates with their chain; list an RSA and a P-256 one to serve both.", ()
    )
    keys: tuple[Path, ...] = setting(
        "keys", "Their private keys, in the same order; readable by the service only (mode 0600 or 0640).", ()
    )
    client_certificate: Path | None = setting(
        "file", "Certificate shown to partners when we send; empty: the first server certificate.", None
    )
    client_key: Path | None = setting("key", "Its private key.", None)
    suites: tuple[str, ...] = setting(
        "names", "TLS 1.2 suites (OpenSSL names). TLS 1.3 has its own and all of them are good.", SUITES
    )
    cbc: bool = setting(
        "flag", "Also the two CBC suites that old practice software needs (0xC028, 0xC027, MSS-023).", False
    )
    tickets: int = setting(
        "number",
        "TLS 1.3 session tickets given per connection. With client certificates each costs a millisecond.",
        0,
        low=0,
        high=4,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The trust space: the white list and the authorities (IGC-Santé) whose certificates count."""

    anchors: tuple[Path, ...] = setting("files", "Certificates of the authorities trusted, PEM.", ())
    test_anchors: tuple[Path, ...] = setting(
        "files", "The same for a test service; only with operator.test_mode, never together with anchors (MSS-016).", ()
    )
    intermediates: tuple[Path, ...] = setting(
        "files", "Intermediate certificates, for partners that forget to send theirs.", ()
    )
    list: str = setting("source", "The white list: a file or an https URL.", "")
    list_anchors: tuple[Path, ...] = setting(
        "files", "Authorities of the list's https server and of its XML signature; empty: the anchors above.", ()
    )
    list_signers: tuple[str, ...] = setting(
        "names",
        "Names (RFC 4514) that may sign the list; empty: any certificate of those authorities that is not for TLS.",
        (),
    )
    list_checksum: str = setting("source", "File or https URL of the list's SHA-256, when a mirror is used.", "")
    signature_required: bool = setting("flag", "Refuse a list without a valid XML signature.", False)
    list_size: int = setting("size", "Largest list read.", 64 * MiB, low=1 * KiB, high=1 * GiB)
    refresh: float = setting("duration", "How often the list is fetched.", 1 * HOUR, low=1, high=1 * DAY)
    warn_age: float = setting("duration", "Age of the last good fetch that is worth a warning.", 24 * HOUR, low=1)
    alarm_age: float = setting("duration", "Age that is worth an alarm.", 72 * HOUR, low=1)
    refuse_age: float = setting(
        "duration", "Age from which exchanges with partners wait (451); local mail still flows. 0: never.", 7 * DAY
    )
    shrink_limit: float = setting(
        "ratio", "A list shorter by more than this share is held until someone confirms it.", 0.2, low=0, high=1
    )
    versions_kept: int = setting("number", "Older lists kept for comparison.", 30, low=2, high=1000)
    crls: tuple[str, ...] = setting("sources", "Revocation lists: files, http or https URLs (a CRL is signed).", ())
    crl_refresh: float = setting("duration", "How often revocation lists are fetched.", 1 * HOUR, low=1, high=1 * DAY)
    crl_grace: float = setting(
        "duration", "How long an expired revocation list still counts, with an alarm.", 0.0, low=0, high=1 * DAY
    )
    ocsp: bool = setting(
        "flag",
        "Ask the responder named in a certificate when no revocation list covers it, and again every crl_refresh.",
        False,
    )
    ocsp_nonce: bool = setting(
        "flag",
        "Count only answers that repeat our nonce. false: for an authority that signs answers in advance; an old one can\n"
        "then be replayed until the date it ends.",
        True,
    )
    generated_within: float = setting(
        "duration", "Oldest date a list may bear itself, against a source that replays one for ever. 0: any.", 0.0
    )
    any_usage: bool = setting(
        "flag",
        "Admit a server certificate as client certificate and the reverse (some authorities issue one for both).",
        False,
    )
    match_host: bool = setting("flag", "A partner's server must bear the name we called it by.", True)
    author: Literal["same_domain", "same_certificate", "listed"] = setting(
        "choice",
        "How the From of incoming mail must agree with its sender (MSS-034): same domain, a domain of the same\n"
        "certificate, or any listed domain.",
        "same_certificate",
        choices=("same_domain", "same_certificate", "listed"),
    )
    accept_resent: bool = setting(
        "flag", "Admit incoming mail that another member of the space resent (Resent-From).", True
    )
    revocation_unknown: Literal["defer", "refuse", "accept"] = setting(
        "choice",
        "What to do with a certificate whose revocation cannot be known (MSS-020).",
        "defer",
        choices=("defer", "refuse", "accept"),
    )


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
        "Memory all messages being received may take together; when it is full, new ones wait or hear 452.",
        512 * MiB,
        low=1 * MiB,
        high=1024 * GiB,
    )
    domain_sizes: Mapping[str, int] = setting(
        "sizes", 'Smaller limits of recipient domains: `domain_sizes = { "mssante.exemple.fr" = "10MiB" }`.', {}
    )
    patient_domains: tuple[str, ...] = setting(
        "domains", "Domains of patients' mailboxes (MSS-098).", ("patient.mssante.fr",)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The virus scanner. When it does not answer, mail waits (451): it is never called clean."""

    clamd: str = setting("clamd", "`off`, a Unix socket `/run/clamav/clamd.ctl`, or `host:port`.", "off")
    timeout: float = setting("duration", "Time for one message.", 30.0, low=0.1, high=10 * MINUTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """People, mailboxes and how they log in."""

    argon2_memory: int = setting("size", "Memory of one Argon2id hash.", 19 * MiB, low=8 * KiB, high=1 * GiB)
    argon2_passes: int = setting("number", "Its passes.", 2, low=1, high=20)
    argon2_lanes: int = setting("number", "Its lanes.", 1, low=1, high=8)
    password_bits: int = setting(
        "number",
        "Least entropy of a password (CNIL 2022-100: 80 alone, 50 beside another factor).",
        80,
        low=50,
        high=128,
    )
    session_lifetime: float = setting(
        "duration",
        "Life of a strong session opened on the command line (password and code).",
        30 * MINUTE,
        low=1,
        high=12 * HOUR,
    )
    failures: int = setting(
        "number", "Failed logins per hour, account and address, before a lock.", 10, low=1, high=10, reload=False
    )
    lock: float = setting(
        "duration",
        "Length of the lock; the owner is never kept out longer.",
        15 * MINUTE,
        low=10 * MINUTE,
        high=15 * MINUTE,
        reload=False,
    )
    failures_per_ip: int = setting(
        "number",
        "Failed logins per hour from one address, all accounts together.",
        100,
        low=1,
        high=100_000,
        reload=False,
    )
    login_cache: float = setting(
        "duration",
        "How long a proved login is remembered in memory; a withdrawal cuts it short.",
        30.0,
        low=0,
        high=60,
        reload=False,
    )
    devices: int = setting("number", "Device passwords one person may have for one mailbox.", 20, low=1, high=1000)
    device_lifetime: float = setting("duration", "Life of a device password. 0: until withdrawn.", 0.0, low=0)
    quota: int = setting("size", "Quota of a new mailbox. 0: none.", 5 * GiB, low=0)
    quota_warning: float = setting(
        "ratio",
        "Share of the quota from which `caducee mailbox show` says that a mailbox is nearly full.",
        0.8,
        low=0.1,
        high=1,
    )
    suspended_reply: Literal["defer", "refuse"] = setting(
        "choice",
        "Mail to a suspended mailbox: ask to come back later (450) or refuse (550).",
        "defer",
        choices=("defer", "refuse"),
    )
    full_reply: Literal["defer", "refuse"] = setting(
        "choice",
        "Mail to a full mailbox: ask to come back later (452) or refuse (552).",
        "defer",
        choices=("defer", "refuse"),
    )
    check_rpps: bool = setting(
        "flag",
        "Check form and key of RPPS, ADELI, FINESS and SIRET numbers; test identities are exempt in test mode.",
        True,
    )
    inactivity: float = setting(
        "duration", "Time without login after which a mailbox is to be closed (CNIL).", 365 * DAY, low=1
    )
    inactivity_notice: float = setting(
        "duration",
        "How long before that its owner is to be warned; `caducee mailbox list --idle` says who.",
        30 * DAY,
        low=0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Access tokens of Pro Santé Connect (XOAUTH2, OAUTHBEARER). Off while issuer is empty."""

    issuer: str = setting("text", "Exact `iss` of accepted tokens.", "", reload=False)
    audience: str = setting("text", "`aud` (or `azp`) that names us.", "", reload=False)
    keys: Path | None = setting(
        "file", "The issuer's public keys, a JWKS file. What is written there counts at once.", None, reload=False
    )
    algorithms: tuple[str, ...] = setting(
        "names", "Signature algorithms accepted; never `none`.", ("RS256", "ES256", "PS256"), reload=False
    )
    acr: str = setting("text", "Level of authentication required (MSS-072).", "eidas1", reload=False)
    leeway: float = setting("duration", "Clock difference tolerated.", 30.0, low=0, high=5 * MINUTE, reload=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hprim:
    """Medical content: how severe each finding is. Rules that the profile cannot lower stay as they are."""

    profile: Literal["standard", "strict", "observe"] = setting(
        "choice",
        "`standard`, `strict` (warnings refuse too) or `observe` (everything is only noted).",
        "standard",
        choices=("standard", "strict", "observe"),
    )
    severity: Mapping[str, Severity] = setting(
        "severities", 'Severity by rule, such as `HID-041 = "warn"`: refuse, warn or note.', {}
    )
    domains: Mapping[str, Mapping[str, Severity]] = setting(
        "severities_by", 'The same for one recipient domain: `[hprim.domains."mssante.exemple.org"]`.', {}
    )
    types: Mapping[str, Mapping[str, Severity]] = setting(
        "severities_by", "The same for one type of sending mailbox: `[hprim.types.APP]`.", {}
    )
    directions: Mapping[str, Mapping[str, Severity]] = setting(
        "severities_by", "The same for one way in: `[hprim.directions.submission]` or `inbound` (partners).", {}
    )
    partners: Mapping[str, Mapping[str, Severity]] = setting(
        "severities_by", 'The same for what one partner domain sends: `[hprim.partners."mssante.exemple.org"]`.', {}
    )
    header_domains: tuple[str, ...] = setting(
        "domains",
        "Recipient domains, with all below them, whose mail needs an HPRIM header (TOU-B01).",
        ("apicrypt.org",),
    )
    cda_domains: tuple[str, ...] = setting(
        "domains",
        "Recipient domains, with all below them, to which `caducee send` puts a PDF or a text inside a CDA document, as it\n"
        "does for patients.",
        (),
    )
    header_types: tuple[str, ...] = setting(
        "names", "Types of sending mailboxes (PER, ORG, APP, CAB) whose mail always needs one.", ()
    )
    restrictions: Literal["allow-ps-only", "strict"] = setting(
        "choice",
        "Restriction flags of documents (MSS-113): the three published combinations only (strict), or also\n"
        "documents for professionals with nothing hidden, the most ordinary case.",
        "allow-ps-only",
        choices=("allow-ps-only", "strict"),
    )
    several_patients: bool = setting(
        "flag", "Let one HPRIM file hold several patients, each with a whole header (batches of laboratories).", False
    )
    qualified_nia: bool = setting("flag", "Count a waiting number (NIA) as a qualified INS.", False)
    derogation: bool = setting(
        "flag",
        "Professionals may still send an INS whose identity is not qualified, with a warning; patients never get one.\n"
        "Set it to false when the derogation of the reference framework ends (MSS-109).",
        True,
    )
    notices: bool = setting(
        "flag", "Tell our users about warnings, in one message to their own INBOX; otherwise the journal only.", True
    )
    remark_attached: bool = setting(
        "flag", "Remark when the information is attached instead of being in the text (TOU-B02).", True
    )
    history: Literal["mailbox", "operator", "none"] = setting(
        "choice",
        "What a new document is compared with: the patients and documents its mailbox met before, those of all our\n"
        "mailboxes together, or nothing (HID-090 to HID-099). Only digests under a secret key are kept.",
        "mailbox",
        choices=("mailbox", "operator", "none"),
    )
    history_keep: float = setting(
        "duration",
        "How long a patient or document that is not met again is remembered.",
        180 * DAY,
        low=DAY,
        high=3660 * DAY,
    )
    conversation_keep: float = setting(
        "duration",
        "How long a patient may answer a message: the exchange is forgotten then (MSS-101).",
        3 * 365 * DAY,
        low=DAY,
        high=3660 * DAY,
    )
    reply_to: bool = setting(
        "flag",
        "Deliver a patient's answer to the mailbox that the message he answers named in Reply-To, when it is one of ours,\n"
        "instead of the sender's (MSS-103).",
        True,
    )
    bounces: tuple[str, ...] = setting(
        "names",
        "Words by which bounces of patients' mailboxes tell their cause, tried in this order: `cause: words`, cause being\n"
        "closed, unknown, invalid or too_large (MSS-104). The words of Mon espace santé are partly supposed.",
        PHRASES,
    )
    nil: str = setting("text", "Product number written as X-MSS-NIL by `caducee send` (MSS-096); empty: none.", "")
    readers: int = setting("number", "Processes that read medical documents.", 2, low=1, high=64, reload=False)
    reader_memory: int = setting(
        "size", "Memory one of them may take for one message.", 256 * MiB, low=64 * MiB, high=16 * GiB, reload=False
    )
    reader_time: float = setting(
        "duration",
        "Processor time one message may take; beyond it the sender is asked to try again.",
        5.0,
        low=1,
        high=60,
        reload=False,
    )


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
        "roles", "What `caducee serve` does: inbound, submission, imap, courier.", ROLES, choices=ROLES, reload=False
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration. ``source`` is the file it was read from; ``[[routes]]`` may be repeated."""

    source: Path
    operator: Operator
    store: Store = field(default_factory=Store)
    tls: Tls = field(default_factory=Tls)
    trust: Trust = field(default_factory=Trust)
    inbound: Inbound = field(default_factory=Inbound)
    submission: Submission = field(default_factory=Submission)
    submissions: Submissions = field(default_factory=Submissions)
    imap: Imap = field(default_factory=Imap)
    imaps: Imaps = field(default_factory=Imaps)
    limits: Limits = field(default_factory=Limits)
    unsolicited: Unsolicited = field(default_factory=Unsolicited)
    queue: Queue = field(default_factory=Queue)
    routes: tuple[Route, ...] = ()
    dns: Dns = field(default_factory=Dns)
    scan: Scan = field(default_factory=Scan)
    accounts: Accounts = field(default_factory=Accounts)
    tokens: Tokens = field(default_factory=Tokens)
    hprim: Hprim = field(default_factory=Hprim)
    journal: Journal = field(default_factory=Journal)
    log: Log = field(default_factory=Log)
    service: Service = field(default_factory=Service)


SECTIONS: Mapping[str, type] = {
    "operator": Operator,
    "store": Store,
    "tls": Tls,
    "trust": Trust,
    "inbound": Inbound,
    "submission": Submission,
    "submissions": Submissions,
    "imap": Imap,
    "imaps": Imaps,
    "limits": Limits,
    "unsolicited": Unsolicited,
    "queue": Queue,
    "routes": Route,
    "dns": Dns,
    "scan": Scan,
    "accounts": Accounts,
    "tokens": Tokens,
    "hprim": Hprim,
    "journal": Journal,
    "log": Log,
    "service": Service,
}
REPEATED = frozenset({"routes"})
