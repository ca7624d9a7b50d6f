"""The measuring programs are seldom run: what they take from the rooms and the tests must still be there."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parent.parent / "bench"
OURS = {"policies", "hprim", "directory", "mailboxes", "gateway", "tests", "bench"}


@pytest.mark.parametrize("program", sorted(path.name for path in BENCH.glob("*.py")))
def test_what_a_measuring_program_takes_from_elsewhere_exists(program: str) -> None:
    for node in ast.walk(ast.parse((BENCH / program).read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in OURS:
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
