"""The PDF copy beside a CDA (ECO.2.1.5): its own, or the readable view on pages; looked at with a PDF program where there is one."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fpdf import FPDF

from gateway.medical.paper import LONGEST, TooLong, copy_of, set_on_pages
from hprim import cda as cda_reader
from hprim.render import Block, Kind, View
from hprim.xmlsafe import Unreadable
from tests.hprim.builders import cda

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
PDF = b"%PDF-1.4 own copy of the document"
_JARS = ("preflight", "pdfbox2", "xmpbox", "fontbox2", "commons-logging", "commons-io", "javax.activation", "jaxb-api")
PREFLIGHT = [Path("/usr/share/java") / f"{name}.jar" for name in _JARS]


def level_one(content: bytes, media: str = "application/pdf") -> bytes:
    text = f'<nonXMLBody><text mediaType="{media}" representation="B64">{base64.b64encode(content).decode()}</text></nonXMLBody>'
    head, _, _ = cda().partition(b"<component>")
    return head + f"<component>{text}</component></ClinicalDocument>".encode()


def structured(content: bytes, code: str) -> bytes:
    """A structured document with a file inside."""
    entry = (
        f'<entry><organizer><component><observation><value code="{code}"/></observation></component><component>'
        '<observationMedia><value mediaType="application/pdf" representation="B64">'
        f"{base64.b64encode(content).decode()}</value></observationMedia></component></organizer></entry>"
    )
    return cda().replace(b"</section>", entry.encode() + b"</section>")


def words(pdf: bytes, tmp_path: Path) -> str:
    """What a person reads, by another program."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed")
    (tmp_path / "x.pdf").write_bytes(pdf)
    done = subprocess.run(["pdftotext", "-layout", "x.pdf", "-"], check=True, capture_output=True, cwd=tmp_path)
    return done.stdout.decode("utf-8")


def test_a_document_that_holds_its_own_copy_gives_it() -> None:
    assert copy_of(level_one(PDF), NOW) == PDF
    assert copy_of(structured(PDF, "55108-5"), NOW) == PDF
    assert copy_of(structured(PDF, "99999-9"), NOW) != PDF  # another file than a copy of the document
    assert copy_of(level_one(b"not a pdf"), NOW) != b"not a pdf"


def test_a_wrapped_text_is_shown() -> None:
    enclosed = cda_reader.enclosed(level_one("Créatinine 8,3".encode(), "text/plain"))
    assert enclosed is not None
    assert enclosed.content.decode() == "Créatinine 8,3"
    assert cda_reader.enclosed(cda()) is None


def test_a_view_is_set_on_pages_that_each_name_the_patient(tmp_path: Path) -> None:
    said = words(copy_of(cda(), NOW), tmp_path)
    for expected in ("Compte rendu", "LEFEVRE", "14/02/1961", "Conclusion", "Rien de notable."):
        assert expected in said
    long = View("Compte rendu", tuple(Block(Kind.PARAGRAPH, f"Paragraphe {i}") for i in range(200)))
    pages = words(set_on_pages(long, "LEFEVRE ANDREE 14/02/1961", NOW), tmp_path).split("\f")[:-1]
    assert len(pages) > 2
    for number, page in enumerate(pages, 1):
        assert f"LEFEVRE ANDREE 14/02/1961 – {number}/{len(pages)}" in page
    assert all(f"Paragraphe {i}" in " ".join(pages) for i in range(200))


def test_every_sign_of_a_report_is_drawn_or_said_to_be_missing(tmp_path: Path) -> None:
    signs = "≥ 3 µmol/l → ✓ ☐ γ-GT Œuvre € ½ ² ³ ° ± Ÿ e\u0301"
    said = words(set_on_pages(View("T", (Block(Kind.PARAGRAPH, signs),)), "", NOW), tmp_path)
    assert "≥ 3 µmol/l → ✓ ☐ γ-GT Œuvre € ½ ² ³ ° ± Ÿ é" in said
    assert "origine" not in said
    lost = words(set_on_pages(View("T", (Block(Kind.PARAGRAPH, "\u0645\u0631\u064a\u0636"),)), "", NOW), tmp_path)
    assert "lisez-les dans le document d’origine" in lost


