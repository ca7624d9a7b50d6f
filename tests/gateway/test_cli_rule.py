"""``caducee rule``: written, shown, removed; refused outside the space; as the operator or in one's own strong session."""

from __future__ import annotations

import time
from pathlib import Path

import pyotp
import pytest

from tests.gateway.test_cli import CONFIG, MARIE, PASSWORD, Terminal

PAUL = "paul.durand@op.mssante.test"


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    (tmp_path / "config.toml").write_text(CONFIG)
    made = Terminal(tmp_path)
    made.ok("config", "master-key", str(tmp_path / "master.key"))
    for login, family in (("marie.martin", "Martin"), ("paul.durand", "Durand")):
        who = ("--family", family, "--given", "X", "--identity", f"8ANS-{login}", "--verified", "card")
        made.ok("account", "create", login, *who)
        made.ok("mailbox", "create", f"{login}@op.mssante.test", "--type", "PER", "--owner", login)
    return made


def test_a_forward_within_the_house_is_written_shown_and_removed(terminal: Terminal) -> None:
    (one,) = terminal.json("rule", "forward", MARIE, PAUL, "--no-keep")
    assert (one["kind"], one["target"], one["keep"], one["owner"]) == ("forward", PAUL, False, MARIE)
    assert one["created_by"].startswith("operator:")
    assert PAUL in terminal.ok("rule", "list")
    assert terminal.json("rule", "remove", MARIE, str(one["number"])) == []
    (ended,) = terminal.json("rule", "list", MARIE, "--all")
    assert ended["ended_at"] > 0
    assert "redirection.rule_unknown" in terminal.refused("rule", "remove", MARIE, str(one["number"]))


def test_without_a_list_nothing_outside_is_a_target(terminal: Terminal) -> None:
    said = terminal.refused("rule", "forward", MARIE, "voleur@evil.test", lang="fr")
    assert "trust.list_missing" in said
    assert terminal.json("rule", "list") == []


def test_a_target_of_ours_must_exist(terminal: Terminal) -> None:
    said = terminal.refused("rule", "forward", MARIE, "personne@op.mssante.test", lang="fr")
    assert "mailbox.not_found" in said


def test_an_absence_has_readable_dates(terminal: Terminal, tmp_path: Path) -> None:
    day = time.strftime("%Y-%m-%d", time.localtime(time.time() + 3 * 86400))
    (tmp_path / "texte").write_text("Absente jusqu’à lundi.\n")
    (one,) = terminal.json("rule", "absence", MARIE, "--until", day, "--text-file", str(tmp_path / "texte"))
    assert one["text"] == "Absente jusqu’à lundi."
    assert time.strftime("%Y-%m-%d %H:%M", time.localtime(one["ends_at"] - 1)) == f"{day} 23:59"
    assert "date" in terminal.refused("rule", "absence", MARIE, "--until", "demain", "--text", "x", code=2, lang="fr")
    past = ("--until", "2020-01-01", "--text", "x")
    assert "redirection.absence_dates" in terminal.refused("rule", "absence", MARIE, *past)
    assert "cannot be read" in terminal.refused(
        "rule", "absence", MARIE, "--until", day, "--text-file", "/rien", code=2
    )


def test_acknowledging_is_switched_on_once(terminal: Terminal) -> None:
    (first,) = terminal.json("rule", "acknowledge", MARIE)
    (again,) = terminal.json("rule", "acknowledge", MARIE)
    assert first["number"] == again["number"]


def test_a_person_changes_the_rules_of_the_own_mailbox_only(terminal: Terminal) -> None:
    assert "account.session_required" in terminal.refused("rule", "acknowledge", MARIE, "--session")
    terminal.ok("account", "password", "marie.martin", "--stdin", given=f"{PASSWORD}\n")
    secret = terminal.json("account", "totp", "marie.martin")["secret"]
    terminal.ok("account", "session", "marie.martin", "--stdin", given=f"{PASSWORD}\n{pyotp.TOTP(secret).now()}\n")
    (one,) = terminal.json("rule", "forward", MARIE, PAUL, "--session")
    assert one["created_by"] == "marie.martin"
    assert "redirection.no_right" in terminal.refused("rule", "forward", PAUL, MARIE, "--session", lang="fr")
