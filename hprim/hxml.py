"""HPRIM XML (``http://www.hprim.org/hprimXML``): the patients it names.

Promise: every ``patient`` is read; an absent sex stays absent. Failure: unreadable XML gives no patient and one problem.
Source: HID-017, HID-088; HPRIM XML 1.0 to 2.0 as public programs read it.
"""

from __future__ import annotations

from datetime import date

from hprim import dates, fields, insrules
from hprim.cda import refuse_unreadable
from hprim.findings import Findings
from hprim.model import Document, Format, Identifier, Patient, Place, Source, Traits
from hprim.xmlsafe import Node, Unreadable, parse

NAMESPACE = "http://www.hprim.org/hprimXML"
MAX_PATIENTS = 50


def read(data: bytes, place: Place, findings: Findings, today: date, *, name: str = "") -> Document:
    """Every patient of the file."""
    findings.add("HID-017", place, format="HPRIM XML")
    try:
        findings.spend_markup(data)
        root = parse(data)
    except Unreadable as error:
        refuse_unreadable(error, name or place.part, place, findings)
        return Document(Format.HPRIM_XML, place, name=name, size=len(data))
    people = [node for node in root.walk() if node.name == "patient"]
    if len(people) > MAX_PATIENTS:
        findings.too_many(place, "trop de patients", "too many patients")
    patients = tuple(
        _patient(node, person, place, findings, today)
        for node in people[:MAX_PATIENTS]
        for person in node.all("personnePhysique")[:10] or [node]
    )
    head = next((n for n in root.walk() if n.name == "enteteMessage"), Node(""))
    details = {
        "root": root.name,
        "version": root.get("version"),
        "message": head.said("identifiantMessage"),
        "mode": head.get("modeTraitement"),
    }
    return Document(
        Format.HPRIM_XML,
        place,
        name=name,
        size=len(data),
        patients=patients,
        details={k: v for k, v in details.items() if v},
    )


def _patient(node: Node, person: Node, place: Place, findings: Findings, today: date) -> Patient:
    used = fields.name_value(person.said("nomUsuel"), fields.SURNAME, place, findings, longest=100)
    birth = fields.name_value(person.said("nomNaissance"), fields.SURNAME, place, findings, longest=100)
    if not used and not birth:
        fields.name_value("", fields.SURNAME, place, findings, missing="HID-026")
    listed = [" ".join(p.text.split()) for p in person.all("prenoms", "prenom")[:10] if p.text.strip()]
    first = fields.name_value(
        listed[0] if listed else "", fields.FIRST, place, findings, missing="HID-027", longest=100
    )
    fields.whole_name(birth or used, first, place, findings)
    dated = [node.said("date") or " ".join(node.text.split()) for node in person.all("dateNaissance")[:10]]
    told = list(dict.fromkeys(filter(None, dated)))
    raw = " / ".join(told)
    born = fields.birth_value(dates.read_iso(raw) if len(told) == 1 else None, raw, place, findings, today)
    sex = person.get("sexe").upper()
    traits = Traits(
        birth_surname=birth,
        used_surname=used if birth else "",
        surname="" if birth else used,
        first_name=first,
        first_names=" ".join(listed) if len(listed) > 1 else "",
        birth_date=born,
        sex=sex if sex in ("M", "F") else "",
    )
    ids = tuple(Identifier("", v) for v in _values(node))
    return Patient(Source.HPRIM_XML, place, traits, insrules.ins_ids(ids, findings.profile), ids)


def _values(node: Node) -> list[str]:
    holders = node.all("identifiant", "emetteur") + node.all("identifiant", "recepteur")
    return [h.said("valeur") for h in holders if h.said("valeur")]
