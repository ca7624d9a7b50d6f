"""Every rule of the catalogue, broken once and respected once. Test ids carry the rule, so that conformity can be read off them."""

from __future__ import annotations

import ast
import string
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest

from hprim import rules
from hprim.dates import read_compact
from hprim.findings import APICRYPT, Profile
from hprim.history import History, Version
from hprim.model import Identifier, InsId, Patient, Place, Report, Severity, Source, Traits
from hprim.rules import CATALOGUE
from hprim.shown import shown
from tests.hprim.builders import (
    ARC,
    DOC,
    HEADERS,
    META,
    NUMBER,
    OTHER_NUMBER,
    SUBJECT,
    TEST_SPACE,
    attached,
    body,
    cda,
    file,
    hxml,
    hxml_patient,
    mail,
    member,
    patient_xml,
    pid,
    rezip,
    sante,
    xdm,
    xdm_mail,
)
from tests.hprim.examples import V1, V2, V3, V4, V5, text, unix, v1

N, W, R, S = Severity.NOTE, Severity.WARN, Severity.REFUSE, Severity.SAFETY
Make = Callable[[], Report]


@dataclass(frozen=True)
class Case:
    """One rule: ``bad`` breaks it with ``severity`` (at ``line`` when given), ``good`` comes close and does not."""

    rule: str
    severity: Severity
    bad: Make
    good: Make
    line: int | None = None


def long_name(length: int) -> bytes:
    return v1({2: "A" * length})


def html_part(lines: list[str]) -> bytes:
    return f"<html><body><p>{'<br>'.join(lines)}</p></body></html>".encode()


def person(
    surname: str = "LEFEVRE",
    first: str = "ANDREE",
    born: str = "19610214",
    number: str = NUMBER,
    sex: str = "F",
    code: str = "",
) -> Patient:
    ins = (InsId(ARC + "8", number),) if number else ()
    ids = (Identifier("1.2.3", code),) if code else ()
    traits = Traits(birth_surname=surname, first_name=first, birth_date=read_compact(born), sex=sex)
    return Patient(Source.CDA, Place(), traits, ins, ids)


def seen(*people: Patient) -> Report:
    return xdm_mail(known=History(people))


def seen_header(**options: str) -> Report:
    known = History((replace(person(number="", sex="", **options), ids=(Identifier("", "x"),)),))
    return mail(body(v1(), "cp1252"), headers={}, subject="Biologie", known=known)


def cda_file(**options: object) -> Report:
    return file(cda(**options), "DOC.XML")  # type: ignore[arg-type]


def cda_mail(document: bytes, **options: object) -> Report:
    return xdm_mail(xdm(document), **options)


PROD_NIA = ((ARC + "9", NUMBER), ("1.2.3.4", "IPP42"))
TEST_INS = ((ARC + "10", NUMBER), ("1.2.3.4", "IPP42"))
LOCAL = (("1.2.3.4", "IPP42"),)

