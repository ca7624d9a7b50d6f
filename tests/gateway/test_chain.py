"""Paths that must not hold, one fault each (F51), and our own certificate files."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ed448, ed25519, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.admin import pki
from gateway.smtp.chain import BadCertificateFile, PathReader, key_strength, read_certificates
from policies.values import CertificateFacts

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
NAME = pki.organisation_name("smtp.op-b.mssante.test", "OPERATEUR B", "99900000000026")
SAN = (x509.DNSName("smtp.op-b.mssante.test"),)


class Space:
    """Small elliptic keys: the shape of the path is what matters here."""

    def __init__(self) -> None:
        self.root = pki.Authority.root("RACINE", NOW, pki.curve_key_pair())
        self.below = self.root.intermediate("ORGANISATIONS", NOW, pki.curve_key_pair())
        self.key = pki.curve_key_pair()
        self.leaf = self.below.issue(NAME, self.key, NOW, names=SAN, usages=(pki.CLIENT, pki.SERVER))
        self.reader = PathReader((self.root.certificate,))

    def facts(self, *chain: x509.Certificate, reader: PathReader | None = None) -> CertificateFacts:
        found = (reader or self.reader).facts(der(chain), NOW)
        assert found is not None
        return found


def der(chain: Sequence[x509.Certificate]) -> list[bytes]:
    return [one.public_bytes(Encoding.DER) for one in chain]


@pytest.fixture
def space() -> Space:
    return Space()


def authority(
    above: pki.Authority,
    key: pki.PrivateKey,
    *,
    path_length: int | None = None,
    extra: x509.ExtensionType | None = None,
) -> pki.Authority:
    """An authority under another, as deep as asked."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(pki.authority_name(f"AC {x509.random_serial_number():x}"[:40]))
        .issuer_name(above.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=900))
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if extra is not None:
        builder = builder.add_extension(extra, critical=True)
    return pki.Authority(builder.sign(above.key, hashes.SHA256()), key)


def test_a_whole_path(space: Space) -> None:
    facts = space.facts(space.leaf, space.below.certificate)
    assert (facts.chain_problem, facts.client_usage, facts.server_usage) == ("", True, True)
    assert (facts.key_type, facts.key_bits) == ("ec", 256)
    assert facts.serial == space.leaf.serial_number
    assert facts.fingerprint == space.leaf.fingerprint(hashes.SHA256()).hex()


def test_nothing_presented_is_nothing_known(space: Space) -> None:
    assert space.reader.facts((), NOW) is None
    assert space.reader.issuer((), NOW) is None


def test_a_peer_that_forgets_its_intermediate_needs_ours(space: Space) -> None:
    assert space.facts(space.leaf).chain_problem == "untrusted"
    helped = PathReader((space.root.certificate,), (space.below.certificate,))
    assert space.facts(space.leaf, reader=helped).chain_problem == ""


def test_an_intermediate_seen_once_is_remembered(space: Space) -> None:
    space.facts(space.leaf, space.below.certificate)
    other = space.below.issue(NAME, space.key, NOW, names=SAN)
    assert space.facts(other).chain_problem == ""


def test_the_order_and_the_surplus_of_a_chain_do_not_matter(space: Space) -> None:
    stranger = pki.Authority.root("AUTRE", NOW, pki.curve_key_pair())
    chain = (space.leaf, stranger.certificate, space.root.certificate, space.below.certificate)
    assert space.facts(*chain).chain_problem == ""


def test_an_anchor_may_be_the_intermediate_itself(space: Space) -> None:
    narrow = PathReader((space.below.certificate,))
    assert space.facts(space.leaf, reader=narrow).chain_problem == ""
    sibling = space.root.intermediate("SERVEURS", NOW, pki.curve_key_pair())
    leaf = sibling.issue(NAME, space.key, NOW, names=SAN)
    assert space.facts(leaf, sibling.certificate, reader=narrow).chain_problem == "untrusted"


def test_another_authority_with_the_same_name(space: Space) -> None:
    forged = pki.Authority.root("RACINE", NOW, pki.curve_key_pair()).intermediate(
        "ORGANISATIONS", NOW, pki.curve_key_pair()
    )
    leaf = forged.issue(NAME, space.key, NOW, names=SAN)
    assert space.facts(leaf, forged.certificate).chain_problem in ("untrusted", "bad_chain")


