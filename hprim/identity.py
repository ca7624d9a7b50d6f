"""An identity given as plain data (a JSON file of practice software), turned into the same value the readers produce.

Promise: the keys are those of :meth:`hprim.model.Patient.to_json`, so what a check prints can be fed back; unknown keys
are refused, because a misspelt trait must not vanish. Failure: :class:`IdentityError` with the field, in French and
English.
Source: RNIV traits, HID-021, HID-050.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hprim import dates, ins
from hprim.model import Identifier, InsId, Patient, Place, Source, Traits, Words

_TEXTS = (
    "birth_surname",
    "used_surname",
    "surname",
    "first_name",
    "used_first_name",
    "first_names",
    "sex",
    "birth_place",
)
_KNOWN = frozenset((*_TEXTS, "birth_date", "ins", "ids", "nir", "source", "place"))
_LONGEST = 200


class IdentityError(ValueError):
    """An identity that cannot be used; ``words`` say which field and why."""

    def __init__(self, fr: str, en: str) -> None:
        super().__init__(en)
        self.words = Words(fr, en)


def _text(given: Mapping[str, Any], key: str) -> str:
    value = given.get(key, "")
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST or not all(c.isprintable() for c in value):
        raise IdentityError(f"le champ {key} doit être un texte court", f"field {key} must be a short text")
    return " ".join(value.split())


def _birth(given: Mapping[str, Any]) -> dates.PartialDate | None:
    raw = _text(given, "birth_date")
    if not raw:
        return None
    found = dates.read_iso(raw)
    if found is None and len(raw) == 10 and raw[2] == raw[5] == "/":
        found = dates.read_compact(raw[6:] + raw[3:5] + raw[:2])
    if found is None:
        raise IdentityError("date de naissance illisible (AAAA-MM-JJ)", "unreadable birth date (YYYY-MM-DD)")
    return found


def _pairs(given: Mapping[str, Any], key: str, names: tuple[str, str]) -> list[tuple[str, str]]:
    listed = given.get(key) or []
    one = [listed] if isinstance(listed, Mapping) else listed
    if not isinstance(one, list) or len(one) > 20 or not all(isinstance(x, Mapping) for x in one):
        raise IdentityError(f"le champ {key} doit être une liste", f"field {key} must be a list")
    return [(_text(x, names[0]), _text(x, names[1])) for x in one]


def _ins(given: Mapping[str, Any]) -> tuple[InsId, ...]:
    found = tuple(InsId(oid, ins.clean(number)) for oid, number in _pairs(given, "ins", ("oid", "matricule")))
    for one in found:
        if one.oid not in ins.INS_OIDS:
            raise IdentityError("OID inconnu pour un matricule INS", "unknown OID for an INS number")
        if not ins.is_matricule(one.matricule):
            raise IdentityError("matricule INS invalide (longueur ou clé)", "invalid INS number (length or key)")
    return found


def patient_from_json(given: Mapping[str, Any]) -> Patient:
    """The patient described by ``given``. Surname, first name and birth date are compulsory."""
    unknown = sorted(str(k)[:40] for k in given if k not in _KNOWN)
    if unknown:
        raise IdentityError(f"champ inconnu : {unknown[0]}", f"unknown field: {unknown[0]}")
    traits = Traits(**{key: _text(given, key) for key in _TEXTS}, birth_date=_birth(given))
    if not traits.any_surname() or not traits.any_first_name() or traits.birth_date is None:
        raise IdentityError(
            "nom, prénom et date de naissance sont obligatoires", "surname, first name and birth date are compulsory"
        )
    if traits.sex not in ("", "M", "F"):
        raise IdentityError("sexe : M ou F", "sex: M or F")
    if traits.birth_place and not ins.is_cog(traits.birth_place):
        raise IdentityError("lieu de naissance : code INSEE à 5 caractères", "birth place: 5-character INSEE code")
    numbers = _ins(given)
    others = tuple(Identifier(r, e) for r, e in _pairs(given, "ids", ("root", "extension")) if e)
    ids = (*(Identifier(i.oid, i.matricule) for i in numbers), *others)
    return Patient(Source.CDA, Place(), traits, numbers, tuple(dict.fromkeys(ids)), nir=_text(given, "nir"))
