"""Replies: ASCII, short lines, French then English, the rule's name, no private detail, no injected line."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp import replies
from policies.catalogue import rule, rules
from policies.decision import Decision, Rule, Verdict, decide, parameters_of

LONG = Rule(
    "test.long",
    Verdict.REFUSE,
    550,
    "5.7.1",
    "Un cœur « été » {word}",
    "An {word}",
    ("RFC 5321",),
    "Écrivez à l’opérateur.",
)


def lines_of(reply: bytes) -> list[str]:
    assert reply.endswith(b"\r\n")
    return reply[:-2].decode("ascii").split("\r\n")


def test_every_rule_of_the_catalogue_makes_a_good_reply() -> None:
    for each in rules().values():
        decision = decide(each, "private detail", **dict.fromkeys(parameters_of(each), "valeur"))
        lines = lines_of(replies.reply(decision))
        assert len(lines) >= 2
        for number, line in enumerate(lines):
            assert len(line) <= 510
            mark = " " if number == len(lines) - 1 else "-"
            assert line.startswith(f"{each.code}{mark}{each.enhanced} ")
            assert line.endswith(f" [{each.name}]")
            assert "private" not in line
            assert "?" not in line.replace("?", "", each.fr.count("?") + each.en.count("?"))


def test_french_comes_first_without_accents() -> None:
    lines = lines_of(replies.reply(decide(LONG, word="naïve")))
    assert lines[0] == '550-5.7.1 Un coeur "ete" naive Ecrivez a l\'operateur. [test.long]'
    assert lines[1] == "550 5.7.1 An naive [test.long]"


def test_the_first_and_the_last_line_say_what_is_wrong() -> None:
    """Some mail programs show one line of a reply."""
    lines = lines_of(replies.reply(replace(decide(LONG, word="x"), reference="01ABC")))
    assert len(lines) == 3
    assert lines[0].startswith('550-5.7.1 Un coeur "ete" x')
    assert "01ABC" in lines[1]
    assert lines[2] == "550 5.7.1 An x [test.long]"


@given(st.text(max_size=2000))
def test_no_parameter_can_break_a_reply(word: str) -> None:
    lines = lines_of(replies.reply(decide(LONG, word=word)))
    for line in lines:
        assert len(line) <= 510
        assert line.isprintable()
        assert line.endswith(" [test.long]")
        assert line[:3] == "550"
    assert [line[3] for line in lines] == ["-"] * (len(lines) - 1) + [" "]


def test_a_long_word_is_cut() -> None:
    lines = lines_of(replies.reply(decide(LONG, word="x" * 3000)))
    assert sum(line.count("x") for line in lines) == 6000


def test_two_acceptances_in_one_reply() -> None:
    note = Decision(Rule("test.note", Verdict.NOTE, 250, "2.0.0", "Attention", "Careful", ("RFC 5321",)))
    taken = decide(rule("session.message_accepted"), identifier="abc")
    lines = lines_of(replies.joined(taken, note))
    assert len(lines) == 4
    assert lines[-1] == "250 2.0.0 Careful [test.note]"
    assert "abc" in lines[0]
