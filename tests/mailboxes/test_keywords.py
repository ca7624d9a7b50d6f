"""Keywords as the database holds them: sealed per mailbox, the same word always alike, a damaged one left out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes import flags, keywords
from mailboxes.keywords import MARK, Keywords, any_sealed
from mailboxes.store import Entry
from tests.mailboxes.test_flags import WORDS

MINE, OTHERS = Keywords(b"m" * 32), Keywords(b"o" * 32)
LABELS = [*WORDS, "Dupont_Jean", "dupont_jean", "$label3", "Diab%te", "é", "\\Dupont", MARK, "x" * 100]


@given(st.frozensets(st.sampled_from(LABELS), max_size=6))
def test_what_is_sealed_opens_again(chosen: frozenset[str]) -> None:
    given_flags = flags.canonical(chosen)
    stored = MINE.sealed(given_flags)
    assert MINE.opened(stored) == given_flags
    assert MINE.lost(stored) == ""
    clear = [word for word in stored.split() if not word.startswith(MARK)]
    assert {word.lower() for word in clear} <= keywords.PUBLIC | set(flags.SYSTEM)
    assert MINE.sealed(given_flags) == Keywords(b"m" * 32).sealed(given_flags) == stored
    assert re.fullmatch("[!-~ ]*", stored)


@pytest.mark.parametrize("text", ["", "\\Answered \\Seen", "\\Seen $Forwarded $MDNSent", "$Label1 NonJunk junk"])
def test_ordinary_mail_costs_nothing(text: str) -> None:
    assert MINE.sealed(text) == text == MINE.opened(text)
    assert not any_sealed([Entry(1, 1, text, 0, 0, 0, 0, b"", 0)])


def test_a_token_tells_neither_the_word_nor_its_length_nor_that_another_mailbox_has_it() -> None:
    tokens = {MINE.sealed(word) for word in ("Dupont_Jean", "Diabete", "a")}
    assert {len(token) for token in tokens} == {61}
    assert len(tokens) == 3
    assert MINE.sealed("Diabete") != OTHERS.sealed("Diabete")


@pytest.mark.parametrize("lost", [OTHERS.sealed("Diabete"), MARK, MARK + "é", MARK + "AAAA", MINE.sealed("a")[:-5]])
def test_what_cannot_be_opened_is_left_out_and_stays_where_it_was(lost: str) -> None:
    stored = f"\\Seen {lost} {MINE.sealed('Urgent')}"
    assert MINE.opened(stored) == "\\Seen Urgent"
    assert MINE.lost(stored) == lost
    again = MINE.sealed("Urgent", stored)
    assert (MINE.opened(again), MINE.lost(again)) == ("Urgent", lost)
    assert MINE.sealed("", lost) == lost


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keywords, "REMEMBERED", 3)
    words = Keywords(b"m" * 32)
    for number in range(10):
        assert words.opened(words.sealed(f"Label{number}")) == f"Label{number}"
    assert max(len(words._opened), len(words._sealed)) <= 3
