"""HPRIM Santé 2.x (from ASTM E1238): one segment a line, separators announced by the first, several patients allowed.

Promise: both separator alphabets are read, never assumed; ``A`` lines are glued to the line they continue, even inside a name;
every ``P`` segment is read. Bounded: 50 000 segments, 50 patients. Failure: a file without ``H`` gives no patient and MSS-114.
Source: HID-017, HID-088; HPRIM Santé 2.1 to 2.4 as public programs read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from hprim import dates, fields, insrules
from hprim.findings import Findings
from hprim.hl7 import Signs, part
from hprim.lines import split
from hprim.match import names_another
from hprim.model import Document, Format, Identifier, Patient, Place, Severity, Source, Traits, Words
from hprim.shown import shown

MAX_SEGMENTS = 50_000
MAX_PATIENTS = 50
SEGMENTS = frozenset(["H", "P", "A", "C", "L", "OBR", "OBX", "FAC", "ACT", "REG", "AP", "AC", "ERR"])
_OLD_NAME = 24


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment with its continuations glued: ``parts`` split on the field separator, ``line`` where it starts."""

    parts: tuple[str, ...]
    line: int

    def at(self, index: int) -> str:
        return self.parts[index].strip() if index < len(self.parts) else ""


def signs(line: str) -> Signs | None:
    """The separators announced by an ``H`` line: ``H|~^\\&|`` or ``H|\\^&~|`` (or the HL7-like three signs); ``None`` if none."""
    if len(line) < 6 or line[0] != "H" or line[1].isalnum() or line[1].isspace():
        return None
    given = line[2:].split(line[1], 1)[0]
    if not 2 <= len(given) <= 4 or any(c.isalnum() or c.isspace() for c in given):
        return None
    if given == "^~&":
        return Signs(line[1], "^", "~", "\\", "&")
    usual = "~^\\&"
    c = [given[i] if i < len(given) else usual[i] for i in range(4)]
    return Signs(line[1], c[0], c[1], c[2], c[3])


def segments(lines: tuple[str, ...], sign: str, before: int = 0) -> list[Segment]:
    """The segments of the file, ``A`` lines glued to what they continue; ``before`` lines precede the first."""
    glued: list[tuple[list[str], int]] = []
    for index, line in enumerate(lines[:MAX_SEGMENTS]):
        if line.startswith("A" + sign) and glued:
            glued[-1][0].append(line[2:])
        elif line.strip():
            glued.append(([line], before + index + 1))
    return [Segment(tuple("".join(pieces).split(sign, 60)), number) for pieces, number in glued]


def read(data: bytes, place: Place, findings: Findings, today: date, *, name: str = "", declared: str = "") -> Document:
    """Every patient of the file, and its sender, receiver and version."""
    findings.add("HID-017", place, format="HPRIM Santé")
    text = split(data, declared)
    start = next((i for i, line in enumerate(text.lines[:50]) if signs(line)), 0)
    s = signs(text.lines[start])
    if s is None:
        detail = Words("segment H illisible", "unreadable H segment")
        findings.add("MSS-114", place, name=shown(name) or "HPRIM Santé", detail=detail)
        return Document(Format.HPRIM_SANTE, place, name=name, size=len(data))
    every = segments(text.lines[start:], s.field, start)
    _structure(every, place, findings)
    people = [seg for seg in every if seg.at(0) == "P"]
    if len(people) > MAX_PATIENTS or len(text.lines) > MAX_SEGMENTS or text.cut:
        findings.too_many(place, "trop de segments", "too many segments")
    patients = tuple(
        one for seg in people[:MAX_PATIENTS] for one in _patients(seg, s, place.at(seg.line), findings, today)
    )
    return Document(
        Format.HPRIM_SANTE, place, name=name, size=len(data), patients=patients, details=_details(every[0], s)
    )


def results(data: bytes, declared: str = "") -> Iterator[tuple[int, tuple[str, str, str, str, str]]]:
    """What each ``OBX`` says, for a reader: the number of its patient (from 0) and label, value, unit, range, abnormality."""
    text = split(data, declared)
    start = next((i for i, line in enumerate(text.lines[:50]) if signs(line)), 0)
    s = signs(text.lines[start])
    if s is None:
        return
    patient = -1
    for seg in segments(text.lines[start:], s.field, start):
        patient += seg.at(0) == "P"
        if seg.at(0) == "OBX" and patient >= 0:
            label = part(seg.at(3), 1, s.component) or part(seg.at(3), 0, s.component)
            value = " ".join(seg.at(5).replace(s.repetition, " ").replace(s.component, " ").split())
            flag = seg.at(8)
            yield patient, (label, value, seg.at(6), seg.at(7), "" if flag == "N" else flag)


