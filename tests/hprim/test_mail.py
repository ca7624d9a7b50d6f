"""Whole mails: the splitter, HTML bodies, what the headers and the recipients say."""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import io
import lzma
import quopri
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hprim import mime
from hprim.findings import APICRYPT, TEST_SPACE, Profile
from hprim.html import to_text
from hprim.mime import decode_words, find_addresses, parameters, split_mail
from hprim.model import Severity
from hprim.subject import holds_number
from hprim.subject import read as read_subject
from mailboxes import words
from tests.hprim.builders import (
    ARC,
    HEADERS,
    NUMBER,
    SUBJECT,
    attached,
    body,
    cda,
    file,
    mail,
    rezip,
    xdm,
    xdm_mail,
)
from tests.hprim.examples import V1, V2, V3, text, unix, v1
from tests.hprim.test_hostile import zipped

CRLF = b"\r\n"


def eml(archive: bytes, *, subject: str = SUBJECT, extra: str = "", to: str = "paul.essai@test.mssante.fr") -> bytes:
    """A mail as practice software writes it: alternative bodies, archive in base64, an encoded file name."""
    head = (
        f"From: Dr Test <zoe.test@test.mssante.fr>\r\nTo: {to}\r\nSubject: {subject}\r\n{extra}"
        "X-MSS-INS: O\r\nX-MSS-CODECDA: 34112-3\r\nX-MSS-NIL: DEV935997\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed;\r\n boundary="=_outer"\r\n\r\npreamble\r\n--=_outer\r\n'
        "Content-Type: multipart/alternative; boundary=inner\r\n\r\n--inner\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    ).encode()
    plain = quopri.encodestring("Veuillez trouver le compte rendu validé.".encode())
    middle = (
        b"\r\n--inner\r\nContent-Type: text/html\r\n\r\n<p>Veuillez trouver</p>\r\n--inner--\r\n--=_outer\r\n"
        b"Content-Type: application/zip; name*0=IHE_X; name*1=DM.zip\r\nContent-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: attachment; filename*=utf-8''IHE%5FXDM.zip\r\n\r\n"
    )
    return head + plain + middle + base64.encodebytes(archive).replace(b"\n", CRLF) + b"\r\n--=_outer--\r\nepilogue\r\n"


def test_a_whole_mail_is_checked_like_its_parts() -> None:
    report = file(eml(xdm()), "message.eml")
    assert report.problems == ()
    assert report.qualified_ins
    assert report.cda_codes == ("34112-3",)


def test_subject_words_are_decoded() -> None:
    word = base64.b64encode(SUBJECT.replace("LEFEVRE", "LEFÈVRE").encode()).decode()
    assert file(eml(xdm(), subject=f"=?UTF-8?B?{word}?="), "m.eml").problems == ()


def test_patient_recipient_of_another_number() -> None:
    report = file(eml(xdm(), to="279035121518989@patient.mssante.fr"), "m.eml")
    assert "HID-089" in {p.rule for p in report.refused}


def test_structure_of_the_split() -> None:
    found = split_mail(eml(xdm()))
    assert [(p.name, p.media_type, p.is_body) for p in found.parts] == [
        ("", "text/plain", True),
        ("", "text/html", True),
        ("IHE_XDM.zip", "application/zip", False),
    ]
    assert found.parts[0].data.decode() == "Veuillez trouver le compte rendu validé."
    assert found.parts[2].data == xdm()
    assert found.recipients == ("paul.essai@test.mssante.fr",)
    assert not found.cut


def test_forwarded_message_is_walked() -> None:
    inner = b"From: a@b.fr\r\nSubject: x\r\nContent-Type: text/plain\r\n\r\n" + v1()
    outer = b'From: c@d.fr\r\nTo: e@f.fr\r\nSubject: y\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
    data = outer + b"Content-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b--\r\n"
    assert file(data, "m.eml").patients[0].traits.surname == "LEFEVRE"


@pytest.mark.parametrize(
    ("raw", "decoded"),
    [
        ("=?iso-8859-1?Q?Zo=E9_Test?=", "Zoé Test"),
        ("=?utf-8?B?Wm/DqQ==?= =?utf-8?Q?_Test?=", "Zoé Test"),
        ("=?utf-8?B?Wm/D?= =?utf-8?B?qQ==?=", "Zoé"),
        ("plain =?utf-8?Q?=C3=A9?= end", "plain é end"),
        ("=?klingon?Q?a?=", "a"),
        ("=?utf-8?X?a?=", "=?utf-8?X?a?="),
        ("no words", "no words"),
    ],
)
def test_encoded_words(raw: str, decoded: str) -> None:
    assert decode_words(raw) == decoded


@pytest.mark.parametrize(
    ("value", "name", "found"),
    [
        ('attachment; filename="a b.pdf"', "filename", "a b.pdf"),
        ("attachment; filename=a.pdf", "filename", "a.pdf"),
        ('x; name="a\\"b"', "name", 'a"b'),
        ("x; filename*=utf-8''Zo%C3%A9.pdf", "filename", "Zoé.pdf"),
        ("x; filename*1=b.pdf; filename*0=a", "filename", "ab.pdf"),
        ("x; filename*0*=iso-8859-1''Zo%E9; filename*1=.pdf", "filename", "Zoé.pdf"),
        ("x", "filename", None),
    ],
)
def test_parameters(value: str, name: str, found: str | None) -> None:
    assert parameters(value).get(name) == found


@given(st.binary(max_size=500))
def test_any_bytes_split(data: bytes) -> None:
    split_mail(data)
    split_mail(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + data.replace(b"x", b"\r\n--b\r\n"))


@given(st.text(max_size=300))
def test_header_readers_never_raise(text: str) -> None:
    decode_words(text)
    parameters(text)
    find_addresses(text)
    read_subject(text)
    holds_number(text)
    to_text(text)


@pytest.mark.parametrize(
    "markup",
    [
        lambda lines: "<br>".join(lines),
        lambda lines: "<br/>\r\n".join(lines),
        lambda lines: "".join(f"<div>{line or '<br>'}</div>" for line in lines),
        lambda lines: "<pre>" + "\n".join(lines) + "</pre>",
        lambda lines: "<style>p {}</style><!-- x --><p>" + "<br />".join(lines).replace("é", "&eacute;") + "</p>",
    ],
)
@pytest.mark.parametrize("message", ["\n".join(V1), V2, V3], ids=["V1", "V2", "V3"])
def test_html_bodies_are_read(markup: object, message: str) -> None:
    lines = message.replace("\r", "").split("\n")
    page = f"<html><body>{markup(lines)}</body></html>"  # type: ignore[operator]
    report = file(page.encode(), "x.html")
    assert "HID-006" in report.rules
    assert len(report.patients) == 1
    assert not report.refused


def test_html_beside_a_text_header_is_not_read_twice() -> None:
    html = attached("", f"<html>{'<br>'.join(V1)}</html>".encode(), "text/html")
    assert mail(body(v1(), "cp1252"), html, headers={"X-MSS-NIL": "x"}, subject="x", recipients=()).problems == ()


# what the mail says


@pytest.mark.parametrize(
    ("raw", "text_left", "is_xdm", "replaces"),
    [
        (SUBJECT, "CR hospitalier LEFEVRE Andree 14/02/1961", True, False),
        ("Re: TR: " + SUBJECT, "CR hospitalier LEFEVRE Andree 14/02/1961", True, False),
        ("[Annule et remplace] " + SUBJECT, "CR hospitalier LEFEVRE Andree 14/02/1961", True, True),
        ("[KO Intégration système !][902] " + SUBJECT, "CR hospitalier LEFEVRE Andree 14/02/1961", True, False),
        ("[Erreur d’intégration !][902] xdm/1.0/ddm+x", "x", True, False),
        ("Bonjour", "Bonjour", False, False),
    ],
)
def test_subjects(raw: str, text_left: str, is_xdm: bool, replaces: bool) -> None:
    found = read_subject(raw)
    assert (found.text, found.xdm, found.replaces) == (text_left, is_xdm, replaces)


@pytest.mark.parametrize(
    "subject",
    [
        SUBJECT,
        "XDM/1.0/DDM+CR hospitalier LEFEVRE Andrée",
        "XDM/1.0/DDM+2 documents Lefèvre ANDREE 14/02/1961",
        "Re: " + SUBJECT,
        "[Annule et remplace] " + SUBJECT,
    ],
)
def test_subjects_that_name_the_patient(subject: str) -> None:
    assert not {"HID-077", "HID-078"} & xdm_mail(subject=subject).rules


@pytest.mark.parametrize(
    ("subject", "severity"),
    [
        ("XDM/1.0/DDM+CR DURAND Andree 14/02/1961", Severity.WARN),
        ("XDM/1.0/DDM+CR LEFEVRE Andree 15/02/1961", Severity.WARN),
        ("XDM/1.0/DDM+CR DURAND Paul", Severity.WARN),
        ("XDM/1.0/DDM+CR DURAND Paul 14/02/1961", Severity.WARN),
        ("XDM/1.0/DDM+CR DURAND Paul 15/07/1982", Severity.SAFETY),
    ],
)
def test_subjects_of_somebody_else(subject: str, severity: Severity) -> None:
    assert [p.severity for p in xdm_mail(subject=subject).problems if p.rule == "HID-077"] == [severity]


@pytest.mark.parametrize(
    ("subject", "another"),
    [
        ("CR de Mme DURAND Paule", True),
        ("Résultats DURAND Paule 30/09/1975", True),
        ("Re: Patient : DURAND Paule", True),
        ("Bilan, née le 30 septembre 1975", True),
        ("Bilan DDN 30/09/1975", True),
        ("Mme LEFEVRE Andrée, née le 14 février 1961", False),
        ("CR de Mme GIRARD Andrée", False),
        ("Consultation Dr DURAND Paul du 30/09/2019", False),
        ("RDV du 12/10/2026 DURAND Paul", False),
        ("Résultats du 30/09/2019", False),
        ("IRM Cérébrale 30/09/2019", False),
        ("Avis", False),
    ],
)
def test_subjects_in_free_words_that_name_somebody_else(subject: str, another: bool) -> None:
    """HID-077: most letters have no XDM archive, and their subject is what the recipient files by."""
    report = mail(body(v1(), "cp1252"), subject=subject, headers={"X-MSS-NIL": "x"})
    assert ("HID-077" in report.rules) is another
    assert not report.refused


def test_subject_in_clear() -> None:
    def rules(**options: object) -> set[str]:
        parts = [body(v1(), "cp1252")]
        return set(mail(*parts, subject="Mme LEFEVRE", headers={}, **options).rules)  # type: ignore[arg-type]

    assert "HID-079" in rules(profile=APICRYPT)
    assert "HID-079" in rules(recipients=["paul.ESSAI@medical.apicrypt.org"])
    assert "HID-079" not in rules(recipients=["paul.essai@interop-mssante.apicrypt.org"])
    assert "MSS-110" in rules()


@pytest.mark.parametrize(
    ("subject", "found"),
    [
        ("patient 279035121518989", True),
        ("2 79 03 51 215 189 89", True),
        ("2790351215189", True),
        ("dossier 2025110312345678", False),
        ("tel 0600000000", False),
        ("279035121518988", False),
    ],
)
def test_numbers_in_a_subject(subject: str, found: bool) -> None:
    assert holds_number(subject) is found


def test_headers_announced_and_found() -> None:
    assert "HID-059" in xdm_mail(headers={"X-MSS-NIL": "x"}).rules
    no_ins = xdm(cda(ids=(("1.2.3.4", "IPP42"),)))
    assert "HID-058" in {p.rule for p in xdm_mail(no_ins).refused}
    assert "HID-058" not in xdm_mail(no_ins, headers={**HEADERS, "X-MSS-INS": "N"}).rules
    assert "HID-053" in {p.rule for p in xdm_mail(xdm(cda(first=""))).refused}


@pytest.mark.parametrize(
    "missing",
    [{"surname": "", "used": "LEFEVRE"}, {"first": ""}, {"born": None}, {"sex": None}, {"ids": (("1.2.3.4", "1"),)}],
)
def test_each_missing_trait_makes_the_ins_unqualified(missing: dict[str, object]) -> None:
    assert not xdm_mail(xdm(cda(**missing))).qualified_ins


def test_a_nia_is_qualified_only_where_the_deployment_says_so() -> None:
    archive = xdm(cda(ids=((ARC + "9", NUMBER), ("1.2.3.4", "IPP42"))))
    assert not xdm_mail(archive).qualified_ins
    assert xdm_mail(archive, profile=Profile(qualified_nia=True)).qualified_ins


def test_a_test_identity_is_qualified_only_in_a_test_space() -> None:
    archive = xdm(cda(ids=((ARC + "10", NUMBER), ("1.2.3.4", "IPP42"))))
    assert not xdm_mail(archive).qualified_ins
    assert xdm_mail(archive, profile=TEST_SPACE).qualified_ins


def test_codes_are_those_of_cdas_inside_archives_only() -> None:
    two = xdm(cda(), cda(code="11502-2", oid="1.2.3.99.2"))
    assert xdm_mail(two).cda_codes == ("34112-3", "11502-2")
    assert mail(attached("a.xml", cda())).cda_codes == ()
    assert xdm_mail(xdm(cda(code="1&#10;2,3"))).cda_codes == ("123",)


@pytest.mark.parametrize(
    ("name", "flagged"),
    [
        ("20251103_CR hospitalier_LEFEVRE_Andree_42.pdf", False),
        ("20251103_CR hospitalier_LEFEBVRE_Andree.pdf", False),
        ("20251103_CR hospitalier_DURAND_Paul_42.pdf", True),
        ("DURAND Paul.pdf", True),
        ("COMPTE RENDU Scanner.pdf", False),
        ("ECG Repos.pdf", False),
        ("scan0001.pdf", False),
    ],
)
def test_file_names(name: str, flagged: bool) -> None:
    assert ("HID-085" in xdm_mail(None, attached(name, b"%PDF-1.4")).rules) is flagged


@pytest.mark.parametrize(
    ("line", "flagged"),
    [
        ("Patient : M. DURAND Paul", True),
        ("Patiente : Mme Lefèvre Andrée", False),
        ("Patient : vu ce jour pour une toux", False),
        ("Compte-rendu d'examens biologiques de :Mr DURAND PAUL", True),
        ("Date de Naissance : 14-02-1961", False),
        ("Date de Naissance : 15-07-1982", True),
        ("née le 14/02/1961", False),
        ("né le 15/07/1982", True),
        ("Née le : 15/07/1982", True),
        ("née le 15 juillet 1982", True),
        ("DDN 15/07/1982", True),
        ("Date de naissance 15/07/1982", True),
        ("Née le 14 février 1961", False),
        ("DDN : 14/02/1961", False),
    ],
)
def test_body_mentions(line: str, flagged: bool) -> None:
    assert ("HID-084" in file(v1({14: line})).rules) is flagged


def test_encrypted_apicrypt_is_carried_without_reading() -> None:
    report = mail(body("#BINASCII1#00000010ABC#ENDBINASCII1#"), profile=APICRYPT, headers={}, subject="Courrier")
    assert "HID-001" not in report.rules
    assert not report.refused


def test_empty_and_short_attachments() -> None:
    assert "HID-003" in {p.rule for p in mail(body("x"), attached("a.hpr", b"abc")).refused}
    assert "HID-003" in {p.rule for p in mail(body("x"), attached("a.pdf", b"")).refused}
    assert "HID-003" not in mail(body("")).rules
    assert not mail(body("x"), attached("ATT00001.txt", b"\r\n"), subject="x", headers={}).refused


def test_a_strange_xml_is_questioned_and_a_document_refused() -> None:
    drawing = b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/x.dtd"><svg/>'
    assert not mail(body("x"), attached("logo.svg", drawing), subject="x", headers={}).refused
    assert "MSS-091" in mail(body("x"), attached("logo.svg", drawing)).rules
    assert "MSS-091" in {p.rule for p in mail(body("x"), attached("CR.xml", drawing)).refused}


def test_office_files_and_other_archives_are_carried() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("notes.txt", "x")
    plain = out.getvalue()
    assert not mail(body("x"), attached("photos.zip", plain), subject="x", headers={}).refused
    assert not xdm_mail(None, attached("photos.zip", plain)).refused
    assert not mail(body("x"), attached("lettre.docx", plain), subject="x", headers={}).refused
    assert "MSS-090" in {p.rule for p in mail(body("x"), attached("IHE_XDM.zip", plain)).refused}
    assert "MSS-090" in {p.rule for p in file(plain, "x.zip").refused}


def test_unix_and_windows_lines_give_one_answer() -> None:
    assert file(text(V1, "\n")).rules == file(text(V1)).rules
    assert file(unix(V2, "utf-8")).patients[0].traits == file(unix(V2)).patients[0].traits


@pytest.mark.parametrize("said", ["34112-3", "34112-3,34112-3", "34112-3, 34112-3"])
def test_two_documents_of_one_kind_may_say_it_once_or_twice(said: str) -> None:
    both = xdm(cda(), cda(oid="1.2.3.99.2"))
    assert "MSS-093" not in xdm_mail(both, headers={**HEADERS, "X-MSS-CODECDA": said}).rules


def uuencoded(data: bytes) -> bytes:
    lines = [binascii.b2a_uu(data[i : i + 45], backtick=True).rstrip() for i in range(0, len(data), 45)]
    return CRLF.join([b"begin 644 a.hpr", *lines, b"`", b"end", b""])


LINES = st.sampled_from(
    [
        b"QUJD",
        b"Rw==",
        b"Rw",
        b"=",
        b"=3D",
        b"=C3=A9",
        b" ",
        b"\t",
        b"\r\n",
        b"\n",
        b"begin 644 a\n",
        b"#0V%T\n",
        b"`\nend\n",
    ]
)
STATED = [
    "base64",
    "BASE64 (comment)",
    "quoted-printable",
    '"quoted-printable"; x=y',
    "x-uuencode",
    "uue",
    "8bit",
    "",
    "x",
]


@given(st.lists(LINES | st.binary(max_size=9), max_size=12).map(b"".join), st.sampled_from(STATED))
@example(b"PGE+", "base64")
@example(b"PGE+PGI", "base64")
def test_a_file_checked_by_hand_is_decoded_as_the_gateway_decodes_it(data: bytes, stated: str) -> None:
    """The rooms may not share the code; without this the command would answer for other octets than the doors judge."""
    theirs = words.decode_part(data, words.transfer_encoding(stated.encode()))
    assert mime._body(memoryview(data), mime._transfer_encoding(stated)) == theirs


@pytest.mark.parametrize(
    ("stated", "encode"),
    [
        (b"base64 (of a program)", base64.encodebytes),
        (b'"base64"', base64.encodebytes),
        (b"BASE64; x=y", base64.encodebytes),
        (b"x-uuencode", uuencoded),
        (b"uuencode", uuencoded),
    ],
)
def test_another_patient_is_seen_however_his_letter_is_encoded(stated: bytes, encode: Callable[[bytes], bytes]) -> None:
    last = b"\r\n--=_outer--\r\n"
    head = b"\r\n--=_outer\r\nContent-Type: application/octet-stream; name=a.hpr\r\nContent-Transfer-Encoding: "
    letter = head + stated + b"\r\n\r\n" + encode(v1({2: "DURAND"})) + last
    assert "HID-070" in {p.rule for p in file(eml(xdm()).replace(last, letter), "m.eml").refused}


@pytest.mark.parametrize(
    "before",
    [b"\xef\xbb\xbf", b"\r\n", b"From a@op-a.test Mon Nov  3 10:15:00 2025\r\n", b"\n>From a@op-a.test Mon Nov  3\n"],
)
def test_a_mail_is_one_whatever_program_saved_it(before: bytes) -> None:
    """A byte order mark, an empty line or a mailbox's From line made a text of it, of which there was nothing to refuse."""
    wrong = eml(xdm(cda(ids=((ARC + "8", NUMBER[:-1] + "1"),))))
    assert "HID-050" in {p.rule for p in file(wrong, "m.eml").refused}
    assert file(before + wrong, "m.eml").rules == file(wrong, "m.eml").rules


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(v1({2: "DURAND"})),
        b"Rar!\x1a\x07\x01\x00",
        b"7z\xbc\xaf\x27\x1c",
        bz2.compress(v1()),
        lzma.compress(v1()),
        b'x\x9f>"\x01',
        b"a.hpr".ljust(257, b"\x00") + b"ustar",
    ],
    ids=["gzip", "rar", "7z", "bzip2", "xz", "tnef", "tar"],
)
def test_an_archive_that_is_not_opened_is_told(content: bytes) -> None:
    report = xdm_mail(None, attached("resultats.bin", content))
    assert [p.severity for p in report.problems if p.rule == "MSS-114"] == [Severity.WARN]
    assert not report.refused


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: zipped({"b.hpr": data})], ids=["gzip", "zip"])
def test_an_archive_inside_an_archive_is_told(pack: Callable[[bytes], bytes]) -> None:
    report = xdm_mail(None, attached("resultats.zip", zipped({"held.bin": pack(v1({2: "DURAND"}))})))
    assert [p.severity for p in report.problems if p.rule == "MSS-114"] == [Severity.WARN]
    assert not report.refused
    beside = rezip(xdm(), {"IHE_XDM/SUBSET01/held.tgz": gzip.compress(v1({2: "DURAND"}))})
    assert "MSS-114" in xdm_mail(beside).rules


