"""Where the answer of a patient goes: to the mailbox that the professional's message named in Reply-To (MSS-103).

A patient's own service is expected to write to that mailbox by itself. Where it writes to the sender instead, and the mailbox named
is one of ours, the answer is delivered there. Promise: a copy is never lost: what cannot be delivered as asked stays where it was
addressed. Failure: :class:`mailboxes.store.StoreError` when the register cannot be read.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.arrival import Arrival
from gateway.intake_ports import Mailboxes
from gateway.medical.registers import Registers
from policies.values import BalState, Door


@dataclass(frozen=True, slots=True)
class PatientAnswers:
    """``domains``: those of patients' mailboxes."""

    registers: Registers
    mailboxes: Mailboxes
    domains: frozenset[str]

    async def instead(self, arrival: Arrival) -> tuple[tuple[tuple[str, int], ...], frozenset[str]]:
        """Mailboxes that get the message (address key, mailbox id), and recipients that do not: both empty for other mail."""
        transaction = arrival.transaction
        sender = transaction.sender
        if sender is None or sender.domain not in self.domains or transaction.peer.door is not Door.INBOUND:
            return (), frozenset()
        about = tuple(dict.fromkeys((*arrival.anatomy.in_reply_to, *reversed(arrival.anatomy.references))))
        author, wanted = await self.registers.answers_to(sender.local, about)
        if author not in arrival.local:
            return (), frozenset()
        found = []
        for key in wanted:
            box = await self.mailboxes.find(key)
            if box is None or box.state is not BalState.ACTIVE:
                return (), frozenset()
            if box.id not in (one.id for one in arrival.local.values()):
                found.append((key, box.id))
        return tuple(dict.fromkeys(found)), frozenset({author} if wanted else ())
