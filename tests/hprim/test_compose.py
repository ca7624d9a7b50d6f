"""What is composed passes the same rules, and no value can break out of its place."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hprim.compose import (
    ComposeError,
    HeaderFields,
    display_name,
    hprim_text,
    latin_bytes,
    pdf_name,
    plain,
    subject,
    xdm_archive,
)
from hprim.dates import PartialDate
from hprim.model import Traits
from tests.hprim.builders import META, SUBMISSION, attached, body, cda, file, mail, member, xdm, xdm_mail
from tests.hprim.examples import TODAY

FIELDS = HeaderFields(
    surname="D'Héricourt-Lœuillet",
    first_name="Zoé",
    birth_date=date(1961, 2, 14),
    patient_code="42",
    postcode="38000",
    city="Grenoble",
    nir="2610238999001",
    file_number="506232",
    file_date=date(2025, 11, 3),
    sender="zoe.test",
    receiver="paul.essai",
)
TRAITS = Traits(birth_surname="Lefèvre", first_name="Andrée", birth_date=PartialDate(1961, 2, 14), sex="F")


def test_composed_header_has_no_problem_at_all() -> None:
    message = hprim_text(FIELDS, "Cher confrère,\nrien de notable.", ["RES|CREATININE|CREA|N|8.3|mg/l|6.0|11.0|N|F"])
    report = mail(body(message), headers={"X-MSS-NIL": "x"}, subject="Courrier")
    assert report.problems == ()
    t = report.patients[0].traits
    assert (t.surname, t.first_name) == ("D'Héricourt-Lœuillet", "Zoé")
    assert report.patients[0].nir == "261023899900190"


def test_minimal_header_is_complete() -> None:
    bare = HeaderFields("MOREL", "Luc", date(1948, 11, 5))
    report = file(hprim_text(bare, "x").encode(), "a.hpr")
    assert not report.refused
    with pytest.raises(ComposeError):
        hprim_text(replace(bare, surname=" "), "x")


def test_latin_spelling_says_what_changed() -> None:
    assert latin_bytes("Lœuillet") == (b"Loeuillet", True)
    assert latin_bytes("Zoé") == (b"Zo\xe9", False)


@given(
    st.builds(
        HeaderFields,
        surname=st.text(min_size=1),
        first_name=st.text(min_size=1),
        birth_date=st.dates(min_value=date(1900, 1, 1), max_value=date(2025, 1, 1)),
        city=st.text(),
        sender=st.text(),
        patient_code=st.text(),
        file_number=st.text(),
    ),
    st.text(),
)
def test_no_value_can_add_a_line_or_a_tag(fields: HeaderFields, letter: str) -> None:
    try:
        lines = hprim_text(fields, letter).split("\r\n")
    except ComposeError:
        return
    assert lines[6] == fields.birth_date.strftime("%d/%m/") + f"{fields.birth_date.year:04d}"
    assert [x for x in lines if x.strip() in ("****FIN****", "****FINFICHIER****")] == [
        "****FIN****",
        "****FINFICHIER****",
    ]
    assert all("\n" not in line and "\r" not in line for line in lines)


def test_archive_layout_and_metadata() -> None:
    archive = xdm(cda(), cda(oid="1.2.3.99.2", used="MARTIN"))
    meta = member(archive, META).decode()
    assert "DOC0002.XML" in meta
    assert "261023899900190^^^&amp;1.2.250.1.213.1.4.8&amp;ISO^NH" in meta
    assert "PID-5|LEFEVRE^ANDREE^ANDREE MARIE^^^^L~MARTIN^ANDREE^^^^^D" in meta
    assert member(archive, "README.TXT").isascii()
    assert b"DOC0001.XML" in member(archive, "INDEX.HTM")
    assert xdm_mail(archive).problems == ()


def test_archive_is_the_same_for_the_same_arguments() -> None:
    assert xdm() == xdm()


@pytest.mark.parametrize("bad", [b"", b"<a/>", b"%PDF", cda(target=""), cda(ids=())])
def test_archive_needs_a_cda_that_names_a_patient(bad: bytes) -> None:
    with pytest.raises(ComposeError):
        xdm_archive([bad], SUBMISSION, today=TODAY)


def test_archive_needs_a_document() -> None:
    with pytest.raises(ComposeError):
        xdm_archive([], SUBMISSION, today=TODAY)


@given(st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30))
def test_any_label_makes_well_formed_metadata(label: str) -> None:
    report = file(xdm(cda(label=escape(label))), "IHE_XDM.zip")
    assert not {"MSS-092", "MSS-114", "MSS-091"} & report.rules


def test_subject_form() -> None:
    assert subject("CR d'imagerie médicale", TRAITS) == "XDM/1.0/DDM+CR d'imagerie médicale LEFEVRE Andree 14/02/1961"
    assert subject("x", TRAITS, documents=2).startswith("XDM/1.0/DDM+2 documents LEFEVRE")
    assert subject("L" * 60, TRAITS).startswith("XDM/1.0/DDM+" + "L" * 40 + " LEFEVRE")
    assert subject("x", TRAITS, replaces=True).startswith("[Annule et remplace] XDM/1.0/DDM+")
    assert "\n" not in subject("a\r\nBcc: evil", TRAITS)


def test_names_of_files_and_mailboxes() -> None:
    assert pdf_name(date(2022, 5, 31), "CR d'imagerie médicale", TRAITS, "42") == (
        "20220531_CR d'imagerie médicale_LEFEVRE_Andree_42.pdf"
    )
    assert "/" not in pdf_name(date(2022, 5, 31), "../..\\a_b", TRAITS)
    assert display_name("Test", "Zoé", "Dr", "Labo <Vallée>") == "Dr Zoé TEST (Labo Vallée )"
    assert not set('"<>@,;:\\') & set(display_name('a"<b@c>', "d;e"))
    assert plain("Élodie Œuf") == "Elodie OEuf"


def test_composed_pdf_name_suits_the_document() -> None:
    name = pdf_name(date(2025, 11, 3), "CR hospitalier", TRAITS)
    assert xdm_mail(None, attached(name, b"%PDF-1.4")).problems == ()
