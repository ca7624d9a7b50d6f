"""A message judged and sealed, about to be committed, and what follows from it beside its own recipients.

The intake shows an :class:`Arrival` to its followers (tracking, receipts, users' rules) and commits their
:class:`Consequences` in the transaction that accepts the message.
Promise: values only. Failure: none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from gateway.smtp.transaction import Transaction
from mailboxes.anatomy import Anatomy
from mailboxes.store import Sealed
from mailboxes.unit import Unit
from policies.values import MailboxFacts

Work = Callable[[Unit], None]
_NONE: Mapping[str, str] = MappingProxyType({})


class Arrival(NamedTuple):
    """``raw`` is what was received behind our trace, and what ``anatomy`` speaks of; ``head`` are the fields added before
    it when it was stored. ``local`` maps recipient keys to mailboxes; ``forbidden`` are those its patient forbade by name (TOU-F08).
    """

    transaction: Transaction
    message: str
    anatomy: Anatomy
    raw: bytes
    head: bytes
    sealed: Sealed
    local: Mapping[str, MailboxFacts]
    forbidden: frozenset[str] = frozenset()


class Consequences(NamedTuple):
    """What is to be done beside delivering to the recipients named.

    ``also`` runs in the acceptance transaction; ``extra`` are further mailboxes of ours that get the message (address
    key, mailbox id); ``withheld`` are recipient keys that do not, because a rule of theirs sends it on instead;
    ``flags`` are those of a recipient's copy; ``sealed`` are further bodies, discarded when the commit fails.
    """

    also: tuple[Work, ...] = ()
    extra: tuple[tuple[str, int], ...] = ()
    withheld: frozenset[str] = frozenset()
    flags: Mapping[str, str] = _NONE
    sealed: tuple[Sealed, ...] = ()


NOTHING = Consequences()
Followers = Callable[[Arrival], Awaitable[Consequences]]


async def nothing(arrival: Arrival) -> Consequences:
    """Nothing follows: for tests and tools."""
    return NOTHING
