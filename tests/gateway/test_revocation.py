"""Revocation lists, responders and expiry alarms (MSS-018 to MSS-021, F44 to F46, F48)."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from directory.trustlist_fetch import MemoryFetch, Unreachable, WebFetch
from gateway.admin import pki
from gateway.smtp import expiry
from gateway.smtp.chain import PathReader
from gateway.smtp.ocsp import Combined, MemoryPost, Responders, responder
from gateway.smtp.revocation import BadList, Cache, FolderCache, MemoryCache, RevocationLists, read_all
from policies.values import Revocation

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SOURCE = "http://igc.mssante.test/crl"
ADDRESS = "http://ocsp.mssante.test/"


class Ca:
    """An intermediate under a root, with a good and a revoked certificate."""

    def __init__(self) -> None:
        self.root = pki.Authority.root("RACINE", NOW, pki.curve_key_pair())
        self.below = self.root.intermediate("ORGANISATIONS", NOW, pki.curve_key_pair())
        self.key = pki.curve_key_pair()
        self.good = self.leaf("bon")
        self.bad = self.leaf("mauvais")
        self.below.revoke(self.bad, NOW - HOUR)

    def leaf(self, name: str) -> x509.Certificate:
        subject = pki.organisation_name(f"{name}.test", "ESSAI", "99900000000018")
        return self.below.issue(subject, self.key, NOW, names=[x509.DNSName(f"{name}.test")])

    def crl(self, now: datetime = NOW, number: int = 1, life: timedelta = 7 * DAY) -> bytes:
        return self.below.crl(now, number, life).public_bytes(Encoding.DER)


@pytest.fixture(scope="module")
def ca() -> Ca:
    return Ca()


def lists(ca: Ca, fetch: MemoryFetch, cache: Cache | None = None, grace: timedelta = timedelta(0)) -> RevocationLists:
    issuers = (ca.root.certificate, ca.below.certificate)
    return RevocationLists((SOURCE,), issuers, fetch, cache or MemoryCache(), grace=grace)


def said(events: object) -> list[tuple[str, str]]:
    return [(event.detail["what"], event.detail.get("reason", "")) for event in events]  # type: ignore[attr-defined]


def ask(held: RevocationLists, ca: Ca, now: datetime = NOW) -> tuple[Revocation, Revocation]:
    return (held.status(ca.good, ca.below.certificate, now), held.status(ca.bad, ca.below.certificate, now))


GOOD_BAD = (Revocation.GOOD, Revocation.REVOKED)
UNKNOWN = (Revocation.UNKNOWN, Revocation.UNKNOWN)


async def test_before_any_list_everything_is_unknown_and_then_known(ca: Ca) -> None:
    held = lists(ca, MemoryFetch({SOURCE: ca.crl()}))
    assert ask(held, ca) == UNKNOWN
    events = await held.refresh(NOW)
    assert said(events) == [("loaded", "")]
    assert events[0].detail["number"] == 1
    assert ask(held, ca) == GOOD_BAD
    assert await held.refresh(NOW + HOUR) == ()


async def test_a_list_says_nothing_of_another_authority(ca: Ca) -> None:
    held = lists(ca, MemoryFetch({SOURCE: ca.crl()}))
    await held.refresh(NOW)
    other = Ca()
    assert held.status(other.good, other.below.certificate, NOW) is Revocation.UNKNOWN
    assert held.status(ca.below.certificate, ca.root.certificate, NOW) is Revocation.UNKNOWN


async def test_an_unreachable_source_changes_nothing_until_the_list_expires(ca: Ca) -> None:
    fetch = MemoryFetch({SOURCE: ca.crl()})
    held = lists(ca, fetch)
    await held.refresh(NOW)
    fetch.sources[SOURCE] = Unreachable("network", "down")
    assert said(await held.refresh(NOW + 6 * DAY)) == [("unreachable", "network")]
    assert ask(held, ca, NOW + 6 * DAY) == GOOD_BAD
    later = NOW + 7 * DAY + HOUR
    assert said(await held.refresh(later)) == [("unreachable", "network"), ("expired", "")]
    assert ask(held, ca, later) == (Revocation.UNKNOWN, Revocation.REVOKED)
    assert said(await held.refresh(later)) == [("unreachable", "network")]  # told once


async def test_grace_is_configuration_and_told(ca: Ca) -> None:
    held = lists(ca, MemoryFetch({SOURCE: ca.crl()}), grace=DAY)
    await held.refresh(NOW)
    within, after = NOW + 7 * DAY + HOUR, NOW + 8 * DAY + HOUR
    assert ask(held, ca, within) == GOOD_BAD
    assert said(held.ageing(within)) == [("grace", "")]
    assert ask(held, ca, after) == (Revocation.UNKNOWN, Revocation.REVOKED)
    assert said(held.ageing(after)) == [("expired", "")]


async def test_a_newer_list_replaces_and_an_older_one_does_not(ca: Ca) -> None:
    fetch = MemoryFetch({SOURCE: ca.crl(NOW, 5)})
    held = lists(ca, fetch)
    await held.refresh(NOW)
    fetch.sources[SOURCE] = ca.crl(NOW - DAY, 4)
    assert said(await held.refresh(NOW)) == [("refused", "older")]
    fetch.sources[SOURCE] = ca.crl(NOW + HOUR, 6)
    assert said(await held.refresh(NOW + HOUR)) == [("loaded", "")]
    assert [one.number for one in held.lists()] == [6]


async def test_forged_future_and_broken_lists_are_refused(ca: Ca) -> None:
    stranger = pki.Authority(ca.below.certificate, pki.curve_key_pair())
    forged = stranger.crl(NOW + HOUR, 99).public_bytes(Encoding.DER)
    flipped = bytearray(ca.crl())
    flipped[len(flipped) // 2] ^= 1
    fetch = MemoryFetch({SOURCE: ca.crl()})
    held = lists(ca, fetch)
    await held.refresh(NOW)
    for data, word in (
        (forged, "bad_signature"),
        (ca.crl(NOW + 3 * HOUR), "future"),
        (b"not a list", "malformed"),
        (b"-----BEGIN X509 CRL-----\nxx\n-----END X509 CRL-----\n", "malformed"),
        (b"", "malformed"),
    ):
        fetch.sources[SOURCE] = data
        assert said(await held.refresh(NOW)) == [("refused", word)]
        assert ask(held, ca) == GOOD_BAD
    fetch.sources[SOURCE] = bytes(flipped)
    (event,) = await held.refresh(NOW)
    assert event.detail["what"] == "refused"
    assert ask(held, ca) == GOOD_BAD


async def test_a_forged_list_of_an_unconfigured_authority_never_counts(ca: Ca) -> None:
    stranger = pki.Authority(ca.below.certificate, pki.curve_key_pair())
    fetch = MemoryFetch({SOURCE: stranger.crl(NOW, 99).public_bytes(Encoding.DER)})
    held = RevocationLists((SOURCE,), (), fetch, MemoryCache())
    await held.refresh(NOW)
    assert ask(held, ca) == UNKNOWN
    fetch.sources[SOURCE] = ca.crl(NOW + HOUR)
    await held.refresh(NOW + HOUR)
    assert ask(held, ca, NOW + HOUR) == GOOD_BAD


@pytest.mark.parametrize("make", [lambda _: MemoryCache(), lambda path: FolderCache(path / "crl")])
async def test_the_last_good_list_survives_a_restart(ca: Ca, tmp_path: Path, make: Callable[[Path], Cache]) -> None:
    cache = make(tmp_path)
    fetch = MemoryFetch({SOURCE: ca.crl()})
    await lists(ca, fetch, cache).refresh(NOW)
    fetch.sources[SOURCE] = b"junk"
    again = lists(ca, fetch, make(tmp_path) if isinstance(cache, FolderCache) else cache)
    assert said(again.load_cached(NOW)) == [("loaded", "")]
    assert ask(again, ca) == GOOD_BAD
    await again.refresh(NOW)
    assert cache.read(SOURCE) == ca_bytes(again)
    assert cache.read("another") is None


async def test_a_full_disk_keeps_no_list_from_serving(ca: Ca, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service whose data had no room did not start, for want of a copy of what it had just read."""

    def full(path: Path, data: bytes) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, "made up", str(path))

    cache = FolderCache(tmp_path / "crl")
    held = lists(ca, MemoryFetch({SOURCE: ca.crl()}), cache)
    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(Path, "write_bytes", full)
        assert said(await held.refresh(NOW)) == [("loaded", "")]
    assert [line["event"] for line in logs] == ["revocation_list_not_kept"]
    assert ask(held, ca) == GOOD_BAD
    assert not list((tmp_path / "crl").iterdir())
    await held.refresh(NOW)
    assert cache.read(SOURCE) == ca_bytes(held)


