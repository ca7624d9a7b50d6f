"""Bounces of patients' mailboxes (Mon espace santé): letters rather than reports, with four causes (MSS-104).

The field's titles and causes are known, its exact words are not: phrases are configuration. What a bounce says is only believed as
far as who brought it may speak for the recipient's domain, like any receipt.
Promise: bounded, pure, never raises; a letter without one of the titles, or whose cause no phrase tells, gives nothing new.
Failure: none. Source: ENS §6.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.relay.tracking import Receipt
from mailboxes.anatomy import Anatomy
from mailboxes.words import decode_part, decode_words
from policies.bounces import MARK, PHRASES, STATUS, TITLES, folded, phrase_of
from policies.receipts import State

MOST_TEXT = 64 * 1024
MOST_TEXTS = 4
MOST_PATIENTS = 20


@dataclass(frozen=True, slots=True)
class Bounces:
    """``domains``: those of patients' mailboxes. ``phrases``: (cause, folded words)."""

    domains: frozenset[str] = frozenset({"patient.mssante.fr"})
    phrases: tuple[tuple[str, str], ...] = tuple(found for found in map(phrase_of, PHRASES) if found)

    def of_patient(self, key: str) -> bool:
        return key.rpartition("@")[2] in self.domains

    def titled(self, anatomy: Anatomy) -> bool:
        """Is this what a patient's mailbox calls a message that did not arrive?"""
        raw = anatomy.values.get(b"subject")
        subject = folded(decode_words(raw[0])[:300]) if raw else ""
        return any(title in subject for title in TITLES)

    def cause(self, text: str) -> str:
        """The cause the text tells, empty when none."""
        return next((cause for cause, words in self.phrases if words in text), "")


def read(anatomy: Anatomy, content: bytes, reported: Sequence[Receipt], bounces: Bounces) -> tuple[Receipt, ...]:
    """``reported`` are the receipts the message holds as a report: those about patients get their cause. A letter that is no report
    gives receipts of its own."""
    if any(_failed(one, bounces) for one in reported):
        text = _text(anatomy, content)
        return tuple(_with_cause(one, text, bounces) if _failed(one, bounces) else one for one in reported)
    if reported or not bounces.titled(anatomy):
        return tuple(reported)
    text = _text(anatomy, content)
    cause = bounces.cause(text)
    return tuple(_letters(anatomy, text, cause, bounces)) if cause else ()


def _failed(one: Receipt, bounces: Bounces) -> bool:
    return one.state is State.FAILED and (bounces.of_patient(one.recipient) or bounces.of_patient(one.also))


def _with_cause(one: Receipt, text: str, bounces: Bounces) -> Receipt:
    cause = bounces.cause(text) or STATUS.get(one.code, "")
    return one._replace(code=f"{MARK}{cause}") if cause else one


def _letters(anatomy: Anatomy, text: str, cause: str, bounces: Bounces) -> Iterable[Receipt]:
    about = (*anatomy.in_reply_to, *anatomy.references[-1:], "")[0].strip("<>")
    for patient in _patients(text, bounces):
        yield Receipt(
            message_id=about,
            envid="",
            recipient=patient,
            also="",
            state=State.FAILED,
            code=f"{MARK}{cause}",
            disposition="bounce",
        )


def _patients(text: str, bounces: Bounces) -> list[str]:
    """Addresses of patients in the text of a bounce."""
    domains = "|".join(re.escape(domain) for domain in sorted(bounces.domains))
    found = re.findall(rf"(?<![a-z0-9])([0-9][0-9ab]{{12}}[0-9]{{2}}@(?:{domains}))(?![a-z0-9-]|\.[a-z0-9])", text)
    return list(dict.fromkeys(found))[:MOST_PATIENTS]


def _text(anatomy: Anatomy, content: bytes) -> str:
    """The folded text a person reads, and the report's own fields."""
    pieces = []
    for part in anatomy.parts:
        if part.children or part.full_type not in ("text/plain", "text/html", "message/delivery-status"):
            continue
        raw = content[part.body_start : min(part.body_end, part.body_start + MOST_TEXT)]
        pieces.append(_decoded(decode_part(raw, part.encoding, MOST_TEXT)))
        if len(pieces) == MOST_TEXTS:
            break
    return folded(" ".join(pieces))


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")