HEADER_CASES = [
    Case(
        "HID-001",
        R,
        lambda: mail(body("Bonjour"), profile=APICRYPT),
        lambda: mail(body(v1(), "cp1252"), profile=APICRYPT),
    ),
    Case("HID-002", R, lambda: file(text(V1[:4] + V1[5:])), lambda: file(v1({5: ""})), 4),
    Case("HID-003", R, lambda: file(b""), lambda: file(v1())),
    Case("HID-004", W, lambda: file(b"Bonjour,\r\n\r\n" + v1()), lambda: file(v1()), 3),
    Case("HID-005", N, lambda: file(text([*V1[:12], "Tel 02.00", "", *V1[13:]])), lambda: file(v1())),
    Case(
        "HID-006",
        W,
        lambda: file(html_part(V1), "lettre.html"),
        lambda: mail(body(v1(), "cp1252"), attached("x.html", html_part(V1), "text/html")),
    ),
    Case(
        "HID-007",
        W,
        lambda: mail(body("Bonjour"), attached("CR.pdf", b"%PDF-1.4 ...")),
        lambda: mail(body(v1(), "cp1252"), attached("CR.pdf", b"%PDF-1.4 ...")),
    ),
    Case("HID-008", N, lambda: file(("\ufeff" + V5).encode()), lambda: file(v1({4: "x" * 80})), 1),
    Case(
        "HID-009",
        N,
        lambda: mail(body("#BINASCII1#0000AAAA#ENDBINASCII1#")),
        lambda: mail(body("BINASCII1 sans dièse")),
    ),
    Case("HID-010", W, lambda: file(text(V1[:19])), lambda: file(v1())),
    Case("HID-011", S, lambda: file(unix(V4)), lambda: file(unix(V4), profile=Profile(lab_batches=True)), 17),
    Case(
        "HID-012",
        W,
        lambda: file(text([*V1[:19], "****FINFICHIER****", "****FIN****", ""])),
        lambda: file(v1({14: "  **** attention ****"})),
        20,
    ),
    Case("HID-013", W, lambda: file(text(["> " + x for x in V1])), lambda: file(v1({14: "> cité"}))),
    Case("HID-014", W, lambda: file(v1() + b"suite du texte"), lambda: file(v1() + b"\r\n  \r\n")),
    Case("HID-015", N, lambda: file(text(V1[:15] + V1[16:])), lambda: file(v1())),
    Case("HID-016", W, lambda: file(v1({19: "RES|GLY|"})), lambda: file(v1({19: "RES||IGET 005|A"})), 19),
    Case("HID-017", N, lambda: file(sante()), lambda: file(v1())),
    Case("HID-018", N, lambda: file(text(V1, "\r")), lambda: file(text(V1, "\n"))),
    Case("HID-019", R, lambda: file(v1({4: "12\x07 RUE"})), lambda: file(v1({4: "12\tRUE"})), 4),
]

FIELD_CASES = [
    Case("HID-020", R, lambda: file(v1({7: ""})), lambda: file(v1()), 7),
    Case("HID-021", R, lambda: file(v1({7: "18/13/2009"})), lambda: file(v1({7: "18/12/2009"})), 7),
    Case("HID-022", W, lambda: file(v1({7: "14/02/61"})), lambda: file(v1()), 7),
    Case("HID-023", R, lambda: file(v1({7: "14/02/2031"})), lambda: file(v1({7: "22/11/2026"})), 7),
    Case("HID-024", W, lambda: file(v1({7: "14/02/1861"})), lambda: file(v1({7: "24/11/1906"})), 7),
    Case("HID-025", N, lambda: file(v1({7: "00/00/1961"})), lambda: file(v1()), 7),
    Case("HID-026", R, lambda: file(v1({2: " "})), lambda: file(v1({2: "LY"})), 2),
    Case("HID-027", R, lambda: file(v1({2: "MME LEFEVRE ANDREE", 3: ""})), lambda: file(v1({3: "O"})), 3),
    Case("HID-028", W, lambda: file(v1({2: "LEFEVRE2"})), lambda: file(v1({2: "D'HÉRICOURT-LŒUILLET"})), 2),
    Case("HID-029", W, lambda: file(v1({3: "INCONNU"})), lambda: file(v1({3: "PATIENCE"})), 3),
    Case("HID-030", W, lambda: file(v1({2: "MME LEFEVRE"})), lambda: file(v1({2: "MADAME"})), 2),
    Case(
        "HID-031",
        N,
        lambda: mail(body(v1().replace(b"LEFEVRE", b"LEF\xd4VRE"), "iso-8859-1")),
        lambda: mail(body(v1({2: "LEFÈVRE"}), "iso-8859-1")),
    ),
    Case(
        "HID-032",
        R,
        lambda: file(("\ufeff" + "\n".join([V1[0], "LEFÃ‰VRE", *V1[2:]])).encode()),
        lambda: file(v1({2: "LEFÉVRE"})),
        2,
    ),
    Case("HID-033", W, lambda: file(long_name(51)), lambda: file(long_name(50)), 2),
    Case("HID-034", N, lambda: file(v1({7: "01/01/1961"})), lambda: file(v1({7: "02/01/1961"})), 7),
    Case("HID-035", W, lambda: file(v1({10: ""})), lambda: file(v1({10: "M-5128-23/10/2025"})), 10),
    Case("HID-036", W, lambda: file(v1({10: "03/11/1960"})), lambda: file(v1({10: "14/02/1961"})), 10),
    Case("HID-037", W, lambda: file(v1({10: "25/11/2026"})), lambda: file(v1({10: "24/11/2026"})), 10),
    Case("HID-038", N, lambda: file(unix(V3)), lambda: file(v1()), 1),
    Case(
        "HID-039",
        N,
        lambda: mail(body(v1(), "cp1252"), recipients=["paul.essai@test.mssante.fr"]),
        lambda: mail(body(v1(), "cp1252"), recipients=["zoe.test@test.mssante.fr"]),
        12,
    ),
    Case("HID-040", N, lambda: file(v1({8: "0000000000000"})), lambda: file(v1()), 8),
    Case("HID-041", W, lambda: file(v1({8: "261023899900"})), lambda: file(v1({8: "2610238999001"})), 8),
    Case("HID-042", W, lambda: file(v1({8: "2611538999001"})), lambda: file(v1({8: "2612038999001"})), 8),
    Case("HID-043", W, lambda: file(v1({8: "2610238999001 91"})), lambda: file(v1({8: "2.61.02.38.999.001.90"})), 8),
    Case(
        "HID-044",
        W,
        lambda: mail(body(v1({8: "1610238999001 43"}), "cp1252"), attached("DOC.XML", cda())),
        lambda: mail(body(v1(), "cp1252"), attached("DOC.XML", cda())),
    ),
    Case("HID-045", W, lambda: file(v1({7: "14/03/1961"})), lambda: file(v1({7: "14/00/1961"})), 8),
    Case("HID-046", N, lambda: file(v1({8: "361023899900134"})), lambda: file(v1()), 8),
    Case("HID-047", N, lambda: file(v1({8: "5110123456789"})), lambda: file(v1()), 8),
    Case("HID-048", N, lambda: file(v1({7: "14/02/2015"})), lambda: file(v1({7: "14/02/1975"})), 8),
    Case("HID-049", N, lambda: cda_file(county="38185"), lambda: cda_file()),
]

