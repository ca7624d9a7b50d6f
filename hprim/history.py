"""The patient and the documents of a message against those met before: collisions, duplicates, homonyms, twins, numbers used again.

Promise: pure; the caller brings the candidates, found by keyed digests (:func:`blocking_keys`, :func:`marks`), and they may
themselves be digests (:mod:`hprim.trace`), so that no identity needs to be kept to find and compare them. Points only ever raise a
remark: the refusal (HID-091) rests on one matricule with two identities.
Failure: none. Source: HID-090 to HID-099, TOU-F09; RNIV search practice (birth date, then letters of the name).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hprim.findings import Findings
from hprim.match import Comparison, compare
from hprim.model import Document, Format, Patient, Place, Words
from hprim.names import Level, normal
from hprim.trace import MARK, Trace, compare_traces, digester

DUPLICATE = 9
MAX_CANDIDATES = 200


class Version(NamedTuple):
    """What is known of an earlier document of the same identifier or set: its version number and content digest ("" unknown)."""

    number: int
    content: str | bytes


@dataclass(frozen=True, slots=True)
class History:
    """What a mailbox knows, in clear: patients already ``seen``; for a document's key (:class:`DocumentMark`) the patient it was sent
    for, and the ``versions`` already sent."""

    seen: Sequence[Patient] = ()
    documents: Mapping[str, Patient] = field(default_factory=dict)
    versions: Mapping[str, Version] = field(default_factory=dict)


def blocking_keys(patient: Patient, secret: bytes) -> frozenset[bytes]:
    """Keyed digests under which a patient is found again: each number, birth date + surname, birth date + three letters."""
    keys = {f"ins:{i.oid}:{i.matricule}" for i in patient.ins}
    t = patient.traits
    if t.birth_date:
        for surname in (t.birth_surname, t.surname, t.used_surname):
            glued = normal(surname).glued
            if glued:
                keys |= {f"name:{t.birth_date.iso()}:{glued}", f"start:{t.birth_date.iso()}:{glued[:3]}"}
    digest = digester(secret, MARK)
    return frozenset(digest("block", key) for key in keys)


def number_key(oid: str, matricule: str, secret: bytes) -> bytes:
    """The one of :func:`blocking_keys` that an INS gives."""
    return digester(secret, MARK)("block", f"ins:{oid}:{matricule}")


_POINTS: dict[str, dict[Level, int]] = {
    "date": {Level.AGREE: 4, Level.NOTE: 2, Level.NEAR: 2},
    "surname": {Level.AGREE: 4, Level.NOTE: 3, Level.NEAR: 2},
    "first": {Level.AGREE: 3, Level.NOTE: 2, Level.NEAR: 1},
    "sex": {Level.AGREE: 1, Level.DISAGREE: -4},
    "number": {Level.AGREE: 10},
}


class Records(NamedTuple):
    """How two patients' record numbers (not INS) compare: one authority gave them ``two``, or ``one`` is common to both."""

    two: bool
    one: bool


def _points(c: Comparison, *, same_place: bool) -> int:
    """How alike two patients are: 9 or more is a probable duplicate."""
    return sum(table.get(getattr(c, trait), 0) for trait, table in _POINTS.items()) + same_place


def _records(xs: Iterable[tuple[object, object]], ys: Iterable[tuple[object, object]]) -> Records:
    a, b = set(xs), set(ys)
    shared = {authority for authority, _ in a} & {authority for authority, _ in b}
    return Records(two=bool(shared) and not a & b, one=bool(a & b))


def check(patient: Patient, seen: Iterable[Patient], findings: Findings) -> None:
    """Compare ``patient`` with the candidates; each rule is said once."""
    for rule in said(judge(patient, other) for other in _first(seen)):
        findings.add(rule, patient.place)


def said(rules: Iterable[str]) -> list[str]:
    """Each rule once, in order."""
    return [rule for rule in dict.fromkeys(rules) if rule]


def _first(seen: Iterable[Patient]) -> Iterable[Patient]:
    return (other for _, other in zip(range(MAX_CANDIDATES), seen, strict=False))


def judge(patient: Patient, other: Patient) -> str:
    """The rule that one earlier patient brings, or ""."""
    place = patient.traits.birth_place
    return _rule(
        compare(patient, other),
        _records(_of_record(patient), _of_record(other)),
        numbered=bool(patient.ins or other.ins),
        same_place=bool(place) and place == other.traits.birth_place,
    )


def _of_record(patient: Patient) -> set[tuple[object, object]]:
    accepted = {(i.oid, i.matricule) for i in patient.ins}
    return {(i.root, i.extension) for i in patient.ids if i.extension and (i.root, i.extension) not in accepted}


