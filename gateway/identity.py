"""Who a document is about, as practice software tells it: the JSON object of ``caducee send --patient``, or beside a dropped file.

What no PDF tells and a CDA must say stands there too: the authority of the INS, the type of the document, its author; and where a
folder has no other way of being told, to whom the document goes and what it is called.
Promise: pure; a field that is unknown is refused, because a misspelt trait must not vanish. Failure: :class:`BadIdentity`, whose
text names the field, in both languages, and no value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from hprim import ins
from policies.address import AddressError, parse
from policies.decision import Language
from policies.values import Address

_ISO = re.compile(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})")
_FRENCH = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{4})")
_LONGEST_FIELD = 200
_SEXES = {"": "", "m": "M", "h": "M", "f": "F", "male": "M", "female": "F", "homme": "M", "femme": "F"}
_FIELDS = {
    "surname", "birth_surname", "used_surname", "first_name", "first_names", "birth_date", "sex", "birth_place",
    "patient_code", "patient_code_oid", "nir", "ins", "ins_oid", "address", "postcode", "city", "file_number", "file_date",
    "author", "document_code", "label", "to",
}  # fmt: skip
_AUTHOR = ("surname", "first_name", "identifier", "profession", "organization", "organization_id")
_OID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]{0,38})){2,30}")
_LOINC = re.compile(r"[0-9]{1,7}-[0-9]")
_RPPS = re.compile(r"[0-9]{11}")
_MOST_RECIPIENTS = 100


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
class Author:
    """Who answers for the document. ``identifier`` is national (``8`` + RPPS), ``organization_id`` too (``1`` + FINESS, ``3`` + SIRET)."""

    surname: str
    identifier: str
    first_name: str = ""
    profession: str = ""
    organization: str = ""
    organization_id: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the document is about. ``surname`` is the one in use, ``birth_surname`` that of birth when known. ``author`` and
    ``document_code`` (LOINC) are the document's, ``label`` and ``to`` the sending's."""

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
    birth_place: str = ""
    ins_oid: str = ""
    patient_code_oid: str = ""
    author: Author | None = None
    document_code: str = ""
    label: str = ""
    to: tuple[Address, ...] = ()


def identity_from(given: Any) -> Identity:
    """From the JSON object of ``--patient``. :class:`BadIdentity` names the first field that is missing, unknown or faulty."""
    if not isinstance(given, dict):
        raise BadIdentity(
            "ce fichier n’est pas un objet JSON ({…} avec des noms et des valeurs)",
            "this file is not a JSON object ({…} with names and values)",
        )
    _known(given, _FIELDS)
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
        birth_place=_text(given, "birth_place"),
        ins_oid=_ins_oid(given),
        patient_code_oid=_formed(given, "patient_code_oid", _OID, "un OID", "an OID"),
        author=_author(given.get("author")),
        document_code=_formed(given, "document_code", _LOINC, "un code LOINC (11488-4…)", "a LOINC code (11488-4…)"),
        label=_text(given, "label"),
        to=_recipients(given.get("to", [])),
    )


def _known(given: Mapping[str, Any], fields: Collection[str], within: str = "") -> None:
    unknown = sorted(set(given) - set(fields))
    if unknown:
        names, first = ", ".join(sorted(fields)), "".join(c for c in unknown[0][:40] if c.isprintable())
        raise BadIdentity(
            f"champ inconnu « {within}{first} » ; champs possibles : {names}",
            f"unknown field “{within}{first}”; possible fields: {names}",
        )


def _formed(given: Mapping[str, Any], name: str, form: re.Pattern[str], french: str, english: str) -> str:
    written = _text(given, name)
    if written and not form.fullmatch(written):
        raise BadIdentity(f"{name} : {french} est attendu", f"{name}: {english} is expected")
    return written


def _ins_oid(given: Mapping[str, Any]) -> str:
    written = _text(given, "ins_oid")
    if written and written not in ins.INS_OIDS:
        raise BadIdentity(
            f"ins_oid : {ins.NIR_OID} (NIR) ou {ins.NIA_OID} (NIA) est attendu",
            f"ins_oid: {ins.NIR_OID} (NIR) or {ins.NIA_OID} (NIA) is expected",
        )
    return written


def _author(given: Any) -> Author | None:
    if given is None:
        return None
    if not isinstance(given, dict):
        raise BadIdentity("author : un objet JSON ({…}) est attendu", "author: a JSON object ({…}) is expected")
    _known(given, _AUTHOR, "author.")
    told = {name: _text(given, name) for name in _AUTHOR}
    missing = ", ".join(f"author.{name}" for name in ("surname", "identifier") if not told[name])
    if missing:
        raise BadIdentity(f"il manque {missing}", f"missing: {missing}")
    if _RPPS.fullmatch(told["identifier"]):
        told["identifier"] = f"8{told['identifier']}"
    return Author(**told)


def _recipients(given: Any) -> tuple[Address, ...]:
    listed = [given] if isinstance(given, str) else given
    try:
        if isinstance(listed, list) and len(listed) <= _MOST_RECIPIENTS:
            return tuple(dict.fromkeys(parse(str(one)) for one in listed))
    except AddressError:
        pass
    raise BadIdentity(
        "to : une adresse, ou une liste d’adresses, est attendue", "to: an address, or a list of addresses, is expected"
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
