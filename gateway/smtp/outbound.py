"""One session with a partner's server: EHLO, STARTTLS, EHLO, then messages, each judged before it is said.

Order of a session: connect, greeting, EHLO, STARTTLS with our certificate, the server's certificate judged by the
trust policies, EHLO again, and only then MAIL. Nothing but EHLO, STARTTLS and QUIT is ever said in clear (MSS-039).
Promise: replies are per recipient; the content is streamed from the store, dot-stuffed without a copy, and never
completed when it holds a bare CR, a bare LF or NUL, or when the lease on its rows has lapsed.
Failure: :meth:`Session.open` raises :class:`NoSession` with the decision that explains it; :meth:`Session.deliver`
answers results, and the session is no longer ``usable`` when the peer broke it.
Sources: RFC 5321, 3207, 1870, 2920, 6152, 3461; MSS-030..049; F23-F33.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.relay.parcel import Parcel, Result, Waypoint
from gateway.relay.wire import (
    Cut,
    Garbled,
    Injected,
    Reply,
    Silent,
    Stuffing,
    UnsafeContent,
    Wire,
    WireError,
)
from gateway.smtp.resolver import Target
from mailboxes.seal import FRAME
from mailboxes.store import BodyReader, StoreError
from policies.catalogue import rule
from policies.decision import Decision, decide
from policies.retry import enhanced_status, reply_class
from policies.values import CertificateFacts

BLOCK = FRAME
RETURN_PATH = b"return-path:"
TOO_MANY = "4.5.3"  # recipients at once: the others go the next time
FAREWELL = 421  # to MAIL: a session grown too old or too long, which says nothing of the message


class Guard(Protocol):
    """What the trust space answers the courier; asked again at each attempt and for each message."""

    def may_deliver(self, domain: str) -> Decision:
        """:func:`policies.trust.may_deliver` at this moment."""
        ...

    def context(self) -> ssl.SSLContext:
        """A client context that presents our certificate; verification of the path is :meth:`certificate`'s."""
        ...

    async def certificate(self, tls: ssl.SSLObject) -> CertificateFacts | None:
        """Facts of the server's certificate, path and revocation included."""
        ...

    def judge(self, domain: str, certificate: CertificateFacts | None, host: str | None) -> Decision:
        """:func:`policies.trust.judge_outbound` at this moment."""
        ...


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds each phase may take (RFC 5321 4.5.3.2). Shorter than 600 after the dot makes duplicates (RFC 1047)."""

    connect: float = 30.0
    greeting: float = 300.0
    command: float = 300.0
    tls: float = 60.0
    data: float = 120.0
    block: float = 180.0
    dot: float = 600.0
    quit: float = 10.0


class NoSession(Exception):
    """The server could not be spoken to. ``decision`` explains, ``reply`` is what it said, if anything."""

    def __init__(self, decision: Decision, reply: str = "") -> None:
        super().__init__(decision.rule.name)
        self.decision = decision
        self.reply = reply


def explain(failure: Exception, host: str) -> Decision:
    """The decision for a fault of the wire."""
    if isinstance(failure, Silent):
        return decide(rule("relay.silent"), str(failure), host=host)
    if isinstance(failure, Garbled):
        return decide(rule("relay.garbled"), failure.text, host=host)
    if isinstance(failure, Injected):
        return decide(rule("relay.garbled"), str(failure), host=host)
    if isinstance(failure, UnsafeContent | ValueError):  # ValueError: an address that could break out of its line
        return decide(rule("relay.unsafe_content"), str(failure))
    return decide(rule("relay.cut"), f"{type(failure).__name__} {failure}"[:200], host=host)


class Session:
    """A connection to one server, inside TLS. Build it with :meth:`open`; one task at a time uses it."""

    def __init__(self, wire: Wire, target: Target, address: str, patience: Patience) -> None:
        self._wire = wire
        self._patience = patience
        self.target = target
        self.host = target.name or address
        self.address = address
        self.certificate: CertificateFacts | None = None
        self.extensions: dict[str, str] = {}
        self.delivered = 0
        self.unheard = False  # the last parcel got no reply, or a farewell: the session had ended before it

    @classmethod
    async def open(
        cls, target: Target, address: str, domain: str, guard: Guard, hello: str, patience: Patience
    ) -> Session:
        """Connect, secure and judge. ``hello`` is our own host name. Raises :class:`NoSession`."""
        session = cls(await _connect(target, address, patience), target, address, patience)
        try:
            await session._greet(hello)
            await session._secure(domain, guard)
            session.extensions = await session._ehlo(hello)
        except NoSession:
            session.abort()
            raise
        except (WireError, OSError) as failure:
            session.abort()
            raise NoSession(explain(failure, session.host)) from failure
        except BaseException:
            session.abort()
            raise
        return session

    @property
    def usable(self) -> bool:
        return self._wire.usable

    def abort(self) -> None:
        self._wire.abort()

    async def quit(self) -> None:
        """Say goodbye, wait little for the answer, close. Never raises for the peer's faults."""
        try:
            if self._wire.usable:
                self._wire.command("QUIT")
                await self._wire.reply(self._patience.quit)
        except (WireError, OSError):
            pass
        self._wire.abort()

    async def _greet(self, hello: str) -> None:
        greeting = await self._wire.reply(self._patience.greeting)
        if greeting.code != 220:
            # Even a 554 here concerns the two servers, never one message: it is always worth another try.
            raise NoSession(decide(rule("relay.partner_deferred"), greeting.text, host=self.host), greeting.text)
        self.extensions = await self._ehlo(hello)

    async def _ehlo(self, hello: str) -> dict[str, str]:
        self._wire.command(f"EHLO {hello}")
        reply = await self._wire.reply(self._patience.command)
        if not reply.positive:
            raise NoSession(decide(rule("relay.partner_deferred"), reply.text, host=self.host), reply.text)
        words = [line.split(" ", 1) for line in reply.lines[1:] if line]
        return {word[0].upper(): (word[1] if len(word) > 1 else "") for word in words}

    async def _secure(self, domain: str, guard: Guard) -> None:
        if "STARTTLS" not in self.extensions:
            raise NoSession(decide(rule("trust.partner_no_tls"), host=self.host))
        self._wire.command("STARTTLS")
        reply = await self._wire.reply(self._patience.command)
        if reply.code != 220:
            raise NoSession(decide(rule("trust.partner_no_tls"), reply.text, host=self.host), reply.text)
        await self._handshake(guard)
        await self.read_certificate(guard)
        verdict = guard.judge(domain, self.certificate, self.target.name)
        if not verdict.accepted:
            raise NoSession(verdict)

    async def read_certificate(self, guard: Guard) -> None:
        """Read what is known of the server's certificate now: it may have been revoked since the handshake."""
        tls = self._wire.ssl_object
        self.certificate = await guard.certificate(tls) if tls is not None else None

    async def _handshake(self, guard: Guard) -> None:
        try:
            await self._wire.start_tls(guard.context(), self.host, self._patience.tls)
        except Injected as injected:
            raise NoSession(decide(rule("trust.partner_injected"), str(injected), host=self.host)) from None
        except ssl.SSLError as failure:
            word = (failure.reason or "TLS").lower()
            raise NoSession(
                decide(rule("trust.partner_tls_failed"), str(failure)[:200], host=self.host, reason=word)
            ) from None
        except (Cut, OSError) as failure:
            raise NoSession(
                decide(rule("trust.partner_tls_failed"), str(failure)[:200], host=self.host, reason="closed")
            ) from None

    def _said(self, reply: Reply) -> Decision:
        name = "relay.partner_refused" if reply_class(reply.code) == 5 else "relay.partner_deferred"
        return decide(rule(name), reply.text, host=self.host)

    # one message

    async def deliver(self, parcel: Parcel) -> list[Result]:
        """Send one message; one result per recipient, in order. Never raises for the peer's faults."""
        refused = self._beforehand(parcel)
        if refused is not None:
            return [self._result(way, refused) for way in parcel.recipients]
        dialogue = _Dialogue(self, parcel)
        self.unheard = False
        try:
            await dialogue.run()
            self.unheard = not dialogue.heard
        except (WireError, OSError, StoreError, ValueError) as failure:
            self.abort()
            self.unheard = isinstance(failure, Cut | Injected | OSError) and not dialogue.heard
            dialogue.fail(self._failure(failure))
        except BaseException:
            self.abort()
            raise
        if self.unheard:
            self.abort()
        self.delivered += 1
        return dialogue.results()

    def _failure(self, failure: Exception) -> Decision:
        if isinstance(failure, StoreError):
            gone = type(failure).__name__ in ("MissingBody", "Corrupted")
            return decide(rule("relay.body_missing" if gone else "relay.busy"), type(failure).__name__)
        return explain(failure, self.host)

    def _beforehand(self, parcel: Parcel) -> Decision | None:
        """What the server's own words forbid before a MAIL is worth saying."""
        limit = self.extensions.get("SIZE", "")
        if limit.isascii() and limit.isdigit() and len(limit) < 16 and 0 < int(limit) < parcel.body.size:
            return decide(rule("relay.too_big"), f"{parcel.body.size} over {limit}", host=self.host)
        if parcel.eight_bit and "8BITMIME" not in self.extensions:
            return decide(rule("relay.eight_bit"), host=self.host)
        return None

    def _result(self, way: Waypoint, decision: Decision, reply: Reply | None = None) -> Result:
        return Result(
            id=way.id,
            decision=decision,
            status=enhanced_status(reply.code, reply.status) if reply else decision.enhanced,
            reply=reply.text if reply else "",
            host=self.host,
            certificate=self.certificate.fingerprint if self.certificate else "",
            dsn_passed="DSN" in self.extensions,
        )


