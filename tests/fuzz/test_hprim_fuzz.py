"""Fuzz targets of the medical readers: valid files cut, spliced, repeated and flipped; whatever comes, an answer and no exception.

``CADUCEE_FUZZ=5000 python -m pytest tests/fuzz/test_hprim_fuzz.py`` runs more cases per target.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hprim import cda, charset, fhir, header, hl7, html, hxml, mime, render, sante, subject, xdm, xmlsafe, zipsafe
from hprim.check import check_file, check_message
from hprim.findings import DEFAULT, TEST_SPACE, Findings
from hprim.lines import split
from hprim.model import Part, Place, Report
from tests.hprim import builders
from tests.hprim.examples import TODAY, V2, V4, V5, unix, v1
from tests.hprim.test_mail import eml

RUNS = int(os.environ.get("CADUCEE_FUZZ", "150"))
fuzz = settings(max_examples=RUNS, suppress_health_check=list(HealthCheck))

NON_XML = builders.cda().replace(
    b"<structuredBody>",
    b"<nonXMLBody><text mediaType='application/pdf' representation='B64'>JVBERi0x</text></nonXMLBody><structuredBody>",
)
SEEDS = {
    "hprim": v1(),
    "hprim-utf8": ("\ufeff" + V5).encode(),
    "hprim-two": unix(V4),
    "hprim-latin": unix(V2),
    "sante": builders.sante(),
    "hxml": builders.hxml(),
    "hl7": builders.pid(),
    "fhir": builders.fhir(),
    "fhir-xml": builders.fhir_xml(),
    "cda": builders.cda(),
    "level1": NON_XML,
    "xdm": builders.xdm(),
    "mail": eml(builders.xdm()),
}
NASTY = [
    b"\x00",
    b"\xff\xfe",
    b"\r",
    b"\n",
    b"****FIN****",
    b"<!DOCTYPE a [",
    b"]]>",
    b"&#0;",
    b"PK\x05\x06",
    b"|||||",
    b"^~&",
    b"--=_outer",
]


@st.composite
def mangled(draw: st.DrawFn, seed: bytes) -> bytes:
    """``seed`` after one to six edits."""
    data = bytearray(seed)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(["flip", "cut", "drop", "insert", "repeat", "nasty"]))
        if kind == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del data[at:]
        elif kind == "drop":
            del data[at : at + draw(st.integers(1, 60))]
        elif kind == "insert":
            data[at:at] = draw(st.binary(max_size=20))
        elif kind == "repeat":
            data[at:at] = data[at : at + draw(st.integers(1, 200))] * draw(st.integers(1, 20))
        else:
            data[at:at] = draw(st.sampled_from(NASTY))
    return bytes(data[:2_000_000])


def holds(report: Report) -> None:
    """What every report promises, whatever was read."""
    assert report.to_json()
    assert len(report.problems) <= 500
    for problem in report.problems:
        assert problem.text("fr")
        assert problem.text("en")
        assert "\n" not in problem.text("fr")
    for code in report.cda_codes:
        assert code.isascii()
        assert "," not in code
        assert code.isprintable()


@pytest.mark.parametrize("name", SEEDS)
@fuzz
@given(data=st.data())
def test_check_file(name: str, data: st.DataObject) -> None:
    mess = data.draw(mangled(SEEDS[name]))
    holds(check_file(mess, data.draw(st.sampled_from(["", "a.hpr", "IHE_XDM.zip", "a.eml"])), today=TODAY))


@fuzz
@given(
    st.lists(
        st.builds(
            Part,
            name=st.sampled_from(["", "a.hpr", "IHE_XDM.zip", "a.pdf", "x.apz"]) | st.text(max_size=20),
            media_type=st.sampled_from(["text/plain", "text/html", "application/zip", ""]),
            charset=st.sampled_from(["", "utf-8", "iso-8859-1", "x"]),
            data=st.sampled_from(list(SEEDS.values())) | st.binary(max_size=200),
            is_body=st.booleans(),
        ),
        max_size=4,
    ),
    st.text(max_size=80),
    st.lists(st.text(max_size=40), max_size=3),
    st.dictionaries(st.sampled_from(["X-MSS-INS", "x-mss-mes", "X-MSS-CODECDA"]), st.text(max_size=10)),
)
def test_check_message(parts: list[Part], said: str, to: list[str], headers: dict[str, str]) -> None:
    holds(check_message(parts, subject=said, recipients=to, headers=headers, profile=TEST_SPACE, today=TODAY))


def _unless_unreadable(run: Callable[[], object]) -> None:
    """The one exception a low reader may raise; the entry points turn it into a problem."""
    with contextlib.suppress(xmlsafe.Unreadable):
        run()


READERS: dict[str, tuple[str, Callable[[bytes], object]]] = {
    "charset": ("hprim-latin", charset.decode),
    "header": (
        "hprim",
        lambda d: header.read(split(d), Place(), Findings(DEFAULT), TODAY, sure=True),
    ),
    "sante": ("sante", lambda d: sante.read(d, Place(), Findings(DEFAULT), TODAY)),
    "hxml": ("hxml", lambda d: hxml.read(d, Place(), Findings(DEFAULT), TODAY)),
    "hl7": ("hl7", lambda d: hl7.read(d, Place(), Findings(DEFAULT), TODAY)),
    "fhir": ("fhir", lambda d: fhir.read(d, Place(), Findings(DEFAULT), TODAY)),
    "cda": ("cda", lambda d: cda.read(d, Place(), Findings(DEFAULT), TODAY)),
    "xdm": ("xdm", lambda d: xdm.read(d, Place(), Findings(DEFAULT), TODAY)),
    "zip": ("xdm", lambda d: [a.digest(e) for a in [zipsafe.open_archive(d)] for e in a.entries]),
    "names in a zip": ("xdm", zipsafe.names_in),
    "xml": ("cda", xmlsafe.parse),
    "mime": ("mail", mime.split_mail),
    "html": ("mail", lambda d: html.to_text(d.decode("latin-1"))),
    "subject": ("hprim", lambda d: subject.read(d.decode("latin-1"))),
    "render": ("cda", lambda d: render.cda_view(d, TODAY).html()),
    "render-hprim": ("hprim", lambda d: render.hprim_view(d, TODAY).html()),
    "root": ("cda", xmlsafe.root_of),
    "own copy": ("level1", cda.own_copy),
}


@pytest.mark.parametrize("reader", READERS)
@fuzz
@given(data=st.data())
def test_reader(reader: str, data: st.DataObject) -> None:
    seed, run = READERS[reader]
    mess = data.draw(mangled(SEEDS[seed]))
    _unless_unreadable(lambda: run(mess))
