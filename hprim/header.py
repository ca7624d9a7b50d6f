"""HPRIM Médecins: 12 header lines by position, free text, ``RES|`` lines, end tags.

The file declares no field, charset nor version, so the header is *found*: hypotheses (offset 0, text before it, a line missing
or added inside) are scored and the best wins; anything but a plain offset 0 is said (HID-002, HID-004). Every
message of a file is read, because a second header is how results reach another patient's record.

Promise: nothing is repaired; positions are line numbers of the original text. Bounded: 200 000 lines, 50 messages, header lines
cut at 1 000 characters. Failure: :func:`read` gives ``None`` when the text is not HPRIM.
Source: HID-001 to HID-048; H.PR.I.M. Médecins 3.0 (1997) and the programs that read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from hprim import dates, fields
from hprim.charset import PUBLIC, Decoded, decode
from hprim.findings import Findings
from hprim.ins import read_number
from hprim.model import Document, Format, Identifier, Patient, Place, Problem, Severity, Source, Traits, Words, mask

MAX_LINES = 200_000
MAX_MESSAGES = 50
MAX_HEADER_LINE = 1_000
FIELDS = 12
_SEARCHED = 30
"""How many lines of greeting may precede a header."""


@dataclass(frozen=True, slots=True)
class Result:
    """One ``RES|`` line (HPRIM Médecins 3.0, RES-01 to RES-14): texts as written."""

    label: str
    code: str
    kind: str
    value: str
    unit: str
    low: str
    high: str
    abnormal: str
    status: str
    line: int


@dataclass(frozen=True, slots=True)
class Text:
    """A decoded text cut into lines. ``ends``: which line ends it had; ``quoted``: a ``>`` was removed from each line."""

    lines: tuple[str, ...]
    decoded: Decoded
    ends: frozenset[str]
    cut: bool = False
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Tag:
    """An end tag or ``LAB`` tag: ``word`` in upper case, ``index`` of its line, ``exact`` when it has its 4 + 4 stars."""

    word: str
    index: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A header: its 12 values, the line number of each (0 for one that is missing), how it was found and its score."""

    values: tuple[str, ...]
    numbers: tuple[int, ...]
    offset: int
    missing: int
    missing_at: int
    added: int
    score: int

    @property
    def plain(self) -> bool:
        return self.offset == 0 and not self.missing and not self.added

    @property
    def after(self) -> int:
        """Index of the first line after the header."""
        return max(self.numbers)


def split(data: bytes, declared: str = "") -> Text:
    """``data`` decoded and cut at CR LF, LF or CR (never at the other separators Python knows)."""
    decoded = decode(data, declared)
    text = decoded.text
    ends = _line_ends(text)
    if "\r" in text:
        text = text.replace("\r\r\n", "\n").replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n", MAX_LINES)
    cut = len(lines) > MAX_LINES
    return _unquoted(Text(tuple(lines[:MAX_LINES]), decoded, ends, cut))


def _line_ends(text: str) -> frozenset[str]:
    crlf = text.count("\r\n")
    kinds = {"CRLF": crlf, "LF": text.count("\n") - crlf, "CR": text.count("\r") - crlf - text.count("\r\r\n")}
    return frozenset(kind for kind, count in kinds.items() if count > 0)


def _unquoted(text: Text) -> Text:
    """A forwarded message: each line starts with ``>``, perhaps several times."""
    for _ in range(3):
        head = [line for line in text.lines[:40] if line.strip()]
        if sum(line.startswith(">") for line in head) < 8:
            break
        text = replace(text, lines=tuple(_bare(line) for line in text.lines), quoted=True)
    return text


def _bare(line: str) -> str:
    if line.startswith("> "):
        return line[2:]
    return line.removeprefix(">")


_TAG = re.compile(r"(\*{2,6})[ \t]{0,9}(LAB|FINFICHIER|FIN)[ \t]{0,9}(\*{2,6})", re.IGNORECASE | re.ASCII)


def tags(lines: Sequence[str]) -> list[Tag]:
    """Every tag, alone on its line but for white space."""
    found = []
    for index, line in enumerate(lines):
        if "**" in line and len(bare := line.strip()) <= 40 and (m := _TAG.fullmatch(bare)):
            exact = len(m[1]) == len(m[3]) == 4 and m[2].isupper() and len(bare) == len(m[2]) + 8
            found.append(Tag(m[2].upper(), index, exact))
    return found


