"""From a patient and a document to a message (TOU-C03): what is built is conformant; an identity that disagrees never leaves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from email import message_from_bytes
from email.message import Message
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity import BadIdentity, Identity, identity_from
from gateway.medical.question import ReaderOptions
from gateway.posting import Request, posting
from gateway.send import (
    BadDocument,
    Built,
    Circumstances,
    Outgoing,
    WouldBeRefused,
    build,
    build_dropped,
    receivers_of,
    recipients_of,
)
from gateway.submission_there import Server
from hprim.cda import enclosed
from hprim.check import check_file
from hprim.model import Severity
from policies.address import AddressError
from policies.patient import PatientSettings
from policies.values import Address
from tests.hprim.builders import NUMBER, OTHER_NUMBER, cda, member, pid, sante
from tests.hprim.examples import V1, text, v1

SENDER, PEER = Address("labo", "op-a.mssante.test"), Address("paul.essai", "op-b.mssante.test")
APICRYPT, PATIENT = Address("zoe", "mssante.apicrypt.org"), Address(NUMBER, "patient.mssante.fr")
ANDREE = Identity("LEFEVRE", "ANDREE", date(1961, 2, 14))
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
GIVEN = {"surname": "LEFEVRE", "first_name": "Andrée", "birth_date": "1961-02-14"}


def around(**changes: Any) -> Circumstances:
    return Circumstances(NOW, "ab" * 16, "smtp.op-a.mssante.test", **changes)


def outgoing(document: bytes, *recipients: Address, identity: Identity | None = ANDREE, **changes: Any) -> Outgoing:
    return Outgoing(SENDER, recipients or (PEER,), identity, document, **changes)


def parsed(built: Built) -> Message:
    return message_from_bytes(built.content)


def body_of(message: Message) -> str:
    part = next(part for part in message.walk() if part.get_content_type() == "text/plain")
    text: str = part.get_payload(decode=True).decode("utf-8")  # type: ignore[union-attr]
    return text.replace("\r\n", "\n")


def files_of(message: Message) -> dict[str, bytes]:
    return {part.get_filename() or "": part.get_payload(decode=True) for part in message.walk() if part.get_filename()}  # type: ignore[misc]


def test_a_cda_becomes_an_archive_with_its_headers_and_subject() -> None:
    built = build(outgoing(cda(), nil="DEV935997"), around())
    message = parsed(built)
    assert message["Subject"] == "XDM/1.0/DDM+CR hospitalier LEFEVRE ANDREE 14/02/1961"
    assert (message["X-MSS-NIL"], message["X-MSS-INS"], message["X-MSS-CODECDA"]) == ("DEV935997", "O", "34112-3")
    assert message["Disposition-Notification-To"] == str(SENDER)
    archive = files_of(message)["IHE_XDM.zip"]
    assert member(archive, "IHE_XDM/SUBSET01/DOC0001.XML") == cda()
    assert "LEFEVRE" not in body_of(message)


def test_a_pdf_copy_stands_beside_the_archive_under_its_name() -> None:
    """ECO.2.1.5, ECO.2.1.6, MSS-111: the date is that of the act, the number that of the file."""
    act = "<documentationOf><serviceEvent><effectiveTime><low value='20251102'/></effectiveTime></serviceEvent></documentationOf>"
    numbered = Identity("LEFEVRE", "ANDREE", date(1961, 2, 14), file_number="506232")
    built = build(outgoing(cda(extra=act), identity=numbered), around())
    copies = {name: data for name, data in files_of(parsed(built)).items() if name.endswith(".pdf")}
    assert list(copies) == ["20251102_CR hospitalier_LEFEVRE_ANDREE_506232.pdf"]
    assert all(data.startswith(b"%PDF-1.4") for data in copies.values())
    report = check_file(built.content, "m.eml", today=NOW.date())
    assert not {"MSS-111", "HID-085"} & report.rules
    assert list(files_of(parsed(build(outgoing(cda(), copy=False), around())))) == ["IHE_XDM.zip"]


def test_a_copy_that_nobody_would_read_is_refused_with_the_way_out() -> None:
    long = cda().replace(b"Rien de notable.", b"Rien de notable. " * 30_000)
    with pytest.raises(BadDocument, match="--no-pdf"):
        build(outgoing(long), around())
    assert build(outgoing(long, copy=False), around())


def test_answers_go_where_the_sender_wants_them() -> None:
    """MSS-103."""
    built = build(outgoing(cda(), reply_to=Address("secretariat", "op-a.mssante.test")), around())
    assert parsed(built)["Reply-To"] == "secretariat@op-a.mssante.test"


def test_what_is_built_is_conformant_for_anybody() -> None:
    for document in (cda(), b"%PDF-1.4 essai", "Cher confrère, vu ce jour.".encode()):
        report = check_file(build(outgoing(document, nil="D1"), around()).content, "m.eml", today=NOW.date())
        assert report.worst in (None, Severity.NOTE), report.rules


def test_a_pdf_has_the_name_asked_for_and_a_header_in_the_body() -> None:
    message = parsed(build(outgoing(b"%PDF-1.4 essai", label="CR de consultation"), around()))
    assert list(files_of(message)) == ["20261123_CR de consultation_LEFEVRE_ANDREE.pdf"]
    assert body_of(message).split("\n")[1:3] == ["LEFEVRE", "ANDREE"]
    assert message["Subject"] == "CR de consultation"


def test_a_text_is_the_body_between_header_and_tags() -> None:
    lines = body_of(parsed(build(outgoing("Vu ce jour.\nÀ revoir.".encode("cp1252")), around()))).split("\n")
    assert lines[13:15] == ["Vu ce jour.", "À revoir."]
    assert lines[15:17] == ["****FIN****", "****FINFICHIER****"]


def test_apicrypt_users_get_the_header_twice_and_a_subject_that_names_nobody() -> None:
    message = parsed(build(outgoing(cda(), APICRYPT), around()))
    assert message["Subject"] == "CR hospitalier"
    assert body_of(message).split("\n")[1] == "LEFEVRE"
    assert files_of(message)["message.hpr"].split(b"\r\n")[1] == b"LEFEVRE"
    report = check_file(build(outgoing(cda(), APICRYPT), around()).content, "m.eml", today=NOW.date())
    assert not report.refused


@pytest.mark.parametrize(
    ("identity", "rule"),
    [
        (Identity("DURAND", "ANDREE", date(1961, 2, 14)), "HID-070"),
        (Identity("LEFEVRE", "SYLVIE", date(1961, 2, 14)), "HID-071"),
        (Identity("LEFEVRE", "ANDREE", date(1961, 2, 15)), "HID-072"),
    ],
)
def test_a_document_about_somebody_else_never_leaves(identity: Identity, rule: str) -> None:
    with pytest.raises(WouldBeRefused) as refused:
        build(outgoing(cda(), identity=identity), around())
    assert rule in refused.value.decisions[0].sentence("fr")
    assert identity.surname not in refused.value.decisions[0].sentence("fr").replace("LEFEVRE", "")


def test_another_number_never_leaves() -> None:
    with pytest.raises(BadDocument, match="HID-074"):
        build(outgoing(cda(), identity=Identity("LEFEVRE", "ANDREE", date(1961, 2, 14), ins=OTHER_NUMBER)), around())
    assert build(outgoing(cda(), identity=Identity("LEFEVRE", "ANDREE", date(1961, 2, 14), ins=NUMBER)), around())


def test_another_sex_never_leaves() -> None:
    with pytest.raises(BadDocument, match="HID-073"):
        build(outgoing(cda(), identity=replace(ANDREE, sex="M")), around())
    assert build(outgoing(cda(), identity=replace(ANDREE, sex="F")), around())


def test_patients_get_documents_with_their_own_number() -> None:
    message = parsed(build(outgoing(cda(), PATIENT, closing=True), around()))
    assert message["X-MSS-MES"] == "FIN"
    with pytest.raises(WouldBeRefused):
        build(outgoing(cda(), Address(OTHER_NUMBER, "patient.mssante.fr")), around())


WHOLE = {
    "birth_surname": "LEFEVRE",
    "surname": "MARTIN",
    "first_name": "ANDREE",
    "first_names": "ANDREE MARIE",
    "birth_date": "1961-02-14",
    "birth_place": "38999",
    "sex": "F",
    "ins": NUMBER,
    "ins_oid": "1.2.250.1.213.1.4.8",
    "document_code": "11488-4",
    "author": {"surname": "TEST", "first_name": "Zoé", "identifier": "10002422979", "profession": "G15_10/SM03"},
}
"""What a CDA must say and no PDF tells."""


@pytest.mark.parametrize(
    ("document", "held"),
    [
        (b"\xef\xbb\xbf%PDF-1.4 essai", ("application/pdf", b"%PDF-1.4 essai")),
        ("Tout va bien.\r\n".encode("cp1252"), ("text/plain", b"Tout va bien.\n")),
    ],
)
def test_a_pdf_or_a_text_goes_to_a_patient_inside_a_cda(document: bytes, held: tuple[str, bytes]) -> None:
    """ECO.2.2.6, MSS-099: it passes the rules of any other document for a patient."""
    asked = outgoing(document, PATIENT, identity=identity_from(WHOLE), label="CR de consultation", nil="D1")
    built = build(asked, around())
    files, report = files_of(parsed(built)), check_file(built.content, "m.eml", today=NOW.date())
    assert list(files) == ["IHE_XDM.zip", "20261123_CR de consultation_LEFEVRE_ANDREE.pdf"]
    inside = enclosed(member(files["IHE_XDM.zip"], "IHE_XDM/SUBSET01/DOC0001.XML"))
    assert inside is not None
    assert (inside.media_type, inside.content) == held
    assert not report.problems
    assert report.qualified_ins
    assert (report.cda_codes, report.patients[0].traits.used_surname) == (("11488-4",), "MARTIN")
    assert {one.author for one in report.documents if one.author} == {"Zoé TEST"}
    assert files_of(parsed(build(asked, around()))) == files


@pytest.mark.parametrize("lacking", ["ins", "ins_oid", "birth_surname", "sex", "author", "document_code"])
def test_what_a_patient_s_document_lacks_is_named(lacking: str) -> None:
    told = {name: value for name, value in WHOLE.items() if name != lacking}
    with pytest.raises(BadIdentity, match=f"missing: {lacking}"):
        build(outgoing(b"%PDF-1.4", PATIENT, identity=identity_from(told)), around())


def test_nothing_inside_a_cda_is_about_somebody_else() -> None:
    """Of a text inside a CDA the rules read a header only: what else it says is compared before it goes in."""
    other, own = Address(OTHER_NUMBER, "patient.mssante.fr"), "\r\n".join(V1).encode()
    for document, whom, changes in [
        (b"%PDF-1.4", other, {}),
        (own, PATIENT, {"birth_surname": "DURAND", "surname": "DURAND"}),
        (own, PATIENT, {"birth_date": "1971-02-14"}),
    ]:
        with pytest.raises(WouldBeRefused):
            build(outgoing(document, whom, identity=identity_from({**WHOLE, **changes})), around())
    assert build(outgoing(own, PATIENT, identity=identity_from(WHOLE)), around())


def test_professionals_get_a_cda_where_they_ask_for_one() -> None:
    """Without an INS too, under the number of the sender's own record."""
    local = {"patient_code": "IPP42", "patient_code_oid": "1.2.3.4", "ins": "", "birth_place": "LYON"}
    one = identity_from({**WHOLE, **local})
    with pytest.raises(BadIdentity, match="birth"):
        build(outgoing(b"%PDF-1.4", identity=one, as_cda=True), around())
    one = replace(one, birth_place="")
    for asked, settings in [
        (outgoing(b"%PDF-1.4", identity=one, as_cda=True), {}),
        (outgoing(b"%PDF-1.4", identity=one), {"cda_domains": ("mssante.test",)}),
    ]:
        message = parsed(build(asked, around(**settings)))
        assert (message["X-MSS-INS"], "IHE_XDM.zip" in files_of(message)) == ("N", True)
    assert "IHE_XDM.zip" not in files_of(parsed(build(outgoing(b"%PDF-1.4", identity=one), around())))
    with pytest.raises(BadIdentity, match="missing: patient_code_oid"):
        build(outgoing(b"%PDF-1.4", identity=replace(one, patient_code_oid=""), as_cda=True), around())


