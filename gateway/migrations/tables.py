"""Every table of the house, registered: the modules named ``*tables.py`` of the rooms that keep something.

Promise: a table module that exists is found, so a table cannot be forgotten by the migrations.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from mailboxes.schema import metadata

__all__ = ["metadata", "modules"]

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("mailboxes", "gateway")


def modules() -> list[str]:
    """Dotted names of the modules that declare tables."""
    found = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*tables.py"))]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in found]
    return [name for name in names if name != __name__]


for _name in modules():
    importlib.import_module(_name)
