"""A pack of evidence made by an operator at work, and judged where nothing of that operator is (TOU-A14)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pyotp
import pytest

from tests.space.living import until
from tests.space.running import PATIENCE, ROOT, Space, letter
from tests.space.test_space_evidence import identifier, send

pytestmark = pytest.mark.slow


def command(folder: Path, *words: str, config: str = "", given: str = "") -> subprocess.CompletedProcess[str]:
    """As a person at a terminal of his own: a session file in ``folder``, no configuration unless one is named."""
    own = {"CADUCEE_SESSION": str(folder / "session"), "CADUCEE_CONFIG": config or str(folder / "none.toml")}
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli", "--lang", "en", *words],
        input=given, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=ROOT, env={**os.environ, **own},
    )  # fmt: skip


def kinds(space: Space, operator: dict[str, Any], message: str) -> list[str]:
    told = json.loads(space.caducee(operator, "journal", "list", "--message", message, "--json").stdout)
    return [one["kind"] for one in told]


def test_a_pack_is_made_while_serving_and_verified_elsewhere(space: Space, tmp_path: Path) -> None:
    sender, reader = space.box(space.a), space.box(space.b)
    secret = "preuve-5521-confidentiel"
    message = letter(sender["address"], reader["address"], "preuve 5521", f"{secret}\r\n")
    name = identifier(send(space, space.a, sender, message, [reader["address"]]))
    until(lambda: "message.handed_over" in kinds(space, space.a, name))
    pack = tmp_path / "evidence.zip"
    space.caducee(space.a, "evidence", "pack", name, "--out", str(pack))
    with zipfile.ZipFile(pack) as archive:
        content = b"".join(archive.read(one) for one in archive.namelist())
    assert secret.encode() not in content
    assert b"preuve 5521" not in content
    assert pack.stat().st_mode & 0o777 == 0o600
    done = command(tmp_path, "evidence", "verify", str(pack), "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["message"], told["intact"]) == (0, name, True), done.stderr
    assert told["records"] >= 3
    again = space.caducee(space.a, "evidence", "pack", name, "--out", str(pack), check=False)
    assert (again.returncode, "exists already" in again.stderr or "existe déjà" in again.stderr) == (2, True)
    broken = tmp_path / "broken.zip"
    broken.write_bytes(pack.read_bytes().replace(b"manifest.sig", b"manifest.sic"))
    done = command(tmp_path, "evidence", "verify", str(broken))
    assert (done.returncode, done.stdout) == (1, "")
    assert kinds(space, space.a, name)[-1] == "evidence.made"


def test_the_body_is_for_its_reader_in_a_strong_session(space: Space, tmp_path: Path) -> None:
    """MSS-063: the operator alone never gets it, nor does somebody else; and its reading is on record."""
    sender, reader = space.box(space.a), space.box(space.b)
    message = letter(sender["address"], reader["address"], "preuve 5522", "mot-5522\r\n")
    send(space, space.a, sender, message, [reader["address"]])
    raw = space.wait_for(space.b, reader, "preuve 5522")
    told = json.loads(space.caducee(space.b, "journal", "list", "--mailbox", reader["address"], "--json").stdout)
    name = [one["message"] for one in told if one["kind"] == "message.delivered"][-1]
    config = space.b["config"]

    def packed(folder: Path, out: str) -> subprocess.CompletedProcess[str]:
        asked = ("evidence", "pack", name, "--with-body", "--out", str(tmp_path / out))
        return command(folder, *asked, config=config)

    assert packed(tmp_path, "a.zip").returncode == 1
    for box, code in ((space.box(space.b, index=1), 1), (reader, 0)):
        folder = tmp_path / box["account"]
        folder.mkdir()
        answers = f"{box['password']}\n{pyotp.TOTP(box['totp_secret']).now()}\n"
        opened = command(folder, "account", "session", box["account"], "--stdin", config=config, given=answers)
        assert opened.returncode == 0, opened.stderr
        done = packed(folder, f"{code}.zip")
        assert done.returncode == code, done.stderr
    with zipfile.ZipFile(tmp_path / "0.zip") as archive:
        assert archive.read("message.eml") == raw
    assert json.loads(command(tmp_path, "evidence", "verify", str(tmp_path / "0.zip"), "--json").stdout)["body"]
    told = json.loads(space.caducee(space.b, "journal", "list", "--message", name, "--json").stdout)
    read = [one for one in told if one["kind"] == "mailbox.read"]
    assert [(one["actor"], one["detail"]["command"]) for one in read] == [(reader["account"], "EVIDENCE")]


def test_an_owner_reads_who_did_what_in_the_mailbox(space: Space, tmp_path: Path) -> None:
    """MSS-143, TOU-F01: by name of folder for the owner, by number for the operator; refused to anybody else."""
    box = space.box(space.a, "ORG")
    sender = space.box(space.a)
    message = letter(sender["address"], box["address"], "trace 5523")
    name = identifier(send(space, space.a, sender, message, [box["address"]]))
    space.wait_for(space.a, box, "trace 5523")
    with space.imap(space.a, box) as imap:
        assert imap.create("Trace5523")[0] == "OK"
        assert imap.copy("1", "Trace5523")[0] == "OK"
    told = json.loads(space.caducee(space.a, "history", "access", box["address"], "--json").stdout)
    asked = [(one["action"], one["request"], one["result"]) for one in told]
    assert ("mailbox.read", "FETCH", "done") in asked
    assert ("mailbox.changed", "CREATE", "done") in asked
    assert ("mailbox.changed", "COPY", "done") in asked
    assert [one["action"] for one in told if one["messages"] == name] == ["message.delivered"]
    assert all(one["author"] and one["time"] for one in told)
    assert "Trace5523" not in json.dumps(told)
    refused = command(tmp_path, "history", "access", box["address"], "--session", config=space.a["config"])
    assert refused.returncode == 1


def test_a_mailbox_is_destroyed_and_the_certificate_proves_it(space: Space, tmp_path: Path) -> None:
    """TOU-E07: nothing is destroyed without the mailbox being closed first, and nothing can be read afterwards."""
    address = "essai.detruire@op-a.mssante.test"
    space.caducee(space.a, "mailbox", "create", address, "--type", "ORG", "--structure", "399900000000018")
    sender = space.box(space.a)
    send(space, space.a, sender, letter(sender["address"], address, "detruire 5524"), [address])
    asked = ("mailbox", "destroy", address, "--reason", "fin de contrat", "--yes", "--out")
    early = space.caducee(space.a, *asked, str(tmp_path / "early.zip"), check=False)
    assert (early.returncode, (tmp_path / "early.zip").exists()) == (1, False)
    space.caducee(space.a, "mailbox", "close", address, "--reason", "fin de contrat")
    out = tmp_path / "destroyed.zip"
    space.caducee(space.a, *asked, str(out))
    with zipfile.ZipFile(out) as archive:
        found = json.loads(archive.read("destruction.json"))
        records = json.loads(archive.read("records.json"))
    assert found["left"] == {"key": 0, "folders": 0, "messages": 0}
    assert [json.loads(one["detail"]).get("what") for one in records] == ["opened", "close", "delete", "mailbox"]
    told = json.loads(command(tmp_path, "evidence", "verify", str(out), "--json").stdout)
    assert (told["intact"], told["mailbox"], told["message"]) == (True, address, "")
    again = tmp_path / "again.zip"  # the certificate can be written again; nothing more is destroyed
    space.caducee(space.a, "mailbox", "destroy", address, "--out", str(again))
    assert json.loads(command(tmp_path, "evidence", "verify", str(again), "--json").stdout)["intact"]
