"""One SMTP connection as a wire: octets in, command lines out, replies in groups, TLS, time, the end.

A subclass of aiosmtpd's ``SMTP`` that keeps its vocabulary (``Session``, ``Envelope``, a method ``smtp_VERB`` per verb)
and replaces its stream loop; docs/adr/0003-smtp-doors.md gives the profile.
Promise: replies to pipelined commands leave in one write; nothing read before STARTTLS is used after it (RFC 3207 4.2);
a peer that is silent, slow or does not read cannot hold the connection longer than
:class:`~gateway.smtp.limits.Limits` says; only CRLF ends a command.
Failure: whatever goes wrong in a conversation ends that conversation only, with 421 or 451 when the peer can still hear
it; a commit under way is never cancelled because its client left (F28).
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import structlog
from aiosmtpd.smtp import SMTP

from gateway.smtp import replies
from gateway.smtp.doorway import DoorEnvelope, DoorSession, Doorway
from gateway.smtp.tls import refusal
from mailboxes.layer import UNRECOGNIZED_NAME, Hello, Layer
from policies.catalogue import rule
from policies.decision import Decision, decide
from policies.events import Event, Kind
from policies.values import Peer

log = structlog.get_logger("smtp")

_PENDING = 64 * 1024  # unread command octets after which we stop listening


class Gone(Exception):
    """The peer left, or we closed: the conversation is over."""


class Wire(SMTP):
    """The connection. :class:`gateway.smtp.edge.Edge` adds contents, :class:`gateway.smtp.dialogue.Dialogue` the verbs."""

    session: DoorSession
    envelope: DoorEnvelope

    def __init__(self, doorway: Doorway, registry: set[Wire] | None = None) -> None:
        # aiosmtpd's __init__ lists all members of two objects and makes a stream reader, per connection: not called.
        self.doorway = doorway
        self.limits = doorway.limits
        self.loop = asyncio.get_running_loop()
        self.transport: Any = None
        self.tls_context = doorway.context
        self._registry = registry if registry is not None else set()
        self._raw: Any = None
        self._tls_protocol: Layer | None = None
        self._pending = bytearray()
        self._out: list[bytes] = []
        self._sink: Callable[[bytes], None] | None = None  # where packets go instead of the pending lines
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._deaf = False
        self._gone = False
        self._entered = False
        self._news = False
        self._last_words: Decision | None = None
        self._handshake: asyncio.Future[None] | None = None
        self._since = self._born = doorway.clock()
        self._waiting = ""  # "command", "content", or nothing while we work
        self._peer: Peer | None = None
        self.ip = self.origin = ""
        self.session = DoorSession(self.loop)
        self.envelope = DoorEnvelope()
        self.ended: asyncio.Future[None] = self.loop.create_future()

    # -- asyncio's side

    def connection_made(self, transport: Any) -> None:
        self.transport = self._raw = transport
        self.ip = _ip(transport)
        self.origin = origin(self.ip)
        self._registry.add(self)
        self._entered = self.doorway.gate.enter(self.origin)
        if self.doorway.implicit_tls and self._entered:
            self._handshake = self._wrap()
        self._handler_coroutine = self.loop.create_task(self._live())

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._sink is not None:
            self._sink(data)
            return
        self._pending += data
        if len(self._pending) > _PENDING and not self._paused:
            self._pause()
        self._wake()

    def eof_received(self) -> None:
        self._leave()

    def connection_lost(self, error: Exception | None) -> None:
        self._leave()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # -- what the verbs use

    @property
    def peer(self) -> Peer:
        """The peer as policies see it, built once per change of session."""
        if self._peer is None:
            session = self.session
            self._peer = Peer(
                self.doorway.door,
                self.ip,
                session.host_name or "",
                session.tls,
                session.certificate,
                session.login,
            )
        return self._peer

    def peer_now(self) -> Peer:
        """The peer with its certificate read again: it may have been revoked since the handshake (F46)."""
        ssl_object = self.transport.get_extra_info("ssl_object") if self.session.tls and not self._gone else None
        if ssl_object is not None:
            self.session.certificate = self.doorway.facts(ssl_object)
            self.changed()
        return self.peer

    def may_send_as(self, addresses: frozenset[str]) -> None:
        """The addresses this session may write from, now: a right or an alias may have been withdrawn since the login."""
        login = self.session.login
        if login is not None and login.send_as != addresses:
            self.session.login = replace(login, send_as=addresses)
            self.changed()

    def changed(self) -> None:
        """The session has other facts now."""
        self._peer = None

    def say(self, *octets: bytes) -> None:
        """Queue a reply; it leaves with the others of its group."""
        self._out += octets

    def hang_up(self, decision: Decision | None = None) -> None:
        """Say a last word, hear nothing more, and close; the peer has ``linger`` seconds to read it."""
        if self._deaf:
            return
        if decision is not None:
            self.say(replies.reply(decision))
            if self.session.tls and self.doorway.gate.worth_noting(self.origin):
                self.doorway.record(Event(Kind.CUT, detail={"reason": decision.rule.name, "ip": self.ip}))
            log.info("smtp.cut", rule=decision.rule.name, ip=self.ip, door=self.doorway.door.value)
        self._flush()
        self._deaf = True
        self._resume()
        self.loop.call_later(self.limits.linger, self._close)
        self._wake()

    def bow_out(self) -> None:
        """Send what was said and close: the peer asked for it."""
        if self._tls_protocol is None or self._gone:
            self._flush()
            self._close()
        else:
            self._deaf = True
            self._tls_protocol.farewell(b"".join(self._out))
            self._out.clear()

    def close(self, decision: Decision) -> None:
        """End the session from outside: at once when it waits for a command, else after the answer under way."""
        if self._waiting == "command":
            self.hang_up(decision)
        else:
            self._last_words = decision

    def abort(self) -> None:
        """End the connection without a word. A commit under way is not stopped."""
        self._deaf = True
        self._wake()
        if self._raw is not None:
            self._raw.abort()

    @property
    def busy(self) -> bool:
        """True while a command is answered, a message arrives or is judged."""
        return not self._deaf and self._waiting != "command"

    def check(self, now: float) -> None:
        """Called now and then: ends what takes too long (F53)."""
        waited, limits = now - self._since, self.limits
        if not self._writable.is_set() and waited > limits.command_timeout:
            self._raw.abort()
        elif self._waiting == "command" and waited > limits.command_timeout:
            self.hang_up(decide(rule("session.timeout")))
        elif self._waiting == "command" and self._too_old(now):
            self.hang_up(decide(rule("session.lifetime")))

    async def line(self, longest: int) -> bytes:
        """The next command line without its CRLF. Sends what was said before it waits."""
        if self._last_words is None and self._too_old(self.doorway.clock()):
            self._last_words = decide(rule("session.lifetime"))
        if self._last_words is not None:
            self.hang_up(self._last_words)
            raise Gone
        while True:
            end = self._pending.find(b"\n")
            if (end if end >= 0 else len(self._pending)) > longest:
                longest = max(longest, self.longest_line())
                if (end if end >= 0 else len(self._pending)) > longest:
                    self.hang_up(decide(rule("session.line_too_long"), limit=longest))
                    raise Gone
            if end >= 0:
                return self._cut(end)
            await self._more("command")

    def longest_line(self) -> int:
        """How long the line that is arriving may be, when that is more than usual."""
        return 0

    async def start_tls(self) -> bool:
        """Put TLS under the conversation; False when the handshake failed. All that was read before is forgotten."""
        if self._handshake is None:
            await self._send()
            self._handshake = self._wrap()
        try:
            await self._handshake
        except Exception as failure:  # noqa: BLE001 - asyncio gives OSError, SSLError or ConnectionResetError
            self._note_refusal(refusal(failure))
            return False
        ssl_object = self.transport.get_extra_info("ssl_object") if not self._gone else None
        if ssl_object is not None:
            await self.doorway.ready(ssl_object)
        return self._secured()

    # -- inside

    def _too_old(self, now: float) -> bool:
        return now - self._born > self.limits.session_timeout and not self.envelope.open

    def _judge_hello(self, hello: Hello) -> int | None:
        alert = self.doorway.refuse(hello)
        if alert is not None:
            reason = "host name" if alert == UNRECOGNIZED_NAME else "application protocol"
            self._note_refusal(decide(rule("session.tls_handshake_failed"), reason, reason=reason))
        return alert

    def _note_refusal(self, decision: Decision) -> None:
        """A handshake that failed: the caller hears a number at most, so the log and the journal tell why."""
        door = self.doorway.door.value
        log.info("smtp.handshake_failed", ip=self.ip, rule=decision.rule.name, door=door, detail=decision.detail)
        detail = {"door": door, "ip": self.ip, "rule": decision.rule.name, "detail": decision.detail}
        if self.doorway.gate.worth_noting(self.origin):  # strangers shall not be able to fill the journal
            self.doorway.record(Event(Kind.PEER_REFUSED, detail=detail))

    def _wrap(self) -> asyncio.Future[None]:
        """Slip the TLS layer under us; the future ends with the handshake."""
        waiter: asyncio.Future[None] = self.loop.create_future()
        self._tls_protocol = layer = Layer(
            self.loop,
            self,
            self.doorway.context,
            waiter,
            server_side=True,
            call_connection_made=False,
            ssl_handshake_timeout=self.limits.handshake_timeout,
            ssl_shutdown_timeout=max(self.limits.linger, 0.1),
            refuse=self._judge_hello,
        )
        self._resume()
        self._pending.clear()
        self.session = DoorSession(self.loop)
        self.envelope = DoorEnvelope()
        self._waiting = ""
        self._raw.set_protocol(layer)
        self.transport = layer.app_transport()
        layer.connection_made(self._raw)
        return waiter

    def _secured(self) -> bool:
        ssl_object = self.transport.get_extra_info("ssl_object") if not self._gone else None
        if ssl_object is None:  # the peer left during the handshake
            return False
        self.session.tls = True
        self.session.certificate = self.doorway.facts(ssl_object)
        self.changed()
        return True

    async def _live(self) -> None:
        """The whole life of a connection."""
        try:
            await self._welcome()
            await self._converse()
        except Gone:
            pass
        except Exception as fault:  # noqa: BLE001 - one conversation never hurts another
            log.error("smtp.conversation_failed", fault=type(fault).__name__, ip=self.ip)
            self.hang_up(decide(rule("session.unknown_error")))
        finally:
            self._end()

    async def _welcome(self) -> None:
        if not self._entered:
            if self.doorway.implicit_tls:
                self._close()
            else:
                self.hang_up(decide(rule("session.too_many_connections")))
            raise Gone
        if self.doorway.implicit_tls and not await self.start_tls():
            raise Gone
        self.say(self.doorway.greeting)

    async def _converse(self) -> None:
        raise Gone  # the verbs are Dialogue's

    def _end(self) -> None:
        if self.session.login is not None:
            self.doorway.gate.log_out(self.session.login.account)
        if self._entered:
            self.doorway.gate.leave(self.origin)
        self._registry.discard(self)
        if not self._deaf:
            self._close()
        if not self.ended.done():
            self.ended.set_result(None)

    def _close(self) -> None:
        self._deaf = True
        transport = self.transport if self.session.tls else self._raw
        if transport is not None:
            transport.close()

    def _leave(self) -> None:
        self._gone = True
        self._writable.set()
        self._wake()
        if self._deaf:
            self._close()

    def _wake(self) -> None:
        self._news = True
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _more(self, kind: str) -> None:
        """Send what was said and wait until something happens; :class:`Gone` when nothing ever will."""
        await self._send()
        if not (self._news or self._gone or self._deaf):
            if kind == "command" and self._waiting != kind:
                self._since = self.doorway.clock()
            self._waiting = kind
            self._waiter = self.loop.create_future()
            await self._waiter
            self._waiter = None
        self._news = False
        if self._gone or self._deaf:
            raise Gone

    def _cut(self, end: int) -> bytes:
        """Take one line from the pending octets; only CRLF ends a command too."""
        self._waiting = ""
        line = bytes(self._pending[: end + 1])
        del self._pending[: end + 1]
        if self._paused and len(self._pending) < _PENDING // 2:
            self._resume()
        if not line.endswith(b"\r\n") or b"\r" in line[:-2] or b"\0" in line:
            self.hang_up(decide(rule("session.bare_line_end")))
            raise Gone
        return line[:-2]

    def _flush(self) -> None:
        if self._out and not self._gone:
            self.transport.write(b"".join(self._out))
        self._out.clear()

    async def _send(self) -> None:
        self._flush()
        if not self._writable.is_set():
            self._since = self.doorway.clock()
            await self._writable.wait()

    def _pause(self) -> None:
        """Read nothing more, not even into the TLS layer's own buffer."""
        self._paused = True
        self.transport.pause_reading()
        if self._raw is not self.transport:
            self._raw.pause_reading()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
            if self._raw is not self.transport:
                self._raw.resume_reading()


def _ip(transport: Any) -> str:
    """The caller's address; an IPv4 one seen through an IPv6 socket is written as IPv4."""
    name = transport.get_extra_info("peername")
    ip = str(name[0]) if isinstance(name, tuple) and name else ""
    return ip.removeprefix("::ffff:") if "." in ip else ip


def origin(ip: str) -> str:
    """What is counted as one caller: an IPv4 address, or the /64 an IPv6 address was handed out of."""
    if ":" not in ip:
        return ip
    return str(ipaddress.IPv6Network((int(ipaddress.IPv6Address(ip.partition("%")[0])), 64), strict=False))
