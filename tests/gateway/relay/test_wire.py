"""The bytes of our client, whatever the packets: replies bounded and harmless, content stuffed exactly."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.relay import wire
from gateway.relay.wire import Garbled, Injected, Reply, Stuffing, UnsafeContent, Wire, WireError, parse_reply


def stuffed(blocks: list[bytes]) -> bytes:
    stuffing = Stuffing()
    pieces = [piece for block in blocks for piece in stuffing.feed(block)]
    return b"".join(pieces) + stuffing.end()


def cut(content: bytes, places: list[int]) -> list[bytes]:
    points = sorted({place % (len(content) + 1) for place in places} | {0, len(content)})
    return [content[start:end] for start, end in pairwise(points)]


LINES = st.lists(st.sampled_from([b"", b".", b"..", b".x", b"x", b"x.", b"\x00e"[1:]]), max_size=12)


@given(LINES, st.booleans(), st.lists(st.integers(0, 200), max_size=8))
def test_stuffing_is_undone_by_every_server_however_the_blocks_fall(
    lines: list[bytes], ended: bool, places: list[int]
) -> None:
    content = b"\r\n".join(lines) + (b"\r\n" if ended else b"")
    sent = stuffed(cut(content, places))
    assert sent.endswith(b"\r\n.\r\n") or sent == b".\r\n"
    body = sent[: -len(b".\r\n")]
    received = b"\r\n".join(line[1:] if line.startswith(b".") else line for line in body.split(b"\r\n"))
    assert received in (content, content + b"\r\n")
    assert b"\r\n.\r\n" not in b"\r\n" + body


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_a_bare_line_end_or_nul_is_found_however_the_blocks_fall(content: bytes, places: list[int]) -> None:
    rest = content.replace(b"\r\n", b"")
    safe = not any(byte in rest for byte in b"\r\n\0")
    if safe:
        stuffed(cut(content, places))
        return
    with pytest.raises(UnsafeContent):
        stuffed(cut(content, places))


@given(st.lists(st.binary(max_size=600), min_size=1, max_size=5))
def test_a_reply_is_a_value_or_garbled_and_always_printable(lines: list[bytes]) -> None:
    try:
        reply = parse_reply(lines)
    except Garbled as garbled:
        reply = Reply(500, "", (garbled.text,))
    assert 200 <= reply.code <= 599
    assert reply.text.isascii()
    assert reply.text.isprintable()
    assert len(reply.text) <= wire.SHOWN


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"250 2.1.5 ok", "2.1.5"),
        (b"550 5.7.999 no", "5.7.999"),
        (b"550 5.7.1234 no", ""),
        (b"250 3.1.1", ""),
        (b"250 2.1", ""),
        (b"250 2.1.\xd9\xa1", ""),
        (b"250", ""),
    ],
)
def test_the_status_a_line_begins_with(line: bytes, status: str) -> None:
    assert parse_reply([line]).status == status


class Pipe(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


def connected() -> tuple[Wire, Pipe]:
    made, pipe = Wire(), Pipe()
    made.connection_made(pipe)
    return made, pipe


async def test_packets_do_not_matter() -> None:
    whole = b"250-first\r\n250-second\r\n250 2.0.0 last\r\n"
    for size in range(1, len(whole) + 1):
        made, _ = connected()
        for start in range(0, len(whole), size):
            made.data_received(whole[start : start + size])
        reply = await made.reply(1.0)
        assert (reply.code, reply.lines) == (250, ("first", "second", "2.0.0 last"))


@pytest.mark.parametrize("early", [b"250 ok\r\n", b"2", b"250-more\r\n"])
async def test_bytes_nobody_asked_for_end_the_session(early: bytes) -> None:
    made, pipe = connected()
    made.data_received(b"220 hi\r\n")
    await made.reply(1.0)
    made.data_received(early)
    with pytest.raises(Injected):
        made.command("MAIL FROM:<>")
    assert pipe.aborted
    assert pipe.written == b""


async def test_a_command_cannot_break_out_of_its_line() -> None:
    made, pipe = connected()
    made.data_received(b"220 hi\r\n")
    await made.reply(1.0)
    for bad in ("RCPT TO:<a\r\nDATA>", "RCPT TO:<a\nx>", "x\0", "é", "x" * 3000):
        with pytest.raises(ValueError, match=r"ASCII|ascii"):
            made.command(bad)
    assert pipe.written == b""


@given(st.lists(st.binary(max_size=3000), max_size=12))
def test_any_bytes_cost_bounded_memory(chunks: list[bytes]) -> None:
    async def run() -> None:
        made, _ = connected()
        for chunk in chunks:
            made.data_received(chunk)
        assert len(made._buffer) <= wire.LINE_BYTES
        assert len(made._lines) <= wire.LINES
        assert len(made._replies) <= 2
        try:
            reply = await made.reply(0.001)
        except WireError:
            return
        assert isinstance(reply, Reply)

    asyncio.run(run())


async def test_a_flood_of_one_line_is_cut_and_counted() -> None:
    made, pipe = connected()
    for _ in range(100):
        made.data_received(b"250-" + b"x" * 4096)
    assert pipe.aborted
    assert len(made._buffer) <= wire.LINE_BYTES
    with pytest.raises(Garbled):
        await made.reply(1.0)
