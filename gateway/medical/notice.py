"""One message to the sender's own INBOX with everything the checks remarked on what he just sent. Not a bounce: his mail left.

It names places and faults in full words, since it stays in the sender's encrypted mailbox. Promise: French, then English; 7-bit;
no value of the message can end a header line. Failure: none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.received import date
from gateway.relay.notices import House, encoded_word, field_line, quoted_printable
from policies.decision import Language

SUBJECT = "Remarques sur votre message / Remarks on your message"
_OPENING = {
    "fr": "Votre message est parti. Voici ce qui mérite d’être corrigé pour les prochains :",
    "en": "Your message has left. This is worth mending for the next ones:",
}
_CLOSING = {
    "fr": "Aucune réponse n’est attendue à cet avis.",
    "en": "No answer to this notice is expected.",
}


@dataclass(frozen=True, slots=True)
class Remark:
    """One line, in both languages."""

    fr: str
    en: str


def build(remarks: Sequence[Remark], house: House, to: str, about: str, now: float, token: str) -> bytes:
    """The notice. ``about`` is the Message-ID of the sender's message with its brackets, or empty; ``token`` is unique."""
    fields = [
        ("Date", date(now)),
        ("From", f"Caducee <{house.postmaster}>"),
        ("To", f"<{to}>"),
        ("Subject", encoded_word(SUBJECT)),
        ("Message-ID", f"<{token}@{house.hostname}>"),
        ("Auto-Submitted", "auto-generated"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", "quoted-printable"),
    ]
    if about and len(about) < 250:
        fields[5:5] = [("In-Reply-To", about), ("References", about)]
    head = b"".join(field_line(name, value) for name, value in fields)
    return head + b"\r\n" + quoted_printable("\n".join([*_said(remarks, "fr"), "", *_said(remarks, "en"), ""]))


def _said(remarks: Sequence[Remark], language: Language) -> list[str]:
    lines = [f"- {one.fr if language == 'fr' else one.en}" for one in remarks]
    return [_OPENING[language], "", *lines, "", _CLOSING[language]]
