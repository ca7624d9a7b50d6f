"""French names: normal forms, comparison, symmetry."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hprim.names import (
    Level,
    compare_first,
    compare_surname,
    display,
    found_in,
    has_civility,
    is_placeholder,
    normal,
    opens_list,
    unexpected_sign,
)


@pytest.mark.parametrize(
    ("written", "shown", "glued"),
    [
        ("D'HÉRICOURT-LŒUILLET", "D'HERICOURT-LOEUILLET", "DHERICOURTLOEUILLET"),
        ("Le Goff", "LE GOFF", "LEGOFF"),
        ("Jean\u2011Pierre", "JEAN-PIERRE", "JEANPIERRE"),
        ("N\u2019Guyen", "N'GUYEN", "NGUYEN"),
        ("Łukasz Ørsted ß", "LUKASZ ORSTED SS", "LUKASZORSTEDSS"),
        ("  Émilie\u00a0 Zoë ", "EMILIE ZOE", "EMILIEZOE"),
        ("MME LEFEVRE", "MME LEFEVRE", "LEFEVRE"),
        ("M", "M", "M"),
    ],
)
def test_normal_forms(written: str, shown: str, glued: str) -> None:
    assert display(written) == shown
    assert normal(written).glued == glued


@pytest.mark.parametrize(
    ("a", "b", "level"),
    [
        ("LEFEVRE", "Lefèvre", Level.AGREE),
        ("LE GOFF", "LEGOFF", Level.AGREE),
        ("BEN ALI", "BENALI", Level.AGREE),
        ("DUPONT", "DUPONT-MARTIN", Level.NOTE),
        ("GARCIA LOPEZ", "LOPEZ GARCIA", Level.NOTE),
        ("DE LA TOUR", "LA TOUR", Level.NOTE),
        ("DE", "DE LA TOUR", Level.DISAGREE),
        ("ST MARTIN", "Saint-Martin", Level.AGREE),
        ("STE-BEUVE", "SAINTE BEUVE", Level.AGREE),
        ("ST", "SAINT", Level.DISAGREE),
        ("DHERICOURT", "D'HÉRICOURT-LŒUILLET", Level.NOTE),
        ("LEGOFF MARTIN", "LE GOFF", Level.NOTE),
        ("LE", "LE GOFF", Level.DISAGREE),
        ("GOFFMAR", "LE GOFF MARTIN", Level.DISAGREE),
        ("LEFEBVRE", "LEFEVRE", Level.NEAR),
        ("DUPOND", "DUPONT", Level.NEAR),
        ("BERNARD", "BERNARDI", Level.NEAR),
        ("LY", "LI", Level.DISAGREE),
        ("PETIT", "PETITE", Level.NEAR),
        ("MARTIN", "DURAND", Level.DISAGREE),
        ("MARTIN", "", Level.SILENT),
        ("", "", Level.SILENT),
        # one slip from five letters on, two from nine on, counted on the shorter
        ("PETI", "PETIT", Level.DISAGREE),
        ("PETIT", "PETUT", Level.NEAR),
        ("PETIT", "PATUT", Level.DISAGREE),
        ("LEFEBVRE", "LAFEBVRA", Level.DISAGREE),
        ("BERTHELO", "BERTHELOTS", Level.DISAGREE),
        ("BERTHELOT", "BARTHALOT", Level.NEAR),
        ("BERTHELOT", "BERTHELOTTE", Level.NEAR),
        ("BERTHELOT", "BARTHALAT", Level.DISAGREE),
        # a word in common is not enough: one must be a part of the other
        ("DUPONT MARTIN", "DUPONT DURAND", Level.DISAGREE),
        ("DUPONT MARTIN", "DUPONT LEROY BESSON", Level.DISAGREE),
        ("DE LA", "DE LA TOUR", Level.DISAGREE),
    ],
)
def test_surnames(a: str, b: str, level: Level) -> None:
    assert compare_surname(a, b) is level
    assert compare_surname(b, a) is level


@pytest.mark.parametrize(
    ("a", "b", "level"),
    [
        ("ANDREE", "Andrée", Level.AGREE),
        ("JEAN PIERRE", "JEAN-PIERRE", Level.AGREE),
        ("JEAN PIERRE", "JEAN", Level.NOTE),
        ("MAX-PATRICK", "MAX PATRICK LUC", Level.NOTE),
        ("MARIE", "DOMINIQUE MARIE-LOUISE", Level.NOTE),
        ("MARIE LOUISE", "DOMINIQUE MARIE-LOUISE JEANNE", Level.NOTE),
        ("LOUISE JEANNE", "DOMINIQUE MARIE-LOUISE", Level.DISAGREE),
        ("ANNE", "", Level.SILENT),
        ("MARIE ANGE", "ANGE-MARIE", Level.NOTE),
        ("LOUIS", "LOUISE", Level.NEAR),
        ("MICHEL", "MICHELE", Level.NEAR),
        ("JEAN", "JEANNE", Level.DISAGREE),
        ("ANNE", "ANNA", Level.DISAGREE),
        ("PAUL", "PAULE", Level.DISAGREE),
    ],
)
def test_first_names(a: str, b: str, level: Level) -> None:
    assert compare_first(a, b) is level
    assert compare_first(b, a) is level


@given(st.text(max_size=80), st.text(max_size=80))
def test_comparison_is_symmetric_and_reflexive(a: str, b: str) -> None:
    assert compare_surname(a, b) is compare_surname(b, a)
    assert compare_first(a, b) is compare_first(b, a)
    if normal(a).glued:
        assert compare_surname(a, a) is Level.AGREE
        assert compare_first(a, a) is Level.AGREE


@given(st.text(max_size=500))
def test_normal_form_is_stable_and_plain(text: str) -> None:
    once = display(text)
    assert display(once) == once
    assert set(once) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ' -")
    assert not re.search(r"[\W\d_]", normal(text).glued)


def test_names_of_other_scripts_are_names() -> None:
    assert compare_surname("محمد", "DUPONT") is Level.DISAGREE
    assert compare_surname("محمد", "محمد") is Level.AGREE
    assert compare_surname("MARTINов", "MARTIN") is not Level.AGREE
    assert compare_surname("МАRTIN", "MARTIN") is not Level.AGREE
    assert compare_surname("LEF\u200bEVRE", "LEFEVRE") is Level.AGREE


def test_civilities_fillers_and_signs() -> None:
    assert has_civility("MME LEFEVRE")
    assert not has_civility("MADAME")
    assert all(map(is_placeholder, [".", "...", "X", "inconnu", "SANS NOM", "nom"]))
    assert not any(map(is_placeholder, ["", "NOMBLOT", "XU", "محمد"]))
    assert unexpected_sign("LEFEVRE2") == "2"
    assert unexpected_sign("D\u2019Héricourt-Lœuillet") == ""
    assert unexpected_sign("ST. CLAIR") == "."


def test_first_name_opens_the_list() -> None:
    assert opens_list("MAX", "MAX PATRICK")
    assert opens_list("MAX-PATRICK", "MAX PATRICK")
    assert not opens_list("PATRICK", "MAX PATRICK")
    assert not opens_list("MA", "MAX PATRICK")


def test_names_found_in_free_text_are_whole_words() -> None:
    assert found_in("PAT-TROIS", "XDM/1.0/DDM+CR PAT-TROIS Dominique 28/03/1979")
    assert found_in("LE GOFF", "Résultats de M. LEGOFF")
    assert found_in("DURAND", "CRDURANDMARIE")
    assert not found_in("PETIT", "CRPETITMARIE")
    assert found_in("ST MARTIN", "CR SAINT-MARTIN Paul")
    assert found_in("SAINT-MARTIN", "CR St Martin Paul")
    assert not found_in("ROY", "Mme ROYER")
    assert not found_in("", "rien")
