"""The directory: `[directory]`."""

# ruff: noqa: RUF009  (`setting` makes a dataclass field, as dataclasses.field does)
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.config_fields import Secret, setting
from gateway.settings.units import DAY, HOUR, GiB, KiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Who can be found: our own mailboxes by themselves, and the national extraction (it authorises nothing, MSS-128)."""

    source: str = setting(
        "source", "The national extraction: a file or an https URL, zip or text. Empty: own mailboxes only.", ""
    )
    anchors: tuple[Path, ...] = setting(
        "files", "Authorities of its https server, PEM; empty: those of the trust space.", ()
    )
    refresh: float = setting("duration", "How often it is looked for.", 6 * HOUR, low=1, high=7 * DAY)
    alarm_age: float = setting(
        "duration", "Age, by the source's own time stamp, that is worth an alarm.", 36 * HOUR, low=1
    )
    shrink_limit: float = setting(
        "ratio",
        "A list shorter by more than this share is not taken (`caducee directory import --shrunk` does).",
        0.2,
        low=0,
        high=1,
    )
    size: int = setting("size", "Largest extraction, unpacked.", 1 * GiB, low=1 * KiB, high=16 * GiB)
    api: str = setting(
        "text",
        "National FHIR directory, asked by `caducee directory ask`, such as https://gateway.api.esante.gouv.fr/fhir/v2.",
        "",
    )
    api_key: Secret = setting("secret", "Its key (ESANTE-API-KEY): `file:PATH` or `env:NAME`.", Secret())
    api_anchors: tuple[Path, ...] = setting(
        "files", "Authorities of its https server, PEM; empty: as anchors above.", ()
    )
