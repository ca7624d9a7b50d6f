"""Examine our own service: configuration, keys, store, disk, journal, white list, revocation, certificates, doors, DNS.

Promise: nothing is changed; each check is bounded in time and its trouble is a finding, never an exception; what the
running process holds is asked at its doors, the rest is read where the process keeps it. Failure: none.
"""

from __future__ import annotations

import asyncio
import imaplib
import os
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import dns.asyncresolver
import dns.exception
import dns.resolver
import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select

from directory.ldap import wire
from gateway.admin.autoconfig import Record, records
from gateway.admin.doctor_directory import extraction
from gateway.admin.examination import Finding, Octets, State, found
from gateway.expiry_watch import own_certificates
from gateway.migrations import NewerDatabase
from gateway.scan import Clamd, ScanUnavailable
from gateway.smtp import expiry, tls
from mailboxes.given import group_bits
from mailboxes.sql import Sql
from mailboxes.store import BlobsUnmounted, StoreError
from policies import certificate as certificates
from policies.certificate import Role
from policies.trust import Freshness, freshness
from policies.values import BalState

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.compose import Storage
    from gateway.config import Config
    from gateway.config_units import Listen
    from gateway.trust_space import TrustSpace
    from mailboxes.unit import Unit

PATIENCE = 10.0
DAY = 86_400
Probe = Callable[[str, int, ssl.SSLContext], tuple[str, bytes]]


def configuration(config: Config) -> list[Finding]:
    """What is still missing to serve."""
    from gateway.config import absent, missing

    faults = (*missing(config), *absent(config))
    lacking = [Finding("config", State.WARN, fault.sentence, {"fault": fault}) for fault in faults]
    return lacking or [found(State.GOOD, "config.good")]


def keys(config: Config) -> list[Finding]:
    """Private keys and the data folder belong to the service alone (MSS-024)."""
    findings = []
    paths = [*config.tls.keys, *([config.tls.client_key] if config.tls.client_key else [])]
    for path in paths:
        try:
            tls.check_key(path)
        except tls.BadIdentity as problem:
            findings.append(found(State.BAD, "keys.bad", reason=problem))
    folder = config.service.data
    if folder.is_dir() and folder.stat().st_mode & 0o077 & ~group_bits(folder):
        mode = f"{folder.stat().st_mode & 0o777:04o}"
        findings.append(found(State.BAD, "keys.folder", path=folder, mode=mode))
    return findings or [found(State.GOOD, "keys.good", count=len(paths))]


def disk(config: Config) -> list[Finding]:
    """Room on each volume we write to (F07)."""
    from gateway.compose import flaws, volumes

    limit = config.limits.free_space
    try:
        free, ailing = volumes(config), flaws(config)
    except OSError as problem:
        return [found(State.AWAY, "store.away", reason=problem.strerror)]
    return [_room(path, octets, limit, ailing.get(path, "")) for path, octets in free.items()]


def _room(path: Path, free: int, limit: int, flaw: str) -> Finding:
    facts = {"free": Octets(free), "limit": Octets(limit), "path": path}
    if flaw in ("read_only", "no_inodes"):
        return found(State.BAD, f"disk.{flaw}", path=path)
    if flaw or free < limit:
        return found(State.BAD, "disk.full", **facts)
    return found(State.WARN, "disk.low", **facts) if free < 4 * limit else found(State.GOOD, "disk.good", **facts)


def bodies(storage: Storage) -> list[Finding]:
    """The disk of large messages is mounted."""
    try:
        storage.mark.demand()
    except BlobsUnmounted as away:
        return [found(State.AWAY, "blobs.unmounted", path=away.root, file=away.file, word=away.word)]
    except OSError as problem:
        return [found(State.AWAY, "blobs.away", path=storage.mark.root, reason=problem.strerror)]
    return []


FILLER = 1 << 20
_SCRATCH = Sql("CREATE TEMPORARY TABLE doctor_scratch (filler bytea) ON COMMIT DROP")
_FILL = Sql("INSERT INTO doctor_scratch VALUES (?)")


