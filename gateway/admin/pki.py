"""Make the certificates of a test trust space, as IGC-Santé would issue them, and the bad ones that must be refused.

``caducee space`` builds one; so do the tests. The names follow the pattern of the white list
(``CN=host,OU=3<SIRET>,O=...,ST=... (nn),C=FR``), certificates live 90 days, carry SAN, key usages, AKI, SKI and a CRL
address, and come from an intermediate under a root, because real mail programs refuse certificates that look toy-like.

Promise: private keys are written with mode 0600 and never anywhere else. Nothing here is fit for production: an authority
of the trust space keeps its keys elsewhere. Failure: ``OSError`` when the folder cannot be written.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID, ObjectIdentifier

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

CLIENT: Final = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER: Final = ExtendedKeyUsageOID.SERVER_AUTH
LIFE: Final = timedelta(days=90)
AUTHORITY_LIFE: Final = timedelta(days=3650)
CRL_LIFE: Final = timedelta(days=7)
SKEW: Final = timedelta(hours=1)
CRL_ADDRESS: Final = "http://igc.mssante.test/CRL/ACI-EL-ORG-TEST.crl"


@dataclass(frozen=True, slots=True)
class Card:
    """A certificate with its chain, and its private key, both PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class OperatorName:
    """How an operator is called: short name, mail domain, and the made-up number in its certificates."""

    name: str
    domain: str
    siret: str

    @property
    def host(self) -> str:
        return f"smtp.{self.domain}"


@dataclass(frozen=True, slots=True)
class OperatorCards:
    """What one operator holds. ``subject`` is the RFC 4514 name for the white list, the same on all its certificates."""

    operator: OperatorName
    subject: str
    server: Card
    server_curve: Card
    client: Card


OPERATORS: Final = (
    OperatorName("op-a", "op-a.mssante.test", "99900000000018"),
    OperatorName("op-b", "op-b.mssante.test", "99900000000026"),
    OperatorName("op-c", "op-c.mssante.test", "99900000000034"),
)
FAULTY: Final = ("revoked", "expired", "self_signed", "other_ca", "wrong_eku", "cn_only")


class Authority:
    """A certificate that signs others, and the list of those it revoked."""

    def __init__(self, certificate: x509.Certificate, key: PrivateKey) -> None:
        self.certificate = certificate
        self.key = key
        self.revoked: dict[int, datetime] = {}

    @classmethod
    def root(cls, common_name: str, now: datetime, key: PrivateKey | None = None) -> Authority:
        key = key or rsa_key()
        name = authority_name(common_name)
        builder = _authority_builder(name, name, key, key, now, path_length=1)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def read(cls, certificate: Path, key: Path) -> Authority:
        """An authority written by :func:`build`, to issue or revoke later."""
        loaded = serialization.load_pem_private_key(key.read_bytes(), password=None)
        if not isinstance(loaded, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise ValueError("an authority's key is RSA or elliptic")
        return cls(x509.load_pem_x509_certificate(certificate.read_bytes()), loaded)

    def intermediate(self, common_name: str, now: datetime, key: PrivateKey | None = None) -> Authority:
        key = key or rsa_key()
        builder = _authority_builder(
            authority_name(common_name), self.certificate.subject, key, self.key, now, path_length=0
        )
        return Authority(builder.sign(self.key, hashes.SHA256()), key)

    def issue(
        self,
        subject: x509.Name,
        key: PrivateKey,
        now: datetime,
        *,
        names: Iterable[x509.GeneralName] = (),
        usages: Sequence[ObjectIdentifier] = (CLIENT,),
        life: timedelta = LIFE,
        responder: str = "",
    ) -> x509.Certificate:
        """A leaf certificate valid from an hour before ``now``. No names, no SAN extension; no ``responder``, no AIA."""
        builder = _leaf_builder(subject, self.certificate.subject, key, now - SKEW, now + life, usages)
        identifier = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value), critical=False
        ).add_extension(
            x509.CRLDistributionPoints(
                [x509.DistributionPoint([x509.UniformResourceIdentifier(CRL_ADDRESS)], None, None, None)]
            ),
            critical=False,
        )
        held = list(names)
        if held:
            builder = builder.add_extension(x509.SubjectAlternativeName(held), critical=False)
        if responder:
            where = x509.AccessDescription(
                AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(responder)
            )
            builder = builder.add_extension(x509.AuthorityInformationAccess([where]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def revoke(self, certificate: x509.Certificate, when: datetime) -> None:
        self.revoked[certificate.serial_number] = when

    def crl(self, now: datetime, number: int = 1, life: timedelta = CRL_LIFE) -> x509.CertificateRevocationList:
        """The signed list of what was revoked, valid from ``now`` for ``life``."""
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.certificate.public_key())  # type: ignore[arg-type]
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - SKEW if life > SKEW else now + life - SKEW)
            .next_update(now + life)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(identifier, critical=False)
        )
        for serial, when in self.revoked.items():
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, hashes.SHA256())


