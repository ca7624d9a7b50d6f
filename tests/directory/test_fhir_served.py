"""The directory's entries as FHIR resources, and searches as questions (MSS-120, MSS-123)."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given
from hypothesis import strategies as st

from directory.entry import Entry
from directory.fhir import answers, systems
from directory.fhir.keys import Kind, identity, of_kind, sought, stands_in
from directory.fhir.parameters import LONGEST, MOST_NAMES, MOST_VALUES, PAGE, PARAMETERS, BadSearch, search
from directory.fhir.resources import resource
from directory.search import MemoryDirectory, holds
from directory.sources.fhir import entries as entries_of
from policies.catalogue.sentences_fhir import FHIR, said

MARIE = Entry(
    address="marie.martin@op-a.mssante.test",
    type="PER",
    title="Dr",
    family="MARTIN",
    given="Marie",
    person="899900000011",
    profession="Médecin",
    profession_code="10",
    specialty="Cardiologie",
    specialty_code="SM04",
    postal_code="69003",
    town="Lyon",
    rank=1,
    paperless=True,
    phone="0102030405",
)
AT_HOSPITAL = replace(
    MARIE,
    address="m.martin@hopital.mssante.test",
    structure="1999000001",
    organisation="Hôpital d'Essai",
    service="Cardiologie",
    rank=2,
)
HOSPITAL = Entry(
    address="cardiologie@hopital.mssante.test",
    type="ORG",
    structure="1999000001",
    organisation="Hôpital d'Essai",
    service="Cardiologie",
    description="Secrétariat",
    street="1 rue de l'Essai",
    postal_code="69003",
    town="Lyon",
    country="FR",
)
SOFTWARE = replace(HOSPITAL, address="labo@hopital.mssante.test", type="APP", service="", structure="39990000000001")
PRACTICE = Entry(address="cabinet@op-a.mssante.test", type="CAB", person="899900000022", family="PETIT", structure="19")
EVERYBODY = (MARIE, AT_HOSPITAL, HOSPITAL, SOFTWARE, PRACTICE)


def of(kind: Kind, *entries: Entry) -> dict[str, Any]:
    known = identity(entries[0], kind)
    assert known is not None
    return resource(kind, known, entries)


# resources


def test_a_person_is_told_with_the_mailboxes_he_has_alone() -> None:
    made = of(Kind.PRACTITIONER, MARIE, AT_HOSPITAL)
    assert made["id"] == "899900000011"
    assert {"system": systems.RPPS, "value": "99900000011"} in made["identifier"]
    assert made["name"] == [{"family": "MARTIN", "given": ["Marie"], "prefix": ["Dr"]}]
    assert [point["value"] for point in made["telecom"]] == [MARIE.address, MARIE.phone]
    assert made["telecom"][0]["rank"] == 1


def test_the_mailbox_at_an_organisation_is_told_in_the_role_there() -> None:
    made = of(Kind.ROLE, AT_HOSPITAL)
    assert made["id"] == "899900000011..1999000001"
    assert made["practitioner"]["reference"] == "Practitioner/899900000011"
    assert made["organization"]["identifier"]["value"] == "1999000001"
    assert [point["value"] for point in made["telecom"]][:1] == [AT_HOSPITAL.address]
    assert made["specialty"][0]["coding"][0]["code"] == "SM04"


def test_mailboxes_of_an_organisation_are_told_in_it() -> None:
    """As the national directory writes them (mssante.md 6.3)."""
    made = of(Kind.ORGANIZATION, HOSPITAL)
    assert made["identifier"][1] == {"system": systems.FINESS, "value": "999000001"}
    assert made["address"] == [{"line": ["1 rue de l'Essai"], "city": "Lyon", "postalCode": "69003", "country": "FR"}]
    assert made["telecom"] == [
        {
            "system": "email",
            "value": HOSPITAL.address,
            "extension": [
                {"url": systems.EMAIL_KIND, "valueCoding": {"system": systems.MAILBOX_KIND, "code": "MSSANTE"}},
                {
                    "url": systems.MAILBOX,
                    "extension": [
                        {
                            "url": "type",
                            "valueCodeableConcept": {"coding": [{"system": systems.MAILBOX_TYPE, "code": "ORG"}]},
                        },
                        {"url": "description", "valueString": "Secrétariat"},
                        {"url": "service", "valueString": "Cardiologie"},
                    ],
                },
            ],
        }
    ]


def test_what_may_not_be_told_is_in_no_resource() -> None:
    for entry in EVERYBODY:
        for kind in Kind:
            if identity(entry, kind) is not None:
                shown = repr(of(kind, entry))
                assert "responsible" not in shown
                assert "listeRouge" not in shown
                assert "digitization" not in shown


def test_the_standard_finds_no_fault_with_them() -> None:
    """A validator that is not ours (fhir.resources, FHIR R4B)."""
    made = [of(kind, one) for one in EVERYBODY for kind in Kind if identity(one, kind) is not None]
    note = answers.outcome("incomplete", "x", severity="warning")
    whole = [
        *made,
        answers.bundle("https://h/fhir", "Practitioner", made, "Practitioner?_page=x", 3, note),
        answers.outcome("invalid", "x", where="name"),
        answers.capabilities("https://h/fhir", "0.1", "2026-11-27"),
    ]
    for each in whole:
        get_fhir_model_class(each["resourceType"]).model_validate(copy.deepcopy(each))


# identities

texts = st.text("aZ9.-_@é ", max_size=40)
entries = st.builds(
    Entry,
    address=st.emails().map(lambda one: one[:200]),
    type=st.sampled_from(["PER", "ORG", "APP", "CAB"]),
    person=st.one_of(st.just(""), st.from_regex(r"[0-9A-Za-z.-]{1,33}", fullmatch=True), texts),
    structure=st.one_of(st.just(""), st.from_regex(r"[0-9A-Za-z.-]{1,33}", fullmatch=True), texts),
)


@given(entries)
def test_an_identity_is_one_of_fhir_and_leads_back(entry: Entry) -> None:
    for kind in Kind:
        known = identity(entry, kind)
        if known is None:
            assert not stands_in(entry, kind)
            continue
        assert 1 <= len(known) <= 64
        assert known.isascii()
        assert all(sign.isalnum() or sign in "-." for sign in known)
        condition = sought(kind, known)
        assert condition is not None
        assert holds(condition, entry)
    assert sum(stands_in(entry, kind) for kind in Kind) == 1


@given(entries)
def test_an_entry_is_found_where_its_resource_is(entry: Entry) -> None:
    for kind in Kind:
        if identity(entry, kind) is not None:
            assert holds(of_kind(kind), entry)
        if (
            stands_in(entry, kind)
            and entry.person == entry.person.strip()
            and entry.structure == entry.structure.strip()
        ):
            usable = identity(entry, Kind.ROLE) is not None or not (entry.person and entry.structure)
            assert holds(of_kind(kind, mailbox=True), entry) or not usable


@given(st.text(max_size=80))
def test_no_text_is_an_identity_that_breaks_anything(known: str) -> None:
    for kind in Kind:
        sought(kind, known)


# searches


async def found(kind: Kind, query: list[tuple[str, str]]) -> set[str]:
    question = search(kind, query)
    answer = await MemoryDirectory(EVERYBODY).find(question.condition, 100)
    return {each.address for each in answer.entries}


@pytest.mark.parametrize(
    ("kind", "query", "addresses"),
    [
        ("Practitioner", [], {MARIE.address, AT_HOSPITAL.address, PRACTICE.address}),
        ("Practitioner", [("mailbox-mss:contains", "@")], {MARIE.address, PRACTICE.address}),
        ("Practitioner", [("mailbox-mss:exact", MARIE.address.upper())], {MARIE.address}),
        ("Practitioner", [("mailbox-mss:exact", AT_HOSPITAL.address)], set()),
        ("Practitioner", [("mailbox-mss", "marie")], {MARIE.address}),
        ("Practitioner", [("mailbox-mss-type", "CAB")], {PRACTICE.address}),
        ("Practitioner", [("mailbox-mss-type", f"{systems.MAILBOX_TYPE}|PER")], {MARIE.address}),
        ("Practitioner", [("mailbox-mss-type", f"{systems.MAILBOX_KIND}|PER")], {MARIE.address}),
        ("Practitioner", [("mailbox-mss-type", "http://other|PER")], set()),
        (
            "Practitioner",
            [("family", "petit,martin"), ("address-postalcode", "69")],
            {MARIE.address, AT_HOSPITAL.address},
        ),
        ("Practitioner", [("identifier", f"{systems.RPPS}|99900000011")], {MARIE.address, AT_HOSPITAL.address}),
        ("Practitioner", [("identifier", f"{systems.IDNAT_PS}|899900000022")], {PRACTICE.address}),
        ("Practitioner", [("identifier", "99900000022")], {PRACTICE.address}),
        ("Practitioner", [("identifier", "urn:x|99900000022")], set()),
        (
            "Practitioner",
            [("name:contains", "arti"), ("qualification-code", "10")],
            {MARIE.address, AT_HOSPITAL.address},
        ),
        ("Practitioner", [("_id", "899900000022")], {PRACTICE.address}),
        ("Practitioner", [("active", "false")], set()),
        ("PractitionerRole", [], {AT_HOSPITAL.address}),
        ("PractitionerRole", [("practitioner", "Practitioner/899900000011")], {AT_HOSPITAL.address}),
        ("PractitionerRole", [("organization.name", "hopital d essai")], {AT_HOSPITAL.address}),
        ("PractitionerRole", [("specialty", "SM04"), ("organization.address-city", "lyon")], {AT_HOSPITAL.address}),
        ("PractitionerRole", [("practitioner.family", "petit")], set()),
        ("Organization", [], {HOSPITAL.address, SOFTWARE.address}),
        ("Organization", [("identifier", f"{systems.FINESS}|999000001")], {HOSPITAL.address}),
        ("Organization", [("identifier", f"{systems.SIRET}|9990000000001")], {SOFTWARE.address}),
        ("Organization", [("mailbox-mss-type", "APP"), ("name", "hôp")], {SOFTWARE.address}),
        ("Organization", [("mailbox-mss:contains", "cardio"), ("mailbox-mss-type", "APP")], set()),
        ("Organization", [("_format", "json"), ("_total", "accurate")], {HOSPITAL.address, SOFTWARE.address}),
    ],
)
async def test_a_search_is_understood(kind: str, query: list[tuple[str, str]], addresses: set[str]) -> None:
    assert await found(Kind(kind), query) == addresses


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ([("birthdate", "1970")], "fhir.unknown_parameter"),
        ([("_include", "PractitionerRole:practitioner")], "fhir.unknown_parameter"),
        ([("_lastUpdated", "gt2026")], "fhir.unknown_parameter"),
        ([("name:missing", "true")], "fhir.unknown_modifier"),
        ([("identifier:not", "1")], "fhir.unknown_modifier"),
        ([("name", "")], "fhir.bad_value"),
        ([("name", "a,,b")], "fhir.bad_value"),
        ([("name", "x" * (LONGEST + 1))], "fhir.bad_value"),
        ([("_count", "0")], "fhir.bad_value"),
        ([("_count", "²")], "fhir.bad_value"),
        ([("_count", "-1")], "fhir.bad_value"),
        ([("active", "maybe")], "fhir.bad_value"),
        ([("name", ",".join("a" * (MOST_VALUES + 1)))], "fhir.too_many_parameters"),
        ([("name", "a")] * (MOST_NAMES + 1), "fhir.too_many_parameters"),
        ([("address", "a,b,c,d,e,f,g,h,i,j")] * 4, "fhir.too_many_parameters"),
    ],
)
def test_what_is_not_understood_is_refused(query: list[tuple[str, str]], sentence: str) -> None:
    with pytest.raises(BadSearch) as caught:
        search(Kind.PRACTITIONER, query)
    assert caught.value.sentence == sentence
    assert said(sentence, "fr", "x")


def test_a_page_holds_fifty_at_most() -> None:
    assert search(Kind.PRACTITIONER, [("_count", "1000")]).count == PAGE
    assert search(Kind.PRACTITIONER, [("_count", "7")]).count == 7


@given(
    st.lists(st.tuples(st.sampled_from([*PARAMETERS[Kind.ROLE], "_count", "x:y"]), st.text(max_size=30)), max_size=4)
)
def test_any_search_is_a_question_or_refused(query: list[tuple[str, str]]) -> None:
    try:
        question = search(Kind.ROLE, query)
    except BadSearch:
        return
    assert all(isinstance(holds(question.condition, each), bool) for each in EVERYBODY)


# read back


@pytest.mark.parametrize("entry", EVERYBODY)
def test_what_we_write_is_what_we_read(entry: Entry) -> None:
    """By the reader of the national directory's resources (MSS-125)."""
    kind = next(kind for kind in Kind if stands_in(entry, kind))
    (read,) = entries_of(of(kind, entry))
    for name in ("address", "type", "description", "service", "rank"):
        assert getattr(read, name) == getattr(entry, name), name
    if kind is Kind.PRACTITIONER:
        assert (read.person, read.family, read.given) == (entry.person, entry.family, entry.given)
    if kind is Kind.ORGANIZATION:
        assert (read.organisation, read.town) == (entry.organisation, entry.town)


def test_both_languages_are_there() -> None:
    for name, sentence in FHIR.items():
        assert sentence.fr, name
        assert sentence.en, name
        assert ("{parameter}" in sentence.fr) is ("{parameter}" in sentence.en)