def test_test_identities_follow_the_mode() -> None:
    document = cda(ids=(("1.2.250.1.213.1.4.10", NUMBER), ("1.2.3.4", "IPP42")))
    with pytest.raises(WouldBeRefused):
        build(outgoing(document), around())
    assert build(outgoing(document), around(options=ReaderOptions(test_identities=True)))


def test_the_same_sending_gives_the_same_identifiers() -> None:
    one, two = (build(outgoing(cda()), around()) for _ in range(2))
    assert one.message_id == two.message_id == f"<{'ab' * 16}@smtp.op-a.mssante.test>"
    assert files_of(parsed(one)) == files_of(parsed(two))


NO_TEXT = [b"HTTP 200\n%PDF-1.4\nxref", b"{\\rtf1 Bonjour}", b"Bonjour,\n" * 900 + b"\x00"]
"""What an editor shows as letters, and a physician could not read: a PDF behind other octets, a word processor's file."""


@pytest.mark.parametrize("document", [b"\x00\x01\x02", b"PK\x03\x04", b"<a/>", b"", *NO_TEXT])
def test_anything_else_is_no_document(document: bytes) -> None:
    with pytest.raises(BadDocument):
        build(outgoing(document), around())


def test_a_pdf_behind_a_mark_of_utf_8_is_attached_as_it_is() -> None:
    document = b"\xef\xbb\xbf%PDF-1.4\n%%EOF"
    files = files_of(parsed(build(outgoing(document), around())))
    assert [name[-4:] for name in files] == [".pdf"]
    assert list(files.values()) == [document]


