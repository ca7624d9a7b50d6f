"""Rare work on folders: after a backup was put back, after an upgrade, and when the history of erasures grows too long.

Promise: after :func:`after_restore` no UID given since the backup is ever given again, and UIDVALIDITY stays, so mail
programs keep their copies and learn by the ordinary means (QRESYNC or a comparison) what the restored state is (F36).
"""

from __future__ import annotations

from typing import Any

from mailboxes import entry_rows, folder_rows
from mailboxes.commit import Unit
from mailboxes.engine import overwriting
from mailboxes.keys import Keyring
from mailboxes.sql import Sql
from mailboxes.store import Corrupted, MailboxGone

UID_GAP = 100_000
"""More messages than any folder receives between two backups."""
MODSEQ_GAP = 1 << 32
"""More changes than any folder sees between two backups; MODSEQ has 63 bits."""
HISTORY = 10_000
"""Erasures a folder remembers, for mail programs that were away."""
NAMES_TOGETHER = 50
"""Mailboxes whose names are sealed in one transaction."""
KEYWORDS_TOGETHER = 5000
"""Messages whose keywords are sealed in one transaction; a mailbox counts as :data:`MAILBOX_COST` of them, if it has none."""
MAILBOX_COST = 50

_MAILBOXES = Sql("SELECT mailbox_id FROM mailbox_state ORDER BY mailbox_id")
_DELETED = Sql(
    "SELECT s.mailbox_id FROM mailbox m JOIN mailbox_state s ON s.mailbox_id = m.id"
    " LEFT JOIN mailbox_key k ON k.mailbox_id = m.id"
    " WHERE m.state = 'deleted' AND k.mailbox_id IS NULL ORDER BY s.mailbox_id"
)
_LEAP = Sql(
    "UPDATE folder SET uidnext = uidnext + ?, modseq = modseq + ?, history_from = modseq + ? WHERE mailbox_id = ?"
)
_TOUCH = Sql(
    "UPDATE entry SET modseq = (SELECT modseq FROM folder WHERE folder.mailbox_id = entry.mailbox_id"
    " AND folder.id = entry.folder_id) WHERE mailbox_id = ?"
)
_NO_HISTORY = Sql("DELETE FROM expunged WHERE mailbox_id = ?")
_NEWEST = Sql(
    "SELECT modseq FROM expunged WHERE mailbox_id = ? AND folder_id = ? ORDER BY modseq DESC LIMIT 1 OFFSET ?"
)
_FORGET = Sql("DELETE FROM expunged WHERE mailbox_id = ? AND folder_id = ? AND modseq <= ?")
_FROM = Sql("UPDATE folder SET history_from = ? WHERE mailbox_id = ? AND id = ? AND history_from < ?")

_IN_CLEAR = Sql(
    f"SELECT mailbox_id FROM names_in_clear WHERE mailbox_id > ? ORDER BY mailbox_id LIMIT {NAMES_TOGETHER}",  # noqa: S608
    lock=True,  # whoever starts at the same moment must not seal them again
)
_SEALED = Sql("DELETE FROM names_in_clear WHERE mailbox_id = ?")
_WORDS_IN_CLEAR = Sql(
    "SELECT mailbox_id FROM keywords_in_clear WHERE mailbox_id >= ? ORDER BY mailbox_id LIMIT 1", lock=True
)
_WORDS_SEALED = Sql("DELETE FROM keywords_in_clear WHERE mailbox_id = ?")


def mailboxes(cursor: Any) -> list[int]:
    """Every mailbox of the store."""
    return [row[0] for row in _MAILBOXES(cursor).fetchall()]


def deleted(cursor: Any) -> list[int]:
    """Mailboxes deleted for good of which rows are left: sizes and dates among them, which are in clear.

    Without a key alone is not enough: keys may come back with their export, and messages would not.
    """
    return [row[0] for row in _DELETED(cursor).fetchall()]


def after_restore(unit: Unit, mailbox_id: int) -> None:
    """Make one mailbox safe to serve after its database was restored from a backup.

    UIDs and MODSEQs leap over what may have been given since; every message counts as changed, because its flags may
    differ from what mail programs saw last; every UID that is not there counts as vanished.
    """
    _LEAP(unit.cursor, UID_GAP, MODSEQ_GAP, MODSEQ_GAP, mailbox_id)
    _TOUCH(unit.cursor, mailbox_id)
    _NO_HISTORY(unit.cursor, mailbox_id)
    unit.touched(mailbox_id, 0)


def forget_history(unit: Unit, mailbox_id: int, keep: int | None = None) -> None:
    """Forget erasures but the last ``keep`` of each folder (:data:`HISTORY` unless told).

    Who comes back with a MODSEQ older than what is kept is told of every UID that is not there, which RFC 7162 allows.
    """
    for folder in folder_rows.all_folders(unit.cursor, mailbox_id):
        row = _NEWEST(unit.cursor, mailbox_id, folder.id, HISTORY if keep is None else keep).fetchone()
        if row is not None:
            _FORGET(unit.cursor, mailbox_id, folder.id, row[0])
            _FROM(unit.cursor, row[0], mailbox_id, folder.id, row[0])


def seal_names(unit: Unit, keyring: Keyring, after: int = 0) -> int | None:
    """Seal the names of folders that a release before revision 0007 left in clear, of some mailboxes numbered above ``after``.

    Returns up to which, None when none is left. A mailbox without a key keeps its names until housekeeping removes it, or
    until its key is back at another start.
    """
    rows = _IN_CLEAR(unit.cursor, after).fetchall()
    if not rows:
        return None
    with overwriting(unit.cursor):
        for (mailbox_id,) in rows:
            try:
                folder_rows.seal_names(unit.cursor, mailbox_id, keyring.names(unit.cursor, mailbox_id))
            except (MailboxGone, Corrupted):
                continue
            _SEALED(unit.cursor, mailbox_id)
    return int(rows[-1][0])


Place = tuple[int, int, int]
"""Mailbox, folder, UID."""


def seal_keywords(unit: Unit, keyring: Keyring, after: Place = (0, 0, 0)) -> Place | None:
    """Seal the keywords that a release before revision 0008 left in clear, of some messages beyond ``after``.

    Returns up to which, None when none is left; mailboxes without a key as :func:`seal_names`. Whoever starts at the same
    moment may come between two portions: what is sealed is known by its mark, and not sealed again.
    """
    mailbox_id, folder_id, uid = after
    left = KEYWORDS_TOGETHER
    with overwriting(unit.cursor):
        while left > 0:
            row = _WORDS_IN_CLEAR(unit.cursor, mailbox_id).fetchone()
            if row is None:
                return None
            if row[0] != mailbox_id:
                mailbox_id, folder_id, uid = row[0], 0, 0
            left -= MAILBOX_COST
            last: tuple[int, int] | None = None
            try:
                words = keyring.keywords(unit.cursor, mailbox_id)
            except (MailboxGone, Corrupted):
                pass
            else:
                most = max(left, MAILBOX_COST)
                seen, last = entry_rows.seal_keywords(unit.cursor, mailbox_id, (folder_id, uid), most, words)
                left -= seen
                if last is None:
                    _WORDS_SEALED(unit.cursor, mailbox_id)
            mailbox_id, folder_id, uid = (mailbox_id, *last) if last is not None else (mailbox_id + 1, 0, 0)
    return mailbox_id, folder_id, uid
