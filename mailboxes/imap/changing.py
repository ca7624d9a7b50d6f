"""Changing messages: STORE, COPY, MOVE, EXPUNGE and their UID forms (RFC 9051 6.4, RFC 4315, 6851, 7162).

Promise: what is answered OK is durable and other sessions of this process know it; a conditional STORE changes nothing
that another client changed first; rights of RFC 4314 are held flag by flag. Many messages are changed portion by portion,
each a transaction with the event that records it, because everybody's mail waits for it; what is done when one fails stays
done and is told. Only COPY, which must leave nothing behind when it fails (RFC 9051 6.4.7), is one transaction. A message
erased by another session, which this one may not be told yet, takes flags for this session alone (RFC 2180 4.2).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence

from mailboxes import flags as flagging
from mailboxes.imap import values as v
from mailboxes.imap.announce import allowed_flags, latest, say_flags, say_keywords
from mailboxes.imap.beside import beside
from mailboxes.imap.fetch import named, need_condstore
from mailboxes.imap.session import BAD, SELECTED, Refused, Selected, Session, command
from mailboxes.imap.sets import compact
from mailboxes.imap.view import FolderIndex, Snapshot
from mailboxes.store import Copied, Entry, FlagChange, Folder, NoSuchFolder, Stored, portions
from policies.events import Kind

SYSTEM = {flag.lower(): flag for flag in ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")}
# Spellings mail programs agree on (IANA's registry of keywords).
_WELL_KNOWN = {
    word.lower(): word
    for word in [
        "$Forwarded",
        "$MDNSent",
        "$SubmitPending",
        "$Submitted",
        "$Junk",
        "$NotJunk",
        "$Phishing",
        "$Important",
    ]
}
LONGEST_KEYWORD = 100


def canonical_flags(raw: Sequence[bytes], known: dict[str, str]) -> list[str]:
    """System flags and keywords in their known spelling; BAD for a flag a client cannot set."""
    found: list[str] = []
    for one in raw:
        flag = one.decode("ascii")
        lower = flag.lower()
        if flag.startswith("\\"):
            if lower not in SYSTEM:
                raise Refused("That flag cannot be set", b"CLIENTBUG", BAD)
            found.append(SYSTEM[lower])
        elif len(flag) > LONGEST_KEYWORD:
            raise Refused("The keyword is too long", b"LIMIT")
        else:
            found.append(known.get(lower) or _WELL_KNOWN.get(lower) or flag)
    return list(dict.fromkeys(found))


# --------------------------------------------------------------------------- STORE


@command("STORE", SELECTED)
def store(session: Session, asked: v.Command) -> Awaitable[None]:
    return _store(session, asked, by_uid=False)


@command("UID STORE", SELECTED)
def uid_store(session: Session, asked: v.Command) -> Awaitable[None]:
    return _store(session, asked, by_uid=True)


async def _store(session: Session, asked: v.Command, by_uid: bool) -> None:
    selected = session.writable()
    args: v.Store = asked.args
    flags = _flags_to_store(session, selected, args)
    uids = await named(session, selected, args.ranges, by_uid)
    if args.unchanged_since >= 0:
        need_condstore(session)
    unchanged = args.unchanged_since if args.unchanged_since >= 0 else None
    change = FlagChange(args.operation, frozenset(flags), unchanged, _kept(session))
    if not uids:
        session.done(asked, "Nothing to store", expunge=by_uid)
        return
    modified: list[int] = []
    missing = False
    for some in portions(uids):
        trace = session.trace(Kind.CHANGED, asked.name, selected.folder.reference, some)
        stored = await session.service.store.store_flags(session.mailbox_id, selected.folder.id, some, change, trace)
        await _take_in(selected, stored)
        erased = _on_erased(selected, some, stored, change)
        outcome = sorted([*stored.changed, *erased])
        modified += stored.modified
        missing = missing or bool(erased)
        selected.index.learn(outcome)  # it may have passed over what was stored and erased at once
        say_keywords(session, selected)
        if args.silent:
            _say_silently(session, selected, outcome, change, by_uid)
        else:
            say_flags(session, selected, outcome, with_uid=by_uid)
        for entry in outcome:
            selected.told[entry[0]] = entry
        if some[-1] != uids[-1]:
            await _rest(session, expunge=False)
    text = await beside(len(modified), _stored_text, selected.snapshot, modified, by_uid, missing)
    session.done(asked, text, expunge=by_uid)


async def _rest(session: Session, *, expunge: bool) -> None:
    """Between two portions the client hears what is new, others have their turn: to tell it all at the end would keep them
    waiting, half a second of 100 000 messages and a live search."""
    await session.catch_up(expunge)
    session.hear(expunge)
    await session.out.drain()


def _say_silently(session: Session, selected: Selected, outcome: list[Entry], change: FlagChange, by_uid: bool) -> None:
    """``.SILENT``: flags only where another session changed some too (RFC 9051 6.4.6), MODSEQ where it is wanted."""

    def expected(entry: Entry) -> bool:
        known = selected.told.get(entry[0]) or selected.snapshot.find(entry[0])
        return known is None or entry[2] == flagging.change(known[2], change.operation, change.flags, change.kept)

    plain: list[Entry] = []
    surprising: list[Entry] = []
    for entry in outcome:
        (plain if expected(entry) else surprising).append(entry)
    say_flags(session, selected, surprising, with_uid=by_uid)
    if session.condstore:
        say_flags(session, selected, plain, with_uid=by_uid, silent=True)


def _on_erased(selected: Selected, uids: list[int], stored: Stored, change: FlagChange) -> list[Entry]:
    """The messages named that another session erased, with the flags this session gave them."""
    there = {entry[0] for entry in stored.changed}.union(stored.modified)
    gone = [entry for uid in uids if uid not in there and (entry := selected.snapshot.find(uid)) is not None]
    return [
        entry._replace(flags=flagging.change(entry[2], change.operation, change.flags, change.kept))
        for entry in latest(selected, gone)
    ]


def _flags_to_store(session: Session, selected: Selected, args: v.Store) -> list[str]:
    known = selected.index.keywords
    wanted = canonical_flags(args.flags, known)
    flags = allowed_flags(session, wanted)
    assert session.standing is not None
    if not flags and (wanted or not set("swt") & set(session.standing.rights)):
        raise Refused("You do not have the right to set these flags", b"NOPERM")
    new = [flag for flag in flags if not flag.startswith("\\") and flag.lower() not in known]
    if new and len(known) + len(new) > session.service.limits.keywords:
        raise Refused("The folder has too many keywords", b"LIMIT")
    return flags


_ANY_FLAG = frozenset((*SYSTEM.values(), flagging.KEYWORDS))


def _settable(session: Session) -> frozenset[str]:
    """Flags the login may set, on a copy too (RFC 4314 2.1)."""
    return frozenset(allowed_flags(session, _ANY_FLAG))


def _kept(session: Session) -> frozenset[str]:
    """Flags the login may not clear either: a replacement leaves them, rather than be refused for them (RFC 4314 4)."""
    return _ANY_FLAG - _settable(session)


async def _take_in(selected: Selected, stored: Stored) -> None:
    """Bring the shared index up to the outcome."""
    if stored.altered:
        await selected.index.take(stored.changed, stored.highestmodseq)
    elif stored.highestmodseq > selected.index.snapshot.highestmodseq:  # only the store knows what else happened
        await selected.index.refresh()


def _stored_text(snapshot: Snapshot, modified: list[int], by_uid: bool, missing: bool) -> str:
    if not modified:
        return "[EXPUNGEISSUED] Some messages were erased" if missing else "Stored"
    numbers = modified if by_uid else [place + 1 for place in snapshot.each(modified)]
    return f"[MODIFIED {compact(numbers).decode('ascii')}] Some were changed by another client"


# --------------------------------------------------------------------------- COPY and MOVE


async def destination(session: Session, raw: bytes) -> Folder:
    """The folder messages go to, which must be there."""
    try:
        return await session.service.store.folder(session.mailbox_id, session.name(raw))
    except NoSuchFolder:
        raise absent() from None


def absent() -> Refused:
    """There is no such folder to put messages in: the client may create it."""
    return Refused("No such folder", b"TRYCREATE")


@command("COPY", SELECTED)
def copy(session: Session, asked: v.Command) -> Awaitable[None]:
    return _copy(session, asked, by_uid=False)


@command("UID COPY", SELECTED)
def uid_copy(session: Session, asked: v.Command) -> Awaitable[None]:
    return _copy(session, asked, by_uid=True)


async def _copy(session: Session, asked: v.Command, by_uid: bool) -> None:
    selected = session.chosen()
    session.need("i")
    uids = await named(session, selected, asked.args.ranges, by_uid)
    target = await destination(session, asked.args.mailbox)
    if not uids:
        session.done(asked, "Nothing to copy", expunge=by_uid)
        return
    trace = session.trace(Kind.CHANGED, asked.name, selected.folder.reference, uids)
    store, kept = session.service.store, _settable(session) if _kept(session) else None
    copied = await store.copy(session.mailbox_id, selected.folder.id, uids, target.id, trace, kept)
    await session.service.indexes.committed(session.mailbox_id, target.id)
    if not copied.source:
        session.done(asked, "[EXPUNGEISSUED] The messages were erased", expunge=by_uid)
        return
    code = await beside(len(uids), _copyuid, copied.uidvalidity, copied.source, copied.destination)
    session.done(asked, f"[{code}] Copied", by_uid)


def _copyuid(uidvalidity: int, source: list[int], copies: list[int]) -> str:
    return f"COPYUID {uidvalidity} {compact(source).decode('ascii')} {compact(copies).decode('ascii')}"


@command("MOVE", SELECTED)
def move(session: Session, asked: v.Command) -> Awaitable[None]:
    return _move(session, asked, by_uid=False)


@command("UID MOVE", SELECTED)
def uid_move(session: Session, asked: v.Command) -> Awaitable[None]:
    return _move(session, asked, by_uid=True)


async def _move(session: Session, asked: v.Command, by_uid: bool) -> None:
    """RFC 6851: COPYUID comes untagged, before the messages are told to be gone."""
    selected = session.writable()
    session.need("ite")
    uids = await named(session, selected, asked.args.ranges, by_uid)
    target = await destination(session, asked.args.mailbox)
    if not uids:
        session.done(asked, "Nothing to move")
        return
    moved: list[Copied] = []
    try:
        for some in portions(uids):
            trace = session.trace(Kind.CHANGED, asked.name, selected.folder.reference, some)
            store = session.service.store
            moved.append(await store.move(session.mailbox_id, selected.folder.id, some, target.id, trace))
    finally:
        await _say_moved(session, moved)
    await selected.index.refresh()
    if target.id != selected.folder.id:
        await session.service.indexes.committed(session.mailbox_id, target.id)
    session.done(asked, _with_modseq(session, selected, "Moved"))


async def _say_moved(session: Session, moved: list[Copied]) -> None:
    source = [uid for one in moved for uid in one.source]
    if source:
        copies = [uid for one in moved for uid in one.destination]
        code = await beside(len(source), _copyuid, moved[0].uidvalidity, source, copies)
        session.put(b"* OK [%b] Moved\r\n" % code.encode("ascii"))


def _with_modseq(session: Session, selected: Selected, text: str) -> str:
    if "QRESYNC" in session.enabled:
        return f"[HIGHESTMODSEQ {selected.index.snapshot.highestmodseq}] {text}"
    return text


# --------------------------------------------------------------------------- EXPUNGE


@command("EXPUNGE", SELECTED)
def expunge(session: Session, asked: v.Command) -> Awaitable[None]:
    return _expunge(session, asked, None)


@command("UID EXPUNGE", SELECTED)
def uid_expunge(session: Session, asked: v.Command) -> Awaitable[None]:
    return _expunge(session, asked, asked.args)


async def _expunge(session: Session, asked: v.Command, ranges: v.Ranges | None) -> None:
    selected = session.writable()
    uids = await named(session, selected, ranges, by_uid=True) if ranges is not None else None
    session.need("e")
    await selected.index.refresh()  # what another process flagged a moment ago goes too, and is in the trace
    doomed = await to_erase(selected.index, uids)
    async for some in erasing(session, selected, asked.name, doomed):
        await selected.index.refresh()
        if some[-1] != doomed[-1]:
            await _rest(session, expunge=True)
    session.done(asked, _with_modseq(session, selected, "Expunged"))


async def erasing(session: Session, selected: Selected, name: str, doomed: list[int]) -> AsyncIterator[list[int]]:
    """Erase those of the messages that are still flagged ``\\Deleted``, portion by portion."""
    for some in portions(doomed):
        trace = session.trace(Kind.ERASED, name, selected.folder.reference, some)
        await session.service.store.expunge(session.mailbox_id, selected.folder.id, some, trace)
        yield some


async def to_erase(index: FolderIndex, uids: list[int] | None = None) -> list[int]:
    """What :func:`marked` finds now. The entries are not held on to: whoever did would free all that are erased at one go."""
    entries = index.snapshot.entries
    return await beside(len(entries), marked, entries, uids)


def marked(entries: Sequence[Entry], uids: list[int] | None = None) -> list[int]:
    """The UIDs of what is flagged ``\\Deleted``, or of those among ``uids``."""
    wanted = None if uids is None else set(uids)
    return [entry[0] for entry in entries if "\\Deleted" in entry[2] and (wanted is None or entry[0] in wanted)]
