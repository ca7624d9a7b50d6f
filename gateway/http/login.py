"""Who asks over HTTP: the means mail programs have (MSS-070 to MSS-076), for interfaces that software uses.

HTTP Basic with the mailbox's address and a device password, a bearer token where an issuer is configured, or the client certificate of an
APP mailbox, without a header. Every request is proved anew; what was proved a moment ago costs no hash, as at the other doors.
Promise: an unknown mailbox, a wrong password and a locked account get the same answer. Failure: :class:`Unauthorized`.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request

from mailboxes.authentication import Authenticator, LoginRefused
from policies.values import CertificateFacts, Login

LONGEST: Final = 8192
"""Characters of the header that are looked at."""


class Unauthorized(Exception):
    """Not let in. ``status`` is 401, 403 or 503; ``rule`` the rule of the catalogue, empty when nothing was shown."""

    def __init__(self, status: int, rule: str = "") -> None:
        super().__init__(rule)
        self.status = status
        self.rule = rule


STATUS: Final = {"session.mailbox_suspended": 403, "session.auth_unavailable": 503}


class Doorkeeper:
    """``facts`` answers what a TLS connection showed, once ``ready`` has asked elsewhere what must be."""

    def __init__(
        self,
        authenticator: Authenticator,
        facts: Callable[[Any], CertificateFacts | None],
        ready: Callable[[Any], Awaitable[None]],
        *,
        tokens: bool,
    ) -> None:
        self._authenticator = authenticator
        self._facts = facts
        self._ready = ready
        self._tokens = tokens

    async def let_in(self, request: Request) -> Login:
        """The login behind a request. Raises :class:`Unauthorized`."""
        try:
            return await self._login(request)
        except LoginRefused as refused:
            raise Unauthorized(STATUS.get(refused.rule, 401), refused.rule) from None

    def challenges(self) -> str:
        """The ``WWW-Authenticate`` of a 401."""
        return 'Basic realm="Caducee", charset="UTF-8"' + (', Bearer realm="Caducee"' if self._tokens else "")

    async def _login(self, request: Request) -> Login:
        ip = request.client.host if request.client else ""
        scheme, _, shown = request.headers.get("authorization", "")[:LONGEST].partition(" ")
        if scheme.lower() == "basic":
            address, secret = _credentials(shown)
            return await self._authenticator.password(address, secret, ip)
        if scheme.lower() == "bearer" and self._tokens:
            return await self._authenticator.token(shown.strip(), "", ip)
        if scheme:
            raise Unauthorized(401)
        tls = request.scope.get("state", {}).get("tls")
        if tls is None:
            raise Unauthorized(401)
        await self._ready(tls)
        certificate = self._facts(tls)
        if certificate is None:
            raise Unauthorized(401)
        return await self._authenticator.certificate(certificate, "", ip)


def _credentials(shown: str) -> tuple[str, str]:
    """Address and password (RFC 7617); raises :class:`Unauthorized` for what is neither."""
    try:
        address, colon, secret = b64decode(shown.strip(), validate=True).decode("utf-8").partition(":")
    except (Error, ValueError):
        raise Unauthorized(401) from None
    if not colon or not address or not secret:
        raise Unauthorized(401)
    return address, secret
