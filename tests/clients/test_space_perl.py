"""Net::SMTP and Mail::IMAPClient against a running operator: what hospitals' own Perl scripts are written with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.clients.programs import program, run
from tests.space.running import Space

pytestmark = pytest.mark.client

MODULES = ("Mail::IMAPClient", "IO::Socket::SSL", "Authen::SASL")
SENT = [
    "refused=yes 535", "sender=1", "recipient=1", "outside=1", "sent=1",
    "verify=2.5.0 Nous ne disons pas si une adresse existe. Envoyez le message, nous repondrons alors. [session.vrfy]",
    "expand=0 502", "quit=1",
]  # fmt: skip
KEPT = [
    "folder=Scripts/perl 41ce", "dated=1", "plain=2", "messages=1 2", "found=2", "sorted=2 1",
    "subject=perl 41ce TEXT", "arrived=01-Feb-2020 12:00:00 +0100", "flags=$Forwarded \\Seen", "same=yes", "copied=yes",
    "moved=yes", "left=0", "idle=yes", "renamed=yes", "gone=yes",
]  # fmt: skip


def test_a_script_sends_files_and_waits(space: Space) -> None:
    perl = program("perl")
    for module in MODULES:
        if run(perl, f"-M{module}", "-e1").returncode:
            pytest.skip(f"{module} is not installed")
    box, reader = space.box(space.a, index=1), space.box(space.b)
    doors = {name.upper(): str(space.a[name]["port"]) for name in ("submission", "imap", "imaps")}
    login = {"LOGIN": box["login"], "PASSWORD": box["device_password"], "CA": space.ca}
    script = Path(__file__).with_name("day.pl")
    done = run(perl, str(script), "perl 41ce", reader["address"], env={**os.environ, **doors, **login})
    assert done.stdout.splitlines() == [*SENT, *KEPT, *KEPT], done.stderr
    assert b"\r\n\r\n.\r\n..deux\r\n" in space.wait_for(space.b, reader, "perl 41ce")
