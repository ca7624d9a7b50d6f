"""One message, one patient: every identity of a message against the most authoritative one.

Promise: the order of authority is CDA, HL7 PID, XDM metadata, FHIR, HPRIM XML, HPRIM Santé, HPRIM header, then subject, recipients,
file names and body. Each disagreement is a rule with the two places; a near match is "check", never "same". Several patients are
refused unless the deployment takes laboratory batches and each message of the file is whole.
Failure: none. Source: HID-011, HID-030, HID-070 to HID-089; sections 5.9, 5.10 and 6.3 of the rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from hprim import ins
from hprim.dates import slip
from hprim.findings import Findings
from hprim.match import Comparison, Verdict, compare, distinct, names_nobody
from hprim.model import AUTHORITY, Patient, Place, Severity, Source, Words
from hprim.names import Level
from hprim.shown import shown

_CALLED = {
    Source.CDA: Words("le document CDA", "the CDA document"),
    Source.PID: Words("le message HL7", "the HL7 message"),
    Source.XDM: Words("les métadonnées XDM", "the XDM metadata"),
    Source.FHIR: Words("la ressource FHIR", "the FHIR resource"),
    Source.HPRIM_XML: Words("le fichier HPRIM XML", "the HPRIM XML file"),
    Source.HPRIM_SANTE: Words("le fichier HPRIM Santé", "the HPRIM Santé file"),
    Source.HPRIM: Words("l'en-tête HPRIM", "the HPRIM header"),
}
_SURNAME = Words("le nom", "the surname")
_FIRST = Words("le prénom", "the first name")
_HINTS = {
    "swap": Words(" (jour et mois inversés ?)", " (day and month swapped?)"),
    "digit": Words(" (un chiffre différent)", " (one digit differs)"),
    "transposition": Words(" (deux chiffres inversés ?)", " (two digits swapped?)"),
    "century": Words(" (siècle différent)", " (another century)"),
    "": Words("", ""),
}
_BAD_STATUS = frozenset(
    ["VIDE", "PROV", "DOUB", "DESA", "DPOT", "DOUA", "COLP", "COLV", "CACH", "ANOM", "USUR", "INVA", "FICT", "DOUT"]
)
FILE_FORMATS = {Source.HPRIM_SANTE, Source.HPRIM_XML}


def called(patient: Patient) -> Words:
    """The words for where a reading comes from: ``l'en-tête HPRIM (lettre.hpr)``."""
    base = _CALLED[patient.source]
    where = patient.place.member or patient.place.part
    short = shown(where)
    return Words(f"{base.fr} ({short})", f"{base.en} ({short})") if short else base


def by_authority(readings: Sequence[Patient]) -> list[Patient]:
    """The readings that name somebody, most authoritative first (order of the message within one kind)."""
    return sorted((p for p in readings if not names_nobody(p)), key=lambda p: AUTHORITY[p.source])


def check(readings: Sequence[Patient], findings: Findings, today: date) -> list[Patient]:
    """Compare every reading with the head; returns the distinct patients."""
    ranked = by_authority(readings)
    if not ranked:
        return []
    batch = _is_batch(ranked, findings)
    if not batch:
        _headers(ranked, findings)
    head = ranked[0]
    for other in ranked[1:2_000] if not batch else []:
        _pair(_partner(head, other, ranked), other, findings, today)
    people = distinct(ranked)
    if len(people) > 1 and not batch:
        findings.add("HID-080", Place(), count=len(people))
    if not batch:
        _several_in_one_file(ranked, findings)
    for patient in ranked:
        _status(patient, bool(patient.ins) or bool(head.ins), findings)
    return people


def _partner(head: Patient, other: Patient, ranked: list[Patient]) -> Patient:
    """Metadata are compared with the very document they describe, everything else with the head."""
    if other.source is not Source.XDM:
        return head
    same = (p for p in ranked if p.source is Source.CDA and p.place == other.place)
    return next(same, head)


_BATCHABLE = ({Source.HPRIM}, {Source.HPRIM_SANTE})


