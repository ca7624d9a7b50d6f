"""A mailbox nobody logs in to: told once, whatever restarts, and closed only when told long enough (MSS-056, MSS-057)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import compose, idle
from gateway.compose import Storage
from gateway.config import load
from gateway.idle import Done
from gateway.people import people
from gateway.record.journal import read
from gateway.settings import Config
from gateway.settings.units import DAY
from mailboxes import register
from mailboxes.account_tables import mailbox
from mailboxes.keys import create_master_key_file
from mailboxes.register import NewMailbox
from policies.values import BalState, BalType
from tests.gateway.test_cli import CONFIG

ADDRESS = "bureau@op.mssante.test"
START = 1_772_442_000.0


class Life:
    """An operator's store over the years; each look is a process of its own."""

    def __init__(self, folder: Path) -> None:
        path = folder / "config.toml"
        path.write_text(CONFIG)
        create_master_key_file(folder / "master.key")
        self.config: Config = load(path)
        self.now = START
        self._with(
            lambda storage: storage.committer.run_sync(
                lambda unit: people(storage).register.open(unit, self._new(), "x")
            )
        )

    def _new(self) -> NewMailbox:
        return NewMailbox(ADDRESS, BalType.ORG, structure="399900000000018", attributes={"description": "Test"})

    def _with(self, work: Callable[[Storage], Any]) -> Any:
        storage = compose.storage(self.config, clock=lambda: self.now)
        try:
            return work(storage)
        finally:
            storage.close_sync()

    def closing(self) -> None:
        self.config = replace(self.config, accounts=replace(self.config.accounts, inactivity_close=True))

    def look(self, days: float) -> Done:
        self.now = START + days * DAY
        return self._with(lambda storage: asyncio.run(idle.look(storage)))

    def login(self) -> None:
        used = mailbox.update().values(last_login_at=int(self.now))
        self._with(lambda storage: storage.committer.run_sync(lambda unit: unit.connection.execute(used)))

    def state(self) -> BalState:
        return self._with(lambda storage: storage.reading.run_sync(lambda one: register.get(one, ADDRESS))).state

    def letters(self) -> list[bytes]:
        async def bodies(storage: Storage) -> list[bytes]:
            folder = await storage.store.folder(1, "INBOX")
            snapshot = await storage.store.snapshot(1, folder.id)
            return [bytes(one) for one in await storage.store.bodies(1, snapshot.entries)]

        return self._with(lambda storage: asyncio.run(bodies(storage)))

    def told(self) -> list[str]:
        records = self._with(lambda storage: storage.reading.run_sync(lambda one: read(one, mailbox=1)))
        return [one.detail["what"] for one in records if one.kind == "account.mailbox"]


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path)


def test_the_owner_is_told_once_in_french_and_english(life: Life) -> None:
    assert life.look(300) == Done()
    assert life.look(336) == Done(told=1)
    assert life.look(337) == life.look(400) == Done()
    (letter,) = life.letters()
    assert b"Personne ne s=E2=80=99est connect" in letter
    assert b"Nobody has logged in" in letter
    assert b"Auto-Submitted: auto-generated" in letter
    assert life.told() == ["opened", "inactivity notice"]
    assert life.state() is BalState.ACTIVE  # nothing is closed unless the operator wants it


def test_a_login_begins_the_year_anew_and_the_next_silence_is_told_again(life: Life) -> None:
    life.look(340)
    life.now += 3600
    life.login()
    assert life.look(341) == life.look(600) == Done()
    assert life.look(341 + 336) == Done(told=1)
    assert len(life.letters()) == 2


def test_a_mailbox_is_closed_only_when_told_long_enough(life: Life) -> None:
    """A service that was off for a year, or a setting made today: the letter comes first all the same."""
    life.closing()
    assert life.look(500) == Done(told=1)
    assert life.look(529) == Done()
    assert life.state() is BalState.ACTIVE
    assert life.look(530.5) == Done(closed=1)
    assert life.state() is BalState.CLOSED
    assert life.told() == ["opened", "inactivity notice", "close"]
    assert life.look(600) == Done()


def test_mail_that_arrives_is_no_use_of_a_mailbox(life: Life) -> None:
    """MSS-057: its own letters neither."""
    life.closing()
    life.look(336)
    assert life.look(367) == Done(closed=1)
