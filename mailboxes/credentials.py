"""Answers every login, as :class:`mailboxes.authentication.Authenticator` asks: device passwords, certificates, tokens.

A login is one write transaction: charge the attempt, read the facts, judge (:func:`policies.access.judge_login`), record.
What was proved is remembered in memory for half a minute under a keyed hash, so a mail program that opens a connection per
message costs the database nothing; such repeats are one LOGIN event. A withdrawal of device, account, member, certificate or
mailbox empties that memory in every process within :data:`mailboxes.lookup.TTL` seconds.
Promise: an unknown mailbox and a wrong secret take the same statements, the same words and the same time (F61); no secret or token is
kept or logged. Failure: :class:`LoginRefused`; with the database away its rule is ``session.auth_unavailable``.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from mailboxes.accounts import AccountRules
from mailboxes.attempts import Attempts, Charged, subject_of
from mailboxes.authentication import LoginRefused
from mailboxes.commit import Committer, Reading, Unit
from mailboxes.login_facts import Found, Standing, by_certificate, by_device, by_token, in_force, note_use, send_as
from mailboxes.lookup import Watch
from mailboxes.passwords import device_digest
from mailboxes.store import StoreError
from mailboxes.tokens import OUT_OF_TIME, Claims, NoTokens, TokenRefused, TokensUnavailable, TokenVerifier
from policies.access import Presented, judge_login
from policies.decision import Decision
from policies.events import Event, Kind
from policies.values import CertificateFacts, Login

REMEMBERED = 20_000
LONGEST_LOGIN = 320
LONGEST_SECRET = 1024
QUANTUM = 0.05
"""A refusal is said at a multiple of this many seconds after the question: what was looked up does not show in it (F61)."""
_DOORS_SHUT = "session.auth_unavailable"


class Credentials:
    """Implements :class:`mailboxes.authentication.Authenticator`.

    ``clock`` is monotonic, for memory only; ``wall`` gives epoch seconds, for dates that people set.
    """

    def __init__(
        self,
        committer: Committer,
        reading: Reading,
        rules: AccountRules,
        clock: Callable[[], float],
        wall: Callable[[], float],
        tokens: TokenVerifier | None = None,
        watch: Watch | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._committer = committer
        self._reading = reading
        self._rules = rules
        self._clock = clock
        self._wall = wall
        self._pause = pause
        self._tokens = tokens or NoTokens()
        self._watch = watch or Watch(reading, clock)
        self._attempts = Attempts(rules.failures, rules.failures_per_ip, rules.lock)
        self._memory_key = secrets.token_bytes(32)
        self._proved: dict[bytes, tuple[float, Login]] = {}
        self._version = 0
        self._standing: dict[Login, tuple[int, Standing]] = {}  # with the version it was read at

    # the port

    async def password(self, login: str, secret: str, ip: str) -> Login:
        """A device password (MSS-076). Raises :class:`LoginRefused`."""
        name, secret = login[:LONGEST_LOGIN], secret[:LONGEST_SECRET]

        def look(cursor: Any) -> Found:
            return by_device(cursor, name, device_digest(secret), ip)

        return await self._login("device", name, secret, ip, look)

    async def certificate(self, certificate: CertificateFacts, login: str, ip: str) -> Login:
        """The TLS client certificate of an APP mailbox (MSS-073). The door has judged its chain and dates."""
        name = login[:LONGEST_LOGIN]
        if certificate.chain_problem:
            raise LoginRefused("session.auth_failed", certificate.chain_problem)

        def look(cursor: Any) -> Found:
            return by_certificate(cursor, name, certificate)

        return await self._login("certificate", name, certificate.fingerprint, ip, look)

    async def token(self, token: str, login: str, ip: str) -> Login:
        """An access token (MSS-071, MSS-072); the person it names must have a right on the mailbox."""
        name = login[:LONGEST_LOGIN]
        claims = await self._claims(token, name, ip)

        def look(cursor: Any) -> Found:
            return by_token(cursor, name, claims)

        return await self._login("token", name, token, ip, look)

    async def alive(self, login: Login) -> bool:
        """Still allowed? Costs nothing while nothing changed anywhere.

        While the database does not answer nobody can read anything either: the session is kept and the question
        asked again.
        """
        try:
            return (await self._now(login)).until > self._wall()
        except StoreError:
            return True

    async def send_as(self, login: Login) -> frozenset[str]:
        """The addresses it may write from now; what it had while the database does not answer."""
        try:
            return (await self._now(login)).send_as
        except StoreError:
            return login.send_as

    async def _now(self, login: Login) -> Standing:
        version = await self._watch.version()
        read_at, standing = self._standing.get(login, (-1, Standing()))
        if read_at != version:
            standing = await self._reading.run(lambda connection: in_force(connection, login))
            if len(self._standing) >= REMEMBERED:
                self._standing.clear()
            self._standing[login] = (version, standing)
        return standing

    # one login

    async def _claims(self, token: str, login: str, ip: str) -> Claims:
        try:
            return await self._tokens.verify(token)
        except TokensUnavailable:
            raise LoginRefused(_DOORS_SHUT, "tokens") from None
        except TokenRefused as problem:
            reason = problem.reason
        refused = Found(Presented("token", known=True), actor="unknown")
        await self._run(lambda unit: self._refuse_token(unit, refused, login, ip, reason))
        raise LoginRefused("session.auth_failed", reason)

    def _refuse_token(self, unit: Unit, found: Found, login: str, ip: str, reason: str) -> None:
        """A token lives five minutes, and programs try the one they have before they fetch another: that locks nobody out."""
        if reason not in OUT_OF_TIME:
            charged = self._attempts.charge(unit.cursor, subject_of("token", login), ip, unit.now)
            self._attempts.failed(unit.cursor, charged, unit.now)
        unit.emit(_refusal(found, "token", ip, reason))

    async def _login(self, means: str, name: str, secret: str, ip: str, look: Callable[[Any], Found]) -> Login:
        memory = self._memory(means, name, secret, ip)
        known = await self._remembered(memory)
        if known is not None:
            return known
        started = self._clock()
        outcome: Login | Decision = await self._run(lambda unit: self._judge(unit, means, name, ip, look))
        if isinstance(outcome, Decision):
            await self._pause(QUANTUM - (self._clock() - started) % QUANTUM)
            raise LoginRefused(outcome.rule.name, outcome.detail)
        if self._rules.login_cache:
            if len(self._proved) >= REMEMBERED:
                self._proved.clear()
            self._proved[memory] = (self._clock() + self._rules.login_cache, outcome)
        return outcome

    async def _run(self, work: Callable[[Unit], Any]) -> Any:
        try:
            return await self._committer.run(work)
        except StoreError as problem:
            raise LoginRefused(_DOORS_SHUT, type(problem).__name__) from None

    def _memory(self, means: str, name: str, secret: str, ip: str) -> bytes:
        """What a proved login is remembered by: useless to whoever reads this process's memory dump without the key."""
        said = "\0".join((means, name.lower(), ip, secret)).encode("utf-8", "surrogatepass")
        return hmac.new(self._memory_key, said, hashlib.sha256).digest()

    async def _remembered(self, memory: bytes) -> Login | None:
        """What was proved under the version in force; asked before the transaction, so that a change in between shows."""
        try:
            version = await self._watch.version()
        except StoreError:
            raise LoginRefused(_DOORS_SHUT, "watch") from None
        if version != self._version:
            self._version = version
            self._proved.clear()
        until, login = self._proved.get(memory, (0.0, None))
        return login if until > self._clock() else None

    def _judge(self, unit: Unit, means: str, name: str, ip: str, look: Callable[[Any], Found]) -> Login | Decision:
        """Inside the transaction. A refusal is an outcome, not an error: its counters and its event must be kept."""
        charged = self._attempts.charge(unit.cursor, subject_of(means, name), ip, unit.now)
        found = look(unit.cursor)
        familiar = found.facts.familiar and not charged.first_lock
        facts = replace(found.facts, means=means, locked_until=charged.locked_until, familiar=familiar)
        decision = judge_login(facts, unit.now)
        if not decision.accepted:
            self._refuse(unit, found, charged, ip, decision)
            return decision
        self._attempts.succeeded(unit.cursor, charged)
        return self._grant(unit, found, means, ip)

    def _refuse(self, unit: Unit, found: Found, charged: Charged, ip: str, decision: Decision) -> None:
        if found.facts.proved and not charged.locked_until:
            self._attempts.succeeded(unit.cursor, charged)  # the right secret of a suspended mailbox is no guess
        else:
            self._attempts.failed(unit.cursor, charged, unit.now)
        unit.emit(_refusal(found, found.facts.means, ip, decision.detail))

    def _grant(self, unit: Unit, found: Found, means: str, ip: str) -> Login:
        assert found.mailbox is not None
        login = Login(
            account=found.actor,
            mailbox_id=found.mailbox.id,
            address=found.mailbox.address,
            means=means,
            send_as=send_as(unit.cursor, found),
            credential=found.credential,
        )
        note_use(unit, found, ip)
        detail = {"means": means, "ip": ip, "device": found.credential, "mailbox": found.mailbox.address.key}
        unit.emit(Event(Kind.LOGIN, actor=login.account, mailbox=login.mailbox_id, detail=detail))
        return login


def _refusal(found: Found, means: str, ip: str, reason: str) -> Event:
    """What was typed as a login is not recorded unless it is ours: people type passwords in the wrong field."""
    known = found.mailbox
    detail = {"means": means, "ip": ip, "reason": reason, "mailbox": known.address.key if known else ""}
    return Event(Kind.LOGIN_REFUSED, actor=found.actor, mailbox=known.id if known else 0, detail=detail)
