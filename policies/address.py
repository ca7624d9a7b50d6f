"""Read mail addresses: strictly in commands (RFC 5321), strictly but bounded in header fields (RFC 5322).

Promise: pure, linear in the input, never guesses. What can be read in two ways is refused, so that the address a
policy judged is the address every other program sees. The stated answer for each form:

    form                                      in a path                  in From, To, Reply-To...
    user@domain                               read                       read
    domain with A-labels (xn--...)            read, lower case           read, lower case
    non-ASCII local part or domain            non_ascii                  non_ascii (display names may hold 8-bit bytes)
    "user"@domain                             read as user@domain        read as user@domain
    "two words"@domain, "a@b"@domain          quoted_local               quoted_local
    user@[192.0.2.1], user@[IPv6:...]         literal                    literal
    user@192.0.2.1                            numeric_domain             numeric_domain
    user%other@domain, other!user@domain      relay_hack                 relay_hack
    <@relay,@relay:user@domain>               route dropped (4.1.1.3)    source_route
    <>                                        None                       no_at
    <Postmaster>                              domain is empty            no_at
    user(comment)@domain                      comment                    comment
    user@domain (comment)                     comment                    read
    a@b@c, a@b <c@d>                          two_at                     two_at
    .user@domain, user..x@domain, user.@d     dots                       dots
    control character, NUL                    control                    control
    local part > 64, address > 254 octets     too_long                   too_long
    label empty, > 63, or bad hyphen          bad_domain                 bad_domain
    no angle brackets in a path               no_brackets                -
    unbalanced quote, bracket or comment      unbalanced                 unbalanced
    more than ``limit`` addresses             -                          too_many

Quoted local parts that need their quotes are refused because :class:`policies.values.Address` is written without
quotes everywhere, and no mailbox of the trust space has one. Failure: :class:`AddressError`, whose ``word`` is one of
the above or ``empty``, ``no_at``, ``bad_character``, ``syntax``. Sources: RFC 5321 4.1.2, 4.1.3, 4.5.3.1; RFC 5322 3.4.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from policies.catalogue.sentences_trust import TRUST
from policies.values import Address

LOCAL_OCTETS = 64
DOMAIN_OCTETS = 255
ADDRESS_OCTETS = 254  # a path is 256 octets with its brackets
LIST_OCTETS = 256 * 1024
LIST_ADDRESSES = 1000
COMMENT_DEPTH = 50
ELEMENT_WORDS = 200  # of one display name

_ATEXT = rb"\-A-Za-z0-9!#$%&'*+/=?^_`{|}~"
_DOT_ATOM = rb"[A-Za-z0-9#$&'*+/=?^_`{|}~-]++(?>(?:\.[A-Za-z0-9#$&'*+/=?^_`{|}~-]++)*)"  # without % and !
_LABEL = rb"(?!-)[A-Za-z0-9-]{1,63}+(?<!-)"
_DOMAIN = _LABEL + rb"(?>(?:\." + _LABEL + rb")*)"
_PLAIN = re.compile(rb"(" + _DOT_ATOM + rb")@(" + _DOMAIN + rb")\Z")
_LOCAL = re.compile(_DOT_ATOM + rb"\Z")
_HOST = re.compile(_DOMAIN + rb"\Z")
_LITERAL = re.compile(rb"\[[!-Z^-~]*+\]\Z")
_QUOTED = re.compile(rb'"((?>(?:[^"\\]|\\.)*))"', re.DOTALL)
_ROUTE = re.compile(rb"@" + _DOMAIN + rb"(?>(?:,@" + _DOMAIN + rb")*):")
_PATH = re.compile(rb'<((?>(?:[^"<>\\]++|\\.|"(?>(?:[^"\\]|\\.)*)")*))>', re.DOTALL)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)


class AddressError(ValueError):
    """An address or address list that is not read. ``word`` is stable; ``parameters`` fill a catalogue sentence.

    Nothing of the input is kept, so the error may be logged.
    """

    rule = "session.bad_address"

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word

    @property
    def parameters(self) -> dict[str, str]:
        return {"problem": self.word}

    @property
    def said(self) -> dict[str, str]:
        """The same for sentences that people read, in both languages."""
        fr, en = TRUST[f"address.{self.word}"]
        return {"problem_fr": fr, "problem_en": en}


def parse(text: str | bytes) -> Address:
    """The one address in ``text``: an RFC 5321 Mailbox without brackets, name or comment. Raises AddressError."""
    if isinstance(text, str):
        if not text.isascii():
            raise AddressError("non_ascii")
        text = text.encode("ascii")
    plain = _PLAIN.match(text)
    if plain is None:
        return _parse_hard(bytes(text))
    return _checked(plain[1], plain[2])


def parse_path(data: bytes) -> tuple[Address | None, bytes]:
    """Read ``<...>`` after ``MAIL FROM:`` or ``RCPT TO:``; also returns what follows, leading spaces removed.

    ``None`` is the null reverse-path ``<>``. ``<Postmaster>`` alone, in any case, is ``Address("postmaster", "")``:
    the caller gives it its domain (RCPT) or refuses it (MAIL). Spaces before ``<`` are tolerated.
    """
    data = data.lstrip(b" ")
    if not data.startswith(b"<"):
        raise AddressError("no_brackets" if data else "empty")
    path = _PATH.match(data)
    if path is None:
        raise AddressError("unbalanced")
    rest = data[path.end() :]
    if rest and not rest.startswith(b" "):
        raise AddressError("syntax")
    return _read_path(path[1]), rest.lstrip(b" ")


def addresses(value: bytes, limit: int = LIST_ADDRESSES) -> tuple[Address, ...]:
    """Every address of an address-list field value (From, To, Reply-To...), in order. Raises AddressError.

    Display names, comments and group names are read over; an empty group gives nothing. An empty value is ``empty``.
    """
    return tuple(_checked_entry(entry) for entry in entries(value, limit) if entry.domain)


class Entry(NamedTuple):
    """One element of an address list, as written: what an IMAP ENVELOPE shows (RFC 9051 7.5.2).

    ``name`` is the display name without quotes (empty when none); ``local`` is unquoted. A group opens with an entry
    that has ``local`` (its name) and no ``domain``, and closes with one that has neither.
    """

    name: bytes
    local: bytes
    domain: bytes
    quoted: bool = False


GROUP_END = Entry(b"", b"", b"")

_WORD = rb"[" + _ATEXT + rb".\x80-\xff]++"
_NAME = rb'(?:"([^"\\\x00-\x1f\x7f]*+)"|(' + _WORD + rb"(?>(?: " + _WORD + rb")*)))"
_SIMPLE = re.compile(
    rb"[ \t\r\n]*+(?:" + _NAME + rb"[ ]?<([" + _ATEXT + rb".]++)@([A-Za-z0-9.-]++)>"
    rb"|<?([" + _ATEXT + rb".]++)@([A-Za-z0-9.-]++)(>?))[ \t\r\n]*+(?:,|\Z)"
)


REMEMBERED_OCTETS = 256
"""Field values up to this length are remembered once read: correspondents write to each other more than once."""


def entries(value: bytes, limit: int = LIST_ADDRESSES) -> list[Entry]:
    """The elements of an address-list field value, addresses not yet checked for their length and letters.

    Raises AddressError when the list has more than one reading, or too many elements. Linear in the value.
    """
    if len(value) <= REMEMBERED_OCTETS:
        return list(_remembered(bytes(value), limit))
    if len(value) > LIST_OCTETS:
        raise AddressError("too_long")
    return _read_entries(value, limit)


@lru_cache(maxsize=4096)
def _remembered(value: bytes, limit: int) -> tuple[Entry, ...]:
    return tuple(_read_entries(value, limit))


def _read_entries(value: bytes, limit: int) -> list[Entry]:
    found: list[Entry] = []
    position, end = 0, len(value)
    while position < end:  # most lists only hold simple forms: one expression per element
        simple = _SIMPLE.match(value, position)
        if simple is None:
            return _Reader(value, limit).read()
        quoted, phrase, local, domain, bare, host, closed = simple.groups()
        if local is not None:
            found.append(Entry(quoted or phrase or b"", local, domain))
        elif (value[simple.start(5) - 1 : simple.start(5)] == b"<") is bool(closed):
            found.append(Entry(b"", bare, host))
        else:
            raise AddressError("unbalanced")
        if len(found) > limit:
            raise AddressError("too_many")
        position = simple.end()
    if not found:
        raise AddressError("empty")
    return found


# --------------------------------------------------------------------------- single addresses


def _checked(local: bytes, domain: bytes) -> Address:
    """Lengths and the last label; letters and labels are already right."""
    if len(local) > LOCAL_OCTETS or len(domain) > DOMAIN_OCTETS or len(local) + len(domain) >= ADDRESS_OCTETS:
        raise AddressError("too_long")
    if domain.rpartition(b".")[2].isdigit():
        raise AddressError("numeric_domain")
    return Address(local.decode("ascii"), domain.decode("ascii").lower())


def _checked_entry(entry: Entry) -> Address:
    if entry.quoted or _LOCAL.match(entry.local) is None or _HOST.match(entry.domain) is None:
        return _judge(entry.local, entry.domain, entry.quoted)
    return _checked(entry.local, entry.domain)


def _parse_hard(text: bytes) -> Address:
    """Not the plain form: read a quoted local part, or say what is wrong."""
    _refuse_bytes(text)
    if text.startswith(b'"'):
        quoted = _QUOTED.match(text)
        if quoted is None:
            raise AddressError("unbalanced")
        rest = text[quoted.end() :]
        if not rest.startswith(b"@"):
            raise AddressError("syntax" if b"@" in rest else "no_at")
        return _judge(_ESCAPE.sub(rb"\1", quoted[1]), rest[1:], quoted=True)
    local, at, domain = text.partition(b"@")
    if not at:
        raise AddressError("no_at")
    return _judge(local, domain, quoted=False)


def _judge(local: bytes, domain: bytes, quoted: bool) -> Address:
    """An address cut in two, each half checked in full; the first fault is named."""
    _refuse_bytes(local)
    _refuse_bytes(domain)
    if len(local) > LOCAL_OCTETS or len(local) + len(domain) >= ADDRESS_OCTETS:
        raise AddressError("too_long")
    if _LOCAL.match(local) is None:
        raise AddressError(_local_fault(local, quoted))
    if _HOST.match(domain) is None:
        raise AddressError(_domain_fault(domain))
    return _checked(local, domain)


def _refuse_bytes(text: bytes) -> None:
    if not text:
        raise AddressError("empty")
    if not text.isascii():
        raise AddressError("non_ascii")
    if min(text) < 32 or b"\x7f" in text:
        raise AddressError("control")


def _local_fault(local: bytes, quoted: bool) -> str:
    if quoted:
        return "quoted_local"
    if b"(" in local or b")" in local:
        return "comment"
    if b"%" in local or b"!" in local:
        return "relay_hack"
    if local.startswith(b".") or local.endswith(b".") or b".." in local:
        return "dots"
    return "bad_character"


def _domain_fault(domain: bytes) -> str:
    if b"@" in domain:
        return "literal" if _LITERAL.match(domain) else "two_at"
    if domain.startswith(b"["):
        return "literal" if _LITERAL.match(domain) else "unbalanced"
    if b"(" in domain or b")" in domain:
        return "comment"
    return "bad_domain"


def _read_path(path: bytes) -> Address | None:
    if not path:
        return None
    if path.lower() == b"postmaster":
        return Address("postmaster", "")
    if path.startswith(b"@"):
        route = _ROUTE.match(path)
        if route is None or len(path) > ADDRESS_OCTETS:
            raise AddressError("source_route")
        path = path[route.end() :]
    return parse(path)


# --------------------------------------------------------------------------- address lists

_TOKEN = re.compile(
    rb"([ \t\r\n]++)"
    rb"|([" + _ATEXT + rb".\x80-\xff]++)"
    rb'|"((?>(?:[^"\\\x00]|\\[^\x00])*))"'
    rb"|(\[[!-Z^-~]*+\])"
    rb"|([@<>,:;(])",
    re.DOTALL,
)
_COMMENT_MARK = re.compile(rb"[()\\\x00]")


class _Token(NamedTuple):
    kind: str  # "atom", "quoted", "literal" or "@"
    text: bytes
    gap: bool  # white space or a comment stands before it


class _Reader:
    """The general form of an address list, token by token; one use. Never recursive."""

    __slots__ = ("_angle", "_comment", "_found", "_gap", "_group", "_limit", "_spec", "_tokens", "_value")

    def __init__(self, value: bytes, limit: int) -> None:
        self._value = value
        self._limit = limit
        self._found: list[Entry] = []
        self._tokens: list[_Token] = []  # of the element being read, outside brackets
        self._spec: list[_Token] = []  # inside brackets
        self._angle = ""  # "", "open" or "closed"
        self._group = False
        self._gap = False
        self._comment = b""

    def read(self) -> list[Entry]:
        if self._value.count(b",") + self._value.count(b";") > 2 * self._limit:
            raise AddressError("too_many")
        position, end = 0, len(self._value)
        while position < end:
            token = _TOKEN.match(self._value, position)
            if token is None:
                raise AddressError(self._fault(position))
            position = token.end()
            position = self._take(token, position)
        self._finish_element()
        if self._group:
            raise AddressError("unbalanced")
        if not self._found:
            raise AddressError("empty")
        return self._found

    def _fault(self, position: int) -> str:
        sign = self._value[position : position + 1]
        if sign in b'"[])':
            return "unbalanced"
        return "control" if sign < b" " or sign == b"\x7f" else "bad_character"

    def _take(self, token: re.Match[bytes], position: int) -> int:
        """Use one token; returns where the next begins."""
        space, atom, quoted, literal, special = token.groups()
        if space is not None:
            self._gap = True
        elif atom is not None:
            self._word("atom", atom)
        elif quoted is not None:
            self._word("quoted", _ESCAPE.sub(rb"\1", quoted) if b"\\" in quoted else quoted)
        elif literal is not None:
            self._word("literal", literal)
        elif special == b"(":
            return self._skip_comment(position)
        else:
            self._special(special)
        return position

    def _word(self, kind: str, text: bytes) -> None:
        if self._angle == "closed":
            raise AddressError("syntax")
        target = self._spec if self._angle else self._tokens
        if kind == "@" and any(token.kind == "@" for token in target):
            raise AddressError("two_at")
        if len(target) == ELEMENT_WORDS:
            raise AddressError("too_long")
        target.append(_Token(kind, text, self._gap))
        self._gap = False
        self._comment = b""  # only a comment that ends the element names its owner

    def _special(self, special: bytes) -> None:
        if special == b"@":
            self._word("@", b"@")
        elif special == b"<":
            self._open()
        elif special == b">":
            if self._angle != "open":
                raise AddressError("unbalanced")
            self._angle = "closed"
        elif special == b":":
            self._open_group()
        else:
            self._finish_element()
            if special == b";":
                self._close_group()

    def _skip_comment(self, position: int) -> int:
        start, depth = position, 1
        while depth:
            mark = _COMMENT_MARK.search(self._value, position)
            if mark is None or mark[0] == b"\x00":
                raise AddressError("unbalanced" if mark is None else "control")
            position = mark.end() + (mark[0] == b"\\")
            depth += {b"(": 1, b")": -1}.get(mark[0], 0)
            if depth > COMMENT_DEPTH:
                raise AddressError("comment")
        self._comment = _ESCAPE.sub(rb"\1", self._value[start : position - 1])
        self._gap = True
        return position

    def _open(self) -> None:
        if self._angle:
            raise AddressError("two_at" if self._angle == "closed" else "unbalanced")
        if any(token.kind == "@" for token in self._tokens):
            raise AddressError("two_at")
        self._angle = "open"

    def _open_group(self) -> None:
        if self._angle == "open":
            raise AddressError("source_route")
        if self._group or self._angle or not self._tokens or any(token.kind == "@" for token in self._tokens):
            raise AddressError("syntax")
        self._add(Entry(b"", _phrase(self._tokens), b""))
        self._group = True
        self._reset()

    def _close_group(self) -> None:
        if not self._group:
            raise AddressError("syntax")
        self._group = False
        self._found.append(GROUP_END)

    def _finish_element(self) -> None:
        """At a comma, a semicolon or the end. An empty element is read over: it has only one reading."""
        if self._angle == "open":
            raise AddressError("unbalanced")
        if self._angle:
            self._add(_entry(_phrase(self._tokens), self._spec))
        elif self._tokens:
            self._add(_entry(self._comment, self._tokens))
        self._reset()

    def _reset(self) -> None:
        self._tokens, self._spec, self._angle, self._gap, self._comment = [], [], "", False, b""

    def _add(self, entry: Entry) -> None:
        if len(self._found) >= self._limit:
            raise AddressError("too_many")
        self._found.append(entry)


def _phrase(tokens: list[_Token]) -> bytes:
    if any(token.kind == "literal" for token in tokens):
        raise AddressError("syntax")
    return b" ".join(token.text for token in tokens)


def _entry(name: bytes, spec: list[_Token]) -> Entry:
    """An addr-spec: exactly local, ``@``, domain, with nothing between them."""
    kinds = [token.kind for token in spec]
    ats = kinds.count("@")
    if ats != 1:
        raise AddressError("source_route" if kinds[:1] == ["@"] else "two_at" if ats else "no_at")
    if len(spec) != 3 or kinds[1] != "@" or kinds[0] == "literal" or kinds[2] == "quoted":
        raise AddressError("syntax")
    if spec[1].gap or spec[2].gap:
        raise AddressError("comment")
    return Entry(name, spec[0].text, spec[2].text, kinds[0] == "quoted")
