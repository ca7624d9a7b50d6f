"""Rows of folders: reading, creating, renaming, deleting them inside a transaction.

Promise: a folder's UIDVALIDITY is never given twice in a mailbox, whatever is deleted and created again; INBOX has id 1
and keeps it. A function that changes a folder locks its row first, so that processes take turns per folder.
Failure: :class:`NoSuchFolder`, :class:`FolderExists`, :class:`MailboxGone` (no such mailbox here).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any, NamedTuple

from mailboxes.folder_names import INBOX, FolderNames
from mailboxes.sql import Sql
from mailboxes.store import Folder, FolderExists, MailboxGone, NoSuchFolder

INBOX_ID = 1
SEPARATOR = "/"
DEFAULTS = (
    (INBOX, ""),
    ("Sent", "\\Sent"),
    ("Drafts", "\\Drafts"),
    ("Trash", "\\Trash"),
    ("Junk", "\\Junk"),
    ("Archive", "\\Archive"),
)


class FolderRow(NamedTuple):
    """A folder as stored: its name is sealed."""

    mailbox_id: int
    id: int
    name: str
    special_use: str
    object_id: str
    uidvalidity: int
    uidnext: int
    modseq: int
    history_from: int
    messages: int
    unseen: int
    bytes: int

    @property
    def reference(self) -> str:
        """As :attr:`mailboxes.store.Folder.reference`."""
        return INBOX if self.id == INBOX_ID else self.object_id

    def folder(self, names: FolderNames, *, subscribed: bool) -> Folder:
        return Folder(
            id=self.id,
            name=names.opened(self.name),
            uidvalidity=self.uidvalidity,
            uidnext=self.uidnext,
            highestmodseq=self.modseq,
            object_id=self.object_id,
            special_use=self.special_use,
            subscribed=subscribed,
            messages=self.messages,
            unseen=self.unseen,
            bytes=self.bytes,
        )


COLUMNS = ", ".join(FolderRow._fields)
_ALL = Sql(f"SELECT {COLUMNS} FROM folder WHERE mailbox_id = ?")  # noqa: S608
_BY_NAME = Sql(f"SELECT {COLUMNS} FROM folder WHERE mailbox_id = ? AND name = ?")  # noqa: S608
_BY_ID = Sql(f"SELECT {COLUMNS} FROM folder WHERE mailbox_id = ? AND id = ?")  # noqa: S608
_LOCK = Sql(f"SELECT {COLUMNS} FROM folder WHERE mailbox_id = ? AND id = ?", lock=True)  # noqa: S608
_LOCK_NAME = Sql(f"SELECT {COLUMNS} FROM folder WHERE mailbox_id = ? AND name = ?", lock=True)  # noqa: S608
_INSERT = Sql(f"INSERT INTO folder ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, 1, 1, 0, 0, 0, 0)")  # noqa: S608
_STATE = Sql("SELECT next_folder, last_uidvalidity FROM mailbox_state WHERE mailbox_id = ?", lock=True)
_STATE_SET = Sql("UPDATE mailbox_state SET next_folder = ?, last_uidvalidity = ? WHERE mailbox_id = ?")
_RENAME = Sql("UPDATE folder SET name = ? WHERE mailbox_id = ? AND id = ?")
_USE = Sql("UPDATE folder SET special_use = ? WHERE mailbox_id = ? AND id = ?")
_DELETE = Sql("DELETE FROM folder WHERE mailbox_id = ? AND id = ?")
_DELETE_METADATA = Sql("DELETE FROM folder_metadata WHERE mailbox_id = ? AND folder_id = ?")
_SUBSCRIPTIONS = Sql("SELECT name FROM subscription WHERE mailbox_id = ?")
_SUBSCRIBE = Sql("INSERT INTO subscription (mailbox_id, name) VALUES (?, ?) ON CONFLICT DO NOTHING")
_UNSUBSCRIBE = Sql("DELETE FROM subscription WHERE mailbox_id = ? AND name = ?")


def canonical_name(name: str) -> str:
    """INBOX in any case is INBOX, as a whole or as the first level of a name."""
    first, separator, rest = name.partition(SEPARATOR)
    return INBOX + separator + rest if first.upper() == INBOX else name


def all_folders(cursor: Any, mailbox_id: int) -> list[FolderRow]:
    return [FolderRow._make(row) for row in _ALL(cursor, mailbox_id).fetchall()]


def by_name(cursor: Any, mailbox_id: int, name: str, names: FolderNames) -> FolderRow:
    return _found(_BY_NAME(cursor, mailbox_id, names.sealed(canonical_name(name))).fetchone())


def by_id(cursor: Any, mailbox_id: int, folder_id: int) -> FolderRow:
    return _found(_BY_ID(cursor, mailbox_id, folder_id).fetchone())


def lock(cursor: Any, mailbox_id: int, folder_id: int) -> FolderRow:
    """The folder, which nobody else changes until this transaction ends."""
    return _found(_LOCK(cursor, mailbox_id, folder_id).fetchone())


def lock_name(cursor: Any, mailbox_id: int, name: str, names: FolderNames) -> FolderRow:
    """The same by name."""
    return _found(_LOCK_NAME(cursor, mailbox_id, names.sealed(canonical_name(name))).fetchone())


def lock_all(cursor: Any, mailbox_id: int, folder_ids: Iterable[int]) -> dict[int, FolderRow]:
    """Several folders of one mailbox, locked in one order everywhere so that nobody waits in a circle."""
    return {folder_id: lock(cursor, mailbox_id, folder_id) for folder_id in sorted(set(folder_ids))}


def _found(row: Any) -> FolderRow:
    if row is None:
        raise NoSuchFolder("no such folder")
    return FolderRow._make(row)


def create(cursor: Any, mailbox_id: int, name: str, special_use: str, now: float, names: FolderNames) -> FolderRow:
    """A new empty folder, with a UIDVALIDITY greater than any before in this mailbox."""
    state = _STATE(cursor, mailbox_id).fetchone()
    if state is None:
        raise MailboxGone(f"mailbox {mailbox_id} is not here")
    sealed = names.sealed(canonical_name(name))
    if _BY_NAME(cursor, mailbox_id, sealed).fetchone() is not None:
        raise FolderExists("a folder of that name exists")
    folder_id, uidvalidity = state[0], max(int(now), state[1] + 1)
    object_id = "F" + secrets.token_hex(8)
    _INSERT(cursor, mailbox_id, folder_id, sealed, special_use, object_id, uidvalidity)
    _STATE_SET(cursor, folder_id + 1, uidvalidity, mailbox_id)
    return by_id(cursor, mailbox_id, folder_id)


def rename(cursor: Any, mailbox_id: int, row: FolderRow, name: str, names: FolderNames) -> None:
    """Give the folder and its inferiors a new name."""
    name, old = canonical_name(name), names.opened(row.name)
    inside = old + SEPARATOR
    called = {one.id: names.opened(one.name) for one in all_folders(cursor, mailbox_id)}
    moved = {
        folder_id: name + one[len(old) :]
        for folder_id, one in called.items()
        if folder_id == row.id or one.startswith(inside)
    }
    taken = {one for folder_id, one in called.items() if folder_id not in moved}
    if name.startswith(inside) or not taken.isdisjoint(moved.values()):
        raise FolderExists("a folder of that name exists")
    for folder_id, one in moved.items():
        _RENAME(cursor, names.sealed(one), mailbox_id, folder_id)


def seal_names(cursor: Any, mailbox_id: int, names: FolderNames) -> None:
    """Seal the names and subscriptions that an older release left in clear; once, for they would be sealed again."""
    for row in all_folders(cursor, mailbox_id):
        if row.id != INBOX_ID:
            _RENAME(cursor, names.sealed(row.name), mailbox_id, row.id)
    for name in subscriptions(cursor, mailbox_id):
        _UNSUBSCRIBE(cursor, mailbox_id, name)
        _SUBSCRIBE(cursor, mailbox_id, names.sealed(name))


def use(cursor: Any, mailbox_id: int, folder_id: int, special_use: str) -> None:
    _USE(cursor, special_use, mailbox_id, folder_id)


def delete(cursor: Any, mailbox_id: int, folder_id: int) -> None:
    """Remove the row of a folder already emptied."""
    _DELETE(cursor, mailbox_id, folder_id)
    _DELETE_METADATA(cursor, mailbox_id, folder_id)


def subscriptions(cursor: Any, mailbox_id: int) -> set[str]:
    """The names subscribed to, sealed."""
    return {row[0] for row in _SUBSCRIPTIONS(cursor, mailbox_id).fetchall()}


def subscribe(cursor: Any, mailbox_id: int, name: str, names: FolderNames, *, subscribed: bool) -> None:
    statement = _SUBSCRIBE if subscribed else _UNSUBSCRIBE
    statement(cursor, mailbox_id, names.sealed(canonical_name(name)))
