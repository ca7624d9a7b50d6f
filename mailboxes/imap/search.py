"""Deciding which messages a SEARCH program matches (RFC 9051 6.4.4, 5032, 7162, 8474, 8514). No socket.

A program is compiled once into predicates, each knowing what it needs: the index, the summary, the raw message, or the
folded text. Messages are tried on the cheap ones first, and only survivors are read. Promise: reading is batched, the
event loop is given back between batches. Failure: ``NO [BADCHARSET]`` for a charset that is not known.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mailboxes.anatomy import Summary, decode_words
from mailboxes.headers import values
from mailboxes.imap import values as v
from mailboxes.imap.content import (
    body_has,
    fold,
    text_has,
)
from mailboxes.imap.session import BAD, Refused
from mailboxes.imap.view import Snapshot
from mailboxes.store import Entry
from mailboxes.summary import column

INDEX, SUMMARY, CONTENT, TEXT, BOTH = 0, 1, 2, 3, 4
_DAY = 86400
DEEPEST_COMMENT = 10
_COMMENT = re.compile(r"\([^()]*+\)")
_CODECS = {
    b"": "utf-8",
    b"us-ascii": "utf-8",
    b"utf-8": "utf-8",
    b"iso-8859-1": "iso-8859-1",
    b"iso-8859-15": "iso-8859-15",
    b"windows-1252": "windows-1252",
    # What programs pass on from their language's own names for them, and other servers take.
    b"ascii": "utf-8",
    b"utf8": "utf-8",
    b"latin1": "iso-8859-1",
    b"latin-1": "iso-8859-1",
    b"cp1252": "windows-1252",
}


class Message:
    """What predicates look at; what a predicate does not need may be missing."""

    __slots__ = ("content", "entry", "place", "summary", "text")

    def __init__(self, place: int, entry: Entry) -> None:
        self.place = place
        self.entry = entry
        self.summary: Summary
        self.content: bytes  # the header at least
        self.text: bytes


Predicate = Callable[[Message], bool]


class Test(NamedTuple):
    """``holds`` tells of one message; ``keep``, where there is one, picks those of many at less than the sum."""

    need: int
    holds: Predicate
    keep: Callable[[list[Message]], list[Message]] | None = None

    def kept(self, messages: list[Message]) -> list[Message]:
        if self.keep is not None:
            return self.keep(messages)
        holds = self.holds
        return [message for message in messages if holds(message)]


class Setting(NamedTuple):
    """What a program means depends on: the view, the session's recents, the saved result, now, the charset."""

    snapshot: Snapshot
    recent: frozenset[int] | set[int]
    saved: Sequence[int]
    now: float
    codec: str


def codec_of(charset: bytes, utf8: bool) -> str:
    """Python's codec for a SEARCH charset. Once UTF-8 is enabled no other may be named (RFC 6855 3)."""
    found = _CODECS.get(charset.lower())
    if utf8 and charset and found != "utf-8":
        raise Refused("Only UTF-8 once it is enabled", b"CLIENTBUG", BAD)
    if found is None:
        raise Refused("Unknown charset", b"BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ISO-8859-15 WINDOWS-1252)")
    return found


# --------------------------------------------------------------------------- compiling


def compile_key(key: v.Key, setting: Setting) -> Test:
    """One test for the whole program, built with a stack of our own."""
    done: list[Test] = []
    work: list[tuple[v.Key, bool]] = [(key, False)]
    while work:
        one, visited = work.pop()
        if one.name not in ("AND", "OR", "NOT"):
            done.append(_leaf(one, setting))
        elif visited:
            count = len(one.args)
            operands = done[len(done) - count :]
            del done[len(done) - count :]
            done.append(_joined(one.name, operands))
        else:
            work.append((one, True))
            work += [(arg, False) for arg in reversed(one.args)]
    return done[0]


def needed(tests: Sequence[Test]) -> int:
    """What all of them need: a text does not hold the header as it was written."""
    needs = {test.need for test in tests}
    return BOTH if {CONTENT, TEXT} <= needs else max(needs)


def _joined(name: str, operands: list[Test]) -> Test:
    need = needed(operands)
    if name == "NOT":
        holds = operands[0].holds
        return Test(need, lambda message: not holds(message))
    ordered = [test.holds for test in sorted(operands, key=lambda test: test.need)]
    if name == "OR":
        first, second = ordered
        return Test(need, lambda message: first(message) or second(message))
    if len(ordered) == 2:
        first, second = ordered
        return Test(need, lambda message: first(message) and second(message))
    return Test(need, lambda message: all(holds(message) for holds in ordered))


def stages(key: v.Key, setting: Setting) -> list[Test]:
    """The tests of a program, cheapest first; a message matches when all hold."""
    keys = key.args if key.name == "AND" else (key,)
    tests = [compile_key(one, setting) for one in keys]
    found: list[Test] = []
    for need in (INDEX, SUMMARY, CONTENT, TEXT, BOTH):
        same = [test for test in tests if test.need == need]
        if same:
            found.append(_joined("AND", same) if len(same) > 1 else same[0])
    return found


