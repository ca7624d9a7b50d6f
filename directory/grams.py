"""Which trigrams an entry must have for a question to hold: the first sieve of :mod:`directory.index`.

Promise: an entry a question holds for passes its sieve; the reverse need not be. What says nothing about trigrams (a shorter
text, ``Not``, ``PRESENT``) lets everything pass. Pure. Failure: none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from directory.search import Condition, Every, Field, Not, Way, folded

LENGTH = 3
LONGEST = 4000
"""Characters of a text that can be in an entry."""
MOST = 24
"""Trigrams of one text that are looked for: so many together are in few entries."""


@dataclass(frozen=True, slots=True)
class All:
    """Every one of these trigrams."""

    grams: frozenset[str]


@dataclass(frozen=True, slots=True)
class Both:
    parts: frozenset[Sieve]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one; of none: nothing passes."""

    parts: frozenset[Sieve]


Sieve: TypeAlias = "All | Both | Either"


def sieve(condition: Condition) -> Sieve | None:
    """The sieve of ``condition``; None lets everything pass."""
    if isinstance(condition, Field):
        return _of_text(condition)
    if isinstance(condition, Not):
        return None
    known = [one for part in condition.parts if (one := sieve(part)) is not None]
    if isinstance(condition, Every):
        return _joined(known, Both) if known else None
    return _joined(known, Either) if len(known) == len(condition.parts) else None


def storable(sought: str) -> bool:
    """Whether a row could hold it: PostgreSQL refuses NUL, UTF-8 half a surrogate pair, and no field is that long."""
    return len(sought) <= LONGEST and "\0" not in sought and not any("\ud800" <= one <= "\udfff" for one in sought)


def _of_text(field: Field) -> Sieve | None:
    text = folded(field.text)
    if field.way is not Way.PRESENT and not storable(text):
        return Either(frozenset())
    grams = [text[place : place + LENGTH] for place in range(len(text) - LENGTH + 1)]
    return All(frozenset(grams[:MOST])) if grams and field.way is not Way.PRESENT else None


def _joined(parts: Iterable[Sieve], kind: type[Both] | type[Either]) -> Sieve:
    """The eight places where one word may stand have one sieve."""
    distinct = frozenset(parts)
    return next(iter(distinct)) if len(distinct) == 1 else kind(distinct)


def spelled(found: Sieve, every: Callable[[Iterable[str]], str], nothing: str) -> str:
    """A sieve as text: ``every`` writes the trigrams that must all be there, the rest is AND, OR and parentheses."""
    if isinstance(found, All):
        return f"({every(sorted(found.grams))})"
    if not found.parts:
        return nothing
    word = " AND " if isinstance(found, Both) else " OR "
    return "(" + word.join(sorted(spelled(part, every, nothing) for part in found.parts)) + ")"
