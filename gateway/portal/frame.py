"""What surrounds every page: pace, language, the form's mark, the session, the terms of use, the headers of the answer.

Promise: a page that needs somebody signed in, or an administrator, is not reached by anybody else; a form is read only when a page of ours
sent it, up to :data:`LARGEST_FORM` octets and :data:`FIELDS` fields; every answer carries the headers of :mod:`gateway.portal.safety`.
Nothing of a request is logged. Failure: a refusal is shown on the page it is about; a store that does not answer is told as 503.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from urllib.parse import parse_qs

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.portal import safety, words
from gateway.portal.ports import Ports
from gateway.portal.visit import Busy, Visit, plain
from gateway.smtp.limits import Buckets, Rate
from mailboxes import account_rights, terms_of_use, web_sessions
from mailboxes.accounts import Refused
from mailboxes.attempts import network
from mailboxes.engine import refusal
from mailboxes.store import StoreError
from mailboxes.terms_of_use import Terms
from mailboxes.web_sessions import SEEN_EVERY
from policies.decision import Language

log = structlog.get_logger("portal")

LARGEST_FORM = 64 * 1024
FIELDS = 500
PACE = Rate(per_minute=300, burst=120)
"""Requests a second of one network in the long run, and at once: a practice of many behind one address."""
TERMS = "/terms"
LANGUAGE_KEPT = 365 * 86400

Show = Callable[[Visit], Awaitable[Response]]


class Access(Enum):
    """Who reaches a page. ``LEAVING``: whoever is signed in, the terms of use accepted or not."""

    ANYONE = 1
    LEAVING = 2
    SIGNED_IN = 3
    ADMINISTRATOR = 4


@dataclass(frozen=True, slots=True)
class Page:
    """``show`` answers GET; ``act`` a form, and when it is refused ``show`` tells why. Without ``show`` there is only the form."""

    path: str
    show: Show | None = None
    act: Show | None = None
    access: Access = Access.SIGNED_IN

    @property
    def methods(self) -> list[str]:
        return [*(["GET"] if self.show else []), *(["POST"] if self.act else [])]


@dataclass(frozen=True, slots=True)
class Frame:
    """Makes a route of each page."""

    ports: Ports
    pace: Buckets

    def route(self, page: Page) -> Route:
        async def answer(request: Request) -> Response:
            return await self._answer(page, request)

        return Route(page.path, answer, methods=page.methods, name=f"portal {page.path}")

    async def _answer(self, page: Page, request: Request) -> Response:
        visit = Visit(request, self.ports, _language(request))
        if not self.pace.allow(network(visit.ip)):
            return _framed(PlainTextResponse("", HTTPStatus.TOO_MANY_REQUESTS, {"Retry-After": "10"}))
        form_secret = request.cookies.get(safety.FORM, "")
        try:
            answer = await self._let_in(page, visit, form_secret)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        except Busy:
            answer = await visit.page("away.html", HTTPStatus.SERVICE_UNAVAILABLE)
        except Exception as problem:
            if not isinstance(problem, StoreError | OSError) and refusal(problem) is None:
                raise
            log.error("page_without_store", kind=type(problem).__name__)
            answer = await visit.page("away.html", HTTPStatus.SERVICE_UNAVAILABLE)
        if wish := _wish(request):
            safety.keep(answer, safety.LANGUAGE, wish, LANGUAGE_KEPT)
        return _framed(answer)

    async def _let_in(self, page: Page, visit: Visit, form_secret: str) -> Response:
        token = visit.request.cookies.get(safety.SESSION, "")
        if token:
            await self._recognise(visit, token)
        fresh = "" if visit.session or form_secret else secrets.token_urlsafe(32)
        secret = token if visit.session else form_secret or fresh
        visit.mark = safety.mark(secret)
        answer = await self._checked(page, visit, secret)
        if fresh:
            safety.keep(answer, safety.FORM, fresh)
        return answer

    async def _recognise(self, visit: Visit, token: str) -> None:
        now, rules, browser = visit.now, self.ports.rules, visit.browser
        found = await visit.ask(lambda connection: web_sessions.current(connection, token, browser, rules, now))
        if found is None:
            return
        visit.session = found
        own = found.account_id
        visit.administrator = await visit.ask(lambda connection: account_rights.has(connection, own))
        if now - found.seen_at >= SEEN_EVERY:
            await visit.do(lambda unit: web_sessions.seen(unit, token))

    async def _checked(self, page: Page, visit: Visit, secret: str) -> Response:
        sent = visit.request.method == "POST"
        if sent:
            if not safety.from_here(visit.request.headers):
                return await visit.page("foreign.html", HTTPStatus.FORBIDDEN)
            form = await _form(visit.request)
            if form is None:
                return await visit.page("foreign.html", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            visit.form = form
        if page.access is not Access.ANYONE and visit.session is None:
            path = visit.request.url.path
            return visit.to("/sign-in" if path == "/" or sent else f"/sign-in?next={path}")
        if sent and not safety.ours(visit.given("mark"), secret):
            return await visit.page("foreign.html", HTTPStatus.FORBIDDEN)
        if page.access is Access.ADMINISTRATOR and not visit.administrator:
            return await visit.missing()
        if page.access in (Access.SIGNED_IN, Access.ADMINISTRATOR) and await self._terms_wait(visit):
            return visit.to(TERMS)
        return await _shown(page, visit, sent=sent)

    async def _terms_wait(self, visit: Visit) -> bool:
        asked = terms_in_force(self.ports)
        if asked is None:
            return False
        own, version = visit.who.account_id, asked.version
        return not await visit.ask(lambda connection: terms_of_use.accepted(connection, own, version))


async def _shown(page: Page, visit: Visit, *, sent: bool) -> Response:
    if sent:
        assert page.act is not None
        try:
            return await page.act(visit)
        except Refused as refused:
            visit.decision = refused.decision
        if page.show is None:
            return await visit.page("refused.html")
    assert page.show is not None
    try:
        return await page.show(visit)
    except Refused as refused:
        visit.decision = refused.decision
        return await visit.page("refused.html")


def _framed(answer: Response) -> Response:
    for name, value in safety.HEADERS.items():
        answer.headers.setdefault(name, value)
    return answer


def _wish(request: Request) -> Language | None:
    """The language just chosen, by the switch on every page."""
    chosen = request.query_params.get("lang", "")
    return next((language for language in words.LANGUAGES if language == chosen), None)


def _language(request: Request) -> Language:
    kept = request.cookies.get(safety.LANGUAGE, "")
    known = (language for language in words.LANGUAGES if language == kept)
    return _wish(request) or next(known, None) or words.preferred(request.headers.get("accept-language", ""))


async def _form(request: Request) -> Mapping[str, tuple[str, ...]] | None:
    """The fields of a form; None for one too large, or in another form than ours are sent in."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        return None
    octets = bytearray()
    async for part in request.stream():
        octets += part
        if len(octets) > LARGEST_FORM:
            return None
    try:
        found = parse_qs(octets.decode("ascii"), keep_blank_values=True, errors="replace", max_num_fields=FIELDS)
    except ValueError:
        return None
    return {name: tuple(plain(value) for value in values) for name, values in found.items()}


def terms_in_force(ports: Ports) -> Terms | None:
    """The terms of use named in the configuration; None where there are none. Raises OSError for a file that is gone."""
    path = ports.config().portal.terms
    if path is None:
        return None
    with path.open("rb") as file:
        return Terms(file.read(terms_of_use.LARGEST).decode("utf-8", "replace"))
