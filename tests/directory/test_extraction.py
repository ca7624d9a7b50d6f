"""The national flat extraction: its lines, its namings, and all that is not one (MSS-127)."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.entry import Entry, Source
from directory.sources.extraction import BadExtraction, Bounds, Reader, opened, stamp
from tests.directory.extractions import BARE_HEAD, HEAD, line, people, text

ELISE = "elise.martin@op-n.mssante.test"


def read(data: bytes, bounds: Bounds | None = None) -> list[Entry]:
    return list(Reader(io.BytesIO(data), bounds))


def refused(data: bytes, bounds: Bounds | None = None) -> str:
    with pytest.raises(BadExtraction) as problem:
        read(data, bounds)
    return problem.value.word


@pytest.mark.parametrize("head", [HEAD, BARE_HEAD, "\ufeff" + HEAD, HEAD.upper(), HEAD + "\r"])
def test_either_naming_of_the_columns(head: str) -> None:
    assert read(text(line(ELISE), head=head)) == [
        Entry(
            address=ELISE,
            type="PER",
            source=Source.NATIONAL,
            title="Docteur",
            family="Martin",
            given="Élise",
            person="899900000001",
            profession="Médecin",
            profession_code="10",
            specialty="Cardiologie",
            specialty_code="SM04",
            street="12B RUE DES LILAS",
            postal_code="75013",
            town="PARIS CEDEX 13",
            department="75",
            country="FRANCE",
            paperless=True,
        )
    ]


@pytest.mark.parametrize(
    ("kind", "number", "wanted"),
    [
        ("FINESS", "990000001", "1990000001"),
        ("1", "1990000001", "1990000001"),
        ("1", "190000001", "1190000001"),
        ("SIRET", "99900000000018", "399900000000018"),
        ("3", "399900000000018", "399900000000018"),
        ("", "990000001", "990000001"),
        ("FINESS", "", ""),
    ],
)
def test_a_structure_gets_the_digit_of_its_kind(kind: str, number: str, wanted: str) -> None:
    (one,) = read(text(line(ELISE, c0="ORG", c5=kind, c6=number)))
    assert one.structure == wanted


def test_other_columns() -> None:
    (one,) = read(
        text(line(ELISE, c0="org", c7="Urgences", c17="N", c18="", c19="Clinique", c20="Bât. A", c27="PARIS"))
    )
    assert (one.type, one.service, one.organisation, one.paperless) == ("ORG", "Urgences", "Clinique", False)
    assert (one.street, one.town) == ("Bât. A, 12B RUE DES LILAS", "PARIS")


def test_what_drives_a_terminal_is_taken_out_and_long_fields_are_cut() -> None:
    (one,) = read(text(line(ELISE, "Mar\x1b[2Jtin\u202e", "x" * 300)))
    assert (one.family, len(one.given)) == ("Mar [2Jtin", 255)


def test_lines_that_are_no_entries_are_passed_over_and_counted() -> None:
    good = people(300)
    bad = ["", "PER|a@b", line("no address"), line(ELISE, c0="XYZ"), line(ELISE) + "|more"]
    some = Reader(io.BytesIO(text(*bad[:2], *good)))
    assert len(list(some)) == 300
    assert (some.bad, some.lines) == (2, 302)
    assert refused(text(*bad, *good)) == "bad_lines"
    assert refused(text(*good) + b"\xff|\n" * 4) == "bad_lines"


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "not_an_extraction"),
        (b"<html>busy</html>\n", "not_an_extraction"),
        (text(line(ELISE), head=HEAD.replace("Code postal", "Postal")), "not_an_extraction"),
        (text(line(ELISE), head=HEAD + "|one more"), "not_an_extraction"),
        (text(line(ELISE), head=HEAD.replace("Nom d'exercice|Prénom d'exercice", "Prénom d'exercice|Nom d'exercice")), "not_an_extraction"),
        (text(*people(3))[:-40], "truncated"),
        (text("x" * 20_000), "line_too_long"),
        (b"x" * 2_000_000, "line_too_long"),
    ],
)  # fmt: skip
def test_what_is_no_extraction_is_refused_with_a_word(data: bytes, word: str) -> None:
    assert refused(data) == word


def test_octets_and_lines_are_bounded() -> None:
    assert refused(text(*people(50)), Bounds(octets=3000)) == "too_large"
    assert refused(text(*people(50)), Bounds(lines=49)) == "too_large"
    assert len(read(text(*people(50)), Bounds(lines=50))) == 50


@given(st.binary(max_size=400), st.booleans())
def test_any_octets_are_read_or_refused(data: bytes, headed: bool) -> None:
    try:
        entries = read(text(head=HEAD) + data if headed else data)
    except BadExtraction:
        return
    assert all(one.address.isprintable() for one in entries)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Extraction_Correspondance_MSSante_202608260213.zip", datetime(2026, 8, 26, 2, 13, tzinfo=UTC)),
        ("Extraction_Correspondance_MSSante_202613260213_202608260213.txt", datetime(2026, 8, 26, 2, 13, tzinfo=UTC)),
        ("list-20260826.txt", None),
        ("12026082602130.txt", None),
        ("", None),
    ],
)
def test_the_stamp_of_a_file(name: str, told: datetime | None) -> None:
    assert stamp(name) == told


# files


@pytest.fixture
def taken(tmp_path: Path) -> Callable[[bytes, str], list[Entry]]:
    def take(data: bytes, name: str = "list") -> list[Entry]:
        path = tmp_path / name
        path.write_bytes(data)
        with opened(path, Bounds(octets=1 << 20)) as (stream, _name):
            return list(Reader(stream, Bounds(octets=1 << 20)))

    return take


def zipped(*members: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


def test_a_zip_or_a_text(taken: Callable[[bytes, str], list[Entry]], tmp_path: Path) -> None:
    data = text(*people(3))
    assert taken(data, "a.txt") == taken(zipped(("Extraction_202608260213.txt", data)), "b.zip")
    with opened(tmp_path / "b.zip", Bounds()) as (_stream, name):
        assert stamp(name) == datetime(2026, 8, 26, 2, 13, tzinfo=UTC)


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes((data[place] ^ 0xFF,)) + data[place + 1 :]


def test_zips_that_lie(taken: Callable[[bytes, str], list[Entry]], tmp_path: Path) -> None:
    data = text(*people(200))
    whole = zipped(("a.txt", data))
    bomb = zipped(("a.txt", bytes(20 << 20)))
    lying = bomb.replace((20 << 20).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    for archive, word in (
        (whole[:-10], "bad_zip"),
        (whole[: len(whole) // 2], "bad_zip"),
        (flipped(whole, 200), "bad_zip"),
        (zipped(("a.txt", data), ("b.txt", data)), "bad_zip"),
        (zipped(), "not_an_extraction"),
        (b"PK\x03\x04" + bytes(100), "bad_zip"),
        (bomb, "too_large"),
        (lying, "bad_zip"),
    ):
        with pytest.raises(BadExtraction) as problem:
            taken(archive, "z.zip")
        assert problem.value.word == word
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(BadExtraction, match="unreadable"), opened(path, Bounds()):
            pass


def test_memory_does_not_grow_with_the_file(taken: Callable[[bytes, str], list[Entry]], tmp_path: Path) -> None:
    path = tmp_path / "long.zip"
    path.write_bytes(zipped(("a.txt", text(*people(6000)))))
    tracemalloc.start()
    with opened(path, Bounds()) as (stream, _name):
        assert sum(1 for _ in Reader(stream)) == 6000
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 500_000
