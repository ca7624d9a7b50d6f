"""From entries to resources: what the public profiles of the national directory show, and nothing else (MSS-120).

Promise: pure, and the same entries give the same resource; who is responsible and the red list are never told, ``digitization`` is read
elsewhere and not written, as the profiles of 2026 have it (MSS-125). Failure: none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from directory.entry import Entry
from directory.fhir import systems
from directory.fhir.keys import Kind, identity, stands_in

Resource = dict[str, Any]


def resource(kind: Kind, known: str, entries: Sequence[Entry], *, partial: bool = False) -> Resource:
    """The resource with this identity, of all its ``entries`` (at least one); ``partial`` when there are more mailboxes."""
    first = entries[0]
    made: Resource = {"resourceType": kind.value, "id": known}
    if partial:
        made["meta"] = {"tag": [systems.SUBSETTED]}
    if kind is Kind.ORGANIZATION:
        made |= _organization(first)
    elif kind is Kind.PRACTITIONER:
        made |= _practitioner(first)
    else:
        made |= _role(first)
    points = [mailbox(each) for each in entries if stands_in(each, kind)]
    points += _phones(each for each in entries if stands_in(each, kind))
    if points:
        made["telecom"] = points
    return made


def mailbox(entry: Entry) -> Resource:
    """The address as a ContactPoint (profile as-mailbox-mss)."""
    known = [{"url": "type", "valueCodeableConcept": _concept(systems.MAILBOX_TYPE, entry.type, "")}]
    known += [
        {"url": name, "valueString": text} for name in ("description", "service") if (text := getattr(entry, name))
    ]
    point: Resource = {"system": "email", "value": entry.address}
    if entry.rank > 0:
        point["rank"] = entry.rank
    point["extension"] = [
        {"url": systems.EMAIL_KIND, "valueCoding": {"system": systems.MAILBOX_KIND, "code": "MSSANTE"}},
        {"url": systems.MAILBOX, "extension": known},
    ]
    return point


def _phones(entries: Iterable[Entry]) -> list[Resource]:
    return [{"system": "phone", "value": number} for number in dict.fromkeys(each.phone for each in entries) if number]


def _practitioner(entry: Entry) -> Resource:
    made: Resource = {"active": True}
    if entry.person:
        made["identifier"] = _person(entry.person)
    made["name"] = [_name(entry)]
    if entry.profession or entry.profession_code:
        made["qualification"] = [{"code": _concept(systems.PROFESSION, entry.profession_code, entry.profession)}]
    if identity(entry, Kind.ROLE) is None:
        made |= _address(entry)
    return made


def _role(entry: Entry) -> Resource:
    person = {"reference": f"Practitioner/{identity(entry, Kind.PRACTITIONER)}", "display": entry.name}
    # By its number: an Organization none of whose mailboxes is told does not exist here.
    place: Resource = {"identifier": _structure(entry.structure)[0]}
    if entry.organisation:
        place["display"] = entry.organisation
    made: Resource = {"active": True, "practitioner": person, "organization": place}
    if entry.profession or entry.profession_code:
        made["code"] = [_concept(systems.PROFESSION, entry.profession_code, entry.profession)]
    if entry.specialty or entry.specialty_code:
        made["specialty"] = [_concept(systems.SPECIALTY, entry.specialty_code, entry.specialty)]
    return made


def _organization(entry: Entry) -> Resource:
    made: Resource = {"active": True, "name": entry.organisation or entry.name}
    if entry.structure:
        made["identifier"] = _structure(entry.structure)
    return made | _address(entry)


def _name(entry: Entry) -> Resource:
    name: Resource = {}
    if entry.family:
        name["family"] = entry.family
    if entry.given:
        name["given"] = [entry.given]
    if entry.title:
        name["prefix"] = [entry.title]
    return name or {"text": entry.name}


def _person(number: str) -> list[Resource]:
    known = [{"system": systems.IDNAT_PS, "value": number}]
    return [*known, {"system": systems.RPPS, "value": number[1:]}] if number[:1] == "8" and number[1:] else known


def _structure(number: str) -> list[Resource]:
    system = {"1": systems.FINESS, "3": systems.SIRET}.get(number[:1])
    known = [{"system": systems.IDNAT_STRUCT, "value": number}]
    return [*known, {"system": system, "value": number[1:]}] if system and number[1:] else known


def _address(entry: Entry) -> Resource:
    made: Resource = {}
    if entry.street:
        made["line"] = [entry.street]
    for key, text in (
        ("city", entry.town),
        ("district", entry.department),
        ("postalCode", entry.postal_code),
        ("country", entry.country),
    ):
        if text:
            made[key] = text
    return {"address": [made]} if made else {}


def _concept(system: str, code: str, shown: str) -> Resource:
    concept: Resource = {}
    if code:
        coding = {"system": system, "code": code}
        concept["coding"] = [coding | ({"display": shown} if shown else {})]
    if shown:
        concept["text"] = shown
    return concept
