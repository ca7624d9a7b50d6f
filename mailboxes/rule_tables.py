"""Tables of the rules users set for their mailbox, and of whom a rule answered by itself lately.

Rows of rules are never removed: a withdrawn or disabled rule stays as evidence of what was in force when (MSS-058).
Times are whole seconds since the epoch, UTC; 0 is "never". Promise: no content of any message is kept here; the text of an
absence is what its owner wrote for everybody who writes.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, String, Table, Text

from mailboxes.address_columns import Addressed
from mailboxes.schema import metadata
from mailboxes.tables import Identifier

mailbox_rule = Table(
    "mailbox_rule",
    metadata,
    Column("id", Identifier, primary_key=True, autoincrement=True),
    Column("mailbox_id", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False, comment="forward, absence or acknowledge"),
    Column("target", Addressed(), nullable=False, comment="forward: the address"),
    Column("keep", Boolean, nullable=False, comment="forward: a copy stays in the mailbox"),
    Column("starts_at", BigInteger, nullable=False, comment="absence"),
    Column("ends_at", BigInteger, nullable=False, comment="absence"),
    Column("text", Text, nullable=False, comment="absence"),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("ended_by", Text, nullable=False),
    Column("ended_why", String(64), nullable=False, comment="name of the decision that disabled it, or empty"),
    sqlite_autoincrement=True,
)
Index("ix_mailbox_rule_mailbox", mailbox_rule.c.mailbox_id)
Index("ix_mailbox_rule_ended", mailbox_rule.c.ended_at)

mailbox_answer = Table(
    "mailbox_answer",
    metadata,
    Column("mailbox_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(16), primary_key=True),
    Column("whom", Addressed(320), primary_key=True, comment="address key, or digest of a message identifier"),
    Column("answered_at", BigInteger, nullable=False),
)
Index("ix_mailbox_answer_at", mailbox_answer.c.answered_at)
