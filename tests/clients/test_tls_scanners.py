"""sslyze and testssl.sh look at every running door; what they find equals the committed list (MSS-022, MSS-023).

sslyze asks for an older ``cryptography`` than ours, so it lives in an environment of its own, made on first use.
"""

from __future__ import annotations

import concurrent.futures
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.space.running import ROOT, Space

pytestmark = [pytest.mark.client, pytest.mark.slow]
EXPECTED = json.loads(Path(__file__).with_name("tls_expected.json").read_text("utf-8"))
SSLYZE = "sslyze==6.3.1"
ENVIRONMENT = ROOT / ".venv" / "sslyze"
DOORS = {"smtp": "smtp", "submission": "smtp", "submissions": "", "imap": "imap", "imaps": ""}
VERSIONS = ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2", "tls_1_3")
# What testssl says about the machine it runs on, or about how long it took.
PASSING = {"engine_problem", "service", "scanTime", "DROWN_hint", "pre_128cipher"}


@pytest.fixture(scope="session")
def sslyze() -> Path:
    program = ENVIRONMENT / "bin" / "sslyze"
    if not program.exists():
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        python = ENVIRONMENT / "bin" / "python"
        made = subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], capture_output=True, check=False)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", SSLYZE]
        if made.returncode or subprocess.run(install, capture_output=True, check=False, timeout=280).returncode:
            pytest.skip("sslyze cannot be installed here")
    return program


def test_sslyze_finds_what_is_expected(space: Space, sslyze: Path, tmp_path: Path) -> None:
    def scan(door: str) -> dict[str, Any]:
        report, upgrade = tmp_path / f"{door}.json", DOORS[door]
        options = ["--starttls", upgrade] if upgrade else []
        where = f"127.0.0.1:{space.a[door]['port']}"
        subprocess.run([sslyze, *options, "--json_out", report, where], capture_output=True, check=False, timeout=200)
        return _summary(json.loads(report.read_text("utf-8"))["server_scan_results"][0]["scan_result"])

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = dict(zip(DOORS, pool.map(scan, DOORS), strict=True))
    assert found == dict.fromkeys(DOORS, EXPECTED["sslyze"])


def _summary(result: dict[str, Any]) -> dict[str, Any]:
    """What one door accepts and what it is open to."""
    suites = {
        version: sorted(
            each["cipher_suite"]["name"]
            for each in result[f"{version}_cipher_suites"]["result"]["accepted_cipher_suites"]
        )
        for version in VERSIONS
    }
    answers = {name: result[name]["result"] for name in ("tls_compression", "session_renegotiation",
               "heartbleed", "robot", "openssl_ccs_injection", "tls_fallback_scsv", "tls_extended_master_secret")}  # fmt: skip
    curves = result["elliptic_curves"]["result"]["supported_curves"]
    return {**suites, **answers, "curves": sorted(curve["name"] for curve in curves)}


@pytest.fixture(scope="module")
def findings(
    space: Space, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, concurrent.futures.Future[dict[str, str]]]]:
    """What testssl says of each door. It waits more than it works: three doors at once take little longer than one."""
    program = shutil.which("testssl") or shutil.which("testssl.sh")
    if program is None:
        pytest.skip("testssl.sh is not installed")
    folder = tmp_path_factory.mktemp("testssl")

    def scan(door: str) -> dict[str, str]:
        report, upgrade = folder / f"{door}.json", DOORS[door]
        options = ["--starttls", upgrade] if upgrade else []
        command = [program, "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--jsonfile", report]
        where = f"127.0.0.1:{space.a[door]['port']}"
        subprocess.run([*command, *options, "-p", "-U", where], capture_output=True, check=False, timeout=280)
        return {one["id"]: one["finding"] for one in json.loads(report.read_text("utf-8")) if one["id"] not in PASSING}

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        yield {door: pool.submit(scan, door) for door in DOORS}


@pytest.mark.parametrize("door", list(DOORS))
def test_testssl_finds_what_is_expected(
    findings: dict[str, concurrent.futures.Future[dict[str, str]]], door: str
) -> None:
    found = findings[door].result()
    newer = {name: finding for name, finding in EXPECTED["testssl_since_3_2"].items() if name in found}
    assert found == EXPECTED["testssl"] | newer | EXPECTED["testssl_starttls" if DOORS[door] else "testssl_implicit"]
