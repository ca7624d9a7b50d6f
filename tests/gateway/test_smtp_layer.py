"""The TLS layer: memory per connection, and the hello of programs that do not want to speak SMTP (F52)."""

from __future__ import annotations

import asyncio
import gc
import ssl
import tracemalloc
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp.server import SmtpServer, serve_submission
from mailboxes.layer import Hello, read_hello
from policies.values import Door
from tests.gateway.smtp_twin import HOSTNAME, Client, MemoryAuthenticator, Pki, doorway, make_pki


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
async def server(pki: Pki) -> AsyncIterator[SmtpServer]:
    shared = doorway(
        pki,
        door=Door.SUBMISSION,
        authenticator=MemoryAuthenticator(),
        implicit_tls=True,
        names=frozenset({HOSTNAME}),
    )
    started = await serve_submission(shared, "127.0.0.1", 0)
    yield started
    started.cut()


def hello_of(context: ssl.SSLContext, name: str | None) -> bytes:
    """The first octets OpenSSL sends."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def _context(*protocols: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def test_what_a_hello_asks_for_is_read() -> None:
    assert read_hello(hello_of(_context(), "Smtp.Example.TEST")) == Hello((), "smtp.example.test")
    assert read_hello(hello_of(_context("h2", "http/1.1"), None)) == Hello((b"h2", b"http/1.1"), "")


@given(st.integers(0, 600), st.integers(0, 255))
def test_any_damage_to_a_hello_is_survived(place: int, octet: int) -> None:
    hello = bytearray(hello_of(_context("h2"), "a.test"))
    place %= len(hello)
    hello[place] = octet
    assert isinstance(read_hello(bytes(hello)), Hello)
    assert isinstance(read_hello(bytes(hello[:place])), Hello)


@given(st.binary(max_size=400))
def test_noise_is_an_empty_hello_or_a_hello(octets: bytes) -> None:
    assert isinstance(read_hello(octets), Hello)


@pytest.mark.parametrize(
    ("protocols", "name", "welcome"),
    [
        ((), HOSTNAME, True),
        ((), None, True),
        (("smtp",), HOSTNAME, True),
        (("http/1.1",), HOSTNAME, False),
        (("h2", "http/1.1"), HOSTNAME, False),
        (("imap",), HOSTNAME, False),
        ((), "other.test", False),
    ],
)
async def test_who_may_come_in(
    server: SmtpServer, pki: Pki, protocols: tuple[str, ...], name: str | None, welcome: bool
) -> None:
    context = _context(*protocols)
    context.load_verify_locations(pki.ca)
    opening = asyncio.open_connection("127.0.0.1", server.port, ssl=context, server_hostname=name or "")
    if welcome:
        reader, writer = await opening
        assert (await reader.readline()).startswith(b"220 ")
        writer.transport.abort()
    else:
        with pytest.raises(ssl.SSLError, match=r"ALERT|UNRECOGNIZED_NAME|alert"):
            await opening


@pytest.mark.parametrize(("version", "suites", "alert"), [(1, "ECDHE+AES", 70), (3, "kRSA", 40)])
async def test_what_openssl_objects_to_is_said(server: SmtpServer, version: int, suites: str, alert: int) -> None:
    """An old program (TLS 1.0, or suites without ECDHE) gets the alert that tells why (RFC 5246 7.2)."""
    context = _context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suites)
    hello = bytearray(hello_of(context, HOSTNAME))
    hello[10] = version
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(hello)
    assert await asyncio.wait_for(reader.read(), 5) == b"\x15\x03" + bytes([version, 0, 2, 2, alert])
    writer.close()


async def test_clear_text_on_the_tls_port_is_no_conversation(server: SmtpServer) -> None:
    client = await Client.connect(server.port)
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await client.closed()


async def test_a_hello_in_small_packets(server: SmtpServer, pki: Pki) -> None:
    """The hello is gathered before OpenSSL sees it, whatever the packets."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = pki.client_context().wrap_bio(incoming, outgoing, server_hostname=HOSTNAME)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            octets = outgoing.read()
            for start in range(0, len(octets), 7):
                writer.write(octets[start : start + 7])
                await asyncio.sleep(0)
            incoming.write(await asyncio.wait_for(reader.read(65536), 5))
    writer.write(outgoing.read())
    while True:
        try:
            assert tls.read(100).startswith(b"220")
            break
        except ssl.SSLWantReadError:
            incoming.write(await asyncio.wait_for(reader.read(65536), 5))
    writer.transport.abort()


async def test_an_idle_connection_costs_no_large_buffer(server: SmtpServer, pki: Pki) -> None:
    async def open_some(count: int) -> list[Client]:
        clients = [await Client.connect(server.port, pki.client_context()) for _ in range(count)]
        for client in clients:
            await client.reply()
        return clients

    kept = await open_some(2)
    gc.collect()
    tracemalloc.start(8)
    kept += await open_some(10)
    await asyncio.sleep(0.05)
    gc.collect()
    snapshot = tracemalloc.take_snapshot()
    tracemalloc.stop()
    # the test's own end of the connection uses asyncio's layer, which allocates in the same file: count ours by name
    largest = [
        trace.size
        for trace in snapshot.traces
        if any(frame.filename.endswith("mailboxes/layer.py") for frame in trace.traceback)
    ]
    assert sum(largest) / 10 < 16 * 1024
    for client in kept:
        client.close()
