"""Ask a certificate's own responder whether it was revoked, when no list covers it (MSS-018, F45, RFC 6960).

The network is asked before a decision is needed (:meth:`Responders.prepare`), never inside one: :meth:`Responders.status`
only reads answers already verified. An answer counts when it is signed by the issuer or by a responder the issuer
delegated, speaks of this very certificate, is current, not older than the one before, and repeats our nonce. It holds until
it says so itself, but is asked again long before, so that a revocation is heard of.

Promise: a silent, unsigned, stale or replayed answer is *unknown*, never *good*; revoked stays revoked until a newer answer
says good. Nothing raises for a bad responder. Bounds: 64 KiB an answer, 4 096 answers remembered.
Failure: none.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from directory.trustlist_fetch import Unreachable
from gateway.smtp.chain import UNREADABLE
from policies.values import Revocation

MAXIMUM_ANSWER = 64 * 1024
REMEMBERED = 4096
LONGEST_LIFE = timedelta(hours=12)
SKEW = timedelta(minutes=5)
RETRY = timedelta(minutes=1)
_NEVER = datetime.min.replace(tzinfo=UTC)
_STATUS = {
    ocsp.OCSPCertStatus.GOOD: Revocation.GOOD,
    ocsp.OCSPCertStatus.REVOKED: Revocation.REVOKED,
    ocsp.OCSPCertStatus.UNKNOWN: Revocation.UNKNOWN,
}


class Post(Protocol):
    async def post(self, source: str, body: bytes, content_type: str, limit: int) -> bytes:
        """Raises Unreachable. :class:`directory.trustlist_fetch.WebFetch` is one."""
        ...


class MemoryPost:
    """The twin in memory: a function answers."""

    def __init__(self, answer: Callable[[str, bytes], bytes]) -> None:
        self._answer = answer

    async def post(self, source: str, body: bytes, content_type: str, limit: int) -> bytes:
        found = self._answer(source, body)
        if len(found) > limit:
            raise Unreachable("too_large", source)
        return found


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is known: good until ``until``, to be asked again from ``again`` on. ``said`` is the answer's own date."""

    status: Revocation
    until: datetime
    again: datetime
    said: datetime = _NEVER

    def at(self, now: datetime) -> Revocation:
        lasts = now <= self.until or self.status is Revocation.REVOKED
        return self.status if lasts else Revocation.UNKNOWN


