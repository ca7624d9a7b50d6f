"""Hostile bytes: the walk never raises, its answers stay sane, and its cost grows with the size only.

Cost is counted, not timed: calls made (Python and C) and bytes searched. One test per hostile shape also holds the
promise of two seconds of processor time per message, with an order of magnitude to spare.
"""

from __future__ import annotations

import codecs
import sys
import time
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailboxes.anatomy import (
    AMBIGUOUS,
    LIMITS,
    OVER_LIMIT,
    Anatomy,
    Limits,
    decode_part,
    decode_words,
    dissect,
    header_end,
    pack,
    parse_date,
    section,
    unpack,
)
from mailboxes.mime import walk
from mailboxes.summary import HEADER_KEPT
from tests.mailboxes.imap_tokens import read_value
from tests.mailboxes.mail_samples import SAMPLES

FACTS = [
    "fields",
    "from_addresses",
    "sender",
    "reply_to",
    "received",
    "auto_submitted",
    "message_id",
    "in_reply_to",
    "references",
    "mss",
    "file_names",
]


def check(data: bytes, limits: Limits | None = None) -> Anatomy:
    """Everything that holds for any bytes."""
    a = dissect(data, limits) if limits else dissect(data)
    assert a.problems <= OVER_LIMIT | AMBIGUOUS
    assert 0 <= a.header_end <= len(data)
    for part in a.parts:
        assert 0 <= part.header_start <= part.body_start <= part.body_end <= len(data)
        if part.parent >= 0:
            parent = a.parts[part.parent]
            assert parent.index < part.index
            assert parent.body_start <= part.header_start
            assert part.body_end <= parent.body_end
    for name in FACTS:
        getattr(a, name)
    summary = unpack(pack(a))
    assert summary.header == data[: a.header_end] or a.header_end > HEADER_KEPT
    if limits is None and len(data) <= LIMITS.header:
        assert header_end(data) == a.header_end
    for answer in (summary.envelope, summary.bodystructure, summary.body):
        assert read_value(answer, 0)[1] == len(answer)
    assert len(summary.preview) <= 200
    assert summary.preview == "" or summary.preview.isprintable()
    assert not set(summary.subject) & set("\r\n\0")
    for path in ((), (1,), (2,), (1, 1), (1, 2, 1), (1,) * 300):
        for what in ("", "HEADER", "TEXT", "MIME"):
            span = section(summary, path, what)
            assert span is None or 0 <= span[0] <= span[1] <= len(data)
    return a


PIECES = [
    b"Content-Type: ", b"multipart/mixed", b"multipart/digest", b"message/rfc822", b"text/plain", b"; boundary=", b"b",
    b'"', b"--b", b"--b--", b"\r\n", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b"From: ", b"a@b.test",
    b"Subject: ", b"=?utf-8?q?=0ABcc:_x?=", b"=?utf-8?b?/w==?=", b"<", b">", b"(", b")", b",", b";", b":", b"\\", b"x" * 80,
    b"Content-Transfer-Encoding: base64", b"Content-Disposition: attachment", b"; filename*0*=", b"; name=", b"utf-8''%ff",
    b"Date: ", b"Mon, 2 Mar 2026 10:00:00 +0100", b"\xc3\xa9", b"\xff", b"<style>", b"Message-ID: <x@y>", b"References: ",
]  # fmt: skip


@settings(max_examples=400)
@given(st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join))
def test_scrambled_mail(data: bytes) -> None:
    check(data)
    check(data, Limits(size=200, header=60, fields=3, depth=2, parts=3, parameters=2, addresses=2, search=2))


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    check(data)
    decode_words(data)
    decode_words(b"=?" + data + b"?=")
    parse_date(data)
    for encoding in ("base64", "quoted-printable", "7bit", "x-unknown"):
        assert len(decode_part(data, encoding, 20)) <= 20


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_cut_anywhere_and_with_flipped_bytes(name: str) -> None:
    data = SAMPLES[name]
    chance = Random(name)
    for _ in range(30):
        check(data[: chance.randrange(len(data) + 1)])
        changed = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            changed[chance.randrange(len(changed))] = chance.choice(b'\r\n\0"<>();:-=ab \xe9')
        check(bytes(changed))


