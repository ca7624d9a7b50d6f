"""Documents as many programs write them, and wrong patients wherever an identity can stand: nothing honest refused, nobody let through.

A false refusal makes a secretary switch the checks off; a false pass files a result under another patient.
"""

from __future__ import annotations

import pytest

from hprim.model import Report, Severity
from tests.hprim import variants
from tests.hprim.builders import attached, body, file, mail, xdm, xdm_mail

DOCUMENTS = dict(variants.documents())
ARCHIVES = dict(variants.archives())
TEXTS = dict(variants.texts())
OTHERS = dict(variants.other_formats())
STRANGERS = {name: (report, rule) for name, report, rule in variants.strangers()}


def refusals(report: Report) -> list[str]:
    return [f"{problem.rule}: {problem.sentence('en')}" for problem in report.refused]


@pytest.mark.parametrize("data", DOCUMENTS.values(), ids=DOCUMENTS)
def test_an_honest_document_passes(data: bytes) -> None:
    report = file(data, "doc.xml")
    assert refusals(report) == []
    assert len(report.patients) == 1
    assert [document.format.value for document in report.documents] == ["cda"]


READ_ALIKE = {"local-number-alone", "undefined-sex", "born-in-a-month", "born-in-a-year", "lunar", "waiting-number"}


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name not in READ_ALIKE])
def test_an_honest_document_passes_in_an_archive_and_is_qualified(name: str) -> None:
    report = mail(body("Bonjour."), attached("IHE_XDM.zip", xdm(DOCUMENTS[name])), subject="x")
    assert [rule for rule in refusals(report) if not rule.startswith("HID-058")] == []
    assert report.qualified_ins


@pytest.mark.parametrize("archive", ARCHIVES.values(), ids=ARCHIVES)
def test_an_honest_archive_passes_without_a_warning(archive: bytes) -> None:
    report = xdm_mail(archive)
    assert report.worst in (None, Severity.NOTE), sorted(report.rules)
    assert len(report.patients) == 1
    assert report.qualified_ins
    assert report.cda_codes == ("34112-3",)


@pytest.mark.parametrize("data", TEXTS.values(), ids=TEXTS)
def test_an_honest_letter_passes_as_a_file_and_as_a_body(data: bytes) -> None:
    for report in (file(data), mail(body(data, "iso-8859-1"), subject="Résultats", headers={"X-MSS-NIL": "x"})):
        assert refusals(report) == []
        assert len(report.patients) == 1
        assert report.patients[0].traits.birth_date is not None


@pytest.mark.parametrize("name", [name for name in TEXTS if "-" in name and name.partition("-")[2] in (
    "cp850", "cp1252", "iso-8859-1", "iso-8859-15", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "mac-roman"
)])  # fmt: skip
def test_accents_are_read_whatever_the_charset_and_line_ends(name: str) -> None:
    traits = file(TEXTS[name]).patients[0].traits
    assert (traits.surname, traits.first_name) == ("LEFÈVRE", "ANDRÉE")


@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS)
def test_an_honest_file_of_another_format_passes(data: bytes) -> None:
    report = file(data, "resultat.dat")
    assert refusals(report) == []
    assert len(report.patients) == 1
    assert report.patients[0].traits.any_first_name().startswith("ANDR")


@pytest.mark.parametrize("name", STRANGERS)
def test_another_patient_is_stopped_by_his_rule(name: str) -> None:
    report, rule = STRANGERS[name]
    assert rule in {problem.rule for problem in report.refused}, refusals(report)


@pytest.mark.parametrize("name", STRANGERS)
def test_no_refusal_names_a_patient_or_a_number(name: str) -> None:
    report, _ = STRANGERS[name]
    for problem in report.refused:
        said = problem.text("fr") + problem.text("en")
        for private in ("LEFEVRE", "DURAND", "ANDREE", "PAULE", variants.NUMBER[:13], variants.OTHER_NUMBER[:13]):
            assert private not in said


def test_what_cannot_be_read_is_told_first() -> None:
    """A secretary reads the first refusal: not what follows from it."""
    for archive in (b"MZ" + xdm(), xdm()[:-40]):
        assert xdm_mail(archive).refused[0].rule in ("MSS-090", "MSS-091", "MSS-114")
