"""The national list is looked for in time, from a real HTTPS server, and an old one is an alarm by its own stamp (MSS-127)."""

from __future__ import annotations

import asyncio
import base64
import http.server
import io
import os
import ssl
import threading
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway import compose
from gateway.admin import pki
from gateway.admin.doctor_directory import extraction
from gateway.compose import Storage
from gateway.config import load
from gateway.directory import refresh
from gateway.directory.feed import Status, status
from gateway.directory.wiring import directory
from gateway.record.journal import read
from policies.events import Kind
from tests.directory.extractions import people, text
from tests.waiting import until

CONFIG = """\
[operator]
name = "Test"
domains = ["op.mssante.test"]
hostname = "mail.op.mssante.test"
test_mode = true
[store]
master_key = "file:master.key"
[directory]
source = "{source}"
anchors = ["{anchor}"]
refresh = "1h"
"""
MADE = datetime(2026, 8, 26, 2, 13, tzinfo=UTC)
NAME = "Extraction_Correspondance_MSSante_202608260213.zip"


@dataclass
class Site:
    """What a small HTTPS server answers."""

    address: str = ""
    body: bytes = b""
    status: int = 200
    fields: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    cut: int = 0


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("extraction.txt", data)
    return file.getvalue()


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> pki.Pki:
    return pki.build(tmp_path_factory.mktemp("pki"), datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def site(space: pki.Pki) -> Iterator[Site]:
    told = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked += 1
            self.send_response(told.status)
            for name, value in told.fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(told.body) + told.cut))
            self.end_headers()
            with suppress(OSError):  # whoever knows the stamp hangs up
                self.wfile.write(told.body)

        def log_message(self, *arguments: object) -> None:
            """Keep the test output quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    card = space.operators["op-a"].server
    context.load_cert_chain(card.certificate, card.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told.address = f"https://127.0.0.1:{server.server_port}/extraction"
    yield told
    server.shutdown()
    server.server_close()


@dataclass
class Running:
    """An open store whose clock the test holds, and the site it looks at."""

    storage: Storage
    site: Site
    now: float

    async def look(self) -> bool:
        self.now += 3601
        return await refresh.look(self.storage, self.storage.config)

    def status(self) -> Status:
        known = self.storage.reading.run_sync(status)
        assert known is not None
        return known


@pytest.fixture
async def running(site: Site, space: pki.Pki, tmp_path: Path) -> AsyncIterator[Running]:
    (tmp_path / "config.toml").write_text(CONFIG.format(source=site.address, anchor=space.ca))
    (tmp_path / "master.key").write_bytes(base64.b64encode(bytes(range(32))))
    (tmp_path / "master.key").chmod(0o600)
    site.fields = {"Content-Disposition": f"attachment; filename={NAME}"}
    site.body = zipped(text(*people(300)))
    made = Running(await asyncio.to_thread(compose.storage, load(tmp_path / "config.toml")), site, MADE.timestamp())
    made.storage = replace(made.storage, clock=lambda: made.now)
    made.storage.committer._clock = lambda: made.now
    yield made
    await made.storage.close()


async def test_a_list_is_fetched_put_in_force_and_not_read_twice(running: Running) -> None:
    assert await running.look()
    known = running.status()
    assert (known.entries, known.stamped_at, known.trouble) == (300, int(MADE.timestamp()), "")
    assert await directory(running.storage).get("p7@op-n.mssante.test") is not None
    taken = running.now
    assert not await running.look()  # its stamp is known
    assert (running.site.asked, running.status().taken_at) == (2, int(taken))
    running.now += 1800
    assert not await refresh.look(running.storage, running.storage.config)  # not yet time
    assert running.site.asked == 2
    running.site.fields = {"Last-Modified": "Thu, 27 Aug 2026 02:13:00 GMT"}
    running.site.body = text(*people(290))
    assert await running.look()
    known = running.status()
    assert (known.entries, known.removed, known.stamped_at) == (290, 10, int(MADE.timestamp()) + 24 * 3600)
    told = running.storage.reading.run_sync(lambda c: read(c, kind=Kind.DIRECTORY_LIST))
    assert [one.detail["what"] for one in told] == ["taken", "taken"]
    assert list((running.storage.config.service.data / "directory").iterdir()) == []


async def test_what_cannot_be_taken_leaves_the_list_and_says_why(running: Running) -> None:
    assert await running.look()
    running.site.fields = {}
    whole = zipped(text(*people(300)))
    for change, word in (
        ({"status": 503}, "status"),
        ({"status": 302}, "status"),
        ({"body": whole[:-200], "cut": 200}, "network"),
        ({"body": whole[:-200]}, "bad_zip"),
        ({"body": b"<html>maintenance</html>"}, "not_an_extraction"),
        ({"body": zipped(text(*people(200)))}, "shrunk"),
        ({"body": text(*people(300))[:-30]}, "truncated"),
    ):
        vars(running.site).update({"status": 200, "cut": 0, "body": whole, **change})
        with capture_logs() as logs:
            assert not await running.look()
        assert [one["reason"] for one in logs if one["event"] == "extraction_not_taken"] == [word]
        known = running.status()
        assert (known.trouble, known.entries) == (word, 300)
    assert [one.name for one in extraction(running.storage)] == ["directory.good", "directory.not_taken"]


async def test_a_server_that_is_not_of_our_authorities_is_not_believed(running: Running, tmp_path: Path) -> None:
    other = await asyncio.to_thread(pki.build, tmp_path / "other", datetime.now(UTC).replace(microsecond=0))
    own = replace(running.storage.config.directory, anchors=(other.ca,))
    config = replace(running.storage.config, directory=own)
    running.now += 3601
    assert not await refresh.look(running.storage, config)
    assert (running.status().trouble, running.site.asked) == ("tls", 0)


async def test_an_old_list_is_an_alarm_by_its_own_stamp(running: Running) -> None:
    """Thirty-six hours: an outage of the source of ten days went unnoticed by others (mssante.md 6.5)."""
    assert [one.name for one in extraction(running.storage)] == ["directory.missing"]
    assert await running.look()
    assert [one.name for one in extraction(running.storage)] == ["directory.good"]
    running.now = MADE.timestamp() + 36 * 3600 + 60
    (found,) = extraction(running.storage)
    assert (found.name, found.state.name, found.parameters["hours"]) == ("directory.old", "BAD", 36)
    running.site.status = 503
    with capture_logs() as logs:
        task = asyncio.create_task(refresh.keep(running.storage, lambda: running.storage.config))
        await until(lambda: any(one["event"] == "extraction_old" for one in logs))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    (alarm,) = [one for one in logs if one["event"] == "extraction_old"]
    assert (alarm["log_level"], alarm["hours"]) == ("error", 36)


async def test_a_file_is_taken_again_when_it_changed(running: Running, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    own: dict[str, Any] = {"source": str(path)}
    config = replace(running.storage.config, directory=replace(running.storage.config.directory, **own))
    for count, expected in ((300, True), (300, False), (299, True)):
        running.now += 3601
        if expected:
            path.write_bytes(text(*people(count)))
            os.utime(path, (running.now, running.now))
        assert await refresh.look(running.storage, config) is expected
        assert running.status().entries == count
    path.unlink()
    running.now += 3601
    assert not await refresh.look(running.storage, config)
    assert running.status().trouble == "unreadable"
    path.write_bytes(text(*people(299)))
    running.now += 901  # nothing was read: tried again before an hour is over
    assert await refresh.look(running.storage, config)
