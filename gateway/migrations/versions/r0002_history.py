"""What mailboxes remember of patients and documents (2026-11-26)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """What mailboxes remember of patients and documents."""
    op.create_table(
        "patient_answer",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False, comment="of the conversation"),
        sa.Column("address", sa.String(length=320), nullable=False, comment="key of a mailbox named in Reply-To"),
        sa.Column("author", sa.String(length=320), nullable=False, comment="key of the professional who wrote"),
        sa.PrimaryKeyConstraint("digest", "address", name=op.f("pk_patient_answer")),
    )
    op.create_table(
        "seen_document",
        sa.Column("mailbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "key", sa.LargeBinary(length=16), nullable=False, comment="of its identifier, or of the set of its versions"
        ),
        sa.Column("mark", sa.LargeBinary(length=16), nullable=False, comment="of the patient"),
        sa.Column("version", sa.Integer(), nullable=False, comment="0 when it says none"),
        sa.Column(
            "content", sa.LargeBinary(length=16), nullable=False, comment="digest of its octets, empty when not known"
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "key", name=op.f("pk_seen_document")),
    )
    op.create_index("ix_seen_document_at", "seen_document", ["at"], unique=False)
    op.create_index("ix_seen_document_mark", "seen_document", ["mailbox_id", "mark"], unique=False)
    op.create_table(
        "seen_key",
        sa.Column("mailbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "key", sa.LargeBinary(length=16), nullable=False, comment="of a number, or of birth date and surname"
        ),
        sa.Column("mark", sa.LargeBinary(length=16), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "key", "mark", name=op.f("pk_seen_key")),
    )
    op.create_index("ix_seen_key_mark", "seen_key", ["mailbox_id", "mark"], unique=False)
    op.create_table(
        "seen_patient",
        sa.Column("mailbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("mark", sa.LargeBinary(length=16), nullable=False, comment="digest of the trace"),
        sa.Column(
            "trace", sa.LargeBinary(), nullable=False, comment="digests of names, dates and numbers, to compare by"
        ),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="when last met"),
        sa.PrimaryKeyConstraint("mailbox_id", "mark", name=op.f("pk_seen_patient")),
    )
    op.create_index("ix_seen_patient_at", "seen_patient", ["at"], unique=False)
