"""Sections of a message as FETCH sends them: BODY[...] and BINARY[...] (RFC 9051 6.4.5, RFC 3516). Pure.

Failure: ``NO [UNKNOWN-CTE]`` (:class:`mailboxes.imap.session.Refused`) for a transfer encoding nobody knows.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailboxes.anatomy import Summary, decode_part, header_end, section, select
from mailboxes.imap import values as v
from mailboxes.imap.content import part_type
from mailboxes.imap.session import Refused

KNOWN_ENCODINGS = frozenset((b"", b"7bit", b"8bit", b"binary", b"base64", b"quoted-printable"))


def cut(data: bytes, partial: tuple[int, int] | None) -> bytes:
    """``<offset.length>`` of the data; a length of -1 is to the end."""
    if partial is None:
        return data
    offset, length = partial
    return data[offset:] if length < 0 else data[offset : offset + length]


def literal(data: bytes) -> bytes:
    return b"{%d}\r\n%b" % (len(data), data)


def binary_literal(data: bytes) -> bytes:
    return b"~{%d}\r\n%b" % (len(data), data) if 0 in data else literal(data)


def section_span(summary: Summary, wanted: v.Section) -> tuple[int, int] | None:
    """The bytes a section is made of; for HEADER.FIELDS the whole header."""
    text = "HEADER" if wanted.text.startswith("HEADER") else wanted.text
    return section(summary, wanted.path, text)


def header_fields(header: bytes, wanted: v.Section) -> bytes:
    return select(header, wanted.fields, exclude=wanted.text == "HEADER.FIELDS.NOT")


def is_header(item: v.Item) -> bool:
    """Whether an item is the top header block, or fields of it: summaries hold it."""
    return item.kind == "SECTION" and not item.section.path and item.section.text.startswith("HEADER")


def is_top(item: v.Item) -> bool:
    """Whether an item is a section of the whole message, which the message alone tells: nothing else need be read."""
    return item.kind == "SECTION" and not item.section.path and item.section.text != "MIME"


def top_sections(bodies: Sequence[bytes], headers: Sequence[bytes], item: v.Item) -> Sequence[bytes]:
    """What :func:`is_top` items hold, of small messages; ``headers`` are enough for :func:`is_header`."""
    wanted, partial = item.section, item.partial
    if wanted.text == "":
        found = bodies
    elif wanted.text == "TEXT":
        found = [body[header_end(body) :] for body in bodies]
    else:
        found = headers or [body[: header_end(body)] for body in bodies]
    if wanted.fields:
        found = [header_fields(header, wanted) for header in found]
    return found if partial is None else [cut(data, partial) for data in found]


def section_bytes(content: bytes, summary: Summary, item: v.Item) -> bytes:
    """``BODY[...]`` as sent: a literal, or NIL when the message has no such part."""
    span = section_span(summary, item.section)
    if span is None:
        return b"NIL"
    data = content[span[0] : span[1]]
    if item.section.fields:
        data = header_fields(data, item.section)
    return literal(cut(data, item.partial))


def binary_span(summary: Summary, wanted: v.Section) -> tuple[int, int, int] | None:
    """Header start, body start, body end of what BINARY names; None when there is none."""
    if not wanted.path or wanted.text:
        span = section_span(summary, wanted)
        return None if span is None else (span[0], *span)
    mime, body = section(summary, wanted.path, "MIME"), section(summary, wanted.path)
    if body is None or mime is None:
        return None
    return mime[0], body[0], body[1]


def decoded(header: bytes, body: bytes) -> bytes:
    """A part without its transfer encoding (RFC 3516); :class:`Refused` when the encoding is unknown."""
    main, _, encoding = part_type(header)
    if encoding not in KNOWN_ENCODINGS:
        raise Refused("The part's transfer encoding is unknown", b"UNKNOWN-CTE")
    if main in (b"multipart", b"message") or encoding in (b"", b"7bit", b"8bit", b"binary"):
        return body
    return decode_part(body, encoding)


def binary_bytes(content: bytes, summary: Summary, item: v.Item) -> bytes:
    """``BINARY[...]`` or ``BINARY.SIZE[...]`` as sent."""
    span = binary_span(summary, item.section)
    if span is None:
        return b"0" if item.kind == "BINARY.SIZE" else b"NIL"
    start, body, end = span
    return binary_said(item, content[start:body], content[body:end])


def binary_said(item: v.Item, header: bytes, body: bytes) -> bytes:
    """A part decoded when it is one; sections of text are what BODY says they are."""
    data = body
    if item.section.fields:
        data = header_fields(body, item.section)
    elif item.section.path and not item.section.text:
        data = decoded(header, body)
    if item.kind == "BINARY.SIZE":
        return b"%d" % len(data)
    return binary_literal(cut(data, item.partial))
