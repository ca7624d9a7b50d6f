"""Our own mailboxes in the directory: what the register says of them, published by itself (MSS-120, TOU-A07).

The register records each of its changes as an event, in the transaction that makes it. :class:`Publishing` stands where events
are written down, and has the entries follow in that same transaction, in whatever process and by whatever command it is made.
What is hidden has no row at all, so that it costs a search nothing to pass it over; and who may be seen is asked of the register
once more when a question is answered (:func:`visible`), whoever may have changed it (docs/adr/0021).
Promise: a mailbox is found when it is active, its owner's account is, and it is not on the red list, from the commit that says
so (MSS-121, MSS-122); a patient's never is; who is responsible for it is read by nothing here. Failure: an error of the database propagates, and the
change of the register fails with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, or_, select
from sqlalchemy import insert as sql_insert

import gateway.directory.tables  # noqa: F401 - among those of the house
from directory.entry import Entry
from directory.index import put
from directory.reconcile import EMPTY
from directory.tables import FOR_EVER, NATIONAL, entry, source
from mailboxes.account_tables import account, account_calling, address, mailbox, mailbox_place
from mailboxes.sql import chunks
from mailboxes.tables import sealed_domain
from mailboxes.unit import Journal
from policies.events import Event, Kind
from policies.lifecycle import AccountState
from policies.values import BalState

FOLDING = 1
"""Grows when texts are folded otherwise, or another field is shown: entries of before are then written anew."""
TOGETHER = 500
OWN = "own"


def _seen() -> ColumnElement[bool]:
    """Of a row of the register joined with its owner's: it may be seen."""
    owned = or_(mailbox.c.owner_id == 0, account.c.state == AccountState.ACTIVE)
    professional = mailbox.c.domain.not_in(select(sealed_domain.c.domain))
    return and_(mailbox.c.state == BalState.ACTIVE, mailbox.c.red_list.is_(False), owned, professional)


def visible() -> ColumnElement[bool]:
    """Of a row of the directory, by the register as it is now.

    What is an address here, no other source speaks of: the extraction may still list what went on the red list yesterday.
    """
    joined = mailbox.outerjoin(account, account.c.id == mailbox.c.owner_id)
    own = exists().select_from(joined).where(mailbox.c.id == entry.c.owner, _seen())
    ours = exists(_held().where(address.c.key == entry.c.key))
    return or_(and_(entry.c.owner != NATIONAL, own), and_(entry.c.owner == NATIONAL, ~ours))


def _held() -> Select[Any]:
    """Keys of which only our register speaks: all it gave, but those of mailboxes deleted here, that may live on at another operator.

    One deleted while on the red list stays hidden: lists of before tell of it.
    """
    joined = address.join(mailbox, mailbox.c.id == address.c.mailbox_id)
    lives = or_(mailbox.c.state != BalState.DELETED, mailbox.c.red_list.is_(True))
    return select(address.c.key).select_from(joined).where(lives)


