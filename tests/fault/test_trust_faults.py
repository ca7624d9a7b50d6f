"""What may happen to the trust space while it works: an attacker on the way, a wrong clock, hostile clients, a restart.

One space of two operators; between A's courier and B stands a proxy of ours, and ``evil.test`` has a route to a listener
and no row in the white list. The tests that stop a process come last.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import shutil
import signal
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from gateway.admin.space import partner
from tests.fault import proxy as faults
from tests.fault.operator import Killable, Ledger, build
from tests.gateway.test_smtp_content import FALSE_ENDS, SMUGGLED
from tests.space.living import Living, ended, until

pytestmark = [pytest.mark.fault, pytest.mark.slow]
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
EVIL = "quelquun@evil.test"
LIMITS = {
    ("inbound", "idle_timeout"): "4s",
    ("inbound", "data_timeout"): "6s",
    ("inbound", "connections_per_ip"): 40,
    ("imaps", "login_timeout"): "4s",
    ("trust", "shrink_limit"): 1,
}


class Ground:
    """The space, and what stands around it."""

    def __init__(self, directory: Path) -> None:
        self.sink = faults.Sink()
        self.sink_listener = faults.Listener(self.sink.serve)
        evil = partner(f"evil.test=127.0.0.1:{self.sink_listener.port}")
        self.living = Living(directory, dict(LIMITS), partners=[evil], listed=False)
        self.proxy = faults.Proxy(self.living.b.ports["inbound"])
        self.proxy_listener = faults.Listener(self.proxy.serve)
        config = self.living.a.config
        text = config.read_text("utf-8")
        port = self.living.b.ports["inbound"]
        assert text.count(f"port = {port}") == 1
        config.write_text(text.replace(f"port = {port}", f"port = {self.proxy_listener.port}"), "utf-8")

    def change(self, mode: str) -> None:
        """Another mode, from the next connection on: those the courier kept open are closed."""
        self.proxy.mode = mode
        self.proxy_listener.call(self.proxy.forget)
        time.sleep(0.3)

    @property
    def box(self) -> dict:
        return self.living.a.mailboxes[0]

    @property
    def far(self) -> str:
        return str(self.living.b.mailboxes[0]["address"])

    def submission(self) -> smtplib.SMTP_SSL:
        site = self.living.a
        smtp = smtplib.SMTP_SSL("127.0.0.1", site.ports["submissions"], context=self.living.trust(), timeout=30)
        smtp.login(self.box["login"], self.box["device_password"])
        return smtp

    def letter(self, recipient: str, **fields: str) -> EmailMessage:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.box["address"], recipient, "essai"
        message["Message-ID"] = f"<{time.time_ns()}@op-a.mssante.test>"
        message["Date"] = "Mon, 02 Mar 2026 10:00:00 +0100"
        for name, value in fields.items():
            message[name.replace("_", "-")] = value
        message.set_content("Bonjour.\n")
        return message

    def submit(self, recipient: str, message: EmailMessage | None = None) -> int:
        with self.submission() as smtp:
            smtp.mail(self.box["address"])
            code, _ = smtp.rcpt(recipient)
            if code != 250:
                return code
            return smtp.data((message or self.letter(recipient)).as_bytes(policy=SMTP))[0]

    def rules(self, kind: str) -> list[str]:
        return [str(event.get("rule", "")) for event in self.living.events(self.living.a, kind)]

    def delivered(self) -> int:
        return len(self.living.events(self.living.b, "message.accepted"))


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    made = Ground(tmp_path_factory.mktemp("faults"))
    made.living.space.start()
    yield made
    made.living.space.stop()
    made.proxy_listener.close()
    made.sink_listener.close()


# on the way to a partner


@pytest.mark.parametrize(
    ("mode", "rule"),
    [
        (faults.STRIP, "trust.partner_no_tls"),
        (faults.REFUSE, "trust.partner_no_tls"),
        (faults.INJECT, "trust.partner_injected"),
    ],
)
def test_an_attacker_on_the_way_gets_nothing_in_clear(ground: Ground, mode: str, rule: str) -> None:
    """F26, F27: no MAIL before TLS, ever; the message waits, and leaves once the way is honest."""
    ground.change(mode)
    before, tried = ground.delivered(), ground.rules("message.deferred").count(rule)
    ground.proxy.clear.clear()
    assert ground.submit(ground.far) == 250
    until(lambda: ground.rules("message.deferred").count(rule) > tried, 30, rule)
    assert ground.delivered() == before
    for word in (b"MAIL", b"RCPT", b"DATA", b"AUTH"):
        assert word not in bytes(ground.proxy.clear).upper()
    ground.proxy.mode = faults.HONEST
    until(lambda: ground.delivered() == before + 1, 30, "the message leaves")


def _reload(site) -> None:
    seen = site.log.read_text("utf-8").count('"event": "certificates_reloaded"')
    site.process.send_signal(signal.SIGHUP)
    until(lambda: site.log.read_text("utf-8").count('"event": "certificates_reloaded"') > seen, 20, "reload")
    time.sleep(0.3)


# nothing leaves for outside


def test_nothing_ever_reaches_an_outside_address(ground: Ground) -> None:
    """TOU-A02, MSS-058 to MSS-060: evil.test has a route, and no row: by no door, field, or receipt is it ever reached."""
    attempts = [
        {"Reply_To": EVIL}, {"Return_Receipt_To": EVIL}, {"Disposition_Notification_To": EVIL}, {"Errors_To": EVIL},
        {"Mail_Followup_To": EVIL}, {"Mail_Reply_To": EVIL}, {"List_Post": f"<mailto:{EVIL}>"},
        {"List_Unsubscribe": f"<mailto:{EVIL}>"}, {"Resent_To": EVIL, "Resent_From": EVIL}, {"Sender": EVIL},
        {"Cc": EVIL}, {"X_Forwarded_To": EVIL},
    ]  # fmt: skip
    assert ground.submit(EVIL) == 550
    assert ground.submit("quelquun%evil.test@op-a.mssante.test") in (501, 550, 553)
    assert ground.submit("@evil.test:alice.martin@op-a.mssante.test") in (250, 501, 550, 553)
    assert ground.submit("quelquun@EVIL.test") == 550
    assert ground.submit("quelquun@sous.evil.test") == 550
    told = [ground.submit(ground.far, ground.letter(ground.far, **fields)) for fields in attempts]
    assert told[:8] == [550] * 8, told
    assert ground.submit(ground.far, _invitation(ground)) == 550
    assert _from_outside(ground) >= 500
    address = ground.box["address"]
    for words in (("forward", address, EVIL), ("forward", address, "quelquun@EVIL.test", "--no-keep")):
        written = ground.living.caducee(ground.living.a, "rule", *words)
        assert written.returncode == 1, written
    time.sleep(3)  # several rounds of the courier, whose first retry is after one second
    assert ground.sink.connections == 0
    assert not ground.sink.octets


def _invitation(ground: Ground) -> EmailMessage:
    message = ground.letter(ground.far)
    calendar = f"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nORGANIZER:mailto:{EVIL}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    message.add_attachment(calendar.encode(), maintype="text", subtype="calendar")
    return message


def _from_outside(ground: Ground) -> int:
    """A partner that speaks for evil.test, so that a refusal or a notice would have to go there."""
    session = ground.living.partner()
    code, _ = session.mail(EVIL, ["RET=FULL"])
    session.close()
    return code


# hostile clients


def test_smuggling_through_the_real_door(ground: Ground) -> None:
    """F64: no end of data but <CRLF>.<CRLF>; a bare CR, LF or NUL refuses the message and ends the session."""
    before = len(ground.living.events(ground.living.a, "message.accepted"))
    with concurrent.futures.ThreadPoolExecutor(len(FALSE_ENDS)) as pool:
        answers = list(pool.map(lambda end: _smuggle(ground, end), FALSE_ENDS.values()))
    assert dict(zip(FALSE_ENDS, answers, strict=True)) == dict.fromkeys(FALSE_ENDS, (550, True))
    assert len(ground.living.events(ground.living.a, "message.accepted")) == before


def _smuggle(ground: Ground, end: bytes) -> tuple[int, bool]:
    """The reply, and whether the session was then over."""
    session = ground.living.partner()
    session.mail(ground.far)
    session.rcpt(ground.box["address"])
    assert session.docmd("DATA")[0] == 354
    assert session.sock is not None
    session.sock.sendall(b"Subject: x\r\n\r\nbody" + end + SMUGGLED + b"\r\n.\r\nQUIT\r\n")
    code = session.getreply()[0]
    try:
        session.noop()
    except (smtplib.SMTPServerDisconnected, OSError):
        return code, True
    return code, False


def test_another_protocol_is_hung_up_on(ground: Ground) -> None:
    """F52: HTTP, a TLS hello where none is due, binary noise: closed within a few lines, and every door still answers."""
    noises = (
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 40,
        b"\x16\x03\x01\x02\x00" + b"\x01" * 600,
        bytes(range(256)) * 16,
    )
    tries = [(port, noise + b"\r\n" * 40) for port in ground.living.a.ports.values() for noise in noises]
    with concurrent.futures.ThreadPoolExecutor(len(tries)) as pool:
        assert all(pool.map(lambda each: _hung_up(*each), tries))
    told = json.loads(ground.living.caducee(ground.living.a, "doctor", "--json").stdout)
    assert {entry["state"] for entry in told["findings"] if entry["check"] == "door"} == {"good"}


def _hung_up(port: int, noise: bytes) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=15) as raw:
        try:
            raw.sendall(noise)
            while raw.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
    return True


@pytest.mark.parametrize("door", ["submissions", "imaps"])
def test_alpn_of_the_web_is_no_reason_to_serve_it(ground: Ground, door: str) -> None:
    """F52: a client that offers h2 and http/1.1 only gets a fatal alert, one that names no protocol or ours is served."""
    ours = {"submissions": "smtp", "imaps": "imap"}[door]
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        _handshake(ground, door, ["h2", "http/1.1"])
    _handshake(ground, door, ["h2", ours])
    _handshake(ground, door, [])


def _handshake(ground: Ground, door: str, protocols: list[str]) -> None:
    context = ground.living.trust()
    if protocols:
        context.set_alpn_protocols(protocols)
    with (
        socket.create_connection(("127.0.0.1", ground.living.a.ports[door]), timeout=15) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as secured,
    ):
        assert secured.selected_alpn_protocol() is None
        assert secured.recv(4) in (b"220 ", b"* OK")


def test_the_slow_are_cut_off_and_the_others_do_not_notice(ground: Ground) -> None:
    """F53: silence, an octet now and then, a message that never ends: closed in the time configured."""
    slow = [socket.create_connection(("127.0.0.1", ground.living.a.ports[door]), timeout=30) for door in _DOORS]
    trickle = ground.living.partner()
    trickle.mail(ground.far)
    trickle.rcpt(ground.box["address"])
    assert trickle.docmd("DATA")[0] == 354
    assert trickle.sock is not None
    began = time.monotonic()
    open_still = [*slow, trickle.sock]
    while open_still and time.monotonic() - began < 40:
        for each in list(open_still):
            if not _nudged(each):
                open_still.remove(each)
        time.sleep(1)
    assert not open_still
    assert ground.submit(ground.box["address"]) == 250


_DOORS = ("inbound", "imaps")


def _nudged(connection: socket.socket) -> bool:
    """Send one octet; False once the other side is gone."""
    connection.settimeout(0.05)
    try:
        connection.sendall(b"x")
        while connection.recv(4096):
            pass
    except TimeoutError:
        return True
    except OSError:
        return False
    return False


def test_a_flood_from_one_address_is_capped_and_others_pass(ground: Ground) -> None:
    """F55: the 41st connection hears 421; our own users at the other doors do not notice."""
    port = ground.living.a.ports["inbound"]
    held = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(60)]
    greetings = []
    for each in held:
        with contextlib.suppress(OSError):
            greetings.append(each.recv(4096)[:3])
    assert greetings.count(b"421") >= 15
    assert greetings.count(b"220") <= 40
    assert ground.submit(ground.box["address"]) == 250
    for each in held:
        each.close()


def test_junk_and_guessing_end_a_session(ground: Ground) -> None:
    """F56, F57: a hundred commands without effect, twenty errors, twenty unknown recipients: 421 and closed."""
    floods = (_noops, _nonsense, _guesses)
    with concurrent.futures.ThreadPoolExecutor(len(floods)) as pool:
        assert all(pool.map(lambda flood: _flooded(ground, flood), floods))


def _flooded(ground: Ground, flood: Callable[[Ground, smtplib.SMTP, int], int]) -> bool:
    session = ground.living.partner()
    return _ends(lambda number: flood(ground, session, number))


def _ends(step: Callable[[int], int]) -> bool:
    """Whether the session is ended, by 421 or without a word, within 500 steps."""
    try:
        return any(step(number) == 421 for number in range(500))
    except (smtplib.SMTPServerDisconnected, OSError):
        return True


def _noops(ground: Ground, session: smtplib.SMTP, number: int) -> int:
    return session.noop()[0]


def _nonsense(ground: Ground, session: smtplib.SMTP, number: int) -> int:
    return session.docmd("FOO")[0]


def _guesses(ground: Ground, session: smtplib.SMTP, number: int) -> int:
    if number == 0:
        return session.mail(ground.far)[0]
    return session.rcpt(f"inconnu{number}@op-a.mssante.test")[0]


def test_a_header_or_a_line_without_end_is_refused(ground: Ground) -> None:
    """F58, F59."""
    for content in (b"X-A: b\r\n" * 400_000, b"Subject: x\r\n\r\n" + b"a" * 2_000_000):
        session = ground.living.partner()
        session.mail(ground.far)
        session.rcpt(ground.box["address"])
        session.docmd("DATA")
        code = 421
        with contextlib.suppress(OSError, smtplib.SMTPServerDisconnected):
            assert session.sock is not None
            session.sock.sendall(content + b"\r\n.\r\n")
            code = session.getreply()[0]
        assert code >= 400


# a domain that leaves while its mail waits


def test_what_waits_for_a_domain_that_left_the_list_comes_back(ground: Ground) -> None:
    """F43: not sent, and the sender is told 5.7.1."""
    ground.change(faults.STRIP)
    before = ground.delivered()
    assert ground.submit(ground.far) == 250
    failures = ground.rules("message.failed")
    ground.living.publish(ground.living.without("op-b.mssante.test"))
    try:
        until(lambda: len(ground.rules("message.failed")) > len(failures), 40, "the message fails")
        assert ground.rules("message.failed")[-1] == "trust.recipient_not_listed"
        ground.proxy.mode = faults.HONEST
        time.sleep(3)
        assert ground.delivered() == before
    finally:
        ground.proxy.mode = faults.HONEST
        ground.living.publish()
    until(lambda: ground.submit(ground.far) == 250, 30, "listed again")


# reload and stop


def test_a_faulty_configuration_changes_nothing(ground: Ground) -> None:
    """F21: refused, told with its place, the old one in force; a good one is taken up, open sessions go on."""
    site, session = ground.living.a, ground.submission()
    good = site.config.read_text("utf-8")
    site.config.write_text(good + "\n[nonsense]\nx = 1\n", "utf-8")
    site.process.send_signal(signal.SIGHUP)
    until(lambda: "reload_refused" in site.log.read_text("utf-8"), 20)
    assert session.noop()[0] == 250
    assert ground.submit(ground.box["address"]) == 250
    another = faults.Listener(ground.proxy.serve)
    other = good.replace("[limits]\n", '[limits]\nmessage_size = "1MiB"\n')
    other = other.replace(f"port = {ground.proxy_listener.port}", f"port = {another.port}")
    site.config.write_text(other, "utf-8")
    _reload(site)
    ground.change(faults.HONEST)
    before, taken = ground.delivered(), ground.proxy.ports.count(another.port)
    assert ground.submit(ground.far) == 250
    until(lambda: ground.delivered() > before, 30, "delivered by the new route")
    assert ground.proxy.ports.count(another.port) > taken
    assert session.noop()[0] == 250
    with ground.submission() as again:
        again.ehlo()
        assert int(again.esmtp_features["size"]) == 1024 * 1024
    site.config.write_text(good, "utf-8")
    _reload(site)
    outcomes = [event["outcome"] for event in ground.living.events(site, "service.reloaded")]
    assert {"refused", "done"} <= set(outcomes)


def test_a_stop_lets_running_work_end(ground: Ground) -> None:
    """F20: idle sessions hear 421, a message under way is accepted, the process ends by itself with 0."""
    site = ground.living.a
    idle, busy = ground.submission(), ground.submission()
    busy.mail(ground.box["address"])
    busy.rcpt(ground.box["address"])
    assert busy.docmd("DATA")[0] == 354
    content = ground.letter(ground.box["address"]).as_bytes(policy=SMTP)
    assert busy.sock is not None
    busy.sock.sendall(content[:60])
    site.process.send_signal(signal.SIGTERM)
    assert until(lambda: ended(idle), 10).startswith(b"421")
    busy.sock.sendall(content[60:] + b"\r\n.\r\n")
    assert busy.getreply()[0] == 250
    assert site.process.wait(35) == 0
    assert ground.sink.connections == 0


# the clock


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that moves the wall clock of the operator; the monotonic clock is left alone, as in the field."""
    if not FAKETIME.exists():
        pytest.skip("libfaketime is not installed")
    file = tmp_path / "clock"
    set_clock(file, "+0")
    monkeypatch.setenv("LD_PRELOAD", str(FAKETIME))
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(file))
    monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    return file