class Responders:
    """Verified answers of OCSP responders. ``nonce`` makes random octets; ``require_nonce`` refuses answers without it
    (some responders of the field sign in advance and cannot repeat one); ``again`` is how often an answer is renewed."""

    def __init__(
        self,
        post: Post,
        nonce: Callable[[], bytes],
        *,
        require_nonce: bool = True,
        again: timedelta = timedelta(hours=1),
    ) -> None:
        self._post = post
        self._nonce = nonce
        self._require_nonce = require_nonce
        self._again = again
        self._known: OrderedDict[tuple[bytes, int], _Answer] = OrderedDict()
        self._asking: dict[tuple[bytes, int], asyncio.Future[None]] = {}

    def status(self, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> Revocation:
        """What a responder said not long ago; unknown without an answer."""
        known = self._known.get(_key(certificate, issuer))
        return known.at(now) if known is not None else Revocation.UNKNOWN

    def wants(self, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> bool:
        """Whether asking would tell anything new: there is a responder, and no young answer or recent failure."""
        key = _key(certificate, issuer)
        known = self._known.get(key)
        return key not in self._asking and (known is None or now > known.again) and bool(responder(certificate))

    async def prepare(self, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> None:
        """Ask the responder named in the certificate, unless a young answer is known; whoever comes while it is asked
        waits for the same answer. A failure is remembered for a minute, so that a dead responder is not asked by each
        session."""
        key = _key(certificate, issuer)
        if key in self._asking:
            await asyncio.shield(self._asking[key])
            return
        if not self.wants(certificate, issuer, now):
            return
        self._asking[key] = asked = asyncio.get_running_loop().create_future()
        try:
            answer = await self._ask(responder(certificate), certificate, issuer, now)
            self._learn(key, answer, now)
        finally:
            del self._asking[key]
            asked.set_result(None)

    def _learn(self, key: tuple[bytes, int], answer: _Answer | None, now: datetime) -> None:
        known = self._known.get(key)
        if known is not None and known.at(now) is not Revocation.UNKNOWN and not _replaces(known, answer):
            self._known[key] = replace(known, again=now + RETRY)
        else:
            self._known[key] = answer or _Answer(Revocation.UNKNOWN, now + RETRY, now + RETRY)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    async def _ask(
        self, address: str, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime
    ) -> _Answer | None:
        nonce = self._nonce()
        builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA256())
        request = builder.add_extension(x509.OCSPNonce(nonce), critical=False).build()
        try:
            octets = request.public_bytes(Encoding.DER)
            said = await self._post.post(address, octets, "application/ocsp-request", MAXIMUM_ANSWER)
            return self._read(ocsp.load_der_ocsp_response(said), certificate, issuer, nonce, now)
        except (Unreachable, *UNREADABLE):
            return None

    def _read(
        self,
        response: ocsp.OCSPResponse,
        certificate: x509.Certificate,
        issuer: x509.Certificate,
        nonce: bytes,
        now: datetime,
    ) -> _Answer | None:
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return None
        if not _signed(response, issuer, now) or not self._nonce_fits(response, nonce):
            return None
        for single in response.responses:
            if _speaks_of(single, certificate, issuer) and _current(single, now):
                ends = single.next_update_utc or single.this_update_utc + LONGEST_LIFE
                until = min(ends, now + LONGEST_LIFE)
                status = _STATUS[single.certificate_status]
                return _Answer(status, until, min(until, now + self._again), single.this_update_utc)
        return None

    def _nonce_fits(self, response: ocsp.OCSPResponse, nonce: bytes) -> bool:
        try:
            return response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce
        except x509.ExtensionNotFound:
            return not self._require_nonce


def _replaces(known: _Answer, answer: _Answer | None) -> bool:
    """A verified answer, not older, replaces what is known; only *good* ends *revoked*."""
    if answer is None or answer.said < known.said:
        return False
    return known.status is not Revocation.REVOKED or answer.status is not Revocation.UNKNOWN


def responder(certificate: x509.Certificate) -> str:
    """The address of the certificate's OCSP responder, or an empty string."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    for description in access:
        location = description.access_location
        if description.access_method == AuthorityInformationAccessOID.OCSP and isinstance(
            location, x509.UniformResourceIdentifier
        ):
            return location.value
    return ""


def _key(certificate: x509.Certificate, issuer: x509.Certificate) -> tuple[bytes, int]:
    return issuer.fingerprint(hashes.SHA256()), certificate.serial_number


def _speaks_of(single: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """The answer's identifiers equal those we would ask with, by the digest the responder chose."""
    asked = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, single.hash_algorithm).build()
    return (single.serial_number, single.issuer_key_hash, single.issuer_name_hash) == (
        asked.serial_number,
        asked.issuer_key_hash,
        asked.issuer_name_hash,
    )


def _current(single: ocsp.OCSPSingleResponse, now: datetime) -> bool:
    ends = single.next_update_utc or single.this_update_utc + LONGEST_LIFE
    return single.this_update_utc - SKEW <= now <= ends


def _signed(response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> bool:
    return any(_verifies(response, signer) for signer in (issuer, *_delegates(response, issuer, now)))


def _delegates(response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> list[x509.Certificate]:
    """Certificates in the answer that the same issuer made for signing such answers (RFC 6960 4.2.2.2)."""
    found = []
    for one in response.certificates[:4]:
        try:
            one.verify_directly_issued_by(issuer)
            usages = one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except (InvalidSignature, x509.ExtensionNotFound, *UNREADABLE):
            continue
        if ExtendedKeyUsageOID.OCSP_SIGNING in usages and one.not_valid_before_utc <= now <= one.not_valid_after_utc:
            found.append(one)
    return found


def _verifies(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, digest = signer.public_key(), response.signature_hash_algorithm
    if digest is None or digest.name in ("md5", "sha1"):
        return False
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(digest))
        else:
            return False
    except InvalidSignature:
        return False
    return True


class Source(Protocol):
    """Who can say at once what is known (:class:`gateway.smtp.revocation.RevocationLists` is one)."""

    def status(self, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> Revocation: ...


class Combined:
    """Lists first, then the responders for what no list covers. Both say what they know at once.

    What neither knows is asked by :meth:`prepare`, for whoever can wait, or in the background through ``spawn``
    (:func:`asyncio.create_task` or a task group's); so is an answer that grows old, while it still holds.
    """

    def __init__(
        self,
        lists: Source,
        responders: Responders,
        spawn: Callable[[Coroutine[None, None, None]], object] | None = None,
    ) -> None:
        self._lists = lists
        self._responders = responders
        self._spawn = spawn

    def status(self, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> Revocation:
        said = self._lists.status(certificate, issuer, now)
        if said is not Revocation.UNKNOWN:
            return said
        if self._spawn is not None and self._responders.wants(certificate, issuer, now):
            self._spawn(self._responders.prepare(certificate, issuer, now))
        return self._responders.status(certificate, issuer, now)

    async def prepare(self, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> None:
        """Wait for the responder's answer where no list knows and the last answer is none, or grew old."""
        if self._lists.status(certificate, issuer, now) is Revocation.UNKNOWN:
            await self._responders.prepare(certificate, issuer, now)
