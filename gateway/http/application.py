"""The application behind an HTTP door, assembled from parts: each subject brings its routes, and all share one shell.

The shell gives every answer the headers browsers obey for safety, bounds what a request may hold and how long one may stand still, and
tells a fault to the log instead of the caller.
Promise: no body is read beyond its bound; an answer that sets one of :data:`HEADERS` itself keeps its own value; no stack and no text
of an error ever leaves. Failure: 413 for a body too large, 431 for a head, 503 for an answer that takes too long, 500 for a fault of ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.log import where

log = structlog.get_logger("http")

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""What every answer says unless it says otherwise: a page must ask for each thing it needs."""
LASTING = ("strict-transport-security", "max-age=31536000")
"""Said over TLS only (RFC 6797 7.2)."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one subject serves. ``bodies`` are larger bounds for requests to the paths that begin so."""

    name: str
    routes: Sequence[BaseRoute]
    bodies: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Octets of a body where no part says more, seconds a request may stand still, octets of its head."""

    body: int = 64 * 1024
    stall: float = 30.0
    head: int = 16 * 1024


def unheard(_status: int) -> None:
    """Where nobody counts answers."""


def assemble(
    parts: Sequence[Part], bounds: Callable[[], Bounds] = Bounds, answered: Callable[[int], None] = unheard
) -> ASGIApp:
    """One application of all ``parts``. ``bounds`` is asked at each request, so that a reload changes them; ``answered`` is told
    the status of each answer."""
    # Redirects for a slash too many would send callers to the host they name.
    router = Router([route for part in parts for route in part.routes], redirect_slashes=False)
    larger = {path: size for part in parts for path, size in part.bodies.items()}
    return Shell(ExceptionMiddleware(router), bounds, larger, answered)


def _later(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def _head(scope: Scope) -> int:
    """Octets of the address and the headers."""
    named = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    return named + len(scope.get("raw_path") or b"") + len(scope["query_string"])


class _TooLarge(Exception):
    """The body goes beyond its bound."""


class Shell:
    """What stands around every request."""

    def __init__(
        self,
        inner: ASGIApp,
        bounds: Callable[[], Bounds],
        larger: Mapping[str, int],
        answered: Callable[[int], None],
    ) -> None:
        self._inner = inner
        self._answered = answered
        self._bounds = bounds
        self._larger = sorted(larger.items(), key=lambda one: -len(one[0]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # no WebSocket is offered, and nothing is to be done when we start or stop
            return
        bounds = self._bounds()
        exchange, stall = _Exchange(scope, receive, send, self._body(scope["path"])), bounds.stall
        try:
            async with asyncio.timeout(stall) as patience:
                exchange.wait_for = lambda ours: patience.reschedule(_later(stall) if ours else None)
                if _head(scope) > bounds.head:  # h11 bounds what it keeps of one that is not whole yet
                    await exchange.end(431, f"The head of a request here may hold {bounds.head} octets.")
                else:
                    await self._answer(exchange)
        except TimeoutError:
            log.warning("request_stalled", seconds=stall)
            await exchange.end(503, "The answer took too long; try again.")
        finally:
            self._answered(exchange.status)

    async def _answer(self, exchange: _Exchange) -> None:
        try:
            if exchange.declared > exchange.bound:
                raise _TooLarge
            await self._inner(exchange.scope, exchange.receive, exchange.send)
        except _TooLarge:
            await exchange.end(413, f"A request here may hold {exchange.bound} octets.")
        except Exception as problem:
            if isinstance(problem, TimeoutError):
                raise
            log.error("request_failed", error=type(problem).__name__, where=where(problem))
            await exchange.end(500, "This did not work. The operator's log tells why.")

    def _body(self, path: str) -> int:
        return next((size for begins, size in self._larger if path.startswith(begins)), self._bounds().body)


class _Exchange:
    """One request and its answer, watched."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, bound: int) -> None:
        self.scope = scope
        self.bound = bound
        self.wait_for: Callable[[bool], None] = lambda _ours: None
        self.status = 0
        self._receive = receive
        self._send = send
        self._taken = 0
        length = Headers(scope=scope).get("content-length", "")
        self.declared = int(length) if length.isascii() and length.isdigit() and len(length) < 16 else 0

    async def receive(self) -> Message:
        self.wait_for(False)  # for the caller: the connection counts that time
        message = await self._receive()
        self.wait_for(True)
        self._taken += len(message.get("body", b""))
        if self._taken > self.bound:
            raise _TooLarge
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            self._complete(MutableHeaders(scope=message))
        await self._send(message)
        self.wait_for(True)

    def _complete(self, headers: MutableHeaders) -> None:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        if self.scope.get("scheme") == "https":
            headers.setdefault(*LASTING)

    async def end(self, status: int, sentence: str) -> None:
        """Answer in place of the application; where its answer has begun, uvicorn closes what was left open."""
        if not self.status:
            answer = PlainTextResponse(sentence + "\n", status)
            await answer(self.scope, self._receive, self.send)
