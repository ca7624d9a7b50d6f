"""Bounces of patients' mailboxes: four causes, from reports and letters as the field is known or supposed to write them.

MSS-104.
"""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.relay import receipts, tracking
from gateway.relay.bounces import Bounces
from gateway.relay.tracking import Receipt
from gateway.smtp.transaction import Recipient, Transaction
from mailboxes.anatomy import dissect
from policies.bounces import CAUSES, PHRASES, cause_of, folded, phrase_of
from policies.receipts import State
from policies.values import Address
from tests.gateway.relay.house import House
from tests.gateway.relay.test_reception import ALICE, MAILBOX, accept, partner, submission

NUMBER = "279035121518989"
PATIENT = Address(NUMBER, "patient.mssante.fr")
MES = "CN=mes,C=FR"


def letter(text: str, *, subject: str = "Message non distribué", about: str = "", charset: str = "utf-8") -> bytes:
    """A bounce that is no report."""
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = "no-reply@patient.mssante.fr", str(ALICE), subject
    message["Auto-Submitted"] = "auto-replied"
    if about:
        message["In-Reply-To"] = about
    message.set_content(text, charset=charset)
    return message.as_bytes()


def report(status: str, text: str = "", diagnostic: str = "", recipient: str = str(PATIENT)) -> bytes:
    """What Postfix sends."""
    return (
        "From: <MAILER-DAEMON@patient.mssante.fr>\r\nSubject: Undelivered Mail Returned to Sender\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x\r\n\r\n"
        f"{text}\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mes\r\n\r\n"
        f"Final-Recipient: rfc822;{recipient}\r\nAction: failed\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: smtp; {diagnostic}\r\n\r\n--x\r\nContent-Type: text/rfc822-headers\r\n\r\n"
        "Message-ID: <m1@op-a.mssante.test>\r\n--x--\r\n"
    ).encode()


def read(content: bytes, bounces: Bounces = receipts.MES) -> tuple[Receipt, ...]:
    return receipts.read(dissect(content), content, bounces)


LETTERS = [
    ("Le message adressé à {} n’a pas pu être remis : la messagerie est fermée.", "closed"),
    ("Destinataire {} : messagerie fermée", "closed"),
    ("Patient non trouvé ({})", "unknown"),
    ("L'adresse {} : Adresse invalide.", "invalid"),
    ("Votre message à {} est trop volumineux", "too_large"),
    ("{}\nLa\n MESSAGERIE\tA ÉTÉ  FERMÉE", "closed"),
]


@pytest.mark.parametrize(("text", "cause"), LETTERS)
@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1"])
def test_a_letter_tells_its_cause(text: str, cause: str, charset: str) -> None:
    content = letter(text.format(PATIENT).replace("’", "'"), about="<m1@op-a.mssante.test>", charset=charset)
    assert read(content) == (
        Receipt("m1@op-a.mssante.test", "", PATIENT.key, "", State.FAILED, f"mes.{cause}", "bounce"),
    )


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (report("5.3.4"), "mes.too_large"),
        (report("5.0.0", diagnostic="552 5.3.4 message size exceeds fixed limit"), "mes.too_large"),
        (report("5.1.1"), "mes.unknown"),
        (report("5.1.1", "La messagerie du patient est fermée : messagerie fermée"), "mes.closed"),
        (report("5.2.1"), "mes.closed"),
        (report("5.1.3"), "mes.invalid"),
        (report("5.7.1"), "5.7.1"),
        (report("5.1.1", recipient="bob@op-b.mssante.test"), "5.1.1"),  # no patient: a status stays a status
    ],
)
def test_a_report_about_a_patient_gets_its_cause(content: bytes, code: str) -> None:
    (found,) = read(content)
    assert (found.state, found.code, found.message_id) == (State.FAILED, code, "m1@op-a.mssante.test")


