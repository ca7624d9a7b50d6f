"""Read header blocks: fields, Content-Type and its like, parameters in all the ways they are written.

Promise: linear, possessive expressions only, never a line loop. A field is known by its lower-case name; its value is
kept raw (folds included) until someone needs it. A line that is no field is counted and read over, as Dovecot does; it
never ends the header block. Failure: none of these functions raises; what is too much is cut and reported.
Sources: RFC 5322 2.2, RFC 2045 5, RFC 2183, RFC 2231.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from mailboxes.words import decode_text, decode_words

Parameters = tuple[tuple[bytes, bytes], ...]


class Field(NamedTuple):
    """One header field by offsets into its message: ``data[start:end]`` is the field with its line end."""

    name: bytes  # lower case
    start: int
    end: int
    value_start: int  # after the colon


# A field with its folded lines; a blank line; or a line that is neither.
FIELDS = re.compile(rb"([!-9;-~]++)[ \t]*+:([^\n]*+(?>(?:\n[ \t][^\n]*+)*))\n?|\r?\n|([^\n]++)\n?")

_NAME = re.compile(rb"[!-9;-~]++")
MOST_NAMES = 64  # of one pattern: to make it takes longer the more there are

_TOKEN = rb"[!#-'*+.0-9A-Z^-z|~{}-]++"
_MEDIA = re.compile(rb"[ \t\r\n]*+(" + _TOKEN + rb")(?>(?:[ \t\r\n]*+/[ \t\r\n]*+(" + _TOKEN + rb"))?)")
_QUICK = re.compile(  # type, subtype and at most one plain parameter: what most fields hold
    rb"[ \t\r\n]*+(" + _TOKEN + rb")(?>(?:/(" + _TOKEN + rb"))?)"
    rb'(?>(?:;[ \t\r\n]*+([A-Za-z-]++)=(?:"([^"\\\r\n]*+)"|([^;"(\\ \t\r\n]++)))?)[ \t\r\n]*+\Z'
)
_PARAMETER = re.compile(
    rb"[ \t\r\n]*+;[ \t\r\n]*+([^][()<>@,;:\\\"/?= \t\r\n\x00-\x1f\x7f]++)[ \t\r\n]*+="
    rb'[ \t\r\n]*+(?:"((?>(?:[^"\\]++|\\.)*))"?+|([^;" \t\r\n]*+))',
    re.DOTALL,
)
_NEXT = re.compile(rb"[^;]*+(?=;)|[^;]++\Z")
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_COMMENT = re.compile(rb"\([^()]*+\)")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")


class Media(NamedTuple):
    """A structured value: ``main`` and ``sub`` as written (``text``/``plain``, ``attachment``/empty), raw parameters."""

    main: bytes
    sub: bytes
    parameters: Parameters
    overflow: bool = False  # more parameters than the limit: the rest was not read

    def get(self, name: bytes) -> bytes | None:
        """The first parameter of that lower-case name."""
        for key, value in self.parameters:
            if key.lower() == name:
                return value
        return None


def fields(data: bytes, start: int = 0, end: int | None = None) -> tuple[Field, ...]:
    """The fields of the header block ``data[start:end]``, with their offsets."""
    return tuple(
        Field(match[1].lower(), match.start(), match.end(), match.start(2))
        for match in FIELDS.finditer(data, start, len(data) if end is None else end)
        if match.lastindex == 2
    )


@lru_cache(maxsize=256)
def _named(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """Fields of those names as :data:`FIELDS` finds them, in a header in lower case with a line end before it.

    Only they are looked at, which costs a fifth; a search that minds case, and begins with one octet, is faster still.
    """
    spelled = sorted({name.lower() for name in names if _NAME.fullmatch(name)})
    known = b"|".join(map(re.escape, spelled)) if spelled else rb"(?!)"
    return re.compile(rb"\n(?:" + known + rb")[ \t]*+:([^\n]*+(?>(?:\n[ \t][^\n]*+)*))")


def values(header: bytes, name: bytes) -> Iterator[bytes]:
    """What each field of that name holds, with its folds, without the line feed that ends it."""
    for match in _named((name,)).finditer(b"\n" + header.lower()):
        yield header[match.start(1) - 1 : match.end() - 1]


def select(header: bytes, names: tuple[bytes, ...], *, exclude: bool = False) -> bytes:
    """The fields of those names (or all others), as written, in order: BODY[HEADER.FIELDS (...)].

    ``header`` ends with its blank line, which is answered too (RFC 9051 6.4.5.1).
    """
    if exclude or len(names) > MOST_NAMES:
        lower = {name.lower() for name in names}
        kept = [
            match[0]
            for match in FIELDS.finditer(header)
            if match.lastindex == 2 and (match[1].lower() in lower) is not exclude
        ]
    else:
        kept = [header[match.start() : match.end()] for match in _named(names).finditer(b"\n" + header.lower())]
    if kept and not kept[-1].endswith(b"\n"):
        kept.append(b"\r\n")
    kept.append(b"\r\n")
    return b"".join(kept)


def read_media(value: bytes, limit: int) -> Media:
    """A Content-Type value: type, subtype, parameters. Nothing readable gives empty ``main`` and ``sub``."""
    quick = _QUICK.match(value)
    if quick is not None and limit:
        main, sub, name, quoted, token = quick.groups(b"")
        return Media(main, sub, ((name, quoted or token),) if name else ())
    if b"(" in value:
        value = without_comments(value)
    found = _MEDIA.match(value)
    if found is None:
        return Media(b"", b"", ())
    parameters, overflow = read_parameters(value, found.end(), limit)
    return Media(found[1], found[2] or b"", parameters, overflow)


def read_parameters(value: bytes, position: int, limit: int) -> tuple[Parameters, bool]:
    """``; name=value`` pairs from ``position`` on, unquoted, RFC 2231 pieces joined; and whether there were too many."""
    found: list[tuple[bytes, bytes]] = []
    end = len(value)
    split = False
    while position < end:
        match = _PARAMETER.match(value, position)
        if match is None:  # not a parameter: go on at the next semicolon
            skipped = _NEXT.match(value, position + 1)
            if skipped is None:
                break
            position = skipped.end()
            continue
        if len(found) == limit:
            return tuple(found), True
        name, quoted, token = match.groups()
        if quoted is not None:
            token = _unquote(quoted)
        split = split or b"*" in name
        found.append((name, token))
        position = match.end()
    return tuple(join_pieces(found) if split else found), False


def _unquote(text: bytes) -> bytes:
    if b"\n" in text:
        text = _FOLD.sub(b"", text)
    return _ESCAPE.sub(rb"\1", text) if b"\\" in text else text


def without_comments(value: bytes) -> bytes:
    """Comments taken out, quoted strings left alone. Nested ones down to a depth of 8."""
    pieces = value.split(b'"')
    if len(pieces) > 1:  # odd pieces are inside quotes; an escaped quote only makes this keep more
        return b'"'.join(piece if index % 2 else _bare(piece) for index, piece in enumerate(pieces))
    return _bare(value)


def _bare(text: bytes) -> bytes:
    for _ in range(8):
        text = _COMMENT.sub(b" ", text)
    return text


def join_pieces(parameters: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """RFC 2231 3 and 4.1: ``name*0``, ``name*1*``... become one ``name`` (or ``name*`` when a piece is encoded)."""
    whole: list[tuple[bytes, bytes]] = []
    extended: list[tuple[bytes, bytes]] = []  # ``name*``: after the plain ones, as Dovecot orders them
    pieces: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    for name, value in parameters:
        base, star, number = name.partition(b"*")
        encoded = number.endswith(b"*")
        digits = number.removesuffix(b"*")
        if not star or not digits.isdigit() or len(digits) > 4:
            (extended if star else whole).append((name, value))
        else:
            pieces.setdefault(base.lower(), {}).setdefault(int(digits), (value, encoded))
    return whole + extended + [_joined(base, numbered) for base, numbered in pieces.items()]


def _joined(base: bytes, numbered: dict[int, tuple[bytes, bool]]) -> tuple[bytes, bytes]:
    found = []
    encoded = any(flag for _, flag in numbered.values())
    for index in range(len(numbered)):
        if index not in numbered:
            break
        value, flag = numbered[index]
        found.append(value if flag or not encoded else value.replace(b"%", b"%25"))
    return (base + b"*" if encoded else base), b"".join(found)


def file_names(*media: Media) -> tuple[str, ...]:
    """Every name a mail program may give the file: ``filename``, ``filename*``, ``name``, ``name*``, decoded and raw.

    Any program may prefer any of them, so content rules look at all.
    """
    names: dict[str, None] = {}
    for each in media:
        for key, value in each.parameters:
            base = key.lower()
            if base in (b"filename*", b"name*"):
                names[_decode_extended(value)] = None
            elif base in (b"filename", b"name"):
                names[decode_words(value)] = None
                names[decode_text(value)] = None
    return tuple(name for name in names if name)


_LOOSE = re.compile(rb"(?:file)?name[ \t]*+=[ \t]*+([^;\"]++)", re.IGNORECASE)


def loose_names(value: bytes) -> tuple[str, ...]:
    """Names without quotes as lenient programs read them: up to the semicolon, spaces included."""
    return tuple(decode_words(found) for found in _LOOSE.findall(_FOLD.sub(b"", value)))


_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")


def _decode_extended(value: bytes) -> str:
    """RFC 2231 4: ``charset'language'percent-encoded``."""
    charset, quote, rest = value.partition(b"'")
    if quote:
        _, quote, text = rest.partition(b"'")
    if not quote:
        charset, text = b"", value
    data = _PERCENT.sub(lambda match: bytes((int(match[1], 16),)), text)
    return decode_text(data, charset.decode("ascii", "replace"))
