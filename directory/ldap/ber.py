"""The octets of LDAP: the part of BER that RFC 4511 5.1 allows, read and written.

Promise: lengths are definite and of four octets at most, tags are of one octet, and nothing is read beyond the octets that
enclose it. No function calls itself: how deep an input nests is decided by whoever walks it.
Failure: :class:`Malformed`, whatever the octets are.
"""

from __future__ import annotations

from collections.abc import Iterable

BOOLEAN = 0x01
INTEGER = 0x02
OCTETS = 0x04
ENUMERATED = 0x0A
SEQUENCE = 0x30
SET = 0x31

LONGEST_INTEGER = 8
_HEADER = 6
"""Octets of the longest header: a tag, 0x84 and four of length."""


class Malformed(ValueError):
    """What came is not BER as LDAP uses it."""


class Reader:
    """A walk over the elements of one constructed value, from ``at`` to ``end``."""

    __slots__ = ("_at", "_end", "_octets")

    def __init__(self, octets: bytes, at: int = 0, end: int | None = None) -> None:
        self._octets = octets
        self._at = at
        self._end = len(octets) if end is None else end

    def __bool__(self) -> bool:
        """Whether something is left."""
        return self._at < self._end

    def tag(self) -> int:
        """The tag of what comes next; -1 at the end."""
        return self._octets[self._at] if self._at < self._end else -1

    def size(self) -> int:
        """Octets of the content of the next element."""
        before = self._at
        _, start, stop = self._element()
        self._at = before
        return stop - start

    def any(self) -> tuple[int, bytes]:
        """The next element: its tag and its content."""
        tag, start, stop = self._element()
        return tag, self._octets[start:stop]

    def inside(self, tag: int) -> Reader:
        """A walk over the content of the next element, which must be a ``tag``."""
        found, start, stop = self._element()
        if found != tag:
            raise Malformed(f"tag {found:#04x} in the place of {tag:#04x}")
        return Reader(self._octets, start, stop)

    def octets(self, tag: int = OCTETS) -> bytes:
        """The content of the next element, which must be a ``tag``."""
        found, start, stop = self._element()
        if found != tag:
            raise Malformed(f"tag {found:#04x} in the place of {tag:#04x}")
        return self._octets[start:stop]

    def text(self, tag: int = OCTETS) -> str:
        """An LDAPString: UTF-8."""
        try:
            return self.octets(tag).decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("a text is not UTF-8") from None

    def integer(self, tag: int = INTEGER) -> int:
        """An INTEGER or ENUMERATED."""
        content = self.octets(tag)
        if not 1 <= len(content) <= LONGEST_INTEGER:
            raise Malformed(f"an integer of {len(content)} octets")
        return int.from_bytes(content, "big", signed=True)

    def boolean(self, tag: int = BOOLEAN) -> bool:
        content = self.octets(tag)
        if len(content) != 1:
            raise Malformed(f"a boolean of {len(content)} octets")
        return content != b"\0"

    def ended(self) -> None:
        """Raises where something is left that nobody expects."""
        if self:
            raise Malformed("octets beyond the last element")

    def _element(self) -> tuple[int, int, int]:
        if self._at + 2 > self._end:
            raise Malformed("the octets end before an element does")
        tag = self._octets[self._at]
        if tag & 0x1F == 0x1F:
            raise Malformed("a tag of several octets")
        start, length = _length(self._octets, self._at + 1, self._end)
        stop = start + length
        if stop > self._end:
            raise Malformed("the octets end before an element does")
        self._at = stop
        return tag, start, stop


def _length(octets: bytes, at: int, end: int) -> tuple[int, int]:
    """Where the content starts, and how long it is."""
    first = octets[at]
    if first < 0x80:
        return at + 1, first
    count = first & 0x7F
    if not 1 <= count <= 4:
        raise Malformed("a length that is indefinite, or of more than four octets")
    if at + 1 + count > end:
        raise Malformed("the octets end before an element does")
    return at + 1 + count, int.from_bytes(octets[at + 1 : at + 1 + count], "big")


def whole(octets: bytes | bytearray, at: int, longest: int) -> int:
    """Where the message that begins at ``at`` ends; 0 while its header, or the rest of it, has not arrived.

    Raises :class:`Malformed` for what is no message, or one of more than ``longest`` octets, before the rest of it came.
    """
    head = bytes(octets[at : at + _HEADER])
    if head and head[0] != SEQUENCE:
        raise Malformed("not an LDAP message")
    if len(head) < 2:
        return 0
    if head[1] > 0x80 and len(head) < 2 + min(head[1] & 0x7F, 4):
        return 0
    start, length = _length(head, 1, len(head))
    if start + length > longest:
        raise Malformed(f"a message of more than {longest} octets")
    end = at + start + length
    return end if end <= len(octets) else 0


def element(tag: int, content: bytes) -> bytes:
    """One element, with the shortest length."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    written = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(written))) + written + content


def constructed(tag: int, parts: Iterable[bytes]) -> bytes:
    """One element around others."""
    return element(tag, b"".join(parts))


def integer(value: int, tag: int = INTEGER) -> bytes:
    return element(tag, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def boolean(value: bool, tag: int = BOOLEAN) -> bytes:
    return element(tag, b"\xff" if value else b"\0")


def text(value: str, tag: int = OCTETS) -> bytes:
    return element(tag, value.encode("utf-8", "replace"))