class _Dialogue:
    """The state of one message being said: which recipients stand, and what each was answered."""

    def __init__(self, session: Session, parcel: Parcel) -> None:
        self._session = session
        self._wire = session._wire
        self._patience = session._patience
        self._parcel = parcel
        self._answers: dict[int, Result] = {}
        self._standing: list[Waypoint] = []
        self.heard = False

    async def run(self) -> None:
        commands = [self._mail(), *(self._rcpt(way) for way in self._parcel.recipients)]
        go_ahead = await (self._pipelined(commands) if self._pipelines() else self._one_by_one(commands))
        if not self._standing:
            await self._reset(go_ahead)
            return
        if go_ahead is not None and go_ahead.code >= 400:
            self._answer_standing(go_ahead)
            return
        if go_ahead is None or go_ahead.code != 354:  # a success for a content nobody has sent is no acceptance of it
            raise Garbled(go_ahead.text if go_ahead else "")
        await self._content()

    def _pipelines(self) -> bool:
        return "PIPELINING" in self._session.extensions

    def _mail(self) -> str:
        extensions, parcel = self._session.extensions, self._parcel
        words = [f"MAIL FROM:<{parcel.sender}>"]
        if "SIZE" in extensions:
            words.append(f"SIZE={parcel.body.size}")
        if parcel.eight_bit:
            words.append("BODY=8BITMIME")
        if "DSN" in extensions:
            words += [f"RET={parcel.ret}"] if parcel.ret in ("FULL", "HDRS") else []
            words.append(f"ENVID={_one_word(parcel.envid) or parcel.message}")  # ours lets a notice find its message
        return " ".join(words)

    def _rcpt(self, way: Waypoint) -> str:
        words = [f"RCPT TO:<{way.recipient}>"]
        if "DSN" in self._session.extensions:
            words += [f"NOTIFY={','.join(sorted(way.dsn.notify))}"] if way.dsn.notify else []
            # Ours where the sender gave none: a notice of where an alias led there must name whom we wrote to (RFC 3461 5.2.1).
            words.append(f"ORCPT={_one_word(way.dsn.orcpt) or 'rfc822;' + _xtext(way.recipient)}")
        return " ".join(words)

    async def _pipelined(self, commands: list[str]) -> Reply | None:
        self._wire.command(*commands, "DATA")
        begun = self._begun(await self._wire.reply(self._patience.command))
        for way in self._parcel.recipients:
            reply = await self._wire.reply(self._patience.command)
            if begun:
                self._heard(way, reply)
        return await self._wire.reply(self._patience.data)

    async def _one_by_one(self, commands: list[str]) -> Reply | None:
        if self._begun(await self._ask(commands[0], self._patience.command)):
            for way, command in zip(self._parcel.recipients, commands[1:], strict=True):
                self._heard(way, await self._ask(command, self._patience.command))
        return await self._ask("DATA", self._patience.data) if self._standing else None

    def _begun(self, mail: Reply) -> bool:
        """What MAIL was answered: a refusal is each recipient's, even if the server hangs up before it says more."""
        self.heard = mail.code != FAREWELL
        if not mail.positive:
            for way in self._parcel.recipients:
                self._heard(way, mail)
        return mail.positive

    async def _ask(self, command: str, patience: float) -> Reply:
        self._wire.command(command)
        return await self._wire.reply(patience)

    def _heard(self, way: Waypoint, reply: Reply) -> None:
        session = self._session
        if reply.positive:
            self._standing.append(way)
        elif self._too_many(reply):
            waits = decide(rule("relay.partner_deferred"), reply.text, host=session.host)
            self._answers[way.id] = replace(session._result(way, waits, reply), status=TOO_MANY)
        else:
            self._answers[way.id] = session._result(way, session._said(reply), reply)

    def _too_many(self, reply: Reply) -> bool:
        """552 to RCPT is temporary when it speaks of the number of recipients (RFC 5321 4.5.3.1.10), not of a full mailbox:
        by its status, or without one where others were taken before."""
        return reply.code == 552 and (reply.status == "5.5.3" or (not reply.status and bool(self._standing)))

    async def _reset(self, go_ahead: Reply | None) -> None:
        """No recipient stands. A server that says 354 all the same is left: an empty message must not reach anyone."""
        if go_ahead is not None and go_ahead.code == 354:
            self._session.abort()
            return
        await self._ask("RSET", self._patience.command)

    async def _content(self) -> None:
        parcel, stuffing = self._parcel, Stuffing()
        offset = await _after_return_path(parcel.body)
        while offset < parcel.body.size:
            # Reads end where stored frames end, so that none is decrypted twice.
            block = await parcel.body.read(offset, BLOCK - offset % BLOCK)
            if not block:
                raise Cut("the stored body ended early")
            offset += len(block)
            for piece in stuffing.feed(block):
                await self._wire.write(piece, self._patience.block)
        end = stuffing.end()
        if not parcel.still_ours():
            raise Cut("our lease on the message lapsed")
        self._wire.expect(1)
        await self._wire.write(end, self._patience.block)
        self._answer_standing(await self._wire.reply(self._patience.dot))

    def _answer_standing(self, reply: Reply) -> None:
        session = self._session
        for way in self._standing:
            if reply.code == 354:
                decision = decide(rule("relay.garbled"), reply.text, host=session.host)
            elif reply.positive:
                decision = decide(rule("relay.handed_over"), reply.text, host=session.host)
            else:
                decision = session._said(reply)
            self._answers[way.id] = session._result(way, decision, reply)
        self._standing = []

    def fail(self, decision: Decision) -> None:
        """The session broke: whoever has no answer of his own gets this one."""
        for way in self._parcel.recipients:
            if way.id not in self._answers:
                self._answers[way.id] = self._session._result(way, decision)

    def results(self) -> list[Result]:
        return [self._answers[way.id] for way in self._parcel.recipients]


