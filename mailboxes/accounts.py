"""Accounts of natural persons: opening them, finding them, their password and one-time code.

Everything is a function of a write transaction (:class:`mailboxes.commit.Unit`) or of a read connection, so callers
choose when it becomes durable: ``await committer.run(lambda unit: accounts.open(unit, ...))``.
Promise: one person, one account (TOU-D02); each change is recorded with its actor in the same transaction and is in force
in every process within seconds (:func:`withdrawn`). Failure: :class:`Refused` carries the decision; nothing was changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from sqlalchemy import Connection, func, insert, or_, select, text, update

from mailboxes import naming
from mailboxes.account_tables import account, device, mailbox, member, strong_session
from mailboxes.calling import Calling, set_calling
from mailboxes.commit import Unit
from mailboxes.passwords import Passwords, new_totp_secret, personal, strength
from mailboxes.portal_tables import known_browser, web_session
from policies.address import AddressError, parse
from policies.catalogue import rule
from policies.catalogue.sentences_trust import TRUST
from policies.decision import Decision, decide
from policies.events import Event, Kind
from policies.lifecycle import AccountState, Step, move_account

REQUIRED = ("family_name", "given_name")
NAMES = (*REQUIRED, "title")


class Refused(Exception):
    """The answer is no, and ``decision`` says why, in words for the person who asked."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.rule.name)
        self.decision = decision


def refuse(name: str, /, detail: str = "", **parameters: object) -> Refused:
    """The exception for a rule of the catalogue."""
    return Refused(decide(rule(name), detail, **parameters))


def require(decision: Decision) -> None:
    """Raise :class:`Refused` unless the decision accepts."""
    if not decision.accepted:
        raise Refused(decision)


class Vault(Protocol):
    """What accounts need of keys and store; :class:`mailboxes.vault.StoreVault` is the real one."""

    def seal(self, secret: bytes, context: bytes) -> bytes: ...
    def unseal(self, sealed: bytes, context: bytes) -> bytes: ...
    def provision(self, unit: Unit, mailbox_id: int, quota: int) -> None:
        """Give a new mailbox its key, its INBOX and its quota."""
        ...

    def set_quota(self, unit: Unit, mailbox_id: int, quota: int) -> None: ...
    def destroy(self, unit: Unit, mailbox_id: int) -> None:
        """Destroy the mailbox's key: all it held is unreadable, backups included (TOU-E07)."""
        ...


@dataclass(frozen=True, slots=True)
class AccountRules:
    """The operator's choices. Sizes in bytes, durations in seconds; ``domains`` are those served here."""

    domains: tuple[str, ...]
    test_mode: bool = False
    check_identifiers: bool = True
    password_bits: int = 80
    quota: int = 0
    devices: int = 20
    device_lifetime: float = 0.0
    session_lifetime: float = 1800.0
    failures: int = 10
    failures_per_ip: int = 100
    lock: float = 900.0
    login_cache: float = 30.0


@dataclass(frozen=True, slots=True)
class NewAccount:
    """A person to be admitted. ``verified`` says how the identity was checked (card, RPPS...); empty: still pending."""

    login: str
    family_name: str
    given_name: str
    identity: str = ""
    title: str = ""
    contact: str = ""
    verified: str = ""
    calling: Calling = field(default_factory=Calling)


@dataclass(frozen=True, slots=True)
class Account:
    """A person, without anything secret."""

    id: int
    login: str
    identity: str
    family_name: str
    given_name: str
    title: str
    contact: str
    state: AccountState
    state_at: int
    state_by: str
    state_reason: str
    created_at: int
    last_login_at: int
    has_password: bool
    has_code: bool


_VERSION = text(
    "INSERT INTO access_version (id, version) VALUES (1, 1)"
    " ON CONFLICT (id) DO UPDATE SET version = access_version.version + 1"
)


def withdrawn(unit: Unit, mailbox_id: int = 0) -> None:
    """Someone may do less than before: every process forgets what it remembers of logins, and asks again for those open.

    Only withdrawals count: what is newly allowed is asked of the database anyway. Watchers of ``mailbox_id`` are woken.
    """
    unit.connection.execute(_VERSION)
    if mailbox_id:
        unit.touched(mailbox_id, 0)


def _account(row: Any) -> Account:
    return Account(
        id=row.id,
        login=row.login,
        identity=row.identity,
        family_name=row.family_name,
        given_name=row.given_name,
        title=row.title,
        contact=row.contact,
        state=AccountState(row.state),
        state_at=row.state_at,
        state_by=row.state_by,
        state_reason=row.state_reason,
        created_at=row.created_at,
        last_login_at=row.last_login_at,
        has_password=bool(row.password),
        has_code=bool(row.totp),
    )


