"""Tables of the relay: one row per recipient on its way out, spared destinations, notices owed, and what is followed.

Times are seconds since the epoch. A taken row is one whose ``due_at`` lies ahead because its courier leased it: when the
courier dies, the row falls due again by itself. :data:`NEVER` as ``due_at`` is a row on hold.
Promise: what is due is found through (domain, due_at) by one index step per destination, whatever the number of rows. A row's
number is never given twice: with its fence it proves whose outcome is written, and a greater one is newer mail.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, SmallInteger, String, Table, Text

from mailboxes.address_columns import Addressed
from mailboxes.schema import metadata

NEVER = 4e12  # later than any date this century writes
Identifier = BigInteger().with_variant(Integer, "sqlite")

queue = Table(
    "queue",
    metadata,
    Column("id", Identifier, primary_key=True, autoincrement=True),
    Column("message", String(32), nullable=False),
    Column("body_id", BigInteger, nullable=False),
    Column("wrapped", LargeBinary, nullable=False, comment="the body's key under the queue's key"),
    Column("size", BigInteger, nullable=False),
    Column("eight_bit", SmallInteger, nullable=False),
    Column("sender", Addressed(), nullable=False, comment="empty for the null reverse-path"),
    Column("recipient", Addressed(), nullable=False),
    Column("domain", String(255), nullable=False),
    Column("notify", String(64), nullable=False, comment="RFC 3461, words separated by spaces"),
    Column("orcpt", Addressed(), nullable=False),
    Column("ret", String(8), nullable=False),
    Column("envid", Addressed(), nullable=False),
    Column("accepted_at", Float(53), nullable=False),
    Column("due_at", Float(53), nullable=False),
    Column("deadline_at", Float(53), nullable=False, comment="next of: delay warning, end of the queue life"),
    Column("expires_at", Float(53), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("held", SmallInteger, nullable=False),
    Column("warned", SmallInteger, nullable=False),
    Column("owner", String(64), nullable=False, comment="courier holding the lease, empty when none"),
    Column("fence", BigInteger, nullable=False, comment="grows each time the row is taken"),
    Column("rule", String(64), nullable=False, comment="why it waits"),
    Column("reply", Addressed(kind="saying"), nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_queue_due", queue.c.domain, queue.c.due_at, queue.c.id)
Index("ix_queue_deadline", queue.c.deadline_at)
Index("ix_queue_message", queue.c.message)

destination = Table(
    "queue_destination",
    metadata,
    Column("domain", String(255), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("retry_at", Float(53), nullable=False),
    Column("rule", String(64), nullable=False),
    Column("reply", Addressed(kind="saying"), nullable=False),
)

owed = Table(
    "notice_owed",
    metadata,
    Column("id", Identifier, primary_key=True, autoincrement=True),
    Column("action", String(16), nullable=False, comment="failed, delayed, delivered, relayed, expanded, or deadline"),
    Column("message", String(32), nullable=False, comment="the message it speaks of"),
    Column("recipient", Addressed(), nullable=False, comment="who is told; empty for the postmaster"),
    Column("body_id", BigInteger, nullable=False, comment="0 when nothing of the message is returned"),
    Column("wrapped", LargeBinary, nullable=False),
    Column("ret", String(8), nullable=False),
    Column("envid", Addressed(), nullable=False),
    Column("accepted_at", Float(53), nullable=False),
    Column("entries", Addressed(kind="json"), nullable=False, comment="JSON, one object per recipient"),
    Column("due_at", Float(53), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("fence", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_notice_owed_due", owed.c.due_at)

followed = Table(
    "followed",
    metadata,
    Column("message", String(32), primary_key=True),
    Column("recipient", Addressed(320), primary_key=True, comment="address key"),
    Column("mailbox", BigInteger, nullable=False, comment="the sender's"),
    Column("sender", Addressed(), nullable=False),
    Column("message_id", Text, nullable=False, comment="RFC 5322 Message-ID without angle brackets"),
    Column("envid", Addressed(), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("wants", String(32), nullable=False, comment="what the sender asked for: delivery, reading"),
    Column("sent_at", Float(53), nullable=False),
    Column("state", String(16), nullable=False),
    Column("state_at", Float(53), nullable=False),
    Column("code", String(16), nullable=False),
    Column("deadline_at", Float(53), nullable=False),
)
Index("ix_followed_message_id", followed.c.message_id, postgresql_using="hash")
# What waits for nothing any more shares one deadline, NEVER, and lies there by age: housekeeping reads what it forgets.
Index("ix_followed_deadline", followed.c.deadline_at, followed.c.sent_at)
Index("ix_followed_mailbox", followed.c.mailbox, followed.c.sent_at)
# Few senders give an identifier of their own; a notice that names one must not read all its mailbox ever sent.
Index(
    "ix_followed_envid",
    followed.c.mailbox,
    followed.c.envid,
    sqlite_where=followed.c.envid != "",
    postgresql_where=followed.c.envid != "",
)

clock = Table(
    "queue_clock",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("beat", Float(53), nullable=False, comment="wall time at which a courier was last seen at work"),
    Column("jumped_at", Float(53), nullable=False),
    Column("jumped_by", Float(53), nullable=False),
)
