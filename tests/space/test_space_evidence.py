"""A running space leaves evidence, explains itself, and keeps what it must not leave: no plaintext, no secret in a log."""

from __future__ import annotations

import json
import os
import smtplib
import subprocess
import sys
from email.policy import SMTP
from pathlib import Path

import pytest

from tests.space.running import ROOT, Space, letter

CANARY = "CANARI-MEDICAL-7d1f4e"


def send(space: Space, operator: dict, box: dict, message, recipients: list[str]) -> bytes:
    """Submit over implicit TLS; the final reply's text."""
    where = operator["submissions"]
    with smtplib.SMTP_SSL(where["host"], where["port"], context=space.tls(), timeout=30) as smtp:
        smtp.login(box["login"], box["device_password"])
        smtp.mail(box["address"])
        for recipient in recipients:
            assert smtp.rcpt(recipient)[0] == 250
        code, text = smtp.data(message.as_bytes(policy=SMTP))
        assert code == 250, text
        return text


def identifier(reply: bytes) -> str:
    return reply.decode("ascii").split("identifiant ")[1][:26]


def test_a_message_is_explained_at_both_operators(space: Space) -> None:
    sender, reader = space.box(space.a), space.box(space.b)
    message = letter(sender["address"], reader["address"], "explique-moi 4471")
    name = identifier(
        send(space, space.a, sender, message, [reader["address"], space.box(space.a, index=1)["address"]])
    )
    space.wait_for(space.b, reader, "explique-moi 4471")
    told = json.loads(space.caducee(space.a, "explain", name, "--json").stdout)
    assert told["accepted"]
    assert {"message.accepted", "message.queued", "message.delivered"} <= {step["what"] for step in told["steps"]}
    rules = {entry["rule"] for entry in told["decisions"]}
    assert {"trust.accepted", "recipient.accepted", "sender.accepted"} & rules
    assert all(entry["sources"] for entry in told["decisions"])
    french = space.caducee(space.a, "--lang", "fr", "explain", name).stdout
    assert name in french


def test_a_refused_message_is_explained_too(space: Space) -> None:
    sender = space.box(space.a)
    message = letter(sender["address"], "x", "refus 4472")
    message["Reply-To"] = "quelquun@exemple.invalid"
    where = space.a["submissions"]
    with smtplib.SMTP_SSL(where["host"], where["port"], context=space.tls(), timeout=30) as smtp:
        smtp.login(sender["login"], sender["device_password"])
        smtp.mail(sender["address"])
        smtp.rcpt(space.box(space.b)["address"])
        code, text = smtp.data(message.as_bytes(policy=SMTP))
    assert code == 550
    assert b"redirection.header_outside" in text


def test_a_question_is_answered_without_sending(space: Space) -> None:
    sender, reader = space.box(space.a)["address"], space.box(space.b)["address"]
    good = space.caducee(space.a, "explain", "--from", sender, "--to", reader, "--json")
    assert json.loads(good.stdout)["passes"]
    bad = space.caducee(space.a, "explain", "--from", sender, "--to", "x@exemple.invalid", "--json", check=False)
    assert bad.returncode == 1
    assert [entry["rule"] for entry in json.loads(bad.stdout)["decisions"]][-1] == "trust.recipient_not_listed"
    card = space.facts["pki"]["revoked"]["client_cert"]
    revoked = space.caducee(space.a, "explain", "--from", reader, "--cert", card, "--json", check=False)
    assert json.loads(revoked.stdout)["decisions"][0]["rule"] == "trust.certificate_revoked"


def test_an_unknown_message_is_a_clear_no(space: Space) -> None:
    done = space.caducee(space.a, "--lang", "fr", "explain", "0" * 26, check=False)
    assert done.returncode == 1
    assert "ne sait rien" in done.stderr


def test_the_journal_verifies_while_running(space: Space) -> None:
    for operator in (space.a, space.b):
        told = json.loads(space.caducee(operator, "journal", "verify", "--json").stdout)
        assert told["intact"]
        assert told["records"] > 0


def files_with(folder: Path, marks: list[bytes]) -> list[str]:
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            found += [f"{path.name}: {mark!r}" for mark in marks if mark in content]
    return found


def test_no_plaintext_on_disk_and_no_secret_in_a_log(space: Space) -> None:
    import base64

    sender, reader = space.box(space.a), space.box(space.b)
    colleague = space.box(space.a, index=1)
    text = f"Patient : {CANARY} corps\r\n" * 3
    message = letter(sender["address"], reader["address"], f"{CANARY} objet", text)
    message.add_attachment(
        (CANARY * 40_000).encode(), maintype="application", subtype="octet-stream", filename=f"{CANARY}.bin"
    )
    send(space, space.a, sender, message, [reader["address"], colleague["address"]])
    space.wait_for(space.b, reader, f"{CANARY} objet")
    space.wait_for(space.a, colleague, f"{CANARY} objet")
    plain = CANARY.encode()
    encoded = base64.b64encode(plain * 3)[4:40]
    for operator in (space.a, space.b):
        assert files_with(Path(operator["data_dir"]), [plain, encoded]) == []
        log = Path(operator["log"]).read_bytes()
        assert plain not in log
        for box in operator["mailboxes"]:
            for key in ("device_password", "totp_secret", "password"):
                assert box.get(key, "\0").encode() not in log


def test_command_line_answers_in_french_and_english(space: Space) -> None:
    for language, word in (("fr", "identifiant"), ("en", "identifier")):
        done = space.caducee(space.a, "--lang", language, "explain", check=False)
        assert done.returncode == 2
        assert word in done.stderr


@pytest.mark.parametrize(
    "command", [["mailbox", "list", "--json"], ["account", "list", "--json"], ["config", "show", "--json"]]
)
def test_commands_that_print_data_print_json(space: Space, command: list[str]) -> None:
    json.loads(space.caducee(space.a, *command).stdout)


def test_a_second_space_in_a_folder_that_is_not_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    command = [sys.executable, "-m", "gateway.cli", "space", "--dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, env=os.environ, timeout=60)
    assert done.returncode == 3
    assert (tmp_path / "precious").read_text() == "mine"
