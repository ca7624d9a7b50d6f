"""A trust space running as real processes, and the few things tests want to do with it."""

from __future__ import annotations

import contextlib
import imaplib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

from gateway.admin.space import free_ports

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0

__all__ = ["SMTP", "Space", "free_port", "letter", "start"]


def free_port() -> int:
    return free_ports(1)[0]


@dataclass
class Space:
    """The ready file, and the process behind it."""

    directory: Path
    facts: dict[str, Any]
    process: subprocess.Popen[bytes]

    @property
    def a(self) -> dict[str, Any]:
        return self.facts["operators"][0]

    @property
    def b(self) -> dict[str, Any]:
        return self.facts["operators"][1]

    @property
    def ca(self) -> str:
        return self.facts["pki"]["ca"]

    def box(self, operator: dict[str, Any], kind: str = "PER", index: int = 0) -> dict[str, Any]:
        return [box for box in operator["mailboxes"] if box["type"] == kind][index]

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca)

    def caducee(
        self, operator: dict[str, Any], *arguments: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line against one operator's configuration."""
        command = [sys.executable, "-m", "gateway.cli", "--config", operator["config"], *arguments]
        return subprocess.run(command, check=check, capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT)

    @contextlib.contextmanager
    def imap(self, operator: dict[str, Any], box: dict[str, Any]) -> Iterator[imaplib.IMAP4_SSL]:
        where = operator["imaps"]
        with imaplib.IMAP4_SSL(where["host"], where["port"], ssl_context=self.tls(), timeout=PATIENCE) as connection:
            connection.login(box["login"], box["device_password"])
            connection.select("INBOX")
            yield connection

    def wait_for(self, operator: dict[str, Any], box: dict[str, Any], text: str, patience: float = 30.0) -> bytes:
        """The raw bytes of the message whose header or body holds ``text``, once it is in INBOX."""
        deadline = time.monotonic() + patience
        while True:
            with self.imap(operator, box) as imap:
                _, found = imap.search(None, "TEXT", f'"{text}"')
                numbers = found[0].split()
                if numbers:
                    _, data = imap.fetch(numbers[-1].decode(), "(BODY.PEEK[])")
                    return bytes(data[0][1])
            if time.monotonic() > deadline:
                raise AssertionError(f"no message with {text!r} reached {box['address']}")
            time.sleep(0.2)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


def start(directory: Path, *options: str) -> Space:
    """Start ``caducee space`` and wait for its ready file."""
    ready = directory / "ready.json"
    command = [sys.executable, "-m", "gateway.cli", "space", "--dir", str(directory / "space")]
    log = (directory / "space.log").open("wb")
    process = subprocess.Popen(
        [*command, "--ready-file", str(ready), "--leash", "0", *options],
        stdin=subprocess.PIPE,  # closed when this process ends, however it ends
        stdout=log,
        stderr=log,
        cwd=ROOT,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    deadline = time.monotonic() + PATIENCE
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"the space did not start:\n{(directory / 'space.log').read_text('utf-8')[-4000:]}")
        time.sleep(0.05)
    return Space(directory, json.loads(ready.read_text("utf-8")), process)


def letter(sender: str, recipient: str, subject: str, text: str = "Bonjour,\r\nVoici.\r\n") -> EmailMessage:
    """A plain well-formed message."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, recipient, subject
    message["Message-ID"] = f"<{time.time_ns()}@{sender.rpartition('@')[2]}>"
    message["Date"] = "Mon, 02 Mar 2026 10:00:00 +0100"
    message.set_content(text)
    return message
