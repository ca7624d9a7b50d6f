"""HPRIM Santé, HPRIM XML, HL7 v2 and XDM metadata: every patient, every separator."""

from __future__ import annotations

import base64
import json
import re
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hprim import cda as cda_reader
from hprim import hl7, render, sante, xdm
from hprim.detect import detect
from hprim.ebrim import entry_of
from hprim.findings import DEFAULT, Findings, Profile
from hprim.model import Format, Identifier, Place, Severity
from hprim.xmlsafe import parse, root_of
from tests.hprim import builders
from tests.hprim.builders import (
    ARC,
    META,
    NUMBER,
    OTHER_NUMBER,
    attached,
    body,
    cda,
    file,
    hxml,
    hxml_patient,
    mail,
    member,
    pid,
    xdm_mail,
)
from tests.hprim.examples import TODAY, v1
from tests.hprim.test_hostile import zipped

P = "P|0001|506232||2511030001|LEFEVRE~ANDREE||19610214|F|"


@pytest.mark.parametrize(
    ("data", "name", "media", "expected"),
    [
        (b"%PDF-1.4", "a.hpr", "", Format.PDF),
        (b"\xef\xbb\xbf\r\n%PDF-1.4", "a.pdf", "", Format.PDF),
        (b"PK\x03\x04rest", "a.txt", "", Format.ZIP),
        (
            b"\xef\xbb\xbf\r\n<?xml version='1.0'?><!-- c --><x:ClinicalDocument xmlns:x='urn:hl7-org:v3'/>",
            "",
            "",
            Format.CDA,
        ),
        (b"<ClinicalDocument/>", "", "", Format.XML),
        (hxml(), "", "", Format.HPRIM_XML),
        (b"MSH|^~\\&|", "", "", Format.HL7),
        (b"\x0bMSH|^~\\&|", "", "", Format.HL7),
        (b'{"resourceType": "Bundle"}', "a.txt", "", Format.FHIR),
        (b'<Bundle xmlns="http://hl7.org/fhir"/>', "", "", Format.FHIR),
        (b'{"a": 1}', "", "", Format.TEXT),
        (builders.sante(), "", "", Format.HPRIM_SANTE),
        (b"H|\\^&~|x||||||||||", "", "", Format.HPRIM_SANTE),
        (b"Hello|~^\\&|", "", "", Format.TEXT),
        (b"#BINASCII1#00", "", "", Format.APICRYPT),
        (b"xx", "doc.pdf.apz", "", Format.APICRYPT),
        (b"<html><body>", "", "", Format.HTML),
        (b"bonjour", "", "text/html", Format.HTML),
        (b"", "", "", Format.EMPTY),
        (b" \r\n", "", "", Format.EMPTY),
        (b"\x00\x01\x02binary", "", "", Format.OTHER),
        (v1(), "", "", Format.TEXT),
    ],
)
def test_detection_is_by_content(data: bytes, name: str, media: str, expected: Format) -> None:
    assert detect(data, name, media) is expected


@given(st.binary(max_size=300), st.text(max_size=20))
def test_detection_never_raises(data: bytes, name: str) -> None:
    assert detect(data, name, mail=True) in Format
    root_of(data)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize(
    ("head", "patient"),
    [
        ("H|~^\\&|E.HPR||L~L||ORU|||M~M||P|H2.3~C|202511031015", P),
        ("H|\\^&~|E.HPR||L\\L||ORU|||M\\M||P|H2.0|202511031015", P.replace("~", "\\")),
        ("H|^~&|E.HPR||L^L||ORU|||M^M||P|H2.1|202511031015", P.replace("~", "^")),
        ("H!~^\\&!E.HPR!!L~L!!ORU!!!M~M!!P!H2.3~C!202511031015", P.replace("|", "!")),
    ],
)
def test_sante_alphabets(end: str, head: str, patient: str) -> None:
    data = end.join([head, patient, f"L{head[1]}1{head[1]}", ""]).encode("latin-1")
    report = file(data)
    t = report.patients[0].traits
    assert (t.surname, t.first_name, t.birth_date.iso() if t.birth_date else "", t.sex) == (
        "LEFEVRE",
        "ANDREE",
        "1961-02-14",
        "F",
    )
    assert not report.refused


