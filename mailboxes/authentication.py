"""Who is at the door of a mailbox: the port IMAP and submission ask, and its answers.

Promise: every failed password takes the same time and gives the same words, whether the mailbox exists or not (F61).
Failure: :class:`LoginRefused` carries the name of a catalogue rule (``session.auth_failed``, ``session.auth_locked``,
``session.mailbox_suspended``) and a private reason word; the private reason never leaves the house.
"""

from __future__ import annotations

from typing import Protocol

from policies.values import CertificateFacts, Login


class LoginRefused(Exception):
    """The login failed. ``rule`` is public, ``reason`` is for the journal: ``unknown``, ``password``, ``locked``..."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(rule)
        self.rule = rule
        self.reason = reason


class Authenticator(Protocol):
    """The means mail programs have (MSS-070..076). Each answers a :class:`policies.values.Login` or raises LoginRefused."""

    async def password(self, login: str, secret: str, ip: str) -> Login:
        """A device password: ``login`` is the mailbox's address, ``secret`` belongs to one device and one mailbox."""
        ...

    async def certificate(self, certificate: CertificateFacts, login: str, ip: str) -> Login:
        """SASL EXTERNAL for APP mailboxes (MSS-073); an empty ``login`` means the one mailbox of this certificate."""
        ...

    async def token(self, token: str, login: str, ip: str) -> Login:
        """OAUTHBEARER or XOAUTH2 access token (MSS-071)."""
        ...

    async def alive(self, login: Login) -> bool:
        """False once the mailbox, the account, the device or the certificate was withdrawn (MSS-055, F47)."""
        ...

    async def send_as(self, login: Login) -> frozenset[str]:
        """Keys of the addresses it may write from now, for a session that lives on (MSS-074)."""
        ...
