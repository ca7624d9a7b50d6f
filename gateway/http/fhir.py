"""The directory over FHIR, for software: search and reading as the national directory offers them (MSS-123), for whoever has a mailbox.

Promise: what is hidden is answered as what never was, in status, words and work (MSS-121): there is no 410 for a resource, and no date or
ETag. An account sees no more different mailboxes in an hour, and asks no more often in a minute, than allowed (MSS-130); a search goes
:data:`DEEPEST` mailboxes deep at most. Failure: an OperationOutcome, in the caller's language where he names French or English.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final
from urllib.parse import parse_qsl, urlencode

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from directory.allowance import Allowance
from directory.entry import Entry
from directory.fhir import answers
from directory.fhir.keys import Kind, identity, sought
from directory.fhir.parameters import MOST_NAMES, BadSearch, Search, search
from directory.fhir.resources import Resource, resource
from directory.search import Directory, DirectoryUnavailable, Some
from gateway.http.application import Part
from gateway.http.login import Doorkeeper, Unauthorized
from gateway.http.pages import Page, PageBad, PageGone, Pages
from policies.catalogue import rule
from policies.catalogue.sentences_fhir import said
from policies.decision import Language
from policies.events import Event
from policies.events import Kind as EventKind
from policies.values import Login

log = structlog.get_logger("http")

DEEPEST: Final = 1000
"""Mailboxes of one search that can be paged through."""
MAILBOXES: Final = 100
"""Mailboxes told in one resource."""
MANY: Final = 50
"""Mailboxes of an answer from which on it is put together away from the event loop."""
ROOT: Final = "/fhir"
PAGE: Final = "_page"
FORMS: Final = frozenset({"json", "text/json", "application/json", "application/fhir+json"})
FORM: Final = "application/x-www-form-urlencoded"
RELEASED: Final = "2026-11-27"
"""When what is offered here last changed."""


class Refused(Exception):
    """An answer that is an OperationOutcome."""

    def __init__(self, status: int, code: str, sentence: str, parameter: str = "") -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.sentence = sentence
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class Desk:
    """What the interface asks. ``allowed`` answers what one account may, as configured now; ``base`` the URL it is reached at, without
    the final slash."""

    directory: Directory
    doorkeeper: Doorkeeper
    allowance: Allowance
    allowed: Callable[[], tuple[int, int]]
    pages: Pages
    base: Callable[[], str]
    record: Callable[[Event], object]


Handler = Callable[[Request], Awaitable[Response]]


def part(desk: Desk) -> Part:
    """The routes. Each resource has one of its own, so that what is not offered is a 404 as FHIR says it."""
    served = _Served(desk)
    routes = [Route(f"{ROOT}/metadata", served.answer(served.metadata))]
    for kind in Kind:
        here = f"{ROOT}/{kind.value}"
        routes += [
            Route(here, served.answer(served.find(kind))),
            Route(f"{here}/_search", served.answer(served.find(kind)), methods=["POST"]),
            Route(f"{here}/{{known}}", served.answer(served.read(kind))),
        ]
    every = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
    routes += [Route(path, served.answer(served.nothing), methods=every) for path in (ROOT, f"{ROOT}/{{rest:path}}")]
    return Part("fhir", routes)


class _Served:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    # what is asked

    async def metadata(self, _request: Request) -> Response:
        return _json(answers.capabilities(self._base, version("caducee"), RELEASED))

    async def nothing(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise Refused(405, "not-supported", "fhir.read_only")
        raise Refused(404, "not-found", "fhir.unknown_path")

    def read(self, kind: Kind) -> Handler:
        async def handler(request: Request) -> Response:
            login = await self._enter(request)
            known = request.path_params["known"]
            condition = sought(kind, known) or Some(())
            answer = await self._desk.directory.find(condition, MAILBOXES)
            found = [each for each in answer.entries if identity(each, kind) == known]
            if not found:
                raise Refused(404, "not-found", "fhir.missing")
            self._show(login, request, found)
            return _json(resource(kind, known, found, partial=answer.more))

        return handler

    def find(self, kind: Kind) -> Handler:
        async def handler(request: Request) -> Response:
            login = await self._enter(request)
            asked: Sequence[tuple[str, str]] = await _asked(request)
            offset = 0
            tokens = [value for name, value in asked if name == PAGE]
            if tokens:
                asked, offset = self._page(kind, tokens[0], login)
            question = search(kind, asked)
            return await self._answer(request, login, question, offset)

        return handler

    def _page(self, kind: Kind, token: str, login: Login) -> tuple[Sequence[tuple[str, str]], int]:
        try:
            page = self._desk.pages.page(token, login.mailbox_id)
        except PageBad:
            raise Refused(400, "invalid", "fhir.page_bad") from None
        except PageGone:
            raise Refused(410, "expired", "fhir.page_gone") from None
        if page.kind != kind.value:
            raise Refused(400, "invalid", "fhir.page_bad")
        return page.asked, page.offset

    async def _answer(self, request: Request, login: Login, question: Search, offset: int) -> Response:
        kind = question.kind
        known, complete = await self._identities(question, offset + question.count + 1)
        here = known[offset : offset + question.count]
        told = await asyncio.gather(*(self._whole(kind, each, found) for each, found in here))
        shown = [entry for _, entries, _ in told for entry in entries]
        self._show(login, request, shown)
        following, note = "", None
        if len(known) > offset + question.count:
            page = Page(kind.value, question.asked, offset + question.count)
            following = f"{kind.value}?{urlencode({PAGE: self._desk.pages.token(page, login.mailbox_id)})}"
        elif not complete:
            note = answers.outcome("incomplete", said("fhir.more", _language(request)), severity="warning")
        own = f"{kind.value}?{urlencode(question.asked)}" if question.asked else kind.value
        total = len(known) if complete else None
        base = self._base

        def page_of() -> Response:
            found = [resource(kind, each, entries, partial=more) for each, entries, more in told]
            return _json(answers.bundle(base, own, found, following, total, note))

        return await asyncio.to_thread(page_of) if len(shown) > MANY else page_of()

    async def _identities(self, question: Search, wanted: int) -> tuple[list[tuple[str, list[Entry]]], bool]:
        """The resources found, in order, with the entries that were; and whether there are no others.

        The directory answers entries: it is asked for more of them until they make enough resources.
        """
        limit = min(2 * wanted, DEEPEST)
        while True:
            answer = await self._desk.directory.find(question.condition, limit)
            found: dict[str, list[Entry]] = {}
            for entry in answer.entries:
                known = identity(entry, question.kind)
                if known is not None:
                    found.setdefault(known, []).append(entry)
            if len(found) >= wanted or not answer.more or limit >= DEEPEST:
                return list(found.items()), not answer.more
            limit = min(2 * limit, DEEPEST)

    async def _whole(self, kind: Kind, known: str, matched: Sequence[Entry]) -> tuple[str, list[Entry], bool]:
        """The entries of a resource, those that matched first among them, and whether there are others."""
        condition = sought(kind, known)
        assert condition is not None
        answer = await self._desk.directory.find(condition, MAILBOXES)
        entries = {each.address: each for each in (*matched, *answer.entries) if identity(each, kind) == known}
        return known, list(entries.values())[:MAILBOXES], answer.more or len(entries) > MAILBOXES

    # who asks, and how much he may see

    async def _enter(self, request: Request) -> Login:
        login = await self._desk.doorkeeper.let_in(request)
        self._desk.allowance.follow(*self._desk.allowed())
        if not self._desk.allowance.ask(login.account):
            self._note(login, request, 0)
            raise Refused(429, "throttled", "fhir.too_often")
        return login

    def _show(self, login: Login, request: Request, entries: Sequence[Entry]) -> None:
        allowed = self._desk.allowance.show(login.account, (each.address for each in entries))
        if allowed < len(entries):
            self._note(login, request, allowed)
            raise Refused(429, "throttled", "fhir.allowance")

    def _note(self, login: Login, request: Request, entries: int) -> None:
        ip = request.client.host if request.client else ""
        detail = {"door": "https", "ip": ip, "searches": 1, "entries": entries, "refused": 1}
        event = Event(EventKind.DIRECTORY_SEARCHED, actor=login.account, mailbox=login.mailbox_id, detail=detail)
        self._desk.record(event)

    # how it is said

    def answer(self, handler: Handler) -> Handler:
        """``handler``, with whatever it raises as an OperationOutcome."""

        async def answered(request: Request) -> Response:
            try:
                _demand_json(request)
                return await handler(request)
            except Refused as refused:
                return _refusal(request, refused)
            except BadSearch as bad:
                return _refusal(request, Refused(400, bad.code, bad.sentence, bad.parameter))
            except Unauthorized as stranger:
                return self._unauthorized(request, stranger)
            except DirectoryUnavailable:
                return _refusal(request, Refused(503, "transient", "fhir.unavailable"))

        return answered

    def _unauthorized(self, request: Request, stranger: Unauthorized) -> Response:
        language = _language(request)
        if stranger.rule:
            public = rule(stranger.rule)
            text = public.fr if language == "fr" else public.en
        else:
            text = said("fhir.login_first", language)
        code = {403: "forbidden", 503: "transient"}.get(stranger.status, "login")
        headers = {"www-authenticate": self._desk.doorkeeper.challenges()} if stranger.status == 401 else {}
        return _json(answers.outcome(code, text), stranger.status, headers)

    @property
    def _base(self) -> str:
        return self._desk.base() + ROOT


async def _asked(request: Request) -> list[tuple[str, str]]:
    """Parameters of the address and, of a form, of the body."""
    asked = request.scope["query_string"].decode("latin-1")
    if request.method == "POST":
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != FORM:
            raise Refused(415, "not-supported", "fhir.bad_body")
        asked += "&" + (await request.body()).decode("latin-1")
    try:
        return parse_qsl(
            asked, keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=2 * MOST_NAMES
        )
    except UnicodeDecodeError:
        raise Refused(400, "invalid", "fhir.bad_value", "_query") from None
    except ValueError:
        raise Refused(400, "too-costly", "fhir.too_many_parameters") from None


def _demand_json(request: Request) -> None:
    """JSON is all there is; ``_format`` goes before ``Accept`` (FHIR R4 3.1.0.1.11)."""
    named = request.query_params.get("_format", "")
    if named:
        if named.partition(";")[0].strip().replace(" ", "+") not in FORMS:
            raise Refused(406, "not-supported", "fhir.format")
        return
    accepted = [each.partition(";")[0].strip().lower() for each in request.headers.get("accept", "*/*").split(",")]
    if not any(each in FORMS or each in ("*/*", "application/*", "") for each in accepted):
        raise Refused(406, "not-supported", "fhir.format")


def _language(request: Request) -> Language:
    return "fr" if request.headers.get("accept-language", "").lower().startswith("fr") else "en"


def _refusal(request: Request, refused: Refused) -> Response:
    text = said(refused.sentence, _language(request), refused.parameter)
    headers = {"retry-after": "60"} if refused.status in (429, 503) else {}
    if refused.status == 405:
        headers["allow"] = "GET, HEAD"
    return _json(answers.outcome(refused.code, text, where=refused.parameter), refused.status, headers)


def _json(content: Resource, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(content, status, headers, media_type=f"{answers.MEDIA}; charset=utf-8")
