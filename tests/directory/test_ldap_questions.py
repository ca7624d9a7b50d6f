"""What filters ask of the directory: the same as of the attributes LDAP shows (RFC 4511 4.5.1.7)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.entry import Entry
from directory.ldap import entries, questions, schema
from directory.ldap.filters import And, Compare, Extensible, Filter, Match, Not, Or, Present, Substrings
from directory.search import holds
from tests.directory.ldap_requests import BASE
from tests.directory.test_search import HOPITAL, MARTIN

WORDS = ["Marie", "Anne", "Martin", "L'Haÿ", "Saint-Œdème", "Dr", "a", "M", ""]
TEXT = st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join).map(str.strip)
ENTRIES = st.builds(
    Entry,
    address=st.sampled_from(["marie@a.test", "martin.anne@b.test"]),
    type=st.sampled_from(["PER", "ORG"]),
    title=st.sampled_from(["", "Dr"]),
    family=TEXT,
    given=TEXT,
    organisation=TEXT,
    service=TEXT,
    profession=TEXT,
    town=TEXT,
)
SEARCHED = [each.name for each in schema.ATTRIBUTES if each.fields]
ATTRIBUTES = st.sampled_from([*SEARCHED, "objectClass", "commonName", "unknown", "cn;lang-fr"])
VALUES = st.one_of(TEXT, st.sampled_from(["inetOrgPerson", "device", "marie@A.test"])).map(str.encode)
BITS = VALUES.filter(bool)
ITEMS = st.one_of(
    st.builds(Compare, ATTRIBUTES, st.sampled_from(Match), VALUES),
    st.builds(Present, ATTRIBUTES),
    st.builds(Substrings, st.sampled_from(SEARCHED), BITS, st.just(()), st.just(b"")),
    st.builds(Substrings, st.sampled_from(SEARCHED), st.just(b""), BITS.map(lambda bit: (bit,)), st.just(b"")),
    st.builds(Substrings, st.sampled_from(SEARCHED), st.just(b""), st.just(()), BITS),
    st.builds(Extensible, st.sampled_from(["", "caseIgnoreMatch", "1.2.3"]), ATTRIBUTES, VALUES, st.booleans()),
)
FILTERS = st.recursive(
    ITEMS,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=6,
)


def sensible(entry: Entry) -> bool:
    """Whoever has a given name has a family name; only then has he a title."""
    return bool(entry.family) or not entry.given


@given(FILTERS, ENTRIES.filter(sensible))
def test_a_question_holds_where_the_attributes_shown_make_the_filter_true(asked: Filter, entry: Entry) -> None:
    shown = entries.attributes(entry, BASE)
    assert holds(questions.question(asked), entry) == questions.true_of(asked, shown)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("martin*", True),
        ("marti*", True),
        ("durand*", False),
        ("elise mart*", True),
        ("MARTIN DURAND éli*", True),
        ("dr elise*", True),
        ("*durand elise*", True),
        ("elise martin-durand", True),
        ("elise", False),
        ("*lise", True),
    ],
)
def test_people_are_found_by_name_either_way_round(text: str, found: bool) -> None:
    first, *more = (piece.encode() for piece in text.split("*"))
    asked = Substrings("cn", first, tuple(more[:-1]), more[-1]) if more else Compare("cn", Match.EQUAL, first)
    assert holds(questions.question(asked), MARTIN) is found


def test_an_organisation_has_a_surname_because_a_person_must() -> None:
    asked = questions.question(Substrings("sn", b"hopital saint", (), b""))
    assert holds(asked, HOPITAL)
    assert not holds(questions.question(Substrings("sn", b"Dr", (), b"")), MARTIN)


@pytest.mark.parametrize(
    "undefined",
    [
        Present("memberOf"),
        Compare("cn", Match.GREATER, b"a"),
        Compare("cn", Match.EQUAL, b"\xff"),
        Extensible("1.2.840.113556.1.4.803", "cn", b"2", in_name=False),
        Extensible("2.5.13.2", "", b"marie", in_name=True),
    ],
)
def test_what_is_undefined_is_neither_true_nor_false(undefined: Filter) -> None:
    assert questions.question(undefined) == questions.FALSE
    assert questions.question(Not(undefined)) == questions.FALSE
    known = Present("mail")
    assert holds(questions.question(Or((undefined, known))), MARTIN)
    assert questions.question(And((undefined, known))) == questions.FALSE
    assert questions.question(Not(Or((undefined, known)))) == questions.FALSE
    assert holds(questions.question(Not(And((undefined, Not(known))))), MARTIN)


def test_several_substrings_are_all_looked_for() -> None:
    asked = Substrings("mail", b"elise", (b"martin", b"op-a"), b".test")
    assert holds(questions.question(asked), MARTIN)
    assert not holds(questions.question(Substrings("mail", b"elise", (b"dupont",), b".test")), MARTIN)


def test_what_programs_ask_for_has_a_place() -> None:
    """The names of Thunderbird's, Outlook's and Apple's address books."""
    asked = (
        "cn commonname mail givenName sn surname o company ou department title telephoneNumber street postalCode l"
        " locality st region c countryname description displayName employeeNumber uid objectClass"
    )
    assert all(schema.find(name) for name in asked.split())


def test_every_attribute_shown_is_in_the_schema_and_in_a_class() -> None:
    told = " ".join(schema.subschema()["objectClasses"])
    for entry in (MARTIN, HOPITAL):
        for name in entries.attributes(entry, BASE):
            known = schema.find(name)
            assert known is not None, name
            assert known.operational or f" {name} " in told, name
