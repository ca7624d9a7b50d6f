"""Asking the national FHIR directory: a real HTTPS server that speaks as it does (MSS-126)."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from directory.sources.national import REMEMBER_SECONDS, Api, NationalDirectory
from directory.trustlist_fetch import Unreachable
from gateway.admin import pki
from tests.directory.test_fhir import ADDRESS, CONCEPT, practitioner, telecom

KEY = "a-key-that-is-nobody-s"


@dataclass
class Site:
    """What the server answers to a resource type, and what it was asked."""

    base: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    raw: bytes = b""
    asked: list[tuple[str, dict[str, list[str]], str]] = field(default_factory=list)


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> pki.Pki:
    return pki.build(tmp_path_factory.mktemp("pki"), datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def site(space: pki.Pki) -> Iterator[Site]:
    told = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            kind = parts.path.rpartition("/")[2]
            told.asked.append((kind, parse_qs(parts.query), self.headers.get("ESANTE-API-KEY", "")))
            body = told.raw or json.dumps(told.answers.get(kind, {"resourceType": "Bundle"})).encode()
            self.send_response(told.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Keep the test output quiet."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    card = space.operators["op-a"].server
    context.load_cert_chain(card.certificate, card.key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told.base = f"https://127.0.0.1:{server.server_port}/fhir/v2"
    yield told
    server.shutdown()
    server.server_close()


@dataclass
class Clock:
    now: float = 100.0
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def national(site: Site, space: pki.Pki, clock: Clock) -> AsyncIterator[NationalDirectory]:
    api = Api(base=site.base, key=KEY, anchors=(space.ca,))
    made = NationalDirectory(api, clock=lambda: clock.now, sleep=clock.sleep)
    yield made
    await made.close()


def bundle(*resources: dict[str, Any], following: str = "") -> dict[str, Any]:
    links = [{"relation": "next", "url": following}] if following else []
    return {"resourceType": "Bundle", "link": links, "entry": [{"resource": one} for one in resources]}


async def test_an_address_is_asked_of_each_resource_and_remembered(
    national: NationalDirectory, site: Site, clock: Clock
) -> None:
    site.answers["Practitioner"] = bundle(
        practitioner(telecom(CONCEPT), telecom(CONCEPT, value="other@op-n.mssante.test"))
    )
    site.answers["PractitionerRole"] = bundle({"resourceType": "PractitionerRole", "telecom": [telecom(CONCEPT)]})
    (one,) = await national.by_address(ADDRESS.upper())
    assert (one.address, one.family) == (ADDRESS, "NOM")
    assert [(kind, asked["mailbox-mss"], asked["_count"], key) for kind, asked, key in site.asked] == [
        (kind, [ADDRESS.upper()], ["50"], KEY) for kind in ("Practitioner", "PractitionerRole", "Organization")
    ]
    assert await national.by_address(ADDRESS.upper()) == (one,)
    assert len(site.asked) == 3
    clock.now += REMEMBER_SECONDS
    await national.by_address(ADDRESS.upper())
    assert len(site.asked) == 6


async def test_a_person_and_further_pages_of_the_same_server_only(national: NationalDirectory, site: Site) -> None:
    site.answers["Practitioner"] = bundle(practitioner(telecom(CONCEPT)), following=f"{site.base}/Practitioner?page=2")
    assert len(await national.by_person("899900000001")) == 1
    assert len(site.asked) == 4  # and no more, however often a next one is named
    assert site.asked[0][1]["identifier"] == ["urn:oid:1.2.250.1.71.4.2.1|899900000001"]
    for elsewhere in ("https://elsewhere.test/Practitioner", "http://127.0.0.1/", site.base + "evil/x"):
        site.asked.clear()
        site.answers["Practitioner"] = bundle(following=elsewhere)
        await national.by_person(elsewhere[-9:])
        assert len(site.asked) == 1


async def test_no_more_calls_a_second_than_allowed(national: NationalDirectory, site: Site, clock: Clock) -> None:
    began = clock.now
    for number in range(40):
        await national.by_person(f"8{number}")
    assert len(site.asked) == 40
    assert clock.now - began >= 39 / 17 - 0.001


@pytest.mark.parametrize(
    ("status", "raw", "word"),
    [
        (401, b"", "key"),
        (403, b"", "key"),
        (500, b"", "status"),
        (302, b"", "status"),
        (200, b"<html>", "answer"),
        (200, b"[" * 100_000, "answer"),
        (200, b"[]", "answer"),
        (200, b" " * (5 << 20), "too_large"),
    ],
)
async def test_what_is_no_answer_has_a_word(
    national: NationalDirectory, site: Site, status: int, raw: bytes, word: str
) -> None:
    site.status, site.raw = status, raw
    with pytest.raises(Unreachable) as problem:
        await national.by_person("8")
    assert problem.value.word == word
    assert KEY not in str(problem.value)


async def test_nobody_and_a_strange_server(site: Site, space: pki.Pki, national: NationalDirectory) -> None:
    site.status = 404
    assert await national.by_person("8") == ()
    stranger = NationalDirectory(Api(base=site.base, key=KEY))
    with pytest.raises(Unreachable, match="tls"):
        await stranger.by_person("8")
    await stranger.close()
    plain = NationalDirectory(Api(base=site.base.replace("https", "http"), key=KEY, anchors=(space.ca,)))
    with pytest.raises(Unreachable, match="https"):
        await plain.by_person("8")
    await plain.close()
    assert KEY not in repr(Api(base="x", key=KEY))