def set_clock(file: Path, offset: str) -> None:
    """At one go: a process that looked at a file half written would end."""
    new = file.with_suffix(".new")
    new.write_text(f"{offset}\n")
    new.replace(file)


def local(killable: Killable, recipient: str) -> int:
    box = killable.box
    with smtplib.SMTP_SSL("127.0.0.1", killable.site.ports["submissions"], context=_any(), timeout=30) as smtp:
        smtp.login(box["login"], box["device_password"])
        smtp.mail(box["address"])
        code, _ = smtp.rcpt(recipient)
        if code != 250:
            return code
        text = f"From: {box['address']}\r\nTo: x\r\nSubject: s\r\nMessage-ID: <{time.time_ns()}@op-a.mssante.test>\r\n"
        return smtp.data((text + "Date: Mon, 02 Mar 2026 10:00:00 +0100\r\n\r\nx\r\n").encode("ascii"))[0]


def _any() -> ssl.SSLContext:
    """The clock of the test itself is not moved, so dates are left to the operator."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_a_list_too_old_stops_exchanges_and_not_the_house(tmp_path: Path, clock: Path) -> None:
    """F16, F42, F44, MSS-013: five days later and unconfirmed, 451 both ways, while local mail flows; then all is well again."""
    settings = {("trust", "refuse_age"): "4d", ("trust", "alarm_age"): "3d", ("trust", "refresh"): "1s",
                ("queue", "first_retry"): "1s", ("queue", "longest_retry"): "2s"}  # fmt: skip
    killable = Killable(build(tmp_path, settings=settings))
    killable.start()
    here, there = killable.site.mailboxes[1]["address"], "dr@op-b.mssante.test"
    ledger = Ledger()
    killable.send(ledger, "before", 1, clients=1)
    assert ledger.replies[250] == 1
    assert local(killable, there) == 250  # waits: operator B is not running
    source = killable.space.list_file
    kept = source.read_bytes()
    source.write_bytes(b"")  # from now on nothing confirms the list
    set_clock(clock, "+5d")
    until(lambda: local(killable, there) == 451, 40, "partners wait")
    assert local(killable, here) == 250
    session = killable.partner_session()
    assert session.mail(there)[0] == 451
    session.close()
    assert not _kinds(killable, "message.failed")
    assert not _kinds(killable, "message.expired")
    until(lambda: "age_stale" in {event["what"] for event in _kinds(killable, "trust.list")}, 15, "the age is told")
    assert _kinds(killable, "service.clock_jump")
    set_clock(clock, "+8d")  # the revocation list has expired too (F44): unknown is not good
    until(lambda: _first_answer(killable) == 421, 20, "the session is deferred")
    assert "trust.revocation_unknown" in {event["rule"] for event in _kinds(killable, "session.peer_refused")}
    assert not _kinds(killable, "message.failed")
    source.write_bytes(kept)
    set_clock(clock, "-2h")
    until(lambda: local(killable, there) == 250, 40, "all is well again")
    assert local(killable, here) == 250
    assert killable.stop() == 0
    told = json.loads(killable.caducee("journal", "verify", "--json").stdout)
    assert told["intact"], told


def test_a_list_whose_file_is_gone_does_not_keep_the_service_from_starting(tmp_path: Path) -> None:
    """F40: a restart goes on with the last list kept; without any, partners wait (451) and the house does not."""
    killable = Killable(build(tmp_path, settings={("trust", "refresh"): "1s"}))
    here, there = killable.site.mailboxes[1]["address"], "dr@op-b.mssante.test"
    killable.start()
    assert killable.stop() == 0
    source = killable.space.list_file
    kept = source.read_bytes()
    source.unlink()
    told = killable.caducee("config", "check", "--json")
    assert [fault["key"] for fault in json.loads(told.stdout)["absent"]] == ["trust.list"]
    assert killable.caducee("config", "check", "--ready").returncode == 1
    killable.start()
    assert _said_to_partner(killable, there) == "250"
    assert local(killable, there) == 250
    assert '"source_absent"' in killable.site.log.read_text("utf-8")
    doctor = json.loads(killable.caducee("doctor", "--json").stdout)
    assert "trust.list" in {finding["says"].partition(":")[0] for finding in doctor["findings"]}, doctor
    killable.kill()
    shutil.rmtree(killable.site.directory / "data" / "trust")
    killable.start()
    assert _said_to_partner(killable, there) == "451 trust.list_missing"
    assert local(killable, there) == 451
    assert local(killable, here) == 250
    source.write_bytes(kept)
    until(lambda: _said_to_partner(killable, there) == "250", 30, "the list is back")
    assert local(killable, there) == 250
    assert killable.stop() == 0


def _said_to_partner(killable: Killable, sender: str) -> str:
    """The code of a first MAIL, and the rule where there is one."""
    session = killable.partner_session()
    code, text = session.mail(sender)
    session.close()
    return " ".join([str(code), *(["trust.list_missing"] if b"trust.list_missing" in text else [])])


def _first_answer(killable: Killable) -> int:
    session = killable.partner_session()
    try:
        return session.mail("dr@op-b.mssante.test")[0]
    finally:
        session.close()


def _kinds(killable: Killable, kind: str) -> list[dict]:
    return Living.events(None, killable.site, kind)  # type: ignore[arg-type]
