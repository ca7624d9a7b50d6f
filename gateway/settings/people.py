"""People, mailboxes and how they log in: `[accounts]` and `[tokens]`."""

# ruff: noqa: RUF009  (`setting` makes a dataclass field, as dataclasses.field does)
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.config_fields import setting
from gateway.settings.units import DAY, HOUR, MINUTE, GiB, KiB, MiB


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
        "How long before that its owner is warned by a letter in the mailbox; `caducee mailbox list --idle` says who.",
        30 * DAY,
        low=0,
    )
    inactivity_close: bool = setting(
        "flag",
        "Close such mailboxes: never sooner than inactivity_notice after a letter in their INBOX. false: the letter only.",
        False,
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