INS_CASES = [
    Case(
        "HID-050",
        R,
        lambda: cda_file(ids=((ARC + "8", NUMBER[:-1] + "1"),)),
        lambda: cda_file(ids=((ARC + "8", "177092A99900475"),), sex="M", born="19770912"),
    ),
    Case(
        "HID-051",
        R,
        lambda: cda_file(ids=((ARC + "12", NUMBER),)),
        lambda: cda_file(ids=((ARC + "8", NUMBER), (ARC + "13", NUMBER))),
    ),
    Case("HID-052", S, lambda: cda_file(ids=TEST_INS), lambda: cda_file()),
    Case("HID-053", W, lambda: cda_file(county=""), lambda: cda_file()),
    Case("HID-054", S, lambda: cda_file(ids=((ARC + "8", NUMBER), (ARC + "8", OTHER_NUMBER))), lambda: cda_file()),
    Case("HID-055", N, lambda: cda_file(ids=PROD_NIA), lambda: cda_file()),
    Case("HID-056", W, lambda: cda_file(ids=((ARC + "2", "0123456789012345678901"), *LOCAL)), lambda: cda_file()),
    Case("HID-057", W, lambda: cda_file(ids=LOCAL), lambda: cda_file()),
    Case("HID-058", R, lambda: cda_mail(cda(ids=PROD_NIA)), xdm_mail),
    Case("HID-059", W, lambda: xdm_mail(headers={"X-MSS-NIL": "X", "X-MSS-INS": "N"}), xdm_mail),
    Case("HID-060", R, lambda: cda_file(target=patient_xml() * 2), lambda: cda_file()),
    Case("HID-061", R, lambda: cda_file(ids=()), lambda: cda_file()),
    Case("HID-062", R, lambda: cda_file(names=""), lambda: cda_file()),
    Case(
        "HID-063", R, lambda: cda_file(names="<name><family>LEFEVRE</family></name>"), lambda: cda_file(used="MARTIN")
    ),
    Case(
        "HID-064",
        W,
        lambda: cda_file(
            names='<name><family qualifier="BR">LEFEVRE</family><given qualifier="IN">ANDREE</given></name>'
        ),
        lambda: cda_file(),
    ),
    Case("HID-065", R, lambda: cda_file(born=None), lambda: cda_file(born="19610214083000+0100")),
    Case("HID-066", R, lambda: cda_file(sex="UN"), lambda: cda_file(ids=LOCAL, sex="UN")),
    Case("HID-067", W, lambda: cda_file(county="3818"), lambda: cda_file(county="2A004")),
    Case("HID-068", W, lambda: cda_file(first="MARIE"), lambda: cda_file(first="ANDREE-MARIE")),
    Case("HID-069", R, lambda: cda_file(more='<raceCode code="x"/>'), lambda: cda_file(more="<maritalStatusCode/>")),
]

