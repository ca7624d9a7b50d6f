"""Opening and leaving a folder: SELECT, EXAMINE, CLOSE, UNSELECT, CHECK, NOOP, IDLE (RFC 9051 6.3, RFC 2177, RFC 7162).

Promise: QRESYNC tells exactly what was erased and changed since the client's MODSEQ, whatever happened in between.
"""

from __future__ import annotations

from collections.abc import Awaitable

from mailboxes.imap import values as v
from mailboxes.imap.announce import announce, say_exists, say_flag_list, say_flags
from mailboxes.imap.beside import beside
from mailboxes.imap.changing import erasing, to_erase
from mailboxes.imap.fetch import say_vanished
from mailboxes.imap.session import ANY, BAD, LOGGED_IN, SELECTED, Refused, Selected, Session, command
from mailboxes.imap.view import MOST_TOLD, Snapshot
from mailboxes.store import Entry, NoSuchFolder


@command("SELECT", LOGGED_IN)
def select(session: Session, asked: v.Command) -> Awaitable[None]:
    return _open(session, asked, readonly=False)


@command("EXAMINE", LOGGED_IN)
def examine(session: Session, asked: v.Command) -> Awaitable[None]:
    return _open(session, asked, readonly=True)


async def _open(session: Session, asked: v.Command, readonly: bool) -> None:
    args: v.Select = asked.args
    if args.qresync is not None and "QRESYNC" not in session.enabled:
        raise Refused("Enable QRESYNC first", b"CLIENTBUG", BAD)
    if session.uidonly and args.qresync is not None and args.qresync.match is not None:
        raise Refused("Sequence numbers are not used once UIDONLY is enabled", b"UIDREQUIRED", BAD)
    if session.selected is not None:
        session.unselect()
        session.put(b"* OK [CLOSED] Previous folder is closed\r\n")
    session.need("r")
    assert session.standing is not None
    try:
        folder, index = await session.service.indexes.open_named(session.mailbox_id, session.name(args.mailbox))
    except NoSuchFolder:
        raise Refused("No such folder", b"NONEXISTENT") from None
    readonly = readonly or not set("swite") & set(session.standing.rights)
    if args.condstore or args.qresync is not None:
        session.enable("CONDSTORE")
    selected = session.selected = Selected(folder, index, readonly)
    if readonly:
        await index.recents.look()
    else:
        index.recents.takers += 1
        await index.recents.claim(selected.snapshot.uidnext)
    if index.gone:  # meanwhile, when nobody told this session yet
        session.unselect()
        raise Refused("No such folder", b"NONEXISTENT")
    session.state = SELECTED
    index.listeners.add(session.changed)
    _describe(session, selected, args.mailbox)
    if args.qresync is not None:
        await _resynchronise(session, selected, args.qresync)
    word = "READ-ONLY" if readonly else "READ-WRITE"
    session.put(b"%b OK [%b] Opened\r\n" % (asked.tag, word.encode("ascii")))


def _describe(session: Session, selected: Selected, called: bytes) -> None:
    snapshot, index = selected.snapshot, selected.index
    selected.keywords_told = len(index.keywords)
    say_flag_list(session, selected)
    if selected.readonly and not session.rev2:
        selected.recent = set(snapshot.uids[len(snapshot.uids) - index.recents.count(snapshot.uids) :])
    say_exists(session, selected, len(snapshot.uids))
    put = session.put
    if not session.rev2 and selected.folder.unseen:
        unseen = snapshot.first_unseen()
        if unseen:
            put(b"* OK [UNSEEN %d] First unseen\r\n" % unseen)
    put(b"* OK [UIDVALIDITY %d] UIDs valid\r\n" % index.uidvalidity)
    put(b"* OK [UIDNEXT %d] Predicted next UID\r\n" % snapshot.uidnext)
    put(b"* OK [HIGHESTMODSEQ %d] Highest\r\n" % max(snapshot.highestmodseq, 1))
    put(b"* OK [MAILBOXID (%b)] Object id\r\n" % selected.folder.object_id.encode("ascii"))
    if session.rev2:
        session.named(selected.folder.name, called, selected.folder.special_use)