def _one_word(value: str) -> str:
    """A parameter value that cannot become two parameters; empty otherwise."""
    return value if all(33 <= ord(character) < 127 for character in value) else ""


def _xtext(value: str) -> str:
    """RFC 3461 4: what could end the parameter, or start a code of two digits, becomes such a code."""
    return "".join(one if 33 <= ord(one) < 127 and one not in "+=" else f"+{ord(one):02X}" for one in value)


OURS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL))
"""What keeps us from calling anybody: no fault of the one who was to be called, and no reason to spare him."""


async def _connect(target: Target, address: str, patience: Patience) -> Wire:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(patience.connect):
            _, wire = await loop.create_connection(Wire, address, target.port)
    except (OSError, TimeoutError) as failure:
        host = target.name or address
        if failure.errno in OURS:
            raise NoSession(decide(rule("relay.busy"), errno.errorcode[failure.errno])) from None
        raise NoSession(decide(rule("relay.unreachable"), f"{address} {type(failure).__name__}", host=host)) from None
    return wire


async def _after_return_path(body: BodyReader) -> int:
    """Where the message proper starts: Return-Path belongs to final delivery and is not relayed (RFC 5321 4.4)."""
    start = await body.read(0, 1024)
    if start[: len(RETURN_PATH)].lower() != RETURN_PATH:
        return 0
    end = start.find(b"\r\n")
    return end + 2 if end >= 0 and start[end + 2 : end + 3] not in (b" ", b"\t") else 0
