"""Fixtures of the IMAP tests: a certificate authority for the session, a server per test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.mailboxes.imap.harness import Pki, Running, make_pki, serving


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
async def running(tmp_path: Path, pki: Pki) -> AsyncIterator[Running]:
    async with serving(tmp_path, pki) as one:
        yield one