def login_key(written: str) -> str:
    """A login as it is stored; empty, which is nobody's, for what cannot be one."""
    return written.lower() if naming.is_login(written.lower()) else ""


def find(connection: Connection, login: str) -> Account | None:
    """The account called ``login``."""
    row = connection.execute(select(account).where(account.c.login == login_key(login))).one_or_none()
    return None if row is None else _account(row)


def get(connection: Connection, login: str) -> Account:
    """The same; raises :class:`Refused` when there is none."""
    found = find(connection, login)
    if found is None:
        raise refuse("account.not_found", login=login)
    return found


def listed(connection: Connection) -> list[Account]:
    """All accounts, by login: what a list leaves out without a word is taken for what is not there."""
    return [_account(row) for row in connection.execute(select(account).order_by(account.c.login))]


def by_id(connection: Connection, account_id: int) -> Account | None:
    """The account with this number."""
    row = connection.execute(select(account).where(account.c.id == account_id)).one_or_none()
    return None if row is None else _account(row)


def search(connection: Connection, begins: str, limit: int) -> list[Account]:
    """Accounts whose login or surname begins so, by login."""
    query = select(account).order_by(account.c.login).limit(limit)
    if begins:
        named = [column.istartswith(begins, autoescape=True) for column in (account.c.login, account.c.family_name)]
        query = query.where(or_(*named))
    return [_account(row) for row in connection.execute(query)]


def count_by_state(connection: Connection) -> dict[str, int]:
    """How many accounts are in each state."""
    query = select(account.c.state, func.count()).group_by(account.c.state).order_by(account.c.state)
    return {state: int(count) for state, count in connection.execute(query)}


def record(unit: Unit, actor: str, what: str, person: Account) -> None:
    """Something was done about a person that changes no row of the account's own."""
    unit.emit(_event(actor, what, person.login, person.state, ""))


def totp_context(account_id: int) -> bytes:
    """Associated data of a sealed TOTP secret: it cannot be moved to another account."""
    return b"totp %d" % account_id


