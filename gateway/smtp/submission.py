"""The door for our own users, ports 587 (STARTTLS) and 465 (implicit TLS): log in, then send (RFC 6409, RFC 8314).

Mechanisms: PLAIN, LOGIN, OAUTHBEARER and XOAUTH2 when somebody issues tokens, EXTERNAL when the client showed a certificate
(MSS-071..076).
Promise: no login without TLS; a failed one costs time (``login_failure_delay``, doubled each time), counts against its
address, and says the same words whatever was wrong with a password, a token or a certificate. Secrets are kept in no attribute and never logged.
Failure: as :mod:`gateway.smtp.dialogue`; when the authenticator raises, 454 4.7.0 (``session.auth_unavailable``).
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from aiosmtpd.smtp import syntax

from gateway.smtp import replies, sasl
from gateway.smtp.dialogue import Dialogue
from gateway.smtp.wire import Gone
from mailboxes.authentication import Authenticator, LoginRefused
from policies.catalogue import rule
from policies.decision import Decision, decide
from policies.values import Login

_WELCOME = replies.plain(235, "2.7.0 Ok")
_MAX_DELAY = 30.0
_GREETING = (b"EHLO ", b"HELO ")
_WRONG = {
    ("OAUTHBEARER", "session.auth_failed"): "session.auth_token_refused",
    ("XOAUTH2", "session.auth_failed"): "session.auth_token_refused",
    ("EXTERNAL", "session.auth_failed"): "session.auth_certificate_refused",
}
"""Who logs in without a password is not sent to look for a wrong one."""
_UNFIT = re.compile(rb"[ \x80-\xff]+")


class Cancelled(Exception):
    """The program wrote ``*`` (RFC 4954 4)."""


class Submission(Dialogue):
    """A user's connection."""

    needs_login: ClassVar[bool] = True
    mechanisms: ClassVar[tuple[str, ...]] = ("PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2", "EXTERNAL")

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._failures = 0

    async def _command(self, octets: bytes) -> None:
        if octets[:5].upper() in _GREETING:
            # Outlook gives the name of its computer as Windows has it, accents and spaces included; nobody decides by it.
            octets = octets[:5] + _UNFIT.sub(b"-", octets[5:].strip(b" "))
        await super()._command(octets)

    def offers(self) -> list[str]:
        offered = super().offers()
        if self.session.tls:
            offered.insert(1, "AUTH " + " ".join(self._mechanisms()))
        return offered

    def longest_line(self) -> int:
        """A login may come with the command (RFC 4954 4), and a token of Pro Santé Connect is longer than any command."""
        return self.limits.auth_length if self.session.tls and self._pending[:5].upper() == b"AUTH " else 0

    @syntax("AUTH mechanism [initial-response]")
    async def smtp_AUTH(self, argument: str | None) -> None:  # noqa: N802 - aiosmtpd's convention
        words = (argument or "").split(" ")
        if not self.session.host_name or not self.session.extended_smtp or self.envelope.open:
            await self.refuse("session.bad_sequence")
        elif self.session.login is not None:
            await self.refuse("session.auth_already_done")
        elif not words[0] or len(words) > 2:
            await self.refuse("session.syntax")
        elif words[0].upper() not in self._mechanisms():
            await self.refuse("session.auth_mechanism_unknown")
        elif not self.doorway.gate.may_log_in(self.origin):
            await self.refuse("session.auth_locked")
        else:
            await self._log_in(words[0].upper(), words[1] if len(words) == 2 else None)

    # -- mechanisms: each speaks its dialogue and returns the login

    async def sasl_PLAIN(self, authenticator: Authenticator, initial: str | None) -> Login:  # noqa: N802
        login, password = sasl.plain(await self._response(initial))
        return await authenticator.password(login, password, self.ip)

    async def sasl_LOGIN(self, authenticator: Authenticator, initial: str | None) -> Login:  # noqa: N802
        login = sasl.text(await self._response(initial, b"Username:"))
        password = sasl.text(await self._response(None, b"Password:"))
        return await authenticator.password(login, password, self.ip)

    async def sasl_EXTERNAL(self, authenticator: Authenticator, initial: str | None) -> Login:  # noqa: N802
        login = sasl.text(await self._response(initial))
        certificate = self.session.certificate
        assert certificate is not None  # not offered without
        return await authenticator.certificate(certificate, login, self.ip)

    async def sasl_OAUTHBEARER(self, authenticator: Authenticator, initial: str | None) -> Login:  # noqa: N802
        login, token = sasl.oauthbearer(await self._response(initial))
        return await self._token(authenticator, token, login, sasl.OAUTHBEARER_FAILURE)

    async def sasl_XOAUTH2(self, authenticator: Authenticator, initial: str | None) -> Login:  # noqa: N802
        login, token = sasl.xoauth2(await self._response(initial))
        return await self._token(authenticator, token, login, sasl.XOAUTH2_FAILURE)

    # -- parts

    def _mechanisms(self) -> list[str]:
        needs = {
            "EXTERNAL": self.session.certificate is not None,
            "OAUTHBEARER": self.doorway.tokens,
            "XOAUTH2": self.doorway.tokens,
        }
        return [name for name in self.mechanisms if needs.get(name, True)]

    async def _token(self, authenticator: Authenticator, token: str, login: str, failure: str) -> Login:
        """RFC 7628 3.2.3: a refusal is a challenge with JSON, an answer nobody reads, then 535.

        Unless nobody could judge the token: called invalid it would be thrown away, and its owner asked to prove himself again.
        """
        try:
            return await authenticator.token(token, login, self.ip)
        except LoginRefused as refusal:
            if refusal.rule != "session.auth_unavailable":
                await self._challenge(failure)
            raise

    async def _response(self, initial: str | None, prompt: bytes = b"") -> bytes:
        if initial is not None:
            return sasl.decoded(initial)
        return sasl.decoded(await self._challenge(b64encode(prompt).decode("ascii")))

    async def _challenge(self, word: str) -> str:
        self.say(f"334 {word}\r\n".encode())
        answer = (await self.line(self.limits.auth_length)).decode("ascii", "replace")
        if answer == "*":
            raise Cancelled
        return answer

    async def _log_in(self, mechanism: str, initial: str | None) -> None:
        authenticator = self.doorway.authenticator
        assert authenticator is not None
        speak: Callable[[Authenticator, str | None], Awaitable[Login]] = getattr(self, f"sasl_{mechanism}")
        try:
            login = await speak(authenticator, initial)
        except Gone:
            raise
        except Cancelled:
            await self.refuse("session.auth_cancelled")
        except sasl.Unreadable:
            await self.refuse("session.auth_malformed")
        except LoginRefused as refusal:
            await self._failed(decide(rule(_WRONG.get((mechanism, refusal.rule), refusal.rule))))
        except Exception as fault:  # noqa: BLE001 - the port broke: 454, nobody is let in
            self._broken(fault)
            await self.refuse("session.auth_unavailable")
        else:
            await self._enter(login)

    async def _failed(self, decision: Decision) -> None:
        """Make guessing slow before answering (F61, F74)."""
        self._failures += 1
        self.doorway.gate.login_failed(self.origin)
        await asyncio.sleep(min(self.limits.login_failure_delay * 2 ** (self._failures - 1), _MAX_DELAY))
        if self._failures >= self.limits.login_failures:
            self.say(replies.reply(decision))
            self.hang_up(decide(rule("session.too_many_errors")))
            raise Gone
        await self.answer(decision, b"")

    async def _enter(self, login: Login) -> None:
        if not self.doorway.gate.log_in(login.account):
            self.hang_up(decide(rule("session.too_many_connections")))
            raise Gone
        self.session.login = login
        self.session.authenticated = True
        self.changed()
        decision = await self.ask(self.doorway.intake.session(self.peer))
        if not decision.accepted:
            self.session.login, self.session.authenticated = None, False
            self.changed()
            self.doorway.gate.log_out(login.account)
        await self.answer(decision, _WELCOME)
