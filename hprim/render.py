"""HPRIM and CDA for human eyes: the same view as plain text and as safe HTML.

Promise: a view is made of a few kinds of blocks; HTML is written from them, every character escaped, so that no markup, script,
style or remote address of the document can pass. Bounded: 20 000 blocks, 2 MiB of text; nothing recursive.
Failure: what cannot be read becomes one paragraph that says so. Source: SC.CDA/VISU (readable view), HID dossier 1.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from html import escape

from hprim import cda, dates, header, sante
from hprim.charset import decode
from hprim.findings import TEST_SPACE, Findings
from hprim.lines import Text, results, split, tags
from hprim.model import Document, Language, Patient, Place, Words
from hprim.xmlsafe import Node, Unreadable, parse

MAX_BLOCKS = 20_000
MAX_CHARACTERS = 2 << 20


_CUT = "[…] Document trop long : la suite n'est pas montrée. / Document too long: the rest is not shown."


class Kind(StrEnum):
    """What a block is."""

    TITLE = "title"
    PARAGRAPH = "paragraph"
    ITEM = "item"
    LINES = "lines"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Block:
    """One block: ``text``, or the ``rows`` of a table; ``level`` of a title from 1."""

    kind: Kind
    text: str = ""
    level: int = 1
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """A readable document: a title and blocks; ``cut`` when a limit left something out, which its text then says."""

    title: str
    blocks: tuple[Block, ...]
    cut: bool = False

    def text(self) -> str:
        """Plain text, LF line ends."""
        lines = [self.title, "=" * min(len(self.title), 78), ""]
        for block in self.blocks:
            lines += _plain(block)
        if self.cut:
            lines.append(_CUT)
        return "\n".join(lines) + "\n"

    def html(self) -> str:
        """An HTML fragment: only elements listed here, no attribute but ``class``."""
        inside = "\n".join(_markup(block) for block in self.blocks)
        inside += f"\n<p>{_CUT}</p>" if self.cut else ""
        return f'<article class="document">\n<h1>{escape(self.title)}</h1>\n{inside}\n</article>\n'


def _plain(block: Block) -> list[str]:
    if block.kind is Kind.TABLE:
        return [*_aligned(block.rows), ""]
    if block.kind is Kind.TITLE:
        return [block.text, "-" * min(len(block.text), 78)]
    if block.kind is Kind.ITEM:
        return [f"- {block.text}"]
    return [block.text, ""]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    columns = max((len(r) for r in rows), default=0)
    widths = [min(max((len(r[c]) for r in rows if c < len(r)), default=0), 40) for c in range(columns)]
    return ["  ".join(cell.ljust(widths[i]) for i, cell in enumerate(row)).rstrip() for row in rows]


def _markup(block: Block) -> str:
    if block.kind is Kind.TABLE:
        rows = "".join(f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in row)}</tr>" for row in block.rows)
        return f"<table><tbody>{rows}</tbody></table>"
    tag = {
        Kind.TITLE: f"h{min(block.level + 1, 6)}",
        Kind.PARAGRAPH: "p",
        Kind.ITEM: "li",
        Kind.LINES: "pre",
    }[block.kind]
    inside = escape(block.text)
    return f"<ul><{tag}>{inside}</{tag}></ul>" if block.kind is Kind.ITEM else f"<{tag}>{inside}</{tag}>"


@dataclass(slots=True)
class _Page:
    """Blocks being gathered, within the limits."""

    language: Language = "fr"
    blocks: list[Block] = field(default_factory=list)
    room: int = MAX_CHARACTERS
    cut: bool = False

    def add(self, block: Block) -> None:
        size = len(block.text) + sum(len(c) for r in block.rows for c in r)
        if len(self.blocks) < MAX_BLOCKS and size <= self.room:
            self.blocks.append(block)
            self.room -= size
        else:
            self.cut = True


_PATIENT = Words("Patient", "Patient")
_RESULTS = Words("Résultats codés", "Coded results")
_ATTACHED = Words("[image ou fichier joint au document d'origine]", "[picture or file inside the original document]")
_LABELS = {
    "name": Words("Nom", "Surname"),
    "used": Words("Nom utilisé", "Surname in use"),
    "first": Words("Prénom", "First name"),
    "born": Words("Date de naissance", "Birth date"),
    "sex": Words("Sexe", "Sex"),
    "author": Words("Auteur", "Author"),
    "sender": Words("Expéditeur", "Sender"),
    "receiver": Words("Destinataire", "Receiver"),
    "written": Words("Date du document", "Document date"),
    "number": Words("Numéro de dossier", "File number"),
}


def _identity(patient: Patient, language: Language) -> tuple[tuple[str, str], ...]:
    t = patient.traits
    rows = [
        ("name", t.any_surname()),
        ("used", t.used_surname if t.used_surname != t.any_surname() else ""),
        ("first", t.any_first_name()),
        ("born", t.birth_date.french() if t.birth_date else ""),
        ("sex", t.sex),
    ]
    return tuple((_LABELS[key].said(language), value) for key, value in rows if value)


def _written(document: Document) -> str:
    """When the document was written, as a birth date is shown; "" when it does not say."""
    said = dates.read_compact(document.written) or dates.read_compact(document.written.replace("-", ""))
    return said.french() if said else ""


def hprim_view(data: bytes, today: date, *, declared: str = "", language: Language = "fr") -> View:
    """An HPRIM Médecins text: who, from whom, the free text, the coded results as a table."""
    text = split(data[: 8 << 20], declared)
    findings = Findings(TEST_SPACE)
    found = header.read(text, Place(), findings, today, sure=True)
    page = _Page(language)
    for document in found.documents if found else ():
        _hprim_head(document, page, language)
    _hprim_body(text, found.documents if found else (), page, language)
    return View(Words("Message HPRIM", "HPRIM message").said(language), tuple(page.blocks), page.cut)


def sante_view(data: bytes, today: date, *, declared: str = "", language: Language = "fr") -> View:
    """An HPRIM Santé file: each patient, from whom and to whom, and his results as a table."""
    data = data[: 8 << 20]
    document = sante.read(data, Place(), Findings(TEST_SPACE), today, declared=declared)
    rows: dict[int, list[tuple[str, ...]]] = {}
    for number, row in sante.results(data, declared):
        rows.setdefault(number, [_columns(language)]).append(row)
    page = _Page(language)
    dated = replace(document, written=document.details.get("written", ""))
    for number, patient in enumerate(document.patients):
        _hprim_head(replace(dated, patients=(patient,)), page, language)
        if number in rows:
            page.add(Block(Kind.TITLE, _RESULTS.said(language), 1))
            page.add(Block(Kind.TABLE, rows=tuple(rows[number])))
    return View(Words("Message HPRIM Santé", "HPRIM Santé message").said(language), tuple(page.blocks), page.cut)


def _hprim_head(document: Document, page: _Page, language: Language) -> None:
    page.add(Block(Kind.TITLE, _PATIENT.said(language), 1))
    rows = list(_identity(document.patients[0], language))
    for key, value in (
        ("written", _written(document)),
        ("number", document.identifier),
        ("sender", document.details.get("sender", "")),
        ("receiver", document.details.get("receiver", "")),
    ):
        if value:
            rows.append((_LABELS[key].said(language), value))
    page.add(Block(Kind.TABLE, rows=tuple(rows)))


def _hprim_body(text: Text, documents: Sequence[Document], page: _Page, language: Language) -> None:
    start = int(documents[0].details.get("header_line", "1")) + 11 if documents else 0
    tagged = {t.index for t in tags(text.lines)}
    kept = [
        line
        for index, line in enumerate(text.lines)
        if index >= start and index not in tagged and not line.startswith(("RES|", "TEX|"))
    ]
    while kept and not kept[0].strip():
        kept.pop(0)
    page.add(Block(Kind.TITLE, Words("Texte", "Text").said(language), 1))
    page.cut = page.cut or text.cut
    page.add(Block(Kind.LINES, "\n".join(kept).rstrip()))
    _results(text, page, language)


def _results(text: Text, page: _Page, language: Language) -> None:
    found = results(text.lines)
    if not found:
        return
    rows = [_columns(language)]
    for r in found:
        bounds = " - ".join(x for x in (r.low, r.high) if x)
        rows.append((r.label or r.code, r.value, r.unit, bounds, "" if r.abnormal == "N" else r.abnormal))
    page.add(Block(Kind.TITLE, _RESULTS.said(language), 1))
    page.add(Block(Kind.TABLE, rows=tuple(rows)))


def _columns(language: Language) -> tuple[str, ...]:
    return tuple(
        Words("Examen|Résultat|Unité|Bornes|Anomalie", "Test|Result|Unit|Range|Flag").said(language).split("|")
    )


def cda_view(data: bytes, today: date, *, language: Language = "fr") -> View:
    """A CDA document: patient, date, author, and the narrative of each section (or what kind of file it wraps)."""
    try:
        return whole_cda_view(data, today, language=language)
    except Unreadable as error:
        said = Words("Document illisible", "Unreadable document").said(language)
        return View(said, (Block(Kind.PARAGRAPH, error.words.said(language)),))


def whole_cda_view(data: bytes, today: date, *, language: Language = "fr") -> View:
    """The same. :class:`Unreadable` instead of a view that says so; :class:`hprim.xmlsafe.TooMuch` for a text that would be cut."""
    root = cda.documents_in(parse(data, whole=cda.enclosed(data) is None))[0]
    document = cda.read(data, Place(), Findings(TEST_SPACE), today)
    page = _Page(language)
    for patient in document.patients[:1]:
        page.add(Block(Kind.TITLE, _PATIENT.said(language), 1))
        rows = [
            *_identity(patient, language),
            (_LABELS["written"].said(language), _written(document)),
            (_LABELS["author"].said(language), document.author),
        ]
        page.add(Block(Kind.TABLE, rows=tuple(r for r in rows if r[1])))
    _sections(root, page)
    _wrapped(root, data, page, language)
    return View(document.title or document.label or "CDA", tuple(page.blocks), page.cut)


def _wrapped(root: Node, data: bytes, page: _Page, language: Language) -> None:
    """What a level 1 document wraps: its text, or what kind of file it is."""
    if root.one("component", "nonXMLBody", "text") is None:
        return
    inside = cda.enclosed(data)
    if inside is not None and inside.media_type == "text/plain":
        page.add(Block(Kind.LINES, decode(inside.content, "").text.replace("\r\n", "\n").rstrip()))
        return
    media = inside.media_type if inside is not None else "?"
    fr, en = f"Document joint dans le CDA ({media}).", f"Document wrapped in the CDA ({media})."
    page.add(Block(Kind.PARAGRAPH, Words(fr, en).said(language)))


def _sections(root: Node, page: _Page) -> None:
    body = root.one("component", "structuredBody")
    if body is None:
        return
    stack: list[tuple[Node, int]] = [(c, 1) for c in reversed(body.all("component", "section"))]
    while stack and not page.cut:
        section, level = stack.pop()
        title = section.said("title")
        if title:
            page.add(Block(Kind.TITLE, title, level))
        for narrative in section.all("text"):
            _narrative(narrative, page)
        stack.extend((c, level + 1) for c in reversed(section.all("component", "section")))


def _narrative(text: Node, page: _Page) -> None:
    """The narrative of one section: paragraphs, items and tables in order; other elements give their words."""
    loose: list[str] = [text.text]
    stack: list[Node | str] = _inside(text)
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            loose.append(node)
        elif node.name in ("paragraph", "item", "table", "br"):
            _flush(loose, page)
            _block(node, page)
        elif node.name == "renderMultiMedia":
            loose.append(f" {_ATTACHED.said(page.language)} ")
        else:
            loose.append(node.text)
            stack.extend(_inside(node))
    _flush(loose, page)


def _inside(node: Node) -> list[Node | str]:
    """Children and the text after each, last first (for a stack)."""
    listed: list[Node | str] = []
    for child in node.children:
        listed += [child, child.tail]
    return listed[::-1]


def _flush(loose: list[str], page: _Page) -> None:
    said = " ".join("".join(loose).split())
    if said:
        page.add(Block(Kind.PARAGRAPH, said))
    loose.clear()


def _block(node: Node, page: _Page) -> None:
    if node.name == "table":
        rows = tuple(tuple(_words(cell, page.language) for cell in row.children) for row in _rows(node))
        page.add(Block(Kind.TABLE, rows=tuple(r for r in rows if any(r))))
        return
    said = _words(node, page.language)
    if said:
        page.add(Block(Kind.ITEM if node.name == "item" else Kind.PARAGRAPH, said))


def _rows(table: Node) -> Iterable[Node]:
    return (n for n in table.walk() if n.name == "tr")


def _words(node: Node, language: Language) -> str:
    """All the text below a node, in order."""
    pieces: list[str] = [node.text]
    stack = _inside(node)
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            pieces.append(one)
        elif one.name == "renderMultiMedia":
            pieces.append(f" {_ATTACHED.said(language)} ")
        else:
            pieces.append(" " if one.name == "br" else one.text)
            stack.extend(_inside(one))
    return " ".join("".join(pieces).split())
