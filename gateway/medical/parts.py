"""What of a message is worth reading: a quick look that most mail does not pass, then its leaves as bytes.

The look is over the anatomy and a bounded piece of the first texts and pictures, so that ordinary letters cost next to nothing;
it only decides whether to read, never what is found. Promise: linear in what it looks at, which is at most :data:`LOOK` octets
of each of :data:`LOOKED_AT` parts and one search for the end tag. Failure: none; a doubt is a reason to read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gateway.medical.question import PartBytes
from hprim.detect import is_office
from hprim.zipsafe import names_in
from mailboxes.anatomy import Anatomy
from mailboxes.headers import file_names
from mailboxes.mime import Part
from mailboxes.words import decode_part

LOOK = 8 * 1024
LOOKED_AT = 20
MOST_PARTS = 500
PDF_HEAD = 4096
"""Of a PDF only its nature is read."""

_BIG = LOOK * 2
_TAIL = 2048
# What a search starts with must be one fixed octet: an alternative there makes it ten times slower.
_DATE_LINE = re.compile(rb"\n[ \t0-9][0-9./ \t-]{5,24}\r?\n")
_DATE_IN_PAGE = re.compile(rb">[\s0-9][0-9./\s-]{5,24}<")
_NUMBER = re.compile(r"[1-478][0-9 .\-\u00a0]{12,}")
_OPENINGS = (b"H|", b"MSH|", b"<?xml", b"<ClinicalDocument", b"\xef\xbb\xbf<", b"\xff\xfe", b"\xfe\xff")
_LETTERS = frozenset({b"plain", b"html", b"calendar", b"rfc822-headers", b"enriched", b""})
_XDM = "xdm/1.0"
_DOCUMENTS = frozenset({b"application", b"message", b""})
_SENSED = frozenset({b"image", b"audio", b"video"})
_HELD = (b"PK\x03\x04", b"\x00<", b"<\x00", b"<!--", b"<cda:")
"""An archive, and further ways XML begins."""
_HEAD = 1024
_FEW_LINES = 6
_WIDE = 64
"""Octets within which a text of two octets a letter shows a zero."""
_OURS = (b"x-mss-ins", b"x-mss-codecda", b"x-mss-mes")
_REPORTS = frozenset({"message/delivery-status", "message/disposition-notification"})


def worth_reading(anatomy: Anatomy, raw: bytes) -> bool:
    """Whether anything medical may be in this message."""
    values = anatomy.values
    if any(name in values for name in _OURS) or _in_subject(anatomy.subject):
        return True
    looked = 0
    for part in anatomy.parts:
        kind = part.kind
        if part.children or kind == b"multipart":
            continue
        if kind != b"text" and kind not in _SENSED:
            if kind in _DOCUMENTS and part.full_type not in _REPORTS:
                return True
            continue
        if kind == b"text" and (_is_attached(part) or part.media.sub.lower() not in _LETTERS):
            return True
        looked += 1
        if looked > LOOKED_AT or _may_hold(part, raw):
            return True
    return False


def _may_hold(part: Part, raw: bytes) -> bool:
    return _medical_text(part, raw) if part.kind == b"text" else not _is_sensed(part, raw)


def _in_subject(subject: str) -> bool:
    return bool(subject) and (_XDM in subject[:200].lower() or _NUMBER.search(subject) is not None)


def _medical_text(part: Part, raw: bytes) -> bool:
    start, stop = part.body_start, part.body_end
    if part.encoding == b"base64":
        text = _lines(decode_part(raw[start : min(stop, start + _BIG)], b"base64", LOOK))
        tagged = b"****" in text or b"****" in _base64_end(raw[max(start, stop - _TAIL) : stop])
    else:
        text = decode_part(raw[start : min(stop, start + _BIG)], part.encoding, LOOK)
        if part.encoding == b"quoted-printable":
            text = _lines(text)
        # one star is found ten times faster than four
        tagged = raw.find(b"*", start, stop) >= 0 and raw.find(b"****", start, stop) >= 0
    date = _DATE_IN_PAGE if part.media.sub.lower() == b"html" else _DATE_LINE
    tagged = tagged or b"-----BEGIN PGP M" in text or b"\x00" in text[:_WIDE]
    return tagged or text.startswith(_OPENINGS) or date.search(text) is not None


def _base64_end(tail: bytes) -> bytes:
    """The last octets of a base64 text, where end tags stand: groups of four count from the end."""
    bare = tail.translate(None, b" \t\r\n")
    return decode_part(bare[len(bare) % 4 :], b"base64")


def _lines(text: bytes) -> bytes:
    """Behind an encoding line ends may be of any kind."""
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in text else text


def _is_attached(part: Part) -> bool:
    if part.disposition is not None:
        return part.disposition.main.lower() == b"attachment" or bool(file_names(part.disposition, part.media))
    return bool(part.media.parameters) and bool(file_names(part.media))


def leaves(anatomy: Anatomy, raw: bytes) -> Iterator[PartBytes]:
    """Every leaf that may hold a document or be read by a person. Pictures and sounds are left out, when they are any."""
    for part in anatomy.parts[:MOST_PARTS]:
        if part.children or part.kind == b"multipart" or (part.kind in _SENSED and _is_sensed(part, raw)):
            continue
        yield _leaf(anatomy, part, raw)


def archived_names(parts: Iterable[PartBytes]) -> Iterator[str]:
    """The names inside the archives of the message, as their directories show them; office documents are none."""
    for part in parts:
        if part.data[:2] == b"PK" and not is_office(part.name):
            yield from names_in(part.data)


def _is_sensed(part: Part, raw: bytes) -> bool:
    """Whether what is declared a picture, a sound or a film begins like one: not as a document, an archive or lines of text."""
    head = decode_part(raw[part.body_start : min(part.body_end, part.body_start + 2 * _HEAD)], part.encoding, _HEAD)
    if head.lstrip().startswith((*_OPENINGS, *_HELD)):
        return b"<svg" in head
    return b"\x00" in head or head.count(b"\n") + head.count(b"\r") < _FEW_LINES


def _leaf(anatomy: Anatomy, part: Part, raw: bytes) -> PartBytes:
    data = decode_part(raw[part.body_start : part.body_end], part.encoding)
    if data[:5] == b"%PDF-":
        data = data[:PDF_HEAD]
    names = file_names(*(media for media in (part.disposition, part.media) if media is not None))
    charset = (part.media.get(b"charset") or b"").decode("ascii", "replace")
    body = part.kind == b"text" and not _is_attached(part) and not names and _on_top(anatomy, part)
    return PartBytes(names[0] if names else "", part.full_type, charset, data, body)


def _on_top(anatomy: Anatomy, part: Part) -> bool:
    """Not inside a forwarded message."""
    above = part.parent
    while above > 0:
        parent = anatomy.parts[above]
        if parent.message or parent.kind == b"message":
            return False
        above = parent.parent
    return True