@pytest.mark.parametrize(
    "content",
    [
        letter(f"{PATIENT} messagerie fermée", subject="Absence"),
        letter(f"{PATIENT} est en vacances"),
        letter("messagerie fermée"),
        letter("bob@op-b.mssante.test : messagerie fermée"),
        letter(f"{PATIENT}.exemple.invalid : messagerie fermée"),
    ],
    ids=["another subject", "no cause", "no patient", "not a patient", "another domain"],
)
def test_other_letters_are_no_bounce(content: bytes) -> None:
    assert read(content) == ()


def test_words_and_domains_are_configuration() -> None:
    ours = Bounces(frozenset({"patients.example"}), (("closed", folded("Plus de BOÎTE")),))
    content = letter(f"{NUMBER}@patients.example n’a plus de boîte")
    assert [one.code for one in read(content, ours)] == ["mes.closed"]
    assert read(content) == ()
    assert all(phrase_of(line) for line in PHRASES)
    assert {phrase_of(line)[0] for line in PHRASES} == set(CAUSES)  # type: ignore[index]
    assert phrase_of("vacances: parti") is None
    assert phrase_of("closed:  ") is None


@given(st.text(max_size=400), st.text(max_size=60))
def test_no_letter_raises(text: str, subject: str) -> None:
    content = f"Subject: {subject}\r\nContent-Type: text/plain\r\n\r\n{text}".encode("utf-8", "replace")
    read(content)
    read(b"Subject: Message non distribue\r\n\r\n" + content)


async def line(house: House) -> tuple[State, str]:
    lines = await house.reading.run(lambda connection: tracking.board(connection, MAILBOX))
    return lines[0].state, lines[0].code


ASKING = b"From: <alice@op-a.mssante.test>\r\nMessage-ID: <m1@op-a.mssante.test>\r\n\r\nx\r\n"


@pytest.mark.parametrize("about", ["<m1@op-a.mssante.test>", ""])
async def test_the_board_shows_the_cause(lite: House, about: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With or without the message named: the last one sent to that patient is meant."""
    monkeypatch.setattr("tests.gateway.relay.test_reception.listed", patients_listed)
    await accept(lite, Transaction(submission(), ALICE, (Recipient(PATIENT),)), ASKING)
    bounce = letter(f"{PATIENT} : messagerie fermée", about=about)
    await accept(lite, Transaction(partner(MES), None, (Recipient(ALICE),)), bounce, [(ALICE.key, MAILBOX)], "R" * 26)
    assert await line(lite) == (State.FAILED, "mes.closed")


async def test_only_the_patients_operator_is_believed(lite: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.gateway.relay.test_reception.listed", patients_listed)
    await accept(lite, Transaction(submission(), ALICE, (Recipient(PATIENT),)), ASKING)
    bounce = letter(f"{PATIENT} : messagerie fermée", about="<m1@op-a.mssante.test>")
    other = partner("CN=smtp.op-c,C=FR")
    await accept(lite, Transaction(other, None, (Recipient(ALICE),)), bounce, [(ALICE.key, MAILBOX)], "R" * 26)
    assert (await line(lite))[0] is State.QUEUED


def patients_listed() -> object:
    from datetime import UTC, datetime

    from policies.trust import trust_list

    now = datetime.now(UTC)
    return trust_list([("patient.mssante.fr", MES), ("op-c.mssante.test", "CN=smtp.op-c,C=FR")], now, now)


def test_causes_in_words() -> None:
    assert "fermé sa messagerie" in cause_of(State.FAILED, "mes.closed", "fr")
    assert "25 MB" in cause_of(State.FAILED, "mes.too_large", "en")
    assert cause_of(State.REFUSED, "904", "fr") == "INS différente de celle connue"
    assert cause_of(State.FAILED, "5.1.1", "en") == "Mailbox not found or not accessible"
    assert cause_of(State.READ, "0", "fr") == cause_of(State.DELIVERED, "", "fr") == ""
    assert cause_of(State.FAILED, "mes.whatever", "fr") == ""
