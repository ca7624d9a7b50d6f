"""The directory of a running operator over FHIR, asked by curl as practice software asks it (MSS-123)."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from directory.sources.fhir import entries
from tests.space.living import until
from tests.space.running import Space

pytestmark = [pytest.mark.client]


@pytest.fixture(scope="module", autouse=True)
def _curl() -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")


def ask(space: Space, path: str, *options: str, box: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    """Status and resource; ``path`` below /fhir, or a link that was given."""
    operator = space.a
    url = (
        path if path.startswith("https:") else f"https://{operator['hostname']}:{operator['https']['port']}/fhir/{path}"
    )
    here = f"{operator['hostname']}:{operator['https']['port']}:127.0.0.1"
    command = ["curl", "--silent", "--show-error", "--cacert", space.ca, "--max-time", "60", "--resolve", here]
    command += ["--globoff", "--write-out", "\n%{http_code}", *options, url]
    if box is not None:
        command += ["--user", f"{box['login']}:{box['device_password']}"]
    said = subprocess.run(command, capture_output=True, check=True, timeout=90).stdout
    body, _, status = said.rpartition(b"\n")
    return int(status), json.loads(body)


def found(bundle: dict[str, Any]) -> set[str]:
    return {one.address for each in bundle.get("entry", []) for one in entries(each["resource"])}


def test_software_finds_a_colleague_and_reads_every_page(space: Space) -> None:
    box = space.box(space.a)
    everybody: set[str] = set()
    path, pages = "Practitioner?mailbox-mss:contains=%40&_count=1", 0
    while path:
        status, bundle = ask(space, path, box=box)
        assert status == 200
        everybody |= found(bundle)
        path = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
        pages += 1
    own = {each["address"] for each in space.a["mailboxes"]}
    assert {space.box(space.a, index=1)["address"], box["address"]} <= everybody <= own
    assert pages >= 2
    status, organisations = ask(space, "Organization?mailbox-mss-type=ORG,APP", box=box)
    assert space.box(space.a, "ORG", 0)["address"] in found(organisations)
    resource = organisations["entry"][0]["resource"]
    assert ask(space, f"Organization/{resource['id']}", box=box) == (200, resource)


def test_software_logs_in_by_its_certificate(space: Space) -> None:
    """MSS-073."""
    app = space.box(space.a, "APP")
    status, bundle = ask(space, "Organization", "--cert", app["client_cert"], "--key", app["client_key"])
    assert (status, app["address"] in found(bundle)) == (200, True)


def test_strangers_read_nothing(space: Space) -> None:
    box = space.box(space.a)
    for options in ((), ("--user", f"{box['login']}:wrong")):
        status, said = ask(space, "Practitioner", *options)
        assert (status, said["resourceType"]) == (401, "OperationOutcome")
    assert ask(space, "metadata")[1]["resourceType"] == "CapabilityStatement"
    assert ask(space, "Practitioner/x", box=box)[0] == 404


def test_the_red_list_is_in_force_at_once_and_leaves_no_trace(space: Space) -> None:
    """MSS-121, MSS-122: by search, by identity and in what is counted, as if it had never been."""
    box, other = space.box(space.a, index=1), space.box(space.a)  # he has a practice too, she has this mailbox alone
    exact = "Practitioner?mailbox-mss:exact={}".format
    (seen,) = ask(space, exact(other["address"]), box=box)[1]["entry"]
    known = f"Practitioner/{seen['resource']['id']}"
    space.caducee(space.a, "mailbox", "set", other["address"], "--red-list")
    try:
        until(lambda: ask(space, known, box=box)[0] == 404, 60, "hidden")
        nobody = "nobody." + other["address"]
        hidden, missing = (ask(space, exact(each), box=box) for each in (other["address"], nobody))
        assert json.dumps(hidden).replace(other["address"].replace("@", "%40"), "…") == json.dumps(missing).replace(
            nobody.replace("@", "%40"), "…"
        )
        assert ask(space, known, box=box) == ask(space, known + "0", box=box)
        assert other["address"] not in found(ask(space, "Practitioner?_count=50", box=box)[1])
    finally:
        space.caducee(space.a, "mailbox", "set", other["address"], "--public")
    until(lambda: ask(space, known, box=box)[0] == 200, 60, "shown again")
