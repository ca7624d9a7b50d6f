"""My account: password, codes, remembered browsers, terms accepted, my data to take along, closing (TOU-A16, C08, D07).

Promise: taking the data out and closing ask for a fresh proof; closing ends every means of access at once and closes the personal mailboxes,
so that senders learn it; what is taken out holds no content of messages, which IMAP gives, and nobody else's data (:mod:`gateway.record.person`).
Failure: :class:`mailboxes.accounts.Refused`, shown on the page.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response, StreamingResponse

from gateway.portal.frame import Access, Page
from gateway.portal.home import Mine, mine
from gateway.portal.signing_in import LONGEST, Hashing, drawn, hashed
from gateway.portal.visit import Visit
from gateway.record import person
from mailboxes import accounts, invitations, known_browsers, terms_of_use, web_sessions
from mailboxes.accounts import require
from mailboxes.unit import Unit
from policies.lifecycle import Step
from policies.values import BalState

AT_OWN_REQUEST = "at the person's own request"


def pages(hashing: Hashing) -> list[Page]:
    async def change_password(visit: Visit) -> Response:
        return await _change_password(visit, hashing)

    return [
        Page("/account", show, access=Access.LEAVING),
        Page("/account/browsers", show, forget_browsers),
        Page("/account/password", show_password, change_password),
        Page("/account/code", show_code, offer_code),
        Page("/account/code/take", show_offered, take_code),
        Page("/account/data", show_data, take_data, Access.LEAVING),
        Page("/account/close", show_close, close, Access.LEAVING),
    ]


def _stale(visit: Visit) -> bool:
    return not visit.who.fresh(visit.ports.rules, visit.now)


async def show(visit: Visit) -> Response:
    login, own, now = visit.who.login, visit.who.account_id, visit.now

    def read(connection: Connection) -> dict[str, Any]:
        person = accounts.get(connection, login)
        return {
            "person": person,
            "verified_at": invitations.contact_verified_at(connection, person),
            "browsers": known_browsers.listed(connection, own, now),
            "answers": terms_of_use.answers(connection, own),
        }

    return await visit.page("account.html", **await visit.ask(read))


async def forget_browsers(visit: Visit) -> Response:
    who = visit.who

    def work(unit: Unit) -> None:
        known_browsers.forget(unit, who.account_id, who.login)
        web_sessions.end_others(unit, who)

    await visit.do(work)
    return visit.to("/account", "browsers")


# password


async def show_password(visit: Visit) -> Response:
    if _stale(visit):
        return visit.to("/confirm?next=/account/password")
    return await visit.page("password.html")


async def _change_password(visit: Visit, hashing: Hashing) -> Response:
    if _stale(visit):
        return visit.to("/confirm?next=/account/password")
    chosen, login, own = visit.given("password")[:LONGEST], visit.who.login, visit.who.account_id
    if chosen != visit.given("again")[:LONGEST]:
        visit.problem = "password.differ"
        return await show_password(visit)
    people = visit.ports.people
    person = await visit.ask(lambda connection: accounts.get(connection, login))
    require(people.accounts.judge_password(person, chosen))
    encoded = await hashed(hashing, lambda: people.passwords.hash(chosen))

    def work(unit: Unit) -> None:
        people.accounts.set_password(unit, login, chosen, login, encoded)
        known_browsers.forget(unit, own, login)

    await visit.do(work)
    return visit.to("/sign-in", "password")


# codes


async def show_code(visit: Visit) -> Response:
    return visit.to("/confirm?next=/account/code") if _stale(visit) else await visit.page("code.html")


async def offer_code(visit: Visit) -> Response:
    """A secret for the new telephone; the old one serves until the first code of the new one is right."""
    if _stale(visit):
        return visit.to("/confirm?next=/account/code")
    own, login, lifetime = visit.ports.people.accounts, visit.who.login, visit.ports.rules.proof
    token: str = await visit.do(lambda unit: invitations.invite(unit, own, login, lifetime, login))
    return await _offered(visit, token)


async def show_offered(visit: Visit) -> Response:
    return await _offered(visit, visit.given("token")[:200]) if visit.form else visit.to("/account/code")


async def _offered(visit: Visit, token: str) -> Response:
    own, now, who = visit.ports.people.accounts, visit.now, visit.who
    found = await visit.ask(lambda connection: invitations.find(connection, own, token, now))
    if found.account.id != who.account_id:
        return await visit.missing()
    operator = visit.ports.config().operator.name
    return await visit.page("code_offered.html", token=token, **drawn(found.secret, who.login, operator))


async def take_code(visit: Visit) -> Response:
    own, who, token, code = visit.ports.people.accounts, visit.who, visit.given("token")[:200], visit.given("code")[:16]
    await visit.do(lambda unit: invitations.take_code(unit, own, token, who.account_id, code))
    return visit.to("/sign-in", "code")


# data


async def show_data(visit: Visit) -> Response:
    return visit.to("/confirm?next=/account/data") if _stale(visit) else await visit.page("data.html")


async def take_data(visit: Visit) -> Response:
    if _stale(visit):
        return visit.to("/confirm?next=/account/data")
    login, people = visit.who.login, visit.ports.people
    await visit.do(lambda unit: people.accounts.exported(unit, login, login))
    headers = {"Content-Disposition": 'attachment; filename="caducee-account.json"'}
    pieces = person.export(
        visit.ports.reading.run_sync, login, visit.now
    )  # drawn in a thread, as fast as they are taken
    return StreamingResponse(pieces, media_type="application/json", headers=headers)


# closing


async def show_close(visit: Visit) -> Response:
    if _stale(visit):
        return visit.to("/confirm?next=/account/close")
    own = visit.who.account_id
    found = await visit.ask(lambda connection: mine(connection, own))
    return await visit.page("close.html", owned=[one for one in found if _closes(one, own)])


def _closes(one: Mine, own: int) -> bool:
    return one.box.owner_id == own and one.box.state in (BalState.ACTIVE, BalState.SUSPENDED)


async def close(visit: Visit) -> Response:
    """The account, and the mailboxes that were this person's own; shared ones go on without this member."""
    if _stale(visit):
        return visit.to("/confirm?next=/account/close")
    who, people = visit.who, visit.ports.people
    if visit.given("login").strip().lower() != who.login:
        visit.problem = "close.differ"
        return await show_close(visit)

    def work(unit: Unit) -> None:
        for one in mine(unit.connection, who.account_id):
            if _closes(one, who.account_id):
                people.register.move(unit, one.address, Step.CLOSE, AT_OWN_REQUEST, who.login)
            elif one.box.owner_id != who.account_id:
                people.register.dismiss(unit, one.address, who.login, who.login)
        people.accounts.move(unit, who.login, Step.CLOSE, AT_OWN_REQUEST, who.login)

    await visit.do(work)
    return visit.to("/sign-in", "closed")
