"""What the acceptance of a message sets going: tracking, receipts believed, success confirmed, users' rules executed.

:class:`Following` is the intake's ``followers``. It looks at a message once, cheaply, and asks
:class:`gateway.relay.reception.Reception` and the users' rules only when there is something for them: mail from a partner
that asks for nothing, to mailboxes without rules, passes through a few comparisons.
Promise: whatever follows is committed with the message or not at all. Failure: errors of the store are the acceptance's.
"""

from __future__ import annotations

from gateway.arrival import NOTHING, Arrival, Consequences, Work
from gateway.medical.answers import PatientAnswers
from gateway.relay.reception import Kept, Reception
from gateway.user_rules import UserRules
from mailboxes.anatomy import Anatomy
from mailboxes.seal import Sealer


class Following:
    """``rules`` are those users set for their mailboxes, ``patients`` says where patients' answers go; without them none is executed,
    and answers stay where they are addressed."""

    def __init__(
        self,
        reception: Reception,
        sealer: Sealer,
        rules: UserRules | None = None,
        patients: PatientAnswers | None = None,
    ) -> None:
        self.reception = reception
        self.patients = patients
        self._sealer = sealer
        self._rules = rules

    async def __call__(self, arrival: Arrival) -> Consequences:
        """What follows from this message."""
        entailed, rules = NOTHING, self._rules
        if rules is not None and arrival.local:
            if rules.book.stale():
                await rules.book.look()
            if any(map(rules.ruled, arrival.local.values())):
                entailed = await rules.execute(arrival)
        if self.patients is not None:
            extra, withheld = await self.patients.instead(arrival)
            if withheld:
                entailed = entailed._replace(extra=(*entailed.extra, *extra), withheld=entailed.withheld | withheld)
        if _asks(arrival) or (arrival.local and (may_be_receipt(arrival.anatomy) or self._may_be_bounce(arrival))):
            return entailed._replace(also=(*self._received(arrival), *entailed.also))
        return entailed

    def _may_be_bounce(self, arrival: Arrival) -> bool:
        """Could it be the letter of a patient's mailbox that a message did not arrive? Such letters need not be reports."""
        sender, patients = arrival.transaction.sender, self.reception.patients
        return (sender is None or sender.domain in patients.domains) and patients.titled(arrival.anatomy)

    def _received(self, arrival: Arrival) -> tuple[Work, ...]:
        sealed = arrival.sealed
        kept = Kept(sealed.body_id, self._sealer.wrap(sealed, 0))
        local = [(key, mailbox.id) for key, mailbox in arrival.local.items()]
        return self.reception.followers(arrival.transaction, arrival.anatomy, arrival.raw, arrival.message, kept, local)


def _asks(arrival: Arrival) -> bool:
    """One of our users writes, or somebody wants to know of success."""
    transaction = arrival.transaction
    if transaction.peer.login is not None:
        return True
    return any("SUCCESS" in recipient.dsn.notify for recipient in transaction.recipients)


def may_be_receipt(anatomy: Anatomy) -> bool:
    """Could :func:`gateway.relay.receipts.read` find anything? Never says no to what it would read."""
    values = anatomy.values
    if b"in-reply-to" in values or b"references" in values:
        subject = values.get(b"subject")
        if subject and (b"[" in subject[0] or b"=?" in subject[0]):
            return True
    return any(part.kind == b"message" for part in anatomy.parts)
