"""A running operator against a partner that misbehaves in every way of F23 to F34, and what its own doors answer meanwhile.

Operator C is ours to play: a server with its certificate that does what a test says, and its calling certificate. After each
misdeed the partner behaves again, and what waited must arrive; a second, well-behaved partner (operator B) must never notice.
"""

from __future__ import annotations

import contextlib
import json
import os
import smtplib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.admin.pki import OPERATORS
from gateway.admin.space import Partner
from gateway.smtp import tls
from tests.fault.operator import Killable, build
from tests.fault.proxy import Listener
from tests.gateway.relay.peer import CLOSE, HANG, Peer
from tests.space.letters import Talk
from tests.space.living import Living, living, until
from tests.space.running import ROOT

pytestmark = [pytest.mark.fault, pytest.mark.slow]
QUICK = {
    ("queue", "command_timeout"): "1s", ("queue", "data_timeout"): "1s", ("queue", "final_timeout"): "1s",
    ("queue", "connect_timeout"): "2s", ("queue", "keep_open"): "0s",
}  # fmt: skip
DR_C = "dr@op-c.mssante.test"


class Play:
    """The space, and operator C as the tests play it."""

    def __init__(self, alive: Living, peer: Peer) -> None:
        self.alive, self.peer, self.talk = alive, peer, Talk(alive)
        self._good = {one.name: getattr(peer, one.name) for one in fields(Peer) if one.name not in _COUNTED}

    def behave(self) -> None:
        for name, value in self._good.items():
            setattr(self.peer, name, {} if name == "rcpt" else value)

    def misbehave(self, **ways: Any) -> None:
        for name, value in ways.items():
            setattr(self.peer, name, value)

    def send(self, *recipients: str, subject: str = "") -> str:
        """A message of Alice's; our identifier."""
        mark = subject or f"faute {time.time_ns()}"
        content = self.talk.written(self.talk.alice, recipients[0], mark)
        return self.talk.send(self.talk.alice, list(recipients), content)

    def steps(self, message: str, kind: str) -> list[dict[str, Any]]:
        """What the journal says happened to a message, read beside the running service."""
        database = self.alive.a.directory / "data" / "caducee.db"
        asked = "SELECT recipient, detail FROM journal WHERE message = ? AND kind = ? ORDER BY seq"
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            rows = connection.execute(asked, (message, f"message.{kind}")).fetchall()
        return [{"recipient": recipient, **json.loads(detail)} for recipient, detail in rows]

    def at_c(self, mark: str) -> int:
        return sum(mark.encode() in content for content in self.peer.messages)

    def calling(self) -> smtplib.SMTP:
        """Operator C at A's inbound door."""
        return self.alive.partner(self.alive.pki.operators["op-c"].client)


_COUNTED = ("port", "connections", "clear", "commands", "messages", "context")


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    peer = Peer(None)
    listener = Listener(peer.serve)
    partner = Partner(OPERATORS[2], "127.0.0.1", listener.port)
    try:
        with living(tmp_path_factory.mktemp("relay"), dict(QUICK), partners=[partner]) as alive:
            card = alive.pki.operators["op-c"].server
            identity = tls.Identity(card.certificate, card.key)
            peer.context = tls.server_context([identity], ask_certificate=True, anchors=[alive.pki.ca])
            yield Play(alive, peer)
    finally:
        listener.close()


