"""The measuring programs are seldom run: what they take from the rooms and the tests must still be there."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parent.parent / "bench"
OURS = {"policies", "hprim", "directory", "mailboxes", "gateway", "tests", "bench"}


PROGRAMS = sorted(path.name for path in BENCH.glob("*.py"))


def imports(program: str) -> list[ast.ImportFrom]:
    walked = ast.walk(ast.parse((BENCH / program).read_text("utf-8")))
    return [node for node in walked if isinstance(node, ast.ImportFrom) and node.module]


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_a_measuring_program_takes_from_elsewhere_exists(program: str) -> None:
    for node in imports(program):
        if str(node.module).partition(".")[0] in OURS:
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_a_measuring_program_takes_from_another_exists(program: str) -> None:
    for node in imports(program):
        beside = BENCH / f"{str(node.module).removeprefix('bench.')}.py"
        if beside.exists():
            assert {alias.name for alias in node.names} <= defined(beside), f"{program} takes from {beside.name}"


def defined(path: Path) -> set[str]:
    """The names a module has at its top."""
    found: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            found |= {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
    return found
