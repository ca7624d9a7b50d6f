"""Fixtures of the relay: a house on SQLite, and the same on PostgreSQL where state matters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.gateway.relay.house import House, close_house, open_house


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    with postgres.running() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/relay.db"
    server: postgres.Server = request.getfixturevalue("postgres_server")
    return server.url()


@pytest.fixture
async def house(url: str) -> AsyncIterator[House]:
    """On both databases."""
    made = open_house(url)
    yield made
    await close_house(made)


@pytest.fixture
async def lite(tmp_path: Path) -> AsyncIterator[House]:
    """On SQLite only."""
    made = open_house(f"sqlite:///{tmp_path}/relay.db")
    yield made
    await close_house(made)
