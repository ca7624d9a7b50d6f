"""The one bounded walk over a message: the facts policies judge, and what IMAP will serve.

``dissect(data)`` reads the raw bytes once and answers a frozen :class:`Anatomy`; ``pack`` keeps of it what IMAP needs
without the body, ``unpack`` reads that lazily (:mod:`mailboxes.summary`), ``section`` finds ``BODY[1.2.MIME]``.
Promise: never raises on any bytes, is bounded by :class:`mailboxes.mime.Limits`, and re-serialises nothing. Each oddity
leaves a stable word in ``problems``: what went over a limit (:data:`OVER_LIMIT`), and what two programs may read
differently (:data:`AMBIGUOUS`). Addresses are read by :mod:`policies.address` only.
Failure: an address field that has no single reading gives no address, and :meth:`Anatomy.listed` says why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mailboxes.dates import Moment, parse_date
from mailboxes.envelope import envelope, structure
from mailboxes.guess import guess
from mailboxes.headers import Field, Media, fields, file_names, loose_names, read_media, select
from mailboxes.line_ends import bare
from mailboxes.mime import LIMITS, Limits, Part, header_end, walk
from mailboxes.summary import MESSAGE, MULTIPART, BadSummary, Summary, encode, section, unpack
from mailboxes.words import BaseSubject, base_subject, decode_part, decode_words, preview, unfold
from policies.address import AddressError, addresses, entries
from policies.values import Address

__all__ = [
    "AMBIGUOUS",
    "LIMITS",
    "OVER_LIMIT",
    "Anatomy",
    "BadSummary",
    "BaseSubject",
    "Field",
    "Limits",
    "Listed",
    "Media",
    "Moment",
    "Part",
    "Summary",
    "base_subject",
    "decode_part",
    "decode_words",
    "dissect",
    "header_end",
    "pack",
    "parse_date",
    "section",
    "select",
    "unfold",
    "unpack",
]

OVER_LIMIT = frozenset(
    {"too_large", "header_too_large", "too_many_fields", "too_deep", "too_many_parts", "too_many_parameters"}
)
"""Words of ``problems`` for what was not read to its end."""

AMBIGUOUS = frozenset(
    {"bare_cr", "bare_lf", "nul", "stray_header_line", "no_header_end", "duplicate_content_type", "duplicate_field"}
    | {"no_boundary", "unterminated", "encoded_container", "partial"}
)
"""Words of ``problems`` for what mail programs read in different ways."""

_ONCE = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"subject", b"date", b"message-id")
_MESSAGE_ID = re.compile(rb"<[^<>\s\x00-\x1f\x7f-\xff]{1,990}+>")
_IDENTIFIERS = 1000
_REPEATED = 10  # fields of one name whose file names are read


@dataclass(frozen=True, slots=True)
class Listed:
    """The addresses of a header field. ``problem`` is empty, or the :class:`AddressError` word why there are none."""

    addresses: tuple[Address, ...] = ()
    problem: str = ""
    present: bool = True


ABSENT = Listed(present=False)


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What one walk learnt. Offsets are into the message; ``values`` are raw field values by lower-case name.

    ``parts`` are in document order, the message first. ``eight_bit`` tells of any byte above 127. ``date`` is the
    Date field. ``envelope``, ``bodystructure``, ``body`` and ``preview`` are what IMAP answers.
    """

    size: int
    header_end: int
    header: bytes
    values: Mapping[bytes, list[bytes]]
    parts: tuple[Part, ...]
    problems: frozenset[str]
    eight_bit: bool
    envelope: bytes
    bodystructure: bytes
    body: bytes
    preview: str
    date: Moment | None
    subject: str
    address_limit: int = LIMITS.addresses

    def count(self, name: bytes) -> int:
        """How many fields of that lower-case name the top header holds."""
        return len(self.values.get(name, ()))

    def text(self, name: bytes) -> str:
        """The first value of a field, decoded, on one line; empty when there is none."""
        found = self.values.get(name)
        return decode_words(found[0]) if found else ""

    def listed(self, name: bytes) -> Listed:
        """The addresses of all fields of that lower-case name. Never raises."""
        found = self.values.get(name)
        if not found:
            return ABSENT
        try:
            return Listed(tuple(each for value in found for each in addresses(value, self.address_limit)))
        except AddressError as error:
            return Listed(problem=error.word)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields of the top header with their offsets."""
        return fields(self.header)

    @property
    def from_addresses(self) -> tuple[Address, ...]:
        return self.listed(b"from").addresses

    @property
    def sender(self) -> Listed:
        return self.listed(b"sender")

    @property
    def reply_to(self) -> Listed:
        return self.listed(b"reply-to")

    @property
    def from_fields(self) -> int:
        """How many From fields: anything but 1 is not mail (RFC 5322 3.6)."""
        return self.count(b"from")

    @property
    def received(self) -> int:
        """How many Received fields: the hops so far."""
        return self.count(b"received")

    @property
    def auto_submitted(self) -> str:
        """RFC 3834 5, lower case without parameters; empty when missing."""
        return self.text(b"auto-submitted").partition(";")[0].strip().lower()

    @property
    def message_id(self) -> str:
        """The first identifier in Message-ID, with its brackets; empty when none is well formed."""
        return next(iter(self._identifiers(b"message-id")), "")

    @property
    def in_reply_to(self) -> tuple[str, ...]:
        return self._identifiers(b"in-reply-to")

    @property
    def references(self) -> tuple[str, ...]:
        return self._identifiers(b"references")

    def _identifiers(self, name: bytes) -> tuple[str, ...]:
        found = self.values.get(name)
        if not found:
            return ()
        return tuple([each.decode("ascii") for each in _MESSAGE_ID.findall(found[0])[:_IDENTIFIERS]])

    @property
    def mss(self) -> dict[str, str]:
        """Values of the ``X-MSS-*`` fields by their upper-case suffix (MSS ECO.2.4): ``NIL``, ``INS``, ``CODECDA``, ``MES``."""
        return {name[6:].decode("ascii").upper(): self.text(name) for name in self.values if name.startswith(b"x-mss-")}

    @property
    def file_names(self) -> tuple[str, ...]:
        """Every name any mail program may give to any attached file."""
        names: dict[str, None] = {}
        for part in self.parts:
            for field in (b"content-type", b"content-disposition"):
                for value in part.values.get(field, ())[:_REPEATED]:
                    if b"name" in value.lower():
                        names.update(dict.fromkeys(file_names(read_media(value, LIMITS.parameters))))
                        names.update(dict.fromkeys(loose_names(value)))
        return tuple(name for name in names if name)


def dissect(
    data: bytes | bytearray | memoryview, limits: Limits = LIMITS, *, line_ends_checked: bool = False
) -> Anatomy:
    """Walk over a whole message. Never raises.

    ``line_ends_checked`` spares the search for bare CR, bare LF and NUL when the reader of DATA already refused them.
    """
    raw = bytes(data)  # no copy when it is bytes already
    walked = walk(raw, limits)
    parts = walked.parts
    root = parts[0]
    values = root.values
    problems = walked.problems
    if not line_ends_checked:
        problems.update(dict.fromkeys(_line_end_faults(raw)))
    _note_oddities(parts, problems)
    envelopes = {part.index: envelope(part.values, limits.addresses) for part in parts if part.message}
    body, bodystructure = structure(raw, parts, envelopes, b"\n" if "bare_lf" in problems else b"\r\n")
    date = values.get(b"date")
    subject = values.get(b"subject")
    return Anatomy(
        len(raw),
        root.body_start,
        raw[: root.body_start],
        values,
        tuple(parts),
        frozenset(problems),
        not raw.isascii(),
        envelopes[0],
        bodystructure,
        body,
        _preview(raw, parts),
        parse_date(date[0]) if date else None,
        decode_words(subject[0]) if subject else "",
        limits.addresses,
    )


def _line_end_faults(data: bytes) -> list[str]:
    found = [word for word, met in zip(("bare_cr", "bare_lf"), bare(data), strict=True) if met]
    if b"\0" in data:
        found.append("nul")
    return found


def _note_oddities(parts: list[Part], problems: dict[str, None]) -> None:
    values = parts[0].values
    for name in _ONCE:
        if name in values and len(values[name]) > 1:
            problems["duplicate_field"] = None
    for part in parts:
        if part.media.sub == b"partial" or part.media.sub.lower() == b"partial":
            problems["partial"] = None


def _preview(data: bytes, parts: list[Part]) -> str:
    """From the first text part that is not an attachment; plain text is preferred to HTML."""
    chosen: Part | None = None
    for part in parts[:50]:
        kind = part.kind
        if kind not in (b"text", b"") or (
            part.disposition is not None and part.disposition.main.lower() == b"attachment"
        ):
            continue
        if part.media.sub.lower() != b"html":
            chosen = part
            break
        chosen = chosen or part
    if chosen is None:
        return ""
    charset = (chosen.media.get(b"charset") or b"").decode("ascii", "replace")
    stop = min(chosen.body_end, chosen.body_start + 32768)
    return preview(data[chosen.body_start : stop], chosen.encoding, charset, chosen.media.sub.lower() == b"html")


# --------------------------------------------------------------------------- the stored form


def pack(anatomy: Anatomy, stored: bytes | None = None) -> bytes:
    """The summary IMAP serves from (:class:`mailboxes.summary.Summary`).

    ``stored`` is the message when it is stored with header fields before what was dissected (a trace, Return-Path): all
    offsets move by as much, and the added fields become part of the top header.
    """
    added = len(stored) - anatomy.size if stored is not None else 0
    header = anatomy.header if stored is None else stored[: anatomy.header_end + added]
    values = anatomy.values
    texts = [anatomy.envelope, anatomy.bodystructure, anatomy.body]
    texts += [_utf8(anatomy.preview), _utf8(anatomy.subject)]
    texts += [_text(values, name) for name in (b"from", b"to", b"cc", b"bcc")]
    texts += [_utf8(anatomy.message_id), _utf8(" ".join(anatomy.in_reply_to[:1]))]
    texts.append(_utf8(" ".join(anatomy.references)) if b"references" in values else b"")
    texts += [_first_local(values, name) for name in (b"from", b"to", b"cc")]
    rows = [_row(part, added) for part in anatomy.parts]
    if added:
        rows[0] = (0, *rows[0][1:])
    return encode(anatomy.size + added, anatomy.header_end + added, anatomy.date, texts, rows, header)


def _row(part: Part, added: int) -> tuple[int, int, int, int, int]:
    flags = MULTIPART if part.kind == b"multipart" else 0
    if part.kind == b"message" and part.children:
        flags = MESSAGE
    return part.header_start + added, part.body_start + added, part.body_end + added, part.parent & 0xFFFF, flags


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _text(values: Mapping[bytes, list[bytes]], name: bytes) -> bytes:
    found = values.get(name)
    if not found:
        return b""
    return _utf8(", ".join([decode_words(value[:65536]) for value in found[:10]]))


def _first_local(values: Mapping[bytes, list[bytes]], name: bytes) -> bytes:
    """The local part of the first address, as ENVELOPE shows it (RFC 5256 3)."""
    found = values.get(name)
    if not found:
        return b""
    try:
        first = [entry.local for entry in entries(found[0])[:1]]
    except AddressError:
        first = [guessed.local for guessed in guess(found[0], 1)]
    return first[0].decode("ascii", "replace").encode() if first else b""
