"""A private Postfix as a third operator of the trust space: mutual TLS both ways, its own queue, one Maildir."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.programs import program

DAEMONS = Path("/usr/lib/postfix/sbin")
MASTER = Path("/usr/share/postfix/master.cf.dist")


@dataclass
class PostfixPartner:
    """One running instance; ``maildir`` receives everything for its domain."""

    directory: Path
    domain: str
    port: int

    @property
    def maildir(self) -> Path:
        return self.directory / "mail" / "box"

    @property
    def log(self) -> str:
        path = self.directory / "maillog"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def configure(self, card: dict[str, str], authorities: list[str], routes: dict[str, tuple[str, int, str]]) -> None:
        """Write main.cf and master.cf. ``routes``: domain -> host, port and the name its certificate must bear.

        ``authorities`` holds the intermediate too: swaks and some senders present their own certificate alone.
        """
        etc = self.directory / "etc"
        for folder in ("etc", "data", "queue", "mail"):
            (self.directory / folder).mkdir(exist_ok=True)
        shutil.copy(card["client_cert"], etc / "cert.pem")
        shutil.copy(card["client_key"], etc / "key.pem")
        (etc / "ca.pem").write_bytes(b"".join(Path(path).read_bytes() for path in authorities))
        transport = "".join(f"{domain} smtp:[{host}]:{port}\n" for domain, (host, port, _) in routes.items())
        (etc / "transport").write_text(transport, "ascii")
        policy = "".join(f"[{host}]:{port} secure match={name}\n" for host, port, name in routes.values())
        (etc / "tls_policy").write_text(policy, "ascii")
        (etc / "boxes").write_text(f"@{self.domain} box/\n", "ascii")
        (etc / "main.cf").write_text(self._main(etc), "ascii")
        (etc / "master.cf").write_text(self._master(), "ascii")
        shutil.chown(self.directory / "data", "postfix")
        shutil.chown(self.directory / "mail", "nobody", "nogroup")

    def _main(self, etc: Path) -> str:
        return f"""compatibility_level = 3.6
queue_directory = {self.directory}/queue
data_directory = {self.directory}/data
command_directory = /usr/sbin
daemon_directory = {DAEMONS}
mail_owner = postfix
setgid_group = postdrop
myhostname = smtp.{self.domain}
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
virtual_mailbox_domains = {self.domain}
virtual_mailbox_base = {self.directory}/mail
virtual_mailbox_maps = texthash:{etc}/boxes
virtual_minimum_uid = 1
virtual_uid_maps = static:{pwd.getpwnam("nobody").pw_uid}
virtual_gid_maps = static:{grp.getgrnam("nogroup").gr_gid}
message_size_limit = 30000000
virtual_mailbox_limit = 0
smtpd_tls_security_level = encrypt
smtpd_tls_req_ccert = yes
smtpd_tls_ask_ccert = yes
smtpd_tls_cert_file = {etc}/cert.pem
smtpd_tls_key_file = {etc}/key.pem
smtpd_tls_CAfile = {etc}/ca.pem
smtpd_tls_loglevel = 1
smtp_tls_cert_file = {etc}/cert.pem
smtp_tls_key_file = {etc}/key.pem
smtp_tls_CAfile = {etc}/ca.pem
smtp_tls_policy_maps = texthash:{etc}/tls_policy
smtp_tls_security_level = encrypt
smtp_tls_loglevel = 1
smtp_dns_support_level = disabled
smtp_host_lookup = native
transport_maps = texthash:{etc}/transport
maillog_file = {self.directory}/maillog
maillog_file_prefixes = /
minimal_backoff_time = 5s
queue_run_delay = 5s
smtputf8_enable = no
"""

    def _master(self) -> str:
        lines = [f"127.0.0.1:{self.port} inet n - n - - smtpd"]
        for line in MASTER.read_text("ascii").split("\n"):
            words = line.split()
            if len(words) < 8 or line.startswith(("#", " ", "\t")) or (words[0] == "smtp" and words[1] == "inet"):
                continue
            words[4] = "n"  # no chroot: the certificates stay where they are
            lines.append(" ".join(words))
        if not any(line.startswith("postlog ") for line in lines):
            lines.append("postlog unix-dgram n - n - 1 postlogd")
        return "\n".join(lines) + "\n"

    def command(self, verb: str) -> None:
        command = [program("postfix"), "-c", str(self.directory / "etc"), verb]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}{self.log}"

    def stop(self) -> None:
        subprocess.run(
            [program("postfix"), "-c", str(self.directory / "etc"), "stop"],
            check=False,
            capture_output=True,
            timeout=60,
        )
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
        raise AssertionError(f"nothing with {text!r} reached Postfix:\n{self.log[-3000:]}")


def start(
    domain: str, port: int, card: dict[str, Any], authorities: list[str], routes: dict[str, Any]
) -> PostfixPartner:
    """Start one, or skip when Postfix is not installed or we may not run it."""
    program("postfix")
    if os.geteuid() != 0:
        pytest.skip("Postfix needs root to start")
    # Not under pytest's own folder: Postfix's user must be able to walk there, whatever other test runs do to its mode.
    home = Path(tempfile.mkdtemp(prefix="caducee-postfix-"))
    home.chmod(0o755)
    partner = PostfixPartner(home, domain, port)
    partner.configure(card, authorities, routes)
    partner.command("start")
    return partner
