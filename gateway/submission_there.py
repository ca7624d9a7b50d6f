"""Hands a message to a submission server by SMTP, as a mail program does: for practice software on another machine.

TLS is always on: from the first octet on port 465 or where asked for, by STARTTLS elsewhere; the server's certificate is checked.
An application mailbox logs in with its client certificate (SASL EXTERNAL, the mailbox's address as the name).
Promise: the answer names the server's identifier only when it said 250. Failure: :class:`ServerRefused` with ``final`` for a 5yz,
without for what may be tried again (4yz, no connection); :class:`BadFile` for a certificate, key or authority that cannot be read.
"""

from __future__ import annotations

import base64
import re
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_IDENTIFIER = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{26}\b")
_IMPLICIT_TLS = 465
_TOO_LARGE = 552


class ServerRefused(Exception):
    """``reason`` is the server's own text, or what kept us from it; ``word`` is ``unknown_server`` when its certificate is not known,
    ``lost`` when it hung up or never answered. ``ours``: it refused us (login, sender), not this message."""

    def __init__(self, reason: str, *, final: bool, word: str = "", ours: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.final = final
        self.word = word
        self.ours = ours


class BadFile(ValueError):
    """``file`` is not what it should be: ``what`` is ``certificate`` or ``authority``."""

    def __init__(self, what: str, file: Path) -> None:
        super().__init__(what)
        self.what = what
        self.file = file


@dataclass(frozen=True, slots=True)
class Server:
    """Where and as whom. ``authority`` is a PEM file, the system's own when None; a certificate serves instead of a password.
    ``implicit``: TLS from the first octet (None: on port 465)."""

    host: str
    port: int = 587
    login: str = ""
    password: str = ""
    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None
    timeout: float = 60.0
    implicit: bool | None = None


def submit(server: Server, sender: str, recipients: Sequence[str], content: bytes) -> str:
    """The server's identifier of the message, or an empty string when it gave none. Blocks; raises :class:`ServerRefused`."""
    try:
        with _connected(server) as smtp:
            return _hand_over(smtp, sender, recipients, content)
    except (smtplib.SMTPAuthenticationError, smtplib.SMTPSenderRefused) as problem:
        final = problem.smtp_code >= 500
        raise ServerRefused(_said(problem.smtp_code, problem.smtp_error), final=final, ours=True) from None
    except smtplib.SMTPResponseException as problem:
        raise ServerRefused(_said(problem.smtp_code, problem.smtp_error), final=problem.smtp_code >= 500) from None
    except ssl.SSLCertVerificationError as problem:
        raise ServerRefused(problem.verify_message, final=False, word="unknown_server") from None
    except (smtplib.SMTPServerDisconnected, ConnectionError, TimeoutError, ssl.SSLError) as problem:
        raise ServerRefused(str(problem)[:300] or type(problem).__name__, final=False, word="lost") from None
    except (smtplib.SMTPException, OSError) as problem:
        raise ServerRefused(f"{type(problem).__name__}: {problem}"[:300], final=False) from None


def _connected(server: Server) -> smtplib.SMTP:
    context = context_of(server)
    smtp: smtplib.SMTP
    if server.implicit or (server.implicit is None and server.port == _IMPLICIT_TLS):
        smtp = smtplib.SMTP_SSL(server.host, server.port, context=context, timeout=server.timeout)
    else:
        smtp = smtplib.SMTP(server.host, server.port, timeout=server.timeout)
    try:
        _opened(smtp, server, context)
    except BaseException:
        smtp.close()
        raise
    return smtp


def trusting(authority: Path | None) -> ssl.SSLContext:
    """A client that trusts the roots in a PEM file (``--ca``), or the system's; the same rule for every command.

    From Python 3.13 on any certificate in the file would be an anchor. Raises :class:`BadFile`.
    """
    try:
        context = ssl.create_default_context(cafile=str(authority) if authority else None)
    except OSError:  # ssl.SSLError is one
        raise BadFile("authority", authority or Path()) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def context_of(server: Server) -> ssl.SSLContext:
    """How TLS is spoken. Raises :class:`BadFile`."""
    context = trusting(server.authority)
    if server.certificate is not None:
        try:
            context.load_cert_chain(server.certificate, server.key, password="")
        except (OSError, ValueError):
            raise BadFile("certificate", server.certificate) from None
    return context


def _opened(smtp: smtplib.SMTP, server: Server, context: ssl.SSLContext) -> None:
    smtp.ehlo()
    if not isinstance(smtp, smtplib.SMTP_SSL):
        smtp.starttls(context=context)
        smtp.ehlo()
    if server.password:
        smtp.login(server.login, server.password)
    elif server.certificate is not None and smtp.has_extn("auth"):
        name = base64.b64encode(server.login.encode("utf-8")).decode("ascii") or "="
        code, text = smtp.docmd("AUTH", f"EXTERNAL {name}")
        if code != 235:
            raise smtplib.SMTPAuthenticationError(code, text)


def _hand_over(smtp: smtplib.SMTP, sender: str, recipients: Sequence[str], content: bytes) -> str:
    code, text = smtp.mail(sender, [f"SIZE={len(content)}"])
    if not 200 <= code < 300 and code != _TOO_LARGE:
        raise smtplib.SMTPSenderRefused(code, text, sender)
    _need(code, text)
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
