"""What an HL7 v2 message says of its patient, and HL7 values found inside XDM metadata (CX identifiers, PID fields).

Promise: separators come from the message itself; reading stops at 5 000 segments and 20 PID; nothing is unescaped but what a name
needs. Failure: bytes without ``MSH`` give no patient. Source: HID-086, HID-087; HL7 v2.5 ch. 2 and 3 (PAM France), MetaDMPMSS.
"""

from __future__ import annotations

import binascii
import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

from hprim import dates, fields, insrules
from hprim.charset import decode
from hprim.findings import Findings
from hprim.match import names_another
from hprim.model import Document, Format, Identifier, Patient, Place, Severity, Source, Traits, Words
from hprim.xmlsafe import looks_xml

MAX_SEGMENTS = 5_000
MAX_PIDS = 20
MAX_SEGMENT = 65_536
MAX_EMBEDDED = 20
MAX_ESCAPES = 200_000
RESTRICTIONS = (
    "MASQUE_PS",
    "INVISIBLE_PATIENT",
    "INVISIBLE_REP_LEGAUX",
    "CONNEXION_SECRETE",
    "MODIF_CONF_CODE",
    "DESTDMP",
    "DESTMSSANTEPS",
    "DESTMSSANTEPAT",
    "ACK_RECEPTION",
    "ACK_LECTURE_MSS",
)
"""The yes/no flags of MetaDMPMSS."""


@dataclass(frozen=True, slots=True)
class Signs:
    """The separators of one message."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    sub: str = "&"


def signs(line: str) -> Signs:
    """The separators announced by an ``MSH``, ``FHS`` or ``BHS`` line; HL7's usual ones when a place is empty."""
    given = line[3:8]
    usual = "|^~\\&"
    c = [given[i] if i < len(given) and not given[i].isalnum() else usual[i] for i in range(5)]
    return Signs(*c)


def part(text: str, index: int, sign: str) -> str:
    """The component at ``index`` (0-based), or ""."""
    pieces = text.split(sign, index + 1)
    return pieces[index].strip() if index < len(pieces) else ""


def cx(text: str, s: Signs = Signs()) -> Identifier:
    """A CX: ``id^^^&oid&ISO^type``; the OID is in the authority's second sub-component (or its first, when alone)."""
    authority = part(text, 3, s.component)
    oid = part(authority, 1, s.sub)
    alone = part(authority, 0, s.sub)
    if not oid and alone[:1].isdigit():
        oid = alone
    oid = oid.removeprefix("urn:oid:")
    return Identifier(oid, part(text, 0, s.component))


class _Xpn(NamedTuple):
    """One repetition of PID-5."""

    surname: str
    given: str
    further: str
    kind: str


_BIRTH_KINDS = ("B", "M", "L", "", "U")
"""Types of a birth name, the surest first: at birth, maiden, legal (which French senders mean it by), unsaid."""
_USED_KINDS = ("D", "S")
"""D is the French name in use; older style sheets write S for it."""


def _xpns(field: str, s: Signs) -> list[_Xpn]:
    return [
        _Xpn(
            part(part(one, 0, s.component), 0, s.sub),
            part(one, 1, s.component),
            part(one, 2, s.component),
            part(one, 6, s.component).upper(),
        )
        for one in field.split(s.repetition, 10)[:10]
        if one.strip()
    ]


def names(field: str, s: Signs) -> tuple[str, str, str, str, str]:
    """(birth surname, surname in use, first name, first name in use, list) from the repetitions of PID-5 (XPN).

    Beside a name at birth or a maiden name a legal one is the name in use. Aliases count only when there is nothing else.
    """
    given = _xpns(field, s)
    births = sorted((x for x in given if x.kind in _BIRTH_KINDS), key=lambda x: _BIRTH_KINDS.index(x.kind))
    births = births or [x for x in given if x.kind not in _USED_KINDS]
    used = [x for x in given if x.kind in _USED_KINDS]
    married = [x for x in births if x.kind == "L" and births[0].kind in ("B", "M")]
    return (
        next((x.surname for x in births if x.surname), ""),
        next((x.surname for x in (*used, *married) if x.surname), ""),
        next((x.given for x in births if x.given), ""),
        next((x.given for x in used if x.given), ""),
        next((x.further for x in births if x.further), ""),
    )


def others(field: str, s: Signs, traits: Traits) -> list[Traits]:
    """The further names of PID-5 that are somebody else's: one said to be of birth with another first name, or one of an unsaid
    kind of which nothing agrees. A person may bear several surnames, and an alias may be anything."""
    return [
        Traits(one.surname, first_name=one.given, birth_date=traits.birth_date, sex=traits.sex)
        for one in _xpns(field, s)
        if one.kind in _BIRTH_KINDS and names_another(one.surname, one.given, traits, sure=one.kind in ("B", "M", "L"))
    ]