def test_a_pdf_is_named_as_the_header_beside_it() -> None:
    married = replace(ANDREE, surname="MARTIN", birth_surname="LEFEVRE")
    built = build(outgoing(b"%PDF-1.4", identity=married), around())
    assert ["_MARTIN_" in name for name in files_of(parsed(built))] == [True]
    assert "HID-085" not in check_file(built.content, "m.eml", today=NOW.date()).rules


MARRIED = replace(ANDREE, surname="MARTIN", birth_surname="LEFEVRE")


@pytest.mark.parametrize("codec", ["cp850", "cp1252", "utf-8", "utf-16"])
def test_a_whole_hprim_text_keeps_its_own_header(codec: str) -> None:
    """Under either name of the patient; a second header before it would make two patients of one."""
    letter = "\r\n".join(V1).encode(codec)
    for identity in (ANDREE, MARRIED):
        sent = body_of(parsed(build(outgoing(letter, identity=identity), around())))
        assert sent.split("\n")[:3] == list(V1[:3])
        assert sent.count("****FIN****") == 1
    with pytest.raises(WouldBeRefused):
        build(outgoing(letter, identity=replace(MARRIED, birth_surname="DURAND")), around())
    with pytest.raises(WouldBeRefused):
        build(outgoing(letter, identity=replace(MARRIED, birth_date=date(1971, 2, 14))), around())


