"""NIR, NIA, their keys, and what is not one of them; against an independent library where it answers."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hprim.dates import PartialDate
from hprim.ins import (
    Fault,
    NumberClass,
    address_matricule,
    fits_birth,
    is_cog,
    is_filler,
    is_matricule,
    key_of,
    read_number,
)

GOOD = [
    "279035121518989",
    "295109912611193",
    "253072B07300470",
    "253072A07300443",
    "177092A99900475",
    "258032B99900612",
    "185017505605097",
    "185017505604901",
    "148116399900251",
    "150509999900587",
]


@pytest.mark.parametrize("number", GOOD)
def test_known_numbers_have_a_right_key(number: str) -> None:
    assert is_matricule(number)
    assert read_number(number).faults == frozenset()
    assert read_number(f"{number[0]} {number[1:3]} {number[3:13]} {number[13:]}").matricule == number


@pytest.mark.parametrize("number", ["288091234567823", "246037433000291", "279035121518988", "185017505605000"])
def test_published_examples_with_wrong_keys(number: str) -> None:
    assert Fault.KEY in read_number(number).faults
    assert not is_matricule(number)


@pytest.mark.parametrize(
    ("number", "kind", "sex"),
    [
        ("279035121518989", NumberClass.NIR, "F"),
        ("3790351215189", NumberClass.WAITING, "M"),
        ("885997512345663", NumberClass.WAITING, "F"),
        ("781102A12500908", NumberClass.WAITING, "M"),
        ("7110123456789", NumberClass.PROVISIONAL, "M"),
        ("5110123456789", NumberClass.MIGRANT, "M"),
        ("8210123456789", NumberClass.PROVISIONAL, "F"),
        ("8310123456789", NumberClass.WAITING, "F"),
        ("5555551234567", NumberClass.FARMING, "M"),
        ("5910123456789", NumberClass.UNKNOWN, "M"),
    ],
)
def test_classes(number: str, kind: NumberClass, sex: str) -> None:
    found = read_number(number)
    assert (found.kind, found.sex, found.faults) == (kind, sex, frozenset())


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        ("27903512151", Fault.LENGTH),
        ("2790351215189890", Fault.LENGTH),
        ("27903X1215189", Fault.CHARACTERS),
        ("２790351215189", Fault.CHARACTERS),
        ("0790351215189", Fault.SEX),
        ("9790351215189", Fault.SEX),
        ("2790051215189", Fault.MONTH),
        ("2791351215189", Fault.MONTH),
        ("2792151215189", Fault.RARE_MONTH),
        ("2790351000189", Fault.COMMUNE),
        ("2790351215000", Fault.ORDER),
    ],
)
def test_faults(number: str, fault: Fault) -> None:
    assert fault in read_number(number).faults


def test_a_first_figure_of_nothing_tells_no_class() -> None:
    assert {read_number(f"{first}790351215189").kind for first in "09"} == {NumberClass.UNKNOWN}


def test_each_month_of_a_number() -> None:
    """Twelve months, those of unknown births, those that are rare, and what is none."""
    usual = {*range(1, 13), 20, *range(30, 43), *range(50, 100)}
    rare = {*range(21, 30), *range(43, 50)}
    for month in range(100):
        number = read_number(f"279{month:02d}51215189")
        expected = set() if month in usual else {Fault.RARE_MONTH} if month in rare else {Fault.MONTH}
        assert number.faults == expected, month
        for born in range(1, 13):
            assert fits_birth(number, PartialDate(1979, born, 2)) is (month == born or not 1 <= month <= 12), month


@given(st.from_regex(r"[12][0-9]{2}(0[1-9]|1[0-2])([0-9]{2}|2[AB])[0-9]{6}", fullmatch=True))
def test_key_is_the_complement_of_97(body: str) -> None:
    key = key_of(body)
    assert re.fullmatch("[0-9]{2}", key)
    assert 1 <= int(key) <= 97
    assert is_matricule(body + key)
    assert (
        int(body.replace("A", "0").replace("B", "0"))
        - (1_000_000 if "A" in body else 2_000_000 if "B" in body else 0)
        + int(key)
    ) % 97 == 0
    wrong = f"{(int(key) % 97) + 1:02d}"
    assert not is_matricule(body + wrong)


@given(st.text(max_size=60))
def test_readers_never_raise(text: str) -> None:
    read_number(text)
    is_matricule(text)
    is_cog(text)
    is_filler(text)
    address_matricule(text)


def test_birth_fits_its_number() -> None:
    number = read_number("279035121518989")
    assert fits_birth(number, PartialDate(1979, 3, 28))
    assert fits_birth(number, PartialDate(1979))
    assert fits_birth(number, PartialDate(1979, 12, 31))
    assert not fits_birth(number, PartialDate(1979, 4, 28))
    assert not fits_birth(number, PartialDate(1980, 3, 28))
    assert fits_birth(read_number("1505099999005"), PartialDate(1950, 7, 1))


@pytest.mark.parametrize(
    "code", ["38185", "2A004", "2B033", "97411", "98735", "99126", "20004", "96001", "01001", "75056"]
)
def test_birth_places(code: str) -> None:
    assert is_cog(code)


@pytest.mark.parametrize("code", ["", "00123", "3818", "381855", "2C004", "ABCDE", "75O56", "٣8185"])
def test_not_birth_places(code: str) -> None:
    assert not is_cog(code)


def test_patient_addresses() -> None:
    assert address_matricule("279035121518989@patient.mssante.fr") == "279035121518989"
    assert address_matricule("<279035121518989@PATIENT.MSSANTE.FR>") == "279035121518989"
    assert address_matricule("279035121518989@patient.mssante.fr.evil.test") is None
    assert address_matricule("paul@test.mssante.fr") is None


def test_fillers() -> None:
    assert all(map(is_filler, ["", " ", "0", "0000000000000", ".", "...  "]))
    assert not is_filler("1")
