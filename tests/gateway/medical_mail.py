"""Made-up messages with medical content, as octets a door would hand over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.message import EmailMessage

from tests.hprim import builders, examples


def mail(
    sender: str,
    recipients: Sequence[str],
    *,
    subject: str = "Essai",
    text: str = "Bonjour, voici.\n",
    files: Sequence[tuple[str, bytes]] = (),
    headers: Mapping[str, str] = {},
    number: int = 1,
) -> bytearray:
    """A whole message with CRLF; ``files`` are attached as octets."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, ", ".join(recipients), subject
    message["Message-ID"] = f"<medical-{number}@{sender.rpartition('@')[2]}>"
    message["Date"] = "Mon, 02 Mar 2026 10:00:00 +0100"
    for name, value in headers.items():
        message[name] = value
    message.set_content(text, cte="8bit")
    for name, data in files:
        message.add_attachment(data, "application", "octet-stream", filename=name)
    return bytearray(message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


def hprim_text(changes: dict[int, str] | None = None) -> str:
    """The body of a whole HPRIM message; lines from 1 may be changed."""
    return examples.v1(changes).decode("cp1252").replace("\r\n", "\n")


def xdm(**patient: object) -> bytes:
    """``IHE_XDM.zip`` of one made-up document with a production INS."""
    return builders.xdm(builders.cda(**patient))  # type: ignore[arg-type]


def xdm_mail(sender: str, recipients: Sequence[str], archive: bytes | None = None, **options: object) -> bytearray:
    """A message with an archive, a subject that agrees with it, and no X-MSS header unless given."""
    given: dict[str, object] = {"subject": builders.SUBJECT, "headers": {"X-MSS-NIL": "DEV935997"}, **options}
    return mail(sender, recipients, files=[("IHE_XDM.zip", xdm() if archive is None else archive)], **given)  # type: ignore[arg-type]
