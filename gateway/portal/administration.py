"""For administrators: accounts, mailboxes, what waits to leave (TOU-C08, D04, D06, E03, MSS-055).

The right is one of an account (:mod:`mailboxes.account_rights`), given on the command line.
Promise: nothing of the content of a mailbox is shown or can be reached from here (MSS-063); every act is an event with the
administrator as author, and asks for password and code of the last minutes. Lists show :data:`ROWS` rows and a search.
Failure: :class:`mailboxes.accounts.Refused`, shown on the page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from gateway.portal.frame import Access, Page
from gateway.portal.links import invitation_link
from gateway.portal.visit import Visit
from gateway.relay import desk, queue
from mailboxes import account_rights, accounts, attempts, devices, invitations, lookup, register
from mailboxes.accounts import NewAccount, refuse
from mailboxes.attempts import subject_of
from mailboxes.register import NewMailbox
from mailboxes.unit import Unit
from policies.access import RIGHTS
from policies.lifecycle import ACCOUNT_STEPS, MAILBOX_STEPS, Step
from policies.values import BalState, BalType

ROWS = 100
LONGEST_REASON = 200


def pages() -> list[Page]:
    own = Access.ADMINISTRATOR
    return [
        Page("/admin", show, access=own),
        Page("/admin/accounts", show_accounts, access=own),
        Page("/admin/open/account", show_opening, open_account, own),
        Page("/admin/open/mailbox", show_opening_mailbox, open_mailbox, own),
        Page("/admin/accounts/{login}", show_account, access=own),
        Page("/admin/accounts/{login}/move", show_account, move_account, own),
        Page("/admin/accounts/{login}/unlock", show_account, unlock, own),
        Page("/admin/accounts/{login}/lost", show_account, lost, own),
        Page("/admin/accounts/{login}/invite", show_account, invite, own),
        Page("/admin/mailboxes", show_mailboxes, access=own),
        Page("/admin/mailboxes/{id}", show_mailbox, access=own),
        Page("/admin/mailboxes/{id}/move", show_mailbox, move_mailbox, own),
        Page("/admin/mailboxes/{id}/members", show_mailbox, admit, own),
        Page("/admin/queue", show_queue, access=own),
    ]


async def show(visit: Visit) -> Response:
    def read(connection: Connection) -> dict[str, Any]:
        return {
            "accounts": accounts.count_by_state(connection),
            "mailboxes": register.count_by_state(connection),
            "waiting": queue.total(connection),
        }

    return await visit.page("admin.html", **await visit.ask(read))


# accounts


async def show_accounts(visit: Visit) -> Response:
    wanted = visit.asked("search").strip()[:64]
    found = await visit.ask(lambda connection: accounts.search(connection, wanted, ROWS + 1))
    return await visit.page("admin_accounts.html", found=found[:ROWS], more=len(found) > ROWS, wanted=wanted)


def _login(visit: Visit) -> str:
    return str(visit.request.path_params["login"])[:64]


async def show_account(visit: Visit) -> Response:
    return await _account(visit)


async def _account(visit: Visit, link: str = "") -> Response:
    login = _login(visit)

    def read(connection: Connection) -> dict[str, Any] | None:
        person = accounts.find(connection, login)
        if person is None:
            return None
        return {
            "person": person,
            "administrator": account_rights.has(connection, person.id),
            "verified_at": invitations.contact_verified_at(connection, person),
            "mailboxes": register.of_person(connection, person.id),
            "devices": sum(not one.revoked_at for one in devices.listed(connection, login=person.login)),
        }

    found = await visit.ask(read)
    if found is None:
        return await visit.missing()
    steps = [step for step in ACCOUNT_STEPS[found["person"].state] if step is not Step.CLOSE]
    days = round(visit.ports.config().portal.invitation / 86400, 1)
    return await visit.page("admin_account.html", **found, steps=steps, link=link, days=f"{days:g}")


async def move_account(visit: Visit) -> Response:
    login, step, reason, actor = _login(visit), _step(visit), visit.given("reason")[:LONGEST_REASON], visit.who.login
    people = visit.ports.people
    return await _act(
        visit, lambda unit: people.accounts.move(unit, login, step, reason, actor), f"/admin/accounts/{login}"
    )


async def unlock(visit: Visit) -> Response:
    """Forget the failures counted against a person: at the portal, the command line, and with the device passwords of own mailboxes."""
    login, actor = _login(visit), visit.who.login

    def work(unit: Unit) -> None:
        person = accounts.get(unit.connection, login)
        attempts.unlock(unit.cursor, subject_of("session", person.login))
        for one in register.of_person(unit.connection, person.id):
            if one.owner_id == person.id:
                for key, _ in register.addresses(unit.connection, one.id):
                    attempts.unlock(unit.cursor, subject_of("device", key))
        accounts.record(unit, actor, "unlocked", person)

    return await _act(visit, work, f"/admin/accounts/{login}")


async def lost(visit: Visit) -> Response:
    """A person calls: a device was lost (TOU-D08)."""
    login, actor = _login(visit), visit.who.login

    def work(unit: Unit) -> None:
        person = accounts.get(unit.connection, login)
        devices.revoke_all(unit, person.login, actor)
        accounts.end_means(unit, person.id)
        accounts.record(unit, actor, "sessions and browsers ended", person)

    return await _act(visit, work, f"/admin/accounts/{login}")


async def invite(visit: Visit) -> Response:
    """The link is shown once, in the answer itself, and stands in no address of ours."""
    if not _fresh(visit):
        return visit.to(f"/confirm?next=/admin/accounts/{_login(visit)}")
    login, actor, config = _login(visit), visit.who.login, visit.ports.config()
    own, sent = visit.ports.people.accounts, "yes" in visit.all("contact")
    lifetime = config.portal.invitation
    token = await visit.do(lambda unit: invitations.invite(unit, own, login, lifetime, actor, to_contact=sent))
    return await _account(visit, invitation_link(config, token))


_PERSON = ("login", "family", "given", "title", "identity", "contact", "verified")


async def show_opening(visit: Visit) -> Response:
    if not _fresh(visit):
        return visit.to("/confirm?next=/admin/open/account")
    return await visit.page("admin_open_account.html", typed={name: visit.given(name)[:200] for name in _PERSON})


async def open_account(visit: Visit) -> Response:
    """Without a word on how the identity was checked the account stays pending (TOU-D06)."""
    typed = {name: visit.given(name).strip()[:200] for name in _PERSON}
    new = NewAccount(
        typed["login"].lower(),
        typed["family"],
        typed["given"],
        typed["identity"],
        typed["title"],
        typed["contact"],
        typed["verified"],
    )
    own, actor = visit.ports.people.accounts, visit.who.login
    return await _act(visit, lambda unit: own.open(unit, new, actor), f"/admin/accounts/{new.login}")


# mailboxes

_BOX = ("local", "domain", "type", "owner", "structure", "description", "service")


async def show_opening_mailbox(visit: Visit) -> Response:
    if not _fresh(visit):
        return visit.to("/confirm?next=/admin/open/mailbox")
    typed = {name: visit.given(name)[:200] for name in _BOX}
    domains = visit.ports.people.rules.domains
    return await visit.page(
        "admin_open_mailbox.html", typed=typed, domains=domains, types=[str(one) for one in BalType]
    )


async def open_mailbox(visit: Visit) -> Response:
    typed = {name: visit.given(name).strip()[:200] for name in _BOX}
    kinds = {str(one): one for one in BalType}
    if typed["type"] not in kinds:
        return await show_opening_mailbox(visit)
    attributes = {name: typed[name] for name in ("description", "service") if typed[name]}
    address, own, actor = f"{typed['local']}@{typed['domain']}", visit.ports.people.register, visit.who.login
    new = NewMailbox(address, kinds[typed["type"]], typed["owner"].lower(), typed["structure"], attributes=attributes)
    return await _act(visit, lambda unit: own.open(unit, new, actor), f"/admin/mailboxes?search={typed['local']}")


async def admit(visit: Visit) -> Response:
    """A first member, above all one who administers the mailbox from then on; of a personal one its owner alone decides (MSS-061)."""
    number, login, given, actor = (
        visit.number("id"),
        visit.given("login").strip().lower()[:64],
        visit.all("right"),
        visit.who.login,
    )

    def work(unit: Unit) -> None:
        box = register.by_id(unit.connection, number)
        if box is None:
            raise refuse("mailbox.not_found", address="")
        visit.ports.people.register.admit(unit, str(box.address), login, given, actor)

    return await _act(visit, work, f"/admin/mailboxes/{number}")


async def show_mailboxes(visit: Visit) -> Response:
    wanted = visit.asked("search").strip()[:254]
    found = await visit.ask(lambda connection: register.search(connection, wanted, ROWS + 1))
    return await visit.page("admin_mailboxes.html", found=found[:ROWS], more=len(found) > ROWS, wanted=wanted)


async def show_mailbox(visit: Visit) -> Response:
    number = visit.number("id")

    def read(connection: Connection) -> dict[str, Any] | None:
        box = register.by_id(connection, number)
        if box is None:
            return None
        return {
            "box": box,
            "owner": accounts.by_id(connection, box.owner_id),
            "names": register.addresses(connection, box.id),
            "members": [one for one in register.members(connection, box.id) if not one.until],
            "facts": lookup.facts_by_id(connection, box.id),
        }

    found = await visit.ask(read)
    if found is None:
        return await visit.missing()
    steps = [step for step in MAILBOX_STEPS[found["box"].state] if step in (Step.SUSPEND, Step.RESUME)]
    return await visit.page("admin_mailbox.html", **found, steps=steps, rights=RIGHTS, typed=visit.given("login")[:64])


async def move_mailbox(visit: Visit) -> Response:
    number, step, reason, actor = (
        visit.number("id"),
        _step(visit),
        visit.given("reason")[:LONGEST_REASON],
        visit.who.login,
    )

    def work(unit: Unit) -> BalState:
        box = register.by_id(unit.connection, number)
        if box is None:
            raise refuse("mailbox.not_found", address="")
        return visit.ports.people.register.move(unit, str(box.address), step, reason, actor)

    return await _act(visit, work, f"/admin/mailboxes/{number}")


# the queue


async def show_queue(visit: Visit) -> Response:
    found = await visit.ask(desk.summary)
    return await visit.page("admin_queue.html", found=found[:ROWS], more=len(found) > ROWS)


def _fresh(visit: Visit) -> bool:
    return visit.who.fresh(visit.ports.rules, visit.now)


def _step(visit: Visit) -> Step:
    """Closing and deleting, which nothing takes back, stay with the command line."""
    allowed = {str(step): step for step in (Step.ACTIVATE, Step.SUSPEND, Step.RESUME)}
    found = allowed.get(visit.given("step"))
    if found is None:
        raise refuse("lifecycle.reason_missing")
    return found


async def _act(visit: Visit, work: Callable[[Unit], object], back: str) -> Response:
    if not _fresh(visit):
        return visit.to(f"/confirm?next={back}")
    own = visit.who.account_id

    def guarded(unit: Unit) -> None:
        if not account_rights.has(unit.connection, own):
            raise refuse("account.session_required")
        work(unit)

    await visit.do(guarded)
    return visit.to(back, "" if "?" in back else "admin")