def ca_bytes(held: RevocationLists) -> bytes:
    return held.lists()[0].crl.public_bytes(Encoding.DER)


async def test_a_changed_file_is_in_force_at_the_next_look(ca: Ca, tmp_path: Path) -> None:
    file = tmp_path / "crl.pem"
    fresh = Ca()
    fresh.below.revoked.clear()
    both = fresh.below.crl(NOW).public_bytes(Encoding.PEM) + fresh.root.crl(NOW).public_bytes(Encoding.PEM)
    file.write_bytes(both)
    issuers = (fresh.root.certificate, fresh.below.certificate)
    held = RevocationLists((str(file), SOURCE), issuers, WebFetch(()), MemoryCache())
    assert said(await held.refresh_changed(NOW)) == [("loaded", ""), ("loaded", "")]
    assert held.status(fresh.bad, fresh.below.certificate, NOW) is Revocation.GOOD
    assert held.status(fresh.below.certificate, fresh.root.certificate, NOW) is Revocation.GOOD
    assert await held.refresh_changed(NOW) == ()
    fresh.below.revoke(fresh.bad, NOW)
    replacement = file.with_suffix(".new")
    replacement.write_bytes(fresh.below.crl(NOW + HOUR, 2).public_bytes(Encoding.PEM))
    replacement.replace(file)
    assert said(await held.refresh_changed(NOW + HOUR)) == [("loaded", "")]
    assert held.status(fresh.bad, fresh.below.certificate, NOW + HOUR) is Revocation.REVOKED
    file.unlink()
    assert await held.refresh_changed(NOW + HOUR) == ()