def test_a_document_under_the_birth_name_of_a_patient_known_by_another_leaves() -> None:
    assert build(outgoing(cda(), identity=MARRIED), around())
    assert build(outgoing(cda(used="MARTIN"), identity=MARRIED), around())
    with pytest.raises(WouldBeRefused):
        build(outgoing(cda(surname="DURAND"), identity=MARRIED), around())


def test_no_value_can_add_a_header_or_a_line() -> None:
    wicked = Identity("LEFEVRE\r\nBcc: x@y.z", "ANDREE\n****FIN****", date(1961, 2, 14), file_number="1\r\nX-A: b")
    names = {PEER.key: "Paul\r\nX-B: c <a@b.c>"}
    wicked_mail = outgoing(
        b"%PDF-1.4", identity=wicked, label="CR\r\nX-C: d", recipient_names=names, sender_name="Dr\nX-D: e"
    )
    message = parsed(build(wicked_mail, around()))
    assert not {"Bcc", "X-A", "X-B", "X-C", "X-D"} & set(message.keys())
    assert body_of(message).count("****FIN****") == 1


# identity.json


def test_an_identity_is_read_with_either_kind_of_date() -> None:
    assert identity_from(GIVEN) == Identity("LEFEVRE", "Andrée", date(1961, 2, 14))
    assert identity_from({**GIVEN, "birth_date": "14/02/1961"}).birth_date == date(1961, 2, 14)
    assert identity_from({**GIVEN, "address": ["1 rue A", "Bat B"], "sex": "f"}).address == ("1 rue A", "Bat B")
    assert [identity_from({**GIVEN, "sex": word}).sex for word in ("F", "femme", "male", "")] == ["F", "F", "M", ""]
    assert [identity_from({**GIVEN, "ins": n}).ins for n in (NUMBER[:13], f"{NUMBER[:7]} {NUMBER[7:]}")] == [
        NUMBER[:13],
        NUMBER,
    ]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "surname"),
        ({"surname": "A"}, "first_name, birth_date"),
        ({**GIVEN, "birth_date": "1961-02-31"}, "birth_date"),
        ({**GIVEN, "birth_date": "hier"}, "birth_date"),
        ({**GIVEN, "surname": 3}, "surname"),
        ({**GIVEN, "surname": "A" * 201}, "surname"),
        ({**GIVEN, "prenom": "x"}, "unknown field"),
        ({**GIVEN, "address": [1]}, "address"),
        ({**GIVEN, "sex": "femmelle"}, "sex"),
        ({**GIVEN, "ins": "123"}, "ins"),
        ({**GIVEN, "ins": NUMBER[:13] + "00"}, "ins"),
        ({**GIVEN, "ins": NUMBER + "1"}, "ins"),
        ({**GIVEN, "ins_oid": "1.2.250.1.213.1.4.13"}, "ins_oid"),
        ({**GIVEN, "patient_code_oid": "IPP"}, "patient_code_oid"),
        ({**GIVEN, "document_code": "CR"}, "document_code"),
        ({**GIVEN, "author": "Dr TEST"}, "author"),
        ({**GIVEN, "author": {"surname": "TEST"}}, "author.identifier"),
        ({**GIVEN, "author": {"nom": "TEST"}}, "author.nom"),
        ({**GIVEN, "to": ["a@b.fr", "hier"]}, "to"),
        ({**GIVEN, "to": 3}, "to"),
        ([], "object"),
    ],
)
def test_a_faulty_identity_names_its_field_not_its_value(given: Any, named: str) -> None:
    with pytest.raises(BadIdentity, match=named) as refused:
        identity_from(given)
    assert "hier" not in str(refused.value)
    assert refused.value.said("fr")
    assert refused.value.said("fr") != refused.value.said("en")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)


