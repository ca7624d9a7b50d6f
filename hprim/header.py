"""HPRIM Médecins: 12 header lines by position, free text, ``RES|`` lines, end tags.

The file declares no field, charset nor version, so the header is *found* (:mod:`hprim.hypotheses`) in the lines of each message
(:mod:`hprim.lines`); anything but 12 lines at once is said (HID-002, HID-004). Every message of a file is read, because a second
header is how results reach another patient's record.

Promise: nothing is repaired; positions are line numbers of the original text. Bounded as those two are.
Failure: :func:`read` gives ``None`` when the text is not HPRIM.
Source: HID-001 to HID-048; H.PR.I.M. Médecins 3.0 (1997) and the programs that read it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from hprim import dates, fields
from hprim.charset import PUBLIC
from hprim.findings import Findings
from hprim.hypotheses import FIELDS, Found, convincing, find, hidden_headers, name_score
from hprim.lines import MAX_MESSAGES, TAG, Piece, Tag, Text, pieces, tags
from hprim.model import Document, Format, Identifier, Patient, Place, Problem, Severity, Source, Traits, Words, mask


@dataclass(frozen=True, slots=True)
class HeaderFile:
    """What :func:`read` found: one document per message; ``headerless`` when the text is HPRIM but names nobody."""

    documents: tuple[Document, ...]
    problems: tuple[Problem, ...]
    headerless: bool


def read(
    text: Text, place: Place, findings: Findings, today: date, *, sure: bool, size: int = 0, declared: str = ""
) -> HeaderFile | None:
    """Read every message of ``text``. ``sure``: the file's name says HPRIM, so that less evidence is enough.

    Problems go to ``findings``. ``None``: this is ordinary text.
    """
    found = tags(text.lines)
    coded = any(line.startswith("RES|") for line in text.lines[:400])
    tagged = sure or bool(found) or coded
    cuts = pieces(text.lines, found)
    headers = _headers(text, cuts, tagged, today)
    if not headers and not tagged:
        return None
    if not headers and not sure and not any(t.word != "LAB" for t in found) and not coded:
        return None
    _file_problems(text, found, place, findings, declared, bool(headers))
    if len(headers) > MAX_MESSAGES or len(cuts) > MAX_MESSAGES:
        findings.too_many(place, f"plus de {MAX_MESSAGES} messages", f"more than {MAX_MESSAGES} messages")
    documents = tuple(
        _message(text, header, piece, place, findings, today, size) for header, piece in headers[:MAX_MESSAGES]
    )
    return HeaderFile(documents, tuple(findings.problems), not documents)


def _headers(text: Text, cuts: list[Piece], tagged: bool, today: date) -> list[tuple[Found, Piece]]:
    headers: list[tuple[Found, Piece]] = []
    for piece in cuts[: MAX_MESSAGES + 1]:
        end = min(piece.end, piece.start + 60)
        head = text.lines[piece.start : end]
        found = find(head, range(piece.start + 1, end + 1), today)
        evidence = tagged and (piece.first or piece.closed)
        if found is not None and convincing(found, evidence):
            extra = hidden_headers(text.lines, found.after + 1, piece.end, today)
            shared = replace(piece, closed=piece.closed and not extra)  # one tag for two patients closes neither
            headers.append((_skip_blank(found, head, piece), shared))
            headers += [(h, replace(shared, start=h.numbers[0] - 1, first=False)) for h in extra]
        else:
            deep = hidden_headers(text.lines, piece.start, piece.end, today)
            headers += [(replace(h, offset=h.numbers[0] - 1), replace(piece, closed=False)) for h in deep]
    return headers


def _skip_blank(found: Found, head: Sequence[str], piece: Piece) -> Found:
    """Blank lines between ``FIN`` and the next header are the sender's habit, not a fault."""
    if piece.first or found.offset <= 0 or any(line.strip() for line in head[: found.offset]):
        return found
    return replace(found, offset=0)


def _file_problems(text: Text, found: list[Tag], place: Place, findings: Findings, declared: str, headed: bool) -> None:
    if text.quoted and headed:
        findings.add("HID-013", place)
    if text.cut:
        findings.too_many(place, "texte trop long pour être contrôlé", "text too long to be checked")
    if text.ends == {"CR"}:
        findings.add("HID-018", place, kind=Words("CR seul", "CR only"))
    elif len(text.ends) > 1:
        findings.add("HID-018", place, kind=Words("mélangées", "mixed"))
    _charset_problem(text, place, findings, declared)
    _tag_problems(text, found, place, findings)
    _result_problems(text, found, place, findings)


def _charset_problem(text: Text, place: Place, findings: Findings, declared: str) -> None:
    charset = text.decoded
    usual = charset.charset in ("utf-8", "ascii", "utf-16") or (charset.charset == "cp1252" and charset.sure)
    if charset.guessed and (declared or not usual):
        said = Words(declared or "aucun", declared or "none")
        findings.add("HID-031", place, charset=PUBLIC.get(charset.charset, charset.charset), declared=said)


def _tag_problems(text: Text, found: list[Tag], place: Place, findings: Findings) -> None:
    words = [t.word for t in found]
    for word in ("FIN", "FINFICHIER"):
        if word not in words:
            findings.add("HID-010", place, tag=f"****{word}****")
    for tag in found:
        if not tag.exact:
            findings.add(
                "HID-012", place.at(tag.index + 1), line=tag.index + 1, text=mask(text.lines[tag.index].strip())
            )
    if "FINFICHIER" in words:
        _after_end(text, found, place, findings)