async def test_the_path_reader_asks_for_the_leaf_and_the_authorities_above(ca: Ca) -> None:
    held = lists(ca, MemoryFetch({SOURCE: ca.crl()}))
    await held.refresh(NOW)
    reader = PathReader((ca.root.certificate,), (), held)
    chain = [one.public_bytes(Encoding.DER) for one in (ca.good, ca.below.certificate)]
    assert reader.facts(chain, NOW).revocation is Revocation.GOOD  # type: ignore[union-attr]
    assert reader.issuer(chain, NOW) == ca.below.certificate
    chain[0] = ca.bad.public_bytes(Encoding.DER)
    assert reader.facts(chain, NOW).revocation is Revocation.REVOKED  # type: ignore[union-attr]
    fetch = MemoryFetch({SOURCE: ca.crl(), "root": b""})
    whole = RevocationLists((SOURCE, "root"), (ca.root.certificate, ca.below.certificate), fetch, MemoryCache())
    ca.root.revoke(ca.below.certificate, NOW)
    fetch.sources["root"] = ca.root.crl(NOW).public_bytes(Encoding.DER)
    ca.root.revoked.clear()
    await whole.refresh(NOW)
    chain[0] = ca.good.public_bytes(Encoding.DER)
    assert PathReader((ca.root.certificate,), (), whole).facts(chain, NOW).revocation is Revocation.REVOKED  # type: ignore[union-attr]


def built(ca: Ca, *extensions: tuple[x509.ExtensionType, bool]) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca.below.certificate.subject)
        .last_update(NOW - HOUR)
        .next_update(NOW + DAY)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(ca.below.key, hashes.SHA256()).public_bytes(Encoding.DER)


