"""An HPRIM text as lines: tags however they are starred, coded results field by field."""

from __future__ import annotations

import pytest

from hprim.lines import Tag, results, tags


def test_results_keep_empty_fields_in_place() -> None:
    found = results(["RES||IGET 005|A", "TEX|x", "RES|GLY|GLY|N|5.5|mmol/l||6.0|H|F", "RES|x"])
    assert [(r.label, r.code, r.kind, r.value) for r in found] == [
        ("", "IGET 005", "A", ""),
        ("GLY", "GLY", "N", "5.5"),
        ("x", "", "", ""),
    ]
    assert (found[1].low, found[1].high, found[1].abnormal, found[1].status, found[1].line) == ("", "6.0", "H", "F", 3)


@pytest.mark.parametrize(
    ("line", "word", "exact"),
    [
        ("****FIN****", "FIN", True),
        ("  ****LAB****  ", "LAB", True),
        ("****FINFICHIER***", "FINFICHIER", False),
        ("****fin****", "FIN", False),
        ("**** FIN ****", "FIN", False),
    ],
)
def test_tags(line: str, word: str, exact: bool) -> None:
    assert tags([line]) == [Tag(word, 0, exact)]


@pytest.mark.parametrize("line", ["****FINI****", "***", "FIN", "texte ****FIN****", "****FIN**** suite"])
def test_not_tags(line: str) -> None:
    assert tags([line]) == []
