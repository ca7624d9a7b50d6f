"""The state machine of one IMAP connection: not authenticated, authenticated, selected, logout. No socket.

A :class:`Session` is a :class:`mailboxes.imap.wire.Conversation`: it receives whole commands and says its answers to an
output. Each command is a function ``handler(session, command)`` registered by :func:`command` in the module of its
subject; it answers at once (None) or returns what to await. Promise: a tagged answer for each command; untagged news only
where RFC 9051 7 allows them; what the store refuses becomes a precise response code (RFC 5530).
Failure: an unforeseen exception is logged by type, answered ``NO [SERVERBUG]``, and the session goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from ssl import SSLContext
from typing import Any, Protocol

import structlog

from mailboxes.imap import values as v
from mailboxes.imap.announce import announce, say_behind, say_keywords
from mailboxes.imap.grammar import CommandError, parse
from mailboxes.imap.names import BadName, astring, decode, formerly, written
from mailboxes.imap.ports import Service, Standing
from mailboxes.imap.sets import compact
from mailboxes.imap.view import (
    GATHERED_HERE,
    LAG,
    MOST_TOLD,
    Ahead,
    FolderIndex,
    Snapshot,
    Step,
    gathered,
    walk_off,
)
from mailboxes.store import (
    Corrupted,
    Entry,
    Folder,
    FolderExists,
    MailboxGone,
    MissingBody,
    NoSuchFolder,
    OverQuota,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from policies.events import Event, Kind
from policies.values import CertificateFacts, Login

log = structlog.get_logger("imap")

# states, as bits: a command declares where it is allowed
NEW, AUTHENTICATED, SELECTED = 1, 2, 4
ANY = NEW | AUTHENTICATED | SELECTED
LOGGED_IN = AUTHENTICATED | SELECTED
_READING = frozenset(
    ("FETCH", "UID FETCH", "SEARCH", "UID SEARCH", "SORT", "UID SORT", "THREAD", "UID THREAD", "SELECT", "EXAMINE")
)
_ASKS_FOR_NEWS = frozenset({"NOOP", "CHECK"})

STRANGERS_LITERALS = 8  # of one command before login: a name and a secret are two

OK, NO, BAD = b"OK", b"NO", b"BAD"


class Output(Protocol):
    """Where answers go: :class:`mailboxes.imap.wire.Wire`."""

    def put(self, data: bytes) -> None: ...

    def flush(self) -> None: ...

    @property
    def full(self) -> bool: ...

    async def drain(self) -> None: ...

    @property
    def busy(self) -> bool: ...

    @property
    def writable(self) -> bool: ...

    def between(self, speak: Callable[[], Awaitable[None]]) -> None: ...

    def bye(self, reason: bytes) -> None: ...

    def abort(self) -> None: ...

    def close(self) -> None: ...

    @property
    def compressed(self) -> bool: ...

    def compress(self) -> None: ...

    def start_tls(self, context: SSLContext, secured: Callable[[asyncio.Transport], None]) -> Awaitable[None]: ...


class Refused(Exception):
    """The command is answered ``NO`` or ``BAD`` with this code and text."""

    def __init__(self, text: str, code: bytes = b"", status: bytes = NO) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.status = status


Handler = Callable[["Session", v.Command], Awaitable[None] | None]
HANDLERS: dict[str, tuple[Handler, int]] = {}


def command(name: str, states: int) -> Callable[[Handler], Handler]:
    """Register the handler of a command."""

    def register(handler: Handler) -> Handler:
        HANDLERS[name] = (handler, states)
        return handler

    return register


class Selected:
    """The open folder as this session knows it."""

    __slots__ = (
        "ahead",
        "aside",
        "contexts",
        "folder",
        "gathering",
        "index",
        "keywords_told",
        "readonly",
        "recent",
        "saved",
        "snapshot",
        "step",
        "told",
        "unheard",
    )

    def __init__(self, folder: Folder, index: FolderIndex, readonly: bool) -> None:
        self.folder = folder
        self.index = index
        self.readonly = readonly
        self.snapshot: Snapshot = index.snapshot
        self.step: Step = index.step
        self.recent: set[int] = set()
        self.saved: list[int] = []  # UIDs kept by SEARCH RETURN (SAVE)
        self.contexts: dict[bytes, Any] = {}  # tag -> search.Context
        self.told: dict[int, Entry] = {}  # by UID, what was told ahead of the snapshot
        self.unheard: Ahead | None = None  # what was brought since the snapshot, once it was asked for
        self.gathering: asyncio.Task[None] | None = None
        self.ahead = False  # a MODSEQ may have been told that is newer than the snapshot
        self.aside = False  # the size was last told within the answer to a command that did not ask for news
        self.keywords_told = 0

    @property
    def behind(self) -> int:
        """How many changes were not told yet."""
        return self.index.brought - self.step.begun


class Session:
    """One connection's conversation. ``secure`` once TLS protects it; ``ip`` of the client."""

    def __init__(self, service: Service, ip: str, secure: bool, certificate: CertificateFacts | None = None):
        self.service = service
        self.ip = ip
        self.secure = secure
        self.certificate = certificate
        self.out: Output
        self.put: Callable[[bytes], None]
        self.state = NEW
        self.login: Login | None = None
        self.standing: Standing | None = None
        self.enabled: frozenset[str] = frozenset()
        self.selected: Selected | None = None
        self.awaited: Callable[[bytes], Awaitable[None] | None] | None = None
        self.idling = False
        self._owed: Callable[[], Awaitable[None]] | None = None  # the end of a command before which much is to be told
        self.notify: Any = None  # notify.Subscription
        self._refusals: set[asyncio.Task[None]] = set()
        self.errors = 0
        self.failed_logins = 0
        self.on_close: list[Callable[[], None]] = []

    # what was enabled

    @property
    def utf8(self) -> bool:
        return "IMAP4REV2" in self.enabled or "UTF8=ACCEPT" in self.enabled

    @property
    def rev2(self) -> bool:
        return "IMAP4REV2" in self.enabled

    @property
    def condstore(self) -> bool:
        return "CONDSTORE" in self.enabled

    @property
    def uidonly(self) -> bool:
        return "UIDONLY" in self.enabled

    @property
    def vanishing(self) -> bool:
        """Erased messages are told as VANISHED rather than EXPUNGE."""
        return "QRESYNC" in self.enabled or "UIDONLY" in self.enabled

    def enable(self, *names: str) -> None:
        self.enabled |= frozenset(names)

    @property
    def owner(self) -> str:
        """Who answers for the room a message takes; before a login no literal is that large."""
        return self.login.account if self.login is not None else ""

    @property
    def mailbox_id(self) -> int:
        assert self.login is not None
        return self.login.mailbox_id

    # Conversation

    def opened(self, wire: Any) -> Awaitable[None] | None:
        """The connection is there; the server greets."""
        self.out = wire
        self.put = wire.put
        return None

    def literal(self, text: bytes, size: int, synchronous: bool) -> bytes | None:
        """Messages may be large, everything else is short; before login hardly anything is allowed."""
        name = text[:80].upper().split(b" ", 3)[1:3]
        if self.state == NEW:
            limit = 4096 if text.count(b"\r\n") < STRANGERS_LITERALS else 0
        elif name[:1] in ([b"APPEND"], [b"REPLACE"]) or name == [b"UID", b"REPLACE"]:
            limit = self.service.limits.message
        else:
            limit = 65536
        if size <= limit:
            return None
        tag = _tag(text)
        if name[:1] == [b"APPEND"]:
            return tag + b" NO [TOOBIG] The message exceeds %d bytes\r\n" % limit
        return tag + b" BAD [TOOBIG] The literal is too large\r\n"

    async def reserve(self, size: int) -> bool:
        try:
            await self.service.room.take(size, self.owner)
        except Exception as error:  # noqa: BLE001 - whatever the budget says no with
            log.info("imap.no_room", error=type(error).__name__)
            return False
        return True

    def no_room(self, text: bytes) -> bytes:
        return _tag(text) + b" NO [UNAVAILABLE] The server is receiving too much, try again later\r\n"

    def release(self, size: int) -> None:
        self.service.room.release(size, self.owner)

    def wants_line(self) -> bool:
        return self.awaited is not None

    def line(self, text: bytes) -> Awaitable[None] | None:
        answer, self.awaited = self.awaited, None
        assert answer is not None
        return answer(text) or self._rest_of_it()

    def command(self, text: bytes, literals: list[bytes]) -> Awaitable[None] | None:
        try:
            asked = parse(text, literals)
        except CommandError as error:
            self._bad(error.tag, error.text)
            return None
        found = HANDLERS.get(asked.name)
        if found is None:
            self._bad(asked.tag, "unknown command")
            return None
        handler, states = found
        if not states & self.state:
            self._bad(asked.tag, "the command is not allowed in this state")
            return None
        self.service.count(asked.name)
        if self.state != NEW:
            self.errors = 0
        opening = self.selected.index.opening if self.selected is not None else None
        if opening is not None:
            return self._guard(asked, self._opened_first(opening, handler, asked))
        try:
            waiting = handler(self, asked)
        except (Refused, BadName, StoreError) as error:
            self.refuse(asked, error)
            return None
        except Exception as error:  # noqa: BLE001 - a bug of one command must not end the session
            self._fault(asked, error)
            return None
        waiting = waiting or self._rest_of_it()
        return None if waiting is None else self._guard(asked, waiting)

    async def _opened_first(self, opening: asyncio.Task[None], handler: Handler, asked: v.Command) -> None:
        """The command, once the entries of the folder just selected are opened."""
        await asyncio.wait((opening,))
        waiting = handler(self, asked)
        if waiting is not None:
            await waiting

    def _rest_of_it(self) -> Awaitable[None] | None:
        """What is still to be said of a command that has to wait for it."""
        owed, self._owed = self._owed, None
        return None if owed is None else owed()

    async def _guard(self, asked: v.Command, waiting: Awaitable[None]) -> None:
        try:
            await waiting
            rest = self._rest_of_it()
            if rest is not None:
                await rest
        except (Refused, BadName, StoreError) as error:
            self.refuse(asked, error)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - idem
            self._fault(asked, error)

    def _fault(self, asked: v.Command, error: Exception) -> None:
        """Log where it happened, never what the message held."""
        at = error.__traceback__
        while at is not None and at.tb_next is not None:
            at = at.tb_next
        where = f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}" if at is not None else ""
        log.error("imap.command_failed", command=asked.name, error=type(error).__name__, where=where)
        self.tagged(asked, NO, "[SERVERBUG] Internal error")

    def rested(self) -> None:
        """A command that had to wait, or an aside, has ended, or the client reads again: what :meth:`changed` kept back
        meanwhile is told."""
        if self.selected is not None and self.selected.step.following is not None:
            self.changed()

    def closed(self) -> None:
        self.unselect()
        if self.notify is not None:
            self.notify.stop()
            self.notify = None
        for done in self.on_close:
            done()
        self.on_close.clear()

    def _bad(self, tag: bytes, text: str) -> None:
        self.errors += 1
        self.put(b"%b BAD [CLIENTBUG] %b\r\n" % (tag, text.encode("ascii", "replace")))
        if self.errors >= self.service.limits.bad_commands:
            self.out.bye(b"[LIMIT] too many errors")

    # answers

    def tagged(self, asked: v.Command, status: bytes, text: str) -> None:
        self.put(b"%b %b %b\r\n" % (asked.tag, status, text.encode("utf-8" if self.utf8 else "ascii", "replace")))

    def done(self, asked: v.Command, text: str = "Done", expunge: bool = True) -> None:
        """Tell what is new, then ``tag OK``; where that is very much, once the handler has returned."""
        if self.selected is not None and self.selected.behind > MOST_TOLD:
            self._owed = partial(self._done_later, asked, text, expunge)
        else:
            self._end(asked, text, expunge)

    async def _done_later(self, asked: v.Command, text: str, expunge: bool) -> None:
        await self.catch_up(expunge, aside=asked.name not in _ASKS_FOR_NEWS)
        self._end(asked, text, expunge)

    def _end(self, asked: v.Command, text: str, expunge: bool) -> None:
        selected = self.selected
        if selected is not None:
            if selected.step.following is not None:
                self.hear(expunge, aside=asked.name not in _ASKS_FOR_NEWS)
                if selected.ahead:
                    say_behind(self, selected)
            say_keywords(self, selected)
        self.put(b"%b OK %b\r\n" % (asked.tag, text.encode("ascii")))

    def hear(self, expunge: bool, *, aside: bool = True, most: int = 1 << 62) -> None:
        """Tell what is new, or some ``most`` of it; ``aside`` within the answer to a command that did not ask for it."""
        if announce(self, expunge, most):
            self.chosen().aside = aside

    async def catch_up(self, expunge: bool, *, aside: bool = True) -> None:
        """Tell what is new by now, portion by portion, until little is left or an erasure may not be told.

        A hundred thousand changes told at once kept every other connection waiting for 120 ms.
        """
        selected = self.chosen()
        until = selected.index.brought
        if until - selected.step.begun > GATHERED_HERE and selected.unheard is None:
            selected.unheard = Ahead(selected.step)
            await asyncio.to_thread(selected.unheard.look)
        while until - selected.step.begun > MOST_TOLD:
            step = selected.step
            self.hear(expunge, aside=aside, most=MOST_TOLD)
            if selected.step is step:
                return
            await self.out.drain()

    def refuse(self, asked: v.Command, error: Exception) -> None:
        """Turn what was raised into a tagged answer."""
        if isinstance(error, MailboxGone):
            self.out.bye(b"[UNAVAILABLE] This mailbox is closed or suspended")
            return
        status, code, text = explain(error)
        if code == b"NOPERM" and self.login is not None:
            self._refused(asked)
        shown = code.decode("ascii", "replace").replace("\r", "?").replace("\n", "?")
        self.tagged(asked, status, f"[{shown}] {text}" if code else text)
        if isinstance(error, StoreError) and not isinstance(error, NoSuchFolder | FolderExists | OverQuota):
            name = type(error).__name__
            if times := self.service.seldom.times(name):
                log.warning("imap.store_error", command=asked.name, error=name, times=times)

    # rights, names, evidence

    def need(self, rights: str) -> None:
        """Refuse unless the login has every right in ``rights`` (RFC 4314)."""
        assert self.standing is not None
        held = self.standing.rights
        if not all(right in held for right in rights):
            raise Refused("You do not have the right to do this in this mailbox", b"NOPERM")

    def name(self, raw: bytes) -> str:
        return decode(raw, self.utf8)

    def spelled(self, name: str) -> bytes:
        return written(name, self.utf8)

    def named(self, name: str, called: bytes, attributes: str = "") -> None:
        """In IMAP4rev2: how a folder is called, when the client has called it otherwise (RFC 9051 6.3.9.7)."""
        old = b"" if called == name.encode("utf-8") else formerly(astring(called, utf8=True))
        self.put(b'* LIST (%b) "/" %b%b\r\n' % (attributes.encode("ascii"), self.spelled(name), old))

    def chosen(self) -> Selected:
        assert self.selected is not None
        return self.selected

    def writable(self) -> Selected:
        selected = self.chosen()
        if selected.readonly:
            raise Refused("The folder was opened read-only", b"NOPERM")
        return selected

    def trace(self, kind: Kind, name: str, folder: str, uids: list[int], count: int = 0) -> tuple[Event, ...]:
        """The event of a command on a shared mailbox; none on a personal one. ``count`` where UIDs are not known yet."""
        assert self.login is not None
        if self.standing is None or not self.standing.journalled or not (uids or count):
            return ()
        spelled = compact(uids[:10_000]).decode("ascii")
        detail = {"command": name, "folder": folder, "count": count or len(uids), "uids": spelled[:2000], "ip": self.ip}
        return (Event(kind, actor=self.login.account, mailbox=self.login.mailbox_id, detail=detail),)

    async def note(self, name: str, folder: str = "") -> None:
        """Leave the trace of a change that the store does not record with it: durable before the change is made (MSS-143)."""
        traces = self.trace(Kind.CHANGED, name, folder, [], 1)
        if traces:
            await self.service.store.record(traces)

    def _refused(self, asked: v.Command) -> None:
        """Who was not allowed to do what, in a mailbox that keeps traces. It is recorded beside the answer, which says no anyway."""
        assert self.login is not None
        if self.standing is None or not self.standing.journalled:
            return
        kind = Kind.READ if asked.name in _READING else Kind.CHANGED
        folder = self.selected.folder.reference if self.selected is not None else ""
        detail = {"command": asked.name, "folder": folder, "count": 0, "ip": self.ip, "result": "NOPERM"}
        event = Event(kind, actor=self.login.account, mailbox=self.login.mailbox_id, detail=detail)
        task = asyncio.get_running_loop().create_task(self._record_refusal(event))
        self._refusals.add(task)
        task.add_done_callback(self._refusals.discard)

    async def _record_refusal(self, event: Event) -> None:
        try:
            await self.service.store.record((event,))
        except StoreError as error:
            if times := self.service.seldom.times("refusal"):
                log.warning("imap.refusal_not_recorded", error=type(error).__name__, times=times)

    # selection

    def unselect(self) -> None:
        if self.selected is not None:
            self.selected.index.listeners.discard(self.changed)
            self.selected.index.recents.takers -= not self.selected.readonly
            self.service.indexes.release(self.selected.index)
            self.selected = None
            if self.state == SELECTED:
                self.state = AUTHENTICATED

    def changed(self) -> None:
        """The open folder changed: tell now when the client listens (IDLE, NOTIFY), else at its next command."""
        selected = self.selected
        if selected is None:
            return
        if selected.index.gone:
            self.out.bye(b"[UNAVAILABLE] The selected folder was deleted")
            return
        if self.listening and not self.out.busy and self.out.writable:
            step = selected.step
            announce(self, self.idling or self.notify.expunges, MOST_TOLD)
            if selected.behind and selected.step.begun - step.begun >= MOST_TOLD:
                self.out.between(self._listen_on)
            elif selected.ahead:
                say_behind(self, selected)
            self.out.flush()
            return
        # Gathered changes are at most what is there, gathered erasures what the client knows: else each would gather again.
        most = max(len(selected.index.snapshot.uids), len(selected.snapshot.uids))
        if selected.behind > 2 * most + LAG and selected.gathering is None:
            if selected.behind <= GATHERED_HERE:
                selected.step = gathered(selected.index, selected.snapshot, selected.step)
                selected.unheard = None
            else:
                selected.gathering = asyncio.get_running_loop().create_task(_gather(selected))

    @property
    def listening(self) -> bool:
        """Whether the client wants to hear news without asking."""
        return self.idling or (self.notify is not None and self.notify.immediate)

    async def _listen_on(self) -> None:
        """Tell a client that listens more of very much; what is left then is told when this has ended (:meth:`rested`)."""
        if self.selected is not None and self.listening:
            await self.catch_up(self.idling or self.notify.expunges, aside=False)


