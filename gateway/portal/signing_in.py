"""Coming in and going out: sign in, prove oneself again, first password by invitation, terms of use (TOU-A05, C07, D03, D07).

Promise: an unknown login, a wrong password and a wrong code get the same words after the same work (:mod:`mailboxes.sessions`); the token of a
session changes at each sign-in and each proof; a hash is computed off the event loop, :data:`AT_ONCE` at a time.
Failure: :class:`mailboxes.accounts.Refused`, shown on the page; too many at once are asked to come back (503).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from starlette.responses import Response

from gateway.portal import qr, safety
from gateway.portal.frame import Access, Page, terms_in_force
from gateway.portal.ports import Ports
from gateway.portal.visit import Busy, Visit, ours_only
from mailboxes import invitations, terms_of_use, web_sessions
from mailboxes.accounts import refuse, require
from mailboxes.attempts import subject_of
from mailboxes.invitations import Answer, Invited
from mailboxes.passwords import totp_uri
from mailboxes.sessions import Credential
from mailboxes.web_sessions import Opened
from policies.lifecycle import AccountState

AT_ONCE = 2
"""Argon2id hashes at once: each takes a core and `accounts.argon2_memory`."""
WAITING = 50
LONGEST = 1024
T = TypeVar("T")


@dataclass(slots=True)
class Hashing:
    """The few places where hashes are computed."""

    waiting: int = 0
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))


async def hashed(hashing: Hashing, work: Callable[[], T]) -> T:
    """``work``, which computes a hash, in a thread and in its turn. Raises :class:`gateway.portal.visit.Busy`."""
    if hashing.waiting >= WAITING:
        raise Busy
    hashing.waiting += 1
    try:
        async with hashing.places:
            return await asyncio.to_thread(work)
    finally:
        hashing.waiting -= 1


def drawn(secret: str, login: str, operator: str) -> dict[str, Any]:
    """A secret for codes as a page shows it: to scan, and to type."""
    grouped = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    return {"secret": grouped, "picture": qr.picture(totp_uri(secret, login, operator))}


def pages(ports: Ports, hashing: Hashing) -> list[Page]:
    own = Entering(ports, hashing)
    return [
        Page("/sign-in", show_sign_in, own.sign_in, Access.ANYONE),
        Page("/sign-out", None, sign_out, Access.LEAVING),
        Page("/confirm", show_confirm, own.confirm, Access.LEAVING),
        Page("/invitation/{token}", own.show_invitation, own.accept, Access.ANYONE),
        Page("/terms", show_terms, answer_terms, Access.LEAVING),
    ]


async def show_sign_in(visit: Visit) -> Response:
    if visit.session is not None and visit.decision is None:
        return visit.to("/")
    known = bool(visit.request.cookies.get(safety.BROWSER, "")) and visit.ports.rules.remember > 0
    remember = visit.ports.rules.remember
    next_path = ours_only(visit.given("next") or visit.asked("next"))
    return await visit.page(
        "sign_in.html", next=next_path, known=known, login=visit.given("login")[:64], remember=remember
    )


async def sign_out(visit: Visit) -> Response:
    token = visit.who.token
    await visit.do(lambda unit: web_sessions.end(unit, token))
    answer = visit.to("/sign-in", "signed_out")
    safety.drop(answer, safety.SESSION)
    return answer


async def show_confirm(visit: Visit) -> Response:
    return await visit.page("confirm.html", next=ours_only(visit.given("next") or visit.asked("next")))


@dataclass(frozen=True, slots=True)
class Entering:
    """What computes hashes."""

    ports: Ports
    hashing: Hashing

    async def sign_in(self, visit: Visit) -> Response:
        return await self._open(visit, visit.given("login"), visit.request.cookies.get(safety.BROWSER, ""))

    async def confirm(self, visit: Visit) -> Response:
        """Password and code again, for what matters most: a remembered browser does not stand for the code here."""
        return await self._open(visit, visit.who.login, "")

    async def _open(self, visit: Visit, login: str, browser: str) -> Response:
        given = Credential(
            login[:64],
            visit.given("password")[:LONGEST],
            visit.given("code")[:16],
            visit.browser,
            visit.ip,
            browser[:200],
            "portal",
        )
        work = partial(
            web_sessions.open_session,
            self.ports.people.sessions,
            self.ports.committer,
            given,
            self.ports.rules,
            remember=visit.given("remember") == "yes",
            before=visit.request.cookies.get(safety.SESSION, "")[:200],
        )
        opened: Opened = await hashed(self.hashing, work)
        answer = visit.to(ours_only(visit.given("next")))
        safety.keep(answer, safety.SESSION, opened.token)
        safety.drop(answer, safety.FORM)
        if opened.browser:
            safety.keep(answer, safety.BROWSER, opened.browser, self.ports.rules.remember)
        return answer

    # invitations

    async def show_invitation(self, visit: Visit) -> Response:
        found = await self._invited(visit)
        account = found.account
        name = f"{account.title} {account.given_name} {account.family_name}".strip()
        shown = drawn(found.secret, account.login, self.ports.config().operator.name)
        return await visit.page("invitation.html", name=name, login=visit.given("login")[:64], **shown)

    async def accept(self, visit: Visit) -> Response:
        await self._pace_guesses(visit)
        found = await self._invited(visit)
        given = Answer(visit.given("login")[:64], visit.given("password")[:LONGEST], visit.given("code")[:16])
        if given.password != visit.given("again")[:LONGEST]:
            visit.problem = "password.differ"
            return await self.show_invitation(visit)
        own, token = self.ports.people.accounts, _token(visit)
        require(own.judge_password(found.account, given.password))
        encoded = await hashed(self.hashing, partial(self.ports.people.passwords.hash, given.password))
        await visit.do(lambda unit: invitations.accept(unit, own, token, given, encoded))
        waits = found.account.state is AccountState.PENDING
        return visit.to("/sign-in", "invited_pending" if waits else "invited")

    async def _invited(self, visit: Visit) -> Invited:
        own, token, now = self.ports.people.accounts, _token(visit), visit.now
        return await visit.ask(lambda connection: invitations.find(connection, own, token, now))

    async def _pace_guesses(self, visit: Visit) -> None:
        """Whoever has a link guesses the login no faster than a password."""
        subject, ip, attempts = subject_of("invitation", _token(visit)), visit.ip, self.ports.people.sessions.attempts
        charged = await visit.do(lambda unit: attempts.charge(unit.cursor, subject, ip, unit.now))
        if charged.locked_until:
            raise refuse("session.auth_locked")


def _token(visit: Visit) -> str:
    return str(visit.request.path_params["token"])[:200]


# terms of use


async def show_terms(visit: Visit) -> Response:
    asked = terms_in_force(visit.ports)
    if asked is None:
        return visit.to("/")
    own = visit.who.account_id
    accepted = await visit.ask(lambda connection: terms_of_use.accepted(connection, own, asked.version))
    return await visit.page("terms.html", terms=asked, accepted=accepted)


async def answer_terms(visit: Visit) -> Response:
    """The answer is to the text that was shown: one that changed meanwhile is shown again (TOU-C07)."""
    asked = terms_in_force(visit.ports)
    if asked is None or visit.given("version") != asked.version:
        return visit.to("/terms")
    who, yes, ip = visit.who, visit.given("answer") == "yes", visit.ip
    await visit.do(lambda unit: terms_of_use.answer(unit, who.account_id, who.login, asked, ip, yes=yes))
    return visit.to("/", "terms") if yes else await sign_out(visit)
