"""An HPRIM text before anything in it is understood: its lines, its tags, the messages between them, its ``RES|`` lines.

Promise: nothing is repaired; positions are those of the original text. Bounded: 200 000 lines, 50 messages.
Failure: none; a text of any kind has lines.
Source: H.PR.I.M. Médecins 3.0 (1997) and the programs that read it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hprim.charset import Decoded, decode

MAX_LINES = 200_000
MAX_MESSAGES = 50


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
class Piece:
    """The lines of one message: ``start`` to ``end`` (excluded), ``closed`` by its own ``FIN`` tag."""

    start: int
    end: int
    closed: bool
    first: bool


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


TAG = re.compile(r"(\*{2,6})[ \t]{0,9}(LAB|FINFICHIER|FIN)[ \t]{0,9}(\*{2,6})", re.IGNORECASE | re.ASCII)


def tags(lines: Sequence[str]) -> list[Tag]:
    """Every tag, alone on its line but for white space."""
    found = []
    for index, line in enumerate(lines):
        if "**" in line and len(bare := line.strip()) <= 40 and (m := TAG.fullmatch(bare)):
            exact = len(m[1]) == len(m[3]) == 4 and m[2].isupper() and len(bare) == len(m[2]) + 8
            found.append(Tag(m[2].upper(), index, exact))
    return found


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
