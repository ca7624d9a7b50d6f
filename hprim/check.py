"""The two ways in: :func:`check_file` for one file of any kind, :func:`check_message` for the parts of a mail.

Promise: pure; no exception for any bytes; work and memory bounded whatever the input (the limits stand in each reader);
nothing is altered. The parts are read by :mod:`hprim.gather`; what they say together is judged here.
Failure: what cannot be read is said by MSS-091 or MSS-114 and ``Report.readable`` is false when nothing at all could be made of
a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import islice

from hprim import consistency, history, mailrules, xdm
from hprim.detect import detect, mail_start
from hprim.endtoend import MAX_PARTS, opened
from hprim.findings import DEFAULT, Findings, Profile
from hprim.gather import Gathered, read_html, read_part
from hprim.history import History
from hprim.insrules import is_qualified
from hprim.mailrules import Envelope
from hprim.mime import Mail, split_mail
from hprim.model import Document, Format, Part, Patient, Place, Report, Severity, Source, Words, ordered
from hprim.subject import read as read_subject

__all__ = ["Part", "check_file", "check_leaves", "check_message", "leaves_of"]


def check_file(data: bytes, name: str = "", *, profile: Profile = DEFAULT, today: date) -> Report:
    """Check one file: HPRIM text, HPRIM Santé, HPRIM XML, CDA, HL7 v2, FHIR, ``IHE_XDM.zip`` or a whole mail.

    ``name`` helps to say where a problem is and to know an empty ``.hpr``; it never decides a format alone. Of a mailbox file the
    first message is checked: :func:`hprim.detect.messages_in` cuts it, since each is about a patient of its own.
    """
    if detect(data, name, mail=True) is Format.MAIL:
        return _check_mail(split_mail(data[mail_start(data) :]), profile, today)
    gathered = Gathered(Findings(profile), today)
    for part in opened([Part(name, "", "", data, is_body=False)]):
        read_part(part, gathered)
    read_html(gathered)
    return _conclude(gathered, None, [])


def check_message(
    parts: Sequence[Part],
    *,
    subject: str,
    recipients: Sequence[str],
    headers: Mapping[str, str],
    profile: Profile = DEFAULT,
    today: date,
    seen: History | None = None,
) -> Report:
    """Check the leaves of one mail. ``subject`` is decoded; ``headers`` any case; ``recipients`` bare addresses.

    ``seen``: what the mailbox has already seen, when the deployment keeps it (HID-090 to HID-099).
    """
    return check_leaves(
        leaves_of(parts),
        subject=subject,
        recipients=recipients,
        headers=headers,
        profile=profile,
        today=today,
        seen=seen,
    )


def leaves_of(parts: Iterable[Part]) -> list[Part]:
    """The parts with signatures and attached messages opened; one more than :data:`MAX_PARTS` when there are too many."""
    return list(islice(opened(parts), MAX_PARTS + 1))


def check_leaves(
    parts: Sequence[Part],
    *,
    subject: str,
    recipients: Sequence[str],
    headers: Mapping[str, str],
    profile: Profile = DEFAULT,
    today: date,
    seen: History | None = None,
) -> Report:
    """:func:`check_message` for whoever needs the leaves too: ``parts`` come from :func:`leaves_of`."""
    lower = {k.lower(): v for k, v in headers.items()}
    envelope = Envelope(subject, tuple(recipients), lower)
    gathered = Gathered(
        Findings(profile),
        today,
        announced=envelope.said("x-mss-ins").upper() == "O",
        subject_xdm=read_subject(subject).xdm,
        archive_named=any(xdm.is_named_xdm(part.name) for part in parts[:MAX_PARTS]),
        mail=True,
    )
    for part in parts[:MAX_PARTS]:
        read_part(part, gathered)
    if len(parts) > MAX_PARTS:
        detail = Words("trop de parties", "too many parts")
        gathered.findings.add("MSS-091", Place(), detail=detail)
    read_html(gathered)
    return _conclude(gathered, envelope, parts, seen)


def _check_mail(mail: Mail, profile: Profile, today: date) -> Report:
    report = check_message(
        mail.parts,
        subject=mail.subject,
        recipients=mail.recipients,
        headers=mail.headers,
        profile=profile,
        today=today,
    )
    if not mail.cut:
        return report
    findings = Findings(profile)
    findings.add("MSS-091", Place(), detail=Words("message trop imbriqué", "message nested too deeply"))
    problems = ordered((*report.problems, *findings.problems))
    return Report(**{**{n: getattr(report, n) for n in Report.__dataclass_fields__}, "problems": problems})


def _readings(g: Gathered) -> list[Patient]:
    return [p for d in g.documents for p in d.patients]


def _restrictions(documents: Sequence[Document]) -> dict[str, str]:
    found: dict[str, str] = {}
    for document in documents:
        for pair in document.details.get("restrictions", "").split(","):
            flag, _, value = pair.partition("=")
            if flag:
                found[flag] = "Y" if "Y" in (value, found.get(flag)) else "N"
    return found


def _qualified(documents: Sequence[Document], profile: Profile) -> bool:
    """A qualified INS stands in a CDA of an archive (that they agree is :mod:`hprim.consistency`'s business)."""
    inside = [p for d in documents if d.format is Format.CDA and d.inside for p in d.patients]
    return any(is_qualified(p.ins, p.traits, profile) for p in inside)


def _conclude(g: Gathered, envelope: Envelope | None, parts: Sequence[Part], seen: History | None = None) -> Report:
    readings = _readings(g)
    people = consistency.check(readings, g.findings, g.today)
    head = people[0] if people else None
    inside = [d for d in g.documents if d.format is Format.CDA and d.inside]
    codes = tuple(dict.fromkeys(d.code for d in inside if d.code))
    qualified = _qualified(g.documents, g.findings.profile)
    flags = _restrictions(g.documents)
    has_xdm = any(d.format is Format.XDM for d in g.documents)
    _header_rules(g, bool(readings), mail=envelope is not None)
    if envelope is not None:
        _mail_rules(g, envelope, people, parts, codes, flags, qualified=qualified, has_xdm=has_xdm)
    if head is not None:
        _text_rules(g, head)
    if seen is not None:
        for person in people:
            history.check(person, seen.seen, g.findings)
        history.check_documents(g.documents, seen, g.findings)
    return Report(
        documents=tuple(g.documents),
        patients=tuple(people),
        readings=tuple(readings),
        problems=ordered(g.findings.problems),
        cda_codes=codes,
        qualified_ins=qualified,
        has_header=g.header_found,
        ins=frozenset((i.oid, i.matricule) for p in readings for i in p.ins),
        restrictions=flags,
        readable=_readable(g),
    )


def _readable(g: Gathered) -> bool:
    """Something was recognised, and at least one recognised thing could be read."""
    broken = {p.place.part for p in g.findings.problems if p.rule in ("MSS-091", "MSS-114", "HID-003")}
    understood = [d for d in g.documents if d.patients or d.format is not Format.OTHER]
    if g.mail:
        return True
    return bool(understood or g.html) and not (broken and not any(d.patients for d in g.documents))


def _header_rules(g: Gathered, has_patients: bool, *, mail: bool) -> None:
    """HID-001 and HID-007: is there a header where one is needed?"""
    if g.header_found or g.encrypted:
        return
    if g.findings.profile.require_header:
        g.findings.add("HID-001", g.headerless[0] if g.headerless else Place())
    elif g.headerless and not has_patients:
        g.findings.add("HID-001", g.headerless[0])
    elif mail and not has_patients:
        pdf = next((d for d in g.documents if d.format is Format.PDF), None)
        if pdf is not None:
            g.findings.add("HID-007", pdf.place)


def _mail_rules(
    g: Gathered,
    envelope: Envelope,
    people: Sequence[Patient],
    parts: Sequence[Part],
    codes: Sequence[str],
    flags: Mapping[str, str],
    *,
    qualified: bool,
    has_xdm: bool,
) -> None:
    findings, head = g.findings, people[0] if people else None
    named = any(p.rule == "MSS-090" for p in findings.problems)
    if g.subject_xdm and not has_xdm and not named:
        detail = Words("aucune archive n'est jointe", "none is attached")
        answers = read_subject(envelope.subject).answers  # an answer keeps the subject and leaves the archive out
        findings.add("MSS-090", mailrules.SUBJECT, Severity.NOTE if answers else Severity.WARN, detail=detail)
    mailrules.check_subject(envelope, head, findings, g.today, has_xdm=has_xdm)
    mailrules.check_recipients(envelope, people, findings, qualified=qualified, has_document=bool(people))
    mailrules.check_restrictions(envelope, flags, findings)
    unread = any(p.rule in _UNREAD and p.severity.rank >= Severity.REFUSE.rank for p in findings.problems)
    if not unread:  # what an unreadable archive holds cannot be announced wrongly: its own fault is the one to tell
        mailrules.check_codes(envelope, codes, findings, qualified=qualified, has_cda=bool(codes))
    mailrules.check_headers(envelope, findings)
    mailrules.check_receiver(envelope, g.documents, findings)
    if head is not None:
        for part in parts[:MAX_PARTS]:
            if part.name and not xdm.is_named_xdm(part.name):
                mailrules.check_file_name(part.name, head, Place(part.name), findings)
    if has_xdm:
        pdfs = [d.name for d in g.documents if d.format is Format.PDF and not d.inside]
        mailrules.check_pdfs(pdfs, g.documents, findings)


_UNREAD = frozenset({"MSS-090", "MSS-091", "MSS-114"})


def _text_rules(g: Gathered, head: Patient) -> None:
    starts = {
        d.place: int(d.details.get("header_line", "1")) + 11
        for d in g.documents
        if d.format is Format.HPRIM_MEDECINS and d.patients
    }
    for text, place in g.texts[:20]:
        if len([p for p in _readings(g) if p.source is Source.HPRIM and p.place.part == place.part]) > 1:
            continue  # several patients: already said, and each body belongs to its own header
        mailrules.check_body(text.lines, head, place, g.findings, g.today, starts.get(place, 0))