def test_sante_continuation_inside_a_name() -> None:
    report = file(builders.sante("P|0001|506232||2511030001|LEFE\rA|VRE~AND\rA|REE||19610214|F|"))
    assert report.patients[0].traits.surname == "LEFEVRE"
    assert report.patients[0].traits.first_name == "ANDREE"


def test_sante_birth_name_makes_the_other_one_the_name_in_use() -> None:
    t = file(builders.sante("P|1|5|||MARTIN~ANDREE|LEFEVRE|19610214|F|")).patients[0].traits
    assert (t.birth_surname, t.used_surname, t.surname) == ("LEFEVRE", "MARTIN", "")


def test_sante_without_l_or_with_a_stray_line_is_said() -> None:
    data = builders.sante(P, "ZZZ|1")
    assert "HID-012" in file(data).rules
    assert "HID-010" in file(data.replace(b"L|1|", b"")).rules


def test_sante_batch_when_the_deployment_takes_them() -> None:
    data = builders.sante(P, "P|2|9|||DURAND~PAUL||19800101|M|")
    assert {"HID-088", "HID-080"} <= {p.rule for p in file(data).refused}
    assert not file(data, profile=Profile(lab_batches=True)).refused


def test_sante_obsolete_ins() -> None:
    assert "HID-056" in file(builders.sante(P + "||1234567890123456789012~INS-C~2015")).rules


def test_hprim_xml_patients() -> None:
    t = file(hxml()).patients[0].traits
    assert (t.surname, t.first_name, t.sex) == ("LEFEVRE", "ANDREE", "F")
    two = file(hxml(hxml_patient(), hxml_patient("DURAND", "PAUL", "1980-01-02", "M")))
    assert {"HID-088", "HID-080"} <= {p.rule for p in two.refused}
    assert "HID-021" in {p.rule for p in file(hxml(hxml_patient(born="1961-02-31"))).refused}


def test_hprim_xml_against_a_cda() -> None:
    report = xdm_mail(None, attached("a.xml", hxml(hxml_patient("DURAND"))))
    assert {"HID-088", "HID-070"} <= {p.rule for p in report.refused}


def test_pid_of_the_published_shape() -> None:
    data = (
        b"MSH|^~\\&|A|B|C|D|20250401||MDM^T02^MDM_T02|1|P|2.6\r"
        b"PID|||279035121518989^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.10&ISO^INS^^20101207||PAT-TROIS^DOMINIQUE^DOMINIQUE^^^^L"
        b"||19790328|F|||28 Av de Breteuil^^PARIS^^75007^FRA^H~^^^^^^BDL^^63220|||||||405660^^^AUT&1204567809&M^AN|||||||||||||N|VALI\r"
    )
    findings = Findings(DEFAULT)
    document = hl7.read(data, Place(), findings, TODAY)
    patient = document.patients[0]
    assert patient.ids == (Identifier(ARC + "10", "279035121518989"),)
    assert patient.traits.birth_place == "63220"
    assert patient.status == ("VALI",)
    assert {p.rule for p in findings.problems} == {"HID-049", "HID-052"}


