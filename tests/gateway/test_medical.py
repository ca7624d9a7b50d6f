"""The reader of documents inside a real intake: decisions, added headers, notices, oppositions, patients' conversations, poison."""

from __future__ import annotations

import base64
import io
import zipfile
from dataclasses import replace
from email import message_from_bytes
from pathlib import Path

import pytest

from gateway.following import Following
from gateway.medical.answers import PatientAnswers
from gateway.medical.memory import StoredMemory
from gateway.medical.pool import ReaderDied, ReaderHere
from gateway.medical.question import Question, ReaderOptions, Reading
from gateway.medical.reader import DocumentReader, MedicalSettings
from gateway.medical.register_key import RegisterKey
from gateway.medical.registers import ANYBODY, PatientRegisters, Person, Wish
from gateway.record import journal
from gateway.relay.bodies import StoreBodies
from gateway.relay.notices import House
from gateway.relay.reception import Reception
from gateway.smtp import replies
from gateway.smtp.transaction import Answer
from hprim.dates import PartialDate
from hprim.model import Traits
from hprim.strict import recorded
from mailboxes.anatomy import dissect
from mailboxes.keys import LocalMasterKey
from policies.patient import PatientSettings
from policies.trust import trust_list
from policies.values import BalType
from tests.gateway.medical_mail import hprim_text, mail, xdm, xdm_mail
from tests.gateway.rig import NOW, OURS, PARTNER_DN, THEIRS, Rig, at, partner, transaction, user
from tests.hprim import variants
from tests.hprim.builders import ARC, HEADERS, NUMBER, OTHER_NUMBER, SUBJECT, cda
from tests.hprim.builders import xdm as archive_of
from tests.hprim.examples import v1
from tests.hprim.test_endtoend import ENVELOPED, PGP, signed

ALICE, PAUL, PEER = f"alice@{OURS}", f"paul@{OURS}", f"zoe@{THEIRS}"
PATIENT = f"{NUMBER}@patient.mssante.fr"
APICRYPT = "zoe@mssante.apicrypt.org"
PID = b"MSH|^~\\&|A|B|C|D|20251103||ORU^R01|1|P|2.5\rPID|||IPP42^^^&1.2.3.4&ISO^PI||LEFEVRE^ANDREE^^^^^L||19610214|F\r"
LISTED = [(THEIRS, PARTNER_DN), ("patient.mssante.fr", "CN=mes"), ("mssante.apicrypt.org", "CN=apicrypt")]


def smime(data: bytes, **more: object) -> bytearray:
    """A message whose text is this CMS value."""
    files = [("smime.p7m", data), *more.get("files", ())]  # type: ignore[misc]
    return bytearray(
        bytes(mail(ALICE, [PAUL], text="\n", files=files)).replace(
            b"application/octet-stream", b"application/pkcs7-mime", 1
        )
    )


def pgp_mime() -> bytearray:
    head = (
        f"From: {ALICE}\r\nTo: {PAUL}\r\nSubject: Avis\r\nDate: Mon, 02 Mar 2026 10:00:00 +0100\r\nMessage-ID: <p@{OURS}>\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\r\n\r\n'
        "--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"
        "--b\r\nContent-Type: application/octet-stream\r\n\r\n"
    )
    return bytearray((head + PGP.replace("\n", "\r\n") + "--b--\r\n").encode())


def hprim_entity() -> bytes:
    """A MIME entity that holds a whole HPRIM message, as a signature covers it."""
    return b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + hprim_text().replace("\n", "\r\n").encode()


class Bench:
    """A rig with a reader of documents, on an in-memory database."""

    def __init__(self, readers: object = None, policy: PatientSettings | None = None, *, notices: bool = True) -> None:
        self.rig = Rig()
        self.rig.trusted = trust_list(LISTED, at(NOW), at(NOW))
        key = RegisterKey(LocalMasterKey(bytes(32)))
        self.registers = PatientRegisters(self.rig.reading, key)
        self.settings = MedicalSettings(
            House("smtp.op-a.mssante.test", f"postmaster@{OURS}"), policy or PatientSettings(), notices=notices
        )
        self.reader = DocumentReader(
            settings=self.settings,
            readers=readers or ReaderHere(),  # type: ignore[arg-type]
            mailboxes=self.rig.boxes,
            sealer=self.rig.sealer,
            store=self.rig.store,
            clock=lambda: NOW,
            token=lambda: "ab" * 16,
            pool=self.rig.pool,
            registers=self.registers,
            memory=StoredMemory(self.rig.reading, key),
        )
        self.rig.intake = self.rig.make_intake(medical=self.reader)

    async def send(self, content: bytearray, *recipients: str) -> Answer:
        return await self.rig.intake.message(transaction(user(), ALICE, *(recipients or (PAUL,))), content)

    async def receive(self, sender: str, content: bytearray, *recipients: str) -> Answer:
        return await self.rig.intake.message(transaction(partner(), sender, *(recipients or (PAUL,))), content)

    async def rules(self, answer: Answer) -> list[str]:
        """Every medical rule the journal holds about the message."""
        records = await self.rig.reading.run(lambda connection: journal.read(connection, message=answer.message))
        found = [entry for record in records for entry in record.detail.get("decisions", ()) if entry[0] == "medical"]
        return [f"{entry[2]} {entry[3].get('finding', '')}".strip() for entry in found]

    async def close(self) -> None:
        await self.reader.close()
        await self.rig.close()


@pytest.fixture
async def bench():
    made = Bench()
    yield made
    await made.close()


def name(answer: Answer) -> str:
    return answer.decision.rule.name


