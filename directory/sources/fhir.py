"""Entries out of FHIR resources of Annuaire Santé: Practitioner, PractitionerRole, Organization (mssante.md 6.3).

A mailbox is no resource there but a ``telecom`` with extensions, whose coding changed over time: its type stands in a ``valueCodeableConcept``, a
``valueCoding`` or a bare ``valueCode``, coded by TRE_R257 or TRE_R256, and ``digitization`` is published though no profile declares it. All of these are
read (MSS-125). Promise: who is responsible is not read, a mailbox said to be on the red list is no entry (MSS-121), an ordinary e-mail
address is none either; whatever has another form than expected is passed over. Texts are cleaned and bounded. Failure: none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from directory.entry import Entry, Source
from directory.sources.lines import bounded, is_address

RESOURCES = ("Practitioner", "PractitionerRole", "Organization")
MOST_TELECOMS = 100
TYPES = frozenset({"PER", "ORG", "APP", "CAB"})
METADATA = ("as-ext-mailbox-mss-metadata", "MailboxMSS")
"""Ends of the addresses of the extension that makes a telecom a mailbox; the second is of before 2022."""
EMAIL_TYPE = "fr-core-contact-point-email-type"
_PERSON = {"urn:oid:1.2.250.1.71.4.2.1": "", "https://rpps.esante.gouv.fr": "8"}
_STRUCTURE = {"urn:oid:1.2.250.1.71.4.2.2": "", "https://finess.esante.gouv.fr": "1", "https://sirene.fr": ""}


def entries(resource: Mapping[str, Any]) -> Iterator[Entry]:
    """One per mailbox of the resource."""
    kind = resource.get("resourceType")
    if kind not in RESOURCES:
        return
    holder = _holder(resource, kind)
    for telecom in _dicts(resource.get("telecom"))[:MOST_TELECOMS]:
        facts = _mailbox(telecom)
        if facts is not None:
            yield Entry(source=Source.NATIONAL, **{**holder, **facts})


def _holder(resource: Mapping[str, Any], kind: str) -> dict[str, Any]:
    if kind == "Organization":
        place = next(iter(_dicts(resource.get("address"))), {})
        return {
            "organisation": _text(resource.get("name")),
            "structure": _identifier(resource, _STRUCTURE),
            "street": ", ".join(_text(one) for one in _list(place.get("line"))[:5])[:255],
            "postal_code": _text(place.get("postalCode")),
            "town": _text(place.get("city")),
            "country": _text(place.get("country")),
        }
    names = _dicts(resource.get("name")) or [
        one["valueHumanName"]
        for one in _dicts(resource.get("extension"))
        if isinstance(one.get("valueHumanName"), dict)
    ]
    name: Mapping[str, Any] = next(iter(names), {})
    person = _identifier(resource, _PERSON) or _identifier({"identifier": [_referred(resource)]}, _PERSON)
    return {
        "title": " ".join(_text(one) for one in _list(name.get("prefix"))[:3]),
        "family": _text(name.get("family")),
        "given": " ".join(_text(one) for one in _list(name.get("given"))[:5]),
        "person": person,
        **_calling(resource),
    }


def _referred(resource: Mapping[str, Any]) -> Any:
    practitioner = resource.get("practitioner")
    return practitioner.get("identifier") if isinstance(practitioner, dict) else None


def _calling(resource: Mapping[str, Any]) -> dict[str, str]:
    """Profession and specialty, wherever a coding of those nomenclatures stands."""
    found: dict[str, str] = {}
    concepts = [one.get("code") for one in _dicts(resource.get("qualification"))]
    concepts += [*_list(resource.get("code")), *_list(resource.get("specialty"))]
    for coding in (
        coding for concept in concepts if isinstance(concept, dict) for coding in _dicts(concept.get("coding"))
    ):
        system = _text(coding.get("system"))
        for field, nomenclature in (("profession", "TRE_G15"), ("specialty", "TRE_R38")):
            if nomenclature in system and field not in found:
                found[field], found[f"{field}_code"] = _text(coding.get("display")), _text(coding.get("code"))
    return found


def _mailbox(telecom: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a telecom tells of a mailbox; None for anything else, and for what is on the red list."""
    extensions = _dicts(telecom.get("extension"))
    metadata = [one for one in extensions if _url(one).endswith(METADATA)]
    secure = [one for one in extensions if _url(one).endswith(EMAIL_TYPE) and "MSSANTE" in _codes(one)]
    address = _text(telecom.get("value"))
    if telecom.get("system") != "email" or not (metadata or secure) or not is_address(address):
        return None
    facts: dict[str, Any] = {"address": address, "type": "", "rank": _rank(telecom.get("rank"))}
    for part in (part for one in metadata for part in _dicts(one.get("extension"))):
        name = _url(part)
        if name == "listeRouge" and part.get("valueBoolean") is not False:
            return None
        if name == "type":
            facts["type"] = next(iter(TYPES & _codes(part)), facts["type"])
        elif name in ("description", "service"):
            facts[name] = _text(part.get("valueString"))
        elif name == "digitization" and isinstance(part.get("valueBoolean"), bool):
            facts["paperless"] = part["valueBoolean"]
    return facts


def _codes(extension: Mapping[str, Any]) -> set[str]:
    """The codes an extension bears, in whichever form."""
    concept = extension.get("valueCodeableConcept")
    codings = _dicts(concept.get("coding")) if isinstance(concept, dict) else []
    if isinstance(coding := extension.get("valueCoding"), dict):
        codings.append(coding)
    return {_text(one.get("code")) for one in codings} | {_text(extension.get("valueCode"))}


def _rank(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 1000 else 0


def _identifier(resource: Mapping[str, Any], systems: Mapping[str, str]) -> str:
    for one in _dicts(resource.get("identifier")):
        prefix, value = systems.get(_text(one.get("system"))), _text(one.get("value"))
        if prefix is not None and value:
            return prefix + value
    return ""


def _url(extension: Mapping[str, Any]) -> str:
    return _text(extension.get("url"))


def _text(value: object) -> str:
    return bounded(value) if isinstance(value, str) else ""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in _list(value) if isinstance(one, dict)]
