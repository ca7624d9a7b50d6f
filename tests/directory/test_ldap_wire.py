"""BER and the messages of LDAP: what is read, what is refused, and that nothing else ever happens."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.ldap import ber, names, questions, wire
from directory.ldap.ber import Malformed, Reader
from directory.ldap.filters import DEPTH, And, Compare, Extensible, Filter, Match, Not, Or, Present, Substrings
from tests.directory import ldap_requests as client

SOME = st.binary(min_size=1, max_size=12)
NAMES = st.sampled_from(["cn", "mail", "objectClass", "2.5.4.3", "nobody", "cn;lang-fr", "é"])
ITEMS = st.one_of(
    st.builds(Compare, NAMES, st.sampled_from(Match), st.binary(max_size=12)),
    st.builds(Present, NAMES),
    st.builds(Substrings, NAMES, SOME, st.lists(SOME, max_size=3).map(tuple), st.binary(max_size=4)),
    st.builds(Extensible, st.sampled_from(["", "2.5.13.2"]), NAMES, st.binary(max_size=12), st.booleans()),
)
FILTERS = st.recursive(
    ITEMS,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, max_size=4).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=4).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=12,
)


@given(st.binary(max_size=200))
def test_any_octets_are_a_message_or_malformed(octets: bytes) -> None:
    for each in (octets, ber.element(ber.SEQUENCE, octets), ber.element(ber.SEQUENCE, b"\x02\x01\x01" + octets)):
        try:
            wire.read(each)
        except Malformed:
            pass


@given(FILTERS, st.data())
def test_a_search_with_octets_changed_is_read_or_malformed(asked: Filter, data: st.DataObject) -> None:
    octets = bytearray(client.search(1, asked, client.page(5)))
    for _ in range(data.draw(st.integers(1, 3))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        wire.read(bytes(octets))
    except Malformed:
        pass


def test_number_nought_is_the_server_s() -> None:
    with pytest.raises(Malformed):
        wire.read(client.unbind(0))


@pytest.mark.parametrize(
    "asked",
    [
        Compare("cn", Match.EQUAL, ("\ufdfa" * 5300).encode()),  # each folds into eighteen letters
        Or(tuple(Compare("cn", Match.EQUAL, b"a b c d e") for _ in range(62))),
        Or(tuple(Substrings("cn", b"a b c d", (b"a b c d",) * 15, b"") for _ in range(4))),
        And(tuple(Or((Not(Compare("cn", Match.EQUAL, b"a b c d")),) * 3) for _ in range(12))),
    ],
)
def test_no_filter_takes_long(asked: Filter) -> None:
    """The loop answers everybody: ten milliseconds, here with room for a machine several times slower."""
    octets = client.search(1, asked)
    spent = []
    for _ in range(3):
        began = time.process_time()
        operation = wire.read(octets).operation
        assert isinstance(operation, wire.Search)
        if operation.question is not None:
            questions.question(operation.question)
        spent.append(time.process_time() - began)
    assert min(spent) < 0.05


@given(FILTERS)
def test_a_filter_is_read_as_it_was_written(asked: Filter) -> None:
    operation = wire.read(client.search(7, asked)).operation
    assert isinstance(operation, wire.Search)
    assert operation.question == asked


@given(st.binary(max_size=70_000), st.integers(0, 255).filter(lambda tag: tag & 0x1F != 0x1F))
def test_an_element_is_read_as_it_was_written(content: bytes, tag: int) -> None:
    reader = Reader(ber.element(tag, content))
    assert reader.any() == (tag, content)
    reader.ended()


@given(st.integers(0, 2**31 - 1))
def test_a_number_is_read_as_it_was_written(value: int) -> None:
    assert Reader(ber.integer(value)).integer() == value


@given(st.binary(min_size=1, max_size=300), st.integers(0, 300))
def test_a_message_is_whole_when_its_last_octet_is_there(content: bytes, cut: int) -> None:
    octets = ber.element(ber.SEQUENCE, content)
    part = octets[: min(cut, len(octets))]
    assert ber.whole(part, 0, 1000) == (len(octets) if len(part) == len(octets) else 0)


@pytest.mark.parametrize(
    "octets",
    [
        b"\x30\x80\x00\x00",  # indefinite
        b"\x30\x85\x00\x00\x00\x00\x01",  # five octets of length
        b"\x30\x84\x7f\xff\xff\xff",  # two gigabytes
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x00\xa5",  # TLS at the door of clear text
    ],
)
def test_what_is_no_message_is_refused_before_it_has_arrived(octets: bytes) -> None:
    with pytest.raises(Malformed):
        ber.whole(octets, 0, 65536)


def test_a_long_form_of_a_short_length_is_read() -> None:
    """Java's JNDI and Windows write every length in five octets."""
    inner = b"\x02\x84\x00\x00\x00\x01\x05" + b"\x42\x84\x00\x00\x00\x00"
    octets = b"\x30\x84" + len(inner).to_bytes(4, "big") + inner
    assert ber.whole(octets, 0, 65536) == len(octets)
    assert wire.read(octets) == wire.Message(5, wire.Unbind())


def test_what_nests_or_lasts_too_long_is_passed_over() -> None:
    deep: Filter = Present("cn")
    for _ in range(DEPTH + 2):
        deep = Not(deep)
    for asked in (deep, Or(tuple(Present("cn") for _ in range(500)))):
        operation = wire.read(client.search(1, asked)).operation
        assert isinstance(operation, wire.Search)
        assert operation.question is None
        assert operation.attributes == ()


def test_a_nest_of_a_megabyte_costs_no_stack() -> None:
    nest = b"\x87\x02cn"
    while len(nest) < 1 << 20:
        nest = ber.element(0xA2, nest) if len(nest) > 60_000 else nest + b"\x87\x02cn"
        nest = ber.element(0xA0, nest)
    parts = b"".join((ber.text(""), b"\x0a\x01\x02\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00", nest, b"\x30\x00"))
    operation = wire.read(client.message(1, ber.element(0x63, parts))).operation
    assert isinstance(operation, wire.Search)
    assert operation.question is None


VALUES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cn"]) | st.sampled_from(list(' ,+"\\<>;#=')), min_size=1, max_size=20
)


@given(VALUES)
def test_a_name_is_read_as_it_was_written(value: str) -> None:
    found = names.read(names.write("mail", value, client.BASE))
    assert found == (("mail", " ".join(value.casefold().split())), *names.read(client.BASE))


@given(st.text(max_size=60))
def test_any_text_is_a_name_or_a_bad_one(text: str) -> None:
    try:
        names.read(text)
    except names.BadName:
        pass


@pytest.mark.parametrize(
    "spelled",
    [
        "OU=BAL, O=mssante , C=FR",
        "organizationalUnitName=bal,o=mssante,countryName=fr",
        "2.5.4.11=bal,2.5.4.10=mssante,2.5.4.6=fr",
        r"ou=\62\61l,o=mssante,c=fr",
    ],
)
def test_a_base_may_be_spelled_otherwise(spelled: str) -> None:
    assert names.read(spelled) == names.read(client.BASE)


@pytest.mark.parametrize("text", ["ou", "ou=bal,", "=bal", "ou=bal,,c=fr", "cn=a+sn=b,c=fr", r"ou=\ff", "x" * 2000])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(names.BadName):
        names.read(text)