def _is_batch(ranked: list[Patient], findings: Findings) -> bool:
    """A laboratory batch that the deployment takes: only whole messages of one format, no two alike but for one trait."""
    if not findings.profile.lab_batches or {p.source for p in ranked} not in _BATCHABLE:
        return False
    if len(ranked) < 2 or not all(p.whole for p in ranked):
        return False
    return not any(_too_alike(a, b) for i, a in enumerate(ranked) for b in ranked[i + 1 :])


def _too_alike(a: Patient, b: Patient) -> bool:
    """Mother and daughter: one name, two birth dates. Never two patients of one file without a human."""
    c = compare(a, b)
    named = c.surname in (Level.AGREE, Level.NOTE) and c.first in (Level.AGREE, Level.NOTE, Level.NEAR)
    return (named and c.date >= Level.NEAR) or c.verdict is Verdict.CHECK


def _headers(ranked: list[Patient], findings: Findings) -> None:
    """Several HPRIM headers for different people (HID-011), a near date counting as different."""
    heads: list[Patient] = []
    for patient in (p for p in ranked if p.source is Source.HPRIM):
        if not any(_same_header(h, patient) for h in heads):
            heads.append(patient)
    if len(heads) > 1:
        findings.add("HID-011", heads[1].place, count=len(heads))


def _same_header(a: Patient, b: Patient) -> bool:
    c = compare(a, b)
    return c.verdict is not Verdict.DIFFERENT and c.date is not Level.NEAR


def _pair(a: Patient, b: Patient, findings: Findings, today: date) -> None:
    c = compare(a, b)
    words = {"a": called(a), "b": called(b)}
    _names(c, b, words, findings)
    _birth(c, a, b, words, findings)
    has_ins = bool(a.ins or b.ins)
    if c.sex is Level.DISAGREE:
        findings.add("HID-073", b.place, Severity.REFUSE if has_ins else None, **words)
    if c.number is Level.DISAGREE:
        findings.add("HID-074", b.place, **words)
    if a.traits.birth_place and b.traits.birth_place and a.traits.birth_place != b.traits.birth_place:
        findings.add("HID-049", b.place)
    _by_source(c, a, b, findings, today)


def _names(c: Comparison, other: Patient, words: dict[str, Words], findings: Findings) -> None:
    if c.swapped:
        findings.add("HID-030", other.where("surname"))
        return
    serious = c.doubts >= 2
    for level, rule, light, name, place in (
        (c.surname, "HID-070", "HID-082", _SURNAME, other.where("surname")),
        (c.first, "HID-071", "HID-083", _FIRST, other.where("first")),
    ):
        if level is Level.DISAGREE or (level is Level.NEAR and serious):
            findings.add(rule, place, **words)
        elif level is Level.NEAR:
            findings.add("HID-081", place, field=name, **words)
        elif level is Level.NOTE:
            findings.add(light, place, **words)
    if c.crossed and c.surname is Level.AGREE:
        findings.add("HID-082", other.where("surname"), **words)


def _birth(c: Comparison, a: Patient, b: Patient, words: dict[str, Words], findings: Findings) -> None:
    born, other = a.traits.birth_date, b.traits.birth_date
    if not born or not other:
        return
    if c.date >= Level.NEAR:
        findings.add("HID-072", b.where("birth"), hint=_HINTS[slip(born, other)], **words)
    elif c.date is Level.NOTE:
        findings.add("HID-025", b.where("birth"), value=str(other.year))


def _by_source(c: Comparison, a: Patient, b: Patient, findings: Findings, today: date) -> None:
    different = c.verdict is Verdict.DIFFERENT or c.date is Level.NEAR
    if b.source is Source.XDM and a.source is Source.CDA:
        _metadata(c, a, b, findings)
    elif b.source is Source.PID and a.source is Source.CDA:
        _pid_ids(a, b, findings)
    elif different and (b.source in FILE_FORMATS or a.source in FILE_FORMATS):
        one = b if b.source in FILE_FORMATS else a
        findings.add("HID-088", one.place, file=shown(one.place.part) or Words("du message", "of the message"))
    if b.nir and a.source is not Source.HPRIM:
        _social_number(a, b, findings, today)


