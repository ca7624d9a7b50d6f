"""The evidence pack of conformity: each requirement, its source, and what its tests said when they last ran (MSS-149).

``make test`` keeps its results in ``build/results.xml``; ``make evidence`` joins them to the requirements, as a page on standard
output or with ``--json``. Several files (real clients apart, another machine) are joined, the newest result of a test counts.
Promise: a requirement is ``passed`` only if one of its tests passed and none failed; one whose tests were skipped or did not run
says so. Exit 1 when a test of any requirement failed. Failure: exit 2 for a file that holds no results.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lxml import etree

from tests import conformity

Key = tuple[str, str]
"""File, function; an empty function is the whole file."""


@dataclass(slots=True)
class Ran:
    """What one test function said, all its parameters together."""

    outcomes: Counter[str] = field(default_factory=Counter)
    at: str = ""


def read(paths: Iterable[Path]) -> dict[Key, Ran]:
    """Results by test function. Raises ``ValueError`` for a file that holds none."""
    found: dict[Key, Ran] = {}
    for path in paths:
        try:
            tree = etree.parse(path, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))
        except (OSError, etree.XMLSyntaxError) as problem:
            raise ValueError(f"{path}: {problem}") from None
        suites = tree.findall(".//testsuite")
        if not suites:
            raise ValueError(f"{path}: no results")
        for suite in suites:
            _read_suite(suite, found)
    return found


def _read_suite(suite: Any, found: dict[Key, Ran]) -> None:
    at = str(suite.get("timestamp", ""))
    fresh: dict[Key, Ran] = {}
    for case in suite.findall("testcase"):
        key = _key(str(case.get("classname", "")), str(case.get("name", "")))
        one = fresh.setdefault(key, Ran(at=at))
        one.outcomes[_outcome(case)] += 1
    for key, one in fresh.items():
        if key not in found or found[key].at <= one.at:
            found[key] = one


def _outcome(case: Any) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "skipped" if case.find("skipped") is not None else "passed"


def _key(classname: str, name: str) -> Key:
    """``tests.gateway.test_x.TestY`` and ``test_z[1]`` as the page of conformity names them."""
    words = classname.split(".")
    for length in range(len(words), 0, -1):
        path = "/".join(words[:length]) + ".py"
        if (conformity.ROOT / path).exists():
            return path, words[length] if length < len(words) else name.partition("[")[0]
    return classname, name.partition("[")[0]


@dataclass(frozen=True, slots=True)
class Held:
    """One requirement, joined to its tests' results."""

    name: str
    statement: str
    source: str
    state: str
    result: str
    outcomes: Mapping[str, int]
    last: str
    tests: Mapping[str, str]


def joined(results: Mapping[Key, Ran]) -> list[Held]:
    """Every requirement of the register, in its order."""
    by_file: dict[str, list[Key]] = {}
    for key in results:
        by_file.setdefault(key[0], []).append(key)
    collected = conformity.collect()
    return [_held(name, collected[name], results, by_file) for name in conformity.register()]


def _held(name: str, found: conformity.Found, results: Mapping[Key, Ran], by_file: Mapping[str, list[Key]]) -> Held:
    total: Counter[str] = Counter()
    seen: set[Key] = set()
    told: dict[str, str] = {}
    last = ""
    for test in sorted(found.tests):
        path, _, function = test.partition("::")
        keys = [(path, function)] if function else by_file.get(path, [])
        own: Counter[str] = Counter()
        for key in keys:
            if key in results:
                own += results[key].outcomes
                last = max(last, results[key].at)
                if key not in seen:
                    total += results[key].outcomes
                    seen.add(key)
        told[test] = _result(own)
    entry = conformity.register()[name]
    result = _result(total) if found.tests else "no test"
    return Held(name, entry["statement"], entry["source"], found.state, result, dict(total), last, told)


def _result(outcomes: Mapping[str, int]) -> str:
    for word in ("failed", "passed", "skipped"):
        if outcomes.get(word):
            return word
    return "not run"


def page(held: Iterable[Held]) -> str:
    """One table, and how many requirements have which result."""
    rows = list(held)
    counts = Counter(one.result for one in rows)
    lines = ["# Evidence of conformity", "", *(f"- {word}: {counts[word]}" for word in sorted(counts)), ""]
    lines += ["| id | requirement | source | state | result | passed | failed | skipped | last run |", "|---" * 9 + "|"]
    for one in rows:
        numbers = [str(one.outcomes.get(word, 0)) for word in ("passed", "failed", "skipped")]
        said = one.statement.replace("|", "\\|")
        lines.append(f"| {' | '.join([one.name, said, one.source, one.state, one.result, *numbers, one.last])} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Print the page, or JSON."""
    paths = [Path(word) for word in arguments if not word.startswith("--")]
    try:
        held = joined(read(paths or [conformity.ROOT / "build" / "results.xml"]))
    except ValueError as problem:
        sys.stderr.write(f"{problem}\nrun `make test` first, or name files made by pytest --junitxml\n")
        return 2
    if "--json" in arguments:
        rows = [{name: getattr(one, name) for name in Held.__dataclass_fields__} for one in held]
        sys.stdout.write(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
    else:
        sys.stdout.write(page(held))
    return int(any(one.result == "failed" for one in held))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