def point(**flags: bool) -> x509.IssuingDistributionPoint:
    names = ("only_contains_user_certs", "only_contains_ca_certs", "indirect_crl", "only_contains_attribute_certs")
    return x509.IssuingDistributionPoint(
        [x509.UniformResourceIdentifier(SOURCE)],
        None,
        only_some_reasons=None,
        **{name: flags.get(name, False) for name in names},
    )


@pytest.mark.parametrize(
    "extension", [x509.DeltaCRLIndicator(1), point(indirect_crl=True), point(only_contains_attribute_certs=True)]
)
def test_partial_lists_are_not_rested_on(ca: Ca, extension: x509.ExtensionType) -> None:
    with pytest.raises(BadList, match="unsupported"):
        read_all(built(ca, (extension, True)))


async def test_lists_we_cannot_rest_on(ca: Ca) -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.250.1.99.1"), b"\x05\x00")
    with pytest.raises(BadList, match="unsupported"):
        read_all(built(ca, (unknown, True)))
    (read,) = read_all(built(ca, (unknown, False), (x509.CRLNumber(3), False)))
    assert (read.number, read.users, read.authorities) == (3, True, True)


async def test_an_authority_that_may_not_sign_lists_is_not_believed() -> None:
    key = pki.curve_key_pair()
    name = pki.authority_name("SANS LISTE")
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
    )
    usages = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    usages = (*usages, "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    for allowed, answer in (
        ("key_cert_sign", Revocation.UNKNOWN),
        ("crl_sign", Revocation.GOOD),
        ("", Revocation.GOOD),
    ):
        limited = builder
        if allowed:
            usage = x509.KeyUsage(**{one: one == allowed for one in usages})
            limited = builder.add_extension(usage, critical=True)
        issuer = limited.sign(key, hashes.SHA256())
        crl = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(name)
            .last_update(NOW - HOUR)
            .next_update(NOW + DAY)
            .sign(key, hashes.SHA256())
        )
        fetch = MemoryFetch({SOURCE: crl.public_bytes(Encoding.DER)})
        held = RevocationLists((SOURCE,), (), fetch, MemoryCache())
        await held.refresh(NOW)
        assert held.status(issuer, issuer, NOW) is answer


async def test_two_sources_of_one_authority_add_up_and_the_newest_tells_its_age(ca: Ca) -> None:
    fetch = MemoryFetch({SOURCE: ca.crl(NOW, 1, DAY), "second": ca.crl(NOW + HOUR, 2, 7 * DAY)})
    held = RevocationLists((SOURCE, "second"), (ca.below.certificate,), fetch, MemoryCache())
    await held.refresh(NOW + HOUR)
    assert len(held.lists()) == 2
    assert ask(held, ca, NOW + 2 * DAY) == GOOD_BAD
    assert held.ageing(NOW + 2 * DAY) == ()


async def test_a_list_of_authorities_says_nothing_of_holders(ca: Ca) -> None:
    for flag, answer in (("only_contains_ca_certs", Revocation.UNKNOWN), ("only_contains_user_certs", Revocation.GOOD)):
        held = lists(ca, MemoryFetch({SOURCE: built(ca, (point(**{flag: True}), True))}))
        await held.refresh(NOW)
        assert held.status(ca.good, ca.below.certificate, NOW) is answer


@given(st.binary(max_size=200), st.integers(0, 400))
def test_any_octets_are_a_list_or_a_bad_list(junk: bytes, at: int) -> None:
    whole = TWISTED.crl()
    for data in (junk, whole[:at] + junk + whole[at + len(junk) :]):
        try:
            found = read_all(data)
        except BadList:
            continue
        assert len(found) >= 1


TWISTED = Ca()


# OCSP


