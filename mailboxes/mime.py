"""Cut a message into its parts: one forward walk over the raw bytes, by searching for boundaries.

Promise: bodies are only ever searched, never read line by line; iterative; parts, depth, parameters, header bytes and
bytes searched are bounded, and what goes over a bound leaves a word in ``problems`` and a safe, smaller answer. Never
raises. A boundary line is one that begins with ``--`` and a boundary of a part still open (RFC 2046 5.1.1); the line
end before it belongs to it; when several match, the longest wins, the innermost of equals.
Limits and their words: :class:`Limits`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from mailboxes.headers import FIELDS, Media, read_media
from mailboxes.words import transfer_encoding

_NONE = 1 << 62


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one walk. Past each, the named problem is reported.

    ``header`` is in bytes for one header block and ``headers`` for those of all parts together (``header_too_large``): names,
    addresses and structures are made of them, at a hundred times the cost of a body. ``fields`` per block (``too_many_fields``),
    ``depth`` counts containers (``too_deep``), ``parts`` all parts (``too_many_parts``), ``parameters`` those of one
    field (``too_many_parameters``), ``size`` the message in bytes (``too_large``), ``search`` how many times the whole
    message may be searched, nested boundaries included (``too_deep``).
    """

    size: int = 256 * 1024 * 1024
    header: int = 256 * 1024
    headers: int = 4 * 1024 * 1024
    fields: int = 2000
    depth: int = 100
    parts: int = 10_000
    parameters: int = 64
    addresses: int = 1000
    search: int = 40


LIMITS = Limits()


@dataclass(slots=True, eq=False)
class Part:
    """One part. Offsets are into the message; ``body_end`` excludes the line end that belongs to the boundary.

    Read only once the walk is over. ``values`` are the raw values by lower-case name: all fields for a message root,
    ``content-*`` fields else. ``parent`` is -1 for the root; the only child of a message/rfc822 part is its message.
    """

    index: int
    parent: int
    kind: bytes  # ``text``, ``multipart``... in lower case
    header_start: int
    body_start: int
    body_end: int
    media: Media
    values: dict[bytes, list[bytes]]
    message: bool = False  # the root, or the child of a message/rfc822 part
    children: list[int] = field(default_factory=list)
    disposition: Media | None = None

    @property
    def full_type(self) -> str:
        """``text/plain`` in lower case."""
        return (self.media.main + b"/" + self.media.sub).lower().decode("ascii", "replace")

    @property
    def encoding(self) -> bytes:
        """The transfer encoding, lower case; ``7bit`` when none is stated."""
        stated = self.values.get(b"content-transfer-encoding")
        return transfer_encoding(stated[0]) if stated else b"7bit"


class _Open:
    """A multipart whose boundary is being looked for; ``next`` caches where it comes next."""

    __slots__ = ("boundary", "index", "next")

    def __init__(self, boundary: bytes, index: int) -> None:
        self.boundary = b"\n--" + boundary
        self.index = index
        self.next = -1


TEXT_PLAIN = Media(b"text", b"plain", ())
MESSAGE = Media(b"message", b"rfc822", ())


@lru_cache(maxsize=512)
def _cached_media(value: bytes, limit: int) -> Media:
    return read_media(value, limit)


def media_of(value: bytes, limit: int) -> Media:
    """Short values without a boundary or a name repeat from message to message and hold nothing personal."""
    if len(value) < 64 and b"name" not in value and b"bound" not in value:
        return _cached_media(value, limit)
    return read_media(value, limit)