EMAIL_NAME = "MARTIN Sophie CR.pdf"
CONSISTENCY_CASES = [
    Case(
        "HID-070",
        S,
        lambda: xdm_mail(None, attached("a.hpr", v1({2: "DURAND"}))),
        lambda: xdm_mail(None, attached("a.hpr", v1())),
    ),
    Case(
        "HID-071",
        S,
        lambda: xdm_mail(None, attached("a.hpr", v1({3: "PAULE"}))),
        lambda: xdm_mail(None, attached("a.hpr", v1())),
    ),
    Case(
        "HID-072",
        S,
        lambda: xdm_mail(None, attached("a.hpr", v1({7: "02/04/1961"}))),
        lambda: xdm_mail(None, attached("a.hpr", v1({7: "00/02/1961"}))),
    ),
    Case(
        "HID-073",
        R,
        lambda: xdm_mail(None, attached("a.hl7", pid(sex="M"))),
        lambda: xdm_mail(None, attached("a.hl7", pid(sex="U"))),
    ),
    Case(
        "HID-074",
        S,
        lambda: xdm_mail(xdm(cda(), cda(ids=((ARC + "8", OTHER_NUMBER),), oid="1.2.3.99.2"))),
        lambda: xdm_mail(xdm(cda(), cda(oid="1.2.3.99.2"))),
    ),
    Case(
        "HID-075",
        R,
        lambda: xdm_mail(rezip(xdm(), {META: member(xdm(), META).replace(b"IPP42", b"IPP43")})),
        xdm_mail,
    ),
    Case(
        "HID-076",
        S,
        lambda: xdm_mail(rezip(xdm(), {META: member(xdm(), META).replace(b"PID-5|LEFEVRE", b"PID-5|DURAND")})),
        xdm_mail,
    ),
    Case("HID-077", W, lambda: xdm_mail(subject=SUBJECT.replace("LEFEVRE", "DURAND")), xdm_mail),
    Case("HID-078", W, lambda: xdm_mail(subject="Compte rendu"), xdm_mail),
    Case("HID-079", W, lambda: xdm_mail(subject=SUBJECT + " 2 61 02 38 999 001 90"), xdm_mail),
    Case(
        "HID-080",
        S,
        lambda: xdm_mail(None, attached("b.xml", cda(ids=LOCAL, surname="DURAND", first="PAUL", born="19800101"))),
        lambda: xdm_mail(None, attached("b.xml", cda(oid="1.2.3.9"))),
    ),
    Case(
        "HID-081",
        W,
        lambda: xdm_mail(None, attached("a.hpr", v1({2: "LEFEBVRE"}))),
        lambda: xdm_mail(None, attached("a.hpr", v1())),
    ),
    Case(
        "HID-082",
        N,
        lambda: xdm_mail(xdm(cda(used="MARTIN")), attached("a.hpr", v1({2: "MARTIN"}))),
        lambda: xdm_mail(xdm(cda(used="MARTIN")), attached("a.hpr", v1())),
    ),
    Case(
        "HID-083",
        N,
        lambda: xdm_mail(None, attached("a.hpr", v1({3: "MARIE"}))),
        lambda: xdm_mail(None, attached("a.hpr", v1())),
    ),
    Case(
        "HID-084",
        W,
        lambda: file(v1({14: "Patient : Mme DURAND Sophie"})),
        lambda: file(v1({14: "Patient : Mme LEFEVRE Andrée"})),
        14,
    ),
    Case(
        "HID-085",
        W,
        lambda: xdm_mail(None, attached(EMAIL_NAME, b"%PDF-1.4")),
        lambda: xdm_mail(None, attached("LEFEVRE Andrée CR.pdf", b"%PDF-1.4")),
    ),
    Case(
        "HID-086",
        R,
        lambda: xdm_mail(None, attached("a.hl7", pid(ids=f"{NUMBER}^^^X&{ARC}8&ISO^INS"))),
        lambda: xdm_mail(None, attached("a.hl7", pid())),
    ),
    Case("HID-087", W, lambda: file(pid(status="PROV")), lambda: file(pid())),
    Case(
        "HID-088",
        S,
        lambda: file(sante("P|1|1|||LEFEVRE~ANDREE||19610214|F|", "P|2|2|||DURAND~PAUL||19800101|M|")),
        lambda: file(sante("P|1|1|||LEFEVRE~ANDREE||19610214|F|", "P|2|1|||LEFEVRE~ANDREE||19610214|F|")),
    ),
    Case(
        "HID-089",
        S,
        lambda: xdm_mail(recipients=[f"{OTHER_NUMBER}@patient.mssante.fr"]),
        lambda: xdm_mail(recipients=[f"{NUMBER}@patient.mssante.fr"]),
    ),
    Case("HID-090", N, lambda: seen_header(first="ANDREA"), lambda: seen_header(born="19610315")),
    Case("HID-091", S, lambda: seen(person(surname="DURAND")), lambda: seen(person(surname="LEFEVRE-MARTIN"))),
    Case("HID-092", W, lambda: seen(person(number=OTHER_NUMBER)), lambda: seen(person())),
    Case("HID-093", W, lambda: seen_header(), lambda: seen_header(first="PAULE")),
    Case("HID-094", R, lambda: file(pid(status="FICT")), lambda: file(pid())),
    Case("HID-095", N, lambda: seen(person(first="MICHELLE", number=OTHER_NUMBER)), lambda: seen(person())),
    Case(
        "HID-096",
        W,
        lambda: xdm_mail(known=History(documents={"cda:1.2.3.99.1": person(surname="DURAND")})),
        lambda: xdm_mail(known=History(documents={"cda:1.2.3.99.1": person()})),
    ),
    Case(
        "HID-098",
        N,
        lambda: xdm_mail(known=History(versions={"cda:1.2.3.99.1": Version(1, sha256(cda()).hexdigest())})),
        lambda: xdm_mail(known=History(versions={"cda:1.2.3.99.2": Version(1, sha256(cda()).hexdigest())})),
    ),
    Case(
        "HID-099",
        W,
        lambda: xdm_mail(known=History(versions={"set:1.2.3.99.1.0": Version(2, "other")})),
        lambda: xdm_mail(known=History(versions={"set:1.2.3.99.1.0": Version(0, "other")})),
    ),
    Case(
        "HID-097",
        N,
        lambda: cda_file(
            related='<relatedDocument typeCode="RPLC"><parentDocument><id root="1.2"/></parentDocument></relatedDocument>'
        ),
        lambda: cda_file(
            related='<relatedDocument typeCode="APND"><parentDocument><id root="1.2"/></parentDocument></relatedDocument>'
        ),
    ),
]

