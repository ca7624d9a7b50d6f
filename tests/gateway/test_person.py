"""What is kept about a person, given to that person: all of it, and nothing that proves a secret (TOU-A16)."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pyotp
import pytest

from gateway.record import person
from mailboxes.schema import metadata
from tests.gateway.test_cli import MARIE, PASSWORD, Terminal, marie, terminal

__all__ = ["marie", "terminal"]

OFFICE = "bureau@op.mssante.test"


def exported(terminal: Terminal, login: str = "marie.martin", name: str = "all.json") -> dict[str, Any]:
    path = terminal.folder / name
    terminal.ok("account", "export", login, "--out", str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    told: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return told


@pytest.fixture
def busy(marie: Terminal) -> Terminal:
    """Marie at work: password, code, session, device, a rule, a shared mailbox; and somebody else."""
    marie.ok("account", "password", "marie.martin", "--stdin", given=f"{PASSWORD}\n")
    secret = marie.json("account", "totp", "marie.martin")["secret"]
    marie.ok("account", "session", "marie.martin", "--stdin", given=f"{PASSWORD}\n{pyotp.TOTP(secret).now()}\n")
    marie.ok("device", "create", MARIE, "--name", "Thunderbird cabinet")
    marie.ok("rule", "acknowledge", MARIE)
    marie.ok("mailbox", "create", OFFICE, "--type", "ORG", "--structure", "399900000000018")
    marie.ok("mailbox", "member", "add", OFFICE, "marie.martin")
    marie.ok("account", "create", "jean.autre", "--family", "Autre", "--given", "Jean", "--verified", "card")
    return marie


def test_a_person_is_given_all_that_bears_their_number(busy: Terminal) -> None:
    told = exported(busy)
    (own,) = told["kept"]["account"]
    assert (own["login"], own["family_name"], own["identity"]) == ("marie.martin", "Martin", "8ANS1")
    assert [one["name"] for one in told["kept"]["device"]] == ["Thunderbird cabinet"]
    assert [one["rights"] for one in told["kept"]["member"]] == ["read send_as write"]
    assert len(told["kept"]["strong_session"]) == 1
    (box,) = told["mailboxes"]
    assert (box["local"], [one["key"] for one in box["addresses"]]) == ("marie.martin", [MARIE])
    assert [one["kind"] for one in box["rules"]] == ["acknowledge"]
    kinds = {one["kind"] for one in told["journal"]}
    assert [one["detail"]["what"] for one in told["journal"] if one["kind"] == "account.changed"] == [
        "opened",
        "password",
        "code",
    ]
    assert [one["detail"]["what"] for one in told["journal"] if one["kind"] == "account.member"] == ["admitted"]
    assert {"account.mailbox", "account.device", "account.rule", "session.login"} <= kinds
    assert {one["actor"] for one in told["journal"] if one["kind"] == "session.login"} == {"marie.martin"}


def test_nothing_secret_and_nobody_else_is_in_it(busy: Terminal) -> None:
    text = json.dumps(exported(busy))
    with closing(sqlite3.connect(busy.folder / "data/caducee.db")) as base:
        secrets = base.execute("SELECT password FROM account WHERE password <> ''").fetchall()
        (digest,) = base.execute("SELECT digest FROM device").fetchone()
    assert secrets
    assert secrets[0][0] not in text
    assert digest.hex() not in text
    assert "jean.autre" not in text
    assert not {"password", "totp", "digest", "totp_last"} & set(json.loads(text)["kept"]["account"][0])


def test_every_table_that_bears_an_account_is_told(busy: Terminal) -> None:
    named = {name for name, table in metadata.tables.items() if "account_id" in table.c}
    assert set(exported(busy)["kept"]) == named | {"account"}


def test_the_journal_is_read_page_by_page(busy: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = exported(busy)["journal"]
    monkeypatch.setattr(person, "PAGE", 2)
    again = exported(busy, name="again.json")["journal"]
    assert again[:-1] == whole
    assert again[-1]["detail"]["what"] == "exported"  # the first one is on record


def test_who_is_not_known_and_a_file_that_is_there_are_said(busy: Terminal) -> None:
    exported(busy)
    assert "exists already" in busy.refused(
        "account", "export", "marie.martin", "--out", str(busy.folder / "all.json"), code=2
    )
    busy.refused("account", "export", "personne", "--out", str(busy.folder / "x.json"))
    assert not (busy.folder / "x.json").exists()
    with closing(sqlite3.connect(busy.folder / "data/caducee.db")) as base:
        told = base.execute("SELECT actor, detail FROM journal WHERE kind = 'account.changed' ORDER BY seq").fetchall()
    assert json.loads(told[-1][1])["what"] == "exported"
