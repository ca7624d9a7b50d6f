"""One request: who asks, in which language, with which form; and the answers it can get.

Promise: a page function gets a :class:`Visit` that was let in by :mod:`gateway.portal.frame`, and answers by it. Texts that come from a form
are bounded and without control characters. Failure: :class:`mailboxes.accounts.Refused`, which the frame turns into words on the page.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.portal import words
from gateway.portal.ports import Ports
from mailboxes.unit import Unit
from mailboxes.web_sessions import WebSession
from policies.catalogue.sentences_portal import SENTENCES
from policies.decision import Decision, Language

T = TypeVar("T")


class Busy(Exception):
    """Too many ask for what takes long; told as 503."""


@dataclass(slots=True)
class Visit:
    """``form`` is empty but for a form of ours that was sent; ``decision`` is why the form was refused, when it comes back."""

    request: Request
    ports: Ports
    language: Language
    mark: str = field(repr=False, default="")
    session: WebSession | None = None
    administrator: bool = False
    form: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    decision: Decision | None = None
    problem: str = ""

    # what was asked

    @property
    def who(self) -> WebSession:
        """Whoever is signed in; only for pages that need it."""
        assert self.session is not None
        return self.session

    @property
    def ip(self) -> str:
        return self.request.client.host if self.request.client else ""

    @property
    def browser(self) -> str:
        """What a session is bound to."""
        return self.request.headers.get("user-agent", "")[:500]

    @property
    def now(self) -> float:
        return self.ports.clock()

    def given(self, name: str) -> str:
        """A field of the form."""
        found = self.form.get(name)
        return found[-1] if found else ""

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a field, such as check boxes."""
        return self.form.get(name, ())

    def asked(self, name: str) -> str:
        """A word of the address, such as ``?mailbox=3``."""
        return plain(self.request.query_params.get(name, "")[:200])

    def number(self, name: str) -> int:
        """A number in the path, the form or the address; 0, which is nobody's, for what is none."""
        text = str(self.request.path_params.get(name, "")) or self.given(name) or self.asked(name)
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0

    # the store

    async def ask(self, work: Callable[[Connection], T]) -> T:
        return await self.ports.reading.run(work)

    async def do(self, work: Callable[[Unit], T]) -> T:
        return await self.ports.committer.run(work)

    # answers

    async def page(self, template: str, status: int = HTTPStatus.OK, **facts: Any) -> Response:
        """A page; with the reason and status 422 when a form was refused. Long ones would hold the event loop: a thread draws them."""
        refused = self.decision is not None or bool(self.problem)
        done = self.asked("done")
        around = {
            "visit": self,
            "operator": self.ports.config().operator.name,
            "path": self.request.url.path,
            "done": f"done.{done}" if f"done.{done}" in SENTENCES and not refused else "",
        }
        code = HTTPStatus.UNPROCESSABLE_ENTITY if refused and status == HTTPStatus.OK else status
        drawn = await asyncio.to_thread(words.render, template, self.language, {**around, **facts})
        return HTMLResponse(drawn, int(code))

    def to(self, path: str, done: str = "") -> Response:
        """Go on to another page of ours, which says what was ``done``."""
        return RedirectResponse(f"{path}?done={done}" if done else path, HTTPStatus.SEE_OTHER)

    async def missing(self) -> Response:
        """There is no such thing, or it is none of the reader's business: one answer."""
        return await self.page("missing.html", HTTPStatus.NOT_FOUND)


_CONTROLS = dict.fromkeys({*range(32), *range(127, 160)} - {ord("\n"), ord("\t")})


def plain(text: str) -> str:
    """Without control characters but line ends and tabs: no database takes a NUL, no page shows the others."""
    return text.replace("\r\n", "\n").translate(_CONTROLS)


_OURS = re.compile(r"/(?:[A-Za-z0-9_.=&?-][A-Za-z0-9/_.=&?-]{0,200})?", re.ASCII)


def ours_only(path: str, otherwise: str = "/") -> str:
    """A path of ours to go on to; anything else, such as another site's address, leads to ``otherwise``."""
    return path if _OURS.fullmatch(path) else otherwise
