"""Do two readings name the same person? Deterministic, explainable, symmetric; no score decides.

Promise: near is never same; two near traits together are another person; a surname may agree on another kind (birth, in use) with a
remark, but two different birth names are different people. Failure: none; silence on one side compares as silence.
Source: HID-070 to HID-074, HID-081 to HID-083; RNIV.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, TypeVar

from hprim.dates import PartialDate, compare_dates
from hprim.model import InsId, Patient, Traits
from hprim.names import AGREE, DISAGREE, NEAR, NOTE, SILENT, Level, Name, first_level, normal, surname_level


class Verdict(IntEnum):
    """SAME: nothing speaks against it. CHECK: one near trait, a human looks. DIFFERENT: not the same person."""

    SAME = 0
    CHECK = 1
    DIFFERENT = 2


class Comparison(NamedTuple):
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
        return (self.surname is NEAR) + (self.first is NEAR) + (self.date is NEAR)

    @property
    def verdict(self) -> Verdict:
        if DISAGREE in (self.surname, self.first, self.date, self.sex, self.number):
            return Verdict.CHECK if self._only_swapped() else Verdict.DIFFERENT
        doubts = self.doubts
        if doubts >= 2:
            return Verdict.DIFFERENT
        return Verdict.CHECK if doubts else Verdict.SAME

    def _only_swapped(self) -> bool:
        return self.swapped and DISAGREE not in (self.date, self.sex, self.number)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A patient ready to be compared many times: every name normalised once."""

    surnames: tuple[tuple[Name, str], ...]
    birth: Name | None
    firsts: tuple[Name | None, Name | None, Name | None]
    born: PartialDate | None
    sex: str
    ins: frozenset[InsId]
    surname: Name
    first: Name
    plain: bool
    """One birth first name and nothing else: the usual case, compared at once."""


def _name(text: str) -> Name | None:
    found = normal(text) if text else None
    return found if found and found.glued else None


def prepare_traits(t: Traits, numbers: Iterable[InsId] = ()) -> Prepared:
    """The comparable form of an identity."""
    firsts = (_name(t.first_name), _name(t.used_first_name), _name(t.first_names))
    named = ((_name(t.birth_surname), "birth"), (_name(t.surname), "any"), (_name(t.used_surname), "used"))
    return Prepared(
        tuple((name, kind) for name, kind in named if name),
        named[0][0],
        firsts,
        t.birth_date,
        t.sex,
        frozenset(numbers),
        normal(t.any_surname()),
        normal(t.any_first_name()),
        firsts[0] is not None and firsts[1] is None and firsts[2] is None,
    )


def prepare(patient: Patient) -> Prepared:
    """The comparable form of a reading."""
    return prepare_traits(patient.traits, patient.ins)


def _surname(a: Prepared, b: Prepared) -> tuple[Level, bool]:
    births = surname_level(a.birth, b.birth) if a.birth and b.birth else SILENT
    return best_surname(a.surnames, b.surnames, births, surname_level)


N = TypeVar("N")


def best_surname(
    xs: Sequence[tuple[N, str]], ys: Sequence[tuple[N, str]], births: Level, compared: Callable[[N, N], Level]
) -> tuple[Level, bool]:
    """How the surnames of two people agree at best, and whether on different kinds. ``births`` is how the birth names do."""
    if births is not SILENT and (births <= NOTE or len(xs) == len(ys) == 1):
        return births, False
    best: Level = births
    crossed = False
    for x, kind_x in xs:
        for y, kind_y in ys:
            if births is DISAGREE and kind_x == kind_y:
                continue  # two stated birth names that differ: a shared name in use makes sisters-in-law, not one person
            level = compared(x, y)
            if best is SILENT or level < best:
                best, crossed = level, kind_x != kind_y and "used" in (kind_x, kind_y)
    return best, crossed and best is not DISAGREE


def _first(a: Prepared, b: Prepared, *, sexes_differ: bool) -> Level:
    x, y = a.firsts[0], b.firsts[0]
    if x and y and (x is y or x.glued == y.glued):
        return AGREE
    level = first_level(x, y) if x and y and a.plain and b.plain else _best_first(a, b)
    return DISAGREE if level is NEAR and sexes_differ else level


