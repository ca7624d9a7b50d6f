"""The wrapped mailbox keys apart from the database: what makes a destroyed key stay destroyed in old backups.

A backup of the database holds the wrapped keys of its day. So that closing a mailbox for good reaches backups too, the
operator rotates the master key after it (:meth:`mailboxes.keys.Keyring.rewrap`), destroys the old master key, and keeps
one export of the wrapped keys, always the newest, beside the backups. Restoring is then: put the old database back,
import the newest export. Messages of mailboxes closed since have no key anywhere any more.
Promise: an export holds only wrapped keys; it is useless without the master key. Importing replaces all keys in the
caller's transaction. Failure: ``ValueError`` for a file that is not an export.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from mailboxes.tables import mailbox_key, master_check

FORMAT = 1
LIMIT = 512 * 1024 * 1024


def export_keys(connection: Connection) -> bytes:
    """All wrapped keys and the master key's check value, as JSON."""
    check = connection.execute(select(master_check.c.value).where(master_check.c.id == 1)).scalar_one()
    rows = connection.execute(select(mailbox_key).order_by(mailbox_key.c.mailbox_id))
    keys = [[row.mailbox_id, _text(row.wrapped), row.created_at] for row in rows]
    return json.dumps({"format": FORMAT, "check": _text(check), "keys": keys}).encode("ascii")


def import_keys(connection: Connection, data: bytes) -> int:
    """Replace all keys by those of an export; how many there are. Open the keyring afterwards, it checks the master."""
    check, rows = _parsed(data)
    connection.execute(delete(mailbox_key))
    connection.execute(delete(master_check))
    connection.execute(insert(master_check), {"id": 1, "value": check})
    if rows:
        connection.execute(insert(mailbox_key), rows)
    return len(rows)


def _parsed(data: bytes) -> tuple[bytes, list[dict[str, Any]]]:
    if len(data) > LIMIT:
        raise ValueError("an export of keys is not that large")
    try:
        found = json.loads(data)
        if found["format"] != FORMAT:
            raise ValueError("unknown format of an export of keys")
        rows = [
            {"mailbox_id": int(mailbox_id), "wrapped": _bytes(wrapped), "created_at": int(created_at)}
            for mailbox_id, wrapped, created_at in found["keys"]
        ]
        return _bytes(found["check"]), rows
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("this is not an export of keys") from error


def _text(value: bytes) -> str:
    return base64.b64encode(bytes(value)).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