async def _resynchronise(session: Session, selected: Selected, known: v.QResync) -> None:
    """RFC 7162 3.2.5: VANISHED (EARLIER), then the flags of what changed since the client's MODSEQ."""
    if known.uidvalidity != selected.index.uidvalidity:
        return
    since = known.modseq
    if known.match is not None:
        since = _matched_since(known)
    changes = await session.service.store.changes(session.mailbox_id, selected.folder.id, since)
    await selected.index.whole()
    snapshot, ranges = selected.snapshot, known.known or ((1, v.STAR),)
    await say_vanished(session, selected, changes.vanished, ranges)
    changed = await beside(len(snapshot.uids), _changed_since, snapshot, known.modseq, ranges)
    for start in range(0, len(changed), MOST_TOLD):
        say_flags(session, selected, changed[start : start + MOST_TOLD], with_uid=True)
        await session.out.drain()


def _changed_since(snapshot: Snapshot, modseq: int, ranges: v.Ranges) -> list[Entry]:
    entries = [snapshot.entries[place] for place in snapshot.by_uid(ranges)]
    return [entry for entry in entries if entry[1] > modseq]


def _matched_since(known: v.QResync) -> int:
    """Sequence match data only spares us the history; ours is complete, so the client's MODSEQ is used as it is."""
    assert known.match is not None
    numbers, uids = known.match
    if v.STAR in (numbers[-1][1], uids[-1][1]):
        raise Refused("Sequence match data holds no *", b"CLIENTBUG", BAD)
    return known.modseq


@command("CLOSE", SELECTED)
def close(session: Session, asked: v.Command) -> Awaitable[None] | None:
    """Erase what is flagged ``\\Deleted``, silently, and leave."""
    selected = session.chosen()
    assert session.standing is not None
    if selected.readonly or "e" not in session.standing.rights:
        session.unselect()
        session.done(asked, "Closed")
        return None
    return _erase_and_close(session, asked, selected)


async def _erase_and_close(session: Session, asked: v.Command, selected: Selected) -> None:
    index = selected.index
    await index.refresh()
    abreast, highest = selected.snapshot is index.snapshot, selected.snapshot.highestmodseq
    doomed = await to_erase(index)
    if doomed:
        changes = len([some async for some in erasing(session, selected, "CLOSE", doomed)])
        await index.refresh()
        # What others changed stays untold: from a MODSEQ beyond it, the client would never hear of it (RFC 7162 3.2.8).
        if abreast and index.snapshot.highestmodseq == highest + changes:
            highest += changes
    session.unselect()
    session.done(asked, f"[HIGHESTMODSEQ {max(highest, 1)}] Closed" if "QRESYNC" in session.enabled else "Closed")


@command("UNSELECT", SELECTED)
def unselect(session: Session, asked: v.Command) -> None:
    session.unselect()
    session.done(asked, "Left")


@command("CHECK", SELECTED)
def check(session: Session, asked: v.Command) -> Awaitable[None]:
    return _looked(session, asked, session.chosen(), "Checked")


@command("NOOP", ANY)
def noop(session: Session, asked: v.Command) -> Awaitable[None] | None:
    if session.selected is not None:
        return _looked(session, asked, session.selected, "Nothing done")
    session.done(asked, "Nothing done")
    return None


async def _looked(session: Session, asked: v.Command, selected: Selected, text: str) -> None:
    """Whoever asks for news hears of everything committed until now, by this process or another."""
    await selected.index.refresh()
    session.done(asked, text)


@command("IDLE", LOGGED_IN)
def idle(session: Session, asked: v.Command) -> None:
    """RFC 2177: news arrive until DONE.

    A size that was told within the answer to a FETCH is told once more: Thunderbird (ESR 153) overlooks it there and would show the
    new message at its next poll only, ten minutes later. RFC 9051 7.4.1 lets a server tell it at any time.
    """
    session.put(b"+ idling\r\n")
    session.idling = True
    selected = session.selected
    if selected is not None:
        if not announce(session, may_expunge=True, most=MOST_TOLD) and selected.aside:
            session.put(b"* %d EXISTS\r\n" % len(selected.snapshot.uids))
        selected.aside = False
    if selected is not None and selected.behind:
        session.changed()

    def ended(line: bytes) -> None:
        session.idling = False
        if line.upper() == b"DONE":
            session.done(asked, "Idle ended")
        else:
            session.tagged(asked, BAD, "[CLIENTBUG] Expected DONE")

    session.awaited = ended