def text_of(message: bytes) -> str:
    """The decoded text of a notice, on one line."""
    decoded = message_from_bytes(message).get_payload(decode=True)
    assert isinstance(decoded, bytes)
    return " ".join(decoded.decode("utf-8").split())


async def test_ordinary_mail_passes_and_its_missing_number_is_counted(bench: Bench) -> None:
    answer = await bench.send(mail(ALICE, [PAUL]))
    assert name(answer) == "session.message_accepted"
    assert await bench.rules(answer) == ["patient.noted MSS-096"]
    with_number = await bench.send(mail(ALICE, [PAUL], headers={"X-MSS-NIL": "DEV935997"}))
    assert await bench.rules(with_number) == []


async def test_the_missing_number_may_be_refused() -> None:
    bench = Bench(policy=PatientSettings(severity={"MSS-096": "refuse"}))
    answer = await bench.send(mail(ALICE, [PAUL]))
    assert name(answer) == "patient.refused"
    assert "MSS-096" in answer.decision.sentence("fr")
    inbound = await bench.receive(PEER, mail(PEER, [PAUL]))
    assert name(inbound) == "session.message_accepted"
    await bench.close()


async def test_headers_are_computed_and_nothing_received_is_touched(bench: Bench) -> None:
    content = xdm_mail(ALICE, [PAUL])
    received = bytes(content)
    assert name(await bench.send(content)) == "session.message_accepted"
    (stored,) = await bench.rig.inbox(2)
    head, _, _ = stored.partition(received)
    assert stored.endswith(received)
    assert stored.startswith(b"Return-Path: ")
    assert b"X-MSS-CODECDA: 34112-3\r\nX-MSS-INS: O\r\n" in head
    assert await bench.rig.inbox(1) == []


async def test_right_headers_are_not_repeated(bench: Bench) -> None:
    assert name(await bench.send(xdm_mail(ALICE, [PAUL], headers=HEADERS))) == "session.message_accepted"
    (stored,) = await bench.rig.inbox(2)
    assert stored.count(b"X-MSS-INS") == 1
    assert stored.count(b"X-MSS-CODECDA") == 1


async def test_several_documents_give_a_list_of_codes(bench: Bench) -> None:
    archive = archive_of(cda(oid="1.2.3.99.1"), cda(oid="1.2.3.99.2", code="15508-5"))
    await bench.send(xdm_mail(ALICE, [PAUL], archive))
    (stored,) = await bench.rig.inbox(2)
    assert b"X-MSS-CODECDA: 34112-3,15508-5\r\n" in stored


async def test_a_wrong_list_of_codes_is_mended_and_told(bench: Bench) -> None:
    headers = {**HEADERS, "X-MSS-CODECDA": "99999-9"}
    assert name(await bench.send(xdm_mail(ALICE, [PAUL], headers=headers))) == "session.message_accepted"
    (stored,) = await bench.rig.inbox(2)
    assert b"X-MSS-CODECDA: 34112-3\r\n" in stored.partition(b"From:")[0]
    (notice,) = await bench.rig.inbox(1)
    assert b"[MSS-093]" in notice


async def test_an_announced_qualified_number_must_be_there(bench: Bench) -> None:
    archive = xdm(county="")
    answer = await bench.send(xdm_mail(ALICE, [PAUL], archive, headers=HEADERS))
    if name(answer) == "session.message_accepted":  # the place of birth is not one of the four traits
        archive = xdm(sex=None)
        answer = await bench.send(xdm_mail(ALICE, [PAUL], archive, headers=HEADERS, number=2))
    assert name(answer) == "patient.refused"
    assert "HID-058" in replies.reply(answer.decision).decode()


LACKING = {
    "sex": {"sex": None},
    "birth-date": {"born": None},
    "birth-name": {"surname": "", "used": "LEFEVRE"},
    "first-name": {"first": "", "listed": ""},
    "number": {"ids": (("1.2.3.4", "IPP42"),)},
    "other-authority": {"ids": (("1.2.250.1.213.1.4.13", NUMBER), ("1.2.3.4", "IPP42"))},
}


@pytest.mark.parametrize("lacking", LACKING.values(), ids=LACKING)
async def test_a_number_without_its_four_traits_is_not_qualified(lacking: dict[str, object]) -> None:
    """MSS-095, MSS-108, TOU-A15: the header says O only for number, authority, birth name, first name, birth date and sex."""
    everything = dict.fromkeys(("HID-062", "HID-063", "HID-065", "HID-066", "HID-071", "HID-077", "HID-051"), "note")
    bench = Bench(policy=PatientSettings(severity=everything))  # type: ignore[arg-type]
    await bench.send(xdm_mail(ALICE, [PAUL], xdm(**lacking)))
    (stored,) = await bench.rig.inbox(2)
    assert b"X-MSS-INS: N\r\n" in stored
    announced = await bench.send(xdm_mail(ALICE, [PAUL], xdm(**lacking), headers=HEADERS, number=2))
    assert not announced.decision.accepted
    await bench.close()


async def test_no_document_no_header(bench: Bench) -> None:
    await bench.send(mail(ALICE, [PAUL], text=hprim_text()))
    (stored,) = await bench.rig.inbox(2)
    assert b"X-MSS-INS" not in stored
    assert b"X-MSS-CODECDA" not in stored


