"""Fixtures: a house on SQLite in memory, and one on each database that several processes can share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mailboxes.people import House


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
        made = House(request.getfixturevalue("postgres_url"))
    yield made
    made.close()
