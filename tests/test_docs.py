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
BUILT = ROOT / "docs" / "conformity.md"  # from the tree, and held to it by a test of its own
PAGES = [ROOT / "README.md", *sorted(set((ROOT / "docs").rglob("*.md")) - {BUILT})]
DOCUMENTS = [str(path.relative_to(ROOT)) for path in PAGES]


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


@pytest.mark.parametrize("document", [*DOCUMENTS, "CHANGELOG.md"])
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for target, section in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", path.read_text("utf-8")):
        page = path.parent / target if target else path
        assert page.exists(), f"{document} leads to {target}"
        assert not section or section in sections(page), f"{document} leads to {target}#{section}"


def sections(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them from its headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


FILE = re.compile(
    rf"(?<![\w./-])(?:{ROOMS}|tests|bench|docs|deploy)/[A-Za-z0-9_/-]+\.(?:md|py|toml|sh|c|json|lock|in)\b"
)


def tracked() -> list[Path]:
    """Whatever people wrote: pages, code, settings. Tests invent names of files."""
    folders = [ROOT / name for name in (*ROOMS.split("|"), "bench", "docs", "deploy")]
    found = {path for folder in folders for path in folder.rglob("*") if path.suffix in (".md", ".py", ".toml", ".sh")}
    return [ROOT / "CHANGELOG.md", ROOT / "Makefile", ROOT / "pyproject.toml", *PAGES[:1], *sorted(found - {BUILT})]


def test_files_named_anywhere_exist() -> None:
    """In brackets, comments and docstrings too, where nothing else looks."""
    lost = {
        f"{path.relative_to(ROOT)} speaks of {name}"
        for path in tracked()
        for name in FILE.findall(path.read_text("utf-8"))
        if not (ROOT / name).exists()
    }
    assert not lost


EVIDENCE = re.compile(r"`((?:[SFG]|tests)/[a-z_/]+\.py)`((?:,? (?:and )?[a-z]+(?:_[a-z]+)*)*)(?=\s?[(),;|])")
SHORT = {"S": "tests/space", "F": "tests/fault", "G": "tests/gateway"}


def test_each_claim_about_security_names_a_test_that_exists() -> None:
    """A file, and where words follow it, a test in it whose name holds them."""
    found = EVIDENCE.findall((ROOT / "docs" / "security.md").read_text("utf-8"))
    assert len(found) > 30
    for place, words in found:
        folder, _, file = place.partition("/")
        held = (ROOT / SHORT.get(folder, folder) / file).read_text("utf-8")
        tests = re.findall(r"^(?:async )?def (test_\w+)", held, re.MULTILINE)
        for word in re.findall(r"[a-z_]+", words.replace(" and ", " ")):
            assert any(word in name for name in tests), f"{place} has no test about {word}"


def test_the_decisions_are_listed_with_their_titles() -> None:
    folder = ROOT / "docs" / "adr"
    index = (folder / "README.md").read_text("utf-8")
    for path in sorted(folder.glob("[0-9]*.md")):
        number, _, title = path.read_text("utf-8").splitlines()[0].removeprefix("# ").partition(" — ")
        assert number == path.name[:4], path.name
        assert f"| {number} | [{title}]({path.name}) |" in index, path.name
        assert "\nStatus: " in path.read_text("utf-8"), f"{path.name} does not say whether it holds"


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
