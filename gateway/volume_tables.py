"""The table of who wrote to how many lately: one row per accepted submission, kept one hour. No address of a recipient."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table

from mailboxes.schema import metadata

volume = Table(
    "volume",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("sender", String(320), nullable=False, comment="address key of the mailbox that sent"),
    Column("at", BigInteger, nullable=False, comment="seconds since the epoch"),
    Column("recipients", Integer, nullable=False),
    Column("content", LargeBinary(32), nullable=False, comment="digest of what the leaves of the message hold"),
    Column("marks", LargeBinary, nullable=False, comment="eight octets of digest per recipient"),
    Index("volume_of_sender", "sender", "at"),
)
