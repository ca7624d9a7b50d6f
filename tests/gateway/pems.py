"""Certificates and keys for configuration tests: right, swapped, and readable by too many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def write_all(folder: Path) -> None:
    """rsa.pem rsa.key p256.pem p256.key; private.pem (a certificate of mode 0600); public.key, group.key."""
    for name, key in (
        ("rsa", rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        ("p256", ec.generate_private_key(ec.SECP256R1())),
    ):
        (folder / f"{name}.pem").write_bytes(_certificate(name, key))
        _write(folder / f"{name}.key", _pem(key), 0o600)
    _write(folder / "private.pem", (folder / "rsa.pem").read_bytes(), 0o600)
    _write(folder / "public.key", (folder / "rsa.key").read_bytes(), 0o644)
    _write(folder / "group.key", b"c2VjcmV0\n", 0o660)


def _write(path: Path, content: bytes, mode: int) -> None:
    path.write_bytes(content)
    path.chmod(mode)


def _pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate(name: str, key: Key) -> bytes:
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name}.op.mssante.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=90))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)
