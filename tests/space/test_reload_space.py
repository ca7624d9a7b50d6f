"""SIGHUP: what the configuration says is in force without a restart really is, and what needs one is told by name."""

from __future__ import annotations

import contextlib
import imaplib
import json
import signal
import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.admin.derive import Value, derive
from gateway.admin.space import Site, partner
from tests.space.living import Living, until
from tests.space.running import free_port

pytestmark = [pytest.mark.slow]
AES256, AES128 = "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"


class Ground:
    """Operator A of a space, with a partner at which nobody listens."""

    def __init__(self, folder: Path) -> None:
        dead = partner(f"op-c.mssante.test=127.0.0.1:{free_port()}")
        self.living = Living(
            folder, {("queue", "first_retry"): "1h", ("queue", "longest_retry"): "2h"}, partners=[dead]
        )
        self.good = self.site.config.read_text("utf-8")

    @property
    def site(self) -> Site:
        return self.living.a

    def reload(self, values: dict[tuple[str, str], Value]) -> dict[str, Any]:
        """Change settings of the running operator; the event of the reload."""
        before = len(self.living.events(self.site, "service.reloaded"))
        self.site.config.write_text(_set(self.good, values), "utf-8")
        assert self.site.process is not None
        self.site.process.send_signal(signal.SIGHUP)
        until(lambda: len(self.living.events(self.site, "service.reloaded")) > before, 20, "reloaded")
        return self.living.events(self.site, "service.reloaded")[-1]

    def submission(self) -> smtplib.SMTP_SSL:
        box = self.site.mailboxes[0]
        smtp = smtplib.SMTP_SSL("127.0.0.1", self.site.ports["submissions"], context=self.living.trust(), timeout=30)
        smtp.login(box["login"], box["device_password"])
        return smtp

    def submit(self, recipient: str) -> tuple[int, bytes]:
        box = self.site.mailboxes[0]
        with self.submission() as smtp:
            code, text = smtp.mail(box["address"])
            if code == 250:
                code, text = smtp.rcpt(recipient)
            if code != 250:
                return code, text
            lines = (f"From: {box['address']}", "To: x", "Subject: s", f"Message-ID: <{time.time_ns()}@op-a.mssante.test>",
                     "Date: Mon, 02 Mar 2026 10:00:00 +0100", "", "x", "")  # fmt: skip
            return smtp.data("\r\n".join(lines).encode("ascii"))


def _set(text: str, values: dict[tuple[str, str], Value]) -> str:
    """The configuration with other values: the routes stand at its end and are kept as they are."""
    head, mark, routes = text.partition("[[routes]]\ndomain")
    return derive(head, values) + mark + routes


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    made = Ground(tmp_path_factory.mktemp("reload"))
    made.living.space.start()
    try:
        yield made
    finally:
        made.living.space.stop()


def _agreed(ground: Ground, door: str, suite: str) -> str:
    """The suite a TLS 1.2 client that knows only this one gets at a door; empty when the handshake fails."""
    context = ground.living.trust()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suite)
    port = ground.site.ports[door]
    with contextlib.suppress(ssl.SSLError, OSError, imaplib.IMAP4.error):
        if door in ("inbound", "submission"):
            with smtplib.SMTP("127.0.0.1", port, timeout=20) as smtp:
                smtp.starttls(context=context)
                assert isinstance(smtp.sock, ssl.SSLSocket)
                return str((smtp.sock.cipher() or ("",))[0])
        if door == "imap":
            with imaplib.IMAP4("127.0.0.1", port, timeout=20) as imap:
                imap.starttls(ssl_context=context)
                assert isinstance(imap.sock, ssl.SSLSocket)
                return str((imap.sock.cipher() or ("",))[0])
        with (
            socket.create_connection(("127.0.0.1", port), timeout=20) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as secured,
        ):
            return str((secured.cipher() or ("",))[0])
    return ""


DOORS = ("inbound", "submission", "submissions", "imap", "imaps", "ldaps")


def test_suites_are_those_of_the_file_on_every_door(ground: Ground) -> None:
    """MSS-023: from the next handshake on, while open sessions go on."""
    session = ground.submission()
    assert {door: _agreed(ground, door, AES256) for door in DOORS} == dict.fromkeys(DOORS, AES256)
    ground.reload({("tls", "suites"): [AES128]})
    assert {door: _agreed(ground, door, AES256) for door in DOORS} == dict.fromkeys(DOORS, "")
    assert {door: _agreed(ground, door, AES128) for door in DOORS} == dict.fromkeys(DOORS, AES128)
    assert session.noop()[0] == 250
    ground.reload({})
    assert _agreed(ground, "imaps", AES256) == AES256


def _deferred(ground: Ground) -> list[dict[str, Any]]:
    return ground.living.events(ground.site, "message.deferred")


def test_the_retry_schedule_is_that_of_the_file(ground: Ground) -> None:
    """MSS-041: what waits is tried again by the new pauses, what is accepted lives by the new lifetime."""
    assert ground.submit("x@op-c.mssante.test")[0] == 250
    first = until(lambda: _deferred(ground), 30, "the first attempt fails")[-1]
    assert first["next"] - time.time() > 3000
    ground.reload({("queue", "first_retry"): "1s", ("queue", "longest_retry"): "2s", ("queue", "lifetime"): "1h",
                   ("queue", "warn_after"): "30min", ("queue", "unknown_domain"): "1h"})  # fmt: skip
    ground.living.caducee(ground.site, "queue", "retry", "--all")
    until(lambda: len(_deferred(ground)) >= 3, 30, "tried again in seconds")
    assert _deferred(ground)[-1]["next"] - time.time() < 5
    assert ground.submit("y@op-c.mssante.test")[0] == 250
    rows = json.loads(ground.living.caducee(ground.site, "queue", "list", "--json").stdout)["rows"]
    lives = {row["recipient"][0]: row["expires_at"] - row["accepted_at"] for row in rows}
    assert lives["x"] > 4 * 86400
    assert lives["y"] == pytest.approx(3600)
    ground.living.caducee(ground.site, "queue", "drop", "--all", "--yes")


def test_limits_and_the_scanner_are_those_of_the_file(ground: Ground) -> None:
    here = ground.site.mailboxes[1]["address"]
    assert ground.submit(here)[0] == 250
    ground.reload({("scan", "clamd"): f"127.0.0.1:{free_port()}", ("scan", "timeout"): "1s"})
    code, text = ground.submit(here)
    assert (code, b"scan.unavailable" in text) == (451, True)
    ground.reload({("inbound", "connections_per_ip"): 2, ("limits", "messages_per_account"): 2})
    assert [ground.submit(here)[0] for _ in range(2)] == [250, 250]  # what was not taken does not count
    code, text = ground.submit(here)
    assert b"session.rate_limited" in text, (code, text)
    held = [socket.create_connection(("127.0.0.1", ground.site.ports["inbound"]), timeout=10) for _ in range(3)]
    assert sorted(each.recv(3) for each in held) == [b"220", b"220", b"421"]
    for each in held:
        each.close()
    ground.reload({})
    code, text = ground.submit(here)
    assert code == 250, text


def test_what_needs_a_restart_is_told_by_name_and_by_the_file(ground: Ground) -> None:
    told = ground.reload({("store", "readers"): 5, ("tokens", "acr"): "eidas2", ("queue", "lease"): "60s"})
    assert told["outcome"] == "done"
    assert told["reason"].split() == ["store.readers", "queue.lease", "tokens.acr"]
    assert '"reload_needs_restart"' in ground.site.log.read_text("utf-8")
    ground.reload({})
