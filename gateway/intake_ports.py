"""What the intake asks of others while it judges a message: whose an address is, and what its documents say.

Promise: small enough for a test to stand in for the real ones, :mod:`gateway.people` and :mod:`gateway.medical.reader`.
Failure: a store that does not answer raises :class:`mailboxes.store.StoreError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from gateway.smtp.transaction import Transaction
from mailboxes.anatomy import Anatomy
from mailboxes.unit import Unit
from policies.decision import Decision
from policies.values import Address, Login, MailboxFacts


class Mailboxes(Protocol):
    """Our mailboxes, as far as delivery asks."""

    async def find(self, key: str) -> MailboxFacts | None:
        """The mailbox of an address key, aliases followed; None when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Documents:
    """What indicators count of a message (MSS-142), and nothing of its patient: codes of the CDA documents in its archives, whether
    their INS is qualified (``O``, ``N``; empty without document)."""

    codes: tuple[str, ...] = ()
    ins: str = ""


NO_DOCUMENTS = Documents()


@dataclass(frozen=True, slots=True)
class Medical:
    """What reading the medical content gave: decisions about the message, and header fields to add. ``forbidden`` are mailboxes that
    a patient of the message forbade by name: no rule sends it on to them."""

    decisions: tuple[Decision, ...] = ()
    fields: dict[str, str] = field(default_factory=dict)
    also: tuple[Callable[[Unit], None], ...] = ()
    forbidden: frozenset[str] = frozenset()
    documents: Documents = NO_DOCUMENTS


class MedicalReader(Protocol):
    """Reads HPRIM, CDA and XDM content; :mod:`gateway.medical` is the real one."""

    async def read(self, transaction: Transaction, anatomy: Anatomy, raw: bytes) -> Medical: ...


class NoMedicalReader:
    """Looks at nothing: for services that carry no documents, and for tests."""

    async def read(self, transaction: Transaction, anatomy: Anatomy, raw: bytes) -> Medical:
        return Medical()


Senders = Callable[[], Iterable[str]]
"""Address keys a partner's message names as its sender; asked for only where somebody is refused."""


class Sanctions(Protocol):
    """Whose sending is suspended; :class:`gateway.sanctions.standing.Sanctions` is the real one."""

    async def judge(self, login: Login | None, senders: Senders, recipient: Address) -> Decision | None:
        """The refusal of this recipient to a login, or to a partner's sender under one of these address keys; None when he may."""
        ...

    async def suspect(self, login: Login, reached: int) -> None:
        """This mailbox passed a refusing threshold after it had reached so many recipients."""
        ...


class NoSanctions:
    """Punishes nobody: for tests and tools."""

    async def judge(self, login: Login | None, senders: Senders, recipient: Address) -> Decision | None:
        return None

    async def suspect(self, login: Login, reached: int) -> None:
        return