@pytest.fixture(autouse=True)
def _good_again(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "play" in request.fixturenames:
        request.getfixturevalue("play").behave()


MISDEEDS: dict[str, tuple[dict[str, Any], str]] = {
    "a greeting that refuses": ({"greeting": b"554 go away\r\n"}, "relay.partner_deferred"),
    "no greeting": ({"greeting": HANG}, "relay.silent"),
    "another protocol": ({"greeting": b"SSH-2.0-OpenSSH\r\n"}, "relay.garbled"),
    "closed at once": ({"greeting": CLOSE}, "relay.cut"),
    "STARTTLS stripped": ({"before_tls": b"250 mx.test\r\n"}, "trust.partner_no_tls"),
    "STARTTLS refused": ({"starttls": b"454 4.7.0 not now\r\n"}, "trust.partner_no_tls"),
    "replies injected before TLS": ({"starttls": b"220 go\r\n250 EHLO injected\r\n"}, "trust.partner_injected"),
    "a disk that is full": ({"mail": b"452 4.3.1 full\r\n"}, "relay.partner_deferred"),
    "closed after the dot": ({"dot": CLOSE}, "relay.cut"),
    "silence after the dot": ({"dot": HANG}, "relay.silent"),
    "a code nobody knows": ({"data": b"999 what\r\n"}, "relay.garbled"),
    "a code with a letter": ({"mail": b"25x ok\r\n"}, "relay.garbled"),
    "a line of a megabyte": ({"mail": b"250 " + b"A" * 1_000_000 + b"\r\n"}, "relay.garbled"),
    "lines without end": ({"mail": b"250-more\r\n" * 60_000 + b"250 end\r\n"}, "relay.garbled"),
    "colours and NUL": ({"mail": b"451 4.3.0 \x1b[31m\x00\xe9\r\n"}, "relay.partner_deferred"),
    "one octet a second": ({"trickle": 1.0}, "relay.silent"),
}


@pytest.mark.parametrize("misdeed", list(MISDEEDS))
def test_whatever_a_partner_does_the_message_waits_and_then_arrives(play: Play, misdeed: str) -> None:
    """F23, F26, F27, F28, F31, F33; F32: meanwhile mail to another partner passes."""
    ways, expected = MISDEEDS[misdeed]
    play.misbehave(**ways)
    mark = f"faute-{misdeed.replace(' ', '-')}"
    message = play.send(DR_C, subject=mark)
    deferred = until(lambda: play.steps(message, "deferred"), 40, f"{misdeed} defers")
    assert deferred[0]["rule"] == expected
    assert len(deferred[0]["reply"]) <= 512
    assert deferred[0]["reply"].isascii()
    assert deferred[0]["reply"].isprintable()
    other = play.send(play.talk.jeanne["address"])
    until(lambda: play.steps(other, "handed_over"), 10, "another partner does not notice")
    assert all(b"MAIL" not in line for line in bytes(play.peer.clear).split(b"\r\n"))
    play.behave()
    until(lambda: play.steps(message, "handed_over"), 40, "it arrives in the end")
    assert play.at_c(mark) >= 1
    assert not play.steps(message, "failed")


def test_one_of_three_recipients_deferred_is_alone_tried_again(play: Play) -> None:
    """F29."""
    play.misbehave(rcpt={"deux": b"451 4.2.1 later\r\n", "trois": b"550 5.1.1 nobody\r\n"})
    mark = f"trois-{time.time_ns()}"
    message = play.send(*(f"{name}@op-c.mssante.test" for name in ("un", "deux", "trois")), subject=mark)
    until(lambda: play.steps(message, "deferred") and play.steps(message, "failed"), 30, "each has its own answer")
    assert {step["recipient"] for step in play.steps(message, "handed_over")} == {"un@op-c.mssante.test"}
    assert {step["recipient"] for step in play.steps(message, "failed")} == {"trois@op-c.mssante.test"}
    play.behave()
    until(lambda: len(play.steps(message, "handed_over")) == 2, 30, "the second one too")
    recipients = [line for line in play.peer.commands if line.startswith(b"RCPT") and b"<un@" in line]
    assert len(recipients) >= 1
    assert play.at_c(mark) == 2
    notice = play.talk.arrives(play.talk.alice, "trois@op-c.mssante.test")
    assert b"5.1.1" in notice


def test_late_then_given_up_and_told_both_times(play: Play) -> None:
    """F30: a warning, then 5.x.x no more but 4.4.7, and the message back in time is delivered all the same."""
    site = play.alive.a
    text = site.config.read_text("utf-8")
    for old, new in (("# warn_after = ", 'warn_after = "3s"\n# warn_after = '), ("# lifetime = ", 'lifetime = "25s"\n# lifetime = '),
                     ("# unknown_domain = ", 'unknown_domain = "10s"\n# unknown_domain = ')):  # fmt: skip
        assert text.count(old) == 1
        text = text.replace(old, new)
    _reload(play, text)
    play.misbehave(mail=b"451 4.3.0 later\r\n")
    back, never = play.send(DR_C), play.send("jamais@op-c.mssante.test")
    delayed = play.talk.arrives(play.talk.alice, "Action: delayed")
    assert b"Final-Recipient: rfc822; " in delayed
    play.misbehave(mail=b"250 2.1.0 ok\r\n", rcpt={"jamais": b"451 4.3.0 later\r\n"})
    until(lambda: play.steps(back, "handed_over"), 20, "back in time")
    until(lambda: play.steps(never, "expired"), 60, "given up")  # the courier looks every 15 s
    failed = play.talk.arrives(play.talk.alice, "Status: 4.4.7")
    assert b"jamais@op-c.mssante.test" in failed


def _reload(play: Play, text: str) -> None:
    import signal

    site, before = play.alive.a, len(play.alive.events(play.alive.a, "service.reloaded"))
    site.config.write_text(text, "utf-8")
    assert site.process is not None
    site.process.send_signal(signal.SIGHUP)
    until(lambda: len(play.alive.events(site, "service.reloaded")) > before, 20, "reloaded")
    assert play.alive.events(site, "service.reloaded")[-1]["outcome"] == "done"


def test_a_notice_that_cannot_be_delivered_ends_there(play: Play) -> None:
    """F34: an absence reply with the null sender is refused by the partner: the journal and the operator know, no bounce of
    it goes anywhere, and nothing loops."""
    alice = play.talk.alice["address"]
    play.talk.rule(
        play.talk.alice,
        "absence",
        alice,
        "--until",
        f"{datetime.now(UTC).date() + timedelta(days=9)}",
        "--text",
        "Absente.",
    )
    play.misbehave(rcpt={"boucle": b"550 5.1.1 nobody\r\n"})
    before = len(play.alive.events(play.alive.a, "message.failed"))
    time.sleep(3)  # rules are looked at every two seconds
    assert _say(play, "boucle@op-c.mssante.test", alice) == 250
    until(lambda: len(play.alive.events(play.alive.a, "message.failed")) > before, 30, "the reply is refused")
    told = until(
        lambda: [one for one in play.alive.events(play.alive.a, "message.notice") if one["status"] == "double_bounce"]
    )
    time.sleep(2)
    notices = len(play.alive.events(play.alive.a, "message.notice"))
    time.sleep(4)
    assert len(play.alive.events(play.alive.a, "message.notice")) == notices
    assert len(told) == 1
    assert len(play.alive.events(play.alive.a, "message.failed")) == before + 1
    waiting = json.loads(play.alive.caducee(play.alive.a, "queue", "list", "--json").stdout)
    assert waiting["total"] == 0


def _say(play: Play, sender: str, recipient: str, header: str = "") -> int:
    session = play.calling()
    with contextlib.closing(session):
        code, _ = session.mail(sender)
        if code != 250:
            return code
        code, _ = session.rcpt(recipient)
        if code != 250:
            return code
        text = (f"From: {header or sender}\r\nTo: <{recipient}>\r\nSubject: s\r\nMessage-ID: <{time.time_ns()}@op-c.mssante.test>\r\n"
                "Date: Mon, 02 Mar 2026 10:00:00 +0100\r\n\r\nBonjour.\r\n")  # fmt: skip
        return session.data(text.encode("ascii"))[0]


def test_an_operator_speaks_for_its_own_domains_only(play: Play) -> None:
    """F76: another listed domain, ours, one nobody listed: each its rule; and the header may not say what MAIL may not."""
    session = play.calling()
    refused = {}
    for sender in ("x@op-b.mssante.test", "x@op-a.mssante.test", "x@nulle-part.test"):
        code, text = session.mail(sender)
        refused[sender] = (code, text.decode("ascii").rpartition("[")[2].rstrip("]"))
    session.close()
    assert refused == {
        "x@op-b.mssante.test": (550, "trust.certificate_not_bound"),
        "x@op-a.mssante.test": (550, "trust.sender_is_ours"),
        "x@nulle-part.test": (550, "trust.sender_not_listed"),
    }
    paul = play.talk.paul["address"]
    assert _say(play, DR_C, paul) == 250
    for header in ("x@op-b.mssante.test", play.talk.alice["address"], "x@nulle-part.test"):
        assert _say(play, DR_C, paul, header) == 550
    rules = [
        decision[2] for event in play.alive.events(play.alive.a, "message.refused") for decision in event["decisions"]
    ]
    assert {"trust.certificate_not_bound", "trust.sender_is_ours", "trust.sender_not_listed"} <= set(rules)


def test_a_mailbox_suspended_or_closed_answers_so_and_points_nowhere(play: Play) -> None:
    """F80: 450 4.2.1, then 550 5.2.1, to partners and to colleagues; no word of where its owner may be, and its rules end."""
    box, target = play.talk.paul["address"], play.talk.jeanne["address"]
    play.talk.rule(play.talk.paul, "forward", box, target)
    held = len(play.alive.events(play.alive.b, "message.accepted"))
    for step, code, status in (("suspend", 450, b"4.2.1"), ("close", 550, b"5.2.1")):
        done = play.alive.caducee(play.alive.a, "mailbox", step, box, "--reason", "essai")
        assert done.returncode == 0, done.stderr

        def answer() -> tuple[int, bytes]:
            session = play.calling()
            with contextlib.closing(session):
                session.mail(DR_C)
                return session.rcpt(box)

        said = until(lambda code=code: (found := answer())[0] == code and found, 60, f"{step} answers {code}")
        assert said[1].startswith(status)
        assert target.encode() not in said[1]
        assert b"op-b" not in said[1]
        with play.talk.session(play.talk.alice) as smtp:
            smtp.mail(play.talk.alice["address"])
            assert smtp.rcpt(box)[0] == code
    assert len(play.alive.events(play.alive.b, "message.accepted")) == held


def test_too_many_recipients_are_put_off_and_the_message_passes_for_the_others(play: Play) -> None:
    """F57: 452 4.5.3 beyond the hundredth, however many are named; those accepted get the message."""
    session = play.calling()
    session.mail(DR_C)
    box = play.talk.alice["address"]
    codes = [session.rcpt(box)[0] for _ in range(100)]
    assert set(codes) == {250}
    for _ in range(150):
        code, text = session.rcpt(box)
        assert (code, text[:5]) == (452, b"4.5.3")
    mark = f"cent-{time.time_ns()}"
    content = (f"From: {DR_C}\r\nTo: x\r\nSubject: {mark}\r\nMessage-ID: <{mark}@op-c.mssante.test>\r\n"
               "Date: Mon, 02 Mar 2026 10:00:00 +0100\r\n\r\nx\r\n")  # fmt: skip
    assert session.data(content.encode("ascii"))[0] == 250
    session.close()
    play.talk.arrives(play.talk.alice, mark)
    assert play.talk.count(play.talk.alice, mark) == 1


def test_a_log_nobody_can_write_stops_nothing_and_the_journal_goes_on(tmp_path: Path) -> None:
    """F22: the operations log may be lost (a full disk, here /dev/full); the journal is what must not be, and is not."""
    killable = Killable(build(tmp_path))
    command = [sys.executable, "-m", "gateway.cli", "--config", str(killable.site.config), "serve"]
    with Path("/dev/full").open("wb", buffering=0) as full:
        killable.process = subprocess.Popen(
            [*command, "--ready-file", str(killable.site.ready), "--leash", "0"],
            stdin=subprocess.PIPE, stdout=full, stderr=full, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )  # fmt: skip
    try:
        until(killable.site.ready.exists, 40, "it serves")
        session = killable.partner_session()
        assert session.mail("x@op-a.mssante.test")[0] == 550  # logged, and journalled
        box = killable.site.mailboxes[0]["address"]
        for _ in range(3):
            assert session.mail("dr@op-b.mssante.test")[0] == 250
            assert session.rcpt(box)[0] == 250
            text = f"From: dr@op-b.mssante.test\r\nSubject: s\r\nMessage-ID: <{time.time_ns()}@op-b.mssante.test>\r\n"
            assert session.data((text + "Date: Mon, 02 Mar 2026 10:00:00 +0100\r\n\r\nx\r\n").encode("ascii"))[0] == 250
        session.close()
        told = json.loads(killable.caducee("journal", "verify", "--json").stdout)
        assert told["intact"]
        assert killable.stop() == 0
    finally:
        if killable.process.poll() is None:
            killable.kill()


def test_a_partner_known_by_the_dns_alone_is_found_waited_for_and_never_believed(tmp_path: Path) -> None:
    """F23, F24, F25 on a running operator with a name server of ours: SERVFAIL and silence wait, a null MX refuses, an MX
    that leads to another operator gets nothing."""
    from tests.fault.names import NameServer

    names = NameServer()
    peer = Peer(None)
    listener = Listener(peer.serve)
    settings = {**QUICK, ("dns", "servers"): ["127.0.0.1"], ("dns", "port"): names.port, ("dns", "timeout"): "1s",
                ("dns", "cache"): "0s", ("queue", "port"): listener.port}  # fmt: skip
    try:
        with living(tmp_path, settings, partners=[Partner(OPERATORS[2], "127.0.0.1", 1)]) as alive:
            config = alive.a.config.read_text("utf-8")
            head, _, routes = config.partition("[[routes]]\ndomain")  # without C's route: its name is all there is
            kept = [part for part in routes.split("[[routes]]\ndomain") if "op-c" not in part]
            alive.a.config.write_text("[[routes]]\ndomain".join([head, *kept]), "utf-8")
            play = Play(alive, peer)
            _reload(play, alive.a.config.read_text("utf-8"))
            wrong, right = (alive.pki.operators[name].server for name in ("op-b", "op-c"))
            names.mx["op-c.mssante.test"] = [(10, "smtp.op-c.mssante.test")]
            names.hosts["smtp.op-c.mssante.test"] = ["127.0.0.1"]
            names.failing.add("op-c.mssante.test")
            message = play.send(DR_C)
            assert until(lambda: play.steps(message, "deferred"), 20)[-1]["rule"] == "relay.dns_failed"
            names.failing.clear()
            names.silent = True
            count = len(play.steps(message, "deferred"))
            until(lambda: len(play.steps(message, "deferred")) > count, 20, "silence waits too")
            names.silent = False
            peer.context = tls.server_context([tls.Identity(wrong.certificate, wrong.key)], ask_certificate=True,
                                              anchors=[alive.pki.ca])  # fmt: skip
            until(lambda: play.steps(message, "deferred")[-1]["rule"].startswith("trust.partner_"), 20, "not believed")
            assert not peer.messages
            assert not any(line.startswith(b"MAIL") for line in peer.commands)
            peer.context = tls.server_context([tls.Identity(right.certificate, right.key)], ask_certificate=True,
                                              anchors=[alive.pki.ca])  # fmt: skip
            until(lambda: play.steps(message, "handed_over"), 30, "the right one gets it")
            names.mx["op-c.mssante.test"] = [(0, ".")]
            refused = play.send(DR_C)
            assert until(lambda: play.steps(refused, "failed"), 20)[-1]["rule"] == "relay.null_mx"
    finally:
        listener.close()
        names.close()
