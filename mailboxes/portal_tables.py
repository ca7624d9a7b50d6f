"""Tables of what people do without a command line: sessions of browsers, browsers remembered, invitations, terms, rights.

Rows are never removed but those of sessions: an invitation, a right and an acceptance stay as evidence. Times are whole seconds since the
epoch, UTC; 0 is "never". Promise: no token is stored in a form that can be used; a secret for one-time codes is sealed by the vault.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table, Text

from mailboxes.schema import metadata

web_session = Table(
    "web_session",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True, comment="SHA-256 of the token in the cookie"),
    Column("account_id", BigInteger, nullable=False),
    Column("bound_to", LargeBinary(32), nullable=False, comment="digest of the browser that opened it"),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False, comment="newest request, to the minute"),
    Column(
        "proved_at", BigInteger, nullable=False, comment="password and code; 0: a remembered browser stood for the code"
    ),
    Column("ended_at", BigInteger, nullable=False),
)
Index("ix_web_session_account", web_session.c.account_id)
Index("ix_web_session_created", web_session.c.created_at)

known_browser = Table(
    "known_browser",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True, comment="SHA-256 of the token in the cookie"),
    Column("account_id", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger, nullable=False),
    Column("last_ip", String(45), nullable=False),
    Column("ended_at", BigInteger, nullable=False),
)
Index("ix_known_browser_account", known_browser.c.account_id)

invitation = Table(
    "invitation",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True, comment="SHA-256 of the token in the link"),
    Column("account_id", BigInteger, nullable=False),
    Column("totp", LargeBinary, nullable=False, comment="the secret to come, sealed by the vault"),
    Column("contact", Text, nullable=False, comment="address the link was sent to; using it verifies that address"),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
)
Index("ix_invitation_account", invitation.c.account_id)

account_right = Table(
    "account_right",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String(32), primary_key=True),
    Column("since", BigInteger, primary_key=True, autoincrement=False),
    Column("until", BigInteger, nullable=False, comment="0: in force"),
    Column("given_by", Text, nullable=False),
)

terms = Table(
    "terms",
    metadata,
    Column("version", String(64), primary_key=True, comment="SHA-256 of the text"),
    Column("text", Text, nullable=False, comment="as it was shown"),
    Column("since", BigInteger, nullable=False),
)

terms_answer = Table(
    "terms_answer",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version", String(64), primary_key=True),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("accepted", BigInteger, nullable=False, comment="1 accepted, 0 refused"),
    Column("ip", String(45), nullable=False),
)
