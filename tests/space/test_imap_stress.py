"""Mail programs at random against a whole operator: one process, then two processes that share its ports and its store.

``CADUCEE_STRESS_SECONDS`` makes each contest as long as one likes; what the programs notice is in
:mod:`tests.mailboxes.imap.hearing`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.mailboxes.imap.contest import contest
from tests.mailboxes.imap.hearing import Account
from tests.space import running

SECONDS = float(os.environ.get("CADUCEE_STRESS_SECONDS", "6"))

pytestmark = pytest.mark.slow


def account(space: running.Space) -> Account:
    where, box = space.a["imaps"], space.box(space.a)
    return Account(where["host"], where["port"], space.tls(), box["login"], box["device_password"])


async def test_one_process_is_never_caught_lying(space: running.Space) -> None:
    world = await contest([account(space)] * 6, SECONDS, 11)
    assert world.steps > 50


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[running.Space]:
    started = running.start(tmp_path_factory.mktemp("pair"), "--set", "service.workers=2")
    yield started
    assert started.stop() == 0


async def test_nor_are_two_processes(pair: running.Space) -> None:
    world = await contest([account(pair)] * 6, SECONDS, 12, processes=2)
    assert world.steps > 50