async def test_a_refusal_names_rule_place_and_remedy_and_no_patient(bench: Bench) -> None:
    text = hprim_text({7: "31 fevrier 61"})
    said = replies.reply((await bench.send(mail(ALICE, [PAUL], text=text))).decision).decode("ascii")
    assert "[HID-021] ligne 7 du corps du message : Date de naissance illisible" in said
    assert "[HID-021] line 7 of the message body: " in said
    for private in ("LEFEVRE", "ANDREE", "fevrier", "2610238999001", "GRENOBLE"):
        assert private not in said
    assert await bench.rig.inbox(2) == []


async def test_two_patients_in_one_message_are_refused(bench: Bench) -> None:
    content = mail(
        ALICE,
        [PAUL],
        subject=SUBJECT,
        text=hprim_text({2: "DURAND", 3: "PAUL", 7: "12/07/1960"}),
        files=[("IHE_XDM.zip", xdm())],
    )
    answer = await bench.send(content)
    assert name(answer) == "patient.refused"
    assert any("HID-080" in rule for rule in await bench.rules(answer))


async def test_a_program_does_not_pass_in_an_archive(bench: Bench) -> None:
    """F67, MSS-047: also where the archive is locked, calls itself something else, or is not whole."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("images/1.dcm", b"\0" * 64)
        archive.writestr("viewer.exe", b"MZ")
    data = bytearray(out.getvalue())
    for file_name in ("images.zip", "images.dat", "photo.jpg"):
        answer = await bench.send(mail(ALICE, [PAUL], files=[(file_name, bytes(data))]))
        assert name(answer) == "content.archived_program", file_name
    at = data.find(b"PK\x01\x02")
    data[at + 8] |= 1  # the first file is encrypted
    assert (
        name(await bench.send(mail(ALICE, [PAUL], files=[("images.zip", bytes(data))]))) == "content.archived_program"
    )
    assert await bench.rig.inbox(2) == []
    assert (
        name(await bench.send(mail(ALICE, [PAUL], files=[("compte rendu.docx", xdm())]))) == "session.message_accepted"
    )


async def test_a_name_in_a_file_name_stays_out_of_reply_and_journal(bench: Bench) -> None:
    """MSS-146."""
    files = [("LEFEVRE Andree 14-02-1961.hpr", b"")]
    answer = await bench.send(mail(ALICE, [PAUL], files=files))
    assert name(answer) == "patient.refused"
    said = replies.reply(answer.decision).decode("ascii")
    assert "piece jointe 1" in said
    records = await bench.rig.reading.run(lambda connection: journal.read(connection, message=answer.message))
    for private in ("LEFEVRE", "Andree", "1961"):
        assert private not in said
        assert private not in str([record.detail for record in records])


async def test_warnings_come_back_once_in_full_words(bench: Bench) -> None:
    files = [("LEFEVRE Andree.pdf", b"%PDF-1.4 essai")]
    assert name(await bench.send(mail(ALICE, [PAUL], files=files))) == "session.message_accepted"
    (notice,) = await bench.rig.inbox(1)
    assert "[HID-007] LE" in text_of(notice)
    assert ".pdf : Document PDF sans" in text_of(notice)
    assert b"In-Reply-To: <medical-1@" in notice
    assert b"Auto-Submitted: auto-generated" in notice
    (stored,) = await bench.rig.inbox(2)
    assert b"HID-007" not in stored


async def test_warnings_may_stay_in_the_journal() -> None:
    bench = Bench(notices=False)
    answer = await bench.send(mail(ALICE, [PAUL], files=[("x.pdf", b"%PDF-1.4")]))
    assert await bench.rig.inbox(1) == []
    assert "patient.warned HID-007" in await bench.rules(answer)
    await bench.close()


async def test_a_full_mailbox_loses_the_notice_not_the_message(bench: Bench) -> None:
    bench.rig.committer.run_sync(lambda unit: bench.rig.store.set_quota(unit, 1, 10))
    answer = await bench.send(mail(ALICE, [PAUL], files=[("x.pdf", b"%PDF-1.4")]))
    assert name(answer) == "session.message_accepted"
    assert len(await bench.rig.inbox(2)) == 1
    assert await bench.rig.inbox(1) == []


async def test_partners_are_judged_but_get_no_notice(bench: Bench) -> None:
    assert (
        name(await bench.receive(PEER, mail(PEER, [PAUL], files=[("x.pdf", b"%PDF-1.4")])))
        == "session.message_accepted"
    )
    assert len(await bench.rig.inbox(2)) == 1
    assert await bench.rig.inbox(1) == []
    refused = await bench.receive(PEER, mail(PEER, [PAUL], text=hprim_text({7: "31 fevrier 61"}), number=2))
    assert name(refused) == "patient.refused"


async def test_a_partner_may_be_judged_apart() -> None:
    bench = Bench(policy=PatientSettings(partners={THEIRS: {"HID-021": "note"}}))
    assert (
        name(await bench.receive(PEER, mail(PEER, [PAUL], text=hprim_text({7: "31 fevrier 61"}))))
        == "session.message_accepted"
    )
    await bench.close()


async def test_types_of_sending_mailboxes_are_told_apart() -> None:
    bench = Bench(policy=PatientSettings(types={"APP": {"HID-021": "note"}}))
    faulty = {"text": hprim_text({7: "31 fevrier 61"})}
    assert name(await bench.send(mail(ALICE, [PAUL], **faulty))) == "patient.refused"
    bench.rig.boxes.held[ALICE] = replace(bench.rig.boxes.held[ALICE], type=BalType.APP)
    assert name(await bench.send(mail(ALICE, [PAUL], **faulty, number=2))) == "session.message_accepted"
    await bench.close()


async def test_apicrypt_users_get_a_header_or_nothing(bench: Bench) -> None:
    answer = await bench.send(mail(ALICE, [APICRYPT]), APICRYPT)
    assert name(answer) == "patient.header_required"
    assert "nom, prénom et date de naissance" in answer.decision.sentence("fr")
    assert (
        name(await bench.send(mail(ALICE, [APICRYPT], text=hprim_text(), number=2), APICRYPT))
        == "session.message_accepted"
    )
    missing = await bench.send(mail(ALICE, [APICRYPT], text=hprim_text({3: ""}), number=3), APICRYPT)
    assert "HID-027" in missing.decision.sentence("fr")


async def test_test_identities_follow_the_mode(bench: Bench) -> None:
    """MSS-106: test authorities count in test mode only."""
    rehearsal = xdm(ids=(("1.2.250.1.213.1.4.10", NUMBER),))
    answer = await bench.send(xdm_mail(ALICE, [PAUL], rehearsal))
    assert "HID-052" in answer.decision.sentence("fr")
    bench.reader.settings = replace(bench.settings, options=ReaderOptions(test_identities=True))
    assert name(await bench.send(xdm_mail(ALICE, [PAUL], rehearsal, number=2))) == "session.message_accepted"


async def test_every_honest_message_is_accepted(bench: Bench) -> None:
    """As many programs write them (tests/hprim/variants.py), through the whole intake."""
    bench.reader.settings = replace(bench.settings, history="none")
    refused = []
    for number, (kind, archive) in enumerate(variants.archives()):
        answer = await bench.send(xdm_mail(ALICE, [PAUL], archive, number=number))
        refused += [] if answer.decision.accepted else [(kind, answer.decision.sentence("en"))]
    for number, (kind, data) in enumerate(variants.texts(), 1000):
        answer = await bench.send(mail(ALICE, [PAUL], files=[("lettre.hpr", data)], number=number))
        refused += [] if answer.decision.accepted else [(kind, answer.decision.sentence("en"))]
    assert refused == []


# what a mailbox met before


def other_patient() -> bytes:
    """The number of the usual patient on somebody else's document."""
    return xdm(surname="DURAND", first="PAULE", listed="PAULE", oid="1.2.3.99.7")


