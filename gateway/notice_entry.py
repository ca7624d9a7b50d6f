"""The way back in for our own notices: judged and stored by the intake like any other message.

Promise: a notice that was accepted is durable before its identifier is answered. Failure:
:class:`gateway.relay.parcel.Undeliverable` when nobody can ever receive it, :class:`mailboxes.store.StoreUnavailable`
when it must be tried again.
"""

from __future__ import annotations

from gateway.relay.parcel import Undeliverable
from gateway.smtp.transaction import Intake, Recipient, Transaction
from mailboxes.store import StoreUnavailable
from policies.address import AddressError, parse
from policies.decision import Verdict
from policies.values import Door, DsnRequest, Peer

_OURSELVES = Peer(Door.INTERNAL, "127.0.0.1", tls=True)
_NEVER = DsnRequest(notify=frozenset({"NEVER"}))


class NoticeEntry:
    """Implements :class:`gateway.relay.parcel.Submit`; ``intake`` is set once it exists."""

    def __init__(self) -> None:
        self.intake: Intake | None = None

    async def notice(self, sender: None, recipient: str, content: bytes) -> str:
        """Accept a notice with the null reverse-path; our identifier of it."""
        if self.intake is None:
            raise StoreUnavailable("the intake is not open yet")
        try:
            address = parse(recipient)
        except AddressError as problem:
            raise Undeliverable(problem.word) from None
        transaction = Transaction(_OURSELVES, None, (Recipient(address, _NEVER),), eight_bit=not content.isascii())
        answer = await self.intake.message(transaction, bytearray(content))
        if answer.decision.verdict is Verdict.DEFER:
            raise StoreUnavailable(answer.decision.rule.name)
        if not answer.decision.accepted:
            raise Undeliverable(answer.decision.rule.name)
        return answer.message
