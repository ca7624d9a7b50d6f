"""Birth dates: strict readers, odd registries, comparison."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hprim.dates import (
    DateLevel,
    Form,
    PartialDate,
    compare_dates,
    find_dates,
    in_figures,
    read_compact,
    read_french,
    read_iso,
    slip,
)
from tests.hprim.examples import TODAY


@pytest.mark.parametrize(
    ("text", "iso", "form"),
    [
        ("14/02/1961", "1961-02-14", Form.STANDARD),
        (" 14/02/1961 ", "1961-02-14", Form.STANDARD),
        ("14/02/61", "1961-02-14", Form.TWO_DIGIT_YEAR),
        ("14/02/25", "2025-02-14", Form.TWO_DIGIT_YEAR),
        ("14/02/27", "1927-02-14", Form.TWO_DIGIT_YEAR),
        ("1961-02-14", "1961-02-14", Form.ISO),
        ("14-02-1961", "1961-02-14", Form.UNUSUAL),
        ("14.02.1961", "1961-02-14", Form.UNUSUAL),
        ("4/2/1961", "1961-02-04", Form.UNUSUAL),
        ("14021961", "1961-02-14", Form.UNUSUAL),
        ("19610214", "1961-02-14", Form.UNUSUAL),
        ("29/02/1960", "1960-02-29", Form.STANDARD),
        ("00/00/1961", "1961", Form.STANDARD),
        ("00/02/1961", "1961-02", Form.STANDARD),
        ("14/42/1961", "1961", Form.STANDARD),
        ("14/99/1961", "1961", Form.STANDARD),
    ],
)
def test_accepted_forms(text: str, iso: str, form: Form) -> None:
    found = read_french(text, TODAY)
    assert found is not None
    assert (found.iso(), found.form) == (iso, form)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "18/13/2009",
        "31/02/1980",
        "29/02/1961",
        "14/21/1961",
        "14/43/1961",
        "32/01/1980",
        "14/02/961",
        "1er mai",
        "14/02-1961",
        "１４/02/1961",
        "١٤/02/1961",
        "14/02/19611",
        "00/00/0000",
        "2610238999001 90",
        "99999999",
        "14/02/1961 (60 ans)",
    ],
)
def test_refused_forms(text: str) -> None:
    assert read_french(text, TODAY) is None


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("1979", "1979"),
        ("197903", "1979-03"),
        ("19790328", "1979-03-28"),
        ("19790328111700+0100", "1979-03-28"),
        ("19793328", "1979"),
        ("1979032", None),
        ("19791328", None),
        ("", None),
        ("197A", None),
        ("²⁰²⁰", None),
        ("19610214-05", "1961-02-14"),
        ("1961+0100", "1961"),
        ("1961-02-14", None),
        ("1961-02", None),
    ],
)
def test_compact_times(text: str, iso: str | None) -> None:
    found = read_compact(text)
    assert (found.iso() if found else None) == iso


def test_iso_dates() -> None:
    assert read_iso("1961-02-14T00:00:00") == PartialDate(1961, 2, 14, "19610214")
    assert read_iso("14/02/1961") is None


def day(text: str) -> PartialDate:
    found = read_french(text, TODAY)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("a", "b", "level", "kind"),
    [
        ("14/02/1961", "14/02/1961", DateLevel.AGREE, ""),
        ("14/02/1961", "00/00/1961", DateLevel.COMPATIBLE, ""),
        ("14/02/1961", "31/12/1961", DateLevel.COMPATIBLE, ""),
        ("14/02/1961", "00/02/1961", DateLevel.COMPATIBLE, ""),
        ("14/02/1961", "00/03/1961", DateLevel.DISAGREE, ""),
        ("14/02/1961", "01/01/1962", DateLevel.DISAGREE, ""),
        ("11/02/1961", "02/11/1961", DateLevel.SLIP, "swap"),
        ("14/02/1961", "15/02/1961", DateLevel.SLIP, "digit"),
        ("14/02/1961", "14/02/1916", DateLevel.DISAGREE, ""),
        ("12/02/1961", "21/02/1961", DateLevel.SLIP, "transposition"),
        ("14/02/1925", "14/02/2025", DateLevel.SLIP, "century"),
        ("14/02/1961", "14/02/1991", DateLevel.DISAGREE, ""),
        ("14/02/1961", "23/07/1984", DateLevel.DISAGREE, ""),
    ],
)
def test_comparison(a: str, b: str, level: DateLevel, kind: str) -> None:
    assert compare_dates(day(a), day(b)) is level
    assert compare_dates(day(b), day(a)) is level
    if level is DateLevel.SLIP:
        assert slip(day(a), day(b)) == kind


@given(st.dates(min_value=date(1800, 1, 1), max_value=date(2200, 1, 1)))
def test_every_real_date_reads_back(born: date) -> None:
    found = read_french(born.strftime("%d/%m/") + f"{born.year:04d}", TODAY)
    assert found is not None
    assert (found.year, found.month, found.day) == (born.year, born.month, born.day)
    assert read_compact(found.compact()) == PartialDate(born.year, born.month, born.day, found.compact())


@given(st.text(max_size=30))
def test_readers_never_raise(text: str) -> None:
    read_french(text, TODAY)
    read_compact(text)
    read_iso(text)
    assert len(find_dates(text * 10, TODAY)) <= 20


def test_dates_found_in_text() -> None:
    found = find_dates("M-5128-23/10/06 et 31/02/2020, 3.11.2025 ; 123/10/2020", TODAY)
    assert [d.iso() for d in found] == ["2006-10-23", "2025-11-03"]


def test_age() -> None:
    assert day("24/11/1906").age(TODAY) == 119
    assert day("23/11/1906").age(TODAY) == 120
    assert day(f"{(TODAY + timedelta(days=1)):%d/%m/%Y}").age(TODAY) == -1


def test_dates_in_words_are_read_in_figures() -> None:
    months = [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ]
    for number, month in enumerate(months, 1):
        for written in (month, month.upper(), month.replace("é", "e").replace("û", "u"), f"{month[:4]}."):
            assert in_figures(f"née le 1er {written} 1975, à Lyon") == f"née le 1/{number}/1975, à Lyon"
    assert in_figures("le 3 petits 1975, mai 1975, 31 mai") == "le 3 petits 1975, mai 1975, 31 mai"
