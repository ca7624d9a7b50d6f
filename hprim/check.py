"""The two ways in: :func:`check_file` for one file of any kind, :func:`check_message` for the parts of a mail.

Promise: pure; no exception for any bytes; work and memory bounded whatever the input (the limits stand in each reader);
nothing is altered. Failure: what cannot be read is said by MSS-091 or MSS-114 and ``Report.readable`` is false when nothing at
all could be made of a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import islice

from hprim import cda, consistency, fhir, header, history, hl7, html, hxml, mailrules, sante, xdm
from hprim.cda import refuse_unreadable
from hprim.charset import decode, known, narrowed
from hprim.detect import HPRIM_NAMES, detect, is_hprim_name, is_office, mail_start, sealed, unread
from hprim.endtoend import MAX_PARTS, opened, unreadable
from hprim.findings import DEFAULT, Findings, Profile
from hprim.history import History
from hprim.insrules import is_qualified
from hprim.lines import Text, split
from hprim.mailrules import Envelope
from hprim.mime import Mail, split_mail
from hprim.model import Document, Format, Part, Patient, Place, Report, Severity, Source, Words, mask, ordered
from hprim.shown import shown
from hprim.subject import read as read_subject
from hprim.xmlsafe import Unreadable, parse

__all__ = ["Part", "check_file", "check_leaves", "check_message", "leaves_of"]

MAX_TEXT = 6 << 20
"""Longer text is read up to here: an HPRIM file is a few kilobytes."""
MAX_SANTE = 5 << 20
MAX_HL7 = 32 << 20
MAX_BODY_LINES = 6_000
"""Lines of a text that are searched for another patient's name."""
_DOCUMENTS = (".xml", ".zip", ".pdf", *HPRIM_NAMES)
"""Names under which a health document travels: there, what is empty or unreadable is refused."""


@dataclass(slots=True)
class _Gathered:
    """What the readers found, part by part."""

    findings: Findings
    today: date
    announced: bool = False
    subject_xdm: bool = False
    archive_named: bool = False
    mail: bool = False
    documents: list[Document] = field(default_factory=list)
    texts: list[tuple[Text, Place]] = field(default_factory=list)
    headerless: list[Place] = field(default_factory=list)
    header_found: bool = False
    html: list[tuple[Part, Place]] = field(default_factory=list)
    encrypted: bool = False


def check_file(data: bytes, name: str = "", *, profile: Profile = DEFAULT, today: date) -> Report:
    """Check one file: HPRIM text, HPRIM Santé, HPRIM XML, CDA, HL7 v2, FHIR, ``IHE_XDM.zip`` or a whole mail.

    ``name`` helps to say where a problem is and to know an empty ``.hpr``; it never decides a format alone. Of a mailbox file the
    first message is checked: :func:`hprim.detect.messages_in` cuts it, since each is about a patient of its own.
    """
    if detect(data, name, mail=True) is Format.MAIL:
        return _check_mail(split_mail(data[mail_start(data) :]), profile, today)
    gathered = _Gathered(Findings(profile), today)
    for part in opened([Part(name, "", "", data, is_body=False)]):
        _read_part(part, gathered)
    _read_html(gathered)
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
    gathered = _Gathered(
        Findings(profile),
        today,
        announced=envelope.said("x-mss-ins").upper() == "O",
        subject_xdm=read_subject(subject).xdm,
        archive_named=any(xdm.is_named_xdm(part.name) for part in parts[:MAX_PARTS]),
        mail=True,
    )
    for part in parts[:MAX_PARTS]:
        _read_part(part, gathered)
    if len(parts) > MAX_PARTS:
        detail = Words("trop de parties", "too many parts")
        gathered.findings.add("MSS-091", Place(), detail=detail)
    _read_html(gathered)
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


def _seen(part: Part) -> tuple[Format, Part]:
    """The format of a part, and the part; HPRIM Santé or HL7 in UTF-16 as readers of octets take it."""
    kind = detect(part.data, part.name, part.media_type)
    if kind in (Format.TEXT, Format.OTHER) and b"\x00" in part.data[:_WIDE] and len(part.data) <= MAX_SANTE:
        text = narrowed(part.data)
        found = detect(text, part.name, part.media_type) if text else kind
        if text and found in (Format.HPRIM_SANTE, Format.HL7):
            return found, replace(part, data=text, charset="utf-8")
    return kind, part


