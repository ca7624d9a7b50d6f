"""The strict traits of a person as texts to look up: how a patient without a number is found again in a register of digests.

A text is surname, first name, birth date and sex, the names in the normal form that :mod:`hprim.names` compares by (accents, case,
hyphens, apostrophes and blanks make no difference). :func:`recorded` gives the few texts that are kept of a known identity,
:func:`sought` those under which a document may name him: each surname and each first name it tells, alone or as a run of words of a
longer one, with the sex it tells or with each when it tells none.
:func:`likely` gives the texts of which two people who look alike share one, whose traces are then compared (:mod:`hprim.trace`).
Promise: pure; at most :data:`MOST` texts of each kind. A slip of spelling, an incomplete date, or a birth name of which the document
tells a part only, is not found by the first: texts are equal or they are not. Failure: ``ValueError`` from :func:`recorded` when a trait
is missing.
Source: RNIV strict traits, TOU-A10, TOU-F08.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from hprim.model import Traits
from hprim.names import PARTICLES, normal

MOST = 200
_WORDS = 6


def recorded(traits: Traits) -> tuple[str, ...]:
    """The texts of an identity to keep, the birth name's first."""
    surnames = _glued((traits.birth_surname or traits.surname, traits.surname, traits.used_surname))
    opening = traits.first_names.split()[:1]
    firsts = _glued((traits.first_name, *opening))
    if not surnames or not firsts or traits.birth_date is None:
        raise ValueError("surname, first name and birth date are needed")
    born = traits.birth_date.iso()
    return tuple(_text(surname, first, born, traits.sex) for surname, first in product(surnames, firsts))


def sought(traits: Traits) -> tuple[str, ...]:
    """The texts under which a register may know the person of a document, the likeliest first."""
    if traits.birth_date is None:
        return ()
    surnames = _runs((traits.birth_surname, traits.surname, traits.used_surname))
    firsts = _runs((traits.first_name, traits.used_first_name, traits.first_names))
    sexes = (traits.sex, "") if traits.sex else ("M", "F", "")
    born = traits.birth_date.iso()
    found = (_text(surname, first, born, sex) for surname, first, sex in product(surnames, firsts, sexes))
    return tuple(text for text, _ in zip(found, range(MOST), strict=False))


def likely(traits: Traits) -> frozenset[str]:
    """Texts to find those who may be nearly the same: the day of birth with two letters of any name, both names without the day, the
    year with two letters of both. One slip, in either name or in the date, leaves one of them whole."""
    if traits.birth_date is None:
        return frozenset()
    born = traits.birth_date
    surnames = _words((traits.birth_surname, traits.surname, traits.used_surname))
    firsts = _words((traits.first_name, traits.used_first_name, traits.first_names))
    pairs = [*product(surnames, firsts)]
    found = [f"day|{born.iso()}|{word[:2]}" for word in (*surnames, *firsts) if born.whole]
    found += [f"year|{born.year}|{surname[:2]}|{first[:2]}" for surname, first in pairs]
    found += [f"names|{surname}|{first}" for surname, first in pairs]
    return frozenset(found[:MOST])


def _words(names: Iterable[str]) -> list[str]:
    """Each name as one word, and its words that are more than particles."""
    given = [normal(name) for name in names]
    words = [name.glued for name in given] + [word for name in given for word in name.tokens[:_WORDS]]
    return [word for word in dict.fromkeys(words) if word and word not in PARTICLES]


def _text(surname: str, first: str, born: str, sex: str) -> str:
    return f"{surname}|{first}|{born}|{sex}"


def _glued(names: Iterable[str]) -> list[str]:
    return [one for one in dict.fromkeys(normal(name).glued for name in names) if one]


def _runs(names: Iterable[str]) -> list[str]:
    """Whole names first, then the runs of their words that are more than particles."""
    given = [normal(name) for name in names]
    found = {name.glued: None for name in given if name.glued}
    for name in given:
        words = name.tokens[:_WORDS]
        for start in range(len(words)):
            for stop in range(start + 1, len(words) + 1):
                if not PARTICLES.issuperset(words[start:stop]):
                    found["".join(words[start:stop])] = None
    return list(found)
