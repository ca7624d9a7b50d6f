"""What the mail itself says, against the patient of its documents: subject, recipients, X-MSS headers, file names, body text.

Promise: each function adds problems for one subject and nothing else. Failure: none.
Source: HID-007, HID-039, HID-058, 059, 077 to 079, 084, 085, 089, 097; MSS-090 to MSS-113.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from hprim import ins, subject
from hprim.consistency import restriction_fault
from hprim.dates import find_dates, in_figures
from hprim.findings import Findings
from hprim.model import Document, Format, Patient, Place, Severity, Words
from hprim.names import Level, compare_first, compare_surname, display, found_in, normal
from hprim.shown import DOCUMENT_WORDS, shown

SUBJECT = Place(header="Subject")
TO = Place(header="To")


@dataclass(frozen=True, slots=True)
class Envelope:
    """What surrounds the parts: ``headers`` by lower-case name, the decoded ``subject``, the ``recipients``."""

    subject: str
    recipients: tuple[str, ...]
    headers: Mapping[str, str]

    def said(self, name: str) -> str:
        return self.headers.get(name.lower(), "").strip()


def in_clear(envelope: Envelope, findings: Findings) -> bool:
    """Whether the subject travels in clear: Apicrypt v1 or plain Internet."""
    if findings.profile.channel != "mssante":
        return True
    domains = {r.rpartition("@")[2].lower().rstrip(".") for r in envelope.recipients}
    return any(d.endswith("apicrypt.org") and d != "interop-mssante.apicrypt.org" for d in domains)


def check_subject(envelope: Envelope, head: Patient | None, findings: Findings, today: date, *, has_xdm: bool) -> None:
    """The subject's form, what it gives away, and whether it names the patient."""
    read = subject.read(envelope.subject)
    if read.replaces:
        findings.add("HID-097", SUBJECT)
    if has_xdm and not read.xdm:
        findings.add("HID-078", SUBJECT)
    if subject.holds_number(envelope.subject):
        findings.add("HID-079", SUBJECT)
    if head is None:
        return
    seen = subject.mention(read.text, head.traits, today)
    if (seen.surname or seen.first) and in_clear(envelope, findings):
        findings.add("HID-079", SUBJECT)
    elif seen.surname and not read.xdm:
        findings.add("MSS-110", SUBJECT)
    _subject_patient(read, seen, findings)
    if not read.xdm and not seen.surname and not seen.first and _introduces_another(read.text[:300], head, today):
        findings.add("HID-077", SUBJECT)


def _introduces_another(text: str, head: Patient, today: date) -> bool:
    """A subject in free words that names another patient: as a body would, by a civility, or beside an old date, as a birth date is.
    A doctor's name, or that of a patient told nowhere else, is none."""
    if _other_name(text, head) or _other_birth(text, head, today, opening=True):
        return True
    dated = subject.mention(text, head.traits, today)
    old = any((today - born.first_day()).days > _RECENT for born in find_dates(text, today))
    for found in _NAMED.finditer(text):
        before = text[: found.start()].rstrip()
        if _DOCTOR.search(before) or {display(found[1]), display(found[2])} & DOCUMENT_WORDS:
            continue
        if _CIVIL.search(before) or (old and not dated.same_date):
            return bool(head.traits.any_surname())
    return False


_RECENT = 730
"""Days within which a date in a subject is that of an act rather than of a birth."""
_DOCTOR = re.compile(r"(?:\bdrs?|\bpr|docteur|professeur)\.?$", re.IGNORECASE)
_CIVIL = re.compile(r"(?:\bm|\bmr|\bmme|\bmlle|monsieur|madame|enfant|patiente?)\.?$", re.IGNORECASE)


def _subject_patient(read: subject.Subject, seen: subject.Mention, findings: Findings) -> None:
    nameless = not seen.surname and not seen.first
    wrong_date = seen.dated and not seen.same_date
    if read.xdm and nameless and wrong_date:
        findings.add("HID-077", SUBJECT, Severity.SAFETY)
    elif read.xdm and (not seen.surname or not seen.first or wrong_date):
        findings.add("HID-077", SUBJECT)