_WIDE = 64


def _read_part(part: Part, g: _Gathered) -> None:
    place = Place("" if part.is_body else part.name)
    kind, part = _seen(part)
    unseen = unreadable(part)
    if unseen is not None:
        name = shown(part.name) or Words("joint", "attached")
        g.findings.add("MSS-114", place, Severity.WARN, name=name, detail=unseen)
    letter = unread(part.data, part.name)
    if letter is not None:
        g.findings.add("HID-100", place, name=shown(part.name) or Words("joint", "attached"), kind=letter)
    if sealed(part.data):
        name = shown(part.name) or Words("joint", "attached")
        fr, en = (
            "archive d'un format que la passerelle n'ouvre pas",
            "an archive of a kind that the gateway does not open",
        )
        detail = Words(f"{fr}, son contenu n'a pas été contrôlé", f"{en}, its content was not checked")
        g.findings.add("MSS-114", place, Severity.WARN, name=name, detail=detail)
    try:
        _dispatch(kind, part, place, g)
    except Unreadable as error:
        stranger = g.mail and kind in (Format.XML, Format.FHIR) and not part.name.lower().endswith(_DOCUMENTS)
        refuse_unreadable(error, part.name, place, g.findings, Severity.WARN if stranger else None)
        g.documents.append(Document(kind, place, name=part.name, size=len(part.data)))


def _dispatch(kind: Format, part: Part, place: Place, g: _Gathered) -> None:
    if kind not in (Format.ZIP, Format.EMPTY) and xdm.is_named_xdm(part.name):
        detail = Words("le fichier n'est pas une archive ZIP", "the file is no ZIP archive")
        g.findings.add("MSS-090", place, detail=detail)
    if kind in (Format.TEXT, Format.OTHER) and part.name.lower().endswith(".xml"):
        raise Unreadable("ce n'est pas du XML", "it is not XML", safety=False)
    if kind is Format.TEXT:
        _read_text(part, place, g)
    elif kind is Format.HTML:
        g.html.append((part, place))
        if not part.is_body:
            g.documents.append(Document(kind, place, name=part.name, size=len(part.data)))
    elif kind is Format.EMPTY:
        if not part.is_body:
            needless = g.mail and not part.name.lower().endswith(_DOCUMENTS)  # mail programs add empty ATT00001.txt
            light = Severity.WARN if needless else None
            g.findings.add("HID-003", place, light, name=shown(part.name) or Words("joint", "attached"))
    elif kind is Format.ZIP:
        _read_zip(part, place, g)
    elif kind is Format.APICRYPT:
        _read_apicrypt(part, place, g)
    else:
        g.documents.append(_read_document(kind, part, place, g))


def _read_document(kind: Format, part: Part, place: Place, g: _Gathered) -> Document:
    if kind is Format.CDA:
        return cda.read(part.data, place, g.findings, g.today, name=part.name, announced=g.announced)
    if kind is Format.HPRIM_XML:
        return hxml.read(part.data, place, g.findings, g.today, name=part.name)
    if kind is Format.HPRIM_SANTE:
        g.findings.spend_lines(part.data)
        _too_long(part, MAX_SANTE, place, g)
        return sante.read(part.data[:MAX_SANTE], place, g.findings, g.today, name=part.name, declared=part.charset)
    if kind is Format.FHIR:
        return fhir.read(part.data, place, g.findings, g.today, name=part.name)
    if kind is Format.HL7:
        return _read_hl7(part, place, g)
    if kind is Format.XML:
        return _read_xml(part, place, g)
    return Document(kind, place, name=part.name, size=len(part.data))


def _read_xml(part: Part, place: Place, g: _Gathered) -> Document:
    """XML of no known kind by its opening; parsed, it may turn out to be one that hid its first element."""
    g.findings.spend_markup(part.data)
    kind = cda.kind_of(parse(part.data, skip=frozenset({"component"})))
    if kind is not Format.XML:
        return _read_document(kind, part, place, g)
    return Document(kind, place, name=part.name, size=len(part.data))


