"""Distinguished names compare by meaning (MSS-014, MSS-015, RFC 4514)."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from policies import dn

LISTED = "CN=smtp1.operateur.test,OU=399900000000018,O=OPERATEUR SA,ST=Haute-Garonne (31),C=FR"


@pytest.mark.parametrize(
    "other",
    [
        "C=FR,ST=Haute-Garonne (31),O=OPERATEUR SA,OU=399900000000018,CN=smtp1.operateur.test",  # reversed
        "C=FR, ST=Haute-Garonne (31), O=OPERATEUR SA, OU=399900000000018, CN=smtp1.operateur.test",
        "cn=SMTP1.Operateur.test , ou = 399900000000018,o=Operateur  SA,s=haute-garonne (31),c=fr",
        'CN=smtp1.operateur.test;OU=399900000000018;O="OPERATEUR SA";SP=Haute-Garonne (31);C=FR',
        "2.5.4.3=smtp1.operateur.test,OID.2.5.4.11=399900000000018,o=OPERATEUR SA,2.5.4.8=Haute-Garonne (31),2.5.4.6=FR",
        "CN=#0c14736d7470312e6f7065726174657572 2e74657374".replace(" ", "")
        + ",OU=399900000000018,O=OPERATEUR SA,ST=Haute-Garonne (31),C=#13024652",
        "CN=smtp1.operateur.test,OU=399900000000018,O=OPERATEUR\\ SA,ST=Haute-Garonne \\28\\33\\31\\29,C=FR",
        "CN = smtp1.operateur.test,OU=399900000000018,O= OPERATEUR SA ,ST=Haute-Garonne (31),C=FR ",
    ],
)
def test_one_name_in_many_spellings(other: str) -> None:
    assert dn.same(LISTED, other)
    assert dn.key(LISTED) == dn.key(other)


@pytest.mark.parametrize(
    "other",
    [
        LISTED.replace("ST=", "L="),
        LISTED.replace("smtp1", "smtp2"),
        LISTED.replace("399900000000018", "399900000000026"),
        LISTED + ",DC=test",
        LISTED.partition(",")[2],
        "OU=399900000000018,CN=smtp1.operateur.test,O=OPERATEUR SA,ST=Haute-Garonne (31),C=FR",  # neither order
        "CN=smtp1.operateur.test+OU=399900000000018,O=OPERATEUR SA,ST=Haute-Garonne (31),C=FR",
        LISTED.replace("OPERATEUR SA", "OPERATEURSA"),
    ],
)
def test_other_names_stay_other(other: str) -> None:
    assert not dn.same(LISTED, other)


def test_an_escaped_separator_cannot_forge_a_component() -> None:
    assert not dn.same("O=x\\,CN=smtp.op-b.test,C=FR", "O=x,CN=smtp.op-b.test,C=FR")
    assert not dn.same('O="x,CN=smtp.op-b.test",C=FR', "O=x,CN=smtp.op-b.test,C=FR")
    assert dn.same('O="x, y",C=FR', "O=x\\, y,C=FR")


def test_accents_compare_in_every_encoding() -> None:
    written = ("O=Société d’Essai", "O=Soci\\C3\\A9t\\C3\\A9 d\\E2\\80\\99Essai", "O=Socie\u0301te\u0301 d’essai")
    assert len({dn.key(one) for one in written}) == 1
    bmp = "Société".encode("utf-16-be")
    assert dn.same(f"O=#1e{len(bmp):02x}{bmp.hex()}", "O=société")


def test_the_order_inside_one_component_does_not_count() -> None:
    assert dn.same("CN=a+OU=b,O=c", "OU=b + CN=a,O=c")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "CN",
        "CN=",
        "CN=a,",
        "CN=a,,O=b",
        'CN=a"b',
        'CN="a',
        'CN="a" b',
        "CN=a\\",
        "CN=a\\zz",
        "CN=a\\C3",
        "CN=#",
        "CN=#0",
        "CN=#0c05616263",
        "CN=#0c80616263",
        "CN=#0c",
        "CN=#0c02ff fe",
        "CN=#0c02fffe",
        "CN=a<b",
        "CN=a\nO=b",
        "CN=a\\0Ab\\00",
        "CN=\u202egnol",
        "CN=\ud800",
        "frobnicate=a",
        "1.=a",
        "1.02=a",
        "=a",
        "a",
        "CN=a+",
        "CN=" + "a" * 3000,
        ",".join(["CN=a"] * 40),
        "+".join(["CN=a\\,"] * 12),
        "O=a+CN=",
        "O=a+CN=  ",
        'CN="a"xO=b',
        "CN=#0c0161xO=b",
        "5=a",
        "2.5.4x=a",
        "2.5.\u0664=a",
    ],
)
def test_what_is_no_name_is_refused_and_equals_nothing(text: str) -> None:
    with pytest.raises(dn.BadName):
        dn.key(text)
    assert not dn.same(text, text)


def test_quotes_escapes_and_blanks_mix() -> None:
    assert dn.same('CN="a \\"b\\" c" , O = x', 'O=x,CN=a \\"b\\" c')
    assert dn.same("CN=  \\C3\\A9  +  OU=b,O=c", "OU=b+CN=é,O=c")
    with pytest.raises(dn.BadName):
        dn.key("CN=\\, \ud800")
    with pytest.raises(dn.BadName):
        dn.parse("CN=" + "a" * 3000)


def test_unknown_string_types_keep_their_octets() -> None:
    assert dn.parse("2.5.4.45=#03020080") == ((("2.5.4.45", "#03020080"),),)
    assert dn.parse("2.5.4.45=#0500") == ((("2.5.4.45", "#0500"),),)
    assert dn.key("CN=#0c8103616263") == dn.key("CN=abc")
    assert dn.key("CN=#0c0161") == dn.key("CN=a")


def test_an_attribute_type_may_be_any_oid() -> None:
    assert dn.parse("0.9.2342.19200300.100.1.25=x,2.5=y") == (
        (("0.9.2342.19200300.100.1.25", "x"),),
        (("2.5", "y"),),
    )


@pytest.mark.parametrize("value", ["a", "a\\,"], ids=["plain", "escaped"])
def test_a_name_may_be_as_large_as_the_limits(value: str) -> None:
    one = f"CN={value}"
    assert len(dn.parse(",".join([one] * dn.MAXIMUM_RDNS))) == dn.MAXIMUM_RDNS
    assert len(dn.parse("+".join([one] * dn.MAXIMUM_ATTRIBUTES))[0]) == dn.MAXIMUM_ATTRIBUTES
    longest = one + "x" * (dn.MAXIMUM_LENGTH - len(one))
    assert dn.same(longest, longest)
    for larger in (
        ",".join([one] * (dn.MAXIMUM_RDNS + 1)),
        "+".join([one] * (dn.MAXIMUM_ATTRIBUTES + 1)),
        longest + "x",
    ):
        assert not dn.same(larger, larger)


def test_the_first_value_of_a_kind() -> None:
    assert dn.first(LISTED, dn.COMMON_NAME) == "smtp1.operateur.test"
    assert dn.first(LISTED, "2.5.4.10") == "operateur sa"
    assert dn.first("O=x", dn.COMMON_NAME) == ""
    assert dn.first("nonsense", dn.COMMON_NAME) == ""


VALUES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")), min_size=1, max_size=40
)
KINDS = st.sampled_from(
    [
        NameOID.COMMON_NAME,
        NameOID.ORGANIZATION_NAME,
        NameOID.ORGANIZATIONAL_UNIT_NAME,
        NameOID.LOCALITY_NAME,
        NameOID.STATE_OR_PROVINCE_NAME,
        NameOID.TITLE,
    ]
)


def writable(value: str) -> bool:
    """What the library agrees to put into a certificate: a common name holds 64 octets at most."""
    return value.strip() != "" and len(value.encode()) <= 64


@given(st.lists(st.tuples(KINDS, VALUES.filter(writable)), min_size=1, max_size=6))
def test_what_a_certificate_library_writes_reads_back_the_same_both_ways_round(pairs: list[tuple[object, str]]) -> None:
    name = x509.Name([x509.NameAttribute(kind, value) for kind, value in pairs])  # type: ignore[arg-type]
    mirrored = x509.Name([x509.NameAttribute(kind, value) for kind, value in reversed(pairs)])  # type: ignore[arg-type]
    assert dn.key(name.rfc4514_string()) == dn.key(mirrored.rfc4514_string())
    assert len(dn.parse(name.rfc4514_string())) == len(pairs)


@given(st.text(max_size=200))
def test_any_text_is_a_name_or_a_bad_name(text: str) -> None:
    try:
        found = dn.key(text)
    except dn.BadName:
        return
    assert found == dn.key(text)


@given(
    st.lists(
        st.sampled_from(["CN=", "O=", ",", "+", "\\", '"', "#", "0c", "01", "41", " ", ";", "é", "a"]), max_size=30
    )
)
def test_near_names_are_names_or_bad_names(pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        assert dn.same(text, text) == bool(dn.key(text))
    except dn.BadName:
        assert not dn.same(text, text)
