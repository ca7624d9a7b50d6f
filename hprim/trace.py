"""A patient as keyed digests: enough to compare him with another one later, not enough to say who he is.

What a mailbox remembers of the patients it met is only this. Each name, its words, its runs of words and its spellings one or two
letters shorter become digests under a secret key; so do the birth date, its usual typing slips, each number and each record
number. Two traces compare as the two patients would (:mod:`hprim.match`), but for one thing: two names of which each has one letter
the other lacks count as near, since they share the shorter spelling; near only ever means "check".
Promise: pure; nothing of an identity is readable in a trace without the key; :func:`unpack` gives back what :func:`pack` was given.
Failure: ``ValueError`` from :func:`unpack` for bytes that are no trace. Source: HID-090 to HID-096; section 6.1 of the rules
(hold digests, not identities).
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

from hprim.dates import PartialDate
from hprim.match import Comparison, best_first, best_surname, number_level
from hprim.model import InsId, Patient
from hprim.names import PARTICLES, Level, Name, normal

DIGEST = 6
"""Octets of one digest: enough among the few hundred patients a comparison looks at."""
MARK = 16
_LONGEST = 20
"""Letters of a name whose shorter spellings are kept."""
_RUNS = 8

Digest = Callable[[str, str], bytes]


def digester(secret: bytes, size: int = DIGEST) -> Digest:
    """A keyed digest of (kind of thing, text)."""
    keyed = partial(hashlib.blake2b, digest_size=size, key=hashlib.sha256(secret).digest())
    return lambda kind, text: keyed(f"{kind}\0{text}".encode("utf-8", "replace")).digest()


@dataclass(frozen=True, slots=True)
class NameTrace:
    """``whole``: all letters; ``solid`` and ``particles``: its words; ``runs``: consecutive words; ``shorter``: spellings with a letter
    or two left out."""

    whole: bytes
    solid: frozenset[bytes]
    particles: frozenset[bytes]
    runs: frozenset[bytes]
    shorter: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class DateTrace:
    """``slips``: what a mistyped date has in common with the right one; empty when it is not whole."""

    exact: bytes
    year: bytes
    month: bytes
    whole: bool
    vague: bool
    slips: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Trace:
    """One patient. ``records``: (authority, number) digests of identifiers that are no INS."""

    numbers: frozenset[InsId]
    surnames: tuple[tuple[NameTrace, str], ...]
    firsts: tuple[NameTrace | None, NameTrace | None, NameTrace | None]
    surname: NameTrace | None
    first: NameTrace | None
    born: DateTrace | None
    sex: bytes
    place: bytes
    records: frozenset[tuple[bytes, bytes]]


# making


def trace(patient: Patient, secret: bytes, issuer: str = "") -> Trace:
    """The digests of ``patient``. ``issuer`` stands for the authority of record numbers that name none (HPRIM)."""
    digest, t = digester(secret), patient.traits
    surnames = [
        (_name(text, digest), kind)
        for text, kind in ((t.birth_surname, "birth"), (t.surname, "any"), (t.used_surname, "used"))
    ]
    accepted = {(i.oid, i.matricule) for i in patient.ins}
    records = [i for i in patient.ids if i.extension and (i.root, i.extension) not in accepted]
    return Trace(
        numbers=frozenset(InsId(i.oid, digest("number", i.matricule).hex()) for i in patient.ins),
        surnames=tuple((name, kind) for name, kind in surnames if name),
        firsts=(_name(t.first_name, digest), _name(t.used_first_name, digest), _name(t.first_names, digest)),
        surname=_name(t.any_surname(), digest),
        first=_name(t.any_first_name(), digest),
        born=_date(t.birth_date, digest) if t.birth_date else None,
        sex=digest("sex", t.sex) if t.sex else b"",
        place=digest("place", t.birth_place) if t.birth_place else b"",
        records=frozenset((digest("authority", i.root or issuer), digest("record", i.extension)) for i in records),
    )


def _name(text: str, digest: Digest) -> NameTrace | None:
    found = normal(text) if text else None
    if found is None or not found.glued:
        return None
    return NameTrace(
        whole=digest("name", found.glued),
        solid=frozenset(digest("name", word) for word in found.words - PARTICLES),
        particles=frozenset(digest("name", word) for word in found.words & PARTICLES),
        runs=frozenset(digest("name", run) for run in _runs(found)),
        shorter=frozenset(digest(kind, spelling) for kind, spelling in _shorter(found.glued)),
    )


def _runs(name: Name) -> Iterable[str]:
    words = name.tokens[:_RUNS]
    for start in range(len(words)):
        for stop in range(start + 1, len(words) + 1):
            yield "".join(words[start:stop])


def _shorter(glued: str) -> Iterable[tuple[str, str]]:
    """Two names of five letters or more, one edit apart, share a spelling with one letter less; from nine letters on, two."""
    letters, size = glued[:_LONGEST], len(glued)
    if size >= 5:
        yield "one", letters
        yield from (("one", letters[:i] + letters[i + 1 :]) for i in range(len(letters)))
    if size >= 9:
        yield "two", letters
        yield from (("two", letters[:i] + letters[i + 1 :]) for i in range(len(letters)))
        yield from (
            ("two", letters[:i] + letters[i + 1 : j] + letters[j + 1 :])
            for i, j in combinations(range(len(letters)), 2)
        )


def _date(born: PartialDate, digest: Digest) -> DateTrace:
    return DateTrace(
        exact=digest("date", f"{born.year}-{born.month}-{born.day}"),
        year=digest("year", str(born.year)),
        month=digest("month", f"{born.year}-{born.month}") if born.month is not None else b"",
        whole=born.whole,
        vague=born.may_be_default or born.month is None,
        slips=frozenset(digest("slip", pattern) for pattern in _slips(born)),
    )


def _slips(born: PartialDate) -> Iterable[str]:
    """Patterns that two dates share when one is a slip of the other (:func:`hprim.dates.slip`)."""
    if not born.whole or born.month is None or born.day is None:
        return
    day, month, year = f"{born.day:02d}", f"{born.month:02d}", born.year
    yield f"swap {year} {min(day, month)} {max(day, month)}"
    yield f"century {day} {month} {year}"  # an earlier one says the same of the century after
    yield f"century {day} {month} {year + 100}"
    for part, rest, named in ((day, month, "day"), (month, day, "month")):
        yield f"{named} {year} {rest} {part[0]}?"
        yield f"{named} {year} {rest} ?{part[1]}"
        yield f"{named} {year} {rest} {''.join(sorted(part))}"


# comparing


def compare_traces(a: Trace, b: Trace) -> Comparison:
    """As :func:`hprim.match.compare` would say of the two patients."""
    sex = Level.SILENT
    if a.sex and b.sex:
        sex = Level.AGREE if a.sex == b.sex else Level.DISAGREE
    births = _births(a, b)
    surname, crossed = best_surname(a.surnames, b.surnames, births, surname_trace_level)
    first = _first(a, b)
    if first is Level.NEAR and sex is Level.DISAGREE:
        first = Level.DISAGREE
    born = _date_level(a.born, b.born) if a.born and b.born else Level.SILENT
    swapped = surname >= Level.NEAR and first >= Level.NEAR and _swapped(a, b)
    return Comparison(surname, first, born, sex, number_level(a.numbers, b.numbers), crossed, swapped)


def _births(a: Trace, b: Trace) -> Level:
    x = next((name for name, kind in a.surnames if kind == "birth"), None)
    y = next((name for name, kind in b.surnames if kind == "birth"), None)
    return surname_trace_level(x, y) if x and y else Level.SILENT


def surname_trace_level(x: NameTrace, y: NameTrace) -> Level:
    """:func:`hprim.names.surname_level` of two traces."""
    if x.whole == y.whole:
        return Level.AGREE
    xs, ys = x.solid | x.particles, y.solid | y.particles
    smaller, larger = (x, ys) if len(xs) <= len(ys) else (y, xs)
    if smaller.solid and smaller.solid <= larger and smaller.particles <= larger:
        return Level.NOTE
    if (x.solid and x.whole in y.runs) or (y.solid and y.whole in x.runs):
        return Level.NOTE
    return _near(x, y)


def first_trace_level(x: NameTrace, y: NameTrace) -> Level:
    """:func:`hprim.names.first_level` of two traces."""
    if x.whole == y.whole:
        return Level.AGREE
    if x.whole in y.runs or y.whole in x.runs or x.solid | x.particles == y.solid | y.particles:
        return Level.NOTE
    return _near(x, y)


def _near(x: NameTrace, y: NameTrace) -> Level:
    return Level.DISAGREE if x.shorter.isdisjoint(y.shorter) else Level.NEAR


def _first(a: Trace, b: Trace) -> Level:
    return best_first(a.firsts, b.firsts, first_trace_level)


def _date_level(a: DateTrace, b: DateTrace) -> Level:
    if a.exact == b.exact:
        return Level.AGREE
    if a.year == b.year and (a.vague or b.vague or (a.month == b.month and not (a.whole and b.whole))):
        return Level.NOTE
    return Level.DISAGREE if a.slips.isdisjoint(b.slips) else Level.NEAR


def _swapped(a: Trace, b: Trace) -> bool:
    if not (a.surname and b.surname and a.first and b.first):
        return False
    agreed = (Level.AGREE, Level.NOTE)
    return surname_trace_level(a.surname, b.first) in agreed and surname_trace_level(a.first, b.surname) in agreed


# keeping


def mark(packed: bytes, secret: bytes) -> bytes:
    """The name of a packed trace: the same patient told the same way has the same."""
    return digester(secret, MARK)("trace", packed.decode("ascii"))


def pack(one: Trace) -> bytes:
    """ASCII octets; equal traces give equal octets."""
    names = [x for x, _ in one.surnames] + [x for x in (*one.firsts, one.surname, one.first) if x]
    known = sorted(set(names), key=lambda name: name.whole)
    at = {name: index for index, name in enumerate(known)}
    found: dict[str, Any] = {
        "n": sorted([i.oid, i.matricule] for i in one.numbers),
        "w": [[_one(x.whole), *map(_all, (x.solid, x.particles, x.runs, x.shorter))] for x in known],
        "s": [[at[name], kind] for name, kind in one.surnames],
        "f": [at[x] if x else -1 for x in (*one.firsts, one.surname, one.first)],
        "b": _packed_date(one.born),
        "x": [_one(one.sex), _one(one.place)],
        "r": sorted([_one(authority), _one(number)] for authority, number in one.records),
    }
    return json.dumps(found, separators=(",", ":"), sort_keys=True).encode("ascii")


def _packed_date(born: DateTrace | None) -> list[Any]:
    if born is None:
        return []
    return [_one(born.exact), _one(born.year), _one(born.month), born.whole, born.vague, _all(born.slips)]


def _one(digest: bytes) -> str:
    return b64encode(digest).decode("ascii")


def _all(digests: Iterable[bytes]) -> str:
    return _one(b"".join(sorted(digests)))


def unpack(packed: bytes) -> Trace:
    """The trace. ``ValueError`` when it is none."""
    try:
        found = json.loads(packed)
        names = [_unpacked_name(one) for one in found["w"]]
        firsts = [names[i] if i >= 0 else None for i in found["f"]]
        return Trace(
            numbers=frozenset(InsId(str(oid), str(number)) for oid, number in found["n"]),
            surnames=tuple((names[i], str(kind)) for i, kind in found["s"]),
            firsts=(firsts[0], firsts[1], firsts[2]),
            surname=firsts[3],
            first=firsts[4],
            born=_unpacked_date(found["b"]),
            sex=b64decode(found["x"][0]),
            place=b64decode(found["x"][1]),
            records=frozenset((b64decode(a), b64decode(r)) for a, r in found["r"]),
        )
    except (KeyError, IndexError, TypeError, AttributeError, UnicodeDecodeError, RecursionError) as fault:
        raise ValueError(f"not a trace: {type(fault).__name__}") from None


def _unpacked_name(fields: Any) -> NameTrace:
    whole, solid, particles, runs, shorter = fields
    sets = [_set(one) for one in (solid, particles, runs, shorter)]
    return NameTrace(b64decode(whole), *sets)


def _unpacked_date(fields: Any) -> DateTrace | None:
    if not fields:
        return None
    exact, year, month, whole, vague, slips = fields
    return DateTrace(b64decode(exact), b64decode(year), b64decode(month), bool(whole), bool(vague), _set(slips))


def _set(text: str) -> frozenset[bytes]:
    data = b64decode(text)
    return frozenset(data[i : i + DIGEST] for i in range(0, len(data), DIGEST))
