"""The published documents from submission to the reader's IMAP, each wrong patient refused at the door, hostile files answered."""

from __future__ import annotations

import itertools
import json
import smtplib
import time
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest

from hprim.check import check_file
from hprim.compose import subject as xdm_subject
from hprim.findings import TEST_SPACE
from tests.hprim import test_hostile, test_samples
from tests.hprim.builders import DOC, META, member, rezip, xdm
from tests.hprim.examples import TODAY, v1
from tests.space.running import Space, letter

NAMES = test_samples.NAMES
_serial = itertools.count()


def told(document: bytes) -> Any:
    return check_file(document, "DOC.XML", profile=TEST_SPACE, today=TODAY).documents[0]


def document_mail(
    sender: str, recipient: str, archive: bytes, document: bytes, *more: tuple[str, bytes]
) -> EmailMessage:
    """What a conformant practice software sends for ``document``; ``archive`` may hold something else."""
    about = told(document)
    message = EmailMessage()
    message["From"], message["To"] = sender, recipient
    message["Subject"] = xdm_subject(about.label, about.patients[0].traits)
    message["Message-ID"] = f"<medical.{next(_serial)}.{time.time_ns()}@{sender.rpartition('@')[2]}>"
    message["Date"] = "Mon, 02 Mar 2026 10:00:00 +0100"
    message["X-MSS-NIL"] = "DEV935997"
    message.set_content("Bonjour, voici le document.")
    message.add_attachment(archive, "application", "zip", filename="IHE_XDM.zip")
    for name, data in more:
        message.add_attachment(data, "application", "octet-stream", filename=name)
    return message


def submit(
    space: Space, operator: dict[str, Any], box: dict[str, Any], message: EmailMessage, *recipients: str
) -> tuple[int, str]:
    """The final reply to DATA, on a session of its own."""
    where = operator["submissions"]
    with smtplib.SMTP_SSL(where["host"], where["port"], context=space.tls(), timeout=60) as smtp:
        smtp.login(box["login"], box["device_password"])
        smtp.mail(box["address"])
        for recipient in recipients or (message["To"],):
            code, text = smtp.rcpt(recipient)
            assert code == 250, text
        code, text = smtp.data(message.as_bytes(policy=SMTP))
        return code, text.decode("ascii")


@pytest.fixture(params=NAMES)
def sample(request: pytest.FixtureRequest, samples: Path) -> tuple[str, bytes]:
    return request.param, (samples / "cda" / request.param).read_bytes()


@pytest.fixture
def boxes(space: Space) -> tuple[dict[str, Any], dict[str, Any]]:
    return space.box(space.a), space.box(space.b)


def test_a_published_document_arrives_whole_at_the_other_operator(
    space: Space, boxes: tuple[dict[str, Any], dict[str, Any]], sample: tuple[str, bytes]
) -> None:
    sender, reader = boxes
    document = sample[1]
    archive = xdm(document)
    message = document_mail(sender["address"], reader["address"], archive, document)
    code, text = submit(space, space.a, sender, message)
    assert code == 250, text
    arrived = message_from_bytes(arrived_bytes(space, reader, message["Message-ID"]))
    assert arrived["X-MSS-CODECDA"] == told(document).code
    assert arrived["X-MSS-INS"] == "O"
    received = next(part for part in arrived.walk() if part.get_filename() == "IHE_XDM.zip").get_payload(decode=True)
    assert received == archive
    assert member(bytes(received), DOC) == document


def arrived_bytes(space: Space, reader: dict[str, Any], identifier: str) -> bytes:
    deadline = time.monotonic() + 30
    while True:
        with space.imap(space.b, reader) as imap:
            _, found = imap.search(None, "HEADER", "Message-ID", identifier)
            if found[0].split():
                _, data = imap.fetch(found[0].split()[-1].decode(), "(BODY.PEEK[])")
                return bytes(data[0][1])
        assert time.monotonic() < deadline, f"{identifier} did not arrive"
        time.sleep(0.2)


WRONG = [
    *(
        (name, lambda d, change=change: rezip(xdm(d), {DOC: change(d)}, rehash=True), rule)
        for name, change, rule in test_samples.MUTATIONS
    ),
    ("altered-document", lambda d: rezip(xdm(d), {DOC: d + b"\n"}), "MSS-092"),
    ("altered-hash", lambda d: rezip(xdm(d), {META: other_hash(member(xdm(d), META))}), "MSS-092"),
    ("swapped-archive", lambda d: xdm(test_samples.another_patient(d)), "HID-077"),
    ("two-patients", lambda d: xdm(d, test_samples.another_patient(d)), "HID-080"),
]


def other_hash(metadata: bytes) -> bytes:
    at = metadata.index(b'<Slot name="hash"><ValueList><Value>') + 36
    return metadata[:at] + (b"0" if metadata[at : at + 1] != b"0" else b"1") + metadata[at + 1 :]


@pytest.mark.parametrize(("change", "rule"), [(one[1], one[2]) for one in WRONG], ids=[one[0] for one in WRONG])
def test_each_wrong_patient_is_refused_with_its_rule(
    space: Space, samples: Path, change: Any, rule: str, request: pytest.FixtureRequest
) -> None:
    """Every mutation of every sample; sessions alternate between operators, so that no rate is reached."""
    turns = itertools.cycle([(space.a, space.b), (space.b, space.a)])
    for name in NAMES:
        operator, other = next(turns)
        sender, reader = space.box(operator), space.box(other)
        document = (samples / "cda" / name).read_bytes()
        message = document_mail(sender["address"], reader["address"], change(document), document)
        code, text = submit(space, operator, sender, message)
        assert code == 550, (name, text)
        assert rule in text, (name, text)
        assert "[patient.refused]" in text
        for private in ("PAT-TROIS", "DOMINIQUE", "279035121518989", "1979", "DURAND", "28/03"):
            assert private not in text


