"""The scanner port against the real clamd, with a hand-made signature (Debian ships none)."""

from __future__ import annotations

import base64
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.scan import Clamd, ScanUnavailable

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
CLAMD = shutil.which("clamd") or "/usr/sbin/clamd"

pytestmark = pytest.mark.client


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A private clamd on a loopback port that knows one signature."""
    if not Path(CLAMD).exists():
        pytest.skip("clamd is not installed")
    directory = tmp_path_factory.mktemp("clamd")
    directory.chmod(0o755)
    (directory / "db").mkdir()
    (directory / "db" / "test.ndb").write_text(f"Eicar-Test.LOCAL:0:*:{EICAR.hex()}\n", "ascii")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (directory / "clamd.conf").write_text(
        f"DatabaseDirectory {directory}/db\nTCPSocket {port}\nTCPAddr 127.0.0.1\nForeground yes\n"
        f"StreamMaxLength 1M\nUser root\nTemporaryDirectory {directory}\n",
        "ascii",
    )
    process = subprocess.Popen(
        [CLAMD, f"--config-file={directory}/clamd.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(port, process)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.skip("clamd does not start on this machine")


async def test_a_clean_message_is_clean(clamd: str) -> None:
    assert (await Clamd(clamd).scan(b"Subject: x\r\n\r\nBonjour\r\n")).threat == ""


async def test_the_test_virus_is_found_inside_base64(clamd: str) -> None:
    part = base64.encodebytes(EICAR).replace(b"\n", b"\r\n")
    message = (
        b"MIME-Version: 1.0\r\nContent-Type: application/octet-stream; name=x.com\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + part
    )
    assert (await Clamd(clamd).scan(message)).threat.startswith("Eicar-Test.LOCAL")


async def test_past_its_stream_limit_nothing_is_called_clean(clamd: str) -> None:
    with pytest.raises(ScanUnavailable):
        await Clamd(clamd).scan(b"a" * (3 << 20))


async def test_a_closed_port_is_unavailable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ScanUnavailable):
        await Clamd(f"127.0.0.1:{port}", timeout=2).scan(b"x")


async def test_a_silent_scanner_is_unavailable() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(ScanUnavailable, match="timeout"):
            await Clamd(f"127.0.0.1:{silent.getsockname()[1]}", timeout=0.3).scan(b"x")
