"""Monthly indicators of use: `[indicators]`."""

# ruff: noqa: RUF009  (`setting` makes a dataclass field, as dataclasses.field does)
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.config_fields import setting
from gateway.settings.units import DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicators:
    """Monthly files for the manager of the space, made by `caducee indicators build` (MSS-140)."""

    folder: Path = setting("place", "Where they are kept, one folder for each month.", Path("data/indicators"))
    form: Literal["proposal"] = setting(
        "choice", "Form of the files. The official one is not published yet.", "proposal", choices=("proposal",)
    )
    keep: float = setting(
        "duration",
        "How long after a month its files may name mailboxes; then they are made again without (TOU-A12).",
        92 * DAY,
        low=1 * DAY,
        high=92 * DAY,
    )
