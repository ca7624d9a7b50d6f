"""Render what IMAP answers about a message: ENVELOPE, BODYSTRUCTURE and BODY, as the bytes that go on the wire.

Promise: RFC 3501/9051 7.5.2 syntax whatever the message holds; on well-formed mail the same answer as Dovecot. Values are
raw (encoded words stay encoded), folds removed. A string is quoted when it can be, else a literal ``{n}``. Iterative:
parts are rendered from the last to the first. Failure: none; unreadable addresses keep their text with
``MISSING_DOMAIN`` or ``MISSING_MAILBOX``, as Dovecot writes.
"""

from __future__ import annotations

import re

from mailboxes.headers import Media, Parameters
from mailboxes.mime import Part
from mailboxes.words import unfold
from policies.address import AddressError, Entry, entries

Values = dict[bytes, list[bytes]]

NO_MESSAGE = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
NO_PARTS = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)'
NO_PARTS_EXTENDED = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)'

_UNQUOTABLE = re.compile(rb'["\\\x00\r\n\x80-\xff]')
_SPACES = re.compile(rb"[ \t\r\n]++")
_ESCAPED = re.compile(rb'["\\]')
_LIST = (b"to", b"cc", b"bcc")


def string(value: bytes) -> bytes:
    """An IMAP string: quoted, or a literal when it holds NUL, a line end, 8-bit bytes or many escapes."""
    if _UNQUOTABLE.search(value) is None:
        return b'"' + value + b'"'
    if not value.isascii() or b"\0" in value or b"\r" in value or b"\n" in value:
        return b"{%d}\r\n%s" % (len(value), value)
    return b'"' + _ESCAPED.sub(rb"\\\g<0>", value) + b'"'


def nstring(value: bytes | None) -> bytes:
    """NIL when there is no value."""
    return b"NIL" if value is None else string(value)


def _first(values: Values, name: bytes) -> bytes | None:
    """The first value on one line; where it was folded, runs of white space count as one space."""
    found = values.get(name)
    if found is None:
        return None
    value = found[0].strip(b" \t\r\n")
    return _SPACES.sub(b" ", value) if b"\n" in value else value


def envelope(values: Values, limit: int = 1000) -> bytes:
    """The ENVELOPE of a header, given its raw values by lower-case name (RFC 9051 7.5.2)."""
    sender = _addresses(values, b"from", limit)
    pieces = [nstring(_first(values, b"date")), nstring(_first(values, b"subject")), sender]
    for name in (b"sender", b"reply-to"):
        own = _addresses(values, name, limit) if name in values else b"NIL"
        pieces.append(sender if own == b"NIL" else own)
    pieces += [_addresses(values, name, limit) if name in values else b"NIL" for name in _LIST]
    pieces += [nstring(_first(values, b"in-reply-to")), nstring(_first(values, b"message-id"))]
    return b"(" + b" ".join(pieces) + b")"


def _addresses(values: Values, name: bytes, limit: int) -> bytes:
    stated = values.get(name)
    if not stated:
        return b"NIL"
    value = stated[0] if len(stated) == 1 else b", ".join(stated)
    try:
        found = entries(value, limit)
    except AddressError:
        found = guess(value, limit)
    return b"(" + b"".join(map(_address, found)) + b")" if found else b"NIL"


def _address(entry: Entry) -> bytes:
    name, local, domain, _ = entry
    if not domain:
        return b"(NIL NIL %s NIL)" % (string(local) if local else b"NIL")
    return b"(%s NIL %s %s)" % (string(name) if name else b"NIL", string(local), string(domain))


def guess(value: bytes, limit: int) -> list[Entry]:
    """An unreadable address list, cut at its commas: for display only, never for a decision."""
    found = []
    for piece in unfold(value).split(b",", limit)[:limit]:
        name, bracket, rest = piece.rpartition(b"<")
        text = (rest.partition(b">")[0] if bracket else piece).strip(b" \t")
        if not text and not name.strip():
            continue
        local, at, domain = text.rpartition(b"@")
        if not at:
            local, domain = text, b""
        found.append(
            Entry(name.strip(b' \t"'), local or b"MISSING_MAILBOX", domain.strip(b" \t>") or b"MISSING_DOMAIN")
        )
    return found