@dataclass(frozen=True, slots=True)
class Pki:
    """A finished trust space. ``faulty`` maps each word of :data:`FAULTY` to a card in the second operator's name."""

    directory: Path
    ca: Path
    intermediate: Path
    crl: Path
    root_crl: Path
    signing: Card
    operators: dict[str, OperatorCards]
    faulty: dict[str, Card]
    authority: Authority = field(repr=False)
    root: Authority = field(repr=False)

    def facts(self) -> dict[str, object]:
        """The ``pki`` object of the ready file: paths as strings."""
        said: dict[str, object] = {
            "ca": str(self.ca),
            "intermediate": str(self.intermediate),
            "crl": str(self.crl),
            "root_crl": str(self.root_crl),
        }
        for name, card in self.faulty.items():
            said[name] = {"client_cert": str(card.certificate), "client_key": str(card.key)}
        for name, held in self.operators.items():
            server = {"server_cert": str(held.server.certificate), "server_key": str(held.server.key)}
            said[name] = {"client_cert": str(held.client.certificate), "client_key": str(held.client.key), **server}
        return said

    def card(self, file: str, certificate: x509.Certificate, key: PrivateKey) -> Card:
        """Write a certificate issued by :attr:`authority`, with its chain, and its key, under ``file``."""
        return _write_card(self.directory, file, (certificate, self.authority.certificate), key)

    def publish_crl(self, now: datetime, number: int, life: timedelta = CRL_LIFE) -> None:
        """Write the intermediate's revocation list anew, atomically."""
        _write(self.crl, self.authority.crl(now, number, life).public_bytes(serialization.Encoding.PEM))


def build(directory: Path, now: datetime, operators: Sequence[OperatorName] = OPERATORS) -> Pki:
    """Create everything under ``directory``; ``now`` is aware, UTC. The second operator owns the faulty cards."""
    directory.mkdir(parents=True, exist_ok=True)
    root = Authority.root("AC RACINE ELEMENTAIRE ESSAI", now)
    authority = root.intermediate("AC ELEMENTAIRE ORGANISATIONS ESSAI", now)
    held = {operator.name: _operator_cards(directory, authority, operator, now) for operator in operators}
    faulty = _faulty_cards(directory, authority, operators[1], now)
    signing_key = rsa_key()
    cachet = authority.issue(
        organisation_name("LISTE BLANCHE ESSAI", "GESTIONNAIRE ESSAI", "99900000000000"),
        signing_key,
        now,
        usages=(ExtendedKeyUsageOID.EMAIL_PROTECTION,),
    )
    pki = Pki(
        directory,
        _write_certificates(directory / "ca.pem", (root.certificate,)),
        _write_certificates(directory / "intermediate.pem", (authority.certificate,)),
        directory / "crl.pem",
        directory / "root_crl.pem",
        _write_card(directory, "list_signing", (cachet, authority.certificate), signing_key),
        held,
        faulty,
        authority,
        root,
    )
    _write_key(directory / "intermediate.key", authority.key)
    _write_key(directory / "ca.key", root.key)
    pki.publish_crl(now, 1)
    _write(pki.root_crl, root.crl(now, 1).public_bytes(serialization.Encoding.PEM))
    return pki


