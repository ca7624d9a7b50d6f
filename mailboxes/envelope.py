"""Render what IMAP answers about a message: ENVELOPE, BODYSTRUCTURE and BODY, as the bytes that go on the wire.

Promise: RFC 3501/9051 7.5.2 syntax whatever the message holds; on well-formed mail the same answer as Dovecot. Values are
raw (encoded words stay encoded), folds removed. A string is quoted when it can be, else a literal ``{n}``. Iterative:
parts are rendered from the last to the first. Failure: none; unreadable addresses keep their text with
``MISSING_DOMAIN`` or ``MISSING_MAILBOX``, as Dovecot writes.
"""

from __future__ import annotations

import re
from functools import lru_cache

from mailboxes.guess import guess
from mailboxes.headers import Media, Parameters
from mailboxes.mime import Part
from mailboxes.words import bare_word
from policies.address import REMEMBERED_OCTETS, AddressError, entries

Values = dict[bytes, list[bytes]]

NO_MESSAGE = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
NO_PARTS = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)'
NO_PARTS_EXTENDED = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)'

_UNQUOTABLE = re.compile(rb'["\\\x00\r\n\x80-\xff]')
_SPACES = re.compile(rb"[ \t\r\n]++")
_ESCAPED = re.compile(rb'["\\]')
_LIST = (b"to", b"cc", b"bcc")
_COMMON = {
    word: b'"' + word + b'"'
    for word in (
        b"text plain html application pdf zip octet-stream image multipart mixed alternative related message rfc822"
        b" charset utf-8 us-ascii iso-8859-1 name filename boundary attachment inline 7bit 8bit base64 quoted-printable"
    ).split()
}
"""Words nearly every structure holds, already quoted."""


def string(value: bytes) -> bytes:
    """An IMAP string: quoted, or a literal when it holds NUL, a line end or 8-bit bytes."""
    if value in _COMMON:
        return _COMMON[value]
    if _UNQUOTABLE.search(value) is None:
        return b'"' + value + b'"'
    if not value.isascii() or b"\0" in value or b"\r" in value or b"\n" in value:
        return b"{%d}\r\n%s" % (len(value), value.replace(b"\0", b"\x80"))  # NUL has no place in IMAP
    return b'"' + _ESCAPED.sub(rb"\\\g<0>", value) + b'"'


def _text(values: Values, name: bytes) -> bytes:
    """The first value as an IMAP string on one line, or NIL; where it was folded, a run of white space is one space."""
    found = values.get(name)
    if found is None:
        return b"NIL"
    value = found[0].strip(b" \t\r\n")
    return string(_SPACES.sub(b" ", value) if b"\n" in value else value)


def envelope(values: Values, limit: int = 1000) -> bytes:
    """The ENVELOPE of a header, given its raw values by lower-case name (RFC 9051 7.5.2)."""
    sender = _addresses(values, b"from", limit)
    pieces = [_text(values, b"date"), _text(values, b"subject"), sender]
    for name in (b"sender", b"reply-to"):
        own = _addresses(values, name, limit) if name in values else b"NIL"
        pieces.append(sender if own == b"NIL" else own)
    pieces += [_addresses(values, name, limit) if name in values else b"NIL" for name in _LIST]
    pieces += [_text(values, b"in-reply-to"), _text(values, b"message-id")]
    return b"(" + b" ".join(pieces) + b")"


def _addresses(values: Values, name: bytes, limit: int) -> bytes:
    stated = values.get(name)
    if not stated:
        return b"NIL"
    value = stated[0] if len(stated) == 1 else b", ".join(stated)
    return _remembered(value, limit) if len(value) <= REMEMBERED_OCTETS else _rendered(value, limit)


@lru_cache(maxsize=4096)
def _remembered(value: bytes, limit: int) -> bytes:
    return _rendered(value, limit)


def _rendered(value: bytes, limit: int) -> bytes:
    try:
        found = [_address(name, local, domain) for name, local, domain, _ in entries(value, limit)]
    except AddressError:
        found = [_address(*guessed) for guessed in guess(value, limit)]
    return b"(" + b"".join(found) + b")" if found else b"NIL"


def _address(name: bytes, local: bytes, domain: bytes, route: bytes = b"") -> bytes:
    if domain and not route and _UNQUOTABLE.search(name + local + domain) is None:
        return b'("%s" NIL "%s" "%s")' % (name, local, domain) if name else b'(NIL NIL "%s" "%s")' % (local, domain)
    if not domain:
        return b"(NIL NIL %s NIL)" % (string(local) if local else b"NIL")
    shown = string(name) if name else b"NIL", string(route) if route else b"NIL", string(local), string(domain)
    return b"(%s %s %s %s)" % shown


# --------------------------------------------------------------------------- BODY and BODYSTRUCTURE


