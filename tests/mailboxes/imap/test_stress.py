"""Several mail programs on one folder at random, each holding the server to what it was told.

What they notice is in :mod:`tests.mailboxes.imap.hearing`, :mod:`~tests.mailboxes.imap.players` and
:mod:`~tests.mailboxes.imap.contest`. ``CADUCEE_STRESS_SECONDS`` makes each contest as long as one likes.
"""

from __future__ import annotations

import os
import sys
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


LARGE = {
    "HERE": 0,
    "FREED_AT_ONCE": 2,
    "GATHERED_HERE": 1,
    "MOST_TOLD": 2,
    "CHOSEN_HERE": 0,
    "SORTED_AT_ONCE": 1,
    "PART": 2,
    "SAMPLED": 1,
    "LISTED_HERE": 0,
    "SAID_AT_ONCE": 1,
    "TOLD_AT_ONCE": 1,
    "AT_ONCE": 3,
}
"""The sizes from which on a folder is worked on in portions, or beside the event loop: so small that a few messages have them."""


@pytest.mark.parametrize("seed", [4, 5])
async def test_nor_where_everything_is_done_in_portions(
    running: Running, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """What 100 000 messages take, on as many as a contest has."""
    changed = set()
    for name, module in list(sys.modules.items()):
        if name.startswith(("mailboxes.imap.", "mailboxes.packed")):
            for size in LARGE.keys() & vars(module).keys():
                monkeypatch.setattr(module, size, LARGE[size])
                changed.add(size)
    assert changed == LARGE.keys()
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