class Responder:
    """A responder of the test's making; each knob is one way to lie."""

    def __init__(self, ca: Ca) -> None:
        self.ca = ca
        self.signer: pki.Authority = ca.below
        self.status = ocsp.OCSPCertStatus.GOOD
        self.this_update, self.next_update = NOW - HOUR, NOW + HOUR
        self.nonce: bytes | None = None
        self.omit_nonce = False
        self.about: x509.Certificate | None = None
        self.carried: list[x509.Certificate] = []
        self.asked = 0

    def __call__(self, source: str, body: bytes) -> bytes:
        self.asked += 1
        request = ocsp.load_der_ocsp_request(body)
        revoked = self.status is ocsp.OCSPCertStatus.REVOKED
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=self.about or self.ca.good,
            issuer=self.ca.below.certificate,
            algorithm=hashes.SHA256(),
            cert_status=self.status,
            this_update=self.this_update,
            next_update=self.next_update,
            revocation_time=NOW - DAY if revoked else None,
            revocation_reason=None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, self.signer.certificate)
        if self.carried:
            builder = builder.certificates(self.carried)
        if not self.omit_nonce:
            asked = request.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
            builder = builder.add_extension(x509.OCSPNonce(self.nonce or asked), critical=False)
        return builder.sign(self.signer.key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.fixture
def told() -> Responder:
    ca = Ca()
    subject = pki.organisation_name("ocsp-holder.test", "ESSAI", "99900000000018")
    access = x509.AuthorityInformationAccess(
        [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ADDRESS))]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.below.certificate.subject)
        .public_key(ca.key.public_key())
        .serial_number(77)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 30 * DAY)
        .add_extension(access, critical=False)
    )
    ca.good = builder.sign(ca.below.key, hashes.SHA256())
    return Responder(ca)


def responders(told: Responder, *, require_nonce: bool = True) -> Responders:
    return Responders(MemoryPost(told), lambda: b"\x07" * 16, require_nonce=require_nonce)


async def answer(told: Responder, held: Responders, now: datetime = NOW) -> Revocation:
    issuer = told.ca.below.certificate
    await held.prepare(told.ca.good, issuer, now)
    return held.status(told.ca.good, issuer, now)


async def test_a_responder_is_asked_once_and_believed_while_current(told: Responder) -> None:
    held = responders(told)
    assert responder(told.ca.good) == ADDRESS
    assert held.status(told.ca.good, told.ca.below.certificate, NOW) is Revocation.UNKNOWN
    assert await answer(told, held) is Revocation.GOOD
    assert await answer(told, held, NOW + HOUR / 2) is Revocation.GOOD
    assert told.asked == 1
    assert held.status(told.ca.good, told.ca.below.certificate, NOW + 2 * HOUR) is Revocation.UNKNOWN


async def test_an_answer_is_asked_again_while_it_still_holds(told: Responder) -> None:
    """A revocation is heard of long before the last good answer ends, and a dead responder does not end that answer."""
    told.next_update = NOW + 10 * HOUR
    held = responders(told)
    issuer = told.ca.below.certificate
    assert await answer(told, held) is Revocation.GOOD
    later = NOW + HOUR + timedelta(seconds=1)
    told.signer = Ca().below  # for a while it says nothing we can believe
    assert await answer(told, held, later) is Revocation.GOOD
    assert not held.wants(told.ca.good, issuer, later + timedelta(seconds=59))
    told.signer, told.status = told.ca.below, ocsp.OCSPCertStatus.REVOKED
    assert await answer(told, held, later + timedelta(seconds=61)) is Revocation.REVOKED
    assert told.asked == 3


async def test_revoked_ends_only_by_a_newer_word(told: Responder) -> None:
    """F45: not by silence, not by time, not by *unknown*, not by an older answer played again."""
    held = responders(told)
    told.status, told.this_update = ocsp.OCSPCertStatus.REVOKED, NOW - HOUR / 2
    assert await answer(told, held) is Revocation.REVOKED
    much_later = NOW + 20 * DAY
    for status, this_update, expected in (
        (ocsp.OCSPCertStatus.UNKNOWN, much_later, Revocation.REVOKED),
        (ocsp.OCSPCertStatus.GOOD, NOW - HOUR, Revocation.REVOKED),
        (ocsp.OCSPCertStatus.GOOD, much_later + HOUR, Revocation.GOOD),
    ):
        much_later += HOUR
        told.status, told.this_update = status, this_update
        told.next_update = much_later + HOUR
        assert await answer(told, held, much_later) is expected, status


