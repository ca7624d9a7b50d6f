"""What the directory tells of one mailbox to those who may ask (MSS-120, TOU-A07).

Promise: an :class:`Entry` holds what may be shown and nothing else: who is responsible for a mailbox is never among it, and
of a mailbox on the red list no entry is made at all (MSS-121). Failure: none; these are values.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Source(Enum):
    """Whose word an entry is."""

    LOCAL = "local"
    """A mailbox of this operator, from its own register."""
    NATIONAL = "national"
    """Read in the national extraction (MSS-127). It authorises nothing: the white list does (MSS-128)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One mailbox. An empty text is "not known"; of a mailbox of an organisation the person's fields are empty.

    ``type`` is PER, ORG, APP or CAB. ``person`` is an IdNat_PS (``8`` and the RPPS number, ``0`` and the ADELI number, test
    identities need not be digits), ``structure`` an IdNat_Struct (``1`` and the FINESS number, ``3`` and the SIRET number).
    ``rank`` 1 is the preferred mailbox of its holder, 0 is unranked. ``paperless`` says whether the holder wants no paper
    beside what comes here; None where he did not say.
    """

    address: str
    type: str
    source: Source = Source.LOCAL
    title: str = ""
    family: str = ""
    given: str = ""
    person: str = ""
    profession: str = ""
    profession_code: str = ""
    specialty: str = ""
    specialty_code: str = ""
    structure: str = ""
    organisation: str = ""
    service: str = ""
    description: str = ""
    phone: str = ""
    street: str = ""
    postal_code: str = ""
    town: str = ""
    department: str = ""
    country: str = ""
    rank: int = 0
    paperless: bool | None = None

    @property
    def name(self) -> str:
        """How a list shows it: ``Dr Marie MARTIN``, or the organisation and its service."""
        if self.family:
            return " ".join(filter(None, (self.title, self.given, self.family.upper())))
        return " – ".join(filter(None, (self.organisation, self.service or self.description))) or self.address
