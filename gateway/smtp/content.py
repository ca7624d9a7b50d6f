r"""Read the content of DATA from packets: find the one true end, refuse what smuggles, unstuff the dots.

Promise: only ``<CRLF>.<CRLF>`` ends a message, wherever the packets are cut; a bare CR, a bare LF or a NUL anywhere in
the content is refused, whatever follows it (SMTP smuggling, F64). The content is held once, in the pieces it came in,
which the intake joins behind the header block it adds: a message of one packet is not copied here. The bytes are searched
in blocks by C code, never line by line.
Lines up to the limit given pass as they are (RFC 5321 4.5.3.1.6 lets a server take longer lines than its 1 000 octets,
and field software writes such lines).
Failure: :attr:`ContentReader.fault` says what is wrong. After a size fault the content is forgotten and the reader goes
on looking for the end, up to ``discard`` octets more; every other fault ends the reading at once.
"""

from __future__ import annotations

from enum import Enum

from mailboxes.line_ends import bare

END = b"\r\n.\r\n"
_CRLF = b"\r\n"
_STUFFED = b"\r\n."


class Fault(Enum):
    """Why a content is not taken; the value is the name of the catalogue's rule."""

    BARE = "session.bare_line_end"
    LINE = "session.line_too_long"
    SIZE = "session.message_too_large"
    HEADER = "session.header_too_large"
    ENDLESS = "session.endless_message"
    BUSY = "store.busy"


FATAL = frozenset({Fault.BARE, Fault.LINE, Fault.ENDLESS})
"""Faults after which nothing of this connection can be trusted any more: it is closed."""


