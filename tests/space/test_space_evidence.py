"""A running space leaves evidence, explains itself, and keeps what it must not leave: no plaintext, no secret in a log."""

from __future__ import annotations

import json
import os
import re
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


def reference(reply: bytes) -> str:
    """What a refused sender can quote."""
    found = re.findall(rb"quote: ([0-9A-Z]{26})\.", reply)
    assert len(found) == 1, reply
    return found[0].decode("ascii")


def partner(space: Space, card: dict) -> smtplib.SMTP:
    """A session at A's inbound door with some certificate in B's name."""
    session = smtplib.SMTP(space.a["smtp"]["host"], space.a["smtp"]["port"], "smtp.op-b.mssante.test", timeout=30)
    context = space.tls()
    context.load_cert_chain(card["client_cert"], card["client_key"])
    session.starttls(context=context)
    session.ehlo()
    return session


def refusals(space: Space) -> dict[str, bytes]:
    """What a sender hears when refused at each step, under the rule it was refused by."""
    pki, reader, sender = space.facts["pki"], space.box(space.a), space.box(space.b)["address"]
    said = {"trust.certificate_revoked": partner(space, pki["revoked"]).mail(sender)[1]}
    with partner(space, pki["op-b"]) as session:
        said["trust.sender_not_listed"] = session.mail("x@exemple.invalid")[1]
        said["session.message_too_large"] = session.mail(sender, ["SIZE=99999999999"])[1]
        assert session.mail(sender)[0] == 250
        said["recipient.unknown"] = session.rcpt("personne@op-a.mssante.test")[1]
        assert session.rcpt(reader["address"])[0] == 250
        assert session.docmd("DATA")[0] == 354
        session.sock.sendall(b"Subject: x\r\n\r\nune ligne\nnue\r\n.\r\n")
        said["session.bare_line_end"] = session.getreply()[1]
    message = letter(reader["address"], "x", "refus 4472")
    message["Reply-To"] = "quelquun@exemple.invalid"
    where = space.a["submissions"]
    with smtplib.SMTP_SSL(where["host"], where["port"], context=space.tls(), timeout=30) as smtp:
        smtp.login(reader["login"], reader["device_password"])
        smtp.mail(reader["address"])
        said["trust.recipient_not_listed"] = smtp.rcpt("quelquun@exemple.invalid")[1]
        smtp.rcpt(sender)
        said["redirection.header_outside"] = smtp.data(message.as_bytes(policy=SMTP))[1]
    return said


def test_a_refusal_at_any_step_is_explained_by_the_reference_in_its_reply(space: Space) -> None:
    """Whoever was refused can quote something, and the operator finds the rule, its source and its remedy by it."""
    for name, said in refusals(space).items():
        assert name.encode() in said, said
        told = json.loads(space.caducee(space.a, "explain", reference(said), "--json").stdout)
        assert not told["accepted"]
        graver = [entry for entry in told["decisions"] if entry["verdict"] != "accept"]
        assert name in [entry["rule"] for entry in graver]
        assert all(entry["sources"] and entry["sentence"] for entry in graver), graver
        for language in ("fr", "en"):
            assert name in space.caducee(space.a, "--lang", language, "explain", reference(said)).stdout


def test_a_reference_tells_nothing_of_the_recipient_it_is_about(space: Space) -> None:
    """F60: addresses that are not there hear the same words around a reference that is made of a date and of chance."""
    with partner(space, space.facts["pki"]["op-b"]) as session:
        session.mail(space.box(space.b)["address"])
        names = [f"personne{number}@op-a.mssante.test" for number in range(4)]
        said = [session.rcpt(name)[1] for name in names]
    quoted = [reference(each) for each in said]
    assert len(set(quoted)) == len(quoted)
    shapes = {
        each.replace(mark.encode(), b"R").replace(name.encode(), b"N")
        for each, mark, name in zip(said, quoted, names, strict=True)
    }
    assert len(shapes) == 1, shapes


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
    with space.imap(space.b, reader) as imap:  # labels and folders are named after patients
        assert imap.create(CANARY)[0] == imap.select("INBOX")[0] == "OK"
        assert imap.store("1", "+FLAGS", f"({CANARY})")[0] == "OK"
        assert CANARY.encode() in imap.fetch("1", "(FLAGS)")[1][0]
        assert imap.copy("1", CANARY)[0] == "OK"
    plain = CANARY.encode()
    encoded = base64.b64encode(plain * 3)[4:40]
    for operator in (space.a, space.b):
        assert files_with(Path(operator["data_dir"]), [sender["address"].encode()])  # in the journal: the search finds
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
