"""The header block we add: exact lines, and no way out of a line for a hostile peer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway import received
from gateway.identifiers import message_identifier
from policies.values import Address, Door, Login, Peer

NOW = 1_772_442_000.25  # 2026-03-02 09:00:00 UTC
LOGIN = Login("alice", 7, Address("alice", "op-a.mssante.test"), "device")


def test_trace_line_of_a_submission() -> None:
    peer = Peer(Door.SUBMISSION, "192.0.2.7", "poste.cabinet", tls=True, login=LOGIN)
    line = received.received(peer, "smtp.op-a.mssante.test", "01ABC", NOW)
    assert line == (
        b"Received: from poste.cabinet ([192.0.2.7])\r\n\tby smtp.op-a.mssante.test with ESMTPSA id 01ABC;\r\n"
        b"\tMon, 2 Mar 2026 09:00:00 +0000\r\n"
    )


def test_trace_line_of_a_partner_over_ipv6() -> None:
    line = received.received(Peer(Door.INBOUND, "2001:db8::1", "mx", tls=True), "h", "01", NOW)
    assert b"from mx ([IPv6:2001:db8::1])" in line
    assert b"with ESMTPS id" in line


def test_return_path_of_the_null_sender_is_empty() -> None:
    assert received.return_path(None) == b"Return-Path: <>\r\n"
    assert received.return_path(Address("a", "b.test")) == b"Return-Path: <a@b.test>\r\n"


@given(st.text(max_size=300))
def test_no_helo_breaks_out_of_its_line(helo: str) -> None:
    block = received.received(Peer(Door.INBOUND, "192.0.2.1", helo, tls=True), "host", "01", NOW)
    assert block.count(b"\r\n") == 3
    assert block.replace(b"\r\n", b"").find(b"\n") == -1
    assert all(line[:1] in (b"R", b"\t", b"") for line in block.split(b"\r\n"))


@given(st.text(max_size=300))
def test_no_field_value_breaks_out_of_its_line(value: str) -> None:
    block = received.fields({"X-MSS-CODECDA": value})
    assert block.startswith(b"X-MSS-CODECDA: ")
    assert block.index(b"\r") == len(block) - 2


def test_identifiers_are_ordered_and_recognised() -> None:
    first, second = message_identifier(1000.0), message_identifier(1000.001)
    assert first < second


def test_identifier_uses_all_its_randomness() -> None:
    zeros = message_identifier(0.0, lambda size: bytes(size))
    ones = message_identifier(0.0, lambda size: b"\xff" * size)
    assert zeros == "0" * 26
    assert ones == "0" * 10 + "Z" * 16
