"""Words, dates and parameters: the small readers under the walk, form by form."""

from __future__ import annotations

import binascii

import pytest

from mailboxes.anatomy import dissect
from mailboxes.dates import parse_date
from mailboxes.headers import Media, file_names, read_media
from mailboxes.words import base_subject, decode_part, decode_text, decode_words, preview, transfer_encoding, unfold


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b" plain \r\n", "plain"),
        (b"one\r\n two\r\n\tthree", "one two three"),
        (b"=?utf-8?Q?R=C3=A9sultat_d=27analyse?=", "Résultat d'analyse"),
        (b"=?ISO-8859-1?B?6XTp?= suite", "été suite"),
        (b"=?utf-8?q?a?= =?utf-8?q?b?=\r\n =?utf-8?q?c?=", "abc"),
        (b"=?utf-8?q?a?= x =?utf-8?q?b?=", "a x b"),
        (b"=?utf-8?q?=C3?= =?utf-8?q?=A9?=", "é"),
        (b"=?iso-8859-1?q?=E9?= =?utf-8?q?=C3=A9?=", "éé"),
        (b"=?utf-8*fr?q?=C3=A9?=", "é"),
        (b"=?windows-1252?q?=80?=", "€"),
        (b"=?unknown?q?abc?=", "abc"),
        (b"=?utf-16?b?/v8AYQ==?=", "þÿ a"),
        (b"=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        (b"=?utf-8?b?w6k?=", "é"),
        (b"=?utf-8?b?!!!!?=", ""),
        (b"a=?utf-8?q?b?=c", "abc"),
        ("été".encode(), "été"),
        ("été".encode("latin-1"), "été"),
        (b"a\x00\x1b[31mb", "a  [31mb"),
        (b"=?utf-8?q?a=0D=0ABcc:_x?=", "a  Bcc: x"),
        ("a\u2028b\x85c".encode(), "a b c"),
        (b"", ""),
    ],
)
def test_values_as_text(value: bytes, expected: str) -> None:
    assert decode_words(value) == expected


def test_only_so_many_words_are_decoded() -> None:
    assert decode_words(b"=?utf-8?q?a?= " * 3, limit=2) == "aa =?utf-8?q?a?="


def test_unfolding_keeps_inner_space() -> None:
    assert unfold(b" a\r\n\tb \r\n") == b"a\tb"


@pytest.mark.parametrize(
    ("data", "encoding", "expected"),
    [
        (b"w6k=\r\n", "base64", b"\xc3\xa9"),
        (b"w6\r\nk=", "BASE64 ", b"\xc3\xa9"),
        (b"w6k", "base64", b"\xc3\xa9"),
        (b"w6kx!", "base64", b"\xc3\xa9\x31"),
        (b"w6kxy", "base64", b"\xc3\xa9\x31"),
        (b"=C3=A9=\r\n!", "quoted-printable", b"\xc3\xa9!"),
        (b"=C3=ZZ", b"Quoted-Printable", b"\xc3=ZZ"),
        (b"un \t\r\ndeux=20\r\ntro= \r\nis\t", "quoted-printable", b"un\r\ndeux \r\ntrois"),
        (b"\t=09 \n \n", "quoted-printable", b"\t\t\n\n"),
        (b"as is", "8bit", b"as is"),
        (b"as is", "x-unheard-of", b"as is"),
    ],
)
def test_transfer_encodings(data: bytes, encoding: str | bytes, expected: bytes) -> None:
    assert decode_part(data, encoding) == expected
    assert decode_part(data, encoding, 1) == expected[:1]


def test_text_in_a_stated_or_missing_charset() -> None:
    assert decode_text(b"\xe9", "ISO-8859-15") == "é"
    assert decode_text(b"\xe9", "utf-8") == "\ufffd"
    assert decode_text(b"\xc3\xa9") == "é"
    assert decode_text(b"\xe9", "us-ascii") == "é"
    assert decode_text(b"+AGE-", "utf-7") == "+AGE-"


