"""Who a document is about, as practice software tells it: the JSON object of ``caducee send --patient``.

Promise: pure; a field that is unknown is refused, because a misspelt trait must not vanish. Failure: :class:`BadIdentity`, whose
text names the field, in both languages, and no value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from hprim import ins
from policies.decision import Language

_ISO = re.compile(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})")
_FRENCH = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{4})")
_LONGEST_FIELD = 200
_SEXES = {"": "", "m": "M", "h": "M", "f": "F", "male": "M", "female": "F", "homme": "M", "femme": "F"}
_FIELDS = {
    "surname", "birth_surname", "used_surname", "first_name", "first_names", "birth_date", "sex", "birth_place",
    "patient_code", "nir", "ins", "address", "postcode", "city", "file_number", "file_date",
}  # fmt: skip


class Unsendable(ValueError):
    """What was given cannot become a message: why, in both languages, without any value of it."""

    def __init__(self, french: str, english: str) -> None:
        super().__init__(english)
        self.french = french
        self.english = english

    def said(self, language: Language) -> str:
        return self.french if language == "fr" else self.english


class BadIdentity(Unsendable):
    """The patient is not told well enough; the text names the field."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the document is about. ``surname`` is the one in use, ``birth_surname`` that of birth when known."""

    surname: str
    first_name: str
    birth_date: date
    birth_surname: str = ""
    first_names: str = ""
    sex: str = ""
    patient_code: str = ""
    nir: str = ""
    ins: str = ""
    address: tuple[str, str] = ("", "")
    postcode: str = ""
    city: str = ""
    file_number: str = ""
    file_date: date | None = None


def identity_from(given: Any) -> Identity:
    """From the JSON object of ``--patient``. :class:`BadIdentity` names the first field that is missing, unknown or faulty."""
    if not isinstance(given, dict):
        raise BadIdentity(
            "ce fichier n’est pas un objet JSON ({…} avec des noms et des valeurs)",
            "this file is not a JSON object ({…} with names and values)",
        )
    unknown = sorted(set(given) - _FIELDS)
    if unknown:
        names, first = ", ".join(sorted(_FIELDS)), "".join(c for c in unknown[0][:40] if c.isprintable())
        raise BadIdentity(
            f"champ inconnu « {first} » ; champs possibles : {names}",
            f"unknown field “{first}”; possible fields: {names}",
        )
    surname = _text(given, "surname") or _text(given, "used_surname") or _text(given, "birth_surname")
    first = _text(given, "first_name") or _text(given, "first_names").partition(" ")[0]
    born = _date(given, "birth_date")
    if not surname or not first or born is None:
        missing = [
            name for name, value in (("surname", surname), ("first_name", first), ("birth_date", born)) if not value
        ]
        raise BadIdentity(f"il manque {', '.join(missing)}", f"missing: {', '.join(missing)}")
    return Identity(
        surname=surname,
        first_name=first,
        birth_date=born,
        birth_surname=_text(given, "birth_surname"),
        first_names=_text(given, "first_names"),
        sex=_sex(given),
        patient_code=_text(given, "patient_code"),
        nir=_text(given, "nir"),
        ins=_matricule(given),
        address=_lines(given),
        postcode=_text(given, "postcode"),
        city=_text(given, "city"),
        file_number=_text(given, "file_number"),
        file_date=_date(given, "file_date"),
    )


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name, "")
    if not isinstance(value, str) or len(value) > _LONGEST_FIELD:
        raise BadIdentity(
            f"{name} : un texte d’au plus {_LONGEST_FIELD} caractères est attendu",
            f"{name}: a text of at most {_LONGEST_FIELD} characters is expected",
        )
    return value.strip()


def _sex(given: Mapping[str, Any]) -> str:
    written = _text(given, "sex").lower()
    if written not in _SEXES:
        raise BadIdentity("sex : M, F ou rien est attendu", "sex: M, F or nothing is expected")
    return _SEXES[written]


def _matricule(given: Mapping[str, Any]) -> str:
    written = ins.clean(_text(given, "ins"))
    if not written:
        return ""
    try:
        right = written[13:] in ("", ins.key_of(written[:13]))
    except ValueError:
        right = False
    if not right:
        raise BadIdentity(
            "ins : 13 caractères, ou 15 avec la clé exacte, sont attendus",
            "ins: 13 characters, or 15 with the right key, are expected",
        )
    return written


def _lines(given: Mapping[str, Any]) -> tuple[str, str]:
    value = given.get("address", "")
    lines = value if isinstance(value, list) else [value]
    if len(lines) > 2 or not all(isinstance(line, str) and len(line) <= _LONGEST_FIELD for line in lines):
        raise BadIdentity("address : une ou deux lignes sont attendues", "address: one or two lines are expected")
    return (lines[0] if lines else "", lines[1] if len(lines) > 1 else "")


def _date(given: Mapping[str, Any], name: str) -> date | None:
    written = _text(given, name)
    if not written:
        return None
    iso, french = _ISO.fullmatch(written), _FRENCH.fullmatch(written)
    try:
        if iso:
            return date(int(iso[1]), int(iso[2]), int(iso[3]))
        if french:
            return date(int(french[3]), int(french[2]), int(french[1]))
    except ValueError:
        pass
    raise BadIdentity(f"{name} : une date AAAA-MM-JJ est attendue", f"{name}: a date as YYYY-MM-DD is expected")