OTHER_SUBJECT = "XDM/1.0/DDM+CR hospitalier DURAND Paule 14/02/1961"


async def test_one_number_for_two_people_is_refused_and_no_word_of_it_names_them(bench: Bench) -> None:
    """HID-091, in the history of the sending mailbox."""
    assert name(await bench.send(xdm_mail(ALICE, [PAUL]))) == "session.message_accepted"
    answer = await bench.send(xdm_mail(ALICE, [PAUL], other_patient(), subject=OTHER_SUBJECT, number=2))
    assert name(answer) == "patient.refused"
    said = replies.reply(answer.decision).decode("ascii")
    assert "[HID-091] DOC0001.XML (IHE_XDM.zip) : Ce matricule INS a deja ete recu avec une autre identite" in said
    assert "forget the old one" in said
    for private in ("LEFEVRE", "DURAND", NUMBER[:13]):
        assert private not in said
    alone = await bench.rig.intake.message(
        transaction(user("paul", 2), PAUL, ALICE),
        xdm_mail(PAUL, [ALICE], xdm(surname="DURAND", first="PAULE", listed="PAULE"), subject=OTHER_SUBJECT, number=3),
    )
    assert "HID-091" in alone.decision.sentence("fr")  # Paul met this number when he got the first message


async def test_a_message_that_was_refused_is_not_remembered(bench: Bench) -> None:
    wrong = xdm_mail(ALICE, [PAUL], xdm(surname="DURAND", first="PAULE", listed="PAULE", born=None))
    assert name(await bench.send(wrong)) == "patient.refused"
    assert name(await bench.send(xdm_mail(ALICE, [PAUL], number=2))) == "session.message_accepted"


async def test_partners_are_judged_by_the_recipients_history(bench: Bench) -> None:
    assert name(await bench.receive(PEER, xdm_mail(PEER, [PAUL]))) == "session.message_accepted"
    second = await bench.receive(PEER, xdm_mail(PEER, [PAUL], other_patient(), subject=OTHER_SUBJECT, number=2))
    assert "HID-091" in second.decision.sentence("fr")
    elsewhere = xdm_mail(PEER, [ALICE], other_patient(), subject=OTHER_SUBJECT, number=3)
    assert name(await bench.receive(PEER, elsewhere, ALICE)) == "session.message_accepted"


async def test_the_sender_is_told_of_a_document_number_used_twice(bench: Bench) -> None:
    """HID-096, a warning in his own mailbox; HID-098 in the journal only."""
    await bench.send(xdm_mail(ALICE, [PAUL]))
    again = await bench.send(xdm_mail(ALICE, [PAUL], number=2))
    assert "patient.noted HID-098" in await bench.rules(again)
    other = xdm(surname="DURAND", first="PAULE", listed="PAULE", ids=((ARC + "8", OTHER_NUMBER),))
    third = await bench.send(xdm_mail(ALICE, [PAUL], other, subject=OTHER_SUBJECT, number=3))
    assert "patient.warned HID-096" in await bench.rules(third)
    (notice,) = await bench.rig.inbox(1)
    assert "[HID-096] DOC0001.XML (IHE_XDM.zip) : Ce numéro de document" in text_of(notice)