NO_CDA = {"X-MSS-NIL": "X"}
OBX = ["OBX|1|CE|MASQUE_PS^x^MetaDMPMSS||Y|", "OBX|2|CE|DESTMSSANTEPS^x^MetaDMPMSS||Y|"]
MSS_CASES = [
    Case("MSS-090", R, lambda: xdm_mail(rezip(xdm(), {META: None})), xdm_mail),
    Case(
        "MSS-091",
        R,
        lambda: file(b'<!DOCTYPE a [<!ENTITY b "c">]><ClinicalDocument xmlns="urn:hl7-org:v3"/>'),
        lambda: cda_file(),
    ),
    Case(
        "MSS-092",
        R,
        lambda: xdm_mail(rezip(xdm(), {DOC: cda(label="autre")})),
        lambda: xdm_mail(rezip(xdm(), {DOC: cda()})),
    ),
    Case("MSS-093", W, lambda: xdm_mail(headers={**HEADERS, "X-MSS-CODECDA": "11502-2"}), xdm_mail),
    Case(
        "MSS-094",
        W,
        lambda: mail(body("Bonjour"), headers={**NO_CDA, "X-MSS-CODECDA": "11502-2"}),
        lambda: mail(body("Bonjour"), headers=NO_CDA),
    ),
    Case("MSS-096", N, lambda: mail(body("Bonjour"), headers={}), lambda: mail(body("Bonjour"), headers=NO_CDA)),
    Case(
        "MSS-097",
        W,
        lambda: xdm_mail(headers={**HEADERS, "x-mss-mes": "fin"}, recipients=[f"{NUMBER}@patient.mssante.fr"]),
        lambda: xdm_mail(headers={**HEADERS, "x-mss-mes": "FIN"}, recipients=[f"{NUMBER}@patient.mssante.fr"]),
    ),
    Case(
        "MSS-098",
        R,
        lambda: mail(body("Bonjour"), recipients=["261023899900191@patient.mssante.fr"]),
        lambda: mail(body("Bonjour"), recipients=[f"{NUMBER}@patient.mssante.fr"]),
    ),
    Case(
        "MSS-099",
        R,
        lambda: cda_mail(cda(ids=PROD_NIA), recipients=[f"{NUMBER}@patient.mssante.fr"]),
        lambda: xdm_mail(recipients=[f"{NUMBER}@patient.mssante.fr"]),
    ),
    Case(
        "MSS-105",
        W,
        lambda: xdm_mail(recipients=[f"{NUMBER}@patient.mssante.fr", f"{OTHER_NUMBER}@patient.mssante.fr"]),
        lambda: xdm_mail(recipients=[f"{NUMBER}@patient.mssante.fr"]),
    ),
    Case(
        "MSS-107",
        W,
        lambda: file(cda(), "DOC.XML", profile=TEST_SPACE),
        lambda: file(cda(ids=TEST_INS), "DOC.XML", profile=TEST_SPACE),
    ),
    Case("MSS-110", W, lambda: xdm_mail(subject="Résultats de Mme Lefèvre"), xdm_mail),
    Case(
        "MSS-111",
        W,
        lambda: xdm_mail(None, attached("CR.pdf", b"%PDF-1.4")),
        lambda: xdm_mail(None, attached("20251103_CR hospitalier_LEFEVRE_Andree.pdf", b"%PDF-1.4")),
    ),
    Case(
        "MSS-112",
        N,
        lambda: mail(body("café", "iso-8859-1")),
        lambda: mail(body("café", "utf-8")),
    ),
    Case(
        "MSS-113",
        S,
        lambda: xdm_mail(None, attached("a.hl7", pid(obx=OBX))),
        lambda: xdm_mail(None, attached("a.hl7", pid(obx=OBX[1:]))),
    ),
    Case("HID-100", N, lambda: file(b"{\\rtf1 x}", "lettre.rtf"), lambda: file(v1(), "lettre.hpr")),
    Case("MSS-114", R, lambda: file(cda()[:-30], "DOC.XML"), lambda: cda_file()),
]

