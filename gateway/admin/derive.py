"""Derive an operator's config.toml from the shipped one: the same text and comments, some values set.

Promise: every key asked for is set exactly once, in its own section, and the comment above it stays. Failure: a key that
the shipped text does not know raises ``KeyError`` with its name, so a renamed setting is noticed where it is used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

Value = str | int | float | bool | Sequence[str]


def literal(value: Value) -> str:
    """A TOML value. JSON strings and arrays of strings are TOML too, once non-ASCII is kept."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(list(value), ensure_ascii=False)


def derive(shipped: str, values: Mapping[tuple[str, str], Value], routes: Sequence[Mapping[str, Value]] = ()) -> str:
    """The shipped text with ``values`` by (section, key), and ``[[routes]]`` tables after it."""
    wanted = dict(values)
    section = ""
    lines = []
    for line in shipped.split("\n"):
        if line.startswith("[") and line.endswith("]"):
            section = line.strip("[]")
        key = _key(line)
        if key and (section, key) in wanted:
            line = f"{key} = {literal(wanted.pop((section, key)))}"
        lines.append(line)
    if wanted:
        raise KeyError(f"the shipped configuration has no {sorted(wanted)}")
    for route in routes:
        lines.append("[[routes]]")
        lines.extend(f"{key} = {literal(value)}" for key, value in route.items())
        lines.append("")
    return "\n".join(lines)


def _key(line: str) -> str:
    """The key a line sets, or would set if it were not commented out at its default; empty for other lines."""
    name, equals, _ = line.removeprefix("# ").partition(" = ")
    return name if equals and name.replace("_", "").isalnum() and name.islower() else ""
