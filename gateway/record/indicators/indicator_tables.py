"""Which files of indicators were made, and which were deposited. What they hold is in the files alone."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, SmallInteger, String, Table, Text

from mailboxes.schema import metadata

indicator_file = Table(
    "indicator_file",
    metadata,
    Column("month", Integer, primary_key=True, autoincrement=False, comment="202611"),
    Column("name", String(320), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("built_at", BigInteger, nullable=False),
    Column("anonymous", SmallInteger, nullable=False, comment="no mailbox is named any more (TOU-A12)"),
    Column("deposited_at", BigInteger, nullable=False, comment="0: not yet"),
    Column("deposited_by", Text, nullable=False),
    Column("deposited_sha256", String(64), nullable=False, comment="of what was deposited"),
    Column("reference", String(200), nullable=False, comment="what the receiver called the deposit"),
)
