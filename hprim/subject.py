"""The subject of a mail about a patient: the XDM form, prefixes, and whether it names the document's patient.

Promise: the name cannot be cut out of a subject (label and name are free text), so the *known* patient is searched in it.
Failure: none. Source: HID-077 to HID-079, HID-097; ECO.2.1.3, MSS-110.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from hprim.dates import DateLevel, PartialDate, compare_dates, find_dates
from hprim.ins import Fault, read_number
from hprim.model import Traits
from hprim.names import found_in

XDM_MARK = "XDM/1.0/DDM+"
_PREFIX = re.compile(
    r"\s*(?:(?:re|tr|fw|fwd|ref)\s{0,3}:|\[annule et remplace\]|\[ko int[ée]gration syst[èe]me !\]|\[erreur d.int[ée]gration !\]|\[[0-9]{3}\]|\[fin\])\s*",
    re.IGNORECASE,
)
_ANSWER = re.compile(r"\s*re\s{0,3}:", re.IGNORECASE)
_REPLACES = re.compile(r"\[\s{0,3}annule\s{1,3}et\s{1,3}remplace\s{0,3}\]", re.IGNORECASE)
_NUMBERS = re.compile(
    r"(?<![0-9])[1-8][ .]?[0-9]{2}[ .]?[0-9]{2}[ .]?[0-9][0-9AB][ .]?[0-9]{3}[ .]?[0-9]{3}(?:[ .]?[0-9]{2})?(?![0-9])"
)


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject without its ``Re:`` and bracketed prefixes.

    ``xdm`` when it follows ECO.2.1.3's opening, ``answers`` when it had a ``Re:``.
    """

    text: str
    xdm: bool
    replaces: bool
    answers: bool


def read(raw: str) -> Subject:
    """``raw`` is the decoded subject."""
    text = raw[:2_000]
    replaces = bool(_REPLACES.search(text))
    answers = False
    for _ in range(12):
        found = _PREFIX.match(text)
        if not found:
            break
        answers = answers or bool(_ANSWER.match(found[0]))
        text = text[found.end() :]
    text = text.strip()
    xdm = text[: len(XDM_MARK)].upper() == XDM_MARK
    return Subject(text[len(XDM_MARK) :].strip() if xdm else text, xdm, replaces, answers)


@dataclass(frozen=True, slots=True)
class Mention:
    """What a text says of a known patient. ``dated``: it holds a birth-like date; ``same_date``: one of them is the patient's."""

    surname: bool
    first: bool
    dated: bool
    same_date: bool


def mention(text: str, traits: Traits, today: date) -> Mention:
    """Search the patient's names and birth date in ``text``."""
    surnames = (traits.birth_surname, traits.surname, traits.used_surname)
    firsts = (traits.first_name, traits.used_first_name, *traits.first_names.split())
    found = find_dates(text, today)
    born = traits.birth_date
    return Mention(
        any(found_in(n, text) for n in surnames if n),
        any(found_in(n, text) for n in firsts if n),
        bool(found),
        bool(born and any(_same(born, d) for d in found)),
    )


def _same(a: PartialDate, b: PartialDate) -> bool:
    return compare_dates(a, b) in (DateLevel.AGREE, DateLevel.COMPATIBLE)


def holds_number(text: str) -> bool:
    """A NIR-shaped number with a possible month stands in ``text`` (HID-079); thirteen digits need a NIR's own opening."""
    for m in _NUMBERS.finditer(text[:10_000]):
        number = read_number(m[0])
        if not number.faults & {Fault.LENGTH, Fault.CHARACTERS, Fault.MONTH, Fault.SEX, Fault.KEY} and number.sex:
            return True
    return False
