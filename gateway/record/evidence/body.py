"""The message itself, for a pack whose owner wants it in (TOU-A14): read by who may read it, and on record (MSS-062, MSS-063).

Promise: an operator never gets here without a person's strong session; what is read is the message that was accepted, by its
digest. Failure: None for somebody else's message; :class:`mailboxes.store.StoreError` for one that cannot be read.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from gateway.record import journal
from mailboxes import register
from mailboxes.sessions import StrongSession
from mailboxes.store import MailStore
from mailboxes.tables import body, entry, folder
from policies.events import Event, Kind


@dataclass(frozen=True, slots=True)
class Place:
    """Where a copy lies. ``reference`` is the folder's number, as the journal calls it."""

    mailbox: int
    folder: int
    uid: int
    reference: str


def readable(connection: Connection, message: str, person: StrongSession) -> Place | None:
    """A copy that ``person`` may read, wherever it was moved since."""
    records = journal.read(connection, message=message)
    sums = [bytes.fromhex(one.detail["sha256"]) for one in records if one.kind == Kind.MESSAGE_ACCEPTED.word]
    for one in records:
        if one.kind != Kind.DELIVERED.word:
            continue
        box = register.get(connection, one.recipient)
        if box.id != one.mailbox or "read" not in register.rights(connection, box, person.account_id):
            continue
        found = (
            select(entry.c.folder_id, entry.c.uid, folder.c.object_id)
            .join(body, body.c.body_id == entry.c.body_id)
            .join(folder, (folder.c.mailbox_id == entry.c.mailbox_id) & (folder.c.id == entry.c.folder_id))
            .where(entry.c.mailbox_id == box.id, body.c.sha256.in_(sums))
        )
        row = connection.execute(found.limit(1)).one_or_none()
        if row is not None:
            return Place(box.id, row.folder_id, row.uid, row.object_id)
    return None


async def read_copy(store: MailStore, place: Place, actor: str, message: str) -> bytes:
    """The message. Its reading is durable before."""
    snapshot = await store.snapshot(place.mailbox, place.folder)
    held = [one for one in snapshot.entries if one.uid == place.uid]
    detail = {"command": "EVIDENCE", "folder": place.reference, "count": len(held), "uids": str(place.uid)}
    await store.record((Event(Kind.READ, actor=actor, message=message, mailbox=place.mailbox, detail=detail),))
    (content,) = await store.bodies(place.mailbox, held)
    return bytes(content)