def _after_end(text: Text, found: list[Tag], place: Place, findings: Findings) -> None:
    closing = next(t for t in found if t.word == "FINFICHIER")
    for tag in found:
        if tag.index > closing.index and tag.word == "FIN":
            findings.add("HID-012", place.at(closing.index + 1), line=closing.index + 1, text="****FINFICHIER****")
            break
    rest = text.lines[closing.index + 1 :]
    if any(line.strip() and not TAG.fullmatch(line.strip()[:40]) for line in rest):
        findings.add("HID-014", place.at(closing.index + 2))


def _result_problems(text: Text, found: list[Tag], place: Place, findings: Findings) -> None:
    has_lab = any(t.word == "LAB" for t in found)
    count = bad = 0
    for index, line in enumerate(text.lines):
        if not line.startswith("RES|"):
            continue
        count += 1
        parts = line.count("|") + 1
        if parts > 14:
            parts = line.rstrip("| \t").count("|") + 1
        if not 4 <= parts <= 14 and bad < 20:
            bad += 1
            findings.add("HID-016", place.at(index + 1), line=index + 1, count=parts)
    if has_lab and not count:
        findings.add("HID-015", place, detail=Words("****LAB**** sans ligne RES", "****LAB**** without a RES line"))
    elif count and not has_lab:
        findings.add("HID-015", place, detail=Words("ligne RES sans ****LAB****", "a RES line without ****LAB****"))


def _message(
    text: Text, found: Found, piece: Piece, place: Place, findings: Findings, today: date, size: int
) -> Document:
    before = len(findings.problems)
    _position_problems(text, found, place, findings)
    traits, nir, written = _identity(found, place, findings, today)
    refused = any(p.severity.rank >= Severity.REFUSE.rank for p in findings.problems[before:])
    whole = found.plain and piece.closed and not refused
    code = found.values[0].strip(" .")[:40]
    ids = (Identifier("", code),) if code else ()
    n = found.numbers
    lines = (("surname", n[1]), ("first", n[2]), ("birth", n[6]), ("number", n[7]))
    patient = Patient(Source.HPRIM, place.at(n[1] or 1), traits, ids=ids, nir=nir, whole=whole, lines=lines)
    return Document(
        Format.HPRIM_MEDECINS,
        place,
        name=place.part,
        size=size,
        patients=(patient,),
        identifier=found.values[8].strip(),
        written=written.iso() if written else "",
        author=found.values[10][10:].strip(),
        details=_details(found, text),
    )


def _details(found: Found, text: Text) -> dict[str, str]:
    v = found.values
    return {
        "patient_code": v[0].strip(),
        "address": " ".join(f"{v[3].strip()} {v[4].strip()}".split()),
        "city": v[5].strip(),
        "file_number": v[8].strip(),
        "sender_code": v[10][:10].strip(),
        "sender": v[10][10:].strip(),
        "receiver_code": v[11][:10].strip(),
        "receiver": v[11][10:].strip(),
        "header_line": str(found.numbers[0] or found.numbers[1] or 1),
        "receiver_line": str(found.numbers[11]),
        "charset": PUBLIC.get(text.decoded.charset, text.decoded.charset),
    }


_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")


def _position_problems(text: Text, found: Found, place: Place, findings: Findings) -> None:
    first = next((n for n in found.numbers if n), 1)
    if found.missing:
        line = first + found.missing_at
        findings.add("HID-002", place.at(line), count=FIELDS - found.missing, line=line)
    elif not found.plain:
        doubtful = min(name_score(found.values[1]), name_score(found.values[2])) < 0
        findings.add("HID-004", place.at(first), Severity.REFUSE if doubtful else None, line=first)
    elif any(n == 0 for n in found.numbers):
        have = sum(1 for n in found.numbers if n)
        findings.add("HID-002", place.at(first), count=have, line=first + have)
    for value, number in zip(found.values, found.numbers, strict=True):
        _line_problems(value, number, place, findings)
    _thirteenth(text, found, place, findings)


def _line_problems(value: str, number: int, place: Place, findings: Findings) -> None:
    length = len(value.rstrip())
    if length > 80:
        limit, worse = (255, Severity.WARN) if length > 255 else (80, None)
        findings.add("HID-008", place.at(number), worse, line=number, limit=limit)
    if _CONTROL.search(value):
        findings.add("HID-019", place.at(number), line=number)


def _thirteenth(text: Text, found: Found, place: Place, findings: Findings) -> None:
    """A 13-line sender: the blank separator comes one line late."""
    after = found.after
    following = text.lines[after : after + 2]
    if len(following) == 2 and not following[1].strip() and "**" not in following[0] and found.numbers[11]:
        findings.add("HID-005", place.at(after + 1))


def _identity(
    found: Found, place: Place, findings: Findings, today: date
) -> tuple[Traits, str, dates.PartialDate | None]:
    v, n = found.values, found.numbers
    if not v[0].strip(" ."):
        findings.add("HID-038", place.at(n[0]))
    surname = fields.name_value(v[1], fields.SURNAME, place.at(n[1]), findings, missing="HID-026", header=True)
    first = fields.name_value(v[2], fields.FIRST, place.at(n[2]), findings, missing="HID-027", header=True)
    fields.whole_name(surname, first, place.at(n[1]), findings)
    raw = v[6]
    born = fields.birth_value(dates.read_french(raw, today), raw, place.at(n[6]), findings, today, header=True)
    nir = fields.social_number(v[7], born, place.at(n[7]), findings, today)
    written = fields.file_date(v[9], born, place.at(n[9]), findings, today)
    return Traits(surname=surname, first_name=first, birth_date=born), nir, written
