"""Fixtures of the relay: a house on SQLite, and the same on PostgreSQL where state matters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.relay.house import House, close_house, open_house


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/relay.db"
    return str(request.getfixturevalue("postgres_url"))


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
