"""HPRIM Médecins headers: where they start, several patients, results, batches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hprim import header
from hprim.findings import DEFAULT, Findings, Profile
from hprim.lines import split
from hprim.model import Place, Severity
from tests.hprim.builders import attached, body, cda, file, mail
from tests.hprim.examples import TODAY, V1, V2, V3, V4, V5, text, unix, v1


def traits_of(data: bytes, name: str = "") -> tuple[str, str, str]:
    report = file(data, name)
    t = report.patients[0].traits
    return t.surname, t.first_name, t.birth_date.iso() if t.birth_date else ""


LEFEVRE = ("LEFEVRE", "ANDREE", "1961-02-14")


@pytest.mark.parametrize(
    "data",
    [
        v1(),
        text(V1, "\n"),
        text(V1, "\r"),
        text(V1, "\r\r\n"),
        b"Bonjour,\r\n\r\n" + v1(),
        b"\r\n" + v1(),
        text(V1[1:]),
        text(V1[:4] + V1[5:]),
        text(V1[:3] + V1[5:]),
        text(V1[:3] + V1[6:]),
        text([*V1[:4], "BATIMENT B", *V1[4:]]),
        text(["> " + line for line in V1]),
        text(["Le 3/11/2025, X a écrit :", "", *(">" + line for line in V1)]),
        text([">> " + line for line in V1]),
        text([*(f"Ligne {i} de politesse." for i in range(45)), *V1]),
        text([*V1[:12], "Tel 02.00.00.00.00", "", *V1[13:]]),
        v1({10: ""}),
        v1({8: "", 6: "", 10: "", 1: ""}),
        v1({15: "Date de naissance : 14/02/1961", 14: "12/03/2020"}),
    ],
    ids=lambda d: str(len(d)),
)
@pytest.mark.parametrize("name", ["", "a.HPR"])
def test_the_patient_is_read_wherever_the_header_stands(data: bytes, name: str) -> None:
    assert traits_of(data, name) == LEFEVRE


def test_missing_lines_never_turn_the_file_date_into_a_birth_date() -> None:
    report = file(text(V1[:3] + V1[6:]))
    assert "HID-002" in {p.rule for p in report.refused}
    assert traits_of(text(V1[:3] + V1[6:]))[2] == "1961-02-14"


@pytest.mark.parametrize(
    "prose",
    [
        "Bonjour,\n\nVeuillez trouver ci-joint le compte rendu.\n\nCordialement\nDr Essai\n",
        "Dr Paul Essai\nCabinet medical\nMedecine generale\n12 rue du Test\n\n38000 GRENOBLE\n\n03/11/2025\n\nCher ami,\n",
        "Rendez-vous le 12/03/2026 à 10 h.\n**Important** : venir à jeun.\n",
        "\n" * 40,
        "1\n2\n3\n4\n5\n6\n14/02/1961\n8\n9\n10\n11\n12\n",
    ],
)
def test_ordinary_text_is_left_alone(prose: str) -> None:
    report = mail(body(prose), headers={"X-MSS-NIL": "X"}, subject="Bonjour")
    assert report.problems == ()
    assert not report.has_header


def test_several_patients_and_batches() -> None:
    two = unix(V4)
    assert len(file(two).patients) == 2
    batches = Profile(lab_batches=True)
    accepted = file(two, profile=batches)
    assert not accepted.refused
    assert len(accepted.patients) == 2


@pytest.mark.parametrize(
    "data",
    [
        unix(V4.replace("ROSSINI", "BENTEST").replace("ANGE", "YOUSSEF")),
        unix(V4.replace("****FIN****\nA0002", "\nA0002")),
        unix(V4.replace("12/09/1977", "")),
        b"Bonjour\n" + unix(V4),
        unix(V4.replace("****FIN****\n****FINFICHIER", "****FINFICHIER")),
    ],
    ids=["mother-and-daughter", "no-tag-between", "no-birth-date", "greeting", "last-not-closed"],
)
def test_a_batch_must_be_whole(data: bytes) -> None:
    assert file(data, profile=Profile(lab_batches=True)).refused


def test_a_second_header_without_tag_is_found() -> None:
    joined = text(V1[:15]) + b"\r\n" + unix(V3)
    report = file(joined)
    assert {"HID-011", "HID-080"} <= {p.rule for p in report.refused}


def test_a_second_file_after_the_end_tag_is_found() -> None:
    assert "HID-011" in {p.rule for p in file(v1() + unix(V3)).refused}


def test_the_same_patient_twice_is_one() -> None:
    report = file(v1().replace(b"****FINFICHIER****", b"") + v1())
    assert len(report.patients) == 1
    assert "HID-011" not in report.rules


def test_header_in_body_and_attachment_of_two_patients() -> None:
    report = mail(body(v1(), "cp1252"), attached("x.hpr", unix(V2)))
    assert {"HID-011", "HID-070", "HID-072"} <= {p.rule for p in report.refused}
    places = {p.place.part for p in report.problems if p.rule == "HID-070"}
    assert places == {"x.hpr"}


def test_lines_are_those_of_the_original_file() -> None:
    report = file(b"Bonjour,\r\n\r\n" + v1({7: "31/02/1961"}))
    assert [p.place.line for p in report.problems if p.rule == "HID-021"] == [9]


def test_details_of_the_header() -> None:
    document = file(v1()).documents[0]
    assert document.details["sender"] == "LABORATOIRE DE LA VALLEE"
    assert document.details["receiver_code"] == "DRTEST"
    assert document.identifier == "506232"
    assert document.written == "2025-11-03"


def test_bare_results_without_a_patient_are_refused() -> None:
    report = file(b"RES|GLY|GLY|N|5.5|mmol/l\r\nRES|NA|NA|N|140|mmol/l\r\n")
    assert "HID-001" in {p.rule for p in report.refused}


def test_bare_results_beside_a_header_are_fine() -> None:
    results = attached("x.hpr", b"RES|GLY|GLY|N|5.5|mmol/l\r\nRES|NA|NA|N|140|mmol/l\r\n")
    report = mail(body(v1(), "cp1252"), results, headers={})
    assert not report.refused


def test_solabio_routing_line_and_unicode() -> None:
    report = file(("\ufeff" + V5).encode(), "x.txt")
    assert report.patients[0].traits.surname == "D'HÉRICOURT-LŒUILLET"
    assert report.worst is Severity.NOTE


@given(st.lists(st.sampled_from([*V1, "", "14/02/1961", "****FIN****", "DURAND", "\x00", "> x"]), max_size=40))
def test_any_arrangement_of_lines_gets_an_answer(lines: list[str]) -> None:
    report = file(text(lines))
    assert report.to_json()
    for problem in report.problems:
        assert 0 <= problem.place.line <= len(lines) + 1


@given(st.binary(max_size=600))
def test_any_bytes_get_an_answer(data: bytes) -> None:
    file(data)
    file(data, "")


@given(st.text(max_size=300))
def test_reader_alone_never_raises(written: str) -> None:
    findings = Findings(DEFAULT)
    header.read(split(written.encode("utf-8", "replace")), Place(), findings, TODAY, sure=True)
    assert all(p.place.line >= 0 for p in findings.problems)


@pytest.mark.parametrize(
    ("line", "value", "rule"), [(2, "DURAND", "HID-070"), (3, "PAULE", "HID-071"), (7, "02/04/1961", "HID-072")]
)
def test_a_conflict_points_at_its_line(line: int, value: str, rule: str) -> None:
    report = mail(attached("DOC.XML", cda()), attached("lettre.hpr", b"Bonjour,\r\n" + v1({line: value})))
    assert [p.place.line for p in report.problems if p.rule == rule] == [line + 1]


def test_places_are_said_in_good_french() -> None:
    assert Place("lettre.hpr", 7).said("fr") == "ligne 7 de lettre.hpr"
    assert Place("", 7).said("fr") == "ligne 7 du corps du message"
    assert Place().said("fr") == "le message"
    assert Place("", 7).said("en") == "line 7 of the message body"
    assert Place("IHE_XDM.zip", member="IHE_XDM/SUBSET01/DOC0001.XML").said("fr") == "DOC0001.XML (IHE_XDM.zip)"


@pytest.mark.parametrize("message", [V1, V2.split("\n"), V3.split("\n")], ids=["V1", "V2", "V3"])
@pytest.mark.parametrize("name", ["", "a.hpr"])
@pytest.mark.parametrize("number", range(1, 13))
def test_any_line_lost_or_added_never_names_somebody_else(message: list[str], name: str, number: int) -> None:
    """Either the right person is read, or the message is refused."""
    right = (message[1], message[2], message[6])
    for lines in (message[: number - 1] + message[number:], [*message[: number - 1], "", *message[number - 1 :]]):
        report = file("\n".join(lines).encode(), name)
        found = [p.traits for p in report.patients]
        same = [(t.surname, t.first_name, t.birth_date.french() if t.birth_date else "") == right for t in found]
        assert report.refused or same == [True]
