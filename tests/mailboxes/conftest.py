"""Fixtures: a house on SQLite in memory, and one on each database that several processes can share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.mailboxes.people import House


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    with postgres.running() as server:
        yield server


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.close()


@pytest.fixture(params=["file", pytest.param("postgres", marks=pytest.mark.postgres)])
def shared_house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    if request.param == "file":
        made = House(f"sqlite:///{tmp_path}/caducee.db")
    else:
        server: postgres.Server = request.getfixturevalue("postgres_server")
        made = House(server.url())
    yield made
    made.close()
