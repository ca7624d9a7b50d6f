"""What every subcommand starts from: the configuration, the open store, and who is asking.

Promise: nothing is opened before it is needed; what :func:`opened` opens, it closes. Failure: ConfigError, WrongMasterKey and
StoreUnavailable, which :mod:`gateway.cli.errors` turns into words; a disk that is full or read-only is said as such.
"""

from __future__ import annotations

import errno
import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.errors import UNAVAILABLE, Said
from gateway.config import Config, load
from policies.catalogue.sentences_console import say
from policies.decision import Language

if TYPE_CHECKING:
    from gateway.compose import Storage
    from gateway.people import People
    from mailboxes.sessions import StrongSession


@dataclass(frozen=True, slots=True)
class Console:
    """The options given before the subcommand."""

    config_path: Path
    language: Language

    def config(self) -> Config:
        """Read and check the configuration. Raises ConfigError."""
        return load(self.config_path)

    def say(self, name: str, /, **parameters: object) -> str:
        """A sentence of the console's catalogue in the language asked for."""
        return say(name, self.language, **parameters)


@dataclass(frozen=True, slots=True)
class Desk:
    """An open store, and the operations on people and mailboxes."""

    console: Console
    storage: Storage
    people: People

    def do(self, work: Any) -> Any:
        """Run ``work(unit)`` in one durable transaction."""
        return self.storage.committer.run_sync(work)

    def ask(self, work: Any) -> Any:
        """Run ``work(connection)``, reading only."""
        return self.storage.reading.run_sync(work)


def here(ctx: Any) -> Console:
    """The console of a command's context."""
    found = ctx.find_root().obj
    assert isinstance(found, Console)
    return found


@contextmanager
def open_store(config: Config) -> Iterator[Storage]:
    """The operator's store, closed at the end. What goes wrong inside is said as the service would say it."""
    import structlog

    from gateway import compose
    from gateway.log import set_up

    if not structlog.is_configured():
        set_up("error", config.log.format)
    with telling_disk(config):
        storage = compose.storage(config)
        try:
            yield storage
        finally:
            storage.close_sync()


@contextmanager
def telling_disk(config: Config) -> Iterator[None]:
    """Say of a store that failed because of a disk which one, and what ails it. SQLite calls that by many names."""
    try:
        yield
    except Exception as problem:
        ailing = _ailing(config, problem)
        if ailing is None:
            raise
        raise ailing from problem


_OF_A_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def _ailing(config: Config, problem: Exception) -> Said | None:
    from gateway.compose import flaws
    from mailboxes.engine import refusal
    from mailboxes.store import BlobsUnavailable, StoreError, StoreFull

    store = problem if isinstance(problem, StoreError) else refusal(problem)
    of_a_disk = isinstance(problem, OSError) and problem.errno in _OF_A_DISK
    if isinstance(store, BlobsUnavailable) or (store is None and not of_a_disk):
        return None
    for path, flaw in flaws(config).items():
        return Said(f"cli.disk_{flaw}", UNAVAILABLE, path=path)
    if isinstance(store, StoreFull) and not config.store.url.startswith("sqlite:"):
        return Said("cli.disk_of_server_full", UNAVAILABLE)
    return None


@contextmanager
def opened(ctx: Any) -> Iterator[Desk]:
    """Configuration, store and people, for commands about accounts and mailboxes."""
    from gateway.people import people

    console = here(ctx)
    config = console.config()
    with open_store(config) as storage:
        yield Desk(console, storage, people(storage))


def actor() -> str:
    """Who acts on the command line, for the journal."""
    return f"operator:{getpass.getuser()}"


def session(desk: Desk) -> StrongSession:
    """The strong session of whoever is at this terminal. Raises :class:`mailboxes.accounts.Refused`."""
    from gateway.cli import session_file
    from mailboxes.accounts import refuse
    from mailboxes.sessions import current

    kept = session_file.read()
    if kept is None:
        raise refuse("account.session_required")
    bound, now = session_file.bound_to(), desk.storage.clock()
    found: StrongSession = desk.ask(lambda connection: current(connection, kept.token, bound, now))
    return found
