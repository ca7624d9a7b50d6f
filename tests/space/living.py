"""A trust space whose authority is in the test's hand: it lists, de-lists, issues and revokes while the operators run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import smtplib
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from directory.trustlist import Row
from gateway.admin import authority
from gateway.admin.derive import Value
from gateway.admin.pki import Card, curve_key_pair, operator_subject, rsa_key, server_names
from gateway.admin.space import Partner, Site, Space
from tests.space.running import ROOT

IN_FORCE = 60.0
"""Seconds in which a change must be in force everywhere."""

QUICK: dict[tuple[str, str], Value] = {
    ("trust", "refresh"): "1s",
    ("trust", "crl_refresh"): "1s",
    ("queue", "first_retry"): "1s",
    ("queue", "longest_retry"): "2s",
    ("dns", "timeout"): "1s",
}
FILLERS = [f"etablissement-{number:02}.mssante.test" for number in range(1, 31)]


def children(pid: int) -> list[int]:
    """The processes a supervisor started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


def inbound_session(port: int, context: ssl.SSLContext, patience: float = 30) -> smtplib.SMTP:
    """A session at an inbound door, after EHLO, as operator B's courier has it.

    Where lists are fetched each second sessions are judged as often: one that may not go on can be ended before its EHLO is answered.
    """
    for _ in range(5):
        session = smtplib.SMTP("127.0.0.1", port, "smtp.op-b.mssante.test", timeout=patience)
        session.starttls(context=context)
        if session.ehlo()[0] == 250:
            break
        session.close()
    return session


def until(question: Callable[[], Any], patience: float = IN_FORCE, what: str = "") -> Any:
    """Ask until the answer is true; the answer. Fails after ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {patience:.0f} s: {what or question}"
        time.sleep(0.2)


class Living:
    """Both operators of a space, and its authority."""

    def __init__(self, directory: Path, settings: dict[tuple[str, str], Value] | None = None,
                 partners: Sequence[Partner] = (), listed: bool = True) -> None:  # fmt: skip
        self.space = Space(directory / "space", settings=QUICK | (settings or {}), partners=partners)
        self.space.build()
        assert self.space.pki is not None
        self.pki = self.space.pki
        self._number = 1
        strangers = () if listed else {each.operator.domain for each in partners}
        self.rows = [
            Row(cards.operator.domain, cards.subject)
            for cards in self.pki.operators.values()
            if cards.operator.domain not in strangers
        ]
        self.rows += [Row(domain, f"CN=smtp.{domain},O=ESSAI,C=FR") for domain in FILLERS]
        self._dated = datetime.now(UTC)
        self.publish()

    @property
    def a(self) -> Site:
        return self.space.sites[0]

    @property
    def b(self) -> Site:
        return self.space.sites[1]

    # the authority

    def made(self, rows: Sequence[Row] | None = None, *, signed: bool = True, older: bool = False) -> bytes:
        """A list, dated after the one before, or long before it."""
        self._dated = max(self._dated + timedelta(seconds=1), datetime.now(UTC))
        signing = authority.signer(self.pki.signing.certificate, self.pki.signing.key) if signed else None
        moment = self._dated - timedelta(days=30) if older else self._dated
        return authority.issue(self.rows if rows is None else rows, moment, signing)

    def put(self, data: bytes) -> None:
        authority.write(self.space.list_file, data)

    def publish(self, rows: Sequence[Row] | None = None) -> None:
        self.put(self.made(rows))

    def without(self, domain: str) -> list[Row]:
        return [row for row in self.rows if row.domain != domain]

    def revoke(self, certificate: Path) -> None:
        self._number += 1
        self.pki.authority.revoke(x509.load_pem_x509_certificate(certificate.read_bytes()), datetime.now(UTC))
        self.pki.publish_crl(datetime.now(UTC), self._number)

    def card(self, name: str, operator: int = 1, days: int = 90, *, server: bool = False, curve: bool = False,
             responder: str = "") -> Card:  # fmt: skip
        """Another certificate in an operator's name; ``responder`` is the address of its OCSP responder."""
        who = self.space.sites[operator].operator
        key = curve_key_pair() if curve else rsa_key()
        usages = [ExtendedKeyUsageOID.SERVER_AUTH] if server else [ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = self.pki.authority.issue(
            operator_subject(who), key, datetime.now(UTC), names=server_names(who), usages=usages,
            life=timedelta(days=days), responder=responder,
        )  # fmt: skip
        return self.pki.card(name, certificate, key)

    # the operators, from outside

    def trust(self, card: Card | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.pki.ca))
        if card is not None:
            context.load_cert_chain(card.certificate, card.key)
        return context

    def partner(self, card: Card | None = None) -> smtplib.SMTP:
        """A session at operator A's inbound door, with operator B's certificate or another, after EHLO."""
        return inbound_session(self.a.ports["inbound"], self.trust(card or self.pki.operators["op-b"].client))

    def caducee(self, site: Site, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gateway.cli", "--config", str(site.config), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120)

    def events(self, site: Site, kind: str) -> list[dict[str, Any]]:
        """The details of the journal's records of one kind, in order, read beside the running service."""
        database = site.directory / "data" / "caducee.db"
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT detail FROM journal WHERE kind = ? ORDER BY seq", (kind,)).fetchall()
        return [json.loads(row[0]) for row in rows]

    def version(self, site: Site) -> str:
        """The name of the list in force."""
        return str(json.loads((site.directory / "data" / "trust" / "current.json").read_bytes())["name"])

    def in_force(self, site: Site, data: bytes) -> None:
        """Wait until this very list is the one in force."""
        digest = hashlib.sha256(data).hexdigest()[:12]
        until(lambda: self.version(site).endswith(digest), what="the list is in force")


def ended(session: smtplib.SMTP) -> bytes:
    """What the server said when it ended this session; empty while it has not."""
    assert session.sock is not None
    session.sock.settimeout(0.05)
    try:
        return session.sock.recv(4096) or b"closed"
    except TimeoutError:
        return b""
    except OSError:
        return b"closed"
    finally:
        session.sock.settimeout(30)


@contextmanager
def living(directory: Path, settings: dict[tuple[str, str], Value] | None = None, **named: Any) -> Iterator[Living]:
    made = Living(directory, settings, **named)
    made.space.start()
    try:
        yield made
    finally:
        made.space.stop()