_NAME = re.compile(r"[^\W\d_][^\W\d_ '\-\u2019.]{0,60}(?:[ '\-\u2019.]{1,3}[^\W\d_]{1,60}){0,8}[ .]{0,60}")
_POSTCODE = re.compile(r"[0-9]{5}(?![0-9])", re.ASCII)
_DATE_LIKE = re.compile(r"[0-9]{1,4}[/.\-][0-9]{1,2}[/.\-][0-9]{1,4}|[0-9]{6}|[0-9]{8}", re.ASCII)


def _name_score(text: str) -> int:
    bare = text.strip()
    if not bare:
        return -1
    if any(c in "0123456789" for c in bare[:60]):
        return -3
    if not any(c.isalpha() for c in bare[:60]):
        return -2
    return 1 if len(bare) <= 60 and not bare.endswith((",", ":", ";")) and _NAME.fullmatch(bare) else 0


def _number_score(text: str) -> int:
    number = read_number(text) if text.strip() else None
    if number is None or number.faults or not number.sex:
        return 0
    return 3 if number.key else 1


def score(values: Sequence[str], today: date) -> int:
    """How much 12 lines look like a header: 8 for a birth date, 4 for a file date, 3 for a number, 2 for a postcode, 1 a name."""
    birth = values[6].strip()
    total = 8 if dates.read_french(birth, today) else (5 if _DATE_LIKE.fullmatch(birth) else 0)
    total += 4 if dates.find_dates(values[9][:60], today, 1) or dates.read_french(values[9], today) else 0
    total += _number_score(values[7])
    total += 2 if _POSTCODE.match(values[5].strip()) else 0
    return total + _name_score(values[1]) + _name_score(values[2])


def _take(lines: Sequence[str], numbers: Sequence[int], today: date, how: tuple[int, int, int, int]) -> Found | None:
    """Build one hypothesis: ``how`` is (offset, missing, missing_at, added)."""
    offset, missing, at, added = how
    if offset < 0:
        picked: list[tuple[str, int]] = [("", 0), *zip(lines[: FIELDS - 1], numbers[: FIELDS - 1], strict=False)]
    else:
        end = offset + FIELDS - missing + added
        picked = list(zip(lines[offset:end], numbers[offset:end], strict=False))
    if missing:
        picked[at:at] = [("", 0)] * missing
    elif added:
        del picked[at : at + added]
    if len(picked) < 7:
        return None
    picked += [("", 0)] * (FIELDS - len(picked))
    values = tuple(v[:MAX_HEADER_LINE] for v, _ in picked[:FIELDS])
    places = tuple(n for _, n in picked[:FIELDS])
    return Found(values, places, offset, missing, at, added, score(values, today))


_INSIDE = [(1, 3), (1, 4), (1, 5), (2, 3), (2, 4), (3, 3)]
_NAMES_LOST = [(1, 1), (1, 2)]


def _hypotheses(count: int) -> Iterator[tuple[int, int, int, int]]:
    yield -1, 0, 0, 0
    for missing, at in _NAMES_LOST:
        yield 0, missing, at, 0
    for offset in range(1, min(_SEARCHED, max(count - 6, 1)) + 1):
        yield offset, 0, 0, 0
    for offset in range(min(4, count)):
        for missing, at in _INSIDE:
            yield offset, missing, at, 0
        for at in (4, 5):
            yield offset, 0, at, 1


def find(lines: Sequence[str], numbers: Sequence[int], today: date) -> Found | None:
    """The best header hypothesis over ``lines`` (whose original line numbers are ``numbers``)."""
    best = _take(lines, numbers, today, (0, 0, 0, 0))
    if best is None:
        return None
    if best.score >= 14 and dates.read_french(best.values[6], today) and _name_score(best.values[1]) == 1:
        return best
    for how in _hypotheses(len(lines)):
        other = _take(lines, numbers, today, how)
        if other and other.score - 1 > best.score - (0 if best.plain else 1):
            best = other
    return best


def _convincing(found: Found | None, tagged: bool) -> bool:
    """Whether the lines are a header at all. Tags, or a name ending in .hpr, make less evidence enough."""
    if found is None:
        return False
    if tagged:
        return found.score >= 3 if found.plain else found.score >= 9
    return found.score >= (10 if found.plain else 12)


