"""Untagged news of the selected folder: EXPUNGE or VANISHED, EXISTS, RECENT, FLAGS, FETCH (RFC 9051 7.4, 7.5).

Promise: called only between answers; EXPUNGE only when the caller says the command allows it; numbers always mean what
the client was told before; a change the client made itself is not repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mailboxes.imap.beside import let_go
from mailboxes.imap.sets import compact
from mailboxes.imap.view import Ahead, News, Snapshot, news
from mailboxes.store import Entry

if TYPE_CHECKING:
    from mailboxes.imap.session import Selected, Session

SYSTEM_FLAGS = "\\Answered \\Flagged \\Deleted \\Seen \\Draft"
_RIGHT = {"\\Seen": "s", "\\Deleted": "t"}
_ENCODED: dict[str, bytes] = {}


def flag_bytes(flags: str) -> bytes:
    """A canonical flag string as bytes; a folder has few different ones."""
    found = _ENCODED.get(flags)
    if found is None:
        if len(_ENCODED) > 20_000:
            _ENCODED.clear()
        found = _ENCODED[flags] = flags.encode("utf-8")
    return found


def flags_of(selected: Selected, entry: Entry) -> bytes:
    """Flags as FETCH shows them, ``\\Recent`` included for the session that has it."""
    flags = flag_bytes(entry[2])
    if entry[0] in selected.recent:
        return flags + b" \\Recent" if flags else b"\\Recent"
    return flags


def announce(session: Session, may_expunge: bool, most: int = 1 << 62) -> bool:
    """Say everything new that may be said now, or some ``most`` of it, and move the session's view there.

    Returns whether EXISTS was said.
    """
    selected = session.chosen()
    heard = news(selected.index, selected.snapshot, selected.step, may_expunge, most)
    if heard is None:
        return False
    before, recents = selected.snapshot, len(selected.recent)
    if selected.contexts and heard.vanished:
        _leaving(session, selected, heard, before)
    if heard.vanished:
        _erase(session, selected, heard.vanished, before)
    selected.snapshot, selected.step = heard.snapshot, heard.step
    say_keywords(session, selected)
    count = len(heard.snapshot.uids)
    known_last = before.uids[-1] if before.uids else 0
    grown = count > len(before.uids) - len(heard.vanished)
    if grown:
        say_exists(session, selected, count)
    elif len(selected.recent) != recents and not session.rev2:
        say_recent(session, selected)
    told = selected.told
    known = [
        entry
        for entry in heard.changed
        if entry[0] <= known_last and (entry[0] not in told or told[entry[0]][1] < entry[1])
    ]
    if known:
        if selected.step.following is not None:  # the rest waits; what is known of these does not
            known = latest(selected, known)
            told.update((entry[0], entry) for entry in known)
        say_flags(session, selected, known)
    if selected.step.following is None and (told or selected.unheard is not None):
        let_go(told, selected.unheard.look() if selected.unheard is not None else {})
        selected.told, selected.unheard = {}, None
    if session.notify is not None and session.notify.items:
        session.notify.arrived(selected, [entry for entry in heard.changed if entry[0] > known_last])
    if selected.contexts:
        _entering(session, selected, heard)
    if heard.vanished and session.listening and "QRESYNC" in session.enabled:
        # VANISHED has no MODSEQ of its own: who listens would not know that he stands elsewhere now. interimap goes by the
        # number alone and left the erasure undone on its other side. Dovecot tells it too.
        session.put(b"* OK [HIGHESTMODSEQ %d] Highest\r\n" % max(heard.snapshot.highestmodseq, 1))
    return grown


def latest(selected: Selected, entries: Iterable[Entry]) -> list[Entry]:
    """The entries as they are now; those erased since, as they were last known."""
    known = list(entries)
    current = selected.index.snapshot
    places = current.each([entry[0] for entry in known])
    if -1 not in places:
        return [current.entries[place] for place in places]
    unheard = selected.unheard
    if unheard is None:
        unheard = selected.unheard = Ahead(selected.step)
    ahead, told = unheard.look(), selected.told

    def last(entry: Entry) -> Entry:
        newer = ahead.get(entry[0], entry)
        said = told.get(entry[0])
        return said if said is not None and said[1] >= newer[1] else newer

    return [current.entries[place] if place >= 0 else last(entry) for entry, place in zip(known, places, strict=True)]


def _erase(session: Session, selected: Selected, vanished: list[int], before: Snapshot) -> None:
    if session.vanishing:
        session.put(b"* VANISHED %b\r\n" % compact(vanished))
    else:
        session.put(b"".join([b"* %d EXPUNGE\r\n" % (place + 1) for place in reversed(before.each(vanished))]))
    gone = set(vanished)
    if selected.recent:
        selected.recent -= gone
    if selected.saved:
        selected.saved = [uid for uid in selected.saved if uid not in gone]


def say_exists(session: Session, selected: Selected, count: int) -> None:
    """EXISTS, and in IMAP4rev1 RECENT; the first session told of a message has it as recent.

    IMAP4rev2 knows no ``\\Recent`` (RFC 9051, appendix E): there nobody has it.
    """
    session.put(b"* %d EXISTS\r\n" % count)
    if not selected.readonly:
        given = selected.index.recents.take(selected.snapshot.uids, selected.snapshot.uidnext)
        if not session.rev2:
            selected.recent = selected.recent | given if selected.recent else given
    if not session.rev2:
        say_recent(session, selected)


def say_recent(session: Session, selected: Selected) -> None:
    session.put(b"* %d RECENT\r\n" % len(selected.recent))


def say_keywords(session: Session, selected: Selected) -> None:
    """FLAGS and PERMANENTFLAGS, again when a keyword appeared."""
    keywords = selected.index.keywords
    if len(keywords) == selected.keywords_told:
        return
    selected.keywords_told = len(keywords)
    say_flag_list(session, selected)


def say_flag_list(session: Session, selected: Selected) -> None:
    names = [*SYSTEM_FLAGS.split(), *selected.index.keywords.values()]
    session.put(b"* FLAGS (%b)\r\n" % " ".join(names).encode("utf-8"))
    permanent = [] if selected.readonly else allowed_flags(session, [*names, "\\*"])
    session.put(b"* OK [PERMANENTFLAGS (%b)] Limited\r\n" % " ".join(permanent).encode("utf-8"))


def allowed_flags(session: Session, flags: Iterable[str]) -> list[str]:
    """Those the login may set: ``s`` for Seen, ``t`` for Deleted, ``w`` for the others (RFC 4314 4, 5.2)."""
    assert session.standing is not None
    return [flag for flag in flags if _RIGHT.get(flag, "w") in session.standing.rights]


def say_flags(
    session: Session, selected: Selected, entries: Sequence[Entry], with_uid: bool = False, silent: bool = False
) -> None:
    """``FETCH (FLAGS ...)`` of messages the session knows; ``silent`` leaves the flags out (MODSEQ only)."""
    places = selected.snapshot.each([entry[0] for entry in entries])
    selected.ahead = selected.ahead or session.condstore
    uid_too = (with_uid or session.vanishing) and not session.uidonly
    lines: list[bytes] = []
    for entry, place in zip(entries, places, strict=True):
        pieces = [b"UID %d" % entry[0]] if uid_too else []
        if not silent:
            pieces.append(b"FLAGS (%b)" % flags_of(selected, entry))
        if session.condstore:
            pieces.append(b"MODSEQ (%d)" % entry[1])
        if session.uidonly:
            lines.append(b"* %d UIDFETCH (%b)\r\n" % (entry[0], b" ".join(pieces)))
            continue
        if place >= 0:
            lines.append(b"* %d FETCH (%b)\r\n" % (place + 1, b" ".join(pieces)))
    session.put(b"".join(lines))


def say_behind(session: Session, selected: Selected) -> None:
    """A MODSEQ was told that is newer than an erasure not told yet: a client that leaves now and comes back with QRESYNC
    must start from before that erasure (RFC 7162 3.1.2.1)."""
    if selected.ahead and selected.step.following is not None and "QRESYNC" in session.enabled:
        session.put(b"* OK [HIGHESTMODSEQ %d] Some messages were erased\r\n" % max(selected.snapshot.highestmodseq, 1))
    selected.ahead = False


def _leaving(session: Session, selected: Selected, heard: News, before: Snapshot) -> None:
    for context in selected.contexts.values():
        context.vanished(session, heard.vanished, before)


def _entering(session: Session, selected: Selected, heard: News) -> None:
    for context in tuple(selected.contexts.values()):
        context.changed(session, selected, heard.changed)
