"""Messages leave a mailbox that is no archive, after its owner was told in time (MSS-066, TOU-A11, TOU-E05, TOU-F02)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway import compose, message_retention
from gateway.compose import Storage
from gateway.config import load
from gateway.message_retention import Done
from gateway.people import people
from gateway.record.journal import read
from gateway.settings import Config
from gateway.settings.units import DAY
from mailboxes.anatomy import dissect, pack
from mailboxes.keys import create_master_key_file
from mailboxes.register import NewMailbox
from mailboxes.store import NewMessage
from policies.values import BalType
from tests.gateway.test_cli import CONFIG

ADDRESS = "bureau@op.mssante.test"
START = 1_772_442_000.0


class Life:
    """One mailbox over the years; each round is a process of its own."""

    def __init__(self, folder: Path) -> None:
        path = folder / "config.toml"
        path.write_text(CONFIG)
        create_master_key_file(folder / "master.key")
        self.config: Config = load(path)
        self.now = START
        new = NewMailbox(ADDRESS, BalType.ORG, structure="399900000000018", attributes={"description": "Test"})
        self.run(lambda storage: storage.committer.run_sync(lambda unit: people(storage).register.open(unit, new, "x")))
        self.keep(messages=100 * DAY)

    def run(self, work: Callable[[Storage], Any]) -> Any:
        storage = compose.storage(self.config, clock=lambda: self.now)
        try:
            return work(storage)
        finally:
            storage.close_sync()

    def keep(self, **values: Any) -> None:
        self.config = replace(self.config, retention=replace(self.config.retention, **values))

    def look(self, days: float) -> Done:
        self.now = START + days * DAY
        return self.run(lambda storage: asyncio.run(message_retention.look(storage)))

    def arrive(self, subject: str, folder: str = "INBOX") -> None:
        content = f"From: a@b\r\nSubject: {subject}\r\n\r\ntexte\r\n".encode()

        async def place(storage: Storage) -> None:
            if folder not in [one.name for one in await storage.store.folders(1)]:
                await storage.store.create_folder(1, folder)
            await storage.store.append_to(1, folder, [NewMessage(content, pack(dissect(content)))])

        self.run(lambda storage: asyncio.run(place(storage)))

    def subjects(self) -> list[str]:
        async def held(storage: Storage) -> list[bytes]:
            found: list[bytes] = []
            for folder in await storage.store.folders(1):
                snapshot = await storage.store.snapshot(1, folder.id)
                found += [bytes(one) for one in await storage.store.bodies(1, snapshot.entries)]
            return found

        return [str(self.parsed(one)["Subject"]) for one in self.run(lambda storage: asyncio.run(held(storage)))]

    def letter(self) -> str:
        async def newest(storage: Storage) -> bytes:
            folder = await storage.store.folder(1, "INBOX")
            snapshot = await storage.store.snapshot(1, folder.id)
            return bytes((await storage.store.bodies(1, snapshot.entries))[-1])

        return str(self.parsed(self.run(lambda storage: asyncio.run(newest(storage)))).get_content())

    @staticmethod
    def parsed(content: bytes) -> Any:
        return message_from_bytes(content, policy=default)

    def records(self) -> list[Any]:
        return self.run(lambda storage: storage.reading.run_sync(lambda one: read(one, mailbox=1)))


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path)


LETTER = "Messages qui vont être effacés / Messages to be erased"


def test_nothing_leaves_unless_the_operator_wants_it(life: Life) -> None:
    life.keep(messages=0.0)
    life.arrive("vieux")
    assert life.look(5000) == Done()
    assert life.subjects() == ["vieux"]


def test_the_owner_is_told_what_will_go_and_then_exactly_that_goes(life: Life) -> None:
    life.arrive("sujet-7781")
    life.arrive("deux", "Dupont")
    assert life.look(69) == Done()
    life.now = START + 70 * DAY
    life.arrive("jeune")
    with capture_logs() as logs:
        assert life.look(71) == Done(told=1)
    letter = life.letter()
    assert "- INBOX : 1" in letter
    assert "- Dupont: 1" in letter
    assert "100 jours" in letter
    assert "sujet-7781" not in letter + str(logs)
    assert "Dupont" not in str(logs) + str([one.detail for one in life.records()])
    assert life.look(72) == life.look(100.5) == Done()
    assert life.look(101.5) == Done(erased=2)
    assert life.subjects() == ["jeune", LETTER]
    erased = [one.detail for one in life.records() if one.kind == "mailbox.erased"]
    assert [(one["command"], one["count"]) for one in erased] == [("RETENTION", 1), ("RETENTION", 1)]


def test_what_was_not_told_stays_and_is_told_next(life: Life) -> None:
    """A message that grew old since the letter waits for a letter of its own."""
    life.arrive("un")
    life.now = START + 10 * DAY
    life.arrive("deux")
    assert life.look(71) == Done(told=1)
    assert life.look(500) == Done(erased=1)  # the service was off for a year
    assert life.subjects() == ["deux", LETTER]
    assert life.look(501) == Done(told=1)
    assert life.look(530) == Done()
    assert life.look(531.5).erased == 2


def test_a_longer_duration_since_saves_what_was_told(life: Life) -> None:
    life.arrive("un")
    assert life.look(80) == Done(told=1)
    life.keep(messages=1000 * DAY)
    assert life.look(120) == Done(erased=0)
    assert life.subjects() == ["un", LETTER]


def test_a_mailbox_without_room_for_the_letter_loses_nothing(life: Life) -> None:
    life.arrive("un")
    life.run(lambda storage: storage.committer.run_sync(
        lambda unit: people(storage).register.set_quota(unit, ADDRESS, 10, "x")
    ))  # fmt: skip
    assert life.look(200) == life.look(400) == Done()
    assert life.subjects() == ["un"]


def test_other_domains_are_left_alone(life: Life) -> None:
    life.keep(domains=("autre.mssante.test",))
    life.arrive("un")
    assert life.look(500) == Done()
