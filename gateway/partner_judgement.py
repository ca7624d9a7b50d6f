"""Judge a partner's certificate and domain by the policies, once a second instead of once a command.

A partner that keeps its session open asks the same question for each message; the answer can only change with the list,
the settings, the certificate's revocation, or time. Promise: an answer is never older than one second, and a new list or
new settings are in force at the next question. Failure: none; memory is bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from policies import trust
from policies.decision import Decision
from policies.trust import TrustList, TrustSettings
from policies.values import CertificateFacts

REMEMBERED = 4096
ANYONE = "\x00"  # no domain asked: may this certificate speak at all?


class _Answer(NamedTuple):
    second: int
    trusted: TrustList | None
    settings: TrustSettings
    decision: Decision


class PartnerJudgement:
    """``trusted`` and ``settings`` give what is in force; ``clock`` is seconds since the epoch."""

    def __init__(
        self,
        trusted: Callable[[], TrustList | None],
        settings: Callable[[], TrustSettings],
        clock: Callable[[], float],
    ) -> None:
        self._trusted = trusted
        self._settings = settings
        self._clock = clock
        self._answers: dict[tuple[str, str, str, str], _Answer] = {}
        self._second = -1
        self._moment = datetime.fromtimestamp(0, UTC)

    def now(self) -> datetime:
        """The present, to the second."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._moment = second, datetime.fromtimestamp(second, UTC)
        return self._moment

    def peer(self, certificate: CertificateFacts | None) -> Decision:
        """See :func:`policies.trust.judge_peer`."""
        return self._ask(certificate, ANYONE)

    def inbound(self, certificate: CertificateFacts | None, domain: str | None) -> Decision:
        """See :func:`policies.trust.judge_inbound`."""
        return self._ask(certificate, domain or "")

    def _ask(self, certificate: CertificateFacts | None, domain: str) -> Decision:
        trusted, settings, moment = self._trusted(), self._settings(), self.now()
        if certificate is None:
            return self._judge(None, domain, trusted, moment, settings)
        key = (certificate.fingerprint, certificate.revocation, certificate.chain_problem, domain)
        known = self._answers.get(key)
        if known and known.second == self._second and known.trusted is trusted and known.settings is settings:
            return known.decision
        decision = self._judge(certificate, domain, trusted, moment, settings)
        if len(self._answers) >= REMEMBERED:
            self._answers.clear()
        self._answers[key] = _Answer(self._second, trusted, settings, decision)
        return decision

    @staticmethod
    def _judge(
        certificate: CertificateFacts | None,
        domain: str,
        trusted: TrustList | None,
        moment: datetime,
        settings: TrustSettings,
    ) -> Decision:
        if domain == ANYONE:
            return trust.judge_peer(certificate, trusted, moment, settings)
        return trust.judge_inbound(certificate, domain or None, trusted, moment, settings)
