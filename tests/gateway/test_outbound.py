"""Our client against a partner that behaves, and one that misbehaves in every way (F23-F33, MSS-038, MSS-039)."""

from __future__ import annotations

import asyncio
import os
import resource
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.admin import pki
from gateway.relay.parcel import Waypoint
from gateway.smtp.resolver import Target
from mailboxes.seal import FRAME
from policies.catalogue import rule
from policies.values import DsnRequest
from tests.gateway.relay.peer import CLOSE, HANG, Peer, serving
from tests.gateway.relay.space import DOMAIN, QUICK, Body, Space, parcel, rules_of


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Space:
    return Space.build(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def space(built: Space) -> Space:
    return built.fresh()


@pytest.fixture
async def peer(space: Space) -> AsyncIterator[Peer]:
    async with serving(Peer(space.server())) as made:
        yield made


def only_hello_in_clear(peer: Peer) -> bool:
    lines = bytes(peer.clear).split(b"\r\n")
    return all(line in (b"EHLO mail.op-a.mssante.test", b"STARTTLS", b"QUIT", b"") for line in lines)


async def test_a_message_goes_over_mutual_tls_with_dots_stuffed_and_dsn_passed_on(space: Space, peer: Peer) -> None:
    content = b"Subject: x\r\n\r\n.\r\n..two\r\nend"
    partners = space.partners(peer.port)
    attempt = await partners.send(parcel(content, "bob", "eve"))
    assert rules_of(attempt) == ["relay.handed_over", "relay.handed_over"]
    assert attempt.results[0].reply == "250 2.0.0 queued as 42"
    assert attempt.results[0].dsn_passed
    assert len(attempt.results[0].certificate) == 64
    assert peer.messages == [b"Subject: x\r\n\r\n..\r\n...two\r\nend\r\n.\r\n"]
    mail = next(line for line in peer.commands if line.startswith(b"MAIL"))
    assert mail == b"MAIL FROM:<alice@op-a.mssante.test> SIZE=27 RET=HDRS ENVID=E1\r\n"
    assert b"RCPT TO:<eve@op-b.mssante.test> NOTIFY=SUCCESS ORCPT=rfc822;eve@op-b.mssante.test\r\n" in peer.commands
    assert only_hello_in_clear(peer)
    await partners.close()
    assert peer.connections == 1


async def test_a_session_carries_several_messages_and_is_closed_when_idle(space: Space, peer: Peer) -> None:
    now = [100.0]
    partners = space.partners(peer.port, now=lambda: now[0])
    for _ in range(3):
        await partners.send(parcel())
    assert (peer.connections, len(peer.messages), partners.idle) == (1, 3, 1)
    now[0] += 31
    await partners.sweep()
    assert partners.idle == 0
    await partners.send(parcel())
    assert peer.connections == 2
    await partners.close()


async def test_kept_sessions_make_room_for_new_ones(space: Space, peer: Peer) -> None:
    """``queue.connections``: what is kept open counts; the one unused for longest goes, and is told goodbye."""
    names = [f"d{number}.mssante.test" for number in range(6)]
    subject = space.pki.operators["op-b"].subject
    space.listed += [(name, subject) for name in names]
    now = [100.0]
    partners = space.partners(peer.port, domains=names, now=lambda: now[0], most=3)
    for name in names:
        now[0] += 1
        assert rules_of(await partners.send(parcel(domain=name))) == ["relay.handed_over"]
        assert partners.idle <= 3
    assert rules_of(await partners.send(parcel(domain=names[-1]))) == ["relay.handed_over"]
    assert (peer.connections, partners.idle) == (6, 3)
    await partners.send(parcel(domain=names[0]))
    assert peer.connections == 7
    await partners.close()
    assert peer.commands.count(b"QUIT\r\n") == 7


async def test_without_pipelining_or_dsn_each_reply_is_awaited(space: Space, peer: Peer) -> None:
    peer.after_tls = b"250 mx.test\r\n"
    attempt = await space.partners(peer.port).send(parcel())
    assert rules_of(attempt) == ["relay.handed_over"]
    assert not attempt.results[0].dsn_passed
    assert b"MAIL FROM:<alice@op-a.mssante.test>\r\n" in peer.commands


async def test_return_path_stays_at_home(space: Space, peer: Peer) -> None:
    """RFC 5321 4.4: final delivery adds it, relaying does not."""
    await space.partners(peer.port).send(parcel(b"Return-Path: <alice@op-a.mssante.test>\r\nReceived: x\r\n\r\nb\r\n"))
    assert peer.messages == [b"Received: x\r\n\r\nb\r\n.\r\n"]


async def test_a_stored_body_is_read_frame_by_frame(space: Space, peer: Peer) -> None:
    class Counted(Body):
        def __init__(self, content: bytes) -> None:
            super().__init__(content)
            self.frames: list[int] = []

        async def read(self, offset: int, length: int) -> bytes:
            last = min(offset + length, self.size) - 1
            self.frames += range(offset // FRAME, last // FRAME + 1)
            return await super().read(offset, length)

    body = Counted(b"Return-Path: <>\r\n" + (b"x" * 62 + b"\r\n") * 12_000)
    peer.after_tls = b"250 PIPELINING\r\n"
    attempt = await space.partners(peer.port, patience=replace(QUICK, dot=5, block=5)).send(parcel(body=body))
    assert rules_of(attempt) == ["relay.handed_over"]
    assert body.frames == [0, 0, 1, 2]


async def test_each_recipient_gets_its_own_answer(space: Space, peer: Peer) -> None:
    """F29."""
    peer.rcpt = {"eve": b"450 4.2.1 later\r\n", "zoe": b"550 5.1.1 unknown\r\n"}
    attempt = await space.partners(peer.port).send(parcel(b"a\r\n\r\nb\r\n", "bob", "eve", "zoe"))
    assert rules_of(attempt) == ["relay.handed_over", "relay.partner_deferred", "relay.partner_refused"]
    assert [result.status for result in attempt.results] == ["2.0.0", "4.2.1", "5.1.1"]
    assert attempt.broken is None


async def test_too_many_recipients_wait_whatever_the_class_of_the_reply(space: Space, peer: Peer) -> None:
    """RFC 5321 4.5.3.1.10: RFC 821 gave 552 for it; 552 for a full mailbox stays final."""
    full, old = b"552 5.2.2 over quota\r\n", b"552 too many recipients\r\n"
    peer.rcpt = {"ann": full, "bob": old, "dan": b"552 5.5.3 limit\r\n", "eve": old, "zoe": full}
    attempt = await space.partners(peer.port).send(parcel(b"a\r\n\r\nb\r\n", "ann", "bob", "cat", "dan", "eve", "zoe"))
    final, waits = "relay.partner_refused", "relay.partner_deferred"
    assert rules_of(attempt) == [final, final, "relay.handed_over", waits, waits, final]
    assert [result.status for result in attempt.results] == ["5.2.2", "5.0.0", "2.0.0", "4.5.3", "4.5.3", "5.2.2"]
    assert attempt.results[3].reply == "552 5.5.3 limit"
    assert attempt.broken is None


async def test_nobody_left_sends_no_empty_message(space: Space, peer: Peer) -> None:
    peer.rcpt = {"bob": b"550 5.1.1 unknown\r\n"}
    attempt = await space.partners(peer.port).send(parcel())
    assert rules_of(attempt) == ["relay.partner_refused"]
    assert peer.messages == []


@pytest.mark.parametrize(
    ("change", "rule_name"),
    [
        ({"mail": b"451 4.3.0 disk\r\n"}, "relay.partner_deferred"),
        ({"mail": b"550 5.7.1 no\r\n"}, "relay.partner_refused"),
        ({"data": b"451 4.3.0 no\r\n"}, "relay.partner_deferred"),
        ({"data": b"554 5.7.1 no\r\n"}, "relay.partner_refused"),
        ({"dot": b"554 5.6.0 virus\r\n"}, "relay.partner_refused"),
        ({"dot": b"452 4.3.1 full\r\n"}, "relay.partner_deferred"),
        ({"dot": CLOSE}, "relay.cut"),  # F28: retried, a duplicate is allowed, loss never
        ({"dot": HANG}, "relay.silent"),
        ({"mail": HANG}, "relay.silent"),
        ({"data": b"999 what\r\n"}, "relay.garbled"),
        ({"data": b"250 2.0.0 ok\r\n"}, "relay.garbled"),  # no content was sent: nothing was taken
        ({"data": b"334 go\r\n"}, "relay.garbled"),
        ({"mail": b"25x ok\r\n"}, "relay.garbled"),
        ({"mail": "٢٥٠ ok\r\n".encode()}, "relay.garbled"),
        ({"mail": b"250-ok\r\n550 no\r\n"}, "relay.garbled"),
        ({"dot": b"250 2.0.0 ok\r\n250 again\r\n"}, "relay.handed_over"),
    ],
)
async def test_answers_after_tls(space: Space, peer: Peer, change: dict[str, bytes], rule_name: str) -> None:
    for name, value in change.items():
        setattr(peer, name, value)
    partners = space.partners(peer.port)
    attempt = await partners.send(parcel())
    assert rules_of(attempt) == [rule_name]
    assert only_hello_in_clear(peer)
    await partners.close()


@pytest.mark.parametrize(
    ("change", "rule_name"),
    [
        ({"greeting": b"421 4.3.2 busy\r\n"}, "relay.partner_deferred"),
        ({"greeting": b"554 go away\r\n"}, "relay.partner_deferred"),
        ({"greeting": HANG}, "relay.silent"),
        ({"greeting": CLOSE}, "relay.cut"),
        ({"greeting": b"SSH-2.0-OpenSSH\r\n"}, "relay.garbled"),
        ({"before_tls": b"250 mx.test\r\n"}, "trust.partner_no_tls"),  # F26: stripped
        ({"starttls": b"454 4.7.0 not now\r\n"}, "trust.partner_no_tls"),
        ({"starttls": b"220 go\r\n250 EHLO injected\r\n"}, "trust.partner_injected"),  # F27
        ({"starttls": b"220 go\r\n25"}, "trust.partner_injected"),
        ({"after_tls": b"500 what\r\n"}, "relay.partner_deferred"),
    ],
)
async def test_nothing_is_sent_before_a_proper_session(
    space: Space, peer: Peer, change: dict[str, bytes], rule_name: str
) -> None:
    for name, value in change.items():
        setattr(peer, name, value)
    attempt = await space.partners(peer.port).send(parcel())
    assert rules_of(attempt) == [rule_name]
    assert attempt.broken is not None
    assert attempt.broken.code == 451
    assert peer.messages == []
    assert not any(line.startswith(b"MAIL") for line in peer.commands)
    assert only_hello_in_clear(peer)


@pytest.mark.parametrize(
    "reply",
    [
        b"250 " + b"A" * 1_000_000 + b"\r\n",  # a line of 1 MB
        b"250-" + b"x" * 70 + b"\r\n" + b"250-more\r\n" * 60_000 + b"250 end\r\n",
        b"A" * 500_000,
    ],
    ids=["long line", "many lines", "no line end"],
)
async def test_an_endless_reply_ends_the_session(space: Space, peer: Peer, reply: bytes) -> None:
    """F33: bounded in memory, deferred, never executed."""
    peer.mail = reply
    attempt = await space.partners(peer.port).send(parcel())
    assert rules_of(attempt)[0] in ("relay.garbled", "relay.silent")
    assert all(len(result.reply) <= 512 and len(result.decision.detail) <= 2100 for result in attempt.results)


async def test_a_long_reply_is_cut_to_its_bounds_and_shown_harmless(space: Space, peer: Peer) -> None:
    """F33: 512 bytes a line, 100 lines, no control characters."""
    peer.dot = b"250-" + b"\x1b[31m\x00\xe9\r<b>" + b"y" * 2000 + b"\r\n" + b"250-z\r\n" * 1000 + b"250 end\r\n"
    attempt = await space.partners(peer.port).send(parcel())
    assert rules_of(attempt) == ["relay.handed_over"]
    reply = attempt.results[0].reply
    assert reply.startswith("250 \\x1b[31m\\x00\\xe9\\x0d<b>yyy")
    assert len(reply) <= 512
    assert reply.isascii()
    assert reply.isprintable()


@pytest.mark.parametrize("faulty", ["self_signed", "other_ca", "expired", "cn_only", "client_only"])
async def test_a_server_with_a_faulty_certificate_gets_nothing(space: Space, faulty: str) -> None:
    """MSS-038: EHLO and no more, whatever is wrong with the certificate."""
    card = space.pki.faulty.get(faulty) or client_only(space)
    async with serving(Peer(space.server(card))) as peer:
        attempt = await space.partners(peer.port).send(parcel())
    assert rules_of(attempt)[0].startswith("trust.partner_")
    assert attempt.broken is not None
    assert peer.messages == []
    assert not any(line.startswith(b"MAIL") for line in peer.commands)


def client_only(space: Space) -> pki.Card:
    """A good certificate of operator B, made for calling only."""
    operator, key = space.pki.operators["op-b"].operator, pki.curve_key_pair()
    certificate = space.pki.authority.issue(
        pki.operator_subject(operator), key, datetime.now(UTC), names=pki.server_names(operator), usages=(pki.CLIENT,)
    )
    return space.pki.card("client_only", certificate, key)


async def test_poisoned_dns_leads_to_another_operator_who_gets_nothing(space: Space) -> None:
    """F25: a valid certificate of the space, of the wrong operator."""
    other = space.pki.operators["op-c"].server
    async with serving(Peer(space.server(other))) as peer:
        named = await space.partners(peer.port).send(parcel())
        unnamed = await space.partners(peer.port, name=None).send(parcel())
    assert rules_of(named) == ["trust.partner_certificate_wrong_name"]
    assert rules_of(unnamed) == ["trust.partner_not_bound"]
    assert peer.messages == []


async def test_a_domain_removed_from_the_list_is_refused_without_a_connection(space: Space, peer: Peer) -> None:
    """F43."""
    space.listed[:] = [row for row in space.listed if row[0] != DOMAIN]
    attempt = await space.partners(peer.port).send(parcel())
    assert rules_of(attempt) == ["trust.recipient_not_listed"]
    assert attempt.results[0].status == "5.7.1"
    assert peer.connections == 0


async def test_an_open_session_ends_when_its_certificate_is_revoked(space: Space, peer: Peer) -> None:
    """F46: on open sessions too, within FACTS_SECONDS."""
    now = [100.0]
    partners = space.partners(peer.port, now=lambda: now[0])
    await partners.send(parcel())
    tls = partners._idle[DOMAIN][0].session.certificate
    assert tls is not None
    space.revocations.revoked.add(tls.serial)
    kept = partners._idle[DOMAIN][0]
    now[0] += 20
    kept.used_at = now[0]
    now[0] += 15
    attempt = await partners.send(parcel())
    assert rules_of(attempt) == ["trust.partner_certificate_revoked"]
    assert len(peer.messages) == 1


async def test_an_open_session_ends_when_its_domain_is_bound_to_others(space: Space, peer: Peer) -> None:
    partners = space.partners(peer.port)
    await partners.send(parcel())
    other = space.pki.operators["op-c"].subject
    space.listed[:] = [(DOMAIN, other)]
    attempt = await partners.send(parcel())
    assert rules_of(attempt) == ["trust.partner_not_bound"]
    assert len(peer.messages) == 1


async def test_an_idle_session_the_server_closed_is_replaced_without_a_deferral(space: Space) -> None:
    async with serving(Peer(space.server())) as peer:
        partners = space.partners(peer.port)
        await partners.send(parcel())
        session = partners._idle[DOMAIN][0].session
        session._wire._transport.abort()  # type: ignore[union-attr]
        session._wire._closed = False  # the news has not reached us yet
        attempt = await partners.send(parcel())
    assert rules_of(attempt) == ["relay.handed_over"]
    assert peer.connections == 2


@pytest.mark.parametrize("pipelining", [b"250-PIPELINING\r\n", b""])
async def test_a_session_grown_too_long_for_the_server_is_replaced_without_a_deferral(
    space: Space, peer: Peer, pipelining: bytes
) -> None:
    """A server may end a session with 421 in answer to MAIL: that says nothing of the message (RFC 5321 3.8)."""
    peer.after_tls = b"250-mx.test\r\n" + pipelining + b"250 8BITMIME\r\n"
    peer.mails_per_session = 1
    partners = space.partners(peer.port)
    assert rules_of(await partners.send(parcel())) == ["relay.handed_over"]
    attempt = await partners.send(parcel(b"x\r\n", "bob", "eve"))
    assert rules_of(attempt) == ["relay.handed_over", "relay.handed_over"]
    assert peer.connections == 2
    await partners.close()


async def test_a_server_that_says_why_it_hangs_up_is_quoted(space: Space, peer: Peer) -> None:
    peer.mail = b"421 4.3.2 going down\r\n" + CLOSE
    attempt = await space.partners(peer.port).send(parcel(b"x\r\n", "bob", "eve"))
    assert rules_of(attempt) == ["relay.partner_deferred", "relay.partner_deferred"]
    assert attempt.results[1].reply == "421 4.3.2 going down"


async def test_a_server_too_small_is_not_tried(space: Space, peer: Peer) -> None:
    attempt = await space.partners(peer.port).send(parcel(b"x" * 998 + b"\r\n", body=Body(b"y" * 1_000_001)))
    assert rules_of(attempt) == ["relay.too_big"]
    assert not any(line.startswith(b"MAIL") for line in peer.commands)


async def test_eight_bit_mail_is_never_altered(space: Space, peer: Peer) -> None:
    peer.after_tls = b"250-mx.test\r\n250 PIPELINING\r\n"
    attempt = await space.partners(peer.port).send(parcel(eight_bit=True))
    assert rules_of(attempt) == ["relay.eight_bit"]


@pytest.mark.parametrize("content", [b"a\nb\r\n", b"a\rb\r\n", b"a\0b\r\n", b"a\r\n.\n.\r\n", b"a\r"])
async def test_no_bare_line_end_or_nul_is_ever_completed(space: Space, peer: Peer, content: bytes) -> None:
    attempt = await space.partners(peer.port).send(parcel(content))
    assert rules_of(attempt) == ["relay.unsafe_content"]
    await asyncio.sleep(0.05)
    assert peer.messages == []


@pytest.mark.parametrize("value", ["E1 SIZE=0", "E1\r\nRSET", "é", "\x00"])
async def test_a_parameter_cannot_become_two(space: Space, peer: Peer, value: str) -> None:
    bad = DsnRequest(frozenset({"SUCCESS"}), f"rfc822;{value}")
    way = Waypoint(0, f"bob@{DOMAIN}", bad)
    attempt = await space.partners(peer.port).send(parcel(recipients=(way,), envid=value, ret=value))
    assert rules_of(attempt) == ["relay.handed_over"]
    assert f"MAIL FROM:<alice@op-a.mssante.test> SIZE=20 ENVID={'M' * 26}\r\n".encode() in peer.commands
    assert f"RCPT TO:<bob@{DOMAIN}> NOTIFY=SUCCESS ORCPT=rfc822;bob@{DOMAIN}\r\n".encode() in peer.commands


async def test_a_partner_hears_whom_its_notices_must_name(space: Space, peer: Peer) -> None:
    """Sendmail tells of where an alias led; without ORCPT nothing says which of our recipients that was."""
    ways = (Waypoint(0, f"bob+x=1@{DOMAIN}"), Waypoint(1, f'"a b"@{DOMAIN}'))
    assert rules_of(await space.partners(peer.port).send(parcel(recipients=ways))) == ["relay.handed_over"] * 2
    assert f"RCPT TO:<bob+x=1@{DOMAIN}> ORCPT=rfc822;bob+2Bx+3D1@{DOMAIN}\r\n".encode() in peer.commands
    assert f'RCPT TO:<"a b"@{DOMAIN}> ORCPT=rfc822;"a+20b"@{DOMAIN}\r\n'.encode() in peer.commands


@pytest.mark.parametrize("address", ["bob>\r\nDATA\r\n<x@y", "b\x00b", "bé"])
async def test_an_address_cannot_break_out_of_its_line(space: Space, peer: Peer, address: str) -> None:
    way = Waypoint(0, f"{address}@{DOMAIN}")
    attempt = await space.partners(peer.port).send(parcel(recipients=(way,)))
    assert rules_of(attempt) == ["relay.unsafe_content"]
    assert peer.messages == []
    assert not any(line.startswith((b"MAIL", b"DATA")) for line in peer.commands)


async def test_a_lapsed_lease_stops_before_the_final_dot(space: Space, peer: Peer) -> None:
    """F19."""
    attempt = await space.partners(peer.port).send(parcel(still_ours=lambda: False))
    assert rules_of(attempt) == ["relay.cut"]
    await asyncio.sleep(0.05)
    assert peer.messages == []


async def test_a_tarpit_is_given_up_and_spared(space: Space, peer: Peer) -> None:
    """F31: a byte now and then does not extend a phase."""
    peer.trickle = 0.2
    attempt = await space.partners(peer.port).send(parcel())
    assert rules_of(attempt) == ["relay.silent"]
    assert attempt.broken is not None


async def test_a_session_that_falls_silent_later_spares_the_destination_too(space: Space, peer: Peer) -> None:
    partners = space.partners(peer.port)
    assert (await partners.send(parcel())).broken is None
    peer.mail = HANG
    again = await partners.send(parcel())
    assert rules_of(again) == ["relay.silent"]
    assert again.broken is not None
    assert peer.connections == 1


async def test_a_peer_that_stops_reading_is_given_up(space: Space, peer: Peer) -> None:
    peer.stop_reading_in_data = True
    peer.after_tls = b"250 PIPELINING\r\n"
    attempt = await space.partners(peer.port).send(
        parcel(b"x" * 78 + b"\r\n", body=Body((b"x" * 78 + b"\r\n") * 400_000))
    )
    assert rules_of(attempt) == ["relay.silent"]


async def test_a_closed_port_is_unreachable_and_the_next_address_is_tried(space: Space, peer: Peer) -> None:
    """F23."""
    dead = await space.partners(1).send(parcel())
    assert rules_of(dead) == ["relay.unreachable"]
    assert dead.results[0].status == "4.4.1"
    alive = await space.partners(peer.port, addresses=("127.0.0.99", "127.0.0.1")).send(parcel())
    assert rules_of(alive) == ["relay.handed_over"]


@pytest.mark.parametrize(
    ("change", "taken", "rule_name"),
    [
        ({"mail": b"452 4.3.1 disk full\r\n"}, 1, "relay.handed_over"),
        ({"data": b"451 4.3.0 no\r\n"}, 1, "relay.handed_over"),
        ({"dot": b"451 4.3.0 no\r\n"}, 1, "relay.handed_over"),
        ({"dot": CLOSE}, 0, "relay.cut"),  # it may have been taken
        ({"mail": b"550 5.7.1 no\r\n"}, 0, "relay.partner_refused"),
        ({"rcpt": {"bob": b"450 4.2.1 later\r\n"}}, 0, "relay.partner_deferred"),  # it is at work for others
    ],
)
async def test_a_server_that_takes_nothing_now_is_not_the_only_one(
    space: Space, peer: Peer, change: dict[str, Any], taken: int, rule_name: str
) -> None:
    """RFC 5321 5.1: the others are tried too, or a full disk at the first would keep everything until it is given up."""
    for name, value in change.items():
        setattr(peer, name, value)
    async with serving(Peer(space.server()), "127.0.0.2", peer.port) as second:
        partners = space.partners(peer.port, addresses=("127.0.0.1", "127.0.0.2"))
        attempt = await partners.send(parcel(b"x\r\n", "bob", "eve"))
        await partners.close()
    assert rules_of(attempt)[0] == rule_name
    assert len(second.messages) == taken
    assert peer.connections == 1


async def test_want_of_a_descriptor_is_ours_and_spares_nobody(space: Space, peer: Peer) -> None:
    """It was told as a partner that cannot be reached, and all mail to his domain waited for him."""
    partners = space.partners(peer.port, addresses=("127.0.0.1",))
    assert rule("relay.busy")  # the catalogue is read from files when first asked
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)  # the limit is one of numbers, and below this one all are taken
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        attempt = await partners.send(parcel())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert rules_of(attempt) == ["relay.busy"]
    assert attempt.results[0].decision.detail == "EMFILE"
    assert attempt.broken is None
    assert rules_of(await partners.send(parcel())) == ["relay.handed_over"]
    await partners.close()


async def test_when_nobody_takes_it_each_server_is_asked_once(space: Space, peer: Peer) -> None:
    peer.mail = b"451 4.3.0 first\r\n"
    async with serving(Peer(space.server(), mail=b"451 4.3.0 second\r\n"), "127.0.0.2", peer.port) as second:
        partners = space.partners(peer.port, addresses=("127.0.0.1", "127.0.0.2"))
        attempt = await partners.send(parcel())
        await partners.close()
    assert rules_of(attempt) == ["relay.partner_deferred"]
    assert attempt.results[0].reply == "451 4.3.0 second"
    assert (peer.connections, second.connections) == (1, 1)


async def test_a_server_that_demands_another_client_certificate_is_a_failed_tls(space: Space) -> None:
    """TLS 1.3 tells the client only on its first read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    held = space.pki.operators["op-b"].server
    context.load_cert_chain(held.certificate, held.key)
    context.verify_mode = ssl.CERT_REQUIRED  # and trusts nobody
    async with serving(Peer(context)) as peer:
        attempt = await space.partners(peer.port).send(parcel())
    assert rules_of(attempt)[0] in ("relay.cut", "trust.partner_tls_failed")
    assert attempt.broken is not None
    assert peer.messages == []


async def test_our_own_domain_is_a_loop(space: Space, peer: Peer) -> None:
    attempt = await space.partners(peer.port).send(parcel(domain="op-a.mssante.test"))
    assert rules_of(attempt) == ["relay.loop"]
    assert peer.connections == 0


def test_a_target_without_a_name_is_called_by_its_address() -> None:
    assert Target(None, ("192.0.2.1",)).label == "192.0.2.1"
