"""A PDF or a text inside a CDA of level 1, for whom takes nothing else: patients, and who asks for it (ECO.2.2.6, MSS-099).

What no PDF tells is told by the identity: ``ins_oid``, ``document_code`` and ``author``, which nothing here may guess.
Promise: pure; the same arguments give the same octets, others give another document number. Failure:
:class:`gateway.identity.BadIdentity`, which names each key that is missing.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

from gateway.identity import Author, BadIdentity, Identity
from hprim import ins
from hprim.identity import IdentityError, patient_from_json
from hprim.model import Patient
from hprim.oid import unregistered
from hprim.wrap import About, Writer, wrap


def enclosed(content: bytes, media_type: str, one: Identity, label: str, now: datetime, *, to_patient: bool) -> bytes:
    """The CDA around ``content``. ``to_patient``: only a whole INS will do."""
    author = _complete(one, to_patient=to_patient)
    about = About(
        identifier=unregistered(repr((one, label, now)).encode() + content),
        code=one.document_code,
        label=label,
        written=now,
        act=datetime.combine(one.file_date, time(), UTC) if one.file_date else None,
    )
    return wrap(content, media_type, _patient(one), about, _writer(author))


def _complete(one: Identity, *, to_patient: bool) -> Author:
    needed: dict[str, object] = {"author": one.author, "document_code": one.document_code}
    if to_patient or one.ins:
        needed |= {"ins": one.ins, "ins_oid": one.ins_oid, "birth_surname": one.birth_surname, "sex": one.sex}
    else:
        needed |= {"patient_code": one.patient_code, "patient_code_oid": one.patient_code_oid}
    missing = ", ".join(sorted(name for name, value in needed.items() if not value))
    if missing or one.author is None:
        raise BadIdentity(
            f"il manque {missing} : pour un patient, ou pour qui demande un CDA, un PDF ou un texte part dans un document CDA",
            f"missing: {missing}: to a patient, or whoever asks for a CDA, a PDF or a text goes inside a CDA document",
        )
    return one.author


def _patient(one: Identity) -> Patient:
    told: dict[str, Any] = {
        "birth_surname": one.birth_surname or one.surname,
        "used_surname": one.surname if one.birth_surname and one.birth_surname != one.surname else "",
        "first_name": one.first_name,
        "first_names": one.first_names,
        "birth_date": one.birth_date.isoformat(),
        "sex": one.sex,
        "birth_place": one.birth_place,
    }
    if one.ins:
        told["ins"] = {"oid": one.ins_oid, "matricule": one.ins if one.ins[13:] else one.ins + ins.key_of(one.ins)}
    if one.patient_code_oid:
        told["ids"] = {"root": one.patient_code_oid, "extension": one.patient_code}
    try:
        return patient_from_json(told)
    except IdentityError as problem:
        raise BadIdentity(problem.words.fr, problem.words.en) from None


def _writer(author: Author) -> Writer:
    return Writer(
        author.identifier,
        author.surname,
        author.first_name,
        author.organization,
        author.organization_id,
        author.profession,
    )
