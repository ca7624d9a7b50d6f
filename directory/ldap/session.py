"""One LDAP session: requests in, responses out; knows no socket and no clock.

Reading is for who logged in inside TLS; only the root DSE is for everybody (MSS-130). What is not visible in the directory is
answered as what does not exist (MSS-121): both are :class:`directory.search.Directory`'s "nothing".
Promise: one search shows at most ``limits.entries`` entries, over all pages of it, and no more new ones than the account's
allowance; a filter's text is kept nowhere, only how many searches and entries there were. Every request has the response that
RFC 4511 asks for. Failure: none is raised; what the directory cannot answer now is said with ``unavailable``.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache
from typing import TypeVar

from directory.entry import Entry
from directory.ldap import entries, names, questions, schema, wire
from directory.ldap.ber import Malformed
from directory.ldap.entries import Attributes
from directory.ldap.ports import BindRefused, Service
from directory.ldap.wire import Bind, Code, Control, Extended, Message, Other, Paged, Scope, Search, Unbind
from directory.search import Answer, Condition, DirectoryUnavailable, holds
from policies.catalogue.sentences_ldap import both
from policies.events import Event, Kind
from policies.values import Login

T = TypeVar("T")


class Then(Enum):
    """What follows a response."""

    GO_ON = "go on"
    START_TLS = "start TLS"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Reply:
    octets: bytes = b""
    then: Then = Then.GO_ON


class _Refused(Exception):
    """A search that ends without an entry."""

    def __init__(self, code: Code, sentence: str = "", matched: str = "") -> None:
        super().__init__(code.name)
        self.code = code
        self.words = both(sentence) if sentence else ""
        self.matched = matched


@dataclass(frozen=True, slots=True)
class _Found:
    """Entries yet to be shown, and how the search ends after the last. ``first`` is the entry of the server itself."""

    entries: tuple[Entry, ...] = ()
    first: tuple[tuple[str, Attributes], ...] = ()
    code: Code = Code.SUCCESS


@dataclass(frozen=True, slots=True)
class _Page:
    """What a paged search still has to show, and to whom it belongs."""

    cookie: bytes
    search: Search
    found: _Found


@dataclass(slots=True)
class _Told:
    """What is to be recorded of a session's searches."""

    searches: int = 0
    entries: int = 0
    refused: int = 0


