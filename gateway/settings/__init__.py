"""Every setting of Caducée: one frozen dataclass per section of config.toml, the sections of one subject in one module.

This is the only place where a key, its meaning, its unit and its default are written. Values are already read: sizes are
bytes, durations are seconds (float), paths are absolute, secrets are references.
Promise: a :class:`Config` made by :func:`gateway.config.load` has passed every check of :mod:`gateway.config_check`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.settings.directory import Directory
from gateway.settings.documents import Hprim, Scan
from gateway.settings.doors import (
    Imap,
    ImapDoor,
    Imaps,
    Inbound,
    Limits,
    SmtpDoor,
    Submission,
    Submissions,
    Unsolicited,
)
from gateway.settings.http import Http, Monitor
from gateway.settings.indicators import Indicators
from gateway.settings.ldap import Ldap, LdapDoor, Ldaps
from gateway.settings.operator import ROLES, Journal, Log, Operator, Service, Store
from gateway.settings.penalties import Penalties
from gateway.settings.people import Accounts, Tokens
from gateway.settings.portal import Portal
from gateway.settings.relay import Dns, Queue, Route
from gateway.settings.trust import CBC_SUITES, SUITES, Tls, Trust

__all__ = [
    "CBC_SUITES",
    "REPEATED",
    "ROLES",
    "SECTIONS",
    "SUITES",
    "Accounts",
    "Config",
    "Directory",
    "Dns",
    "Hprim",
    "Http",
    "Imap",
    "ImapDoor",
    "Imaps",
    "Inbound",
    "Indicators",
    "Journal",
    "Ldap",
    "LdapDoor",
    "Ldaps",
    "Limits",
    "Log",
    "Monitor",
    "Operator",
    "Penalties",
    "Portal",
    "Queue",
    "Route",
    "Scan",
    "Service",
    "SmtpDoor",
    "Store",
    "Submission",
    "Submissions",
    "Tls",
    "Tokens",
    "Trust",
    "Unsolicited",
]


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
    http: Http = field(default_factory=Http)
    monitor: Monitor = field(default_factory=Monitor)
    ldap: Ldap = field(default_factory=Ldap)
    ldaps: Ldaps = field(default_factory=Ldaps)
    limits: Limits = field(default_factory=Limits)
    unsolicited: Unsolicited = field(default_factory=Unsolicited)
    penalties: Penalties = field(default_factory=Penalties)
    queue: Queue = field(default_factory=Queue)
    routes: tuple[Route, ...] = ()
    dns: Dns = field(default_factory=Dns)
    scan: Scan = field(default_factory=Scan)
    accounts: Accounts = field(default_factory=Accounts)
    tokens: Tokens = field(default_factory=Tokens)
    portal: Portal = field(default_factory=Portal)
    hprim: Hprim = field(default_factory=Hprim)
    directory: Directory = field(default_factory=Directory)
    journal: Journal = field(default_factory=Journal)
    indicators: Indicators = field(default_factory=Indicators)
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
    "http": Http,
    "monitor": Monitor,
    "ldap": Ldap,
    "ldaps": Ldaps,
    "limits": Limits,
    "unsolicited": Unsolicited,
    "penalties": Penalties,
    "queue": Queue,
    "routes": Route,
    "dns": Dns,
    "scan": Scan,
    "accounts": Accounts,
    "tokens": Tokens,
    "portal": Portal,
    "hprim": Hprim,
    "directory": Directory,
    "journal": Journal,
    "indicators": Indicators,
    "log": Log,
    "service": Service,
}
REPEATED = frozenset({"routes"})
