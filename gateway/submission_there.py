"""Hands a message to a submission server by SMTP, as a mail program does: for practice software on another machine.

TLS is always on: from the first octet on port 465, by STARTTLS elsewhere; the server's certificate is checked. Promise: the answer
names the server's identifier only when it said 250. Failure: :class:`ServerRefused` with ``final`` for a 5yz, without for what may
be tried again (4yz, no connection).
"""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_IDENTIFIER = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{26}\b")
_IMPLICIT_TLS = 465


class ServerRefused(Exception):
    """``reason`` is the server's own text, or what kept us from it."""

    def __init__(self, reason: str, *, final: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.final = final


@dataclass(frozen=True, slots=True)
class Server:
    """Where and as whom. ``authority`` is a PEM file, the system's own when None; a certificate serves instead of a password."""

    host: str
    port: int = 587
    login: str = ""
    password: str = ""
    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None
    timeout: float = 60.0


def submit(server: Server, sender: str, recipients: Sequence[str], content: bytes) -> str:
    """The server's identifier of the message, or an empty string when it gave none. Blocks; raises :class:`ServerRefused`."""
    try:
        with _connected(server) as smtp:
            return _hand_over(smtp, sender, recipients, content)
    except smtplib.SMTPAuthenticationError as problem:
        raise ServerRefused(_said(problem.smtp_code, problem.smtp_error), final=True) from None
    except smtplib.SMTPResponseException as problem:
        raise ServerRefused(_said(problem.smtp_code, problem.smtp_error), final=problem.smtp_code >= 500) from None
    except (smtplib.SMTPException, OSError) as problem:
        raise ServerRefused(f"{type(problem).__name__}: {problem}"[:300], final=False) from None


def _connected(server: Server) -> smtplib.SMTP:
    context = ssl.create_default_context(cafile=str(server.authority) if server.authority else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if server.certificate is not None:
        context.load_cert_chain(server.certificate, server.key)
    smtp: smtplib.SMTP
    if server.port == _IMPLICIT_TLS:
        smtp = smtplib.SMTP_SSL(server.host, server.port, context=context, timeout=server.timeout)
    else:
        smtp = smtplib.SMTP(server.host, server.port, timeout=server.timeout)
    try:
        _opened(smtp, server, context)
    except BaseException:
        smtp.close()
        raise
    return smtp


def _opened(smtp: smtplib.SMTP, server: Server, context: ssl.SSLContext) -> None:
    smtp.ehlo()
    if not isinstance(smtp, smtplib.SMTP_SSL):
        smtp.starttls(context=context)
        smtp.ehlo()
    if server.password:
        smtp.login(server.login, server.password)
    elif server.certificate is not None and smtp.has_extn("auth"):
        code, text = smtp.docmd("AUTH", "EXTERNAL =")
        if code != 235:
            raise smtplib.SMTPAuthenticationError(code, text)


def _hand_over(smtp: smtplib.SMTP, sender: str, recipients: Sequence[str], content: bytes) -> str:
    _need(*smtp.mail(sender, [f"SIZE={len(content)}"]))
    for recipient in recipients:
        _need(*smtp.rcpt(recipient))
    code, text = smtp.data(content)
    _need(code, text)
    found = _IDENTIFIER.search(text.decode("ascii", "replace"))
    return found[0] if found else ""


def _need(code: int, text: bytes) -> None:
    if not 200 <= code < 300:
        raise smtplib.SMTPResponseException(code, text)


def _said(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(words.split())}"[:1000]