class Walk:
    """The walk over one message; run once by :func:`walk`."""

    __slots__ = ("_data", "_headed", "_limits", "_open", "_path", "_searched", "_size", "parts", "problems")

    def __init__(self, data: bytes, limits: Limits) -> None:
        self._data = data
        self._limits = limits
        self._size = len(data)
        self._open: list[_Open] = []
        self._path: list[Part] = []  # parts still open, outermost first
        self._searched = 0
        self._headed = 0  # bytes of all headers read
        self.parts: list[Part] = []
        self.problems: dict[str, None] = {}

    def run(self) -> None:
        """Fill ``parts`` and ``problems``."""
        if self._size > self._limits.size:
            self.problems["too_large"] = None
            self._size = self._limits.size
        self._begin(0, self._size, -1, TEXT_PLAIN, message=True)
        position = self.parts[-1].body_start - 1
        while self._open:
            found, delimiter = self._next_delimiter(position)
            if found is None:
                self.problems["unterminated"] = None
                break
            self._close_down_to(found.index, delimiter)
            position = self._after_delimiter(found, delimiter)
            if position < 0:
                break
        for part in self._path:
            part.body_end = max(self._size, part.body_start)

    def _after_delimiter(self, found: _Open, delimiter: int) -> int:
        """End the multipart, or begin its next part. Returns where to search on; -1 to stop."""
        after = delimiter + len(found.boundary)
        if self._data[after : after + 2] == b"--":
            self._open.pop()
            return after
        if self._too_many():
            return -1
        line_end = self._data.find(b"\n", after, self._size)
        start = self._size if line_end < 0 else line_end + 1
        parent = self.parts[found.index]
        digest = parent.media.sub.lower() == b"digest"
        _, limit = self._next_delimiter(start - 1)
        self._begin(start, min(limit + 1, self._size), parent.index, MESSAGE if digest else TEXT_PLAIN)
        return self.parts[-1].body_start - 1

    def _next_delimiter(self, position: int) -> tuple[_Open | None, int]:
        """The next boundary line of any open multipart, and the offset of the ``\\n`` before it.

        Outermost first: an inner boundary only counts before the next outer one, so each search is cut by the last.
        """
        best: _Open | None = None
        limit = self._size
        position = max(position, 0)
        for each in self._open:
            if each.next < position:
                stop = min(limit + len(each.boundary), self._size)
                each.next = self._data.find(each.boundary, position, stop)
                self._searched += (each.next if each.next >= 0 else stop) - position
                if each.next < 0:
                    each.next = _NONE
            if each.next < limit or (
                best is not None and each.next == limit and len(each.boundary) >= len(best.boundary)
            ):
                best, limit = each, each.next
        if self._searched > self._limits.search * self._size + 65536:
            self.problems["too_deep"] = None
            return None, self._size
        return best, limit

    def _before(self, delimiter: int) -> int:
        """Where the line end that belongs to a boundary begins."""
        return delimiter - 1 if self._data[delimiter - 1 : delimiter] == b"\r" else delimiter

    def _close_down_to(self, index: int, delimiter: int) -> None:
        """Everything inside multipart ``index`` ends before this delimiter."""
        end = self._before(delimiter)
        while self._path[-1].index != index:
            part = self._path.pop()
            part.body_end = max(end, part.body_start)
        while self._open[-1].index != index:
            self._open.pop()

    def _begin(self, start: int, limit: int, parent: int, default: Media, *, message: bool = False) -> None:
        """Read the header of a part, and of the message in it when it is one, and of the message in that..."""
        while True:
            part = self._read_header(start, limit, parent, default, message)
            self.parts.append(part)
            self._path.append(part)
            if parent >= 0:
                self.parts[parent].children.append(part.index)
            main = part.kind
            if main == b"multipart":
                self._enter(part)
            if main != b"message" or part.media.sub.lower() != b"rfc822" or not self._may_hold(part):
                return
            start, parent, default, message = part.body_start, part.index, TEXT_PLAIN, True

    def _too_many(self) -> bool:
        """Whether no other part is read."""
        if len(self.parts) >= self._limits.parts:
            self.problems["too_many_parts"] = None
            return True
        if self._headed > self._limits.headers:
            self.problems["header_too_large"] = None
            return True
        return False

    def _may_hold(self, part: Part) -> bool:
        """Whether what is inside ``part`` may be looked at."""
        if len(self._path) > self._limits.depth:
            self.problems["too_deep"] = None
            return False
        if self._too_many():
            return False
        if part.encoding in (b"base64", b"quoted-printable"):
            self.problems["encoded_container"] = None  # RFC 2045 6.4 forbids it
        return True

    def _enter(self, part: Part) -> None:
        boundary = part.media.get(b"boundary")
        if not boundary or len(boundary) > 1000:
            self.problems["no_boundary"] = None
        elif self._may_hold(part):
            self._open.append(_Open(boundary, part.index))

    def _read_header(self, start: int, limit: int, parent: int, default: Media, message: bool) -> Part:
        body = self._header_end(start, limit)
        self._headed += body - start
        values: dict[bytes, list[bytes]] = {}
        stray = False
        count = 0
        end = min(body, start + self._limits.header)
        for name, value, other in FIELDS.findall(self._data, start, end):
            if name:
                count += 1
                name = name.lower()
                if name in values:
                    values[name].append(value)
                else:
                    values[name] = [value]
            elif other:
                stray = True
        if stray:
            self.problems["stray_header_line"] = None
        if count > self._limits.fields:
            self.problems["too_many_fields"] = None
        media, disposition = self._media(values, default)
        kind = media.main.lower()
        return Part(len(self.parts), parent, kind, start, body, body, media, values, message, [], disposition)

    def _media(self, values: dict[bytes, list[bytes]], default: Media) -> tuple[Media, Media | None]:
        stated = values.get(b"content-type")
        media, disposition = default, None
        if stated is not None:
            media = media_of(stated[0], self._limits.parameters)
            if media.overflow:
                self.problems["too_many_parameters"] = None
            if len(stated) > 1:
                self.problems["duplicate_content_type"] = None
        placed = values.get(b"content-disposition")
        if placed is not None:
            disposition = media_of(placed[0], self._limits.parameters)
            if disposition.overflow:
                self.problems["too_many_parameters"] = None
        return media, disposition

    def _header_end(self, start: int, limit: int) -> int:
        """Where the body begins: after the first empty line, else where the part ends.

        ``limit`` is just after the line end before the next boundary: an empty line may end with it.
        """
        data = self._data
        if data[start : start + 2] == b"\r\n":
            return min(start + 2, limit)
        if data[start : start + 1] == b"\n":
            return min(start + 1, limit)
        stop = min(limit, start + self._limits.header)
        found = _empty_line(data, start, stop)
        if found >= 0:
            return found
        if stop < limit:
            self.problems["header_too_large"] = None
            return stop
        if not start:  # a message cut after its header is common inside a bounce
            self.problems["no_header_end"] = None
        return limit if limit == self._size else max(start, self._before(limit - 1))


def _empty_line(data: bytes, start: int, stop: int) -> int:
    """Just after the first empty line that is not the first line; -1 when there is none."""
    found = data.find(b"\n\r\n", start, stop)
    bare = data.find(b"\n\n", start, stop if found < 0 else found + 1)
    if bare >= 0:
        return bare + 2
    return found + 3 if found >= 0 else -1


def header_end(message: bytes) -> int:
    """Where the body of a whole message begins, as the walk finds it.

    Only for a message no longer than the longest header (``LIMITS.header``): in a longer one the walk may give up.
    """
    if message[:2] == b"\r\n" or message[:1] == b"\n":
        return message.index(b"\n") + 1
    found = _empty_line(message, 0, len(message))
    return found if found >= 0 else len(message)


def walk(data: bytes, limits: Limits = LIMITS) -> Walk:
    """The parts of ``data`` in document order (each before its children) and the problems met. Never raises."""
    walked = Walk(data, limits)
    walked.run()
    return walked
