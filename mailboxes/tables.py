"""Tables of the store: folders, entries, bodies, keys.

What one mailbox owns starts with ``mailbox_id`` in its primary key, so that a distributed database can shard by it and
SQLite keeps a folder's entries side by side on disk (WITHOUT ROWID). What several mailboxes may share (a message body)
is keyed by ``body_id`` alone, which grows with time. Rows that are updated (``body.refs``) are kept apart from the bytes
that never change (``content``, ``summary``).
Promise: no column holds a plaintext of a message, the name of a folder or a keyword that people chose; sizes, dates and flags that any
program may set are the only clear values.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, SmallInteger, String, Table, Text

from mailboxes.schema import metadata

Identifier = BigInteger().with_variant(Integer, "sqlite")  # an INTEGER primary key is SQLite's own row id

mailbox_state = Table(
    "mailbox_state",
    metadata,
    Column("mailbox_id", Identifier, primary_key=True, autoincrement=False),
    Column("bytes_limit", BigInteger, nullable=False, comment="quota in bytes, 0 = none"),
    Column("next_folder", BigInteger, nullable=False),
    Column("last_uidvalidity", BigInteger, nullable=False, comment="never given twice in one mailbox"),
)

mailbox_key = Table(
    "mailbox_key",
    metadata,
    Column("mailbox_id", Identifier, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary, nullable=False, comment="the mailbox's key under the operator's key"),
    Column("created_at", BigInteger, nullable=False),
)

master_check = Table(
    "master_check",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", LargeBinary, nullable=False, comment="a constant under the operator's key (F15)"),
)

folder = Table(
    "folder",
    metadata,
    Column("mailbox_id", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False, comment="1 is INBOX"),
    Column("name", Text, nullable=False),  # sealed, see mailboxes.folder_names
    Column("special_use", String(32), nullable=False),
    Column("object_id", String(32), nullable=False, comment="RFC 8474 MAILBOXID"),
    Column("uidvalidity", BigInteger, nullable=False),
    Column("uidnext", BigInteger, nullable=False),
    Column("modseq", BigInteger, nullable=False, comment="HIGHESTMODSEQ"),
    Column("history_from", BigInteger, nullable=False, comment="the expunged history is complete after this MODSEQ"),
    Column("messages", BigInteger, nullable=False),
    Column("unseen", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index("uq_folder_name", folder.c.mailbox_id, folder.c.name, unique=True)

subscription = Table(
    "subscription",
    metadata,
    Column("mailbox_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),  # sealed as that of the folder
    sqlite_with_rowid=False,
)

names_in_clear = Table(
    "names_in_clear",
    metadata,
    Column("mailbox_id", Identifier, primary_key=True, autoincrement=False, comment="still to be sealed at a start"),
)

keywords_in_clear = Table(
    "keywords_in_clear",
    metadata,
    Column("mailbox_id", Identifier, primary_key=True, autoincrement=False, comment="still to be sealed at a start"),
)

sealed_domain = Table(
    "sealed_domain",
    metadata,
    Column("domain", String(255), primary_key=True, comment="of patients, whose addresses every process seals"),
    Column("done", SmallInteger, nullable=False, comment="no row holds any in clear"),
)

folder_metadata = Table(
    "folder_metadata",
    metadata,
    Column("mailbox_id", BigInteger, primary_key=True, autoincrement=False),
    Column("folder_id", BigInteger, primary_key=True, autoincrement=False, comment="0 is the mailbox itself"),
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False, comment="under the mailbox's key"),
    sqlite_with_rowid=False,
)

entry = Table(
    "entry",
    metadata,
    Column("mailbox_id", BigInteger, primary_key=True, autoincrement=False),
    Column("folder_id", BigInteger, primary_key=True, autoincrement=False),
    Column("uid", BigInteger, primary_key=True, autoincrement=False),
    Column("modseq", BigInteger, nullable=False),
    Column("flags", Text, nullable=False),  # keywords sealed, see mailboxes.keywords
    Column("size", BigInteger, nullable=False),
    Column("internal_date", BigInteger, nullable=False),
    Column("save_date", BigInteger, nullable=False),
    Column("body_id", BigInteger, nullable=False),
    Column("key", LargeBinary, nullable=False, comment="the body's key under the mailbox's key"),
    Column("thread_id", BigInteger, nullable=False),
    Column("zone", Integer, nullable=False, comment="of internal_date, minutes east of UTC"),
    sqlite_with_rowid=False,
)
Index("ix_entry_modseq", entry.c.mailbox_id, entry.c.folder_id, entry.c.modseq)

expunged = Table(
    "expunged",
    metadata,
    Column("mailbox_id", BigInteger, primary_key=True, autoincrement=False),
    Column("folder_id", BigInteger, primary_key=True, autoincrement=False),
    Column("modseq", BigInteger, primary_key=True, autoincrement=False),
    Column("uid", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

body = Table(
    "body",
    metadata,
    Column("body_id", Identifier, primary_key=True, autoincrement=False),
    Column("refs", Integer, nullable=False, comment="entries and queue rows that need it"),
    Column("size", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("blob", Text, nullable=False, comment="reference in the blob store; empty when the bytes are in content"),
)

content = Table(
    "content",
    metadata,
    Column("body_id", Identifier, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False, comment="ciphertext of a small message"),
)

summary = Table(
    "summary",
    metadata,
    Column("body_id", Identifier, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False, comment="ciphertext of the packed summary"),
)

instance = Table(
    "instance",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False, comment="newest process number; body ids are built on it"),
)

blob_mark = Table(
    "blob_mark",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("word", String(64), nullable=False, comment="see mailboxes.blob_mark"),
)

change_log = Table(
    "change_log",
    metadata,
    Column("id", Identifier, primary_key=True, autoincrement=True),
    Column("origin", BigInteger, nullable=False, comment="process number of the writer"),
    Column("touched", Text, nullable=False, comment="mailbox:folder pairs, separated by spaces"),
)
