"""What each mailbox sent lately, shared by all processes (2026-11-26)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """What each mailbox sent lately, shared by all processes."""
    op.create_table(
        "volume",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sender", sa.String(length=320), nullable=False, comment="address key of the mailbox that sent"),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="seconds since the epoch"),
        sa.Column("recipients", sa.Integer(), nullable=False),
        sa.Column(
            "content",
            sa.LargeBinary(length=32),
            nullable=False,
            comment="digest of what the leaves of the message hold",
        ),
        sa.Column("marks", sa.LargeBinary(), nullable=False, comment="eight octets of digest per recipient"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_volume")),
    )
    op.create_index("volume_of_sender", "volume", ["sender", "at"], unique=False)
