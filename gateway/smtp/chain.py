"""From the certificates a peer presents to the facts policies judge: path, usages, strength, names, revocation.

The path is built by OpenSSL (through pyOpenSSL: name constraints, path lengths, signatures, dates at a given moment) to
the configured anchors only, never to the system's. Everything else is read with ``cryptography``. A path found once is
remembered until a certificate of it runs out, so a partner's next connection costs microseconds; revocation is asked anew
each time.

Promise: :meth:`PathReader.facts` never raises for what a peer sent; a certificate that cannot be read has the chain
problem ``bad_chain``. Bounds: 8 certificates, 32 KiB each. A reader belongs to one event loop. Failure:
:class:`BadCertificateFile` for our own files.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from OpenSSL import crypto

from policies.values import CertificateFacts, Revocation

MAXIMUM_CHAIN = 8
MAXIMUM_OCTETS = 32 * 1024
REMEMBERED_PATHS = 2048
REMEMBERED_INTERMEDIATES = 64
WEAK_DIGESTS = frozenset(("md5", "sha1"))
RSA_BITS = 2048
CURVE_BITS = 256
_SHA256 = hashes.SHA256()
# What reading a certificate made by a stranger may raise, in cryptography and in OpenSSL.
UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    crypto.Error,
)

# X509_V_ERR_* of OpenSSL's x509_vfy.h, in the words of CertificateFacts.chain_problem.
VERIFY_WORDS = {
    2: "untrusted",
    9: "not_yet_valid",
    10: "expired",
    18: "self_signed",
    19: "untrusted",
    20: "untrusted",
    21: "untrusted",
    26: "wrong_usage",
    27: "untrusted",
    66: "weak_key",
    67: "weak_key",
    68: "weak_signature",
}


class BadCertificateFile(ValueError):
    """A certificate file of ours cannot be read; the text says which and why, never its content."""


class RevocationStatus(Protocol):
    """Who knows what was revoked (:mod:`gateway.smtp.revocation`)."""

    def status(self, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> Revocation:
        """Immediate: no network, no disk."""
        ...


@dataclass(frozen=True, slots=True)
class _Read:
    """A certificate read once: its facts without revocation, its path, and how long the path holds."""

    facts: CertificateFacts
    path: tuple[x509.Certificate, ...]
    until: datetime
    since: datetime


class PathReader:
    """Reads chains against a fixed set of anchors. Make a new one when the anchors change.

    ``intermediates`` complete the chain of a peer that sends only its own certificate; those of good paths are
    remembered too, because a resumed TLS session brings the leaf alone.
    """

    def __init__(
        self,
        anchors: Iterable[x509.Certificate],
        intermediates: Iterable[x509.Certificate] = (),
        revocation: RevocationStatus | None = None,
    ) -> None:
        self._anchors = tuple(crypto.X509.from_cryptography(anchor) for anchor in anchors)
        self._intermediates = OrderedDict((one.fingerprint(_SHA256), one) for one in intermediates)
        self._revocation = revocation
        self._known: OrderedDict[bytes, _Read] = OrderedDict()

    def facts(self, chain: Sequence[bytes], now: datetime) -> CertificateFacts | None:
        """What is known of a presented chain (DER, the peer's own certificate first) at the moment ``now``.

        None when nothing was presented.
        """
        if not chain:
            return None
        known = self._known_or_read(chain, now)
        if known.facts.chain_problem or self._revocation is None:
            return known.facts
        return replace(known.facts, revocation=self._status(known.path, now))

    def issuer(self, chain: Sequence[bytes], now: datetime) -> x509.Certificate | None:
        """The issuer of the peer's certificate on its path to an anchor, or None without a path."""
        if not chain:
            return None
        path = self._known_or_read(chain, now).path
        return path[1] if len(path) > 1 else None

    def links(self, chain: Sequence[bytes], now: datetime) -> tuple[tuple[x509.Certificate, x509.Certificate], ...]:
        """Each certificate of the path to an anchor with its issuer, the peer's own first; empty without a path."""
        path = self._known_or_read(chain, now).path if chain else ()
        return tuple(pairwise(path))

    def chain(self, fingerprint: str) -> tuple[bytes, ...]:
        """The path (DER) of a certificate judged lately, by its SHA-256 in hexadecimal; empty when none is remembered."""
        known = self._known.get(bytes.fromhex(fingerprint))
        return tuple(one.public_bytes(Encoding.DER) for one in known.path) if known is not None else ()

    def _known_or_read(self, chain: Sequence[bytes], now: datetime) -> _Read:
        digest = hashlib.sha256(chain[0]).digest()
        known = self._known.get(digest)
        if known is None or not known.since <= now <= known.until:
            return self._read(chain, digest, now)
        return known

    def _read(self, chain: Sequence[bytes], digest: bytes, now: datetime) -> _Read:
        try:
            if len(chain) > MAXIMUM_CHAIN or any(len(one) > MAXIMUM_OCTETS for one in chain):
                return _unreadable(digest)
            certificates = [x509.load_der_x509_certificate(one) for one in chain]
            path, problem = self._path(certificates, now)
            read = _describe(certificates[0], digest, path, problem)
        except UNREADABLE:
            return _unreadable(digest)
        if not problem:
            self._remember(digest, read)
        return read

    def _path(
        self, certificates: Sequence[x509.Certificate], now: datetime
    ) -> tuple[tuple[x509.Certificate, ...], str]:
        untrusted = [*certificates[1:], *self._intermediates.values()]
        context = crypto.X509StoreContext(
            self._store(now),
            crypto.X509.from_cryptography(certificates[0]),
            [crypto.X509.from_cryptography(one) for one in untrusted],
        )
        try:
            found = context.get_verified_chain()
        except crypto.X509StoreContextError as refused:
            return (), VERIFY_WORDS.get(int(refused.errors[0]), "bad_chain")
        path = tuple(one.to_cryptography() for one in found)
        return path, _path_problem(path)

    def _store(self, now: datetime) -> crypto.X509Store:
        # A new store each time: OpenSSL keeps the first verification time a store was ever given.
        store = crypto.X509Store()
        for anchor in self._anchors:
            store.add_cert(anchor)
        # An anchor may be the intermediate authority itself (MSS-016).
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
        store.set_time(now.astimezone(UTC).replace(tzinfo=None))
        return store

    def _remember(self, digest: bytes, read: _Read) -> None:
        self._known[digest] = read
        if len(self._known) > REMEMBERED_PATHS:
            self._known.popitem(last=False)
        for one in read.path[1:-1]:
            self._intermediates.setdefault(one.fingerprint(_SHA256), one)
        while len(self._intermediates) > REMEMBERED_INTERMEDIATES:
            self._intermediates.popitem()

    def _status(self, path: Sequence[x509.Certificate], now: datetime) -> Revocation:
        """The leaf's status; an authority of the path that is known to be revoked revokes everything under it."""
        if self._revocation is None or len(path) < 2:
            return Revocation.UNKNOWN
        found = [self._revocation.status(path[at], path[at + 1], now) for at in range(len(path) - 1)]
        return Revocation.REVOKED if Revocation.REVOKED in found else found[0]


def read_certificates(path: Path) -> list[x509.Certificate]:
    """All certificates of a PEM file. Raises :class:`BadCertificateFile`."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise BadCertificateFile(f"{path}: {error.strerror}") from None
    except ValueError:
        raise BadCertificateFile(f"{path}: no certificate in it") from None


def _unreadable(digest: bytes) -> _Read:
    never = datetime.min.replace(tzinfo=UTC)
    facts = CertificateFacts("", "", 0, digest.hex(), never, never, chain_problem="bad_chain")
    return _Read(facts, (), never, never)


def _describe(leaf: x509.Certificate, digest: bytes, path: Sequence[x509.Certificate], problem: str) -> _Read:
    client, server = _usages(leaf, path)
    kind, bits = key_strength(leaf)
    facts = CertificateFacts(
        subject=leaf.subject.rfc4514_string(),
        issuer=leaf.issuer.rfc4514_string(),
        serial=leaf.serial_number,
        fingerprint=digest.hex(),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        dns_names=dns_names(leaf),
        client_usage=client,
        server_usage=server,
        key_bits=bits,
        key_type=kind,
        chain_problem=problem,
    )
    since = max((one.not_valid_before_utc for one in path), default=leaf.not_valid_before_utc)
    until = min((one.not_valid_after_utc for one in path), default=leaf.not_valid_before_utc)
    return _Read(facts, tuple(path), until, since)


def _path_problem(path: Sequence[x509.Certificate]) -> str:
    """Strength of the links; the anchor's own signature proves nothing and is not looked at."""
    for one in path[:-1]:
        digest = one.signature_hash_algorithm
        if digest is not None and digest.name in WEAK_DIGESTS:
            return "weak_signature"
    for authority in path[1:]:
        kind, bits = key_strength(authority)
        if bits < (RSA_BITS if kind in ("rsa", "dsa") else CURVE_BITS):
            return "weak_key"
    return ""


def key_strength(certificate: x509.Certificate) -> tuple[str, int]:
    """Kind and size in bits of the certificate's key."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return "rsa", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "ec", key.curve.key_size
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "ed25519", 256
    if isinstance(key, ed448.Ed448PublicKey):
        return "ed448", 448
    return ("dsa", key.key_size) if isinstance(key, dsa.DSAPublicKey) else ("other", 0)


def dns_names(leaf: x509.Certificate) -> tuple[str, ...]:
    """Its SAN dNSNames, in lower case."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(name.lower() for name in names.get_values_for_type(x509.DNSName))


def _usages(leaf: x509.Certificate, path: Sequence[x509.Certificate]) -> tuple[bool, bool]:
    """(client, server): what the leaf and every intermediate above it allow (RFC 5280 4.2.1.3, 4.2.1.12)."""
    if not _may_sign_sessions(leaf):
        return False, False
    # The anchor limits nothing: it is trusted as configured.
    limits = [_extended(one) for one in (leaf, *path[1:-1])]
    return (
        all(_allows(limit, ExtendedKeyUsageOID.CLIENT_AUTH) for limit in limits),
        all(_allows(limit, ExtendedKeyUsageOID.SERVER_AUTH) for limit in limits),
    )


def _extended(certificate: x509.Certificate) -> frozenset[ObjectIdentifier] | None:
    try:
        return frozenset(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return None


def _allows(limit: frozenset[ObjectIdentifier] | None, usage: ObjectIdentifier) -> bool:
    return limit is None or usage in limit or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in limit


def _may_sign_sessions(leaf: x509.Certificate) -> bool:
    try:
        return leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except x509.ExtensionNotFound:
        return True
