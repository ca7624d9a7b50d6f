"""Indicators of a space at work: with real mail and a real document, their sums are those of the journal, the queue and the mailboxes."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from datetime import UTC, datetime
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest

from tests.hprim.builders import cda
from tests.space.running import Space, letter
from tests.space.test_medical_space import submit

pytestmark = pytest.mark.slow


def sheets(space: Space, operator: dict[str, Any], folder: Path) -> dict[str, list[dict[str, str]]]:
    month = f"{datetime.now(UTC):%Y-%m}"
    asked = ("indicators", "build", month, "--partial", "--dir", str(folder), "--json")
    told = json.loads(space.caducee(operator, *asked).stdout)
    found: dict[str, list[dict[str, str]]] = {}
    for one in told["files"]:
        text = (Path(told["folder"]) / one["name"]).read_text("utf-8")
        name = one["name"].rpartition("_")[2].removesuffix(".csv")
        found.setdefault(name, []).extend(csv.DictReader(io.StringIO(text), delimiter=";"))
    return found


def events(space: Space, operator: dict[str, Any]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads(
        space.caducee(operator, "journal", "list", "--limit", "100000", "--json").stdout
    )
    return told


def total(rows: list[dict[str, str]], column: str) -> int:
    return sum(int(row[column]) for row in rows)


def test_sums_are_those_of_the_journal_and_the_queue(space: Space, tmp_path: Path) -> None:
    """MSS-142: whatever was sent before counts too, so whole sums are compared and nothing is assumed of an empty space."""
    sender, reader, colleague = space.box(space.a), space.box(space.b), space.box(space.a, index=1)
    message = letter(sender["address"], reader["address"], "indicateur 9917")
    message["X-MSS-NIL"] = "DEV424242"
    code, answer = submit(space, space.a, sender, message, reader["address"], colleague["address"])
    assert code == 250, answer
    identity, document = tmp_path / "andree.json", tmp_path / "document.xml"
    identity.write_text(json.dumps({"surname": "LEFEVRE", "first_name": "ANDREE", "birth_date": "1961-02-14"}))
    document.write_bytes(cda())
    asked = ("send", "--from", sender["address"], "--patient", str(identity), "--document", str(document), "--json")
    space.caducee(space.a, *asked, "--to", reader["address"])
    space.wait_for(space.b, reader, "indicateur 9917")
    found, told = sheets(space, space.a, tmp_path / "a"), events(space, space.a)
    accepted = {one["message"]: one for one in told if one["kind"] == "message.accepted"}
    ours = [one for one in accepted.values() if one["detail"]["door"] == "submission"]
    named = [(name, one) for one in ours for name in one["detail"]["recipients"]]
    sent = found["EMISSIONS"]
    assert total(sent, "nb_envois") == len(ours)
    assert total(sent, "nb_messages") == len(named)
    assert total(sent, "volume_envois") == sum(one["detail"]["size"] for one in ours)
    assert total(sent, "volume_octets") == sum(one["detail"]["size"] for _, one in named)
    queued = Counter(
        one["detail"]["domain"]
        for one in told
        if one["kind"] == "message.queued" and accepted.get(one["message"]) in ours
    )
    away = Counter[str]()
    for row in sent:
        away[row["domaine_correspondant"]] += int(row["nb_messages"])
    domain = sender["address"].rpartition("@")[2]
    assert {name: count for name, count in away.items() if name != domain} == dict(queued)
    documents = [one for one in found["DOCUMENTS"] if one["sens"] == "EMISSION" and one["code_cda"]]
    assert total(documents, "nb_envois") == sum(len(one["detail"].get("codes", ())) for one in ours) > 0
    assert total(sent, "nb_ins_O") + total(sent, "nb_ins_N") == total(sent, "nb_avec_xdm") > 0
    assert any(one["nil"] == "DEV424242" for one in found["DOCUMENTS"])


def test_what_one_sends_the_other_receives(space: Space, tmp_path: Path) -> None:
    sender, reader = space.box(space.a), space.box(space.b)
    before = sheets(space, space.b, tmp_path / "before")["RECEPTIONS"]
    message = letter(sender["address"], reader["address"], "indicateur 9918")
    assert submit(space, space.a, sender, message)[0] == 250
    size = len(space.wait_for(space.b, reader, "indicateur 9918"))
    after = sheets(space, space.b, tmp_path / "after")
    assert total(after["RECEPTIONS"], "nb_messages") - total(before, "nb_messages") == 1
    assert total(after["RECEPTIONS"], "volume_octets") - total(before, "volume_octets") == size
    told = events(space, space.b)
    accepted = {
        one["message"] for one in told if one["kind"] == "message.accepted" and one["detail"]["door"] != "internal"
    }
    copies = [one for one in told if one["kind"] == "message.delivered" and one["message"] in accepted]
    assert total(after["RECEPTIONS"], "nb_messages") == len(copies)
    days = [row for row in after["CONNEXIONS"] if row["adresse"] == reader["address"]]
    assert f"{datetime.now(UTC):%Y-%m-%d}" in [row["date"] for row in days]
    assert len(message.as_bytes(policy=SMTP)) < size
