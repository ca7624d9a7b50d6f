"""The content reader: one true end of message, whatever the packets; smuggling refused by name (F58, F59, F64)."""

from __future__ import annotations

import random
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.smtp.content import ContentReader, Fault

SMUGGLED = b"MAIL FROM:<evil@evil.test>\r\nRCPT TO:<jeanne@op-a.mssante.test>\r\nDATA\r\nSubject: forged\r\n\r\nboo"

# What follows the body in place of CRLF . CRLF; each holds a bare CR, a bare LF or a NUL.
FALSE_ENDS = {
    "lf_dot_lf": b"\n.\n",
    "lf_dot_crlf": b"\n.\r\n",
    "crlf_dot_lf": b"\r\n.\n",
    "cr_dot_cr": b"\r.\r",
    "cr_dot_crlf": b"\r.\r\n",
    "crlf_dot_cr": b"\r\n.\r",
    "cr_dot_lf": b"\r.\n",
    "lf_dot_cr": b"\n.\r",
    "cr_cr_lf_dot_crlf": b"\r\r\n.\r\n",
    "cr_cr_lf_dot_cr_cr_lf": b"\r\r\n.\r\r\n",
    "crlf_dot_cr_cr_lf": b"\r\n.\r\r\n",
    "lf_cr_dot_lf_cr": b"\n\r.\n\r",
    "lf_cr_dot_crlf": b"\n\r.\r\n",
    "crlf_lf_dot_crlf": b"\r\n\n.\r\n",
    "crlf_cr_dot_crlf": b"\r\n\r.\r\n",
    "lf_lf_dot_lf": b"\n\n.\n",
    "lf_lf_dot_lf_lf": b"\n\n.\n\n",
    "cr_cr_dot_cr_cr": b"\r\r.\r\r",
    "crlf_dot_lf_lf": b"\r\n.\n\n",
    "crlf_nul_dot_crlf": b"\r\n\0.\r\n",
    "crlf_dot_nul_crlf": b"\r\n.\0\r\n",
    "nul_crlf_dot_crlf": b"\0\r\n.\r\n",
    "cr_nul_lf_dot_crlf": b"\r\0\n.\r\n",
    "crlf_dot_cr_nul_lf": b"\r\n.\r\0\n",
    "lf_nul_dot_lf": b"\n\0.\n",
    "lf_dot_dot_lf": b"\n..\n",
    "crlf_dot_dot_lf": b"\r\n..\n",
    "lf_dot_dot_crlf": b"\n..\r\n",
    "lf_dot_space_lf": b"\n. \n",
    "crlf_dot_space_lf": b"\r\n. \n",
    "lf_space_dot_lf": b"\n .\n",
    "cr_lf_lf_dot_lf": b"\r\n\n.\n",
    "lf_crlf_dot_lf_crlf": b"\n\r\n.\n\r\n",
    "cr_crlf_dot_cr_crlf": b"\r\r\n.\r\r\n",
    "cr_tab_dot_crlf": b"\r\t.\r\n",
    "lf_dot_cr_cr_lf": b"\n.\r\r\n",
    "cr_cr_dot_crlf": b"\r\r.\r\n",
    "crlf_dot_cr_dot_crlf": b"\r\n.\r.\r\n",
    "crlf_dot_lf_dot_crlf": b"\r\n.\n.\r\n",
    "lf_dot_lf_crlf_dot_crlf": b"\n.\n\r\n.\r\n",
}
# No octet is wrong, and nothing ends here: a dot that is not alone, or a space beside it.
NO_ENDS = {
    "crlf_dot_dot_crlf": b"\r\n..\r\n",
    "crlf_dot_space_crlf": b"\r\n. \r\n",
    "crlf_space_dot_crlf": b"\r\n .\r\n",
    "crlf_dot_tab_crlf": b"\r\n.\t\r\n",
    "crlf_dot_x_crlf": b"\r\n.x\r\n",
    "next_line_dot": b"\r\n\x85.\x85\r\n",
    "form_feed_dot": b"\r\n\x0c.\x0c\r\n",
    "vertical_tab_dot": b"\r\n\x0b.\x0b\r\n",
    "u2028_dot": b"\r\n\xe2\x80\xa8.\xe2\x80\xa8\r\n",
    "file_separator_dot": b"\r\n\x1c.\x1c\r\n",
}


