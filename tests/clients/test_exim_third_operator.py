"""Exim as a third operator, with GnuTLS: it sends to us and we send to it, each judging the other's certificate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.clients import exim_partner
from tests.clients.programs import program, run
from tests.space import running

pytestmark = [pytest.mark.client, pytest.mark.slow]
DOMAIN = "op-c.mssante.test"


@dataclass
class Triangle:
    space: running.Space
    exim: exim_partner.EximPartner


@pytest.fixture(scope="module")
def triangle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triangle]:
    """Operators A and B are ours, C is Exim."""
    port = running.free_port()
    space = running.start(tmp_path_factory.mktemp("triangle"), "--partner", f"{DOMAIN}=127.0.0.1:{port}")
    inbound = space.a["smtp"]
    routes = {space.a["domain"]: (inbound["host"], inbound["port"], f"smtp.{space.a['domain']}")}
    exim = None
    try:
        authorities = [space.ca, space.facts["pki"]["intermediate"]]
        exim = exim_partner.start(DOMAIN, port, space.facts["pki"]["op-c"], authorities, routes)
        yield Triangle(space, exim)
    finally:
        if exim is not None:
            exim.stop()
        space.stop()


def at_exim(triangle: Triangle, sender: str, recipient: str, subject: str, *certificate: str) -> int:
    """Hand a message to Exim, as its own user would."""
    card = triangle.space.facts["pki"]["op-c"]
    shown = certificate or ("--tls-cert", card["client_cert"], "--tls-key", card["client_key"])
    done = run(
        program("swaks"), "--server", f"127.0.0.1:{triangle.exim.port}", "--tls", *shown,
        "--from", sender, "--to", recipient, "--header", f"Subject: {subject}",
    )  # fmt: skip
    return done.returncode


def test_exim_sends_to_us(triangle: Triangle) -> None:
    box = triangle.space.box(triangle.space.a)
    assert at_exim(triangle, f"dr.tiers@{DOMAIN}", box["address"], "de exim 71ab") == 0
    raw = triangle.space.wait_for(triangle.space.a, box, "de exim 71ab")
    assert raw.startswith(b"Return-Path: <dr.tiers@op-c.mssante.test>\r\n")


def test_we_send_to_exim(triangle: Triangle) -> None:
    box, where = triangle.space.box(triangle.space.a), triangle.space.a["submissions"]
    done = run(
        program("swaks"), "--server", f"{where['host']}:{where['port']}", "--tls-on-connect",
        "--auth", "PLAIN", "--auth-user", box["login"], "--auth-password", box["device_password"],
        "--from", box["address"], "--to", f"dr.tiers@{DOMAIN}", "--header", "Subject: vers exim 71cd",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    content = triangle.exim.wait_for(b"vers exim 71cd")
    assert b"Return-path: <" + box["address"].encode() in content
    # Exim's access list wants a certificate that leads to the authority of the space, and logs whose it was.
    triangle.exim.wait_logged("DN=")
    assert "smtp.op-a.mssante.test" in triangle.exim.log


def test_exim_may_not_speak_for_our_partner(triangle: Triangle) -> None:
    box = triangle.space.box(triangle.space.a)
    assert at_exim(triangle, f"faux@{triangle.space.b['domain']}", box["address"], "usurpation 71ef") == 0
    triangle.exim.wait_logged("trust.certificate_not_bound")
    with triangle.space.imap(triangle.space.a, box) as imap:
        assert imap.search(None, "TEXT", '"usurpation 71ef"')[1] == [b""]
