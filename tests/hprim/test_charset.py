"""Charsets of short French texts: one or two accents must be enough."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hprim.charset import decode, looks_broken

WORDS = [
    "LEFÈVRE ANDRÉE",
    "contrôlé",
    "Zoé",
    "François",
    "Hélène",
    "GRÂCE",
    "à jeun",
    "Céline",
    "BÉRÉNICE",
    "Chloé",
    "Gaëlle",
    "Anaïs",
    "Benoît",
    "Jérôme",
    "Créatinine élevée",
    "Hémoglobine glyquée",
    "n° 12",
    "CHÂTEAU",
    "D'HÉRICOURT",
    "GÉRÔME",
    "FRANÇOISE",
    "hôpital à Nîmes",
    "sérologie négative",
    "HÉLOÏSE",
    "âge 34 ans",
    "80 µg/l",
    "Compte rendu opératoire validé",
    "12 allée des Chênes",
    "NOËL",
]
"""Twenty-nine, as many as general detectors were measured on (5 and 13 right in CP850)."""


def right(charset: str, declared: str = "") -> list[str]:
    """The words that come back whole from ``charset``."""
    found = []
    for word in WORDS:
        data = f"0001\r\nX\r\n{word}\r\n".encode(charset)
        if word in decode(data, declared).text:
            found.append(word)
    return found


@pytest.mark.parametrize(("charset", "least"), [("utf-8", 29), ("cp1252", 28), ("cp850", 26), ("mac-roman", 24)])
@pytest.mark.parametrize("declared", ["", "iso-8859-1"])
def test_short_texts(charset: str, least: int, declared: str) -> None:
    assert len(right(charset, declared)) >= least


def test_order_of_evidence() -> None:
    assert decode("\ufeffé".encode(), "iso-8859-1").charset == "utf-8"
    assert decode("Zoé".encode("utf-16")).text == "Zoé"
    assert decode(b"abc", "cp850").charset == "ascii"
    assert decode("prix 12 €".encode("iso8859-15"), "iso-8859-15").text == "prix 12 €"
    assert decode("Lœuillet".encode("cp1252"), "utf-8").text == "Lœuillet"


def test_declared_charset_breaks_ties_only() -> None:
    assert decode("LEFÈVRE".encode("cp850"), "iso-8859-1").charset == "cp850"
    assert not decode("Zoé".encode("iso-8859-1"), "iso-8859-1").guessed
    assert decode("Zoé".encode("cp850"), "iso-8859-1").guessed


def test_a_byte_without_meaning_is_said() -> None:
    found = decode(b"LEF\x81VRE \x8d\x8f\x90 d\xe9cid\xe9", "windows-1252")
    assert found.broken or found.charset != "cp1252"


@pytest.mark.parametrize("text", ["LEFÃˆVRE", "ANDRÃ©E", "LEF╚VRE", "LEF\ufffdVRE", "Â°"])
def test_mojibake_is_seen(text: str) -> None:
    assert looks_broken(text)


@pytest.mark.parametrize("text", ["LEFÈVRE", "ÂNGELO", "SÃO", "Zoé", "D’Héricourt"])
def test_real_names_are_not_mojibake(text: str) -> None:
    assert not looks_broken(text)


@given(st.binary(max_size=400), st.sampled_from(["", "utf-8", "iso-8859-1", "cp850", "klingon"]))
def test_any_bytes_decode(data: bytes, declared: str) -> None:
    found = decode(data, declared)
    assert isinstance(found.text, str)


@given(st.text(alphabet="abcdefghijéèàçêLMNOP '-\n", max_size=200))
def test_utf8_always_comes_back(text: str) -> None:
    assert decode(text.encode("utf-8")).text == text