@pytest.mark.parametrize(
    ("change", "rule", "severity"),
    [
        ({"name": "LEFÃˆVRE^ANDREE^^^^^L"}, "HID-032", Severity.REFUSE),
        ({"name": "LEFEVRE^ANDRÃ‰E^^^^^L"}, "HID-032", Severity.REFUSE),
        ({"name": ""}, "HID-026", Severity.REFUSE),
        ({"name": "LEFEVRE^^^^^^L"}, "HID-027", Severity.WARN),
        ({"name": "INCONNU^X^^^^^L"}, "HID-029", Severity.SAFETY),
        ({"sex": "M"}, "HID-044", Severity.WARN),
        ({"born": "19610314"}, "HID-045", Severity.WARN),
        ({"sex": ""}, "HID-053", Severity.WARN),
        ({"birth_place": ""}, "HID-053", Severity.WARN),
        ({"name": "LEFEVRE^ANDREE^^^^^L"}, "HID-053", Severity.WARN),
    ],
)
def test_the_patient_of_an_hl7_message_is_judged_as_any_other(
    change: dict[str, str], rule: str, severity: Severity
) -> None:
    report = file(pid(**change))  # type: ignore[arg-type]
    assert severity in {p.severity for p in report.problems if p.rule == rule}
    assert rule not in file(pid()).rules


@pytest.mark.parametrize(
    ("text", "root", "extension"),
    [
        ("42^^^&1.2.3&ISO^PI", "1.2.3", "42"),
        ("42^^^HOP&1.2.3&ISO", "1.2.3", "42"),
        ("42^^^1.2.3", "1.2.3", "42"),
        ("42", "", "42"),
        ("", "", ""),
    ],
)
def test_cx(text: str, root: str, extension: str) -> None:
    assert hl7.cx(text) == Identifier(root, extension)


def carrying(document: bytes, **options: object) -> bytes:
    inner = base64.b64encode(document).decode()
    return pid(obx=[f"OBX|1|ED|34133-9^x^LN||^TEXT^XML^Base64^{inner}||||||F"], **options)  # type: ignore[arg-type]


def test_a_document_inside_an_hl7_message_is_read_and_compared() -> None:
    fine = file(carrying(cda()))
    assert [d.format for d in fine.documents] == [Format.CDA, Format.HL7]
    assert fine.rules == {"HID-017"}
    assert "HID-086" in {p.rule for p in file(carrying(cda(ids=((ARC + "8", NUMBER),)))).refused}
    assert "HID-070" in {p.rule for p in file(carrying(cda(surname="DURAND"))).refused}


STRANGER = cda(surname="DURAND", first="PAULE", listed="PAULE", label="Bilan &amp; suites")
"""Its length in base64 needs padding, so that leaving it out shows."""
IN_BASE64 = base64.b64encode(STRANGER).decode()
assert IN_BASE64.endswith("=")
WRAPPED = re.findall(".{1,76}", IN_BASE64)
ESCAPED = STRANGER.decode().replace("&", "\\T\\")


@pytest.mark.parametrize(
    "value",
    [
        f"^TEXT^XML^Base64^{IN_BASE64.rstrip('=')}",
        f"^TEXT^XML^Base64^{base64.urlsafe_b64encode(STRANGER).decode()}",
        "^TEXT^XML^Base64^" + "\\X0D0A\\".join(WRAPPED),
        "^TEXT^XML^Base64^" + "\\.br\\".join(WRAPPED),
        "^TEXT^XML^Base64^" + "\r\n".join(WRAPPED),
        f"^TEXT^XML^Base64^{base64.b64encode(cda()).decode()}~^TEXT^XML^Base64^{IN_BASE64}",
        f"^TEXT^XML^A^{ESCAPED}",
    ],
    ids=["no-padding", "of-urls", "hl7-hexadecimal", "hl7-line-breaks", "lines", "second-repetition", "plain"],
)
def test_a_document_inside_an_hl7_message_is_read_however_it_is_written(value: str) -> None:
    refused = {p.rule for p in file(pid(obx=[f"OBX|1|ED|x||{value}", "NTE|1||fin"])).refused}
    assert {"HID-070", "HID-071"} <= refused


