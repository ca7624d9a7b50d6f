"""Turning messages into FETCH responses: a byte template and one column per data item.

Lines are made by formatting the zipped columns, so a folder of 10 000 costs microseconds per message. What is in memory
is answered at once; the rest is read in batches, large messages are streamed by range. Promise: memory stays flat
whatever is asked, the event loop is never held for long, and a literal that was begun is either complete or the
connection ends. Failure: a message erased meanwhile is left out and :meth:`Renderer.send` answers False.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from itertools import chain
from typing import Any, NamedTuple

from mailboxes.anatomy import Summary
from mailboxes.dates import zone_here
from mailboxes.imap import values as v
from mailboxes.imap.announce import flag_bytes, flags_of
from mailboxes.imap.content import BATCH, SMALL, batches, headers_now, reads
from mailboxes.imap.names import string
from mailboxes.imap.sections import (
    binary_bytes,
    binary_said,
    binary_span,
    cut,
    header_fields,
    is_header,
    is_top,
    literal,
    section_bytes,
    section_span,
    top_sections,
)
from mailboxes.imap.session import Selected, Session
from mailboxes.store import BodyReader, Corrupted, Entry, MissingBody, StoreUnavailable
from mailboxes.summary import HEADER_KEPT

INDEXED = 2000  # messages answered from the index before others get their turn: about a millisecond
STREAMED = 1 << 19  # bytes of a large message read and written at once
PORTION = (
    1 << 18
)  # bytes of small ones said at once: copied four times on their way, they stay in the processor's cache

Column = Iterable[Any]


class Chosen(NamedTuple):
    """The messages of one batch: places in the view, their entries as they are now."""

    places: Sequence[int]
    entries: Sequence[Entry]


class Read(NamedTuple):
    """What was read for a batch, in its order; empty where the items need none."""

    summaries: Sequence[Summary] = ()
    bodies: Sequence[bytes] = ()
    headers: Sequence[bytes] = ()

    def part(self, start: int, end: int) -> Read:
        return Read(self.summaries[start:end], self.bodies[start:end], self.headers[start:end])


_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_HOURS: dict[tuple[int, int], tuple[bytes, bytes]] = {}


def date_time(epoch: int, zone: int) -> bytes:
    """``"17-Jul-2026 02:44:25 +0200"``, quotes included; ``zone`` in minutes east of UTC."""
    hour, second = divmod(epoch + zone * 60, 3600)
    found = _HOURS.get((hour, zone))
    if found is None:
        if len(_HOURS) > 100_000:
            _HOURS.clear()
        found = _HOURS[hour, zone] = _hour(hour * 3600, zone)
    return b"%b%02d:%02d%b" % (found[0], second // 60, second % 60, found[1])


def _hour(local: int, zone: int) -> tuple[bytes, bytes]:
    """What the instants of an hour share: the date and the hour, the zone."""
    try:
        at = time.gmtime(local)
    except (OverflowError, ValueError, OSError):
        return b'"01-Jan-1970 00:', b' +0000"'
    hours, minutes = divmod(abs(zone), 60)
    head = f'"{at.tm_mday:02d}-{_MONTHS[at.tm_mon - 1]}-{at.tm_year:04d} {at.tm_hour:02d}:'
    tail = f' {"-" if zone < 0 else "+"}{hours:02d}{minutes:02d}"'
    return head.encode("ascii"), tail.encode("ascii")


def _emails(entries: Sequence[Entry]) -> Column:
    return [entry[6] for entry in entries]


def _threads(entries: Sequence[Entry]) -> Column:
    return [b"(T%x)" % entry[8] if entry[8] else b"NIL" for entry in entries]


_FROM_INDEX: dict[str, tuple[bytes, Callable[[Sequence[Entry]], Column]]] = {
    "UID": (b"UID %d", lambda entries: [entry[0] for entry in entries]),
    "MODSEQ": (b"MODSEQ (%d)", lambda entries: [entry[1] for entry in entries]),
    "RFC822.SIZE": (b"RFC822.SIZE %d", lambda entries: [entry[3] for entry in entries]),
    "INTERNALDATE": (b"INTERNALDATE %b", lambda entries: [date_time(entry[4], entry[9]) for entry in entries]),
    "SAVEDATE": (b"SAVEDATE %b", lambda entries: [date_time(entry[5], zone_here(entry[5])) for entry in entries]),
    "EMAILID": (b"EMAILID (M%x)", _emails),
    "THREADID": (b"THREADID %b", _threads),
}


def _preview(summary: Summary) -> bytes:
    return string(summary.preview.encode("utf-8"))


_FROM_SUMMARY: dict[str, tuple[bytes, Callable[[Summary], bytes]]] = {
    "ENVELOPE": (b"ENVELOPE %b", lambda summary: summary.envelope),
    "BODYSTRUCTURE": (b"BODYSTRUCTURE %b", lambda summary: summary.bodystructure),
    "BODY": (b"BODY %b", lambda summary: summary.body),
    "PREVIEW": (b"PREVIEW %b", _preview),
    "PREVIEW.LAZY": (b"PREVIEW %b", _preview),
}
_FROM_BODY = frozenset(("SECTION", "BINARY", "BINARY.SIZE"))
INDEX, SUMMARY, BODY = 0, 1, 2


def level(items: Iterable[v.Item]) -> int:
    """What the items tell: the index, summaries, or bodies; a preview is the beginning of one."""
    need = INDEX
    for item in items:
        if item.kind in _FROM_BODY or item.label == b"PREVIEW":
            return BODY
        if item.kind in _FROM_SUMMARY:
            need = SUMMARY
    return need


class Renderer:
    """Makes the response lines of one FETCH.

    ``need`` is what the client learns: the index, summaries or bodies. ``bodied``, ``headed`` and ``summed`` are what is
    read for it: messages, their headers alone, their summaries.
    """

    __slots__ = ("bodied", "headed", "items", "need", "selected", "session", "summed")

    def __init__(self, session: Session, selected: Selected, items: tuple[v.Item, ...]) -> None:
        self.session = session
        self.selected = selected
        self.items = items
        self.need = level(items)
        self.bodied = any(item.kind in _FROM_BODY and not is_header(item) for item in items)
        self.headed = not self.bodied and any(item.kind in _FROM_BODY for item in items)
        parted = any(item.kind in _FROM_BODY and not is_top(item) for item in items)
        self.summed = self.headed or parted or any(item.kind in _FROM_SUMMARY for item in items)

    def lines(self, chosen: Chosen, read: Read) -> bytes:
        """Response lines of small messages, and of large ones as far as their summaries go."""
        entries = chosen.entries
        pieces: list[bytes] = []
        columns: list[Column] = []
        for item in self.items:
            if is_top(item):
                data = top_sections(read.bodies, read.headers, item)
                pieces.append(_label(item) + b" {%d}\r\n%b")
                columns += (map(len, data), data)
                continue
            piece, column = self._column(item, entries, read.summaries, read.bodies)
            pieces.append(piece)
            columns.append(column)
        inside = b" ".join(pieces)
        if any(item.kind == "MODSEQ" for item in self.items):
            self.selected.ahead = True
        if self.session.uidonly:
            template = b"* %d UIDFETCH (" + inside + b")\r\n"
            numbers: Column = [entry[0] for entry in entries]
        else:
            template = b"* %d FETCH (" + inside + b")\r\n"
            numbers = [place + 1 for place in chosen.places]
        values = tuple(chain.from_iterable(zip(numbers, *columns, strict=True)))
        return template * len(entries) % values

    def _column(
        self, item: v.Item, entries: Sequence[Entry], summaries: Sequence[Summary], bodies: Sequence[bytes]
    ) -> tuple[bytes, Column]:
        kind = item.kind
        if kind == "FLAGS":
            if self.selected.recent:
                return b"FLAGS (%b)", [flags_of(self.selected, entry) for entry in entries]
            return b"FLAGS (%b)", [flag_bytes(entry[2]) for entry in entries]
        indexed = _FROM_INDEX.get(kind)
        if indexed:
            return indexed[0], indexed[1](entries)
        summed = _FROM_SUMMARY.get(kind)
        if summed:
            read = summed[1]
            return summed[0], [read(summary) for summary in summaries]
        label = _label(item) + b" %b"
        make = section_bytes if kind == "SECTION" else binary_bytes
        pairs = zip(bodies, summaries, strict=True)
        return label, [make(body, summary, item) for body, summary in pairs]

    # what is in memory

    def at_once(self, chosen: Chosen) -> bytes | None:
        """The lines if nothing has to be read."""
        cache = self.session.service.cache
        summaries = cache.summaries_now(chosen.entries) if self.summed else ()
        bodies = cache.bodies_now(chosen.entries) if self.bodied else ()
        if summaries is None or bodies is None:
            return None
        headers = headers_now(summaries) if self.headed else ()
        return None if headers is None else self.lines(chosen, Read(summaries, bodies, headers))

    # what must be read

    async def send(self, chosen: Chosen) -> bool:
        """Put the lines of all messages, in batches. False when some were erased meanwhile."""
        if self.need == INDEX:
            await self._from_index(chosen)
            return True
        complete = True
        most = max(BATCH // max(len(self.items) // 4, 1), 20)
        entries = chosen.entries
        slices = batches(entries, most) if self.bodied else _plain(len(entries), most)

        async def read(start: int, end: int) -> Read:
            return await self._read(entries[start:end])

        async with aclosing(reads(slices, read)) as ready:
            async for start, end, task in ready:
                batch = Chosen(chosen.places[start:end], entries[start:end])
                try:
                    await self._say(batch, task.result())
                except MissingBody:
                    complete = await self._one_by_one(batch) and complete
                await asyncio.sleep(0)
        return complete

    async def _from_index(self, chosen: Chosen) -> None:
        """Lines for which nothing is read."""
        places, entries = chosen
        for start, end in _plain(len(entries), INDEXED):
            self.session.put(self.lines(Chosen(places[start:end], entries[start:end]), Read()))
            await self.session.out.drain()
            await asyncio.sleep(0)

    async def _read(self, entries: Sequence[Entry]) -> Read:
        """What the items need of these messages; the body of a large one, alone in its batch, is left for later."""
        cache, mailbox_id = self.session.service.cache, self.session.mailbox_id
        large = self.bodied and _is_large(entries)
        summaries: Sequence[Summary] = ()
        bodies: Sequence[bytes] = ()
        headers: Sequence[bytes] = ()
        if self.summed or large:
            summaries = await cache.summaries(mailbox_id, entries)
        if self.bodied and not large:
            bodies = await cache.bodies(mailbox_id, entries)
        elif self.headed:
            headers = await cache.headers(mailbox_id, entries, summaries)
        return Read(summaries, bodies, headers)

    async def _say(self, chosen: Chosen, read: Read) -> None:
        places, entries = chosen
        if self.bodied and _is_large(entries):
            await self._large(chosen, read.summaries[0])
            return
        for start, end in self._portions(entries):
            self.session.put(self.lines(Chosen(places[start:end], entries[start:end]), read.part(start, end)))
            await self.session.out.drain()

    def _portions(self, entries: Sequence[Entry]) -> list[tuple[int, int]]:
        if self.bodied:
            return list(batches(entries, BATCH, PORTION))
        return _plain(len(entries), PORTION // HEADER_KEPT * 8 if self.headed else BATCH)

    async def _one_by_one(self, chosen: Chosen) -> bool:
        """A body is missing: leave out the messages that were erased, complain of any other."""
        complete = True
        for place, entry in zip(chosen.places, chosen.entries, strict=True):
            try:
                await self._say(Chosen([place], [entry]), await self._read([entry]))
            except MissingBody:
                await self.selected.index.refresh()
                if self.selected.index.snapshot.find(entry[0]) is not None:
                    raise
                complete = False
        return complete

    async def _large(self, chosen: Chosen, summary: Summary) -> None:
        """One large message: sections are read by range and written as they come."""
        session, entry = self.session, chosen.entries[0]
        reader = await session.service.store.open_body(session.mailbox_id, entry)
        number = b"%d UIDFETCH" % entry[0] if session.uidonly else b"%d FETCH" % (chosen.places[0] + 1)
        said = b"* " + number + b" ("
        begun = False
        try:
            for place, item in enumerate(self.items):
                said += b" " if place else b""
                if item.kind not in _FROM_BODY:
                    piece, column = self._column(item, chosen.entries, (summary,), ())
                    said += piece % tuple(column)
                elif item.kind == "SECTION" and not item.section.fields:
                    said += item.label + b" "
                    async for data in self._stream(reader, section_span(summary, item.section), item.partial):
                        session.put(said + data)
                        said, begun = b"", True
                        await session.out.drain()
                else:
                    said += item.label + b" " + await self._transformed(reader, summary, item)
        except (Corrupted, MissingBody, StoreUnavailable):
            if not begun:
                raise
            # Part of a literal has left: the only honest end is the end of the connection (F14).
            session.out.abort()
            raise ConnectionResetError from None
        session.put(said + b")\r\n")

    async def _stream(
        self, reader: BodyReader, span: tuple[int, int] | None, partial: tuple[int, int] | None
    ) -> AsyncIterator[bytes]:
        """A section as sent, piece by piece; the next one is read and decrypted while the last leaves."""
        if span is None:
            yield b"NIL"
            return
        start, end = span
        if partial is not None:
            start = min(start + partial[0], end)
            end = end if partial[1] < 0 else min(start + partial[1], end)
        lead = b"{%d}\r\n" % (end - start)
        spans = [(at, min(STREAMED, end - at)) for at in range(start, end, STREAMED)]
        if not spans:
            yield lead
            return
        ahead = asyncio.ensure_future(reader.read(*spans[0]))
        try:
            for place, (_, length) in enumerate(spans):
                piece = await ahead
                if len(piece) != length:
                    raise MissingBody
                if place + 1 < len(spans):
                    ahead = asyncio.ensure_future(reader.read(*spans[place + 1]))
                yield lead + piece
                lead = b""
        finally:
            ahead.cancel()

    async def _transformed(self, reader: BodyReader, summary: Summary, item: v.Item) -> bytes:
        """A section that is selected from or decoded, of a large message."""
        if item.kind == "SECTION":
            span = section_span(summary, item.section)
            if span is None:
                return b"NIL"
            header = await reader.read(span[0], span[1] - span[0])
            return literal(cut(header_fields(header, item.section), item.partial))
        found = binary_span(summary, item.section)
        if found is None:
            return b"0" if item.kind == "BINARY.SIZE" else b"NIL"
        start, body, end = found
        head = await reader.read(start, body - start)
        raw = await reader.read(body, end - body)
        return await asyncio.to_thread(binary_said, item, head, raw)


def _label(item: v.Item) -> bytes:
    """A section's name in a template."""
    return item.label.replace(b"%", b"%%")


def _is_large(entries: Sequence[Entry]) -> bool:
    return len(entries) == 1 and entries[0][3] > SMALL


def _plain(count: int, step: int) -> list[tuple[int, int]]:
    return [(start, min(start + step, count)) for start in range(0, count, step)]
