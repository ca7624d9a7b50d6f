"""Do two readings name the same person? Deterministic, explainable, symmetric; no score decides.

Promise: near is never same; two near traits together are another person; a surname may agree on another kind (birth, in use) with a
remark, but two different birth names are different people. Failure: none; silence on one side compares as silence.
Source: HID-070 to HID-074, HID-081 to HID-083; RNIV.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from hprim.dates import DateLevel, PartialDate, compare_dates
from hprim.model import Patient, Traits
from hprim.names import Level, compare_first, compare_surname


class Verdict(IntEnum):
    """SAME: nothing speaks against it. CHECK: one near trait, a human looks. DIFFERENT: not the same person."""

    SAME = 0
    CHECK = 1
    DIFFERENT = 2


@dataclass(frozen=True, slots=True)
class Comparison:
    """How each trait compares. ``crossed``: the surnames agree on different kinds. ``swapped``: surname and first name change
    places. ``number``: DISAGREE for two numbers of one OID, NOTE for one number under two OIDs."""

    surname: Level
    first: Level
    date: Level
    sex: Level
    number: Level
    crossed: bool = False
    swapped: bool = False

    @property
    def doubts(self) -> int:
        """How many of surname, first name and date are near but not equal."""
        return (self.surname is Level.NEAR) + (self.first is Level.NEAR) + (self.date is Level.NEAR)

    @property
    def verdict(self) -> Verdict:
        if Level.DISAGREE in (self.surname, self.first, self.date, self.sex, self.number):
            return Verdict.CHECK if self._only_swapped() else Verdict.DIFFERENT
        doubts = self.doubts
        if doubts >= 2:
            return Verdict.DIFFERENT
        return Verdict.CHECK if doubts else Verdict.SAME

    def _only_swapped(self) -> bool:
        return self.swapped and Level.DISAGREE not in (self.date, self.sex, self.number)


@lru_cache(maxsize=32_768)
def _surname(a: Traits, b: Traits) -> tuple[Level, bool]:
    births = compare_surname(a.birth_surname, b.birth_surname)
    if births in (Level.AGREE, Level.NOTE):
        return births, False
    best: Level = births
    crossed = False
    for x, kind_x in _kinds(a):
        for y, kind_y in _kinds(b):
            if births is Level.DISAGREE and kind_x == kind_y:
                continue  # two stated birth names that differ: a shared name in use makes sisters-in-law, not one person
            level = compare_surname(x, y)
            if level is not Level.SILENT and (best is Level.SILENT or level < best):
                best, crossed = level, {kind_x, kind_y} != {"birth"} and "used" in (kind_x, kind_y) and kind_x != kind_y
    return best, crossed and best is not Level.DISAGREE


def _kinds(t: Traits) -> list[tuple[str, str]]:
    named = [(t.birth_surname, "birth"), (t.surname, "any"), (t.used_surname, "used")]
    return [(value, kind) for value, kind in named if value]


def _first(a: Traits, b: Traits, *, sexes_differ: bool) -> Level:
    level = _first_cached(
        (a.first_name, a.used_first_name, a.first_names), (b.first_name, b.used_first_name, b.first_names)
    )
    return Level.DISAGREE if level is Level.NEAR and sexes_differ else level


@lru_cache(maxsize=32_768)
def _first_cached(a: tuple[str, str, str], b: tuple[str, str, str]) -> Level:
    if a[0] and b[0] and (main := compare_first(a[0], b[0])) is Level.AGREE:
        return main
    best = Level.SILENT
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            level = compare_first(x, y)
            if level is Level.AGREE and i != j and a[0] and b[0]:
                level = Level.NOTE
            if level is not Level.SILENT and (best is Level.SILENT or level < best):
                best = level
    return best


_DATES = {
    DateLevel.AGREE: Level.AGREE,
    DateLevel.COMPATIBLE: Level.NOTE,
    DateLevel.SLIP: Level.NEAR,
    DateLevel.DISAGREE: Level.DISAGREE,
}


@lru_cache(maxsize=32_768)
def _date(a: PartialDate | None, b: PartialDate | None) -> Level:
    return _DATES[compare_dates(a, b)] if a and b else Level.SILENT


def _number(a: Patient, b: Patient) -> Level:
    if not a.ins or not b.ins:
        return Level.SILENT
    if set(a.ins) & set(b.ins):
        return Level.AGREE
    if {i.oid for i in a.ins} & {i.oid for i in b.ins}:
        return Level.DISAGREE
    same = {i.matricule for i in a.ins} & {i.matricule for i in b.ins}
    return Level.NOTE if same else Level.SILENT


def compare_traits(a: Traits, b: Traits, number: Level = Level.SILENT) -> Comparison:
    """Compare two identities trait by trait."""
    sex = Level.SILENT if not (a.sex and b.sex) else Level.AGREE if a.sex == b.sex else Level.DISAGREE
    surname, crossed = _surname(a, b)
    first = _first(a, b, sexes_differ=sex is Level.DISAGREE)
    swapped = False
    if surname >= Level.NEAR and first >= Level.NEAR:
        swapped = _swapped(a, b)
    return Comparison(surname, first, _date(a.birth_date, b.birth_date), sex, number, crossed, swapped)


def _swapped(a: Traits, b: Traits) -> bool:
    one = compare_surname(a.any_surname(), b.any_first_name())
    other = compare_surname(a.any_first_name(), b.any_surname())
    return one in (Level.AGREE, Level.NOTE) and other in (Level.AGREE, Level.NOTE)


def compare(a: Patient, b: Patient) -> Comparison:
    """Compare two readings, numbers included."""
    return compare_traits(a.traits, b.traits, _number(a, b))


def names_nobody(patient: Patient) -> bool:
    """A reading without any trait or number: nothing to compare."""
    t = patient.traits
    return not (t.any_surname() or t.any_first_name() or t.birth_date or patient.ins)


def distinct(patients: list[Patient]) -> list[Patient]:
    """One reading per person, the most authoritative first; readings that only need checking count as the same person."""
    heads: list[Patient] = []
    for patient in patients:
        if names_nobody(patient):
            continue
        if not any(compare(head, patient).verdict is not Verdict.DIFFERENT for head in heads):
            heads.append(patient)
            if len(heads) >= 50:
                break
    return heads