def _details(head: Segment, s: Signs) -> dict[str, str]:
    found = {
        "message": head.at(2),
        "sender": part(head.at(4), 1, s.component) or head.at(4),
        "context": head.at(6),
        "receiver": part(head.at(9), 1, s.component) or head.at(9),
        "version": part(head.at(12), 0, s.component),
        "processing": head.at(11),
        "written": head.at(13),
    }
    return {k: v for k, v in found.items() if v}


def _structure(every: list[Segment], place: Place, findings: Findings) -> None:
    unknown = next((seg for seg in every if seg.at(0) not in SEGMENTS), None)
    if unknown:
        findings.add(
            "HID-012", place.at(unknown.line), line=unknown.line, text=unknown.at(0) if len(unknown.at(0)) <= 3 else "?"
        )
    if not any(seg.at(0) == "L" for seg in every):
        findings.add("HID-010", place, tag="L")


def _patients(seg: Segment, s: Signs, place: Place, findings: Findings, today: date) -> list[Patient]:
    """The patient of a P segment, and whoever else its repeated names name."""
    patient = _patient(seg, s, place, findings, today)
    found, t = [patient], patient.traits
    for one in seg.at(5).split(s.repetition, 10)[1:10]:
        surname, first = part(one, 0, s.component), part(one, 1, s.component)
        if names_another(surname, first, t, sure=True):
            traits = Traits(surname=surname, first_name=first, birth_date=t.birth_date, sex=t.sex)
            found.append(replace(patient, traits=traits))
    return found


def _patient(seg: Segment, s: Signs, place: Place, findings: Findings, today: date) -> Patient:
    before = len(findings.problems)
    named = seg.at(5).partition(s.repetition)[0]
    written = part(named, 0, s.component)
    surname = fields.name_value(written, fields.SURNAME, place, findings, missing="HID-026", longest=_OLD_NAME)
    given = part(named, 1, s.component)
    first = fields.name_value(given, fields.FIRST, place, findings, missing="HID-027", longest=_OLD_NAME)
    fields.whole_name(surname, first, place, findings)
    raw = part(seg.at(7), 0, s.component)
    born = fields.birth_value(dates.read_compact(raw) or _french(raw, today), raw, place, findings, today)
    sex = seg.at(8).upper()
    birth_name = " ".join(part(seg.at(6), 0, s.component).split())
    if seg.at(9) or seg.at(27):
        findings.add("HID-069", place, Severity.WARN)
    traits = Traits(
        birth_surname=birth_name,
        surname="" if birth_name else surname,
        used_surname=surname if birth_name else "",
        first_name=first,
        birth_date=born,
        sex=sex if sex in ("M", "F") else "",
    )
    ids, obsolete = _identifiers(seg, s)
    if obsolete:
        findings.add("HID-056", place)
    insrules.check_identifiers(ids, traits, place, findings)
    whole = all(p.severity.rank < Severity.REFUSE.rank for p in findings.problems[before:])
    return Patient(Source.HPRIM_SANTE, place, traits, insrules.ins_ids(ids, findings.profile), ids, whole=whole)


def _identifiers(seg: Segment, s: Signs) -> tuple[tuple[Identifier, ...], bool]:
    """The sender's identifier and what P-11 holds: ``value~type~date``; a type may be an OID by local convention."""
    found = [Identifier("", part(seg.at(2), 0, s.component))] if seg.at(2) else []
    obsolete = False
    for repetition in seg.at(11).split(s.repetition)[:10]:
        value, kind = part(repetition, 0, s.component), part(repetition, 1, s.component)
        if kind.upper() in ("INS-C", "INS-A"):
            obsolete = True
        elif value:
            found.append(Identifier(kind, value))
    return tuple(found), obsolete


def _french(raw: str, today: date) -> dates.PartialDate | None:
    """A birth date written as people do: readable, not as the norm asks."""
    found = dates.read_french(raw, today)
    return replace(found, form=dates.Form.UNUSUAL) if found else None
