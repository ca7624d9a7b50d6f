"""Flags in one spelling: STORE's three operations, without regard to case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes import flags

WORDS = ["\\Seen", "\\SEEN", "\\flagged", "\\Recent", "Work", "work", "$Junk", "a", "Z"]
named = st.frozensets(st.sampled_from(WORDS), max_size=5)


@pytest.mark.parametrize(
    ("given_flags", "canonical"),
    [
        ([], ""),
        (["\\seen", "\\Recent", "\\SEEN"], "\\Seen"),
        (["b", "\\Flagged", "a", "\\answered"], "\\Answered \\Flagged a b"),
        (["Work", "WORK"], "Work"),
        (["\\Other"], "\\Other"),
    ],
)
def test_the_canonical_rendering(given_flags: list[str], canonical: str) -> None:
    assert flags.canonical(given_flags) == canonical
    assert flags.canonical_text(" ".join(given_flags)) == canonical


@given(named, named)
def test_operations_are_those_of_sets_without_case(before: frozenset[str], change: frozenset[str]) -> None:
    start = flags.canonical(before)

    def lower(text: str) -> set[str]:
        return set(text.lower().split())

    wanted = {flag.lower() for flag in change} - {"\\recent"}
    assert lower(flags.change(start, "add", change)) == lower(start) | wanted
    assert lower(flags.change(start, "remove", change)) == lower(start) - wanted
    assert lower(flags.change(start, "set", change)) == wanted
    assert flags.canonical_text(flags.change(start, "add", change)) == flags.change(start, "add", change)


def test_a_keyword_keeps_the_spelling_it_had() -> None:
    assert flags.change("Work", "add", frozenset({"WORK"})) == "Work"
    assert flags.change("Work", "set", frozenset({"WORK"})) == "Work"


def test_a_flag_is_a_whole_word() -> None:
    assert flags.has("\\Deleted \\Seen", "\\Seen")
    assert not flags.has("\\SeenByOthers", "\\Seen")
    assert not flags.has("", "\\Seen")
