"""Reading the white list with its real defects (MSS-002 to MSS-010, MSS-015, F41)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from signxml.signer import XMLSigner

from directory import trustlist
from directory import trustlist_seal as seal
from directory.trustlist import LoadedList, Refused, Row
from directory.trustlist_publish import SigningKey, publish
from gateway.admin import pki
from policies import dn
from tests.directory.lists import NOW, plain, raw, rows, subject


def load(data: bytes, **options: object) -> LoadedList:
    return trustlist.load(data, **{"anchors": (), "require_signature": False, "now": NOW, **options})  # type: ignore[arg-type]


def words(loaded: LoadedList) -> list[str]:
    return [defect.word for defect in loaded.warnings]


def test_a_published_list_reads_back_without_a_warning() -> None:
    loaded = load(plain(25))
    assert loaded.warnings == ()
    assert loaded.rows == tuple(rows(25))
    assert loaded.trust.generated == NOW
    assert loaded.trust.sha256 == trustlist.sha256(plain(25))
    assert loaded.trust.binds("etab-3.mssante.test", dn.key(subject(3)))
    assert loaded.signer == ""


def test_a_domain_adds_up_its_rows_and_operators() -> None:
    loaded = load(raw(("a.test", subject(1)), ("a.test", subject(2)), ("a.test", subject(1))))
    assert loaded.trust.domains["a.test"] == {dn.key(subject(1)), dn.key(subject(2))}
    assert words(loaded) == ["duplicate"]
    assert len(loaded.rows) == 2


def test_one_bad_row_costs_itself_only() -> None:
    loaded = load(
        raw(
            ("contact@ch.test", subject(1)),
            ("", subject(1)),
            ("single", subject(1)),
            ("under_score.test", subject(1)),
            ("a..test", subject(1)),
            ("-a.test", subject(1)),
            ("empty.test", ""),
            ("broken.test", "OPERATEUR SA"),
            ("x" * 2000 + ".test", subject(1)),
            ("good.test", subject(1)),
        )
    )
    assert list(loaded.trust.domains) == ["good.test"]
    assert words(loaded) == [
        "name_with_at",
        "bad_name",
        "bad_name",
        "bad_name",
        "bad_name",
        "bad_name",
        "empty_subject",
        "bad_subject",
        "too_long",
    ]
    assert all(defect.skipped for defect in loaded.warnings)
    assert [defect.row for defect in loaded.warnings] == list(range(1, 10))


def test_upper_case_and_accents_are_normalised_and_said() -> None:
    loaded = load(
        raw(
            ("UC-CMP.mssante.test", subject(1)), ("hôpital-évreux.test", subject(1)), ("deep.a.b.c.d.test.", subject(1))
        )
    )
    assert set(loaded.trust.domains) == {"uc-cmp.mssante.test", "xn--hpital-vreux-heb1m.test", "deep.a.b.c.d.test"}
    assert words(loaded) == ["upper_case", "not_ascii"]


def test_l_for_st_loads_and_stays_l() -> None:
    written = subject(1).replace("ST=", "L=")
    loaded = load(raw(("a.test", written)))
    assert loaded.trust.binds("a.test", dn.key(written))
    assert not loaded.trust.binds("a.test", dn.key(subject(1)))


def test_missing_fields_and_dates_are_reported_not_fatal() -> None:
    data = raw(("a.test", subject(1))).replace(b"<Description>D</Description>", b"")
    assert words(load(data)) == ["missing_field"]
    data = raw(("a.test", subject(1))).replace(b"<DateMAJ>2026-03-02T08:00:00Z", b"<DateMAJ>hier")
    assert words(load(data)) == ["bad_date"]


def test_comments_inside_a_name_do_not_cut_it() -> None:
    loaded = load(raw(("a<!-- x -->.test", subject(1)), ("b<?x y?>.test", subject(1))))
    assert set(loaded.trust.domains) == {"a.test", "b.test"}


XXE = b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"<a", "malformed"),
        (plain()[:-30], "malformed"),
        (plain().replace(b"?>", b"?>" + XXE, 1), "doctype"),
        (plain().decode().encode("utf-16"), "not_utf8"),
        (plain().replace(b"ListeBlancheMSSante", b"AutreListe"), "wrong_root"),
        (plain().replace(b"listeblanche.mssante.fr", b"listeblanche.evil.test"), "wrong_root"),
        (plain().replace(b"ListeDomaines", b"Domaines"), "wrong_root"),
        (plain().replace(b"2026-03-02T08:00:00Z</DateDeGeneration>", b"demain</DateDeGeneration>"), "no_date"),
        (plain(generated=NOW + timedelta(days=2)), "future"),
        (raw(), "empty"),
        (raw(("a@b.test", subject(1))), "empty"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_whole(data: bytes, word: str) -> None:
    with pytest.raises(Refused) as caught:
        load(data)
    assert caught.value.word == word


def test_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="too_large"):
        load(plain(), maximum_size=100)
    monkeypatch.setattr(trustlist, "MAXIMUM_ROWS", 5)
    with pytest.raises(Refused, match="too_large"):
        load(plain(6))
    monkeypatch.setattr(trustlist, "MAXIMUM_DEFECTS", 2)
    loaded = load(raw(("a.test", subject(1)), *((f"b@{n}.test", subject(1)) for n in range(4))))
    assert words(loaded) == ["name_with_at", "name_with_at", "more"]


def test_a_truncated_list_loads_only_leniently_and_says_so() -> None:
    cut = raw(("a.test", subject(1)), ("b.test", subject(2))).removesuffix(b"</ListeBlancheMSSante>")
    with pytest.raises(Refused, match="malformed"):
        load(cut)
    loaded = load(cut, lenient=True)
    assert words(loaded) == ["truncated"]
    assert set(loaded.trust.domains) == {"a.test", "b.test"}
    with pytest.raises(Refused, match="wrong_root"):
        load(b"nothing like xml", lenient=True)


def test_checksum_companion() -> None:
    digest = trustlist.sha256(plain()).encode()
    for good in (digest, digest + b"\n", digest.upper() + b"  listeblanchemssante.xml\n"):
        trustlist.check_companion(plain(), good)
    for bad in (b"", b"00", digest[:-1], trustlist.sha256(b"x").encode(), b"\xff\xfe"):
        with pytest.raises(Refused, match="checksum"):
            trustlist.check_companion(plain(), bad)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-02",
        "2026-03-02T08:00:00",
        "02/03/2026 08:00:00Z",
        "2026-13-02T08:00:00Z",
        "٢٠٢٦-03-02T08:00:00Z",
        "x" * 80,
    ],
)
def test_only_a_full_moment_is_a_date(text: str) -> None:
    assert trustlist.instant(text) is None


def test_dates_with_an_offset_become_utc() -> None:
    assert trustlist.instant(" 2026-03-02T09:00:00+01:00 ") == NOW


@given(st.binary(max_size=300))
def test_any_bytes_load_or_are_refused(junk: bytes) -> None:
    for data in (junk, plain(2)[:100] + junk + plain(2)[100:]):
        try:
            loaded = load(data, lenient=True)
        except Refused:
            continue
        assert loaded.trust.domains


@given(st.text(max_size=80))
def test_any_name_is_an_a_label_or_none(text: str) -> None:
    found = trustlist.a_label(text)
    assert found is None or (found.isascii() and found == found.lower() and trustlist.a_label(found) == found)


# The signature


class Authority:
    """Who signs: key, chain, anchors."""

    def __init__(self, folder: Path) -> None:
        self.space = pki.build(folder, NOW)
        self.anchors = (self.space.root.certificate,)
        self.key: SigningKey = load_pem_private_key(self.space.signing.key.read_bytes(), None)  # type: ignore[assignment]
        self.chain = tuple(x509.load_pem_x509_certificates(self.space.signing.certificate.read_bytes()))

    def sign(self, count: int = 5) -> bytes:
        return publish(rows(count), NOW, self.key, self.chain)

    def load(self, data: bytes, **options: object) -> LoadedList:
        return load(data, **{"anchors": self.anchors, "require_signature": True, **options})


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_a_signed_list_names_its_signer(authority: Authority) -> None:
    loaded = authority.load(authority.sign())
    assert loaded.rows == tuple(rows(5))
    assert loaded.signer.startswith("CN=LISTE BLANCHE ESSAI")
    assert loaded.warnings == ()


def refused(authority: Authority, data: bytes, **options: object) -> str:
    with pytest.raises(Refused) as caught:
        authority.load(data, **options)
    return caught.value.word


def test_an_unsigned_list_is_refused_when_a_signature_is_required(authority: Authority) -> None:
    assert refused(authority, plain()) == "unsigned"
    assert authority.load(plain(), require_signature=False).signer == ""


def test_a_signature_that_is_there_is_verified_even_when_not_required(authority: Authority) -> None:
    tampered = authority.sign().replace(b"etab-2.mssante.test", b"evil-2.mssante.test")
    for required in (True, False):
        assert refused(authority, tampered, require_signature=required) == "bad_signature"


def test_one_flipped_bit_anywhere_in_the_rows_is_seen(authority: Authority) -> None:
    signed = authority.sign()
    start, end = signed.index(b"<ListeDomaines"), signed.index(b"</ListeDomaines>")
    for at in range(start + 20, end, 97):
        flipped = bytearray(signed)
        flipped[at] ^= 1
        with pytest.raises(Refused):
            authority.load(bytes(flipped))


def test_the_signer_must_lead_to_our_anchors_at_this_moment(authority: Authority, tmp_path: Path) -> None:
    signed = authority.sign()
    stranger = pki.Authority.root("AC ETRANGERE", NOW)
    assert refused(authority, signed, anchors=(stranger.certificate,)) == "unknown_signer"
    assert refused(authority, signed, anchors=()) == "unknown_signer"
    assert refused(authority, signed, now=NOW + timedelta(days=91)) == "unknown_signer"
    assert authority.load(signed, anchors=(authority.space.authority.certificate,)).signer


def test_any_operator_could_sign_so_tls_certificates_may_not(authority: Authority) -> None:
    card = authority.space.operators["op-b"].client
    key = load_pem_private_key(card.key.read_bytes(), None)
    chain = x509.load_pem_x509_certificates(card.certificate.read_bytes())
    forged = publish(rows(3), NOW, key, chain)  # type: ignore[arg-type]
    assert refused(authority, forged) == "unknown_signer"
    own = authority.space.operators["op-b"].subject
    assert authority.load(forged, signers=(own,)).signer == own
    assert refused(authority, authority.sign(), signers=(own,)) == "unknown_signer"


def test_an_elliptic_key_may_sign(authority: Authority) -> None:
    key = pki.curve_key_pair()
    name = pki.organisation_name("CACHET COURBE", "GESTIONNAIRE ESSAI", "99900000000000")
    leaf = authority.space.authority.issue(name, key, NOW, usages=(x509.ObjectIdentifier("1.3.6.1.5.5.7.3.4"),))
    signed = publish(rows(2), NOW, key, (leaf, authority.space.authority.certificate))
    assert authority.load(signed).signer.startswith("CN=CACHET COURBE")


def test_a_signature_without_its_certificate_or_with_two_is_refused(authority: Authority) -> None:
    root = etree.fromstring(authority.sign())
    signature = root.find("{http://www.w3.org/2000/09/xmldsig#}Signature")
    assert signature is not None
    info = signature.find("{http://www.w3.org/2000/09/xmldsig#}KeyInfo")
    assert info is not None
    signature.remove(info)
    assert refused(authority, etree.tostring(root)) == "unknown_signer"
    root = etree.fromstring(authority.sign())
    root.append(etree.fromstring(etree.tostring(root[-1])))
    assert refused(authority, etree.tostring(root)) == "bad_signature"


def holder(authority: Authority, *extensions: x509.ExtensionType, ca: pki.Authority | None = None) -> LoadedList:
    """A list signed with a certificate that has these extensions only."""
    above = ca or authority.space.authority
    key = pki.curve_key_pair()
    identifier = above.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        x509.CertificateBuilder()
        .subject_name(pki.organisation_name("CACHET", "GESTIONNAIRE ESSAI", "99900000000000"))
        .issuer_name(above.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    leaf = builder.sign(above.key, hashes.SHA256())
    return authority.load(publish(rows(2), NOW, key, (leaf, above.certificate)))


def usage(**allowed: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    more = ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in (*names, *more)})


def test_a_seal_needs_no_extended_usage_but_a_key_that_may_sign(authority: Authority) -> None:
    assert holder(authority, usage(digital_signature=True)).signer
    assert holder(authority, usage(content_commitment=True)).signer
    assert holder(authority).signer
    with pytest.raises(Refused, match="unknown_signer"):
        holder(authority, usage(key_encipherment=True))


def test_junk_in_place_of_a_certificate_is_refused(authority: Authority) -> None:
    root = etree.fromstring(authority.sign())
    element = root.find(f"{seal.SIGNATURE}/{seal.CERTIFICATES}")
    assert element is not None
    genuine = element.text
    for junk in ("", "AAAA", "é", "====", (genuine or "")[:200]):
        element.text = junk
        assert refused(authority, etree.tostring(root)) == "bad_signature"
    element.text = genuine
    parent = element.getparent()
    assert parent is not None
    for _ in range(9):
        parent.append(etree.fromstring(etree.tostring(element)))
    assert refused(authority, etree.tostring(root)) == "bad_signature"


def test_a_signature_of_a_fragment_is_refused(authority: Authority) -> None:
    """The signature is genuine and at the right place, but its reference covers the date only."""
    root = etree.fromstring(plain(3))
    date = root.find(trustlist.GENERATED)
    assert date is not None
    date.set("Id", "date")
    signed = XMLSigner().sign(root, key=authority.key, cert=list(authority.chain), reference_uri="#date")
    assert refused(authority, etree.tostring(signed)) == "bad_signature"


def test_a_signature_over_a_part_does_not_vouch_for_the_whole(authority: Authority) -> None:
    """Signature wrapping: a genuine signed list inside a forged one."""
    genuine = etree.fromstring(authority.sign())
    forged = etree.fromstring(raw(("evil.test", subject(1))))
    signature = genuine.find("{http://www.w3.org/2000/09/xmldsig#}Signature")
    assert signature is not None
    forged.append(signature)
    wrapper = etree.SubElement(forged, "wrapper")
    wrapper.append(genuine)
    with pytest.raises(Refused):
        authority.load(etree.tostring(forged))


def test_sha1_signatures_are_refused(authority: Authority) -> None:
    weak = authority.sign().replace(b"2001/04/xmldsig-more#rsa-sha256", b"2000/09/xmldsig#rsa-sha1")
    assert refused(authority, weak) == "bad_signature"


def test_publish_refuses_what_could_not_be_read_back() -> None:
    with pytest.raises(ValueError, match="domain"):
        publish([Row("a@b.test", subject(1))], NOW)
    with pytest.raises(dn.BadName):
        publish([Row("a.test", "nobody")], NOW)