async def test_history_may_be_the_operators_or_none(bench: Bench) -> None:
    bench.reader.settings = replace(bench.settings, history="none")
    assert name(await bench.send(xdm_mail(ALICE, [PAUL]))) == "session.message_accepted"
    again = await bench.send(xdm_mail(ALICE, [PAUL], other_patient(), subject=OTHER_SUBJECT, number=2))
    assert name(again) == "session.message_accepted"
    bench.reader.settings = replace(bench.settings, history="operator")
    assert name(await bench.receive(PEER, xdm_mail(PEER, [PAUL], number=3))) == "session.message_accepted"
    other = await bench.send(xdm_mail(ALICE, [APICRYPT], other_patient(), subject=OTHER_SUBJECT, number=4))
    assert "HID-091" in other.decision.sentence("fr")


async def test_configuration_says_what_history_makes_of_a_message() -> None:
    bench = Bench(policy=PatientSettings(severity={"HID-096": "refuse", "HID-098": "refuse", "HID-091": "note"}))
    await bench.send(xdm_mail(ALICE, [PAUL]))
    assert "HID-098" in (await bench.send(xdm_mail(ALICE, [PAUL], number=2))).decision.sentence("fr")
    collision = await bench.send(xdm_mail(ALICE, [PAUL], other_patient(), subject=OTHER_SUBJECT, number=3))
    assert "HID-091" in collision.decision.sentence("fr")  # R! is never lowered
    await bench.close()


# patients


async def test_a_patient_gets_his_own_document_only(bench: Bench) -> None:
    assert name(await bench.send(xdm_mail(ALICE, [PATIENT]), PATIENT)) == "session.message_accepted"
    other = f"{OTHER_NUMBER}@patient.mssante.fr"
    answer = await bench.send(xdm_mail(ALICE, [other], number=2), other)
    assert "HID-089" in answer.decision.sentence("fr")
    unqualified = await bench.send(xdm_mail(ALICE, [PATIENT], xdm(sex=None), number=3), PATIENT)
    assert name(unqualified) in ("patient.not_qualified", "patient.refused")
    scan = await bench.send(mail(ALICE, [PATIENT], files=[("x.pdf", b"%PDF-1.4")], number=4), PATIENT)
    assert name(scan) == "patient.not_qualified"
    wrong = f"{NUMBER[:13]}00@patient.mssante.fr"
    assert "MSS-098" in (await bench.send(mail(ALICE, [wrong], number=5), wrong)).decision.sentence("fr")
    assert name(await bench.send(mail(ALICE, [PATIENT], number=6), PATIENT)) == "session.message_accepted"


async def test_the_closing_mark_is_exact(bench: Bench) -> None:
    answer = await bench.send(mail(ALICE, [PATIENT], headers={"X-MSS-MES": "fin"}), PATIENT)
    assert name(answer) == "patient.closing_mark"
    answer = await bench.send(mail(ALICE, [PATIENT], headers={"X-MSS-MES": "FIN"}, number=2), PATIENT)
    assert name(answer) == "session.message_accepted"


def from_patient(about: str, *more: str, number: int = 50) -> bytearray:
    headers = {"In-Reply-To": about, "References": " ".join((*more, about))} if about else {}
    return mail(PATIENT, [PAUL], headers=headers, number=number)


async def test_patients_answer_what_they_were_sent_until_it_is_closed(bench: Bench) -> None:
    """MSS-101, MSS-102."""
    bench.rig.trusted = trust_list([*LISTED, ("patient.mssante.fr", PARTNER_DN)], at(NOW), at(NOW))
    first, last = f"<medical-1@{OURS}>", f"<medical-2@{OURS}>"
    assert name(await bench.receive(PATIENT, from_patient(""))) == "patient.conversation_unknown"
    assert name(await bench.receive(PATIENT, from_patient(first))) == "patient.conversation_unknown"
    await bench.send(mail(ALICE, [PATIENT], number=1), PATIENT)
    assert name(await bench.receive(PATIENT, from_patient(first))) == "session.message_accepted"
    stranger = f"{OTHER_NUMBER}@patient.mssante.fr"
    theirs = mail(stranger, [PAUL], headers={"In-Reply-To": first}, number=51)
    assert name(await bench.receive(stranger, theirs)) == "patient.conversation_unknown"
    closing = mail(ALICE, [PATIENT], subject="Fin [FIN]", headers={"References": first}, number=2)
    await bench.send(closing, PATIENT)
    assert name(await bench.receive(PATIENT, from_patient(last, first, number=52))) == "patient.conversation_closed"
    assert name(await bench.receive(PATIENT, from_patient(first, number=53))) == "patient.conversation_closed"
    await bench.send(mail(ALICE, [PATIENT], headers={"References": first}, number=3), PATIENT)
    reopened = from_patient(f"<medical-3@{OURS}>", first, number=54)
    assert name(await bench.receive(PATIENT, reopened)) == "session.message_accepted"


def mdn_from_patient(about: str, number: int) -> bytearray:
    """What a patient's mailbox sends when he reads a message: no In-Reply-To, the message named in the report only."""
    return bytearray(
        f"From: {PATIENT}\r\nTo: {ALICE}\r\nMessage-ID: <mes-{number}@patient.mssante.fr>\r\nSubject: Lu\r\n"
        "Date: Mon, 02 Mar 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=disposition-notification; boundary=x\r\n\r\n--x\r\n\r\nLu.\r\n"
        "--x\r\nContent-Type: message/disposition-notification\r\n\r\n"
        f"Final-Recipient: rfc822;{PATIENT}\r\nOriginal-Message-ID: {about}\r\n"
        "Disposition: manual-action/MDN-sent-manually; displayed\r\n\r\n--x--\r\n",
        "utf-8",
    )