def test_a_holder_cannot_issue(space: Space) -> None:
    holder = pki.Authority(space.leaf, space.key)
    leaf = holder.issue(NAME, pki.curve_key_pair(), NOW, names=SAN)
    assert space.facts(leaf, space.leaf, space.below.certificate).chain_problem in ("untrusted", "bad_chain")


def test_path_lengths_hold(space: Space) -> None:
    deeper = authority(space.below, pki.curve_key_pair())  # the intermediate allows none under it
    leaf = deeper.issue(NAME, space.key, NOW, names=SAN)
    assert space.facts(leaf, deeper.certificate, space.below.certificate).chain_problem == "bad_chain"


def test_name_constraints_hold(space: Space) -> None:
    only = x509.NameConstraints([x509.DNSName("op-a.mssante.test")], None)
    constrained = authority(space.root, pki.curve_key_pair(), path_length=0, extra=only)
    leaf = constrained.issue(NAME, space.key, NOW, names=SAN)
    assert space.facts(leaf, constrained.certificate).chain_problem == "bad_chain"


def test_ten_links_are_too_many(space: Space) -> None:
    root = pki.Authority.root("LONGUE", NOW, pki.curve_key_pair())
    open_root = authority(root, pki.curve_key_pair())
    links = [open_root]
    for _ in range(9):
        links.append(authority(links[-1], pki.curve_key_pair()))
    leaf = links[-1].issue(NAME, space.key, NOW, names=SAN)
    chain = [leaf, *(one.certificate for one in reversed(links))]
    assert space.facts(*chain, reader=PathReader((open_root.certificate,))).chain_problem == "bad_chain"


def test_weak_keys_are_seen_in_the_leaf_and_above(space: Space) -> None:
    weak = pki.rsa_key(1024)
    leaf = space.below.issue(NAME, weak, NOW, names=SAN)
    facts = space.facts(leaf, space.below.certificate)
    assert (facts.key_type, facts.key_bits) == ("rsa", 1024)
    above = authority(space.root, weak, path_length=0)
    leaf = above.issue(NAME, space.key, NOW, names=SAN)
    assert space.facts(leaf, above.certificate).chain_problem == "weak_key"


def test_a_sha1_signature_is_weak(space: Space, tmp_path: Path) -> None:
    """Made by OpenSSL's own tool, since no current library signs so any more."""
    key, root, request = (tmp_path / name for name in ("leaf.key", "root.pem", "leaf.csr"))
    pem = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key.write_bytes(space.key.private_bytes(*pem))
    (tmp_path / "root.key").write_bytes(space.root.key.private_bytes(*pem))
    root.write_bytes(space.root.certificate.public_bytes(Encoding.PEM))
    request.write_bytes(
        x509.CertificateSigningRequestBuilder()
        .subject_name(NAME)
        .sign(space.key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    sign = [
        "openssl",
        "x509",
        "-req",
        "-sha1",
        "-days",
        "5",
        "-in",
        request,
        "-CA",
        root,
        "-CAkey",
        tmp_path / "root.key",
    ]
    done = subprocess.run([*sign, "-set_serial", "7"], capture_output=True, check=True)
    leaf = x509.load_pem_x509_certificate(done.stdout)
    found = space.reader.facts(der((leaf,)), datetime.now(UTC))
    assert found is not None
    assert found.chain_problem == "weak_signature"


def test_an_expired_intermediate_breaks_the_path(space: Space) -> None:
    old = space.root.intermediate("VIEILLE", NOW - timedelta(days=4000), pki.curve_key_pair())
    leaf = old.issue(NAME, space.key, NOW, names=SAN)
    assert space.facts(leaf, old.certificate).chain_problem == "expired"


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (None, (True, True)),
        ((ExtendedKeyUsageOID.CLIENT_AUTH,), (True, False)),
        ((ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,), (True, True)),
        ((ExtendedKeyUsageOID.EMAIL_PROTECTION,), (False, False)),
    ],
)
def test_an_authority_limits_the_usages_under_it(
    space: Space, limit: tuple[x509.ObjectIdentifier, ...] | None, expected: tuple[bool, bool]
) -> None:
    extra = x509.ExtendedKeyUsage(limit) if limit else None
    above = authority(space.root, pki.curve_key_pair(), path_length=0, extra=extra)
    leaf = above.issue(NAME, space.key, NOW, names=SAN, usages=(pki.CLIENT, pki.SERVER))
    facts = space.facts(leaf, above.certificate)
    assert (facts.client_usage, facts.server_usage) == expected


