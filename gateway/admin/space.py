"""A trust space in a box: a test authority, a signed white list, two operators as real processes on loopback.

What it builds is what an operator builds: certificates, a list, a config.toml derived from the shipped one, accounts and
mailboxes opened by the ordinary operations; then ``caducee serve`` twice.
Promise: the ready file is written in one step, mode 0600, when both operators answer; it holds the device passwords of
made-up people and nothing of use elsewhere. SIGTERM stops both and the command ends with 0.
Failure: :class:`SpaceFailed` names the step; a folder that is not empty and not a space is never touched.
"""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from directory.trustlist import Row
from directory.trustlist_publish import publish
from gateway.admin.cast import CASTS, Admission
from gateway.admin.derive import Value, derive
from gateway.admin.pki import OPERATORS, OperatorName, Pki, build
from gateway.compose import storage
from gateway.config import load
from gateway.config_document import render
from gateway.supervisor import ourselves, write_atomically
from gateway.watch import Taken, alone
from mailboxes.keys import create_master_key_file
from policies.catalogue.sentences_console import say

DOORS = ("inbound", "submission", "submissions", "imap", "imaps", "ldap", "ldaps", "https", "monitor")
READY_NAMES = {"inbound": "smtp"}
SECTIONS = {"https": "http"}
"""Of those doors whose section of config.toml has another name."""
LOOPBACK = "127.0.0.1"
PATIENCE = 60.0
PORTS = range(20_000, 32_000)
BLOCK = 32
MARK = "space.json"

Say = Callable[[str], None]


class SpaceFailed(Exception):
    """The space could not be built or started: a sentence of the console's catalogue says at which step and why."""

    def __init__(self, sentence: str, /, **parameters: object) -> None:
        super().__init__(say(sentence, "en", **parameters))
        self.sentence = sentence
        self.parameters = parameters


@dataclass(frozen=True, slots=True)
class Partner:
    """A third operator that somebody else runs: its domain is listed, certified and routed to ``port``."""

    operator: OperatorName
    host: str
    port: int


def partner(text: str) -> Partner:
    """``op-c.mssante.test=127.0.0.1:2526``. Raises :class:`SpaceFailed`."""
    domain, _, where = text.partition("=")
    host, _, port = where.rpartition(":")
    if not domain or not host or not port.isascii() or not port.isdigit():
        raise SpaceFailed("space.partner", text=text)
    known = {operator.domain: operator for operator in OPERATORS}
    operator = known.get(domain, OperatorName(domain.partition(".")[0], domain, "99900000000091"))
    return Partner(operator, host, int(port))


@dataclass(slots=True)
class Site:
    """One operator of ours in the space."""

    operator: OperatorName
    directory: Path
    ports: dict[str, int]
    mailboxes: list[dict[str, Any]] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.directory / "config.toml"

    @property
    def ready(self) -> Path:
        return self.directory / "ready.json"

    @property
    def log(self) -> Path:
        return self.directory / "caducee.log"

    def facts(self) -> dict[str, Any]:
        """The operator's entry in the ready file."""
        doors = {READY_NAMES.get(door, door): {"host": LOOPBACK, "port": self.ports[door]} for door in DOORS}
        return {
            "name": self.operator.name,
            "domain": self.operator.domain,
            "hostname": self.operator.host,
            "config": str(self.config),
            "data_dir": str(self.directory / "data"),
            "log": str(self.log),
            "pid": self.process.pid if self.process else 0,
            **doors,
            "mailboxes": self.mailboxes,
        }


