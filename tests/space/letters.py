"""What the tests of receipts and rules say to a running space: submit with wishes, receive, acknowledge, follow."""

from __future__ import annotations

import json
import smtplib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.policy import SMTP
from pathlib import Path
from typing import Any

from tests.space.living import Living, until
from tests.space.running import Space, letter

ALL = "NOTIFY=SUCCESS,FAILURE,DELAY"


class Talk:
    """A living space and its people."""

    def __init__(self, alive: Living) -> None:
        self.alive = alive
        self.space = Space(Path(), alive.space.facts(), None)  # type: ignore[arg-type]
        self.a, self.b = self.space.facts["operators"]
        self.alice, self.paul = (self.space.box(self.a, index=index) for index in (0, 1))
        self.jeanne, self.karim = (self.space.box(self.b, index=index) for index in (0, 1))

    def operator(self, box: dict[str, Any]) -> dict[str, Any]:
        return self.a if box in (self.alice, self.paul) or box in self.a["mailboxes"] else self.b

    @contextmanager
    def session(self, box: dict[str, Any]) -> Iterator[smtplib.SMTP_SSL]:
        where = self.operator(box)["submissions"]
        with smtplib.SMTP_SSL(where["host"], where["port"], context=self.space.tls(), timeout=30) as smtp:
            smtp.login(box["login"], box["device_password"])
            yield smtp

    def submit(
        self, box: dict[str, Any], recipients: list[str], content: bytes, *, wish: str = "", sender: str | None = None
    ) -> tuple[int, str]:
        """The answer to the final dot, or to the first command refused."""
        with self.session(box) as smtp:
            code, text = smtp.mail(box["address"] if sender is None else sender, ["ENVID=E+2D1"] if wish else [])
            for recipient in recipients if code == 250 else []:
                code, text = smtp.rcpt(recipient, [wish] if wish else [])
                if code != 250:
                    break
            if code == 250:
                code, text = smtp.data(content)
        return code, text.decode("utf-8", "replace")

    def send(self, box: dict[str, Any], recipients: list[str], content: bytes, *, wish: str = "") -> str:
        """Our identifier of an accepted message."""
        code, text = self.submit(box, recipients, content, wish=wish)
        assert code == 250, text
        return text.split("identifiant ")[1][:26]

    def written(self, box: dict[str, Any], to: str, subject: str, extra: dict[str, str] | None = None) -> bytes:
        message = letter(box["address"], to, subject)
        for name, value in (extra or {}).items():
            message[name] = value
        return message.as_bytes(policy=SMTP)

    def track(self, box: dict[str, Any], message: str) -> dict[str, dict[str, Any]]:
        """What ``caducee track`` says, by recipient; the steps under ``""``."""
        done = self.space.caducee(self.operator(box), "track", message, "--json", check=False)
        told = json.loads(done.stdout)
        return {line["recipient"]: line for line in told["recipients"]} | {"": told["steps"]}

    def state(self, box: dict[str, Any], message: str, recipient: str) -> str:
        return str(self.track(box, message)[recipient]["state"])

    def reaches(self, box: dict[str, Any], message: str, recipient: str, state: str, patience: float = 40.0) -> None:
        until(lambda: self.state(box, message, recipient) == state, patience, f"{recipient} {state}")

    def rule(self, box: dict[str, Any], *words: str, check: bool = True) -> Any:
        done = self.space.caducee(self.operator(box), "--lang", "fr", "rule", *words, check=False)
        assert not check or done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.returncode == 0 and "--json" in words else done

    def count(self, box: dict[str, Any], text: str) -> int:
        with self.space.imap(self.operator(box), box) as imap:
            _, found = imap.search(None, "SUBJECT", f'"{text}"')
            return len(found[0].split())

    def arrives(self, box: dict[str, Any], text: str, patience: float = 30.0) -> bytes:
        return self.space.wait_for(self.operator(box), box, text, patience)


def settle(seconds: float = 4.0) -> None:
    """Time for what must not happen to happen all the same."""
    time.sleep(seconds)


def acknowledgement(reader: str, to: str, about: str, disposition: str = "displayed") -> bytes:
    """The receipt a mail program sends when its user has read a message."""
    return (
        f"From: <{reader}>\r\nTo: <{to}>\r\nSubject: Lu\r\nMessage-ID: <{time.time_ns()}@{reader.rpartition('@')[2]}>\r\n"
        "Date: Mon, 02 Mar 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=disposition-notification; boundary="b1"\r\n\r\n'
        "--b1\r\nContent-Type: text/plain\r\n\r\nLu.\r\n"
        "--b1\r\nContent-Type: message/disposition-notification\r\n\r\n"
        f"Final-Recipient: rfc822; {reader}\r\nOriginal-Message-ID: {about}\r\n"
        f"Disposition: manual-action/MDN-sent-manually; {disposition}\r\n\r\n--b1--\r\n"
    ).encode()
