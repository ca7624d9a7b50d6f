"""Which files of indicators were made, and which were deposited (2026-11-27)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Which files of indicators were made, and which were deposited."""
    op.create_table(
        "indicator_file",
        sa.Column("month", sa.Integer(), autoincrement=False, nullable=False, comment="202611"),
        sa.Column("name", sa.String(length=320), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("built_at", sa.BigInteger(), nullable=False),
        sa.Column("anonymous", sa.SmallInteger(), nullable=False, comment="no mailbox is named any more (TOU-A12)"),
        sa.Column("deposited_at", sa.BigInteger(), nullable=False, comment="0: not yet"),
        sa.Column("deposited_by", sa.Text(), nullable=False),
        sa.Column("deposited_sha256", sa.String(length=64), nullable=False, comment="of what was deposited"),
        sa.Column("reference", sa.String(length=200), nullable=False, comment="what the receiver called the deposit"),
        sa.PrimaryKeyConstraint("month", "name", name=op.f("pk_indicator_file")),
    )