def reader(**limits: int) -> ContentReader:
    return ContentReader(**{"size": 1 << 20, "line": 65536, "header": 1 << 18, "discard": 1 << 20, **limits})


def fed(octets: bytes, cuts: list[int], **limits: int) -> ContentReader:
    """Feed ``octets`` in the packets that ``cuts`` make, stopping where the reader does."""
    found = reader(**limits)
    places = [0, *sorted(cuts), len(octets)]
    for start, end in pairwise(places):
        if start < end and found.feed(octets[start:end]):
            found.rest += octets[end:]
            break
    return found


def chunkings(octets: bytes) -> list[list[int]]:
    """Whole, octet by octet, each single cut, and some random ones."""
    several = [sorted(random.Random(seed).sample(range(len(octets)), 5)) for seed in range(5)]
    return [[], list(range(len(octets))), *([cut] for cut in range(len(octets))), *several]


@pytest.mark.parametrize("end", FALSE_ENDS.values(), ids=FALSE_ENDS)
def test_a_false_end_is_refused_and_ends_nothing(end: bytes) -> None:
    octets = b"Subject: x\r\n\r\nbody" + end + SMUGGLED + b"\r\n.\r\n"
    for cuts in chunkings(octets):
        found = fed(octets, cuts)
        assert found.fault is Fault.BARE
        assert found.over
        assert not found.content


@pytest.mark.parametrize("end", NO_ENDS.values(), ids=NO_ENDS)
def test_what_looks_like_an_end_is_content(end: bytes) -> None:
    octets = b"Subject: x\r\n\r\nbody" + end + SMUGGLED + b"\r\n.\r\nQUIT\r\n"
    for cuts in chunkings(octets):
        found = fed(octets, cuts)
        assert found.fault is None
        assert SMUGGLED in found.content
        assert found.rest == b"QUIT\r\n"


@pytest.mark.parametrize("end", FALSE_ENDS.values(), ids=FALSE_ENDS)
def test_a_false_end_at_the_very_start(end: bytes) -> None:
    """Right after 354 the CRLF of the DATA command stands before the first octet."""
    for octets in (end + SMUGGLED + b"\r\n.\r\n", end.lstrip(b"\r\n\0") + SMUGGLED + b"\n\r\n.\r\n"):
        for cuts in ([], list(range(len(octets)))):
            found = fed(octets, cuts)
            assert found.fault is Fault.BARE or found.content == b""
            assert found.fault is not None or octets.startswith(b".\r\n")


def _expected(octets: bytes) -> tuple[bytes | None, bytes]:
    """What RFC 5321 4.5.2 says, in the plainest code; None when a bare line end or NUL stands in the content."""
    framed = b"\r\n" + octets
    end = framed.find(b"\r\n.\r\n")
    body = framed[: end + 2]
    if re.search(rb"\r(?!\n)|(?<!\r)\n|\0", body):
        return None, b""
    lines = body[2:].split(b"\r\n")
    return b"\r\n".join(line.removeprefix(b".") for line in lines), framed[end + 5 :]


fragments = st.sampled_from(
    [b"\r\n", b".", b"..", b"\r\n.", b"\r\n..", b"a", b" ", b"abc" * 30, b"\xff\xfe", b"\r\n.\r\n", b"\t"]
)
hostile = st.one_of(fragments, st.sampled_from([b"\r", b"\n", b"\0", b"\r\r\n", *FALSE_ENDS.values()]))


@settings(max_examples=400)
@given(st.lists(hostile, max_size=30), st.data())
def test_any_content_in_any_packets_reads_as_the_plain_rule_says(pieces: list[bytes], data: st.DataObject) -> None:
    octets = b"".join(pieces) + b"\r\n.\r\n"
    cuts = data.draw(st.lists(st.integers(0, len(octets)), max_size=12))
    found = fed(octets, cuts)
    content, rest = _expected(octets)
    if content is None:
        assert found.fault is Fault.BARE
        assert not found.content
    else:
        assert found.fault is None
        assert bytes(found.content) == content
        assert found.rest == rest


AROUND = st.integers(-2, 2)
"""What stands at a limit, or one or two beside it."""


