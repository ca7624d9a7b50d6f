"""fetchmail against a running operator: the poller that feeds many a practice's own server, by STARTTLS and by 993."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.programs import program, run
from tests.space.running import Space, letter

pytestmark = pytest.mark.client

DONE, NOTHING_NEW, NO_CONNECTION, REFUSED = 0, 1, 2, 3  # fetchmail(1), EXIT CODES


def poll(home: Path, door: dict[str, Any], box: dict[str, Any], options: str) -> subprocess.CompletedProcess[str]:
    rc = home / "fetchmailrc"
    rc.write_text(
        f'poll localhost protocol imap port {door["port"]} user "{box["login"]}" password "{box["device_password"]}"\n'
        f'  mda "cat >> {home}/arrived" keep folder INBOX {options}\n',
        "utf-8",
    )
    rc.chmod(0o600)
    command = [program("fetchmail"), "--nosyslog", "--pidfile", str(home / "pid"), "--fetchmailrc", str(rc)]
    return run(*command)


@pytest.mark.parametrize(("door", "tls"), [("imap", "sslproto tls1.2+"), ("imaps", "ssl")])
def test_only_what_is_new_is_fetched(space: Space, tmp_path: Path, door: str, tls: str) -> None:
    box, where = space.box(space.b, "ORG"), space.b[door]
    options = f"{tls} sslcertck sslcertfile {space.ca}"
    assert poll(tmp_path, where, box, options).returncode in (DONE, NOTHING_NEW)
    with space.imap(space.b, box) as imap:
        for number in range(3):
            text = "Bonjour,\r\n.\r\nFrom ici\r\n"
            subject = f"fetchmail {door} {number}"
            imap.append("INBOX", "", None, letter(box["address"], box["address"], subject, text).as_bytes())
    done = poll(tmp_path, where, box, options)
    assert done.returncode == DONE, done.stdout + done.stderr
    arrived = (tmp_path / "arrived").read_text("utf-8")
    assert [arrived.count(f"Subject: fetchmail {door} {number}\n") for number in range(3)] == [1, 1, 1]
    assert poll(tmp_path, where, box, options).returncode == NOTHING_NEW

    wrong = {**box, "device_password": "wrong"}
    assert poll(tmp_path, where, wrong, options).returncode == REFUSED
    assert poll(tmp_path, where, box, f"{tls} sslcertck").returncode == NO_CONNECTION
