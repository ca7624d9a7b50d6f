"""The wrapped keys apart from the database: what makes a destroyed key stay destroyed in old backups.

A backup of the database holds the wrapped keys of its day. So that closing a mailbox for good reaches backups too, the
operator rotates the master key after it (:meth:`mailboxes.keys.Keyring.rewrap`), destroys the old master key, and keeps
one export of the wrapped keys, always the newest, beside the backups. Restoring is then: put the old database back,
import the newest export. Messages of mailboxes closed since have no key anywhere any more.
Promise: an export holds only wrapped keys; it is useless without the master key. Importing replaces all keys in the
caller's transaction. Failure: ``ValueError`` for a file that is not an export, :class:`Outdated` for one that lacks keys
made after it: they would be lost.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, insert, select

from mailboxes.tables import mailbox_key, master_check

FORMAT = 1
LIMIT = 512 * 1024 * 1024


class Outdated(ValueError):
    """The database holds keys made since the export."""


class Imported(NamedTuple):
    """How many mailbox keys were put in place, and what else the export holds, by name."""

    number: int
    also: dict[str, bytes]


def export_keys(connection: Connection, now: float, also: Mapping[str, bytes] | None = None) -> bytes:
    """All wrapped keys and the master key's check value, as JSON. ``also``: other wrapped keys of the caller."""
    check = connection.execute(select(master_check.c.value).where(master_check.c.id == 1)).scalar_one()
    rows = connection.execute(select(mailbox_key).order_by(mailbox_key.c.mailbox_id))
    keys = [[row.mailbox_id, _text(row.wrapped), row.created_at] for row in rows]
    others = {name: _text(value) for name, value in (also or {}).items()}
    said = {"format": FORMAT, "at": int(now), "check": _text(check), "keys": keys, "also": others}
    return json.dumps(said).encode("ascii")


def import_keys(connection: Connection, data: bytes) -> Imported:
    """Replace all keys by those of an export. Open the keyring afterwards, it checks the master."""
    export = _parsed(data)
    _demand_none_newer(connection, export)
    connection.execute(delete(mailbox_key))
    connection.execute(delete(master_check))
    connection.execute(insert(master_check), {"id": 1, "value": export.check})
    if export.rows:
        connection.execute(insert(mailbox_key), export.rows)
    return Imported(len(export.rows), export.also)


class _Export(NamedTuple):
    at: int
    check: bytes
    rows: list[dict[str, Any]]
    also: dict[str, bytes]


def _demand_none_newer(connection: Connection, export: _Export) -> None:
    held = {row["mailbox_id"] for row in export.rows}
    made_since = select(mailbox_key.c.mailbox_id).where(mailbox_key.c.created_at >= export.at)
    if not held.issuperset(connection.execute(made_since).scalars()):
        raise Outdated("the database holds keys made after this export")


def _parsed(data: bytes) -> _Export:
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
        also = {str(name): _bytes(value) for name, value in found["also"].items()}
        return _Export(int(found["at"]), _bytes(found["check"]), rows, also)
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("this is not an export of keys") from error


def _text(value: bytes) -> str:
    return base64.b64encode(bytes(value)).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
