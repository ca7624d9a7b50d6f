"""Patients who look like one who objected (2026-11-27)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Patients who look like one who objected: those recorded before are found exactly only, until they are recorded again."""
    op.create_index("ix_patient_opposition_subject", "patient_opposition", ["subject"], unique=False)
    op.create_table(
        "patient_opposition_key",
        sa.Column("key", sa.LargeBinary(length=16), nullable=False, comment="of what people who look alike share"),
        sa.Column("mark", sa.LargeBinary(length=16), nullable=False),
        sa.PrimaryKeyConstraint("key", "mark", name=op.f("pk_patient_opposition_key")),
    )
    op.create_index("ix_patient_opposition_key_mark", "patient_opposition_key", ["mark"], unique=False)
    op.create_table(
        "patient_opposition_trace",
        sa.Column("mark", sa.LargeBinary(length=16), nullable=False, comment="digest of the trace"),
        sa.Column("subject", sa.LargeBinary(length=32), nullable=False, comment="the first digest of the person"),
        sa.Column(
            "trace", sa.LargeBinary(), nullable=False, comment="digests of names, dates and numbers, to compare by"
        ),
        sa.PrimaryKeyConstraint("mark", name=op.f("pk_patient_opposition_trace")),
    )
    op.create_index("ix_patient_opposition_trace_subject", "patient_opposition_trace", ["subject"], unique=False)