def _best_first(a: Prepared, b: Prepared) -> Level:
    return best_first(a.firsts, b.firsts, first_level)


Firsts = tuple[N | None, N | None, N | None]
"""The first name at birth, the one in use, and the list."""


def best_first(xs: Firsts[N], ys: Firsts[N], compared: Callable[[N, N], Level]) -> Level:
    """How the first names of two people agree at best. Two stated first birth names that differ must each be found among the other's
    names, as far as he tells more than one: that the rest of two lists or a name in use is shared makes brothers and sisters."""

    def level(i: int, j: int) -> Level:
        x, y = xs[i], ys[j]
        found = compared(x, y) if x and y else SILENT
        return NOTE if found is AGREE and i != j and xs[0] and ys[0] else found

    if level(0, 0) is not DISAGREE:
        return _best(level(i, j) for i in range(3) for j in range(3))
    one, other = _best(level(0, j) for j in range(3)), _best(level(i, 0) for i in range(3))
    if DISAGREE in (one, other) and one is not other and any(xs[1:]) and any(ys[1:]):
        return NEAR
    return min(one, other)


def _best(levels: Iterable[Level]) -> Level:
    return min((one for one in levels if one is not SILENT), default=SILENT)


_DATES = (AGREE, NOTE, NEAR, DISAGREE)


def number_level(a: frozenset[InsId], b: frozenset[InsId]) -> Level:
    """AGREE: one in common. DISAGREE: two of one authority. NOTE: one number under two authorities."""
    if not a or not b:
        return SILENT
    if not a.isdisjoint(b):
        return AGREE
    if {i.oid for i in a} & {i.oid for i in b}:
        return DISAGREE
    same = {i.matricule for i in a} & {i.matricule for i in b}
    return NOTE if same else SILENT


def compare_prepared(a: Prepared, b: Prepared) -> Comparison:
    """Compare two identities trait by trait, numbers included."""
    sex = SILENT
    if a.sex and b.sex:
        sex = AGREE if a.sex == b.sex else DISAGREE
    surname, crossed = _surname(a, b)
    first = _first(a, b, sexes_differ=sex is DISAGREE)
    born = _DATES[compare_dates(a.born, b.born)] if a.born and b.born else SILENT
    swapped = surname >= NEAR and first >= NEAR and _swapped(a, b)
    return Comparison(surname, first, born, sex, number_level(a.ins, b.ins), crossed, swapped)


_AGREED = (AGREE, NOTE)


def _swapped(a: Prepared, b: Prepared) -> bool:
    if a.surname.words.isdisjoint(b.first.words) and a.surname.glued != b.first.glued:
        return False
    return surname_level(a.surname, b.first) in _AGREED and surname_level(a.first, b.surname) in _AGREED


def compare(a: Patient, b: Patient) -> Comparison:
    """Compare two readings."""
    return compare_prepared(prepare(a), prepare(b))


def names_nobody(patient: Patient) -> bool:
    """A reading without any trait or number: nothing to compare."""
    t = patient.traits
    return not (t.any_surname() or t.any_first_name() or t.birth_date or patient.ins)


def names_another(surname: str, given: str, traits: Traits, *, sure: bool) -> bool:
    """Whether a further name of one reading is somebody else's: it has another first name than those told and, unless it is
    ``sure`` to be one of the same kind, another surname too. A person may bear several surnames."""
    x, y = normal(surname), normal(given)
    firsts = {first_level(y, normal(one)) for one in (traits.first_name, traits.used_first_name, traits.first_names)}
    surnames = {surname_level(x, normal(one)) for one in (traits.birth_surname, traits.surname, traits.used_surname)}
    return firsts - {SILENT} == {DISAGREE} and (sure or surnames - {SILENT} == {DISAGREE})


def distinct(patients: list[Patient]) -> list[Patient]:
    """One reading per person, the most authoritative first; readings that only need checking count as the same person."""
    heads: list[Patient] = []
    ready: list[Prepared] = []
    for patient in patients:
        if names_nobody(patient):
            continue
        one = prepare(patient)
        if all(compare_prepared(other, one).verdict is Verdict.DIFFERENT for other in ready):
            heads.append(patient)
            ready.append(one)
            if len(heads) >= 50:
                break
    return heads