def _too_long(part: Part, limit: int, place: Place, g: _Gathered) -> None:
    """What is beyond the limit is not read, so it is not vouched for."""
    if len(part.data) > limit:
        g.findings.too_many(place, "fichier trop long pour être contrôlé", "file too long to be checked")


def _read_apicrypt(part: Part, place: Place, g: _Gathered) -> None:
    """Encrypted text is carried as it is; clear text around it is still read, so that the mark cannot hide a header."""
    g.encrypted = True
    g.findings.add("HID-009", place)
    g.documents.append(Document(Format.APICRYPT, place, name=part.name, size=len(part.data)))
    if not part.name.lower().endswith(".apz"):
        _read_text(part, place, g)


def _read_hl7(part: Part, place: Place, g: _Gathered) -> Document:
    """The message and the CDA documents it carries."""
    g.findings.add("HID-017", place, format="HL7 v2")
    g.findings.spend_lines(part.data)
    _too_long(part, MAX_HL7, place, g)
    data = part.data[:MAX_HL7]
    _read_embedded(data, part, place, g)
    return hl7.read(data, place, g.findings, g.today, name=part.name, declared=part.charset)


def _read_embedded(data: bytes, part: Part, place: Place, g: _Gathered) -> None:
    inside = hl7.embedded(data)
    archives = [one for one in inside.documents if one.startswith(b"PK\x03\x04")]
    if inside.unread or len(archives) > 1:  # one archive costs what a message may
        fr, en = "un document contenu dans un segment OBX", "a document inside an OBX segment"
        g.findings.too_many(place, f"{fr} n'a pas pu être lu", f"{en} could not be read")
    for inner in inside.documents:
        here = Place(place.part, member="OBX")
        if not inner.startswith(b"PK\x03\x04"):
            _read_told(Part(part.name, "", "", inner, is_body=False), here, g, _INSIDE)
        elif inner is archives[0]:
            g.documents.extend(_read_archive(inner, "", here, g, expected=False))


def _read_zip(part: Part, place: Place, g: _Gathered) -> None:
    if is_office(part.name):
        g.documents.append(Document(Format.OTHER, place, name=part.name, size=len(part.data)))
        return
    expected = xdm.is_named_xdm(part.name) or (g.subject_xdm and not g.archive_named) or not g.mail
    g.documents.extend(_read_archive(part.data, part.name, place, g, expected=expected))


def _read_archive(data: bytes, name: str, place: Place, g: _Gathered, *, expected: bool) -> tuple[Document, ...]:
    return xdm.read(
        data,
        place,
        g.findings,
        g.today,
        name=name,
        expected=expected,
        announced=g.announced,
        other=lambda data, inside: _read_member(data, inside, g),
    )


_MEMBER = frozenset({Format.HPRIM_SANTE, Format.HPRIM_XML, Format.HL7, Format.FHIR})
"""What an archive may hold beside its CDA documents, which are read with the archive."""
_SAVED = _MEMBER | {Format.CDA}
_INSIDE = _SAVED - {Format.HL7}
"""In an HL7 message, where another one is read without what it holds in its turn."""


def _read_member(data: bytes, place: Place, g: _Gathered) -> None:
    """A text inside an archive: only what says who it is about matters. A saved message is read part by part."""
    name = place.member.rpartition("/")[2]
    for part in islice(opened([Part(name, "", "", data, is_body=False)]), MAX_PARTS):
        _read_told(part, place, g, _MEMBER if part.data is data else _SAVED)


def _read_told(part: Part, place: Place, g: _Gathered, kinds: frozenset[Format]) -> None:
    """What is inside something else: a text, or one of ``kinds``."""
    kind, part = _seen(part)
    try:
        if kind in kinds:
            g.documents.append(_read_document(kind, part, place, g))
        elif kind is Format.HL7:
            g.findings.spend_lines(part.data)
            g.documents.append(hl7.read(part.data, place, g.findings, g.today, name=part.name))
        elif kind is Format.TEXT:
            g.findings.spend_lines(part.data)
            text, named = split(part.data[:MAX_TEXT]), is_hprim_name(part.name)
            found = header.read(text, place, g.findings, g.today, sure=named, size=len(part.data))
            g.documents.extend(found.documents if found else ())
        elif kind is Format.ZIP and not is_office(part.name):
            xdm.tell_unopened(place, g.findings, place.part)
    except Unreadable as error:
        refuse_unreadable(error, part.name, place, g.findings)


