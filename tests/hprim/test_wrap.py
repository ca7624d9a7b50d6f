"""Identities as plain data, and CDA documents built around a PDF: both come back as they went in."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hprim.compose import ComposeError, pdf_name, subject
from hprim.identity import IdentityError, patient_from_json
from hprim.model import Patient, Severity
from hprim.wrap import About, Writer, wrap
from tests.hprim.builders import ARC, NUMBER, attached, body, cda, file, mail, xdm

GIVEN = {
    "ins": [{"oid": ARC + "8", "matricule": NUMBER}],
    "ids": [{"root": "1.2.3.4", "extension": "IPP42"}],
    "birth_surname": "Lefèvre",
    "used_surname": "O'Martin & <Fils>",
    "first_name": "Andrée",
    "first_names": "Andrée Marie",
    "birth_date": "1961-02-14",
    "sex": "F",
    "birth_place": "38999",
}
WRITER = Writer("810002422979", "TEST", "Zoé", "Cabinet de l'Essai", "1120456789")
ABOUT = About("1.2.3.99.7", "34112-3", "CR hospitalier", datetime(2025, 11, 3, 10, 0, tzinfo=UTC))
PDF = b"%PDF-1.4 contenu"


def patient(**changes: object) -> Patient:
    return patient_from_json({**GIVEN, **changes})


def test_a_wrapped_pdf_makes_a_whole_conformant_mail() -> None:
    document = wrap(PDF, "application/pdf", patient(), ABOUT, WRITER)
    report = mail(
        body("Bonjour."),
        attached("IHE_XDM.zip", xdm(document)),
        attached(pdf_name(date(2025, 11, 3), ABOUT.label, patient().traits), PDF),
        subject=subject(ABOUT.label, patient().traits),
        recipients=[f"{NUMBER}@patient.mssante.fr"],
    )
    assert {p.rule for p in report.problems} <= {"HID-028"}
    assert report.qualified_ins
    traits = report.patients[0].traits
    assert (traits.birth_surname, traits.used_surname, traits.first_names) == (
        "Lefèvre",
        "O'Martin & <Fils>",
        "Andrée Marie",
    )
    assert report.documents[1].author == "Zoé TEST"


def test_what_a_check_prints_can_be_fed_back() -> None:
    printed = file(cda(), "a.xml").patients[0].to_json()
    again = patient_from_json(printed)
    assert again.traits.birth_surname == "LEFEVRE"
    assert again.ins[0].matricule == NUMBER


def test_replacement_and_time() -> None:
    document = wrap(
        PDF, "application/pdf", patient(), About("1.2.3.5", "X", "x", ABOUT.written, replaces="1.2.3.4"), WRITER
    )
    assert "HID-097" in file(document, "a.xml").rules
    with pytest.raises(ComposeError):
        wrap(PDF, "application/pdf", patient(), About("1.2.3.5", "X", "x", datetime(2025, 1, 1)), WRITER)  # noqa: DTZ001


def test_without_ins_the_document_is_still_sendable_between_professionals() -> None:
    document = wrap(b"texte", "text/plain", patient(ins=[]), ABOUT, WRITER)
    report = file(document, "a.xml")
    assert report.rules <= {"HID-057", "HID-028"}
    assert report.worst is Severity.WARN


@pytest.mark.parametrize(
    "changes",
    [
        {"birth_date": "31/02/1961"},
        {"birth_date": ""},
        {"birth_surname": "", "used_surname": ""},
        {"first_name": "", "first_names": ""},
        {"sex": "X"},
        {"birth_place": "123"},
        {"prenom": "x"},
        {"first_name": 3},
        {"first_name": "a\nb"},
        {"ins": "x"},
        {"ins": [{"oid": "1.2", "matricule": NUMBER}]},
        {"ins": [{"oid": ARC + "8", "matricule": "261023899900191"}]},
        {"ids": [3]},
    ],
)
def test_identities_that_cannot_be_used(changes: dict[str, object]) -> None:
    with pytest.raises(IdentityError) as refused:
        patient(**changes)
    assert refused.value.words.fr


@pytest.mark.parametrize(
    ("changes", "french"),
    [
        ({"birth_date": "14 février"}, "date de naissance illisible"),
        ({"birth_date": "14.02.1961"}, "date de naissance illisible"),
        ({"birth_date": "14/02/19611"}, "date de naissance illisible"),
        ({"birth_date": ""}, "obligatoires"),
        ({"first_name": "x" * 201}, "first_name"),
        ({"ids": [{"root": "1.2", "extension": "x"}] * 21}, "ids"),
        ({"ids": "1.2"}, "ids"),
    ],
)
def test_a_refused_identity_says_why(changes: dict[str, object], french: str) -> None:
    with pytest.raises(IdentityError) as refused:
        patient(**changes)
    assert french in refused.value.words.fr


def test_an_identity_may_be_as_long_as_the_limits() -> None:
    known = [{"root": f"1.2.{number}", "extension": "x"} for number in range(20)]
    made = patient(first_name="x" * 200, ids=known, birth_place="", used_surname=None)
    assert (made.traits.first_name, made.traits.used_surname) == ("x" * 200, "")
    assert patient(ids=known[0]).ids[-1].root == "1.2.0"


@pytest.mark.parametrize("changes", [{"ins": [], "ids": []}, {"ins": [], "ids": [{"root": "", "extension": "42"}]}])
def test_a_cda_needs_an_identifier(changes: dict[str, object]) -> None:
    with pytest.raises(ComposeError):
        wrap(PDF, "application/pdf", patient(**changes), ABOUT, WRITER)


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_value_breaks_the_document(label: str, organization: str) -> None:
    about = About("1.2.3.5", "34112-3", label, ABOUT.written)
    document = wrap(PDF, "application/pdf", patient(), about, Writer("8", label, label, organization))
    assert not {"MSS-114", "MSS-091"} & file(document, "a.xml").rules


@given(
    st.dictionaries(
        st.sampled_from([*GIVEN, "x"]), st.none() | st.text(max_size=20) | st.lists(st.integers(), max_size=2)
    )
)
def test_any_data_is_a_patient_or_a_clear_refusal(given: dict[str, object]) -> None:
    try:
        assert patient_from_json(given).traits.birth_date
    except IdentityError as error:
        assert error.words.en  # noqa: PT017


def test_both_ways_of_writing_a_birth_date() -> None:
    born = patient(birth_date="14/02/1961").traits.birth_date
    assert born is not None
    assert born.iso() == "1961-02-14"