@settings(max_examples=200)
@given(st.lists(st.integers(0, 120), max_size=12), st.lists(AROUND, max_size=4), st.integers(5, 60), st.data())
def test_the_line_limit_is_exact_in_any_packets(
    lengths: list[int], around: list[int], limit: int, data: st.DataObject
) -> None:
    lengths = data.draw(st.permutations([*lengths, *(limit + each for each in around)]))
    octets = b"".join(b"x" * length + b"\r\n" for length in lengths) + b".\r\n"
    cuts = data.draw(st.lists(st.integers(0, len(octets)), max_size=12))
    found = fed(octets, cuts, line=limit)
    assert (found.fault is Fault.LINE) is any(length > limit for length in lengths)


@settings(max_examples=200)
@given(st.integers(0, 300) | AROUND.map(lambda each: 95 + each), st.integers(1, 200) | st.just(100), st.data())
def test_the_size_limit_is_exact_and_the_end_is_still_found(length: int, size: int, data: st.DataObject) -> None:
    octets = b"..\r\n" + b"x" * length + b"\r\n.\r\nNOOP\r\n"
    cuts = data.draw(st.lists(st.integers(0, len(octets)), max_size=12))
    found = fed(octets, cuts, size=size)
    assert (found.fault is Fault.SIZE) is (length + 5 > size)  # the doubled dot does not count (RFC 1870 6.3)
    assert found.rest == b"NOOP\r\n"


@settings(max_examples=200)
@given(st.lists(st.integers(0, 20), max_size=5), AROUND, st.booleans(), st.integers(0, 200), st.data())
def test_the_header_limit_is_exact_in_any_packets(
    lengths: list[int], beside: int, ended: bool, body: int, data: st.DataObject
) -> None:
    """An empty header block too, and one that only the end of the message ends."""
    header = b"".join(b"x" * (length + 1) + b"\r\n" for length in lengths)
    octets = header + b"\r\n" * ended + b"x" * (body * ended) + b"\r\n" * ended + b".\r\n"
    cuts = data.draw(st.lists(st.integers(0, len(octets)), max_size=12))
    limit = max(len(header) + beside, 0)
    found = fed(octets, cuts, header=limit)
    assert (found.fault is Fault.HEADER) is (len(header) > limit)
    assert found.over


def test_a_message_without_end_is_dropped_then_cut() -> None:
    found = reader(size=1000, discard=5000)
    fed_octets = 0
    while not found.feed(b"x" * 98 + b"\r\n"):
        fed_octets += 100
        assert len(found.content) <= 1002
    assert found.fault is Fault.ENDLESS
    assert 5900 <= fed_octets <= 6100


def test_a_header_without_end_is_refused_with_flat_memory() -> None:
    found = reader(header=10_000, size=1 << 24)
    for _ in range(5000):
        assert not found.feed(b"X-Filler: " + b"y" * 88 + b"\r\n")
        assert len(found.content) <= 10_200
    assert found.fault is Fault.HEADER
    assert found.feed(b"\r\n.\r\n")


def test_a_long_body_after_a_short_header_is_no_long_header() -> None:
    found = reader(header=100)
    assert not found.feed(b"A: b\r\n\r")
    assert not found.feed(b"\n" + b"x" * 500 + b"\r\n")
    assert found.feed(b".\r\n")
    assert found.fault is None


def test_an_empty_message() -> None:
    found = reader()
    assert found.feed(b".\r\nQUIT\r\n")
    assert (bytes(found.content), found.rest, found.fault) == (b"", b"QUIT\r\n", None)


def test_a_dropped_content_is_read_to_its_end_only() -> None:
    found = reader()
    found.feed(b"a: b\r\n")
    found.drop(Fault.BUSY)
    assert not found.feed(b"\r\n" + b"x" * 1000)
    assert found.feed(b"\r\n.\r\n")
    assert (bytes(found.content), found.fault) == (b"", Fault.BUSY)


def test_stuffed_dots_cost_no_more_than_their_octets() -> None:
    """All lines are dots: removing them one by one would move the rest a million times."""
    octets = b"..\r\n" * 500_000
    found = reader(size=1 << 24, header=1 << 24)
    for start in range(0, len(octets), 65536):
        found.feed(octets[start : start + 65536])
    assert found.feed(b".\r\n")
    assert len(found.content) == 3 * 500_000
