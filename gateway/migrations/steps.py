"""The slow path of :mod:`gateway.migrations`: runs the revisions that are missing, with Alembic and without its files.

Promise: everything happens in the transaction of the connection it is given. Failure:
:class:`mailboxes.store.StoreUnavailable` for tables without a revision that hold rows or are not in this release's
form; a database error propagates and undoes the whole upgrade.
"""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select

from gateway.migrations import VERSIONS, revisions
from gateway.migrations.tables import metadata
from mailboxes.store import StoreUnavailable


def scripts() -> ScriptDirectory:
    """The revisions, as Alembic reads them."""
    return ScriptDirectory(VERSIONS.parent, version_locations=[VERSIONS])


def climb(connection: Connection, found: str | None) -> None:
    """From revision ``found`` (None: none) to the newest."""
    directory, head = scripts(), revisions()[-1]
    if found is None and _ours(connection):
        _accept_as_it_is(connection)
        context(connection).stamp(directory, head)
        return
    own = context(connection, lambda current, _context: directory._upgrade_revs(head, current))
    with Operations.context(own):
        own.run_migrations()


def context(connection: Connection, steps: object = None) -> MigrationContext:
    """Alembic on an open transaction."""
    options = {"target_metadata": metadata, "transactional_ddl": True, "fn": steps, "include_object": _declared}
    return MigrationContext.configure(connection, opts=options)


def _declared(_item: object, name: str | None, *_where: object) -> bool:
    """All but the trigrams of the directory, which Alembic cannot compare (:data:`directory.tables.SQLITE_GRAMS`)."""
    return not (name or "").startswith("directory_gram")


def difference(connection: Connection) -> list[object]:
    """What the tables of this release have and the database has not, or the reverse; empty when they agree."""
    return list(compare_metadata(context(connection), metadata))


def _ours(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) & set(metadata.tables)


def _accept_as_it_is(connection: Connection) -> None:
    """Tables that were created without a revision: fine when empty and in form, refused otherwise."""
    present = _ours(connection)
    filled = [name for name in sorted(present) if connection.execute(select(metadata.tables[name]).limit(1)).first()]
    if filled or difference(connection):
        what = f"{filled[0]} holds rows" if filled else "they are not in this release's form"
        raise StoreUnavailable(f"the database has tables but no revision ({what}); newest known: {revisions()[-1]}")
