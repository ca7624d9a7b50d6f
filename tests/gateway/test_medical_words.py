"""What is said of a problem names no patient: for every rule, whatever the document holds."""

from __future__ import annotations

from dataclasses import replace
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.medical.words import LEFT_OUT, labels_of, safe_place, safe_sentence
from gateway.medical.worker import read
from hprim.model import Place, Problem, Rule, Words
from hprim.rules import RULES
from tests.gateway.test_medical_pool import archive, body, question
from tests.hprim import builders
from tests.hprim.examples import v1

CANARY = "Zorglub"


def problem(rule: Rule, value: str, place: Place) -> Problem:
    names = {name for text in (rule.fr, rule.en) for _, name, _, _ in Formatter().parse(text) if name}
    return Problem(rule, rule.severity, place, dict.fromkeys(names, value))


SENDER_WRITES = {
    "value",
    "text",
    "name",
    "file",
    "date",
    "first",
    "second",
    "age",
    "oid",
    "status",
    "expected",
    "declared",
    "sign",
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("language", ["fr", "en"])
def test_no_value_of_the_document_passes(rule: Rule, language: str) -> None:
    place = Place(f"{CANARY}.hpr", 7, f"{CANARY}/{CANARY}.XML")
    full = problem(rule, CANARY, place)
    kept = {name: CANARY for name in full.parameters if name in SENDER_WRITES}
    said = safe_sentence(replace(full, parameters={**dict.fromkeys(full.parameters, ""), **kept}), {}, language)  # type: ignore[arg-type]
    assert CANARY not in said
    assert CANARY not in safe_place(place, {}, language)  # type: ignore[arg-type]
    assert CANARY not in safe_place(place, labels_of([f"{CANARY}.hpr"]), language)  # type: ignore[arg-type]


@given(st.text(min_size=1, max_size=40))
def test_a_source_is_named_without_its_file(name: str) -> None:
    rule = next(rule for rule in RULES if rule.name == "HID-070")
    found = problem(rule, f"l'en-tête HPRIM ({CANARY}{name})", Place())
    assert CANARY not in safe_sentence(found, {}, "fr")


def test_files_every_archive_has_keep_their_names() -> None:
    place = Place("IHE_XDM.zip", 0, "IHE_XDM/SUBSET01/DOC0001.XML")
    assert safe_place(place, labels_of(["a.pdf", "IHE_XDM.zip"]), "fr") == "DOC0001.XML (IHE_XDM.zip)"


def test_other_files_are_counted() -> None:
    labels = labels_of(["LEFEVRE.hpr", "LEFEVRE Andree.pdf"])
    assert safe_place(Place("LEFEVRE Andree.pdf", 3), labels, "fr") == "ligne 3 de la pièce jointe 2"
    assert safe_place(Place("LEFEVRE Andree.pdf", 3), labels, "en") == "line 3 of attachment 2"
    assert safe_place(Place(line=7), labels, "fr") == "ligne 7 du corps du message"
    assert safe_place(Place("inconnu.txt", 3), labels, "fr") == "ligne 3 d’une pièce jointe"


def test_a_counted_file_reads_well_in_a_sentence() -> None:
    rule = next(rule for rule in RULES if rule.name == "HID-003")
    labels = labels_of(["LEFEVRE.hpr", "IHE_XDM.zip"])
    said = [Problem(rule, rule.severity, Place(name), {"name": name}) for name in ("LEFEVRE.hpr", "IHE_XDM.zip", "x")]
    assert [safe_sentence(one, labels, "fr") for one in said] == [
        "Le fichier « pièce jointe 1 » est vide.",
        "Le fichier IHE_XDM.zip est vide.",
        "Le fichier « pièce jointe » est vide.",
    ]
    assert safe_sentence(said[0], labels, "en") == 'File "attachment 1" is empty.'


def test_a_missing_document_is_not_named() -> None:
    rule = next(rule for rule in RULES if rule.name == "MSS-092")
    words = Words("le document LEFEVRE ANDREE est absent", "document LEFEVRE ANDREE is missing")
    found = Problem(rule, rule.severity, Place(), {"detail": words})
    assert safe_sentence(found, {}, "fr") == "Archive IHE_XDM incohérente : un document annoncé est absent."


@given(
    surname=st.from_regex(r"[A-Z]{5,12}", fullmatch=True),
    first=st.from_regex(r"[A-Z][a-z]{4,9}", fullmatch=True),
    line=st.sampled_from([2, 3, 7, 8, 9, 10, 11, 12]),
)
def test_whatever_is_in_the_header_none_of_it_is_said(surname: str, first: str, line: int) -> None:
    """The whole path: a header with canaries, one line broken, and an archive about somebody else."""
    changes = {2: f"{surname}QX", 3: f"{first}qx", 7: "3O/02/1961", line: f"*{surname}QX* {first}qx"}
    reading = read(question(body(v1(changes)), archive(builders.xdm())))
    assert reading.findings
    for found in reading.findings:
        for said in (found.place, found.sentence, found.advice):
            for text in (said.fr, said.en):
                assert f"{surname}QX" not in text
                assert f"{first}qx" not in text
                assert "3O/02" not in text


def test_what_is_left_out_shows() -> None:
    (found,) = [one for one in read(question(body(v1({7: "31 fevrier"})))).findings if one.name == "HID-021"]
    assert LEFT_OUT in found.sentence.fr
    assert found.place.fr == "ligne 7 du corps du message"
