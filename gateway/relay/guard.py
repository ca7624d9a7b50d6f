"""The trust space as the courier asks it: :class:`gateway.smtp.outbound.Guard` on the living list and revocations.

Promise: nothing is remembered here; each question reads the trust list, the settings, our certificate and the revocation
lists as they are at that moment, so a change is in force at the next message (F43, F46).
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from datetime import datetime

from gateway.smtp.chain import PathReader
from gateway.smtp.tls import peer_facts
from policies import trust
from policies.decision import Decision
from policies.trust import TrustList, TrustSettings
from policies.values import CertificateFacts


class TrustGuard:
    """``lists``, ``settings``, ``context`` and ``reader`` give what is in force; ``now`` is aware, UTC;
    ``ready`` asks elsewhere what has to be asked before a certificate is read."""

    def __init__(
        self,
        lists: Callable[[], TrustList | None],
        settings: Callable[[], TrustSettings],
        context: Callable[[], ssl.SSLContext],
        reader: Callable[[], PathReader],
        now: Callable[[], datetime],
        ready: Callable[[ssl.SSLObject], Awaitable[None]] | None = None,
    ) -> None:
        self._ready = ready
        self._lists = lists
        self._settings = settings
        self._context = context
        self._reader = reader
        self._now = now

    def may_deliver(self, domain: str) -> Decision:
        """See :class:`gateway.smtp.outbound.Guard`."""
        return trust.may_deliver(domain, self._lists(), self._now(), self._settings())

    def context(self) -> ssl.SSLContext:
        """See :class:`gateway.smtp.outbound.Guard`."""
        return self._context()

    async def certificate(self, tls: ssl.SSLObject) -> CertificateFacts | None:
        """See :class:`gateway.smtp.outbound.Guard`."""
        if self._ready is not None:
            await self._ready(tls)
        return peer_facts(tls, self._reader(), self._now())

    def judge(self, domain: str, certificate: CertificateFacts | None, host: str | None) -> Decision:
        """See :class:`gateway.smtp.outbound.Guard`."""
        return trust.judge_outbound(domain, certificate, host, self._lists(), self._now(), self._settings())
