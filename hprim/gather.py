"""Reads the parts of a message, or one file, each by the reader of its kind, and gathers what they found.

Promise: no exception for any bytes; work and memory bounded whatever the input (the limits stand in each reader); nothing is
altered. Failure: what cannot be read is said by MSS-091 or MSS-114 in :attr:`Gathered.findings`, and the next part is read.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from itertools import islice

from hprim import cda, fhir, header, hl7, html, hxml, sante, xdm
from hprim.cda import refuse_unreadable
from hprim.charset import decode, known, narrowed
from hprim.detect import HPRIM_NAMES, detect, is_hprim_name, is_office, sealed, unread
from hprim.endtoend import MAX_PARTS, opened, unreadable
from hprim.findings import Findings
from hprim.lines import Text, split
from hprim.model import Document, Format, Part, Place, Severity, Words, mask
from hprim.shown import shown
from hprim.xmlsafe import Unreadable, parse

MAX_TEXT = 6 << 20
"""Longer text is read up to here: an HPRIM file is a few kilobytes."""

MAX_SANTE = 5 << 20
MAX_HL7 = 32 << 20
"""Octets read of one."""
MAX_BODY_LINES = 6_000
"""Lines of a text that are searched for another patient's name."""
_DOCUMENTS = (".xml", ".zip", ".pdf", *HPRIM_NAMES)
"""Names under which a health document travels: there, what is empty or unreadable is refused."""

_WIDE = 64
"""Octets in which UTF-16 shows itself."""


@dataclass(slots=True)
class Gathered:
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


def _seen(part: Part) -> tuple[Format, Part]:
    """The format of a part, and the part; HPRIM Santé or HL7 in UTF-16 as readers of octets take it."""
    kind = detect(part.data, part.name, part.media_type)
    if kind in (Format.TEXT, Format.OTHER) and b"\x00" in part.data[:_WIDE] and len(part.data) <= MAX_SANTE:
        text = narrowed(part.data)
        found = detect(text, part.name, part.media_type) if text else kind
        if text and found in (Format.HPRIM_SANTE, Format.HL7):
            return found, replace(part, data=text, charset="utf-8")
    return kind, part


def read_part(part: Part, g: Gathered) -> None:
    """Read one part, whatever it is; what it holds and what is wrong with it go to ``g``."""
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


def _dispatch(kind: Format, part: Part, place: Place, g: Gathered) -> None:
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


def _read_document(kind: Format, part: Part, place: Place, g: Gathered) -> Document:
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


def _read_xml(part: Part, place: Place, g: Gathered) -> Document:
    """XML of no known kind by its opening; parsed, it may turn out to be one that hid its first element."""
    g.findings.spend_markup(part.data)
    kind = cda.kind_of(parse(part.data, skip=frozenset({"component"})))
    if kind is not Format.XML:
        return _read_document(kind, part, place, g)
    return Document(kind, place, name=part.name, size=len(part.data))


def _too_long(part: Part, limit: int, place: Place, g: Gathered) -> None:
    """What is beyond the limit is not read, so it is not vouched for."""
    if len(part.data) > limit:
        g.findings.too_many(place, "fichier trop long pour être contrôlé", "file too long to be checked")


def _read_apicrypt(part: Part, place: Place, g: Gathered) -> None:
    """Encrypted text is carried as it is; clear text around it is still read, so that the mark cannot hide a header."""
    g.encrypted = True
    g.findings.add("HID-009", place)
    g.documents.append(Document(Format.APICRYPT, place, name=part.name, size=len(part.data)))
    if not part.name.lower().endswith(".apz"):
        _read_text(part, place, g)


def _read_hl7(part: Part, place: Place, g: Gathered) -> Document:
    """The message and the CDA documents it carries."""
    g.findings.add("HID-017", place, format="HL7 v2")
    g.findings.spend_lines(part.data)
    _too_long(part, MAX_HL7, place, g)
    data = part.data[:MAX_HL7]
    _read_embedded(data, part, place, g)
    return hl7.read(data, place, g.findings, g.today, name=part.name, declared=part.charset)


def _read_embedded(data: bytes, part: Part, place: Place, g: Gathered) -> None:
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


def _read_zip(part: Part, place: Place, g: Gathered) -> None:
    if is_office(part.name):
        g.documents.append(Document(Format.OTHER, place, name=part.name, size=len(part.data)))
        return
    expected = xdm.is_named_xdm(part.name) or (g.subject_xdm and not g.archive_named) or not g.mail
    g.documents.extend(_read_archive(part.data, part.name, place, g, expected=expected))


def _read_archive(data: bytes, name: str, place: Place, g: Gathered, *, expected: bool) -> tuple[Document, ...]:
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


def _read_member(data: bytes, place: Place, g: Gathered) -> None:
    """A text inside an archive: only what says who it is about matters. A saved message is read part by part."""
    name = place.member.rpartition("/")[2]
    for part in islice(opened([Part(name, "", "", data, is_body=False)]), MAX_PARTS):
        _read_told(part, place, g, _MEMBER if part.data is data else _SAVED)


def _read_told(part: Part, place: Place, g: Gathered, kinds: frozenset[Format]) -> None:
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


def _read_text(part: Part, place: Place, g: Gathered) -> None:
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


def _declared_charset(part: Part, place: Place, g: Gathered) -> None:
    """ECO.2.2.3 asks for UTF-8 text parts; Apicrypt users still send ISO-8859-1, which is right there."""
    utf8 = not part.charset or part.data.isascii() or known(part.charset) == "utf-8"
    if part.is_body and not utf8 and g.findings.profile.channel == "mssante":
        g.findings.add("MSS-112", place, charset=mask(part.charset, 30))


def _keep_text(text: Text, part: Part, place: Place, g: Gathered, *, sure: bool) -> bool:
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


def read_html(g: Gathered) -> None:
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


def _repeated(text: Text, place: Place, g: Gathered) -> tuple[Document, ...]:
    """The patient of a header in HTML that is whole beyond doubt; markup may shift lines, so anything less counts for nothing."""
    aside = Findings(g.findings.profile)
    found = header.read(text, place, aside, g.today, sure=False)
    doubtful = any(p.rule == "HID-004" or p.severity.rank >= Severity.REFUSE.rank for p in aside.problems)
    return () if found is None or doubtful else found.documents