def birth_date(text: str) -> dates.PartialDate | None:
    """PID-7: ``YYYYMMDD``; with hyphens it is as clear, and said to be unusual."""
    found = dates.read_compact(text)
    if found is None and (found := dates.read_iso(text)):
        return replace(found, form=dates.Form.ISO)
    return found


def sexes(field: str, s: Signs) -> list[str]:
    """PID-8, which some senders repeat as they do PID-5: each sex it tells, once."""
    told = (part(one, 0, s.component).upper() for one in field.split(s.repetition, 10)[:10])
    return [sex for sex in dict.fromkeys(told) if sex in ("M", "F")]


def further_sexes(field: str, s: Signs, traits: Traits) -> list[Traits]:
    """The same patient under each further sex: that they disagree is for whoever compares."""
    return [replace(traits, sex=sex) for sex in sexes(field, s)[1:]]


def _birth_place(field: str, s: Signs) -> str:
    """PID-11.9 of the repetition of type BDL: a COG code."""
    for repetition in field.split(s.repetition, 20)[:20]:
        if part(repetition, 6, s.component) in ("BDL", "BR"):
            return part(repetition, 8, s.component)
    return ""


def _traits(pid: Sequence[str], s: Signs) -> Traits:
    birth, used, first, used_first, listed = names(_at(pid, 5), s)
    return Traits(
        birth_surname=birth,
        used_surname=used,
        first_name=first,
        used_first_name=used_first,
        first_names=listed,
        birth_date=birth_date(part(_at(pid, 7), 0, s.component)),
        sex=next(iter(sexes(_at(pid, 8), s)), ""),
        birth_place=_birth_place(_at(pid, 11), s),
    )


def _at(segment: Sequence[str], index: int) -> str:
    return segment[index] if index < len(segment) else ""


def read(data: bytes, place: Place, findings: Findings, today: date, *, name: str = "", declared: str = "") -> Document:
    """The patients and restriction flags of one HL7 v2 message (or batch)."""
    lines, cut = _lines(data)
    segments, s = _segments(decode(b"\r".join(lines), declared).text)
    if cut:
        findings.too_many(place, "segment trop long", "a segment is too long")
    pids = [(i, line.split(s.field, 60)) for i, line in enumerate(segments) if line.startswith("PID" + s.field)]
    if len(pids) > MAX_PIDS or len(segments) >= MAX_SEGMENTS:
        findings.too_many(place, "trop de segments", "too many segments")
    patients = tuple(one for i, p in pids[:MAX_PIDS] for one in _patients(p, s, place.at(i + 1), findings, today))
    flags = restrictions(segments, s)
    details = {"restrictions": ",".join(f"{k}={v}" for k, v in sorted(flags.items()))} if flags else {}
    return Document(Format.HL7, place, name=name, size=len(data), patients=patients, details=details)


def _lines(data: bytes) -> tuple[list[bytes], bool]:
    """The segments, each cut at :data:`MAX_SEGMENT`, and whether one that may matter was: a document inside an OBX does not."""
    lines: list[bytes] = []
    at, cut = 0, False
    while at < len(data) and len(lines) < MAX_SEGMENTS:
        end = _line_end(data, at)
        lines.append(data[at : min(end, at + MAX_SEGMENT)])
        cut = cut or (end - at > MAX_SEGMENT and not lines[-1].startswith(b"OBX"))
        at = end + (2 if data[end : end + 2] == b"\r\n" else 1)
    return lines, cut


def _segments(text: str) -> tuple[list[str], Signs]:
    lines = text.replace("\r\n", "\r").replace("\n", "\r").split("\r", MAX_SEGMENTS)[:MAX_SEGMENTS]
    return lines, next((signs(line.lstrip("\x0b")) for line in lines[:5] if line.lstrip("\x0b")[:3] in _HEADS), Signs())


_HEADS = ("MSH", "FHS", "BHS")


@dataclass(frozen=True, slots=True)
class Embedded:
    """What may tell of a patient inside a message. ``unread``: reading stopped at one more (too many, or called XML and no base64)."""

    documents: list[bytes]
    unread: bool