class Publishing:
    """A journal that has the directory follow what it is told of mailboxes and accounts."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def append(self, connection: Connection, events: Sequence[Event], now: float) -> None:
        """The entries first: the journal takes the lock on its head last."""
        changed = {event.mailbox for event in events if event.kind is Kind.MAILBOX}
        logins = {str(event.detail.get("account", "")) for event in events if event.kind is Kind.ACCOUNT} - {""}
        if logins:
            owned = select(mailbox.c.id).join(account, account.c.id == mailbox.c.owner_id)
            changed |= set(connection.execute(owned.where(account.c.login.in_(logins))).scalars())
        if changed:
            publish(connection, changed)
        self._journal.append(connection, events, now)


def publish(connection: Connection, mailboxes: Iterable[int]) -> None:
    """Make the entries of these mailboxes what the register says now.

    One process after the other: of two that change an account and its mailbox at once, the later one must see what the other did.
    """
    connection.execute(select(source.c.name).where(source.c.name == OWN).with_for_update())
    for some in chunks(sorted(mailboxes), TOGETHER):
        connection.execute(delete(entry).where(entry.c.owner.in_(some), entry.c.owner != NATIONAL))
        known_as = select(address.c.key).where(address.c.mailbox_id.in_(some))
        connection.execute(delete(entry).where(entry.c.key.in_(known_as), entry.c.owner == NATIONAL))
        seen = [row for row in connection.execute(_QUERY.where(mailbox.c.id.in_(some))) if row.seen]
        put(connection, [_entry(row) for row in seen], [row.id for row in seen], 0, FOR_EVER)


def _columns() -> list[Any]:
    beside = [one for one in (*account_calling.c, *mailbox_place.c) if not one.primary_key]
    own = mailbox.c[
        "id", "local", "domain", "type", "structure", "description", "service", "phone", "paperless", "rank"
    ]
    return [*own, *account.c["title", "family_name", "given_name", "identity"], *beside, _seen().label("seen")]


_QUERY = (
    select(*_columns())
    .select_from(mailbox)
    .outerjoin(account, account.c.id == mailbox.c.owner_id)
    .outerjoin(account_calling, account_calling.c.account_id == account.c.id)
    .outerjoin(mailbox_place, mailbox_place.c.mailbox_id == mailbox.c.id)
)


def _entry(row: Any) -> Entry:
    return Entry(
        address=f"{row.local}@{row.domain}",
        type=row.type,
        title=row.title or "",
        family=row.family_name or "",
        given=row.given_name or "",
        person=row.identity or "",
        profession=row.profession or "",
        profession_code=row.profession_code or "",
        specialty=row.specialty or "",
        specialty_code=row.specialty_code or "",
        structure=row.structure,
        organisation=row.organisation or "",
        service=row.service,
        description=row.description,
        phone=row.phone,
        street=row.street or "",
        postal_code=row.postal_code or "",
        town=row.town or "",
        department=department(row.postal_code or ""),
        rank=row.rank,
        paperless=True if row.paperless else None,
    )


_CORSICA = {"200": "2A", "201": "2A", "202": "2B", "206": "2B"}


def department(postal_code: str) -> str:
    """The department a French postal code lies in; empty for what is none."""
    if len(postal_code) != 5 or not (postal_code.isascii() and postal_code.isdigit()):
        return ""
    if postal_code.startswith(("97", "98")):
        return postal_code[:3]
    return _CORSICA.get(postal_code[:3], postal_code[:2])


def begin(connection: Connection) -> None:
    """Publish every mailbox where that was not done, or not as this release does it; called at each start.

    A domain that the configuration names as one of patients since then goes out of the directory.
    """
    patients = select(mailbox.c.id).where(mailbox.c.domain.in_(select(sealed_domain.c.domain)))
    connection.execute(delete(entry).where(entry.c.owner.in_(patients), entry.c.owner != NATIONAL))
    known = connection.execute(select(source.c.generation).where(source.c.name == OWN)).scalar()
    if known == FOLDING:
        return
    connection.execute(delete(entry).where(entry.c.owner != NATIONAL))
    publish(connection, connection.execute(select(mailbox.c.id)).scalars().all())
    connection.execute(delete(source).where(source.c.name == OWN))
    connection.execute(sql_insert(source), {**EMPTY, "name": OWN, "generation": FOLDING})


def ours(connection: Connection, keys: Sequence[str]) -> list[str]:
    """Those of ``keys`` of which only our register speaks, and those of patients, which are told by none."""
    patients = set(connection.execute(select(sealed_domain.c.domain)).scalars())
    theirs = [key for key in keys if key.rpartition("@")[2] in patients]
    return [
        *theirs,
        *connection.execute(_held().where(address.c.key.in_(keys), address.c.key.not_in(theirs))).scalars(),
    ]