def writing(storage: Storage) -> list[Finding]:
    """The database takes a write. The disk of a PostgreSQL server shows nowhere else: a temporary table tries it."""
    if storage.reads_only:
        return [found(State.AWAY, "store.reads_only")]
    if storage.database.sqlite:
        return []
    try:
        storage.committer.run_sync(_try_to_write)
    except StoreError:
        return [found(State.AWAY, "store.reads_only")]
    except psycopg.Error:  # temporary tables may be forbidden: then nothing is known
        pass
    return []


def _try_to_write(unit: Unit) -> None:
    _SCRATCH(unit.cursor)
    _FILL(unit.cursor, os.urandom(FILLER))


def journal_head(storage: Storage) -> list[Finding]:
    """The head of the chain follows what was anchored outside the database (F35). The whole chain: ``journal verify``."""
    from gateway.record.journal import AnchorFile, head
    from gateway.record.tables import journal

    path = storage.config.journal.anchor
    anchor = AnchorFile(path).last()
    newest = storage.reading.run_sync(head)[0]
    if anchor is None:
        return [found(State.WARN, "journal.unanchored", path=path)]
    seq, digest = anchor
    kept = storage.reading.run_sync(lambda c: c.execute(select(journal.c.hash).where(journal.c.seq == seq)).scalar())
    if seq > newest or (kept is not None and bytes(kept) != digest):
        return [found(State.BAD, "journal.broken", seq=seq)]
    return [found(State.GOOD, "journal.good", records=newest)]


def postmasters(storage: Storage) -> list[Finding]:
    """Somebody reads what is written to the operator (RFC 5321 4.5.1), where notices that found nobody end too."""
    from gateway.config import postmaster
    from mailboxes import lookup

    operator = storage.config.operator
    wanted = {postmaster(operator), *(f"postmaster@{domain}" for domain in operator.domains)}
    held = storage.reading.run_sync(lambda c: {each: lookup.facts(c, each.lower()) for each in sorted(wanted)})
    lacking = [each for each, box in held.items() if box is None or box.state is not BalState.ACTIVE]
    if not lacking:
        return [found(State.GOOD, "postmaster.good", address=", ".join(held))]
    return [found(State.WARN, "postmaster.missing", address=each) for each in lacking]