CASES = HEADER_CASES + FIELD_CASES + INS_CASES + CONSISTENCY_CASES + MSS_CASES


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.rule}-broken")
def test_rule_is_caught(case: Case) -> None:
    report = case.bad()
    found = [p for p in report.problems if p.rule == case.rule]
    assert found, f"{case.rule} not among {sorted(report.rules)}"
    assert case.severity in {p.severity for p in found}
    if case.line is not None:
        assert case.line in {p.place.line for p in found}


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.rule}-respected")
def test_rule_is_silent(case: Case) -> None:
    assert case.rule not in case.good().rules


def test_every_rule_of_the_catalogue_has_its_case() -> None:
    assert {c.rule for c in CASES} == set(CATALOGUE)


@pytest.mark.parametrize("rule", sorted(CATALOGUE))
def test_every_rule_speaks_both_languages_and_refusals_say_what_to_do(rule: str) -> None:
    entry = CATALOGUE[rule]
    assert entry.fr
    assert entry.en
    assert entry.fr != entry.en
    if entry.severity.rank >= R.rank and rule != "HID-080":
        assert entry.remedy_fr
        assert entry.remedy_en


PEOPLE = ("DURAND", "MARTIN", "LEFEVRE", "LEFEBVRE", "BENTEST", "ROSSINI", "Sophie", "YOUSSEF", NUMBER, OTHER_NUMBER)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.rule)
def test_sentences_are_filled_and_name_nobody(case: Case) -> None:
    for problem in case.bad().problems:
        for language in ("fr", "en"):
            sentence = problem.text(language)
            assert "{" not in sentence
            assert "\n" not in sentence
            assert not [name for name in PEOPLE if name in sentence]


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("IHE_XDM.zip", "IHE_XDM.zip"),
        ("IHE_XDM/SUBSET01/DOC0001.XML", "DOC0001.XML"),
        ("CR consultation.pdf", "CR consultation.pdf"),
        ("lettre.hpr", "lettre.hpr"),
        ("DUPONT Jean.pdf", "DU….pdf"),
        ("20251103_CR_DUPONT_Jean.pdf", "20….pdf"),
        ("2610238999001.hpr", "26….hpr"),
        ("", ""),
    ],
)
def test_file_names_that_may_be_a_patient_are_cut(name: str, seen: str) -> None:
    assert shown(name) == seen


