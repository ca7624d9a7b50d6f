"""Which certificates were revoked: lists fetched, verified, kept and asked (MSS-018 to MSS-020, F44, F46).

Lists (CRL, DER or PEM) come from files or addresses. Each is verified with its issuer's key, kept on disk, and replaced
only by a newer one; when its source fails, the last one serves until it expires, then through the configured grace, then
the answer is *unknown*, which is never *good*. A serial once seen revoked stays revoked as long as its list is held.

Promise: :meth:`RevocationLists.status` neither waits nor reads anything: microseconds. Nothing raises for a bad list; each
refusal and each change is an event. Bounds: 64 MiB a list, 64 sources.
Failure: what cannot be kept on disk is logged, and serves all the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from directory.trustlist_fetch import Fetch, Unreachable
from gateway.smtp.chain import UNREADABLE
from mailboxes.given import make_folder
from policies.events import Event, Kind
from policies.values import Revocation

log = structlog.get_logger(__name__)

MAXIMUM_SIZE = 64 * 1024 * 1024
MAXIMUM_ISSUERS = 64
SKEW = timedelta(minutes=5)
WEAK_DIGESTS = frozenset(("md5", "sha1"))
_PEM = b"-----BEGIN X509 CRL-----"
_END = b"-----END X509 CRL-----"


class BadList(ValueError):
    """A list is not taken. ``word``: ``malformed``, ``unsupported``, ``bad_signature``, ``older``, ``expired``."""

    def __init__(self, word: str, detail: str = "") -> None:
        super().__init__(f"{word}: {detail}")
        self.word = word


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A list read once. ``serials`` are all it revokes, held certificates included."""

    issuer: x509.Name
    number: int
    this_update: datetime
    next_update: datetime
    serials: frozenset[int]
    users: bool  # covers certificates of holders
    authorities: bool  # covers certificates of authorities
    crl: x509.CertificateRevocationList

    @property
    def issuer_name(self) -> str:
        return self.issuer.rfc4514_string()


class Cache(Protocol):
    """The last good octets of each source, across restarts."""

    def read(self, source: str) -> bytes | None: ...

    def write(self, source: str, data: bytes) -> None: ...


class MemoryCache:
    """The twin in memory."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def read(self, source: str) -> bytes | None:
        return self._kept.get(source)

    def write(self, source: str, data: bytes) -> None:
        self._kept[source] = data


class FolderCache:
    """One file per source, replaced in one step. A revocation list is public; the folder is ours all the same."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        make_folder(folder)

    def read(self, source: str) -> bytes | None:
        try:
            return self._path(source).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, source: str, data: bytes) -> None:
        path = self._path(source)
        # One name per process: several start at once and fetch the same list.
        partial = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            partial.write_bytes(data)
            with suppress(OSError):  # some file systems have modes of their own
                partial.chmod(0o644)  # the folder says who comes as far
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise

    def _path(self, source: str) -> Path:
        return self._folder / f"{hashlib.sha256(source.encode()).hexdigest()[:32]}.crl"


