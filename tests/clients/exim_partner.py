"""A private Exim as a third operator of the trust space: mutual TLS both ways by GnuTLS, its own queue, one Maildir.

Exim and Postfix conflict as Debian packages, so Exim is unpacked beside the system and never installed; its built-in user
is made up for it alone by nss_wrapper.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PACKAGES = ("exim4-daemon-light", "exim4-base", "libnss-wrapper")
UID = 64_099
Routes = dict[str, tuple[str, int, str]]  # domain -> host, port, name of its certificate


def unpack(directory: Path) -> Path:
    """Exim's files under ``directory``; skips the test where Debian's packages cannot be had."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None or os.geteuid() != 0:
        pytest.skip("Exim is unpacked from Debian packages, by root")
    if not _fetched(directory) and (_apt("update") or not _fetched(directory)):
        pytest.skip(f"{' '.join(PACKAGES)} cannot be downloaded here")
    for archive in directory.glob("*.deb"):
        subprocess.run(["dpkg", "-x", archive, directory / "root"], check=True, timeout=60)
    return directory / "root"


def _apt(*words: str, directory: Path = Path("/")) -> int:
    command = ["apt-get", "-qq", *words]
    return subprocess.run(command, cwd=directory, check=False, capture_output=True, timeout=120).returncode


def _fetched(directory: Path) -> bool:
    return _apt("download", *PACKAGES, directory=directory) == 0


@dataclass
class EximPartner:
    """One running instance; ``maildir`` receives everything for its domain."""

    directory: Path
    domain: str
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def maildir(self) -> Path:
        return self.directory / "mail"

    @property
    def log(self) -> str:
        return "".join(path.read_text("utf-8", "replace") for path in sorted((self.directory / "log").glob("*")))

    def configure(self, card: dict[str, str], authorities: list[str], routes: Routes) -> None:
        for folder in ("etc", "spool", "log", "mail"):
            (self.directory / folder).mkdir()
            os.chown(self.directory / folder, UID, UID)
        etc = self.directory / "etc"
        (etc / "passwd").write_text(f"root:x:0:0::/:/bin/sh\nDebian-exim:x:{UID}:{UID}::/:/bin/false\n", "ascii")
        (etc / "group").write_text(f"root:x:0:\nmail:x:8:\nDebian-exim:x:{UID}:\n", "ascii")
        for name, source in (("cert.pem", card["client_cert"]), ("key.pem", card["client_key"])):
            shutil.copy(source, etc / name)
            os.chown(etc / name, UID, UID)
        (etc / "ca.pem").write_bytes(b"".join(Path(path).read_bytes() for path in authorities))
        (etc / "exim.conf").write_text(self._configuration(etc, routes), "ascii")

    def _configuration(self, etc: Path, routes: Routes) -> str:
        routers = "".join(
            f"to_{number}:\n  driver = manualroute\n  domains = {domain}\n  transport = tls_{number}\n"
            f"  route_list = * {host}::{port}\n  self = send\n"
            for number, (domain, (host, port, _)) in enumerate(routes.items())
        )
        transports = "".join(
            f"tls_{number}:\n  driver = smtp\n  hosts_require_tls = *\n  tls_certificate = {etc}/cert.pem\n"
            f"  tls_privatekey = {etc}/key.pem\n  tls_verify_certificates = {etc}/ca.pem\n  tls_verify_hosts = *\n"
            f"  tls_sni = {name}\n  tls_verify_cert_hostnames =\n  helo_data = smtp.{self.domain}\n"
            for number, (_, _, name) in enumerate(routes.values())
        )
        return f"""exim_path = {self.directory}/root/usr/sbin/exim4
keep_environment = LD_PRELOAD : ^NSS_WRAPPER
spool_directory = {self.directory}/spool
log_file_path = {self.directory}/log/%slog
log_selector = +tls_cipher +tls_peerdn +smtp_protocol_error
pid_file_path = {self.directory}/spool/exim.pid
primary_hostname = smtp.{self.domain}
domainlist local_domains = {self.domain}
local_interfaces = 127.0.0.1
daemon_smtp_ports = {self.port}
deliver_drop_privilege = true
disable_ipv6 = true
host_lookup =
rfc1413_hosts =
prdr_enable = false
tls_advertise_hosts = *
tls_certificate = {etc}/cert.pem
tls_privatekey = {etc}/key.pem
tls_verify_certificates = {etc}/ca.pem
tls_verify_hosts = *
acl_smtp_mail = mail
acl_smtp_rcpt = rcpt
begin acl
mail:
  deny    message = TLS first
          !encrypted = *
  deny    message = a certificate of the space
          !verify = certificate
  accept
rcpt:
  accept  domains = +local_domains : {" : ".join(routes)}
  deny    message = relaying denied
begin routers
{routers}here:
  driver = accept
  domains = +local_domains
  transport = box
begin transports
{transports}box:
  driver = appendfile
  directory = {self.directory}/mail
  maildir_format
  return_path_add
  user = {UID}
  group = {UID}
begin retry
* * F,1h,2s
"""

    def run(self) -> None:
        root = self.directory / "root"
        wrapper = next(root.rglob("libnss_wrapper.so*"))
        etc = self.directory / "etc"
        environment = {
            "PATH": os.environ["PATH"],
            "LD_PRELOAD": str(wrapper),
            "NSS_WRAPPER_PASSWD": str(etc / "passwd"),
            "NSS_WRAPPER_GROUP": str(etc / "group"),
        }
        with (self.directory / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [root / "usr/sbin/exim4", "-C", etc / "exim.conf", "-bdf", "-q2s"],
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
        shutil.rmtree(self.directory, ignore_errors=True)

    def wait_for(self, text: bytes, patience: float = 30.0) -> bytes:
        """Raw bytes of the received message that holds ``text``."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            for path in self.maildir.glob("new/*"):
                content = path.read_bytes()
                if text in content:
                    return content
            time.sleep(0.1)
        raise AssertionError(f"nothing with {text!r} reached Exim:\n{self.log[-3000:]}")

    def wait_logged(self, text: str, patience: float = 30.0) -> None:
        deadline = time.monotonic() + patience
        while text not in self.log:
            assert time.monotonic() < deadline, self.log[-3000:]
            time.sleep(0.1)


def start(domain: str, port: int, card: dict[str, Any], authorities: list[str], routes: Routes) -> EximPartner:
    """Start one, or skip where it cannot be unpacked."""
    import socket

    directory = Path(tempfile.mkdtemp(prefix="exim-"))
    directory.chmod(0o755)  # Exim's own user passes through
    unpack(directory)
    made = EximPartner(directory, domain, port)
    made.configure(card, authorities, routes)
    made.run()
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
        except OSError:
            told = (directory / "output").read_text("utf-8", "replace") + made.log
            assert time.monotonic() < deadline, told
            assert made.process is not None
            assert made.process.poll() is None, told
            time.sleep(0.1)
        else:
            return made
