"""What a month of use comes to: values, without a word about how a file shows them.

Two counts stand beside each other everywhere: ``messages`` counts a message once for each recipient of its envelope, ``sent``
once for each time it was handed to us, on the line of the first correspondent. So both add up over lines to what the journal holds.
Promise: nothing here names a patient: of a patient's mailbox only the domain is kept (TOU-A12). Failure: :class:`BadMonth`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from policies.values import BalState, BalType


class BadMonth(ValueError):
    """Not a month written ``YYYY-MM``."""


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month in UTC, as the journal counts time (MSS-143)."""

    year: int
    number: int

    @classmethod
    def read(cls, text: str) -> Month:
        """``2026-11``. Raises :class:`BadMonth`."""
        found = re.fullmatch(r"([0-9]{4})-(0[1-9]|1[0-2])", text)
        if found is None or not 1971 <= int(found[1]) <= 9000:
            raise BadMonth(text[:20])
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def numbered(cls, packed: int) -> Month:
        """From :attr:`packed`."""
        return cls(packed // 100, packed % 100)

    @property
    def packed(self) -> int:
        """``202611``."""
        return self.year * 100 + self.number

    @property
    def start(self) -> float:
        """Seconds since the epoch."""
        return datetime(self.year, self.number, 1, tzinfo=UTC).timestamp()

    @property
    def end(self) -> float:
        """Where the next month starts."""
        return self.following.start

    @property
    def following(self) -> Month:
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    def day(self, number: int) -> date:
        return date(self.year, self.number, number)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"


@dataclass(frozen=True, slots=True)
class Box:
    """A mailbox as it was when the month ended. ``last_login`` is None when it is not known (MSS-141)."""

    address: str
    domain: str
    type: BalType
    created: date
    last_login: date | None
    state: BalState
    red_list: bool
    days: tuple[int, ...] = ()
    """Days of the month on which somebody logged in to it."""


@dataclass(slots=True)
class Flow:
    """Mail of one day between mailboxes of one type and one domain. Octets likewise: for each recipient, and once."""

    messages: int = 0
    sent: int = 0
    patients: int = 0
    documents: int = 0
    ins_yes: int = 0
    ins_no: int = 0
    octets: int = 0
    octets_sent: int = 0


@dataclass(slots=True)
class Count:
    """A number of messages, by recipient and by submission."""

    messages: int = 0
    sent: int = 0


Line = tuple[str, int, str, str]
"""Our domain, day of the month, type of our mailbox, domain of the correspondent (empty: a notice without sender)."""
Document = tuple[str, str, str, str]
"""Our domain, ``sent`` or ``received``, code of the CDA document (empty: none), number of the sending program (empty: not told)."""


@dataclass(slots=True)
class Figures:
    """Everything counted of one month, all domains together."""

    month: Month
    boxes: list[Box] = field(default_factory=list)
    sent: dict[Line, Flow] = field(default_factory=dict)
    received: dict[Line, Flow] = field(default_factory=dict)
    documents: dict[Document, Count] = field(default_factory=dict)

    def of(self, domain: str) -> list[Box]:
        """The mailboxes of a domain, by address."""
        return sorted((box for box in self.boxes if box.domain == domain), key=lambda box: box.address)


def lines(flows: Mapping[Line, Flow], domain: str) -> list[tuple[Line, Flow]]:
    """The lines of a domain, in order."""
    return sorted((one for one in flows.items() if one[0][0] == domain), key=lambda one: one[0])
