"""F45 on running operators: a certificate whose only witness is its OCSP responder (OpenSSL's own), which may say good,
revoked, unknown or nothing, or be played again by somebody on the way.

The revocation list of the holders' authority is left out of operator A's configuration, so that the responder alone knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import smtplib
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.admin import pki
from gateway.admin.derive import Value
from gateway.admin.pki import Card
from tests.fault.proxy import Listener
from tests.space.living import IN_FORCE, Living, ended, until
from tests.space.running import free_port

pytestmark = [pytest.mark.slow]
DR_B = "jeanne.bernard@op-b.mssante.test"
KEPT = "1s"
"""How long the courier keeps a session with a partner: the next message meets the server anew."""


class Responder:
    """``openssl ocsp`` as a server, and the index of what it knows."""

    def __init__(self, alive: Living, folder: Path) -> None:
        self.port, self.folder, self.alive = free_port(), folder, alive
        self.index = folder / "index.txt"
        self._lines: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        key = pki.rsa_key()
        name = pki.authority_name("REPONDEUR ESSAI")
        delegate = alive.pki.authority.issue(name, key, datetime.now(UTC), usages=(ExtendedKeyUsageOID.OCSP_SIGNING,))
        self.card = alive.pki.card("ocsp_signer", delegate, key)

    def knows(self, card: Card, *, revoked: bool = False) -> None:
        """Write what it says about a certificate; it reads its index again by itself."""
        leaf = x509.load_pem_x509_certificate(card.certificate.read_bytes())
        ends, now = leaf.not_valid_after_utc, datetime.now(UTC)
        word, when = ("R", f"{now:%y%m%d%H%M%SZ}") if revoked else ("V", "")
        serial = f"{leaf.serial_number:X}"
        serial = serial if len(serial) % 2 == 0 else f"0{serial}"
        self._lines[serial] = f"{word}\t{ends:%y%m%d%H%M%SZ}\t{when}\t{serial}\tunknown\t/CN={serial}\n"
        self.index.write_text("".join(self._lines.values()))
        if self._process is not None:  # told at once rather than at its next look
            self.stop()
            self.start()

    def start(self) -> None:
        command = ["openssl", "ocsp", "-port", str(self.port), "-index", str(self.index),
                   "-CA", str(self.alive.pki.intermediate), "-rsigner", str(self.card.certificate),
                   "-rkey", str(self.card.key), "-nmin", "60", "-ignore_err"]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._answers, 15, "the responder answers")

    def _answers(self) -> bool:
        card = self.alive.pki.operators["op-b"].client
        command = ["openssl", "ocsp", "-issuer", str(self.alive.pki.intermediate), "-cert", str(card.certificate),
                   "-url", f"http://127.0.0.1:{self.port}", "-noverify"]  # fmt: skip
        return subprocess.run(command, capture_output=True, check=False, timeout=20).returncode == 0

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None


class OnTheWay:
    """Between the operators and the responder: passes on, keeps what went by, plays it again, or hangs up."""

    HONEST, REPLAY, DEAD = "honest", "replay", "dead"

    def __init__(self, port: int) -> None:
        self.target, self.mode, self.answers, self.asked = port, self.HONEST, list[bytes](), 0
        self.listener = Listener(self.serve)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.listener.port}/"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            body = await reader.readexactly(length)
            if self.mode == self.REPLAY:
                writer.write(self.answers[-1])
            elif self.mode == self.HONEST:
                back, forth = await asyncio.open_connection("127.0.0.1", self.target)
                forth.write(head + body)
                said = await back.read()
                forth.close()
                self.answers.append(said)
                writer.write(said)
        writer.close()


class Ground:
    """The space, the responder behind its proxy, and a card per story."""

    def __init__(self, folder: Path) -> None:
        root_only = [str(folder / "space" / "pki" / "root_crl.pem")]
        settings: dict[tuple[str, str], Value] = {
            ("trust", "ocsp"): True, ("trust", "crls"): root_only, ("queue", "keep_open"): KEPT,
        }  # fmt: skip
        self.alive = Living(folder, settings)
        self.responder = Responder(self.alive, folder)
        self.way = OnTheWay(self.responder.port)
        mine, theirs = (self.alive.pki.operators[name] for name in ("op-a", "op-b"))
        for number, (card, owner, server) in enumerate(
            ((theirs.server, 1, True), (theirs.server_curve, 1, True), (mine.client, 0, False))
        ):
            made = self.alive.card(
                f"asked_{number}", owner, server=server, curve=card is theirs.server_curve, responder=self.way.address
            )
            card.certificate.write_bytes(made.certificate.read_bytes())
            card.key.write_bytes(made.key.read_bytes())
            self.responder.knows(card)

    def card(self, name: str, *, revoked: bool | None = False) -> Card:
        """A certificate of operator B's; ``revoked`` None: the responder has never heard of it."""
        made = self.alive.card(name, responder=self.way.address)
        if revoked is not None:
            self.responder.knows(made, revoked=revoked)
        return made

    def said(self, card: Card) -> str:
        """What the first MAIL of a new session hears, rule included."""
        with self.alive.partner(card) as session:
            code, text = session.mail(DR_B)
        return f"{code} {text.decode('ascii')}"

    def configure(self, **values: str) -> None:
        """Change operator A's trust settings while it runs."""
        config = self.alive.a.config
        lines = config.read_text("utf-8").split("\n")
        for key, value in values.items():
            lines = [line for line in lines if not line.startswith(f"{key} = ")]
            lines.insert(lines.index("[trust]") + 1, f"{key} = {value}")
        config.write_text("\n".join(lines), "utf-8")
        before = len(self.alive.events(self.alive.a, "service.reloaded"))
        assert self.alive.a.process is not None
        self.alive.a.process.send_signal(signal.SIGHUP)
        until(lambda: len(self.alive.events(self.alive.a, "service.reloaded")) > before, 20, "reloaded")
        assert self.alive.events(self.alive.a, "service.reloaded")[-1]["outcome"] == "done"


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    made = Ground(tmp_path_factory.mktemp("ocsp"))
    try:
        made.responder.start()
        made.alive.space.start()
        yield made
    finally:
        made.alive.space.stop()
        made.responder.stop()
        made.way.listener.close()


