"""French names made comparable, and how two names compare: agree, agree with a remark, near, or another person's.

Promise: pure and cached; comparison is symmetric; a near match is only ever "to be checked", never "the same". Accents, case,
hyphens, apostrophes, ligatures and spaces never make a difference; particles are never dropped.
Failure: none; a text without letters normalises to "" and compares as absent. Source: HID-070, 071, 081 to 083 (RNIV).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from rapidfuzz.distance import DamerauLevenshtein

_distance = DamerauLevenshtein.distance

CIVILITIES = frozenset(
    [
        "M",
        "MR",
        "MME",
        "MLLE",
        "MLE",
        "DR",
        "PR",
        "ENF",
        "ENFANT",
        "BB",
        "BEBE",
        "MONSIEUR",
        "MADAME",
        "MADEMOISELLE",
        "DOCTEUR",
        "PROFESSEUR",
    ]
)
PLACEHOLDERS = frozenset(
    [
        "X",
        "XX",
        "XXX",
        "XXXX",
        "INCONNU",
        "INCONNUE",
        "SANS NOM",
        "SANSNOM",
        "SANS PRENOM",
        "TEST",
        "PATIENT",
        "NOM",
        "PRENOM",
        "NOM PRENOM",
        "NR",
        "ND",
        "NEANT",
        "ANONYME",
    ]
)
_SPECIAL = str.maketrans(
    {"Œ": "OE", "œ": "OE", "Æ": "AE", "æ": "AE", "ß": "SS", "ẞ": "SS", "Ø": "O", "ø": "O", "Đ": "D", "đ": "D"}
    | {"Ð": "D", "ð": "D", "Þ": "TH", "þ": "TH", "Ł": "L", "ł": "L", "ı": "I"}
    | dict.fromkeys("\u2019\u2018\u02bc\u2032`´ʹ＇", "'")
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
)
_NOT_KEPT = re.compile(r"[^A-Z' -]+")
_LENGTH = 400


def _folded(text: str) -> str:
    """Upper case without accents, ligatures apart; every other character as it is."""
    if text.isascii():
        return text[:_LENGTH].translate(_SPECIAL).upper()
    folded = unicodedata.normalize("NFKC", text[:_LENGTH]).translate(_SPECIAL)
    folded = unicodedata.normalize("NFD", folded).upper()
    return "".join(c for c in folded if not unicodedata.combining(c))


def display(text: str) -> str:
    """N1: upper case without accents, ``A-Z ' -`` and single spaces. ``D'HERICOURT-LOEUILLET``."""
    return " ".join(_NOT_KEPT.sub(" ", _folded(text)).split())


_LETTERS = re.compile(r"[^\W\d_]+")


_SHORTENED = {"ST": "SAINT", "STE": "SAINTE"}


def _words_of(text: str) -> list[str]:
    """N2: the words, ``ST MARTIN`` being ``SAINT MARTIN``. Letters of another script are kept: a name that cannot be read as French is
    still a name."""
    found: list[str] = _LETTERS.findall(_folded(text))
    if "ST" in found or "STE" in found:
        found[:-1] = [_SHORTENED.get(word, word) for word in found[:-1]]
    return found


@dataclass(frozen=True, slots=True)
class Name:
    """A name ready to compare: ``glued`` (N3, letters only) and ``tokens`` (N2, the words in order)."""

    glued: str
    tokens: tuple[str, ...]
    words: frozenset[str]


@lru_cache(maxsize=65_536)
def normal(text: str) -> Name:
    """The comparable form of ``text``; leading civilities are dropped when a name follows."""
    tokens = _words_of(text)
    while len(tokens) > 1 and tokens[0] in CIVILITIES:
        tokens.pop(0)
    return Name("".join(tokens), tuple(tokens), frozenset(tokens))


def has_civility(text: str) -> bool:
    """Whether a civility opens the text and a name follows it."""
    tokens = _words_of(text)
    return len(tokens) > 1 and tokens[0] in CIVILITIES


def is_placeholder(text: str) -> bool:
    """``.``, ``X``, ``INCONNU``...: something typed so that the field is not empty (HID-029)."""
    words = " ".join(_words_of(text))
    if not words:
        return bool(text.strip()) and not any(c.isalpha() for c in text[:_LENGTH])
    return words in PLACEHOLDERS


class Level(IntEnum):
    """How two values compare, from best to worst; ``SILENT``: one side says nothing."""

    SILENT = -1
    AGREE = 0
    NOTE = 1
    NEAR = 2
    DISAGREE = 3


SILENT, AGREE, NOTE, NEAR, DISAGREE = Level
"""Looked up once: through its class CPython 3.11 takes five times as long to reach a member, and a comparison reaches many."""


def _near(a: str, b: str) -> bool:
    """At most one edit for names of five letters, two from nine on. Shorter names are never near."""
    n, m = len(a), len(b)
    shortest = min(m, n)
    allowed = 2 if shortest >= 9 else 1
    if shortest < 5 or n - m > allowed or m - n > allowed:
        return False
    return _distance(a, b, score_cutoff=allowed) <= allowed


def surname_level(x: Name, y: Name) -> Level:
    """AGREE: same letters. NOTE: a double name of which one is a part, or the same words in another order. NEAR: a slip."""
    if not x.glued or not y.glued:
        return SILENT
    if x.glued == y.glued:
        return AGREE
    if not x.words.isdisjoint(y.words) and _part_of(x, y):
        return NOTE
    if (len(x.tokens) > 1 or len(y.tokens) > 1) and (_glued_part_of(x, y) or _glued_part_of(y, x)):
        return NOTE
    return NEAR if _near(x.glued, y.glued) else DISAGREE


@lru_cache(maxsize=65_536)
def compare_surname(a: str, b: str) -> Level:
    """:func:`surname_level` of two texts."""
    return surname_level(normal(a), normal(b))


PARTICLES = frozenset(
    [
        "DE",
        "DU",
        "DES",
        "LE",
        "LA",
        "LES",
        "L",
        "D",
        "EL",
        "AL",
        "BEN",
        "ABD",
        "VAN",
        "VON",
        "DI",
        "DA",
        "DOS",
        "SAINT",
        "SAINTE",
        "STE",
        "ST",
    ]
)


def _part_of(x: Name, y: Name) -> bool:
    """One name's words are all in the other, and they are more than particles."""
    smaller = x.words if len(x.words) <= len(y.words) else y.words
    larger = y.words if smaller is x.words else x.words
    return smaller <= larger and bool(smaller - PARTICLES)


