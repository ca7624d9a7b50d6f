"""One process: configurations are taken up in turn, and it ends within its grace."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway import service, tasks
from gateway.config import load
from gateway.settings import Config
from mailboxes.keys import create_master_key_file
from mailboxes.store import StoreUnavailable
from policies.events import Event
from tests.gateway.test_cli import CONFIG


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    create_master_key_file(tmp_path / "master.key")
    return load(path)


async def test_configurations_are_taken_up_one_after_the_other_and_told_when_the_store_is_back(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two signals at once: the older could come last. A store that was away: the record and half of the work were lost."""
    made, first = service.Service(config, ()), asyncio.Event()
    taken: list[int] = []
    told: list[str] = []
    away = [True, True]

    async def thread(work: object, path: Path) -> int:
        if not taken and not first.is_set():
            first.set()
            await asyncio.sleep(0.05)
            return 1
        return 2

    async def opened() -> None:
        if away and away.pop():
            raise StoreUnavailable("away")

    async def record(event: Event) -> None:
        told.append(str(event.detail["outcome"]))

    monkeypatch.setattr(service.asyncio, "to_thread", thread)
    monkeypatch.setattr(tasks, "STORE_AGAIN", 0.01)
    monkeypatch.setattr(made, "_take_up", lambda number: taken.append(number) or [])
    monkeypatch.setattr(made, "_space", SimpleNamespace(open=opened), raising=False)
    monkeypatch.setattr(made, "_record", record)
    made.reload(Path("config.toml"))
    made.reload(Path("config.toml"))
    await asyncio.wait_for(asyncio.gather(*made._tasks._running), 10)
    assert (taken, told) == ([1, 2], ["done", "done"])


async def test_doors_and_courier_end_within_one_grace(config: Config) -> None:
    """One after the other they took a minute, which is when systemd kills."""
    made = service.Service(config, ("courier",))
    told, ended = [], asyncio.Event()

    async def drain(grace: float) -> None:
        told.append(grace)
        await asyncio.wait_for(ended.wait(), 10)

    async def stop(grace: float) -> None:
        told.append(grace)
        ended.set()

    made._doors = SimpleNamespace(drain=drain)  # type: ignore[assignment]
    made._courier = SimpleNamespace(stop=stop)  # type: ignore[assignment]
    await made.stop(grace=20)
    assert told == [20, 20]


async def test_what_failed_long_ago_does_not_keep_a_service_from_ending_well(config: Config) -> None:
    made = service.Service(config, ())

    async def fails() -> None:
        raise StoreUnavailable("away")

    made._tasks.begin(fails)
    await asyncio.sleep(0.01)
    await made.stop(grace=0)
