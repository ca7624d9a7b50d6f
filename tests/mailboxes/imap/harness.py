"""An IMAP server in this process, on loopback, over a real store, with a certificate authority of its own; and a small
client that speaks in lines, so that a test reads like the dialogue it is about."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mailboxes.anatomy import Anatomy
from mailboxes.authentication import LoginRefused
from mailboxes.blobs import Blobs
from mailboxes.commit import Unit
from mailboxes.imap.content import Cache
from mailboxes.imap.indexes import Indexes
from mailboxes.imap.ports import ALL_RIGHTS, Limits, Service, Standing
from mailboxes.imap.server import ImapServer
from mailboxes.sqlstore import SqlStore
from policies.catalogue import rule
from policies.decision import Decision, decide
from policies.values import Address, BalType, CertificateFacts, Login
from tests.stores import Recorder, opened

NAME = "imap.op-a.mssante.test"


@dataclass(frozen=True)
class Pki:
    ca: Path
    server: ssl.SSLContext
    client: ssl.SSLContext
    app: ssl.SSLContext  # with a client certificate
    cert: Path
    key: Path


def make_pki(folder: Path) -> Pki:
    """A root, a server certificate for localhost and 127.0.0.1, and a client certificate."""
    root_key, root = _certificate("Racine de test", None, None)
    server_key, server = _certificate(NAME, root_key, root, server=True)
    app_key, app = _certificate("app1.op-a.mssante.test", root_key, root, server=False)
    ca = folder / "ca.pem"
    ca.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    cert, key = _write(folder / "server", server, server_key)
    app_cert, app_pem = _write(folder / "app", app, app_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    client = ssl.create_default_context(cafile=str(ca))
    with_certificate = ssl.create_default_context(cafile=str(ca))
    with_certificate.load_cert_chain(app_cert, app_pem)
    return Pki(ca, context, client, with_certificate, cert, key)


def _write(stem: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> tuple[Path, Path]:
    cert, pem = stem.with_suffix(".pem"), stem.with_suffix(".key")
    cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    pem.chmod(0o600)
    return cert, pem


def _certificate(
    name: str,
    issuer_key: ec.EllipticCurvePrivateKey | None,
    issuer: x509.Certificate | None,
    server: bool | None = None,
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=90))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if issuer is None:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        made = made.add_extension(usage, critical=True)
    else:
        assert issuer_key is not None
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
        made = made.add_extension(identifier, critical=False)
        names = [x509.DNSName(name), x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        made = made.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    return key, made.sign(issuer_key or key, hashes.SHA256())


def facts(der: bytes) -> CertificateFacts:
    certificate = x509.load_der_x509_certificate(der)
    return CertificateFacts(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial=certificate.serial_number,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        client_usage=True,
    )


def address(text: str) -> Address:
    local, _, domain = text.partition("@")
    return Address(local, domain)


@dataclass
class People:
    """An authenticator and the standings of its logins, in memory: ``u1@op-a.mssante.test`` with password ``secret``."""

    boxes: dict[str, int] = field(default_factory=dict)
    types: dict[int, BalType] = field(default_factory=dict)
    rights: dict[str, str] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)

    async def password(self, login: str, secret: str, ip: str) -> Login:
        if login not in self.boxes or secret != "secret":
            raise LoginRefused("session.auth_failed", "password")
        if login in self.withdrawn:
            raise LoginRefused("session.mailbox_suspended", "suspended")
        return Login(login, self.boxes[login], address(login), "device")

    async def certificate(self, certificate: CertificateFacts, login: str, ip: str) -> Login:
        name = "app1@op-a.mssante.test"
        if not certificate.subject.startswith("CN=app1.") or (login and login != name):
            raise LoginRefused("session.auth_failed", "certificate")
        return Login(certificate.subject, self.boxes[name], address(name), "certificate")

    async def token(self, token: str, login: str, ip: str) -> Login:
        if token != "good-token" or login not in self.boxes:
            raise LoginRefused("session.auth_failed", "token")
        return Login(login, self.boxes[login], address(login), "token")

    async def alive(self, login: Login) -> bool:
        return str(login.address) not in self.withdrawn

    async def send_as(self, login: Login) -> frozenset[str]:
        return login.send_as

    async def of(self, login: Login) -> Standing:
        rights = self.rights.get(login.account, ALL_RIGHTS)
        return Standing(self.types.get(login.mailbox_id, BalType.PER), rights)

    async def members(self, mailbox_id: int) -> Sequence[tuple[str, str]]:
        names = [name for name, box in self.boxes.items() if box == mailbox_id]
        return [(name, self.rights.get(name, ALL_RIGHTS)) for name in names]


class VirusGate:
    """Refuses whatever holds ``EICAR!``, which no base64 holds, as the content policies would."""

    async def judge(self, login: Login, content: bytes, anatomy: Anatomy) -> Decision:
        if b"EICAR!" in content:
            return decide(rule("content.infected"), "Eicar-Test")
        return decide(rule("content.accepted"))


@dataclass
class Running:
    """A server, its ports and what tests look into."""

    server: ImapServer
    store: SqlStore
    service: Service
    people: People
    pki: Pki
    imap: int
    imaps: int
    journal: Recorder

    async def client(self, *, tls: bool = True, app: bool = False) -> Client:
        context = self.pki.app if app else self.pki.client
        port = self.imaps if tls else self.imap
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context if tls else None, limit=1 << 26)
        client = Client(reader, writer, self.pki)
        client.greeting = await client.line()
        return client

    async def login(self, user: str = "u1@op-a.mssante.test", *, select: str = "") -> Client:
        client = await self.client()
        await client.ok(f"LOGIN {user} secret")
        if select:
            await client.ok(f"SELECT {select}")
        return client


@asynccontextmanager
async def serving(
    folder: Path,
    pki: Pki,
    *,
    url: str = "",
    limits: Limits | None = None,
    mailboxes: int = 3,
    clock: Callable[[], float] = time.time,
    provisioned: bool = False,
    shared: Blobs | None = None,
) -> AsyncIterator[Running]:
    """A running server with mailboxes ``u1`` ... and one APP mailbox ``app1``.

    ``shared`` are the blobs of several servers on one database.
    """
    journal = Recorder()
    async with opened(url or f"sqlite:///{folder}/imap.db", journal=journal, blobs=shared) as store:
        people = People()
        names = [f"u{number}@op-a.mssante.test" for number in range(1, mailboxes + 1)] + ["app1@op-a.mssante.test"]
        for number, name in enumerate(names, 1):
            people.boxes[name] = number
        people.types[len(names)] = BalType.APP

        def provision(unit: Unit) -> None:
            for number in range(1, len(names) + 1):
                store.provision(unit, number, 0)

        if not provisioned:
            await store.committer.run(provision)
        service = Service(
            store=store,
            authenticator=people,
            standings=people,
            gate=VirusGate(),
            indexes=Indexes(store, shared=shared is not None),
            cache=Cache(store),
            clock=clock,
            certificate=facts,
            limits=limits or Limits(),
            tls=pki.server,
            tokens=True,
        )
        server = ImapServer(service)
        imap = await server.listen("127.0.0.1", 0)
        imaps = await server.listen("127.0.0.1", 0, tls=pki.server)
        try:
            yield Running(server, store, service, people, pki, imap, imaps, journal)
        finally:
            await server.close(1)


_LITERAL = re.compile(rb"~?\{([0-9]+)\}\r\n\Z")


class Client:
    """Speaks IMAP line by line. ``untagged`` of the last command are kept as bytes, literals in place."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pki: Pki) -> None:
        self.reader = reader
        self.writer = writer
        self.pki = pki
        self.greeting = b""
        self.number = 0
        self.untagged: list[bytes] = []

    async def line(self) -> bytes:
        """One response, with the literals it holds."""
        said = b""
        while True:
            piece = await asyncio.wait_for(self.reader.readline(), 20)
            if not piece:
                raise EOFError(said)
            said += piece
            found = _LITERAL.search(piece)
            if not found:
                return said.removesuffix(b"\r\n")
            said += await asyncio.wait_for(self.reader.readexactly(int(found[1])), 20)

    async def send(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()

    async def command(self, text: str | bytes) -> bytes:
        """Send a command and answer its tagged line, without the tag."""
        raw = text.encode() if isinstance(text, str) else text
        self.number += 1
        tag = b"t%d" % self.number
        await self.send(tag + b" " + raw + b"\r\n")
        return await self.finish(tag)

    async def finish(self, tag: bytes) -> bytes:
        self.untagged = []
        while True:
            said = await self.line()
            if said.startswith(tag + b" "):
                return said[len(tag) + 1 :]
            self.untagged.append(said)

    async def ok(self, text: str | bytes) -> list[bytes]:
        said = await self.command(text)
        assert said.startswith(b"OK"), said
        return self.untagged

    async def no(self, text: str | bytes, code: str = "") -> bytes:
        said = await self.command(text)
        assert said.startswith(b"NO" if not code else b"NO [" + code.encode()), said
        return said

    async def bad(self, text: str | bytes) -> bytes:
        said = await self.command(text)
        assert said.startswith(b"BAD"), said
        return said

    async def append(self, content: bytes, folder: str = "INBOX", flags: str = "") -> bytes:
        lead = f"APPEND {folder} {flags + ' ' if flags else ''}".encode()
        said = await self.command(lead + b"{%d+}\r\n" % len(content) + content)
        assert said.startswith(b"OK"), said
        return said

    async def starttls(self) -> None:
        await self.ok("STARTTLS")
        await self.writer.start_tls(self.pki.client, server_hostname="localhost")

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except (OSError, ssl.SSLError):
            pass


def message(subject: str = "Essai", body: str = "Bonjour", **fields: str) -> bytes:
    """A small well-formed message; keyword arguments are header fields, ``_`` for ``-``."""
    lines = {
        "From": "Dr Martin <martin@op-a.mssante.test>",
        "To": "secretariat@op-b.mssante.test",
        "Subject": subject,
        "Date": "Mon, 02 Mar 2026 10:00:00 +0100",
        "Message-ID": f"<{abs(hash((subject, body)))}@op-a.mssante.test>",
    }
    lines |= {name.replace("_", "-"): value for name, value in fields.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return (head + "\r\n" + body + "\r\n").encode()
