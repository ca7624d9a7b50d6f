"""The walk over a message: facts, parts, what IMAP serves, and the words for what is odd."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailboxes.anatomy import (
    AMBIGUOUS,
    OVER_LIMIT,
    BadSummary,
    Limits,
    dissect,
    header_end,
    pack,
    section,
    unpack,
)
from mailboxes.headers import MOST_NAMES, fields, select, values
from mailboxes.summary import HEADER_KEPT
from policies.values import Address
from tests.mailboxes.imap_tokens import read_value
from tests.mailboxes.mail_samples import HEAD, INNER, SAMPLES, lines


def cut(data: bytes, path: tuple[int, ...], what: str = "") -> bytes | None:
    span = section(unpack(pack(dissect(data))), path, what)
    return None if span is None else data[span[0] : span[1]]


# --------------------------------------------------------------------------- facts


FULL = lines(
    "Received: one",
    "Received: two",
    'From: "Test, Anne" <anne@op-a.test>',
    "Sender: secretariat@op-a.test",
    "Reply-To: a@b.test, c@d.test",
    "To: Bob <bob@op-b.test>",
    "Disposition-Notification-To: anne@op-a.test",
    "Subject: =?utf-8?q?R=C3=A9sultat?=",
    " du 2 mars",
    "Date: Mon, 02 Mar 2026 10:00:00 +0100",
    "Message-ID: <1@op-a.test>",
    "In-Reply-To: <0@op-b.test>",
    "References: <a@x.test>",
    "\t<0@op-b.test>",
    "Auto-Submitted: Auto-Replied; owner=x",
    "X-MSS-NIL: DEV935997",
    "X-MSS-INS: O",
    "",
    "corps",
)


def test_facts_of_a_full_header() -> None:
    a = dissect(FULL)
    assert a.size == len(FULL)
    assert FULL[a.header_end :] == b"corps\r\n"
    assert a.header == FULL[: a.header_end]
    assert a.from_addresses == (Address("anne", "op-a.test"),)
    assert (a.from_fields, a.received) == (1, 2)
    assert a.sender.addresses == (Address("secretariat", "op-a.test"),)
    assert [str(each) for each in a.reply_to.addresses] == ["a@b.test", "c@d.test"]
    assert a.listed(b"disposition-notification-to").addresses == (Address("anne", "op-a.test"),)
    assert a.subject == "Résultat du 2 mars"
    assert a.date is not None
    assert (a.date.epoch, a.date.offset) == (1772442000, 60)
    assert a.message_id == "<1@op-a.test>"
    assert a.in_reply_to == ("<0@op-b.test>",)
    assert a.references == ("<a@x.test>", "<0@op-b.test>")
    assert a.auto_submitted == "auto-replied"
    assert a.mss == {"NIL": "DEV935997", "INS": "O"}
    assert a.preview == "corps"
    assert not a.eight_bit
    assert a.problems == frozenset()


def test_a_missing_and_an_unreadable_address_field_are_told_apart() -> None:
    a = dissect(lines("From: alice@op-a.test)bob@evil.test", "Reply-To: a@b.test c@d.test", "", "x"))
    assert a.from_addresses == ()
    assert (a.listed(b"from").present, a.listed(b"from").problem) == (True, "unbalanced")
    assert a.reply_to.problem == "two_at"
    assert not a.sender.present
    assert a.sender.problem == ""


def test_addresses_of_a_repeated_field_are_all_given() -> None:
    a = dissect(lines("From: a@b.test", "From: c@d.test", "", "x"))
    assert [str(each) for each in a.from_addresses] == ["a@b.test", "c@d.test"]
    assert a.from_fields == 2
    assert "duplicate_field" in a.problems


def test_fields_point_into_the_message() -> None:
    found = dissect(FULL).fields
    assert [field.name for field in found[:4]] == [b"received", b"received", b"from", b"sender"]
    assert FULL[found[7].start : found[7].end] == b"Subject: =?utf-8?q?R=C3=A9sultat?=\r\n du 2 mars\r\n"
    assert FULL[found[3].value_start : found[3].end] == b" secretariat@op-a.test\r\n"


def test_every_name_an_attachment_may_take() -> None:
    a = dissect(
        lines(
            *HEAD,
            "Content-Type: multipart/mixed; boundary=b",
            "",
            "--b",
            'Content-Type: application/octet-stream; name="=?utf-8?q?virus=2Eexe?="',
            "Content-Disposition: attachment; filename=innocent.pdf; filename*=utf-8''r%C3%A9sultat.com",
            "",
            "x",
            "--b",
            "Content-Type: application/pdf; name*0*=iso-8859-1''r%E9; name*1=sultat.scr",
            "",
            "x",
            "--b--",
        )
    )
    assert set(a.file_names) == {
        "=?utf-8?q?virus=2Eexe?=",
        "virus.exe",
        "innocent.pdf",
        "résultat.com",
        "résultat.scr",
    }


def test_names_that_only_lenient_programs_see() -> None:
    a = dissect(
        lines(
            "Content-Type: application/pdf; name=facture.pdf .exe",
            "Content-Disposition: attachment; filename=a.pdf",
            "content-disposition: attachment; FileName=b.scr",
            "",
            "x",
        )
    )
    assert {"facture.pdf .exe", "a.pdf", "b.scr"} <= set(a.file_names)


# --------------------------------------------------------------------------- parts and sections


def test_parts_of_nested_multiparts() -> None:
    data = SAMPLES["nested"]
    a = dissect(data)
    assert [part.full_type for part in a.parts] == [
        "multipart/mixed",
        "multipart/related",
        "text/html",
        "image/png",
        "application/pdf",
    ]
    assert [part.parent for part in a.parts] == [-1, 0, 1, 1, 0]
    assert a.parts[0].children == [1, 4]
    assert [data[p.body_start : p.body_end] for p in a.parts[2:]] == [b"<img>", b"AAAA", b"BBBB"]
    assert a.parts[3].encoding == b"base64"
    assert a.parts[2].encoding == b"7bit"


def test_sections_of_nested_multiparts() -> None:
    data = SAMPLES["nested"]
    assert cut(data, ()) == data
    assert cut(data, (), "HEADER") == data[: data.index(b"\r\n\r\n") + 4]
    assert cut(data, (), "TEXT") == data[data.index(b"\r\n\r\n") + 4 :]
    assert cut(data, (1, 1)) == b"<img>"
    assert cut(data, (1, 2)) == b"AAAA"
    assert cut(data, (1, 1), "MIME") == b"Content-Type: text/html\r\n\r\n"
    assert cut(data, (2,)) == b"BBBB"
    for missing in ((0,), (3,), (1, 3), (1, 1, 1), (2, 1)):
        assert cut(data, missing) is None
    assert cut(data, (2,), "HEADER") is None
    assert cut(data, (), "MIME") is None


def test_sections_of_a_single_part() -> None:
    data = SAMPLES["plain"]
    assert cut(data, (1,)) == cut(data, (), "TEXT") == b"Bonjour\r\n\r\nAu revoir\r\n"
    assert cut(data, (2,)) is None
    assert cut(data, (1, 1)) is None


def test_sections_of_a_forwarded_message() -> None:
    data = SAMPLES["forwarded"]
    inner = lines(*INNER)[:-2]
    assert cut(data, (2,)) == inner
    assert cut(data, (2,), "HEADER") == b"From: i@op-a.test\r\nSubject: inside\r\n\r\n"
    assert cut(data, (2,), "TEXT") == cut(data, (2, 1)) == b"inner text\r\nsecond line"
    assert cut(data, (2, 2)) is None
    data = SAMPLES["forwarded_multipart"]
    assert cut(data, (1, 2)) == b"<b>one</b>"
    assert cut(data, (1, 2), "MIME") == b"Content-Type: text/html\r\n\r\n"


def test_selecting_fields_keeps_them_as_written() -> None:
    header = b"From: a\r\nX: 1\r\n folded\r\nfrom: b\r\nnonsense\r\n\r\n"
    assert select(header, (b"From",)) == b"From: a\r\nfrom: b\r\n\r\n"
    assert select(header, (b"from",), exclude=True) == b"X: 1\r\n folded\r\n\r\n"
    assert select(b"From: a", (b"from",)) == b"From: a\r\n\r\n"
    assert [field.name for field in fields(header)] == [b"from", b"x", b"from"]


_PIECES = [
    b"From",
    b"to",
    b"X",
    b":",
    b": a",
    b" ",
    b"\t",
    b"\r\n",
    b"\n",
    b"\r",
    b"=?utf-8?q?=C3=A9?=",
    b"\xe9",
    b"\0",
]
_NAMES = [b"FROM", b"to", b"x", b"", b"To:", b"fr", b"a b", b"(", b"\xe9", b"y"]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(_PIECES), max_size=30).map(b"".join), st.lists(st.sampled_from(_NAMES), max_size=4))
def test_looking_for_some_fields_finds_what_reading_all_does(header: bytes, names: list[bytes]) -> None:
    lower = {name.lower() for name in names}
    read = [field for field in fields(header) if field.name in lower]
    kept = b"".join(header[field.start : field.end] for field in read)
    ended = b"" if kept.endswith(b"\n") or not kept else b"\r\n"
    assert select(header, tuple(names)) == kept + ended + b"\r\n"
    assert select(header, tuple(names) + (b"none",) * MOST_NAMES) == kept + ended + b"\r\n"
    for name in lower:
        held = [header[field.value_start : field.end].removesuffix(b"\n") for field in read if field.name == name]
        assert list(values(header, name)) == held


# --------------------------------------------------------------------------- summary


def test_a_summary_says_what_the_anatomy_said() -> None:
    a = dissect(FULL)
    s = unpack(pack(a))
    assert (s.envelope, s.bodystructure, s.body) == (a.envelope, a.bodystructure, a.body)
    assert (s.size, s.header_end, s.date) == (a.size, a.header_end, a.date)
    assert (s.preview, s.subject) == ("corps", "Résultat du 2 mars")
    assert s.sender == '"Test, Anne" <anne@op-a.test>'
    assert s.to == "Bob <bob@op-b.test>"
    assert (s.cc, s.bcc) == ("", "")
    assert (s.message_id, s.in_reply_to) == ("<1@op-a.test>", ("<0@op-b.test>",))
    assert s.references == ("<a@x.test>", "<0@op-b.test>")
    assert (s.first_from, s.first_to, s.first_cc) == ("anne", "bob", "")
    assert s.base_subject == ("Résultat du 2 mars", False)
    assert len(s) == len(pack(a))


def test_a_summary_of_a_message_with_a_header_block_put_before_it() -> None:
    data, added = SAMPLES["forwarded"], b"Received: from x by y; now\r\n"
    stored = added + data
    s = unpack(pack(dissect(data), stored))
    again = unpack(pack(dissect(stored)))
    assert s.size == len(stored)
    for path, what in [
        ((), ""),
        ((), "HEADER"),
        ((), "TEXT"),
        ((1,), ""),
        ((2,), "MIME"),
        ((2,), "HEADER"),
        ((2, 1), ""),
    ]:
        assert section(s, path, what) == section(again, path, what)
    assert s.header == again.header == stored[: again.header_end]


@pytest.mark.parametrize("length", [0, HEADER_KEPT - 200, HEADER_KEPT + 200])
def test_a_summary_holds_the_header_block_unless_it_is_long(length: int) -> None:
    data = b"From: a@b.test\r\nX-Long: " + b"x" * length + b"\r\n\r\nbody\r\n"
    expected = None if length > HEADER_KEPT else data[: -len(b"body\r\n")]
    assert unpack(pack(dissect(data))).header == expected


@pytest.mark.parametrize("data", [*SAMPLES.values(), b"", b"\r\n", b"\n", b"\r\nx", b"A: b", b"A: b\r\n", b"A: b\n\nx"])
def test_the_end_of_the_header_is_found_without_the_walk(data: bytes) -> None:
    assert header_end(data) == dissect(data).header_end


def test_a_message_without_date_has_none() -> None:
    assert unpack(pack(dissect(b"\r\nx"))).date is None


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x00" * 200, b"{}" * 100])
def test_foreign_bytes_are_no_summary(data: bytes) -> None:
    with pytest.raises(BadSummary):
        unpack(data)


# --------------------------------------------------------------------------- what IMAP answers


def test_an_envelope_written_out() -> None:
    assert dissect(SAMPLES["addresses"]).envelope == (
        b'(NIL "x" (("Dupont, Anne" NIL "anne" "op-a.test")) (("Le Secretariat" NIL "secretariat" "op-a.test"))'
        b' ((NIL NIL "Groupe" NIL)(NIL NIL "a" "b.test")("C D" NIL "c" "d.test")(NIL NIL NIL NIL))'
        b' ((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL))'
        b' (("Jean \\"le\\" Brun" NIL "j" "b.test")(NIL NIL "k" "b.test")(NIL NIL "l" "b.test"))'
        b' (("Dr. House" NIL "h" "b.test")) "<0@op-a.test>" NIL)'
    )


def test_an_unreadable_list_is_shown_as_it_can_be() -> None:
    a = dissect(lines("From: Bob <bob>, x)y@z.test, <a@b.test", "To: ,", "", ""))
    assert a.envelope.startswith(
        b'(NIL NIL (("Bob" NIL "bob" "MISSING_DOMAIN")(NIL NIL "x)y" "z.test")(NIL NIL "a" "b.test"))'
    )
    assert a.envelope.endswith(b" NIL NIL NIL NIL NIL)")


def test_eight_bit_values_are_literals() -> None:
    assert b"{5}\r\n\xc3\xa9t\xc3\xa9 " in dissect(SAMPLES["utf8_subject"]).envelope


def test_a_nul_never_reaches_an_imap_client() -> None:
    a = dissect(b'Subject: a\0b\r\nContent-Type: text/plain; name="x\0y"\r\n\r\n\0')
    assert b"{3}\r\na\x80b" in a.envelope
    assert b"\0" not in pack(a).partition(a.envelope)[2][: len(a.bodystructure)]


@pytest.mark.parametrize("name", SAMPLES)
def test_answers_are_balanced_imap(name: str) -> None:
    a = dissect(SAMPLES[name])
    for answer in (a.envelope, a.bodystructure, a.body):
        value, end = read_value(answer, 0)
        assert end == len(answer)
        assert isinstance(value, list)


# --------------------------------------------------------------------------- problems


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"A: b\r\n\r\nx\ry", {"bare_cr"}),
        (b"A: b\r\n\r\nx\ny", {"bare_lf"}),
        (b"A: b\r\n\r\nx\0y", {"nul"}),
        (b"A: b\r\nnonsense\r\n\r\nx", {"stray_header_line"}),
        (b"A: b\r\nC: d", {"no_header_end"}),
        (b"", {"no_header_end"}),
        (b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\n", {"duplicate_content_type"}),
        (SAMPLES["unterminated"], {"unterminated"}),
        (SAMPLES["no_boundary"], {"no_boundary"}),
        (lines("Content-Type: message/partial; id=x; number=1", "", "x"), {"partial"}),
        (
            lines("Content-Type: message/rfc822", "Content-Transfer-Encoding: base64", "", "A: b", "", "x"),
            {"encoded_container"},
        ),
        (lines("Subject: a", "subject: b", "", "x"), {"duplicate_field"}),
        (SAMPLES["xdm"], set()),
    ],
)
def test_each_oddity_has_its_word(data: bytes, expected: set[str]) -> None:
    problems = dissect(data).problems
    assert problems == expected
    assert problems <= AMBIGUOUS


SMALL = Limits(size=2000, header=300, fields=10, depth=3, parts=5, parameters=4)
MIXED = "Content-Type: multipart/mixed; boundary=b"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"A: b\r\n\r\n" + b"x" * 2000, "too_large"),
        (b"A: " + b"b" * 300 + b"\r\n\r\nx", "header_too_large"),
        (b"A: b\r\n" * 11 + b"\r\nx", "too_many_fields"),
        (lines(MIXED, "", *["--b\r\n\r\nx"] * 6, "--b--"), "too_many_parts"),
        (lines("Content-Type: text/plain; a=1; b=2; c=3; d=4; e=5", "", "x"), "too_many_parameters"),
        (lines("Content-Disposition: inline; a=1; b=2; c=3; d=4; e=5", "", "x"), "too_many_parameters"),
        (b"Content-Type: message/rfc822\r\n\r\n" * 4 + b"x", "too_deep"),
        (
            b"".join(b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (i, i) for i in range(4)),
            "too_deep",
        ),
    ],
)
def test_each_limit_has_its_word_and_stops_the_walk(data: bytes, expected: str) -> None:
    a = dissect(data, SMALL)
    assert expected in a.problems
    assert a.problems & OVER_LIMIT
    assert len(a.parts) <= SMALL.parts
    assert all(part.body_end <= len(data) for part in a.parts)


def test_a_reader_of_data_may_have_checked_line_ends_already() -> None:
    assert dissect(b"A: b\r\n\r\nx\ny", line_ends_checked=True).problems == frozenset()


def test_the_walk_takes_any_buffer() -> None:
    data = SAMPLES["nested"]
    assert pack(dissect(bytearray(data))) == pack(dissect(memoryview(data))) == pack(dissect(data))


# --------------------------------------------------------------------------- preview


def test_preview_prefers_plain_text_and_decodes_it() -> None:
    assert dissect(SAMPLES["xdm"]).preview == "Ci-joint le compte rendu à lire"
    html = lines(
        *HEAD, "Content-Type: text/html; charset=utf-8", "", "<style>p{}</style><p>&eacute;t&eacute; <b>chaud</b></p>"
    )
    assert dissect(html).preview == "été chaud"
    assert dissect(SAMPLES["alternative"]).preview == "texte"
    attached = lines(*HEAD, "Content-Type: text/plain", "Content-Disposition: attachment", "", "secret")
    assert dissect(attached).preview == ""
    assert len(dissect(lines(*HEAD, "", "mot " * 200)).preview) == 200