async def test_closing_an_exchange_does_not_close_it_to_receipts_and_bounces(bench: Bench) -> None:
    """MSS-102, MSS-104: a patient's mailbox must be able to say that he read the message, or that it did not arrive."""
    bench.rig.trusted = trust_list([*LISTED, ("patient.mssante.fr", PARTNER_DN)], at(NOW), at(NOW))
    about = f"<medical-1@{OURS}>"
    assert name(await bench.receive(PATIENT, mdn_from_patient(about, 1), ALICE)) == "patient.conversation_unknown"
    await bench.send(mail(ALICE, [PATIENT], subject="[FIN]", number=1), PATIENT)
    assert name(await bench.receive(PATIENT, from_patient(about))) == "patient.conversation_closed"
    assert name(await bench.receive(PATIENT, mdn_from_patient(about, 2), ALICE)) == "session.message_accepted"
    service = "ne-pas-repondre@patient.mssante.fr"
    bounce = mail(service, [ALICE], subject="Message non distribué", headers={"Auto-Submitted": "auto-replied"})
    assert name(await bench.receive(service, bounce, ALICE)) == "session.message_accepted"
    letter = mail(service, [ALICE], number=60)
    assert name(await bench.receive(service, letter, ALICE)) == "patient.conversation_unknown"


async def test_what_comes_back_as_a_report_is_not_judged_again(bench: Bench) -> None:
    """Nobody could be told: a returned document, cut by the server that returns it, must not make the notice disappear."""
    cut = base64.b64encode(xdm()[:900]).decode()
    report = (
        f"From: <mailer@{THEIRS}>\r\nTo: {ALICE}\r\nSubject: Undelivered\r\nMessage-ID: <r1@{THEIRS}>\r\n"
        "Date: Mon, 02 Mar 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x\r\n\r\nNon remis.\r\n--x\r\n"
        f"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; {THEIRS}\r\n\r\nFinal-Recipient: rfc822;{PEER}\r\n"
        "Action: failed\r\nStatus: 5.1.1\r\n\r\n--x\r\nContent-Type: application/zip; name=IHE_XDM.zip\r\n"
        f"Content-Transfer-Encoding: base64\r\n\r\n{cut}\r\n--x--\r\n"
    )
    answer = await bench.rig.intake.message(transaction(partner(), None, ALICE), bytearray(report, "ascii"))
    assert name(answer) == "session.message_accepted"


class Answered(Bench):
    """A bench whose patients' answers follow Reply-To; ``secretariat`` is mailbox 3."""

    def __init__(self) -> None:
        super().__init__()
        self.rig.trusted = trust_list([*LISTED, ("patient.mssante.fr", PARTNER_DN)], at(NOW), at(NOW))
        self.rig.open_box(3, "secretariat")
        reception = Reception(StoreBodies(self.rig.store), "smtp.op-a.mssante.test", lambda: self.rig.trusted)
        answers = PatientAnswers(self.registers, self.rig.boxes, frozenset({"patient.mssante.fr"}))
        following = Following(reception, self.rig.sealer, patients=answers)
        self.rig.intake = self.rig.make_intake(medical=self.reader, followers=following)

    async def counts(self) -> tuple[int, int, int]:
        return len(await self.rig.inbox(1)), len(await self.rig.inbox(2)), len(await self.rig.inbox(3))


@pytest.fixture
async def answered():
    made = Answered()
    yield made
    await made.close()


SECRETARY = f"secretariat@{OURS}"


def to_alice(about: str, *more: str, number: int) -> bytearray:
    return mail(PATIENT, [ALICE], headers={"In-Reply-To": about, "References": " ".join((*more, about))}, number=number)


async def test_a_patients_answer_goes_where_the_message_asked(answered: Answered) -> None:
    """MSS-103."""
    first, second = f"<medical-1@{OURS}>", f"<medical-2@{OURS}>"
    await answered.send(mail(ALICE, [PATIENT], headers={"Reply-To": SECRETARY}, number=1), PATIENT)
    await answered.send(mail(ALICE, [PATIENT], number=2), PATIENT)
    assert name(await answered.receive(PATIENT, to_alice(first, number=50), ALICE)) == "session.message_accepted"
    assert await answered.counts() == (0, 0, 1)
    await answered.receive(PATIENT, to_alice(second, number=51), ALICE)  # that one asked for nothing
    assert await answered.counts() == (1, 0, 1)
    both = mail(PATIENT, [ALICE, PAUL, SECRETARY], headers={"In-Reply-To": first}, number=52)
    await answered.receive(PATIENT, both, ALICE, PAUL, SECRETARY)  # one copy each, none for the one who wants none
    assert await answered.counts() == (1, 1, 2)
    direct = mail(PATIENT, [SECRETARY], headers={"In-Reply-To": first}, number=53)
    await answered.receive(PATIENT, direct, SECRETARY)  # as the patient's own service is expected to write
    assert await answered.counts() == (1, 1, 3)


async def test_an_answer_is_never_lost_for_a_mailbox_that_is_not_there(answered: Answered) -> None:
    for number, elsewhere in enumerate((PEER, f"gone@{OURS}"), 1):
        asked = mail(ALICE, [PATIENT], headers={"Reply-To": elsewhere}, number=number)
        assert name(await answered.send(asked, PATIENT)) == "session.message_accepted"
        await answered.receive(PATIENT, to_alice(f"<medical-{number}@{OURS}>", number=50 + number), ALICE)
    assert await answered.counts() == (2, 0, 0)


async def test_other_mail_of_partners_is_not_looked_up(answered: Answered) -> None:
    await answered.send(mail(ALICE, [PEER], headers={"Reply-To": SECRETARY}, number=1), PEER)
    await answered.receive(PEER, mail(PEER, [ALICE], headers={"In-Reply-To": f"<medical-1@{OURS}>"}, number=2), ALICE)
    assert await answered.counts() == (1, 0, 0)


