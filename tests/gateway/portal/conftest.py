"""One house and one portal for all tests of a process: each brings its own people."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.portal.serving import House, serving


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with serving(tmp_path_factory.mktemp("portal")) as house:
        yield house


@pytest.fixture
def house(served: House) -> Iterator[House]:
    """As the last test left its people, but with the settings and the pace of the first."""
    served.clock.pass_(3600)
    before = served.config
    yield served
    served.config = before