def _flag(word: str, wanted: bool = True) -> Test:
    if wanted:
        return Test(INDEX, lambda message: word in message.entry[2])
    return Test(INDEX, lambda message: word not in message.entry[2])


_SYSTEM = {
    "ANSWERED": "\\Answered",
    "DELETED": "\\Deleted",
    "DRAFT": "\\Draft",
    "FLAGGED": "\\Flagged",
    "SEEN": "\\Seen",
}


def _with_addresses(text: str) -> str:
    """An address field as written; where comments or spaces cut its names and addresses (RFC 5322 3.2.2, 4.4), also
    without them, as ENVELOPE has it."""
    if "(" not in text and " @" not in text and "@ " not in text:
        return text
    bare = text
    for _ in range(DEEPEST_COMMENT):
        shorter = _COMMENT.sub("", bare)
        if shorter == bare:
            break
        bare = shorter
    return "\n".join((text, " ".join(bare.split()), bare.replace(" ", "")))


_TEXTS: dict[str, Callable[[Summary], str]] = {
    "FROM": lambda summary: _with_addresses(summary.sender),
    "TO": lambda summary: _with_addresses(summary.to),
    "CC": lambda summary: _with_addresses(summary.cc),
    "BCC": lambda summary: _with_addresses(summary.bcc),
    "SUBJECT": lambda summary: summary.subject,
}


def _leaf(key: v.Key, setting: Setting) -> Test:
    name = key.name
    if name in _SYSTEM:
        return _flag(_SYSTEM[name])
    if name[:2] == "UN" and name[2:] in _SYSTEM:
        return _flag(_SYSTEM[name[2:]], wanted=False)
    if name in _TEXTS:
        return _summary_text(name, _words(key.args[0], setting))
    made = _LEAVES[name]
    return made(key, setting)


def _words(raw: bytes, setting: Setting) -> bytes:
    try:
        return fold(raw.decode(setting.codec))
    except UnicodeDecodeError:
        return fold(raw.decode("windows-1252", "replace"))


def _summary_text(name: str, needle: bytes) -> Test:
    """A word in one field. ASCII words are looked for in the packed bytes, which spares decoding 10 000 subjects."""
    read = _TEXTS[name]
    if not needle.isascii() or name != "SUBJECT":
        return Test(SUMMARY, lambda message: needle in fold(read(message.summary)))

    def keep(messages: list[Message]) -> list[Message]:
        subjects = column([message.summary for message in messages], "subject")
        return [message for message, subject in zip(messages, subjects, strict=True) if needle in _folded(subject)]

    return Test(SUMMARY, lambda message: bool(keep([message])), keep)


def _folded(subject: bytes) -> bytes:
    """What is not ASCII may fold to it: a word that is ASCII by now was perhaps not, as in ``Weißkopf``."""
    return subject.lower() if subject.isascii() else fold(subject.decode("utf-8"))


def _sequence(key: v.Key, setting: Setting) -> Test:
    if key.args[0] == v.SAVED:
        return _uids(set(setting.saved))
    places = set(setting.snapshot.by_number(key.args[0], clipped=True) or ())
    return Test(INDEX, lambda message: message.place in places)


def _uids(uids: set[int]) -> Test:
    return Test(INDEX, lambda message: message.entry[0] in uids)


def _uid(key: v.Key, setting: Setting) -> Test:
    if key.args[0] == v.SAVED:
        return _uids(set(setting.saved))
    places = setting.snapshot.by_uid(key.args[0])
    wanted = set(places)
    return Test(INDEX, lambda message: message.place in wanted)


def _keyword(wanted: bool) -> Callable[[v.Key, Setting], Test]:
    def make(key: v.Key, _setting: Setting) -> Test:
        word = key.args[0].decode("ascii").lower()
        return Test(INDEX, lambda message: (word in message.entry[2].lower().split(" ")) is wanted)

    return make


def _recent(new: bool, wanted: bool) -> Callable[[v.Key, Setting], Test]:
    def make(_key: v.Key, setting: Setting) -> Test:
        recent = setting.recent
        if new:
            return Test(INDEX, lambda message: message.entry[0] in recent and "\\Seen" not in message.entry[2])
        return Test(INDEX, lambda message: (message.entry[0] in recent) is wanted)

    return make


def local_midnight(day: int) -> float:
    """The instant a day (epoch seconds of its UTC midnight) begins where the server is."""
    at = time.gmtime(day)
    try:
        return time.mktime((at.tm_year, at.tm_mon, at.tm_mday, 0, 0, 0, 0, 0, -1))
    except (OverflowError, ValueError):
        return float(day)


def _arrived(how: str) -> Callable[[v.Key, Setting], Test]:
    """The day INTERNALDATE shows, whatever its time and zone (RFC 9051 6.4.4)."""

    def make(key: v.Key, _setting: Setting) -> Test:
        start: int = key.args[0]
        end = start + _DAY
        if how == "BEFORE":
            return Test(INDEX, lambda message: message.entry[4] + message.entry[9] * 60 < start)
        if how == "SINCE":
            return Test(INDEX, lambda message: message.entry[4] + message.entry[9] * 60 >= start)
        return Test(INDEX, lambda message: start <= message.entry[4] + message.entry[9] * 60 < end)

    return make


