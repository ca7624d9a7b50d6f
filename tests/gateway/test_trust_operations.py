"""What one process does about the trust space: CRLs over http, responders, expiry, logins by certificate, volumes, lists."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import json
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Formatter
from types import SimpleNamespace
from typing import Any

import dns.resolver
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509 import ObjectIdentifier, load_pem_x509_certificate, load_pem_x509_certificates
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from directory import trustlist
from gateway import intake, part_settings, service, trust_space, volumes
from gateway.admin import authority, doctor
from gateway.admin.derive import derive
from gateway.admin.examination import Octets, State, exit_code, found
from gateway.admin.pki import CLIENT, OPERATORS, SERVER, Authority, Pki, build, operator_subject, rsa_key, server_names
from gateway.certificate_logins import CertificateLogins
from gateway.config import Config, load
from gateway.config_document import render
from gateway.expiry_watch import ExpiryWatch
from gateway.smtp.resolver import Unresolved
from gateway.trust_space import TrustSpace
from mailboxes.anatomy import dissect
from mailboxes.authentication import LoginRefused
from policies.catalogue.sentences_doctor import DOCTOR, told
from policies.certificate import DEFAULT
from policies.decision import CatalogueError
from policies.events import Event
from policies.unsolicited import VolumeSettings
from policies.values import Address, CertificateFacts, Login, Revocation
from tests.gateway.rig import OURS, THEIRS, Rig, certificate, letter, transaction, user

NOW = datetime.now(UTC)
ALICE, BOB = f"alice@{OURS}", f"bob@{THEIRS}"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return build(tmp_path_factory.mktemp("pki"), NOW, OPERATORS[:2])


def configured(folder: Path, pki: Pki, **trust: object) -> Config:
    values = {("operator", "domains"): [OURS], ("trust", "test_anchors"): [str(pki.ca)],
              ("trust", "intermediates"): [str(pki.intermediate)], ("operator", "test_mode"): True}  # fmt: skip
    values |= {("trust", key): value for key, value in trust.items()}  # type: ignore[misc]
    (folder / "config.toml").write_text(derive(render(), values, []), "utf-8")  # type: ignore[arg-type]
    return load(folder / "config.toml")


# revocation


async def answering(body: bytes) -> tuple[asyncio.Server, int, list[bytes]]:
    """A plain HTTP server that says ``body`` to everything; what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1], asked


async def test_a_revocation_list_is_fetched_over_plain_http(pki: Pki, tmp_path: Path) -> None:
    """MSS-018: a CRL is signed; http is how authorities publish it. The white list is never read that way."""
    server, port, _ = await answering(pki.crl.read_bytes())
    async with server:
        config = configured(tmp_path, pki, crls=[f"http://127.0.0.1:{port}/crl"])
        space = TrustSpace(config, None, lambda: NOW.timestamp(), lambda: None)
        await space.open()
    read = [space.reader.facts(_chain(path), NOW) for path in (pki.faulty["revoked"].certificate, _client(pki))]
    assert [facts.revocation for facts in read if facts] == [Revocation.REVOKED, Revocation.GOOD]