# --------------------------------------------------------------------------- the hostile list (reliability.md)

HEAD = b"From: a@b.test\r\nTo: c@d.test\r\n"
MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"


def nested(depth: int) -> bytes:
    opened = b"".join(
        b"Content-Type: multipart/mixed; boundary=_%04d_\r\n\r\n--_%04d_\r\n" % (i, i) for i in range(depth)
    )
    closed = b"".join(b"\r\n--_%04d_--\r\n" % i for i in reversed(range(depth)))
    return HEAD + opened + b"\r\nx" + closed


# name: (writes the message for a size n, n, words that must be among the problems)
HOSTILE: dict[str, tuple[Callable[[int], bytes], int, set[str]]] = {
    "encoded_words": (lambda n: HEAD + b"Subject:" + b"\r\n =?utf-8?q?a=C3=A9?=" * n + b"\r\n\r\nx", 20_000, {"header_too_large"}),
    "encoded_words_in_bounds": (lambda n: HEAD + b"Subject:" + b"\r\n =?utf-8?q?a=C3=A9?=" * n + b"\r\n\r\nx", 10_000, set()),
    "encoded_word_starts": (lambda n: HEAD + b"Subject: " + b"=?a?q?" * n + b"\r\n\r\nx", 40_000, set()),
    "to_addresses": (lambda n: b"To: " + b", ".join([b"a@b.test"] * n) + b"\r\n\r\nx", 20_000, set()),
    "from_addresses": (lambda n: b"From: " + b", ".join([b"A (c) <a@b.test>"] * n) + b"\r\n\r\nx", 12_000, set()),
    "no_addresses": (lambda n: b"".join([b"%b: root, %b\r\n" % (field, b"(abc);" * n) for field in (b"From", b"Sender", b"To", b"Cc")]) + b"\r\nx", 9_000, set()),
    "marks_among_addresses": (lambda n: b"".join([b"%b: root, %b\r\n" % (b"Cc", mark * n) for mark in (b'"', b"<@", b'\\"', b"a@:", b"((")]) + b"\r\nx", 20_000, set()),
    "parameters": (lambda n: b"Content-Type: text/plain" + b"; name*1*=b" * n + b"\r\n\r\nx", 5_000, {"too_many_parameters"}),
    "comments": (lambda n: b"Reply-To: " + b"(" * n + b"a@b.test" + b")" * n + b"\r\nContent-Type: text/plain " + b"(" * n + b"\r\n\r\n", 20_000, set()),
    "quotes": (lambda n: b"From: " + b'"' * n + b"\r\nContent-Type: text/plain;" + b'"' * n + b"\r\n\r\n", 100_000, set()),
    "semicolons": (lambda n: b"Content-Type: text/plain" + b";" * n + b"\r\n\r\n", 200_000, set()),
    "ats": (lambda n: b"From: " + b"a@" * n + b"\r\n\r\n", 100_000, set()),
    "depth": (nested, 1_000, {"too_deep"}),
    "depth_of_messages": (lambda n: b"Content-Type: message/rfc822\r\n\r\n" * n, 5_000, {"too_deep"}),
    "depth_under_a_large_body": (lambda n: nested(95).partition(b"\r\nx")[0] + b"\r\n\r\n" + b"\r\n-" * n, 3_000_000, {"too_deep"}),
    "messages_over_a_large_body": (lambda n: b"Content-Type: message/rfc822\r\n\r\n" * 90 + b"\r\n" * n, 5_000_000, set()),
    "same_boundary": (lambda n: HEAD + (MIXED + b"--b\r\n") * n, 1_000, {"too_deep"}),
    "parts": (lambda n: HEAD + MIXED + b"--b\r\n\r\nx\r\n" * n + b"--b--", 100_000, {"too_many_parts"}),
    "multiparts": (lambda n: HEAD + MIXED + (b"--b\r\n" + MIXED.replace(b"=b", b"=c") + b"--c\r\n\r\n") * n, 20_000, {"too_many_parts"}),
    "names_of_parts": (lambda n: HEAD + MIXED + (b'--b\r\nContent-Type: a/b; name="' + b"\r\n =?utf-8?q?=C3=A9?=" * 1_200 + b'"\r\n\r\nx\r\n') * n + b"--b--", 900, {"header_too_large"}),
    "dashes": (lambda n: HEAD + MIXED + b"\r\n--" * n, 2_000_000, {"unterminated"}),
    "header_line": (lambda n: b"Subject: " + b"x" * n + b"\r\n\r\nx", 30_000_000, {"header_too_large"}),
    "header_lines": (lambda n: b"X: y\r\n" * n + b"\r\nx", 5_000_000, {"header_too_large"}),
    "fields": (lambda n: b"X: y\r\n" * n + b"\r\nx", 40_000, {"too_many_fields"}),
    "no_newline": (lambda n: b"x" * n, 10_000_000, {"header_too_large"}),
    "newlines": (lambda n: HEAD + b"\r\n" * n, 5_000_000, set()),
    "nuls": (lambda n: HEAD + b"\r\n" + b"\0" * n, 5_000_000, {"nul"}),
    "html": (lambda n: b"Content-Type: text/html\r\n\r\n" + b"<style<!--" * n, 500_000, set()),
    "subject_marks": (lambda n: b"Subject: " + b"[a]" * n + b"re:" * n + b"[fwd:" * n + b"\r\n\r\n", 20_000, set()),
    "references": (lambda n: b"References: " + b"<a@b>" * n + b"<" * n + b"\r\n\r\n", 40_000, set()),
    "date": (lambda n: b"Date: " + b"(1 " * n + b"\r\n\r\n", 60_000, set()),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_is_told_and_costs_little(name: str) -> None:
    write, size, expected = HOSTILE[name]
    data = write(size)
    start = time.process_time()
    a = dissect(data)
    for fact in FACTS:
        getattr(a, fact)
    _ = unpack(pack(a)).base_subject
    assert time.process_time() - start < 2.0  # promise 8 of the service; measured below 0.5
    assert expected <= a.problems
    assert len(a.parts) <= 10_000


@pytest.mark.parametrize("name", HOSTILE)
def test_cost_grows_no_faster_than_size(name: str) -> None:
    write, size, _ = HOSTILE[name]
    size = max(10, size // 200)
    small, large = cost(write(size)), cost(write(2 * size))
    assert large[0] <= 2.3 * small[0] + 2000
    assert large[1] <= 2.3 * small[1] + 65536 * 2


def cost(data: bytes) -> tuple[int, int]:
    """(calls made, bytes searched for boundaries) of one dissection."""
    calls = 0

    def tick(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(tick)
    try:
        a = dissect(data)
        for fact in FACTS:
            getattr(a, fact)
        pack(a)
    finally:
        sys.setprofile(None)
    return calls, walk(data)._searched


def test_nothing_recurses() -> None:
    """A walk at the depth limit needs no deeper a stack than a flat one."""

    def deepest(data: bytes) -> int:
        most = 0

        def tick(frame, event: str, _: object) -> None:
            nonlocal most
            if event == "call":
                depth, at = 0, frame
                while at is not None:
                    depth, at = depth + 1, at.f_back
                most = max(most, depth)

        sys.setprofile(tick)
        try:
            pack(dissect(data))
        finally:
            sys.setprofile(None)
        return most

    assert deepest(nested(99)) <= deepest(nested(2)) + 1


def test_an_unknown_charset_is_never_looked_up() -> None:
    asked: list[str] = []

    def listen(name: str) -> None:
        asked.append(name)

    codecs.register(listen)
    try:
        a = check(b"Subject: =?x-hostile-1?q?abc?=\r\nContent-Type: text/plain; charset=x-hostile-2\r\n\r\nhello")
        with pytest.raises(LookupError):
            codecs.lookup("x-heard")
    finally:
        codecs.unregister(listen)
    assert (a.subject, a.preview) == ("abc", "hello")
    assert asked == ["x_heard"]


def test_decoded_text_cannot_forge_a_line() -> None:
    """CVE-2024-6923's message: the line end stays inside the value, and becomes a space."""
    a = dissect(b"Subject: x =?utf-8?q?=0ABcc:_e@evil.test?=\r\n\r\n")
    assert a.subject == "x  Bcc: e@evil.test"
    assert b"Bcc: e@evil.test" not in a.envelope