def test_a_document_of_another_kind_of_obx_and_after_many_others() -> None:
    text = [f"OBX|1|FT|x||{STRANGER.decode()}||||||F"]
    assert "HID-070" in {p.rule for p in file(pid(obx=text)).refused}
    own = base64.b64encode(cda()).decode()
    many = [f"OBX|{i}|ED|x||^TEXT^XML^Base64^{own}||||||F" for i in range(6)]
    assert not file(pid(obx=many)).refused
    assert "HID-070" in {p.rule for p in file(pid(obx=[*many, f"OBX|7|ED|x||^TEXT^XML^Base64^{IN_BASE64}"])).refused}


def test_a_document_inside_an_hl7_message_that_cannot_be_read_is_not_vouched_for() -> None:
    assert {p.rule for p in file(pid(obx=["OBX|1|ED|x||^TEXT^XML^Base64^!!!"])).refused} == {"MSS-114"}
    assert not file(pid(obx=["OBX|1|ED|x||^IM^JPEG^Base64^!!!"])).refused
    own = base64.b64encode(cda()).decode()
    many = [f"OBX|{i}|ED|x||^TEXT^XML^Base64^{own}" for i in range(hl7.MAX_EMBEDDED + 1)]
    assert {p.rule for p in file(pid(obx=many)).refused} == {"MSS-114"}
    pages = [f"OBX|{i}|ED|x||^AP^PDF^Base64^JVBERi0=" for i in range(hl7.MAX_EMBEDDED + 1)]
    assert not file(pid(obx=pages)).refused


def test_two_pids_of_two_people() -> None:
    data = pid() + b"\r" + pid(name="DURAND^PAUL^^^^^L", born="19800101", ids="9^^^&1.2.3.4&ISO^PI").partition(b"\r")[2]
    assert {"HID-088", "HID-080"} <= {p.rule for p in file(data).refused}


def test_metadata_of_other_spellings() -> None:
    meta = (
        b'<r:SubmitObjectsRequest xmlns:r="x" xmlns:m="y"><m:ExtrinsicObject mimeType="text/xml">'
        b'<m:Slot name="uri"><m:ValueList><m:Value>2|001.XML</m:Value><m:Value>1|DOC0</m:Value></m:ValueList></m:Slot>'
        b'<m:Slot name="SourcePatientInfo"><m:ValueList><m:Value>PID-5|LEFEVRE^ANDREE^^^^^L</m:Value></m:ValueList></m:Slot>'
        b'<m:ExternalIdentifier identificationScheme="z" value="5^^^&amp;1.2&amp;ISO">'
        b'<m:Name><m:LocalizedString value="XDSDocumentEntry.patientId"/></m:Name></m:ExternalIdentifier>'
        b"</m:ExtrinsicObject></r:SubmitObjectsRequest>"
    )
    entry = entry_of(next(n for n in parse(meta).walk() if n.name == "ExtrinsicObject"))
    assert entry.uri == "DOC0001.XML"
    assert entry.info == ("PID-5|LEFEVRE^ANDREE^^^^^L",)
    assert entry.patient_id == Identifier("1.2", "5")


@pytest.mark.parametrize("name", ["IHE_XDM.zip", "IHE_XDM.ZIP", "ihe-xdm.zip", "dossier/IHE_XDM_2.zip", "Ihe_Xdm.Zip"])
def test_archive_names(name: str) -> None:
    assert xdm.is_named_xdm(name)


def self_showing(document: bytes) -> bytes:
    """The document inside the style sheet that shows it, every element prefixed."""
    bare = document.decode().partition("?>")[2].replace(' xmlns="urn:hl7-org:v3"', "")
    inner = re.sub(r"<(/?)([A-Za-z])", r"<\1c:\2", bare)
    return (
        '<?xml version="1.0" encoding="UTF-8"?><!-- c --><?xml-stylesheet type="text/xsl" href="#"?>'
        '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:data="urn:x" xmlns:c="urn:hl7-org:v3">'
        f'<data:Contenu>{inner}</data:Contenu><xsl:template match="/"/></xsl:stylesheet>'
    ).encode()