async def test_whoever_comes_while_it_is_asked_waits_for_the_same_answer(told: Responder) -> None:
    class Far:
        async def post(self, source: str, body: bytes, content_type: str, limit: int) -> bytes:
            await asyncio.sleep(0.05)
            return told(source, body)

    held = Responders(Far(), lambda: b"\x07" * 16)
    found = await asyncio.gather(*(answer(told, held) for _ in range(20)))
    assert set(found) == {Revocation.GOOD}
    assert told.asked == 1


async def test_a_responder_says_revoked_or_unknown(told: Responder) -> None:
    told.status = ocsp.OCSPCertStatus.REVOKED
    assert await answer(told, responders(told)) is Revocation.REVOKED
    told.status = ocsp.OCSPCertStatus.UNKNOWN
    assert await answer(told, responders(told)) is Revocation.UNKNOWN


async def test_a_delegated_responder_is_believed_and_another_is_not(told: Responder) -> None:
    key = pki.curve_key_pair()
    name = pki.authority_name("REPONDEUR")
    for usage, believed in ((ExtendedKeyUsageOID.OCSP_SIGNING, True), (ExtendedKeyUsageOID.SERVER_AUTH, False)):
        delegate = told.ca.below.issue(name, key, NOW, usages=(usage,))
        told.signer, told.carried = pki.Authority(delegate, key), [delegate]
        assert (await answer(told, responders(told)) is Revocation.GOOD) is believed


@pytest.mark.parametrize(
    "lie",
    [
        {"signer": pki.Authority(Ca().below.certificate, pki.curve_key_pair())},
        {"nonce": b"replayed old nonce"},
        {"omit_nonce": True},
        {"this_update": NOW - 3 * DAY, "next_update": NOW - DAY},
        {"this_update": NOW + HOUR, "next_update": NOW + 2 * HOUR},
    ],
)
async def test_a_lie_is_unknown(told: Responder, lie: dict[str, object]) -> None:
    for name, value in lie.items():
        setattr(told, name, value)
    assert await answer(told, responders(told)) is Revocation.UNKNOWN


async def test_an_rsa_responder_is_verified_too(told: Responder) -> None:
    key = pki.rsa_key()
    name = pki.authority_name("REPONDEUR RSA")
    delegate = told.ca.below.issue(name, key, NOW, usages=(ExtendedKeyUsageOID.OCSP_SIGNING,))
    told.signer, told.carried = pki.Authority(delegate, key), [delegate]
    assert await answer(told, responders(told)) is Revocation.GOOD
    told.signer = pki.Authority(delegate, pki.rsa_key())
    assert await answer(told, responders(told)) is Revocation.UNKNOWN


async def test_a_stranger_s_delegate_is_not_believed(told: Responder) -> None:
    other = Ca()
    key = pki.curve_key_pair()
    delegate = other.below.issue(pki.authority_name("X"), key, NOW, usages=(ExtendedKeyUsageOID.OCSP_SIGNING,))
    told.signer, told.carried = pki.Authority(delegate, key), [delegate]
    assert await answer(told, responders(told)) is Revocation.UNKNOWN


async def test_an_answer_about_another_certificate_is_no_answer(told: Responder) -> None:
    told.about = told.ca.bad
    assert await answer(told, responders(told)) is Revocation.UNKNOWN


