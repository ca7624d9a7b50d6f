"""Tables of people, mailboxes and their means of access.

Rows are never removed: a closed account, a deleted mailbox, an ended membership and a withdrawn device stay as evidence
(MSS-054, MSS-055, MSS-061). Times are whole seconds since the epoch, UTC; 0 is "never".
Promise: no password, code or device secret is stored in a form that can be used; TOTP secrets are sealed by the vault.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text

from mailboxes.schema import metadata
from mailboxes.tables import Identifier

account = Table(
    "account",
    metadata,
    Column("id", Identifier, primary_key=True, autoincrement=True),
    Column("login", String(64), nullable=False, unique=True),
    Column("identity", String(64), nullable=False, comment="national identifier (IdNat), empty for staff without one"),
    Column("family_name", Text, nullable=False),
    Column("given_name", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("contact", Text, nullable=False, comment="address outside the secure service (TOU-A04)"),
    Column("password", Text, nullable=False, comment="Argon2id, empty while none is set"),
    Column("totp", LargeBinary, nullable=False, comment="secret sealed by the vault, empty while none is set"),
    Column("totp_last", BigInteger, nullable=False, comment="newest time step used: a code works once"),
    Column("state", String(16), nullable=False),
    Column("state_at", BigInteger, nullable=False),
    Column("state_by", Text, nullable=False),
    Column("state_reason", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_login_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
# one person, one account (TOU-D02); staff without a national identifier have none
Index(
    "uq_account_identity",
    account.c.identity,
    unique=True,
    sqlite_where=account.c.identity != "",
    postgresql_where=account.c.identity != "",
)

mailbox = Table(
    "mailbox",
    metadata,
    Column("id", Identifier, primary_key=True, autoincrement=True),
    Column("local", Text, nullable=False, comment="as it was written; the key is in table address"),
    Column("domain", Text, nullable=False),
    Column("type", String(3), nullable=False),
    Column("owner_id", BigInteger, nullable=False, comment="account of the professional (PER, CAB), else 0"),
    Column("structure", String(64), nullable=False, comment="IdNat_Struct (ORG, APP, PER given by a structure)"),
    Column("description", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("responsible", Text, nullable=False, comment="never public"),
    Column("phone", Text, nullable=False),
    Column("red_list", Boolean, nullable=False),
    Column("paperless", Boolean, nullable=False),
    Column("rank", Integer, nullable=False, comment="1 is the preferred mailbox, 0 unranked"),
    Column("state", String(16), nullable=False),
    Column("state_at", BigInteger, nullable=False),
    Column("state_by", Text, nullable=False),
    Column("state_reason", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_login_at", BigInteger, nullable=False, comment="activity is a login, not mail (MSS-057)"),
    sqlite_autoincrement=True,
)
Index("ix_mailbox_owner", mailbox.c.owner_id)

# Beside their rows, which are read for each message: these are read when the directory changes (TOU-A07).
account_calling = Table(
    "account_calling",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("profession_code", Text, nullable=False, comment="of the national nomenclature, such as 10"),
    Column("profession", Text, nullable=False),
    Column("specialty_code", Text, nullable=False, comment="such as SM04"),
    Column("specialty", Text, nullable=False),
)

mailbox_place = Table(
    "mailbox_place",
    metadata,
    Column("mailbox_id", BigInteger, primary_key=True, autoincrement=False),
    Column("organisation", Text, nullable=False, comment="name of the structure"),
    Column("street", Text, nullable=False),
    Column("postal_code", Text, nullable=False),
    Column("town", Text, nullable=False),
)

address = Table(
    "address",
    metadata,
    Column("key", String(320), primary_key=True, comment="local part in lower case; a row is a tombstone for ever"),
    Column("mailbox_id", BigInteger, nullable=False),
    Column("alias", Boolean, nullable=False),
    Column("given_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False, comment="alias withdrawn; the address stays taken"),
)
Index("ix_address_mailbox", address.c.mailbox_id)

member = Table(
    "member",
    metadata,
    Column("mailbox_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("since", BigInteger, primary_key=True, autoincrement=False),
    Column("rights", String(64), nullable=False, comment="read write send_as admin, separated by spaces"),
    Column("until", BigInteger, nullable=False, comment="0: still a member"),
    Column("given_by", Text, nullable=False),
    Column("consent", Boolean, nullable=False, comment="the owner of a PER mailbox agreed"),
)
Index("ix_member_account", member.c.account_id)

device = Table(
    "device",
    metadata,
    Column("mailbox_id", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary(32), primary_key=True, comment="SHA-256 of a secret of 128 random bits"),
    Column("number", BigInteger, nullable=False, comment="what people call it by, within the mailbox"),
    Column("account_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger, nullable=False),
    Column("last_ip", String(45), nullable=False),
    Column("revoked_at", BigInteger, nullable=False),
    Column("revoked_by", Text, nullable=False),
)
Index("ix_device_account", device.c.account_id)

certificate_binding = Table(
    "certificate_binding",
    metadata,
    Column("mailbox_id", BigInteger, primary_key=True, autoincrement=False),
    Column("value", Text, primary_key=True, comment="`sha256:` fingerprint, or `dn:` canonical name"),
    Column("shown", Text, nullable=False, comment="as the administrator gave it"),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger, nullable=False),
)
Index("ix_certificate_binding_value", certificate_binding.c.value)

strong_session = Table(
    "strong_session",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True, comment="SHA-256 of the token in the session file"),
    Column("account_id", BigInteger, nullable=False),
    Column("bound_to", Text, nullable=False, comment="system user and host that opened it"),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
)

login_failure = Table(
    "login_failure",
    metadata,
    Column("subject", String(64), primary_key=True, comment="hash of what was tried, or `ip`"),
    Column("ip", String(64), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("first_at", BigInteger, nullable=False, comment="start of the hour counted"),
    Column("locked_until", BigInteger, nullable=False),
)
Index("ix_login_failure_first_at", login_failure.c.first_at)

access_version = Table(
    "access_version",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False, comment="grows with each change of who may do what"),
)
