"""The periodic review of accounts: what is unused, what ends, and that it was done (TOU-F05)."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

import pyotp
import pytest

from tests.gateway.test_cli import MARIE, PASSWORD, Terminal, marie, terminal

__all__ = ["marie", "terminal"]

OFFICE = "bureau@op.mssante.test"
YEAR = 365 * 86400


@pytest.fixture
def house(marie: Terminal) -> Terminal:
    """Marie with a device and a shared mailbox; somebody who is nowhere; somebody who waits."""
    marie.ok("account", "password", "marie.martin", "--stdin", given=f"{PASSWORD}\n")
    secret = marie.json("account", "totp", "marie.martin")["secret"]
    marie.ok("account", "session", "marie.martin", "--stdin", given=f"{PASSWORD}\n{pyotp.TOTP(secret).now()}\n")
    marie.ok("device", "create", MARIE, "--name", "poste")
    marie.ok("mailbox", "create", OFFICE, "--type", "ORG", "--structure", "399900000000018")
    marie.ok("mailbox", "member", "add", OFFICE, "marie.martin")
    marie.ok("account", "create", "jean.rien", "--family", "Rien", "--given", "Jean", "--verified", "card")
    marie.ok("account", "create", "luc.attend", "--family", "Attend", "--given", "Luc")
    return marie


def remarks(terminal: Terminal, *words: str) -> set[tuple[str, str, str]]:
    told = terminal.json("account", "review", *words)["remarks"]
    return {(one["what"], one["login"], one["mailbox"]) for one in told}


def change(terminal: Terminal, statement: str) -> None:
    with closing(sqlite3.connect(terminal.folder / "data/caducee.db")) as base, base:
        base.execute(statement)


def test_what_is_new_and_used_is_not_remarked_on(house: Terminal) -> None:
    found = {one for one in remarks(house) if "marie" in one[1] or one[2]}
    assert found == set()
    assert {one[:2] for one in remarks(house)} == {
        ("never_logged_in", "jean.rien"),
        ("nothing", "jean.rien"),
        ("pending", "luc.attend"),
        ("nothing", "luc.attend"),
    }


def test_what_is_long_unused_is_told_with_whose_it_is(house: Terminal) -> None:
    old = int(time.time()) - YEAR
    change(house, f"UPDATE account SET last_login_at = {old}, created_at = {old} WHERE login = 'marie.martin'")
    change(house, f"UPDATE mailbox SET created_at = {old}")
    change(house, f"UPDATE member SET since = {old}")
    change(house, f"UPDATE device SET created_at = {old}")
    found = remarks(house)
    assert ("not_logged_in", "marie.martin", "") in found
    assert {("mailbox_unused", "", MARIE), ("mailbox_unused", "", OFFICE)} <= found
    assert ("member_unused", "marie.martin", OFFICE) in found
    assert ("device_unused", "marie.martin", MARIE) in found
    assert not {one for one in remarks(house, "--days", "400") if one[2]}


def test_what_ends_soon_is_told_and_what_ended_is_not(house: Terminal) -> None:
    now = int(time.time())
    change(house, f"UPDATE device SET expires_at = {now + 86400}")
    assert ("device_ends", "marie.martin", MARIE) in remarks(house)
    change(house, f"UPDATE device SET expires_at = {now - 5}")
    assert not {one for one in remarks(house) if one[0] == "device_ends"}
    change(house, "UPDATE device SET expires_at = 0")
    house.ok("device", "revoke", MARIE, "1")
    change(house, f"UPDATE device SET created_at = {now - YEAR}")
    assert not {one for one in remarks(house) if one[0] == "device_unused"}


def test_that_it_was_done_is_on_record(house: Terminal) -> None:
    assert house.json("account", "review")["reviewed_before"] == 0
    assert house.json("account", "review", "--done")["recorded"]
    assert house.json("account", "review")["reviewed_before"] > time.time() - 60
    assert "To look at: 4" in house.ok("account", "review")
    assert "jamais connecté" in house("account", "review", lang="fr").stdout
