"""Postfix as a third operator: it sends to us and we send to it, over mutual TLS, each judging the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.clients import postfix_partner
from tests.clients.programs import program, run
from tests.space import running

pytestmark = pytest.mark.client

DOMAIN = "op-c.mssante.test"


@dataclass
class Triangle:
    space: running.Space
    postfix: postfix_partner.PostfixPartner


@pytest.fixture(scope="module")
def triangle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triangle]:
    """Operators A and B are ours, C is Postfix."""
    port = running.free_port()
    directory = tmp_path_factory.mktemp("triangle")
    space = running.start(directory, "--partner", f"{DOMAIN}=127.0.0.1:{port}")
    inbound = space.a["smtp"]
    routes = {space.a["domain"]: (inbound["host"], inbound["port"], f"smtp.{space.a['domain']}")}
    postfix = None
    try:
        authorities = [space.ca, space.facts["pki"]["intermediate"]]
        postfix = postfix_partner.start(DOMAIN, port, space.facts["pki"]["op-c"], authorities, routes)
        yield Triangle(space, postfix)
    finally:
        if postfix is not None:
            postfix.stop()
        space.stop()


def submit_at_postfix(triangle: Triangle, sender: str, recipient: str, subject: str) -> str:
    card = triangle.space.facts["pki"]["op-c"]
    done = run(
        program("swaks"), "--server", f"127.0.0.1:{triangle.postfix.port}", "--tls",
        "--tls-cert", card["client_cert"], "--tls-key", card["client_key"],
        "--from", sender, "--to", recipient, "--header", f"Subject: {subject}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_postfix_sends_to_us(triangle: Triangle) -> None:
    box = triangle.space.box(triangle.space.a)
    submit_at_postfix(triangle, f"dr.tiers@{DOMAIN}", box["address"], "de postfix 90ab")
    raw = triangle.space.wait_for(triangle.space.a, box, "de postfix 90ab")
    assert raw.startswith(b"Return-Path: <dr.tiers@op-c.mssante.test>\r\n")


def test_we_send_to_postfix(triangle: Triangle) -> None:
    box, where = triangle.space.box(triangle.space.a), triangle.space.a["submissions"]
    done = run(
        program("swaks"), "--server", f"{where['host']}:{where['port']}", "--tls-on-connect",
        "--auth", "PLAIN", "--auth-user", box["login"], "--auth-password", box["device_password"],
        "--from", box["address"], "--to", f"dr.tiers@{DOMAIN}", "--header", "Subject: vers postfix 90cd",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    content = triangle.postfix.wait_for(b"vers postfix 90cd")
    assert b"with ESMTPS" in content
    assert content.count(b"Return-Path:") == 1  # Postfix's own: ours stays in the house
    # "Trusted": Postfix verified our client certificate against the authorities of the space
    assert "Trusted TLS connection established from" in triangle.postfix.log


def test_postfix_may_not_send_for_our_partner(triangle: Triangle) -> None:
    box = triangle.space.box(triangle.space.a)
    submit_at_postfix(triangle, f"faux@{triangle.space.b['domain']}", box["address"], "usurpation 90ef")
    deadline = 20
    while "trust." not in triangle.postfix.log and deadline:
        import time

        time.sleep(0.5)
        deadline -= 0.5
    assert "550 5.7.1" in triangle.postfix.log


def test_a_refused_recipient_comes_back_as_a_notice_of_postfix(triangle: Triangle) -> None:
    """We refuse inside the session, so it is the sending operator that tells its user (accept is deliver)."""
    submit_at_postfix(triangle, f"dr.tiers@{DOMAIN}", f"personne@{triangle.space.a['domain']}", "inconnu 9123")
    assert b"5.1.1" in triangle.postfix.wait_for(b"Undelivered Mail Returned to Sender")


def test_a_notice_of_postfix_under_the_name_of_its_host_reaches_our_user(triangle: Triangle) -> None:
    """Nobody set `myorigin`: what failed behind Postfix is told by MAILER-DAEMON at the host, not at the domain."""
    box = triangle.space.box(triangle.space.a)
    submit_at_postfix(triangle, box["address"], f"personne@{triangle.space.a['domain']}", "revient 90gh")
    raw = triangle.space.wait_for(triangle.space.a, box, "Undelivered Mail Returned to Sender")
    assert f"MAILER-DAEMON@smtp.{DOMAIN}".encode() in raw
