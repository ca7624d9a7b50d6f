"""The readers of commands and of login messages never fail but by their own names."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp import sasl
from gateway.smtp.commands import Malformed, is_xtext, parse_mail, parse_rcpt
from policies.catalogue import rules

ascii_line = st.text(st.characters(max_codepoint=127), max_size=300)
WORDS = (
    'FROM: TO: <a@b.test> <> < > SIZE=1 NOTIFY=NEVER ORCPT=rfc822;a RET=FULL ENVID=+41 BODY=7BIT AUTH=<> = + \\ "'
    ' <"a"@c> <@x,@y:a@b.test> X=1'
)
pieces = st.sampled_from([*WORDS.split(" "), " ", "  ", "\t"])


def _rule_of(parse: Callable[[str], object], line: str) -> str:
    try:
        parse(line)
    except Malformed as fault:
        return fault.rule
    return ""


@given(st.one_of(ascii_line, st.lists(pieces, max_size=10).map("".join)))
def test_any_argument_is_read_or_named(line: str) -> None:
    for parse in (parse_mail, parse_rcpt):
        assert _rule_of(parse, line) in {"", *rules()}


def test_a_full_mail_command() -> None:
    command = parse_mail("from:<a@B.Test> size=42 BODY=8bitmime RET=hdrs ENVID=a+2Bb AUTH=<>")
    assert str(command.sender) == "a@b.test"
    assert (command.size, command.eight_bit, command.ret, command.envid) == (42, True, "HDRS", "a+2Bb")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=50))
def test_xtext_is_what_rfc_3461_writes(text: str) -> None:
    written = "".join(sign if sign not in "+= " else f"+{ord(sign):02X}" for sign in text)
    assert is_xtext(written)
    if any(sign in "= " for sign in text):
        assert not is_xtext(text)


@pytest.mark.parametrize("wrong", ["", "+", "+4", "+4g", "+2b", "a b", "a=b", "\x7f", "é", "+41+"])
def test_what_is_no_xtext(wrong: str) -> None:
    assert not is_xtext(wrong)


@given(st.binary(max_size=200))
def test_any_login_message_is_read_or_unreadable(octets: bytes) -> None:
    for read in (sasl.plain, sasl.oauthbearer, sasl.xoauth2, sasl.text):
        try:
            read(octets)
        except sasl.Unreadable:
            pass


@given(st.text(max_size=60))
def test_any_word_is_decoded_or_unreadable(word: str) -> None:
    try:
        sasl.decoded(word)
    except sasl.Unreadable:
        pass


def test_login_messages() -> None:
    assert sasl.plain(b"\0me\0pass word") == ("me", "pass word")
    assert sasl.plain(b"me\0me\0x") == ("me", "x")
    assert sasl.oauthbearer(b"n,a=u@h,\x01host=h\x01port=1\x01auth=Bearer abc\x01\x01") == ("u@h", "abc")
    assert sasl.oauthbearer(b"n,,\x01auth=bearer abc\x01\x01") == ("", "abc")
    assert sasl.oauthbearer(b"n,a=u=2Cv=3D,\x01auth=Bearer abc\x01\x01")[0] == "u,v="
    assert sasl.xoauth2(b"user=u@h\x01auth=Bearer abc\x01\x01") == ("u@h", "abc")
    assert sasl.decoded("=") == b""
    assert base64.b64decode(sasl.OAUTHBEARER_FAILURE).startswith(b"{")


@pytest.mark.parametrize(
    ("read", "octets"),
    [
        (sasl.plain, b"me\0pass"),
        (sasl.plain, b"\0me\0pa\0ss"),
        (sasl.plain, b"\0\0pass"),
        (sasl.plain, b"\0me\0"),
        (sasl.plain, b"root\0me\0pass"),
        (sasl.plain, b"\0\xff\0pass"),
        (sasl.oauthbearer, b"p=x,,\x01auth=Bearer a\x01\x01"),
        (sasl.oauthbearer, b"n,b=x,\x01auth=Bearer a\x01\x01"),
        (sasl.oauthbearer, b"n,,\x01auth=Bearer a\x01"),
        (sasl.oauthbearer, b"n,,\x01auth=Basic a\x01\x01"),
        (sasl.oauthbearer, b"n,,\x01auth=Bearer \x01\x01"),
        (sasl.oauthbearer, b"n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01"),
        (sasl.xoauth2, b"auth=Bearer a\x01\x01"),
    ],
)
def test_what_is_no_login_message(read: object, octets: bytes) -> None:
    with pytest.raises(sasl.Unreadable):
        read(octets)  # type: ignore[operator]
