"""The rooms do not import one another, except in the one direction the design allows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("policies", "hprim", "directory", "mailboxes", "gateway")
MAY_IMPORT = {
    "policies": set(),
    "hprim": set(),
    "directory": {"policies"},
    "mailboxes": {"policies"},
    "gateway": {"policies", "hprim", "directory", "mailboxes"},
}
THIRD_PARTY = {"policies": set(), "hprim": {"lxml", "rapidfuzz"}}


def imported(path: Path) -> set[str]:
    """Top-level names a module imports, wherever in it the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the direction"
            names.add((node.module or "").partition(".")[0])
    return names


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_room_imports_only_what_it_may(room: str) -> None:
    for path in modules(room):
        others = imported(path) & set(ROOMS) - {room}
        assert others <= MAY_IMPORT[room], f"{path.relative_to(ROOT)} imports {sorted(others - MAY_IMPORT[room])}"


@pytest.mark.parametrize("room", sorted(THIRD_PARTY))
def test_pure_rooms_use_only_what_is_granted(room: str) -> None:
    import sys

    for path in modules(room):
        foreign = {name for name in imported(path) if name not in sys.stdlib_module_names and name not in ROOMS}
        assert foreign <= THIRD_PARTY[room], f"{path.relative_to(ROOT)} imports {sorted(foreign)}"


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_says_what_it_is_for(room: str) -> None:
    for path in modules(room):
        tree = ast.parse(path.read_text("utf-8"))
        assert not tree.body or ast.get_docstring(tree), f"{path.relative_to(ROOT)} has no opening docstring"


def test_only_compose_wires() -> None:
    """A protocol server never builds a store, and a store never builds a server: that is compose's work."""
    offenders = [
        path.relative_to(ROOT)
        for room in ("gateway/smtp", "gateway/relay")
        for path in modules(room)
        if "SqlStore(" in path.read_text("utf-8")
    ]
    assert not offenders
