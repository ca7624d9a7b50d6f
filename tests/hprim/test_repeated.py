"""Names and dates that repeat inside one patient: whoever is told second counts, and one person may bear several names."""

from __future__ import annotations

import pytest

from hprim.findings import Profile
from hprim.model import Report, Severity, Source
from tests.hprim.builders import (
    META,
    attached,
    body,
    cda,
    file,
    hxml,
    hxml_patient,
    mail,
    member,
    pid,
    rezip,
    xdm,
    xdm_mail,
)
from tests.hprim.examples import v1

HEADER = attached("lettre.hpr", v1())
OWN = '<name><family qualifier="BR">LEFEVRE</family><given>ANDREE MARIE</given><given qualifier="BR">ANDREE</given></name>'
OTHERS = OWN.replace("LEFEVRE", "DURAND").replace("ANDREE", "PAULE")
LOWERED = Profile(severities={"HID-060": Severity.NOTE, "HID-062": Severity.NOTE})


def beside(name: str, data: bytes) -> Report:
    return mail(body("Bonjour"), attached(name, data), HEADER, subject="Avis", headers={"X-MSS-NIL": "X"})


@pytest.mark.parametrize(
    ("names", "another"),
    [
        ("LEFEVRE^ANDREE^^^^^L~DURAND^PAULE^^^^^L", True),
        ("LEFEVRE^ANDREE^^^^^L~LEFEVRE^PAULE^^^^^L", True),
        ("LEFEVRE^ANDREE~DURAND^PAULE", True),
        ("LEFEVRE^ANDREE^^^^^L~DURAND^PAULE^^^^^M", True),
        ("MARTIN^ANDREE^^^^^D~LEFEVRE^ANDREE^^^^^L~DURAND^PAULE^^^^^M", True),
        ("LEFEVRE^ANDREE^ANDREE MARIE^^^^L~LEFEVRE^MARIE^^^^^L", False),
        ("LEFEVRE^ANDREE~MARTIN^ANDREE", False),
        ("LEFEVRE^ANDREE~LEFEVRE^DEDEE", False),
        ("LEFEVRE^ANDREE^^^^^L~MARTIN^ANDREE^^^^^D~PETIT^ANDREE^^^^^D", False),
        ("MARTIN^ANDREE^^^^^A~LEFEVRE^ANDREE^^^^^L", False),
        ("DEDE^DEDE^^^^^N~LEFEVRE^ANDREE^^^^^L", False),
        ("MARTIN^ANDREE^^^^^L~LEFEVRE^ANDREE^^^^^M", False),
        ("MARTIN^ANDREE^^^^^L~LEFEVRE^ANDREE^^^^^B", False),
        ("LEFEVRE^ANDREE^^^^^A", False),
        ("~LEFEVRE^ANDREE^^^^^L", False),
    ],
)
def test_every_name_of_a_pid_counts_once(names: str, another: bool) -> None:
    """HID-070, HID-071, HID-080: in a PID, and in the metadata of an archive, which hold the same field."""
    assert ("HID-080" in {p.rule for p in beside("m.hl7", pid(name=names)).refused}) is another
    archive = xdm()
    said = member(archive, META).replace(b"PID-5|LEFEVRE^ANDREE^ANDREE MARIE^^^^L", b"PID-5|" + names.encode())
    report = xdm_mail(rezip(archive, {META: said}), HEADER)
    assert ("HID-080" in {p.rule for p in report.refused}) is another
    assert another or not report.refused


@pytest.mark.parametrize(("sexes", "another"), [("F~F", False), ("f^x~F", False), ("~F", False), ("F~M", True)])
def test_a_sex_told_twice_is_told(sexes: str, another: bool) -> None:
    """HID-053, HID-073: in a PID, and in the metadata of an archive, which hold the same field. It read as none."""
    report = file(pid(sex=sexes), "m.hl7")
    assert report.readings[0].traits.sex == "F"
    assert ("HID-073" in {p.rule for p in report.refused}) is another
    assert "HID-053" not in report.rules
    archive = xdm()
    said = member(archive, META).replace(b"PID-8|F", b"PID-8|" + sexes.encode())
    report = xdm_mail(rezip(archive, {META: said}))
    assert [p.traits.sex for p in report.readings if p.source is Source.XDM] == ["F", "M"][: 1 + another]
    assert ("HID-073" in {p.rule for p in report.refused}) is another


