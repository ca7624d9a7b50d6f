"""The portal over real HTTPS: uvicorn in a thread of its own, an operator's store in a folder, people who can sign in.

Promise: what :func:`serving` starts it ends. A browser of a test is a httpx client that keeps cookies; forms are found in the pages as they
are sent, with their marks.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pyotp
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from starlette.applications import Starlette

from directory.allowance import Allowance
from gateway import compose
from gateway.admin.pki import Authority, authority_name, curve_key_pair
from gateway.compose import Storage
from gateway.config import load
from gateway.people import People, people
from gateway.portal.routes import routes
from gateway.portal.wiring import ports
from gateway.settings import Config
from mailboxes.accounts import NewAccount
from mailboxes.register import NewMailbox
from mailboxes.rules import Judge
from policies.catalogue import rule
from policies.decision import decide
from policies.values import Address, BalType
from tests.mailboxes.people import Clock
from tests.waiting import until

DOMAIN = "op.mssante.test"
PASSWORD = "Corneille-7-sonne!"
ACTOR = "operator:test"
CONFIG = """\
[operator]
name = "Opérateur d’essai"
domains = ["op.mssante.test"]
hostname = "mail.op.mssante.test"
test_mode = true
[store]
master_key = "file:master.key"
[accounts]
argon2_memory = "8KiB"
argon2_passes = 1
failures_per_ip = 10000
"""


def certified(folder: Path) -> tuple[Path, Path, Path]:
    """Authority, certificate and key of a server called localhost."""
    authority, key = Authority.root("Essai", datetime.now(UTC)), curve_key_pair()
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    leaf = authority.issue(
        authority_name("localhost"), key, datetime.now(UTC), names=names, usages=(ExtendedKeyUsageOID.SERVER_AUTH,)
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files = {"ca.pem": authority.certificate.public_bytes(pem), "web.pem": leaf.public_bytes(pem), "web.key": private}
    for name, octets in files.items():
        (folder / name).write_bytes(octets)
    return folder / "ca.pem", folder / "web.pem", folder / "web.key"


@contextlib.contextmanager
def listening(application: Starlette, folder: Path) -> Iterator[tuple[str, Path]]:
    """The address of the application, and the authority that vouches for it."""
    authority, certificate, key = certified(folder)
    config = uvicorn.Config(
        application,
        host="127.0.0.1",
        port=0,
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_certfile=str(certificate),
        ssl_keyfile=str(key),
        lifespan="off",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    asyncio.run(until(lambda: server.started or not thread.is_alive(), 60))
    try:
        yield f"https://localhost:{server.servers[0].sockets[0].getsockname()[1]}", authority
    finally:
        server.should_exit = server.force_exit = True  # browsers of tests keep their connections open
        thread.join(30)


def inside_only(_owner: Address, target: Address) -> Any:
    """A trust space of ours alone and one partner."""
    if target.domain in (DOMAIN, "partner.mssante.test"):
        return decide(rule("redirection.accepted"))
    return decide(rule("redirection.rule_outside"), domain=target.domain)


@dataclass
class House:
    """An operator whose clock moves when told, and whose portal is served."""

    storage: Storage
    people: People
    clock: Clock
    url: str
    authority: Path
    holder: list[Config]
    secrets: dict[str, str] = field(default_factory=dict)

    def do(self, work: Any) -> Any:
        return self.storage.committer.run_sync(work)

    def ask(self, work: Any) -> Any:
        return self.storage.reading.run_sync(work)

    def person(self, login: str, *, password: str = PASSWORD, **more: str) -> str:
        given, _, family = login.partition(".")
        new = NewAccount(login, family.title(), given.title(), verified="card", identity=f"ESSAI-{login}", **more)
        self.do(lambda unit: self.people.accounts.open(unit, new, ACTOR))
        self.do(lambda unit: self.people.accounts.set_password(unit, login, password, ACTOR))
        self.secrets[login] = self.do(lambda unit: self.people.accounts.new_code(unit, login, ACTOR))
        return login

    def mailbox(self, local: str, owner: str = "", kind: BalType = BalType.PER, **attributes: Any) -> int:
        structure = "" if owner else "399900000000018"
        new = NewMailbox(f"{local}@{DOMAIN}", kind, owner, structure, attributes=attributes)
        return int(self.do(lambda unit: self.people.register.open(unit, new, ACTOR)))

    def code(self, login: str) -> str:
        """The code shown next: each works once only."""
        self.clock.pass_(30)
        return pyotp.TOTP(self.secrets[login]).at(int(self.clock()))

    @property
    def config(self) -> Config:
        return self.holder[0]

    @config.setter
    def config(self, config: Config) -> None:
        self.holder[0] = config

    def set(self, **changed: Any) -> None:
        """Change ``[portal]`` as a reload does."""
        self.config = replace(self.config, portal=replace(self.config.portal, **changed))

    def browser(self, agent: str = "Essai/1") -> Browser:
        return Browser(self, agent)

    def signed_in(self, login: str) -> Browser:
        browser = self.browser()
        browser.sign_in(login)
        return browser


class _Forms(HTMLParser):
    """The forms of a page: where each goes and what it holds already."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((given["action"], {}))
        elif (
            tag == "input"
            and self.found
            and "name" in given
            and (given.get("type") != "checkbox" or "checked" in given)
        ):
            self.found[-1][1][given["name"]] = given.get("value", "")


