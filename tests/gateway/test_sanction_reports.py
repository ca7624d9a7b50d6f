"""Our own mark in a reported message: found where we put it, never where a peer wrote it, and in time whatever is written."""

from __future__ import annotations

import time

import pytest

from gateway.received import received
from gateway.sanctions.inbox import _names
from gateway.sanctions.reports import HEADER_BYTES, identifier_in, identifier_of
from policies.values import Door, Peer

HOST = "smtp.op-a.mssante.test"
OURS, FORGED = "01KB0000000000000000000000", "01KBZZZZZZZZZZZZZZZZZZZZZZ"


@pytest.mark.parametrize("helo", ["poste", "by", "id", f"by {HOST} id {FORGED}", "", "x" * 900])
def test_what_a_peer_calls_himself_hides_nothing(helo: str) -> None:
    """TOU-B05: who broadcasts must not be able to make his messages unreportable, nor another's reported."""
    trace = received(Peer(Door.INBOUND, "192.0.2.1", helo, tls=True), HOST, OURS, 1_772_442_000.0)
    assert identifier_in(b"Return-Path: <x@y>\r\n" + trace + b"Subject: s\r\n\r\nReceived: x", HOST) == OURS
    assert identifier_in(trace + b"\r\n", "smtp.op-b.mssante.test") == ""


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\r\n\r\nReceived: from x by " + HOST.encode() + b" id " + OURS.encode(),
        b"Received: by\r\n",
        b"Received: by " + HOST.encode() + b" id\r\n",
        b"Received: by " + HOST.encode() + b" id 01KB\r\n",
        b"Received: \xff\xfe by " + HOST.encode() + b" id \xff\r\n",
        b"X: Received: by " + HOST.encode() + b" id " + OURS.encode(),
    ],
)
def test_what_is_no_mark_of_ours_names_nothing(header: bytes) -> None:
    assert identifier_in(header, HOST) == ""


def test_an_outer_server_may_have_added_its_own() -> None:
    trace = received(Peer(Door.INBOUND, "192.0.2.1", "b", tls=True), HOST, OURS, 0.0).removeprefix(b"Received:")
    assert identifier_of([b" from a by other.test id " + FORGED.encode(), trace], HOST) == OURS


@pytest.mark.parametrize(
    "piece", [b"Received: " + b"by " * 600 + b"\r\n", b"Received: a\r\n", b"\r\n\tby id", b"<@", b"<a@"]
)
def test_hostile_headers_are_read_in_time(piece: bytes) -> None:
    """Processor time, many times what it takes: a repetition inside a repetition would take minutes."""
    whole = (piece * (HEADER_BYTES // len(piece) + 1))[:HEADER_BYTES]
    began = time.process_time()
    assert identifier_in(whole, HOST) == ""
    _names(whole)
    assert time.process_time() - began < 2


def test_identifiers_and_message_ids_are_picked_out_of_words() -> None:
    text = f"Spam : {OURS}, et <a.b@c.test> ; pas <ceci> ni 01KB00.".encode()
    assert _names(text) == [OURS, "<a.b@c.test>"]