@given(
    _JSON,
    st.dictionaries(st.sampled_from(["surname", "first_name", "birth_date", "ins", "address", "author", "to"]), _JSON),
)
def test_any_json_is_an_identity_or_says_why_not(whole: Any, fields: dict[str, Any]) -> None:
    for one in (whole, {**GIVEN, **fields}):
        try:
            found = identity_from(one)
        except BadIdentity as problem:
            found = problem
        assert found.surname if isinstance(found, Identity) else found.french


# dropped files


def test_a_dropped_letter_says_itself_who_it_is_about() -> None:
    built = build_dropped(outgoing(v1(), identity=None, document_name="a.hpr"), around())
    assert body_of(parsed(built)).split("\n")[1] == "LEFEVRE"
    assert build_dropped(outgoing(cda(), identity=None), around()).reading.qualified


@pytest.mark.parametrize(
    ("document", "advice"),
    [
        (b"%PDF-1.4", "--patient"),
        (b"\x00\x01", "is expected"),
        (b"", "is expected"),
        (sante(), "is expected"),
        (pid(), "is expected"),
    ],
)
def test_a_dropped_file_without_a_patient_is_refused(document: bytes, advice: str) -> None:
    """``--patient`` is no way out for what it would not send either."""
    with pytest.raises(BadDocument, match=advice):
        build_dropped(outgoing(document, identity=None), around())