def test_safety_refusals_cannot_be_lowered() -> None:
    softened = Profile(severities=dict.fromkeys(CATALOGUE, N))
    for case in CASES:
        if case.severity is S:
            assert softened.severity(CATALOGUE[case.rule], S) is S


def test_other_severities_follow_the_profile() -> None:
    report = file(v1({7: ""}), profile=Profile(severities={"HID-020": W}))
    assert [(p.rule, p.severity) for p in report.problems] == [("HID-020", W)]


def test_a_profile_refuses_an_unknown_rule() -> None:
    with pytest.raises(KeyError):
        Profile(severities={"HID-999": W})


VALID = {
    "V1": v1(),
    "V2": unix(V2),
    "V3": unix(V3),
    "V5": ("\ufeff" + V5).encode(),
}
EXPECTED_NOTES = {
    "V1": set(),
    "V2": set(),
    "V3": {"HID-038", "HID-040"},
    "V5": {"HID-008", "HID-034", "HID-040"},
}


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize("as_file", ["lettre.hpr", "", "RESULTAT.TXT"])
def test_valid_examples_pass_with_their_notes_only(name: str, as_file: str) -> None:
    report = file(VALID[name], as_file)
    assert report.rules == EXPECTED_NOTES[name]
    assert report.worst in (None, N)
    assert len(report.patients) == 1


def test_both_names_fillers_is_a_safety_refusal() -> None:
    report = file(v1({2: "X", 3: "INCONNU"}))
    assert S in {p.severity for p in report.problems if p.rule == "HID-029"}


def test_subject_naming_nobody_with_another_date_is_a_safety_refusal() -> None:
    report = xdm_mail(subject="XDM/1.0/DDM+CR DURAND Paul 01/02/1990")
    assert [p.severity for p in report.problems if p.rule == "HID-077"] == [S]


def test_a_patient_of_hprim_xml_without_a_surname() -> None:
    report = file(hxml(hxml_patient(surname="")), "a.xml")
    assert {p.rule for p in report.refused} == {"HID-026"}
    assert report.refused[0].text("fr")


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_each_sentence_is_given_what_it_has_blanks_for() -> None:
    """A blank left open would end the reading of the document."""
    for path in sorted(Path(rules.__file__).parent.glob("*.py")):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "add"):
                continue
            name = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
            given = {k.arg for k in call.keywords}
            if name in CATALOGUE and None not in given:
                rule = CATALOGUE[str(name)]
                assert blanks(rule.fr + rule.en + rule.remedy_fr + rule.remedy_en) <= given, (
                    f"{path.name}:{call.lineno} {name}"
                )


FOLLOWING = (
    '<name><given qualifier="BR">ANDREE</given><given>MARIE</given><given>LOUISE</given>'
    '<family qualifier="BR">LEFEVRE</family></name>'
)


def test_up_to_2022_the_list_of_first_names_may_be_what_follows_the_first() -> None:
    old, new = (cda_file(names=FOLLOWING, template=year) for year in ("2022.01", "2024.01"))
    assert "HID-068" not in old.rules
    assert old.patients[0].traits.first_names == "ANDREE MARIE LOUISE"
    assert "HID-068" in new.rules
    assert "HID-068" in cda_file(first="MARIE", template="2022.01").rules
    assert "HID-053" in cda_file(names=FOLLOWING.replace("<given>MARIE</given><given>LOUISE</given>", "")).rules
