"""What a FHIR server says around its resources: bundles, outcomes of errors, and what it can do.

Promise: pure. Failure: none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from directory.fhir.keys import Kind
from directory.fhir.parameters import PARAMETERS, Parameter
from directory.fhir.resources import Resource

VERSION = "4.0.1"
MEDIA = "application/fhir+json"


def outcome(code: str, text: str, *, severity: str = "error", where: str = "") -> Resource:
    """An OperationOutcome of one issue; ``where`` names the parameter at fault."""
    issue: Resource = {"severity": severity, "code": code, "details": {"text": text}}
    if where:
        issue["expression"] = [where]
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def bundle(
    base: str,
    own: str,
    found: Sequence[Resource],
    following: str = "",
    total: int | None = None,
    note: Resource | None = None,
) -> Resource:
    """A page of results; ``own`` and ``following`` are links below ``base``, ``note`` an outcome to read beside them."""
    links = [{"relation": "self", "url": f"{base}/{own}"}]
    if following:
        links.append({"relation": "next", "url": f"{base}/{following}"})
    entries: list[Resource] = [
        {
            "fullUrl": f"{base}/{each['resourceType']}/{each['id']}",
            "resource": each,
            "search": {"mode": "match"},
        }
        for each in found
    ]
    if note is not None:
        entries.append({"resource": note, "search": {"mode": "outcome"}})
    made: Resource = {"resourceType": "Bundle", "type": "searchset", "link": links}
    if total is not None:
        made["total"] = total
    return made | ({"entry": entries} if entries else {})


def capabilities(base: str, version: str, date: str) -> Resource:
    """What can be asked here (``/metadata``)."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": {"name": "Caducée", "version": version},
        "implementation": {"description": "Annuaire des boîtes de l’espace de confiance", "url": base},
        "fhirVersion": VERSION,
        "format": ["json", MEDIA],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "description": "Adresse et mot de passe d’appareil (HTTP Basic), jeton, ou certificat client."
                    " / Address and device password (HTTP Basic), bearer token, or client certificate."
                },
                "resource": [_offered(kind) for kind in Kind],
            }
        ],
    }


def _offered(kind: Kind) -> dict[str, Any]:
    return {
        "type": kind.value,
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "versioning": "no-version",
        "searchParam": [_parameter(name, each) for name, each in PARAMETERS[kind].items()],
    }


def _parameter(name: str, known: Parameter) -> Resource:
    return {"name": name, **({"definition": known.definition} if known.definition else {}), "type": known.type}
