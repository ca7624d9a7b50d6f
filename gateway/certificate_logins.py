"""Logins by certificate (APP mailboxes, MSS-073): judged when they happen, and again for as long as the session lives.

The mailboxes know which certificate is bound to which mailbox; whether it leads to our authorities, is in date and was not
revoked is for the policies, here as at the door for partners (MSS-016 to MSS-020, F46).
Promise: implements :class:`mailboxes.authentication.Authenticator`; no login by certificate is let in, or stays, that
:func:`policies.certificate.judge` would not accept at that moment. Failure: :class:`LoginRefused`, whose private reason is
the rule; a revocation that cannot be known is ``session.auth_unavailable``, to be tried again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

from mailboxes.authentication import Authenticator, LoginRefused
from policies import certificate as certificates
from policies.certificate import CertificateSettings, Role
from policies.decision import Decision, Verdict
from policies.events import Event, Kind
from policies.values import CertificateFacts, Login, Revocation

REMEMBERED = 20_000
CERTIFICATE = "certificate"


class Reader(Protocol):
    """What :class:`gateway.smtp.chain.PathReader` offers."""

    def facts(self, chain: Sequence[bytes], now: datetime) -> CertificateFacts | None: ...
    def chain(self, fingerprint: str) -> tuple[bytes, ...]: ...


class CertificateLogins:
    """Stands before the authenticator of the mailboxes."""

    def __init__(
        self,
        inner: Authenticator,
        reader: Callable[[], Reader],
        settings: Callable[[], CertificateSettings],
        now: Callable[[], datetime],
        record: Callable[[Event], object],
        ready: Callable[[Sequence[bytes]], Awaitable[None]] | None = None,
    ) -> None:
        self._ready = ready
        self._inner = inner
        self._reader = reader
        self._settings = settings
        self._now = now
        self._record = record
        self._chains: OrderedDict[tuple[int, str], dict[str, tuple[bytes, ...]]] = OrderedDict()

    async def password(self, login: str, secret: str, ip: str) -> Login:
        return await self._inner.password(login, secret, ip)

    async def token(self, token: str, login: str, ip: str) -> Login:
        return await self._inner.token(token, login, ip)

    async def certificate(self, certificate: CertificateFacts, login: str, ip: str) -> Login:
        """Judge, then let the mailboxes say whose it is."""
        certificate = await self._asked(certificate)
        decision = self._judge(certificate)
        if not decision.accepted:
            detail = {"means": CERTIFICATE, "ip": ip, "reason": decision.rule.name}
            self._record(Event(Kind.LOGIN_REFUSED, actor=certificate.subject, detail=detail))
            waits = decision.verdict is Verdict.DEFER
            raise LoginRefused("session.auth_unavailable" if waits else "session.auth_failed", decision.rule.name)
        chain = self._reader().chain(certificate.fingerprint)
        found = await self._inner.certificate(certificate, login, ip)
        self._chains.setdefault(_credential(found), {})[certificate.fingerprint] = chain
        self._chains.move_to_end(_credential(found))
        if len(self._chains) > REMEMBERED:
            self._chains.popitem(last=False)
        return found

    async def _asked(self, certificate: CertificateFacts) -> CertificateFacts:
        """The facts, with what its responder says when nobody else knows (F45)."""
        if self._ready is None or certificate.chain_problem or certificate.revocation is not Revocation.UNKNOWN:
            return certificate
        chain = self._reader().chain(certificate.fingerprint)
        await self._ready(chain)
        return self._reader().facts(chain, self._now()) or certificate

    async def alive(self, login: Login) -> bool:
        """The withdrawal of anything, and for a certificate its chain, dates and revocation as they are now.

        A login whose certificate is no longer remembered here counts as ended: its program logs in again.
        """
        if login.means == CERTIFICATE and not self._good(login):
            return False
        return await self._inner.alive(login)

    async def send_as(self, login: Login) -> frozenset[str]:
        return await self._inner.send_as(login)

    def _good(self, login: Login) -> bool:
        held = self._chains.get(_credential(login), {})
        for fingerprint, chain in list(held.items()):
            if not self._lives(chain):
                del held[fingerprint]  # sessions with another certificate of the same mailbox come back at once
                return False
        return bool(held)

    def _lives(self, chain: tuple[bytes, ...]) -> bool:
        """An unknown revocation keeps nobody new out of doubt and ends nobody who is in."""
        facts = self._reader().facts(chain, self._now())
        return facts is not None and self._judge(facts).verdict is not Verdict.REFUSE

    def _judge(self, facts: CertificateFacts) -> Decision:
        return certificates.judge(facts, Role.LOGIN, self._now(), self._settings())


def _credential(login: Login) -> tuple[int, str]:
    """What a session keeps while the addresses it may write from change."""
    return login.mailbox_id, login.credential
