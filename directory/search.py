"""Questions to the directory, as values, and what answers them.

A question is a tree of conditions on the fields of :class:`directory.entry.Entry`; the command line, LDAP, FHIR and the portal
each translate theirs into it, so that there is one place where an entry is found or not (MSS-121, MSS-131).
Promise: texts are compared without regard to case, accents, hyphens and apostrophes; an answer holds at most as many entries
as were asked for, and says when there were more (MSS-130). A tree is bounded by :data:`DEPTH` and :data:`CONDITIONS`.
Failure: ``ValueError`` for a tree beyond the bounds; :class:`DirectoryUnavailable` when the index cannot be read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

from directory.entry import Entry

DEPTH = 16
"""Deepest nesting of a question."""
CONDITIONS = 64
"""Most conditions in one."""
WORDS = 8
"""Words of one typed line that are looked for."""
TEXTS = (
    "address", "type", "title", "family", "given", "name", "person", "profession", "profession_code", "specialty",
    "specialty_code", "structure", "organisation", "service", "description", "phone", "street", "postal_code", "town",
    "department", "country",
)  # fmt: skip
"""The fields a condition may name; ``name`` is what a list shows."""


class DirectoryUnavailable(Exception):
    """The index cannot be read now; the same question may be answered later."""


class Way(Enum):
    """How a field is compared with a text."""

    IS = "is"
    BEGINS = "begins"
    CONTAINS = "contains"
    ENDS = "ends"
    PRESENT = "present"


@dataclass(frozen=True, slots=True)
class Field:
    """One condition: ``text`` is folded by whoever compares, and empty for :attr:`Way.PRESENT`."""

    name: str
    way: Way
    text: str = ""


@dataclass(frozen=True, slots=True)
class Every:
    """All of them; of none: everything."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one; of none: nothing."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Condition


Condition: TypeAlias = "Field | Every | Some | Not"


@dataclass(frozen=True, slots=True)
class Answer:
    """Entries in the order of their names; ``more`` when the limit cut the rest off."""

    entries: tuple[Entry, ...] = ()
    more: bool = False


class Directory(Protocol):
    """What can be asked. Only what is visible answers; whatever is not, is as if it did not exist."""

    async def find(self, condition: Condition, limit: int) -> Answer:
        """The entries ``condition`` holds for, at most ``limit``."""

    async def get(self, address: str) -> Entry | None:
        """The entry of one address."""


def folded(text: str) -> str:
    """``text`` as it is compared: ``Élise L'HÔPITAL-Œuvré`` is ``elise l hopital oeuvre``."""
    # Twice: taken apart, some signs (``℡``) have capitals again.
    spread = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text.casefold()).casefold())
    spread = spread.replace("œ", "oe").replace("æ", "ae")
    plain = "".join(" " if one in "-'’‐‑–_" else one for one in spread if not unicodedata.combining(one))
    return " ".join(plain.split())


def words(text: str) -> Condition:
    """What somebody typed into one line: each word begins a word of the name, the place, the calling or the address."""
    each = folded(text).split()[: CONDITIONS // 8]
    return Every(tuple(Some(tuple(_begins(word))) for word in each))


def _begins(word: str) -> Iterable[Field]:
    for name in ("family", "given", "organisation", "town", "profession", "specialty"):
        yield Field(name, Way.CONTAINS, word)
    yield Field("postal_code", Way.BEGINS, word)
    yield Field("address", Way.BEGINS, word)


def demand_bounded(condition: Condition) -> None:
    """Raises ``ValueError`` for a question deeper or longer than anyone needs; does not recurse."""
    level: list[Condition] = [condition]
    count = 0
    for _ in range(DEPTH):
        below: list[Condition] = []
        for one in level:
            if isinstance(one, Field):
                count += 1
                if one.name not in TEXTS:
                    raise ValueError(f"the directory has no field {one.name}")
            elif isinstance(one, Not):
                below.append(one.part)
            else:
                below += one.parts
        if count > CONDITIONS or len(below) > 4 * CONDITIONS:
            raise ValueError(f"more than {CONDITIONS} conditions")
        if not below:
            return
        level = below
    raise ValueError(f"conditions nested more than {DEPTH} deep")


def holds(condition: Condition, entry: Entry) -> bool:
    """Whether ``condition`` holds for ``entry``: the meaning every index keeps to."""
    if isinstance(condition, Field):
        return _compare(condition, folded(str(getattr(entry, condition.name))))
    if isinstance(condition, Not):
        return not holds(condition.part, entry)
    if isinstance(condition, Every):
        return all(holds(part, entry) for part in condition.parts)
    return any(holds(part, entry) for part in condition.parts)


def _compare(field: Field, value: str) -> bool:
    sought = folded(field.text)
    if field.way is Way.PRESENT:
        return bool(value)
    if field.way is Way.IS:
        return value == sought
    if field.way is Way.BEGINS:
        return value.startswith(sought)
    if field.way is Way.ENDS:
        return value.endswith(sought)
    return sought in value


class MemoryDirectory:
    """The port over entries held in memory, for tests and small spaces."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries = {entry.address.lower(): entry for entry in entries}

    async def find(self, condition: Condition, limit: int) -> Answer:
        demand_bounded(condition)
        found = [entry for entry in self.entries.values() if holds(condition, entry)]
        found.sort(key=lambda entry: (folded(entry.name), entry.address.lower()))
        return Answer(tuple(found[:limit]), len(found) > limit)

    async def get(self, address: str) -> Entry | None:
        return self.entries.get(address.lower())
