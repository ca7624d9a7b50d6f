"""The key of everything kept about patients as digests, itself wrapped by the operator's master key.

Promise: one key per operator, made at the first entry of any process; it is in memory only once it is durable.
Failure: :class:`mailboxes.store.Corrupted` when another master key wrapped it.
"""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, delete, insert, select, update

from gateway.medical.tables import register_key
from mailboxes.commit import Unit
from mailboxes.keys import MasterKey
from mailboxes.sql import Sql

_CONTEXT = b"patient register"
_FIRST = Sql("INSERT INTO patient_register_key (id, wrapped) VALUES (1, ?) ON CONFLICT (id) DO NOTHING")


class RegisterKey:
    """Read once per process."""

    def __init__(self, master: MasterKey) -> None:
        self._master = master
        self._key: bytes | None = None

    def known(self, connection: Connection) -> bytes | None:
        """The key; None when nothing was ever recorded."""
        if self._key is None:
            self._key = self._stored(connection)
        return self._key

    def for_writing(self, unit: Unit) -> bytes:
        """The key, made in this transaction when there is none."""
        found = self.known(unit.connection)
        if found is not None:
            return found
        _FIRST(unit.cursor, self._master.wrap(secrets.token_bytes(32), _CONTEXT))
        made = self._stored(unit.connection)  # another process may have been first
        assert made is not None
        return made  # kept in memory only once it is durable: the next reading finds it

    def rewrap(self, connection: Connection, master: MasterKey) -> None:
        """Wrap it with another master key, in the caller's transaction."""
        key = self._stored(connection)
        if key is not None:
            connection.execute(update(register_key).values(wrapped=master.wrap(key, _CONTEXT)))

    def wrapped(self, connection: Connection) -> bytes | None:
        """It as it is stored, for the export of keys beside the backups."""
        found = connection.execute(select(register_key.c.wrapped).where(register_key.c.id == 1)).scalar()
        return None if found is None else bytes(found)

    def restore(self, connection: Connection, wrapped: bytes) -> None:
        """Put it back from an export, in the caller's transaction; it must open with our master key."""
        self._master.unwrap(wrapped, _CONTEXT)
        connection.execute(delete(register_key))
        connection.execute(insert(register_key), {"id": 1, "wrapped": wrapped})

    def _stored(self, connection: Connection) -> bytes | None:
        wrapped = self.wrapped(connection)
        return None if wrapped is None else self._master.unwrap(wrapped, _CONTEXT)
