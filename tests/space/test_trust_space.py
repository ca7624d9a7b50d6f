"""The trust space moves while two operators run, and every process follows on new and open sessions within a minute.

Two processes per operator; list and revocations are fetched each second here (each hour in the field), and open sessions are
judged as often (every fifteen and thirty seconds in the field: ``test_trust_operations.py``); nothing else is shortened.
"""

from __future__ import annotations

import contextlib
import hashlib
import imaplib
import shlex
import smtplib
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from policies.catalogue.sentences_doctor import DOCTOR
from tests.space.living import IN_FORCE, Living, ended, living, until

pytestmark = [pytest.mark.slow]
DR_B = "jeanne.bernard@op-b.mssante.test"


@pytest.fixture(scope="module")
def alive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    with living(
        tmp_path_factory.mktemp("trust"),
        {("service", "workers"): 2, ("trust", "list_size"): "1MiB", ("tls", "tickets"): 1},
    ) as made:
        yield made


def mail(session: smtplib.SMTP, alive: Living) -> int:
    code, _ = session.mail(DR_B)
    if code == 250:
        code, _ = session.rcpt(alive.a.mailboxes[0]["address"])
        session.rset()
    return code


def submission(alive: Living) -> smtplib.SMTP_SSL:
    box = alive.a.mailboxes[0]
    smtp = smtplib.SMTP_SSL("127.0.0.1", alive.a.ports["submissions"], context=alive.trust(), timeout=30)
    smtp.login(box["login"], box["device_password"])
    return smtp


def test_a_domain_leaves_the_list_and_every_process_follows(alive: Living) -> None:
    """F43, MSS-011: open sessions are ended, new ones refused, nothing leaves; the local path does not notice."""
    sessions = [alive.partner() for _ in range(12)]
    assert {mail(each, alive) for each in sessions} == {250}
    data = alive.made(alive.without("op-b.mssante.test"))
    began = time.monotonic()
    alive.put(data)
    said = [until(lambda each=each: ended(each), what="open session ended") for each in sessions]
    assert time.monotonic() - began < IN_FORCE
    assert all(line[:1] in (b"4", b"5") or line == b"closed" for line in said), said
    refused = [_new_session(alive) for _ in range(12)]
    assert not [code for code in refused if code < 500], refused
    with submission(alive) as smtp:
        smtp.mail(alive.a.mailboxes[0]["address"])
        code, text = smtp.rcpt(DR_B)
        assert (code, b"trust.recipient_not_listed" in text) == (550, True)
        assert smtp.rcpt(alive.a.mailboxes[1]["address"])[0] == 250
    rules = {event["rule"] for event in alive.events(alive.a, "session.peer_refused")}
    assert "trust.certificate_not_listed" in rules
    alive.publish()
    until(lambda: _new_session(alive) == 250, what="listed again")


def _new_session(alive: Living, card=None) -> int:
    try:
        session = alive.partner(card)
        return mail(session, alive)
    except smtplib.SMTPServerDisconnected:
        return 599
    except smtplib.SMTPResponseException as refused:
        return refused.smtp_code