def _operator_cards(directory: Path, authority: Authority, operator: OperatorName, now: datetime) -> OperatorCards:
    subject = operator_subject(operator)
    server_key, curve_key, client_key = rsa_key(), curve_key_pair(), rsa_key()
    names = server_names(operator)
    chain = authority.certificate
    server = authority.issue(subject, server_key, now, names=names, usages=(SERVER,))
    curve = authority.issue(subject, curve_key, now, names=names, usages=(SERVER,))
    # One certificate for both sides of SMTP is what the field does with its SERV SSL product.
    client = authority.issue(subject, client_key, now, names=names, usages=(CLIENT, SERVER))
    return OperatorCards(
        operator,
        subject.rfc4514_string(),
        _write_card(directory, f"{operator.name}_server", (server, chain), server_key),
        _write_card(directory, f"{operator.name}_server_curve", (curve, chain), curve_key),
        _write_card(directory, f"{operator.name}_client", (client, chain), client_key),
    )


def _faulty_cards(directory: Path, authority: Authority, operator: OperatorName, now: datetime) -> dict[str, Card]:
    subject, key = operator_subject(operator), rsa_key()
    names = server_names(operator)[:1]
    revoked = authority.issue(subject, key, now, names=names)
    authority.revoke(revoked, now - SKEW)
    stranger = Authority.root("AC ETRANGERE ESSAI", now, curve_key_pair())
    expired = authority.issue(subject, key, now - 2 * LIFE, names=names)
    certificates = {
        "revoked": (revoked, authority.certificate),
        "expired": (expired, authority.certificate),
        "self_signed": (self_signed(subject, key, now, names),),
        "other_ca": (stranger.issue(subject, key, now, names=names), stranger.certificate),
        "wrong_eku": (authority.issue(subject, key, now, names=names, usages=(SERVER,)), authority.certificate),
        "cn_only": (authority.issue(subject, key, now), authority.certificate),
    }
    return {name: _write_card(directory, name, chain, key) for name, chain in certificates.items()}


def self_signed(
    subject: x509.Name, key: PrivateKey, now: datetime, names: Iterable[x509.GeneralName]
) -> x509.Certificate:
    """A certificate that vouches for itself."""
    builder = _leaf_builder(subject, subject, key, now - SKEW, now + LIFE, (CLIENT,))
    return builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False).sign(key, hashes.SHA256())


def organisation_name(common_name: str, organisation: str, siret: str) -> x509.Name:
    """``CN=...,OU=3<SIRET>,O=...,ST=Test (99),C=FR`` in the order certificates hold it."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
            x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, "Test (99)"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, f"3{siret}"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def operator_subject(operator: OperatorName) -> x509.Name:
    letter = operator.name.rpartition("-")[2].upper()
    return organisation_name(operator.host, f"OPERATEUR {letter} ESSAI", operator.siret)


def authority_name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "AUTORITE ESSAI"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def server_names(operator: OperatorName) -> list[x509.GeneralName]:
    """The host of the white list first, then the names mail programs use, and loopback for the space in a box."""
    used = (f"{word}.{operator.domain}" for word in ("imap", "mail", "autoconfig"))
    named = [operator.host, operator.domain, *used, "localhost"]
    return [*(x509.DNSName(name) for name in named), x509.IPAddress(IPv4Address("127.0.0.1"))]


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def curve_key_pair() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _leaf_builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: PrivateKey,
    start: datetime,
    end: datetime,
    usages: Sequence[ObjectIdentifier],
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _authority_builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, signer: PrivateKey, now: datetime, *, path_length: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - AUTHORITY_LIFE)
        .not_valid_after(now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=not signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write_card(directory: Path, file: str, chain: Sequence[x509.Certificate], key: PrivateKey) -> Card:
    certificate = _write_certificates(directory / f"{file}.pem", chain)
    _write_key(directory / f"{file}.key", key)
    return Card(certificate, directory / f"{file}.key")


def _write_certificates(path: Path, chain: Sequence[x509.Certificate]) -> Path:
    _write(path, b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain))
    return path


def _write_key(path: Path, key: PrivateKey) -> None:
    octets = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(path, octets, 0o600)


def _write(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace a file in one step, so that a service that watches it never reads half of it."""
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    partial.replace(path)
