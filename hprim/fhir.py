"""The patients of a FHIR resource or bundle, in JSON or XML: names, birth date, sex and numbers by their OID. Nothing else is read,
so nothing else is missed.

Promise: work is bounded by what may be told of a JSON before it is parsed (its size, and the signs that make values); a resource
without a patient is about nobody. Failure: what is too large, or is no JSON after all, is carried and said not to have been read
(HID-100); XML fails as any other (:class:`hprim.xmlsafe.Unreadable`).
Source: HL7 FHIR R4 Patient, Bundle; FR Core (birth-list-given-name), INS by ``urn:oid:``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

from hprim import dates, hl7, insrules
from hprim.detect import UNREAD_FHIR, is_fhir_xml
from hprim.findings import Findings
from hprim.model import Document, Format, Identifier, Patient, Place, Source, Traits, Words
from hprim.shown import shown
from hprim.xmlsafe import Node, TooMuch, looks_xml, parse

MAX_JSON = 4 << 20
MAX_SIGNS = 200_000
MAX_PATIENTS = 50
_MOST = 20
_LISTED = "birth-list-given-name"
_KINDS = {"maiden": "M", "official": "L", "usual": "D", "nickname": "N", "old": "A", "anonymous": "S"}
"""The use of a name, in the letters of PID-5: French senders write the birth name as the official one."""
_SEXES = {"male": "M", "female": "F"}
_SIGNS = str.maketrans(dict.fromkeys("|^~&\\\r\n", " "))


def read(data: bytes, place: Place, findings: Findings, today: date, *, name: str = "") -> Document:
    """The resource and its patients."""
    found = _of_xml(data, findings) if looks_xml(data[:1_024]) else _of_json(data)
    if found is None or len(found) > MAX_PATIENTS:
        findings.add("HID-100", place, name=shown(name) or Words("joint", "attached"), kind=UNREAD_FHIR)
        return Document(Format.FHIR, place, name=name, size=len(data))
    findings.add("HID-017", place, format="FHIR")
    people = tuple(one for told in found for one in _patients(told, place, findings, today))
    return Document(Format.FHIR, place, name=name, size=len(data), patients=people)


def _of_json(data: bytes) -> list[dict[str, Any]] | None:
    """Each Patient resource, wherever it stands; None when the whole cannot be read."""
    if len(data) > MAX_JSON or sum(map(data.count, (b",", b"[", b"{"))) > MAX_SIGNS:
        return None
    try:
        root = json.loads(data, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None
    return [one for one in _objects(root) if one.get("resourceType") == "Patient"]


def _objects(root: Any) -> Iterator[dict[str, Any]]:
    left = [root]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            yield one
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(reversed(one))


def _of_xml(data: bytes, findings: Findings) -> list[dict[str, Any]] | None:
    """The same in the shape of JSON."""
    findings.spend_markup(data)
    try:
        root = parse(data)
    except TooMuch:
        return None
    return [_shaped(one) for one in root.walk() if one.name == "Patient" and is_fhir_xml((one.space, one.name))]


def _shaped(node: Node) -> dict[str, Any]:
    def value(one: Node, name: str) -> str:
        return (one.one(name) or Node("")).get("value")

    return {
        "name": [
            {
                "use": value(one, "use"),
                "family": value(one, "family"),
                "given": [each.get("value") for each in one.all("given")[:_MOST]],
                "extension": [
                    {"url": each.get("url"), "valueString": value(each, "valueString")}
                    for each in one.all("extension")[:_MOST]
                ],
            }
            for one in node.all("name")[:_MOST]
        ],
        "identifier": [
            {"system": value(one, "system"), "value": value(one, "value")} for one in node.all("identifier")[:_MOST]
        ],
        "birthDate": value(node, "birthDate"),
        "gender": value(node, "gender"),
    }


def _list(value: Any) -> list[dict[str, Any]]:
    return [one for one in value[:_MOST] if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return " ".join(value[:200].translate(_SIGNS).split()) if isinstance(value, str) else ""


def _xpn(told: dict[str, Any]) -> str:
    """A name as PID-5 has it, so that names are told apart as everywhere."""
    first = told.get("given")
    given = [text for one in first[:_MOST] if (text := _text(one))] if isinstance(first, list) else []
    listed = [_text(one.get("valueString")) for one in _list(told.get("extension")) if _LISTED in _text(one.get("url"))]
    whole = next(filter(None, listed), " ".join(given) if len(given) > 1 else "")
    kind = _KINDS.get(_text(told.get("use")), "")
    return f"{_text(told.get('family'))}^{given[0] if given else ''}^{whole}^^^^{kind}"


def _patients(told: dict[str, Any], place: Place, findings: Findings, today: date) -> list[Patient]:
    names, s = "~".join(_xpn(one) for one in _list(told.get("name"))), hl7.Signs()
    birth, used, first, used_first, listed = hl7.names(names, s)
    traits = Traits(
        birth_surname=birth,
        used_surname=used,
        first_name=first,
        used_first_name=used_first,
        first_names=listed,
        birth_date=dates.read_iso(_text(told.get("birthDate"))),
        sex=_SEXES.get(_text(told.get("gender")), ""),
    )
    ids = tuple(
        Identifier(system.removeprefix("urn:oid:"), _text(one.get("value")))
        for one in _list(told.get("identifier"))
        if (system := _text(one.get("system"))).startswith("urn:oid:") and _text(one.get("value"))
    )
    found = insrules.ins_ids(ids, findings.profile)
    insrules.check_identifiers(ids, traits, place, findings)
    insrules.check_number(found, traits, place, findings, today)
    everybody = [traits, *hl7.others(names, s, traits)]
    return [Patient(Source.FHIR, place, one, found, ids) for one in everybody]
