"""Renders config.toml as shipped: every key with its meaning, unit and default, from the declarations of the settings.

Promise: the text is a valid configuration and mentions each key exactly once; keys with a default are commented out at
that default, so what an administrator changed is what stands without ``#``. A test compares it with the file shipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any

from gateway.config import written
from gateway.config_fields import Spec
from gateway.settings import REPEATED, SECTIONS

UNITS = {
    "size": "Size: a number of bytes, or with a unit (KiB, MiB, GiB).",
    "duration": "Duration: with a unit (ms, s, min, h, d, y).",
    "ratio": "A share between 0 and 1.",
}
HEAD = """\
# Configuration of Caducée.
#
# Every key is here with its meaning. A key that starts with `#` stands at its default: remove the `#` to change it.
# Sizes: "25MiB", "64KiB". Durations: "300s", "15min", "4h", "5d". Paths start from the folder of this file.
# Secrets are never written here: `file:PATH` (mode 0600 or 0640) or `env:NAME`.
#
# `caducee config check` says what is wrong and what is still missing; `caducee config show` prints the values in force.
# SIGHUP reloads; a faulty file is refused and the old values stay. Keys marked (restart) wait for the next start.
"""


def render() -> str:
    """The whole text."""
    return HEAD + "".join(f"\n{_section(name, declared)}" for name, declared in SECTIONS.items())


def _section(name: str, declared: type) -> str:
    text = "".join(f"# {line}\n" for line in _own_lines(declared.__doc__ or ""))
    # an array of tables cannot stand empty: it is shown whole in comments
    hidden = "# " if name in REPEATED else ""
    header = f"[[{name}]]" if name in REPEATED else f"[{name}]"
    return f"{text}{hidden}{header}\n" + "".join(
        f"{line}\n" for item in fields(declared) for line in _key(item, hidden)
    )


def _own_lines(docstring: str) -> list[str]:
    return [line.strip() for line in docstring.strip().split("\n")]


def _key(item: Any, hidden: str) -> Iterator[str]:
    spec: Spec = item.metadata["spec"]
    required = item.default is MISSING and item.default_factory is MISSING
    default = None if required else written(spec, _default(item))
    for line in spec.meaning.split("\n"):
        yield f"# {line}"
    yield f"# {_facts(spec, required, default)}"
    if spec.kind.startswith("severities") or spec.kind == "sizes":
        return  # a table of its own, shown in its meaning
    value = default if spec.shipped is None else spec.shipped
    mark = hidden if spec.shipped is not None else "# "
    yield f"{mark}{item.name} = {literal(value)}"


def _default(item: Any) -> Any:
    return item.default if item.default_factory is MISSING else item.default_factory()


def _facts(spec: Spec, required: bool, value: Any) -> str:
    """Unit, bounds, default, and whether a restart is needed, on one line."""
    facts = [UNITS[spec.kind]] if spec.kind in UNITS else []
    if spec.choices and spec.kind == "choice":
        facts.append(f"One of: {', '.join(spec.choices)}.")
    facts.append(
        "Required." if required else "Default: none." if value in ("", [], {}) else f"Default: {literal(value)}."
    )
    if not spec.reload:
        facts.append("(restart)")
    return " ".join(facts)


def literal(value: Any) -> str:
    """A TOML literal."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, Mapping):
        return (
            f"{{ {', '.join(f'{literal(key)} = {literal(item)}' for key, item in value.items())} }}" if value else "{}"
        )
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
