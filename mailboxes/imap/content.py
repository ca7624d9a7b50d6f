"""Message contents on their way to the client: bounded caches of decrypted summaries, small bodies, and search texts.

Promise: what is cached is bounded in bytes; plaintext is held in memory only, never written. Reading goes through the
store in batches bounded in messages and bytes, so that a folder of any size is served in flat memory.
Failure: what the store raises (:class:`mailboxes.store.Corrupted`, ``MissingBody``, ``StoreUnavailable``).
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from mailboxes.anatomy import Summary, decode_part, unpack
from mailboxes.headers import read_media, values
from mailboxes.store import Entry, MailStore
from mailboxes.words import decode_text, decode_words, unfold

BATCH = 500  # messages read from the store at once
BATCH_BYTES = 4 << 20
SMALL = 256 * 1024  # larger bodies are streamed and never cached
SEARCHED = 1 << 20  # bytes of decoded text SEARCH looks at in one part
SEARCHED_IN_ALL = 4 << 20  # and in one message
REMEMBERED = 2000  # lines and part headers a search remembers

T = TypeVar("T")


class Generations(Generic[T]):
    """A cache in two halves: what is read again survives, the rest is dropped half by half.

    ``limit`` in bytes, as ``weigh`` counts them; what weighs more than ``most`` is not kept.
    """

    __slots__ = ("_half", "_most", "_old", "_size", "_weigh", "young")

    def __init__(self, limit: int, weigh: Callable[[T], int], most: int = 1 << 62) -> None:
        self._half = limit // 2
        self._weigh = weigh
        self._most = most
        self._size = 0
        self.young: dict[int, T] = {}
        self._old: dict[int, T] = {}

    def get(self, key: int) -> T | None:
        found = self.young.get(key)
        if found is None:
            found = self._old.pop(key, None)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: int, value: T) -> None:
        self.put_all([key], [value])

    def get_all(self, keys: Sequence[int]) -> dict[int, T]:
        """Those of ``keys`` that are here."""
        young, old = self.young, self._old
        found = {key: young[key] for key in keys if key in young} if young else {}
        if old and len(found) < len(keys):
            revived = [key for key in dict.fromkeys(keys) if key in old]
            values = [old.pop(key) for key in revived]
            self.put_all(revived, values)
            found.update(zip(revived, values, strict=True))
        return found

    def put_all(self, keys: Sequence[int], values: Sequence[T]) -> None:
        weights = list(map(self._weigh, values))
        if max(weights, default=0) > self._most:
            kept = [place for place, weight in enumerate(weights) if weight <= self._most]
            keys, values = [keys[place] for place in kept], [values[place] for place in kept]
            weights = [weights[place] for place in kept]
        weight = sum(weights)
        if self._size + weight > self._half:
            self._old, self.young, self._size = self.young, {}, 0
        self._size += weight
        self.young.update(zip(keys, values, strict=True))

    def clear(self) -> None:
        self.young, self._old, self._size = {}, {}, 0


def _summary_weight(summary: Summary) -> int:
    return len(summary) + 150


def _weight(content: bytes) -> int:
    return len(content) + 100


class Cache:
    """The caches one process shares between its sessions, keyed by body."""

    def __init__(
        self, store: MailStore, summaries: int = 64 << 20, bodies: int = 96 << 20, texts: int = 64 << 20
    ) -> None:
        self.store = store
        self.summary_cache: Generations[Summary] = Generations(summaries, _summary_weight)
        self.body_cache: Generations[bytes] = Generations(bodies, _weight, SMALL + 100)
        self.text_cache: Generations[bytes] = Generations(texts, _weight, SMALL + 100)

    def clear(self) -> None:
        """Forget every plaintext: a mailbox was withdrawn."""
        self.summary_cache.clear()
        self.body_cache.clear()
        self.text_cache.clear()

    def summaries_now(self, entries: Sequence[Entry]) -> list[Summary] | None:
        """The summaries if all are in memory."""
        return _now(self.summary_cache, entries)

    async def summaries(self, mailbox_id: int, entries: Sequence[Entry]) -> list[Summary]:
        """Summaries in order; entries at most a few thousand."""

        async def read(missing: Sequence[Entry]) -> list[Summary]:
            return list(map(unpack, await self.store.summaries(mailbox_id, missing)))

        return await _held(self.summary_cache, entries, read)

    def bodies_now(self, entries: Sequence[Entry]) -> list[bytes] | None:
        """The messages if all are in memory."""
        return _now(self.body_cache, entries)

    def texts_now(self, entries: Sequence[Entry]) -> list[bytes] | None:
        """The folded texts if all are in memory."""
        return _now(self.text_cache, entries)

    async def bodies(self, mailbox_id: int, entries: Sequence[Entry]) -> list[bytes]:
        """Small messages in order; the caller bounds the sum of their sizes."""
        return await _held(self.body_cache, entries, partial(self.store.bodies, mailbox_id))

    async def headers(self, mailbox_id: int, entries: Sequence[Entry], summaries: Sequence[Summary]) -> list[bytes]:
        """Top header blocks in order. Those too long for a summary are read from their messages."""
        held = headers_now(summaries)
        if held is not None:
            return held
        found = {place: header for place, summary in enumerate(summaries) if (header := summary.header) is not None}
        small = [place for place, entry in enumerate(entries) if place not in found and entry[3] <= SMALL]
        for start, end in batches([entries[place] for place in small]):
            places = small[start:end]
            bodies = await self.bodies(mailbox_id, [entries[place] for place in places])
            for place, body in zip(places, bodies, strict=True):
                found[place] = body[: summaries[place].header_end]
        for place, summary in enumerate(summaries):
            if place not in found:
                reader = await self.store.open_body(mailbox_id, entries[place])
                found[place] = await reader.read(0, summary.header_end)
        return [found[place] for place in range(len(entries))]


def headers_now(summaries: Sequence[Summary]) -> list[bytes] | None:
    """The header blocks if the summaries hold them all."""
    found: list[bytes] = []
    for summary in summaries:
        header = summary.header
        if header is None:
            return None
        found.append(header)
    return found


def _now(cache: Generations[T], entries: Sequence[Entry]) -> list[T] | None:
    """What is held of ``entries``, if that is all of them."""
    young = cache.young
    try:
        return [young[entry[6]] for entry in entries]
    except KeyError:
        found = cache.get_all([entry[6] for entry in entries])
    try:
        return [found[entry[6]] for entry in entries]
    except KeyError:
        return None


async def _held(
    cache: Generations[T], entries: Sequence[Entry], read: Callable[[Sequence[Entry]], Awaitable[list[T]]]
) -> list[T]:
    """What is held of ``entries``, the rest read and from now on held."""
    now = _now(cache, entries)
    if now is not None:
        return now
    found = cache.get_all([entry[6] for entry in entries])
    missing = [entry for entry in entries if entry[6] not in found] if found else entries
    values = await read(missing)
    keys = [entry[6] for entry in missing]
    cache.put_all(keys, values)
    if not found:
        return values
    found.update(zip(keys, values, strict=True))
    return [found[entry[6]] for entry in entries]


def batches(entries: Sequence[Entry], most: int = BATCH, most_bytes: int = BATCH_BYTES) -> Iterator[tuple[int, int]]:
    """Slices of ``entries`` of at most ``most`` messages and about ``most_bytes``; a large message is alone."""
    start, size = 0, 0
    for place, entry in enumerate(entries):
        large = entry[3] > SMALL
        if place > start and (place - start >= most or size + entry[3] > most_bytes or large):
            yield start, place
            start, size = place, 0
        size += entry[3]
        if large:
            yield start, place + 1
            start, size = place + 1, 0
    if start < len(entries):
        yield start, len(entries)


async def reads(
    slices: Iterable[tuple[int, int]], read: Callable[[int, int], Coroutine[Any, Any, T]]
) -> AsyncGenerator[tuple[int, int, asyncio.Task[T]], None]:
    """``read`` of each slice, finished; while the caller makes use of one, the next is being read.

    To be closed (``aclosing``) when it may be left early: the read under way is then given up.
    """
    loop = asyncio.get_running_loop()
    ahead = iter(slices)
    at = next(ahead, None)
    tasks = [loop.create_task(read(*at))] if at is not None else []
    try:
        while at is not None:
            (start, end), at = at, next(ahead, None)
            now = tasks[-1]
            await asyncio.wait((now,))
            if at is not None:
                tasks = [now, loop.create_task(read(*at))]
                await asyncio.sleep(0)  # it reaches the store before the caller takes the event loop
            yield start, end, now
    finally:
        for task in tasks:
            if not task.done():
                task.cancel()
            task.add_done_callback(_forget)


def _forget(task: asyncio.Task[Any]) -> None:
    """Nobody waits for this any more: its exception is looked at so that nobody complains of it."""
    if not task.cancelled():
        task.exception()


# --------------------------------------------------------------------------- what SEARCH looks in


def fold(text: str) -> bytes:
    """Text as SEARCH compares it: without case, composed, in UTF-8 (RFC 9051 6.4.4, i;unicode-casemap in spirit)."""
    if text.isascii():
        return text.lower().encode("ascii")
    return unicodedata.normalize("NFC", text.casefold()).encode("utf-8", "replace")


_SEPARATOR = b"\n\0"
_FOLDED = re.compile(rb"\r?\n(?=[ \t])")
# In a header in lower case: a search that minds case is ten times faster.
_TYPE = re.compile(rb"^content-type[ \t]*+:([^\n]*+(?>(?:\n[ \t][^\n]*+)*))", re.MULTILINE)
_ENCODING = re.compile(rb"^content-transfer-encoding[ \t]*+:[ \t\r\n]*+([a-z0-9-]{0,40}+)", re.MULTILINE)
_PLAIN_TYPE = re.compile(rb"content-type: ([a-z]++)/")
_SEARCHED_TYPES = (b"text", b"", b"message")
# Charsets in which bytes below 128 are ASCII: text in them that has no other byte needs no decoding.
_ASCII_LIKE = ("", "us-ascii", "utf-8", "iso-8859-", "windows-")


class Folding:
    """Makes texts to search. Remembers part headers and lines with encoded words, which repeat from message to message.

    Made for one search and forgotten with it, because what it remembers is plaintext.
    """

    def __init__(self) -> None:
        self._lines: dict[bytes, bytes] = {}
        self._parts: dict[bytes, _PartHeader] = {}

    def texts(self, contents: Sequence[bytes], summaries: Sequence[Summary]) -> list[bytes]:
        """The texts of a batch of messages."""
        for known in (self._lines, self._parts):
            if len(known) > REMEMBERED:
                known.clear()
        return list(map(self.text, contents, summaries))

    def text(self, content: bytes, summary: Summary) -> bytes:
        """Folded header, a separator, then the folded text parts: what TEXT and BODY look in."""
        pieces = [self._header(content[: summary.header_end]), _SEPARATOR]
        left = SEARCHED_IN_ALL
        for place, (start, body, end, _, flags) in enumerate(summary.parts):
            header = content[start:body]
            leaf = not flags and left > 0
            if place and header:
                folded, kind, charset, encoding = self._part(header)
                pieces += (folded, b"\n")
            elif leaf:
                kind, charset, encoding = part_type(header)
            if leaf and kind in _SEARCHED_TYPES:
                raw = decode_part(content[body:end], encoding, min(SEARCHED, left))
                left -= len(raw)
                pieces += (_folded_text(raw, charset), b"\n")
        return b"".join(pieces)

    def _part(self, header: bytes) -> _PartHeader:
        found = self._parts.get(header)
        if found is None:
            folded = self._header(header)
            plain = _PLAIN_TYPE.match(folded)
            if plain and plain[1] not in _SEARCHED_TYPES:  # an attachment: its name is its own, nobody meets it again
                return _PartHeader(folded, plain[1], "", b"")
            found = self._parts[header] = _PartHeader(folded, *part_type(header))
        return found

    def _header(self, header: bytes) -> bytes:
        """A header block unfolded, decoded on the lines that are encoded, without case."""
        if b"\n " in header or b"\n\t" in header:
            header = _FOLDED.sub(b"", header)
        at = header.find(b"=?")
        if at < 0:
            return _lowered(header)
        pieces: list[bytes] = []
        done = 0
        while at >= 0:
            start, end = header.rfind(b"\n", 0, at) + 1, header.find(b"\n", at)
            end = len(header) if end < 0 else end
            line = header[start:end]
            decoded = self._lines.get(line)
            if decoded is None:
                decoded = self._lines[line] = fold(decode_words(line))
            pieces += (_lowered(header[done:start]), decoded)
            done = end
            at = header.find(b"=?", end)
        pieces.append(_lowered(header[done:]))
        return b"".join(pieces)


class _PartHeader(NamedTuple):
    folded: bytes
    kind: bytes
    charset: str
    encoding: bytes


def _lowered(plain: bytes) -> bytes:
    return plain.lower() if plain.isascii() else fold(decode_text(plain))


def _folded_text(raw: bytes, charset: str) -> bytes:
    if raw.isascii() and (not charset or charset.lower().startswith(_ASCII_LIKE[1:])):
        return raw.lower()
    return fold(decode_text(raw, charset))


def field_value(header: bytes, name: bytes) -> bytes:
    """The first value of a field, on one line; empty when missing."""
    return next(map(unfold, values(header, name)), b"")


def part_type(header: bytes) -> tuple[bytes, str, bytes]:
    """Main type, charset and transfer encoding a part's header declares, in lower case; empty when missing."""
    lower = header.lower()
    found = _ENCODING.search(lower) if b"content-transfer-encoding" in lower else None
    encoding = found[1] if found else b""
    kind = _TYPE.search(lower, max(lower.find(b"content-type") - 1, 0)) if b"content-type" in lower else None
    if not kind:
        return b"", "", encoding
    value = unfold(kind[1])
    main = value.partition(b"/")[0].strip()
    if main not in (b"text", b"message", b"multipart") and main.isalpha():
        return main, "", encoding
    media = read_media(value, 64)
    charset = (media.get(b"charset") or b"").decode("ascii", "replace")
    return media.main, charset, encoding


def text_has(text: bytes, needle: bytes) -> bool:
    return needle in text


def body_has(text: bytes, needle: bytes) -> bool:
    """Whether the part after the separator holds ``needle``."""
    return text.find(needle, text.find(_SEPARATOR)) >= 0
