"""What the door tests share: an in-memory intake and authenticator, certificates, and a small blocking client."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.smtp.budget import Budget
from gateway.smtp.edge import Doorway
from gateway.smtp.limits import Gate, Limits
from gateway.smtp.transaction import Answer, Content, Transaction
from mailboxes.authentication import LoginRefused
from policies.catalogue import rule
from policies.decision import Decision, decide
from policies.values import Address, CertificateFacts, Door, Login, Peer

HOSTNAME = "smtp.op-a.mssante.test"
ACCEPT = decide(rule("session.accepted"))
JEANNE = Address("jeanne", "op-a.mssante.test")
QUICK = {"soft_error_delay": 0.0, "login_failure_delay": 0.0, "linger": 0.2}


@dataclass
class MemoryIntake:
    """The intake port in memory: what it is asked to refuse it refuses, everything else it keeps."""

    refuse_session: Decision = ACCEPT
    refused_senders: dict[str, Decision] = field(default_factory=dict)
    refused_recipients: dict[str, Decision] = field(default_factory=dict)
    verdict: Decision = ACCEPT
    kept: list[tuple[Transaction, bytes]] = field(default_factory=list)
    sessions: list[Peer] = field(default_factory=list)
    turned: list[tuple[str, str]] = field(default_factory=list)  # stage and rule of what the door itself refused
    keep_content: bool = True
    broken: str = ""  # the method that raises
    gate: asyncio.Event | None = None  # message() waits for it
    waiting: int = 0  # for the gate, now

    async def session(self, peer: Peer) -> Decision:
        self._maybe_break("session")
        self.sessions.append(peer)
        return self.refuse_session

    async def sender(self, peer: Peer, sender: Address | None, size: int) -> Decision:
        self._maybe_break("sender")
        return self.refused_senders.get(sender.key if sender else "", ACCEPT)

    async def recipient(self, peer: Peer, sender: Address | None, recipient: Address) -> Decision:
        self._maybe_break("recipient")
        return self.refused_recipients.get(recipient.key, ACCEPT)

    async def turned_away(
        self, peer: Peer, sender: Address | None, recipients: Sequence[Address], stage: str, decision: Decision
    ) -> Decision:
        self._maybe_break("turned_away")
        self.turned.append((stage, decision.rule.name))
        return replace(decision, reference=f"r{len(self.turned)}")

    async def message(self, transaction: Transaction, content: Content) -> Answer:
        self._maybe_break("message")
        assert isinstance(content, list)  # in the pieces it arrived in
        if self.gate is not None:
            self.waiting += 1
            await self.gate.wait()
            self.waiting -= 1
        if self.verdict.accepted:
            self.kept.append((transaction, b"".join(content) if self.keep_content else b""))
        return Answer(self.verdict, f"m{len(self.kept)}" if self.verdict.accepted else "")

    def _maybe_break(self, method: str) -> None:
        if self.broken == method:
            raise OSError("no space on device: Dupont Jeanne")


@dataclass
class MemoryAuthenticator:
    """One account, one password, one token, one certificate."""

    address: Address = JEANNE
    secret: str = "s3cret-device"
    access_token: str = "tok.en"
    rule_name: str = "session.auth_failed"
    broken: bool = False

    async def password(self, login: str, secret: str, ip: str) -> Login:
        if self.broken:
            raise OSError("database is away")
        return self._login("device", login == str(self.address) and secret == self.secret)

    async def certificate(self, certificate: CertificateFacts, login: str, ip: str) -> Login:
        return self._login("certificate", login in ("", str(self.address)) and certificate.subject == "CN=client")

    async def token(self, token: str, login: str, ip: str) -> Login:
        return self._login("token", token == self.access_token and login in ("", str(self.address)))

    async def alive(self, login: Login) -> bool:
        return True

    async def send_as(self, login: Login) -> frozenset[str]:
        return login.send_as

    def _login(self, means: str, right: bool) -> Login:
        if not right:
            raise LoginRefused(self.rule_name, "password")
        return Login("jeanne", 1, self.address, means, frozenset({self.address.key}))


def facts(ssl_object: Any) -> CertificateFacts | None:
    """The presented certificate, not judged: the doors only carry it."""
    der = ssl_object.getpeercert(binary_form=True)
    if not der:
        return None
    certificate = x509.load_der_x509_certificate(der)
    return CertificateFacts(
        certificate.subject.rfc4514_string(),
        certificate.issuer.rfc4514_string(),
        certificate.serial_number,
        hashlib.sha256(der).hexdigest(),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


@dataclass(frozen=True)
class Pki:
    """Paths of a small certificate authority."""

    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.server, self.server_key)
        context.load_verify_locations(self.ca)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def client_context(self, *, certificate: bool = True) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca)
        if certificate:
            context.load_cert_chain(self.client, self.client_key)
        return context


def make_pki(folder: Path) -> Pki:
    """A root, a server for :data:`HOSTNAME`, a client."""
    root_key = ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test root")])
    root = _certificate(root_name, root_name, root_key.public_key(), root_key, ca=True)
    _write(folder / "ca.pem", root)
    for name, host in (("server", HOSTNAME), ("client", "client")):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        _write(folder / f"{name}.pem", _certificate(subject, root_name, key.public_key(), root_key, host=host))
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return Pki(*(folder / name for name in ("ca.pem", "server.pem", "server.key", "client.pem", "client.key")))


def _certificate(
    subject: x509.Name, issuer: x509.Name, public: Any, signer: Any, *, ca: bool = False, host: str = ""
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if host:
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _write(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def doorway(
    pki: Pki,
    *,
    door: Door = Door.INBOUND,
    intake: Any = None,
    authenticator: Any = None,
    limits: Limits | None = None,
    budget: Budget | None = None,
    clock: Callable[[], float] | None = None,
    **named: Any,
) -> Doorway:
    """A doorway with memory behind it."""
    import time

    limits = limits or Limits(**QUICK)
    clock = clock or time.monotonic
    return Doorway(
        door,
        HOSTNAME,
        pki.server_context(),
        named.pop("facts", facts),
        intake if intake is not None else MemoryIntake(),
        limits,
        budget or Budget(64 * 1024 * 1024),
        Gate(limits, clock),
        clock,
        "op-a.mssante.test",
        authenticator=authenticator,
        tokens=named.pop("tokens", True),
        **named,
    )


class Client:
    """A client that writes exactly the octets it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port: int, context: ssl.SSLContext | None = None) -> Client:
        """Connect, with implicit TLS when a context is given; the greeting is not read."""
        name = HOSTNAME if context else None
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name, limit=2**20))

    @classmethod
    async def secured(cls, port: int, context: ssl.SSLContext) -> Client:
        """Connect and go through STARTTLS and EHLO."""
        client = await cls.connect(port)
        await client.reply()
        await client.say("EHLO client.test")
        await client.say("STARTTLS")
        await client.start_tls(context)
        assert (await client.say("EHLO client.test")).startswith("250")
        return client

    async def start_tls(self, context: ssl.SSLContext) -> None:
        await self.writer.start_tls(context, server_hostname=HOSTNAME)

    async def say(self, line: str) -> str:
        """A command and its whole reply."""
        await self.send(line.encode("latin-1") + b"\r\n")
        return await self.reply()

    async def send(self, octets: bytes) -> None:
        self.writer.write(octets)
        await self.writer.drain()

    async def reply(self) -> str:
        """One reply, its lines joined with newlines; "" at the end of the connection."""
        lines = []
        while True:
            try:
                line = (await asyncio.wait_for(self.reader.readline(), 10)).decode("ascii")
            except (ConnectionError, ssl.SSLError):
                line = ""
            if not line:
                return "\n".join(lines)
            assert line.endswith("\r\n")
            assert len(line) <= 512
            lines.append(line[:-2])
            if line[3:4] != "-":
                return "\n".join(lines)

    async def envelope(self, sender: str = "a@b.test", recipient: str = "jeanne@op-a.mssante.test") -> str:
        """MAIL, RCPT and DATA; the last reply."""
        assert (await self.say(f"MAIL FROM:<{sender}>")).startswith("250")
        assert (await self.say(f"RCPT TO:<{recipient}>")).startswith("250")
        return await self.say("DATA")

    async def closed(self) -> bool:
        """Whether the other side closes; what it still said is dropped."""
        try:
            while await asyncio.wait_for(self.reader.read(65536), 10):
                pass
        except (ConnectionError, ssl.SSLError):
            pass
        return True

    def close(self) -> None:
        self.writer.transport.abort()
