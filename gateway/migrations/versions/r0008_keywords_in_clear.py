"""Which mailboxes have keywords in clear (2026-11-27)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Which mailboxes have keywords in clear: all there are. Sealing takes keys, which no revision has."""
    op.create_table(
        "keywords_in_clear",
        sa.Column(
            "mailbox_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
            comment="still to be sealed at a start",
        ),
        sa.PrimaryKeyConstraint("mailbox_id", name=op.f("pk_keywords_in_clear")),
    )
    op.execute("INSERT INTO keywords_in_clear SELECT mailbox_id FROM mailbox_state")
