"""A small register to test with: a store on disk or in memory, a clock that moves when told, and a few people."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.record.journal import Journal, read
from mailboxes import devices
from mailboxes.account_tables import access_version
from mailboxes.accounts import AccountRules, Accounts, NewAccount
from mailboxes.commit import Committer, Reading
from mailboxes.credentials import Credentials
from mailboxes.engine import open_database
from mailboxes.keys import Keyring, LocalMasterKey
from mailboxes.lookup import Mailboxes
from mailboxes.passwords import Passwords
from mailboxes.register import NewMailbox, Register
from mailboxes.sessions import Credential, Sessions, StrongSession
from mailboxes.tokens import TokenVerifier
from mailboxes.vault import StoreVault
from policies.events import Kind
from policies.values import BalType

assert access_version is not None  # the tables must be known before they are created

DOMAIN = "op-a.mssante.test"
ACTOR = "operator:test"
CHEAP = Passwords(memory=8 * 1024, passes=1)


class Clock:
    """Epoch and monotonic seconds at once; moves only by :meth:`pass_`."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Pauses:
    """Remembers how long each refusal would have waited, and does not wait."""

    taken: list[float] = field(default_factory=list)

    async def pause(self, seconds: float) -> None:
        self.taken.append(seconds)


@dataclass
class House:
    url: str = "sqlite://"
    rules: AccountRules = field(default_factory=lambda: AccountRules(domains=(DOMAIN,), test_mode=True))
    clock: Clock = field(default_factory=Clock)
    tokens: TokenVerifier | None = None
    pauses: Pauses = field(default_factory=Pauses)

    def __post_init__(self) -> None:
        self.database = open_database(self.url)
        self.database.create_tables()
        self.committer = Committer(self.database, journal=Journal(), clock=self.clock)
        self.reading = Reading(self.database)
        master = LocalMasterKey(bytes(range(32)))
        self.keyring = Keyring(master, self.clock)
        self.vault = StoreVault(self.keyring)
        self.committer.run_sync(lambda unit: self.keyring.open(unit.connection, unit.now))
        self.accounts = Accounts(self.rules, self.vault, CHEAP)
        self.register = Register(self.rules, self.vault)
        self.sessions = Sessions(self.rules, self.vault, CHEAP)
        self.credentials = self.authenticator()
        self.mailboxes = Mailboxes(self.reading, self.clock)

    def authenticator(self) -> Credentials:
        """Another process's one: its own memory, the same database."""
        return Credentials(
            self.committer, self.reading, self.rules, self.clock, self.clock, self.tokens, pause=self.pauses.pause
        )

    def do(self, work: Any) -> Any:
        return self.committer.run_sync(work)

    def ask(self, work: Any) -> Any:
        return self.reading.run_sync(work)

    def person(self, login: str = "marie.martin", *, identity: str = "8ANS0001", verified: str = "card") -> int:
        new = NewAccount(login, "Martin", "Marie", identity=identity, verified=verified)
        return int(self.do(lambda unit: self.accounts.open(unit, new, ACTOR)))

    def mailbox(self, local: str = "marie.martin", type_: BalType = BalType.PER, **more: Any) -> int:
        if type_ in (BalType.PER, BalType.CAB):
            more.setdefault("owner", "marie.martin")
        else:
            more.setdefault("structure", "1TEST")
        new = NewMailbox(f"{local}@{DOMAIN}", type_, **more)
        return int(self.do(lambda unit: self.register.open(unit, new, ACTOR)))

    def device(self, login: str, address: str, name: str = "Thunderbird") -> devices.Created:
        """A device made in a strong session that was opened before."""
        from mailboxes import accounts

        person = self.ask(lambda connection: accounts.get(connection, login))
        session = StrongSession(person.id, login, int(self.clock() + 60))
        made: devices.Created = self.do(lambda unit: devices.create(unit, self.rules, session, address, name))
        return made

    def secrets(self, login: str, password: str = "Corneille-7-sonne!") -> str:
        """Give a person a password and a code; answers the TOTP secret."""
        self.do(lambda unit: self.accounts.set_password(unit, login, password, ACTOR))
        return str(self.do(lambda unit: self.accounts.new_code(unit, login, ACTOR)))

    def session(self, login: str, password: str, code: str, **more: Any) -> tuple[str, StrongSession]:
        return self.sessions.open(self.committer, Credential(login, password, code, "host:1000", **more))

    def events(self, kind: Kind) -> list[Any]:
        return list(self.ask(lambda connection: read(connection, kind=kind)))

    def close(self) -> None:
        self.committer.close_sync()
        self.reading.close_sync()
        self.database.dispose()