def embedded(data: bytes, limit: int = MAX_EMBEDDED) -> Embedded:
    """What OBX segments carry (MDM and ORU of the French profile): XML, a text or an archive in base64 in type ED, or a CDA in plain text.

    Found in the bytes, since such a document is most of the message: nothing is decoded or cut but the document itself.
    """
    _, s = _segments(data[:_HEAD].decode("latin-1"))
    field, repetition, component = (sign.encode("latin-1", "replace") for sign in (s.field, s.repetition, s.component))
    opening = re.compile(rb"[A-Z][A-Z0-9]{2}" + re.escape(field))
    documents: list[bytes] = []
    lines = MAX_SEGMENTS
    for start in _starts(data, b"OBX" + field):
        end, lines = _segment_end(data, start, opening, lines)
        kind, value = _nth(data, start, end, field, 2), _nth(data, start, end, field, 5)
        for piece in _repeated(data, *value, repetition):
            found, lost = _carried(data, data[slice(*kind)], piece, component, s)
            if found is not None and _tells(found[:1_024]):
                documents.append(found)
            if lost or len(documents) > limit:
                return Embedded(documents[:limit], unread=True)
    return Embedded(documents, unread=False)


def _tells(head: bytes) -> bool:
    """XML, an archive or a text; not a PDF, a picture or a word processor's."""
    if looks_xml(head) or head.startswith(b"PK\x03\x04"):
        return not head[30:].startswith((b"[Content_Types]", b"mimetype"))
    return bool(head) and b"\x00" not in head and not head.startswith((b"%PDF-", b"{\\rtf"))


def _segment_end(data: bytes, start: int, opening: re.Pattern[bytes], lines: int) -> tuple[int, int]:
    """Where a segment ends. A line that opens none continues it (base64 in lines), though never past an empty one.

    ``lines`` may still be joined, and the answer says how many then are left: a message of more than :data:`MAX_SEGMENTS`
    is refused for its length.
    """
    end = _line_end(data, start)
    while lines:
        following = end + (2 if data[end : end + 2] == b"\r\n" else 1)
        if data[following : following + 1] in _NO_LINE or opening.match(data, following):
            break
        end = _line_end(data, following)
        lines -= 1
    return end, lines


_NO_LINE = (b"", b"\r", b"\n", b"\x0b", b"\x1c")


def _repeated(data: bytes, start: int, end: int, sign: bytes) -> Iterator[tuple[int, int]]:
    """The repetitions of a field, the first :data:`MAX_EMBEDDED` and what follows them as one."""
    for _ in range(MAX_EMBEDDED):
        at = data.find(sign, start, end)
        if at < 0:
            break
        yield start, at
        start = at + len(sign)
    yield start, end


def _carried(data: bytes, kind: bytes, place: tuple[int, int], component: bytes, s: Signs) -> tuple[bytes | None, bool]:
    """The document that one value carries, if any, and whether one is there that cannot be read."""
    encoding = data[slice(*_nth(data, *place, component, 3))].strip().upper()
    if kind != b"ED" or encoding != b"BASE64":
        if data.find(_MARK, *place) < 0:
            return None, False
        found = _written(data[slice(*place)], s)
        return found, found is None
    subtype = data[slice(*_nth(data, *place, component, 2))].strip().upper()
    found = _from_base64(data[slice(*_nth(data, *place, component, 4))], s)
    return found, found is None and subtype == b"XML"


_MARK = b"ClinicalDocument"


def _from_base64(raw: bytes, s: Signs) -> bytes | None:
    """Base64 as senders write it: wrapped, with HL7's own line breaks, in the alphabet of URLs, without its padding."""
    escape = s.escape.encode("latin-1", "replace")
    if escape in raw:
        raw = re.sub(re.escape(escape) + rb"(?:\.br|X(?:0[AaDd])+)" + re.escape(escape), b"", raw)
    if b"-" in raw or b"_" in raw:
        raw = raw.translate(_URL)
    if not _BASE64.fullmatch(raw):
        return None
    with contextlib.suppress(binascii.Error):
        return binascii.a2b_base64(raw)
    with contextlib.suppress(binascii.Error):
        return binascii.a2b_base64(raw + b"==")
    return None


_URL = bytes.maketrans(b"-_", b"+/")


def _written(raw: bytes, s: Signs) -> bytes | None:
    """A document written as it is: from its first element on, HL7's escapes undone. None when there are too many."""
    if raw.count(s.escape.encode("latin-1", "replace")) > MAX_ESCAPES:
        return None
    names = {b"F": s.field, b"S": s.component, b"T": s.sub, b"R": s.repetition, b"E": s.escape}
    signs_of = {name: sign.encode("latin-1", "replace") for name, sign in names.items()}
    escape = re.escape(s.escape.encode("latin-1", "replace"))

    def sign(found: re.Match[bytes]) -> bytes:
        return signs_of[found[1]] if found[1] else bytes.fromhex(found[2].decode("ascii"))

    text = raw[max(raw.find(b"<"), 0) :]
    return re.sub(escape + rb"(?:([FSTRE])|X((?:[0-9A-Fa-f]{2}){1,100}))" + escape, sign, text)


