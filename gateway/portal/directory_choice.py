"""What the directory publishes, address by address: red list and paperless by check boxes (TOU-A08, A09, E06).

Promise: the reader is told what is published before choosing; only mailboxes the reader administers are shown and changed; what did not change
is not written. A red-listed mailbox sends and receives as before. Failure: :class:`mailboxes.accounts.Refused`, shown on the page.
"""

from __future__ import annotations

from starlette.responses import Response

from gateway.portal.frame import Page
from gateway.portal.home import Mine, mine
from gateway.portal.visit import Visit
from mailboxes.unit import Unit
from policies.values import BalState


def pages() -> list[Page]:
    return [Page("/directory", show, choose)]


async def show(visit: Visit) -> Response:
    own = visit.who.account_id
    found = [one for one in await visit.ask(lambda connection: mine(connection, own)) if _choosable(one)]
    return await visit.page("directory.html", mine=found)


async def choose(visit: Visit) -> Response:
    who, register = visit.who, visit.ports.people.register
    shown = {int(text) for text in visit.all("shown") if text.isdecimal() and len(text) < 19}
    wanted = {name: set(visit.all(name)) for name in ("red_list", "paperless")}

    def work(unit: Unit) -> None:
        for one in mine(unit.connection, who.account_id):
            if one.box.id not in shown or not _choosable(one):
                continue
            asked = {name: str(one.box.id) in wanted[name] for name in wanted}
            changed = {name: value for name, value in asked.items() if getattr(one.box, name) != value}
            if changed:
                register.set_attributes(unit, one.address, changed, who.login)

    await visit.do(work)
    return visit.to("/directory", "directory")


def _choosable(one: Mine) -> bool:
    return one.administers and one.box.state in (BalState.ACTIVE, BalState.SUSPENDED)
