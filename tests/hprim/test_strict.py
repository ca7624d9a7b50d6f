"""The texts under which a person is looked up by his strict traits (TOU-A10, TOU-F08): what is found, and what is not."""

from __future__ import annotations

import pytest

from hprim.dates import PartialDate
from hprim.model import Traits
from hprim.strict import MOST, likely, recorded, sought

BORN = PartialDate(1961, 2, 14)
MARIE = Traits(birth_surname="D'HÉRICOURT", first_name="Marie-Ange", birth_date=BORN, sex="F")


def found(document: Traits, kept: Traits = MARIE) -> bool:
    return not set(recorded(kept)).isdisjoint(sought(document))


@pytest.mark.parametrize(
    "document",
    [
        Traits(surname="D HERICOURT", first_name="MARIE ANGE", birth_date=BORN),
        Traits(
            surname="dhericourt", first_name="marieange", birth_date=PartialDate(1961, 2, 14, "14/02/1961"), sex="F"
        ),
        Traits(birth_surname="DHERICOURT", first_names="MARIE ANGE LUCE", birth_date=BORN),
        Traits(birth_surname="PETIT", used_surname="D’Hericourt", first_name="Marie-Ange", birth_date=BORN),
        Traits(surname="D'HERICOURT-PETIT", first_name="MARIE-ANGE", birth_date=BORN),
        Traits(surname="MME D'HERICOURT", first_name="MARIE-ANGE", birth_date=BORN),
    ],
)
def test_a_person_is_found_however_the_names_are_written(document: Traits) -> None:
    assert found(document)


@pytest.mark.parametrize(
    "document",
    [
        Traits(surname="DHERICOUR", first_name="MARIE ANGE", birth_date=BORN),
        Traits(surname="DHERICOURT", first_name="MARIE", birth_date=BORN),
        Traits(surname="DHERICOURT", first_name="MARIE ANGE", birth_date=PartialDate(1961, 2, 15)),
        Traits(surname="DHERICOURT", first_name="MARIE ANGE", birth_date=PartialDate(1961)),
        Traits(surname="DHERICOURT", first_name="MARIE ANGE", birth_date=BORN, sex="M"),
        Traits(surname="DHERICOURT", first_name="MARIE ANGE"),
        Traits(surname="DHERICOURT", birth_date=BORN),
        Traits(first_name="MARIE ANGE", birth_date=BORN),
    ],
)
def test_another_spelling_date_or_sex_is_not_found(document: Traits) -> None:
    assert not found(document)


def test_both_surnames_and_both_first_names_of_an_identity_are_kept() -> None:
    kept = Traits("MARTIN", "PETIT", first_name="ANGE", first_names="Marie Ange", birth_date=BORN, sex="F")
    assert len(recorded(kept)) == 4
    assert recorded(kept)[0] == "MARTIN|ANGE|1961-02-14|F"
    assert found(Traits(surname="PETIT", first_name="MARIE", birth_date=BORN), kept)


def test_an_identity_without_sex_counts_for_both() -> None:
    kept = Traits(surname="MARTIN", first_name="ANGE", birth_date=BORN)
    for sex in ("M", "F", ""):
        assert found(Traits(surname="MARTIN", first_name="ANGE", birth_date=BORN, sex=sex), kept)


def test_a_particle_alone_is_nobody_s_name() -> None:
    kept = Traits(surname="LE", first_name="ANGE", birth_date=BORN)
    assert not found(Traits(surname="LE GOFF", first_name="ANGE", birth_date=BORN), kept)


@pytest.mark.parametrize(
    "traits",
    [
        Traits(first_name="ANGE", birth_date=BORN),
        Traits(surname="MARTIN", birth_date=BORN),
        Traits(surname="MARTIN", first_name="ANGE"),
        Traits(surname="-", first_name="ANGE", birth_date=BORN),
    ],
)
def test_an_identity_that_lacks_a_trait_cannot_be_kept(traits: Traits) -> None:
    with pytest.raises(ValueError, match="needed"):
        recorded(traits)


def test_many_names_give_few_texts() -> None:
    long = " ".join(chr(65 + i) * 5 for i in range(26))
    assert len(sought(Traits(long, long[3:], long[6:], long, long, long, BORN))) == MOST


@pytest.mark.parametrize(
    ("document", "alike"),
    [
        (Traits(surname="DHERICOUR", first_name="MARIE ANGE", birth_date=BORN), True),
        (Traits(surname="BERICOURT", first_name="MARIE ANGE", birth_date=BORN), True),
        (Traits(surname="DHERICOURT", first_name="MARI ANGE", birth_date=BORN), True),
        (Traits(surname="DHERICOURT", first_name="MARIE", birth_date=PartialDate(1961, 2, 15)), True),
        (Traits(surname="HERICOURT", first_name="ANGE", birth_date=PartialDate(1961)), True),
        (Traits(surname="MARIE ANGE", first_name="D'HERICOURT", birth_date=BORN), True),
        (Traits(surname="PETIT", first_name="LUC", birth_date=BORN), False),
        (Traits(surname="DHERICOURT", first_name="LUC", birth_date=PartialDate(1971, 2, 14)), False),
        (Traits(surname="DHERICOURT", first_name="MARIE ANGE"), False),
    ],
)
def test_one_slip_leaves_a_text_in_common(document: Traits, alike: bool) -> None:
    assert (not likely(MARIE).isdisjoint(likely(document))) is alike
    long = " ".join(chr(65 + i) * 5 for i in range(26))
    assert len(likely(Traits(long, long[3:], long[6:], long, long, long, BORN))) <= MOST
