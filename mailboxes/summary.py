"""The stored summary of a message: everything IMAP answers without reading the body, in one compact block of bytes.

Layout (little endian): version, size, header end, sent date, its zone, then the end offset of each variable field,
then these fields, then the header block itself unless it is longer than :data:`HEADER_KEPT`. Reading one field costs two
integers and a slice; a folder of 10 000 is listed without decoding anything else.
Promise: ``unpack(pack(anatomy))`` answers what the anatomy said. Failure: :class:`BadSummary` when the block is
not one of ours (the store's authentication tag makes that a bug, not an attack).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from mailboxes.dates import Moment
from mailboxes.words import BaseSubject, base_subject

VERSION = 1
NO_DATE = -(1 << 62)
HEADER_KEPT = 16 * 1024
"""Longer header blocks are read from the message: they would crowd the summaries in memory."""

_FIELDS = (
    "envelope",
    "bodystructure",
    "body",
    "parts",
    "preview",
    "subject",
    "sender",
    "to",
    "cc",
    "bcc",
    "message_id",
    "in_reply_to",
    "references",
    "first_from",
    "first_to",
    "first_cc",
)
_HEAD = struct.Struct(f"<BQIqh{len(_FIELDS)}I")
_START = _HEAD.size
_ENDS = struct.calcsize("<BQIqh")
_PAIR = struct.Struct("<II")
_EPOCH = struct.Struct("<q")
_ONE = struct.Struct("<I")
_PART = struct.Struct("<IIIHB")

_EMPTY = -1  # the one part, empty, that BODYSTRUCTURE gives to a multipart without any
MULTIPART = 1
MESSAGE = 2


class BadSummary(ValueError):
    """These bytes are no summary."""


def encode(
    size: int,
    header_end: int,
    date: Moment | None,
    texts: Sequence[bytes],
    parts: Sequence[tuple[int, int, int, int, int]],
    header: bytes = b"",
) -> bytes:
    """Write the block. ``texts`` are the variable fields in order without ``parts``; see :data:`_FIELDS`.

    Each part is (header start, body start, body end, parent, flags) with parent 65535 for the root.
    """
    table = b"".join([_PART.pack(*part) for part in parts])
    blocks = [*texts[:3], table, *texts[3:]]
    ends, end = [], _START
    for block in blocks:
        end += len(block)
        ends.append(end)
    if len(header) <= HEADER_KEPT:
        blocks.append(header)
    epoch, offset = (NO_DATE, 0) if date is None else date
    return _HEAD.pack(VERSION, size, header_end, epoch, offset, *ends) + b"".join(blocks)


class Summary:
    """A view of a packed summary; nothing is decoded before it is asked for. Offsets are into the message."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __len__(self) -> int:
        """Its weight in bytes."""
        return len(self._data)

    def _field(self, index: int) -> bytes:
        start, end = _PAIR.unpack_from(self._data, _ENDS - 4 + 4 * index)
        return self._data[start:end]

    @property
    def envelope(self) -> bytes:
        """ENVELOPE as sent on the wire."""
        return self._data[_START : _ONE.unpack_from(self._data, _ENDS)[0]]

    @property
    def bodystructure(self) -> bytes:
        return self._field(1)

    @property
    def body(self) -> bytes:
        """BODY without section: the structure without extension data."""
        return self._field(2)

    @property
    def size(self) -> int:
        return int.from_bytes(self._data[1:9], "little")

    @property
    def header_end(self) -> int:
        """Where the top header block ends, its blank line included."""
        return int.from_bytes(self._data[9:13], "little")

    @property
    def header(self) -> bytes | None:
        """The top header block as stored, its blank line included; None when it has to be read from the message."""
        header = self._data[_ONE.unpack_from(self._data, _START - 4)[0] :]
        return header if len(header) == self.header_end else None

    @property
    def date(self) -> Moment | None:
        """The Date field, or None when missing or unreadable."""
        epoch, offset = struct.unpack_from("<qh", self._data, 13)
        return None if epoch == NO_DATE else Moment(epoch, offset)

    def _text(self, index: int) -> str:
        return self._field(index).decode("utf-8")

    @property
    def preview(self) -> str:
        """RFC 8970 PREVIEW: at most 200 characters."""
        return self._text(4)

    @property
    def subject(self) -> str:
        """Decoded, on one line."""
        return self._text(5)

    @property
    def base_subject(self) -> BaseSubject:
        """RFC 5256 2.1, for SORT and THREAD."""
        return base_subject(self._text(5))

    @property
    def sender(self) -> str:
        """The From field, decoded: what SEARCH FROM looks in."""
        return self._text(6)

    @property
    def to(self) -> str:
        return self._text(7)

    @property
    def cc(self) -> str:
        return self._text(8)

    @property
    def bcc(self) -> str:
        return self._text(9)

    @property
    def message_id(self) -> str:
        """With its angle brackets; empty when none."""
        return self._text(10)

    @property
    def in_reply_to(self) -> tuple[str, ...]:
        """The first message identifier of In-Reply-To, if any (RFC 5256 3 uses only that one)."""
        return tuple(self._text(11).split())

    @property
    def references(self) -> tuple[str, ...]:
        """Message identifiers of References, oldest first, each with its angle brackets."""
        return tuple(self._text(12).split())

    @property
    def first_from(self) -> str:
        """The local part of the first From address: RFC 5256 SORT FROM. Same for ``first_to`` and ``first_cc``."""
        return self._text(13)

    @property
    def first_to(self) -> str:
        return self._text(14)

    @property
    def first_cc(self) -> str:
        return self._text(15)

    @property
    def parts(self) -> list[tuple[int, int, int, int, int]]:
        """(header start, body start, body end, parent, flags) of each part, parents first."""
        return list(_PART.iter_unpack(self._field(3)))