async def test_a_responder_that_cannot_repeat_a_nonce_may_be_allowed(told: Responder) -> None:
    told.omit_nonce = True
    assert await answer(told, responders(told, require_nonce=False)) is Revocation.GOOD


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"junk",
        b"x" * 100_000,
        ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(Encoding.DER),
    ],
)
async def test_a_dead_or_broken_responder_is_unknown_and_left_alone_for_a_while(told: Responder, said: bytes) -> None:
    asked: list[str] = []

    def speak(source: str, body: bytes) -> bytes:
        asked.append(source)
        return said

    held = Responders(MemoryPost(speak), lambda: b"\x07" * 16)
    for later in (timedelta(0), timedelta(seconds=59)):
        await held.prepare(told.ca.good, told.ca.below.certificate, NOW + later)
    assert len(asked) == 1
    await held.prepare(told.ca.good, told.ca.below.certificate, NOW + timedelta(seconds=61))
    assert len(asked) == 2
    assert held.status(told.ca.good, told.ca.below.certificate, NOW + timedelta(seconds=61)) is Revocation.UNKNOWN


async def test_a_certificate_without_responder_is_unknown(told: Responder) -> None:
    held = responders(told)
    await held.prepare(told.ca.bad, told.ca.below.certificate, NOW)
    assert held.status(told.ca.bad, told.ca.below.certificate, NOW) is Revocation.UNKNOWN
    assert told.asked == 0


async def test_lists_come_before_responders(told: Responder) -> None:
    by_list = lists(told.ca, MemoryFetch({SOURCE: told.ca.crl()}))
    by_responder = responders(told)
    both = Combined(by_list, by_responder)
    issuer = told.ca.below.certificate
    assert both.status(told.ca.good, issuer, NOW) is Revocation.UNKNOWN
    await by_responder.prepare(told.ca.good, issuer, NOW)
    assert both.status(told.ca.good, issuer, NOW) is Revocation.GOOD
    told.ca.below.revoke(told.ca.good, NOW)
    by_list = lists(told.ca, MemoryFetch({SOURCE: told.ca.crl()}))
    await by_list.refresh(NOW)
    assert Combined(by_list, by_responder).status(told.ca.good, issuer, NOW) is Revocation.REVOKED


async def test_what_nobody_knows_is_asked_in_the_background_once(told: Responder) -> None:
    tasks: list[asyncio.Task[None]] = []
    by_list = lists(told.ca, MemoryFetch({}))
    both = Combined(by_list, responders(told), lambda work: tasks.append(asyncio.ensure_future(work)))
    issuer = told.ca.below.certificate
    for _ in range(3):
        assert both.status(told.ca.good, issuer, NOW) is Revocation.UNKNOWN
    await asyncio.gather(*tasks)
    assert both.status(told.ca.good, issuer, NOW) is Revocation.GOOD
    assert told.asked == 1
    started = len(tasks)
    assert both.status(told.ca.bad, issuer, NOW) is Revocation.UNKNOWN  # names no responder
    assert len(tasks) == started


# Our own certificates


def test_expiry_is_told_once_at_each_threshold(ca: Ca) -> None:
    certificate = ca.leaf("nous")
    end = certificate.not_valid_after_utc
    told: dict[int, int] = {}
    heard = []
    for left in (200, 90, 89, 60, 59, 45, 29, 13, 6, 1, 0, -1, -2):
        told, events = expiry.alarms((certificate,), end - timedelta(days=left), told)
        heard += [(left, event.detail["days"]) for event in events]
    assert heard == [(89, 89), (59, 59), (29, 29), (13, 13), (6, 6), (-1, -1)]


def test_a_renewed_certificate_is_silent_again(ca: Ca) -> None:
    old = ca.leaf("vieux")
    late = old.not_valid_after_utc - timedelta(days=5)
    told, events = expiry.alarms((old,), late, {})
    assert len(events) == 1
    subject = pki.organisation_name("neuf.test", "ESSAI", "99900000000018")
    renewed = ca.below.issue(subject, ca.key, late, life=timedelta(days=1095))
    assert expiry.alarms((renewed,), late, told) == ({}, ())


def test_a_file_system_with_modes_of_its_own_keeps_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    cache = FolderCache(tmp_path / "crl")
    monkeypatch.setattr(Path, "chmod", refused)
    cache.write("http://list.test/a.crl", b"list")
    assert cache.read("http://list.test/a.crl") == b"list"
