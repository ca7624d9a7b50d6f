"""The HTTP door: what callers hear, and how it is held against those who are slow, large, many, or speak something else."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway import doors
from gateway.admin import pki
from gateway.config_units import Listen
from gateway.http import server as http_server
from gateway.http.application import HEADERS, Bounds, Part, assemble
from gateway.http.connection import PROTOCOL
from gateway.http.server import HttpServer, Patience
from gateway.smtp import tls
from gateway.smtp.limits import Limits
from mailboxes.tally import LocalTally
from tests.waiting import until

QUICK = Patience(idle=0.3, request=0.3, head=8192, counted=Limits(connections_per_ip=3))
CALM = Patience(idle=60, request=60, head=8192, counted=Limits())
SECRET = "Jeanne PATIENTE"


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> pki.Pki:
    return pki.build(tmp_path_factory.mktemp("pki"), datetime.now(UTC))


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "SWEEP", 0.05)


class Pages:
    """A part of its own."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    def part(self) -> Part:
        routes = [
            Route("/plain", self.plain),
            Route("/body", self.body, methods=["POST"]),
            Route("/large/body", self.body, methods=["POST"]),
            Route("/waits", self.waits),
            Route("/fails", self.fails),
        ]
        return Part("pages", routes, {"/large/": 1 << 20})

    async def plain(self, request: Request) -> Response:
        return PlainTextResponse(request.url.path, headers={"cache-control": "max-age=60"})

    async def body(self, request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    async def waits(self, _request: Request) -> Response:
        self.begun.set()
        await self.go_on.wait()
        return PlainTextResponse("at last")

    async def fails(self, _request: Request) -> Response:
        raise ValueError(SECRET)


class Open:
    def __init__(self, server: HttpServer, port: int, pages: Pages, trust: ssl.SSLContext | None) -> None:
        self.server, self.port, self.pages, self.trust = server, port, pages, trust

    @property
    def url(self) -> str:
        return f"http{'s' if self.trust else ''}://127.0.0.1:{self.port}"

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, verify=self.trust or False, timeout=30)

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@asynccontextmanager
async def opened(patience: Patience, space: pki.Pki | None = None, bounds: Bounds | None = None) -> AsyncIterator[Open]:
    pages = Pages()
    served = assemble([pages.part()], lambda: bounds or Bounds(body=1000))
    server = HttpServer("https", served, patience, LocalTally())
    context = trust = None
    if space is not None:
        held = space.operators["op-a"]
        context = tls.server_context([tls.Identity(held.server.certificate, held.server.key)])
        context.set_alpn_protocols([PROTOCOL])
        trust = ssl.create_default_context(cafile=str(space.ca))
    port = await server.listen(doors.bind(Listen("127.0.0.1", 0), b"", shared=False), context)
    try:
        yield Open(server, port, pages, trust)
    finally:
        await server.drain(0)


async def test_answers_bear_what_keeps_browsers_safe(space: pki.Pki) -> None:
    async with opened(CALM, space) as door, door.client() as client:
        answer = await client.get("/plain")
        assert (answer.status_code, answer.text) == (200, "/plain")
        assert answer.headers["cache-control"] == "max-age=60"  # its own word stands
        assert {name: answer.headers[name] for name in HEADERS if name != "cache-control"} == {
            name: value for name, value in HEADERS.items() if name != "cache-control"
        }
        assert "max-age" in answer.headers["strict-transport-security"]
        assert answer.headers["date"]
        assert "server" not in answer.headers
        assert (await client.get("/nowhere")).status_code == 404
        assert (await client.get("/plain/")).status_code == 404  # no redirect to the host the caller names


async def test_in_clear_no_lasting_tls_is_promised() -> None:
    async with opened(CALM) as door, door.client() as client:
        assert "strict-transport-security" not in (await client.get("/plain")).headers


async def test_a_body_is_bounded_declared_or_not() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield bytes(100)

    async with opened(CALM) as door, door.client() as client:
        assert (await client.post("/body", content=bytes(1000))).text == "1000"
        assert (await client.post("/body", content=bytes(1001))).status_code == 413
        assert (await client.post("/body", content=pieces())).status_code == 413
        assert (await client.post("/large/body", content=bytes(5000))).text == "5000"


async def test_a_head_is_bounded_in_one_packet_or_several() -> None:
    async with opened(CALM, bounds=Bounds(head=2000)) as door, door.client() as client:
        assert (await client.get("/plain", headers={"x-long": "x" * 1500})).status_code == 200
        assert (await client.get("/plain", headers={"x-long": "x" * 2000})).status_code == 431
        assert (await client.get("/plain?" + "x" * 2000)).status_code == 431