def test_a_refusal_is_in_the_secretary_s_words(space: Space) -> None:
    sender, reader = space.box(space.a), space.box(space.b)
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender["address"], reader["address"], "Courrier"
    message["Date"] = "Mon, 02 Mar 2026 10:00:00 +0100"
    message.set_content(v1({7: "31 fevrier 61"}).decode("cp1252"))
    code, text = submit(space, space.a, sender, message)
    assert code == 550
    assert "[HID-021] ligne 7 du corps du message : Date de naissance illisible" in text
    assert "Corrigez la date de naissance (ligne 7 d'un en-tete HPRIM, JJ/MM/AAAA)." in text
    assert "fevrier" not in text


def test_warnings_come_back_as_one_message_of_our_own(space: Space) -> None:
    sender, reader = space.box(space.a), space.box(space.b)
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender["address"], reader["address"], "Scanner"
    message["Message-ID"] = f"<remarks.{time.time_ns()}@{space.a['domain']}>"
    message["Date"] = "Mon, 02 Mar 2026 10:00:00 +0100"
    message.set_content("Bonjour.")
    message.add_attachment(b"%PDF-1.4 essai", "application", "pdf", filename="scanner.pdf")
    code, _ = submit(space, space.a, sender, message)
    assert code == 250
    assert b"HID-007" in space.wait_for(space.a, sender, "HID-007")
    with space.imap(space.a, sender) as imap:
        _, found = imap.search(None, "HEADER", "In-Reply-To", message["Message-ID"])
        assert len(found[0].split()) == 1
    arrived_bytes(space, reader, message["Message-ID"])


HOSTILE = {
    **{name: ("IHE_XDM.zip", make) for name, make in test_hostile.UNSAFE.items()},
    **{f"xml-{name}": ("document.xml", (lambda data=data: data)) for name, data in test_hostile.XML.items()},
    "truncated": ("IHE_XDM.zip", test_hostile.cut_archive),
    "checksum": ("IHE_XDM.zip", test_hostile.bad_checksum),
}


@pytest.mark.parametrize("case", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_get_a_clear_answer_at_the_real_door(space: Space, case: tuple[str, Any]) -> None:
    name, make = case
    sender, reader = space.box(space.a, index=1), space.box(space.b)
    message = EmailMessage()
    message["From"], message["To"] = sender["address"], reader["address"]
    message["Subject"] = "XDM/1.0/DDM+CR LEFEVRE Andree 14/02/1961"
    message["Date"] = "Mon, 02 Mar 2026 10:00:00 +0100"
    message.set_content("Bonjour.")
    message.add_attachment(make(), "application", "octet-stream", filename=name)
    started = time.monotonic()
    code, text = submit(space, space.a, sender, message)
    assert code == 550, text
    assert "MSS-091" in text or "MSS-114" in text
    assert "LEFEVRE" not in text
    assert time.monotonic() - started < 20
    # the door still serves
    told_again = document_free(space, sender, reader)
    assert told_again == 250


def document_free(space: Space, sender: dict[str, Any], reader: dict[str, Any]) -> int:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender["address"], reader["address"], "ensuite"
    message["Date"] = "Mon, 02 Mar 2026 10:00:00 +0100"
    message.set_content("Toujours la.")
    return submit(space, space.a, sender, message)[0]


def test_no_log_and_no_journal_of_the_run_names_a_patient(space: Space) -> None:
    """After all of the above: the operations log of the space, and the whole journal of both operators."""
    places = [space.directory / "space.log", *(Path(operator["log"]) for operator in (space.a, space.b))]
    log = "".join(path.read_text("utf-8", "replace") for path in places)
    assert log
    journals = [
        space.caducee(operator, "journal", "list", "--json", "--limit", "2000").stdout
        for operator in (space.a, space.b)
    ]
    for private in ("PAT-TROIS", "DOMINIQUE", "279035121518989", "LEFEVRE", "31 fevrier"):
        assert private not in log
        assert not any(private in text for text in journals)
    assert "patient.refused" in journals[0]


def test_a_patient_without_a_number_forbids_a_professional(space: Space, tmp_path: Path) -> None:
    """TOU-F08: the letter to the professional he named is refused at the submission port, that to a colleague leaves."""
    identity = tmp_path / "identity.json"
    identity.write_text(json.dumps({"surname": "Béraud", "first_name": "Luc", "birth_date": "1970-03-05", "sex": "M"}))
    sender, forbidden, colleague = space.box(space.a), space.box(space.b), space.box(space.b, "ORG")
    text = v1({2: "BERAUD", 3: "LUC", 7: "05/03/1970", 8: ""}).decode("cp1252")
    named = ("--patient", str(identity), "--professional", forbidden["address"])
    space.caducee(space.a, "opposition", "add", *named)
    for box, expected in ((forbidden, 550), (colleague, 250)):
        code, answer = submit(space, space.a, sender, letter(sender["address"], box["address"], "Avis", text))
        assert code == expected, answer
        assert ("patient.forbidden" in answer) is (expected == 550)
        assert "BERAUD" not in answer.upper()
    space.caducee(space.a, "opposition", "remove", *named)
    code, answer = submit(space, space.a, sender, letter(sender["address"], forbidden["address"], "Avis", text))
    assert code == 250, answer
