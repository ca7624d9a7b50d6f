"""The shared trust space of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.space import running


@pytest.fixture(scope="session")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[running.Space]:
    """Two operators as real processes for the whole session."""
    started = running.start(tmp_path_factory.mktemp("space"))
    yield started
    assert started.stop() == 0
