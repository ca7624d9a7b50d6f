"""Several mail programs on one folder at random, each holding the server to what it was told.

What they notice is in :mod:`tests.mailboxes.imap.hearing`, :mod:`~tests.mailboxes.imap.players` and
:mod:`~tests.mailboxes.imap.contest`. ``CADUCEE_STRESS_SECONDS`` makes each contest as long as one likes.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailboxes.blobs import MemoryBlobs
from tests.mailboxes.imap.contest import contest
from tests.mailboxes.imap.harness import Pki, Running, serving
from tests.mailboxes.imap.hearing import Account

USER = "u1@op-a.mssante.test"
SECONDS = float(os.environ.get("CADUCEE_STRESS_SECONDS", "4"))

pytestmark = pytest.mark.slow


def account(running: Running) -> Account:
    return Account("127.0.0.1", running.imaps, running.pki.client, USER, "secret")


@pytest.mark.parametrize("seed", [1, 2])
async def test_random_programs_are_never_lied_to(running: Running, seed: int) -> None:
    world = await contest([account(running)] * 5, SECONDS, seed, every=2.0)
    assert world.steps > 50


async def test_nor_by_two_processes(tmp_path: Path, pki: Pki) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    blobs = MemoryBlobs()
    async with (
        serving(tmp_path, pki, url=url, shared=blobs) as first,
        serving(tmp_path, pki, url=url, shared=blobs, provisioned=True) as second,
    ):
        world = await contest([account(first), account(second)] * 2, SECONDS, 3, every=2.0, processes=2)
        assert world.steps > 50
