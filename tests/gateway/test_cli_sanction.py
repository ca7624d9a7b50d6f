"""``caducee sanction`` and ``caducee report``: from a report to a payment, on the command line alone."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import pytest

from tests.gateway.test_cli import CONFIG, Terminal

MARIE, PAUL = "marie.martin@op.mssante.test", "paul.durand@op.mssante.test"
PENALTIES = '[penalties]\ncontest = "assistance@op.mssante.test"\ncharter = "https://op.mssante.test/charte"\n'


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    (tmp_path / "config.toml").write_text(CONFIG + PENALTIES)
    made = Terminal(tmp_path)
    made.ok("config", "master-key", str(tmp_path / "master.key"))
    contact = ("--contact", "marie@exemple.invalid")
    for login, family, more in (("marie.martin", "Martin", contact), ("paul.durand", "Durand", ())):
        who = ("--family", family, "--given", "X", "--identity", f"8ANS-{login}", "--verified", "card", *more)
        made.ok("account", "create", login, *who)
        made.ok("mailbox", "create", f"{login}@op.mssante.test", "--type", "PER", "--owner", login)
    return made


def opened(terminal: Terminal, recipients: int, address: str = MARIE) -> str:
    found = terminal.json("sanction", "open", address, "--reason", "invitation", "--recipients", str(recipients))
    return str(found["number"])


def test_from_a_case_to_its_payment(terminal: Terminal) -> None:
    """TOU-B06 to TOU-B10."""
    for recipients, amount in ((5, 0), (11, 60_00), (50, 1000_00)):
        number = opened(terminal, recipients)
        assert [one["number"] for one in terminal.json("sanction", "list", "--open")["cases"]] == [int(number)]
        found = terminal.json("sanction", "confirm", number, "--reason", "publicité")
        assert (found["state"], found["amount"]) == ("confirmed", amount)
        assert found["contact"] == "marie@exemple.invalid"
        assert terminal.json("sanction", "letter", number)["to"] == MARIE
    [suspension] = terminal.json("sanction", "list")["suspensions"]
    assert (suspension["subject"], suspension["cause"], suspension["state"]) == (MARIE, "penalty", "active")
    told = terminal.ok("sanction", "letter", number)
    assert "1000,00 €" in told
    assert "€1000.00" in told
    assert "https://op.mssante.test/charte" in told
    assert "sanction.unpaid_remains" in terminal.refused("sanction", "lift", MARIE, "--reason", "x")
    assert terminal.json("sanction", "paid", number, "--reference", "VIR 12")["paid"] is True
    assert len(terminal.json("sanction", "list")["suspensions"]) == 1  # the second is due
    terminal.ok("sanction", "paid", "2", "--reference", "VIR 13")
    assert terminal.json("sanction", "list")["suspensions"] == []
    assert "lifted" not in terminal.ok("sanction", "list")
    month = time.strftime("%Y-%m")
    lines = list(csv.DictReader(io.StringIO(terminal.ok("sanction", "statement", month))))
    assert [(line["what"], line["charged_cents"], line["received_cents"]) for line in lines] == [
        ("confirmed", "6000", "0"),
        ("confirmed", "100000", "0"),
        ("paid", "0", "100000"),
        ("paid", "0", "6000"),
    ]
    file = terminal.folder / "etat.csv"
    terminal.ok("sanction", "statement", month, "--output", str(file))
    assert len(file.read_text("utf-8").splitlines()) == 5
    assert "etat.csv" in terminal.refused("sanction", "statement", month, "--output", str(file))


def test_a_person_judges_and_may_change_the_amount(terminal: Terminal) -> None:
    first, second = opened(terminal, 60), opened(terminal, 60)
    assert terminal.json("sanction", "dismiss", first, "--reason", "une vraie demande")["state"] == "dismissed"
    assert "sanction.impossible" in terminal.refused("sanction", "confirm", first, "--reason", "x", lang="fr")
    terminal.ok("sanction", "confirm", second, "--reason", "publicité", "--recipients", "3")
    third = opened(terminal, 60)
    assert terminal.json("sanction", "confirm", third, "--reason", "publicité")["amount"] == 300_00
    assert terminal.json("sanction", "adjust", third, "--amount", "12,50", "--reason", "réseau")["amount"] == 12_50
    for wrong in ("-1", "1e3", "12.5", "1,000.00", "douze"):
        assert "amount" in terminal.refused("sanction", "adjust", third, "--amount", wrong, "--reason", "x", code=2)
    cancelled = terminal.json("sanction", "cancel", second, "--reason", "erreur")
    assert [(one["number"], one["step"], one["amount"]) for one in cancelled["later"]] == [(int(third), 1, 0)]
    shown = terminal.ok("sanction", "show", third)
    assert "lowered" in shown
    assert "adjusted" in shown
    assert "sanction.not_found" in terminal.refused("sanction", "show", "99")


def test_a_precaution_has_its_ground_its_remedy_and_its_time(terminal: Terminal) -> None:
    """TOU-F03, TOU-F04."""
    assert "--remedy" in terminal.refused("sanction", "suspend", MARIE, "--reason", "nom manquant", code=2)
    told = ("sanction", "suspend", MARIE, "--reason", "nom manquant", "--remedy", "le compléter")
    [one] = terminal.json(*told)
    assert (one["state"], one["remaining"]) == ("announced", 15 * 86400)
    assert "sanction.delay_runs" in terminal.refused(*told, lang="fr")
    [one] = terminal.json("sanction", "suspend", MARIE, "--reason", "fuite", "--immediate")
    assert one["state"] == "active"
    again = terminal.refused("sanction", "suspend", MARIE, "--reason", "fuite", "--immediate")
    assert "sanction.already_suspended" in again
    assert terminal.json("sanction", "lift", MARIE, "--reason", "réglé") == []
    assert "sanction.not_suspended" in terminal.refused("sanction", "lift", MARIE, "--reason", "x")
    assert "sanction.structure_empty" in terminal.refused(
        "sanction", "suspend", "--structure", "1990000001", "--reason", "x", "--immediate"
    )
    terminal.refused("sanction", "suspend", "--reason", "x", code=2)
    assert "--days" in terminal.refused("sanction", "suspend", "pub@op-b.mssante.test", "--reason", "x", code=2)
    [block] = terminal.json("sanction", "suspend", "pub@op-b.mssante.test", "--reason", "pub", "--days", "3")
    assert block["cause"] == "partner"
    assert "lifecycle.reason_missing" in terminal.refused("sanction", "lift", MARIE, "--reason", " ")


def test_only_what_was_received_is_reported(terminal: Terminal, tmp_path: Path) -> None:
    """TOU-B05."""
    unknown = "01KB0000000000000000000000"
    assert "sanction.not_received" in terminal.refused("report", MARIE, unknown)
    assert "mailbox.not_found" in terminal.refused("report", "personne@op.mssante.test", unknown)
    assert "sanction.message_unknown" in terminal.refused(
        "sanction", "open", MARIE, "--reason", "x", "--message", unknown
    )
    letter = tmp_path / "lettre.eml"
    letter.write_bytes(b"Received: from a\r\n\tby other.test with ESMTPS id 01KB0000000000000000000000;\r\n\r\nx")
    assert "lettre.eml" in terminal.refused("report", MARIE, str(letter))
    letter.write_bytes(letter.read_bytes().replace(b"other.test", b"mail.op.mssante.test"))
    assert "sanction.not_received" in terminal.refused("report", MARIE, str(letter))
    terminal.refused("sanction", "open", MARIE, "--reason", "x", code=2)
    terminal.refused("sanction", "statement", "2026-13", code=2)
    assert "account.session_required" in terminal.refused("report", MARIE, unknown, "--session")
