"""The HTTP doors of a running operator, asked by curl."""

from __future__ import annotations

import json
import plistlib
import shutil
import smtplib
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.admin.autoconfig import mozilla
from gateway.config import load
from tests.space.living import until
from tests.space.running import SMTP, Space, letter

pytestmark = [pytest.mark.client]


@pytest.fixture(scope="module", autouse=True)
def _curl() -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")


def curl(space: Space, url: str, *options: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    command = ["curl", "--silent", "--show-error", "--cacert", space.ca, "--include", "--max-time", "60", *options, url]
    said = subprocess.run(command, capture_output=True, check=True, timeout=90).stdout
    head, _, body = said.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), {line.partition(": ")[0].lower(): line.partition(": ")[2] for line in lines}, body


def monitor(space: Space, operator: dict[str, Any], path: str) -> tuple[int, dict[str, str], bytes]:
    return curl(space, f"http://127.0.0.1:{operator['monitor']['port']}{path}")


def figures(space: Space, operator: dict[str, Any]) -> dict[str, float]:
    """Each series by its name and labels, but for that of the process."""
    status, _, page = monitor(space, operator, "/metrics")
    assert status == 200
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(page.decode()):
        for one in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(one.labels.items()) if key != "process")
            found[f"{one.name}{{{labels}}}"] = found.get(f"{one.name}{{{labels}}}", 0) + one.value
    return found


def test_a_message_is_counted_on_its_way(space: Space) -> None:
    """TOU-E10."""
    sender, recipient = space.box(space.a), space.box(space.b)
    handed_over = f"caducee_recipients_handed_over_total{{domain={space.b['domain']}}}"
    accepted = "caducee_messages_accepted_total{door=%s}"
    before = figures(space, space.a), figures(space, space.b)
    where = space.a["submissions"]
    with smtplib.SMTP_SSL(where["host"], where["port"], context=space.tls(), timeout=60) as smtp:
        smtp.login(sender["login"], sender["device_password"])
        message = letter(sender["address"], recipient["address"], "Compte rendu")
        smtp.sendmail(sender["address"], [recipient["address"]], message.as_bytes(policy=SMTP))
    space.wait_for(space.b, recipient, str(message["Message-ID"]))
    until(lambda: figures(space, space.a).get(handed_over, 0) > before[0].get(handed_over, 0), what="handed over")
    here, there = figures(space, space.a), figures(space, space.b)
    assert here[accepted % "submission"] > before[0].get(accepted % "submission", 0)
    assert there[accepted % "inbound"] > before[1].get(accepted % "inbound", 0)
    assert there["caducee_imap_commands_total{command=FETCH}"] > 0
    assert here["caducee_commit_seconds_count{}"] > 0
    assert here["caducee_trust_list_age_seconds{}"] < 3600
    assert here["caducee_database_bytes{}"] > 0


@pytest.mark.parametrize("host", ["autoconfig.{}", "{}"])
def test_a_mail_program_is_told_the_doors_where_it_asks(space: Space, host: str) -> None:
    """MSS-077: the documents are those of `caducee autoconfig`."""
    name = host.format(space.a["domain"])
    path = "/mail/config-v1.1.xml" if name.startswith("auto") else "/.well-known/autoconfig/mail/config-v1.1.xml"
    here = f"{name}:443:127.0.0.1:{space.a['https']['port']}"
    address = space.box(space.a)["address"]
    status, headers, body = curl(space, f"https://{name}{path}?emailaddress={address}", "--connect-to", here)
    assert (status, headers["content-type"]) == (200, "text/xml; charset=utf-8")
    assert body == mozilla(load(Path(space.a["config"])))
    assert address not in Path(space.a["log"]).read_text("utf-8")


def test_an_iphone_opens_the_profile(space: Space) -> None:
    status, headers, body = curl(space, f"https://127.0.0.1:{space.a['https']['port']}/caducee.mobileconfig")
    assert (status, headers["content-type"]) == (200, "application/x-apple-aspen-config")
    assert plistlib.loads(body)["PayloadContent"][0]["IncomingMailServerPortNumber"] == space.a["imaps"]["port"]


def test_what_watches_is_not_open_to_the_world(space: Space) -> None:
    for path in ("/metrics", "/health/details"):
        status, _, _ = curl(space, f"https://127.0.0.1:{space.a['https']['port']}{path}")
        assert status == 404


def test_health_and_the_doctor_agree(space: Space) -> None:
    """MSS-147: where both look, they find the same."""
    status, _, body = monitor(space, space.a, "/health")
    assert (status, json.loads(body)["ready"]) == (200, True)
    assert {"inbound", "submissions", "imaps", "https"} <= set(json.loads(body)["doors"])
    status, _, body = monitor(space, space.a, "/health/details")
    said = json.loads(body)
    doctor = json.loads(space.caducee(space.a, "doctor", "--json", check=False).stdout)
    words = {"good": "ok", "skipped": "ok", "warn": "warn", "bad": "fail", "away": "fail"}
    theirs = {each["name"]: words[each["state"]] for each in doctor["findings"]}
    ours = {each["name"]: each["status"] for each in said["checks"]}
    assert ours == {name: theirs.get(name) for name in ours}
    assert {"list.good", "revocation.good", "certificate.good", "queue.good", "disk.good", "journal.good"} <= set(ours)
    assert (status, said["status"], said["exit"]) == (200, "ok", 0)
