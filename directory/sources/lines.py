"""Texts of other people's directories, as an entry may hold them: one line, no signs that drive a terminal or hide, bounded."""

from __future__ import annotations

from policies.address import AddressError, parse

LONGEST_FIELD = 255


def bounded(text: str) -> str:
    """``text`` on one line, cut where it is longer than any field of an entry."""
    short = text[: 2 * LONGEST_FIELD]
    if not short.isprintable():
        short = "".join(one if one.isprintable() else " " for one in short)
    return short.strip()[:LONGEST_FIELD]


def is_address(written: str) -> bool:
    """Whether mail could be addressed to it."""
    try:
        parse(written)
    except AddressError:
        return False
    return True