def check_recipients(
    envelope: Envelope, people: Sequence[Patient], findings: Findings, *, qualified: bool, has_document: bool
) -> None:
    """Addresses of patients: valid, one person, the document's own INS, and that INS qualified."""
    written = [m for m in map(ins.address_matricule, envelope.recipients) if m is not None]
    matricules = list(dict.fromkeys(written))
    for matricule in matricules:
        if not ins.is_matricule(matricule):
            findings.add("MSS-098", TO)
    if len(matricules) > 1:
        findings.add("MSS-105", TO, count=len(matricules))
    if not matricules or not has_document:
        return
    numbers = {i.matricule for p in people for i in p.ins}
    if numbers and any(m not in numbers for m in matricules):
        findings.add("HID-089", TO)
    if not qualified:
        findings.add("MSS-099", TO)


def check_restrictions(envelope: Envelope, flags: Mapping[str, str], findings: Findings) -> None:
    """Restriction flags against the recipients and against the published combinations."""
    patients = [r for r in envelope.recipients if ins.address_matricule(r) is not None]
    others = len(envelope.recipients) - len(patients)
    if flags.get("INVISIBLE_PATIENT") == "Y" and patients:
        findings.add("MSS-113", TO, detail=Words("document invisible au patient", "document hidden from the patient"))
    if flags.get("MASQUE_PS") == "Y" and others > 0:
        fr, en = "document masqué aux professionnels", "document hidden from professionals"
        findings.add("MSS-113", TO, detail=Words(fr, en))
    fault = restriction_fault(dict(flags), strict=findings.profile.strict_restrictions)
    if fault:
        findings.add("MSS-113", Place(), detail=fault)


def check_codes(
    envelope: Envelope, codes: Sequence[str], findings: Findings, *, qualified: bool, has_cda: bool
) -> None:
    """X-MSS headers against what the archive holds (HID-058, HID-059, MSS-093 to MSS-095)."""
    announced = envelope.said("x-mss-ins").upper()
    if announced == "O" and not qualified:
        findings.add("HID-058", Place(header="X-MSS-INS"))
    elif (has_cda and qualified and announced != "O") or (has_cda and announced not in ("O", "N")):
        findings.add("HID-059", Place(header="X-MSS-INS"))
    _code_header(envelope, codes, findings, has_cda=has_cda)
    if announced and announced != "O" and not has_cda:
        findings.add("MSS-094", Place(header="X-MSS-INS"), header="X-MSS-INS")


def check_headers(envelope: Envelope, findings: Findings) -> None:
    """X-MSS headers that speak of the message alone (MSS-096, MSS-097)."""
    if not envelope.said("x-mss-nil"):
        findings.add("MSS-096", Place(header="X-MSS-NIL"))
    closing = envelope.said("x-mss-mes")
    to_patient = any(ins.address_matricule(r) is not None for r in envelope.recipients)
    if closing and (closing != "FIN" or not to_patient):
        findings.add("MSS-097", Place(header="X-MSS-MES"))


def _code_header(envelope: Envelope, codes: Sequence[str], findings: Findings, *, has_cda: bool) -> None:
    said = envelope.said("x-mss-codecda")
    here = Place(header="X-MSS-CODECDA")
    if said and not has_cda:
        findings.add("MSS-094", here, header="X-MSS-CODECDA")
    elif said and {c.strip() for c in said.split(",")} != set(codes):  # a kind of two documents may be said twice
        findings.add("MSS-093", here, expected=",".join(codes))


def check_receiver(envelope: Envelope, documents: Sequence[Document], findings: Findings) -> None:
    """HPRIM line 12 against the recipients (HID-039): a word of three letters in common is enough."""
    wanted: set[str] = set()
    for address in envelope.recipients:
        wanted |= {w for w in normal(address.partition("@")[0].replace("_", " ")).words if len(w) >= 3}
    for document in documents:
        label = document.details.get("receiver", "") or document.details.get("receiver_code", "")
        if document.format is not Format.HPRIM_MEDECINS or not envelope.recipients or not label.strip(" ."):
            continue
        words = {w for w in normal(label).words if len(w) >= 3}
        if not words & wanted and not any(w in a for w in words for a in wanted):
            line = int(document.details.get("receiver_line", "0") or 0)
            findings.add("HID-039", document.place.at(line))


_CONFORMANT = re.compile(r"[0-9]{8}_[^_]{1,80}_([^_]{1,60})_([^_.]{1,60})(?:_[^_]{0,60})?\.[A-Za-z]{1,5}")
_NAMED = re.compile(
    r"(?<![A-Za-zÀ-ÿ])([A-ZÀ-Ý][A-ZÀ-Ý'-]{2,30})[ _]([A-ZÀ-Ý][a-zà-ÿ]{2,20}(?:-[A-ZÀ-Ý][a-zà-ÿ]{2,20})?)(?![A-Za-zÀ-ÿ])"
)


