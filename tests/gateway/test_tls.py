"""TLS contexts and handshakes, with a real PKI, in memory."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from gateway.admin import pki
from gateway.cli import _transfer
from gateway.settings import CBC_SUITES, SUITES
from gateway.smtp import tls
from gateway.smtp.chain import PathReader, read_certificates
from gateway.smtp.tls import Identity
from gateway.submission_there import Server, context_of
from policies import certificate
from policies.certificate import CertificateSettings, Role, WhenUnknown

NOW = datetime.now(UTC).replace(microsecond=0)
ACCEPT_UNKNOWN = CertificateSettings(revocation_unknown=WhenUnknown.ACCEPT)


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> pki.Pki:
    return pki.build(tmp_path_factory.mktemp("pki"), NOW)


@pytest.fixture
def reader(space: pki.Pki) -> PathReader:
    return PathReader(read_certificates(space.ca))


def identity(card: pki.Card) -> Identity:
    return Identity(card.certificate, card.key)


def door(space: pki.Pki, **options: object) -> ssl.SSLContext:
    held = space.operators["op-a"]
    return tls.server_context(
        (identity(held.server), identity(held.server_curve)), ask_certificate=True, anchors=(space.ca,), **options
    )


def caller(card: pki.Card | None) -> ssl.SSLContext:
    return tls.client_context(identity(card) if card else None)


class Wire:
    """Two TLS ends joined in memory."""

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None = None) -> None:
        self.to_server, self.to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = server.wrap_bio(self.to_server, self.to_client, server_side=True)
        self.client = client.wrap_bio(
            self.to_client, self.to_server, server_hostname="smtp.op-a.mssante.test", session=session
        )
        waiting = [self.client, self.server]
        for _ in range(12):
            waiting = [end for end in waiting if not self.step(end)]
        assert not waiting

    @staticmethod
    def step(end: ssl.SSLObject) -> bool:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def settle(self) -> None:
        """Read what follows the handshake (session tickets)."""
        self.server.write(b"x")
        assert self.client.read(1) == b"x"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("expired", "trust.certificate_expired"),
        ("self_signed", "trust.certificate_self_signed"),
        ("other_ca", "trust.certificate_untrusted"),
        ("wrong_eku", "trust.certificate_wrong_usage"),
        ("cn_only", "trust.certificate_no_name"),
    ],
)
def test_each_bad_certificate_reaches_the_policies_with_its_own_rule(
    space: pki.Pki, reader: PathReader, name: str, expected: str, version: ssl.TLSVersion
) -> None:
    client = caller(space.faulty[name])
    client.maximum_version = version
    wire = Wire(door(space), client)
    facts = tls.peer_facts(wire.server, reader, NOW)
    assert facts is not None
    assert certificate.judge(facts, Role.CLIENT, NOW, ACCEPT_UNKNOWN).rule.name == expected
    assert len(facts.fingerprint) == 64


def test_a_good_certificate_passes_and_its_path_is_known(space: pki.Pki, reader: PathReader) -> None:
    wire = Wire(door(space), caller(space.operators["op-b"].client))
    facts = tls.peer_facts(wire.server, reader, NOW)
    assert facts is not None
    assert facts.chain_problem == ""
    assert facts.subject == space.operators["op-b"].subject
    assert certificate.judge(facts, Role.CLIENT, NOW, ACCEPT_UNKNOWN).accepted


def test_no_certificate_is_no_facts(space: pki.Pki, reader: PathReader) -> None:
    wire = Wire(door(space), caller(None))
    assert tls.presented(wire.server) == ()
    assert tls.peer_facts(wire.server, reader, NOW) is None
    assert tls.peer_facts(None, reader, NOW) is None


def test_the_courier_sees_the_server_chain(space: pki.Pki, reader: PathReader) -> None:
    wire = Wire(door(space), caller(space.operators["op-b"].client))
    facts = tls.peer_facts(wire.client, reader, NOW)
    assert facts is not None
    judged = certificate.judge(facts, Role.SERVER, NOW, ACCEPT_UNKNOWN, "smtp.op-a.mssante.test")
    assert judged.accepted
    other = certificate.judge(facts, Role.SERVER, NOW, ACCEPT_UNKNOWN, "smtp.op-b.mssante.test")
    assert other.rule.name == "trust.partner_certificate_wrong_name"


@pytest.mark.parametrize(
    ("name", "word"),
    [("expired", "expired"), ("self_signed", "self_signed"), ("other_ca", "untrusted"), ("wrong_eku", "wrong_usage")],
)
def test_where_openssl_judges_the_refusal_still_names_its_rule(space: pki.Pki, name: str, word: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        Wire(door(space, let_policies_judge=False), caller(space.faulty[name]))
    assert tls.handshake_reason(caught.value) == word
    assert tls.refusal(caught.value).rule.name == f"trust.certificate_{word}"


def test_old_versions_and_weak_suites_get_no_handshake(space: pki.Pki) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_ciphers("AES128-SHA:AES256-GCM-SHA384")  # RSA key exchange
    with pytest.raises(ssl.SSLError) as caught:
        Wire(door(space), old)
    assert tls.handshake_reason(caught.value) == "no_common_suite"
    decision = tls.refusal(caught.value)
    assert decision.rule.name == "session.tls_handshake_failed"
    assert "no common suite" in decision.sentence("en")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_versions_before_1_2_are_refused(space: pki.Pki, version: ssl.TLSVersion) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = version
    with pytest.raises(ssl.SSLError) as caught:
        Wire(door(space), old)
    assert tls.handshake_reason(caught.value) in ("old_version", "alert_protocol_version")


def test_cbc_suites_of_the_lps_list_can_be_configured(space: pki.Pki) -> None:
    client = caller(space.operators["op-b"].client)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers("ECDHE-RSA-AES128-SHA256")
    with pytest.raises(ssl.SSLError):
        Wire(door(space), client)
    wire = Wire(door(space, suites=(*SUITES, *CBC_SUITES)), client)
    assert wire.server.cipher()[0] == "ECDHE-RSA-AES128-SHA256"


def test_unknown_suites_are_refused_at_start(space: pki.Pki) -> None:
    with pytest.raises(tls.BadIdentity, match="suite"):
        door(space, suites=("ROT13-WITH-XOR",))


def test_contexts_forbid_compression_and_renegotiation(space: pki.Pki) -> None:
    for context in (door(space), caller(None)):
        assert context.options & ssl.OP_NO_COMPRESSION
        assert context.options & ssl.OP_NO_RENEGOTIATION
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("suite", "kind"), [("ECDHE-RSA-AES256-GCM-SHA384", "rsa"), ("ECDHE-ECDSA-AES256-GCM-SHA384", "ec")]
)
def test_rsa_and_p256_are_served_side_by_side(space: pki.Pki, reader: PathReader, suite: str, kind: str) -> None:
    client = caller(space.operators["op-b"].client)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(suite)
    facts = tls.peer_facts(Wire(door(space), client).client, reader, NOW)
    assert facts is not None
    assert facts.key_type == kind


def test_no_ticket_by_default(space: pki.Pki) -> None:
    wire = Wire(door(space), caller(space.operators["op-b"].client))
    wire.settle()
    assert wire.client.session is None or not wire.client.session.has_ticket


def test_a_resumed_session_brings_its_certificate_to_be_judged_again(space: pki.Pki, reader: PathReader) -> None:
    server, client = door(space, tickets=1), caller(space.operators["op-b"].client)
    first = Wire(server, client)
    first.settle()
    assert tls.peer_facts(first.server, reader, NOW) is not None
    again = Wire(server, client, session=first.client.session)
    assert again.server.session_reused
    facts = tls.peer_facts(again.server, reader, NOW)
    assert facts is not None
    assert facts.chain_problem == ""
    assert facts.subject == space.operators["op-b"].subject


def test_a_key_others_may_read_is_refused(space: pki.Pki, tmp_path: Path) -> None:
    card = space.operators["op-a"].server
    key = tmp_path / "loose.key"
    key.write_bytes(card.key.read_bytes())
    key.chmod(0o644)
    with pytest.raises(tls.BadIdentity, match="chmod 600"):
        tls.server_context((Identity(card.certificate, key),))
    key.chmod(0o640)
    tls.server_context((Identity(card.certificate, key),))


def test_our_own_files_fail_with_a_reason(space: pki.Pki, tmp_path: Path) -> None:
    a, b = space.operators["op-a"].server, space.operators["op-b"].server
    with pytest.raises(tls.BadIdentity, match="does not belong"):
        tls.server_context((Identity(a.certificate, b.key),))
    with pytest.raises(tls.BadIdentity, match="No such file"):
        tls.server_context((Identity(a.certificate, tmp_path / "none.key"),))
    with pytest.raises(tls.BadIdentity, match="no certificate"):
        tls.server_context(())
    junk = tmp_path / "junk.pem"
    junk.write_text("nothing")
    with pytest.raises(tls.BadIdentity, match="PEM"):
        tls.server_context((Identity(junk, a.key),))


def test_a_key_under_a_password_is_refused_with_the_reason(space: pki.Pki, tmp_path: Path) -> None:
    card = space.operators["op-a"].server
    key = tmp_path / "locked.key"
    loaded = serialization.load_pem_private_key(card.key.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret")
    key.write_bytes(loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))
    key.chmod(0o600)
    with pytest.raises(tls.BadIdentity, match="password"):
        tls.server_context((Identity(card.certificate, key),))


def test_on_an_interpreter_never_tried_openssl_judges(space: pki.Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "_TRIED", ())
    Wire(door(space), caller(space.operators["op-b"].client))
    with pytest.raises(ssl.SSLCertVerificationError):
        Wire(door(space), caller(space.faulty["other_ca"]))


def test_the_address_is_not_used_when_openssl_answers_another_mode() -> None:
    untouched = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert untouched.verify_mode is ssl.CERT_NONE
    assert not tls._let_policies_judge(untouched)


def test_on_this_interpreter_the_policies_judge(space: pki.Pki) -> None:
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    asking.verify_mode = ssl.CERT_OPTIONAL
    assert tls._let_policies_judge(asking)
    assert asking.verify_mode is ssl.CERT_OPTIONAL


def test_reload_in_place_serves_the_new_certificate_and_a_bad_reload_the_old(space: pki.Pki) -> None:
    context = tls.server_context((identity(space.operators["op-a"].server),))
    before = Wire(context, caller(None)).client.getpeercert(binary_form=True)
    a, b = space.operators["op-a"].server, space.operators["op-b"].server
    with pytest.raises(tls.BadIdentity):
        tls.load(context, (Identity(b.certificate, a.key),))
    assert Wire(context, caller(None)).client.getpeercert(binary_form=True) == before
    tls.load(context, (identity(b),))
    assert Wire(context, caller(None)).client.getpeercert(binary_form=True) != before


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (TimeoutError(), "timeout"),
        (ConnectionResetError(), "cut"),
        (ssl.SSLEOFError(), "cut"),
        (ValueError(), "other"),
        (ssl.SSLError(1, "nothing known"), "other"),
    ],
)
def test_other_failures_have_words_too(error: Exception, word: str) -> None:
    assert tls.handshake_reason(error) == word


def test_plain_text_and_http_on_a_tls_port(space: pki.Pki) -> None:
    for said, word in ((b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "http_request"), (b"EHLO somewhere\r\n", "not_tls")):
        incoming = ssl.MemoryBIO()
        incoming.write(said)
        end = door(space).wrap_bio(incoming, ssl.MemoryBIO(), server_side=True)
        with pytest.raises(ssl.SSLError) as caught:
            end.do_handshake()
        assert tls.handshake_reason(caught.value) == word


def test_what_the_peer_objects_is_named(space: pki.Pki) -> None:
    picky = ssl.create_default_context()
    wire_server = door(space)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = wire_server.wrap_bio(to_server, to_client, server_side=True)
    client = picky.wrap_bio(to_client, to_server, server_hostname="smtp.op-a.mssante.test")
    for end in (client, server):
        with pytest.raises(ssl.SSLWantReadError):
            end.do_handshake()
    with pytest.raises(ssl.SSLCertVerificationError):
        client.do_handshake()
    with pytest.raises(ssl.SSLError) as caught:
        server.do_handshake()
    assert tls.handshake_reason(caught.value) == "alert_unknown_ca"


def test_long_chains_and_junk_are_bad_chains(space: pki.Pki, reader: PathReader) -> None:
    leaf = tls.presented(Wire(door(space), caller(space.operators["op-b"].client)).server)
    for chain in (leaf * 6, (b"junk",), (b"0" * 100_000,)):
        facts = reader.facts(chain, NOW)
        assert facts is not None
        assert facts.chain_problem == "bad_chain"


def test_a_path_once_found_is_judged_at_its_own_moment(space: pki.Pki, reader: PathReader) -> None:
    chain = tls.presented(Wire(door(space), caller(space.operators["op-b"].client)).server)
    assert reader.facts(chain, NOW).chain_problem == ""  # type: ignore[union-attr]
    assert reader.facts(chain, NOW + timedelta(days=91)).chain_problem == "expired"  # type: ignore[union-attr]
    assert reader.facts(chain, NOW - timedelta(days=1)).chain_problem == "not_yet_valid"  # type: ignore[union-attr]
    assert reader.facts(chain, NOW).chain_problem == ""  # type: ignore[union-attr]


def test_a_file_of_authorities_means_its_roots_in_every_command(
    space: pki.Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.13 and later would take an intermediate authority in the file of ``--ca`` for an anchor."""
    make = ssl.create_default_context

    def as_newer_python(*given: Any, **named: Any) -> ssl.SSLContext:
        context = make(*given, **named)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    monkeypatch.setattr(ssl, "create_default_context", as_newer_python)
    for context in (context_of(Server("localhost", authority=space.ca)), _transfer._context(space.ca)):
        assert not context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
        assert context.verify_mode is ssl.CERT_REQUIRED
