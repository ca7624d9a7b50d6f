"""Device passwords: make one (shown once, with how to set up a mail program), see their use, withdraw one or all (TOU-D08, MSS-076).

Promise: one is made only shortly after password and code were typed; a person sees and withdraws only their own; withdrawing is in force on open
sessions within seconds. Failure: :class:`mailboxes.accounts.Refused`, shown on the page.
"""

from __future__ import annotations

from starlette.responses import Response

from gateway.admin import autoconfig
from gateway.portal.frame import Page
from gateway.portal.home import mine, one_of
from gateway.portal.visit import Visit
from mailboxes import devices, known_browsers, web_sessions
from mailboxes.accounts import refuse
from mailboxes.unit import Unit

NEW = "/devices/new"


def pages() -> list[Page]:
    return [
        Page("/devices", show),
        Page(NEW, show_new, create),
        Page("/devices/withdraw", show, withdraw),
        Page("/devices/lost", show_lost, lost),
        Page("/devices/caducee.mobileconfig", profile),
    ]


async def show(visit: Visit) -> Response:
    login = visit.who.login
    found = await visit.ask(lambda connection: devices.listed(connection, login=login))
    live = [one for one in found if not one.revoked_at]
    gone = [one for one in found if one.revoked_at][-20:]
    return await visit.page("devices.html", live=live[::-1], gone=gone[::-1], now=visit.now)


async def show_new(visit: Visit) -> Response:
    if not visit.who.fresh(visit.ports.rules, visit.now):
        chosen = visit.number("mailbox")
        return visit.to(f"/confirm?next={NEW}" + (f"%3Fmailbox={chosen}" if chosen else ""))
    own = visit.who.account_id
    found = [one for one in await visit.ask(lambda connection: mine(connection, own)) if one.reads]
    return await visit.page(
        "device_new.html", mine=found, chosen=visit.number("mailbox"), name=visit.given("name")[:64]
    )


async def create(visit: Visit) -> Response:
    if not visit.who.fresh(visit.ports.rules, visit.now):
        return visit.to(f"/confirm?next={NEW}")
    own, number, rules = visit.who.account_id, visit.number("mailbox"), visit.ports.people.rules
    name, strong = visit.given("name").strip()[:65], visit.who.strong

    def work(unit: Unit) -> tuple[str, devices.Created]:
        found = one_of(unit.connection, own, number)
        if found is None:
            raise refuse("device.not_found")
        return found.address, devices.create(unit, rules, strong, found.address, name)

    address, made = await visit.do(work)
    config = visit.ports.config()
    try:
        doors = autoconfig.both_ways(autoconfig.doors(config))
    except autoconfig.NoDoor:
        doors = {}
    return await visit.page("device_made.html", address=address, name=name, secret=made.secret, doors=doors)


async def withdraw(visit: Visit) -> Response:
    login, address, number = visit.who.login, visit.given("address")[:320], visit.number("number")

    def work(unit: Unit) -> None:
        own = devices.listed(unit.connection, login=login)
        if not any(one.address == address and one.number == number and not one.revoked_at for one in own):
            raise refuse("device.not_found")
        devices.revoke(unit, address, number, login)

    await visit.do(work)
    return visit.to("/devices", "device_withdrawn")


async def show_lost(visit: Visit) -> Response:
    return await visit.page("lost.html")


async def lost(visit: Visit) -> Response:
    """Everything this person's lost or stolen device could come in by: device passwords, remembered browsers, other sessions (TOU-D08)."""
    who = visit.who

    def work(unit: Unit) -> None:
        devices.revoke_all(unit, who.login, who.login)
        known_browsers.forget(unit, who.account_id, who.login)
        web_sessions.end_others(unit, who)

    await visit.do(work)
    return visit.to("/devices", "all_withdrawn")


async def profile(visit: Visit) -> Response:
    """The profile of Apple's devices: no secret is in it."""
    try:
        document = autoconfig.apple(visit.ports.config())
    except autoconfig.NoDoor:
        return await visit.missing()
    headers = {"Content-Disposition": 'attachment; filename="caducee.mobileconfig"'}
    return Response(document, media_type="application/x-apple-aspen-config", headers=headers)