def test_the_name_at_birth_is_the_birth_name() -> None:
    (patient,) = file(pid(name="MARTIN^ANDREE^^^^^L~LEFEVRE^ANDREE^^^^^M"), "m.hl7").readings
    assert (patient.traits.birth_surname, patient.traits.used_surname) == ("LEFEVRE", "MARTIN")
    (patient,) = file(pid(name="PETIT^DEDE^^^^^A~LEFEVRE^ANDREE^^^^^L~MARTIN^ANNE^^^^^D"), "m.hl7").readings
    t = patient.traits
    assert (t.birth_surname, t.first_name, t.used_surname, t.used_first_name) == ("LEFEVRE", "ANDREE", "MARTIN", "ANNE")


@pytest.mark.parametrize(("names", "another"), [(OWN + OTHERS, True), (OTHERS + OWN, True), (OWN + OWN, False)])
def test_a_second_name_of_a_document_counts_where_repeating_is_let_pass(names: str, another: bool) -> None:
    """HID-062 may be lowered; that the names are two people's may not."""
    report = xdm_mail(xdm(cda(names=names)), HEADER, profile=LOWERED)
    assert ("HID-070" in {p.rule for p in report.refused}) is another
    assert another or not report.refused


def test_a_birth_name_in_several_elements_is_all_of_them() -> None:
    several = OWN.replace("LEFEVRE</family>", 'GARCIA</family><family qualifier="BR">LOPEZ</family>')
    (patient,) = file(cda(names=several), "cr.xml").patients
    assert patient.traits.birth_surname == "GARCIA LOPEZ"
    header = attached("lettre.hpr", v1({2: "LOPEZ"}))
    assert "HID-070" not in xdm_mail(xdm(cda(names=several)), header).rules
    again = OWN.replace("</family>", '</family><family qualifier="BR">Lefèvre</family>')
    assert file(cda(names=again), "cr.xml").patients[0].traits.birth_surname == "LEFEVRE"


def test_a_document_that_repeats_its_patient_is_refused() -> None:
    """HID-060, 065, 066: the second one is read, and two answers to one question are none."""
    document = cda()
    person = document[document.index(b"<patient>") : document.index(b"</patient>") + 10]
    other = person.replace(b"LEFEVRE", b"DURAND").replace(b"ANDREE", b"PAULE")
    report = xdm_mail(xdm(document.replace(person, person + other)), HEADER, profile=LOWERED)
    assert {"HID-060", "HID-070", "HID-071"} <= report.rules
    for found, rule in ((b"<birthTime", "HID-065"), (b"<administrativeGenderCode", "HID-066")):
        value = b' value="19820715"/>' if rule == "HID-065" else b' code="M"/>'
        report = xdm_mail(xdm(document.replace(found, found + value + found)), HEADER)
        assert rule in {p.rule for p in report.refused}
    assert not xdm_mail(
        xdm(document.replace(b"<birthTime", b'<birthTime value="19610214"/><birthTime')), HEADER
    ).refused


@pytest.mark.parametrize(
    ("head", "patient", "another"),
    [
        ("H|~^\\&|", "LEFEVRE~ANDREE^DURAND~PAULE", True),
        ("H|^~\\&|", "LEFEVRE^ANDREE~DURAND^PAULE", True),
        ("H|~^\\&|", "LEFEVRE~ANDREE^MARTIN~ANDREE", False),
        ("H|~^\\&|", "LEFEVRE~ANDREE^", False),
    ],
)
def test_every_name_of_a_p_segment_counts(head: str, patient: str, another: bool) -> None:
    data = f"{head}E.HPR||LAB||ORU|||MED||P|H2.3|202511031015\rP|1|506232||2511030001|{patient}||19610214|F|\rL|1|\r"
    report = beside("r.hpr", data.encode())
    assert ("HID-071" in {p.rule for p in report.refused}) is another
    assert another or not report.refused