_HEAD = 4_096
_BASE64 = re.compile(rb"[A-Za-z0-9+/=\s]*")
_END = re.compile(rb"[\r\n]")


def _starts(data: bytes, opening: bytes) -> Iterator[int]:
    """Where a segment begins with ``opening``, in the first :data:`MAX_SEGMENTS` places that look like one."""
    at = data.find(opening)
    for _ in range(MAX_SEGMENTS):
        if at < 0:
            return
        if at == 0 or data[at - 1 : at] in (b"\r", b"\n"):
            yield at
        at = data.find(opening, at + 1)


def _line_end(data: bytes, start: int) -> int:
    found = _END.search(data, start)
    return found.start() if found else len(data)


def _nth(data: bytes, start: int, end: int, sign: bytes, index: int) -> tuple[int, int]:
    """Where the piece at ``index`` (0-based) begins and ends; empty when there is none."""
    for _ in range(index):
        start = data.find(sign, start, end) + len(sign)
        if start < len(sign):
            return end, end
    stop = data.find(sign, start, end)
    return start, stop if stop >= 0 else end


def _patients(pid: Sequence[str], s: Signs, place: Place, findings: Findings, today: date) -> list[Patient]:
    """The patient of a PID, and whoever else its names or sexes tell of."""
    patient = _patient(pid, s, place, findings, today)
    further = [*others(_at(pid, 5), s, patient.traits), *further_sexes(_at(pid, 8), s, patient.traits)]
    return [patient, *(replace(patient, traits=traits) for traits in further)]


def _patient(pid: Sequence[str], s: Signs, place: Place, findings: Findings, today: date) -> Patient:
    ids = tuple(cx(r, s) for r in _at(pid, 3).split(s.repetition, 30)[:30] if r.strip())
    if _at(pid, 3).count(s.repetition) >= 30 or _at(pid, 5).count(s.repetition) >= 10:
        findings.too_many(place, "trop d'identifiants ou de noms", "too many identifiers or names")
    traits = _traits(pid, s)
    raw = part(_at(pid, 7), 0, s.component)
    _check_names(traits, place, findings)
    fields.birth_value(traits.birth_date, raw, place, findings, today)
    insrules.check_identifiers(ids, traits, place, findings)
    _labelled(_at(pid, 3), s, place, findings)
    found = insrules.ins_ids(ids, findings.profile)
    insrules.check_traits(found, traits, place, findings, today, announced=False)
    status = tuple(x.strip().upper() for x in _at(pid, 32).split(s.repetition, 10)[:10] if x.strip())
    return Patient(Source.PID, place, traits, found, ids, status=status)


def _check_names(traits: Traits, place: Place, findings: Findings) -> None:
    """PID-5 as any other name: there, readable, and no filler. A newborn may have no first name yet: only said."""
    surname, first = traits.any_surname(), traits.any_first_name()
    if not surname:
        fields.name_value("", fields.SURNAME, place, findings, missing="HID-026")
    if not first:
        findings.add("HID-027", place, Severity.WARN, where=Words("", ""))
    for value in dict.fromkeys((traits.birth_surname, traits.used_surname)):
        fields.name_value(value, fields.SURNAME, place, findings, longest=_LONGEST)
    for value in dict.fromkeys((traits.first_name, traits.used_first_name, traits.first_names)):
        fields.name_value(value, fields.FIRST, place, findings, longest=_LONGEST)
    fields.whole_name(surname, first, place, findings)


_LONGEST = 100


def _labelled(field: str, s: Signs, place: Place, findings: Findings) -> None:
    """PID-3.5 says INS but the OID does not (HID-051)."""
    for repetition in field.split(s.repetition, 30)[:30]:
        one = cx(repetition, s)
        if part(repetition, 4, s.component).upper() == "INS" and not insrules.ins_ids([one], findings.profile):
            findings.add("HID-051", place, oid=one.root[:64] or "-")


def restrictions(segments: Sequence[str], s: Signs) -> dict[str, str]:
    """The MetaDMPMSS flags carried by OBX segments: OBX-3 names the flag, OBX-5 is ``Y`` or ``N``."""
    found: dict[str, str] = {}
    for line in segments:
        if line.startswith("OBX" + s.field):
            obx = line.split(s.field, 6)
            flag = part(_at(obx, 3), 0, s.component).upper()
            value = part(_at(obx, 5), 0, s.component).upper()
            if flag in RESTRICTIONS and value in ("Y", "N", "O"):
                found[flag] = "Y" if value in ("Y", "O") else "N"
    return found