def test_a_word_processors_file_inside_an_archive_is_no_archive() -> None:
    letter = zipped({"lettre.docx": zipped({"word/document.xml": b"<w/>"})})
    report = xdm_mail(None, attached("lettre.zip", letter))
    assert "MSS-114" not in report.rules
    assert [p.place.member for p in report.problems if p.rule == "HID-100"] == ["lettre.docx"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("lettre.docx", zipped({"word/document.xml": b"<w/>"})),
        ("ATT00001", zipped({"word/document.xml": b"<w/>", "[Content_Types].xml": b"<t/>"})),
        ("lettre", zipped({"mimetype": b"application/vnd.oasis.opendocument.text"}, zipfile.ZIP_STORED)),
        ("lettre.rtf", b"{\\rtf1 Bonjour}"),
        ("lettre.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)),
    ],
)
def test_a_letter_that_nobody_reads_is_said(name: str, content: bytes) -> None:
    """HID-100: carried, noted, never refused by default."""
    report = mail(body("Bonjour"), attached(name, content), subject="Avis", headers={})
    assert [(p.severity, p.place.part) for p in report.problems if p.rule == "HID-100"] == [(Severity.NOTE, name)]
    assert not report.refused
    plain = mail(body("Bonjour"), attached("photos.zip", zipped({"a.jpg": b"x"})), subject="Avis", headers={})
    assert "HID-100" not in plain.rules


@pytest.mark.parametrize(
    ("prefix", "severity"),
    [("", Severity.WARN), ("Tr : ", Severity.WARN), ("Re: ", Severity.NOTE), ("RE : Tr: ", Severity.NOTE)],
)
def test_an_answer_needs_no_archive(prefix: str, severity: Severity) -> None:
    """Mail programs keep the subject of what is answered, and leave its files out."""
    report = mail(body("Merci, bien reçu."), subject=prefix + SUBJECT)
    assert [p.severity for p in report.problems if p.rule == "MSS-090"] == [severity]