# end to end


@pytest.mark.parametrize("content", [smime(ENVELOPED), pgp_mime(), mail(ALICE, [PAUL], text=PGP)])
async def test_what_is_encrypted_end_to_end_passes_with_a_word_or_not_at_all(content: bytearray) -> None:
    """MSS-114: the same word, and the same setting, as for an encrypted archive."""
    bench = Bench()
    answer = await bench.send(bytearray(content))
    assert name(answer) == "session.message_accepted"
    told = [one for one in await bench.rules(answer) if not one.startswith("patient.noted")]
    assert told == ["patient.warned MSS-114"]
    assert "chiffré de bout en bout" in text_of((await bench.rig.inbox(1))[-1])
    await bench.close()
    bench = Bench(policy=PatientSettings(severity={"MSS-114": "refuse"}))
    assert name(await bench.send(bytearray(content))) == "patient.refused"
    await bench.close()


async def test_what_is_encrypted_is_no_document_of_a_patient_s(bench: Bench) -> None:
    """MSS-098: nobody can tell whose it is."""
    content = bytearray(bytes(smime(ENVELOPED)).replace(PAUL.encode(), PATIENT.encode()))
    assert name(await bench.send(content, PATIENT)) == "patient.not_qualified"


async def test_what_is_only_signed_is_read_and_says_nothing(bench: Bench) -> None:
    for entity in (hprim_entity(), b"Content-Type: text/plain\r\n\r\nMerci.\r\n"):
        answer = await bench.send(smime(signed(entity)))
        assert name(answer) == "session.message_accepted"
        assert not [one for one in await bench.rules(answer) if not one.startswith("patient.noted")]
    assert await bench.rig.inbox(1) == []
    other = smime(signed(hprim_entity()), files=[("IHE_XDM.zip", xdm(surname="DURAND"))])
    assert name(await bench.send(other)) == "patient.refused"
    await oppose_by_traits(bench)
    assert name(await bench.send(smime(signed(hprim_entity())))) == "patient.opposed"


# opposition


async def oppose(bench: Bench, number: str, *scopes: str) -> None:
    await bench.rig.committer.run(
        lambda unit: bench.registers.object_to(unit, Person(number), Wish(scopes), "L-2026-1", "operator:essai")
    )


async def oppose_by_traits(bench: Bench, *addresses: str, **traits: str) -> None:
    born = PartialDate(1961, 2, 14)
    given = Traits(**{"birth_surname": "Lefèvre", "first_name": "Andrée", "sex": "F", **traits}, birth_date=born)
    person, wish = Person(traits=recorded(given), known=given), Wish(addresses=addresses or (ANYBODY,))
    await bench.rig.committer.run(
        lambda unit: bench.registers.object_to(unit, person, wish, "L-2026-2", "operator:essai")
    )


async def test_a_patient_who_objected_is_not_written_about(bench: Bench) -> None:
    """TOU-A10, TOU-F08, MSS-100."""
    await oppose(bench, NUMBER, "professionals")
    answer = await bench.send(xdm_mail(ALICE, [PAUL]))
    assert name(answer) == "patient.opposed"
    assert "courrier postal" in answer.decision.remedy("fr")
    assert name(await bench.send(xdm_mail(ALICE, [PATIENT], number=2), PATIENT)) == "session.message_accepted"
    by_header = await bench.send(mail(ALICE, [PAUL], text=hprim_text({8: NUMBER}), number=3))
    assert name(by_header) == "patient.opposed"
    assert name(await bench.receive(PEER, xdm_mail(PEER, [PAUL], number=4))) == "patient.opposed"


async def test_a_patient_who_wants_no_mail_himself(bench: Bench) -> None:
    await oppose(bench, f"{NUMBER[:13]} {NUMBER[13:]}", "patient")
    assert name(await bench.send(mail(ALICE, [PATIENT]), PATIENT)) == "patient.opposed"
    assert name(await bench.send(xdm_mail(ALICE, [PATIENT], number=2), PATIENT)) == "patient.opposed"
    assert name(await bench.send(xdm_mail(ALICE, [PAUL], number=3))) == "session.message_accepted"


async def test_a_patient_without_a_number_objects_by_his_traits(bench: Bench) -> None:
    """TOU-A10, TOU-F08: however the document tells him, in each format; his namesakes are written about."""
    await oppose_by_traits(bench)
    told = [
        mail(ALICE, [PAUL], text=hprim_text(), number=1),
        mail(ALICE, [PAUL], files=[("lettre.hpr", v1())], number=2),
        xdm_mail(ALICE, [PAUL], number=3),
        xdm_mail(ALICE, [PAUL], xdm(ids=(("1.2.3.4", "IPP42"),)), number=4),
        mail(ALICE, [PAUL], files=[("r.hl7", PID.replace(b"LEFEVRE", b"le Fevre"))], number=5),
        mail(
            ALICE,
            [PAUL],
            files=[("r.hl7", PID.replace(b"LEFEVRE^ANDREE", b"MARTIN^ANDREE^^^^^L~LEFEVRE^ANDREE^^^^^D"))],
        ),
    ]
    for content in told:
        answer = await bench.send(content)
        assert name(answer) == "patient.opposed"
        assert "LEFEVRE" not in str(answer.decision).upper()
    other = [
        mail(ALICE, [PAUL], text=hprim_text({7: "15/02/1961"}), number=7),
        mail(ALICE, [PAUL], text=hprim_text({3: "ADELE"}), number=8),
        xdm_mail(ALICE, [PAUL], xdm(surname="LEFEVRES"), subject="XDM/1.0/DDM+CR LEFEVRES ANDREE 14/02/1961"),
    ]
    for content in other:
        assert name(await bench.send(content)) == "session.message_accepted"


