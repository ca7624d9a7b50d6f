"""Tables about patients: who objected, and which conversations with patients exist. No number or address in clear.

``digest`` is an HMAC-SHA-256 under a key that is itself wrapped by the operator's master key: a copy of the database alone does
not tell whether a given person is in it, although there are few enough numbers to try them all.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table, Text

from mailboxes.schema import metadata

register_key = Table(
    "patient_register_key",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary, nullable=False, comment="under the operator's master key"),
)

opposition = Table(
    "patient_opposition",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("scope", String(16), primary_key=True, comment="patient or professionals"),
    Column("reference", String(64), nullable=False, comment="of the written request, chosen by who recorded it"),
    Column("actor", Text, nullable=False),
    Column("since", BigInteger, nullable=False, comment="seconds since the epoch"),
)

conversation = Table(
    "patient_conversation",
    metadata,
    Column(
        "digest", LargeBinary(32), primary_key=True, comment="of the patient's address and our message's identifier"
    ),
    Column("closed", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
)
