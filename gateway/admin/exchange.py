"""A first real exchange, shown step by step: A writes to B, B answers A, and A is kept from writing outside.

It uses ordinary mail libraries against the running doors, exactly as a mail program would; nothing is taken from the
inside. Failure: :class:`ExchangeFailed` says what did not happen; what the libraries themselves raise propagates.
"""

from __future__ import annotations

import smtplib
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any

from imapclient import IMAPClient

from policies.catalogue.sentences_console import say
from policies.decision import Language

PATIENCE = 30.0

Step = Callable[[str, str], None]


class ExchangeFailed(Exception):
    """A step did not give what it must: a sentence of the console's catalogue says which."""

    def __init__(self, sentence: str, /, **parameters: object) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.parameters = parameters


@dataclass(frozen=True, slots=True)
class Correspondent:
    """One mailbox as a mail program knows it."""

    address: str
    password: str
    submissions: tuple[str, int]
    imaps: tuple[str, int]
    display: str = ""


def correspondent(operator: Mapping[str, Any], mailbox: Mapping[str, Any]) -> Correspondent:
    """From the ready file's words to what a mail program needs."""
    return Correspondent(
        address=mailbox["address"],
        password=mailbox["device_password"],
        submissions=(operator["submissions"]["host"], operator["submissions"]["port"]),
        imaps=(operator["imaps"]["host"], operator["imaps"]["port"]),
        display=mailbox.get("display", ""),
    )


def write(
    sender: Correspondent, recipient: str, subject: str, text: str, trust: ssl.SSLContext, answers_to: str = ""
) -> str:
    """Send one text message over implicit TLS with AUTH; returns its Message-ID. smtplib's errors propagate."""
    message = EmailMessage()
    message["From"] = f"{sender.display} <{sender.address}>" if sender.display else sender.address
    message["To"] = recipient
    message["Subject"] = subject
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = make_msgid(domain=sender.address.rpartition("@")[2])
    if answers_to:
        message["In-Reply-To"] = message["References"] = answers_to
    message.set_content(text)
    host, port = sender.submissions
    with smtplib.SMTP_SSL(host, port, context=trust, timeout=PATIENCE) as connection:
        connection.login(sender.address, sender.password)
        connection.send_message(message, sender.address, [recipient])
    return str(message["Message-ID"])


def wait_for(reader: Correspondent, message_id: str, trust: ssl.SSLContext) -> dict[str, Any]:
    """Read the mailbox over IMAP until the message is there; its From, Subject and text."""
    host, port = reader.imaps
    deadline = time.monotonic() + PATIENCE
    with IMAPClient(host, port=port, ssl=True, ssl_context=trust, timeout=PATIENCE) as imap:
        imap.login(reader.address, reader.password)
        imap.select_folder("INBOX")
        while True:
            found = imap.search(["HEADER", "Message-ID", message_id])
            if found:
                data = imap.fetch(found[:1], ["ENVELOPE", "BODY[TEXT]"])[found[0]]
                return {"subject": data[b"ENVELOPE"].subject, "text": data[b"BODY[TEXT]"]}
            if time.monotonic() > deadline:
                raise ExchangeFailed("exchange.late", address=reader.address, seconds=round(PATIENCE))
            imap.idle()
            imap.idle_check(timeout=1)
            imap.idle_done()


def exchange(
    first: Correspondent, second: Correspondent, trust: ssl.SSLContext, language: Language, step: Step
) -> None:
    """A to B, B back to A, then the refusal of an address outside the space. ``step(title, detail)`` shows each."""
    question = write(first, second.address, "Avis cardiologique", "Bonjour,\r\nUn avis sur ce patient ?\r\n", trust)
    step(f"{first.address} → {second.address}", say("exchange.accepted", language))
    wait_for(second, question, trust)
    step(say("exchange.read", language, address=second.address), say("exchange.crossed", language))
    answer = write(second, first.address, "Re: Avis cardiologique", "Avis favorable.\r\n", trust, answers_to=question)
    wait_for(first, answer, trust)
    step(f"{second.address} → {first.address}", say("exchange.answered", language))
    step(say("exchange.outside", language), _refusal(first, trust))


def _refusal(sender: Correspondent, trust: ssl.SSLContext) -> str:
    try:
        write(sender, "quelquun@exemple.invalid", "Hors espace", "Ne doit pas partir.\r\n", trust)
    except smtplib.SMTPRecipientsRefused as refused:
        code, words = next(iter(refused.recipients.values()))
        return f"{code} {words.decode('ascii', 'replace')}"
    raise ExchangeFailed("exchange.left")
