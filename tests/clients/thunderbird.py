"""Thunderbird in a real window under Xvfb: a profile of its own, driven by the keyboard as a physician would.

Promise: one X server and one Thunderbird, both ended with the block. Failure: the test is skipped when a program is not
installed, and fails with what the windows are called when an expected one does not appear.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.clients.programs import program, run

PREFERENCES = {
    "mail.accountmanager.accounts": "account1",
    "mail.accountmanager.defaultaccount": "account1",
    "mail.account.account1.identities": "id1",
    "mail.account.account1.server": "server1",
    "mail.identity.id1.fullName": "Dr Essai",
    "mail.identity.id1.valid": True,
    "mail.identity.id1.smtpServer": "smtp1",
    "mail.identity.id1.compose_html": False,
    "mail.identity.id1.fcc": True,
    "mail.server.server1.type": "imap",
    "mail.server.server1.socketType": 3,
    "mail.server.server1.authMethod": 3,
    "mail.server.server1.login_at_startup": True,
    "mail.server.server1.check_new_mail": True,
    "mail.server.server1.check_time": 60,  # minutes: what arrives sooner came by IDLE
    "mail.server.server1.use_idle": True,
    "mail.server.server1.name": "essai",
    "mail.smtpservers": "smtp1",
    "mail.smtp.defaultserver": "smtp1",
    "mail.smtpserver.smtp1.try_ssl": 3,
    "mail.smtpserver.smtp1.authMethod": 3,
    "mail.smtpserver.smtp1.hello_argument": "poste.essai",
    "mail.spellcheck.inline": False,
    "mail.shell.checkDefaultClient": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.version": 1,
    "mail.winsearch.firstRunDone": True,
    "mail.biff.show_alert": False,
    "mail.warn_on_send_accel_key": False,
    "mailnews.start_page.enabled": False,
    "app.update.enabled": False,
    "app.donation.eoy.version.viewed": 999,
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
    "toolkit.telemetry.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "extensions.update.enabled": False,
    "signon.rememberSignons": True,
}


@dataclass
class Thunderbird:
    """A running one. ``mail`` is the folder where it keeps what it read."""

    profile: Path
    environment: dict[str, str]
    login: str
    password: str
    process: subprocess.Popen[bytes] | None = None
    answered: set[str] = field(default_factory=set)

    def start(self, *arguments: str) -> None:
        command = [program("thunderbird"), "--profile", str(self.profile), "--no-remote", *arguments]
        self.process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def xdotool(self, *words: str) -> str:
        return run(program("xdotool"), *words, env=self.environment, timeout=20).stdout

    def windows(self) -> dict[str, str]:
        """Visible windows: identifier -> title."""
        found = self.xdotool("search", "--onlyvisible", "--name", ".").split()
        return {identifier: self.xdotool("getwindowname", identifier).strip() for identifier in found}

    def window(self, words: str, patience: float = 40.0) -> str:
        """The identifier of a window whose title holds ``words``; answers password questions on the way."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            windows = self.windows()
            for identifier, title in windows.items():
                if words.lower() in title.lower():
                    return identifier
            self.answer_questions(windows)
            time.sleep(0.3)
        raise AssertionError(f"no window is called {words!r}: {sorted(self.windows().values())}")

    def answer_questions(self, windows: dict[str, str]) -> None:
        """Type the password where it is asked for."""
        for identifier, title in windows.items():
            if "password" in title.lower() and identifier not in self.answered:
                self.answered.add(identifier)
                self.focus(identifier)
                self.xdotool("type", "--delay", "5", self.password)
                self.xdotool("key", "Return")

    def focus(self, identifier: str) -> None:
        self.xdotool("windowfocus", "--sync", identifier)
        time.sleep(0.4)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.xdotool("key", key)
            time.sleep(0.3)

    def wait_until(self, holds, what: str, patience: float = 45.0) -> None:
        """Until ``holds()`` is true, answering password questions meanwhile."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if holds():
                return
            self.answer_questions(self.windows())
            time.sleep(0.3)
        raise AssertionError(f"{what}; windows: {sorted(self.windows().values())}")

    def quit(self, after: float) -> None:
        """Close by the keyboard ``after`` some seconds, so that everything known is written down."""
        assert self.process is not None
        time.sleep(after)
        self.focus(self.window("Thunderbird"))
        self.press("ctrl+q")
        self.process.wait(30)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, 15)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, 9)
                self.process.wait()


def make_profile(directory: Path, box: dict, operator: dict, ca: str, **others: object) -> Path:
    """A profile that knows one mailbox and trusts the authority of the space; ``others`` are preferences that come last."""
    profile = directory / "profile"
    profile.mkdir()
    user = box["login"]
    values = PREFERENCES | {
        "mail.identity.id1.useremail": box["address"],
        "mail.identity.id1.fcc_folder": f"imap://{user.replace('@', '%40')}@localhost/Sent",
        "mail.identity.id1.fullName": box.get("display", "Dr Essai"),
        "mail.server.server1.hostname": "localhost",
        "mail.server.server1.port": operator["imaps"]["port"],
        "mail.server.server1.userName": user,
        "mail.smtpserver.smtp1.hostname": "localhost",
        "mail.smtpserver.smtp1.port": operator["submissions"]["port"],
        "mail.smtpserver.smtp1.username": user,
        **others,
    }
    lines = [f'user_pref("{name}", {_literal(value)});' for name, value in values.items()]
    (profile / "user.js").write_text("\n".join(lines) + "\n", "utf-8")
    certutil = program("certutil")
    run(certutil, "-N", "-d", f"sql:{profile}", "--empty-password")
    done = run(certutil, "-A", "-d", f"sql:{profile}", "-n", "essai", "-t", "C,,", "-i", ca)
    assert done.returncode == 0, done.stderr
    return profile


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else f'"{value}"'


@contextlib.contextmanager
def display() -> Iterator[dict[str, str]]:
    """A virtual screen of our own; the environment that leads to it."""
    number = 90 + os.getpid() % 400
    server = subprocess.Popen(
        [program("Xvfb"), f":{number}", "-screen", "0", "1280x1000x24", "-nolisten", "tcp"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(1)
        yield {**os.environ, "DISPLAY": f":{number}", "MOZ_DISABLE_CONTENT_SANDBOX": "1", "LC_ALL": "C.UTF-8"}
    finally:
        server.terminate()
        server.wait(10)
