"""The content of a message on the wire: read to its end within the limits, the pace and the budget.

Promise: DATA goes to :class:`~gateway.smtp.content.ContentReader` packet by packet, never by lines; beyond
:data:`~gateway.smtp.budget.FREE` octets nothing more is read until the budget has room for the whole message; every octet
counted is given back, however the conversation ends.
Failure: no room in time makes the reader forget the content (``store.busy``); a sender too slow is hung up on.
"""

from __future__ import annotations

from typing import Any

from gateway.smtp.budget import FREE, BudgetTimeout
from gateway.smtp.content import ContentReader, Fault
from gateway.smtp.doorway import DoorEnvelope, Doorway
from gateway.smtp.wire import Gone, Wire
from policies.catalogue import rule
from policies.decision import decide

__all__ = ["DoorEnvelope", "Doorway", "Edge", "Gone"]


class Edge(Wire):
    """A wire that reads messages."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._incoming: ContentReader | None = None
        self._wants_room = False
        self._has_room = False
        self._borrowed = 0
        self._owner = ""

    def check(self, now: float) -> None:
        super().check(now)
        if self._waiting == "content" and self._incoming is not None:
            waited, limits = now - self._since, self.limits
            slow = waited > limits.content_grace and self._incoming.taken < limits.content_rate * waited
            if slow or waited > limits.content_timeout:
                self.hang_up(decide(rule("session.timeout")))

    async def content(self, declared: int) -> tuple[ContentReader, int]:
        """Say 354 and read to the end of the message; the octets of the budget it holds, to give to :meth:`forget`."""
        limits = self.limits
        reader = ContentReader(
            size=limits.message_size,
            line=limits.line_length,
            header=limits.header_size,
            discard=limits.message_size,
        )
        self._incoming, self._wants_room, self._has_room = reader, False, False
        self._sink = self._content
        self.say(b"354 2.0.0 End data with <CRLF>.<CRLF>\r\n")
        self._since = self.doorway.clock()
        reserved = 0
        try:
            while not reader.over:
                await self._more("content")
                if self._wants_room and not reader.over:
                    reserved += await self._room(reader, declared)
        except BaseException:
            # What is counted no more is held no more: a conversation that ended may stay in memory for a while, in circles.
            reader.forget()
            self._incoming = self._sink = None
            self.forget(reserved)
            raise
        return reader, reserved

    def forget(self, reserved: int) -> None:
        """Give the octets of a message back to the budget."""
        self.doorway.budget.give_back(self._borrowed)
        self._borrowed = 0
        if reserved:
            self.doorway.budget.release(reserved, self._owner)

    def _content(self, data: bytes) -> None:
        """One packet of DATA."""
        reader = self._incoming
        assert reader is not None
        if reader.feed(data):
            self._incoming = self._sink = None
            self._waiting = ""
            self._pending += reader.rest
            self._wake()
            return
        if not self._has_room:
            self._count(min(reader.kept, FREE))

    def _count(self, held: int) -> None:
        """Tell the budget how much of a message without reservation we hold; ask for room when that is too much."""
        if held < self._borrowed:  # refused and forgotten
            self.doorway.budget.give_back(self._borrowed - held)
        else:
            self.doorway.budget.borrow(held - self._borrowed)
        self._borrowed = held
        if held >= FREE:
            self._wants_room = True
            self._pause()
            self._wake()

    async def _room(self, reader: ContentReader, declared: int) -> int:
        """Wait for room in the budget for the whole message; the octets reserved."""
        budget, began = self.doorway.budget, self.doorway.clock()
        # A declared size is taken at its word, within what folding and dots may add; no more will be read than that.
        octets = (
            min(self.limits.message_size, declared + declared // 16 + FREE) if declared else self.limits.message_size
        )
        self._waiting = ""
        self._owner = self._answerable()
        try:
            await budget.take(octets, self._owner)
        except BudgetTimeout:
            octets = 0
            reader.drop(Fault.BUSY)
        else:
            reader.limit(octets)
        self._since += self.doorway.clock() - began
        budget.give_back(self._borrowed)
        self._borrowed = 0
        self._wants_room, self._has_room = False, True
        self._resume()
        return octets

    def _answerable(self) -> str:
        """Whose message this is, as far as room goes: an account, or a partner."""
        peer = self.peer
        if peer.login is not None:
            return peer.login.account
        return peer.certificate.subject if peer.certificate is not None else self.origin