def judge_trace(patient: Trace, other: Trace) -> str:
    """The same for two patients of whom only the digests are known."""
    return _rule(
        compare_traces(patient, other),
        _records(patient.records, other.records),
        numbered=bool(patient.numbers or other.numbers),
        same_place=bool(patient.place) and patient.place == other.place,
    )


def _rule(c: Comparison, records: Records, *, numbered: bool, same_place: bool) -> str:
    if c.number is Level.AGREE:
        apart = Level.DISAGREE in (c.surname, c.first, c.date) or c.doubts >= 2
        return "HID-091" if apart and not c.swapped else ""
    if c.surname in (Level.AGREE, Level.NOTE) and c.date is Level.AGREE and c.first is Level.DISAGREE and not c.swapped:
        return "HID-095"
    alike = c.surname is Level.AGREE and c.first in (Level.AGREE, Level.NOTE) and c.date is Level.AGREE
    if c.number is Level.DISAGREE:
        return "HID-092" if alike and c.sex is not Level.DISAGREE else ""
    if records.one or not records.two:  # one record, or records of two establishments, which say nothing of each other
        return ""
    if alike and not numbered:
        return "HID-093"
    return "HID-090" if _points(c, same_place=same_place) >= DUPLICATE else ""


# documents


@dataclass(frozen=True, slots=True)
class DocumentMark:
    """One document over time. ``own``: its identifier (CDA, or HPRIM file number with its sender); ``group``: the set of its
    versions; ``replaces``: identifiers it replaces; ``content``: digest of its octets, "" when not known."""

    own: str
    group: str = ""
    version: int = 0
    replaces: tuple[str, ...] = ()
    content: str = ""


def document_key(document: Document) -> str:
    """What identifies a document over time: the CDA identifier, or the HPRIM file number and its sender ("" if none)."""
    if not document.identifier:
        return ""
    if document.format is Format.CDA:
        return f"cda:{document.identifier}"
    told = document.identifier.strip(" 0.-_")
    if len(told) < 3 or not any(sign.isdigit() for sign in told):
        return ""  # a filler, not a number
    details = document.details
    return f"{document.format.value}:{document.identifier}:{details.get('sender_code', '')}:{details.get('sender', '')}"


def marks(documents: Iterable[Document]) -> dict[DocumentMark, Place]:
    """Every document that can be known again, once, and where it stands."""
    found: dict[DocumentMark, Place] = {}
    for document in documents:
        key = document_key(document)
        if not key:
            continue
        found.setdefault(_mark(key, document), document.place)
    return found


def _mark(key: str, document: Document) -> DocumentMark:
    if document.format is not Format.CDA:
        return DocumentMark(key)
    version = document.version if document.version.isascii() and document.version.isdigit() else ""
    return DocumentMark(
        own=key,
        group=f"set:{document.set_id}" if document.set_id else "",
        version=int(version[:9] or 0),
        replaces=tuple(f"cda:{one}" for one in document.replaces[:20] if one != "?"),
        content=document.digest,
    )


def check_documents(documents: Iterable[Document], known: History, findings: Findings) -> None:
    """A document number that was already sent for somebody else (HID-096), or for another version (HID-098, HID-099)."""
    for document in documents:
        for one in marks([document]):
            earlier = [known.documents[key] for key in (one.own, one.group, *one.replaces) if key in known.documents]
            patients = document.patients[:1]
            if any(someone_else(compare(patient, other)) for patient in patients for other in earlier):
                findings.add("HID-096", document.place)
                continue
            versions = known.versions
            rule, detail = judge_version(one.version, one.content, versions.get(one.own), versions.get(one.group))
            if rule:
                findings.add(rule, document.place, **({"detail": detail} if detail else {}))


def someone_else(c: Comparison) -> bool:
    """Whether two patients that should be one are not."""
    apart = Level.DISAGREE in (c.surname, c.first, c.date, c.number) or c.doubts >= 2
    return apart and not (c.swapped and Level.DISAGREE not in (c.date, c.number))


def judge_version(
    version: int, content: str | bytes, own: Version | None, group: Version | None
) -> tuple[str, Words | None]:
    """A document that was sent before: the same again (HID-098), or another content under its number, or a version that is not
    newer (HID-099); ``("", None)`` when there is nothing to say. ``own`` is the earlier one of its very identifier, ``group`` the
    newest of its set."""
    if own is not None and own.content and content:
        if own.content == content:
            return "HID-098", None
        return "HID-099", Words("le même identifiant, un autre contenu", "the same identifier, another content")
    if own is None and group is not None and version and group.number:
        if version == group.number and group.content and content and group.content != content:
            return "HID-099", Words(f"la version {version} existe déjà", f"version {version} exists already")
        if version < group.number:
            fr, en = f"la version {group.number} est déjà partie", f"version {group.number} was sent already"
            return "HID-099", Words(fr, en)
    return "", None