async def test_a_fault_tells_the_caller_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    async with opened(CALM) as door, door.client() as client:
        answer = await client.get("/fails")
    assert answer.status_code == 500
    assert SECRET not in answer.text
    said = capsys.readouterr()
    assert "request_failed" in said.out + said.err
    assert SECRET not in said.out + said.err


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (b"", b""),  # silent
        (b"GET /plain HTTP/1.1\r\nHost: a\r\nX-", b"HTTP/1.1 408"),
        (b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf", b"HTTP/1.1 408"),
        (b"EHLO caller\r\n\r\n", b"HTTP/1.1 400"),
        (b"GET /plain HTTP/1.1\r\nHost: a\r\nX-Long: " + bytes(20_000), b"HTTP/1.1 400"),
        (b"GET /waits HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 503"),  # an answer that does not come
    ],
)
async def test_who_stands_still_is_let_go(said: bytes, heard: bytes) -> None:
    """F53."""
    async with opened(QUICK, bounds=Bounds(stall=0.3)) as door:
        reader, writer = await door.raw()
        writer.write(said)
        answer = await asyncio.wait_for(reader.read(), 20)
        assert answer.startswith(heard)
        assert bool(answer) is bool(heard)
        await until(lambda: not door.server.connections)
        writer.close()


async def test_a_caller_who_keeps_asking_is_not_let_go() -> None:
    async with opened(replace(QUICK, idle=5), bounds=Bounds()) as door, door.client() as client:
        ends = asyncio.get_running_loop().time() + 1.0
        ports = set()
        while asyncio.get_running_loop().time() < ends:
            answer = await client.get("/plain")
            assert answer.status_code == 200
            ports.add(answer.extensions["network_stream"].get_extra_info("client_addr")[1])
        assert len(ports) == 1


async def test_connections_from_one_address_are_counted() -> None:
    """F55."""
    calm = replace(CALM, counted=QUICK.counted)
    async with opened(calm) as door:
        held = [await door.raw() for _ in range(3)]
        await until(lambda: len(door.server.connections) == 3)
        reader, writer = await door.raw()
        assert (await asyncio.wait_for(reader.read(), 20)).startswith(b"HTTP/1.1 503")
        writer.close()
        held[0][1].close()
        await until(lambda: len(door.server.connections) == 2)
        async with door.client() as client:
            assert (await client.get("/plain")).status_code == 200
        for _, each in held:
            each.close()


async def test_a_request_under_way_is_answered_before_we_end() -> None:
    """F20."""
    async with opened(CALM) as door, door.client() as client:
        idle, _writer = await door.raw()
        asked = asyncio.create_task(client.get("/waits"))
        await door.pages.begun.wait()
        ending = asyncio.create_task(door.server.drain(30))
        assert await asyncio.wait_for(idle.read(), 20) == b""
        door.pages.go_on.set()
        assert (await asked).text == "at last"
        await asyncio.wait_for(ending, 20)
        with pytest.raises(ConnectionRefusedError):
            await door.raw()


@pytest.mark.parametrize("protocols", [["imap"], ["h2"]])
async def test_who_wants_another_protocol_gets_an_alert(space: pki.Pki, protocols: list[str]) -> None:
    """F52."""
    async with opened(CALM, space) as door:
        context = ssl.create_default_context(cafile=str(space.ca))
        context.set_alpn_protocols(protocols)
        with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
            await asyncio.open_connection("127.0.0.1", door.port, ssl=context)
        context.set_alpn_protocols([*protocols, "http/1.1"])
        _, writer = await asyncio.open_connection("127.0.0.1", door.port, ssl=context)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        writer.close()


async def test_who_goes_on_sending_what_was_refused_is_cut() -> None:
    async with opened(CALM) as door:
        _, writer = await door.raw()
        writer.write(b"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")

        async def send_on() -> None:
            while True:
                writer.write(b"1000\r\n" + bytes(0x1000) + b"\r\n")
                await writer.drain()

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(send_on(), 60)
        await until(lambda: not door.server.connections)


async def test_other_limits_are_in_force_for_who_comes_next() -> None:
    """F21: a reload."""
    long = {"x-long": "x" * 6000}
    async with opened(CALM) as door:
        async with door.client() as client:
            assert (await client.get("/plain", headers=long)).status_code == 200
        door.server.follow(replace(CALM, head=4096, counted=Limits(connections_per_ip=1)))
        reader, writer = await door.raw()
        writer.write(b"GET /plain HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 6000)
        assert (await asyncio.wait_for(reader.read(), 20)).startswith(b"HTTP/1.1 400")
        await until(lambda: not door.server.connections)
        held = await door.raw()
        await until(lambda: len(door.server.connections) == 1)
        reader, _ = await door.raw()
        assert (await asyncio.wait_for(reader.read(), 20)).startswith(b"HTTP/1.1 503")
        held[1].close()
