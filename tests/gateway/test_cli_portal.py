"""On the command line: the link that brings a person to the portal, and the right to administer there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.gateway.test_cli import CONFIG, Terminal


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    (tmp_path / "config.toml").write_text(CONFIG, "utf-8")
    made = Terminal(tmp_path)
    made.ok("config", "master-key", str(tmp_path / "master.key"))
    made.ok("account", "create", "marie.martin", "--family", "Martin", "--given", "Marie", "--verified", "card")
    return made


def test_an_invitation_is_a_link_of_this_operator(terminal: Terminal) -> None:
    said = terminal.json("account", "invite", "marie.martin")
    assert said["link"].startswith("https://mail.op.mssante.test/invitation/")
    assert len(said["link"].rpartition("/")[2]) >= 43
    assert "account.contact_missing" in terminal.refused("account", "invite", "marie.martin", "--to-contact")
    with (terminal.folder / "config.toml").open("a") as file:
        file.write('[http]\nurl = "https://mss.example.fr/"\n')
    assert "https://mss.example.fr/invitation/" in terminal.ok("account", "invite", "marie.martin")


def test_the_right_to_administer_is_given_and_taken_back(terminal: Terminal) -> None:
    """TOU-E03, MSS-063: it is a right of an account, dated, in the journal."""
    assert "administers" in terminal.ok("account", "grant", "marie.martin")
    assert "no longer" in terminal.ok("account", "grant", "marie.martin", "--end")
    records = json.dumps(terminal.json("journal", "list"))
    assert "administrator granted" in records
    assert "administrator withdrawn" in records
