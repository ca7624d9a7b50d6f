"""The PDF copy that goes beside a CDA (ECO.2.1.5): the one the document holds of itself, else its readable view set on pages.

What is set is PDF/A-1b: fonts inside, no script, no link, nothing fetched; each page names the patient, so that a sheet alone is
never filed under another. Promise: the same arguments give the same bytes; every character of the view is on the page, or the copy
says that some could not be drawn. Failure: :class:`TooLong` for a document beyond what a person reads on paper,
:class:`hprim.xmlsafe.Unreadable` for bytes that are no CDA.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from unicodedata import normalize

from fpdf import FPDF
from fpdf.errors import FPDFException
from fpdf.fonts import FontFace, TTFFont

from hprim import cda, render
from hprim.findings import TEST_SPACE, Findings
from hprim.model import Place
from hprim.render import Block, Kind, View
from hprim.xmlsafe import TooMuch

LONGEST = 400_000
"""Characters of a view: some two hundred pages."""
MOST_COLUMNS = 8
MOST_ROWS = 400
_FONTS = Path(__file__).parent / "fonts"
_SIZES = {1: 13, 2: 11.5}
_LOST = "\ufffd"
_REMARK = (
    f"Des caractères du document n’ont pu être dessinés ici ({_LOST}) : lisez-les dans le document d’origine.",
    f"Some characters of the document could not be drawn here ({_LOST}): read them in the original document.",
)


class TooLong(ValueError):
    """The document is too long for a copy on pages."""


def copy_of(data: bytes, moment: datetime) -> bytes:
    """The PDF copy of the CDA ``data``. ``moment`` is when it is made."""
    own = cda.own_copy(data)
    if own is not None:
        return own
    try:
        view = render.whole_cda_view(data, moment.date())
    except TooMuch as problem:
        raise TooLong(str(problem)) from None
    return set_on_pages(view, _patient_line(data, moment), moment)


def _patient_line(data: bytes, moment: datetime) -> str:
    document = cda.read(data, Place(), Findings(TEST_SPACE), moment.date())
    if not document.patients:
        return ""
    t = document.patients[0].traits
    born = t.birth_date.french() if t.birth_date else ""
    return " ".join(x for x in (t.any_surname(), t.any_first_name(), born) if x)


def set_on_pages(view: View, patient: str, moment: datetime) -> bytes:
    """``view`` as PDF/A-1b. ``patient`` stands at the foot of each page."""
    size = sum(len(block.text) + sum(len(cell) for row in block.rows for cell in row) for block in view.blocks)
    if view.cut or size > LONGEST:
        raise TooLong(view.title)
    pages = _Pages(view.title, patient, moment)
    pages.head(view.title)
    for block in view.blocks:
        pages.put(block)
    return pages.end()


_PRODUCER = "Caducée"
_XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:pdf="http://ns.adobe.com/pdf/1.3/" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/"
 xmp:CreateDate="{made}" xmp:ModifyDate="{made}" xmp:MetadataDate="{made}" pdf:Producer="{producer}">
<pdfaid:part>1</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
</rdf:Description></rdf:RDF></x:xmpmeta>"""
"""Written by us: the library would put the hour of day into it, and the same document would give other bytes."""


class _Pages(FPDF):
    """A4, one column, a foot line."""

    def __init__(self, title: str, patient: str, moment: datetime) -> None:
        super().__init__(enforce_compliance="PDF/A-1B")
        self._lost = False
        self.add_font("text", "", _FONTS / "DejaVuSans.ttf")
        self.add_font("lines", "", _FONTS / "DejaVuSansMono.ttf")
        self._foot = self._clean(f"{title} – {patient}" if patient else title)
        told = self._clean(title)
        self.set_title(told)
        self.set_lang("fr-FR")
        self.set_producer(_PRODUCER)
        self.set_creation_date(moment)
        made = moment.astimezone(UTC).isoformat(timespec="seconds")
        self.set_xmp_metadata(_XMP.format(made=made, producer=_PRODUCER, title=escape(told)))
        self.set_margin(18)
        self.set_auto_page_break(True, margin=20)
        self.add_page()

    def footer(self) -> None:
        """Called for each page: what it is, whose, which."""
        self.set_y(-14)
        self.set_font("text", size=7)
        self.cell(0, 4, self._fitted(f"{self._foot} – {self.page_no()}/{{nb}}"), align="C")

    def _fitted(self, text: str) -> str:
        while self.get_string_width(text) > self.epw and " " in text:
            text = text.partition(" ")[2]  # the patient and the page number, at the end, stay
        return text

    def head(self, title: str) -> None:
        self._words(title, 15, 7)
        self.ln(1)

    def put(self, block: Block) -> None:
        """One block of the view."""
        if block.kind is Kind.TABLE:
            self._table(block.rows)
        elif block.kind is Kind.TITLE:
            self.ln(2)
            self._words(block.text, _SIZES.get(block.level, 10.5), 6)
            self.line(self.l_margin, self.get_y(), self.w - self.r_margin, self.get_y())
            self.ln(1)
        elif block.kind is Kind.LINES:
            self._lines(block.text)
        else:
            self._words(f"• {block.text}" if block.kind is Kind.ITEM else block.text, 9.5, 4.8)
            self.ln(1)

    def end(self) -> bytes:
        """The whole file."""
        if self._lost:
            self.ln(3)
            for sentence in _REMARK:
                self._words(sentence, 8, 4)
        return bytes(self.output())

    def _words(self, text: str, size: float, height: float) -> None:
        self.set_font("text", size=size)
        self.multi_cell(0, height, self._clean(text), align="L", new_x="LMARGIN", new_y="NEXT")

    def _lines(self, text: str) -> None:
        """A text whose columns stand below each other: 92 characters a line."""
        self.set_font("lines", size=7.8)
        for line in text.expandtabs().split("\n"):
            clean = self._clean(line, "lines")
            for start in range(0, max(len(clean), 1), 92):
                self.cell(0, 3.9, clean[start : start + 92], new_x="LMARGIN", new_y="NEXT")

    def _table(self, rows: Sequence[Sequence[str]]) -> None:
        columns = max((len(row) for row in rows), default=0)
        if not columns:
            return
        if columns > MOST_COLUMNS or len(rows) > MOST_ROWS:
            self._loose(rows)
            return
        self.set_font("text", size=8.5)
        weights = tuple(
            max(4, min(40, max((len(row[i]) for row in rows if i < len(row)), default=0))) for i in range(columns)
        )
        try:
            with self.table(
                col_widths=weights,
                first_row_as_headings=False,
                headings_style=FontFace(),
                line_height=4.6,
                text_align="LEFT",
                padding=0.6,
            ) as table:
                for row in rows:
                    table.row([self._clean(cell) for cell in [*row, *[""] * (columns - len(row))]])
        except (FPDFException, ValueError):
            self._loose(rows)
        self.ln(2)

    def _loose(self, rows: Sequence[Sequence[str]]) -> None:
        """A table too wide or too long to be drawn: one line a row."""
        for row in rows:
            self._words(" | ".join(row), 8.5, 4.4)

    def _clean(self, text: str, font: str = "text") -> str:
        """Only characters that can be drawn; what replaces the others is remembered."""
        chosen, text = self.fonts[font], normalize("NFC", text)
        assert isinstance(chosen, TTFFont)
        drawn = chosen.cmap
        kept = "".join(c if ord(c) in drawn else " " if c.isspace() or not c.isprintable() else _LOST for c in text)
        self._lost = self._lost or _LOST in kept
        return kept