def test_a_document_that_shows_itself_is_a_cda() -> None:
    data = self_showing(cda())
    assert detect(data) is Format.CDA
    assert file(data, "a.xml").problems == ()
    report = xdm_mail(builders.rezip(builders.xdm(), {builders.DOC: data}, rehash=True))
    assert report.problems == ()
    assert report.qualified_ins
    wrong = self_showing(cda(surname="DURAND"))
    assert "HID-070" in xdm_mail(builders.rezip(builders.xdm(), {builders.DOC: wrong}, rehash=True)).rules
    assert "Rien de notable" in render.cda_view(data, TODAY).text()


def test_two_documents_in_one_style_sheet_are_refused() -> None:
    two = self_showing(cda()).replace(b"</data:Contenu>", b"")
    second = self_showing(cda(surname="DURAND", first="PAUL")).partition(b"<data:Contenu>")[2]
    assert {"HID-060", "HID-080"} <= {
        p.rule for p in file(two.partition(b"<xsl:template")[0] + second, "a.xml").refused
    }


def test_a_document_older_than_its_patient_or_from_the_future() -> None:
    young = cda(ids=(("1.2.3.4", "1"),), born="20251201")
    assert "HID-036" in file(young, "a.xml").rules
    assert "HID-037" in file(cda().replace(b"20251103101500", b"20311103101500"), "a.xml").rules
    assert not {"HID-036", "HID-037"} & file(cda(), "a.xml").rules


def test_patient_address_inside_the_document() -> None:
    def rules(local: str) -> frozenset[str]:
        return file(cda(telecom=f'<telecom value="mailto:{local}@patient.mssante.fr"/>'), "a.xml").rules

    assert rules(NUMBER) == frozenset()
    assert rules(builders.OTHER_NUMBER) == {"HID-074"}
    assert rules("2" + NUMBER) == {"MSS-098"}


def test_unreferenced_document_is_read_and_said() -> None:
    other = cda(surname="DURAND", first="PAUL", ids=(("1.2.3.4", "9"),), born="19800101", sex="M")
    report = xdm_mail(builders.rezip(builders.xdm(), {"IHE_XDM/SUBSET01/DOC0009.XML": other}))
    assert {"HID-080", "MSS-092"} <= report.rules
    assert "HID-080" in {p.rule for p in report.refused}


def test_missing_document_and_missing_hash() -> None:
    archive = builders.xdm()
    assert "MSS-092" in {p.rule for p in xdm_mail(builders.rezip(archive, {builders.DOC: None})).refused}
    meta = member(archive, META)
    start = meta.index(b'<Slot name="hash"')
    bare = meta[:start] + meta[meta.index(b"</Slot>", start) + 7 :]
    report = xdm_mail(builders.rezip(archive, {META: bare}))
    assert "MSS-092" in report.rules
    assert not report.refused


def test_restriction_flags_are_reported() -> None:
    meta = member(builders.xdm(), META)
    masked = meta.replace(b'nodeRepresentation="N"', b'nodeRepresentation="INVISIBLE_PATIENT"')
    archive = builders.rezip(builders.xdm(), {META: masked})
    assert xdm_mail(archive).flags == {"INVISIBLE_PATIENT"}
    assert not xdm_mail(archive).refused
    to_patient = xdm_mail(archive, recipients=[f"{NUMBER}@patient.mssante.fr"])
    assert "MSS-113" in {p.rule for p in to_patient.refused}


@given(st.text(max_size=200))
def test_sante_never_raises(text: str) -> None:
    file(b"H|~^\\&|x||||||||||P|H2.3|2025\r" + text.encode("utf-8", "replace"))
    sante.signs(text)


@given(st.text(max_size=200))
def test_hl7_never_raises(text: str) -> None:
    file(b"MSH|^~\\&|x\rPID|" + text.encode("utf-8", "replace"))