def _saved(how: str) -> Callable[[v.Key, Setting], Test]:
    """The day SAVEDATE shows: it is told in the server's zone (RFC 8514)."""

    def make(key: v.Key, _setting: Setting) -> Test:
        start, end = local_midnight(key.args[0]), local_midnight(key.args[0] + _DAY)
        if how == "BEFORE":
            return Test(INDEX, lambda message: message.entry[5] < start)
        if how == "SINCE":
            return Test(INDEX, lambda message: message.entry[5] >= start)
        return Test(INDEX, lambda message: start <= message.entry[5] < end)

    return make


def _sent(how: str) -> Callable[[v.Key, Setting], Test]:
    """The Date field's own day, whatever its zone."""

    def make(key: v.Key, _setting: Setting) -> Test:
        wanted: int = key.args[0] // _DAY

        def holds(message: Message) -> bool:
            date = message.summary.date
            if date is None:
                return False
            day = (date.epoch + date.offset * 60) // _DAY
            if how == "BEFORE":
                return day < wanted
            return day >= wanted if how == "SINCE" else day == wanted

        return Test(SUMMARY, holds)

    return make


def _within(older: bool) -> Callable[[v.Key, Setting], Test]:
    def make(key: v.Key, setting: Setting) -> Test:
        limit = setting.now - key.args[0]
        if older:
            return Test(INDEX, lambda message: message.entry[4] <= limit)
        return Test(INDEX, lambda message: message.entry[4] >= limit)

    return make


_SUMMED_FIELDS = {b"from": "FROM", b"to": "TO", b"cc": "CC", b"bcc": "BCC", b"subject": "SUBJECT"}


def _header(key: v.Key, setting: Setting) -> Test:
    name, needle = key.args[0].lower(), _words(key.args[1], setting)
    if needle and name in _SUMMED_FIELDS:
        return _summary_text(_SUMMED_FIELDS[name], needle)

    def holds(message: Message) -> bool:
        found = values(message.content[: message.summary.header_end], name)
        return any(not needle or needle in fold(decode_words(value)) for value in found)

    return Test(CONTENT, holds)


def _larger(key: v.Key, _setting: Setting) -> Test:
    size = key.args[0]
    return Test(INDEX, lambda message: message.entry[3] > size)


def _smaller(key: v.Key, _setting: Setting) -> Test:
    size = key.args[0]
    return Test(INDEX, lambda message: message.entry[3] < size)


def _modseq(key: v.Key, _setting: Setting) -> Test:
    least = key.args[0]
    return Test(INDEX, lambda message: message.entry[1] >= least)


def _identifier(letter: bytes, read: Callable[[Entry], int]) -> Callable[[v.Key, Setting], Test]:
    def make(key: v.Key, _setting: Setting) -> Test:
        wanted = key.args[0]
        return Test(INDEX, lambda message: b"%b%x" % (letter, read(message.entry)) == wanted)

    return make


def _in_text(where: Callable[[bytes, bytes], bool]) -> Callable[[v.Key, Setting], Test]:
    def make(key: v.Key, setting: Setting) -> Test:
        needle = _words(key.args[0], setting)
        return Test(TEXT, lambda message: where(message.text, needle))

    return make


def _always(_key: v.Key, _setting: Setting) -> Test:
    return Test(INDEX, lambda _message: True, lambda messages: messages)


_LEAVES: dict[str, Callable[[v.Key, Setting], Test]] = {
    "ALL": _always,
    "SAVEDATESUPPORTED": _always,
    "SEQUENCE": _sequence,
    "UID": _uid,
    "KEYWORD": _keyword(wanted=True),
    "UNKEYWORD": _keyword(wanted=False),
    "NEW": _recent(new=True, wanted=True),
    "RECENT": _recent(new=False, wanted=True),
    "OLD": _recent(new=False, wanted=False),
    "BEFORE": _arrived("BEFORE"),
    "ON": _arrived("ON"),
    "SINCE": _arrived("SINCE"),
    "SAVEDBEFORE": _saved("BEFORE"),
    "SAVEDON": _saved("ON"),
    "SAVEDSINCE": _saved("SINCE"),
    "SENTBEFORE": _sent("BEFORE"),
    "SENTON": _sent("ON"),
    "SENTSINCE": _sent("SINCE"),
    "OLDER": _within(older=True),
    "YOUNGER": _within(older=False),
    "LARGER": _larger,
    "SMALLER": _smaller,
    "MODSEQ": _modseq,
    "EMAILID": _identifier(b"M", lambda entry: entry[6]),
    "THREADID": _identifier(b"T", lambda entry: entry[8]),
    "HEADER": _header,
    "TEXT": _in_text(text_has),
    "BODY": _in_text(body_has),
}
