"""Practice software at work between two real operators: a document in, a tracking identifier out, an answer back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from hprim.check import check_file
from tests.hprim.builders import NUMBER, OTHER_NUMBER, cda
from tests.hprim.examples import V1, text, v1
from tests.space.running import PATIENCE, ROOT, Space

pytestmark = pytest.mark.slow

ANDREE = {"surname": "LEFEVRE", "first_name": "ANDREE", "birth_date": "1961-02-14"}


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    """Identities and documents on disk."""
    files = {
        "andree.json": json.dumps(ANDREE).encode(),
        "other.json": json.dumps({**ANDREE, "surname": "DURAND"}).encode(),
        "document.xml": cda(),
        "cr.pdf": b"%PDF-1.4 essai",
        "lettre.txt": "Cher confrère, vu ce jour.".encode(),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    return {name: str(tmp_path / name) for name in files}


def send(
    space: Space,
    given: dict[str, str],
    *words: str,
    patient: str = "andree.json",
    document: str = "document.xml",
    check: bool = True,
) -> Any:
    sender = space.box(space.a)["address"]
    asked = ("send", "--from", sender, "--patient", given[patient], "--document", given[document], "--json", *words)
    return space.caducee(space.a, *asked, check=check)


def wait_for_state(space: Space, message: str, states: set[str]) -> dict[str, Any]:
    deadline = time.monotonic() + 40
    while True:
        told = json.loads(space.caducee(space.a, "track", message, "--json").stdout)
        (line,) = told["recipients"]
        if line["state"] in states:
            return dict(line)
        assert time.monotonic() < deadline, line
        time.sleep(0.3)


def wait_for_message(
    space: Space, operator: dict[str, Any], box: dict[str, Any], header: str, value: str, author: str = "@"
) -> bytes:
    deadline = time.monotonic() + 40
    while True:
        with space.imap(operator, box) as imap:
            _, found = imap.search(None, "FROM", f'"{author}"', "HEADER", header, f'"{value}"')
            if found[0].split():
                _, data = imap.fetch(found[0].split()[-1].decode(), "(BODY.PEEK[])")
                return bytes(data[0][1])
        assert time.monotonic() < deadline, value
        time.sleep(0.2)


@pytest.mark.parametrize("document", ["document.xml", "cr.pdf", "lettre.txt"])
def test_a_document_is_sent_and_followed(space: Space, given: dict[str, str], document: str) -> None:
    """TOU-C03, MSS-118."""
    reader = space.box(space.b)
    answer = json.loads(
        send(space, given, "--to", reader["address"], "--label", "CR d'essai", document=document).stdout
    )
    wait_for_state(space, answer["message"], {"handed_over", "delivered", "read"})
    arrived = message_from_bytes(wait_for_message(space, space.b, reader, "Message-ID", answer["message_id"]))
    assert arrived["Disposition-Notification-To"] == space.box(space.a)["address"]
    assert (arrived["X-MSS-INS"] == "O") is (document == "document.xml")
    assert "MARTIN" in arrived["From"]


PATIENT = {
    **ANDREE,
    "birth_surname": "LEFEVRE",
    "first_names": "ANDREE MARIE",
    "birth_place": "38999",
    "sex": "F",
    "ins": NUMBER,
    "ins_oid": "1.2.250.1.213.1.4.8",
    "document_code": "11488-4",
    "author": {"surname": "MARTIN", "first_name": "Alice", "identifier": "10002422979"},
}


def test_a_pdf_reaches_a_patient_inside_a_cda(space: Space, given: dict[str, str], tmp_path: Path) -> None:
    """ECO.2.2.6, MSS-099. The patients of this space have their mailboxes at operator B."""
    box, number = space.box(space.b, index=1), f"{NUMBER}@{space.b['domain']}"
    space.caducee(space.b, "mailbox", "alias", "add", box["address"], number)
    settings = Path(space.a["config"]).read_text("utf-8")
    here = Path(space.a["config"]).with_name("patients.toml")
    here.write_text(re.sub("(?m)^# (patient_domains = ).*", rf'\1["{space.b["domain"]}"]', settings), "utf-8")
    whole = tmp_path / "whole.json"
    whole.write_text(json.dumps({**PATIENT, "to": number}))
    words = ("send", "--from", space.box(space.a)["address"], "--document", given["cr.pdf"], "--json")
    sent = space.caducee({**space.a, "config": str(here)}, *words, "--patient", str(whole))
    answer = json.loads(sent.stdout)
    raw = wait_for_message(space, space.b, box, "Message-ID", answer["message_id"])
    report = check_file(raw, "m.eml", today=datetime.now(UTC).date())
    assert (report.refused, report.qualified_ins, report.cda_codes) == ((), True, ("11488-4",))
    assert message_from_bytes(raw)["X-MSS-INS"] == "O"


def test_a_wrong_patient_stays_at_home(space: Space, given: dict[str, str]) -> None:
    done = send(space, given, "--to", space.box(space.b)["address"], patient="other.json", check=False)
    assert done.returncode == 1
    assert "[HID-070]" in done.stderr
    assert "DURAND" not in done.stderr


def test_unknown_people_are_said_before_anything_leaves(space: Space, given: dict[str, str]) -> None:
    outside = send(space, given, "--to", "x@exemple.invalid", check=False)
    assert (outside.returncode, "recipient_not_listed" in outside.stderr) == (1, True)
    words = ("send", "--from", f"nobody@{space.a['domain']}", "--to", space.box(space.b)["address"])
    done = space.caducee(space.a, *words, "--patient", given["andree.json"], "--document", given["cr.pdf"], check=False)
    assert done.returncode == 1
    assert "nobody" in done.stderr


def through_server(space: Space, given: dict[str, str], password: str, *words: str) -> subprocess.CompletedProcess[str]:
    """No configuration at all: as on a practice's own machine."""
    box, where = space.box(space.a), space.a["submission"]
    command = [sys.executable, "-m", "gateway.cli", "--config", "/nonexistent.toml", "send", "--from", box["address"]]
    command += ["--to", space.box(space.b)["address"]]
    if "--watch" not in words:
        command += ["--patient", given["andree.json"], "--document", given["document.xml"]]
    command += ["--server", f"{where['host']}:{where['port']}", "--ca", space.ca, "--json", *words]
    environment = {**os.environ, "CADUCEE_DEVICE_PASSWORD": password}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT, env=environment, check=False
    )