def white_list(space: TrustSpace) -> list[Finding]:
    """The list in force and its age (MSS-013)."""
    current, held = space.trusted(), space.history.held()
    findings = [found(State.WARN, "list.held", domains=held.domains)] if held is not None else []
    if current is None:
        return [*findings, found(State.BAD, "list.missing")]
    state = freshness(current, space.now, space.settings)
    hours = max(0, int((space.now - current.fetched_at).total_seconds() // 3600))
    facts = {"version": current.version, "domains": len(current.domains), "hours": hours}
    if state is Freshness.FRESH:
        return [*findings, found(State.GOOD, "list.good", **facts)]
    return [*findings, found(State.BAD if state is Freshness.STALE else State.WARN, "list.old", **facts)]


def revocation(space: TrustSpace, config: Config) -> list[Finding]:
    """Each revocation list kept, and how long it holds (F44)."""
    kept = space.revocation_lists().lists()
    if not kept:
        return [found(State.WARN if config.trust.ocsp else State.BAD, "revocation.missing")]
    findings = []
    for each in kept:
        facts = {"issuer": each.issuer_name, "until": f"{each.next_update:%Y-%m-%d %H:%MZ}"}
        good = space.now <= each.next_update
        findings.append(
            found(State.GOOD, "revocation.good", **facts) if good else found(State.BAD, "revocation.expired", **facts)
        )
    return findings


def own_files(config: Config) -> dict[Path, bytes]:
    """The files of our certificates, empty where one cannot be read. Blocks."""
    client = config.tls.client_certificate
    return {path: _octets(path) for path in (*config.tls.certificates, *([client] if client else []))}


def _octets(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def own(space: TrustSpace, config: Config, files: Mapping[Path, bytes] | None = None) -> list[Finding]:
    """Our certificates, judged as a partner would: served at our doors, or shown when we send (MSS-021); the days they have left.

    ``files`` are those of :func:`own_files`, where they must not be read here.
    """
    files = own_files(config) if files is None else files
    shown = config.tls.client_certificate or next(iter(config.tls.certificates), None)
    soon, urgent = config.monitor.certificate_warn // DAY, config.monitor.certificate_fail // DAY
    uses = [(path, Role.SERVER) for path in config.tls.certificates]
    uses += [(shown, Role.CLIENT)] if shown is not None else []
    findings = []
    for path, role in uses:
        if not files[path]:
            findings.append(found(State.AWAY, "certificate.unread", path=path))
            continue
        one, *above = x509.load_pem_x509_certificates(files[path])
        name, left = one.subject.rfc4514_string(), expiry.days_left(one, space.now)
        facts = space.reader.facts([each.public_bytes(Encoding.DER) for each in (one, *above)], space.now)
        fault = certificates.first_fault(facts, role, space.now, space.settings.certificate) if facts else "bad_chain"
        if fault:
            findings.append(found(State.BAD, f"certificate.bad_{role}", name=name, flaw=fault))
        elif role is Role.CLIENT and path in config.tls.certificates:
            continue  # its days are told already
        elif left < soon:
            findings.append(found(State.BAD if left < urgent else State.WARN, "certificate.soon", name=name, days=left))
        else:
            findings.append(found(State.GOOD, "certificate.good", name=name, days=left))
    return findings


async def scanner(config: Config) -> list[Finding]:
    """The scanner answers a harmless question."""
    if config.scan.clamd == "off":
        return [found(State.WARN, "scanner.off")]
    try:
        await Clamd(config.scan.clamd, timeout=PATIENCE).scan(b"caducee doctor\r\n")
    except ScanUnavailable:
        return [found(State.AWAY, "scanner.away")]
    return [found(State.GOOD, "scanner.good")]


# the doors, from outside


async def doors(config: Config) -> list[Finding]:
    """Every door answers with TLS, and with a certificate that is on disk (F48)."""
    known = {one.fingerprint(hashes.SHA256()) for one in own_certificates(config)}
    asked: list[tuple[str, Sequence[Listen], Probe]] = [
        ("inbound", config.inbound.listen, _smtp),
        ("submission", config.submission.listen, _smtp),
        ("submissions", config.submissions.listen, _smtps),
        ("imap", config.imap.listen, _imap),
        ("imaps", config.imaps.listen, _imaps),
        ("ldap", config.ldap.listen, _ldap),
        ("ldaps", config.ldaps.listen, _secure),
        ("https", config.http.listen, _secure),
    ]
    waiting = [
        asyncio.to_thread(_door, door, _reached(listen.host), listen.port, probe, known)
        for door, listens, probe in asked
        for listen in listens
    ]
    return list(await asyncio.gather(*waiting))


def _reached(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - read, not bound


def _door(door: str, host: str, port: int, probe: Probe, known: set[bytes]) -> Finding:
    facts: dict[str, object] = {"door": door, "host": host, "port": port}
    try:
        version, served = probe(host, port, _looking())
    except (OSError, smtplib.SMTPException, imaplib.IMAP4.error, EOFError) as problem:
        return found(State.AWAY, "door.away", **facts, reason=type(problem).__name__)
    if x509.load_der_x509_certificate(served).fingerprint(hashes.SHA256()) not in known:
        return found(State.BAD, "door.old_certificate", **facts)
    return found(State.GOOD, "door.good", **facts, version=version)


def _looking() -> ssl.SSLContext:
    """A context that looks: what is served is compared with what is on disk, which is more than a chain proves."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _seen(connection: object) -> tuple[str, bytes]:
    assert isinstance(connection, ssl.SSLSocket)
    return str(connection.version()), connection.getpeercert(binary_form=True) or b""


def _smtp(host: str, port: int, context: ssl.SSLContext) -> tuple[str, bytes]:
    with smtplib.SMTP(host, port, "doctor.invalid", timeout=PATIENCE) as smtp:
        smtp.starttls(context=context)
        return _seen(smtp.sock)


def _smtps(host: str, port: int, context: ssl.SSLContext) -> tuple[str, bytes]:
    with smtplib.SMTP_SSL(host, port, "doctor.invalid", timeout=PATIENCE, context=context) as smtp:
        return _seen(smtp.sock)


def _imap(host: str, port: int, context: ssl.SSLContext) -> tuple[str, bytes]:
    with imaplib.IMAP4(host, port, timeout=PATIENCE) as imap:
        imap.starttls(ssl_context=context)
        return _seen(imap.socket())


def _imaps(host: str, port: int, context: ssl.SSLContext) -> tuple[str, bytes]:
    with imaplib.IMAP4_SSL(host, port, ssl_context=context, timeout=PATIENCE) as imap:
        return _seen(imap.socket())


def _ldap(host: str, port: int, context: ssl.SSLContext) -> tuple[str, bytes]:
    with socket.create_connection((host, port), PATIENCE) as clear:
        clear.sendall(wire.start_tls(1))
        if not clear.recv(1024):
            raise EOFError
        with context.wrap_socket(clear) as secured:
            return _seen(secured)


def _secure(host: str, port: int, context: ssl.SSLContext) -> tuple[str, bytes]:
    """TLS from the first byte, and nothing said before a question."""
    with socket.create_connection((host, port), PATIENCE) as plain, context.wrap_socket(plain) as secure:
        return _seen(secure)


# the DNS


async def names(config: Config) -> list[Finding]:
    """MX of our domains, and the SRV records mail programs look for (RFC 6186, RFC 8314), where the DNS answers."""
    resolver = _resolver(config)
    findings: list[Finding] = []
    for record in records(config):
        one = await _record(resolver, record)
        if one.state is State.SKIPPED:
            return [*findings, one]
        findings.append(one)
    return findings


def _resolver(config: Config) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=not config.dns.servers)
    if config.dns.servers:
        resolver.nameservers = list(config.dns.servers)
        resolver.port = config.dns.port
    resolver.lifetime = min(config.dns.timeout, PATIENCE)
    return resolver


async def _record(resolver: dns.asyncresolver.Resolver, record: Record) -> Finding:
    facts = {"name": record.name, "kind": record.kind, "wanted": record.host, "record": str(record)}
    try:
        answer = await resolver.resolve(record.name, record.kind)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return found(State.WARN, "dns.none", **facts)
    except (dns.exception.DNSException, OSError):
        return found(State.SKIPPED, "dns.away")
    hosts = sorted(str(one.exchange if record.kind == "MX" else one.target).rstrip(".").lower() for one in answer)
    value = " ".join(hosts[:10])
    good = record.host.lower() in hosts
    return (
        found(State.GOOD, "dns.good", **facts, value=value)
        if good
        else found(State.WARN, "dns.other", **facts, value=value)
    )


# all of it


def _told(config: Config, space: TrustSpace, storage: Storage | None) -> list[Finding]:
    """What the running processes tell, and the figures they tell it from."""
    from gateway.monitoring import checks, figures, telling

    told = telling.read(config.service.data / "processes")
    seen = figures.Figures(anchor_age=figures.anchor_age(config, space.now))
    if storage is not None:
        try:
            waiting, oldest = storage.reading.run_sync(figures.waiting_in)
        except StoreError as problem:
            return [_not_opened(problem)]
        age = max(0.0, space.now.timestamp() - oldest) if oldest is not None else 0.0
        seen = replace(seen, queue=waiting, oldest=age)
    return checks.of(config, seen, told)


def _not_opened(away: Exception | None) -> Finding:
    if isinstance(away, NewerDatabase):
        return found(State.AWAY, "store.newer", found=away.found, known=away.known)
    return found(State.AWAY, "store.away", reason=str(away) or type(away).__name__)


async def examine(
    config: Config, space: TrustSpace, storage: Storage | None, away: Exception | None = None
) -> list[Finding]:
    """Everything about our own service; ``away`` says why there is no ``storage``."""
    stored: Iterable[Finding]
    if storage is None:
        stored = [_not_opened(away)]
    else:
        stored = [
            found(State.GOOD, "store.good"),
            *await asyncio.to_thread(writing, storage),
            *await asyncio.to_thread(bodies, storage),
            *await asyncio.to_thread(journal_head, storage),
            *await asyncio.to_thread(postmasters, storage),
            *await asyncio.to_thread(extraction, storage),
        ]
    seen = [*configuration(config), *keys(config), *stored, *disk(config), *white_list(space)]
    seen += [*revocation(space, config), *own(space, config), *_told(config, space, storage)]
    scanned, answered, named = await asyncio.gather(scanner(config), doors(config), names(config))
    return [*seen, *scanned, *answered, *named]