class ContentReader:
    """Takes the octets that follow ``354`` and gives the content, dots unstuffed.

    ``size``, ``line``, ``header`` and ``discard`` are limits in octets. ``content`` is complete once :meth:`feed` has
    returned True and ``fault`` is None, and :attr:`blocks` are its pieces; ``rest`` then holds what came after the end
    (the next pipelined commands).
    """

    __slots__ = (
        "_discard",
        "_header",
        "_header_open",
        "_lent",
        "_line",
        "_line_length",
        "_opening",
        "_size",
        "_started",
        "_tail",
        "blocks",
        "fault",
        "over",
        "rest",
        "taken",
    )

    def __init__(self, *, size: int, line: int, header: int, discard: int) -> None:
        self._size = size
        self._line = line
        self._header = header
        self._discard = discard
        self._started = False
        self._lent = 0  # octets of the DATA command's own CRLF, where the content begins with what it may be part of
        self._tail = b""
        self._line_length = 0
        self._header_open = True
        self._opening = bytearray()  # the header block while it is still open
        self.blocks: list[bytes | memoryview] = []
        self.over = False  # nothing more is to be read
        self.fault: Fault | None = None
        self.rest = b""
        self.taken = 0  # octets of content seen so far, kept or not

    def limit(self, size: int) -> None:
        """No more than ``size`` octets will be kept from now on."""
        self._size = min(self._size, size)

    def drop(self, fault: Fault) -> None:
        """Forget the content and read on to its end only."""
        self._fail(fault)

    def feed(self, data: bytes) -> bool:
        """Take one packet. True when nothing more is to be read: the end was found, or a fatal fault."""
        data = self._tail + data if self._tail else self._begun(data)
        dotted, end = _dots(data)
        if end >= 0:
            self._take(data, end + 2, stuffed=dotted < end)
            self.rest = data[end + 5 :]
            self._tail = b""
            self.over = True
            self._close_opening()
            return True
        size = len(data) - _held_back(data)
        self._tail = data[size:]
        self._take(data, size, stuffed=dotted >= 0)
        self.over = self.fault in FATAL
        return self.over

    def _begun(self, data: bytes) -> bytes:
        """The CRLF that ended the DATA command counts as the start of ".CRLF" (RFC 5321 4.1.1.4), an empty message, and of an
        empty header block: it is lent to a content that begins like one of them."""
        if self._started or not data:
            return data
        self._started = True
        if not data.startswith((b".", b"\r")):
            return data
        self._lent = len(_CRLF)
        return _CRLF + data

    def _take(self, data: bytes, size: int, *, stuffed: bool) -> None:
        """Judge and keep the first ``size`` octets of a packet, which neither start nor end inside a CRLF pair; ``stuffed`` when
        lines may begin with a dot."""
        if not size:
            return None
        if data.find(b"\0", 0, size) >= 0 or any(bare(memoryview(data)[:size])):
            return self._fail(Fault.BARE)
        if not self._lines_fit(data, size):
            return self._fail(Fault.LINE)
        if stuffed:
            data = data[:size].replace(_STUFFED, _CRLF)
            size = len(data)
        self.taken += size
        if self.fault is not None:
            if self.taken > self._size + self._discard:
                self._fail(Fault.ENDLESS)
            return None
        if self.taken - self._lent > self._size:
            return self._fail(Fault.SIZE)
        if self._header_open:
            self._watch_header(data, size)
        else:
            self.blocks.append(memoryview(data)[:size])
        return None

    def _lines_fit(self, data: bytes, size: int) -> bool:
        """Whether no line is over the limit, looking at one place per ``line`` octets and not at each line."""
        limit = self._line
        first = data.find(_CRLF, 0, size)
        if first < 0:
            self._line_length += size
            return self._line_length <= limit
        if self._line_length + first > limit:
            return False
        here = first
        last = data.rfind(_CRLF, 0, size)
        while last - here > limit + 2:
            following = data.rfind(_CRLF, here + 2, here + 2 + limit + 2)
            if following < 0:
                return False
            here = following
        self._line_length = size - last - 2
        return self._line_length <= limit

    def _watch_header(self, data: bytes, size: int) -> None:
        """A header block that never ends is refused before it fills the memory (F58); one that ends in the first packet is not
        copied."""
        new, before = memoryview(data)[:size], len(self._opening)
        if before:
            self._opening += new
        seen: bytes | bytearray = self._opening if before else data
        # The seam may hold half of the separator.
        found = seen.find(b"\r\n\r\n", max(0, before - 3), before + size)
        # It may end at the last CRLF seen: what is refused does not hang on where the packets were cut.
        length = (found + 2 if found >= 0 else before + size) - self._lent
        if length > self._header:
            self._fail(Fault.HEADER)
        elif found >= 0 and before:
            self._close_opening()
        elif found >= 0:
            self._header_open = False
            self.blocks.append(new[self._lent :])
        elif not before:
            self._opening += new

    def _close_opening(self) -> None:
        """The header block is complete, or the message is: it becomes the first block, without the CRLF lent to it."""
        if self._header_open and self.fault is None:
            self._header_open = False
            self.blocks.append(memoryview(self._opening)[self._lent :])
            self._opening = bytearray()

    def _fail(self, fault: Fault) -> None:
        self.fault = fault
        self.forget()

    def forget(self) -> None:
        """Let go of everything kept."""
        self.blocks = []
        self._opening = bytearray()

    @property
    def kept(self) -> int:
        """Octets held, near enough for a budget."""
        return min(self.taken, self._size) if self.fault is None else 0

    @property
    def content(self) -> bytes:
        """The whole content, in one piece."""
        return b"".join(self.blocks)


def _dots(data: bytes) -> tuple[int, int]:
    """Where the first dot that begins a line stands, and where the end of the message does; -1 when there is none.

    One octet is found ten times faster than several, and most large messages are base64: their last dot is the header's,
    or the one that ends them, which a client that waits for its answer puts at the end of a packet.
    """
    ending = len(data) - len(END) if data.endswith(END) else -1
    last = data.rfind(b".", 0, ending if ending >= 0 else len(data))
    dotted = data.find(_STUFFED, 0, last + 1)
    if dotted < 0:
        return ending, ending
    end = data.find(END, dotted, last + 3)
    return dotted, end if end >= 0 else ending


def _held_back(data: bytes) -> int:
    """How many octets at the end of ``data`` may be the beginning of ``CRLF . CRLF``."""
    if data.endswith(b"\r\n.\r"):
        return 4
    if data.endswith(_STUFFED):
        return 3
    if data.endswith(_CRLF):
        return 2
    return 1 if data.endswith(b"\r") else 0
