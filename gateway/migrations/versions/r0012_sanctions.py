"""Cases of unsolicited mail, and suspended sending (2026-11-27)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Cases of unsolicited mail, and suspended sending."""
    op.create_table(
        "sanction_act",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=False, comment="0 when it is about a suspension without a case"),
        sa.Column("suspension_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("what", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "charged", sa.BigInteger(), nullable=False, comment="cents added to what is owed; negative when taken off"
        ),
        sa.Column("received", sa.BigInteger(), nullable=False, comment="cents paid"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sanction_act")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sanction_act_at", "sanction_act", ["at"], unique=False)
    op.create_index("ix_sanction_act_case", "sanction_act", ["case_id"], unique=False)
    op.create_table(
        "sanction_case",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("subject", sa.String(length=320), nullable=False, comment="address key of who sent it"),
        sa.Column("mailbox_id", sa.BigInteger(), nullable=False, comment="his mailbox; 0 for a partner's"),
        sa.Column(
            "message",
            sa.String(length=32),
            nullable=False,
            comment="our identifier of it; empty when several or unknown",
        ),
        sa.Column("sent_at", sa.BigInteger(), nullable=False, comment="when it was accepted, or reported"),
        sa.Column("recipients", sa.Integer(), nullable=False),
        sa.Column(
            "source", sa.String(length=16), nullable=False, comment="administrator, recipient, operator, automatic"
        ),
        sa.Column("reporter", sa.String(length=320), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column(
            "once", sa.LargeBinary(length=32), nullable=False, comment="digest of what makes two reports one case"
        ),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.SmallInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False, comment="cents"),
        sa.Column("adjusted", sa.Boolean(), nullable=False, comment="by a person"),
        sa.Column("paid_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sanction_case")),
        sa.UniqueConstraint("once", name=op.f("uq_sanction_case_once")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sanction_case_subject", "sanction_case", ["subject", "id"], unique=False)
    op.create_table(
        "sending_suspension",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("subject", sa.String(length=320), nullable=False, comment="address key of who cannot send"),
        sa.Column("mailbox_id", sa.BigInteger(), nullable=False, comment="his mailbox; 0 for a partner's"),
        sa.Column(
            "structure",
            sa.String(length=64),
            nullable=False,
            comment="when all its mailboxes were suspended together (TOU-F04)",
        ),
        sa.Column("cause", sa.String(length=16), nullable=False, comment="penalty, precaution, partner"),
        sa.Column("ground", sa.Text(), nullable=False, comment="told to who is suspended"),
        sa.Column("way", sa.Text(), nullable=False, comment="how to put it right"),
        sa.Column("state", sa.String(length=16), nullable=False, comment="announced, over, active, ended"),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "until", sa.BigInteger(), nullable=False, comment="of a partner's sender: the end; 0 when a person ends it"
        ),
        sa.Column(
            "remaining",
            sa.BigInteger(),
            nullable=False,
            comment="seconds left to answer, counted while the service runs",
        ),
        sa.Column("seen_at", sa.BigInteger(), nullable=False, comment="when they were last counted"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sending_suspension")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sending_suspension_state", "sending_suspension", ["state"], unique=False)
    op.create_index("ix_sending_suspension_subject", "sending_suspension", ["subject"], unique=False)