def test_a_key_that_may_not_sign_serves_no_session(space: Space) -> None:
    usage = x509.KeyUsage(*(name == "key_encipherment" for name in (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )))  # fmt: skip
    leaf = bare(space, usage)
    facts = space.facts(leaf)
    assert (facts.chain_problem, facts.client_usage, facts.server_usage) == ("", False, False)
    unlimited = space.facts(bare(space))
    assert (unlimited.client_usage, unlimited.server_usage, unlimited.dns_names) == (True, True, ())


def bare(space: Space, *extensions: x509.ExtensionType) -> x509.Certificate:
    """A leaf under the root with these extensions only."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(space.root.certificate.subject)
        .public_key(space.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(space.root.key, hashes.SHA256())


@pytest.mark.parametrize(
    ("made", "expected"),  # made by the test: every process that collects it would wait seconds for the primes of DSA
    [
        (ed25519.Ed25519PrivateKey.generate, ("ed25519", 256)),
        (ed448.Ed448PrivateKey.generate, ("ed448", 448)),
        (partial(dsa.generate_private_key, 2048), ("dsa", 2048)),
        (x25519.X25519PrivateKey.generate, ("other", 0)),
    ],
)
def test_every_kind_of_key_has_a_strength(space: Space, made: Callable[[], Any], expected: tuple[str, int]) -> None:
    builder = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(made().public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
    )
    assert key_strength(builder.sign(space.key, hashes.SHA256())) == expected


@pytest.mark.filterwarnings(
    "ignore:Parsed a serial number which wasn't positive"
)  # one in some thousand runs damages that
@settings(max_examples=60)
@given(st.integers(0, 2000), st.binary(min_size=1, max_size=20))
def test_damaged_certificates_never_get_a_path_by_damage(at: int, junk: bytes) -> None:
    whole = TWISTED.leaf.public_bytes(Encoding.DER)
    damaged = whole[:at] + junk + whole[at + len(junk) :]
    chain = [damaged, TWISTED.below.certificate.public_bytes(Encoding.DER)]
    facts = PathReader((TWISTED.root.certificate,)).facts(chain, NOW)
    assert facts is not None
    assert facts.chain_problem or damaged == whole


TWISTED = Space()


def test_a_file_of_certificates_gives_them_all_or_says_why_not(space: Space, tmp_path: Path) -> None:
    both = [space.root.certificate, space.below.certificate]
    path = tmp_path / "anchors.pem"
    path.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in both))
    assert read_certificates(path) == both
    for octets, word in ((b"", "no certificate"), (b"junk", "no certificate"), (None, "No such file")):
        path.unlink(missing_ok=True)
        if octets is not None:
            path.write_bytes(octets)
        with pytest.raises(BadCertificateFile, match=word):
            read_certificates(path)


def test_an_authority_written_by_the_space_can_issue_and_revoke_later(tmp_path: Path) -> None:
    made = pki.build(tmp_path, NOW)
    again = pki.Authority.read(made.intermediate, tmp_path / "intermediate.key")
    key = pki.curve_key_pair()
    late = again.issue(NAME, key, NOW, names=SAN)
    reader = PathReader(read_certificates(made.ca))
    card = made.card("late", late, key)
    assert reader.facts(der(read_certificates(card.certificate)), NOW).chain_problem == ""  # type: ignore[union-attr]
    made.authority.revoke(late, NOW)
    made.publish_crl(NOW, 2)
    crl = x509.load_pem_x509_crl(made.crl.read_bytes())
    assert crl.get_revoked_certificate_by_serial_number(late.serial_number) is not None
    assert [path.name for path in tmp_path.glob("*.new")] == []
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.key")} == {0o600}
    facts = made.facts()
    assert {"ca", "intermediate", "crl", "op-a", "op-b", *pki.FAULTY} <= facts.keys()
    assert facts["op-b"].keys() == {"client_cert", "client_key", "server_cert", "server_key"}  # type: ignore[attr-defined]