def _glued_part_of(one: Name, double: Name) -> bool:
    """One of two names, its words written apart there and in one here: ``LEGOFF`` of ``LE GOFF-MARTIN``."""
    return one.glued in double.glued and not one.words <= PARTICLES and _in_list(one, double)


def first_level(x: Name, y: Name) -> Level:
    """AGREE: same letters. NOTE: one opens the other's list, is one of it, or has its words in another order. NEAR: a slip (the sexes
    may make it another person)."""
    if not x.glued or not y.glued:
        return SILENT
    if x.glued == y.glued:
        return AGREE
    if (len(x.tokens) > 1 or len(y.tokens) > 1) and (x.words == y.words or _in_list(x, y) or _in_list(y, x)):
        return NOTE
    return NEAR if _near(x.glued, y.glued) else DISAGREE


@lru_cache(maxsize=65_536)
def compare_first(a: str, b: str) -> Level:
    """:func:`first_level` of two texts."""
    return first_level(normal(a), normal(b))


def _in_list(one: Name, listed: Name) -> bool:
    """``one`` is a run of whole words of ``listed``, or its opening letters end on a word (``MAXPATRICK`` in ``MAX PATRICK LUC``)."""
    for start in range(len(listed.tokens)):
        glued = ""
        for token in listed.tokens[start:]:
            glued += token
            if glued == one.glued:
                return True
            if len(glued) > len(one.glued):
                break
    return False


def opens_list(first: str, listed: str) -> bool:
    """RNIV: the first prénom is a prefix of the list of prénoms, hyphens aside (HID-068)."""
    one, full = normal(first), normal(listed)
    glued = ""
    for token in full.tokens:
        glued += token
        if glued == one.glued:
            return True
    return False


_EXPECTED = re.compile(r"[^\W\d_]|[ '\-\u2019\u2018\u2010-\u2015\u0300-\u036f]")


def unexpected_sign(text: str) -> str:
    """The first character no name holds (a digit, a sign), or "" (HID-028)."""
    for c in text[:_LENGTH]:
        if not _EXPECTED.match(c):
            return c
    return ""


def found_in(name: str, text: str) -> bool:
    """Whether ``name`` stands in the free text ``text`` as whole words (or glued, for names of six letters or more)."""
    wanted, given = normal(name), _tokens(text)
    if not wanted.glued:
        return False
    n = len(wanted.tokens)
    if any(given[i : i + n] == wanted.tokens for i in range(len(given) - n + 1)):
        return True
    return len(wanted.glued) >= 6 and wanted.glued in "".join(given)


@lru_cache(maxsize=1_024)
def _tokens(text: str) -> tuple[str, ...]:
    return tuple(_words_of(text))
