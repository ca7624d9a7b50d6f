"""One LDAP session: requests in, responses out; knows no socket and no clock.

Reading is for who logged in inside TLS; only the root DSE is for everybody (MSS-130).
Promise: one search shows at most ``limits.entries`` entries, over all pages of it, and no more new ones than the account's
allowance; a filter's text is kept nowhere, only how many searches and entries there were. Every request has the response that
RFC 4511 asks for. Failure: none is raised; what the directory cannot answer now is said with ``unavailable``.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from directory.entry import Entry
from directory.ldap import entries, lookup, names, wire
from directory.ldap.ber import Malformed
from directory.ldap.entries import Attributes
from directory.ldap.lookup import Found, Refused
from directory.ldap.ports import BindRefused, Service
from directory.ldap.wire import Bind, Code, Control, Extended, Message, Other, Paged, Scope, Search, Unbind
from policies.catalogue.sentences_ldap import both
from policies.values import Login

TURN = 50
"""Entries written, at some 50 µs each, before other connections have their turn."""


class Then(Enum):
    """What follows a response."""

    GO_ON = "go on"
    START_TLS = "start TLS"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Reply:
    octets: bytes = b""
    then: Then = Then.GO_ON


@dataclass(frozen=True, slots=True)
class _Page:
    """What a paged search still has to show, and to whom it belongs."""

    cookie: bytes
    search: Search
    found: Found


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
        self._leave()

    # binding

    async def _bind(self, message: Message, asked: Bind) -> Reply:
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
        if _critical(message.controls):
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
        return first[1] if first[0] in ("mail", "uid") and tuple(rest) == lookup.base_name(self.service.base) else name

    def _leave(self) -> None:
        if self.login is not None:
            self.service.tally.leave(_counted(self.login))
        self.login = self._page = None

    # what is neither bind nor search

    def _extended(self, message: Message, asked: Extended) -> Reply:
        if _critical(message.controls):
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
        except Refused as refused:
            self._searched(0, refused=True)
            end = Paged(0, b"") if page is not None else None
            return wire.done(message.id, refused.code, refused.words, matched=refused.matched, page=end)
        except Malformed:
            return wire.done(message.id, Code.PROTOCOL_ERROR, both("ldap.not_ldap"))
        return await self._shown(message, asked, found, page)

    async def _found(self, message: Message, asked: Search, page: Paged | None) -> Found:
        if _critical(message.controls, known=(wire.PAGED,)):
            raise Refused(Code.UNAVAILABLE_CRITICAL_EXTENSION, "ldap.critical_control")
        if not asked.base and asked.scope is Scope.BASE:
            return lookup.root(self.service, asked, secure=self.secure)
        if not self.secure:
            raise Refused(Code.CONFIDENTIALITY_REQUIRED, "ldap.tls_first")
        if self.login is None:
            raise Refused(Code.STRONGER_AUTH_REQUIRED, "ldap.login_first")
        if not self.service.allowance.ask(self.login.account):
            raise Refused(Code.BUSY, "ldap.too_often")
        if page is not None and page.cookie:
            return self._going_on(asked, page)
        return await lookup.look_up(self.service, asked)

    def _going_on(self, asked: Search, page: Paged) -> Found:
        kept, self._page = self._page, None
        if kept is None or kept.cookie != page.cookie or kept.search != asked:
            raise Refused(Code.UNWILLING_TO_PERFORM, "ldap.wrong_page")
        return kept.found if page.size else Found()

    # showing

    async def _shown(self, message: Message, asked: Search, found: Found, page: Paged | None) -> bytes:
        """Entries and the end of the search, or of this page of it."""
        size = page.size if page is not None and page.size else len(found.entries) + len(found.own)
        own, now = found.own[:size], found.entries[: max(0, size - len(found.own))]
        later = replace(found, entries=found.entries[len(now) :], own=())
        allowed = self._allowed(now)
        code = found.code
        if allowed < len(now):
            now, later, code = now[:allowed], Found(), Code.ADMIN_LIMIT_EXCEEDED
        octets = [self._entry(message, asked, name, held) for name, held in own]
        base = self.service.base
        for number, each in enumerate(now):
            if number % TURN == TURN - 1:
                await asyncio.sleep(0)
            octets.append(self._entry(message, asked, entries.name_of(each, base), entries.attributes(each, base)))
        self._searched(len(now), refused=code is Code.ADMIN_LIMIT_EXCEEDED)
        cookie = b""
        if later.entries:
            cookie, code = secrets.token_bytes(8), Code.SUCCESS
            self._page = _Page(cookie, asked, later)
        end = Paged(0, cookie) if page is not None else None
        octets.append(wire.done(message.id, code, _said(code), page=end))
        return b"".join(octets)

    def _searched(self, shown: int, *, refused: bool) -> None:
        if self.login is not None:
            self.service.telling.searched(self.login, self.door, self.ip, shown, refused=refused)

    def _allowed(self, now: Sequence[Entry]) -> int:
        if self.login is None or not now:
            return len(now)
        return self.service.allowance.show(self.login.account, [entry.address for entry in now])

    def _entry(self, message: Message, asked: Search, name: str, held: Attributes) -> bytes:
        return wire.entry(message.id, name, entries.chosen(held, asked.attributes), types_only=asked.types_only)


def _said(code: Code) -> str:
    sentence = {Code.SIZE_LIMIT_EXCEEDED: "ldap.too_many", Code.ADMIN_LIMIT_EXCEEDED: "ldap.allowance"}.get(code)
    return both(sentence) if sentence else ""


def _counted(login: Login) -> str:
    return f"ldap account {login.account}"


def _critical(controls: Sequence[Control], known: Sequence[str] = ()) -> bool:
    """Whether a control is required that we do not have for the request at hand."""
    return any(each.critical and each.oid not in known for each in controls)


def _page_of(controls: Sequence[Control]) -> Paged | None:
    for each in controls:
        if each.oid == wire.PAGED:
            return wire.paged(each.value)
    return None