def _metadata(c: Comparison, document: Patient, metadata: Patient, findings: Findings) -> None:
    known = {(i.root, i.extension.strip().upper()) for i in document.ids}
    if any((i.root, i.extension.strip().upper()) not in known for i in metadata.ids):
        findings.add("HID-075", metadata.place)
    if Level.DISAGREE in (c.surname, c.first, c.date, c.sex) or c.date is Level.NEAR or c.doubts >= 2:
        findings.add("HID-076", metadata.place)


def _pid_ids(document: Patient, pid: Patient, findings: Findings) -> None:
    def keys(patient: Patient) -> set[tuple[str, str]]:
        return {(i.root, i.extension.strip().upper()) for i in patient.ids if i.root}

    if keys(document) != keys(pid):
        findings.add("HID-086", pid.place)


def _social_number(head: Patient, other: Patient, findings: Findings, today: date) -> None:
    """Line 8 against the head's INS and sex: usually a parent's number, only ever a remark for the young."""
    number = ins.read_number(other.nir)
    if number.faults & {ins.Fault.LENGTH, ins.Fault.CHARACTERS}:
        return
    if head.ins and all(i.matricule[:13] != number.digits for i in head.ins):
        findings.add("HID-048", other.where("number"))
    born = head.traits.birth_date or other.traits.birth_date
    young = born is not None and born.age(today) < 25
    if number.sex and head.traits.sex and number.sex != head.traits.sex:
        findings.add("HID-048" if young else "HID-044", other.where("number"))


def _status(patient: Patient, has_ins: bool, findings: Findings) -> None:
    """PID-32: a status that forbids sending an INS, or an identity that may not travel at all."""
    for code in patient.status:
        if code in ("FICT", "DOUT"):
            said = Words("fictive", "fictitious") if code == "FICT" else Words("douteuse", "doubtful")
            lenient = Severity.WARN if findings.profile.test_identities else None
            findings.add("HID-094", patient.place, lenient, attribute=said)
        if code in _BAD_STATUS and has_ins:
            findings.add("HID-087", patient.place, status=code)


def _several_in_one_file(readings: Sequence[Patient], findings: Findings) -> None:
    """Several ``P`` segments or ``patient`` elements for different people in one file (HID-088)."""
    for source in FILE_FORMATS | {Source.PID}:
        parts = {p.place.part for p in readings if p.source is source}
        for part in sorted(parts):
            inside = [p for p in readings if p.source is source and p.place.part == part]
            if len(distinct(inside)) > 1:
                findings.add("HID-088", Place(part), file=shown(part) or Words("du message", "of the message"))


def restriction_fault(flags: dict[str, str], *, strict: bool) -> Words | None:
    """Why a set of MetaDMPMSS flags may not be mailed, ``None`` when it may (MSS-113, three published combinations).

    ``strict`` refuses what the table does not list; otherwise "nothing hidden, professionals only" passes too.
    """
    hidden = {k: flags.get(k, "N") == "Y" for k in ("MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REP_LEGAUX")}
    professionals, patient = flags.get("DESTMSSANTEPS", "N") == "Y", flags.get("DESTMSSANTEPAT", "N") == "Y"
    if not (professionals or patient):
        return None
    secret = flags.get("CONNEXION_SECRETE", "N") == "Y" or flags.get("DESTDMP", "N") == "Y"
    allowed = _allowed(hidden, professionals, patient, secret, strict)
    return None if allowed else Words("combinaison non autorisée", "combination not allowed")


def _allowed(hidden: dict[str, bool], professionals: bool, patient: bool, secret: bool, strict: bool) -> bool:
    nothing = not any(hidden.values())
    if professionals and patient:
        return nothing
    if professionals:
        only_patient_hidden = (
            hidden["INVISIBLE_PATIENT"] and not hidden["MASQUE_PS"] and not hidden["INVISIBLE_REP_LEGAUX"]
        )
        return only_patient_hidden or (nothing and not strict)
    return not hidden["INVISIBLE_PATIENT"] and not secret
