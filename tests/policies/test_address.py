"""The address reader: one stated answer for each form, and properties that hold on any bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.address import AddressError, Entry, addresses, entries, parse, parse_path
from policies.values import Address


def word(read, text) -> str:
    with pytest.raises(AddressError) as caught:
        read(text)
    assert caught.value.parameters == {"problem": caught.value.word}
    assert str(text).strip("b'") == "" or str(text).strip("b'") not in str(caught.value)
    return caught.value.word


@pytest.mark.parametrize(
    ("text", "local", "domain"),
    [
        ("anne@op-a.test", "anne", "op-a.test"),
        ("Anne.Test@OP-A.Test", "Anne.Test", "op-a.test"),
        ("a+tag@b", "a+tag", "b"),
        ("o'neil@b.test", "o'neil", "b.test"),
        ("=?x?=@b.test", "=?x?=", "b.test"),
        ("a@xn--hpital-vxa.test", "a", "xn--hpital-vxa.test"),
        ("a@XN--HPITAL-VXA.test", "a", "xn--hpital-vxa.test"),
        ("a@1op.test", "a", "1op.test"),
        ('"anne"@b.test', "anne", "b.test"),
        ('"an\\ne"@b.test', "anne", "b.test"),
        ("x" * 64 + "@b.test", "x" * 64, "b.test"),
        ("a@" + "d" * 63 + ".test", "a", "d" * 63 + ".test"),
    ],
)
def test_forms_that_are_read(text: str, local: str, domain: str) -> None:
    assert parse(text) == parse(text.encode()) == Address(local, domain)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        ("anne", "no_at"),
        ("@b.test", "empty"),
        ("a@", "empty"),
        ("hélène@b.test", "non_ascii"),
        ("a@hôpital.test", "non_ascii"),
        (b"h\xe9l@b.test", "non_ascii"),
        ('"two words"@b.test', "quoted_local"),
        ('"a@b"@b.test', "quoted_local"),
        ('""@b.test', "empty"),
        ('"a@b.test', "unbalanced"),
        ('"a"b@c.test', "syntax"),
        ("a@[192.0.2.1]", "literal"),
        ("a@[IPv6:2001:db8::1]", "literal"),
        ("a@[192.0.2.1", "unbalanced"),
        ("a@192.0.2.1", "numeric_domain"),
        ("a%evil.test@b.test", "relay_hack"),
        ("evil.test!a@b.test", "relay_hack"),
        ("a(x)@b.test", "comment"),
        ("a@b.test(x)", "comment"),
        ("a@b@c", "two_at"),
        (".a@b.test", "dots"),
        ("a..b@b.test", "dots"),
        ("a.@b.test", "dots"),
        ("a b@b.test", "bad_character"),
        ("a,b@b.test", "bad_character"),
        ("a\x00@b.test", "control"),
        ("a@b.test\r\n", "control"),
        ("a@b\tc", "control"),
        ("x" * 65 + "@b.test", "too_long"),
        ("a@" + ".".join(["d" * 60] * 5), "too_long"),
        ("a@b..test", "bad_domain"),
        ("a@.test", "bad_domain"),
        ("a@test.", "bad_domain"),
        ("a@-b.test", "bad_domain"),
        ("a@b-.test", "bad_domain"),
        ("a@b_c.test", "bad_domain"),
        ("a@" + "d" * 64 + ".test", "bad_domain"),
        ("a@b.test ", "bad_domain"),
    ],
)
def test_forms_that_are_refused(text: str | bytes, expected: str) -> None:
    assert word(parse, text) == expected


def test_the_longest_address_is_254_octets() -> None:
    domain = ".".join(["d" * 60] * 3) + ".testxyz"
    local = "l" * (253 - len(domain))
    assert str(parse(f"{local}@{domain}")) == f"{local}@{domain}"
    assert len(f"{local}@{domain}") == 254
    assert word(parse, f"{local}@{domain}x") == "too_long"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"<>", (None, b"")),
        (b"<> SIZE=10", (None, b"SIZE=10")),
        (b"<a@b.test>", (Address("a", "b.test"), b"")),
        (b" <a@b.test>  BODY=8BITMIME SIZE=3", (Address("a", "b.test"), b"BODY=8BITMIME SIZE=3")),
        (b"<@relay.test,@r2.test:a@b.test>", (Address("a", "b.test"), b"")),
        (b"<Postmaster>", (Address("postmaster", ""), b"")),
        (b"<POSTMASTER> NOTIFY=NEVER", (Address("postmaster", ""), b"NOTIFY=NEVER")),
        (b'<"a"@b.test>', (Address("a", "b.test"), b"")),
    ],
)
def test_paths_that_are_read(text: bytes, expected: object) -> None:
    assert parse_path(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "empty"),
        (b"a@b.test", "no_brackets"),
        (b"<a@b.test", "unbalanced"),
        (b"<a@b.test>>", "syntax"),
        (b"<a@b.test>SIZE=1", "syntax"),
        (b"<a@b.test><c@d.test>", "syntax"),
        (b"<<a@b.test>>", "unbalanced"),
        (b"<anne>", "no_at"),
        (b"< a@b.test>", "bad_character"),
        (b"<a@b.test >", "bad_domain"),
        (b'<"a>b"@c.test>', "quoted_local"),
        (b'<"a\\">@c.test>', "unbalanced"),
        (b"<@relay.test>", "source_route"),
        (b"<@relay.test a@b.test>", "source_route"),
        (b"<@[192.0.2.1]:a@b.test>", "source_route"),
        (b"<a@b.test\r\nDATA>", "control"),
        (b"<a\xc3\xa9@b.test>", "non_ascii"),
    ],
)
def test_paths_that_are_refused(text: bytes, expected: str) -> None:
    assert word(parse_path, text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b" anne@op-a.test", ["anne@op-a.test"]),
        (b"Anne Test <anne@op-a.test>\r\n", ["anne@op-a.test"]),
        (b'"Test, Anne" <anne@op-a.test>, bob@op-b.test', ["anne@op-a.test", "bob@op-b.test"]),
        (b"Dr. House <h@b.test>", ["h@b.test"]),
        (b'"a@b.test" <c@d.test>', ["c@d.test"]),
        (b'"q \\" uote" <c@d.test>', ["c@d.test"]),
        (b"=?utf-8?q?H=C3=A9?= =?utf-8?q?l?= <a@b.test>", ["a@b.test"]),
        ("Hélène <a@b.test>".encode(), ["a@b.test"]),
        (b"a@b.test (Anne (la grande))", ["a@b.test"]),
        (b"(x) a@b.test", ["a@b.test"]),
        (b"A\r\n B <a@b.test>,\r\n\tc@d.test", ["a@b.test", "c@d.test"]),
        (b"< a@b.test >", ["a@b.test"]),
        (b"a@b.test,, c@d.test,", ["a@b.test", "c@d.test"]),
        (b"undisclosed-recipients:;", []),
        (b"Equipe: a@b.test, C <c@d.test>;, e@f.test", ["a@b.test", "c@d.test", "e@f.test"]),
        (b'"anne"@b.test', ["anne@b.test"]),
    ],
)
def test_lists_that_are_read(value: bytes, expected: list[str]) -> None:
    assert [str(each) for each in addresses(value)] == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b",", "empty"),
        (b"alice@op-a.test)bob@evil.test", "unbalanced"),
        (b"alice@op-a.test(<bob@evil.test>", "unbalanced"),
        (b"alice@op-a.test <bob@evil.test>", "two_at"),
        (b"alice@op-a.test bob@evil.test", "two_at"),
        (b"alice@op-a.test@evil.test", "two_at"),
        (b"<alice@op-a.test> <bob@evil.test>", "two_at"),
        (b"<alice@op-a.test>bob@evil.test", "syntax"),
        (b"<alice@op-a.test", "unbalanced"),
        (b"alice@op-a.test>", "unbalanced"),
        (b"<<alice@op-a.test>>", "unbalanced"),
        (b'"Anne <a@b.test>', "unbalanced"),
        (b"Anne", "no_at"),
        (b"Anne <anne>", "no_at"),
        (b"<>", "no_at"),
        (b"a @ b.test", "comment"),
        (b"a(x)@b.test", "comment"),
        (b"a@b (x) .test", "syntax"),
        (b"<@relay.test:a@b.test>", "source_route"),
        (b'"two words"@b.test', "quoted_local"),
        (b'""@b.test', "empty"),
        (b"[x] <a@b.test>", "syntax"),
        (b'"' + b"x" * 65 + b'"@b.test', "too_long"),
        (b"x (y) " * 201 + b"<a@b.test>", "too_long"),
        (b"a@[192.0.2.1]", "literal"),
        (b"a%evil.test@b.test", "relay_hack"),
        (b"a..b@c.test", "dots"),
        (b"a@b..test", "bad_domain"),
        (b"a@10.0.0.1", "numeric_domain"),
        (b"h\xe9l\xe8ne@b.test", "non_ascii"),
        (b"a\x00@b.test", "control"),
        (b"a@b.test\x00", "control"),
        (b"g: a@b.test", "unbalanced"),
        (b"a@b.test;", "syntax"),
        (b"g: h: a@b.test;;", "syntax"),
        (b"a@b.test:c@d.test", "syntax"),
        (b"a@b.test (" + b"(" * 60 + b")" * 61, "comment"),
        (b"x" * 65 + b"@b.test", "too_long"),
        (b"a@b.test " * 30000, "too_long"),
        (b",".join([b"a@b.test"] * 1001), "too_many"),
        (b",".join([b"A (x) <a@b.test>"] * 1001), "too_many"),
    ],
)
def test_lists_that_are_refused(value: bytes, expected: str) -> None:
    assert word(addresses, value) == expected


def test_entries_keep_what_an_envelope_shows() -> None:
    value = b'"Dupont, A" <Anne@Op-A.test>, G: b@c.test (Bob);, D <d@e.test>'
    assert entries(value) == [
        Entry(b"Dupont, A", b"Anne", b"Op-A.test"),
        Entry(b"", b"G", b""),
        Entry(b"Bob", b"b", b"c.test"),
        Entry(b"", b"", b""),
        Entry(b"D", b"d", b"e.test"),
    ]


# --------------------------------------------------------------------------- properties

ATOM = st.text("abcXYZ019!#$&'*+-/=?^_`{|}~".replace("!", ""), min_size=1, max_size=10)
LOCAL = st.lists(ATOM, min_size=1, max_size=3).map(".".join)
LABEL = st.from_regex(r"\A[a-z]([a-z0-9-]{0,8}[a-z0-9])?\Z")
DOMAIN = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
ADDRESS = st.builds(Address, LOCAL, DOMAIN)
NAME = st.text('abc ,;:<>@()é"\\.', max_size=12)


def quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(ADDRESS)
def test_what_is_written_is_read_back(address: Address) -> None:
    assert parse(str(address)) == address
    assert parse_path(f"<{address}> X".encode()) == (address, b"X")


@given(st.lists(st.tuples(NAME, ADDRESS), min_size=1, max_size=8))
def test_a_list_is_read_back_whatever_the_quoted_names_hold(people: list[tuple[str, Address]]) -> None:
    value = ", ".join(f"{quoted(name)} <{address}>" for name, address in people)
    assert addresses(value.encode()) == tuple(address for _, address in people)


@given(st.binary(max_size=60))
def test_any_bytes_give_an_address_or_an_address_error(data: bytes) -> None:
    words = []
    for read in (parse, parse_path, addresses):
        try:
            read(data)
        except AddressError as error:
            words.append(error.word)
    assert all(each.isidentifier() for each in words)


SPECIALS = st.lists(st.sampled_from(list('ab.@<>()"\\,;: \t[]%!\r\n\x00é')), max_size=20).map("".join)


@given(SPECIALS)
def test_an_address_that_is_read_can_be_written_in_a_command(text: str) -> None:
    """No accepted address holds a byte that could end a path or start a second address."""
    try:
        found = addresses(text.encode())
    except AddressError:
        return
    for address in found:
        assert parse(str(address)) == address
        assert str(address).count("@") == 1
        assert not set(str(address)) & set('<>()",;: \r\n\t\x00[]\\%!')


@given(SPECIALS)
def test_the_quick_and_the_general_reader_agree(text: str) -> None:
    from policies.address import _Reader

    value = text.encode()
    try:
        quick: object = entries(value)
    except AddressError:
        return
    assert _Reader(value, 1000).read() == quick


@pytest.mark.parametrize("piece", [b"(", b'"', b"<", b"a@", b"a ", b",", b"a:;", b"@", b"\\", b"()", b"[", b'"a" '])
def test_work_grows_with_the_input_only(piece: bytes) -> None:
    """Counted in calls, not in seconds: twice the bytes may at most cost a little more than twice the calls."""
    small, large = (calls(addresses, piece * (count // len(piece))) for count in (20_000, 40_000))
    assert large <= 2.2 * small + 100


def calls(read, value: bytes) -> int:
    import sys

    count = 0

    def tick(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(tick)
    try:
        read(value)
    except AddressError:
        pass
    finally:
        sys.setprofile(None)
    return count
