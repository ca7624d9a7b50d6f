"""Tables of cases, of what was done to them, and of suspended sending. Rows are never removed: they are evidence, and so are the
acts, which stay when the journal's retention has passed. Money is whole cents; times are seconds since the epoch."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, SmallInteger, String, Table, Text

from mailboxes.address_columns import Addressed
from mailboxes.schema import metadata
from mailboxes.tables import Identifier

sanction_case = Table(
    "sanction_case",
    metadata,
    Column("id", Identifier, primary_key=True, autoincrement=True),
    Column("subject", Addressed(320), nullable=False, comment="address key of who sent it"),
    Column("mailbox_id", BigInteger, nullable=False, comment="his mailbox; 0 for a partner's"),
    Column("message", String(32), nullable=False, comment="our identifier of it; empty when several or unknown"),
    Column("sent_at", BigInteger, nullable=False, comment="when it was accepted, or reported"),
    Column("recipients", Integer, nullable=False),
    Column("source", String(16), nullable=False, comment="administrator, recipient, operator, automatic"),
    Column("reporter", Addressed(320), nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("opened_by", Text, nullable=False),
    Column("once", LargeBinary(32), nullable=False, unique=True, comment="digest of what makes two reports one case"),
    Column("state", String(16), nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Column("step", SmallInteger, nullable=False),
    Column("amount", BigInteger, nullable=False, comment="cents"),
    Column("adjusted", Boolean, nullable=False, comment="by a person"),
    Column("paid_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_sanction_case_subject", sanction_case.c.subject, sanction_case.c.id)

sanction_act = Table(
    "sanction_act",
    metadata,
    Column("id", Identifier, primary_key=True, autoincrement=True),
    Column("case_id", BigInteger, nullable=False, comment="0 when it is about a suspension without a case"),
    Column("suspension_id", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("what", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("charged", BigInteger, nullable=False, comment="cents added to what is owed; negative when taken off"),
    Column("received", BigInteger, nullable=False, comment="cents paid"),
    sqlite_autoincrement=True,
)
Index("ix_sanction_act_case", sanction_act.c.case_id)
Index("ix_sanction_act_at", sanction_act.c.at)

suspension = Table(
    "sending_suspension",
    metadata,
    Column("id", Identifier, primary_key=True, autoincrement=True),
    Column("subject", Addressed(320), nullable=False, comment="address key of who cannot send"),
    Column("mailbox_id", BigInteger, nullable=False, comment="his mailbox; 0 for a partner's"),
    Column("structure", String(64), nullable=False, comment="when all its mailboxes were suspended together (TOU-F04)"),
    Column("cause", String(16), nullable=False, comment="penalty, precaution, partner"),
    Column("ground", Text, nullable=False, comment="told to who is suspended"),
    Column("way", Text, nullable=False, comment="how to put it right"),
    Column("state", String(16), nullable=False, comment="announced, over, active, ended"),
    Column("opened_at", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False, comment="of a partner's sender: the end; 0 when a person ends it"),
    Column("remaining", BigInteger, nullable=False, comment="seconds left to answer, counted while the service runs"),
    Column("seen_at", BigInteger, nullable=False, comment="when they were last counted"),
    sqlite_autoincrement=True,
)
Index("ix_sending_suspension_subject", suspension.c.subject)
Index("ix_sending_suspension_state", suspension.c.state)
