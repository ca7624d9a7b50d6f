"""The XML signature of the white list: verify one, make one (MSS-009).

The signature is enveloped, at the top level, over the whole document, with SHA-256 or better. The certificate inside it
must lead to a configured anchor at the moment given, and be fit to sign a list: an operator's TLS certificate comes from
the same authority and must not (unless its name is configured as the signer).

Promise: :func:`verify` returns the very element that was signed, and callers read only that. Failure: :class:`Refused`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    ClientVerifier,
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.signer import XMLSigner
from signxml.verifier import SignatureConfiguration, XMLVerifier

from policies import dn

DSIG = "http://www.w3.org/2000/09/xmldsig#"
SIGNATURE = f"{{{DSIG}}}Signature"
CERTIFICATES = f"{{{DSIG}}}KeyInfo/{{{DSIG}}}X509Data/{{{DSIG}}}X509Certificate"
MAXIMUM_CERTIFICATES = 8
METHODS = frozenset(
    (
        SignatureMethod.RSA_SHA256,
        SignatureMethod.RSA_SHA384,
        SignatureMethod.RSA_SHA512,
        SignatureMethod.SHA256_RSA_MGF1,
        SignatureMethod.ECDSA_SHA256,
        SignatureMethod.ECDSA_SHA384,
    )
)
DIGESTS = frozenset((DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512))
TLS_USAGES = frozenset((ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH))


class Refused(ValueError):
    """A list is not taken. ``word`` is stable: for the event, the metrics and the tests; ``detail`` for a person."""

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(f"{word}: {detail}")
        self.word = word
        self.detail = detail


def verify(
    data: bytes,
    root: etree._Element,
    anchors: Sequence[x509.Certificate],
    now: datetime,
    signers: Iterable[str] = (),
) -> tuple[etree._Element, str]:
    """Check the signature of ``data`` (already parsed as ``root``): the signed root, and the signer's RFC 4514 name.

    Raises :class:`Refused`: ``bad_signature``, ``unknown_signer``.
    """
    if len(root.findall(f".//{SIGNATURE}")) != 1:
        raise Refused("bad_signature", "there must be one signature")
    signer = _signer(root, anchors, now, frozenset(signers))
    configuration = SignatureConfiguration(
        location="./", expect_references=1, signature_methods=METHODS, digest_algorithms=DIGESTS, verification_time=now
    )
    try:
        result = XMLVerifier().verify(data, x509_cert=signer, expect_config=configuration)
    except (SignXMLException, etree.LxmlError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise Refused("bad_signature", type(error).__name__) from None
    if isinstance(result, list) or result.signed_xml is None or result.signed_xml.tag != root.tag:
        raise Refused("bad_signature", "the signature does not cover the whole list")
    return result.signed_xml, signer.subject.rfc4514_string()


def sign(
    root: etree._Element, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, chain: Sequence[x509.Certificate]
) -> etree._Element:
    """The element with an enveloped signature; ``chain`` is the signer's certificate, then what leads to the anchor."""
    method = SignatureMethod.RSA_SHA256 if isinstance(key, rsa.RSAPrivateKey) else SignatureMethod.ECDSA_SHA256
    signed: etree._Element = XMLSigner(signature_algorithm=method).sign(root, key=key, cert=list(chain))
    return signed


def _signer(
    root: etree._Element, anchors: Sequence[x509.Certificate], now: datetime, signers: frozenset[str]
) -> x509.Certificate:
    certificates = _carried(root)
    leaves = [one for one in certificates if not _authority(one)]
    if len(leaves) != 1:
        raise Refused("unknown_signer", "the signature must carry one signer's certificate")
    leaf = leaves[0]
    if not anchors:
        raise Refused("unknown_signer", "no authority is configured for the signature")
    try:
        _verifier(anchors, now).verify(leaf, [one for one in certificates if one is not leaf])
    except (VerificationError, ValueError, UnsupportedAlgorithm):
        raise Refused("unknown_signer", "the signer's certificate leads to no configured authority") from None
    _check_fit(leaf, signers)
    return leaf


def _check_fit(leaf: x509.Certificate, signers: frozenset[str]) -> None:
    name = leaf.subject.rfc4514_string()
    if signers:
        if not any(dn.same(name, one) for one in signers):
            raise Refused("unknown_signer", f"signed by {name}, who is not configured")
        return
    try:
        usages = frozenset(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return
    if usages & TLS_USAGES:
        raise Refused("unknown_signer", "signed with a TLS certificate, which any operator has")


def _carried(root: etree._Element) -> list[x509.Certificate]:
    signature = root.find(SIGNATURE)
    elements = signature.findall(CERTIFICATES) if signature is not None else []
    if len(elements) > MAXIMUM_CERTIFICATES:
        raise Refused("bad_signature", "too many certificates")
    try:
        return [x509.load_der_x509_certificate(base64.b64decode(one.text or "")) for one in elements]
    except (ValueError, binascii.Error, UnsupportedAlgorithm, x509.InvalidVersion):
        raise Refused("bad_signature", "a certificate in the signature cannot be read") from None


def _authority(certificate: x509.Certificate) -> bool:
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except (x509.ExtensionNotFound, ValueError):
        return False


def _may_sign(_policy: Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        raise ValueError("the certificate may not sign")


def _verifier(anchors: Sequence[x509.Certificate], now: datetime) -> ClientVerifier:
    leaf_policy = ExtensionPolicy.permit_all().may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_sign)
    builder = PolicyBuilder().store(Store(list(anchors))).time(now).max_chain_depth(4)
    builder = builder.extension_policies(ee_policy=leaf_policy, ca_policy=ExtensionPolicy.webpki_defaults_ca())
    return builder.build_client_verifier()
