"""FETCH and UID FETCH (RFC 9051 6.4.5), and which messages a command names.

Promise: FETCH of a body in a shared mailbox is journalled before its first byte leaves (MSS-062). Failure: a message
erased by another session meanwhile is left out, and the answer says ``[EXPUNGEISSUED]``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from mailboxes.imap import values as v
from mailboxes.imap.announce import latest, say_keywords
from mailboxes.imap.beside import beside
from mailboxes.imap.rendering import BODY, Chosen, Renderer, level
from mailboxes.imap.session import BAD, SELECTED, Refused, Selected, Session, command
from mailboxes.imap.sets import compact, inside, joined
from mailboxes.store import FlagChange, portions
from policies.events import Kind

AT_ONCE = 200  # messages answered without leaving data_received
AT_ONCE_BYTES = 1 << 20
CHOSEN_HERE = 20_000  # messages looked for on the event loop: 1 ms, and 6 where an EXPUNGE was not told yet


def places_of(session: Session, selected: Selected, ranges: v.Ranges, by_uid: bool) -> Sequence[int]:
    """Places of a sequence set in the session's view; ``$`` is the saved result. BAD for a number that is not there."""
    snapshot = selected.snapshot
    if ranges is v.SAVED or ranges == v.SAVED:
        return snapshot.places(selected.saved)
    if by_uid:
        return list(snapshot.by_uid(ranges))
    if session.uidonly:
        raise Refused("Sequence numbers are not used once UIDONLY is enabled", b"UIDREQUIRED", BAD)
    found = snapshot.by_number(ranges)
    if found is None:
        raise Refused("No message has that number", b"CLIENTBUG", BAD)
    return list(found)


def most_named(selected: Selected, ranges: v.Ranges) -> int:
    """At most so many messages are in a sequence set: whether to look for them on the event loop."""
    if ranges == v.SAVED:
        return len(selected.saved)
    top = selected.snapshot.uidnext
    return min(sum(min(high, top) - min(low, top) + 1 for low, high in ranges), len(selected.snapshot.uids))


async def named(session: Session, selected: Selected, ranges: v.Ranges, by_uid: bool) -> list[int]:
    """The UIDs of a sequence set, as :func:`places_of` has it."""
    return await beside(most_named(selected, ranges), _uids_of, session, selected, ranges, by_uid)


def _uids_of(session: Session, selected: Selected, ranges: v.Ranges, by_uid: bool) -> list[int]:
    uids = selected.snapshot.uids
    return [uids[place] for place in places_of(session, selected, ranges, by_uid)]


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


def with_uid(session: Session, items: tuple[v.Item, ...]) -> tuple[v.Item, ...]:
    """The items, and the UID: it stands before a UIDFETCH, which is never empty, and in a FETCH."""
    if session.uidonly:
        return tuple([item for item in items if item.kind != "UID"]) or items
    return items if _UID in items else (_UID, *items)


def unasked(session: Session, items: tuple[v.Item, ...]) -> tuple[v.Item, ...]:
    """The items in a response to no command: with what RFC 7162 3.1 and 3.2 want there once it is enabled."""
    if session.vanishing:
        items = with_uid(session, items)
    if session.condstore and _MODSEQ not in items and any(item.kind == "FLAGS" for item in items):
        return (*items, _MODSEQ)
    return items


def _fetch(session: Session, asked: v.Command, by_uid: bool) -> Awaitable[None] | None:
    selected = session.chosen()
    args: v.Fetch = asked.args
    items = _items(session, args, by_uid)
    say_keywords(session, selected)
    renderer = Renderer(session, selected, items)
    if args.vanished and not (by_uid and "QRESYNC" in session.enabled):
        raise Refused("VANISHED needs UID FETCH and QRESYNC enabled", b"CLIENTBUG", BAD)
    if most_named(selected, args.ranges) > CHOSEN_HERE:
        return _choose_later(session, asked, renderer, by_uid)
    chosen = _chosen(session, selected, args, by_uid)
    if args.vanished:
        return _later(session, asked, renderer, chosen, by_uid)
    if len(chosen.places) <= AT_ONCE and not _touches(session, items, chosen):
        made = renderer.at_once(chosen) if _light(renderer, chosen) else None
        if made is not None:
            session.put(made)
            session.done(asked, "Fetched", expunge=by_uid)
            return None
    return _later(session, asked, renderer, chosen, by_uid)


def _chosen(session: Session, selected: Selected, args: v.Fetch, by_uid: bool) -> Chosen:
    places = places_of(session, selected, args.ranges, by_uid)
    if args.changed_since >= 0:
        entries = selected.snapshot.entries
        places = [place for place in places if entries[place][1] > args.changed_since]
    if args.partial is not None:
        places = partial_slice(places, args.partial)
    return choose(selected, places)


async def _choose_later(session: Session, asked: v.Command, renderer: Renderer, by_uid: bool) -> None:
    """The same beside the event loop: of 100 000 it takes 10 ms, and 30 where an EXPUNGE was not told yet."""
    chosen = await asyncio.to_thread(_chosen, session, renderer.selected, asked.args, by_uid)
    await _later(session, asked, renderer, chosen, by_uid)


def partial_slice(places: Sequence[int], partial: tuple[int, int]) -> Sequence[int]:
    """The part of a result RFC 9394 asks for; negative counts from the end."""
    first, last = partial
    if first > 0:
        return places[first - 1 : last]
    count = len(places)
    return places[max(count + last, 0) : max(count + first + 1, 0)]


def _items(session: Session, args: v.Fetch, by_uid: bool) -> tuple[v.Item, ...]:
    items = args.items
    if by_uid:
        items = with_uid(session, items)
    if args.changed_since >= 0 and _MODSEQ not in items:
        items = (*items, _MODSEQ)
    if any(item.kind == "MODSEQ" for item in items):
        need_condstore(session)
    return items


def _light(renderer: Renderer, chosen: Chosen) -> bool:
    return not renderer.bodied or sum(entry[3] for entry in chosen.entries) <= AT_ONCE_BYTES


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
        read = session.trace(Kind.READ, asked.name, selected.folder.reference, [entry[0] for entry in chosen.entries])
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
        for some in portions(uids):
            await session.service.store.store_flags(session.mailbox_id, selected.folder.id, some, change)
        await selected.index.refresh()


async def _vanished_earlier(session: Session, selected: Selected, args: v.Fetch) -> None:
    """``VANISHED (EARLIER)``: which of the UIDs asked were erased since (RFC 7162 3.2.6)."""
    changes = await session.service.store.changes(session.mailbox_id, selected.folder.id, args.changed_since)
    await say_vanished(session, selected, changes.vanished, args.ranges)


async def say_vanished(session: Session, selected: Selected, uids: list[int], ranges: v.Ranges) -> None:
    """Tell which of the UIDs erased are in ``ranges``."""
    gone = await beside(len(uids), _compacted, uids, ranges, selected)
    if gone:
        session.put(b"* VANISHED (EARLIER) %b\r\n" % gone)


def _compacted(uids: list[int], ranges: v.Ranges, selected: Selected) -> bytes:
    return compact(within(uids, ranges, selected))


def within(uids: list[int], ranges: v.Ranges, selected: Selected) -> list[int]:
    """The UIDs inside ``ranges`` that the session's view does not hold."""
    if ranges == v.SAVED:
        kept = sorted(set(uids) & set(selected.saved))
    else:
        last = selected.snapshot.uidnext
        kept = inside(uids, joined([(min(low, last), high) for low, high in ranges]))
    places = selected.snapshot.each(kept)
    return [uid for uid, place in zip(kept, places, strict=True) if place < 0]
