"""Mailboxes in FHIR resources of Annuaire Santé, in every coding that was seen (MSS-125)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.entry import Entry, Source
from directory.sources.fhir import entries

TYPE_MAIL = {
    "url": "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-contact-point-email-type",
    "valueCoding": {
        "system": "https://mos.esante.gouv.fr/NOS/TRE_R256-TypeMessagerie/FHIR/TRE-R256-TypeMessagerie",
        "code": "MSSANTE",
    },
}
METADATA = "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-mailbox-mss-metadata"
R257 = "https://mos.esante.gouv.fr/NOS/TRE_R257-TypeBAL/FHIR/TRE-R257-TypeBAL"
ADDRESS = "prenom.nom@op-n.mssante.test"


def telecom(*parts: dict[str, Any], url: str = METADATA, **more: Any) -> dict[str, Any]:
    return {
        "system": "email",
        "value": ADDRESS,
        "extension": [TYPE_MAIL, {"url": url, "extension": list(parts)}],
        **more,
    }


def practitioner(*telecoms: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Practitioner",
        "identifier": [
            {"system": "https://rpps.esante.gouv.fr", "value": "99900000001"},
            {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "899900000001"},
        ],
        "name": [{"family": "NOM", "given": ["Prénom"], "prefix": ["DR"]}],
        "qualification": [
            {
                "code": {
                    "coding": [{"system": "https://x/TRE_G15-ProfessionSante/FHIR", "code": "10", "display": "Médecin"}]
                }
            },
            {
                "code": {
                    "coding": [{"system": "https://x/TRE_R38-Specialite", "code": "SM04", "display": "Cardiologie"}]
                }
            },
        ],
        "telecom": list(telecoms),
    }


CONCEPT = {"url": "type", "valueCodeableConcept": {"coding": [{"system": R257, "code": "PER"}]}}
VARIANTS = {
    "concept, R257": CONCEPT,
    "concept, R256": {"url": "type", "valueCodeableConcept": {"coding": [{"system": R257.replace("257", "256"), "code": "PER"}]}},
    "bare code": {"url": "type", "valueCode": "PER"},
    "coding": {"url": "type", "valueCoding": {"system": R257, "code": "PER"}},
    "two codings": {"url": "type", "valueCodeableConcept": {"coding": [{"code": "MSSANTE"}, {"code": "PER"}]}},
}  # fmt: skip


@pytest.mark.parametrize("part", VARIANTS.values(), ids=VARIANTS)
def test_every_coding_of_the_type(part: dict[str, Any]) -> None:
    assert list(entries(practitioner(telecom(part, rank=1)))) == [
        Entry(
            address=ADDRESS,
            type="PER",
            source=Source.NATIONAL,
            title="DR",
            family="NOM",
            given="Prénom",
            person="899900000001",
            profession="Médecin",
            profession_code="10",
            specialty="Cardiologie",
            specialty_code="SM04",
            rank=1,
        )
    ]


def test_what_is_said_of_a_mailbox() -> None:
    said = telecom(
        CONCEPT,
        {"url": "service", "valueString": "Urgences"},
        {"url": "description", "valueString": "Mar\x1b[2J"},
        {"url": "responsible", "valueString": "Secret"},
        {"url": "digitization", "valueBoolean": True},
        {"url": "listeRouge", "valueBoolean": False},
    )
    (one,) = entries(practitioner(said))
    assert (one.service, one.description, one.paperless, one.rank) == ("Urgences", "Mar [2J", True, 0)
    assert "Secret" not in repr(one)
    (old,) = entries(practitioner(telecom(url="https://annuaire.sante.gouv.fr/fhir/StructureDefinition/MailboxMSS")))
    assert (old.address, old.type) == (ADDRESS, "")


def test_of_an_organisation() -> None:
    resource = {
        "resourceType": "Organization",
        "name": "Hôpital d’essai",
        "identifier": [{"system": "https://finess.esante.gouv.fr", "value": "990000001"}],
        "address": [{"line": ["1 rue"], "postalCode": "75013", "city": "PARIS"}],
        "telecom": [
            {"system": "email", "value": "contact@example.org"},
            telecom({"url": "type", "valueCode": "ORG"}),
            {"system": "phone", "value": "0100000000"},
        ],
    }
    (one,) = entries(resource)
    assert (one.type, one.organisation, one.structure, one.town) == ("ORG", "Hôpital d’essai", "1990000001", "PARIS")


def test_of_a_role() -> None:
    resource = {
        "resourceType": "PractitionerRole",
        "practitioner": {"identifier": {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "899900000001"}},
        "extension": [{"url": "name", "valueHumanName": {"family": "NOM", "given": ["P"]}}],
        "telecom": [telecom(CONCEPT)],
    }
    (one,) = entries(resource)
    assert (one.person, one.family) == ("899900000001", "NOM")


@pytest.mark.parametrize(
    "said",
    [
        telecom(CONCEPT, {"url": "listeRouge", "valueBoolean": True}),
        telecom(CONCEPT, {"url": "listeRouge", "valueBoolean": "true"}),
        telecom(CONCEPT, {"url": "listeRouge"}),
        telecom(CONCEPT, system="phone"),
        telecom(CONCEPT, value="no address"),
        telecom(CONCEPT, value=7),
        {"system": "email", "value": "ordinary@example.org"},
        telecom(CONCEPT, extension="none"),
    ],
)
def test_what_is_hidden_or_no_mailbox_is_no_entry(said: dict[str, Any]) -> None:
    """MSS-121: in doubt it is hidden."""
    assert list(entries(practitioner(said))) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["telecom", "extension", "url", "name", "coding", "code", "identifier", "value", "system"]), inner, max_size=4)
    ),
    max_leaves=15,
)  # fmt: skip


@given(st.sampled_from(["Practitioner", "PractitionerRole", "Organization", "Patient"]), st.dictionaries(
    st.sampled_from(["telecom", "extension", "name", "qualification", "code", "specialty", "identifier", "address", "practitioner"]), JSON,
))  # fmt: skip
def test_any_json_is_read(kind: str, resource: dict[str, Any]) -> None:
    assert json.dumps([one.address for one in entries({**resource, "resourceType": kind})])
