"""Pages for people, behind the HTTP door: `[portal]`."""

# ruff: noqa: RUF009  (`setting` makes a dataclass field, as dataclasses.field does)
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.config_fields import setting
from gateway.settings.units import DAY, HOUR, MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """Pages where physicians and administrators do what would take a command line (docs/portal.md)."""

    enabled: bool = setting("flag", "Show the pages at the HTTP door.", True, reload=False)
    idle: float = setting(
        "duration", "Silence after which a session of a browser ends.", 2 * HOUR, low=1 * MINUTE, high=2 * HOUR
    )
    longest: float = setting(
        "duration", "Longest life of a session of a browser.", 12 * HOUR, low=1 * MINUTE, high=24 * HOUR
    )
    proof: float = setting(
        "duration",
        "How long after password and code a device password may be made, or the account closed.",
        10 * MINUTE,
        low=1 * MINUTE,
        high=1 * HOUR,
    )
    remember: float = setting(
        "duration",
        "How long a remembered browser stands for the one-time code. 0: never, each login asks for a code.",
        30 * DAY,
        low=0,
        high=180 * DAY,
    )
    invitation: float = setting(
        "duration", "How long the link of `caducee account invite` serves.", 3 * DAY, low=1 * HOUR, high=30 * DAY
    )
    terms: Path | None = setting(
        "file",
        "Terms of use, plain text in UTF-8; a changed text is a new version, accepted before anything else. Empty: none are asked.",
        None,
    )
