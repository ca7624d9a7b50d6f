"""The socket side of an IMAP connection: lines and literals in, grouped writes out. Knows no command.

:class:`Wire` is an :class:`asyncio.Protocol` between a transport and a :class:`Conversation` (the session). It bounds
what it holds: a line of :data:`LONGEST_LINE`, literals the conversation allowed, one running command at a time, and no
more input while that command runs. A command whose answer is in memory is read, answered and written inside
``data_received``, in one write. After STARTTLS whatever was sent in clear is forgotten (RFC 3501 6.2.1, RFC 7457);
after COMPRESS (RFC 4978) both ways are deflated and an inflated bomb meets the same line limit.
Failure: a client that breaks a limit gets ``* BYE`` and is closed; it costs only itself.
"""

from __future__ import annotations

import asyncio
import re
import socket
import zlib
from collections import deque
from collections.abc import Awaitable, Callable
from ssl import SSLContext
from typing import Any, Protocol

import structlog

from mailboxes.imap.threshold import note_failed, tls_layer

LONGEST_LINE = 65536
MOST_LITERALS = 200
MOST_LITERAL_BYTES = 256 << 20  # of one command, MULTIAPPEND included
FLUSH_AT = 1 << 18  # bytes put before they are written although the command goes on
PACK_AT = 1 << 16  # bytes deflated beside the event loop, at some 25 MB/s: these take 2 ms
TURN = 0.005  # seconds of pipelined commands before other connections have their turn
_INFLATE_STEP = 1 << 16
_ANNOUNCED = re.compile(rb"(~?)\{([0-9]{1,12})(\+?)\}\Z")
_HTTP = re.compile(rb"(?:GET|POST|PUT|HEAD|DELETE|OPTIONS|CONNECT|TRACE|PATCH) \S* HTTP/|PRI \* HTTP/|\x16\x03")

log = structlog.get_logger("imap")


class Conversation(Protocol):
    """What a wire needs of a session. ``command`` and ``line`` answer None when all is said, else what to await."""

    def opened(self, wire: Wire) -> Awaitable[None] | None: ...

    def literal(self, text: bytes, size: int, synchronous: bool) -> bytes | None:
        """None to accept a literal announced after ``text``, else the reply that refuses it."""
        ...

    async def reserve(self, size: int) -> bool:
        """Wait for room for a large literal; False when there is none."""
        ...

    def no_room(self, text: bytes) -> bytes:
        """The reply to a command whose literal found no room."""
        ...

    def release(self, size: int) -> None: ...

    def command(self, text: bytes, literals: list[bytes]) -> Awaitable[None] | None: ...

    def wants_line(self) -> bool:
        """True while a line is an answer to ``+`` rather than a command (AUTHENTICATE, IDLE)."""
        ...

    def line(self, text: bytes) -> Awaitable[None] | None: ...

    def rested(self) -> None:
        """What had to wait has ended, or the client reads again: news that came meanwhile may be told."""
        ...

    def closed(self) -> None: ...


