"""What is asked of a reading process, and what it answers: plain values that cross a pipe.

The question goes to a process of ours and may be pickled; the answer comes from a process that has just read hostile bytes, so
it is JSON, checked when it is read. Promise: :func:`answer_from` gives a :class:`Reading` or raises ``ValueError``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from gateway.medical.met import NOBODY, Met, met_from, met_json
from policies.patient import Finding, Said

MOST_FINDINGS = 500


@dataclass(frozen=True, slots=True)
class PartBytes:
    """A leaf of the message, its transfer encoding removed."""

    name: str
    media_type: str
    charset: str
    data: bytes
    is_body: bool


@dataclass(frozen=True, slots=True)
class ReaderOptions:
    """The part of the configuration the reader needs."""

    header_required: bool = False
    test_identities: bool = False
    lab_batches: bool = False
    qualified_nia: bool = False
    strict_restrictions: bool = False
    extra_oids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """One message to read. ``headers`` are its ``X-MSS-*`` fields."""

    parts: tuple[PartBytes, ...]
    subject: str
    recipients: tuple[str, ...]
    headers: Mapping[str, str]
    options: ReaderOptions
    today: date

    @property
    def size(self) -> int:
        return sum(len(part.data) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Reading:
    """The answer. ``findings`` may be logged; ``told`` are the same in full words (place and sentence), for the sender's eyes only.

    ``ins`` are (oid, matricule) pairs, ``numbers`` what an HPRIM line 8 holds, ``traits`` under what a register may know its patients
    (:func:`hprim.strict.sought`), ``met`` whom it is about: health data, never logged. ``attachments`` counts the documents beside the
    text, signatures opened; ``sealed``: something is encrypted end to end.
    """

    findings: tuple[Finding, ...] = ()
    told: tuple[tuple[Said, Said], ...] = ()
    codes: tuple[str, ...] = ()
    qualified: bool = False
    has_cda: bool = False
    has_header: bool = False
    ins: tuple[tuple[str, str], ...] = ()
    numbers: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()
    body_length: int = 0
    attachments: int = 0
    sealed: bool = False
    patients: int = 0
    met: Met = NOBODY


def answer_bytes(reading: Reading) -> bytes:
    """The answer as JSON."""
    findings = [
        [
            one.name,
            one.severity,
            *_pair(one.place),
            *_pair(one.sentence),
            *_pair(one.advice),
            *_pair(place),
            *_pair(words),
        ]
        for one, (place, words) in zip(reading.findings, reading.told, strict=True)
    ]
    found = {
        "findings": findings,
        "codes": reading.codes,
        "qualified": reading.qualified,
        "has_cda": reading.has_cda,
        "has_header": reading.has_header,
        "ins": reading.ins,
        "numbers": reading.numbers,
        "traits": reading.traits,
        "body_length": reading.body_length,
        "attachments": reading.attachments,
        "sealed": reading.sealed,
        "patients": reading.patients,
        "met": met_json(reading.met),
    }
    return json.dumps(found, ensure_ascii=True).encode("ascii")


def _pair(said: Said) -> tuple[str, str]:
    return said.fr, said.en


def answer_from(data: bytes) -> Reading:
    """Read an answer. ``ValueError`` when it is not one."""
    try:
        found = json.loads(data)
        rows = [_row(row) for row in found["findings"][:MOST_FINDINGS]]
        return Reading(
            findings=tuple(row[0] for row in rows),
            told=tuple(row[1] for row in rows),
            codes=tuple(map(str, found["codes"])),
            qualified=found["qualified"] is True,
            has_cda=found["has_cda"] is True,
            has_header=found["has_header"] is True,
            ins=tuple((str(oid), str(number)) for oid, number in found["ins"]),
            numbers=tuple(map(str, found["numbers"])),
            traits=tuple(map(str, found["traits"])),
            body_length=int(found["body_length"]),
            attachments=int(found["attachments"]),
            sealed=found["sealed"] is True,
            patients=int(found["patients"]),
            met=met_from(found["met"]),
        )
    except (KeyError, TypeError, IndexError, AttributeError, RecursionError, OverflowError) as fault:
        raise ValueError(f"not an answer: {type(fault).__name__}") from None


def _row(row: Any) -> tuple[Finding, tuple[Said, Said]]:
    texts = [str(text) for text in row]
    if len(texts) != 12 or texts[1] not in ("R!", "R", "W", "N"):
        raise ValueError("not a finding")
    said = [Said(texts[at], texts[at + 1]) for at in range(2, 12, 2)]
    return Finding(texts[0], texts[1], said[0], said[1], said[2]), (said[3], said[4])
