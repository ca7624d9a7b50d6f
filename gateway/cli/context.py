"""What every subcommand starts from: the configuration, the open store, and who is asking.

Promise: nothing is opened before it is needed; what :func:`opened` opens, it closes. Failure: ConfigError, WrongMasterKey and
StoreUnavailable, which :mod:`gateway.cli.errors` turns into words; a full disk is said as one.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.errors import UNAVAILABLE, Said
from gateway.cli.output import size
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
    with telling_room(config):
        storage = compose.storage(config)
        try:
            yield storage
        finally:
            storage.close_sync()


NO_ROOM = 1 << 20
"""Octets free below which a disk explains why SQLite failed: it calls a log or an index it cannot make an input/output error."""


@contextmanager
def telling_room(config: Config) -> Iterator[None]:
    """Say of a store that failed for want of room which disk is full."""
    try:
        yield
    except Exception as problem:
        full = _full(config, problem)
        if full is None:
            raise
        raise full from problem


def _full(config: Config, problem: Exception) -> Said | None:
    from gateway.compose import volumes
    from mailboxes.engine import refusal
    from mailboxes.store import BlobsUnavailable, StoreError, StoreFull

    store = problem if isinstance(problem, StoreError) else refusal(problem)
    if store is None or isinstance(store, BlobsUnavailable):
        return None
    path, free = min(volumes(config).items(), key=itemgetter(1))
    here = config.store.url.startswith("sqlite:")
    if here and (free < NO_ROOM or isinstance(store, StoreFull)):
        return Said("cli.store_full", UNAVAILABLE, path=path, free=size(free))
    return Said("cli.store_full_there", UNAVAILABLE) if isinstance(store, StoreFull) and not here else None


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
