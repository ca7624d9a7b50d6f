"""How the service stands, by thresholds of the configuration (MSS-147)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.admin.examination import State
from gateway.compose import Storage, storage
from gateway.config import load
from gateway.directory.feed import Feed, Limits
from gateway.http import health as health_page
from gateway.http.application import assemble
from gateway.monitoring import checks, health
from gateway.monitoring.figures import Figures, Look
from gateway.monitoring.health import Health
from gateway.monitoring.monitoring import Monitoring
from gateway.record.journal import AnchorFile
from gateway.settings import Config
from gateway.trust_space import TrustSpace
from mailboxes.keys import create_master_key_file
from tests.directory.extractions import people, text
from tests.gateway.test_cli import CONFIG


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "config.toml").write_text(CONFIG, "utf-8")
    create_master_key_file(tmp_path / "master.key")
    return load(tmp_path / "config.toml")


@dataclass
class Standing:
    config: Config
    storage: Storage
    health: Health
    pages: httpx.AsyncClient

    async def details(self) -> tuple[int, dict[str, Any]]:
        answer = await self.pages.get("/health/details")
        return answer.status_code, answer.json()


@pytest.fixture
async def standing(config: Config, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Standing]:
    monkeypatch.setattr(health, "FRESH", -1.0)
    opened = storage(config)
    space = TrustSpace(config, opened.committer, opened.clock, lambda: None)
    monitoring = Monitoring(config.service.data / "processes", ["imap"])
    monitoring.sessions = lambda: {"imaps": 0}
    asked = Health(lambda: made.config, space, opened, monitoring, Look(lambda: made.config, space, opened))
    application = assemble([health_page.part(asked, monitoring)])
    pages = httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://here")
    made = Standing(config, opened, asked, pages)
    yield made
    await pages.aclose()
    monitoring.leave()
    await opened.close()


async def test_a_service_that_can_take_mail_says_so(standing: Standing) -> None:
    answer = await standing.pages.get("/health")
    assert (answer.status_code, answer.json()["ready"], answer.json()["doors"]) == (200, True, ["imaps"])
    assert (await standing.pages.get("/health/live")).json() == {"live": True}


async def test_without_room_it_is_not_ready_and_lives(standing: Standing) -> None:
    """F07."""
    standing.config = replace(standing.config, limits=replace(standing.config.limits, free_space=1 << 60))
    answer = await standing.pages.get("/health")
    assert (answer.status_code, answer.json()["why"]) == (503, ["disk.full"])
    assert (await standing.pages.get("/health/live")).status_code == 200
    status, said = await standing.details()
    assert (status, said["status"], said["exit"]) == (503, "fail", 1)


async def test_a_store_that_takes_nothing_is_not_ready(standing: Standing, monkeypatch: pytest.MonkeyPatch) -> None:
    """F12: a writer that hangs."""
    monkeypatch.setattr(health, "PATIENCE", 0.2)
    held, begun = threading.Event(), threading.Event()
    hanging = asyncio.create_task(standing.storage.committer.run(lambda _unit: (begun.set(), held.wait(60))))
    try:
        await asyncio.to_thread(begun.wait, 60)
        answer = await standing.pages.get("/health")
    finally:
        held.set()
        await hanging
    assert (answer.status_code, answer.json()["why"]) == (503, ["store.away"])
    assert (await standing.pages.get("/health")).status_code == 200


async def test_details_hold_every_figure_asked_for(standing: Standing) -> None:
    """The list's age, CRLs', certificates' days, queue, DSN, disk, the directory's extraction, the anchor."""
    AnchorFile(standing.config.journal.anchor).write(0, bytes(32), 0)
    _, said = await standing.details()
    assert {
        "list_age",
        "revocation_left",
        "certificate_left",
        "queue_depth",
        "oldest",
        "failed_last_hour",
        "free",
        "extraction_age",
        "anchor_age",
    } <= said["figures"].keys()
    assert said["figures"]["extraction_age"] is None
    status = {each["name"]: each["status"] for each in said["checks"]}
    assert status["list.missing"] == "fail"  # this one has no source
    assert status["queue.good"] == status["process.good"] == "ok"
    french = (await standing.pages.get("/health/details?lang=fr")).json()
    assert "base ouverte" in " ".join(each["says"] for each in french["checks"])


async def test_a_national_list_too_old_by_its_own_stamp_is_told(standing: Standing, tmp_path: Path) -> None:
    """MSS-127: figure and check are those of the doctor."""
    (tmp_path / "list.txt").write_bytes(text(*people(3)))
    feed = Feed(standing.storage, Limits(), rest=lambda _took: None)
    await asyncio.to_thread(feed.bring, tmp_path / "list.txt", standing.storage.clock() - 40 * 3600)
    _, said = await standing.details()
    assert 39 * 3600 < said["figures"]["extraction_age"] < 41 * 3600
    assert {each["name"]: each["status"] for each in said["checks"]}["directory.old"] == "warn"


@pytest.mark.parametrize(
    ("figures", "name", "state"),
    [
        (Figures(queue={"b.test": 999}), "queue.good", State.GOOD),
        (Figures(queue={"b.test": 999, "c.test": 1}), "queue.long", State.WARN),
        (Figures(queue={"b.test": 10_000}), "queue.long", State.BAD),
        (Figures(queue={"b.test": 1}, oldest=4 * 3600), "queue.old", State.WARN),
        (Figures(queue={"b.test": 1}, oldest=48 * 3600), "queue.old", State.BAD),
        (Figures(anchor_age=299.0), "", State.GOOD),
        (Figures(anchor_age=300.0), "journal.anchor_old", State.WARN),
        (Figures(anchor_age=3600.0), "journal.anchor_old", State.BAD),
    ],
)
def test_thresholds_are_those_of_the_configuration(config: Config, figures: Figures, name: str, state: State) -> None:
    found = {each.name: each.state for each in checks.of(config, figures, [])}
    assert found.get(name, State.GOOD) is state
    assert max(found.values()) is state


@pytest.mark.parametrize(
    ("hours", "state"),
    [
        ([[0, 19, 0]], State.GOOD),  # too few to say anything
        ([[380, 20, 20]], State.WARN),
        ([[381, 20, 20]], State.GOOD),
        ([[60, 10, 0], [0, 10, 0]], State.BAD),  # of all processes together
    ],
)
def test_failures_count_by_their_share(config: Config, hours: list[list[int]], state: State) -> None:
    (found,) = checks.notices(config, [{"hour": each} for each in hours])
    assert found.state is state


def test_a_process_that_fell_silent_is_missed() -> None:
    told = [{"process": "imap-0", "age": 1.0, "doors": {"imaps": 2}}, {"process": "courier-0", "age": 600.0}]
    assert [(each.name, each.state) for each in checks.processes(told)] == [
        ("process.silent", State.BAD),
        ("process.good", State.GOOD),
    ]