def _read_text(part: Part, place: Place, g: _Gathered) -> None:
    named = is_hprim_name(part.name)
    if named and len(part.data.strip()) < 12:
        g.findings.add("HID-003", place, name=shown(part.name))
        return
    g.findings.spend_lines(part.data)
    _declared_charset(part, place, g)
    text = split(part.data[:MAX_TEXT], part.charset)
    if len(part.data) > MAX_TEXT:
        text = replace(text, cut=True)
    _keep_text(text, part, place, g, sure=named)


def _declared_charset(part: Part, place: Place, g: _Gathered) -> None:
    """ECO.2.2.3 asks for UTF-8 text parts; Apicrypt users still send ISO-8859-1, which is right there."""
    utf8 = not part.charset or part.data.isascii() or known(part.charset) == "utf-8"
    if part.is_body and not utf8 and g.findings.profile.channel == "mssante":
        g.findings.add("MSS-112", place, charset=mask(part.charset, 30))


def _keep_text(text: Text, part: Part, place: Place, g: _Gathered, *, sure: bool) -> bool:
    found = header.read(text, place, g.findings, g.today, sure=sure, size=len(part.data), declared=part.charset)
    g.texts.append((replace(text, lines=text.lines[:MAX_BODY_LINES]), place))
    if found is None:
        if not part.is_body:
            g.documents.append(Document(Format.TEXT, place, name=part.name, size=len(part.data)))
        return False
    g.documents.extend(found.documents)
    if found.headerless:
        g.headerless.append(place)
        g.documents.append(Document(Format.HPRIM_MEDECINS, place, name=part.name, size=len(part.data)))
    g.header_found = g.header_found or bool(found.documents)
    return bool(found.documents)


def _read_html(g: _Gathered) -> None:
    """Read the HTML parts: usually they repeat the header of a text part, and then only a different patient matters."""
    room, repeated = html.MAX_TEXT, g.header_found
    for part, place in g.html:
        room -= min(len(part.data), html.MAX_TEXT)
        if room < 0:
            break
        text = html.to_text(decode(part.data[: html.MAX_TEXT], part.charset).text)
        lines = split(text.encode("utf-8", "replace"), "utf-8")
        if repeated:
            g.documents.extend(_repeated(lines, place, g))
        elif _keep_text(lines, part, place, g, sure=False):
            g.findings.add("HID-006", place)


def _repeated(text: Text, place: Place, g: _Gathered) -> tuple[Document, ...]:
    """The patient of a header in HTML that is whole beyond doubt; markup may shift lines, so anything less counts for nothing."""
    aside = Findings(g.findings.profile)
    found = header.read(text, place, aside, g.today, sure=False)
    doubtful = any(p.rule == "HID-004" or p.severity.rank >= Severity.REFUSE.rank for p in aside.problems)
    return () if found is None or doubtful else found.documents


def _readings(g: _Gathered) -> list[Patient]:
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


def _conclude(g: _Gathered, envelope: Envelope | None, parts: Sequence[Part], seen: History | None = None) -> Report:
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


def _readable(g: _Gathered) -> bool:
    """Something was recognised, and at least one recognised thing could be read."""
    broken = {p.place.part for p in g.findings.problems if p.rule in ("MSS-091", "MSS-114", "HID-003")}
    understood = [d for d in g.documents if d.patients or d.format is not Format.OTHER]
    if g.mail:
        return True
    return bool(understood or g.html) and not (broken and not any(d.patients for d in g.documents))


def _header_rules(g: _Gathered, has_patients: bool, *, mail: bool) -> None:
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
    g: _Gathered,
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


def _text_rules(g: _Gathered, head: Patient) -> None:
    starts = {
        d.place: int(d.details.get("header_line", "1")) + 11
        for d in g.documents
        if d.format is Format.HPRIM_MEDECINS and d.patients
    }
    for text, place in g.texts[:20]:
        if len([p for p in _readings(g) if p.source is Source.HPRIM and p.place.part == place.part]) > 1:
            continue  # several patients: already said, and each body belongs to its own header
        mailrules.check_body(text.lines, head, place, g.findings, g.today, starts.get(place, 0))
