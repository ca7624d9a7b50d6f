"""Whom and which documents a message is about, as the reading process tells it: what history is asked about and remembers.

Identities in clear: health data, never logged, and never stored but as :mod:`hprim.trace`.
Promise: :func:`met_from` gives values of bounded length or raises ``ValueError``; :func:`met_json` is read back the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hprim.dates import PartialDate
from hprim.history import DocumentMark
from hprim.model import Identifier, InsId, Patient, Place, Source, Traits
from policies.patient import Said

MOST_PEOPLE = 50
MOST_DOCUMENTS = 200
MOST_IDENTIFIERS = 50
_LONGEST = 500
_NEWEST = 999_999_999
_TRAITS = (
    "birth_surname", "used_surname", "surname", "first_name", "used_first_name", "first_names", "sex", "birth_place",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    """One distinct patient. ``place`` may be logged; ``told`` is the same in full words, for the sender's eyes."""

    patient: Patient
    place: Said
    told: Said


@dataclass(frozen=True, slots=True)
class Met:
    """What one message brings. ``places``: where each document is, as (``place``, ``told``)."""

    people: tuple[Person, ...] = ()
    documents: tuple[DocumentMark, ...] = ()
    places: tuple[tuple[Said, Said], ...] = ()


NOBODY = Met()


def bare(patient: Patient) -> Patient:
    """The patient without where and how he was read."""
    t = patient.traits
    born = t.birth_date and PartialDate(t.birth_date.year, t.birth_date.month, t.birth_date.day)
    return Patient(
        Source.CDA,
        Place(),
        Traits(birth_date=born, **{name: _text(getattr(t, name)) for name in _TRAITS}),
        ins=tuple(InsId(_text(i.oid), _text(i.matricule)) for i in patient.ins[:MOST_IDENTIFIERS]),
        ids=tuple(Identifier(_text(i.root), _text(i.extension)) for i in patient.ids[:MOST_IDENTIFIERS]),
    )


def met_json(met: Met) -> dict[str, Any]:
    """Plain JSON values."""
    return {
        "people": [_person_json(one) for one in met.people[:MOST_PEOPLE]],
        "documents": [
            [one.own, one.group, one.version, list(one.replaces), one.content, *_said_json(*places)]
            for one, places in zip(met.documents[:MOST_DOCUMENTS], met.places, strict=False)
        ],
    }


def _person_json(one: Person) -> dict[str, Any]:
    patient, born = one.patient, one.patient.traits.birth_date
    return {
        "traits": [getattr(patient.traits, name) for name in _TRAITS],
        "born": [born.year, born.month, born.day] if born else [],
        "ins": [[i.oid, i.matricule] for i in patient.ins],
        "ids": [[i.root, i.extension] for i in patient.ids],
        "said": _said_json(one.place, one.told),
    }


def _said_json(place: Said, told: Said) -> list[str]:
    return [place.fr, place.en, told.fr, told.en]


def met_from(found: Any) -> Met:
    """The values of :func:`met_json`. ``ValueError`` when they are not."""
    try:
        rows = found["documents"][:MOST_DOCUMENTS]
        return Met(
            people=tuple(_person(one) for one in found["people"][:MOST_PEOPLE]),
            documents=tuple(_document(row) for row in rows),
            places=tuple(_said(row[5:]) for row in rows),
        )
    except (KeyError, TypeError, IndexError, AttributeError, OverflowError) as fault:
        raise ValueError(f"not an answer: {type(fault).__name__}") from None


def _person(found: Any) -> Person:
    texts = [_text(value) for value in found["traits"]]
    if len(texts) != len(_TRAITS):
        raise ValueError("not a person")
    given: dict[str, Any] = dict(zip(_TRAITS, texts, strict=True))
    patient = Patient(
        Source.CDA,
        Place(),
        Traits(birth_date=_date(found["born"]), **given),
        ins=tuple(InsId(_text(oid), _text(number)) for oid, number in found["ins"][:MOST_IDENTIFIERS]),
        ids=tuple(Identifier(_text(root), _text(extension)) for root, extension in found["ids"][:MOST_IDENTIFIERS]),
    )
    place, told = _said(found["said"])
    return Person(patient, place, told)


def _document(row: Sequence[Any]) -> DocumentMark:
    own, group, version, replaces, content = row[:5]
    return DocumentMark(
        own=_text(own),
        group=_text(group),
        version=max(0, min(int(version), _NEWEST)),
        replaces=tuple(_text(one) for one in replaces[:20]),
        content=_text(content),
    )


def _date(parts: Sequence[Any]) -> PartialDate | None:
    if not parts:
        return None
    year, month, day = parts
    return PartialDate(int(year), None if month is None else int(month), None if day is None else int(day))


def _said(texts: Sequence[Any]) -> tuple[Said, Said]:
    fr, en, told_fr, told_en = (_text(text) for text in texts)
    return Said(fr, en), Said(told_fr, told_en)


def _text(value: Any) -> str:
    return str(value)[:_LONGEST]
