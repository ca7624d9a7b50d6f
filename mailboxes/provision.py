"""Brings a mailbox into being in the store, and ends it.

Promise: a provisioned mailbox has a key and the six folders mail programs look for, with their special use (RFC 6154).
Destroying its key makes its messages unreadable in every copy of the database and of the blobs.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from mailboxes import body_rows, entry_rows, folder_rows
from mailboxes.commit import Unit
from mailboxes.keys import Keyring
from mailboxes.sql import Sql
from mailboxes.store import PORTION

_STATE = Sql("INSERT INTO mailbox_state (mailbox_id, bytes_limit, next_folder, last_uidvalidity) VALUES (?, ?, 1, 0)")
_LIMIT = Sql("UPDATE mailbox_state SET bytes_limit = ? WHERE mailbox_id = ?")
_FORGET = tuple(
    Sql(f"DELETE FROM {table} WHERE mailbox_id = ?")  # noqa: S608
    for table in (
        "expunged",
        "folder",
        "subscription",
        "folder_metadata",
        "names_in_clear",
        "keywords_in_clear",
        "mailbox_state",
    )
)
_NEXT_INSTANCE = Sql("UPDATE instance SET last = last + 1 WHERE id = 1 RETURNING last")
_FIRST_INSTANCE = Sql("INSERT INTO instance (id, last) VALUES (1, 0) ON CONFLICT DO NOTHING")


def provision(unit: Unit, keyring: Keyring, mailbox_id: int, quota: int) -> None:
    """Key, folders and limit (bytes, 0 = none) of a new mailbox."""
    names = keyring.create(unit.connection, mailbox_id, unit.now)
    _STATE(unit.cursor, mailbox_id, quota)
    for name, special_use in folder_rows.DEFAULTS:
        folder_rows.create(unit.cursor, mailbox_id, name, special_use, unit.now, names)
        folder_rows.subscribe(unit.cursor, mailbox_id, name, names, subscribed=True)


def set_quota(unit: Unit, mailbox_id: int, quota: int) -> None:
    """Change the limit; what is already there stays."""
    _LIMIT(unit.cursor, quota, mailbox_id)


def destroy_key(unit: Unit, keyring: Keyring, mailbox_id: int) -> bool:
    """Close for good: whether there was a key to destroy. Sessions lose it within a minute, here at the commit."""
    there = keyring.destroy(unit.connection, mailbox_id)
    unit.after_commit(lambda: keyring.forget(mailbox_id))
    unit.touched(mailbox_id, 0)
    return there


def erase(unit: Unit, mailbox_id: int, most: int = PORTION) -> tuple[int, list[str]]:
    """Remove up to ``most`` messages of a mailbox whose key is destroyed, and with the last ones all its other rows.

    Returns how many went, fewer than ``most`` when nothing is left, and the blobs to delete after the commit.
    """
    entries = entry_rows.some_of_all(unit.cursor, mailbox_id, most)
    for folder_id, uids in entries.items():
        entry_rows.erase(unit.cursor, mailbox_id, folder_id, [uid for uid, _ in uids])
    blobs = body_rows.release(unit.cursor, Counter(body_id for uids in entries.values() for _, body_id in uids))
    count = sum(map(len, entries.values()))
    if count < most:
        for statement in _FORGET:
            statement(unit.cursor, mailbox_id)
        unit.touched(mailbox_id, 0)
    return count, blobs


def next_instance(cursor: Any) -> int:
    """A number no other process has; the caller commits. See :class:`mailboxes.seal.BodyIds`."""
    _FIRST_INSTANCE(cursor)
    return int(_NEXT_INSTANCE(cursor).fetchone()[0])
