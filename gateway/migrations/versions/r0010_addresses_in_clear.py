"""Which domains of patients have their addresses sealed (2026-11-27)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Which domains of patients have their addresses sealed: none yet. The configuration, which names them, and keys are met at
    the start that follows."""
    op.create_table(
        "sealed_domain",
        sa.Column(
            "domain", sa.String(length=255), nullable=False, comment="of patients, whose addresses every process seals"
        ),
        sa.Column("done", sa.SmallInteger(), nullable=False, comment="no row holds any in clear"),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_sealed_domain")),
    )
