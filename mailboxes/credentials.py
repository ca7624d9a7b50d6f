"""Answers every login: device passwords, certificates, tokens; the one implementation of :class:`Authenticator`.

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
import math
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, select

from mailboxes import login_rows, register
from mailboxes.account_tables import account, certificate_binding, device
from mailboxes.accounts import AccountRules
from mailboxes.attempts import Attempts, Charged, network, subject_of
from mailboxes.authentication import LoginRefused
from mailboxes.commit import Committer, Reading, Unit
from mailboxes.login_rows import Door
from mailboxes.lookup import Watch
from mailboxes.passwords import device_digest
from mailboxes.store import StoreError
from mailboxes.tokens import Claims, NoTokens, TokenRefused, TokensUnavailable, TokenVerifier
from policies.access import READ, SEND_AS, Presented, judge_login, owner_rights
from policies.decision import Decision
from policies.dn import BadName
from policies.dn import key as dn_key
from policies.events import Event, Kind
from policies.lifecycle import AccountState
from policies.values import BalState, CertificateFacts, Login

REMEMBERED = 20_000
LONGEST_LOGIN = 320
LONGEST_SECRET = 1024
QUANTUM = 0.05
"""A refusal is said at a multiple of this many seconds after the question: what was looked up does not show in it (F61)."""
_DOORS_SHUT = "session.auth_unavailable"


@dataclass(frozen=True, slots=True)
class _Found:
    """Facts about a mailbox, and about who is at its door."""

    facts: Presented
    mailbox: Door | None = None
    account_id: int = 0
    actor: str = "unknown"
    credential: str = ""
    digest: bytes = b""


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
        self._alive: dict[Login, tuple[int, float]] = {}  # version it was checked at, and its end

    # the port

    async def password(self, login: str, secret: str, ip: str) -> Login:
        """A device password (MSS-076). Raises :class:`LoginRefused`."""
        name, secret = login[:LONGEST_LOGIN], secret[:LONGEST_SECRET]

        def look(cursor: Any) -> _Found:
            return _by_device(cursor, name, device_digest(secret), ip)

        return await self._login("device", name, secret, ip, look)

    async def certificate(self, certificate: CertificateFacts, login: str, ip: str) -> Login:
        """The TLS client certificate of an APP mailbox (MSS-073). The door has judged its chain and dates."""
        name = login[:LONGEST_LOGIN]
        if certificate.chain_problem:
            raise LoginRefused("session.auth_failed", certificate.chain_problem)

        def look(cursor: Any) -> _Found:
            return _by_certificate(cursor, name, certificate)

        return await self._login("certificate", name, certificate.fingerprint, ip, look)

    async def token(self, token: str, login: str, ip: str) -> Login:
        """An access token (MSS-071, MSS-072); the person it names must have a right on the mailbox."""
        name = login[:LONGEST_LOGIN]
        claims = await self._claims(token, name, ip)

        def look(cursor: Any) -> _Found:
            return _by_token(cursor, name, claims)

        return await self._login("token", name, token, ip, look)

    async def alive(self, login: Login) -> bool:
        """Still allowed? Costs nothing while nothing changed anywhere.

        While the database does not answer nobody can read anything either: the session is kept and the question
        asked again.
        """
        try:
            version = await self._watch.version()
            checked, end = self._alive.get(login, (-1, 0.0))
            if checked != version:
                end = await self._reading.run(lambda connection: _in_force_until(connection, login))
        except StoreError:
            return True
        if len(self._alive) >= REMEMBERED:
            self._alive.clear()
        self._alive[login] = (version, end)
        return end > self._wall()

    # one login

    async def _claims(self, token: str, login: str, ip: str) -> Claims:
        try:
            return await self._tokens.verify(token)
        except TokensUnavailable:
            raise LoginRefused(_DOORS_SHUT, "tokens") from None
        except TokenRefused as problem:
            reason = problem.reason
        refused = _Found(Presented("token", known=True), actor="unknown")
        await self._run(lambda unit: self._refuse_token(unit, refused, login, ip, reason))
        raise LoginRefused("session.auth_failed", reason)

    def _refuse_token(self, unit: Unit, found: _Found, login: str, ip: str, reason: str) -> None:
        charged = self._attempts.charge(unit.cursor, subject_of("token", login), ip, unit.now)
        self._attempts.failed(unit.cursor, charged, unit.now)
        unit.emit(_refusal(found, "token", ip, reason))

    async def _login(self, means: str, name: str, secret: str, ip: str, look: Callable[[Any], _Found]) -> Login:
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

    def _judge(self, unit: Unit, means: str, name: str, ip: str, look: Callable[[Any], _Found]) -> Login | Decision:
        """Inside the transaction. A refusal is an outcome, not an error: its counters and its event must be kept."""
        charged = self._attempts.charge(unit.cursor, subject_of(means, name), ip, unit.now)
        found = look(unit.cursor)
        facts = replace(found.facts, means=means, locked_until=charged.locked_until)
        decision = judge_login(facts, unit.now)
        if not decision.accepted:
            self._refuse(unit, found, charged, ip, decision)
            return decision
        self._attempts.succeeded(unit.cursor, charged)
        return self._grant(unit, found, means, ip)

    def _refuse(self, unit: Unit, found: _Found, charged: Charged, ip: str, decision: Decision) -> None:
        if found.facts.proved:
            self._attempts.succeeded(unit.cursor, charged)  # the right secret of a suspended mailbox is no guess
        else:
            self._attempts.failed(unit.cursor, charged, unit.now)
        unit.emit(_refusal(found, found.facts.means, ip, decision.detail))

    def _grant(self, unit: Unit, found: _Found, means: str, ip: str) -> Login:
        assert found.mailbox is not None
        login = Login(
            account=found.actor,
            mailbox_id=found.mailbox.id,
            address=found.mailbox.address,
            means=means,
            send_as=_send_as(unit.cursor, found),
            credential=found.credential,
        )
        _note_use(unit, found, ip)
        detail = {"means": means, "ip": ip, "device": found.credential, "mailbox": found.mailbox.address.key}
        unit.emit(Event(Kind.LOGIN, actor=login.account, mailbox=login.mailbox_id, detail=detail))
        return login


def _refusal(found: _Found, means: str, ip: str, reason: str) -> Event:
    """What was typed as a login is not recorded unless it is ours: people type passwords in the wrong field."""
    known = found.mailbox
    detail = {"means": means, "ip": ip, "reason": reason, "mailbox": known.address.key if known else ""}
    return Event(Kind.LOGIN_REFUSED, actor=found.actor, mailbox=known.id if known else 0, detail=detail)


# looking for who is at the door


def _by_device(cursor: Any, name: str, digest: bytes, ip: str) -> _Found:
    """Three statements, whether the mailbox exists or not."""
    found = login_rows.door(cursor, register.key_of(name))
    row = login_rows.device(cursor, found.id if found is not None else 0, digest)
    given = _rights(cursor, found, row.account_id if row is not None else 0)
    if found is None or row is None:
        return _Found(Presented("device", known=found is not None), found)
    facts = Presented(
        "device",
        known=True,
        proved=hmac.compare_digest(row.digest, digest),
        withdrawn=row.revoked_at != 0,
        expires=row.expires_at,
        account=AccountState(row.state),
        mailbox=found.state,
        type=found.type,
        rights=given,
        familiar=row.last_ip != "" and network(row.last_ip) == network(ip),
    )
    return _Found(facts, found, row.account_id, row.login, f"device:{row.number}", digest)


def _rights(cursor: Any, found: Door | None, account_id: int) -> frozenset[str]:
    """What a person may do here; asked of the database even when the answer is known, for equal time."""
    shared = login_rows.rights(cursor, found.id if found is not None else 0, account_id)
    if found is not None and account_id and found.owner_id == account_id:
        return owner_rights()
    return shared


def _by_certificate(cursor: Any, name: str, certificate: CertificateFacts) -> _Found:
    """The binding by fingerprint or by name; with no login, the one mailbox this certificate is bound to."""
    bound = login_rows.bindings(cursor, _bindings(certificate))
    ids = {mailbox_id for mailbox_id, _ in bound}
    if name:
        found = login_rows.door(cursor, register.key_of(name))
    else:
        found = login_rows.door_by_id(cursor, ids.pop()) if len(ids) == 1 else None
    values = [value for mailbox_id, value in bound if found is not None and mailbox_id == found.id]
    if found is None or not values:
        return _Found(Presented("certificate", known=found is not None), found, actor=certificate.subject)
    facts = Presented(
        "certificate", known=True, proved=True, mailbox=found.state, type=found.type, rights=frozenset({READ, SEND_AS})
    )
    return _Found(facts, found, 0, certificate.subject, f"certificate:{values[0]}")


def _bindings(certificate: CertificateFacts) -> tuple[str, str]:
    """How this certificate may be bound. A name nobody can read binds nothing; the fingerprint still may."""
    fingerprint = f"sha256:{certificate.fingerprint.lower()}"
    try:
        return fingerprint, "dn:" + dn_key(certificate.subject)
    except BadName:
        return fingerprint, fingerprint


def _by_token(cursor: Any, name: str, claims: Claims) -> _Found:
    """The person a token names, and the mailbox asked for (their own when none is)."""
    person = login_rows.person(cursor, claims.identity)
    account_id = person.id if person is not None else 0
    found = login_rows.door(cursor, register.key_of(name)) if name else login_rows.own_door(cursor, account_id)
    given = _rights(cursor, found, account_id)
    if found is None or person is None:
        return _Found(Presented("token", known=found is not None, proved=False), found)
    facts = Presented(
        "token",
        known=True,
        proved=True,
        expires=claims.expires,
        account=person.state,
        mailbox=found.state,
        type=found.type,
        rights=given,
    )
    return _Found(facts, found, person.id, person.login, f"token:{claims.identity}")


def _send_as(cursor: Any, found: _Found) -> frozenset[str]:
    """Addresses this login may write from: the mailbox's own and aliases, and those of active mailboxes whose members may
    send as them (MSS-074)."""
    assert found.mailbox is not None
    own = found.mailbox.id if SEND_AS in found.facts.rights else 0
    return login_rows.send_as(cursor, own, found.account_id)


def _note_use(unit: Unit, found: _Found, ip: str) -> None:
    """Dates on the mailbox, the person, and what they came in by."""
    assert found.mailbox is not None
    now, mailbox_id = int(unit.now), found.mailbox.id
    login_rows.used(unit.cursor, now, mailbox_id, found.account_id)
    if found.digest:
        login_rows.device_used(unit.cursor, now, ip, mailbox_id, found.digest)
    if found.credential.startswith("certificate:"):
        login_rows.binding_used(unit.cursor, now, mailbox_id, found.credential.removeprefix("certificate:"))


def _in_force_until(connection: Connection, login: Login) -> float:
    """Until when what this login rests on holds, in epoch seconds: 0 when it no longer does."""
    found = register.find(connection, str(login.address))
    if found is None or found.id != login.mailbox_id or found.state is not BalState.ACTIVE:
        return 0.0
    kind, _, value = login.credential.partition(":")
    if kind == "certificate":
        bound = (certificate_binding.c.mailbox_id == found.id) & (certificate_binding.c.value == value)
        revoked = connection.execute(select(certificate_binding.c.revoked_at).where(bound)).scalar()
        return math.inf if revoked == 0 else 0.0
    query = select(account.c.id, account.c.state).where(account.c.login == login.account)
    person = connection.execute(query).one_or_none()
    if person is None or person.state != AccountState.ACTIVE:
        return 0.0
    if READ not in register.rights(connection, found, person.id):
        return 0.0
    return _device_until(connection, found.id, value) if kind == "device" else math.inf


def _device_until(connection: Connection, mailbox_id: int, number: str) -> float:
    here = (device.c.mailbox_id == mailbox_id) & (device.c.number == int(number))
    row = connection.execute(select(device.c.revoked_at, device.c.expires_at).where(here)).one_or_none()
    if row is None or row.revoked_at:
        return 0.0
    return float(row.expires_at) or math.inf