@pytest.mark.parametrize("kept", [True, False])
async def test_a_full_disk_keeps_no_service_from_starting_with_the_list_it_has(
    pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    async def full(_: TrustSpace) -> None:
        raise OSError(errno.ENOSPC, "made up")

    space = TrustSpace(configured(tmp_path, pki), None, lambda: NOW.timestamp(), lambda: None)
    monkeypatch.setattr(TrustSpace, "refresh", full)
    monkeypatch.setattr(TrustSpace, "look", lambda space: setattr(space, "_seen", object() if kept else None))
    with capture_logs() as logs, nullcontext() if kept else pytest.raises(OSError, match="made up"):
        await space.open()
    assert ("trust_list_not_kept" in [line["event"] for line in logs]) is kept


@pytest.mark.parametrize(
    ("trust", "pauses"),
    [({}, [15.0, 5.0, 30.0]), ({"refresh": "10s"}, [10.0, 5.0, 10.0]), ({"crl_refresh": "1s"}, [1.0, 1.0, 1.0])],
)
async def test_what_is_fetched_often_counts_as_often(
    pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trust: dict[str, str], pauses: list[float]
) -> None:
    """F43 to F47: a list fetched each second was looked at every five, and open sessions judged again every fifteen."""
    config, seen = configured(tmp_path, pki, **trust), []

    async def sleep(seconds: float) -> None:
        seen.append(seconds)
        raise asyncio.CancelledError

    serving: Any = service.Service(config, ())
    serving._doors = object()
    monkeypatch.setattr(asyncio, "sleep", sleep)
    for loop in (serving._recheck(), TrustSpace(config, None, NOW.timestamp, lambda: None).run()):
        with pytest.raises(asyncio.CancelledError):
            await loop
    assert [*seen, part_settings.imap_limits(config, config.imaps).alive_every] == pauses


async def test_a_responder_is_asked_only_when_configured(pki: Pki, tmp_path: Path) -> None:
    """MSS-020, F45: without lists and with ``trust.ocsp``, the question goes out once, and the answer is still unknown."""
    server, port, asked = await answering(b"not an answer")
    signed = _with_responder(pki, f"http://127.0.0.1:{port}/ocsp")
    async with server:
        for ocsp in (False, True):
            config = configured(tmp_path, pki, ocsp=ocsp)
            space = TrustSpace(config, _NoCommitter(), lambda: NOW.timestamp(), lambda: None)  # type: ignore[arg-type]
            facts = space.reader.facts((signed, *_chain(pki.intermediate)), NOW)
            assert facts is not None
            assert facts.chain_problem == ""
            assert facts.revocation is Revocation.UNKNOWN
            await asyncio.gather(*space._asking)
            assert len(asked) == int(ocsp)
    assert asked[0].startswith(b"POST /ocsp")


class _NoCommitter:
    """Stands for a service that records; nothing is recorded here."""


def _with_responder(pki: Pki, address: str) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

    key = load_pem_private_key(pki.operators["op-b"].client.key.read_bytes(), None)
    where = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(address))
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name.from_rfc4514_string("CN=essai,C=FR"))
        .issuer_name(pki.authority.certificate.subject)
        .public_key(key.public_key())  # type: ignore[arg-type]
        .serial_number(77)
        .not_valid_before(NOW - timedelta(hours=1))
        .not_valid_after(NOW + timedelta(days=9))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.AuthorityInformationAccess([where]), critical=False)
    )
    return builder.sign(pki.authority.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _chain(path: Path) -> tuple[bytes, ...]:
    return tuple(one.public_bytes(Encoding.DER) for one in load_pem_x509_certificates(path.read_bytes()))


def _client(pki: Pki) -> Path:
    return pki.operators["op-b"].client.certificate


# expiry


def test_each_threshold_is_told_once_also_after_a_restart(pki: Pki, tmp_path: Path) -> None:
    """F48: 90, 60, 30, 14, 7 days before, and once it is over."""
    mine = [load_pem_x509_certificate(_client(pki).read_bytes())]
    end = mine[0].not_valid_after_utc
    said = []
    for days in (200, 89, 88, 59, 29, 29, 13, 6, 5, -1):
        events = ExpiryWatch(tmp_path).look(mine, end - timedelta(days=days, hours=-1))
        said += [event.detail["days"] for event in events]
    assert said == [88, 58, 28, 12, 5, -2]
    (tmp_path / "expiry.json").write_text("[broken")
    assert len(ExpiryWatch(tmp_path).look(mine, end)) == 1


# logins by certificate


class Inner:
    """The mailboxes' side: knows one certificate."""

    def __init__(self) -> None:
        self.there = True

    async def password(self, login: str, secret: str, ip: str) -> Login:
        return Login(login, 1, Address("alice", OURS), "device")

    async def token(self, token: str, login: str, ip: str) -> Login:
        return Login(login, 1, Address("alice", OURS), "token")

    async def certificate(self, certificate: CertificateFacts, login: str, ip: str) -> Login:
        return Login(certificate.subject, 3, Address("labo", OURS), "certificate", frozenset(), "certificate:dn:x")

    async def alive(self, login: Login) -> bool:
        return self.there

    async def send_as(self, login: Login) -> frozenset[str]:
        return login.send_as


class Facts:
    """A reader whose answer the test changes."""

    def __init__(self, now: CertificateFacts) -> None:
        self.now = now

    def facts(self, chain: Sequence[bytes], now: datetime) -> CertificateFacts | None:
        return dataclasses.replace(self.now) if chain else None

    def chain(self, fingerprint: str) -> tuple[bytes, ...]:
        return (fingerprint.encode(),)


@pytest.mark.parametrize(
    ("change", "public", "reason"),
    [
        ({"revocation": Revocation.REVOKED}, "session.auth_failed", "trust.certificate_revoked"),
        ({"revocation": Revocation.UNKNOWN}, "session.auth_unavailable", "trust.revocation_unknown"),
        ({"chain_problem": "untrusted"}, "session.auth_failed", "trust.certificate_untrusted"),
        ({"not_after": datetime(2020, 1, 1, tzinfo=UTC)}, "session.auth_failed", "trust.certificate_expired"),
        ({"client_usage": False}, "session.auth_failed", "trust.certificate_wrong_usage"),
    ],
)
async def test_a_certificate_that_a_partner_could_not_show_logs_nobody_in(
    change: dict[str, object], public: str, reason: str
) -> None:
    """MSS-073; a SAN is not asked of a program's certificate."""
    recorded: list[Event] = []
    good = dataclasses.replace(certificate("CN=labo"), dns_names=())
    reader, inner = Facts(good), Inner()
    moment = good.not_before + timedelta(days=1)
    logins = CertificateLogins(inner, lambda: reader, lambda: DEFAULT, lambda: moment, recorded.append)
    found_login = await logins.certificate(good, "", "192.0.2.1")
    assert await logins.alive(found_login)
    reader.now = dataclasses.replace(good, **change)  # type: ignore[arg-type]
    assert await logins.alive(found_login) is (reader.now.revocation is Revocation.UNKNOWN)
    with pytest.raises(LoginRefused) as refused:
        await logins.certificate(reader.now, "", "192.0.2.1")
    assert (refused.value.rule, refused.value.reason) == (public, reason)
    assert recorded[-1].detail["reason"] == reason


async def test_other_means_are_left_alone_and_the_unknown_does_not_live() -> None:
    inner = Inner()
    logins = CertificateLogins(inner, lambda: Facts(certificate()), lambda: DEFAULT, lambda: NOW, lambda event: None)
    assert await logins.alive(await logins.password("alice", "x", "ip"))
    assert await logins.alive(await logins.token("t", "alice", "ip"))
    assert not await logins.alive(await inner.certificate(certificate(), "", "ip"))
    inner.there = False
    assert not await logins.alive(await logins.password("alice", "x", "ip"))


# volumes


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.close()


async def test_a_broadcast_is_slowed_then_refused_and_a_partner_is_not_counted(rig: Rig) -> None:
    """TOU-A06, F77: the same content, whatever its subject."""
    rig.intake.settings = dataclasses.replace(
        rig.intake.settings, volume=VolumeSettings(slow_down=0, refuse=0, broadcast_slow_down=2, broadcast_refuse=5)
    )
    others = [f"b{number}@{THEIRS}" for number in range(9)]
    names = []
    for number, recipients in enumerate([others[:3], others[3:4], others[3:9], [f"postmaster@{THEIRS}"]]):
        answer = await rig.intake.message(
            transaction(user(), ALICE, *recipients), letter(ALICE, subject=f"sujet {number}")
        )
        names.append(answer.decision.rule.name)
    assert names[0] == "session.message_accepted"
    assert names[1:3] == ["sender.broadcast_slow_down", "sender.broadcast_refused"]
    other = await rig.intake.message(transaction(user(), ALICE, others[4]), letter(ALICE, body="Autre chose.\r\n"))
    assert other.decision.accepted


async def test_what_a_large_message_holds_is_compared_apart(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """25 MiB are a third of a second, in which every other connection of the process would wait."""
    threads: list[int] = []

    def watched(parts: Sequence[volumes.Spans], raw: bytes) -> bytes:
        threads.append(threading.get_ident())
        return volumes.likeness(parts, raw)

    monkeypatch.setattr(intake, "likeness", watched)
    for body in ("bref\r\n", "long\r\n" * 100_000):
        answer = await rig.intake.message(transaction(user(), ALICE, BOB), letter(ALICE, body=body))
        assert answer.decision.accepted
    assert [thread == threading.get_ident() for thread in threads] == [True, False]


def test_likeness_sees_neither_white_space_nor_header() -> None:
    text = b"Subject: %b\r\n\r\n" + b"a b\tc\r\n" * 300_000
    one, other = text % b"un", text.replace(b" b\t", b"  b ") % b"deux"
    assert volumes.likeness(dissect(one).parts, one) == volumes.likeness(dissect(other).parts, other)
    assert volumes.likeness(dissect(one).parts, one) != volumes.likeness(dissect(one[:-3]).parts, one[:-3])


# the authority


def test_rows_are_read_changed_signed_and_read_back(pki: Pki) -> None:
    names = [cards.subject for cards in pki.operators.values()]
    rows = authority.read_rows(f"# essai\n\nop-a.mssante.test {names[0]}\n\tOP-B.mssante.test\t{names[1]}\r\n")
    wanted = authority.changed(rows, [authority.row("op-c.mssante.test", names[1]), rows[0]], ["op-b.mssante.test"])
    signing = authority.signer(pki.signing.certificate, pki.signing.key)
    follows = NOW + timedelta(hours=3)
    data = authority.issue(wanted, NOW, signing, follows)
    anchors = load_pem_x509_certificates(pki.ca.read_bytes())
    read = trustlist.load(data, anchors=anchors, require_signature=True, now=NOW)
    assert not read.warnings
    assert [row.domain for row in read.rows] == ["op-a.mssante.test", "op-c.mssante.test"]
    assert read.trust.generated > follows
    with pytest.raises(authority.BadRows):
        authority.changed(rows, [], ["inconnu.mssante.test"])


@given(st.text(max_size=200))
def test_any_text_is_rows_or_a_bad_row(text: str) -> None:
    try:
        rows = authority.read_rows(text)
    except authority.BadRows:
        rows = []
    assert all(trustlist.a_label(row.domain) == row.domain for row in rows)


# the doctor's words


@pytest.mark.parametrize(
    ("usages", "flaw"), [((CLIENT,), ""), ((SERVER,), "certificate.bad_client"), (None, "certificate.bad_client")]
)
def test_each_certificate_is_judged_by_what_it_is_for(
    pki: Pki, tmp_path: Path, usages: tuple[ObjectIdentifier, ...] | None, flaw: str
) -> None:
    """A certificate for calling only is right where we call; one for serving only is not, named or taken for want of another."""
    folder, shown, key = pki.ca.parent, tmp_path / "client.pem", tmp_path / "client.key"
    values = {("operator", "domains"): [OURS], ("trust", "test_anchors"): [str(pki.ca)], ("operator", "test_mode"): True,
              ("tls", "certificates"): [str(folder / "op-b_server.pem")],
              ("tls", "keys"): [str(folder / "op-b_server.key")]}  # fmt: skip
    if usages is not None:
        issuer = Authority.read(pki.intermediate, folder / "intermediate.key")
        own = rsa_key()
        made = issuer.issue(operator_subject(OPERATORS[1]), own, NOW, names=server_names(OPERATORS[1]), usages=usages)
        shown.write_bytes(made.public_bytes(Encoding.PEM) + issuer.certificate.public_bytes(Encoding.PEM))
        key.write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        key.chmod(0o600)
        values |= {("tls", "client_certificate"): str(shown), ("tls", "client_key"): str(key)}
    (tmp_path / "config.toml").write_text(derive(render(), values, []), "utf-8")
    config = load(tmp_path / "config.toml")
    findings = doctor.own(TrustSpace(config, None, lambda: NOW.timestamp(), lambda: None), config)
    assert [each.name for each in findings if each.state is State.BAD] == ([flaw] if flaw else [])
    assert "certificate.good" in {each.name for each in findings}
    for each in findings:
        assert "wrong_usage" not in each.said("fr")[0]


def test_both_languages_say_the_same_facts() -> None:
    def keys(text: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    for name, sentence in DOCTOR.items():
        assert keys(sentence.fr) == keys(sentence.en), name
        assert keys(sentence.remedy_fr) == keys(sentence.remedy_en), name
    assert json.dumps(found(State.BAD, "disk.full", free="1", limit="2", path="/p").to_json("fr"))
    with pytest.raises(CatalogueError):
        told("disk.full", "fr", {})


def test_a_finding_is_told_in_the_words_of_its_reader() -> None:
    """Sizes, reasons and missing records: each stood there as programs write it."""
    assert (
        found(State.GOOD, "disk.good", free=Octets(3 << 29), path="data").said("fr")[0]
        == "place libre pour data : 1,5 Gio"
    )
    away = found(State.AWAY, "door.away", door="imaps", host="::1", port=993, reason="ConnectionRefusedError")
    assert away.said("fr")[0].endswith("rien n’écoute à cette adresse")
    for cause in (Unresolved, *Unresolved.__subclasses__()):
        lost = found(State.AWAY, "partner.no_route", domain="b.test", reason=cause.rule)
        assert "relay." not in lost.said("fr")[0]
        assert lost.said("fr")[0].startswith("aucun serveur trouvé pour b.test : ")
    unknown = found(State.AWAY, "door.away", door="imaps", host="::1", port=993, reason="OddError")
    assert unknown.said("fr")[0].endswith("OddError")


async def test_a_missing_record_is_given_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever keeps the zone has it to paste; it was the bare name of the host."""

    class Resolver:
        async def resolve(self, name: str, kind: str) -> None:
            raise dns.resolver.NXDOMAIN

    monkeypatch.setattr(doctor, "_resolver", lambda config: Resolver())
    door, shut = SimpleNamespace(listen=[SimpleNamespace(port=993)]), SimpleNamespace(listen=[])
    operator = SimpleNamespace(domains=["op.test"], hostname="mail.op.test")
    config: Any = SimpleNamespace(operator=operator, imaps=door, imap=shut, submissions=shut, submission=shut)
    advice = [each.said("fr")[1] for each in await doctor.names(config)]
    assert advice[0].endswith(": op.test. IN MX 10 mail.op.test.")
    assert advice[1].endswith(": _imaps._tcp.op.test. IN SRV 0 1 993 mail.op.test.")


def test_the_gravest_state_is_the_exit_code() -> None:
    good, warn = found(State.GOOD, "store.good"), found(State.WARN, "scanner.off")
    bad, away = found(State.BAD, "list.missing"), found(State.AWAY, "scanner.away")
    assert [exit_code(found_) for found_ in ((), (good, warn), (good, bad), (bad, away))] == [0, 0, 1, 3]


def test_a_file_system_without_locks_is_told_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refused)
    with pytest.raises(OSError, match=r"No locks available: .*lock"), trust_space._alone(tmp_path / "lock"):
        pass
