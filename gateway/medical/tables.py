"""Tables about patients: who objected, which conversations with patients exist, whom a mailbox met. No number or name in clear.

``digest`` is an HMAC-SHA-256 under a key that is itself wrapped by the operator's master key: a copy of the database alone does
not tell whether a given person is in it, although there are few enough numbers to try them all.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

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
    Column("digest", LargeBinary(32), primary_key=True, comment="of a number, or of strict traits"),
    Column("scope", String(16), primary_key=True, comment="patient or professionals"),
    Column("address", String(320), primary_key=True, comment="key of the mailbox it forbids, empty for all"),
    Column("subject", LargeBinary(32), nullable=False, comment="the first digest of the same person"),
    Column("kind", String(16), nullable=False, comment="number or traits"),
    Column("reference", String(64), nullable=False, comment="of the written request, chosen by who recorded it"),
    Column("actor", Text, nullable=False),
    Column("since", BigInteger, nullable=False, comment="seconds since the epoch"),
)

Index("ix_patient_opposition_subject", opposition.c.subject)

opposition_trace = Table(
    "patient_opposition_trace",
    metadata,
    Column("mark", LargeBinary(16), primary_key=True, comment="digest of the trace"),
    Column("subject", LargeBinary(32), nullable=False, comment="the first digest of the person"),
    Column("trace", LargeBinary, nullable=False, comment="digests of names, dates and numbers, to compare by"),
)
Index("ix_patient_opposition_trace_subject", opposition_trace.c.subject)

opposition_key = Table(
    "patient_opposition_key",
    metadata,
    Column("key", LargeBinary(16), primary_key=True, comment="of what people who look alike share"),
    Column("mark", LargeBinary(16), primary_key=True),
)
Index("ix_patient_opposition_key_mark", opposition_key.c.mark)

conversation = Table(
    "patient_conversation",
    metadata,
    Column(
        "digest", LargeBinary(32), primary_key=True, comment="of the patient's address and our message's identifier"
    ),
    Column("closed", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
)

answer = Table(
    "patient_answer",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True, comment="of the conversation"),
    Column("address", String(320), primary_key=True, comment="key of a mailbox named in Reply-To"),
    Column("author", String(320), nullable=False, comment="key of the professional who wrote"),
)

# What a mailbox met (HID-090 to HID-099). ``mailbox_id`` 0 is the whole operator's. Digests are keyed like those above.

seen_patient = Table(
    "seen_patient",
    metadata,
    Column("mailbox_id", BigInteger, primary_key=True, autoincrement=False),
    Column("mark", LargeBinary(16), primary_key=True, comment="digest of the trace"),
    Column("trace", LargeBinary, nullable=False, comment="digests of names, dates and numbers, to compare by"),
    Column("at", BigInteger, nullable=False, comment="when last met"),
)
Index("ix_seen_patient_at", seen_patient.c.at)

seen_key = Table(
    "seen_key",
    metadata,
    Column("mailbox_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key", LargeBinary(16), primary_key=True, comment="of a number, or of birth date and surname"),
    Column("mark", LargeBinary(16), primary_key=True),
)
Index("ix_seen_key_mark", seen_key.c.mailbox_id, seen_key.c.mark)

seen_document = Table(
    "seen_document",
    metadata,
    Column("mailbox_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key", LargeBinary(16), primary_key=True, comment="of its identifier, or of the set of its versions"),
    Column("mark", LargeBinary(16), nullable=False, comment="of the patient"),
    Column("version", Integer, nullable=False, comment="0 when it says none"),
    Column("content", LargeBinary(16), nullable=False, comment="digest of its octets, empty when not known"),
    Column("at", BigInteger, nullable=False),
)
Index("ix_seen_document_at", seen_document.c.at)
Index("ix_seen_document_mark", seen_document.c.mailbox_id, seen_document.c.mark)
