"""Puts sealed messages into folders of many mailboxes, inside the transaction that accepts them.

Promise: a batch costs a few statements, whatever its length; each folder's row is locked once and its UIDs are given
together. One recipient's refusal does not harm the others.
Failure: per delivery, as a value: :class:`MailboxGone`, :class:`OverQuota`, :class:`NoSuchFolder` (a mailbox without
INBOX). Database errors propagate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailboxes import body_rows, entry_rows, folder_rows
from mailboxes.commit import Unit
from mailboxes.dates import zone_here
from mailboxes.flags import canonical_text
from mailboxes.folder_rows import INBOX_ID, FolderRow
from mailboxes.keys import Keyring, wrap_key
from mailboxes.keywords import Keywords
from mailboxes.sql import InList, Sql
from mailboxes.store import Delivery, MailboxGone, NoSuchFolder, OverQuota, Placed, StoreError

_USED = InList("SELECT mailbox_id, SUM(bytes) FROM folder WHERE mailbox_id IN (...) GROUP BY mailbox_id")
_INBOXES = InList(
    f"SELECT (SELECT bytes_limit FROM mailbox_state AS state WHERE state.mailbox_id = folder.mailbox_id), {folder_rows.COLUMNS}"  # noqa: S608
    f" FROM folder WHERE id = {INBOX_ID} AND mailbox_id IN (...) ORDER BY mailbox_id",
    lock=True,
)
_USE_OF_ONE = Sql(
    "SELECT (SELECT SUM(bytes) FROM folder WHERE folder.mailbox_id = mailbox_state.mailbox_id), bytes_limit,"
    " (SELECT SUM(messages) FROM folder WHERE folder.mailbox_id = mailbox_state.mailbox_id)"
    " FROM mailbox_state WHERE mailbox_id = ?"
)

Place = tuple[int, int]


def deliver(
    unit: Unit, keyring: Keyring, deliveries: Sequence[Delivery], *, counted: bool = False
) -> list[Placed | StoreError]:
    """Place every delivery; outcomes in order. The bodies' rows come with the same transaction.

    They get a reference for each placed, unless the caller has ``counted`` them.
    """
    outcomes: list[Placed | StoreError | None] = [None] * len(deliveries)
    mailboxes = sorted({delivery.mailbox_id for delivery in deliveries})
    keys = _keys(unit, keyring, mailboxes)
    folders, limits = _folders(unit.cursor, keyring, mailboxes, deliveries)
    room = _room(unit.cursor, limits)
    chosen: dict[Place, list[int]] = defaultdict(list)
    for index, delivery in enumerate(deliveries):
        place = folders.get((delivery.mailbox_id, delivery.folder)) or folders.get((delivery.mailbox_id, "INBOX"))
        outcomes[index] = refusal = _refusal(delivery, keys, room, place)
        if refusal is None and place is not None:
            chosen[(place.mailbox_id, place.id)].append(index)
    rows = {(row.mailbox_id, row.id): row for row in folders.values()}
    now = int(unit.now)
    batch = [
        (rows[key], [new_entry(deliveries[index], *keys[key[0]], now) for index in indexes])
        for key, indexes in sorted(chosen.items())
    ]
    for (before, _), after, key in zip(batch, entry_rows.add_all(unit.cursor, batch), sorted(chosen), strict=True):
        unit.touched(*key)
        for uid, index in enumerate(chosen[key], before.uidnext):
            outcomes[index] = Placed(*key, uid, after.modseq)
    if not counted:
        placed = zip(deliveries, outcomes, strict=True)
        body_rows.hold(unit.cursor, [delivery.sealed.body_id for delivery, one in placed if isinstance(one, Placed)])
    return [one if one is not None else NoSuchFolder("no INBOX") for one in outcomes]


Keys = dict[int, tuple[AESGCM, Keywords]]
"""What seals the keys and the keywords of messages, by mailbox."""


def _keys(unit: Unit, keyring: Keyring, mailboxes: Sequence[int]) -> Keys:
    found = {}
    for mailbox_id in mailboxes:
        try:
            cipher = keyring.key(unit.connection, mailbox_id)
            found[mailbox_id] = cipher, keyring.keywords(unit.cursor, mailbox_id)
        except MailboxGone:
            continue
    return found


def _room(cursor: Any, limits: dict[int, int]) -> dict[int, int]:
    """Bytes left in each mailbox that has a limit."""
    if not limits:
        return {}
    used = dict(_USED(cursor, list(limits)))
    return {mailbox_id: limit - int(used.get(mailbox_id) or 0) for mailbox_id, limit in limits.items()}


def _folders(
    cursor: Any, keyring: Keyring, mailboxes: Sequence[int], deliveries: Sequence[Delivery]
) -> tuple[dict[tuple[int, str], FolderRow], dict[int, int]]:
    """The folders deliveries name, by mailbox and name, locked; and the limits of the mailboxes that have one."""
    found = {}
    limits = {}
    for limit, *row in _INBOXES(cursor, mailboxes):
        folder = FolderRow._make(row)
        found[(folder.mailbox_id, folder.name)] = folder
        if limit:
            limits[folder.mailbox_id] = limit
    named = {(delivery.mailbox_id, delivery.folder) for delivery in deliveries if delivery.folder != "INBOX"}
    for mailbox_id, name in sorted(named):
        try:
            seen = folder_rows.by_name(cursor, mailbox_id, name, keyring.names(cursor, mailbox_id))
            found[(mailbox_id, name)] = folder_rows.lock(cursor, mailbox_id, seen.id)
        except (NoSuchFolder, MailboxGone):
            continue  # it goes to INBOX, or is refused
    return found, limits


def _refusal(delivery: Delivery, keys: Keys, room: dict[int, int], place: FolderRow | None) -> StoreError | None:
    """Why this delivery cannot be; None after taking its room."""
    mailbox_id = delivery.mailbox_id
    if mailbox_id not in keys:
        return MailboxGone(f"mailbox {mailbox_id} has no key")
    if place is None:
        return NoSuchFolder("no INBOX")
    if mailbox_id in room:
        if room[mailbox_id] < delivery.sealed.size:
            return OverQuota(f"mailbox {mailbox_id} is full")
        room[mailbox_id] -= delivery.sealed.size
    return None


def new_entry(delivery: Delivery, cipher: AESGCM, words: Keywords, now: int) -> entry_rows.New:
    """The row of a delivery, its key wrapped for the mailbox and its keywords sealed."""
    sealed = delivery.sealed
    internal_date = now if delivery.internal_date is None else delivery.internal_date
    return entry_rows.New(
        flags=words.sealed(canonical_text(delivery.flags)),
        size=sealed.size,
        internal_date=internal_date,
        save_date=now,
        body_id=sealed.body_id,
        key=wrap_key(cipher, sealed.data_key, delivery.mailbox_id, sealed.body_id),
        thread_id=delivery.thread_id,
        zone=zone_here(internal_date) if delivery.zone is None else delivery.zone,
    )


def use(cursor: Any, mailbox_id: int) -> tuple[int, int, int]:
    """Bytes used, bytes allowed (0: no limit), messages of one mailbox."""
    row = _USE_OF_ONE(cursor, mailbox_id).fetchone()
    if row is None:
        raise MailboxGone(f"mailbox {mailbox_id} is not here")
    return int(row[0] or 0), int(row[1]), int(row[2] or 0)


def demand_room(cursor: Any, mailbox_id: int, size: int) -> None:
    """Raise :class:`OverQuota` when ``size`` more bytes do not fit."""
    used, limit, _messages = use(cursor, mailbox_id)
    if limit and used + size > limit:
        raise OverQuota(f"mailbox {mailbox_id} is full")
