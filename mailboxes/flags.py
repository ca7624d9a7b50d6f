"""Flags of a message in one canonical spelling, and the three ways STORE changes them.

Canonical: system flags then keywords, each sorted, joined by one space, without ``\\Recent``. System flags compare
without case (RFC 9051 2.3.2) and so do keywords; the first spelling of a keyword is kept.
Promise: pure and cached; a folder of 10 000 costs a dictionary lookup per message.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

SYSTEM = {name.lower(): name for name in ("\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen")}
SEEN = "\\Seen"
DELETED = "\\Deleted"
RECENT = "\\recent"
KEYWORDS = "\\*"  # all of them, as in PERMANENTFLAGS


def canonical(flags: Iterable[str]) -> str:
    """The canonical rendering of a set of flags."""
    chosen: dict[str, str] = {}
    for flag in flags:
        lower = flag.lower()
        if lower and lower != RECENT:
            chosen.setdefault(lower, SYSTEM.get(lower, flag))
    return " ".join(sorted(chosen.values(), key=_place))


def _place(flag: str) -> tuple[bool, str]:
    return not flag.startswith("\\"), flag


@lru_cache(maxsize=4096)
def canonical_text(flags: str) -> str:
    """The same, from flags separated by spaces."""
    return canonical(flags.split(" "))


@lru_cache(maxsize=4096)
def change(flags: str, operation: str, named: frozenset[str], kept: frozenset[str] = frozenset()) -> str:
    """``flags`` after STORE: ``operation`` is ``set``, ``add`` or ``remove``. Raises ValueError for another word.

    ``kept`` are flags that ``set`` leaves as they are, ``\\*`` in it every keyword.
    """
    before = flags.split(" ") if flags else []
    if operation == "set":
        # Keywords keep the spelling they had.
        lower = {flag.lower() for flag in named}
        stays = [flag for flag in before if flag.lower() in lower or (flag if flag[0] == "\\" else KEYWORDS) in kept]
        return canonical([*stays, *sorted(named)])
    if operation == "add":
        return canonical([*before, *sorted(named)])
    if operation == "remove":
        lower = {flag.lower() for flag in named}
        return canonical(flag for flag in before if flag.lower() not in lower)
    raise ValueError(f"no such flag operation: {operation}")


@lru_cache(maxsize=4096)
def has(flags: str, flag: str) -> bool:
    """Whether a canonical rendering holds a system flag."""
    return flag in flags.split(" ")
