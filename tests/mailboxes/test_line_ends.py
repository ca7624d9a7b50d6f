"""CR and LF alone are seen wherever they stand, also across the blocks a long message is read in."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes import line_ends
from mailboxes.line_ends import bare

_PIECES = st.sampled_from(
    [b"\r", b"\n", b"\r\n", b"\r\r\n", b"\n\r", b"a", b"\x85", b"\xe2\x80\xa8", b"\x0b\x0c\x1c", b"\0"]
)


def _naive(data: bytes) -> tuple[bool, bool]:
    return bool(re.search(rb"\r(?!\n)", data)), bool(re.search(rb"(?<!\r)\n", data))


@given(st.lists(_PIECES, max_size=30).map(b"".join))
def test_it_sees_what_looking_around_each_octet_sees(data: bytes) -> None:
    assert bare(data) == _naive(data)


@given(st.lists(_PIECES, max_size=30).map(b"".join))
def test_blocks_hide_nothing(data: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_ends, "_BLOCK", 3)
        assert bare(data) == _naive(data)
