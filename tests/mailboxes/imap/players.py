"""Random mail programs: what they do, and what each answer must be.

A :class:`Player` reads, flags, copies, moves, erases, searches, idles, leaves and comes back; some resynchronise with
QRESYNC. Besides what :mod:`tests.mailboxes.imap.hearing` notices, these are lies: a FETCH that leaves a message out, a
STORE that does not say its outcome, a SEARCH or SORT that contradicts the messages, a resynchronisation that hides a
change, LOGOUT without BYE.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Sequence

from tests.mailboxes.imap.hearing import PATIENCE, Account, Asked, Hearing, Lie, Seen, World
from tests.mailboxes.imap.letters import Letter
from tests.mailboxes.imap.replies import octets

COPIES = "Copies"

Holds = Callable[[Seen], bool | None]
"""Whether a message matches, as far as a player knows."""


class Player(Hearing):
    """One mail program at random."""

    def __init__(self, world: World, number: int, account: Account, seed: int, *, qresync: bool = False) -> None:
        super().__init__(world, number, account, qresync=qresync)
        self.random = random.Random(seed)
        self.kept_view: list[Seen] = []  # of the last session, for QRESYNC
        self.threads: list[bytes] = []  # at the last checkpoint

    # sessions

    async def select(self) -> None:
        self.view, self.keywords, self.recent = [], set(), 0
        name = self.world.folder.encode()
        if self.qresync and self.kept_view:
            await self._resynchronise(name)
            return
        self.highest = self.untold_highest = 0
        await self.play([Asked(b'SELECT "%b" (CONDSTORE)' % name)])

    async def _resynchronise(self, name: bytes) -> None:
        """SELECT with what the last session knew; nothing may be missing from the difference."""
        known, self.kept_view = self.kept_view, []
        self.resyncing, self.vanished_earlier = True, set()
        asked = Asked(b'SELECT "%b" (QRESYNC (%d %d))' % (name, self.world.uidvalidity, self.highest))
        await self.play([asked])
        self.resyncing = False
        told = {int(octets(found[b"UID"])) for found in asked.heard.values()}
        expected = {seen.uid: seen for seen in known if seen.uid not in self.vanished_earlier}
        opened_at = self.highest
        await self.play([Asked(b"FETCH 1:* (UID FLAGS MODSEQ)")] if self.view else [])
        there = {seen.uid: seen for seen in self.view if seen.uid}
        missing = [uid for uid in expected if uid not in there]
        if missing:
            raise Lie(f"player {self.number}: UIDs {missing} vanished untold, {sorted(there)} are there")
        for uid, seen in there.items():
            if uid in told or seen.modseq > opened_at:  # told, or changed since
                continue
            if uid not in expected:
                raise Lie(f"player {self.number}: UID {uid} appeared untold")
            if (seen.flags or frozenset()) - {"\\recent"} != expected[uid].flags:
                raise Lie(f"player {self.number}: flags of UID {uid} changed untold")

    async def leave(self) -> None:
        """LOGOUT, or just go."""
        self._keep_view()
        if self.random.random() < 0.5:
            self.leaving = True
            await self.play([Asked(b"LOGOUT")])
            if not self.said_bye:
                raise Lie("LOGOUT without BYE")
            if await asyncio.wait_for(self.reader.read(1), PATIENCE):
                raise Lie("data after LOGOUT")
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except (OSError, ssl.SSLError):
            pass
        self.world.ended_sessions += 1
        self.pending.clear()
        self.tags.clear()

    def _keep_view(self) -> None:
        if self.qresync and self.view and all(seen.uid and seen.flags is not None for seen in self.view):
            plain = [Seen(seen.uid, (seen.flags or frozenset()) - {"\\recent"}) for seen in self.view]
            self.kept_view = plain

    async def again(self) -> None:
        await self.leave()
        await self.connect()
        await self.select()

    # what a player does

    async def step(self) -> None:
        self.world.steps += 1
        choose = self.random
        if choose.random() < 0.02:
            await self.again()
        elif choose.random() < 0.05:
            await self._idle()
        elif not self.view:
            await self.play([self._append()])
        else:
            burst = [self._with_numbers() for _ in range(choose.choice([0, 1, 1, 1, 2, 4]))]
            burst += [self._without_numbers() for _ in range(choose.choice([0, 1, 1]))]
            await self.play(_unambiguous([asked for asked in burst if asked is not None]))

    def _with_numbers(self) -> Asked | None:
        makers = [self._fetch, self._fetch, self._fetch_body, self._store, self._store, self._delete]
        makers += [self._search, self._sort, self._esearch]
        return self.random.choice(makers)()

    def _without_numbers(self) -> Asked | None:
        makers: list[Callable[[], Asked | None]] = [self._append] * (3 if len(self.view) < 30 else 1)
        makers += [self._plain, self._plain, self._uid_fetch, self._uid_store, self._copy, self._move]
        return self.random.choice(makers)()

    def _places(self, most: int = 8) -> list[int]:
        count = min(self.random.randint(1, most), len(self.view))
        return sorted(self.random.sample(range(1, len(self.view) + 1), count))

    def _plain(self) -> Asked:
        folder = self.world.folder.encode()
        status = b'STATUS "%b" (MESSAGES UNSEEN RECENT)' % folder
        words = [b"NOOP", b"CHECK", b'LIST "" *', status, b"EXPUNGE", b"EXPUNGE"]
        return Asked(self.random.choice(words))

    def _fetch(self) -> Asked:
        pool = [b"FLAGS", b"ENVELOPE", b"INTERNALDATE", b"BODY", b"BODYSTRUCTURE", b"RFC822.SIZE", b"EMAILID"]
        pool += [b"BODY.PEEK[HEADER.FIELDS (Subject Message-ID X-None)]", b"MODSEQ"]
        wanted = [b"UID", *self.random.sample(pool, self.random.randint(1, 4))]
        places = self._places(30)
        asked = Asked(b"FETCH %b (%b)" % (_set(places), b" ".join(wanted)), places)
        asked.ended = lambda status, text: self._all_there(asked, [b"UID"], status, text)
        return asked

    def _all_there(self, asked: Asked, names: list[bytes], status: bytes, text: bytes) -> None:
        if status != b"OK":
            raise Lie(f"{asked.line!r} was refused")
        if b"EXPUNGEISSUED" in text:
            return
        for place in asked.places:
            if any(name not in asked.heard.get(place, {}) for name in names):
                raise Lie(f"{asked.line!r} did not answer {names} for {place}")

    def _fetch_body(self) -> Asked:
        item = self.random.choice([b"BODY.PEEK[]", b"BODY.PEEK[HEADER]", b"BODY.PEEK[TEXT]", b"RFC822.HEADER"])
        places = self._places(2)
        asked = Asked(b"FETCH %b (UID ENVELOPE %b)" % (_set(places), item), places)
        name = item.replace(b".PEEK", b"")
        asked.ended = lambda status, text: self._all_there(asked, [b"UID", name], status, text)
        return asked

    def _store(self) -> Asked:
        flags = frozenset(self.random.sample(sorted(self.own), self.random.randint(0, len(self.own))))
        return self._storing(self._places(), self.random.choice("+-"), flags, silent=self.random.random() < 0.4)

    def _delete(self) -> Asked | None:
        if self.random.random() < 0.4:
            return None
        return self._storing(self._places(2), "+", frozenset(("\\deleted",)), silent=self.random.random() < 0.5)

    def _storing(self, places: list[int], sign: str, flags: frozenset[str], *, silent: bool) -> Asked:
        named = [self.view[place - 1] for place in places]
        for seen in named:
            seen.unsure += 1
        word = b"FLAGS.SILENT" if silent else b"FLAGS"
        line = b"STORE %b %b%b (%b)" % (_set(places), sign.encode(), word, " ".join(sorted(flags)).encode())
        asked = Asked(line, places)
        asked.ended = lambda status, text: self._stored(asked, named, sign, flags, silent, status)
        return asked

    def _stored(
        self, asked: Asked, named: list[Seen], sign: str, flags: frozenset[str], silent: bool, status: bytes
    ) -> None:
        if status != b"OK":
            raise Lie(f"{asked.line!r} was refused")
        for place, seen in zip(asked.places, named, strict=True):
            seen.unsure -= 1
            if seen.kept is not None:
                mine = flags & self.own
                seen.kept = seen.kept | mine if sign == "+" else seen.kept - mine
            if silent:
                if seen.flags is not None:
                    seen.flags = seen.flags | flags if sign == "+" else seen.flags - flags
                continue
            if b"FLAGS" not in asked.heard.get(place, {}):
                raise Lie(f"{asked.line!r} said nothing of {place}")
            shown = seen.flags or frozenset()
            if (flags - shown) if sign == "+" else (flags & shown):
                raise Lie(f"{asked.line!r} left {set(shown)} at {place}")
            if seen.unsure == 0:
                seen.kept = shown & self.own

    def _uid_fetch(self) -> Asked | None:
        known = [seen.uid for seen in self.view if seen.uid]
        if not known:
            return Asked(b"UID FETCH 1:* (FLAGS)")
        wanted = sorted(self.random.sample(known, min(4, len(known))))
        return Asked(b"UID FETCH %b (FLAGS MODSEQ)" % _set(wanted))

    def _uid_store(self) -> Asked | None:
        known = [seen for seen in self.view if seen.uid]
        if not known:
            return None
        seen = self.random.choice(known)
        flag = self.random.choice(sorted(self.own))
        seen.unsure += 1

        def stored(status: bytes, _text: bytes) -> None:
            if status != b"OK":
                raise Lie("UID STORE was refused")
            seen.unsure -= 1
            if seen.kept is not None:
                seen.kept |= {flag}

        return Asked(b"UID STORE %d +FLAGS (%b)" % (seen.uid, flag.encode()), ended=stored)

    def _append(self) -> Asked:
        letter = self.world.new_letter()
        flags = " ".join(self.random.sample(sorted(self.own), self.random.randint(0, 2)))
        lead = f'APPEND "{self.world.folder}" ({flags}) "{letter.date.decode()}" '.encode()
        asked = Asked(lead + b"{%d+}\r\n" % len(letter.content) + letter.content)

        def appended(status: bytes, text: bytes) -> None:
            if status != b"OK":
                raise Lie("APPEND was refused")
            uid = int(text.split(b"]")[0].split(b" ")[-1])
            self.world.given[uid] = letter
            self.world.fact(uid, b"INTERNALDATE", letter.date)

        asked.ended = appended
        return asked

    def _copy(self) -> Asked:
        return self._transfer(b"COPY")

    def _move(self) -> Asked | None:
        return self._transfer(b"MOVE") if self.random.random() < 0.3 else None

    def _transfer(self, word: bytes) -> Asked:
        places = self._places(3)
        asked = Asked(b"%b %b %b" % (word, _set(places), COPIES.encode()))

        def ended(status: bytes, text: bytes) -> None:
            if status != b"OK" and b"EXPUNGEISSUED" not in text:
                raise Lie(f"{word!r} was refused")

        asked.ended = ended
        return asked

    async def _idle(self) -> None:
        self.count += 1
        tag = b"%d.%d" % (self.number, self.count)
        self.writer.write(tag + b" IDLE\r\n")
        while not (line := await self._line()).startswith(b"+"):
            self.hear(line)
        end = asyncio.get_running_loop().time() + self.random.random() / 5
        while (left := end - asyncio.get_running_loop().time()) > 0:
            try:
                line = await asyncio.wait_for(asyncio.shield(self._reading()), left)
            except TimeoutError:
                break
            self._told = None
            self.hear(line)
        self.pending.append(Asked(b"IDLE"))
        self.tags.append(tag)
        self.writer.write(b"DONE\r\n")
        while self.pending:
            line = await self._reading()
            self._told = None
            self.hear(line)

    _told: asyncio.Future[bytes] | None = None

    def _reading(self) -> Awaitable[bytes]:
        if self._told is None:
            self._told = asyncio.ensure_future(self._line())
        return self._told

    # SEARCH and SORT

    def _search(self) -> Asked:
        words, holds = self._key()
        places = range(1, len(self.view) + 1)
        asked = Asked(b"SEARCH " + words, places, answered_by=b"SEARCH")

        def ended(status: bytes, text: bytes) -> None:
            if status != b"OK":
                raise Lie(f"{asked.line!r} was refused")
            found = _numbers_of(asked, b"SEARCH")
            for place, seen in enumerate(self.view[: asked.size], 1):
                wanted = holds(seen)
                if (wanted is True and place not in found and b"EXPUNGEISSUED" not in text) or (
                    wanted is False and place in found
                ):
                    raise Lie(f"{asked.line!r} answers {found}, UID {seen.uid} is {'' if wanted else 'not '}there")

        asked.ended = ended
        return asked

    def _key(self) -> tuple[bytes, Holds]:
        """A search key, and whether a message matches as far as this player knows."""
        choose = self.random.randrange(6)
        letter = self.random.choice(self.world.post.made) if self.world.post.made else None
        if choose == 0 or letter is None:
            flag = self.random.choice(sorted(self.own))
            word = flag[1:].upper() if flag[0] == "\\" else f"KEYWORD {flag}"
            return word.encode(), lambda seen: None if seen.kept is None else flag in seen.kept
        if choose == 1:
            size = len(letter.content)
            return b"LARGER %d" % size, self._of_letter(lambda one: len(one.content) > size)
        if choose == 2:
            word = self.random.choice([b"SUBJECT", b"TEXT"])
            return b"%b %b" % (word, letter.word), self._of_letter(lambda one: one is letter)
        if choose == 3:
            day = letter.day
            return b"ON " + letter.date[:11], self._of_letter(lambda one: one.day == day)
        if choose == 4:
            day = letter.day
            key = b"NOT OR SINCE %b HEADER Message-ID %b" % (letter.date[:11], letter.identifier)
            return key, self._of_letter(lambda one: one.day < day and one is not letter)
        uids = sorted(seen.uid for seen in self.view if seen.uid)[:20]
        if not uids:
            return b"ALL", lambda _seen: True
        return b"UID %b" % _set(uids), lambda seen: None if not seen.uid else seen.uid in uids

    def _of_letter(self, holds: Callable[[Letter], bool]) -> Holds:
        def asked(seen: Seen) -> bool | None:
            letter = self.world.letter(seen.uid) if seen.uid else None
            return None if letter is None else holds(letter)

        return asked

    def _sort(self) -> Asked:
        name, key = self.random.choice([(b"SIZE", lambda one: len(one.content)), (b"DATE", lambda one: one.sent)])
        asked = Asked(b"SORT (%b) UTF-8 ALL" % name, range(1, len(self.view) + 1), answered_by=b"SORT")

        def ended(status: bytes, text: bytes) -> None:
            found = _numbers_of(asked, b"SORT")
            every = set(range(1, asked.size + 1))
            if status != b"OK" or not every >= set(found) or (len(found) < len(every) and b"EXPUNGEISSUED" not in text):
                raise Lie(f"SORT of {asked.size} answers {found}")
            letters = [self.world.letter(self.view[place - 1].uid) for place in found if self.view[place - 1].uid]
            keys = [key(letter) for letter in letters if letter is not None]
            if keys != sorted(keys):
                raise Lie(f"{asked.line!r} is not sorted")

        asked.ended = ended
        return asked

    def _esearch(self) -> Asked:
        places = range(1, len(self.view) + 1)
        asked = Asked(b"SEARCH RETURN (MIN MAX COUNT ALL) ALL", places, answered_by=b"ESEARCH")

        def ended(_status: bytes, _text: bytes) -> None:
            said, size = asked.answers[-1].partition(b") ")[2], asked.size
            expected = b"MIN 1 MAX %d ALL 1:%d COUNT %d" % (size, size, size)
            if said != (expected if size > 1 else b"MIN 1 MAX 1 ALL 1 COUNT 1"):
                raise Lie(f"ESEARCH of {size} messages: {said!r}")

        asked.ended = ended
        return asked


def _numbers_of(asked: Asked, word: bytes) -> list[int]:
    said = [line for line in asked.answers if line.split(b" ")[0] == word]
    if len(said) != 1:
        raise Lie(f"{asked.line!r} was answered by {said}")
    return [int(number) for number in said[0].split()[1:]]


def _unambiguous(burst: list[Asked]) -> list[Asked]:
    """Commands whose data could not be told apart are not sent together (RFC 9051 5.5)."""
    kept: list[Asked] = []
    for asked in burst:
        if not asked.answered_by or all(asked.answered_by != one.answered_by for one in kept):
            kept.append(asked)
    return kept


def _set(numbers_: Sequence[int]) -> bytes:
    return b",".join(b"%d" % number for number in numbers_)
