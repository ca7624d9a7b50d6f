"""What one mail program hears of a folder, and the lies it would notice.

A :class:`Hearing` sends commands, one by one or several at once, and keeps what it is told: which message each number
is, flags, MODSEQ, keywords. A :class:`World` is what the programs on one folder share: what never changes about a
message, whose ``\\Recent`` it is, what was appended and copied.

What makes a :class:`Lie`: a number out of range or with another UID; UIDs that do not grow; EXISTS that shrinks; EXPUNGE
while a command that names numbers is under way; a keyword FLAGS did not announce, or PERMANENTFLAGS without FLAGS; a
flag lost that only this program changes; ``\\Recent`` in two sessions; MODSEQ that goes back; an answer that contradicts
the message as it was sent, or an earlier answer; NO or BAD to what is right; silence; BYE without LOGOUT.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.mailboxes.imap.letters import Letter, Post
from tests.mailboxes.imap.replies import Value, items, listed, numbers, octets, read

PATIENCE = 30.0
STATIC = (b"ENVELOPE", b"BODY", b"BODYSTRUCTURE", b"INTERNALDATE", b"RFC822.SIZE", b"EMAILID")
OWNED = ("\\answered $suivi", "\\flagged $important", "\\draft nonlu", "\\seen urgent")
_LITERAL = re.compile(rb"~?\{([0-9]+)\}\r\n\Z")
_CODE = re.compile(rb"\[([A-Z0-9-]+)(?: ([^\]]*))?\](.*)", re.DOTALL)


class Lie(AssertionError):
    """The server contradicted itself, the message or the protocol."""


@dataclass(frozen=True)
class Account:
    """Where the folder is and how to get in."""

    host: str
    port: int
    tls: ssl.SSLContext
    login: str
    password: str


@dataclass
class Seen:
    """One message as one player knows it. ``kept`` are the player's own flags, once it knows them."""

    uid: int = 0
    flags: frozenset[str] | None = None
    modseq: int = 0
    kept: frozenset[str] | None = None
    unsure: int = 0  # STOREs under way


@dataclass
class Asked:
    """A command sent. ``places`` are the numbers it names: they must not move before it is answered."""

    line: bytes
    places: Sequence[int] = ()
    ended: Callable[[bytes, bytes], None] | None = None  # status and text
    answered_by: bytes = b""  # the word its data begins with
    heard: dict[int, dict[bytes, Value]] = field(default_factory=dict)  # FETCH responses while it was answered
    answers: list[bytes] = field(default_factory=list)  # other data
    size: int = 0  # of the view when that was heard


class World:
    """What the players of one folder share."""

    def __init__(self, name: str, seed: int, folder: str = "INBOX") -> None:
        self.folder = folder
        self.post = Post(name, seed)
        self.letters: dict[bytes, Letter] = {}
        self.given: dict[int, Letter] = {}
        self.facts: dict[int, dict[bytes, Value]] = {}
        self.recent: dict[int, int] = {}
        self.sessions = 0
        self.ended_sessions = 0
        self.uidvalidity = 0
        self.copies: dict[int, int] = {}
        self.steps = 0

    def fact(self, uid: int, name: bytes, value: Value) -> None:
        """A thing that never changes about a message."""
        known = self.facts.setdefault(uid, {})
        if known.setdefault(name, value) != value:
            raise Lie(f"UID {uid}: {name!r} was {known[name]!r}, is {value!r}")
        if name == b"ENVELOPE" and isinstance(value, list) and isinstance(value[9], bytes):
            letter = self.letters.get(value[9])
            if letter is not None and self.given.setdefault(uid, letter) is not letter:
                raise Lie(f"UID {uid} is another message than the one appended")

    def letter(self, uid: int) -> Letter | None:
        return self.given.get(uid)

    def new_letter(self) -> Letter:
        letter = self.post.next()
        self.letters[letter.identifier] = letter
        return letter


def owned(number: int) -> frozenset[str]:
    """The flags only that program changes: lines of :data:`OWNED`, then keywords of its own."""
    return frozenset(OWNED[number].split() if number < len(OWNED) else (f"$e{number}", f"f{number}"))


