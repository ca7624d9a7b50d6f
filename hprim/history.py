"""The patient of a message against those that a mailbox has already seen: collisions, duplicates, homonyms, twins.

Promise: pure; the caller brings the candidates, found by keyed digests (:func:`blocking_keys`) so that no identity needs to be kept
in clear to find them. Points only ever raise a remark: the refusal (HID-091) rests on one matricule with two identities.
Failure: none. Source: HID-090 to HID-096; RNIV search practice (birth date, then letters of the name).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hprim.match import Comparison, compare
from hprim.model import Document, Identifier, Patient
from hprim.names import Level, normal
from hprim.rules import Findings

DUPLICATE = 9
MAX_CANDIDATES = 200


@dataclass(frozen=True, slots=True)
class History:
    """What a mailbox knows: patients already ``seen``, and for a document identifier the patient it was sent for."""

    seen: Sequence[Patient] = ()
    documents: Mapping[str, Patient] = field(default_factory=dict)


def blocking_keys(patient: Patient, secret: bytes) -> frozenset[str]:
    """Keyed digests under which a patient is found again: each number, birth date + surname, birth date + three letters."""
    keys = {f"ins:{i.oid}:{i.matricule}" for i in patient.ins}
    t = patient.traits
    if t.birth_date:
        for surname in (t.birth_surname, t.surname, t.used_surname):
            glued = normal(surname).glued
            if glued:
                keys |= {f"name:{t.birth_date.iso()}:{glued}", f"start:{t.birth_date.iso()}:{glued[:3]}"}
    return frozenset(hmac.new(secret, k.encode(), "sha256").hexdigest() for k in keys)


_POINTS: dict[str, dict[Level, int]] = {
    "date": {Level.AGREE: 4, Level.NOTE: 2, Level.NEAR: 2},
    "surname": {Level.AGREE: 4, Level.NOTE: 3, Level.NEAR: 2},
    "first": {Level.AGREE: 3, Level.NOTE: 2, Level.NEAR: 1},
    "sex": {Level.AGREE: 1, Level.DISAGREE: -4},
    "number": {Level.AGREE: 10},
}


def points(a: Patient, b: Patient, c: Comparison | None = None) -> int:
    """How alike two patients are: 9 or more is a probable duplicate."""
    c = c or compare(a, b)
    total = sum(table.get(getattr(c, trait), 0) for trait, table in _POINTS.items())
    place = a.traits.birth_place
    return total + (1 if place and place == b.traits.birth_place else 0)


def check(patient: Patient, seen: Iterable[Patient], findings: Findings) -> None:
    """Compare ``patient`` with the candidates; each rule is said once."""
    said: set[str] = set()
    for index, other in enumerate(seen):
        if index >= MAX_CANDIDATES:
            break
        rule = judge(patient, other)
        if rule and rule not in said:
            said.add(rule)
            findings.add(rule, patient.place)


def judge(patient: Patient, other: Patient) -> str:
    """The rule that one earlier patient brings, or ""."""
    c = compare(patient, other)
    if c.number is Level.AGREE:
        apart = Level.DISAGREE in (c.surname, c.first, c.date) or c.doubts >= 2
        return "HID-091" if apart and not c.swapped else ""
    if c.surname in (Level.AGREE, Level.NOTE) and c.date is Level.AGREE and c.first is Level.DISAGREE:
        return "HID-095"
    alike = c.surname is Level.AGREE and c.first in (Level.AGREE, Level.NOTE) and c.date is Level.AGREE
    if c.number is Level.DISAGREE:
        return "HID-092" if alike and c.sex is not Level.DISAGREE else ""
    if _one_record(patient, other):
        return ""
    if alike and not patient.ins and not other.ins and _local(patient) and _local(other):
        return "HID-093"
    return "HID-090" if points(patient, other, c) >= DUPLICATE and _local(patient) and _local(other) else ""


def _local(patient: Patient) -> set[Identifier]:
    return {i for i in patient.ids if i.extension}


def _one_record(a: Patient, b: Patient) -> bool:
    """The sender's own number is the same: the same record, not a duplicate."""
    return bool(_local(a) & _local(b))


def document_key(document: Document) -> str:
    """What identifies a document over time: the CDA identifier, or the HPRIM file number and its sender ("" if none)."""
    if not document.identifier:
        return ""
    return f"{document.format.value}:{document.identifier}:{document.details.get('sender', '')}"


def check_documents(documents: Iterable[Document], known: Mapping[str, Patient], findings: Findings) -> None:
    """A document number that was already sent for somebody else (HID-096)."""
    for document in documents:
        earlier = known.get(document_key(document))
        if earlier and document.patients and _someone_else(document.patients[0], earlier):
            findings.add("HID-096", document.place)


def _someone_else(a: Patient, b: Patient) -> bool:
    c = compare(a, b)
    return Level.DISAGREE in (c.surname, c.first, c.date, c.number) or c.doubts >= 2
