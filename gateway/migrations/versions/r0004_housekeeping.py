"""Housekeeping reads what it forgets (2026-11-27)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Housekeeping reads what it forgets."""
    op.drop_index(op.f("ix_followed_deadline"), table_name="followed")
    op.create_index("ix_followed_deadline", "followed", ["deadline_at", "sent_at"], unique=False)
    op.create_index(
        "ix_followed_envid",
        "followed",
        ["mailbox", "envid"],
        unique=False,
        sqlite_where=sa.text("envid != ''"),
        postgresql_where=sa.text("envid != ''"),
    )