class Hearing:
    """One mail program: its connection and its view. ``own`` are the flags nobody else changes."""

    def __init__(self, world: World, number: int, account: Account, *, qresync: bool = False) -> None:
        self.world = world
        self.number = number
        self.account = account
        self.own = owned(number)
        self.qresync = qresync
        self.view: list[Seen] = []
        self.keywords: set[str] = set()
        self.permanent: set[str] = set()
        self.recent = 0
        self.highest = 0
        self.untold_highest = 0
        self.session = 0
        self.pending: deque[Asked] = deque()
        self.tags: deque[bytes] = deque()
        self.count = 0
        self.leaving = False
        self.said_bye = False
        self.resyncing = False
        self.vanished_earlier: set[int] = set()
        self.log: deque[bytes] = deque(maxlen=400)

    # the wire

    async def connect(self) -> None:
        account = self.account
        self.reader, self.writer = await asyncio.open_connection(
            account.host, account.port, ssl=account.tls, limit=1 << 26
        )
        self.leaving = self.said_bye = False
        self.world.sessions += 1
        self.session = self.world.sessions
        greeting = await self._line()
        if not greeting.startswith(b"* OK "):
            raise Lie(greeting)
        login = f'LOGIN "{account.login}" "{account.password}"'.encode()
        await self.play([Asked(login), *([Asked(b"ENABLE QRESYNC")] if self.qresync else [])])

    async def _line(self) -> bytes:
        said = b""
        while True:
            try:
                piece = await asyncio.wait_for(self.reader.readline(), PATIENCE)
            except TimeoutError:
                raise Lie(f"silence after {[one.line[:80] for one in self.pending]}") from None
            if not piece:
                raise Lie(f"disconnected after {[one.line[:80] for one in self.pending]}")
            said += piece
            found = _LITERAL.search(piece)
            if not found:
                self.log.append(said[:300])
                return said.removesuffix(b"\r\n")
            said += await asyncio.wait_for(self.reader.readexactly(int(found[1])), PATIENCE)

    async def play(self, burst: Sequence[Asked]) -> None:
        """Send commands together, hear their answers."""
        raw = []
        for asked in burst:
            self.count += 1
            tag = b"%d.%d" % (self.number, self.count)
            self.tags.append(tag)
            self.pending.append(asked)
            raw.append(tag + b" " + asked.line + b"\r\n")
            self.log.append(b">> " + tag + b" " + asked.line[:200])
        self.writer.write(b"".join(raw))
        await self.writer.drain()
        while self.pending:
            self.hear(await self._line())

    def hear(self, line: bytes) -> None:
        try:
            if line.startswith(b"* "):
                self._untagged(line[2:])
            else:
                self._tagged(line)
        except (Lie, ValueError, IndexError, KeyError) as error:
            told = b"\n".join(self.log).decode("utf-8", "replace")
            raise Lie(f"player {self.number}: {error!r}\nat {line[:500]!r}\nafter:\n{told}") from error

    def _tagged(self, line: bytes) -> None:
        tag, status, text = line.split(b" ", 2)
        if not self.tags or tag != self.tags[0]:
            raise Lie("another tag was expected")
        self.tags.popleft()
        asked = self.pending.popleft()
        self._code(text)
        self.highest = max(self.highest, self.untold_highest)
        self.untold_highest = 0
        if asked.ended is not None:
            asked.ended(status, text)
        elif status != b"OK":
            raise Lie(f"{asked.line[:200]!r} was refused")

    # data

    def _untagged(self, line: bytes) -> None:
        first, _, rest = line.partition(b" ")
        if first.isdigit():
            kind, _, rest = rest.partition(b" ")
            self._numbered(int(first), kind, rest, line)
        elif first in (b"OK", b"NO", b"BAD"):
            if first != b"OK":
                raise Lie("an untagged refusal")
            self._code(rest)
        elif first == b"BYE":
            if not self.leaving:
                raise Lie("BYE without LOGOUT")
            self.said_bye = True
        elif first == b"FLAGS":
            self._flag_list(rest)
        elif first == b"VANISHED":
            self._vanished(rest)
        else:
            read(line)
            for asked in self.pending:  # at most one under way is answered by such a line
                if asked.answered_by == first:
                    asked.answers.append(line)
                    asked.size = len(self.view)
                    break

    def _numbered(self, number: int, kind: bytes, rest: bytes, line: bytes) -> None:
        if kind == b"EXISTS":
            if number < len(self.view) and not self.resyncing:
                raise Lie(f"EXISTS shrinks from {len(self.view)}")
            self.view += [Seen() for _ in range(number - len(self.view))]
        elif kind == b"RECENT":
            self.recent = number
        elif kind == b"EXPUNGE":
            self._expunged(number)
        elif kind == b"FETCH":
            self._fetched(number, items(read(rest)[0]))
        else:
            raise Lie(line)

    def _expunged(self, number: int) -> None:
        if any(asked.places for asked in self.pending):
            raise Lie("EXPUNGE while numbers are in use")
        if not 1 <= number <= len(self.view):
            raise Lie(f"EXPUNGE of {len(self.view)} messages")
        del self.view[number - 1]

    def _vanished(self, rest: bytes) -> None:
        if not self.qresync:
            raise Lie("VANISHED without QRESYNC")
        gone = set(numbers(rest.rpartition(b" ")[2]))
        if rest.startswith(b"(EARLIER)"):
            if not self.resyncing:
                raise Lie("EARLIER without asking")
            self.vanished_earlier |= gone
            return
        if any(asked.places for asked in self.pending):
            raise Lie("VANISHED while numbers are in use")
        for uid in sorted(gone):
            self._vanish(uid)

    def _vanish(self, uid: int) -> None:
        """The message of that UID, or a nameless one that stands where it must be."""
        place = next((place for place, seen in enumerate(self.view) if seen.uid >= uid), len(self.view))
        if place < len(self.view) and self.view[place].uid == uid:
            del self.view[place]
        elif place and not self.view[place - 1].uid:
            del self.view[place - 1]
        else:
            raise Lie(f"UID {uid} was not there")

    def _fetched(self, number: int, found: dict[bytes, Value]) -> None:
        if not 1 <= number <= len(self.view):
            raise Lie(f"FETCH of {len(self.view)} messages")
        seen = self.view[number - 1]
        if self.pending:
            self.pending[0].heard.setdefault(number, {}).update(found)
        if b"UID" in found:
            self._identified(number, seen, int(octets(found[b"UID"])))
        if b"MODSEQ" in found:
            modseq = int(octets(listed(found[b"MODSEQ"])[0]))
            if modseq < seen.modseq:
                raise Lie(f"MODSEQ goes back from {seen.modseq}")
            seen.modseq = modseq
            self.untold_highest = max(self.untold_highest, modseq)
        if b"FLAGS" in found:
            self._flagged(seen, frozenset(octets(flag).decode().lower() for flag in listed(found[b"FLAGS"])))
        if seen.uid:
            self._compared(seen.uid, found)

    def _identified(self, number: int, seen: Seen, uid: int) -> None:
        if seen.uid and seen.uid != uid:
            raise Lie(f"number {number} was UID {seen.uid}")
        seen.uid = uid
        before = next((one.uid for one in reversed(self.view[: number - 1]) if one.uid), 0)
        after = next((one.uid for one in self.view[number:] if one.uid), 1 << 32)
        if not before < uid < after:
            raise Lie(f"UID {uid} stands between {before} and {after}")

    def _flagged(self, seen: Seen, flags: frozenset[str]) -> None:
        unknown = {flag for flag in flags if flag[0] != "\\"} - self.keywords
        if unknown:
            raise Lie(f"keywords {unknown} are not in FLAGS")
        seen.flags = flags
        if seen.unsure == 0:
            if seen.kept is not None and seen.kept != flags & self.own:
                raise Lie(f"own flags of UID {seen.uid} were {set(seen.kept)}, are {set(flags & self.own)}")
            seen.kept = flags & self.own
        if "\\recent" in flags and seen.uid:
            owner = self.world.recent.setdefault(seen.uid, self.session)
            if owner != self.session:
                raise Lie(f"UID {seen.uid} is \\Recent in sessions {owner} and {self.session}")

    def _compared(self, uid: int, found: dict[bytes, Value]) -> None:
        for name in STATIC:
            if name in found:
                self.world.fact(uid, name, found[name])
        letter = self.world.letter(uid)
        if letter is None:
            return
        expected: dict[bytes, bytes] = {
            b"BODY[]": letter.content,
            b"BODY[HEADER]": letter.header,
            b"RFC822.HEADER": letter.header,
            b"BODY[TEXT]": letter.text,
            b"RFC822.SIZE": b"%d" % len(letter.content),
        }
        for name, value in found.items():
            if name.startswith(b"BODY[HEADER.FIELDS ("):
                expected[name] = letter.fields(name[len(b"BODY[HEADER.FIELDS (") : -2].split())
            if name in expected and value != expected[name]:
                raise Lie(f"{name!r} of UID {uid} is not the message's")

    def _flag_list(self, rest: bytes) -> None:
        named = {octets(flag).decode().lower() for flag in listed(read(rest)[0])}
        self.keywords = {flag for flag in named if flag[0] != "\\"}
        used = {flag for seen in self.view for flag in seen.flags or () if flag[0] != "\\"}
        if used - self.keywords:
            raise Lie(f"keywords {used - self.keywords} are in use")

    def _code(self, text: bytes) -> None:
        if not text.strip():
            raise Lie("a response without text")
        if not text.startswith(b"["):
            read(text)  # a program may parse it: parentheses and quotes must be even
            return
        found = _CODE.match(text)
        if not found or not found[3].startswith(b" ") or not found[3].strip():
            raise Lie("a response code without text")
        read(found[3])
        name, value = found[1], found[2] or b""
        if name == b"PERMANENTFLAGS":
            named = {octets(flag).decode().lower() for flag in listed(read(value)[0])}
            self.permanent = named
            if {flag for flag in named if flag[0] != "\\"} - self.keywords:
                raise Lie("PERMANENTFLAGS names a keyword FLAGS did not")
        elif name == b"HIGHESTMODSEQ":
            self.highest, self.untold_highest = int(value), 0
        elif name == b"UIDVALIDITY":
            if self.world.uidvalidity not in (0, int(value)):
                raise Lie(f"UIDVALIDITY was {self.world.uidvalidity}")
            self.world.uidvalidity = int(value)
        elif name == b"COPYUID":
            _, source, copies = value.split(b" ")
            self.world.copies.update(zip(numbers(copies), numbers(source), strict=True))