@dataclass(slots=True)
class Session:
    """One connection's conversation."""

    service: Service
    door: str
    ip: str
    secure: bool
    login: Login | None = None
    failures: int = 0
    _page: _Page | None = None
    _told: _Told = field(default_factory=_Told)

    async def answer(self, message: Message) -> Reply:
        """The response to one request."""
        operation = message.operation
        if isinstance(operation, Unbind):
            return Reply(then=Then.CLOSE)
        if isinstance(operation, Bind):
            return await self._bind(message, operation)
        if isinstance(operation, Search):
            return Reply(await self._search(message, operation))
        if isinstance(operation, Extended):
            return self._extended(message, operation)
        if isinstance(operation, Other):
            return Reply(self._other(message, operation))
        return Reply()  # to abandon what is not under way is answered by nothing (RFC 4511 4.11)

    def ended(self) -> None:
        """The connection is gone."""
        self.tell()
        self._leave()

    def tell(self) -> None:
        """Record what was searched since the last time."""
        told, login = self._told, self.login
        if login is not None and told.searches:
            detail = {
                "door": self.door,
                "ip": self.ip,
                "searches": told.searches,
                "entries": told.entries,
                "refused": told.refused,
            }
            self.service.record(
                Event(Kind.DIRECTORY_SEARCHED, actor=login.account, mailbox=login.mailbox_id, detail=detail)
            )
        self._told = _Told()

    # binding

    async def _bind(self, message: Message, asked: Bind) -> Reply:
        self.tell()
        self._leave()  # whatever comes of it, who was logged in no longer is (RFC 4511 4.2.1)
        refusal = self._bind_refusal(message, asked)
        if refusal is None and (asked.name or asked.secret):
            refusal = await self._enter(asked)
        if refusal is None:
            return Reply(wire.bound(message.id, Code.SUCCESS))
        code, words = refusal
        if code is Code.INVALID_CREDENTIALS:
            self.failures += 1
        octets = wire.bound(message.id, code, words)
        if self.failures < self.service.limits.failures:
            return Reply(octets)
        farewell = wire.disconnection(Code.UNWILLING_TO_PERFORM, both("ldap.too_many_failures"))
        return Reply(octets + farewell, Then.CLOSE)

    def _bind_refusal(self, message: Message, asked: Bind) -> tuple[Code, str] | None:
        """What is wrong before any secret is looked at."""
        if asked.version != 3:
            return Code.PROTOCOL_ERROR, both("ldap.version")
        if _unknown_critical(message.controls):
            return Code.UNAVAILABLE_CRITICAL_EXTENSION, both("ldap.critical_control")
        if asked.secret is None:
            return Code.AUTH_METHOD_NOT_SUPPORTED, both("ldap.mechanism")
        if (asked.name or asked.secret) and not self.secure:
            return Code.CONFIDENTIALITY_REQUIRED, both("ldap.tls_first")
        if asked.name and not asked.secret:
            return Code.UNWILLING_TO_PERFORM, both("ldap.no_password")  # RFC 4513 5.1.2
        return None

    async def _enter(self, asked: Bind) -> tuple[Code, str] | None:
        service = self.service
        secret = (asked.secret or b"").decode("utf-8", "replace")
        try:
            login = await service.gate.password(self._address(asked.name), secret, self.ip)
        except BindRefused as refused:
            return refused.code, refused.words
        if not service.tally.enter(_counted(login), service.limits.per_account):
            return Code.BUSY, both("ldap.crowded")
        self.login = login
        return None

    def _address(self, name: str) -> str:
        """Who wants in: an address, plain or as the name of its entry. What is neither is nobody's address."""
        try:
            first, *rest = names.read(name)
        except (names.BadName, ValueError):
            return name
        return first[1] if first[0] in ("mail", "uid") and tuple(rest) == self._base() else name

    def _leave(self) -> None:
        if self.login is not None:
            self.service.tally.leave(_counted(self.login))
        self.login = self._page = None

    # what is neither bind nor search

    def _extended(self, message: Message, asked: Extended) -> Reply:
        if _unknown_critical(message.controls):
            words = both("ldap.critical_control")
            return Reply(wire.extended(message.id, Code.UNAVAILABLE_CRITICAL_EXTENSION, words))
        if asked.oid == wire.STARTTLS:
            return self._start_tls(message)
        if asked.oid == wire.WHO_AM_I:
            name = "" if self.login is None else "dn:" + names.write("mail", str(self.login.address), self.service.base)
            return Reply(wire.extended(message.id, Code.SUCCESS, value=name.encode()))
        return Reply(wire.extended(message.id, Code.PROTOCOL_ERROR, both("ldap.unknown_extension")))

    def _start_tls(self, message: Message) -> Reply:
        if self.secure or self.service.layer is None:
            code = Code.OPERATIONS_ERROR if self.secure else Code.UNAVAILABLE
            words = both("ldap.tls_already") if self.secure else ""
            return Reply(wire.extended(message.id, code, words, oid=wire.STARTTLS))
        return Reply(wire.extended(message.id, Code.SUCCESS, oid=wire.STARTTLS), Then.START_TLS)

    def _other(self, message: Message, asked: Other) -> bytes:
        return wire.result(message.id, asked.response, Code.UNWILLING_TO_PERFORM, both("ldap.read_only"))

    # searching

    async def _search(self, message: Message, asked: Search) -> bytes:
        page: Paged | None = None
        try:
            page = _page_of(message.controls)
            found = await self._found(message, asked, page)
        except _Refused as refused:
            self._told.refused += 1
            end = Paged(0, b"") if page is not None else None
            return wire.done(message.id, refused.code, refused.words, matched=refused.matched, page=end)
        except Malformed:
            return wire.done(message.id, Code.PROTOCOL_ERROR, both("ldap.not_ldap"))
        return self._shown(message, asked, found, page)

    async def _found(self, message: Message, asked: Search, page: Paged | None) -> _Found:
        if _unknown_critical(message.controls):
            raise _Refused(Code.UNAVAILABLE_CRITICAL_EXTENSION, "ldap.critical_control")
        if asked.question is None:
            raise _Refused(Code.ADMIN_LIMIT_EXCEEDED, "ldap.too_complex")
        if not asked.base and asked.scope is Scope.BASE:
            return self._own("", entries.root(self.service.base, secure=self.secure), asked)
        account = self._account()
        self._told.searches += 1
        if not self.service.allowance.ask(account):
            raise _Refused(Code.BUSY, "ldap.too_often")
        if page is not None and page.cookie:
            return self._going_on(asked, page)
        return await self._looked_up(asked)

    def _account(self) -> str:
        if not self.secure:
            raise _Refused(Code.CONFIDENTIALITY_REQUIRED, "ldap.tls_first")
        if self.login is None:
            raise _Refused(Code.STRONGER_AUTH_REQUIRED, "ldap.login_first")
        return self.login.account

    def _going_on(self, asked: Search, page: Paged) -> _Found:
        kept, self._page = self._page, None
        if kept is None or kept.cookie != page.cookie or kept.search != asked:
            raise _Refused(Code.UNWILLING_TO_PERFORM, "ldap.wrong_page")
        return kept.found if page.size else _Found()

    async def _looked_up(self, asked: Search) -> _Found:
        """What a search finds, by where it looks."""
        base = self.service.base
        try:
            name = names.read(asked.base)
        except names.BadName:
            raise _Refused(Code.INVALID_DN_SYNTAX, "ldap.bad_name") from None
        top = self._base()
        if name == top or not name:
            own = entries.top(base) if name and asked.scope is not Scope.ONE else None
            if asked.scope is Scope.BASE:
                return self._own(base, own or {}, asked)
            return await self._below(asked, own)
        if name == names.read(schema.SUBSCHEMA):
            return self._own(schema.SUBSCHEMA, schema.subschema(), asked) if asked.scope is not Scope.ONE else _Found()
        if name[1:] == top and name[0][0] == "mail":
            return await self._one(asked, name[0][1])
        raise _Refused(Code.NO_SUCH_OBJECT, matched=base if name[-len(top) :] == top else "")

    def _own(self, name: str, held: Attributes, asked: Search) -> _Found:
        """An entry of the server itself."""
        assert asked.question is not None
        return _Found(first=((name, held),)) if questions.true_of(asked.question, held) else _Found()

    async def _one(self, asked: Search, address: str) -> _Found:
        entry = await self._patiently(self.service.directory.get(address), asked)
        if entry is None:
            raise _Refused(Code.NO_SUCH_OBJECT, matched=self.service.base)
        fits = asked.scope is not Scope.ONE and holds(self._question(asked), entry)
        return _Found((entry,) if fits else ())

    async def _below(self, asked: Search, own: Attributes | None) -> _Found:
        first = self._own(self.service.base, own, asked).first if own is not None else ()
        limit = min(asked.limit or self.service.limits.entries, self.service.limits.entries) - len(first)
        if self._question(asked) == questions.FALSE:
            return _Found(first=first)
        answer = await self._patiently(self._find(self._question(asked), max(limit, 0)), asked)
        return _Found(answer.entries, first, Code.SIZE_LIMIT_EXCEEDED if answer.more else Code.SUCCESS)

    async def _find(self, condition: Condition, limit: int) -> Answer:
        try:
            return await self.service.directory.find(condition, limit)
        except ValueError:
            raise _Refused(Code.ADMIN_LIMIT_EXCEEDED, "ldap.too_complex") from None

    async def _patiently(self, work: Awaitable[T], asked: Search) -> T:
        """What the directory answers within the time the client and we give it."""
        seconds = min(asked.seconds or self.service.limits.search_time, self.service.limits.search_time)
        try:
            async with asyncio.timeout(seconds):
                return await work
        except TimeoutError:
            raise _Refused(Code.TIME_LIMIT_EXCEEDED, "ldap.too_slow") from None
        except DirectoryUnavailable:
            raise _Refused(Code.UNAVAILABLE, "ldap.unavailable") from None

    def _question(self, asked: Search) -> Condition:
        assert asked.question is not None
        return questions.question(asked.question)

    def _base(self) -> names.Name:
        return _parsed(self.service.base)

    # showing

    def _shown(self, message: Message, asked: Search, found: _Found, page: Paged | None) -> bytes:
        """Entries and the end of the search, or of this page of it."""
        size = page.size if page is not None and page.size else len(found.entries) + len(found.first)
        first, now = found.first[:size], found.entries[: max(0, size - len(found.first))]
        later = replace(found, entries=found.entries[len(now) :], first=())
        allowed = self._allowed(now)
        code = found.code
        if allowed < len(now):
            now, later, code = now[:allowed], _Found(), Code.ADMIN_LIMIT_EXCEEDED
        octets = [self._entry(message, asked, name, held) for name, held in first]
        base = self.service.base
        octets += [
            self._entry(message, asked, entries.name_of(each, base), entries.attributes(each, base)) for each in now
        ]
        self._told.entries += len(now)
        cookie = b""
        if later.entries:
            cookie, code = secrets.token_bytes(8), Code.SUCCESS
            self._page = _Page(cookie, asked, later)
        end = Paged(0, cookie) if page is not None else None
        octets.append(wire.done(message.id, code, _said(code), page=end))
        return b"".join(octets)

    def _allowed(self, now: Sequence[Entry]) -> int:
        if self.login is None or not now:
            return len(now)
        return self.service.allowance.show(self.login.account, [entry.address for entry in now])

    def _entry(self, message: Message, asked: Search, name: str, held: Attributes) -> bytes:
        return wire.entry(message.id, name, entries.chosen(held, asked.attributes), types_only=asked.types_only)


@lru_cache(maxsize=16)
def _parsed(base: str) -> names.Name:
    return names.read(base)


def _said(code: Code) -> str:
    sentence = {Code.SIZE_LIMIT_EXCEEDED: "ldap.too_many", Code.ADMIN_LIMIT_EXCEEDED: "ldap.allowance"}.get(code)
    return both(sentence) if sentence else ""


def _counted(login: Login) -> str:
    return f"ldap account {login.account}"


def _unknown_critical(controls: Sequence[Control]) -> bool:
    return any(each.critical and each.oid != wire.PAGED for each in controls)


def _page_of(controls: Sequence[Control]) -> Paged | None:
    for each in controls:
        if each.oid == wire.PAGED:
            return wire.paged(each.value)
    return None