async def test_a_patient_nearly_like_one_who_objected_is_a_question_to_the_sender(bench: Bench) -> None:
    """TOU-A10: neither refused nor passed without a word; where he forbids one professional, only what is for that one."""
    await oppose_by_traits(bench)
    await oppose_by_traits(bench, PEER, first_name="Noémie")
    for number, (line, written, to, asked) in enumerate(
        [
            (2, "LEFEBVRE", PAUL, True),
            (7, "00/02/1961", PAUL, True),
            (3, "ANDREA", PAUL, True),
            (3, "PAULETTE", PAUL, False),
            (3, "NOEMI", PAUL, False),
            (3, "NOEMI", PEER, True),
        ]
    ):
        text = hprim_text({line: written, 9: f"50{number}"})
        answer = await bench.send(mail(ALICE, [to], text=text, number=number), to)
        assert name(answer) == "session.message_accepted"
        assert ("patient.maybe_opposed" in await bench.rules(answer)) is asked
    told = [text_of(one) for one in await bench.rig.inbox(1)]
    assert sum("s’est opposé" in one for one in told) == 4


async def test_a_patient_forbids_named_professionals(bench: Bench) -> None:
    """TOU-F08: what goes to them or comes from them is refused, the rest passes."""
    await oppose_by_traits(bench, PEER)
    raw = bytes(xdm_mail(ALICE, [PAUL], number=1))
    assert name(await bench.send(bytearray(raw))) == "session.message_accepted"
    read = await bench.reader.read(transaction(user(), ALICE, PAUL), dissect(raw), raw)
    assert read.forbidden == {PEER}
    refused = await bench.send(xdm_mail(ALICE, [PAUL, PEER], number=2), PAUL, PEER)
    assert name(refused) == "patient.forbidden"
    assert PEER in refused.decision.sentence("fr")
    assert "Retirez ce destinataire" in refused.decision.remedy("fr")
    assert name(await bench.receive(PEER, xdm_mail(PEER, [PAUL], number=3))) == "patient.forbidden"
    behind = mail(PEER, [PAUL], text=hprim_text(), number=4)
    assert name(await bench.receive(f"secretariat@{THEIRS}", behind)) == "patient.forbidden"
    assert name(await bench.receive(f"secretariat@{THEIRS}", xdm_mail(f"secretariat@{THEIRS}", [PAUL]))) == (
        "session.message_accepted"
    )


async def test_the_author_and_the_mailbox_behind_an_alias_are_forbidden_too(bench: Bench) -> None:
    await oppose_by_traits(bench, ALICE)
    assert name(await bench.send(xdm_mail(ALICE, [PAUL]))) == "patient.forbidden"
    await oppose_by_traits(bench, PAUL, first_name="Adèle")
    bench.rig.boxes.held[f"dr.paul@{OURS}"] = bench.rig.boxes.held[PAUL]
    about = mail(PEER, [PAUL], text=hprim_text({3: "ADELE"}))
    assert name(await bench.receive(PEER, about, f"dr.paul@{OURS}")) == "patient.forbidden"


# poison


class Dying(ReaderHere):
    """Dies as often as told."""

    def __init__(self, deaths: int) -> None:
        self.deaths = deaths

    async def read(self, question: Question) -> Reading:
        if self.deaths:
            self.deaths -= 1
            raise ReaderDied("told to")
        return await super().read(question)


async def test_a_message_that_kills_readers_waits_then_is_refused() -> None:
    bench = Bench(Dying(10))
    content = bytes(xdm_mail(ALICE, [PAUL]))
    answers = [name(await bench.send(bytearray(content))) for _ in range(4)]
    assert answers == ["patient.reader_stopped"] * 2 + ["patient.quarantined"] * 2
    other = await bench.send(xdm_mail(ALICE, [PAUL], xdm(surname="AUTRE")))
    assert name(other) == "patient.reader_stopped"
    await bench.close()


async def test_one_death_is_forgiven() -> None:
    bench = Bench(Dying(1))
    assert name(await bench.send(xdm_mail(ALICE, [PAUL]))) == "patient.reader_stopped"
    assert name(await bench.send(xdm_mail(ALICE, [PAUL]))) == "session.message_accepted"
    await bench.close()


async def test_no_number_is_written_in_the_database(tmp_path: Path) -> None:
    bench = Bench()
    await oppose(bench, NUMBER, "patient", "professionals")
    await oppose_by_traits(bench)
    await bench.send(mail(ALICE, [PATIENT]), PATIENT)
    tables = await bench.rig.reading.run(
        lambda connection: [
            str(list(connection.exec_driver_sql(f"SELECT * FROM {table}")))
            for table in (
                "patient_opposition",
                "patient_opposition_trace",
                "patient_conversation",
                "patient_register_key",
                "journal",
            )
        ]
    )
    journals = [text for text in tables if "operator:essai" in text]
    assert journals
    assert all(word not in text.upper() for text in tables[:4] for word in (NUMBER[:13], "LEFEVRE", "1961"))
    events = await bench.rig.reading.run(
        lambda connection: [
            str(row) for row in connection.exec_driver_sql("SELECT detail FROM journal WHERE kind = 'account.rule'")
        ]
    )
    assert events
    assert all(word not in event.upper() for event in events for word in (NUMBER[:13], "LEFEVRE", "1961"))
    await bench.close()
