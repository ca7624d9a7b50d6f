"""Strong sessions: a person proved twice, by password and by one-time code, for half an hour (TOU-A05, MSS-076).

A session is what makes device passwords; mail programs never use it. It is bound to the system user and host that opened
it, ends with the account's suspension and with a new password or code, and is never prolonged.
Promise: an unknown login, a wrong password, a wrong code and a code used twice take the same work and give the same words
(F61); attempts are charged before they are judged (F73). Failure: :class:`Refused` (``account.session_refused``,
``session.auth_locked``, ``account.session_required``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, insert, select, update

from mailboxes import known_browsers
from mailboxes.account_tables import account, strong_session
from mailboxes.accounts import AccountRules, Refused, Vault, login_key, refuse, totp_context
from mailboxes.attempts import Attempts, Charged, subject_of
from mailboxes.commit import Committer, Unit
from mailboxes.passwords import Passwords, new_session_token, new_totp_secret, session_digest, totp_step
from policies.catalogue import rule
from policies.decision import Decision, decide
from policies.events import Event, Kind
from policies.lifecycle import AccountState

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StrongSession:
    account_id: int
    login: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class Credential:
    """What was typed, and where: ``place`` is counted (an address, or ``console``), ``bound_to`` binds the session.

    ``browser`` is the token of a remembered browser, which stands for the code when none was typed (TOU-D07).
    """

    login: str
    password: str = field(repr=False)
    code: str = field(repr=False)
    bound_to: str
    place: str = "console"
    browser: str = field(default="", repr=False)
    means: str = "session"


@dataclass(frozen=True, slots=True)
class Proved:
    """Who proved to be who; ``by_code`` unless a remembered browser stood for the code."""

    account_id: int
    login: str
    by_code: bool = True


@dataclass(frozen=True, slots=True)
class Sessions:
    """Opens, finds and ends strong sessions."""

    rules: AccountRules
    vault: Vault
    passwords: Passwords

    @property
    def attempts(self) -> Attempts:
        return Attempts(self.rules.failures, self.rules.failures_per_ip, self.rules.lock)

    def open(self, committer: Committer, given: Credential) -> tuple[str, StrongSession]:
        """A token to keep in a file of mode 0600, and the session."""
        return self.prove(committer, given, lambda unit, who: self._begin(unit, who, given))

    def prove(self, committer: Committer, given: Credential, begin: Callable[[Unit, Proved], T]) -> T:
        """What ``begin`` makes, in the transaction that judges, once both proofs are right. Takes as long as one Argon2id hash.

        The hash is computed outside the transaction that judges, but the attempt was charged in one before: threads
        in parallel are counted one by one.
        """
        subject = subject_of("session", given.login)
        charged, row = committer.run_sync(lambda unit: self._charge(unit, subject, given))
        right = self.passwords.verify("" if row is None else row.password, given.password)
        renewed = self.passwords.hash(given.password) if right and self.passwords.outdated(row.password) else ""

        def judge(unit: Unit) -> T | Decision:
            who = self._judge(unit, charged, row, given, right, renewed)
            return who if isinstance(who, Decision) else begin(unit, who)

        outcome = committer.run_sync(judge)
        if isinstance(outcome, Decision):
            raise Refused(outcome)
        return outcome

    def _charge(self, unit: Unit, subject: str, given: Credential) -> tuple[Charged, Any]:
        charged = self.attempts.charge(unit.cursor, subject, given.place, unit.now)
        named = account.c.login == login_key(given.login)
        row = unit.connection.execute(select(account).where(named)).one_or_none()
        return charged, row

    def _judge(
        self, unit: Unit, charged: Charged, row: Any, given: Credential, right: bool, renewed: str
    ) -> Proved | Decision:
        """Judge inside one transaction; a refusal is an outcome, not an error, because its counters must be kept."""
        step = self._step(unit, row, given.code)
        known = not step and not given.code and row is not None and known_browsers.stands(unit, row.id, given)
        reason = self._fault(unit, charged, row, right, step, known)
        if not reason:
            self.attempts.succeeded(unit.cursor, charged)
            return self._noted(unit, row, given, renewed, by_code=not known)
        self.attempts.failed(unit.cursor, charged, unit.now)
        detail = {"means": given.means, "ip": given.place, "reason": reason, "mailbox": ""}
        unit.emit(Event(Kind.LOGIN_REFUSED, actor=row.login if row is not None else "unknown", detail=detail))
        name = "session.auth_locked" if reason == "locked" else "account.session_refused"
        return decide(rule(name), reason)

    def _fault(self, unit: Unit, charged: Charged, row: Any, right: bool, step: int, known: bool) -> str:
        """Why not, in a word for the journal; every path does the same work."""
        if charged.locked_until:
            return "locked"
        if row is None:
            return "unknown"
        if not right:
            return "password"
        if not step and not known:
            return "code"
        if row.state != AccountState.ACTIVE:
            return "account"
        unused = (account.c.id == row.id) & (account.c.password == row.password)
        if step:
            unused &= account.c.totp_last < step
        values = {"totp_last": step} if step else {"totp_last": account.c.totp_last}
        taken = unit.connection.execute(update(account).where(unused).values(values))
        return "" if taken.rowcount == 1 else "code"

    def _step(self, unit: Unit, row: Any, code: str) -> int:
        if row is None or not row.totp:
            totp_step(new_totp_secret(), code, unit.now, 0)
            return 0
        secret = self.vault.unseal(bytes(row.totp), totp_context(row.id)).decode()
        return totp_step(secret, code, unit.now, row.totp_last)

    def _noted(self, unit: Unit, row: Any, given: Credential, renewed: str, *, by_code: bool) -> Proved:
        values = {"last_login_at": int(unit.now), "password": renewed or row.password}
        unit.connection.execute(update(account).where(account.c.id == row.id).values(values))
        device = "" if by_code else "remembered browser"
        detail = {"means": given.means, "ip": given.place, "device": device, "mailbox": ""}
        unit.emit(Event(Kind.LOGIN, actor=row.login, detail=detail))
        return Proved(row.id, row.login, by_code)

    def _begin(self, unit: Unit, who: Proved, given: Credential) -> tuple[str, StrongSession]:
        token = new_session_token()
        expires = int(unit.now + self.rules.session_lifetime)
        unit.connection.execute(
            insert(strong_session),
            {
                "digest": session_digest(token),
                "account_id": who.account_id,
                "bound_to": given.bound_to,
                "created_at": int(unit.now),
                "expires_at": expires,
                "ended_at": 0,
            },
        )
        return token, StrongSession(who.account_id, who.login, expires)


def current(connection: Connection, token: str, bound_to: str, now: float) -> StrongSession:
    """The session a token stands for. Raises :class:`Refused` when it ended, or was opened elsewhere."""
    query = (
        select(strong_session, account.c.login, account.c.state)
        .join(account, account.c.id == strong_session.c.account_id)
        .where(strong_session.c.digest == session_digest(token))
    )
    row = connection.execute(query).one_or_none()
    in_force = row is not None and row.ended_at == 0 and row.expires_at > now and row.bound_to == bound_to
    if row is None or not in_force or row.state != AccountState.ACTIVE:
        raise refuse("account.session_required")
    return StrongSession(row.account_id, row.login, row.expires_at)


def end(unit: Unit, token: str) -> None:
    """End one session."""
    here = (strong_session.c.digest == session_digest(token)) & (strong_session.c.ended_at == 0)
    unit.connection.execute(update(strong_session).where(here).values(ended_at=max(int(unit.now), 1)))