def test_tables_of_any_shape_lose_no_cell(tmp_path: Path) -> None:
    wide = tuple(tuple(f"w{row}c{column}" for column in range(15)) for row in range(4))
    long = tuple((f"ligne{row}", "8,3", "mg/l") for row in range(450))
    ragged = (("seul",), ("un", "deux", "trois"), ())
    blocks = [Block(Kind.TABLE, rows=rows) for rows in (wide, long, ragged, ())]
    said = words(set_on_pages(View("T", tuple(blocks)), "", NOW), tmp_path)
    for row in (*wide, *long, *ragged):
        for cell in row:
            assert cell in said, cell


def test_columns_of_a_text_stay_below_each_other(tmp_path: Path) -> None:
    text = "CREATININE          8,3\nTSH                 1,2\n" + "x" * 200
    lines = words(set_on_pages(View("T", (Block(Kind.LINES, text),)), "", NOW), tmp_path).split("\n")
    first, second = (next(line for line in lines if word in line) for word in ("CREATININE", "TSH"))
    assert first.index("8,3") == second.index("1,2")
    assert sum(line.count("x") for line in lines) == 200


def test_it_says_that_it_is_pdf_a_and_holds_its_fonts(tmp_path: Path) -> None:
    made = copy_of(cda(), NOW)
    assert b"<pdfaid:part>1</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>" in made
    assert b"/OutputIntent" in made
    for forbidden in (b"/JavaScript", b"/URI", b"/Launch", b"/EmbeddedFile", b"/Encrypt"):
        assert forbidden not in made
        assert not any(forbidden in zlib.decompress(stream) for stream in streams(made))
    if shutil.which("pdffonts") is None:
        pytest.skip("pdffonts is not installed")
    (tmp_path / "x.pdf").write_bytes(made)
    listed = subprocess.run(["pdffonts", "x.pdf"], check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    fonts = [line for line in listed.split("\n")[2:] if line]
    assert fonts
    assert all(re.search(r"Identity-H\s+yes yes yes", line) for line in fonts)


@pytest.mark.client
def test_a_validator_agrees_that_it_is_pdf_a(tmp_path: Path) -> None:
    """Apache's Preflight; it must refuse a plain PDF, or its word would say nothing."""
    if shutil.which("java") is None or not all(jar.exists() for jar in PREFLIGHT):
        pytest.skip("java or PDFBox's Preflight is not installed")
    plain = FPDF()
    plain.add_page()
    plain.set_font("Helvetica", size=12)
    plain.cell(text="not for the archive")
    blocks = (
        Block(Kind.TITLE, "Résultats <&>"),
        Block(Kind.PARAGRAPH, "≥ 3 µmol/l → ✓ γ-GT Œuvre € \u0645\u0631\u064a\u0636"),
        Block(Kind.LINES, "TSH      1,2\n" + "x" * 300),
        Block(Kind.TABLE, rows=tuple((f"ligne{row}", "8,3", "mg/l") for row in range(120))),
        Block(Kind.TABLE, rows=(tuple(f"c{column}" for column in range(15)),)),
    )
    every_kind = set_on_pages(View("Compte rendu & <titre>", blocks), "LEFEVRE ANDREE 14/02/1961", NOW)
    assert "not a valid PDF/A-1b" in verdict(bytes(plain.output()), tmp_path)
    assert "is a valid PDF/A-1b" in verdict(copy_of(cda(), NOW), tmp_path)
    assert "is a valid PDF/A-1b" in verdict(every_kind, tmp_path)


def verdict(pdf: bytes, tmp_path: Path) -> str:
    (tmp_path / "x.pdf").write_bytes(pdf)
    command = ["java", "-cp", ":".join(map(str, PREFLIGHT)), "org.apache.pdfbox.preflight.Validator_A1b", "x.pdf"]
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path).stdout


def streams(pdf: bytes) -> list[bytes]:
    found = re.findall(rb"/FlateDecode[^>]*>>\s*stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    return [stream for stream in found if stream[:1] == b"\x78"]


def test_the_same_document_gives_the_same_octets() -> None:
    assert copy_of(cda(), NOW) == copy_of(cda(), NOW)


def test_what_nobody_reads_on_paper_is_said_to_be_too_long() -> None:
    with pytest.raises(TooLong):
        set_on_pages(View("T", (Block(Kind.PARAGRAPH, "x" * (LONGEST + 1)),)), "", NOW)


@pytest.mark.parametrize("data", [b"", b"<a", b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", level_one(PDF)[:-40]])
def test_bytes_that_are_no_document_are_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        copy_of(data, NOW)
