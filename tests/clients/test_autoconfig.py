"""Thunderbird finds the doors by itself from what the operator serves over HTTPS, and its own check logs in (MSS-077)."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.clients import thunderbird
from tests.clients.marionette import Marionette
from tests.clients.programs import program
from tests.clients.thunderbird import Thunderbird
from tests.space.running import Space, free_port

pytestmark = [pytest.mark.client, pytest.mark.slow]

FIND_AND_CHECK = """
const [domain, address, password, done] = arguments;
(async () => {
  const from = name => ChromeUtils.importESModule(`resource:///modules/accountcreation/${name}.sys.mjs`)[name];
  const never = new AbortController().signal;
  const found = await from("FetchConfig").fromISP(domain, address, never);
  from("AccountConfig").replaceVariables(found, "Dr Essai", address, password);
  const window = Services.wm.getMostRecentWindow("mail:3pane").msgWindow;
  await new (from("ConfigVerifier"))(window, never).verifyConfig(found);
  const told = ({hostname, port, socketType}) => ({hostname, port, socketType});
  return {
    name: found.displayName,
    users: [found.incoming.username, found.outgoing.username],
    incoming: [found.incoming, ...found.incomingAlternatives].map(told),
    outgoing: [found.outgoing, ...found.outgoingAlternatives].map(told),
  };
})().then(done, problem => done({problem: String(problem)}));
"""
TLS, STARTTLS = 3, 2
"""How Thunderbird counts them."""


@pytest.fixture
def proxy(space: Space) -> Iterator[int]:
    """The port of a proxy that knows the way to one place: ``autoconfig.DOMAIN``, which is the operator's own door."""
    asked = f"autoconfig.{space.b['domain']}:443"
    there = ("127.0.0.1", space.b["https"]["port"])

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            if self.path != asked:
                self.send_error(502)
                return
            with socket.create_connection(there) as other:
                self.send_response(200)
                self.end_headers()
                back = threading.Thread(target=_carry, args=(other, self.connection))
                back.start()
                _carry(self.connection, other)
                back.join()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while octets := source.recv(65536):
            target.sendall(octets)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def test_thunderbird_finds_the_doors_and_logs_in(space: Space, proxy: int, tmp_path: Path) -> None:
    for name in ("thunderbird", "Xvfb", "certutil"):
        program(name)
    operator, box, port = space.b, space.box(space.b), free_port()
    host = f"smtp.{operator['domain']}"
    profile = thunderbird.make_profile(
        tmp_path,
        box,
        operator,
        space.ca,
        **{
            "mail.accountmanager.accounts": "",  # it knows nothing yet
            "mail.accountmanager.defaultaccount": "",
            "network.proxy.type": 1,
            "network.proxy.ssl": "127.0.0.1",
            "network.proxy.ssl_port": proxy,
            "network.dns.localDomains": host,  # the DNS of this machine knows no .test
            "marionette.port": port,
        },
    )
    with thunderbird.display() as screen:
        client = Thunderbird(profile, screen | {"HOME": str(tmp_path)}, box["login"], box["device_password"])
        client.start("--marionette", "--remote-allow-system-access")
        try:
            remote = Marionette(port)
            found = remote.run(FIND_AND_CHECK, operator["domain"], box["address"], box["device_password"])
            remote.close()
        finally:
            client.stop()

    def door(name: str, security: int) -> dict[str, object]:
        return {"hostname": host, "port": operator[name]["port"], "socketType": security}

    assert found == {
        "name": "Opérateur op-b",
        "users": [box["address"], box["address"]],
        "incoming": [door("imaps", TLS), door("imap", STARTTLS)],
        "outgoing": [door("submissions", TLS), door("submission", STARTTLS)],
    }
    with smtplib.SMTP_SSL("127.0.0.1", found["outgoing"][0]["port"], context=unnamed(space), timeout=20) as smtp:
        assert smtp.login(found["users"][1], box["device_password"])[0] == 235


def unnamed(space: Space):
    """TLS of the space's authority; the name is checked by Thunderbird above, here the address is dialled."""
    context = space.tls()
    context.check_hostname = False
    return context
