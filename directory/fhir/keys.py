"""Which resource a mailbox stands in, and the identity of that resource (mssante.md 6.3, 6.4).

A mailbox of a person alone, and that of a practice (CAB), stands in his Practitioner; that of a person at an organisation in his
PractitionerRole there; those of organisations and of software in the Organization. A Practitioner is made for whoever has any of them.
Promise: a logical identity says nothing that the resource does not show, and leads back to its entries without a table: the person's and
the organisation's numbers, or the address where there are none. Failure: :func:`sought` is None for what is no identity of ours.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error
from enum import Enum
from hashlib import sha256

from directory.entry import Entry
from directory.search import Condition, Every, Field, Not, Some, Way

_NUMBER = re.compile(r"(?!m\.)(?=.{1,30}$)[A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*", re.ASCII)
_BETWEEN = ".."
_ADDRESS = re.compile(r"m\.([A-Za-z0-9.-]{2,62})", re.ASCII)
_WHOLE, _BEGINNING, _DIGEST = 45, 40, 6
"""Octets of an address that fit into an identity of 64 characters: whole, or one more of a beginning and a digest."""


class Kind(Enum):
    """A resource type."""

    PRACTITIONER = "Practitioner"
    ROLE = "PractitionerRole"
    ORGANIZATION = "Organization"


def identity(entry: Entry, kind: Kind) -> str | None:
    """The logical identity of the resource of this kind that ``entry`` belongs to; None when it belongs to none."""
    person, structure = _NUMBER.fullmatch(entry.person), _NUMBER.fullmatch(entry.structure)
    if entry.type in ("ORG", "APP"):
        if kind is not Kind.ORGANIZATION:
            return None
        return entry.structure if structure else _by_address(entry.address)
    if kind is Kind.PRACTITIONER:
        return entry.person if person else _by_address(entry.address)
    if kind is Kind.ROLE and entry.type == "PER" and person and structure:
        return f"{entry.person}{_BETWEEN}{entry.structure}"
    return None


def stands_in(entry: Entry, kind: Kind) -> bool:
    """Whether the mailbox itself is told there."""
    if kind is Kind.PRACTITIONER:
        return identity(entry, kind) is not None and identity(entry, Kind.ROLE) is None
    return identity(entry, kind) is not None


def of_kind(kind: Kind, *, mailbox: bool = False) -> Condition:
    """The entries that belong to resources of this kind; with ``mailbox`` those whose mailbox is told there."""
    personal = Field("type", Way.IS, "PER")
    if kind is Kind.ORGANIZATION:
        return Some((Field("type", Way.IS, "ORG"), Field("type", Way.IS, "APP")))
    if kind is Kind.ROLE:
        return Every((personal, Field("person", Way.PRESENT), Field("structure", Way.PRESENT)))
    practice = Field("type", Way.IS, "CAB")
    if not mailbox:
        return Some((personal, practice))
    alone = Some((Not(Field("person", Way.PRESENT)), Not(Field("structure", Way.PRESENT))))
    return Some((practice, Every((personal, alone))))


def sought(kind: Kind, known: str) -> Condition | None:
    """A condition that holds for the entries of one resource, and perhaps others: :func:`identity` decides."""
    if _ADDRESS.fullmatch(known):
        return _address(known)
    if kind is Kind.ROLE:
        person, both, structure = known.partition(_BETWEEN)
        if not both or not _NUMBER.fullmatch(person) or not _NUMBER.fullmatch(structure):
            return None
        return Every((Field("person", Way.IS, person), Field("structure", Way.IS, structure), of_kind(kind)))
    if not _NUMBER.fullmatch(known):
        return None
    name = "person" if kind is Kind.PRACTITIONER else "structure"
    return Every((Field(name, Way.IS, known), of_kind(kind)))


def _by_address(address: str) -> str:
    octets = address.lower().encode()
    if len(octets) <= _WHOLE:
        return f"m.{_written(octets)}"
    return f"m.{_written(octets[:_BEGINNING])}{_written(sha256(octets).digest()[:_DIGEST])}"


def _address(known: str) -> Condition | None:
    try:
        octets = b64decode(known[2:] + "=" * (-len(known[2:]) % 4), b"-.", validate=True)
        if len(octets) > _WHOLE:
            return Field("address", Way.BEGINS, octets[:_BEGINNING].decode("utf-8", "ignore"))
        return Field("address", Way.IS, octets.decode("utf-8"))
    except (Error, ValueError):
        return None


def _written(octets: bytes) -> str:
    return b64encode(octets, b"-.").rstrip(b"=").decode("ascii")