# --------------------------------------------------------------------------- BODY and BODYSTRUCTURE


def structure(data: bytes, parts: list[Part], envelopes: dict[int, bytes]) -> tuple[bytes, bytes]:
    """BODY and BODYSTRUCTURE of the whole message. ``envelopes`` holds those of message roots, by part index."""
    plain: list[bytes] = [b""] * len(parts)
    extended: list[bytes] = [b""] * len(parts)
    for part in reversed(parts):
        kind = part.kind
        if kind == b"multipart":
            inner = b"".join([plain[child] for child in part.children]) or NO_PARTS
            inner_extended = b"".join([extended[child] for child in part.children]) or NO_PARTS_EXTENDED
            base = b" " + string(part.media.sub)
            tail = b" " + _parameters(part.media.parameters) + _placement(part)
        else:
            inner = _basic(part, kind)
            inner_extended = inner
            base, tail = _specific(data, part, kind, plain, envelopes), _tail(part)
            if kind == b"message" and part.children:
                extended_base = _specific(data, part, kind, extended, envelopes)
                plain[part.index] = b"(" + inner + base + b")"
                extended[part.index] = b"(" + inner + extended_base + tail + b")"
                continue
        plain[part.index] = b"(" + inner + base + b")"
        extended[part.index] = b"(" + inner_extended + base + tail + b")"
        for child in part.children:  # rendered above: not needed twice
            plain[child] = extended[child] = b""
    return plain[0], extended[0]


def _basic(part: Part, kind: bytes) -> bytes:
    """Type to size: what every leaf says first."""
    media, values = part.media, part.values
    encoding = _first(values, b"content-transfer-encoding")
    return b"%s %s %s %s %s %s %d" % (
        string(media.main or b"text"),
        string(media.sub or (b"" if media.main else b"plain")),
        _parameters(media.parameters, needs_charset=kind in (b"text", b"")),
        nstring(_first(values, b"content-id")),
        nstring(_first(values, b"content-description")),
        string(encoding.partition(b";")[0].strip()) if encoding else b'"7bit"',
        part.body_end - part.body_start,
    )


def _specific(data: bytes, part: Part, kind: bytes, rendered: list[bytes], envelopes: dict[int, bytes]) -> bytes:
    """Lines for text; envelope, structure and lines for a message."""
    if kind in (b"text", b""):
        return b" %d" % data.count(b"\n", part.body_start, part.body_end)
    if kind == b"message" and part.media.sub.lower() == b"rfc822":
        lines = data.count(b"\n", part.body_start, part.body_end)
        if not part.children:
            return b" %s %s %d" % (NO_MESSAGE, NO_PARTS, lines)
        child = part.children[0]
        return b" %s %s %d" % (envelopes[child], rendered[child], lines)
    return b""


def _parameters(parameters: Parameters, needs_charset: bool = False) -> bytes:
    pieces = [string(name) + b" " + string(value) for name, value in parameters]
    if needs_charset and not any(name.lower() == b"charset" for name, _ in parameters):
        pieces.append(b'"charset" "us-ascii"')
    return b"(" + b" ".join(pieces) + b")" if pieces else b"NIL"


def _tail(part: Part) -> bytes:
    """Extension data of a leaf: MD5, then placement."""
    if len(part.values) < 3 and part.disposition is None and b"content-md5" not in part.values:
        placed = _placement(part)
        return b" NIL" + placed
    return b" " + nstring(_first(part.values, b"content-md5")) + _placement(part)


def _placement(part: Part) -> bytes:
    """Disposition, language and location."""
    values = part.values
    pieces = b" NIL" if part.disposition is None else b" " + _disposition(part.disposition)
    pieces += b" " + _language(values) if b"content-language" in values else b" NIL"
    return pieces + b" " + nstring(_first(values, b"content-location"))


def _disposition(media: Media) -> bytes:
    if not media.main:
        return b"NIL"
    return b"(%s %s)" % (string(media.main), _parameters(media.parameters))


def _language(values: Values) -> bytes:
    stated = _first(values, b"content-language") or b""
    tags = [tag.strip(b" \t") for tag in stated.split(b",")]
    return b"(" + b" ".join(string(tag) for tag in tags if tag) + b")" if any(tags) else b"NIL"
