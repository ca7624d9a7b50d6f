"""Hands a message to this operator's own intake, without a network: for commands, and for programs on the same machine.

The mailbox the message leaves from is opened by whoever runs the command, on this operator's database and under its rules: every
judgement of the submission door applies. Promise: an identifier is answered only for a message that is durable; what is refused
leaves its journal entry and raises. Failure: :class:`NotTaken` with the decision; store errors propagate.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway import people, policy_settings
from gateway.acceptance import Acceptor
from gateway.compose import Storage, storage
from gateway.following import Following
from gateway.intake import Intake
from gateway.medical.pool import ReaderHere
from gateway.medical.wiring import document_reader
from gateway.part_settings import intake_settings, scanner
from gateway.relay.bodies import StoreBodies
from gateway.relay.reception import Reception
from gateway.sanctions.wiring import at_the_doors
from gateway.smtp.transaction import Recipient, Transaction
from gateway.trust_space import TrustSpace
from gateway.volumes import SqlLedger, Volumes
from mailboxes.lookup import Mailboxes
from policies.catalogue import rule
from policies.decision import Decision, decide
from policies.values import Address, BalState, Door, DsnRequest, Login, MailboxFacts, Peer

if TYPE_CHECKING:
    from gateway.medical.pool import Reader
    from gateway.settings import Config


class NotTaken(Exception):
    """The intake said no, for good or for now: ``decision`` says which and why."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.rule.name)
        self.decision = decision


class UnknownMailbox(LookupError):
    """The mailbox to send from is not one of ours, or is not open."""


@dataclass(frozen=True, slots=True)
class WayIn:
    """An open store with an intake in front of it. ``most`` recipients may a message have, as at the door."""

    storage: Storage
    intake: Intake
    boxes: Mailboxes
    most: int

    async def mailbox(self, address: Address) -> MailboxFacts:
        """The mailbox, open. Raises :class:`UnknownMailbox`."""
        found = await self.boxes.find(address.key)
        if found is None or found.state is not BalState.ACTIVE:
            raise UnknownMailbox(str(address))
        return found

    async def submit(self, sender: Address, recipients: Sequence[Address], content: bytes, actor: str) -> str:
        """Our identifier of the message. Raises :class:`UnknownMailbox` or :class:`NotTaken`."""
        box = await self.mailbox(sender)
        if len(recipients) > self.most:
            raise NotTaken(decide(rule("session.too_many_recipients"), limit=self.most))
        login = Login(actor, box.id, box.address, "local", frozenset({box.address.key}))
        peer = Peer(Door.SUBMISSION, "127.0.0.1", "caducee", tls=True, login=login)
        _need(await self.intake.sender(peer, sender, len(content)))
        for recipient in recipients:
            _need(await self.intake.recipient(peer, sender, recipient))
        dsn = DsnRequest(notify=frozenset({"FAILURE"}))
        listed = tuple(Recipient(one, dsn) for one in recipients)
        eight_bit = not content.isascii()
        transaction = Transaction(peer, sender, listed, eight_bit=eight_bit)
        answer = await self.intake.message(transaction, bytearray(content))
        _need(answer.decision)
        return answer.message


def _need(decision: Decision) -> None:
    if not decision.accepted:
        raise NotTaken(decision)


@asynccontextmanager
async def way_in(config: Config, readers: Reader | None = None) -> AsyncIterator[WayIn]:
    """Open this operator's store and intake; closed at the end. ``readers`` read documents, here by default."""
    opened = storage(config)
    try:
        yield _wired(config, opened, readers or ReaderHere())
    finally:
        await opened.close()


def _wired(config: Config, opened: Storage, readers: Reader) -> WayIn:
    space = TrustSpace(config, None, opened.clock, _nothing)
    space.load_kept()
    boxes = people.mailboxes(opened)
    reception = Reception(
        StoreBodies(opened.store),
        config.operator.hostname,
        space.trusted,
        config.queue.confirm_within,
        policy_settings.bounces(config),
    )
    intake = Intake(
        settings=intake_settings(config, space),
        trusted=space.trusted,
        mailboxes=boxes,
        scanner=scanner(config),
        sealer=opened.sealer,
        committer=opened.committer,
        acceptor=Acceptor(opened.store, policy_settings.schedule(config), _nothing),
        clock=opened.clock,
        pool=opened.pool,
        medical=document_reader(config, opened, boxes, readers),
        followers=Following(reception, opened.sealer),
        sanctions=at_the_doors(opened, lambda: config),
        volumes=Volumes(SqlLedger(opened.reading), opened.clock, time.monotonic, opened.volume_key),
    )
    return WayIn(opened, intake, boxes, config.limits.recipients)


def _nothing() -> None:
    """The courier of the running service looks at the queue by itself."""