@pytest.mark.parametrize(
    ("subject", "text", "reply"),
    [
        ("Bonjour", "Bonjour", False),
        ("Re: Bonjour", "Bonjour", True),
        ("RE : re:Fwd:  Bonjour", "Bonjour", True),
        ("Re[2]: Bonjour", "Bonjour", True),
        ("[liste] Re: [liste] Bonjour", "Bonjour", True),
        ("[liste] Bonjour", "Bonjour", False),
        ("[seul]", "[seul]", False),
        ("Bonjour (fwd) (FWD)", "Bonjour", True),
        ("[Fwd: Bonjour]", "Bonjour", True),
        ("[fwd: [fwd: Re: Bonjour]]", "Bonjour", True),
        ("  a \t b ", "a b", False),
        ("Regarde: ceci", "Regarde: ceci", False),
        ("Re:", "", True),
        ("", "", False),
    ],
)
def test_base_subjects(subject: str, text: str, reply: bool) -> None:
    assert base_subject(subject) == (text, reply)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Mon, 02 Mar 2026 10:00:00 +0100", (1772442000, 60)),
        (b"2 Mar 2026 10:00 +0100", (1772442000, 60)),
        (b" Mon,  2 Mar 2026\r\n 10:00:00 +0100 (CET)\r\n", (1772442000, 60)),
        (b"Mon, 02 March 2026 09:00:00 GMT", (1772442000, 0)),
        (b"Monday, 02-Mar-26 09:00:00 GMT", (1772442000, 0)),
        (b"Mon, 02 Mar 2026 04:00:00 EST", (1772442000, -300)),
        (b"Mon, 02 Mar 2026 09:00:00 K", (1772442000, 0)),
        (b"Mon, 02 Mar 2026 09:00:00", (1772442000, 0)),
        (b"Mon, 02 Mar 126 09:00:00 -0000", (1772442000, 0)),
        (b"1 Jan 1970 00:00:00 +0000", (0, 0)),
        (b"29 Feb 2024 00:00:00 +0000", (1709164800, 0)),
        (b"31 Dec 2016 23:59:60 +0000", (1483228800, 0)),
        (b"19 Jan 2038 03:14:08 +0000", (2**31, 0)),
        (b"29 Feb 2025 00:00:00 +0000", None),
        (b"29 Feb 1900 00:00:00 +0000", None),
        (b"31 Apr 2026 00:00:00 +0000", None),
        (b"0 Mar 2026 00:00:00 +0000", None),
        (b"2 Mar 2026 24:00:00 +0000", None),
        (b"2 Mar 2026 10:60:00 +0000", None),
        (b"2 Mar 2026 10:00:00 +2500", None),
        (b"2 Mai 2026 10:00:00 +0000", None),
        (b"2026-03-02T10:00:00Z", None),
        ("٢ Mar 2026 10:00:00 +0000".encode(), None),
        (b"", None),
        (b"x" * 300, None),
    ],
)
def test_dates(value: bytes, expected: tuple[int, int] | None) -> None:
    assert parse_date(value) == expected


@pytest.mark.parametrize(
    ("value", "main", "sub", "parameters"),
    [
        (b" text/plain", b"text", b"plain", ()),
        (b"Text / HTML ; Charset = UTF-8", b"Text", b"HTML", ((b"Charset", b"UTF-8"),)),
        (b'a/b; x="1; y=2"; z=3', b"a", b"b", ((b"x", b"1; y=2"), (b"z", b"3"))),
        (b'a/b; x="a\\"b"', b"a", b"b", ((b"x", b'a"b'),)),
        (b'a/b; x="open', b"a", b"b", ((b"x", b"open"),)),
        (b"a/b (c;d=e) ; x=1 (y)", b"a", b"b", ((b"x", b"1"),)),
        (b'a/b; x="(kept)"', b"a", b"b", ((b"x", b"(kept)"),)),
        (b"a/b;;; x=1; junk; =2; y=3", b"a", b"b", ((b"x", b"1"), (b"y", b"3"))),
        (b"a/b; x=", b"a", b"b", ((b"x", b""),)),
        (b"a/b; n*1=B; n*0=A; n*3=D", b"a", b"b", ((b"n", b"AB"),)),
        (b"a/b; n*0*=utf-8''%C3; n*1=100%", b"a", b"b", ((b"n*", b"utf-8''%C3100%25"),)),
        (b"text", b"text", b"", ()),
        (b"/plain", b"", b"", ()),
        (b"", b"", b"", ()),
    ],
)
def test_structured_values(value: bytes, main: bytes, sub: bytes, parameters: object) -> None:
    assert read_media(value, 64) == Media(main, sub, parameters)


