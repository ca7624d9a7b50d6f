"""A CDA R2 level 1 document around a PDF or a text, so that software without CDA can still send a conformant archive.

Promise: what is built is read back by :mod:`hprim.cda` with the same identity; every value is escaped; the same arguments give the
same bytes. Failure: :class:`hprim.compose.ComposeError` when an identity is too poor for a CDA (no identifier, no birth surname).
Source: ANS "Structuration minimale des documents de santé", IHE XDS-SD; level 1 (nonXMLBody).
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from html import escape

from hprim.compose import ComposeError
from hprim.model import Patient

PERSONS = "1.2.250.1.71.4.2.1"
STRUCTURES = "1.2.250.1.71.4.2.2"
PROFESSIONS = "1.2.250.1.213.1.1.4.5"
LOINC = "2.16.840.1.113883.6.1"
_PROFESSION = re.compile(r"G15_[0-9]{1,3}(?:/[A-Z]{2,4}[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Writer:
    """Who signs: national identifier (``8`` + RPPS), names, and the structure (``1`` + FINESS, ``3`` + SIRET...). ``profession`` is a
    code (``G15_10/SM03``) or, where the software has none, words."""

    identifier: str
    surname: str
    first_name: str = ""
    organization: str = ""
    organization_id: str = ""
    profession: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """What the document is. ``identifier`` and ``set_id`` are OIDs; ``written`` and ``act`` carry their time zone; ``replaces`` is
    the identifier of the version it replaces."""

    identifier: str
    code: str
    label: str
    written: datetime
    set_id: str = ""
    version: int = 1
    title: str = ""
    code_system: str = LOINC
    confidentiality: str = "N"
    act: datetime | None = None
    replaces: str = ""


def _time(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ComposeError("heure sans fuseau / time without zone")
    return moment.strftime("%Y%m%d%H%M%S%z")


def _named(tag: str, text: str, qualifier: str = "") -> str:
    if not text:
        return ""
    mark = f' qualifier="{qualifier}"' if qualifier else ""
    return f"<{tag}{mark}>{escape(text)}</{tag}>"


def _patient(patient: Patient) -> str:
    t = patient.traits
    if not patient.ids or not t.any_surname() or t.birth_date is None:
        raise ComposeError(
            "identifiant, nom et date de naissance obligatoires / identifier, surname and birth date needed"
        )
    ids = "".join(f'<id root="{escape(i.root)}" extension="{escape(i.extension)}"/>' for i in patient.ids if i.root)
    if not ids:
        raise ComposeError("identifiant du patient sans OID / patient identifier without OID")
    name = (
        _named("family", t.birth_surname or t.surname, "BR" if t.birth_surname or t.surname else "")
        + _named("family", t.used_surname, "CL")
        + _named("given", t.first_names)
        + _named("given", t.first_name, "BR")
        + _named("given", t.used_first_name, "CL")
    )
    sex = t.sex or "UN"
    place = _named("county", t.birth_place)
    birthplace = f"<birthplace><place><addr>{place}</addr></place></birthplace>" if place else ""
    return (
        f"<recordTarget><patientRole>{ids}<patient><name>{name}</name>"
        f'<administrativeGenderCode code="{sex}" codeSystem="2.16.840.1.113883.5.1"/>'
        f'<birthTime value="{t.birth_date.compact()}"/>{birthplace}</patient></patientRole></recordTarget>'
    )


def _organization(writer: Writer) -> str:
    number = f'<id root="{STRUCTURES}" extension="{escape(writer.organization_id)}"/>' if writer.organization_id else ""
    return number + _named("name", writer.organization or writer.surname)


def _person(writer: Writer) -> str:
    name = _named("given", writer.first_name) + _named("family", writer.surname)
    return f"<assignedPerson><name>{name}</name></assignedPerson>"


def _profession(writer: Writer) -> str:
    if _PROFESSION.fullmatch(writer.profession):
        return f'<code code="{writer.profession}" codeSystem="{PROFESSIONS}"/>'
    words = _named("originalText", writer.profession)
    return f'<code nullFlavor="OTH">{words}</code>' if words else ""


def _people(writer: Writer, moment: str) -> str:
    number = f'<id root="{PERSONS}" extension="{escape(writer.identifier)}"/>'
    structure = _organization(writer)
    return (
        f'<author><time value="{moment}"/><assignedAuthor>{number}{_profession(writer)}{_person(writer)}'
        f"<representedOrganization>{structure}</representedOrganization></assignedAuthor></author>"
        "<custodian><assignedCustodian><representedCustodianOrganization>"
        f"{structure}</representedCustodianOrganization></assignedCustodian></custodian>"
        f'<legalAuthenticator><time value="{moment}"/><signatureCode code="S"/>'
        f"<assignedEntity>{number}{_person(writer)}</assignedEntity></legalAuthenticator>"
    )


def _heading(about: About, moment: str) -> str:
    return (
        '<realmCode code="FR"/><typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>'
        '<templateId root="2.16.840.1.113883.2.8.2.1"/><templateId root="1.2.250.1.213.1.1.1.1"/>'
        '<templateId root="1.3.6.1.4.1.19376.1.2.20"/>'
        f'<id root="{escape(about.identifier)}"/>'
        f'<code code="{escape(about.code)}" codeSystem="{escape(about.code_system)}" displayName="{escape(about.label)}"/>'
        f"<title>{escape(about.title or about.label)}</title>"
        f'<effectiveTime value="{moment}"/>'
        f'<confidentialityCode code="{escape(about.confidentiality)}" codeSystem="2.16.840.1.113883.5.25"/>'
        f'<languageCode code="fr-FR"/><setId root="{escape(about.set_id or about.identifier)}"/>'
        f'<versionNumber value="{about.version}"/>'
    )


def _act(about: About, moment: str) -> str:
    when = _time(about.act) if about.act else moment
    return f'<documentationOf><serviceEvent><effectiveTime><low value="{when}"/></effectiveTime></serviceEvent></documentationOf>'


def _replaced(about: About) -> str:
    if not about.replaces:
        return ""
    return (
        f'<relatedDocument typeCode="RPLC"><parentDocument><id root="{escape(about.replaces)}"/></parentDocument>'
        "</relatedDocument>"
    )


def wrap(content: bytes, media_type: str, patient: Patient, about: About, writer: Writer) -> bytes:
    """The CDA around ``content`` (``application/pdf``, or ``text/plain`` in UTF-8), in UTF-8."""
    moment = _time(about.written)
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ClinicalDocument xmlns="urn:hl7-org:v3">'
        f"{_heading(about, moment)}{_patient(patient)}{_people(writer, moment)}{_act(about, moment)}{_replaced(about)}"
        f'<component><nonXMLBody><text mediaType="{escape(media_type)}" representation="B64">'
    )
    clean = "".join(c if c == "\n" or c.isprintable() else " " for c in head)
    tail = b"</text></nonXMLBody></component></ClinicalDocument>\n"
    return clean.encode("utf-8") + base64.b64encode(content) + tail
