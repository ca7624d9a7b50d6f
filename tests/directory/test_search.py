"""Questions to the directory: how texts compare, and the bounds of a question (MSS-130, MSS-131)."""

from __future__ import annotations

import pytest

from directory.entry import Entry
from directory.search import (
    CONDITIONS,
    DEPTH,
    Condition,
    Every,
    Field,
    MemoryDirectory,
    Not,
    Some,
    Way,
    demand_bounded,
    folded,
    words,
)

HOPITAL = Entry(
    address="Neurologie@op-a.mssante.test",
    type="ORG",
    organisation="Hôpital Saint-Œdème",
    service="Neurologie",
    structure="1990000001",
    town="L'Haÿ-les-Roses",
    postal_code="94240",
)
MARTIN = Entry(
    address="elise.martin-durand@op-a.mssante.test",
    type="PER",
    title="Dr",
    family="Martin-Durand",
    given="Élise",
    person="899900000001",
    profession="Médecin",
    specialty="Cardiologie",
    town="Mézières",
    postal_code="08000",
)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Élise L'HÔPITAL-Œuvré", "elise l hopital oeuvre"),
        ("  Saint–Étienne ", "saint etienne"),
        ("D’Artagnan", "d artagnan"),
        ("NÆVE", "naeve"),
        ("STRASSE ß", "strasse ss"),
        ("ﬁn", "fin"),
        ("", ""),
    ],
)
def test_texts_are_compared_without_accents_case_and_hyphens(text: str, plain: str) -> None:
    assert folded(text) == plain
    assert folded(plain) == plain


@pytest.mark.parametrize(
    ("condition", "who"),
    [
        (Field("family", Way.IS, "MARTIN DURAND"), [MARTIN]),
        (Field("family", Way.BEGINS, "martin-d"), [MARTIN]),
        (Field("family", Way.ENDS, "Durand"), [MARTIN]),
        (Field("town", Way.CONTAINS, "hay les"), [HOPITAL]),
        (Field("person", Way.PRESENT), [MARTIN]),
        (Field("name", Way.IS, "dr elise martin durand"), [MARTIN]),
        (Not(Field("person", Way.PRESENT)), [HOPITAL]),
        (Every(()), [MARTIN, HOPITAL]),
        (Some(()), []),
        (Some((Field("type", Way.IS, "org"), Field("type", Way.IS, "per"))), [MARTIN, HOPITAL]),
        (words("elise CARDIO 080"), [MARTIN]),
        (words("oedeme"), [HOPITAL]),
        (words("elise neurologie"), []),
    ],
)
async def test_what_answers(condition: Condition, who: list[Entry]) -> None:
    answer = await MemoryDirectory([HOPITAL, MARTIN]).find(condition, 10)
    assert list(answer.entries) == who
    assert not answer.more


async def test_an_answer_is_cut_where_it_was_asked_to_be_and_says_so() -> None:
    answer = await MemoryDirectory([HOPITAL, MARTIN]).find(Every(()), 1)
    assert answer.entries == (MARTIN,)
    assert answer.more


async def test_an_address_is_found_however_it_is_written() -> None:
    known = MemoryDirectory([HOPITAL, MARTIN])
    assert await known.get("NEUROLOGIE@op-a.mssante.test") == HOPITAL
    assert await known.get("neurologie@op-b.mssante.test") is None


def test_a_question_is_bounded() -> None:
    many = Every(tuple(Field("family", Way.IS, str(number)) for number in range(CONDITIONS + 1)))
    deep: Condition = Field("family", Way.IS, "a")
    for _ in range(DEPTH):
        deep = Not(deep)
    wide = Every(tuple(Every(()) for _ in range(5 * CONDITIONS)))
    for condition in (many, deep, wide, Field("responsible", Way.IS, "a")):
        with pytest.raises(ValueError, match=r"conditions|field"):
            demand_bounded(condition)
    demand_bounded(words("a b c d e f g h i j k"))