@pytest.fixture(autouse=True)
def _honest(ground: Ground) -> Iterator[None]:
    yield
    ground.way.mode = OnTheWay.HONEST


def test_good_passes_at_the_first_contact_and_revoked_ends_what_is_open(ground: Ground) -> None:
    """F45, F46: nobody is deferred for a question not asked yet; a revocation is heard of while the session is open."""
    card = ground.card("b_known")
    session = ground.alive.partner(card)
    assert session.mail(DR_B)[0] == 250
    assert session.rcpt(ground.alive.a.mailboxes[0]["address"])[0] == 250
    session.rset()
    began = time.monotonic()
    ground.responder.knows(card, revoked=True)
    last = until(lambda: ended(session), what="the open session ends")
    assert time.monotonic() - began < IN_FORCE
    assert b"trust.certificate_revoked" in last
    assert "554" in (said := ground.said(card)), said
    assert "trust.certificate_revoked" in said
    rules = {event["rule"] for event in ground.alive.events(ground.alive.a, "session.peer_refused")}
    assert "trust.certificate_revoked" in rules


def test_an_old_answer_played_again_is_not_believed(ground: Ground) -> None:
    """F45: the responder said good once; whoever kept that answer cannot clear a certificate revoked since."""
    card = ground.card("b_replayed")
    question = ["openssl", "ocsp", "-issuer", str(ground.alive.pki.intermediate), "-cert", str(card.certificate),
                "-url", ground.way.address, "-CAfile", str(ground.alive.pki.ca)]  # fmt: skip
    asked = subprocess.run(question, capture_output=True, text=True, check=False, timeout=20)
    assert f"{card.certificate}: good" in asked.stdout, asked.stdout + asked.stderr
    ground.responder.knows(card, revoked=True)
    ground.way.mode = OnTheWay.REPLAY
    said = ground.said(card)
    assert said.startswith("421"), said
    assert "trust.revocation_unknown" in said


@pytest.mark.parametrize("silence", ["dead", "unknown"])
def test_what_nobody_knows_gets_the_configured_answer_until_a_fresh_list_knows(ground: Ground, silence: str) -> None:
    """MSS-020, F45: down and *unknown* are one state with one configured answer; a fresh revocation list ends it."""
    card = ground.card(f"b_{silence}", revoked=None if silence == "unknown" else False)
    if silence == "dead":
        ground.way.mode = OnTheWay.DEAD
    answers = {"defer": ("421", "[trust.revocation_unknown]"), "refuse": ("554", "[trust.revocation_unknown_refused]"),
               "accept": ("250", "")}  # fmt: skip
    for setting, (code, name) in answers.items():
        ground.configure(revocation_unknown=f'"{setting}"')
        said = ground.said(card)
        assert said.startswith(code), (setting, said)
        assert name in said
    pki_folder = ground.alive.pki.directory
    both = f'["{pki_folder / "root_crl.pem"}", "{pki_folder / "crl.pem"}"]'
    try:
        ground.configure(revocation_unknown='"defer"', crls=both)
        assert ground.said(card).startswith("250")
        ground.alive.revoke(card.certificate)
        until(lambda: "trust.certificate_revoked" in ground.said(card), 30, "the list is believed")
    finally:
        ground.configure(crls=f'["{pki_folder / "root_crl.pem"}"]')


def test_the_courier_asks_about_the_server_it_meets(ground: Ground) -> None:
    """F45 outbound: delivered while the partner's server is good, kept while it is revoked."""
    box, cards = ground.alive.a.mailboxes[0], ground.alive.pki.operators["op-b"]
    held = len(ground.alive.events(ground.alive.b, "message.accepted"))
    assert _submit(ground, box) == 250
    until(lambda: len(ground.alive.events(ground.alive.b, "message.accepted")) > held, 30, "handed over")
    for card in (cards.server, cards.server_curve):
        ground.responder.knows(card, revoked=True)
    time.sleep(float(KEPT.rstrip("s")) + 1)  # the session that was good is used no more
    assert _submit(ground, box) == 250
    until(lambda: "trust.partner_certificate_revoked" in _deferred(ground), 30, "kept, and why")
    assert len(ground.alive.events(ground.alive.b, "message.accepted")) == held + 1


def _submit(ground: Ground, box: dict) -> int:
    site = ground.alive.a
    with smtplib.SMTP_SSL("127.0.0.1", site.ports["submissions"], context=ground.alive.trust(), timeout=30) as smtp:
        smtp.login(box["login"], box["device_password"])
        smtp.mail(box["address"])
        smtp.rcpt(ground.alive.b.mailboxes[0]["address"])
        text = f"From: {box['address']}\r\nTo: x\r\nSubject: s\r\nMessage-ID: <{time.time_ns()}@op-a.mssante.test>\r\n"
        return smtp.data((text + "Date: Mon, 02 Mar 2026 10:00:00 +0100\r\n\r\nx\r\n").encode("ascii"))[0]


def _deferred(ground: Ground) -> set[str]:
    return {event["rule"] for event in ground.alive.events(ground.alive.a, "message.deferred")}
