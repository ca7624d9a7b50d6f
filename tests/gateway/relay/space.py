"""A trust space for outbound tests: a test PKI, a list of three operators, revocation as the test decides."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from gateway.admin import pki
from gateway.relay.guard import TrustGuard
from gateway.relay.parcel import Attempt, Parcel, Waypoint
from gateway.relay.partners import Partners
from gateway.smtp import tls
from gateway.smtp.chain import PathReader, read_certificates
from gateway.smtp.outbound import Patience
from gateway.smtp.resolver import FixedNames, Routed, Target
from policies.trust import TrustSettings, trust_list
from policies.values import DsnRequest, Revocation

DOMAIN = "op-b.mssante.test"
HOST = "smtp.op-b.mssante.test"
QUICK = Patience(connect=2, greeting=0.5, command=0.5, tls=2, data=0.5, block=0.5, dot=0.5, quit=0.2)


class Body:
    """A message in memory, read in blocks like a stored one."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)

    async def read(self, offset: int, length: int) -> bytes:
        return self._content[offset : offset + length]


@dataclass
class Revocations:
    revoked: set[int] = field(default_factory=set)
    unknown: bool = False

    def status(self, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> Revocation:
        if certificate.serial_number in self.revoked:
            return Revocation.REVOKED
        return Revocation.UNKNOWN if self.unknown else Revocation.GOOD


@dataclass
class Space:
    """Operator A, who sends, and what A believes of the others. Change ``listed`` to change the white list."""

    pki: pki.Pki
    listed: list[tuple[str, str]]
    revocations: Revocations = field(default_factory=Revocations)
    own: frozenset[str] = frozenset({"op-a.mssante.test"})

    @classmethod
    def build(cls, folder: Path) -> Space:
        made = pki.build(folder, datetime.now(UTC))
        return cls(made, [(held.operator.domain, held.subject) for held in made.operators.values()])

    def fresh(self) -> Space:
        return replace(self, listed=list(self.listed), revocations=Revocations())

    def guard(self) -> TrustGuard:
        held = self.pki.operators["op-a"]
        context = tls.client_context(tls.Identity(held.client.certificate, held.client.key))
        reader = PathReader(read_certificates(self.pki.ca), read_certificates(self.pki.intermediate), self.revocations)

        def now() -> datetime:
            return datetime.now(UTC)

        return TrustGuard(
            lambda: trust_list(self.listed, now(), now()),
            lambda: TrustSettings(own_domains=self.own),
            lambda: context,
            lambda: reader,
            now,
        )

    def server(self, card: pki.Card | None = None) -> ssl.SSLContext:
        held = self.pki.operators["op-b"]
        card = card or held.server
        return tls.server_context(
            [tls.Identity(card.certificate, card.key)], ask_certificate=True, anchors=[self.pki.ca]
        )

    def partners(
        self,
        port: int,
        *,
        patience: Patience = QUICK,
        name: str | None = HOST,
        addresses: tuple[str, ...] = ("127.0.0.1",),
        domains: Iterable[str] = (DOMAIN,),
        now: Callable[[], float] = time.monotonic,
        **options: int,
    ) -> Partners:
        routes = {domain: Target(name, addresses, port) for domain in domains}
        resolver = Routed(FixedNames(), routes, (), now, lambda hosts: None)
        return Partners(resolver, self.guard(), "mail.op-a.mssante.test", now, patience, **options)


def parcel(content: bytes = b"Subject: x\r\n\r\nbody\r\n", *locals_: str, **changes: object) -> Parcel:
    ways = tuple(
        Waypoint(at, f"{local}@{DOMAIN}", DsnRequest(frozenset({"SUCCESS"}), f"rfc822;{local}@{DOMAIN}"))
        for at, local in enumerate(locals_ or ("bob",))
    )
    made = Parcel("M" * 26, "alice@op-a.mssante.test", DOMAIN, ways, Body(content), ret="HDRS", envid="E1")
    return replace(made, **changes)  # type: ignore[arg-type]


def rules_of(attempt: Attempt) -> list[str]:
    return [result.decision.rule.name for result in attempt.results]
