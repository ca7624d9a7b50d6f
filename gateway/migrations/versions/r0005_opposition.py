"""Oppositions by traits, and those that name professionals (2026-11-27)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Oppositions by traits, and those that name professionals: the key is wider, so the table is made again."""
    held = op.get_bind().execute(sa.text("SELECT digest, scope, reference, actor, since FROM patient_opposition"))
    rows = [{**row, "address": "", "subject": row["digest"], "kind": "number"} for row in held.mappings()]
    op.drop_table("patient_opposition")
    made = op.create_table(
        "patient_opposition",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False, comment="of a number, or of strict traits"),
        sa.Column("scope", sa.String(length=16), nullable=False, comment="patient or professionals"),
        sa.Column(
            "address", sa.String(length=320), nullable=False, comment="key of the mailbox it forbids, empty for all"
        ),
        sa.Column("subject", sa.LargeBinary(length=32), nullable=False, comment="the first digest of the same person"),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="number or traits"),
        sa.Column(
            "reference",
            sa.String(length=64),
            nullable=False,
            comment="of the written request, chosen by who recorded it",
        ),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False, comment="seconds since the epoch"),
        sa.PrimaryKeyConstraint("digest", "scope", "address", name=op.f("pk_patient_opposition")),
    )
    op.bulk_insert(made, rows)