def test_too_many_parameters_are_cut() -> None:
    media = read_media(b"a/b" + b"; x=1" * 10, 4)
    assert media.overflow
    assert len(media.parameters) == 4


def test_names_of_a_file() -> None:
    media = read_media(
        b"a/b; name=\"=?utf-8?q?=E2=80=AEfdp.exe?=\"; filename*=utf-8'fr'r%C3%A9.pdf; filename*0=a; x=y", 9
    )
    assert set(file_names(media)) == {"=?utf-8?q?=E2=80=AEfdp.exe?=", "\u202efdp.exe", "ré.pdf", "a"}
    assert file_names(Media(b"a", b"b", ((b"filename*", b"no quotes%41"), (b"name", b"")))) == ("no quotesA",)


def test_previews() -> None:
    assert preview(b"a\r\n\r\n  b\tc", b"7bit", "utf-8", is_html=False) == "a b c"
    page = b"<html><head><title>t</title></head><!-- c --><body>1 &lt; 2<br>x<script>s</script>y <unclosed"
    assert preview(page, b"7bit", "", is_html=True) == "1 < 2 x y"
    assert preview(b"a<style>p", b"7bit", "", is_html=True) == "a"
    assert preview("İ<STYLE>x</STYLE>".encode(), b"8bit", "utf-8", is_html=True) == "İ"
    assert preview(b"x\x1by" * 300, b"7bit", "", is_html=False) == ("x y" * 300)[:200]


UUENCODED = b"x\r\nbegin 644 a.hpr\r\n#0V%T\r\n#0V%T\r\n`\r\nend\r\n"


@pytest.mark.parametrize("encoding", ["x-uuencode", "uuencode", "X-UUE"])
def test_what_old_programs_encoded_is_decoded(encoding: str) -> None:
    assert decode_part(UUENCODED, encoding) == b"CatCat"
    assert decode_part(b"begin 644 a\n#0V%T\nend\n", encoding) == b"Cat"
    for broken in (b"", b"no begin", b"begin 644 a\n", b"begin 644 a\n#0V%T\n\xff\xff\n", UUENCODED[:25]):
        assert decode_part(broken, encoding) in (b"", b"Cat")


def test_millions_of_short_lines_are_not_decoded_to_their_end() -> None:
    """A message of 25 MB of them would keep a thread, and with it the process, for ten seconds."""
    assert len(decode_part(b"begin 644 a\n" + b"!\n" * 200_000, "x-uuencode")) < 100_000
    whole = bytes(range(45)) * 60_000
    lines = b"".join(binascii.b2a_uu(whole[at : at + 45]) for at in range(0, len(whole), 45))
    assert decode_part(b"begin 644 a\n" + lines + b"`\nend\n", "x-uuencode") == whole


@pytest.mark.parametrize(
    "stated",
    [b"base64", b" BASE64 ", b"base64 (by x)", b"(a) base64", b'"base64"', b"base64; charset=utf-8", b"base64\tx"],
)
def test_a_transfer_encoding_is_one_word(stated: bytes) -> None:
    assert transfer_encoding(stated) == b"base64"
    raw = b"Content-Transfer-Encoding: " + stated + b"\r\n\r\nQ2F0"
    assert dissect(raw).parts[0].encoding == b"base64"


@pytest.mark.parametrize("stated", [b"", b"()", b";", b'""'])
def test_no_transfer_encoding_is_seven_bits(stated: bytes) -> None:
    assert transfer_encoding(stated) == b"7bit"
