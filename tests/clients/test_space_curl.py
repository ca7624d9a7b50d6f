"""curl against a running operator: SMTP in, IMAP out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.programs import program, run
from tests.space.running import Space, letter

pytestmark = pytest.mark.client


def test_send_by_smtps_and_read_by_imaps(space: Space, tmp_path: Path) -> None:
    sender, reader = space.box(space.b), space.box(space.a)
    message = tmp_path / "message.eml"
    message.write_bytes(
        letter(sender["address"], reader["address"], "par curl 51de").as_bytes().replace(b"\n", b"\r\n")
    )
    common = ["--silent", "--show-error", "--cacert", space.ca]
    where = space.b["submissions"]
    sent = run(
        program("curl"), *common, f"smtps://{where['host']}:{where['port']}/poste.test",
        "--mail-from", sender["address"], "--mail-rcpt", reader["address"],
        "--user", f"{sender['login']}:{sender['device_password']}", "--upload-file", str(message),
    )  # fmt: skip
    assert sent.returncode == 0, sent.stderr
    space.wait_for(space.a, reader, "par curl 51de")
    where = space.a["imaps"]
    found = run(
        program("curl"), *common, f"imaps://{where['host']}:{where['port']}/INBOX?SUBJECT%20%22par%20curl%2051de%22",
        "--user", f"{reader['login']}:{reader['device_password']}",
    )  # fmt: skip
    assert found.stdout.startswith("* SEARCH "), found.stdout + found.stderr
    number = found.stdout.split()[-1]
    read = run(
        program("curl"), *common, f"imaps://{where['host']}:{where['port']}/INBOX;MAILINDEX={number}",
        "--user", f"{reader['login']}:{reader['device_password']}",
    )  # fmt: skip
    assert "Subject: par curl 51de" in read.stdout


def test_starttls_on_143(space: Space) -> None:
    box, where = space.box(space.a), space.a["imap"]
    done = run(
        program("curl"), "--silent", "--show-error", "--cacert", space.ca, "--ssl-reqd",
        f"imap://{where['host']}:{where['port']}/", "--user", f"{box['login']}:{box['device_password']}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "INBOX" in done.stdout
