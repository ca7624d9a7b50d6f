"""Tables of the journal: the chained rows, the head of the chain, and the segments that retention sealed away."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from mailboxes.schema import metadata

journal = Table(
    "journal",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False, comment="microseconds since the epoch, UTC"),
    Column("kind", String(48), nullable=False),
    Column("actor", Text, nullable=False),
    Column("message", String(32), nullable=False),
    Column("recipient", Text, nullable=False),
    Column("mailbox", BigInteger, nullable=False),
    Column("detail", Text, nullable=False, comment="JSON object, keys sorted"),
    Column("hash", LargeBinary(32), nullable=False, comment="SHA-256 over the previous hash and this row"),
)
# Partial indexes: most events speak of either a message or a mailbox, and an index only pays for the rows it serves.
Index(
    "ix_journal_message",
    journal.c.message,
    sqlite_where=journal.c.message != "",
    postgresql_where=journal.c.message != "",
)
Index(
    "ix_journal_mailbox",
    journal.c.mailbox,
    journal.c.seq,
    sqlite_where=journal.c.mailbox != 0,
    postgresql_where=journal.c.mailbox != 0,
)

journal_head = Table(
    "journal_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
)

journal_segment = Table(
    "journal_segment",
    metadata,
    Column("first_seq", BigInteger, primary_key=True, autoincrement=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("before", LargeBinary(32), nullable=False, comment="hash the segment starts from"),
    Column(
        "after",
        LargeBinary(32),
        nullable=False,
        comment="hash the segment ends with; the next row starts from it",
    ),
    Column("removed_at", BigInteger, nullable=False),
)