class Wire(asyncio.Protocol):
    """One connection."""

    __slots__ = (
        "_announced",
        "_asides",
        "_buffer",
        "_closing",
        "_deflate",
        "_drained",
        "_fresh",
        "_inflate",
        "_left",
        "_literal",
        "_literals",
        "_loop",
        "_out",
        "_out_size",
        "_packed",
        "_packing",
        "_reading_paused",
        "_reserved",
        "_resting",
        "_skip",
        "_task",
        "_text",
        "_writable",
        "begun",
        "born",
        "conversation",
        "expected",
        "heard",
        "transport",
    )

    def __init__(self, conversation: Conversation, loop: asyncio.AbstractEventLoop) -> None:
        self.conversation = conversation
        self.transport: asyncio.Transport | None = None
        self.heard = self.born = loop.time()
        self.begun = 0.0  # when the command now arriving began to; 0 between commands
        self.expected = 0  # octets of literals it announced
        self._loop = loop
        self._buffer = b""  # input not yet read
        self._text = b""  # the command so far, up to its last literal
        self._literals: list[bytes] = []
        self._literal: bytearray | None = None  # being received
        self._left = 0  # bytes of it still to come
        self._skip = False  # the rest of this command is thrown away
        self._reserved = 0
        self._resting = False  # commands wait for other connections to have their turn
        self._out: list[bytes] = []
        self._out_size = 0
        self._task: asyncio.Task[None] | None = None
        self._asides: deque[Callable[[], Awaitable[None]]] = deque()
        self._writable = True
        self._drained: asyncio.Future[None] | None = None
        self._reading_paused = False
        self._closing = False
        self._fresh = True
        self._inflate: Any = None
        self._packed = b""  # received but not yet inflated
        self._deflate: Any = None
        self._packing = False  # a thread deflates; what is put meanwhile waits behind it

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        first = self.transport is None
        self.transport = transport
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family != socket.AF_UNIX:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=FLUSH_AT)
        if first:
            self._run(self.conversation.opened(self))
            self.flush()

    def connection_lost(self, _error: Exception | None) -> None:
        self._closing = True
        self._writable = True
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(ConnectionResetError())
            self._drained.exception()
        if self._task is not None:
            self._task.cancel()
        self._asides.clear()
        self._free()
        # What is counted no more is held no more: a connection that ended may stay in memory for a while, in circles.
        self._buffer = self._text = self._packed = b""
        self._literals, self._literal, self._left = [], None, 0
        self._out.clear()
        self._out_size = 0
        self.conversation.closed()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self._drained is not None:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None
        elif self._task is None and not self._closing:
            self.conversation.rested()

    def data_received(self, data: bytes) -> None:
        self.heard = self._loop.time()
        if self._inflate is not None:
            self._packed += data
            self._unpack()
        else:
            self._received(data)
        if self._out and self._task is None:
            self.flush()

    def _unpack(self) -> None:
        """Inflate only as fast as commands are read, so that a bomb meets the limits of plain text."""
        more = bool(self._packed)
        while more and self._task is None and not self._resting and not self._closing:
            try:
                plain = self._inflate.decompress(self._packed, _INFLATE_STEP)
            except zlib.error:
                self.bye(b"compressed data is damaged")
                return
            self._packed = self._inflate.unconsumed_tail
            self._received(plain)
            more = bool(self._packed) or len(plain) == _INFLATE_STEP
        self._throttle()

    def _received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._left and self._task is None and not self._buffer:
            data = self._fill(data)
        self._buffer = self._buffer + data if self._buffer else data
        self._pump()

    # reading

    def _fill(self, data: bytes) -> bytes:
        """Give ``data`` to the literal being received; what is left over comes back."""
        taken = data if len(data) <= self._left else data[: self._left]
        self._left -= len(taken)
        if self._literal is not None:
            self._literal += taken
        if not self._left:
            if self._literal is not None:
                self._literals.append(bytes(self._literal))
            self._literal = None
        return data[len(taken) :]

    def _pump(self) -> None:
        """Read as many commands as are complete, until one needs to wait or others need their turn."""
        until = self._loop.time() + TURN
        while self._buffer and self._task is None and not self._closing and not self._resting:
            if self._left:
                self._buffer = self._fill(self._buffer)
                continue
            end = self._buffer.find(b"\n")
            if end < 0 or end > LONGEST_LINE:
                if len(self._buffer) > LONGEST_LINE:
                    self.bye(b"[LIMIT] line too long")
                break
            # A line that a person types into openssl or netcat ends in LF alone: no command can hold one, and silence
            # would be the only answer.
            line = self._buffer[:end].removesuffix(b"\r")
            self._buffer = self._buffer[end + 1 :]
            self._line(line)
            if self._task is None and (self.full or not self._writable):
                self._run(self.drain())
            elif self._buffer and self._loop.time() > until:
                self._resting = True
                self._loop.call_soon(self._resume)
        if self._task is None and (self._buffer or self._text or self._left):
            self.begun = self.begun or self._loop.time()
        self._throttle()

    def _resume(self) -> None:
        self._resting = False
        self._go_on()

    def between(self, speak: Callable[[], Awaitable[None]]) -> None:
        """Say something nobody asked for, which has to wait for something, when no command runs: an answer may have half
        of a literal out. Commands wait until it is said, so that the numbers it names stay what they are."""
        self._asides.append(speak)
        self._loop.call_soon(self._go_on)  # not at once: an answer may be in the making

    async def _aside(self, speak: Callable[[], Awaitable[None]]) -> None:
        await self.drain()  # who does not read is told no more
        await speak()

    def _go_on(self) -> None:
        """Say and read what waited behind a command."""
        if self._asides and self._task is None and not self._closing:
            self._run(self._aside(self._asides.popleft()))
        self._pump()
        if self._packed:
            self._unpack()
        if self._out and self._task is None:
            self.flush()

    def _throttle(self) -> None:
        waits = self._task is not None or self._resting
        full = waits and (len(self._buffer) > LONGEST_LINE or bool(self._packed))
        if full and not self._reading_paused and self.transport is not None:
            self._reading_paused = True
            self.transport.pause_reading()
        elif not full and self._reading_paused and self.transport is not None and not self._closing:
            self._reading_paused = False
            self.transport.resume_reading()

    def _line(self, line: bytes) -> None:
        if self._fresh:
            self._fresh = False
            if _HTTP.match(line):
                self.close()
                return
        if not self._text and self.conversation.wants_line():
            self._run(self.conversation.line(line))
            return
        text = self._text + line if self._text else line
        if line.endswith(b"}"):
            announced = _ANNOUNCED.search(line)
            if announced:
                self._announce(text, int(announced[2]), not announced[3])
                return
        self.begun, self.expected = 0.0, 0
        skip, literals = self._skip, self._literals
        self._text, self._literals, self._skip = b"", [], False
        if skip:
            self._free()
        else:
            self._run(self.conversation.command(text, literals))

    def _announce(self, text: bytes, size: int, synchronous: bool) -> None:
        """A literal follows: accept it, refuse it, or swallow it because the command was refused already."""
        refusal = None
        if not self._skip:
            refusal = self.conversation.literal(text, size, synchronous)
            held = self.expected + (size if refusal is None else 0)
            too_many = len(self._literals) >= MOST_LITERALS or held > MOST_LITERAL_BYTES
            if len(text) > LONGEST_LINE or too_many:
                self.bye(b"[LIMIT] command too long")
                return
        if refusal is not None:
            self.put(refusal)
            if synchronous:  # the client will not send it
                self._text, self._literals = b"", []
                self.begun, self.expected = 0.0, 0
                self._free()
                return
            self._skip = True
        self.expected += size
        if self._skip:
            self._text, self._left, self._literal = b"", size, None
            self._literals = []
            if size > 1 << 31:
                self.bye(b"[LIMIT] literal too large")
            return
        self._text = text + b"\r\n"
        self._left = size
        self._literal = bytearray() if size else None
        if not size:
            self._literals.append(b"")
        unasked = self.expected - self._reserved  # many short literals fill the memory as one long one does
        if unasked > LONGEST_LINE:
            self._run(self._make_room(text, unasked, synchronous))
        elif synchronous:
            self.put(b"+ OK\r\n")
            self.flush()

    async def _make_room(self, text: bytes, size: int, synchronous: bool) -> None:
        """Ask for the ``size`` octets of this command that have no room yet; the last literal announced is among them."""
        if await self.conversation.reserve(size):
            self._reserved += size
            if synchronous:
                self.put(b"+ OK\r\n")
            return
        self.put(self.conversation.no_room(text))
        self._text, self._literals, self._literal = b"", [], None
        self._free()
        if synchronous:
            self._left = 0
            self.begun, self.expected = 0.0, 0
        else:
            self._skip = True

    def _free(self) -> None:
        if self._reserved:
            self.conversation.release(self._reserved)
            self._reserved = 0

    def _run(self, waiting: Awaitable[None] | None) -> None:
        """Wait for a command that could not be answered at once; input rests meanwhile."""
        if waiting is None:
            if self._reserved and not self._text:
                self._free()
            return
        self._task = self._loop.create_task(self._finish(waiting))

    async def _finish(self, waiting: Awaitable[None]) -> None:
        try:
            await waiting
        except (ConnectionError, asyncio.CancelledError):
            self.close()
            return
        except Exception as error:  # noqa: BLE001 - one connection's fault must not reach another
            log.error("imap.command_failed", error=type(error).__name__)
            self.bye(b"[SERVERBUG] internal error")
            return
        finally:
            self._task = None
            if not self._text:
                self._free()
        self.conversation.rested()
        self._go_on()

    # writing

    def put(self, data: bytes) -> None:
        """Add to the answer; it leaves with the group it belongs to."""
        self._out.append(data)
        self._out_size += len(data)

    def flush(self) -> None:
        """Write what was put, as one piece."""
        if not self._out or self._packing:
            return
        data = self._taken()
        if self.transport is None or self._closing:
            return
        if self._deflate is not None:
            data = _deflated(self._deflate, data)
        self.transport.write(data)

    def _taken(self) -> bytes:
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self._out_size = 0
        return data

    async def _pack(self) -> None:
        """Deflate and write what was put, in a thread: a client that reads large messages must not keep others waiting."""
        self._packing = True
        try:
            data = await self._loop.run_in_executor(None, _deflated, self._deflate, self._taken())
        finally:
            self._packing = False
        if self.transport is not None and not self._closing:
            self.transport.write(data)

    @property
    def full(self) -> bool:
        """True when a long answer should be drained before more is made."""
        return self._out_size >= (FLUSH_AT if self._deflate is None else PACK_AT)

    async def drain(self) -> None:
        """Write what was put, then wait until the client has read enough of it."""
        if self._deflate is not None and self._out_size >= PACK_AT and not self._closing:
            await self._pack()
        self.flush()
        if self._closing:
            raise ConnectionResetError
        if not self._writable:
            self._drained = self._loop.create_future()
            await self._drained
        else:
            await asyncio.sleep(0)

    # changes of layer

    async def start_tls(self, context: SSLContext, secured: Callable[[asyncio.Transport], None]) -> None:
        """Forget what came in clear, say what was put, then handshake; ``secured`` hears of the new transport."""
        self._buffer = b""
        self.flush()
        assert self.transport is not None
        waiter: asyncio.Future[None] = self._loop.create_future()
        layer = tls_layer(self._loop, self, context, waiter, announced=True)
        self.transport.set_protocol(layer)
        layer.connection_made(self.transport)
        try:
            await waiter
        except OSError as error:  # ssl.SSLError, TimeoutError and ConnectionResetError are
            note_failed(self.transport, error)
            raise ConnectionResetError from error
        transport = layer.app_transport()
        if transport is None:
            raise ConnectionResetError
        self.transport = transport
        transport.set_write_buffer_limits(high=FLUSH_AT)
        secured(transport)

    @property
    def compressed(self) -> bool:
        return self._deflate is not None

    def compress(self) -> None:
        """From the next byte on, both ways are raw deflate streams (RFC 4978)."""
        self.flush()
        rest, self._buffer = self._buffer, b""
        self._inflate = zlib.decompressobj(-15)
        # 2**13 of window and memory level 5: 24 KiB per connection for most of the gain.
        self._deflate = zlib.compressobj(6, zlib.DEFLATED, -13, 5)
        if rest:
            self._loop.call_soon(self.data_received, rest)

    # ending

    @property
    def writable(self) -> bool:
        """False while the client does not read what was written."""
        return self._writable

    @property
    def busy(self) -> bool:
        return self._task is not None

    @property
    def closing(self) -> bool:
        return self._closing

    def bye(self, reason: bytes) -> None:
        """Say ``* BYE`` and close."""
        self.put(b"* BYE " + reason + b"\r\n")
        self.close()

    def close(self) -> None:
        self.flush()
        self._closing = True
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Close without waiting for the client to read."""
        self._closing = True
        if self.transport is not None:
            self.transport.abort()


def _deflated(deflate: Any, data: bytes) -> bytes:
    packed: bytes = deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return packed
