"""Sizes, durations, addresses and lines: read exactly, written back exactly, and nothing else let through."""

from __future__ import annotations

import contextlib
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config_document import literal
from gateway.config_scan import line_of, lines
from gateway.config_units import (
    LARGEST_SIZE,
    Listen,
    Unreadable,
    is_domain,
    read_duration,
    read_listen,
    read_size,
    read_text,
    write_duration,
    write_size,
)


@pytest.mark.parametrize(
    ("text", "octets"),
    [("25MiB", 26214400), ("64 KiB", 65536), ("0", 0), ("17", 17), ("1.5KiB", 1536), ("2kB", 2000), (1024, 1024)],
)
def test_sizes(text: object, octets: int) -> None:
    assert read_size(text) == octets


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("300s", 300),
        ("15min", 900),
        ("4h", 14400),
        ("5d", 432000),
        ("1y", 31536000),
        ("250ms", 0.25),
        ("0", 0),
        (2.5, 2.5),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "MiB", "1 MiBs", "1mib", "1e3", "-1", "٣MiB", "1.5", "1MiB\n2", "9" * 40, None, True, [], 0.5]
)
def test_what_is_not_a_size(text: object) -> None:
    with pytest.raises(Unreadable):
        read_size(text)


@pytest.mark.parametrize(
    "text", ["", "5", "5 m", "1 day", "٣s", "-1s", "1e400", None, False, {}, float("nan"), float("inf"), -1]
)
def test_what_is_not_a_duration(text: object) -> None:
    with pytest.raises(Unreadable):
        read_duration(text)


@given(st.integers(0, LARGEST_SIZE))
def test_a_size_written_is_read_back(octets: int) -> None:
    assert read_size(write_size(octets)) == octets


@given(st.integers(0, 10**9))
def test_a_duration_written_is_read_back(milliseconds: int) -> None:
    assert read_duration(write_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@given(st.text(max_size=80) | st.integers() | st.floats() | st.booleans() | st.none() | st.lists(st.integers()))
def test_readers_answer_or_say_unreadable(value: object) -> None:
    for reader in (read_size, read_duration, read_listen, read_text):
        with contextlib.suppress(Unreadable):
            assert reader(value) is not None  # type: ignore[operator]


@given(st.ip_addresses(), st.integers(0, 65535))
def test_an_address_written_is_read_back(host: Any, port: int) -> None:
    listen = Listen(str(host), port)
    assert read_listen(str(listen)) == listen


def test_addresses_that_cannot_be_bound_together() -> None:
    assert Listen("0.0.0.0", 25).collides(Listen("192.0.2.1", 25))
    assert Listen("::", 25).collides(Listen("192.0.2.1", 25))
    assert not Listen("192.0.2.2", 25).collides(Listen("192.0.2.1", 25))
    assert not Listen("192.0.2.1", 0).collides(Listen("192.0.2.1", 0))
    assert not Listen("192.0.2.1", 25).collides(Listen("192.0.2.1", 26))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("ch-exemple.mssante.fr", True),
        ("xn--hpital-9ta.mssante.fr", True),
        ("mssante", False),
        ("*.mssante.fr", False),
        ("-a.mssante.fr", False),
        ("a-.mssante.fr", False),
        ("a..fr", False),
        (".mssante.fr", False),
        ("hôpital.mssante.fr", False),
        ("A.fr", False),
        ("a" * 64 + ".fr", False),
        ("a@b.fr", False),
    ],
)
def test_domains(text: str, answer: bool) -> None:
    assert is_domain(text) is answer


# lines

KEY = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12)
VALUE = st.one_of(
    st.integers(-99, 99).map(str),
    TEXT.map(literal),
    TEXT.filter(lambda text: "'" not in text).map(lambda text: f"'{text}'"),
    st.lists(TEXT.map(literal), max_size=3).map(
        lambda items: '[ # [ " a\n' + "".join(f"{item}, # ]\n" for item in items) + "]"
    ),
    st.just('"""\n[not.a.table]\nkey = 1\n\\""""'),
    st.just("'''\n# no comment\n'''"),
    st.just('{ a = 1, b = "}" }'),
)


@given(st.dictionaries(KEY, st.dictionaries(KEY, VALUE, max_size=4), max_size=4), st.sampled_from(["", "  ", "\t"]))
def test_every_key_of_a_valid_text_is_found_at_its_line(tables: dict[str, dict[str, str]], margin: str) -> None:
    text, expected = "# head\n\n", {}
    for name, table in tables.items():
        expected[(name,)] = text.count("\n") + 1
        text += f"{margin}[ {name} ] # = [\n"
        for key, value in table.items():
            expected[(name, key)] = text.count("\n") + 1
            text += f"{margin}{key} = {value} # comment\n"
    tomllib.loads(text)
    assert lines(text) == expected


@given(st.lists(st.lists(KEY, unique=True, max_size=3), max_size=4))
def test_repeated_tables_are_numbered(tables: list[list[str]]) -> None:
    text, expected = "", {}
    for index, keys in enumerate(tables):
        expected[("routes", index)] = text.count("\n") + 1
        expected.setdefault(("routes",), text.count("\n") + 1)
        text += "[[routes]]\n"
        for key in keys:
            expected[("routes", index, key)] = text.count("\n") + 1
            text += f"{key} = 1\n"
    tomllib.loads(text)
    assert lines(text) == expected


def test_dotted_and_quoted_keys_and_tables_below_an_entry() -> None:
    text = '[[a]]\nb."c.d" = 1\n[a.e]\nf = 2\n[[a]]\n[a.e]\nf = 3\n'
    tomllib.loads(text)
    found = lines(text)
    assert found[("a", 0, "b", "c.d")] == 2
    assert found[("a", 0, "e", "f")] == 4
    assert found[("a", 1, "e", "f")] == 7


def test_a_key_that_is_not_written_stands_where_its_table_does() -> None:
    found = lines("\n[a]\nb = 1\n")
    assert line_of(found, ("a", "missing")) == 2
    assert line_of(found, ("elsewhere", "x")) == 1


@given(st.text(max_size=200))
def test_the_scanner_ends_on_any_text(text: str) -> None:
    lines(text)
