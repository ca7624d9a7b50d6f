"""One operator as a process that may be killed at any moment, and the ledger of what it said 250 to."""

from __future__ import annotations

import contextlib
import imaplib
import json
import os
import signal
import smtplib
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.admin.derive import Value
from gateway.admin.space import Site, Space
from tests.space.living import inbound_session
from tests.space.running import ROOT

PATIENCE = 40.0


def build(directory: Path, database: str = "", settings: dict[tuple[str, str], Value] | None = None) -> Space:
    """A space on disk, nothing running; ``database`` is the ``store.url`` of operator A."""
    space = Space(directory / "space", settings=settings, databases={"op-a": database} if database else None)
    space.build()
    return space


@dataclass
class Ledger:
    """What the sender knows: marks that got 250, and marks that were tried."""

    accepted: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    replies: Counter[int] = field(default_factory=Counter)


@dataclass
class Killable:
    """Operator A of a space."""

    space: Space
    process: subprocess.Popen[bytes] | None = None
    tracer: subprocess.Popen[bytes] | None = None

    @property
    def site(self) -> Site:
        return self.space.sites[0]

    @property
    def box(self) -> dict[str, Any]:
        return self.site.mailboxes[0]

    def start(self) -> float:
        """Start it; the seconds until its doors answered."""
        self.site.ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "gateway.cli", "--config", str(self.site.config), "serve"]
        log = self.site.log.open("ab")
        began = time.monotonic()
        self.process = subprocess.Popen(
            [*command, "--ready-file", str(self.site.ready), "--leash", "0"],
            stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=ROOT, start_new_session=True,
        )  # fmt: skip
        while not self.site.ready.exists():
            assert self.process.poll() is None, self.site.log.read_text("utf-8", "replace")[-3000:]
            assert time.monotonic() - began < PATIENCE
            time.sleep(0.02)
        return time.monotonic() - began

    def inject(self, syscall: str, what: str, when: str) -> None:
        """Attach strace: the ``when``-th call of ``syscall`` from now on meets ``what``."""
        assert self.process is not None
        fault = f"inject={syscall}:{what}:when={when}"
        self.tracer = subprocess.Popen(
            ["strace", "-f", "-qq", "-e", f"trace={syscall}", "-e", fault, "-p", str(self.process.pid)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while "TracerPid:\t0" in Path(f"/proc/{self.process.pid}/status").read_text("ascii"):
            if self.process.poll() is not None:  # it met its end, in work of its own, before we looked
                return
            assert time.monotonic() < deadline, "strace did not attach"
            time.sleep(0.02)

    def detach(self) -> None:
        if self.tracer is not None:
            self.tracer.terminate()
            self.tracer.wait(20)
            self.tracer = None

    def kill(self) -> None:
        """kill -9, whatever it is doing."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)
        self.detach()

    def stop(self) -> int:
        assert self.process is not None
        self.detach()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    # sending and reading

    def trust(self) -> ssl.SSLContext:
        assert self.space.pki is not None
        return ssl.create_default_context(cafile=str(self.space.pki.ca))

    def partner_session(self) -> smtplib.SMTP:
        """Operator B at our inbound door."""
        assert self.space.pki is not None
        card = self.space.pki.operators["op-b"].client
        context = self.trust()
        context.load_cert_chain(card.certificate, card.key)
        return inbound_session(self.site.ports["inbound"], context, PATIENCE)

    def send(self, ledger: Ledger, prefix: str, count: int, size: int = 0, clients: int = 3) -> None:
        """Several clients send until all is sent or the operator is gone."""
        threads = [
            threading.Thread(target=self._client, args=(ledger, f"{prefix}-{number}", count, size))
            for number in range(clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE * 2)

    def _client(self, ledger: Ledger, prefix: str, count: int, size: int) -> None:
        with contextlib.suppress(smtplib.SMTPException, OSError):
            session = self.partner_session()
            for number in range(count):
                mark = f"{prefix}-{number}-"
                ledger.tried.append(mark)
                code = self._one(session, mark, size)
                ledger.replies[code] += 1
                if code == 250:
                    ledger.accepted.append(mark)

    def _one(self, session: smtplib.SMTP, mark: str, size: int) -> int:
        recipients = [box["address"] for box in self.site.mailboxes[:2]]
        code, _ = session.mail("dr@op-b.mssante.test")
        if code != 250:
            return code
        for recipient in recipients:
            code, _ = session.rcpt(recipient)
            if code != 250:
                session.rset()
                return code
        filler = ("x" * 76 + "\r\n") * (size // 78)
        text = f"From: dr@op-b.mssante.test\r\nTo: x\r\nSubject: {mark}\r\nMessage-ID: <{mark}@op-b.mssante.test>\r\n\r\n{filler}"
        return session.data(text.encode("ascii"))[0]

    def received(self, index: int = 0) -> Counter[str]:
        """Subjects in a mailbox and how often each is there."""
        box = self.site.mailboxes[index]
        with imaplib.IMAP4_SSL(
            "127.0.0.1", self.site.ports["imaps"], ssl_context=self.trust(), timeout=PATIENCE
        ) as imap:
            imap.login(box["login"], box["device_password"])
            imap.select("INBOX", readonly=True)
            _, data = imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
            lines = [item[1] for item in data if isinstance(item, tuple)]
        return Counter(line.decode("ascii").removeprefix("Subject: ").strip() for line in lines)

    def caducee(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gateway.cli", "--config", str(self.site.config), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120)

    def judge(self, ledger: Ledger, kills: int, clients: int = 3) -> None:
        """Nothing lost after 250; at most one doubled copy per killed transaction and client; chain and store whole."""
        for index in (0, 1):
            held = self.received(index)
            lost = [mark for mark in ledger.accepted if not held[mark]]
            assert not lost, f"lost after 250: {lost}"
            strangers = [mark for mark in held if mark and mark not in ledger.tried]
            assert not strangers, strangers
            assert sum(count - 1 for count in held.values()) <= kills * clients
        told = json.loads(self.caducee("journal", "verify", "--json").stdout)
        assert told["intact"], told
        checked = self.caducee("fsck", "--json")
        assert checked.returncode in (0, 1), checked.stderr