def test_lists_that_lie_are_refused_and_the_list_in_force_stays(alive: Living) -> None:
    """F40, F41: replay, no signature, a flipped bit, a stranger's signature, nothing, a cut file, a shrinking one."""
    alive.publish()
    until(lambda: _new_session(alive) == 250)
    good = alive.space.list_file.read_bytes()
    alive.in_force(alive.a, good)
    before = alive.version(alive.a)
    flipped = good.replace(b"etablissement-01", b"etablissement-0l")
    lies = [
        (alive.made(older=True), "replay"),
        (alive.made(signed=False), "unsigned"),
        (flipped, "bad_signature"),
        (b"", "empty"),
        (good[: len(good) // 2], "malformed"),
    ]
    for data, reason in lies:
        seen = _refusals(alive).count(reason)
        alive.put(data)
        until(lambda reason=reason, seen=seen: _refusals(alive).count(reason) > seen, 30, reason)
        assert alive.version(alive.a) == before
    alive.publish(alive.rows[:10])
    until(lambda: "held" in _words(alive), 30, "a shrinking list is held")
    advice = shlex.split(DOCTOR["list.held"].remedy_en.partition(" compares")[0])[1:]
    told = alive.caducee(alive.a, *advice)  # what the doctor says to type
    assert (told.returncode, "  - " in told.stdout) == (0, True), told.stderr
    assert alive.version(alive.a) == before
    assert _new_session(alive) == 250
    alive.put(good + b"\n" * 2_000_000)
    until(lambda: "too_large" in _refusals(alive), 30, "an endless list is told")
    alive.put(_hostile())
    until(lambda: "doctype" in _refusals(alive), 30, "a list with a DTD is told")
    assert _new_session(alive) == 250
    alive.put(good)


def _hostile() -> bytes:
    """XXE, in the place where the date would be."""
    entity = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
    return b'<?xml version="1.0" encoding="UTF-8"?>' + entity + b"<x>&e;</x>"


def _refusals(alive: Living) -> list[str]:
    return [str(event.get("reason", "")) for event in alive.events(alive.a, "trust.list")]


def _words(alive: Living) -> set[str]:
    return {str(event["what"]) for event in alive.events(alive.a, "trust.list")}


def _s_client(alive: Living, card, *options: str) -> str:
    """One resumable session by another TLS library, up to MAIL."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{alive.a.ports['inbound']}", "-starttls", "smtp",
               "-CAfile", str(alive.pki.ca), "-cert", str(card.certificate), "-key", str(card.key),
               "-cert_chain", str(alive.pki.intermediate), "-crlf", "-ign_eof", *options]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdin is not None
    for line in ("", "EHLO smtp.op-b.mssante.test", f"MAIL FROM:<{DR_B}>", "QUIT"):
        time.sleep(0.7)  # one command at a time: commands sent ahead of the handshake end a session
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(f"{line}\n".encode() if line else b"")
            process.stdin.flush()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    assert process.stdout is not None
    out = process.stdout.read().decode("utf-8", "replace")
    process.wait(30)
    return out


def _resumed(alive: Living, card, ticket, answer: str) -> str:
    """What a resumed session saw; ``answer`` is in it. A ticket opens only in the process that gave it, and a caller may
    get to either, or always to the one with fewer sessions: now and then another stays, until they are even."""
    stay = []
    for attempt in range(20):
        if attempt % 5 == 4:
            stay.append(alive.partner())
        seen = _s_client(alive, card, "-sess_in", str(ticket))
        assert answer in seen, seen
        if "Reused, TLSv1.3" in seen:
            return seen
    pytest.fail("the session was never resumed")


def test_a_revoked_certificate_is_cut_off_also_on_resumption(alive: Living, tmp_path: Path) -> None:
    """F46, MSS-018: an open session ends, a resumed one is refused, while the operator's other certificate goes on."""
    card = alive.card("op-b_second")
    session, other = alive.partner(card), alive.partner()
    assert mail(session, alive) == 250
    ticket = tmp_path / "session.pem"
    assert "\n250 2.1.0" in _s_client(alive, card, "-sess_out", str(ticket))
    _resumed(alive, card, ticket, "\n250 2.1.0")
    began = time.monotonic()
    alive.revoke(card.certificate)
    until(lambda: ended(session), what="the open session ends")
    assert time.monotonic() - began < IN_FORCE
    assert _new_session(alive, card) >= 500
    even = alive.partner()  # to the process that lost the session: with as many at each, a caller may get to either
    resumed = _resumed(alive, card, ticket, "trust.certificate_revoked")
    assert "\n250 2.1.0" not in resumed, resumed
    assert mail(other, alive) == 250
    assert mail(even, alive) == 250
    rules = [event["rule"] for event in alive.events(alive.a, "session.peer_refused")]
    assert "trust.certificate_revoked" in rules


def _application(alive: Living) -> tuple[dict, ssl.SSLContext]:
    box = next(box for box in alive.a.mailboxes if box["type"] == "APP")
    context = alive.trust()
    context.load_cert_chain(box["client_cert"], box["client_key"])
    return box, context


def test_an_application_certificate_is_judged_at_login_and_while_its_session_lives(alive: Living) -> None:
    """MSS-073, F46, F47: SASL EXTERNAL by IMAP and by submission; a revocation ends both and refuses the next, while a
    mailbox suspended at the same time loses its IDLE session."""
    box, context = _application(alive)
    imap = imaplib.IMAP4_SSL("127.0.0.1", alive.a.ports["imaps"], ssl_context=context, timeout=30)
    imap.authenticate("EXTERNAL", lambda _: b"")
    smtp = smtplib.SMTP_SSL("127.0.0.1", alive.a.ports["submissions"], context=context, timeout=30)
    smtp.ehlo()
    assert smtp.docmd("AUTH", "EXTERNAL =")[0] == 235
    person = alive.a.mailboxes[1]
    idle = imaplib.IMAP4_SSL("127.0.0.1", alive.a.ports["imaps"], ssl_context=alive.trust(), timeout=30)
    idle.login(person["login"], person["device_password"])
    idle.select("INBOX")
    idle.send(b"a1 IDLE\r\n")
    began = time.monotonic()
    alive.revoke(Path(box["client_cert"]))
    suspended = alive.caducee(alive.a, "mailbox", "suspend", person["address"], "--reason", "essai")
    assert suspended.returncode == 0, suspended.stderr
    until(lambda: ended(smtp), what="the submission session ends")
    until(lambda: _dead(imap), what="the IMAP session ends")
    idle.sock.settimeout(IN_FORCE)
    assert idle.readline().startswith(b"+ ")
    assert idle.readline().startswith(b"* BYE")
    assert time.monotonic() - began < IN_FORCE
    late = imaplib.IMAP4_SSL("127.0.0.1", alive.a.ports["imaps"], ssl_context=context, timeout=30)
    with pytest.raises(imaplib.IMAP4.error):
        late.authenticate("EXTERNAL", lambda _: b"")
    smtp = smtplib.SMTP_SSL("127.0.0.1", alive.a.ports["submissions"], context=context, timeout=30)
    smtp.ehlo()
    assert smtp.docmd("AUTH", "EXTERNAL =")[0] == 535
    reasons = {event["reason"] for event in alive.events(alive.a, "session.login_refused")}
    assert "trust.certificate_revoked" in reasons
    alive.caducee(alive.a, "mailbox", "resume", person["address"], "--reason", "essai")


def _dead(imap: imaplib.IMAP4_SSL) -> bool:
    try:
        return imap.noop()[0] != "OK"
    except (imaplib.IMAP4.abort, OSError):
        return True


def test_a_right_to_send_that_was_withdrawn_is_gone_from_open_sessions(alive: Living) -> None:
    """MSS-061, MSS-074, F47: the session goes on, with what its person may write from now."""
    team = next(box for box in alive.a.mailboxes if box["type"] == "ORG")
    person = next(box for box in alive.a.mailboxes if box["account"] == team["members"][0]["login"])
    smtp = smtplib.SMTP_SSL("127.0.0.1", alive.a.ports["submissions"], context=alive.trust(), timeout=30)
    smtp.login(person["login"], person["device_password"])
    assert _mail_from(smtp, team["address"]) == 250
    member = ("mailbox", "member", "add", team["address"], person["account"], "--rights")
    assert alive.caducee(alive.a, *member, "read").returncode == 0
    until(lambda: _mail_from(smtp, team["address"]) == 553, what="the right is withdrawn")
    assert _mail_from(smtp, person["address"]) == 250
    assert alive.caducee(alive.a, *member, "read,write,send_as").returncode == 0


def _mail_from(smtp: smtplib.SMTP, address: str) -> int:
    smtp.rset()
    return smtp.mail(address)[0]


def test_our_own_certificate_is_renewed_without_stopping(alive: Living) -> None:
    """F48, MSS-024: a new pair is served within a minute by every process; open sessions go on; a bad pair is not taken."""
    cards = alive.pki.operators["op-a"]
    session, serving = alive.partner(), {_served(alive) for _ in range(6)}
    renewed = alive.card("renewed", 0, server=True, curve=True)
    for mine, new in ((cards.server, alive.card("renewed_rsa", 0, server=True)), (cards.server_curve, renewed)):
        _replace(mine.key, new.key.read_bytes())
        _replace(mine.certificate, new.certificate.read_bytes())
    wanted = hashlib.sha256(
        x509.load_pem_x509_certificate(renewed.certificate.read_bytes()).public_bytes(_DER)
    ).hexdigest()
    until(lambda: {_served(alive) for _ in range(6)} == {wanted}, what="the new certificate is served")
    assert wanted not in serving
    assert mail(session, alive) == 250
    _replace(cards.server_curve.certificate, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    until(lambda: "certificate_not_reloaded" in alive.a.log.read_text("utf-8"), what="the bad pair is told")
    assert {_served(alive) for _ in range(6)} == {wanted}
    _replace(cards.server_curve.certificate, renewed.certificate.read_bytes())


_DER = __import__("cryptography.hazmat.primitives.serialization", fromlist=["Encoding"]).Encoding.DER


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".next")
    partial.write_bytes(content)
    partial.chmod(path.stat().st_mode & 0o777)
    partial.replace(path)


def _served(alive: Living) -> str:
    context = alive.trust()
    with (
        socket.create_connection(("127.0.0.1", alive.a.ports["imaps"]), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        return hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()


def test_each_faulty_certificate_has_its_own_rule(alive: Living) -> None:
    """MSS-016 to MSS-021: revoked, expired, self-signed, of another authority, of the wrong use, without a name."""
    for name, card in alive.pki.faulty.items():
        assert _new_session(alive, card) >= 500, name
    rules = {event["rule"] for event in alive.events(alive.a, "session.peer_refused")}
    words = ("revoked", "expired", "self_signed", "untrusted", "wrong_usage", "no_name")
    assert {f"trust.certificate_{word}" for word in words} <= rules


def test_what_is_wrong_is_said_by_the_doctor(alive: Living) -> None:
    told = alive.caducee(alive.a, "doctor", "--json")
    assert told.returncode == 0, told.stdout
    partner = alive.caducee(alive.a, "--lang", "fr", "doctor", "--partner", "op-b.mssante.test")
    assert partner.returncode == 0, partner.stdout
    assert "STARTTLS" in partner.stdout
    stranger = alive.caducee(alive.a, "--lang", "fr", "doctor", "--partner", "exemple.invalid")
    assert stranger.returncode == 3
    assert "n’appartient pas" in stranger.stdout or "espace" in stranger.stdout