class Browser:
    """A httpx client with what a page needs of a browser."""

    def __init__(self, house: House, agent: str = "Essai/1") -> None:
        self.house = house
        context = ssl.create_default_context(cafile=str(house.authority))
        headers = {"User-Agent": agent, "Accept-Language": "en"}
        self.http = httpx.Client(base_url=house.url, verify=context, headers=headers, timeout=60)
        self.last: httpx.Response | None = None

    def get(self, path: str) -> httpx.Response:
        """A page, wherever it leads."""
        self.last = self.http.get(path, follow_redirects=True)
        return self.last

    def forms(self) -> list[tuple[str, dict[str, str]]]:
        assert self.last is not None
        parser = _Forms()
        parser.feed(self.last.text)
        return parser.found

    def send(self, action: str, *, choose: str = "", follow: bool = True, **fields: Any) -> httpx.Response:
        """Fill in the form of this page that goes to ``action`` (and holds the value ``choose``), and send it."""
        assert self.last is not None
        forms = [form for to, form in self.forms() if to == action and (not choose or choose in form.values())]
        assert forms, f"no form goes to {action}: {[to for to, _ in self.forms()]}\n{self.last.text}"
        given = {**forms[0], **fields}
        kept = {name: value for name, value in given.items() if value is not None}
        self.last = self.http.post(action, data=kept, follow_redirects=follow)
        return self.last

    def sign_in(self, login: str, password: str = PASSWORD, code: str | None = None, **more: str) -> httpx.Response:
        self.get("/sign-in")
        code = self.house.code(login) if code is None else code
        return self.send("/sign-in", login=login, password=password, code=code, **more)


@contextlib.contextmanager
def serving(folder: Path, judge: Judge = inside_only) -> Iterator[House]:
    """A house and its portal."""
    (folder / "config.toml").write_text(CONFIG, "utf-8")
    (folder / "master.key").write_bytes(base64.b64encode(bytes(range(32))))
    (folder / "master.key").chmod(0o600)
    clock = Clock()
    config = [load(folder / "config.toml")]
    storage = compose.storage(config[0], clock=clock)
    try:
        own = ports(storage, lambda: config[0], judge, Allowance(0, 0, clock))
        own = replace(own, monotonic=clock)
        with listening(Starlette(routes=routes(own)), folder) as (url, authority):
            yield House(storage, people(storage), clock, url, authority, config)
    finally:
        storage.close_sync()
