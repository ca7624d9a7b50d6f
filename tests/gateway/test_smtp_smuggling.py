"""SMTP smuggling against the real door: one refusal, the connection closed, nothing kept, nothing run (figure 4, F64)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.smtp.limits import Limits
from gateway.smtp.server import SmtpServer, serve_inbound
from tests.gateway.smtp_twin import QUICK, Client, MemoryIntake, Pki, doorway, make_pki
from tests.gateway.test_smtp_content import FALSE_ENDS, NO_ENDS, SMUGGLED


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
async def server(pki: Pki) -> AsyncIterator[SmtpServer]:
    limits = Limits(**{**QUICK, "linger": 0.02})
    started = await serve_inbound(doorway(pki, limits=limits), "127.0.0.1", 0)
    yield started
    started.cut()


async def _in_data(server: SmtpServer, pki: Pki) -> Client:
    client = await Client.secured(server.port, pki.client_context())
    assert (await client.envelope()).startswith("354")
    return client


@pytest.mark.parametrize("packets", ["one", "octets", "at_the_end"])
@pytest.mark.parametrize("end", FALSE_ENDS.values(), ids=FALSE_ENDS)
async def test_a_false_end_smuggles_nothing(server: SmtpServer, pki: Pki, end: bytes, packets: str) -> None:
    client = await _in_data(server, pki)
    before, after = b"Subject: x\r\n\r\nbody", SMUGGLED + b"\r\n.\r\nQUIT\r\n"
    if packets == "octets":
        client.writer.write(before)
        for octet in end:
            await client.send(bytes([octet]))
            await asyncio.sleep(0)
        await client.send(after)
    elif packets == "at_the_end":
        await client.send(before + end)
        await asyncio.sleep(0.002)
        await client.send(after)
    else:
        await client.send(before + end + after)
    answer = await client.reply()
    assert answer.startswith("550-5.5.2 ")
    assert "[session.bare_line_end]" in answer
    assert await client.reply() == ""
    intake = server.doorway.intake
    assert isinstance(intake, MemoryIntake)
    assert intake.kept == []
    assert len(intake.sessions) == 1  # one MAIL was ever run


@pytest.mark.parametrize("end", NO_ENDS.values(), ids=NO_ENDS)
async def test_what_only_looks_like_an_end_is_one_message(server: SmtpServer, pki: Pki, end: bytes) -> None:
    client = await _in_data(server, pki)
    await client.send(b"Subject: x\r\n\r\nbody" + end + SMUGGLED + b"\r\n.\r\nQUIT\r\n")
    assert (await client.reply()).startswith("250")
    assert (await client.reply()).startswith("221")
    intake = server.doorway.intake
    assert isinstance(intake, MemoryIntake)
    assert [content for _, content in intake.kept] == [
        b"Subject: x\r\n\r\nbody" + end.replace(b"\r\n.", b"\r\n") + SMUGGLED + b"\r\n"
    ]


async def test_a_line_without_end_is_refused_and_cut(server: SmtpServer, pki: Pki) -> None:
    client = await _in_data(server, pki)
    try:
        await client.send(b"x" * 10_000_000)
    except ConnectionError:
        pass  # the door had hung up before everything was written
    assert "[session.line_too_long]" in await client.reply()
    assert await client.closed()


async def test_a_header_without_end_is_refused_at_the_dot(server: SmtpServer, pki: Pki) -> None:
    client = await _in_data(server, pki)
    await client.send((b"X-Filler: " + b"y" * 500 + b"\r\n") * 10_000 + b"\r\nbody\r\n.\r\n")
    answer = await client.reply()
    assert answer.startswith("552-5.3.4")
    assert "[session.header_too_large]" in answer
    assert (await client.say("NOOP")).startswith("250")
