"""Answers of a practice system that filed, or could not file, a document: codes, and the ``Disposition`` of an MDN.

Promise: what is built reads back; the parser takes the published example with its faults (``Error:`` inside the disposition,
carets, an error label). Failure: :func:`parse_disposition` gives ``None`` for text that is not a disposition.
Source: ANS volet Transmission au LPS (codes 900 to 906), RFC 8098 section 3.2.6, MSS-116.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hprim.compose import plain
from hprim.model import Report, Words

OUTCOMES = {
    "0": Words("document intégré", "document filed"),
    "900": Words(
        "version du document incorrecte pour un remplacement ou une suppression",
        "wrong document version for a replacement or a deletion",
    ),
    "901": Words(
        "auteur non autorisé à remplacer ou supprimer ce document",
        "author not allowed to replace or delete this document",
    ),
    "902": Words("identifiant de patient inconnu", "unknown patient identifier"),
    "903": Words("INS absente du document", "INS missing from the document"),
    "904": Words("INS du document différente de celle du dossier", "the document's INS differs from the one on record"),
    "905": Words("INS incomplète : matricule sans tous les traits", "incomplete INS: number without all its traits"),
    "906": Words("autre erreur d'intégration", "other filing error"),
}
"""Integration outcomes by code, "0" for success."""

_BY_RULE = {
    "HID-050": "904",
    "HID-052": "904",
    "HID-053": "905",
    "HID-054": "904",
    "HID-057": "903",
    "HID-070": "904",
    "HID-071": "904",
    "HID-072": "904",
    "HID-073": "904",
    "HID-074": "904",
    "HID-075": "904",
    "HID-076": "904",
}


def expected_code(report: Report) -> str:
    """The code a conformant receiver would answer for this report: the gravest problem that has one, else "0"."""
    for problem in report.problems:
        if problem.rule in _BY_RULE:
            return _BY_RULE[problem.rule]
    return "0"


@dataclass(frozen=True, slots=True)
class Disposition:
    """``automatic``: action and sending mode; ``kind``: displayed, deleted, dispatched or processed; ``code``: "" for success."""

    automatic: bool
    kind: str
    code: str = ""
    label: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.code)


def outcome(code: str, *, automatic: bool = True) -> Disposition:
    """The disposition for an integration outcome; :class:`KeyError` for a code that does not exist."""
    label = OUTCOMES[code].fr
    return Disposition(automatic, "processed", "" if code == "0" else code, "" if code == "0" else label)


def _ascii(text: str) -> str:
    return "".join(c if 32 <= ord(c) < 127 and c not in "^\\" else "?" for c in text)[:200]


def build_disposition(d: Disposition) -> str:
    """The value of the ``Disposition`` field: ``automatic-action/MDN-sent-automatically; processed/Error: 902^label``."""
    mode = "automatic-action/MDN-sent-automatically" if d.automatic else "manual-action/MDN-sent-manually"
    if not d.code:
        return f"{mode}; {d.kind}"
    return f"{mode}; {d.kind}/Error: {_ascii(d.code)}^{_plain(d.label)}"


def _plain(label: str) -> str:
    """A label for a header: accents dropped, ASCII."""
    return _ascii(plain(label))


_MODE = re.compile(r"\s*(manual|automatic)-action\s*/\s*mdn-sent-(manually|automatically)\s*;\s*", re.IGNORECASE)
_KIND = re.compile(r"(displayed|deleted|dispatched|processed|failed|denied)", re.IGNORECASE)
_ERROR = re.compile(r"/\s*(?:error|failure|warning)\b\s*[:;]?\s*", re.IGNORECASE)
_CODE = re.compile(r"([0-9]{1,3})(?![0-9])")


def parse_disposition(value: str) -> Disposition | None:
    """Read a ``Disposition`` value, folded or not, RFC 8098 or with ANS's ``Error: 902^label^…``."""
    text = " ".join(value[:2_000].split())
    mode = _MODE.match(text)
    if not mode:
        return None
    rest = text[mode.end() :]
    kind = _KIND.match(rest)
    if not kind:
        return None
    name = kind[1].lower()
    error = _ERROR.search(rest, kind.end())
    automatic = mode[1].lower() == "automatic"
    if not error:
        return Disposition(automatic, name)
    return _failed(automatic, name, rest[error.end() :])


def _failed(automatic: bool, name: str, detail: str) -> Disposition:
    code, _, label = detail.partition("^")
    found = _CODE.match(code.strip())
    number = found[1] if found else "906"
    said = label.partition("^")[0].strip() or (code.strip() if not found else "")
    words = OUTCOMES.get(number)
    return Disposition(automatic, name, number, said or (words.fr if words else ""))


_KO = re.compile(
    r"\[(?:ko int[ée]gration syst[èe]me|erreur d.int[ée]gration)\s{0,3}!?\s{0,3}\]\s{0,3}\[([0-9]{1,3})\]",
    re.IGNORECASE,
)


def answer_subject(code: str, subject: str) -> str:
    """The subject of the answer: the original one, prefixed when the document could not be filed."""
    clean = " ".join(subject.split())
    return clean if code == "0" else f"[KO Intégration système !][{code}] {clean}"


def subject_code(subject: str) -> str:
    """The error code an answer's subject carries, "" when it carries none."""
    found = _KO.search(subject[:2_000])
    return found[1] if found else ""


def explain(code: str, details: Sequence[str] = ()) -> Words:
    """The human part of an answer."""
    words = OUTCOMES.get(code, OUTCOMES["906"])
    more = " ".join(details)[:500]
    if code == "0":
        return words
    tail = f" {more}" if more else ""
    return Words(f"Intégration refusée ({code}) : {words.fr}.{tail}", f"Filing refused ({code}): {words.en}.{tail}")
