"""Builds docs/conformity.md: each requirement, the rule that says it, the code that cites it, the tests that hold it.

Run by ``make conformity``; ``python -m tests.conformity --check`` only compares. Citations are read from the sources:
``MSS-044``, lists (``HID-058, 059``) and ranges (``MSS-044 to MSS-047``). A test holds a requirement when it cites it, or
when it names a rule of the catalogue whose sources cite it.
Promise: the page depends on the tree alone and comes out the same everywhere. Failure: :func:`strangers` tells the
identifiers that the register (docs/requirements.toml) does not know.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from policies.catalogue import rules

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "conformity.md"
REGISTER = ROOT / "docs" / "requirements.toml"
ROOMS = ("policies", "hprim", "directory", "mailboxes", "gateway")
SHOWN = 4
CITED = re.compile(r"\b(MSS|HID|TOU)-([A-F]?[0-9]+)\b")
MORE = re.compile(r"(?P<range>\s+to\s+|\.\.)|(?:,\s*(?:and\s+)?|\s+and\s+|/)", re.ASCII)
NEXT = re.compile(r"(?:(MSS|HID|TOU)-)?([A-F]?[0-9]+)\b")
RULE = re.compile(r"""["'`]([a-z]+\.[a-z0-9_]+)["'`]""")
FAMILIES = {
    "MSS": "The trust space",
    "HID": "HPRIM, INS and one patient per message",
    "TOU": "What terms of use oblige to",
}
HEAD = """# Conformity

Each requirement of [requirements.toml](requirements.toml), what in the code says it and which tests hold it. This page is
built from the tree by `make conformity`; a test fails when it is stale.

- **held**: the code cites it, and a test cites it too or names the rule that carries it;
- **cited without test**: the code cites it and no test does;
- **not covered**: nothing cites it; where it is not software's to hold, or is done differently, the documents say so.

At most {shown} places are named per cell, “…” stands for more. Citing is not proving: the named tests are where to look.
"""


@cache
def register() -> dict[str, dict[str, str]]:
    """Requirement id to its statement, source, and confidence or severity."""
    entries = tomllib.loads(REGISTER.read_text("utf-8"))
    return {name: entry for name, entry in entries.items() if name != "sources"}


def citations(text: str) -> Iterator[tuple[int, str]]:
    """Offset and id of each citation, lists and ranges spelled out; ids the register does not know are given as written."""
    place = 0
    while found := CITED.search(text, place):
        family, number = found.groups()
        yield found.start(), f"{family}-{number}"
        place = found.end()
        while step := _continued(text, place, family):
            separator, following = step
            first, number = number, following[2]
            if separator["range"]:
                yield from ((found.start(), name) for name in _between(family, first, number))
            yield found.start(), f"{family}-{number}"
            place = following.end()


def _continued(text: str, place: int, family: str) -> tuple[re.Match[str], re.Match[str]] | None:
    separator = MORE.match(text, place)
    following = NEXT.match(text, separator.end()) if separator else None
    if separator is None or following is None or following[1] not in (None, family):
        return None
    if following[1] is None and f"{family}-{following[2]}" not in register():
        return None  # another number than a requirement's
    return separator, following


def _between(family: str, first: str, last: str) -> list[str]:
    low, high = f"{family}-{first}", f"{family}-{last}"
    return [name for name in register() if low < name < high]


@dataclass(slots=True)
class Found:
    """Where one requirement is cited. Values are true where the citation is direct."""

    code: set[str] = field(default_factory=set)
    rules: set[str] = field(default_factory=set)
    tests: dict[str, bool] = field(default_factory=dict)

    @property
    def state(self) -> str:
        if self.code:
            return "held" if self.tests else "cited without test"
        return "tested only" if self.tests else "not covered"


def sources(folders: tuple[str, ...]) -> list[Path]:
    """Python files, in a fixed order."""
    here = Path(__file__).resolve()
    own = {here, here.with_name("test_conformity.py"), here.with_name("conformity_results.py")}
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")) if path not in own]


def collect() -> dict[str, Found]:
    """Every id of the register, and every stranger, with where it is cited."""
    found: dict[str, Found] = defaultdict(Found, {name: Found() for name in register()})
    for path in sources(ROOMS):
        for _, name in citations(path.read_text("utf-8")):
            found[name].code.add(str(path.relative_to(ROOT)))
    carried = _carried()
    for rule, names in carried.items():
        for name in names:
            found[name].rules.add(rule)
    for path in sources(("tests",)):
        _read_tests(path, found, carried)
    return found


def _carried() -> Mapping[str, tuple[str, ...]]:
    """Catalogue rule to the ids it cites."""
    return {
        name: tuple(found[0] for found in map(CITED.match, entry.sources) if found) for name, entry in rules().items()
    }


def _read_tests(path: Path, found: dict[str, Found], carried: Mapping[str, tuple[str, ...]]) -> None:
    text = path.read_text("utf-8")
    name, owners = str(path.relative_to(ROOT)), _owners(text)

    def at(offset: int) -> str:
        owner = owners.get(text.count("\n", 0, offset) + 1, "")
        return f"{name}::{owner}" if owner else name

    for match in RULE.finditer(text):
        for requirement in carried.get(match[1], ()):
            found[requirement].tests.setdefault(at(match.start()), False)
    for offset, requirement in citations(text):
        found[requirement].tests[at(offset)] = True


def _owners(text: str) -> dict[int, str]:
    """Line number to the test function (or class of tests) it belongs to."""
    lines: dict[int, str] = {}
    for node in ast.parse(text).body:
        tested = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and (
            tested or node.name.startswith("Test")
        ):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            lines |= dict.fromkeys(range(first, (node.end_lineno or first) + 1), node.name)
    return lines


def strangers() -> dict[str, list[str]]:
    """Ids that the code cites and the register does not know, and where. (A test may speak of one that cannot be.)"""
    found = collect()
    return {name: sorted(found[name].code) for name in found.keys() - register().keys() if found[name].code}


def page() -> str:
    """The whole page."""
    found = collect()
    parts = [HEAD.format(shown=SHOWN), *_totals(found)]
    for family, title in FAMILIES.items():
        parts += ["", f"## {family}: {title}", "", *_table(family, found)]
    return "\n".join(parts) + "\n"


def _totals(found: Mapping[str, Found]) -> Iterator[str]:
    states = ("held", "tested only", "cited without test", "not covered")
    yield "| | requirements | " + " | ".join(states) + " |"
    yield "|---|---|" + "---|" * len(states)
    for family in FAMILIES:
        names = [name for name in register() if name.startswith(family)]
        counts = [sum(found[name].state == state for name in names) for state in states]
        yield f"| {family} | {len(names)} | " + " | ".join(map(str, counts)) + " |"


def _table(family: str, found: Mapping[str, Found]) -> Iterator[str]:
    yield "| id | requirement | rule | code | tests | state |"
    yield "|---|---|---|---|---|---|"
    for name, entry in register().items():
        if name.startswith(family):
            own = found[name]
            tests = sorted(own.tests, key=lambda test: (not own.tests[test], "::" not in test, test))
            said = (
                f"{entry['statement']} ({entry['source']})".replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
            )
            rule = [f"{name} ({entry['severity']})"] if family == "HID" and own.code else sorted(own.rules)
            cells = (said, _cell(rule), _cell(sorted(own.code)), _cell(tests), own.state)
            yield f"| {name} | " + " | ".join(cells) + " |"


def _cell(names: list[str]) -> str:
    return " ".join(f"`{name}`" for name in names[:SHOWN]) + (" …" if len(names) > SHOWN else "")


def main() -> int:
    """Write the page; with ``--check``, only say whether it is stale."""
    text = page()
    stale = not PAGE.exists() or PAGE.read_text("utf-8") != text
    if "--check" in sys.argv:
        return int(stale)
    PAGE.write_text(text, "utf-8")
    for name, places in strangers().items():
        print(f"{name} is not in {REGISTER.name}: {', '.join(places)}")
    return int(bool(strangers()))


if __name__ == "__main__":
    sys.exit(main())