class Space:
    """Builds, starts and stops.

    ``settings`` override config.toml values of both operators; ``databases`` gives an operator, by name, another
    ``store.url`` than a SQLite file of its own.
    """

    def __init__(
        self,
        directory: Path,
        *,
        partners: Sequence[Partner] = (),
        settings: Mapping[tuple[str, str], Value] | None = None,
        databases: Mapping[str, str] | None = None,
        load_mailboxes: int = 0,
        say: Say = lambda line: None,
    ) -> None:
        self.directory = directory.resolve()
        self.partners = tuple(partners)
        self.settings = dict(settings or {})
        self.databases = dict(databases or {})
        self.load_mailboxes = load_mailboxes
        self.say = say
        self.pki: Pki | None = None
        self.sites: list[Site] = []
        self._held = ExitStack()

    @property
    def list_file(self) -> Path:
        return self.directory / "trust" / "liste-blanche.xml"

    # building

    def build(self) -> None:
        """Everything on disk, from an empty folder or in the place of an earlier space."""
        self.hold()
        self._clear()
        write_atomically(self.directory / MARK, "{}")
        operators = [*OPERATORS[:2], *(each.operator for each in self.partners)]
        self.say("autorité de test / test authority")
        self.pki = build(self.directory / "pki", datetime.now(UTC), operators)
        self._publish(self.pki)
        ports = iter(free_ports(len(DOORS) * 2))
        self.sites = [
            Site(operator, self.directory / operator.name, {door: next(ports) for door in DOORS})
            for operator in OPERATORS[:2]
        ]
        for site in self.sites:
            self.say(f"opérateur / operator {site.operator.domain}")
            self._install(site, self.pki)

    def hold(self) -> None:
        """One space at a time in a folder: a second one would build its own in the place of what the first is serving."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._held.close()
        try:
            self._held.enter_context(alone(self.directory))
        except Taken:
            raise SpaceFailed("space.running", directory=self.directory) from None

    def _clear(self) -> None:
        if any(self.directory.iterdir()) and not (self.directory / MARK).exists():
            raise SpaceFailed("space.not_empty", directory=self.directory)
        for item in self.directory.iterdir():
            shutil.rmtree(item) if item.is_dir() else item.unlink()

    def _publish(self, pki: Pki) -> None:
        """A list signed by the test authority's signing certificate."""
        key = serialization.load_pem_private_key(pki.signing.key.read_bytes(), None)
        chain = x509.load_pem_x509_certificates(pki.signing.certificate.read_bytes())
        rows = [
            Row(cards.operator.domain, cards.subject, cards.operator.name, "", "", None)
            for cards in pki.operators.values()
        ]
        self.list_file.parent.mkdir()
        self.list_file.write_bytes(publish(rows, datetime.now(UTC), key, chain))  # type: ignore[arg-type]

    def _install(self, site: Site, pki: Pki) -> None:
        """Key, configuration, database, people and mailboxes of one operator."""
        (site.directory / "data").mkdir(parents=True, mode=0o700)
        create_master_key_file(site.directory / "master.key")
        site.config.write_text(derive(render(), self._values(site, pki), self._routes(site)), "utf-8")
        opened = storage(load(site.config))
        try:
            admission = Admission(opened, pki, site.operator.domain, CASTS[site.operator.name])
            site.mailboxes = admission.admit(self.load_mailboxes)
        finally:
            opened.close_sync()

    def _values(self, site: Site, pki: Pki) -> dict[tuple[str, str], Value]:
        cards = pki.operators[site.operator.name]
        values: dict[tuple[str, str], Value] = {
            ("operator", "name"): f"Opérateur {site.operator.name}",
            ("operator", "domains"): [site.operator.domain],
            ("operator", "hostname"): site.operator.host,
            ("operator", "test_mode"): True,
            ("store", "master_key"): "file:master.key",
            ("tls", "certificates"): [str(cards.server.certificate), str(cards.server_curve.certificate)],
            ("tls", "keys"): [str(cards.server.key), str(cards.server_curve.key)],
            ("tls", "client_certificate"): str(cards.client.certificate),
            ("tls", "client_key"): str(cards.client.key),
            ("trust", "test_anchors"): [str(pki.ca)],
            ("trust", "intermediates"): [str(pki.intermediate)],
            ("trust", "list"): str(self.list_file),
            ("trust", "signature_required"): True,
            ("trust", "refresh"): "15s",
            ("trust", "crls"): [str(pki.crl), str(pki.root_crl)],
            ("trust", "crl_refresh"): "15s",
            ("dns", "allow_loopback"): True,
            ("limits", "messages_per_account"): 0,
            ("limits", "recipients_per_account"): 0,
            ("limits", "connections_per_minute"): 0,
            ("unsolicited", "slow_down"): 0,
            ("unsolicited", "refuse"): 0,
            ("unsolicited", "broadcast_slow_down"): 0,
            ("unsolicited", "broadcast_refuse"): 0,
            # Whoever tries the space out does it from one address and often with one mailbox.
            ("accounts", "failures_per_ip"): 100_000,
        }
        values["http", "certificates"] = True
        for door in DOORS[:-1]:
            section = SECTIONS.get(door, door)
            values[section, "connections"] = 20_000
            values[section, "connections_per_ip"] = 20_000
            if door not in ("inbound", "https"):
                values[door, "connections_per_account"] = 10_000
        for door in DOORS:
            values[SECTIONS.get(door, door), "listen"] = [f"{LOOPBACK}:{site.ports[door]}"]
        if site.operator.name in self.databases:
            values["store", "url"] = self.databases[site.operator.name]
        return values | self.settings

    def _routes(self, site: Site) -> list[dict[str, Value]]:
        routes: list[dict[str, Value]] = [
            {
                "domain": other.operator.domain,
                "host": LOOPBACK,
                "port": other.ports["inbound"],
                "name": other.operator.host,
            }
            for other in self.sites
            if other is not site
        ]
        for each in self.partners:
            operator = each.operator
            routes.append({"domain": operator.domain, "host": each.host, "port": each.port, "name": operator.host})
        return routes

    # running

    def start(self) -> None:
        """Both operators as processes of their own; returns when both answer."""
        for site in self.sites:
            site.ready.unlink(missing_ok=True)
            command = [*ourselves(), "--config", str(site.config), "serve"]
            with site.log.open("ab") as log:
                site.process = subprocess.Popen(
                    [*command, "--ready-file", str(site.ready), "--leash", "0"],
                    stdin=subprocess.PIPE,  # ours to hold: an operator does not outlive the space, however that ends
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        for site in self.sites:
            self._await(site)

    def _await(self, site: Site) -> None:
        deadline = time.monotonic() + PATIENCE
        assert site.process is not None
        while not site.ready.exists():
            if site.process.poll() is not None or time.monotonic() > deadline:
                tail = site.log.read_text("utf-8", "replace")[-2000:]
                self.stop()
                raise SpaceFailed("space.not_started", domain=site.operator.domain, log=site.log, tail=tail)
            time.sleep(0.05)
        self.say(f"{site.operator.domain}: en service / serving")

    def facts(self) -> dict[str, Any]:
        """The ready file's content."""
        assert self.pki is not None
        trust = {"list": str(self.list_file), "signing_cert": str(self.pki.signing.certificate)}
        return {
            "directory": str(self.directory),
            "operators": [site.facts() for site in self.sites],
            "pki": self.pki.facts(),
            "trust": trust,
        }

    def write_ready(self, path: Path) -> None:
        write_atomically(path, json.dumps(self.facts(), indent=2, ensure_ascii=False))

    def stop(self) -> None:
        """End both processes; kill what does not end within the grace of its own configuration."""
        running = [site.process for site in self.sites if site.process is not None and site.process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            try:
                process.wait(45)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._held.close()

    def dead(self) -> Site | None:
        """An operator whose process ended by itself."""
        return next((site for site in self.sites if site.process is not None and site.process.poll() is not None), None)


def free_ports(count: int) -> list[int]:
    """Loopback ports nobody listens on, and that no other process of ours is given, nor this one again.

    Two spaces that start at once were given the same port now and then, each before the other listened. And not those the kernel
    gives to whoever asks for any: between an operator's end and its next start, a call of another program took one of its ports,
    and it did not start.
    """
    with _TURN:
        return list(islice(_GIVEN, count))


def _given() -> Iterator[int]:
    """From one block after the other, whose first port this process holds as long as it lives."""
    held: list[socket.socket] = []
    for first in secrets.SystemRandom().sample(range(PORTS.start, PORTS.stop, BLOCK), len(PORTS) // BLOCK):
        sign = _taken(first)
        if sign is None:
            continue
        held.append(sign)
        for port in range(first + 1, first + BLOCK):
            if (free := _taken(port)) is not None:
                free.close()
                yield port
    while True:  # all are taken: one of the kernel's is better than none
        with socket.socket() as free:
            free.bind((LOOPBACK, 0))
            port = int(free.getsockname()[1])
        yield port


def _taken(port: int) -> socket.socket | None:
    """A socket that holds the port; None when it is somebody else's."""
    made = socket.socket()
    try:
        made.bind((LOOPBACK, port))
    except OSError:
        made.close()
        return None
    return made


_GIVEN = _given()
_TURN = threading.Lock()
