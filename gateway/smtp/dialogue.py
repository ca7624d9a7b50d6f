"""The verbs both doors speak: words of RFC 5321 in, questions to the intake, decisions out as replies.

Promise: no verb decides anything about a person, a domain or a content; sequence, grammar and counting are judged
here, everything else by the port. Each refusal is a rule of the catalogue. At each MAIL the session itself is judged
again, so that a trust or mailbox change acts on sessions that are open (MSS-055, reliability figure 7).
Failure: when the port raises, the verb answers 451 4.3.0 (``store.unavailable``) and nothing is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, ClassVar

import structlog
from aiosmtpd.smtp import ALLOWED_BEFORE_STARTTLS, syntax

from gateway.smtp import replies
from gateway.smtp.commands import MailCommand, Malformed, parse_mail, parse_rcpt
from gateway.smtp.content import FATAL, ContentReader
from gateway.smtp.doorway import DoorEnvelope
from gateway.smtp.edge import Edge
from gateway.smtp.transaction import Answer, Recipient, Transaction
from gateway.smtp.wire import Gone
from policies.catalogue import rule
from policies.decision import Decision, Verdict, decide
from policies.values import Address

log = structlog.get_logger("smtp")

_HTTP = frozenset({"GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS", "DELETE", "TRACE", "PATCH", "PRI"})
_ALONE = frozenset({"HELO", "EHLO", "DATA", "AUTH", "QUIT"})
"""Verbs that must end a pipelined group (RFC 2920 3.1); QUIT may be followed by nothing we would read."""
_PATHS = (b"MAIL ", b"RCPT ")
"""The verbs with an address, in which a letter beyond ASCII means an internationalised one (RFC 6531)."""
_JUNK = frozenset({"NOOP", "RSET", "VRFY", "EXPN", "HELP"})
_DONE = replies.plain(250, "2.0.0 Ok")
_SENDER_OK = replies.plain(250, "2.1.0 Ok")
_RECIPIENT_OK = replies.plain(250, "2.1.5 Ok")
_BYE = replies.plain(221, "2.0.0 Bye")
_READY = replies.plain(220, "2.0.0 Ready to start TLS")


class Dialogue(Edge):
    """A conversation. :mod:`gateway.smtp.inbound` and :mod:`gateway.smtp.submission` say who may have it."""

    verbs: ClassVar[dict[str, str]] = {}
    extensions: ClassVar[tuple[str, ...]] = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN")
    needs_login: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        # Once per class, where aiosmtpd lists its methods once per connection.
        own = cls.__mro__[: cls.__mro__.index(Edge)]  # aiosmtpd's own verbs write their own words
        cls.verbs = {name[5:]: name for each in own for name in vars(each) if name.startswith("smtp_")}

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._errors = 0
        self._junk = 0
        self._refused_recipients = 0

    async def _converse(self) -> None:
        while True:
            line = await self.line(self.limits.command_length)
            await self._command(line)

    async def _command(self, octets: bytes) -> None:
        """One command line."""
        try:
            line = octets.decode("ascii")
        except UnicodeDecodeError:
            path = octets[:5].upper() in _PATHS
            await self.refuse("session.smtputf8_unsupported" if path else "session.syntax")
            return
        word, _, argument = line.partition(" ")
        verb = word.upper()
        if verb in _HTTP or word.endswith(":"):
            self.hang_up(decide(rule("session.wrong_protocol")))
            raise Gone
        if verb in _JUNK:
            self._count_junk()
        if verb in _ALONE and self._pending and verb != "QUIT":
            # Someone who does not wait for our answer is not talking to us (RFC 2920 3.1; smuggled commands).
            self.hang_up(decide(rule("session.bad_pipelining")))
            raise Gone
        name = self.verbs.get(verb)
        if name is None:
            await self.refuse("session.command_unknown")
        elif not self.session.tls and verb not in ALLOWED_BEFORE_STARTTLS:
            await self.refuse("session.starttls_required")
        else:
            await getattr(self, name)(argument.strip(" ") or None)

    # -- verbs

    @syntax("HELO hostname")
    async def smtp_HELO(self, hostname: str | None) -> None:  # noqa: N802 - the verb's own name, aiosmtpd's convention
        if await self._greeted(hostname):
            self.session.extended_smtp = False
            self.say(replies.plain(250, self.doorway.hostname))

    @syntax("EHLO hostname")
    async def smtp_EHLO(self, hostname: str | None) -> None:  # noqa: N802
        if await self._greeted(hostname):
            self.session.extended_smtp = True
            self.say(replies.plain(250, self.doorway.hostname, *self.offers()))

    def offers(self) -> list[str]:
        """The extensions of EHLO. Without TLS only what leads to it."""
        if not self.session.tls:
            return ["STARTTLS", "PIPELINING", "ENHANCEDSTATUSCODES"]
        return [f"SIZE {self.limits.message_size}", *self.extensions, "HELP"]

    @syntax("STARTTLS")
    async def smtp_STARTTLS(self, argument: str | None) -> None:  # noqa: N802
        if argument:
            await self.refuse("session.syntax")
        elif self.session.tls:
            await self.refuse("session.tls_already_active")
        else:
            self.say(_READY)
            if not await self.start_tls():
                raise Gone

    @syntax("NOOP [ignored]")
    async def smtp_NOOP(self, argument: str | None) -> None:  # noqa: N802
        self.say(_DONE)

    @syntax("RSET")
    async def smtp_RSET(self, argument: str | None) -> None:  # noqa: N802
        if argument:
            await self.refuse("session.syntax")
        else:
            self.envelope = DoorEnvelope()
            self.say(_DONE)

    @syntax("QUIT")
    async def smtp_QUIT(self, argument: str | None) -> None:  # noqa: N802
        if argument:
            await self.refuse("session.syntax")
            return
        self.say(_BYE)
        self.bow_out()
        raise Gone

    @syntax("VRFY <address>")
    async def smtp_VRFY(self, argument: str | None) -> None:  # noqa: N802
        if argument:
            self.say(replies.reply(decide(rule("session.vrfy"))))
        else:
            await self.refuse("session.syntax")

    @syntax("EXPN <list>")
    async def smtp_EXPN(self, argument: str | None) -> None:  # noqa: N802
        await self.refuse("session.expn")

    @syntax("HELP [command]")
    async def smtp_HELP(self, argument: str | None) -> None:  # noqa: N802
        name = self.verbs.get((argument or "").upper())
        if name is not None:
            text = getattr(getattr(self, name), "__smtp_syntax__", argument)
        else:
            text = " ".join(sorted(self.verbs))
        self.say(replies.plain(214, f"2.0.0 {text}"))

    @syntax("MAIL FROM:<address>", extended=" [SP <mail-parameters>]")
    async def smtp_MAIL(self, argument: str | None) -> None:  # noqa: N802
        if not self.session.host_name or self.envelope.open:
            await self.refuse("session.bad_sequence")
        elif self.needs_login and self.session.login is None:
            await self.refuse("session.auth_required")
        else:
            await self._begin(argument or "")

    @syntax("RCPT TO:<address>", extended=" [SP <rcpt-parameters>]")
    async def smtp_RCPT(self, argument: str | None) -> None:  # noqa: N802
        envelope = self.envelope
        if not envelope.open:
            await self.refuse("session.bad_sequence")
        elif len(envelope.recipients) >= self.limits.recipients:
            await self._put_off(decide(rule("session.too_many_recipients"), limit=self.limits.recipients))
        else:
            await self._add_recipient(argument or "")

    @syntax("DATA")
    async def smtp_DATA(self, argument: str | None) -> None:  # noqa: N802
        if argument:
            await self.refuse("session.syntax")
        elif not self.envelope.recipients:
            # A program that shows its user the last answer only would otherwise blame itself for refused recipients.
            await self.refuse("session.no_recipients" if self.envelope.named else "session.bad_sequence")
        else:
            await self._message()

    # -- parts of verbs

    async def _greeted(self, hostname: str | None) -> bool:
        if not hostname or len(hostname) > 255 or not hostname.isprintable() or " " in hostname:
            await self.refuse("session.syntax")
            return False
        self.session.host_name = hostname
        self.envelope = DoorEnvelope()
        self.changed()
        return True

    async def _begin(self, argument: str) -> None:
        """MAIL: read, count, judge the session, judge the sender."""
        try:
            command = parse_mail(argument)
        except Malformed as fault:
            await self.refuse(fault.rule, **fault.parameters)
            return
        if command.size > self.limits.message_size:
            await self._turn_away(
                "mail", command.sender, (), decide(rule("session.message_too_large"), limit=self.limits.message_size)
            )
            return
        if not self.doorway.gate.message(self.origin):
            await self._turn_away("mail", command.sender, (), decide(rule("session.rate_limited")))
            return
        intake = self.doorway.intake
        session = await self.ask(intake.session(self.peer))
        if not session.accepted:
            await self.answer(session, b"")
            return
        decision = await self.ask(intake.sender(self.peer, command.sender, command.size))
        if await self.answer(decision, _SENDER_OK):
            self._open(command)

    def _open(self, command: MailCommand) -> None:
        envelope = self.envelope
        envelope.open = True
        envelope.mail_from = str(command.sender or "")
        envelope.sender, envelope.size = command.sender, command.size
        envelope.eight_bit, envelope.ret, envelope.envid = command.eight_bit, command.ret, command.envid

    async def _put_off(self, decision: Decision) -> None:
        """A recipient for later: one too many, or one whose mailbox is full. A sender of a long list names them all, then
        sends to those accepted (RFC 5321 4.5.3.1.10): hanging up on him would keep the message from everybody, each time."""
        self.envelope.excess += 1
        if self.envelope.excess > self.limits.overshoot:
            await self.answer(decision, b"")
        else:
            self.say(replies.reply(decision))

    async def _add_recipient(self, argument: str) -> None:
        self.envelope.named += 1
        try:
            command = parse_rcpt(argument)
        except Malformed as fault:
            await self.refuse(fault.rule, **fault.parameters)
            return
        envelope = self.envelope
        address = command.address if command.address.domain else Address("postmaster", self.doorway.domain)
        decision = await self.ask(self.doorway.intake.recipient(self.peer, envelope.sender, address))
        if decision.verdict is Verdict.DEFER and decision.code != 421:
            await self._put_off(decision)
            return
        if not decision.accepted:
            self._count_refused_recipient()
        if await self.answer(decision, _RECIPIENT_OK):
            envelope.recipients.append(Recipient(address, command.dsn))
            envelope.rcpt_tos.append(str(address))

    async def _message(self) -> None:
        """DATA: read, hand over, answer; the octets stay counted until the answer is known."""
        envelope = self.envelope
        reader, reserved = await self.content(envelope.size)
        try:
            self.envelope = DoorEnvelope()
            if reader.fault is not None:
                await self._refuse_content(reader, envelope)
                return
            await self._hand_over(envelope, reader.blocks)
        finally:
            reader.forget()
            self.forget(reserved)

    async def _hand_over(self, envelope: DoorEnvelope, content: list[bytes | memoryview]) -> None:
        transaction = Transaction(
            self.peer,
            envelope.sender,
            tuple(envelope.recipients),
            envelope.ret,
            envelope.envid,
            envelope.eight_bit,
        )
        try:
            answer = await self.doorway.intake.message(transaction, content)
        except Exception as fault:  # noqa: BLE001 - the port broke: 451, nothing kept
            answer = Answer(self._broken(fault))
        if not answer.decision.accepted:
            await self.answer(answer.decision, b"")
            return
        self._errors = self._junk = 0
        if answer.decision.verdict is Verdict.NOTE:
            taken = decide(rule("session.message_accepted"), identifier=answer.message)
            self.say(replies.joined(taken, answer.decision))
        else:
            self.say(replies.accepted(answer.message))

    async def _refuse_content(self, reader: ContentReader, envelope: DoorEnvelope) -> None:
        fault = reader.fault
        assert fault is not None
        refusal = rule(fault.value)
        limits = {"session.line_too_long": self.limits.line_length, "session.header_too_large": self.limits.header_size}
        decision = decide(refusal, limit=limits.get(fault.value, self.limits.message_size))
        recipients = tuple(recipient.address for recipient in envelope.recipients)
        decision = await self._noted("data", envelope.sender, recipients, decision)
        if fault in FATAL:
            self.hang_up(decision)
            raise Gone
        await self.answer(decision, b"")

    # -- answering

    async def ask(self, question: Awaitable[Decision]) -> Decision:
        """A decision from the port, whatever happens to it."""
        try:
            return await question
        except Exception as fault:  # noqa: BLE001 - the port broke: 451, nothing kept
            return self._broken(fault)

    def _broken(self, fault: Exception) -> Decision:
        name = type(fault).__name__
        if times := self.doorway.seldom.times(name):
            log.error("smtp.intake_failed", fault=name, door=self.doorway.door.value, times=times)
        return decide(rule("store.unavailable"))

    async def refuse(self, name: str, **parameters: object) -> None:
        """Answer with a rule of the catalogue and count the error."""
        await self.answer(decide(rule(name), "", **parameters), b"")

    async def _turn_away(
        self, stage: str, sender: Address | None, recipients: Sequence[Address], decision: Decision
    ) -> None:
        """Refuse a message for a reason of the door's own: its sender may ask about it as about any other."""
        await self.answer(await self._noted(stage, sender, recipients, decision), b"")

    async def _noted(
        self, stage: str, sender: Address | None, recipients: Sequence[Address], decision: Decision
    ) -> Decision:
        """The decision with its reference in the journal; without one when this address filled enough lines of it."""
        if not self.doorway.gate.worth_noting(self.origin):
            return decision
        try:
            return await self.doorway.intake.turned_away(self.peer, sender, recipients, stage, decision)
        except Exception as fault:  # noqa: BLE001 - refused all the same
            self._broken(fault)
            return decision

    async def answer(self, decision: Decision, good: bytes) -> bool:
        """Say a decision; ``good`` is said for a plain acceptance. True when accepted."""
        if decision.verdict is Verdict.ACCEPT:
            self.say(good)
            return True
        self.say(replies.reply(decision))
        if decision.accepted:
            return True
        if decision.code == 421:
            self.hang_up()
            raise Gone
        await self._count_error()
        return False

    async def _count_error(self) -> None:
        """Postfix's way: slower after some errors, over after more (F56, F57, F60)."""
        self._errors += 1
        if self._errors >= self.limits.hard_errors:
            self.hang_up(decide(rule("session.too_many_errors")))
            raise Gone
        if self._errors > self.limits.soft_errors and self.limits.soft_error_delay:
            await self._send()
            await asyncio.sleep(self.limits.soft_error_delay)

    def _count_refused_recipient(self) -> None:
        """Harvesting addresses ends the session, between good messages too (F57, F60)."""
        self._refused_recipients += 1
        if self._refused_recipients > self.limits.refused_recipients:
            self.hang_up(decide(rule("session.too_many_errors")))
            raise Gone

    def _count_junk(self) -> None:
        self._junk += 1
        if self._junk > self.limits.junk_commands:
            self.hang_up(decide(rule("session.too_many_errors")))
            raise Gone