@dataclass(frozen=True, slots=True)
class Piece:
    """The lines of one message: ``start`` to ``end`` (excluded), ``closed`` by its own ``FIN`` tag."""

    start: int
    end: int
    closed: bool
    first: bool


def pieces(lines: Sequence[str], found: Sequence[Tag]) -> list[Piece]:
    """Cut the file at its end tags; blank stretches between tags are nothing."""
    cuts: list[Piece] = []
    start = 0
    for tag in found:
        if tag.word == "LAB":
            continue
        if any(line.strip() for line in lines[start : tag.index]):
            cuts.append(Piece(start, tag.index, tag.word == "FIN", not cuts))
        start = tag.index + 1
        if len(cuts) > MAX_MESSAGES:
            return cuts
    if any(line.strip() for line in lines[start:]):
        cuts.append(Piece(start, len(lines), False, not cuts))
    return cuts


def _named(lines: Sequence[str], at: int) -> bool:
    """Whether the lines where names would stand above a birth date are not plainly something else: cheap, before any hypothesis."""
    return _name_score(lines[at - 5]) + _name_score(lines[at - 4]) >= -3


def _hidden_headers(lines: Sequence[str], start: int, end: int, today: date) -> list[Found]:
    """Further headers inside one piece, where a sender forgot the tag between two patients."""
    found: list[Found] = []
    at = start
    while at < end and len(found) < MAX_MESSAGES:
        line = lines[at].strip()
        if 8 <= len(line) <= 10 and at - 6 >= start and _named(lines, at) and dates.read_french(line, today):
            numbers = range(at - 5, at + 7)
            header = _take(lines[at - 6 : at + 6], numbers, today, (0, 0, 0, 0))
            if header and (header.score >= 14 or (header.score == 13 and _number_score(header.values[7]) == 3)):
                found.append(header)
                at += 6
        at += 1
    return found


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
    tagged = sure or bool(found) or any(line.startswith("RES|") for line in text.lines[:400])
    cuts = pieces(text.lines, found)
    headers = _headers(text, cuts, tagged, today)
    if not headers and not tagged:
        return None
    if not headers and not sure and not any(t.word != "LAB" for t in found) and not _results_only(text):
        return None
    _file_problems(text, found, place, findings, declared, bool(headers))
    if len(headers) > MAX_MESSAGES or len(cuts) > MAX_MESSAGES:
        findings.too_many(place, f"plus de {MAX_MESSAGES} messages", f"more than {MAX_MESSAGES} messages")
    documents = tuple(
        _message(text, header, piece, place, findings, today, size) for header, piece in headers[:MAX_MESSAGES]
    )
    return HeaderFile(documents, tuple(findings.problems), not documents)


def _results_only(text: Text) -> bool:
    return any(line.startswith("RES|") for line in text.lines[:400])


def _headers(text: Text, cuts: list[Piece], tagged: bool, today: date) -> list[tuple[Found, Piece]]:
    headers: list[tuple[Found, Piece]] = []
    for piece in cuts[: MAX_MESSAGES + 1]:
        end = min(piece.end, piece.start + 60)
        head = text.lines[piece.start : end]
        found = find(head, range(piece.start + 1, end + 1), today)
        evidence = tagged and (piece.first or piece.closed)
        if found is not None and _convincing(found, evidence):
            extra = _hidden_headers(text.lines, found.after + 1, piece.end, today)
            shared = replace(piece, closed=piece.closed and not extra)  # one tag for two patients closes neither
            headers.append((_skip_blank(found, head, piece), shared))
            headers += [(h, replace(shared, start=h.numbers[0] - 1, first=False)) for h in extra]
        else:
            deep = _hidden_headers(text.lines, piece.start, piece.end, today)
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
    if any(line.strip() and not _TAG.fullmatch(line.strip()[:40]) for line in rest):
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
        doubtful = min(_name_score(found.values[1]), _name_score(found.values[2])) < 0
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


def results(lines: Sequence[str], limit: int = 5_000) -> tuple[Result, ...]:
    """The coded results, in order, at most ``limit``. An empty field counts; missing trailing fields are ""."""
    found: list[Result] = []
    for index, line in enumerate(lines):
        if line.startswith("RES|"):
            p = [x.strip() for x in line.split("|", 14)] + [""] * 14
            found.append(Result(p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], index + 1))
            if len(found) >= limit:
                break
    return tuple(found)