class RevocationLists:
    """All lists of this service. It belongs to one event loop."""

    def __init__(
        self,
        sources: Sequence[str],
        issuers: Iterable[x509.Certificate],
        fetch: Fetch,
        cache: Cache,
        *,
        grace: timedelta = timedelta(0),
        maximum_size: int = MAXIMUM_SIZE,
    ) -> None:
        self._sources = tuple(sources)
        self._issuers = list(issuers)
        self._fetch = fetch
        self._cache = cache
        self._grace = grace
        self._maximum_size = maximum_size
        self._lists: dict[tuple[str, x509.Name], RevocationList] = {}
        self._verified: dict[x509.Certificate, tuple[RevocationList, ...]] = {}
        self._seen: dict[str, bytes] = {}  # digest of what each source gave last
        self._stamps: dict[str, tuple[int, int, int]] = {}
        self._told: dict[x509.Name, str] = {}

    def status(self, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> Revocation:
        """What is known now of a certificate whose signature by ``issuer`` was checked. Unknown is not good."""
        authority = _is_authority(certificate)
        answer = Revocation.UNKNOWN
        for held in self._of(issuer):
            if not (held.authorities if authority else held.users):
                continue
            if certificate.serial_number in held.serials:
                return Revocation.REVOKED
            if held.this_update - SKEW <= now <= held.next_update + self._grace:
                answer = Revocation.GOOD
        return answer

    def lists(self) -> tuple[RevocationList, ...]:
        """What is held, for the health page and the doctor."""
        return tuple(self._lists.values())

    def load_cached(self, now: datetime) -> tuple[Event, ...]:
        """At start, before the network is asked: what was good last time. Expired lists are loaded too: they still
        say what was revoked."""
        events: list[Event] = []
        for source in self._sources:
            data = self._cache.read(source)
            if data is not None:
                events += self._take(source, data, now, keep=False)
        return tuple(events)

    async def refresh(self, now: datetime) -> tuple[Event, ...]:
        """Fetch every source once; a source that fails changes nothing."""
        events: list[Event] = []
        for source in self._sources:
            events += await self._refresh_one(source, now)
        return (*events, *self.ageing(now))

    async def refresh_changed(self, now: datetime) -> tuple[Event, ...]:
        """The same for files that changed since they were read. Cheap: one ``stat`` a file; call it every few seconds."""
        events: list[Event] = []
        for source in self._sources:
            stamp = _stamp(source)
            if stamp is not None and stamp != self._stamps.get(source):
                events += await self._refresh_one(source, now)
        return tuple(events)

    def ageing(self, now: datetime) -> tuple[Event, ...]:
        """An event for each issuer whose newest list entered its grace or expired, told once per state."""
        events = []
        for held in self._newest().values():
            state = _state(held, now, self._grace)
            if state != self._told.get(held.issuer, "current"):
                events.append(_event(state, held))
            self._told[held.issuer] = state
        return tuple(events)

    async def _refresh_one(self, source: str, now: datetime) -> list[Event]:
        stamp = _stamp(source)
        try:
            data = await self._fetch.get(source, self._maximum_size)
        except Unreachable as failure:
            return [Event(Kind.REVOCATION_LIST, detail={"what": "unreachable", "reason": failure.word})]
        if stamp is not None:
            self._stamps[source] = stamp
        digest = hashlib.sha256(data).digest()
        if self._seen.get(source) == digest:
            return []
        parsed = await asyncio.to_thread(_read_all_or_word, data)
        self._seen[source] = digest
        return self._take(source, data, now, keep=True, parsed=parsed)

    def _take(
        self,
        source: str,
        data: bytes,
        now: datetime,
        *,
        keep: bool,
        parsed: list[RevocationList] | BadList | None = None,
    ) -> list[Event]:
        found = _read_all_or_word(data) if parsed is None else parsed
        if isinstance(found, BadList):
            return [Event(Kind.REVOCATION_LIST, detail={"what": "refused", "reason": found.word})]
        events = []
        for read in found:
            try:
                self._accept(source, read, now)
            except BadList as refusal:
                events.append(_event("refused", read, refusal.word))
            else:
                events.append(_event("loaded", read))
        if keep and any(event.detail["what"] == "loaded" for event in events):
            self._keep(source, data)
        return events

    def _keep(self, source: str, data: bytes) -> None:
        """For the next start, which fetches it all the same: a full disk must keep no service from starting (F07)."""
        try:
            self._cache.write(source, data)
        except OSError as problem:
            self._seen.pop(source, None)  # the next look tries again
            log.warning("revocation_list_not_kept", reason=os.strerror(problem.errno or 0))

    def _accept(self, source: str, read: RevocationList, now: datetime) -> None:
        signers = [one for one in self._issuers if one.subject == read.issuer]
        if signers and not any(_signed_by(read, one) for one in signers):
            raise BadList("bad_signature", read.issuer_name)
        if read.this_update > now + SKEW:
            raise BadList("future", read.issuer_name)
        before = self._lists.get((source, read.issuer))
        if before is not None and (read.this_update, read.number) < (before.this_update, before.number):
            raise BadList("older", read.issuer_name)
        self._lists[source, read.issuer] = read
        self._verified.clear()

    def _of(self, issuer: x509.Certificate) -> tuple[RevocationList, ...]:
        """The lists this very authority signed; the signature is checked once per list."""
        known = self._verified.get(issuer)
        if known is None:
            known = tuple(
                held for held in self._lists.values() if held.issuer == issuer.subject and _signed_by(held, issuer)
            )
            if len(self._verified) < MAXIMUM_ISSUERS:
                self._verified[issuer] = known
            if issuer not in self._issuers and len(self._issuers) < MAXIMUM_ISSUERS:
                self._issuers.append(issuer)
        return known

    def _newest(self) -> dict[x509.Name, RevocationList]:
        newest: dict[x509.Name, RevocationList] = {}
        for held in self._lists.values():
            before = newest.get(held.issuer)
            if before is None or held.this_update > before.this_update:
                newest[held.issuer] = held
        return newest


def read_all(data: bytes) -> list[RevocationList]:
    """Every list of a DER file or of a PEM file that may hold several. Raises :class:`BadList`."""
    blocks = [_PEM + block.partition(_END)[0] + _END for block in data.split(_PEM)[1:]]
    try:
        if blocks:
            return [_describe(x509.load_pem_x509_crl(block)) for block in blocks[:MAXIMUM_ISSUERS]]
        return [_describe(x509.load_der_x509_crl(data))]
    except UNREADABLE as error:
        if isinstance(error, BadList):
            raise
        raise BadList("malformed", type(error).__name__) from None


def _read_all_or_word(data: bytes) -> list[RevocationList] | BadList:
    try:
        return read_all(data)
    except BadList as refusal:
        return refusal


def _describe(crl: x509.CertificateRevocationList) -> RevocationList:
    if crl.next_update_utc is None:
        raise BadList("unsupported", "no next update")
    users, authorities = _scope(crl)
    return RevocationList(
        crl.issuer,
        _number(crl),
        crl.last_update_utc,
        crl.next_update_utc,
        frozenset(entry.serial_number for entry in crl),
        users,
        authorities,
        crl,
    )


def _number(crl: x509.CertificateRevocationList) -> int:
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0


def _scope(crl: x509.CertificateRevocationList) -> tuple[bool, bool]:
    """(holders, authorities) covered. A delta, an indirect or a partial list is not one we can rest on."""
    for extension in crl.extensions:
        if isinstance(extension.value, x509.DeltaCRLIndicator):
            raise BadList("unsupported", "a delta list")
        if isinstance(extension.value, x509.IssuingDistributionPoint):
            point = extension.value
            if point.indirect_crl or point.only_some_reasons or point.only_contains_attribute_certs:
                raise BadList("unsupported", "a partial list")
            return not point.only_contains_ca_certs, not point.only_contains_user_certs
        if extension.critical and isinstance(extension.value, x509.UnrecognizedExtension):
            raise BadList("unsupported", "an unknown critical extension")
    return True, True


def _signed_by(held: RevocationList, issuer: x509.Certificate) -> bool:
    digest = held.crl.signature_hash_algorithm
    if digest is not None and digest.name in WEAK_DIGESTS:
        return False
    try:
        if not issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign:
            return False
    except x509.ExtensionNotFound:
        pass
    try:
        return held.crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except (x509.ExtensionNotFound, ValueError):
        return False


def _state(held: RevocationList, now: datetime, grace: timedelta) -> str:
    if now <= held.next_update:
        return "current"
    return "grace" if now <= held.next_update + grace else "expired"


def _stamp(source: str) -> tuple[int, int, int] | None:
    if "://" in source:
        return None
    try:
        seen = Path(source).stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_size, seen.st_ino


def _event(what: str, held: RevocationList, reason: str = "") -> Event:
    detail = {
        "what": what,
        "issuer": held.issuer_name,
        "number": held.number,
        "next_update": held.next_update.isoformat(),
    }
    return Event(Kind.REVOCATION_LIST, detail={**detail, "reason": reason} if reason else detail)