async def _gather(selected: Selected) -> None:
    """Gather very much beside the event loop, unless the session hears of it meanwhile."""
    held = [selected.step]
    try:
        one = await asyncio.to_thread(gathered, selected.index.present, selected.snapshot, held[0])
        if selected.step is held[0]:
            selected.step = one
            selected.unheard = None
    finally:
        selected.gathering = None
    await asyncio.to_thread(walk_off, held)


def _tag(text: bytes) -> bytes:
    """The tag of a command still incomplete."""
    tag = text[:64].split(b" ", 1)[0]
    return tag if 0 < len(tag) < 64 else b"*"


_EXPLAINED: tuple[tuple[type[Exception], bytes, str], ...] = (
    (NoSuchFolder, b"NONEXISTENT", "No such folder"),
    (FolderExists, b"ALREADYEXISTS", "A folder of that name exists"),
    (OverQuota, b"OVERQUOTA", "The mailbox is full"),
    (StoreFull, b"LIMIT", "The server has no room left"),
    (Corrupted, b"CORRUPTION", "The message is damaged; the operator has been told"),
    (MissingBody, b"SERVERBUG", "The message cannot be found; the operator has been told"),
    (StoreUnavailable, b"UNAVAILABLE", "The mail store does not answer, try again later"),
)


def explain(error: Exception) -> tuple[bytes, bytes, str]:
    """Status, response code and text of what a command raised."""
    if isinstance(error, Refused):
        return error.status, error.code, error.text
    if isinstance(error, BadName):
        return NO, b"CANNOT", str(error)
    for kind, code, text in _EXPLAINED:
        if isinstance(error, kind):
            return NO, code, text
    return NO, b"UNAVAILABLE", "The mail store refused"