def test_a_machine_of_the_practice_sends_through_the_server(space: Space, given: dict[str, str]) -> None:
    done = through_server(space, given, space.box(space.a)["device_password"])
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    wait_for_state(space, answer["message"], {"handed_over", "delivered", "read"})


def test_a_wrong_password_or_no_server_is_said(space: Space, given: dict[str, str]) -> None:
    done = through_server(space, given, "wrong")
    assert (done.returncode, "535" in done.stderr) == (1, True)
    assert through_server(space, given, "x", "--server", "127.0.0.1:9").returncode == 3


def by_certificate(space: Space, given: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """The laboratory's software: no password, its certificate."""
    box = space.box(space.a, "APP")
    own = ("--from", box["address"], "--cert", box["client_cert"], "--key", box["client_key"])
    return through_server(space, given, "", *own, *words)


@pytest.mark.parametrize("door", ["submission", "submissions"])
def test_an_application_mailbox_sends_with_its_certificate(space: Space, given: dict[str, str], door: str) -> None:
    """MSS-073: mutual TLS and SASL EXTERNAL, by STARTTLS and with TLS from the first octet."""
    where = space.a[door]
    tls = "--tls" if door == "submissions" else "--starttls"
    done = by_certificate(space, given, "--server", f"{where['host']}:{where['port']}", tls)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    wait_for_state(space, answer["message"], {"handed_over", "delivered", "read"})
    raw = wait_for_message(space, space.b, space.box(space.b), "Message-ID", answer["message_id"])
    assert space.box(space.a, "APP")["address"] in message_from_bytes(raw)["From"]


def test_a_certificate_that_does_not_serve_is_said(space: Space, given: dict[str, str], tmp_path: Path) -> None:
    revoked = space.facts["pki"]["revoked"]
    for words, code, said in [
        (("--cert", revoked["client_cert"], "--key", revoked["client_key"]), 1, "session.auth_certificate_refused"),
        (("--from", space.box(space.a)["address"]), 1, "session.auth_certificate_refused"),  # another's mailbox
        (("--key", revoked["client_key"]), 2, "--cert"),  # a key of another certificate
        (("--cert", str(tmp_path / "absent.pem")), 2, "--cert"),
        (("--ca", given["cr.pdf"]), 2, "--ca"),
        (("--ca", revoked["client_cert"]), 3, "--ca"),  # holds the intermediate authority, but no root
        (("--ca", space.facts["pki"]["self_signed"]["client_cert"]), 3, "--ca"),  # not the authority of the server
        (("--tls",), 3, "--starttls"),
    ]:
        done = by_certificate(space, given, *words)
        assert done.returncode == code, (words, done.stderr)
        assert said in done.stderr, (words, done.stderr)
        assert "Traceback" not in done.stderr


def test_a_folder_waits_while_the_login_is_refused(space: Space, given: dict[str, str], tmp_path: Path) -> None:
    """A wrong password is no fault of the files: they stay, and leave once it is right."""
    folder = tmp_path / "depot"
    folder.mkdir()
    lines = list(V1)
    lines[11] = f"DRTEST     {space.box(space.b)['address']}"
    lines[13] = f"Lettre {time.time_ns()}"
    (folder / "lettre.hpr").write_bytes(text(lines))
    words = ("--watch", str(folder), "--once")
    assert through_server(space, given, "wrong", *words).returncode == 1
    assert [path.name for path in (folder / "sending").iterdir()] == ["lettre.hpr"]
    assert through_server(space, given, space.box(space.a)["device_password"], *words).returncode == 0
    assert (folder / "done" / "lettre.hpr").exists()


def test_a_folder_of_a_mailbox_that_cannot_send_is_said_at_once(space: Space, tmp_path: Path) -> None:
    (tmp_path / "lettre.hpr").write_bytes(v1())
    words = ("send", "--from", f"nobody@{space.a['domain']}", "--watch", str(tmp_path), "--once")
    done = space.caducee(space.a, *words, check=False)
    assert (done.returncode, "nobody" in done.stderr) == (1, True)
    assert (tmp_path / "lettre.hpr").exists()


@pytest.mark.parametrize(
    ("document", "code"), [("document.xml", 0), ("whole.hpr", 0), ("cr.pdf", 1), ("lettre.txt", 1)]
)
def test_a_document_that_says_whose_it_is_needs_no_identity(
    space: Space, given: dict[str, str], tmp_path: Path, document: str, code: int
) -> None:
    (tmp_path / "whole.hpr").write_bytes(v1())
    words = ("send", "--from", space.box(space.a)["address"], "--to", space.box(space.b)["address"])
    done = space.caducee(space.a, *words, "--document", str(tmp_path / document), check=False)
    assert done.returncode == code, done.stderr


def test_a_message_has_no_more_recipients_than_at_the_door(space: Space, given: dict[str, str]) -> None:
    domain = space.b["domain"]
    asked = [word for number in range(101) for word in ("--to", f"nobody{number}@{domain}")]
    words = ("send", "--from", space.box(space.a, "APP")["address"], "--document", given["document.xml"], *asked)
    done = space.caducee(space.a, *words, check=False)
    assert done.returncode == 3
    assert "session.too_many_recipients" in done.stderr


def test_the_same_file_dropped_for_two_people_reaches_both(space: Space, tmp_path: Path) -> None:
    lines = list(V1)
    lines[13] = f"Lettre {time.time_ns()}"
    sender, told = space.box(space.a, "APP")["address"], set()
    readers = [one for one in space.b["mailboxes"] if one["type"] in ("PER", "ORG")][:2]
    for reader in readers:
        folder = tmp_path / reader["address"]
        folder.mkdir()
        (folder / "lettre.hpr").write_bytes(text(lines))
        words = ("send", "--from", sender, "--to", reader["address"], "--watch", str(folder), "--once")
        space.caducee(space.a, *words)
        told.add((folder / "done" / "lettre.hpr.sent.txt").read_text())
    assert len(told) == 2
    for reader in readers:
        assert space.wait_for(space.b, reader, lines[13])


def test_a_file_still_being_written_does_not_leave_cut_short(space: Space, tmp_path: Path) -> None:
    whole, dropped = v1({12: f"DRTEST     {space.box(space.b)['address']}"}), tmp_path / "lettre.hpr"
    dropped.write_bytes(whole[:250])
    words = ("send", "--from", space.box(space.a, "APP")["address"], "--watch", str(tmp_path), "--once")
    written, done = len(whole[:250]), threading.Event()

    def write() -> None:
        with dropped.open("ab") as file:
            for octet in whole[written:]:
                if done.wait(0.5):
                    return
                file.write(bytes([octet]))
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert space.caducee(space.a, *words).returncode == 0
    finally:
        done.set()
        writer.join()
    assert dropped.exists()
    assert not list((tmp_path / "done").glob("lettre*"))


def test_dropped_files_leave_once_and_refused_ones_say_why(space: Space, tmp_path: Path) -> None:
    folder = tmp_path / "depot"
    folder.mkdir()
    reader = space.box(space.b)
    lines = list(V1)
    lines[11] = f"DRTEST     {reader['address']}"
    lines[13] = f"Lettre {time.time_ns()}"
    (folder / "lettre.hpr").write_bytes(text(lines))
    (folder / "encore.hpr").write_bytes(text(lines))
    (folder / "mauvaise.hpr").write_bytes(v1({7: "31 fevrier", 12: f"DRTEST     {reader['address']}"}))
    (folder / "sans-adresse.hpr").write_bytes(v1())
    words = ("send", "--from", space.box(space.a, "APP")["address"], "--watch", str(folder), "--once")
    done = space.caducee(space.a, *words, check=False)
    assert done.returncode == 1
    kept = {path.name for path in (folder / "done").iterdir()}
    assert {"lettre.hpr", "encore.hpr", "lettre.hpr.sent.txt", "encore.hpr.sent.txt"} <= kept
    reasons = {path.name: path.read_text("utf-8") for path in (folder / "refused").glob("*.reason.txt")}
    assert "[HID-021]" in reasons["mauvaise.hpr.reason.txt"]
    assert "ligne 12" in reasons["sans-adresse.hpr.reason.txt"]
    identifiers = {
        (folder / "done" / name).read_text().strip() for name in ("lettre.hpr.sent.txt", "encore.hpr.sent.txt")
    }
    assert len(identifiers) == 1
    assert json.loads(space.caducee(space.a, "track", identifiers.pop(), "--json").stdout)["recipients"]
    assert space.wait_for(space.b, reader, lines[13])
    assert space.caducee(space.a, *words).returncode == 0


ANSWERS = [
    ("--receipt", "multipart/report", ("--refused", "904"), "refused"),
    ("--receipt", "multipart/report", ("--accepted",), "read"),
    ("--no-receipt", "multipart/mixed", ("--refused", "902"), "refused"),
]


@pytest.mark.parametrize(("receipt", "kind", "outcome", "state"), ANSWERS)
def test_a_practice_system_answers_the_sender(
    space: Space, given: dict[str, str], receipt: str, kind: str, outcome: tuple[str, ...], state: str
) -> None:
    """MSS-116, MSS-117."""
    system, sender = space.box(space.b, "APP")["address"], space.box(space.a)
    answer = json.loads(send(space, given, "--to", system, receipt).stdout)
    wait_for_state(space, answer["message"], {"handed_over", "delivered"})
    words = ("integrate", answer["message_id"], "--mailbox", system)
    assert json.loads(space.caducee(space.b, *words, *outcome, "--json").stdout)["message"]
    raw = wait_for_message(space, space.a, sender, "In-Reply-To", answer["message_id"], system)
    back = message_from_bytes(raw)
    assert back.get_content_type() == kind
    assert any(part.get_filename() == "IHE_XDM.zip" for part in back.walk())
    told = wait_for_state(space, answer["message"], {state})
    assert told["code"] == (outcome[1] if len(outcome) == 2 else "")
    assert space.caducee(space.b, *words, *outcome, check=False).returncode == 1


def test_only_application_mailboxes_answer_and_only_for_what_they_hold(space: Space) -> None:
    system, person = space.box(space.b, "APP")["address"], space.box(space.b)["address"]
    for words, code in (
        (("<nothing@x.test>", "--mailbox", system, "--accepted"), 1),
        (("99999", "--mailbox", system, "--accepted"), 1),
        (("1", "--mailbox", person, "--accepted"), 1),
        (("1", "--mailbox", system, "--refused", "42"), 2),
        (("1", "--mailbox", f"nobody@{space.b['domain']}", "--accepted"), 1),
    ):
        done = space.caducee(space.b, "integrate", *words, check=False)
        assert done.returncode == code, (words, done.stderr)


def test_a_patient_s_opposition_is_in_force_at_once(space: Space, given: dict[str, str], tmp_path: Path) -> None:
    """Another patient than the one of the other tests: the register is the operator's."""
    document = tmp_path / "other.xml"
    document.write_bytes(cda(ids=(("1.2.250.1.213.1.4.8", OTHER_NUMBER), ("1.2.3.4", "IPP43"))))
    given = {**given, "document.xml": str(document)}
    reader = space.box(space.b)["address"]
    space.caducee(space.a, "opposition", "add", OTHER_NUMBER, "--scope", "professionals")
    refused = send(space, given, "--to", reader, check=False)
    assert refused.returncode == 1
    assert "patient.opposed" in refused.stderr
    assert OTHER_NUMBER not in refused.stderr
    space.caducee(space.a, "opposition", "remove", OTHER_NUMBER)
    assert send(space, given, "--to", reader).returncode == 0
