"""Builds the letters we owe that are no delivery notices: absence replies, automatic receipts, news about a user's rule.

They wait in the same table as notices (:mod:`gateway.relay.outbox`) and leave the same way, with the null reverse-path, so
that nothing answers them. Promise: an absence reply holds nothing of what it answers but its identifier (MSS-060); what
its owner wrote travels encoded in the body and never enters a header. Failure: ``ValueError`` for a value of ours that
could break its line.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.received import date
from gateway.relay import notices
from gateway.relay.notices import House, Original, encoded_word, field_line, quoted_printable
from gateway.relay.outbox import Entry, Owed
from gateway.relay.receipts import Acknowledgement, build_mdn
from gateway.sanctions.letters import SANCTION, text
from policies.decision import Language

ABSENCE, PROCESSED, RULE_DISABLED = "absence", "processed", "rule_disabled"  # actions of :class:`Owed`
SUBJECTS = {
    ABSENCE: "Réponse automatique / Automatic reply",
    RULE_DISABLED: "Transfert désactivé / Forwarding off",
    SANCTION: "Usage de la messagerie / Use of the service",
}
SUBJECT_BYTES = 1000

Build = Callable[[Owed, Original | None, House, str, float, str], bytes]


def build(notice: Owed, original: Original | None, house: House, to: str, now: float, token: str) -> bytes:
    """Whatever is owed, as bytes. ``token`` is at least 128 random bits in printable characters."""
    return _BUILDERS.get(notice.action, notices.build)(notice, original, house, to, now, token)


def _absence(notice: Owed, original: Original | None, house: House, to: str, now: float, token: str) -> bytes:
    entry = notice.entries[0]
    said = entry.parameters
    fields = _head(f"<{said['address']}>", to, ABSENCE, house, now, token, "auto-replied")
    if said["message_id"]:
        fields[4:4] = [("In-Reply-To", f"<{said['message_id']}>"), ("References", f"<{said['message_id']}>")]
    return _letter(fields, "\n\n".join((entry.sentence("fr")[0], said["text"], entry.sentence("en")[0])))


def _disabled(notice: Owed, original: Original | None, house: House, to: str, now: float, token: str) -> bytes:
    fields = _head(f"Caducee <{house.postmaster}>", to, RULE_DISABLED, house, now, token, "auto-generated")
    entry = notice.entries[0]
    return _letter(fields, "\n".join((*_told(entry, "fr"), "", *_told(entry, "en"), "")))


def _sanction(notice: Owed, original: Original | None, house: House, to: str, now: float, token: str) -> bytes:
    fields = _head(f"Caducee <{house.postmaster}>", to, SANCTION, house, now, token, "auto-generated")
    return _letter(fields, "\n\n".join(text(entry.rule, entry.parameters) for entry in notice.entries) + "\n")


def _told(entry: Entry, language: Language) -> tuple[str, str, str]:
    sentence, remedy = entry.sentence(language)
    return entry.recipient, sentence, remedy


def _processed(notice: Owed, original: Original | None, house: House, to: str, now: float, token: str) -> bytes:
    said = notice.entries[0].parameters
    about = Acknowledgement(
        reader=said["address"],
        to=to,
        message_id=said["message_id"],
        subject=raw_subject(original.content) if original else b"",
        original_recipient=notice.entries[0].recipient,
    )
    return build_mdn(about, original, house, now, token)


def _head(
    author: str, to: str, subject: str, house: House, now: float, token: str, automatic: str
) -> list[tuple[str, str]]:
    return [
        ("Date", date(now)),
        ("From", author),
        ("To", f"<{to}>"),
        ("Message-ID", f"<{token}@{house.hostname}>"),
        ("Subject", encoded_word(SUBJECTS[subject])),
        ("Auto-Submitted", automatic),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", "quoted-printable"),
    ]


def _letter(fields: list[tuple[str, str]], text: str) -> bytes:
    body = quoted_printable(text)
    return b"".join(field_line(name, value) for name, value in fields) + b"\r\n" + body + b"\r\n"


def raw_subject(header: bytes) -> bytes:
    """The raw value of the first Subject field of a header block, folds kept; empty when there is none or it is long."""
    block = b"\r\n" + header.split(b"\r\n\r\n", 1)[0] + b"\r\n"
    at = block.lower().find(b"\r\nsubject:")
    if at < 0:
        return b""
    start = at + len(b"\r\nsubject:")
    end = block.find(b"\r\n", start)
    while block[end + 2 : end + 3] in (b" ", b"\t") and end - start < SUBJECT_BYTES:
        end = block.find(b"\r\n", end + 2)
    return block[start:end].strip() if end - start < SUBJECT_BYTES else b""


_BUILDERS: dict[str, Build] = {ABSENCE: _absence, PROCESSED: _processed, RULE_DISABLED: _disabled, SANCTION: _sanction}
