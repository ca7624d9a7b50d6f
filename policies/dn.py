"""Distinguished names compared by meaning, not by spelling (MSS-014, MSS-015).

The white list writes a certificate's name one way, an X.509 tool prints it another: reversed order, other escapes,
``S`` for ``ST``, an OID for a short name, other spacing. :func:`key` turns any spelling into one canonical text, so two
names are the same if and only if their keys are equal.

Promise: RFC 4514 is read whole (escapes, UTF-8 hexadecimal pairs, ``#`` values, multi-valued RDNs), with the quoted and
semicolon forms of RFC 2253 that old tools still write. Values compare as RFC 5280 section 7.1 asks: without case,
NFKC-normalised, runs of spaces as one. The order of RDNs counts, up to reversal of the whole name. ``ST`` and ``L``
remain different attributes.
Failure: :class:`BadName` for text that is not a name, names an unknown attribute, or exceeds the bounds (2 048
characters, 32 RDNs, 8 attributes in one RDN). Time is linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

MAXIMUM_LENGTH = 2048
MAXIMUM_RDNS = 32
MAXIMUM_ATTRIBUTES = 8

# RFC 4514 section 3, RFC 4519, RFC 5280 appendix A, and the aliases that OpenSSL, Java and Windows write.
OIDS = {
    "cn": "2.5.4.3",
    "commonname": "2.5.4.3",
    "sn": "2.5.4.4",
    "surname": "2.5.4.4",
    "serialnumber": "2.5.4.5",
    "c": "2.5.4.6",
    "countryname": "2.5.4.6",
    "l": "2.5.4.7",
    "localityname": "2.5.4.7",
    "st": "2.5.4.8",
    "s": "2.5.4.8",
    "sp": "2.5.4.8",
    "stateorprovincename": "2.5.4.8",
    "street": "2.5.4.9",
    "streetaddress": "2.5.4.9",
    "o": "2.5.4.10",
    "organizationname": "2.5.4.10",
    "ou": "2.5.4.11",
    "organizationalunitname": "2.5.4.11",
    "t": "2.5.4.12",
    "title": "2.5.4.12",
    "description": "2.5.4.13",
    "businesscategory": "2.5.4.15",
    "postalcode": "2.5.4.17",
    "g": "2.5.4.42",
    "gn": "2.5.4.42",
    "givenname": "2.5.4.42",
    "initials": "2.5.4.43",
    "generationqualifier": "2.5.4.44",
    "dnqualifier": "2.5.4.46",
    "pseudonym": "2.5.4.65",
    "organizationidentifier": "2.5.4.97",
    "uid": "0.9.2342.19200300.100.1.1",
    "userid": "0.9.2342.19200300.100.1.1",
    "dc": "0.9.2342.19200300.100.1.25",
    "domaincomponent": "0.9.2342.19200300.100.1.25",
    "e": "1.2.840.113549.1.9.1",
    "email": "1.2.840.113549.1.9.1",
    "emailaddress": "1.2.840.113549.1.9.1",
}
COMMON_NAME = "2.5.4.3"

_HEX = frozenset("0123456789abcdefABCDEF")
_DIGITS = frozenset("0123456789")
_SPECIAL = frozenset('\\"+,;<>=#\n\r\0')
_ESCAPABLE = frozenset('\\"+,;<> #=')
# Characters that stand for themselves in an unquoted value, or separate it.
_RUN = re.compile(r'[^\\"+,;<>\n\r\0]+')
# The string types of X.680 a ``#`` value may hold, by tag, with their Python codec.
_STRINGS = {
    0x0C: "utf-8",
    0x12: "ascii",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1A: "ascii",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}

type_and_value = tuple[str, str]
Rdn = tuple[type_and_value, ...]


class BadName(ValueError):
    """The text is not a distinguished name this module will compare."""


def key(text: str) -> str:
    """The canonical form of a name. Raises :class:`BadName`.

    >>> key("C=FR, O=Test, cn=smtp.a.test") == key("CN=SMTP.a.test,O=Test,C=FR")
    True
    """
    return _key(text) if len(text) <= MAXIMUM_LENGTH else _too_long()


def same(one: str, other: str) -> bool:
    """Whether two spellings are one name; false when either is no name at all."""
    try:
        return key(one) == key(other)
    except BadName:
        return False


def parse(text: str) -> tuple[Rdn, ...]:
    """The RDNs in the order written, each a sorted tuple of (OID, prepared value). Raises :class:`BadName`."""
    if len(text) > MAXIMUM_LENGTH:
        _too_long()
    if not text.strip(" "):
        raise BadName("the name is empty")
    rdns = _split_plain(text) if _SPECIAL.isdisjoint(text.replace(",", "").replace("=", "")) else _walk(text)
    if len(rdns) > MAXIMUM_RDNS:
        raise BadName(f"more than {MAXIMUM_RDNS} components")
    return rdns


def first(text: str, oid: str) -> str:
    """The value of the first attribute of that type as written (prepared: lower case), or an empty string."""
    try:
        return next((value for rdn in parse(text) for kind, value in rdn if kind == oid), "")
    except BadName:
        return ""


@lru_cache(maxsize=32768)  # more than a whole list: a list is read twice in a row
def _key(text: str) -> str:
    rdns = parse(text)
    return min(_written(rdns), _written(rdns[::-1]))


def _too_long() -> str:
    raise BadName(f"longer than {MAXIMUM_LENGTH} characters")


def _written(rdns: tuple[Rdn, ...]) -> str:
    # The separators are control characters, which no prepared value can hold: two names cannot share a key by chance.
    return "\x1e".join("\x1f".join(f"{kind}={value}" for kind, value in rdn) for rdn in rdns)


def _split_plain(text: str) -> tuple[Rdn, ...]:
    """The common case: no escape, quote, plus or hash anywhere."""
    found = []
    for part in text.split(","):
        kind, equals, value = part.partition("=")
        if not equals:
            raise BadName("an attribute lacks its equals sign")
        found.append(((attribute(kind), prepare(value)),))
    return tuple(found)


def attribute(written: str) -> str:
    """The dotted OID of an attribute type in any of its spellings. Raises :class:`BadName` when unknown."""
    name = written.strip(" ").lower()
    name = name.removeprefix("oid.")
    if name in OIDS:
        return OIDS[name]
    arcs = name.split(".")
    if len(arcs) > 1 and all(arc and _DIGITS.issuperset(arc) and (arc == "0" or arc[0] != "0") for arc in arcs):
        return name
    raise BadName("unknown attribute type")


@lru_cache(maxsize=8192)
def prepare(value: str) -> str:
    """A value as RFC 5280 7.1 compares it: NFKC, case folded, spaces trimmed and collapsed. Raises :class:`BadName`."""
    if value.isascii():
        folded = value.lower()
    else:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold())
    words = folded.split()
    prepared = " ".join(words)
    if not prepared:
        raise BadName("an attribute has no value")
    if not prepared.isprintable():
        raise BadName("a value holds a control or invisible character")
    return prepared


def _walk(text: str) -> tuple[Rdn, ...]:
    """The general case: one pass over the characters."""
    rdns: list[Rdn] = []
    current: list[type_and_value] = []
    at = 0
    while True:
        equals = text.find("=", at)
        if equals < 0:
            raise BadName("an attribute lacks its equals sign")
        kind = attribute(text[at:equals])
        value, at = _value(text, equals + 1)
        current.append((kind, prepare(value)))
        if len(current) > MAXIMUM_ATTRIBUTES or len(rdns) > MAXIMUM_RDNS:
            raise BadName("too many attributes")
        if at < len(text) and text[at] == "+":
            at += 1
            continue
        rdns.append(tuple(sorted(current)))
        current = []
        if at >= len(text):
            return tuple(rdns)
        at += 1  # the comma or semicolon


def _value(text: str, at: int) -> tuple[str, int]:
    """The value that starts at ``at`` and where its separator stands."""
    while at < len(text) and text[at] == " ":
        at += 1
    if at < len(text) and text[at] == "#":
        return _hexadecimal(text, at + 1)
    if at < len(text) and text[at] == '"':
        return _quoted(text, at + 1)
    return _plain(text, at)


def _plain(text: str, at: int) -> tuple[str, int]:
    raw = bytearray()
    keep = 0  # trailing spaces are dropped unless they were escaped
    while at < len(text) and text[at] not in ",;+":
        if text[at] == "\\":
            octets, at = _escaped(text, at + 1)
            raw += octets
            keep = len(raw)
            continue
        run = _RUN.match(text, at)
        if run is None:
            raise BadName("a special character is not escaped")
        at = run.end()
        octets = _encoded(run.group())
        if octets.strip(b" "):
            keep = len(raw) + len(octets.rstrip(b" "))
        raw += octets
    return _decoded(bytes(raw[:keep])), at


def _quoted(text: str, at: int) -> tuple[str, int]:
    raw = bytearray()
    while at < len(text) and text[at] != '"':
        if text[at] == "\\":
            octets, at = _escaped(text, at + 1)
            raw += octets
        else:
            raw += _encoded(text[at])
            at += 1
    return _decoded(bytes(raw)), _after_blanks(text, at + 1)


def _hexadecimal(text: str, at: int) -> tuple[str, int]:
    end = at
    while end < len(text) and text[end] in _HEX:
        end += 1
    if end == at or (end - at) % 2:
        raise BadName("a hexadecimal value needs pairs of digits")
    return _from_ber(bytes.fromhex(text[at:end])), _after_blanks(text, end)


def _after_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] == " ":
        at += 1
    if at > len(text) or (at < len(text) and text[at] not in ",;+"):
        raise BadName("text follows a complete value")
    return at


def _escaped(text: str, at: int) -> tuple[bytes, int]:
    if at < len(text) and text[at] in _ESCAPABLE:
        return text[at].encode(), at + 1
    pair = text[at : at + 2]
    if len(pair) == 2 and _HEX.issuperset(pair):
        return bytes.fromhex(pair), at + 2
    raise BadName("an escape is incomplete")


def _encoded(character: str) -> bytes:
    try:
        return character.encode("utf-8")
    except UnicodeEncodeError:
        raise BadName("a value holds half a character") from None


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise BadName("a value is not UTF-8") from None


def _from_ber(raw: bytes) -> str:
    """The text of a BER string in the short or long definite form; any other type keeps its octets as the value."""
    length_at = 2
    if len(raw) < 2:
        raise BadName("a hexadecimal value is cut short")
    length = raw[1]
    if length & 0x80:
        size = length & 0x7F
        length = int.from_bytes(raw[2 : 2 + size], "big")
        length_at = 2 + size
    if len(raw) - length_at != length:
        raise BadName("a hexadecimal value has a wrong length")
    codec = _STRINGS.get(raw[0])
    if codec is None:
        return "#" + raw.hex()
    try:
        return raw[length_at:].decode(codec)
    except UnicodeDecodeError:
        raise BadName("a hexadecimal value does not hold its string type") from None