@dataclass(frozen=True, slots=True)
class Accounts:
    """The operations. What time it is, the unit says."""

    rules: AccountRules
    vault: Vault
    passwords: Passwords = field(default_factory=Passwords)

    def open(self, unit: Unit, new: NewAccount, actor: str) -> int:
        """Admit a person; answers the account's id. Without ``verified`` it stays pending (TOU-D06)."""
        identity = naming.person(new.identity) if new.identity else ""
        self._judge(unit.connection, new, identity)
        state = AccountState.ACTIVE if new.verified else AccountState.PENDING
        now = int(unit.now)
        row = {
            "login": new.login,
            "identity": identity,
            "family_name": naming.clean(new.family_name),
            "given_name": naming.clean(new.given_name),
            "title": naming.clean(new.title),
            "contact": new.contact,
            "password": "",
            "totp": b"",
            "totp_last": 0,
            "state": state,
            "state_at": now,
            "state_by": actor,
            "state_reason": new.verified,
            "created_at": now,
            "last_login_at": 0,
        }
        key = unit.connection.execute(insert(account), row).inserted_primary_key
        account_id = int(key[0]) if key else 0
        if new.calling != Calling():
            set_calling(unit.connection, account_id, asdict(new.calling))
        unit.emit(_event(actor, "opened", new.login, state, new.verified))
        return account_id

    def _judge(self, connection: Connection, new: NewAccount, identity: str) -> None:
        if not naming.is_login(new.login):
            raise refuse("account.login_malformed", login=new.login[:80])
        if not naming.clean(new.family_name) or not naming.clean(new.given_name):
            raise refuse("account.name_missing")
        if identity:
            rules = self.rules
            problem = naming.person_problem(identity, test=rules.test_mode, check=rules.check_identifiers)
            if problem:
                fr, en = TRUST[f"identity.{problem}"]
                raise refuse("account.identity_malformed", identity=identity[:80], problem_fr=fr, problem_en=en)
        if new.contact:
            self._judge_contact(new.contact)
        if find(connection, new.login) is not None:
            raise refuse("account.login_taken", login=new.login)
        taken = select(account.c.id).where(account.c.identity == identity, account.c.identity != "")
        if connection.execute(taken).first() is not None:
            raise refuse("account.identity_taken", identity=identity)

    def _judge_contact(self, contact: str) -> None:
        try:
            domain = parse(contact).domain
        except AddressError as problem:
            raise refuse("mailbox.address_malformed", address=contact[:80], **problem.said) from None
        if domain in self.rules.domains or domain.endswith(".mssante.fr"):
            raise refuse("account.contact_inside", address=contact)

    def move(self, unit: Unit, login: str, step: Step, reason: str, actor: str) -> AccountState:
        """Activate, suspend, resume or close. Closing withdraws every device and session of the person."""
        found = get(unit.connection, login)
        move = move_account(found.state, step, reason)
        require(move.decision)
        values = {"state": move.state, "state_at": int(unit.now), "state_by": actor, "state_reason": reason}
        unit.connection.execute(update(account).where(account.c.id == found.id).values(values))
        if move.state != AccountState.ACTIVE:
            end_sessions(unit, found.id)
        if move.state == AccountState.CLOSED:
            end_means(unit, found.id)
            _withdraw_devices(unit, found.id, actor)
        for mailbox_id in _mailboxes_of(unit, found.id):
            unit.touched(mailbox_id, 0)
        withdrawn(unit)
        unit.emit(_event(actor, step, found.login, move.state, reason))
        return AccountState(move.state)

    def exported(self, unit: Unit, login: str, actor: str) -> None:
        """Record that the person was given all that is kept about them (TOU-A16)."""
        found = get(unit.connection, login)
        unit.emit(_event(actor, "exported", found.login, found.state, ""))

    def describe(self, unit: Unit, login: str, given: Mapping[str, str], actor: str) -> None:
        """Change names, title, profession or specialty; only what is given. Never the identity: it is another person's."""
        found = get(unit.connection, login)
        names = {name: naming.clean(given[name]) for name in NAMES if name in given}
        if not all(names.get(name, "given") for name in REQUIRED):
            raise refuse("account.name_missing")
        if names:
            unit.connection.execute(update(account).where(account.c.id == found.id).values(names))
        set_calling(unit.connection, found.id, given)
        unit.emit(_event(actor, "described " + " ".join(sorted(given)), found.login, found.state, ""))

    def set_password(self, unit: Unit, login: str, password: str, actor: str, hashed: str = "") -> None:
        """Choose a password; open sessions end. ``hashed`` may be computed beforehand by :meth:`Passwords.hash`."""
        found = get(unit.connection, login)
        require(self.judge_password(found, password))
        values = {"password": hashed or self.passwords.hash(password)}
        unit.connection.execute(update(account).where(account.c.id == found.id).values(values))
        end_sessions(unit, found.id)
        unit.emit(_event(actor, "password", found.login, found.state, ""))

    def judge_password(self, person: Account, password: str) -> Decision:
        """Is it strong enough, and not about the person (CNIL 2022-100)?"""
        if personal(password, (person.login, person.family_name, person.given_name)):
            return decide(rule("account.password_personal"))
        bits = strength(password)
        if bits < self.rules.password_bits:
            return decide(rule("account.password_weak"), bits=bits, needed=self.rules.password_bits)
        return decide(rule("account.acceptable"))

    def new_code(self, unit: Unit, login: str, actor: str) -> str:
        """A new TOTP secret, base32: shown once, then only sealed. Open sessions end."""
        found = get(unit.connection, login)
        secret = new_totp_secret()
        sealed = self.vault.seal(secret.encode(), totp_context(found.id))
        unit.connection.execute(update(account).where(account.c.id == found.id).values(totp=sealed, totp_last=0))
        end_sessions(unit, found.id)
        unit.emit(_event(actor, "code", found.login, found.state, ""))
        return secret


def end_sessions(unit: Unit, account_id: int) -> None:
    """End every strong session of a person, those of browsers too."""
    for table in (strong_session, web_session):
        live = (table.c.account_id == account_id) & (table.c.ended_at == 0)
        unit.connection.execute(update(table).where(live).values(ended_at=max(int(unit.now), 1)))


def end_means(unit: Unit, account_id: int) -> None:
    """End every session, and let no remembered browser stand for a code any more."""
    end_sessions(unit, account_id)
    live = (known_browser.c.account_id == account_id) & (known_browser.c.ended_at == 0)
    unit.connection.execute(update(known_browser).where(live).values(ended_at=max(int(unit.now), 1)))


def _mailboxes_of(unit: Unit, account_id: int) -> set[int]:
    """Mailboxes this person owns or is a member of: whoever watches them looks again."""
    owned = select(mailbox.c.id).where(mailbox.c.owner_id == account_id)
    shared = select(member.c.mailbox_id).where((member.c.account_id == account_id) & (member.c.until == 0))
    return {int(row[0]) for query in (owned, shared) for row in unit.connection.execute(query)}


def _withdraw_devices(unit: Unit, account_id: int, actor: str) -> None:
    live = (device.c.account_id == account_id) & (device.c.revoked_at == 0)
    unit.connection.execute(update(device).where(live).values(revoked_at=int(unit.now), revoked_by=actor))


def _event(actor: str, what: str, login: str, state: str, reason: str) -> Event:
    detail = {"what": str(what), "account": login, "state": str(state), "reason": reason}
    return Event(Kind.ACCOUNT, actor=actor, detail=detail)
