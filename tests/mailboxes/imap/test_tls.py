"""TLS of the IMAP doors: implicit and by STARTTLS, whom it is refused, and what a handshake that fails leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import warnings

import pytest
from structlog.testing import capture_logs

from tests.mailboxes.imap.harness import Pki, Running
from tests.waiting import until


def client(pki: Pki, *protocols: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pki.ca))
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


async def greeted(port: int, context: ssl.SSLContext) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    line = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return line


async def secured(
    port: int, context: ssl.SSLContext, more: bytes = b""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A session after STARTTLS; ``more`` is sent behind the command in the same packet, in clear."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    writer.write(b"s STARTTLS\r\n" + more)
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"s OK")
    await asyncio.wait_for(writer.start_tls(context, server_hostname="localhost"), 10)
    return reader, writer


@pytest.mark.parametrize("protocols", [(), ("imap",), ("h2", "imap")])
async def test_who_speaks_imap_or_names_nothing_is_greeted(
    running: Running, pki: Pki, protocols: tuple[str, ...]
) -> None:
    assert (await greeted(running.imaps, client(pki, *protocols))).startswith(b"* OK")


async def test_who_wants_another_protocol_gets_an_alert(running: Running, pki: Pki) -> None:
    """F52: the alert of RFC 7301 3.2, on both doors, and the next caller is served."""
    for ask in (greeted(running.imaps, client(pki, "h2", "http/1.1")), secured(running.imap, client(pki, "http/1.1"))):
        with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
            await ask
    assert (await greeted(running.imaps, client(pki))).startswith(b"* OK")


async def test_starttls_serves_and_forgets_what_came_in_clear(running: Running, pki: Pki) -> None:
    """RFC 9051 6.2.1: a command slipped in before the handshake is never answered."""
    reader, writer = await secured(running.imap, client(pki), b"x1 NOOP\r\nx2 NOO")
    writer.write(b"a NOOP\r\nb STARTTLS\r\n")
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"a OK")
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"b BAD")
    writer.close()


@pytest.mark.parametrize("door", ["imap", "imaps"])
async def test_a_handshake_that_fails_or_never_comes_hurts_nobody(running: Running, pki: Pki, door: str) -> None:
    port = getattr(running, door)
    callers = []
    for words in (b"", b"\x16\x03\x01\x00\x05hello", b"\x16\x03\x01\xff\xff" + b"x" * 20000, b"EHLO there\r\n" * 20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if door == "imap":
            await reader.readline()
            writer.write(b"s STARTTLS\r\n")
            await asyncio.wait_for(reader.readline(), 10)
        writer.write(words)
        await writer.drain()
        callers.append(writer)
    assert (await greeted(running.imaps, client(pki))).startswith(b"* OK")
    for writer in callers:
        writer.transport.abort()
    await until(lambda: not running.server.connections)


def outdated() -> ssl.SSLContext:
    """A program of 2010: the c-client library still speaks TLS 1.0 only after STARTTLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def knock(port: int, door: str, context: ssl.SSLContext) -> None:
    """As a mail program does it: its alert leaves before it closes, where asyncio's client keeps it to itself."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        if door == "imap":
            plain.recv(1000)
            plain.sendall(b"s STARTTLS\r\n")
            assert plain.recv(1000).startswith(b"s OK")
        context.wrap_socket(plain, server_hostname="localhost").close()


@pytest.mark.parametrize("door", ["imap", "imaps"])
async def test_the_log_says_why_a_handshake_failed(running: Running, door: str) -> None:
    """The user sees a connection that drops: whoever he calls needs the reason. Monitors that only look leave nothing."""
    port = getattr(running, door)
    with capture_logs() as said:
        for context in (ssl.create_default_context(), outdated()):
            with pytest.raises(ssl.SSLError):
                await asyncio.to_thread(knock, port, door, context)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await until(lambda: len(said) >= 2 and not running.server.connections)
    told = [(line["ip"], line["detail"]) for line in said if line["event"] == "imap.handshake_failed"]
    assert told == [("127.0.0.1", "tlsv1 alert unknown ca"), ("127.0.0.1", "unsupported protocol")]