def check_file_name(name: str, head: Patient, place: Place, findings: Findings) -> None:
    """A file name that carries another name (ECO.2.1.6 form, or ``NOM Prénom``) or another birth date (HID-085)."""
    traits, name = head.traits, name[:300]
    surnames = [n for n in (traits.birth_surname, traits.surname, traits.used_surname) if n]
    firsts = [n for n in (traits.first_name, traits.used_first_name, traits.first_names) if n]
    if not surnames or any(found_in(n, name.replace("_", " ")) for n in surnames):
        return
    conformant = _CONFORMANT.fullmatch(name)
    pair = (conformant[1], conformant[2]) if conformant else _loose_pair(name)
    if pair is None:
        return
    surname_ok = any(compare_surname(pair[0], n) <= Level.NEAR for n in surnames)
    first_ok = any(compare_first(pair[1], n) <= Level.NEAR for n in firsts)
    if not surname_ok and not (first_ok and not conformant):
        findings.add("HID-085", place, file=shown(name))


def _loose_pair(name: str) -> tuple[str, str] | None:
    for m in _NAMED.finditer(name):
        if display(m[1]) not in DOCUMENT_WORDS and display(m[2]) not in DOCUMENT_WORDS:
            return m[1], m[2]
    return None


_PATIENT_LINE = re.compile(
    r"\b(?:patiente?|nom du patient|examens? biologiques? de|compte.rendu de|concerne)\s{0,3}:\s{0,3}"
    r"(M\.|Mr|Mme|Mlle|Monsieur|Madame|Enfant)?\s{0,3}([^\n]{3,80})",
    re.IGNORECASE,
)
_BORN_LINE = re.compile(r"\b(?:date de naissance|ddn)\s{0,3}:?\s{0,3}([0-9][0-9/.\- ]{5,10})", re.IGNORECASE)
_BORN_ON = re.compile(r"\bn[ée]{1,2}\(?e?\)?\s{1,3}le\s{0,3}:?\s{0,3}([0-9][0-9/.\-]{5,10})", re.IGNORECASE)
_OPENING = 20
"""Only the first lines of a body introduce the patient; further on, "né le" may be about a child or a parent."""


def check_body(
    lines: Sequence[str], head: Patient, place: Place, findings: Findings, today: date, start: int = 0
) -> None:
    """Text that names another patient, or gives another birth date (HID-084); at most three remarks."""
    said = 0
    for index in range(start, min(len(lines), start + 5_000)):
        line = lines[index]
        if not any(mark in line for mark in (":", "le ", "DDN", "aissance")):
            continue
        opening = index - start < _OPENING
        if _other_name(line[:300], head) or _other_birth(line[:300], head, today, opening=opening):
            findings.add("HID-084", place.at(index + 1), line=index + 1)
            said += 1
        if said >= 3:
            return


def _other_name(line: str, head: Patient) -> bool:
    found = _PATIENT_LINE.search(line)
    if not found:
        return False
    said = found[2].split()[:4]
    if len(said) < 2 or not (found[1] or any(w.isupper() and len(w) >= 3 for w in said)):
        return False
    t = head.traits
    known = (t.birth_surname, t.surname, t.used_surname, t.first_name, t.used_first_name)
    return not any(found_in(n, found[2]) for n in known if n)


def _other_birth(line: str, head: Patient, today: date, *, opening: bool) -> bool:
    line = in_figures(line)
    found = _BORN_LINE.search(line) or (_BORN_ON.search(line) if opening else None)
    if not found or not head.traits.birth_date or not find_dates(found[1], today):
        return False
    return not subject.mention(found[1], head.traits, today).same_date


def check_pdfs(names: Sequence[str], documents: Sequence[Document], findings: Findings) -> None:
    """Each attached PDF beside an XDM archive has a CDA and the expected name (MSS-111)."""
    cdas = sum(1 for d in documents if d.format is Format.CDA and d.inside)
    for index, name in enumerate(names):
        if index >= cdas or not _CONFORMANT.fullmatch(name):
            findings.add("MSS-111", Place(name), file=shown(name))
