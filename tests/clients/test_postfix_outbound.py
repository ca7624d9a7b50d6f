"""Our courier's client against a real Postfix that demands client certificates: bytes, replies, notices, silence."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gateway.smtp import tls
from gateway.smtp.outbound import Patience
from mailboxes.anatomy import dissect
from policies.receipts import State
from tests.clients import postfix_partner
from tests.clients.postfix_partner import PostfixPartner
from tests.gateway.relay.space import DOMAIN, Body, Space, parcel, rules_of
from tests.postgres import free_port

pytestmark = pytest.mark.client

PATIENT = Patience(connect=5, greeting=10, command=10, tls=10, data=10, block=30, dot=60, quit=2)


@dataclass
class Pair:
    """Operator A is our client, operator B is Postfix."""

    space: Space
    postfix: PostfixPartner


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    space = Space.build(tmp_path_factory.mktemp("pki"))
    facts = space.pki.facts()
    authorities = [str(space.pki.ca), str(space.pki.intermediate)]
    postfix = postfix_partner.start(DOMAIN, free_port(), facts["op-b"], authorities, {})  # type: ignore[arg-type]
    etc = postfix.directory / "etc"
    (etc / "access").write_text(
        f"busy@{DOMAIN} 450 4.2.1 mailbox busy\ngone@{DOMAIN} 550 5.1.1 no such mailbox\n", "ascii"
    )
    with (etc / "main.cf").open("a") as main:
        main.write(
            f"smtpd_recipient_restrictions = check_recipient_access texthash:{etc}/access,"
            " permit_tls_all_clientcerts, reject\nsmtpd_relay_restrictions = reject_unauth_destination\n"
        )
    postfix.command("reload")
    _wait_for_banner(postfix)
    try:
        yield Pair(space, postfix)
    finally:
        postfix.stop()


def _wait_for_banner(postfix: PostfixPartner) -> None:
    import socket

    for _ in range(100):
        try:
            with socket.create_connection(("127.0.0.1", postfix.port), 1) as link:
                if link.recv(100).startswith(b"220"):
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(postfix.log)


def sent_content(mark: str) -> bytes:
    return (
        f"From: <alice@op-a.mssante.test>\r\nTo: <bob@{DOMAIN}>\r\nSubject: {mark}\r\n"
        f"Message-ID: <{mark}@op-a.mssante.test>\r\n\r\n.first\r\n..second\r\n.\r\nlast {mark}\r\n"
    ).encode()


async def test_every_byte_arrives_and_dots_are_undone(pair: Pair) -> None:
    content = sent_content("dots-1")
    partners = pair.space.partners(pair.postfix.port, patience=PATIENT)
    attempt = await partners.send(parcel(content))
    await partners.close()
    assert rules_of(attempt) == ["relay.handed_over"]
    received = await asyncio.to_thread(pair.postfix.wait_for, b"last dots-1")
    _, _, body = received.partition(b"\n\n")
    assert body.replace(b"\n", b"\r\n") == b".first\r\n..second\r\n.\r\nlast dots-1\r\n"
    assert "Trusted TLS connection established from" in pair.postfix.log


async def test_several_messages_and_a_large_one_share_one_session(pair: Pair) -> None:
    line = b"x" * 76 + b"\r\n"
    large = b"Subject: large-2\r\n\r\n" + line * 64_000 + b"end large-2\r\n"
    partners = pair.space.partners(pair.postfix.port, patience=PATIENT)
    before = pair.postfix.log.count(": connect from")
    for number in range(5):
        assert rules_of(await partners.send(parcel(sent_content(f"shared-{number}")))) == ["relay.handed_over"]
    assert rules_of(await partners.send(parcel(large))) == ["relay.handed_over"]
    await partners.close()
    received = await asyncio.to_thread(pair.postfix.wait_for, b"end large-2")
    assert len(received.replace(b"\n", b"\r\n")) > len(large)
    assert pair.postfix.log.count(": connect from") == before + 1


async def test_each_recipient_has_the_answer_postfix_gave(pair: Pair) -> None:
    partners = pair.space.partners(pair.postfix.port, patience=PATIENT)
    attempt = await partners.send(parcel(sent_content("three-3"), "bob", "busy", "gone"))
    await partners.close()
    assert rules_of(attempt) == ["relay.handed_over", "relay.partner_deferred", "relay.partner_refused"]
    assert [result.status for result in attempt.results] == ["2.0.0", "4.2.1", "5.1.1"]
    assert "no such mailbox" in attempt.results[2].reply


async def test_the_success_notice_of_postfix_is_understood(pair: Pair) -> None:
    """RFC 3461 end to end: NOTIFY and ENVID passed on, and the DSN that comes back read."""
    from gateway.relay.receipts import read

    content = sent_content("notify-4")
    away = parcel(content, sender=f"alice@{DOMAIN}")  # so that Postfix has the notice at hand
    partners = pair.space.partners(pair.postfix.port, patience=PATIENT)
    attempt = await partners.send(replace(away, envid="notify+2B4"))
    await partners.close()
    assert attempt.results[0].dsn_passed
    notice = await asyncio.to_thread(pair.postfix.wait_for, b"message/delivery-status")
    raw = notice.replace(b"\n", b"\r\n")
    (found,) = read(dissect(raw), raw)
    assert found.state is State.DELIVERED
    assert found.recipient == f"bob@{DOMAIN}"
    assert found.envid == "notify+4"
    assert found.message_id == "notify-4@op-a.mssante.test"


async def test_without_our_certificate_postfix_takes_nothing(pair: Pair) -> None:
    """What Postfix demands of us is what we demand of it."""
    guard = pair.space.guard()
    context = tls.client_context(None)
    guard._context = lambda: context
    partners = pair.space.partners(pair.postfix.port, patience=PATIENT)
    partners._guard = guard
    attempt = await partners.send(parcel(sent_content("naked-5")))
    assert attempt.broken is not None or rules_of(attempt)[0] != "relay.handed_over"
    assert "naked-5" not in "".join(
        path.read_text("latin-1") for path in pair.postfix.maildir.glob("new/*") if path.is_file()
    )


async def test_postfix_under_a_name_that_is_not_its_own_gets_nothing(pair: Pair) -> None:
    partners = pair.space.partners(pair.postfix.port, patience=PATIENT, name="smtp.op-c.mssante.test")
    attempt = await partners.send(parcel(sent_content("wrong-6")))
    assert rules_of(attempt) == ["trust.partner_certificate_wrong_name"]


async def test_a_message_over_its_limit_is_not_even_begun(pair: Pair) -> None:
    partners = pair.space.partners(pair.postfix.port, patience=PATIENT)
    attempt = await partners.send(parcel(body=Body(b"z" * 30_000_001)))
    await partners.close()
    assert rules_of(attempt) == ["relay.too_big"]


async def test_a_postfix_that_was_stopped_does_not_hold_others_up(pair: Pair) -> None:
    """F31, SIGSTOP: the silent partner costs its own lane one timeout, the other one nothing."""
    from tests.gateway.relay.peer import Peer, serving

    pids = _processes(pair.postfix)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        async with serving(Peer(pair.space.server())) as peer:
            quick = replace(PATIENT, greeting=1.0, connect=1.0)
            stopped = asyncio.create_task(
                pair.space.partners(pair.postfix.port, patience=quick).send(parcel(sent_content("stopped-7")))
            )
            lively = pair.space.partners(peer.port, patience=quick)
            for _ in range(5):
                assert rules_of(await lively.send(parcel())) == ["relay.handed_over"]
            assert not stopped.done()
            attempt = await stopped
            await lively.close()
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert rules_of(attempt)[0] in ("relay.silent", "relay.unreachable")
    assert attempt.broken is not None


def _processes(postfix: PostfixPartner) -> list[int]:
    """The master of this instance and its children, by parent id: no other Postfix is touched."""
    master = int((postfix.directory / "queue" / "pid" / "master.pid").read_text().strip())
    children = [
        int(word) for word in Path(f"/proc/{master}/task/{master}/children").read_text(encoding="utf-8").split()
    ]
    return [master, *children]