@given(st.text(max_size=200))
def test_xml_never_raises(text: str) -> None:
    file(f'<ClinicalDocument xmlns="urn:hl7-org:v3">{text}</ClinicalDocument>'.encode("utf-8", "replace"), "a.xml")
    file(hxml(text), "a.xml")


SHEET = b'<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform">'


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"<d/>", False),
        (b"<!-- <ClinicalDocument> --><d/>", False),
        (b"<![CDATA[<ClinicalDocument>]]>", False),
        (b"<!-- <ClinicalDocument>", False),
        (b"<!-- x --><c:ClinicalDocument>", True),
        (b"<!---->" * 150_000 + b"<ClinicalDocument>", True),
        (b" " * (5 << 20) + b"<ClinicalDocument>", True),
        (b"<!--" + b" " * (5 << 20) + b"--><ClinicalDocument>", True),
        (b" " * (5 << 20), False),
    ],
    ids=["none", "comment", "quoted", "unclosed", "after-a-comment", "after-many", "far", "after-a-long-one", "long"],
)
def test_a_style_sheet_holds_a_document_or_only_speaks_of_one(content: bytes, expected: bool) -> None:
    assert cda_reader.is_cda(SHEET + content) is expected


@pytest.mark.parametrize("data", [builders.fhir(), builders.fhir_xml()], ids=["json", "xml"])
def test_the_patient_of_a_fhir_resource_is_read(data: bytes) -> None:
    report = file(data, "bundle")
    (patient,) = report.readings
    t = patient.traits
    assert (t.birth_surname, t.used_surname, t.first_name, t.first_names) == (
        "LEFEVRE",
        "MARTIN",
        "ANDREE",
        "ANDREE MARIE",
    )
    assert (t.birth_date.iso() if t.birth_date else "", t.sex) == ("1961-02-14", "F")
    assert [(one.oid, one.matricule) for one in patient.ins] == [(ARC + "8", NUMBER)]
    assert report.rules == {"HID-017"}
    assert not report.refused


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (builders.fhir(surname="DURAND", used="PETIT"), "HID-070"),
        (builders.fhir_xml("DURAND"), "HID-070"),
        (builders.fhir(born="1971-02-14"), "HID-072"),
        (builders.fhir(number=OTHER_NUMBER), "HID-074"),
    ],
)
def test_another_patient_in_a_fhir_resource_is_seen(data: bytes, rule: str) -> None:
    """HID-070 to HID-074: beside an archive, and inside a plain one."""
    for part in (attached("b.json", data), attached("b.zip", zipped({"b.json": data}))):
        assert rule in xdm_mail(None, part).rules
        assert not xdm_mail(None, attached("b.json", builders.fhir())).refused


_DEEP = b'{"resourceType": "Bundle", "entry": ' + b"[" * 100_000


@pytest.mark.parametrize(
    "data", [_DEEP, b'{"resourceType": "Bundle", "a": [' + b"[]," * 1_300_000, b'{"resourceType": 1' + b"0" * (5 << 20)]
)
def test_a_fhir_resource_beyond_measure_is_carried_and_said(data: bytes) -> None:
    """HID-100."""
    started = process_time()
    report = mail(body("x"), attached("b.json", data), subject="x", headers={})
    assert process_time() - started < 1.0
    assert [p.severity for p in report.problems if p.rule == "HID-100"] == [Severity.NOTE]
    assert not report.refused


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["Patient", "official", "x^y|z\r", "urn:oid:1.2.3"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["resourceType", "name", "given", "family", "use", "identifier", "system", "value", "extension"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(_JSON)
def test_any_fhir_is_read_or_carried(inner: object) -> None:
    told = {"resourceType": "Patient", "name": inner, "identifier": inner, "birthDate": inner, "contained": inner}
    assert file(json.dumps(told).encode(), "a.json").documents
