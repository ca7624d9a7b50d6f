"""interimap between two running operators: QRESYNC, COMPRESS and LITERAL+ to catch up, NOTIFY to follow two mailboxes at once."""

from __future__ import annotations

import contextlib
import imaplib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.programs import program, run
from tests.space.running import Space, letter

pytestmark = pytest.mark.client

Side = tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture
def sides(space: Space) -> tuple[Side, Side]:
    return (space.a, space.box(space.a, "CAB")), (space.b, space.box(space.b, "CAB"))


@pytest.fixture
def command(space: Space, sides: tuple[Side, Side], tmp_path: Path) -> list[str]:
    settings = [f"database = {tmp_path}/database", "list-mailbox = INBOX Archive"]
    for name, (operator, box) in zip(("local", "remote"), sides, strict=True):
        settings += [
            f"[{name}]", "type = imaps", "host = localhost", f"port = {operator['imaps']['port']}",
            f"username = {box['login']}", f"password = {box['device_password']}", f"SSL_CAfile = {space.ca}",
            "SSL_verify = YES",
        ]  # fmt: skip
    config = tmp_path / "config"
    config.write_text("\n".join(settings) + "\n", "utf-8")
    config.chmod(0o600)
    return [program("interimap"), f"--config={config}"]


@contextlib.contextmanager
def following(command: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--notify"], stdout=output, stderr=output, env={**os.environ, "HOME": str(log.parent)}
        )
        try:
            yield
            assert process.poll() is None, log.read_text("utf-8")
        finally:
            process.terminate()
            process.wait(20)


def marks(imap: imaplib.IMAP4, folder: str, text: str) -> list[set[str]]:
    """The flags of each message with ``text`` in its subject."""
    imap.select(folder)
    _, found = imap.search(None, "SUBJECT", f'"{text}"')
    kept = []
    for number in found[0].split():
        _, data = imap.fetch(number.decode(), "(FLAGS)")
        kept.append({flag.decode() for flag in imaplib.ParseFlags(data[0])} - {"\\Recent"})
    return kept


def wait(imap: imaplib.IMAP4, folder: str, text: str, expected: list[set[str]], log: Path) -> None:
    deadline = time.monotonic() + 30
    while (seen := marks(imap, folder, text)) != expected:
        assert time.monotonic() < deadline, f"{seen}\n{log.read_text('utf-8')}"
        time.sleep(0.1)


def test_two_mailboxes_are_kept_alike(
    space: Space, sides: tuple[Side, Side], command: list[str], tmp_path: Path
) -> None:
    (_, here), (_, there) = sides
    log = tmp_path / "log"
    with space.imap(*sides[0]) as local, space.imap(*sides[1]) as remote:
        for number in range(4):
            local.append(
                "INBOX", "\\Flagged" if number else "", None,
                letter(here["address"], there["address"], f"interimap {number}").as_bytes(),
            )  # fmt: skip
        for _ in range(2):  # of what it appends itself it learns the MODSEQ when it comes again
            done = run(*command, env={**os.environ, "HOME": str(tmp_path)})
            assert done.returncode == 0, done.stderr
            assert "WARNING" not in done.stderr
        assert marks(remote, "INBOX", "interimap") == [set(), {"\\Flagged"}, {"\\Flagged"}, {"\\Flagged"}]
        with following(command, log):
            remote.store("1:*", "+FLAGS", "(\\Seen $Label1)")
            wait(local, "INBOX", "interimap 0", [{"\\Seen", "$Label1"}], log)  # it follows from here on
            remote.append(
                "Archive", "\\Seen", None, letter(there["address"], here["address"], "interimap plus").as_bytes()
            )
            wait(local, "Archive", "interimap plus", [{"\\Seen"}], log)
            local.select("INBOX")
            _, found = local.search(None, "SUBJECT", '"interimap"')
            local.store(b",".join(found[0].split()[1:]).decode(), "+FLAGS", "\\Deleted")
            local.expunge()
            wait(remote, "INBOX", "interimap", [{"\\Seen", "$Label1"}], log)
    assert "WARNING" not in log.read_text("utf-8")
