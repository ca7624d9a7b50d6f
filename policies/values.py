"""The frozen values policies speak about: addresses, peers, certificates, mailboxes, content facts.

Promise: every value is immutable and hashable, compares by content, and holds no secret and no message text beyond what
a decision needs. Strings that name domains are lower-case A-labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class BalType(StrEnum):
    """Mailbox types of MSSanté (MSS-050): personnelle, organisationnelle, applicative, cabinet."""

    PER = "PER"
    ORG = "ORG"
    APP = "APP"
    CAB = "CAB"


class BalState(StrEnum):
    """Life cycle of a mailbox (MSS-055)."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"
    DELETED = "deleted"


class Door(StrEnum):
    """Where a message enters: partners (25), our own users (587, 465), our own notices."""

    INBOUND = "inbound"
    SUBMISSION = "submission"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox address, already parsed by :func:`policies.address.parse`.

    ``local`` keeps the case it was written in, without quotes or escapes; ``domain`` is a lower-case A-label.
    """

    local: str
    domain: str

    @property
    def key(self) -> str:
        """The form under which mailboxes are found: local parts compare without case."""
        return f"{self.local.lower()}@{self.domain}"

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


class Revocation(StrEnum):
    """What is known of a certificate's revocation; unknown is a state of its own (MSS-020)."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a policy may know of a presented certificate. Path building and CRL reading happened elsewhere.

    ``subject`` is an RFC 4514 string; ``chain_problem`` is empty when a path to a configured anchor was found, else a
    stable word: ``untrusted``, ``self_signed``, ``expired``, ``not_yet_valid``, ``wrong_usage``, ``weak_key``,
    ``weak_signature``, ``bad_chain``. ``dns_names`` are the SAN dNSName entries, lower case; the CN is never a name.
    """

    subject: str
    issuer: str
    serial: int
    fingerprint: str  # SHA-256, lower-case hexadecimal
    not_before: datetime
    not_after: datetime
    dns_names: tuple[str, ...] = ()
    client_usage: bool = False
    server_usage: bool = False
    key_bits: int = 0
    key_type: str = "rsa"  # "rsa", "ec", "ed25519"...: what ``key_bits`` is to be compared with
    chain_problem: str = ""
    revocation: Revocation = Revocation.UNKNOWN


@dataclass(frozen=True, slots=True)
class Login:
    """An authenticated user of ours: the natural person or service, and the mailbox the session is bound to."""

    account: str  # the person's login, or the certificate's subject for an APP mailbox
    mailbox_id: int
    address: Address
    means: str  # "device", "certificate", "token"
    send_as: frozenset[str] = frozenset()  # keys of the addresses this login may write in MAIL FROM and From
    credential: str = ""  # what can be withdrawn: "device:3", "certificate:sha256:...", "token:<expiry>"


@dataclass(frozen=True, slots=True)
class Peer:
    """Who speaks on a session, after TLS and login."""

    door: Door
    ip: str
    helo: str = ""
    tls: bool = False
    certificate: CertificateFacts | None = None
    login: Login | None = None


@dataclass(frozen=True, slots=True)
class MailboxFacts:
    """What a policy may know of one of our mailboxes."""

    id: int
    address: Address
    type: BalType
    state: BalState
    quota: int  # bytes, 0 = none
    used: int  # bytes


@dataclass(frozen=True, slots=True)
class DsnRequest:
    """RFC 3461 parameters of one recipient and of the message."""

    notify: frozenset[str] = frozenset()  # NEVER, or any of SUCCESS FAILURE DELAY; empty = default
    orcpt: str = ""  # addr-type;xtext as received
    ret: str = ""  # FULL, HDRS or empty
    envid: str = ""  # xtext as received