def test_every_person_and_date_of_an_hprim_xml_patient_counts() -> None:
    whole, other = hxml_patient(), hxml_patient("DURAND", "PAULE", "1982-07-15")
    start, end = "<personnePhysique", "</personnePhysique>"
    second = other[other.index(start) : other.index(end) + len(end)]
    assert "HID-070" in {p.rule for p in beside("m.xml", hxml(whole.replace(end, end + second))).refused}
    date = "<dateNaissance><date>1961-02-14</date></dateNaissance>"
    assert not beside("m.xml", hxml(whole.replace(date, date + date))).refused
    two = whole.replace(date, date + date.replace("1961-02-14", "1982-07-15"))
    assert "HID-021" in {p.rule for p in beside("m.xml", hxml(two)).refused}


@pytest.mark.parametrize(
    ("first", "listed", "rule"),
    [
        ("LIA", "LIA MARIE LOUISE", "HID-071"),
        ("LIA", "LEA MARIE LOUISE", "HID-081"),
        ("LIA", "LIA LEA LOUISE", "HID-081"),
        ("LOUISE", "LEA MARIE LOUISE", "HID-083"),
    ],
)
def test_twins_who_share_the_rest_of_their_names_are_two_people(first: str, listed: str, rule: str) -> None:
    """HID-071: first birth names that differ, in a document and in the metadata or the HL7 message made for the other one."""
    archive = xdm(cda(first="LEA", listed="LEA MARIE LOUISE"))
    said = f"PID-5|LEFEVRE^{first}^{listed}^^^^L".encode()
    own = b"PID-5|LEFEVRE^LEA^LEA MARIE LOUISE^^^^L"
    assert own in member(archive, META)
    told = rezip(archive, {META: member(archive, META).replace(own, said)})
    for report in (
        xdm_mail(told),
        xdm_mail(archive, attached("m.hl7", pid(name=f"LEFEVRE^{first}^{listed}^^^^L"))),
        xdm_mail(archive, attached("b.xml", cda(first=first, listed=listed, oid="1.2.3.99.2"))),
    ):
        assert rule in report.rules
        assert bool(report.refused) is (rule == "HID-071")


def test_honest_spellings_of_one_surname_are_one_person() -> None:
    """A false refusal is as bad: saint in full or shortened, a particle written apart or not beside a second surname."""
    for own, written in (
        ("SAINT MARTIN", "ST-MARTIN"),
        ("STE BEUVE", "SAINTE-BEUVE"),
        ("D'HERICOURT-LE GOFF", "DHERICOURT"),
    ):
        report = xdm_mail(xdm(cda(surname=own)), attached("a.hpr", v1({2: written})), subject="Avis")
        assert not report.refused


@pytest.mark.parametrize(
    ("givens", "listed", "asked"),
    [
        (("ANDREE", "PAULE"), "ANDREE MARIE", True),
        (("ANDREE", "MARIE"), "ANDREE MARIE", False),
        (("ANDREE", "MARIE"), "", False),
        (("ANDREE", "Andrée"), "ANDREE MARIE", False),
    ],
)
def test_every_birth_first_name_of_a_document_is_one_of_the_list(
    givens: tuple[str, ...], listed: str, asked: bool
) -> None:
    births = "".join(f'<given qualifier="BR">{one}</given>' for one in givens)
    whole = f"<given>{listed}</given>" if listed else ""
    report = file(cda(names=f'<name><family qualifier="BR">LEFEVRE</family>{whole}{births}</name>'), "cr.xml")
    assert ("HID-068" in report.rules) is asked
    assert report.patients[0].traits.first_names == "ANDREE MARIE"
    assert not report.refused