def structure(
    data: bytes, parts: list[Part], envelopes: dict[int, bytes], line_end: bytes = b"\n"
) -> tuple[bytes, bytes]:
    """BODY and BODYSTRUCTURE of the whole message. ``envelopes`` holds those of message roots, by part index.

    ``line_end`` is what is counted as the end of a line; where all are CRLF, that is found three times as fast as LF.
    """
    plain: list[bytes] = [b""] * len(parts)
    extended: list[bytes] = [b""] * len(parts)
    lines = _lines(data, parts, line_end)
    for part in reversed(parts):
        index = part.index
        if part.kind == b"multipart":
            subtype = b" " + string(part.media.sub)
            tail = b" " + _parameters(part.media.parameters) + _placement(part)
            plain[index] = b"(%s%s)" % (_joined(plain, part) or NO_PARTS, subtype)
            extended[index] = b"(%s%s%s)" % (_joined(extended, part) or NO_PARTS_EXTENDED, subtype, tail)
            continue
        basic, tail = _basic(part), _digest(part.values) + _placement(part)
        if index in lines:
            count = b" %d" % lines[index]
            if part.kind == b"message":
                plain[index] = b"(%s%s%s)" % (basic, _inside(part, envelopes, plain), count)
                extended[index] = b"(%s%s%s%s)" % (basic, _inside(part, envelopes, extended), count, tail)
                continue
            basic += count
        plain[index] = b"(%s)" % basic
        extended[index] = b"(%s%s)" % (basic, tail)
    return plain[0], extended[0]


def _joined(rendered: list[bytes], part: Part) -> bytes:
    """The children one after the other; each is needed once, and let go."""
    found = b"".join([rendered[child] for child in part.children])
    for child in part.children:
        rendered[child] = b""
    return found


def _inside(part: Part, envelopes: dict[int, bytes], rendered: list[bytes]) -> bytes:
    """Envelope and structure of the message in a message/rfc822 part."""
    if not part.children:
        return b" %s %s" % (NO_MESSAGE, NO_PARTS)
    return b" %s %s" % (envelopes[part.children[0]], _joined(rendered, part))


def _lines(data: bytes, parts: list[Part], line_end: bytes) -> dict[int, int]:
    """Lines of each text and message/rfc822 part, by part index. No byte is counted twice, however parts are nested."""
    texts = [part for part in parts if part.kind == b"text" or not part.kind]
    messages = [part for part in parts if part.kind == b"message" and part.media.sub.lower() == b"rfc822"]
    if not messages:
        return {part.index: data.count(line_end, part.body_start, part.body_end) for part in texts}
    texts += messages
    before: dict[int, int] = {}
    total = last = 0
    for offset in sorted({offset for part in texts for offset in (part.body_start, part.body_end)}):
        total += data.count(b"\n", last, offset)
        before[offset] = total
        last = offset
    return {part.index: before[part.body_end] - before[part.body_start] for part in texts}


def _basic(part: Part) -> bytes:
    """Type to size: what every leaf says first."""
    media, values = part.media, part.values
    stated = values.get(b"content-transfer-encoding")
    encoding = bare_word(stated[0]) if stated else b""
    return b"%s %s %s %s %s %s %d" % (
        string(media.main or b"text"),
        string(media.sub or (b"" if media.main else b"plain")),
        _parameters(media.parameters, needs_charset=part.kind in (b"text", b"")),
        _text(values, b"content-id") if b"content-id" in values else b"NIL",
        _text(values, b"content-description") if b"content-description" in values else b"NIL",
        string(encoding or b"7bit"),
        part.body_end - part.body_start,
    )


def _parameters(parameters: Parameters, needs_charset: bool = False) -> bytes:
    pieces = [string(name) + b" " + string(value) for name, value in parameters]
    if needs_charset and not any(name.lower() == b"charset" for name, _ in parameters):
        pieces.append(b'"charset" "us-ascii"')
    return b"(" + b" ".join(pieces) + b")" if pieces else b"NIL"


def _digest(values: Values) -> bytes:
    return b" " + _text(values, b"content-md5") if b"content-md5" in values else b" NIL"


def _placement(part: Part) -> bytes:
    """Disposition, language and location."""
    values = part.values
    pieces = b" NIL" if part.disposition is None else b" " + _disposition(part.disposition)
    pieces += b" " + _language(values) if b"content-language" in values else b" NIL"
    return pieces + (b" " + _text(values, b"content-location") if b"content-location" in values else b" NIL")


def _disposition(media: Media) -> bytes:
    if not media.main:
        return b"NIL"
    return b"(%s %s)" % (string(media.main), _parameters(media.parameters))


def _language(values: Values) -> bytes:
    tags = [bare_word(tag) for tag in values[b"content-language"][0].split(b",")]
    return b"(" + b" ".join(string(tag) for tag in tags if tag) + b")" if any(tags) else b"NIL"
