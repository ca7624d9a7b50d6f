"""Message contents on their way to the client: bounded caches of decrypted summaries, small bodies, and search texts.

Promise: what is cached is bounded in bytes; plaintext is held in memory only, never written. Reading goes through the
store in batches bounded in messages and bytes, so that a folder of any size is served in flat memory.
Failure: what the store raises (:class:`mailboxes.store.Corrupted`, ``MissingBody``, ``StoreUnavailable``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from mailboxes.anatomy import Summary, decode_part, unpack
from mailboxes.headers import fields, read_media
from mailboxes.store import Entry, MailStore
from mailboxes.words import decode_text, decode_words, unfold

BATCH = 500  # messages read from the store at once
BATCH_BYTES = 4 << 20
SMALL = 256 * 1024  # larger bodies are streamed and never cached
SEARCHED = 1 << 20  # bytes of decoded text SEARCH looks at in one part
SEARCHED_IN_ALL = 4 << 20  # and in one message

T = TypeVar("T")


class Generations(Generic[T]):
    """A cache in two halves: what is read again survives, the rest is dropped half by half. ``limit`` in bytes."""

    __slots__ = ("_half", "_old", "_size", "young")

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._size = 0
        self.young: dict[int, T] = {}
        self._old: dict[int, T] = {}

    def get(self, key: int, weight: Callable[[T], int]) -> T | None:
        found = self.young.get(key)
        if found is None:
            found = self._old.pop(key, None)
            if found is not None:
                self.put(key, found, weight(found))
        return found

    def put(self, key: int, value: T, weight: int) -> None:
        if self._size + weight > self._half:
            self._old, self.young, self._size = self.young, {}, 0
        self._size += weight
        self.young[key] = value

    def clear(self) -> None:
        self.young, self._old, self._size = {}, {}, 0


def _summary_weight(summary: Summary) -> int:
    return len(summary._data) + 150


def _weight(content: bytes) -> int:
    return len(content) + 100


class Cache:
    """The caches one process shares between its sessions, keyed by body."""

    def __init__(
        self, store: MailStore, summaries: int = 64 << 20, bodies: int = 96 << 20, texts: int = 64 << 20
    ) -> None:
        self.store = store
        self.summary_cache: Generations[Summary] = Generations(summaries)
        self.body_cache: Generations[bytes] = Generations(bodies)
        self.text_cache: Generations[bytes] = Generations(texts)

    def clear(self) -> None:
        """Forget every plaintext: a mailbox was withdrawn."""
        self.summary_cache.clear()
        self.body_cache.clear()
        self.text_cache.clear()

    def summaries_now(self, entries: Sequence[Entry]) -> list[Summary] | None:
        """The summaries if all are in memory."""
        young = self.summary_cache.young
        try:
            return [young[entry[6]] for entry in entries]
        except KeyError:
            pass
        found: list[Summary] = []
        for entry in entries:
            one = self.summary_cache.get(entry[6], _summary_weight)
            if one is None:
                return None
            found.append(one)
        return found

    async def summaries(self, mailbox_id: int, entries: Sequence[Entry]) -> list[Summary]:
        """Summaries in order; entries at most a few thousand."""
        now = self.summaries_now(entries)
        if now is not None:
            return now
        held = {entry[6]: self.summary_cache.get(entry[6], _summary_weight) for entry in entries}
        missing = [entry for entry in entries if held[entry[6]] is None]
        for entry, packed in zip(missing, await self.store.summaries(mailbox_id, missing), strict=True):
            summary = unpack(packed)
            held[entry[6]] = summary
            self.summary_cache.put(entry[6], summary, len(packed) + 150)
        return [one for entry in entries if (one := held[entry[6]]) is not None]

    def body_now(self, entry: Entry) -> bytes | None:
        """The message if it is in memory."""
        return self.body_cache.get(entry[6], _weight)

    async def bodies(self, mailbox_id: int, entries: Sequence[Entry]) -> list[bytes]:
        """Small messages in order; the caller bounds the sum of their sizes."""
        held = {entry[6]: self.body_cache.get(entry[6], _weight) for entry in entries}
        missing = [entry for entry in entries if held[entry[6]] is None]
        if missing:
            for entry, body in zip(missing, await self.store.bodies(mailbox_id, missing), strict=True):
                held[entry[6]] = body
                if len(body) <= SMALL:
                    self.body_cache.put(entry[6], body, len(body) + 100)
        return [one for entry in entries if (one := held[entry[6]]) is not None]

    def text_now(self, entry: Entry) -> bytes | None:
        return self.text_cache.get(entry[6], _weight)

    def keep_text(self, entry: Entry, text: bytes) -> None:
        if len(text) <= SMALL:
            self.text_cache.put(entry[6], text, len(text) + 100)


def batches(entries: Sequence[Entry], most: int = BATCH, most_bytes: int = BATCH_BYTES) -> list[tuple[int, int]]:
    """Slices of ``entries`` of at most ``most`` messages and about ``most_bytes``; a large message is alone."""
    found: list[tuple[int, int]] = []
    start, size = 0, 0
    for place, entry in enumerate(entries):
        large = entry[3] > SMALL
        if place > start and (place - start >= most or size + entry[3] > most_bytes or large):
            found.append((start, place))
            start, size = place, 0
        size += entry[3]
        if large:
            found.append((start, place + 1))
            start, size = place + 1, 0
    if start < len(entries):
        found.append((start, len(entries)))
    return found


# --------------------------------------------------------------------------- what SEARCH looks in


def fold(text: str) -> bytes:
    """Text as SEARCH compares it: without case, composed, in UTF-8 (RFC 9051 6.4.4, i;unicode-casemap in spirit)."""
    if text.isascii():
        return text.lower().encode("ascii")
    return unicodedata.normalize("NFC", text.casefold()).encode("utf-8", "replace")


_SEPARATOR = b"\n\0"
_FOLDED = re.compile(rb"\r?\n(?=[ \t])")
_TYPE = re.compile(rb"^content-type[ \t]*+:([^\n]*+(?>(?:\n[ \t][^\n]*+)*))", re.IGNORECASE | re.MULTILINE)
_ENCODING = re.compile(
    rb"^content-transfer-encoding[ \t]*+:[ \t\r\n]*+([A-Za-z0-9-]{0,40}+)", re.IGNORECASE | re.MULTILINE
)
# Charsets in which bytes below 128 are ASCII: text in them that has no other byte needs no decoding.
_ASCII_LIKE = ("", "us-ascii", "utf-8", "iso-8859-", "windows-")


def search_text(content: bytes, summary: Summary) -> bytes:
    """Folded header, a separator, then the folded text parts: what TEXT and BODY look in."""
    pieces = [_folded_header(content[: summary.header_end]), _SEPARATOR]
    parts = summary.parts
    parents = {part[3] for place, part in enumerate(parts) if place}
    left = SEARCHED_IN_ALL
    for place, (start, body, end, _, flags) in enumerate(parts):
        header = content[start:body]
        if place and header:
            pieces += (_folded_header(header), b"\n")
        if place in parents or flags or left <= 0:
            continue
        main, charset, encoding = part_type(header)
        if main in (b"text", b"", b"message"):
            raw = decode_part(content[body:end], encoding, min(SEARCHED, left))
            left -= len(raw)
            pieces += (_folded_text(raw, charset), b"\n")
    return b"".join(pieces)


def _folded_header(header: bytes) -> bytes:
    """A header block unfolded, decoded on the lines that are encoded, without case."""
    plain = _FOLDED.sub(b"", header)
    at = plain.find(b"=?")
    if at < 0:
        return _lowered(plain)
    pieces: list[bytes] = []
    done = 0
    while at >= 0:
        start, end = plain.rfind(b"\n", 0, at) + 1, plain.find(b"\n", at)
        end = len(plain) if end < 0 else end
        pieces += (_lowered(plain[done:start]), fold(decode_words(plain[start:end])))
        done = end
        at = plain.find(b"=?", end)
    pieces.append(_lowered(plain[done:]))
    return b"".join(pieces)


def _lowered(plain: bytes) -> bytes:
    return plain.lower() if plain.isascii() else fold(decode_text(plain))


def _folded_text(raw: bytes, charset: str) -> bytes:
    if raw.isascii() and (not charset or charset.lower().startswith(_ASCII_LIKE[1:])):
        return raw.lower()
    return fold(decode_text(raw, charset))


def field_value(header: bytes, name: bytes) -> bytes:
    """The first value of a field, on one line; empty when missing."""
    for field in fields(header):
        if field.name == name:
            return unfold(header[field.value_start : field.end])
    return b""


def part_type(header: bytes) -> tuple[bytes, str, bytes]:
    """Main type, charset and transfer encoding a part's header declares; types in lower case, empty when missing."""
    found = _ENCODING.search(header)
    encoding = found[1].lower() if found else b""
    kind = _TYPE.search(header)
    if not kind:
        return b"", "", encoding
    value = unfold(kind[1])
    main = value.partition(b"/")[0].strip().lower()
    if main not in (b"text", b"message", b"multipart") and main.isalpha():
        return main, "", encoding
    media = read_media(value, 64)
    charset = (media.get(b"charset") or b"").decode("ascii", "replace")
    return media.main.lower(), charset, encoding


def text_has(text: bytes, needle: bytes) -> bool:
    return needle in text


def body_has(text: bytes, needle: bytes) -> bool:
    """Whether the part after the separator holds ``needle``."""
    return text.find(needle, text.find(_SEPARATOR)) >= 0