@pytest.mark.parametrize("changes", [{7: "31 fevrier"}, {2: ""}, {3: ""}])
def test_a_dropped_letter_is_judged(changes: dict[int, str]) -> None:
    with pytest.raises(WouldBeRefused):
        build_dropped(outgoing(v1(changes), identity=None), around())


def test_a_dropped_text_without_header_is_refused() -> None:
    with pytest.raises(WouldBeRefused) as refused:
        build_dropped(outgoing(b"Bonjour, tout va bien.\r\n" * 5, identity=None), around())
    assert refused.value.decisions[0].rule.name == "patient.header_required"


def test_line_twelve_may_hold_the_address() -> None:
    lines = list(V1)
    lines[11] = "DRTEST     paul.essai@op-b.mssante.test"
    assert receivers_of(text(lines)) == ("paul.essai@op-b.mssante.test",)
    assert receivers_of(v1()) == ()
    assert receivers_of(b"%PDF-") == ()
    with pytest.raises(BadDocument):
        build_dropped(Outgoing(SENDER, (), None, v1()), around())


async def test_a_line_twelve_that_is_no_address_is_said() -> None:
    """It ended in a traceback."""
    async with posting(SENDER, server=Server("127.0.0.1", 9)) as post:
        with pytest.raises(BadDocument, match="line 12"):
            await post.send(Request((), None, v1({12: "DRTEST     paul@@essai"})))
        with pytest.raises(BadIdentity, match="to whom"):
            await post.send(Request((), ANDREE, b"%PDF-1.4"))


def test_addresses_are_strict() -> None:
    assert recipients_of(["a@b.fr", "a@b.fr"]) == (Address("a", "b.fr"),)
    with pytest.raises(AddressError):
        recipients_of(["a@b.fr, c@d.fr"])


def test_what_the_configuration_asks_of_a_type_of_mailbox_holds_here_too() -> None:
    settings = PatientSettings(header_types=frozenset({"APP"}), types={"APP": {"HID-021": "note"}})
    message = parsed(build(outgoing(cda(), sender_type="APP"), around(policy=settings)))
    assert body_of(message).split("\n")[1] == "LEFEVRE"
    assert "LEFEVRE" not in body_of(parsed(build(outgoing(cda(), sender_type="PER"), around(policy=settings))))
    letter = v1({7: "31/02/1961"})
    assert build_dropped(outgoing(letter, identity=None, sender_type="APP"), around(policy=settings)).content
    with pytest.raises(WouldBeRefused):
        build_dropped(outgoing(letter, identity=None, sender_type="PER"), around(policy=settings))