def column(summaries: Iterable[Summary], name: str) -> list[bytes]:
    """One variable field of many summaries, as stored: UTF-8, identifiers separated by spaces."""
    read, at = _PAIR.unpack_from, _ENDS - 4 + 4 * _FIELDS.index(name)
    found: list[bytes] = []
    for summary in summaries:
        data = summary._data
        start, end = read(data, at)
        found.append(data[start:end])
    return found


def epochs(summaries: Iterable[Summary]) -> list[int]:
    """The sent date of many summaries, :data:`NO_DATE` where there is none."""
    read = _EPOCH.unpack_from
    return [read(summary._data, 13)[0] for summary in summaries]


def unpack(data: bytes) -> Summary:
    """A summary over packed bytes. Raises :class:`BadSummary` when they cannot be one."""
    if len(data) < _START or data[0] != VERSION:
        raise BadSummary("not a message summary")
    return Summary(data)


def section(summary: Summary, path: Sequence[int] = (), what: str = "") -> tuple[int, int] | None:
    """The byte range of ``BODY[path.what]``; None when the message has no such part (IMAP answers NIL).

    ``path`` is the part number (``1.2`` is ``(1, 2)``, empty for the message), ``what`` is empty, ``HEADER``, ``TEXT``
    or ``MIME`` (RFC 9051 6.4.5.1). HEADER.FIELDS is HEADER, then :func:`mailboxes.headers.select`.
    """
    if not path and what in ("", "HEADER"):
        return (0, summary.size) if not what else (0, summary.header_end)
    parts = summary.parts
    index = _find(parts, path)
    if index is None:
        return None
    if index == _EMPTY:
        return (0, 0) if what in ("", "MIME") else None
    header, body, end, _, flags = parts[index]
    if what == "":
        return body, end
    if what == "MIME":
        return (header, body) if path else None
    if path:  # HEADER and TEXT of a part are those of the message in it
        inner = _children(parts, index) if flags & MESSAGE else []
        if not inner:
            return None
        header, body, end, _, _ = parts[inner[0]]
    return (header, body) if what == "HEADER" else (body, end)


def _children(parts: list[tuple[int, int, int, int, int]], index: int) -> list[int]:
    return [child for child, part in enumerate(parts) if part[3] == index and child != index]


def _find(parts: list[tuple[int, int, int, int, int]], path: Sequence[int]) -> int | None:
    """The index of part ``path``: a message that is no multipart has one part, 1, which is its body."""
    index = 0
    for depth, number in enumerate(path):
        if depth and parts[index][4] & MESSAGE:
            index = _children(parts, index)[0]  # the flag says there is one
        elif depth and not parts[index][4] & MULTIPART:
            return None
        if parts[index][4] & MULTIPART:
            children = _children(parts, index)
            if not children and tuple(path[depth:]) == (1,):
                return _EMPTY
            if not 1 <= number <= len(children):
                return None
            index = children[number - 1]
        elif number != 1:
            return None
    return index
