"""First release (2026-11-23)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "access_version",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False, comment="grows with each change of who may do what"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_version")),
    )
    op.create_table(
        "account",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("login", sa.String(length=64), nullable=False),
        sa.Column(
            "identity",
            sa.String(length=64),
            nullable=False,
            comment="national identifier (IdNat), empty for staff without one",
        ),
        sa.Column("family_name", sa.Text(), nullable=False),
        sa.Column("given_name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False, comment="address outside the secure service (TOU-A04)"),
        sa.Column("password", sa.Text(), nullable=False, comment="Argon2id, empty while none is set"),
        sa.Column(
            "totp", sa.LargeBinary(), nullable=False, comment="secret sealed by the vault, empty while none is set"
        ),
        sa.Column("totp_last", sa.BigInteger(), nullable=False, comment="newest time step used: a code works once"),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("state_at", sa.BigInteger(), nullable=False),
        sa.Column("state_by", sa.Text(), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_login_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("login", name=op.f("uq_account_login")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_account_identity",
        "account",
        ["identity"],
        unique=True,
        sqlite_where=sa.text("identity != ''"),
        postgresql_where=sa.text("identity != ''"),
    )
    op.create_table(
        "address",
        sa.Column(
            "key",
            sa.String(length=320),
            nullable=False,
            comment="local part in lower case; a row is a tombstone for ever",
        ),
        sa.Column("mailbox_id", sa.BigInteger(), nullable=False),
        sa.Column("alias", sa.Boolean(), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False, comment="alias withdrawn; the address stays taken"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_address")),
    )
    op.create_index("ix_address_mailbox", "address", ["mailbox_id"], unique=False)
    op.create_table(
        "body",
        sa.Column("body_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("refs", sa.Integer(), nullable=False, comment="entries and queue rows that need it"),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column(
            "blob",
            sa.Text(),
            nullable=False,
            comment="reference in the blob store; empty when the bytes are in content",
        ),
        sa.PrimaryKeyConstraint("body_id", name=op.f("pk_body")),
    )
    op.create_table(
        "certificate_binding",
        sa.Column("mailbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Text(), nullable=False, comment="`sha256:` fingerprint, or `dn:` canonical name"),
        sa.Column("shown", sa.Text(), nullable=False, comment="as the administrator gave it"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "value", name=op.f("pk_certificate_binding")),
    )
    op.create_index("ix_certificate_binding_value", "certificate_binding", ["value"], unique=False)
    op.create_table(
        "change_log",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("origin", sa.BigInteger(), nullable=False, comment="process number of the writer"),
        sa.Column("touched", sa.Text(), nullable=False, comment="mailbox:folder pairs, separated by spaces"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_log")),
    )
    op.create_table(
        "content",
        sa.Column("body_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False, comment="ciphertext of a small message"),
        sa.PrimaryKeyConstraint("body_id", name=op.f("pk_content")),
    )
    op.create_table(
        "device",
        sa.Column("mailbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "digest", sa.LargeBinary(length=32), nullable=False, comment="SHA-256 of a secret of 128 random bits"
        ),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="what people call it by, within the mailbox"),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=False),
        sa.Column("last_ip", sa.String(length=45), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "digest", name=op.f("pk_device")),
    )
    op.create_index("ix_device_account", "device", ["account_id"], unique=False)
    op.create_table(
        "entry",
        sa.Column("mailbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("folder_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("internal_date", sa.BigInteger(), nullable=False),
        sa.Column("save_date", sa.BigInteger(), nullable=False),
        sa.Column("body_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False, comment="the body's key under the mailbox's key"),
        sa.Column("thread_id", sa.BigInteger(), nullable=False),
        sa.Column("zone", sa.Integer(), nullable=False, comment="of internal_date, minutes east of UTC"),
        sa.PrimaryKeyConstraint("mailbox_id", "folder_id", "uid", name=op.f("pk_entry")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_entry_modseq", "entry", ["mailbox_id", "folder_id", "modseq"], unique=False)
    op.create_table(
        "expunged",
        sa.Column("mailbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("folder_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("modseq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "folder_id", "modseq", "uid", name=op.f("pk_expunged")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "folder",
        sa.Column("mailbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False, comment="1 is INBOX"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("special_use", sa.String(length=32), nullable=False),
        sa.Column("object_id", sa.String(length=32), nullable=False, comment="RFC 8474 MAILBOXID"),
        sa.Column("uidvalidity", sa.BigInteger(), nullable=False),
        sa.Column("uidnext", sa.BigInteger(), nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False, comment="HIGHESTMODSEQ"),
        sa.Column(
            "history_from",
            sa.BigInteger(),
            nullable=False,
            comment="the expunged history is complete after this MODSEQ",
        ),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("unseen", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "id", name=op.f("pk_folder")),
        sqlite_with_rowid=False,
    )
    op.create_index("uq_folder_name", "folder", ["mailbox_id", "name"], unique=True)
    op.create_table(
        "folder_metadata",
        sa.Column("mailbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("folder_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="0 is the mailbox itself"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False, comment="under the mailbox's key"),
        sa.PrimaryKeyConstraint("mailbox_id", "folder_id", "name", name=op.f("pk_folder_metadata")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "followed",
        sa.Column("message", sa.String(length=32), nullable=False),
        sa.Column("recipient", sa.String(length=320), nullable=False, comment="address key"),
        sa.Column("mailbox", sa.BigInteger(), nullable=False, comment="the sender's"),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False, comment="RFC 5322 Message-ID without angle brackets"),
        sa.Column("envid", sa.Text(), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column(
            "wants", sa.String(length=32), nullable=False, comment="what the sender asked for: delivery, reading"
        ),
        sa.Column("sent_at", sa.Float(precision=53), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("state_at", sa.Float(precision=53), nullable=False),
        sa.Column("code", sa.String(length=16), nullable=False),
        sa.Column("deadline_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("message", "recipient", name=op.f("pk_followed")),
    )
    op.create_index("ix_followed_deadline", "followed", ["deadline_at"], unique=False)
    op.create_index("ix_followed_mailbox", "followed", ["mailbox", "sent_at"], unique=False)
    op.create_index("ix_followed_message_id", "followed", ["message_id"], unique=False, postgresql_using="hash")
    op.create_table(
        "instance",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False, comment="newest process number; body ids are built on it"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance")),
    )
    op.create_table(
        "journal",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="microseconds since the epoch, UTC"),
        sa.Column("kind", sa.String(length=48), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("message", sa.String(length=32), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("mailbox", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False, comment="JSON object, keys sorted"),
        sa.Column(
            "hash", sa.LargeBinary(length=32), nullable=False, comment="SHA-256 over the previous hash and this row"
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_journal")),
    )
    op.create_index(
        "ix_journal_mailbox",
        "journal",
        ["mailbox", "seq"],
        unique=False,
        sqlite_where=sa.text("mailbox != 0"),
        postgresql_where=sa.text("mailbox != 0"),
    )
    op.create_index(
        "ix_journal_message",
        "journal",
        ["message"],
        unique=False,
        sqlite_where=sa.text("message != ''"),
        postgresql_where=sa.text("message != ''"),
    )
    op.create_table(
        "journal_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_head")),
    )
    op.create_table(
        "journal_segment",
        sa.Column("first_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("before", sa.LargeBinary(length=32), nullable=False, comment="hash the segment starts from"),
        sa.Column(
            "after",
            sa.LargeBinary(length=32),
            nullable=False,
            comment="hash the segment ends with; the next row starts from it",
        ),
        sa.Column("removed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("first_seq", name=op.f("pk_journal_segment")),
    )
    op.create_table(
        "login_failure",
        sa.Column("subject", sa.String(length=64), nullable=False, comment="hash of what was tried, or `ip`"),
        sa.Column("ip", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False, comment="start of the hour counted"),
        sa.Column("locked_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "ip", name=op.f("pk_login_failure")),
    )
    op.create_index("ix_login_failure_first_at", "login_failure", ["first_at"], unique=False)
    op.create_table(
        "mailbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("local", sa.Text(), nullable=False, comment="as it was written; the key is in table address"),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=3), nullable=False),
        sa.Column(
            "owner_id", sa.BigInteger(), nullable=False, comment="account of the professional (PER, CAB), else 0"
        ),
        sa.Column(
            "structure",
            sa.String(length=64),
            nullable=False,
            comment="IdNat_Struct (ORG, APP, PER given by a structure)",
        ),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("responsible", sa.Text(), nullable=False, comment="never public"),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("red_list", sa.Boolean(), nullable=False),
        sa.Column("paperless", sa.Boolean(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False, comment="1 is the preferred mailbox, 0 unranked"),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("state_at", sa.BigInteger(), nullable=False),
        sa.Column("state_by", sa.Text(), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_login_at", sa.BigInteger(), nullable=False, comment="activity is a login, not mail (MSS-057)"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailbox")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_mailbox_owner", "mailbox", ["owner_id"], unique=False)
    op.create_table(
        "mailbox_answer",
        sa.Column("mailbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column(
            "whom", sa.String(length=320), nullable=False, comment="address key, or digest of a message identifier"
        ),
        sa.Column("answered_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "kind", "whom", name=op.f("pk_mailbox_answer")),
    )
    op.create_index("ix_mailbox_answer_at", "mailbox_answer", ["answered_at"], unique=False)
    op.create_table(
        "mailbox_key",
        sa.Column(
            "mailbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False, comment="the mailbox's key under the operator's key"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", name=op.f("pk_mailbox_key")),
    )
    op.create_table(
        "mailbox_rule",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("mailbox_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="forward, absence or acknowledge"),
        sa.Column("target", sa.Text(), nullable=False, comment="forward: the address"),
        sa.Column("keep", sa.Boolean(), nullable=False, comment="forward: a copy stays in the mailbox"),
        sa.Column("starts_at", sa.BigInteger(), nullable=False, comment="absence"),
        sa.Column("ends_at", sa.BigInteger(), nullable=False, comment="absence"),
        sa.Column("text", sa.Text(), nullable=False, comment="absence"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_by", sa.Text(), nullable=False),
        sa.Column(
            "ended_why", sa.String(length=64), nullable=False, comment="name of the decision that disabled it, or empty"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailbox_rule")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_mailbox_rule_ended", "mailbox_rule", ["ended_at"], unique=False)
    op.create_index("ix_mailbox_rule_mailbox", "mailbox_rule", ["mailbox_id"], unique=False)
    op.create_table(
        "mailbox_state",
        sa.Column(
            "mailbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("bytes_limit", sa.BigInteger(), nullable=False, comment="quota in bytes, 0 = none"),
        sa.Column("next_folder", sa.BigInteger(), nullable=False),
        sa.Column("last_uidvalidity", sa.BigInteger(), nullable=False, comment="never given twice in one mailbox"),
        sa.PrimaryKeyConstraint("mailbox_id", name=op.f("pk_mailbox_state")),
    )
    op.create_table(
        "master_check",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False, comment="a constant under the operator's key (F15)"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_master_check")),
    )
    op.create_table(
        "member",
        sa.Column("mailbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("since", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "rights", sa.String(length=64), nullable=False, comment="read write send_as admin, separated by spaces"
        ),
        sa.Column("until", sa.BigInteger(), nullable=False, comment="0: still a member"),
        sa.Column("given_by", sa.Text(), nullable=False),
        sa.Column("consent", sa.Boolean(), nullable=False, comment="the owner of a PER mailbox agreed"),
        sa.PrimaryKeyConstraint("mailbox_id", "account_id", "since", name=op.f("pk_member")),
    )
    op.create_index("ix_member_account", "member", ["account_id"], unique=False)
    op.create_table(
        "notice_owed",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column(
            "action",
            sa.String(length=16),
            nullable=False,
            comment="failed, delayed, delivered, relayed, expanded, or deadline",
        ),
        sa.Column("message", sa.String(length=32), nullable=False, comment="the message it speaks of"),
        sa.Column("recipient", sa.Text(), nullable=False, comment="who is told; empty for the postmaster"),
        sa.Column("body_id", sa.BigInteger(), nullable=False, comment="0 when nothing of the message is returned"),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("ret", sa.String(length=8), nullable=False),
        sa.Column("envid", sa.Text(), nullable=False),
        sa.Column("accepted_at", sa.Float(precision=53), nullable=False),
        sa.Column("entries", sa.Text(), nullable=False, comment="JSON, one object per recipient"),
        sa.Column("due_at", sa.Float(precision=53), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_owed")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notice_owed_due", "notice_owed", ["due_at"], unique=False)
    op.create_table(
        "patient_conversation",
        sa.Column(
            "digest",
            sa.LargeBinary(length=32),
            nullable=False,
            comment="of the patient's address and our message's identifier",
        ),
        sa.Column("closed", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_patient_conversation")),
    )
    op.create_table(
        "patient_opposition",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False, comment="patient or professionals"),
        sa.Column(
            "reference",
            sa.String(length=64),
            nullable=False,
            comment="of the written request, chosen by who recorded it",
        ),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False, comment="seconds since the epoch"),
        sa.PrimaryKeyConstraint("digest", "scope", name=op.f("pk_patient_opposition")),
    )
    op.create_table(
        "patient_register_key",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False, comment="under the operator's master key"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient_register_key")),
    )
    op.create_table(
        "queue",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("message", sa.String(length=32), nullable=False),
        sa.Column("body_id", sa.BigInteger(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False, comment="the body's key under the queue's key"),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("eight_bit", sa.SmallInteger(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False, comment="empty for the null reverse-path"),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("notify", sa.String(length=64), nullable=False, comment="RFC 3461, words separated by spaces"),
        sa.Column("orcpt", sa.Text(), nullable=False),
        sa.Column("ret", sa.String(length=8), nullable=False),
        sa.Column("envid", sa.Text(), nullable=False),
        sa.Column("accepted_at", sa.Float(precision=53), nullable=False),
        sa.Column("due_at", sa.Float(precision=53), nullable=False),
        sa.Column(
            "deadline_at",
            sa.Float(precision=53),
            nullable=False,
            comment="next of: delay warning, end of the queue life",
        ),
        sa.Column("expires_at", sa.Float(precision=53), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("held", sa.SmallInteger(), nullable=False),
        sa.Column("warned", sa.SmallInteger(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False, comment="courier holding the lease, empty when none"),
        sa.Column("fence", sa.BigInteger(), nullable=False, comment="grows each time the row is taken"),
        sa.Column("rule", sa.String(length=64), nullable=False, comment="why it waits"),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queue")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_queue_deadline", "queue", ["deadline_at"], unique=False)
    op.create_index("ix_queue_due", "queue", ["domain", "due_at", "id"], unique=False)
    op.create_index("ix_queue_message", "queue", ["message"], unique=False)
    op.create_table(
        "queue_clock",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "beat", sa.Float(precision=53), nullable=False, comment="wall time at which a courier was last seen at work"
        ),
        sa.Column("jumped_at", sa.Float(precision=53), nullable=False),
        sa.Column("jumped_by", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queue_clock")),
    )
    op.create_table(
        "queue_destination",
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.Float(precision=53), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_queue_destination")),
    )
    op.create_table(
        "strong_session",
        sa.Column(
            "digest", sa.LargeBinary(length=32), nullable=False, comment="SHA-256 of the token in the session file"
        ),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("bound_to", sa.Text(), nullable=False, comment="system user and host that opened it"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_strong_session")),
    )
    op.create_table(
        "subscription",
        sa.Column("mailbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "name", name=op.f("pk_subscription")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "summary",
        sa.Column("body_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False, comment="ciphertext of the packed summary"),
        sa.PrimaryKeyConstraint("body_id", name=op.f("pk_summary")),
    )
