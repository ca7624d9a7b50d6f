"""The word that the folder of large messages bears (2026-11-27)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """The word that the folder of large messages bears: none yet, the start that follows gives it one."""
    op.create_table(
        "blob_mark",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("word", sa.String(length=64), nullable=False, comment="see mailboxes.blob_mark"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blob_mark")),
    )
