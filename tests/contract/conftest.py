"""The databases every store contract is held on: SQLite in a file, SQLite in memory, PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailboxes.sqlstore import SqlStore
from tests import stores


@pytest.fixture(params=["file", "memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return f"sqlite:///{tmp_path}/caducee.db"
    if request.param == "memory":
        return "sqlite://"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture(params=["file", pytest.param("postgres", marks=pytest.mark.postgres)])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Databases that several processes can open."""
    if request.param == "file":
        return f"sqlite:///{tmp_path}/caducee.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    """A store with the mailboxes 1 and 2, without quota."""
    async with stores.opened(database_url) as made:
        await made.committer.run(lambda unit: made.provision(unit, 1, 0))
        await made.committer.run(lambda unit: made.provision(unit, 2, 0))
        yield made
