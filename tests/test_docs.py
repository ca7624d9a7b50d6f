"""The documents speak of things that exist: every file and dotted name they mention is there."""

from __future__ import annotations

import builtins
import importlib
import re
from pathlib import Path

import pytest

from gateway.cli import command, names

ROOT = Path(__file__).resolve().parent.parent
ROOMS = "policies|hprim|directory|mailboxes|gateway"
NAMED = re.compile(r"`([^`\n]+)`")
DOCUMENTS = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]


def mentioned(document: str) -> list[str]:
    return NAMED.findall((ROOT / document).read_text("utf-8"))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_paths_exist(document: str) -> None:
    for name in mentioned(document):
        if re.fullmatch(rf"(?:{ROOMS}|tests|bench|docs|deploy)/[A-Za-z0-9_./-]*", name):
            assert (ROOT / name).exists(), f"{document} speaks of {name}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_dotted_names_exist(document: str) -> None:
    for name in mentioned(document):
        if re.fullmatch(rf"(?:{ROOMS})(?:\.[A-Za-z_]+)+", name):
            assert resolved(name), f"{document} speaks of {name}"


def resolved(name: str) -> bool:
    """Whether a dotted name leads to a module, or to something in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return part in getattr(found, "__annotations__", {})
            found = getattr(found, part)
        return True
    return False


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text("utf-8")):
        assert (path.parent / target).exists(), target


def shown_commands(document: str) -> list[str]:
    """What a page tells its reader to type, in a line of its own or in backquotes."""
    text = (ROOT / document).read_text("utf-8").replace("\\\n", " ")
    shown = r"(?:^ {0,4}(?:\.venv/bin/)?|`)(?:\.venv/bin/)?caducee ([^`\n]+)"
    return [line.partition("#")[0] for line in re.findall(shown, text, re.MULTILINE)]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_can_be_typed(document: str) -> None:
    for shown in shown_commands(document):
        words = shown.split()
        name = words.pop(0)
        if name not in names():
            assert name.startswith("-"), f"{document} speaks of caducee {name}"
            continue
        found = command(name)
        while words and hasattr(found, "commands"):
            assert words[0] in found.commands, f"{document} speaks of caducee {shown}"
            found = found.commands[words.pop(0)]
        known = {option for each in found.params for option in (*each.opts, *each.secondary_opts)}
        asked = {word.strip("[]().,;…").partition("=")[0] for word in words if word.startswith(("-", "[-", "(-"))}
        assert {word for word in asked if len(word) > 1} <= known, f"{document} speaks of caducee {shown}"


REFERENCE = re.compile(r":(?:attr|class|data|func|meth|mod):`~?([A-Za-z_.]+)(?:\(\))?`")


@pytest.mark.parametrize("room", ROOMS.split("|"))
def test_docstrings_refer_to_what_exists(room: str) -> None:
    """A name of the module itself, of a class of it, or a whole dotted one."""
    for path in sorted((ROOT / room).rglob("*.py")):
        if path.stem == "__main__" or "versions" in path.parts:  # run when imported
            continue
        dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        module = importlib.import_module(dotted)
        near = [dotted, *(f"{dotted}.{name}" for name, value in vars(module).items() if isinstance(value, type))]
        for name in REFERENCE.findall(path.read_text("utf-8")):
            found = resolved(name) or hasattr(builtins, name) or any(resolved(f"{one}.{name}") for one in near)
            assert found, f"{path.relative_to(ROOT)} refers to {name}"
