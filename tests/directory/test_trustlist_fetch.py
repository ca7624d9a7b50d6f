"""Fetching the list over HTTPS with pinned anchors (MSS-001, MSS-010, F40), against a real server."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from directory import trustlist
from directory.trustlist_fetch import MemoryFetch, Unreachable, WebFetch, refresh
from directory.trustlist_history import History, ListSettings
from directory.trustlist_versions import MemoryVersions
from gateway.admin import pki
from tests.directory.lists import NOW, plain


@dataclass
class Site:
    """A small HTTPS server whose pages the test decides."""

    address: str
    anchor: Path
    pages: dict[str, tuple[int, bytes]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> pki.Pki:
    return pki.build(tmp_path_factory.mktemp("pki"), datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def site(space: pki.Pki) -> Iterator[Site]:
    pages: dict[str, tuple[int, bytes]] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = pages.get(self.path, (404, b""))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/list.xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            said = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.headers["Content-Type"].encode() + b":" + said)

        def log_message(self, *arguments: object) -> None:
            """Keep the test output quiet."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    card = space.operators["op-a"].server
    context.load_cert_chain(card.certificate, card.key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Site(f"https://127.0.0.1:{server.server_port}", space.ca, pages)
    server.shutdown()
    server.server_close()
    thread.join()


async def word(fetch: WebFetch | MemoryFetch, source: str, limit: int = 10_000) -> str:
    with pytest.raises(Unreachable) as caught:
        await fetch.get(source, limit)
    return caught.value.word


async def test_the_page_of_a_server_under_our_anchor(site: Site) -> None:
    site.pages["/list.xml"] = (200, plain())
    assert await WebFetch((site.anchor,)).get(f"{site.address}/list.xml", 100_000) == plain()


async def test_a_server_of_another_authority_is_not_believed(site: Site, space: pki.Pki) -> None:
    site.pages["/list.xml"] = (200, plain())
    assert await word(WebFetch((space.faulty["self_signed"].certificate,)), f"{site.address}/list.xml") == "tls"
    assert await word(WebFetch(()), f"{site.address}/list.xml") == "tls"


async def test_what_goes_wrong_has_a_word(site: Site, tmp_path: Path) -> None:
    fetch = WebFetch((site.anchor,), timeout=5)
    site.pages["/big"] = (200, b"x" * 5000)
    site.pages["/moved"] = (302, b"")
    assert await word(fetch, f"{site.address}/none") == "status"
    assert await word(fetch, f"{site.address}/moved") == "status"
    assert await word(fetch, f"{site.address}/big", 4999) == "too_large"
    assert await word(fetch, "http://127.0.0.1:9/list.xml") == "network"
    assert await word(fetch, "https://127.0.0.1:9/list.xml") == "network"
    assert await word(fetch, str(tmp_path / "none.xml")) == "file"
    (tmp_path / "big.xml").write_bytes(b"x" * 50)
    assert await word(fetch, str(tmp_path / "big.xml"), 49) == "too_large"
    assert await fetch.get(str(tmp_path / "big.xml"), 50) == b"x" * 50


async def test_octets_can_be_sent(site: Site) -> None:
    fetch = WebFetch((site.anchor,), plain=True)
    assert (
        await fetch.post(f"{site.address}/x", b"ask", "application/ocsp-request", 99) == b"application/ocsp-request:ask"
    )
    with pytest.raises(Unreachable, match="too_large"):
        await fetch.post(f"{site.address}/x", b"ask", "text/plain", 5)
    assert await word(fetch, "http://127.0.0.1:9/crl") == "network"
    assert await word(fetch, "ftp://127.0.0.1/crl") == "network"


async def test_the_twin_in_memory_answers_alike() -> None:
    fetch = MemoryFetch({"a": b"list", "b": Unreachable("tls", "b")})
    assert await fetch.get("a", 4) == b"list"
    assert await word(fetch, "a", 3) == "too_large"
    assert await word(fetch, "b") == "tls"
    assert await word(fetch, "c") == "network"


async def test_refresh_keeps_the_old_list_when_the_source_fails() -> None:
    history = History(MemoryVersions(), ListSettings())
    fetch = MemoryFetch({"list": plain(10), "sum": trustlist.sha256(plain(10)).encode()})
    first = await refresh(history, fetch, "list", checksum="sum", now=NOW, limit=100_000)
    assert first.word == "accepted"
    fetch.sources["list"] = Unreachable("network", "down")
    later = await refresh(history, fetch, "list", checksum="sum", now=NOW + timedelta(hours=25), limit=100_000)
    assert (later.word, later.reason) == ("refused", "network")
    assert later.trust == first.trust
    assert later.events[0].detail["what"] == "unreachable"
    fetch.sources["list"] = plain(11, NOW + timedelta(hours=1))
    mismatch = await refresh(history, fetch, "list", checksum="sum", now=NOW + timedelta(hours=26), limit=100_000)
    assert mismatch.reason == "checksum"
    unchecked = await refresh(history, fetch, "list", now=NOW + timedelta(hours=26), limit=100_000)
    assert unchecked.word == "accepted"
