"""Sessions of browsers, invitations, rights, terms (2026-11-27)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Sessions of browsers, invitations, rights, terms."""
    op.create_table(
        "account_right",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("since", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False, comment="0: in force"),
        sa.Column("given_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "name", "since", name=op.f("pk_account_right")),
    )
    op.create_table(
        "invitation",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False, comment="SHA-256 of the token in the link"),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("totp", sa.LargeBinary(), nullable=False, comment="the secret to come, sealed by the vault"),
        sa.Column(
            "contact", sa.Text(), nullable=False, comment="address the link was sent to; using it verifies that address"
        ),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_invitation")),
    )
    op.create_index("ix_invitation_account", "invitation", ["account_id"], unique=False)
    op.create_table(
        "known_browser",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False, comment="SHA-256 of the token in the cookie"),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=False),
        sa.Column("last_ip", sa.String(length=45), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_known_browser")),
    )
    op.create_index("ix_known_browser_account", "known_browser", ["account_id"], unique=False)
    op.create_table(
        "terms",
        sa.Column("version", sa.String(length=64), nullable=False, comment="SHA-256 of the text"),
        sa.Column("text", sa.Text(), nullable=False, comment="as it was shown"),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_terms")),
    )
    op.create_table(
        "terms_answer",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False, comment="1 accepted, 0 refused"),
        sa.Column("ip", sa.String(length=45), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "version", "at", name=op.f("pk_terms_answer")),
    )
    op.create_table(
        "web_session",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False, comment="SHA-256 of the token in the cookie"),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "bound_to", sa.LargeBinary(length=32), nullable=False, comment="digest of the browser that opened it"
        ),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False, comment="newest request, to the minute"),
        sa.Column(
            "proved_at",
            sa.BigInteger(),
            nullable=False,
            comment="password and code; 0: a remembered browser stood for the code",
        ),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_web_session")),
    )
    op.create_index("ix_web_session_account", "web_session", ["account_id"], unique=False)
    op.create_index("ix_web_session_created", "web_session", ["created_at"], unique=False)
