"""The pages speak two languages from one catalogue, and say nothing that is not in it."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

from gateway.portal import words
from policies.access import RIGHTS
from policies.catalogue.sentences_portal import SENTENCES, say
from policies.decision import CatalogueError
from policies.lifecycle import AccountState
from policies.receipts import State
from policies.values import BalState, BalType

PORTAL = Path(__file__).parents[3] / "gateway" / "portal"
TEMPLATES = sorted((PORTAL / "templates").glob("*.html"))
KEY = re.compile(r"""["']([a-z]+(?:\.[a-zA-Z_]+)+)["']""")
SAME = {"menu", "channel.mssante", "made.thunderbird", "made.apple", "made.outlook", "made.port", "language.other"}
SAME |= {"mailbox.active", "menu.admin", "admin.title", "admin.type", "queue.domain", "admin.structure"}


def parameters(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("name", sorted(SENTENCES))
def test_a_sentence_is_said_in_both_languages(name: str) -> None:
    one = SENTENCES[name]
    assert parameters(one.fr) == parameters(one.en)
    assert one.fr != one.en or name in SAME
    assert "'" not in one.fr, "French has its own apostrophe"


def test_pages_name_only_sentences_that_exist_and_none_is_idle() -> None:
    files = [path for path in PORTAL.rglob("*") if path.suffix in (".html", ".py")]
    written = "\n".join(path.read_text("utf-8") for path in files)
    pages = "\n".join(path.read_text("utf-8") for path in TEMPLATES)
    named = {key for key in KEY.findall(pages) if not key.endswith((".html", ".mobileconfig"))}
    named |= {key for key in re.findall(r"""\bt\(["']([a-z_.]+)["']""", pages) if not key.endswith(".")}
    assert named - SENTENCES.keys() == set()
    composed = ("done.", "type.", "state.", "channel.", "kind.", "right.", "account.", "mailbox.", "admin.step.")
    idle = [name for name in SENTENCES if f'"{name}"' not in written and f"'{name}'" not in written]
    assert [name for name in idle if not name.startswith(composed)] == []


def test_every_state_has_its_word() -> None:
    wanted = {f"type.{one}" for one in BalType} | {f"state.{one}" for one in State} | {f"right.{one}" for one in RIGHTS}
    wanted |= {f"account.{one}" for one in AccountState} | {f"mailbox.{one}" for one in BalState}
    assert wanted <= SENTENCES.keys()
    with pytest.raises(CatalogueError):
        say("nothing.here", "fr")
    with pytest.raises(CatalogueError):
        say("signed_in_as", "fr")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "fr"),
        ("fr-FR,fr;q=0.9,en;q=0.8", "fr"),
        ("en-GB,en;q=0.9", "en"),
        ("de,en;q=0.7,fr;q=0.3", "en"),
        ("en;q=0.2, fr;q=0.6", "fr"),
        ("en;q=0", "fr"),
        ("en;q=x," * 500, "fr"),
        ("*", "fr"),
    ],
)
def test_the_browser_s_wish_is_followed(header: str, language: str) -> None:
    assert words.preferred(header) == language


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_runs_nothing_and_styles_nothing_by_itself(path: Path) -> None:
    text = path.read_text("utf-8")
    words.environment().get_template(path.name)
    assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=|javascript:|\|\s*safe", text)
    assert "<form" not in text or path.name == "forms.html" or 'method="get"' in text, "every form carries its mark"
