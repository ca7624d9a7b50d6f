"""FETCH and UID FETCH (RFC 9051 6.4.5): columns of data items turned into response lines.

A request becomes a byte template and one column per item; lines are made by formatting the zipped columns, so a folder
of 10 000 costs microseconds per message. What is in memory is answered at once; the rest is read in batches, large
messages are streamed by range. Promise: memory stays flat whatever is asked, the event loop is never held for long.
Failure: a message erased by another session meanwhile is left out, and the answer says ``[EXPUNGEISSUED]``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

from mailboxes.anatomy import Summary, decode_part, section, select
from mailboxes.imap import values as v
from mailboxes.imap.announce import flag_bytes, flags_of
from mailboxes.imap.content import SMALL, batches, part_type
from mailboxes.imap.names import string
from mailboxes.imap.session import BAD, SELECTED, Refused, Selected, Session, command
from mailboxes.imap.sets import compact
from mailboxes.imap.view import changes_ahead
from mailboxes.store import BodyReader, Corrupted, Entry, FlagChange, MissingBody, StoreUnavailable
from policies.events import Kind

AT_ONCE = 200  # messages answered without leaving data_received
AT_ONCE_BYTES = 1 << 20
STREAMED = 1 << 19  # bytes of a large message read and written at once
KNOWN_ENCODINGS = frozenset((b"", b"7bit", b"8bit", b"binary", b"base64", b"quoted-printable"))

Column = Iterable[Any]


class Chosen(NamedTuple):
    """The messages of one batch: places in the view, their entries as they are now."""

    places: Sequence[int]
    entries: Sequence[Entry]


# --------------------------------------------------------------------------- columns from the index

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_QUARTERS: dict[int, tuple[bytes, int, bytes]] = {}


def date_time(epoch: int) -> bytes:
    """``"17-Jul-2026 02:44:25 +0200"`` in the server's time zone, quotes included."""
    quarter, second = divmod(epoch, 900)  # zones change on quarters of an hour
    found = _QUARTERS.get(quarter)
    if found is None:
        if len(_QUARTERS) > 100_000:
            _QUARTERS.clear()
        found = _QUARTERS[quarter] = _quarter(quarter * 900)
    head, minute, tail = found
    return b"%b%02d:%02d%b" % (head, minute + second // 60, second % 60, tail)


def _quarter(epoch: int) -> tuple[bytes, int, bytes]:
    """What the instants of a quarter of an hour share: date and hour, its first minute, the zone."""
    try:
        at = time.localtime(epoch)
    except (OverflowError, ValueError, OSError):
        return b'"01-Jan-1970 00:', 0, b' +0000"'
    zone = at.tm_gmtoff // 60
    hours, minutes = divmod(abs(zone), 60)
    head = f'"{at.tm_mday:02d}-{_MONTHS[at.tm_mon - 1]}-{at.tm_year:04d} {at.tm_hour:02d}:'
    tail = f' {"-" if zone < 0 else "+"}{hours:02d}{minutes:02d}"'
    return head.encode("ascii"), at.tm_min, tail.encode("ascii")


def _emails(entries: Sequence[Entry]) -> Column:
    return [entry[6] for entry in entries]


def _threads(entries: Sequence[Entry]) -> Column:
    return [b"(T%x)" % entry[8] if entry[8] else b"NIL" for entry in entries]


_FROM_INDEX: dict[str, tuple[bytes, Callable[[Sequence[Entry]], Column]]] = {
    "UID": (b"UID %d", lambda entries: [entry[0] for entry in entries]),
    "MODSEQ": (b"MODSEQ (%d)", lambda entries: [entry[1] for entry in entries]),
    "RFC822.SIZE": (b"RFC822.SIZE %d", lambda entries: [entry[3] for entry in entries]),
    "INTERNALDATE": (b"INTERNALDATE %b", lambda entries: [date_time(entry[4]) for entry in entries]),
    "SAVEDATE": (b"SAVEDATE %b", lambda entries: [date_time(entry[5]) for entry in entries]),
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
    """What the items need: the index, summaries, or bodies."""
    need = INDEX
    for item in items:
        if item.kind in _FROM_BODY:
            return BODY
        if item.kind in _FROM_SUMMARY:
            need = SUMMARY
    return need


# --------------------------------------------------------------------------- sections of a body


def _cut(data: bytes, partial: tuple[int, int] | None) -> bytes:
    if partial is None:
        return data
    offset, length = partial
    return data[offset:] if length < 0 else data[offset : offset + length]


def _literal(data: bytes) -> bytes:
    return b"{%d}\r\n%b" % (len(data), data)


def _binary_literal(data: bytes) -> bytes:
    return b"~{%d}\r\n%b" % (len(data), data) if 0 in data else _literal(data)


def section_span(summary: Summary, wanted: v.Section) -> tuple[int, int] | None:
    """The bytes a section is made of; for HEADER.FIELDS the whole header."""
    text = "HEADER" if wanted.text.startswith("HEADER") else wanted.text
    return section(summary, wanted.path, text)


def _header_fields(header: bytes, wanted: v.Section) -> bytes:
    names = {name.lower() for name in wanted.fields}
    return select(header, names, exclude=wanted.text == "HEADER.FIELDS.NOT")


def section_bytes(content: bytes, summary: Summary, item: v.Item) -> bytes:
    """``BODY[...]`` as sent: a literal, or NIL when the message has no such part."""
    span = section_span(summary, item.section)
    if span is None:
        return b"NIL"
    data = content[span[0] : span[1]]
    if item.section.fields:
        data = _header_fields(data, item.section)
    return _literal(_cut(data, item.partial))


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
    return _binary_said(item, content[start:body], content[body:end])


def _binary_said(item: v.Item, header: bytes, body: bytes) -> bytes:
    """A part decoded when it is one; sections of text are what BODY says they are."""
    data = body
    if item.section.fields:
        data = _header_fields(body, item.section)
    elif item.section.path and not item.section.text:
        data = decoded(header, body)
    if item.kind == "BINARY.SIZE":
        return b"%d" % len(data)
    return _binary_literal(_cut(data, item.partial))


# --------------------------------------------------------------------------- lines


class Renderer:
    """Makes the response lines of one FETCH."""

    __slots__ = ("items", "need", "selected", "session")

    def __init__(self, session: Session, selected: Selected, items: tuple[v.Item, ...]) -> None:
        self.session = session
        self.selected = selected
        self.items = items
        self.need = level(items)

    def lines(self, chosen: Chosen, summaries: Sequence[Summary], bodies: Sequence[bytes]) -> bytes:
        """Response lines of small messages."""
        entries = chosen.entries
        pieces: list[bytes] = []
        columns: list[Column] = []
        for item in self.items:
            piece, column = self._column(item, entries, summaries, bodies)
            pieces.append(piece)
            columns.append(column)
        inside = b" ".join(pieces)
        if self.session.uidonly:
            template = b"* %d UIDFETCH (" + inside + b")\r\n"
            numbers: Column = [entry[0] for entry in entries]
        else:
            template = b"* %d FETCH (" + inside + b")\r\n"
            numbers = [place + 1 for place in chosen.places]
        return b"".join(map(template.__mod__, zip(numbers, *columns, strict=True)))

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
        label = item.label.replace(b"%", b"%%") + b" %b"
        make = section_bytes if kind == "SECTION" else binary_bytes
        pairs = zip(bodies, summaries, strict=True)
        return label, [make(body, summary, item) for body, summary in pairs]

    # what is in memory

    def at_once(self, chosen: Chosen) -> bytes | None:
        """The lines if nothing has to be read."""
        if self.need == INDEX:
            return self.lines(chosen, (), ())
        cache = self.session.service.cache
        summaries = cache.summaries_now(chosen.entries)
        if summaries is None:
            return None
        if self.need == SUMMARY:
            return self.lines(chosen, summaries, ())
        bodies: list[bytes] = []
        for entry in chosen.entries:
            body = cache.body_now(entry)
            if body is None:
                return None
            bodies.append(body)
        return self.lines(chosen, summaries, bodies)

    # what must be read

    async def send(self, chosen: Chosen) -> bool:
        """Put the lines of all messages, in batches. False when some were erased meanwhile."""
        complete = True
        for start, end in batches(chosen.entries) if self.need == BODY else _plain(len(chosen.entries)):
            batch = Chosen(chosen.places[start:end], chosen.entries[start:end])
            try:
                await self._batch(batch)
            except MissingBody:
                complete = await self._one_by_one(batch) and complete
            if self.session.out.full:
                await self.session.out.drain()
            else:
                await asyncio.sleep(0)
        return complete

    async def _batch(self, chosen: Chosen) -> None:
        session = self.session
        cache, mailbox_id = session.service.cache, session.mailbox_id
        summaries: Sequence[Summary] = ()
        bodies: Sequence[bytes] = ()
        if self.need >= SUMMARY:
            summaries = await cache.summaries(mailbox_id, chosen.entries)
        if self.need == BODY:
            if len(chosen.entries) == 1 and chosen.entries[0][3] > SMALL:
                await self._large(chosen, summaries[0])
                return
            bodies = await cache.bodies(mailbox_id, chosen.entries)
        session.put(self.lines(chosen, summaries, bodies))

    async def _one_by_one(self, chosen: Chosen) -> bool:
        """A body is missing: leave out the messages that were erased, complain of any other."""
        await self.selected.index.refresh()
        complete = True
        for place, entry in zip(chosen.places, chosen.entries, strict=True):
            try:
                await self._batch(Chosen([place], [entry]))
            except MissingBody:
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
            return _literal(_cut(_header_fields(header, item.section), item.partial))
        found = binary_span(summary, item.section)
        if found is None:
            return b"0" if item.kind == "BINARY.SIZE" else b"NIL"
        start, body, end = found
        head = await reader.read(start, body - start)
        raw = await reader.read(body, end - body)
        return await asyncio.to_thread(_binary_said, item, head, raw)


def _plain(count: int, step: int = 500) -> list[tuple[int, int]]:
    return [(start, min(start + step, count)) for start in range(0, count, step)]


# --------------------------------------------------------------------------- the commands


def places_of(session: Session, selected: Selected, ranges: v.Ranges, by_uid: bool) -> Sequence[int]:
    """Places of a sequence set in the session's view; ``$`` is the saved result. BAD for a number that is not there."""
    snapshot = selected.snapshot
    if ranges is v.SAVED or ranges == v.SAVED:
        return [place for place in map(snapshot.place, selected.saved) if place >= 0]
    if by_uid:
        return list(snapshot.by_uid(ranges))
    if session.uidonly:
        raise Refused("Sequence numbers are not used once UIDONLY is enabled", b"UIDREQUIRED", BAD)
    found = snapshot.by_number(ranges)
    if found is None:
        raise Refused("No message has that number", b"CLIENTBUG", BAD)
    return list(found)


def latest(selected: Selected, entries: Sequence[Entry]) -> list[Entry]:
    """The entries as they are now; those erased since, as they were last known."""
    current = selected.index.snapshot
    last = {**changes_ahead(selected.step), **selected.told}
    return [current.find(entry[0]) or last.get(entry[0], entry) for entry in entries]


def choose(selected: Selected, places: Sequence[int]) -> Chosen:
    """The messages at those places with the flags they have now."""
    snapshot, current = selected.snapshot, selected.index.snapshot
    entries = snapshot.entries
    picked = entries if len(places) == len(entries) else [entries[place] for place in places]
    if snapshot is not current:  # the view waits for an EXPUNGE it may not tell yet
        picked = latest(selected, picked)
    return Chosen(places, picked)


def need_condstore(session: Session) -> None:
    """A CONDSTORE-enabling command was given: say HIGHESTMODSEQ once (RFC 7162 3.1)."""
    if session.condstore:
        return
    session.enable("CONDSTORE")
    if session.selected is not None:
        session.put(b"* OK [HIGHESTMODSEQ %d] Enabled\r\n" % session.selected.snapshot.highestmodseq)


@command("FETCH", SELECTED)
def fetch(session: Session, asked: v.Command) -> Awaitable[None] | None:
    return _fetch(session, asked, by_uid=False)


@command("UID FETCH", SELECTED)
def uid_fetch(session: Session, asked: v.Command) -> Awaitable[None] | None:
    return _fetch(session, asked, by_uid=True)


_UID = v.Item("UID", b"UID")
_MODSEQ = v.Item("MODSEQ", b"MODSEQ")


def _fetch(session: Session, asked: v.Command, by_uid: bool) -> Awaitable[None] | None:
    selected = session.chosen()
    args: v.Fetch = asked.args
    items = _items(session, args, by_uid)
    places = places_of(session, selected, args.ranges, by_uid)
    if args.changed_since >= 0:
        entries = selected.snapshot.entries
        places = [place for place in places if entries[place][1] > args.changed_since]
    if args.partial is not None:
        places = partial_slice(places, args.partial)
    chosen = choose(selected, places)
    renderer = Renderer(session, selected, items)
    if args.vanished:
        if not (by_uid and "QRESYNC" in session.enabled):
            raise Refused("VANISHED needs UID FETCH and QRESYNC enabled", b"CLIENTBUG", BAD)
        return _later(session, asked, renderer, chosen, by_uid)
    if len(places) <= AT_ONCE and not _touches(session, items, chosen):
        made = renderer.at_once(chosen) if _light(renderer, chosen) else None
        if made is not None:
            session.put(made)
            session.done(asked, "Fetched", expunge=by_uid)
            return None
    return _later(session, asked, renderer, chosen, by_uid)


def partial_slice(places: Sequence[int], partial: tuple[int, int]) -> Sequence[int]:
    """The part of a result RFC 9394 asks for; negative counts from the end."""
    first, last = partial
    if first > 0:
        return places[first - 1 : last]
    count = len(places)
    return places[max(count + last, 0) : max(count + first + 1, 0)]


def _items(session: Session, args: v.Fetch, by_uid: bool) -> tuple[v.Item, ...]:
    items = args.items
    if session.uidonly:
        items = tuple([item for item in items if item.kind != "UID"])
    elif by_uid and _UID not in items:
        items = (_UID, *items)
    if args.changed_since >= 0 and _MODSEQ not in items:
        items = (*items, _MODSEQ)
    if any(item.kind == "MODSEQ" for item in items):
        need_condstore(session)
    return items


def _light(renderer: Renderer, chosen: Chosen) -> bool:
    return renderer.need < BODY or sum(entry[3] for entry in chosen.entries) <= AT_ONCE_BYTES


def _touches(session: Session, items: tuple[v.Item, ...], chosen: Chosen) -> bool:
    """Whether this FETCH leaves a trace: ``\\Seen``, or an event of a shared mailbox."""
    if session.standing is not None and session.standing.journalled and level(items) == BODY:
        return True
    return any(item.seen for item in items) and bool(_unseen(session, chosen))


def _unseen(session: Session, chosen: Chosen) -> list[int]:
    selected = session.chosen()
    assert session.standing is not None
    if selected.readonly or "s" not in session.standing.rights:
        return []
    return [entry[0] for entry in chosen.entries if "\\Seen" not in entry[2]]


async def _later(session: Session, asked: v.Command, renderer: Renderer, chosen: Chosen, by_uid: bool) -> None:
    selected = session.chosen()
    args: v.Fetch = asked.args
    if args.vanished:
        await _vanished_earlier(session, selected, args)
    if renderer.need == BODY and chosen.entries:
        read = session.trace(Kind.READ, asked.name, selected.folder.name, [entry[0] for entry in chosen.entries])
        if read:  # durable before the first byte leaves (MSS-062)
            await session.service.store.record(read)
    complete = await renderer.send(chosen)
    if any(item.seen for item in renderer.items):
        await _mark_seen(session, selected, chosen)
    session.done(asked, "Fetched" if complete else "[EXPUNGEISSUED] Some messages were erased", expunge=by_uid)


async def _mark_seen(session: Session, selected: Selected, chosen: Chosen) -> None:
    uids = _unseen(session, chosen)
    if uids:
        change = FlagChange("add", frozenset(("\\Seen",)))
        await session.service.store.store_flags(session.mailbox_id, selected.folder.id, uids, change)
        await selected.index.refresh()


async def _vanished_earlier(session: Session, selected: Selected, args: v.Fetch) -> None:
    """``VANISHED (EARLIER)``: which of the UIDs asked were erased since (RFC 7162 3.2.6)."""
    changes = await session.service.store.changes(session.mailbox_id, selected.folder.id, args.changed_since)
    gone = within(changes.vanished, args.ranges, selected)
    if gone:
        session.put(b"* VANISHED (EARLIER) %b\r\n" % compact(gone))


def within(uids: list[int], ranges: v.Ranges, selected: Selected) -> list[int]:
    """The UIDs inside ``ranges`` that the session's view does not hold."""
    last = selected.snapshot.uidnext
    bounds = [(low if low != v.STAR else last, high) for low, high in ranges]
    if len(bounds) > 50:
        wanted = set(selected.saved) if ranges == v.SAVED else None
        if wanted is not None:
            return [uid for uid in uids if uid in wanted]
    found = [uid for uid in uids if any(low <= uid <= high for low, high in bounds)]
    return [uid for uid in found if selected.snapshot.place(uid) < 0]
