"""The rules of our mailboxes as one thing: known from memory, executed with each message, judged again with each list.

Promise and failure: those of :mod:`gateway.rule_book`, :mod:`gateway.redirecting` and :mod:`gateway.answering`.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.answering import Answering
from gateway.arrival import Arrival, Consequences
from gateway.redirecting import Judgement, Redirecting, rejudge
from gateway.relay.parcel import Bodies
from gateway.rule_book import RuleBook
from mailboxes import rules
from mailboxes.commit import Committer
from mailboxes.unit import Unit
from policies.values import MailboxFacts


@dataclass(frozen=True, slots=True)
class UserRules:
    """What :class:`gateway.following.Following` asks for."""

    book: RuleBook
    redirecting: Redirecting
    answering: Answering
    judgement: Judgement
    bodies: Bodies

    def ruled(self, mailbox: MailboxFacts) -> bool:
        """Has this mailbox rules in force, as of the last look?"""
        return self.book.ruled(mailbox.id)

    async def execute(self, arrival: Arrival) -> Consequences:
        """Everything the rules of its mailboxes make of this message."""
        onward = await self.redirecting(arrival)
        answers = self.answering(arrival)
        return onward._replace(also=(*answers.also, *onward.also), flags=answers.flags)

    async def rejudge(self, committer: Committer) -> int:
        """After a change of the white list: end the rules that now point outside. Returns how many."""
        done: int = await committer.run(self._rejudge)
        if done:
            self.book.forget()
        return done

    def _rejudge(self, unit: Unit) -> int:
        rules.forget(unit)
        return rejudge(unit, self.bodies, self.judgement)
