"""The one catalogue of tables of an operator's database.

Every room that stores something registers its tables on :data:`metadata`; Alembic and ``create_all`` read them all here.
Promise: constraints and indexes have stable names, so a migration can speak of them on SQLite as on PostgreSQL.
"""

from __future__ import annotations

from sqlalchemy import MetaData

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
