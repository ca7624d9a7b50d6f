"""The first page: my mailboxes, and one step from each to what is done with it.

Promise: only mailboxes that the reader owns or is a member of; of each, what the reader may do. Failure: database errors propagate.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection
from starlette.responses import Response

from gateway.portal.frame import Page
from gateway.portal.visit import Visit
from mailboxes import lookup, register
from mailboxes.register import Mailbox
from policies.access import ADMIN, READ
from policies.values import BalState, BalType


def pages() -> list[Page]:
    return [Page("/", show)]


@dataclass(frozen=True, slots=True)
class Mine:
    """A mailbox, with what its reader may do there."""

    box: Mailbox
    rights: frozenset[str]
    aliases: tuple[str, ...] = ()
    quota: int = 0
    used: int = 0

    @property
    def address(self) -> str:
        return str(self.box.address)

    @property
    def reads(self) -> bool:
        """A device password can be made for it."""
        return READ in self.rights and self.box.state is BalState.ACTIVE and self.box.type is not BalType.APP

    @property
    def administers(self) -> bool:
        return ADMIN in self.rights

    @property
    def share(self) -> int:
        """Percent of the quota that is used; 0 without one."""
        return min(round(100 * self.used / self.quota), 100) if self.quota else 0


def mine(connection: Connection, account_id: int) -> list[Mine]:
    """Every mailbox of a person that still lives."""
    found = register.of_person(connection, account_id)
    return [_mine(connection, box, account_id) for box in found if box.state is not BalState.DELETED]


def _mine(connection: Connection, box: Mailbox, account_id: int) -> Mine:
    names = register.addresses(connection, box.id)
    facts = lookup.facts_by_id(connection, box.id)
    return Mine(
        box,
        register.rights(connection, box, account_id),
        tuple(key for key, alias in names if alias),
        facts.quota if facts else 0,
        facts.used if facts else 0,
    )


def one_of(connection: Connection, account_id: int, mailbox_id: int) -> Mine | None:
    """One mailbox, if it is one of this person's."""
    box = register.by_id(connection, mailbox_id)
    if box is None or box.state is BalState.DELETED:
        return None
    found = _mine(connection, box, account_id)
    return found if found.rights else None


async def show(visit: Visit) -> Response:
    own, warning = visit.who.account_id, visit.ports.config().accounts.quota_warning
    found = await visit.ask(lambda connection: mine(connection, own))
    return await visit.page("home.html", mine=found, warning=100 * warning)
