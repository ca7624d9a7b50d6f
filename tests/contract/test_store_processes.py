"""The store in several real processes: they hear of each other, they die, the server under them dies."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mailboxes import fsck
from mailboxes.blobs import FileBlobs
from tests import postgres, stores
from tests.mailboxes import store_writer

pytestmark = [pytest.mark.fault, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
FAR = 4_000_000_000.0


def writer(directory: Path, url: str, first: int, count: int) -> subprocess.Popen[str]:
    command = [os.path.realpath(sys.executable), "-m", "tests.mailboxes.store_writer"]
    paths = [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
    return subprocess.Popen(
        [*command, str(directory), str(first), str(count), url],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        text=True,
    )


def ledger(output: str) -> list[int]:
    return [int(number) for number in re.findall(r"^OK (\d+)", output, re.MULTILINE)]


async def provide(url: str) -> None:
    async with stores.opened(url) as store:
        await store.committer.run(lambda unit: store.provision(unit, 1, 0))


async def verify(directory: Path, url: str, kept: list[int], tried: int) -> None:
    with ThreadPoolExecutor(1) as pool:
        async with stores.opened(url, blobs=FileBlobs(directory / "blobs", pool)) as store:
            entries = (await store.snapshot(1, 1)).entries
            assert len({entry.uid for entry in entries}) == len(entries)
            found = Counter(await store.bodies(1, entries))
            for number in range(tried):
                copies = found.pop(store_writer.content(number), 0)
                assert copies == 1 if number in kept else copies <= 1, number
            assert not found
            report = await fsck.check(store, now=FAR, sample=None)
            assert (report.lost, report.drifts, report.wrong_refs) == (0, [], [])


def lines(child: subprocess.Popen[str], count: int) -> list[int]:
    assert child.stdout is not None
    return [number for _ in range(count) for number in ledger(child.stdout.readline())]


async def test_a_session_hears_what_another_process_delivers(shared_url: str, tmp_path: Path) -> None:
    await provide(shared_url)
    async with stores.opened(shared_url) as store:
        heard = asyncio.Event()
        store.notices.watch(1, lambda folder_id: heard.set() if folder_id == 1 else None)
        with writer(tmp_path, shared_url, 0, 1) as child:
            await asyncio.wait_for(heard.wait(), 20)
            assert child.wait(20) == 0
        assert [entry.uid for entry in (await store.changes(1, 1, 1)).changed] == [1]


async def test_three_writers_killed_one_after_the_other(shared_url: str, tmp_path: Path) -> None:
    await provide(shared_url)
    kept: list[int] = []
    children = [writer(tmp_path, shared_url, turn * 60, 60) for turn in range(3)]
    for turn, child in enumerate(children):
        kept += await asyncio.to_thread(lines, child, 4 + 3 * turn)
        child.kill()
        assert child.stdout is not None
        kept += ledger(child.stdout.read())
        child.stdout.close()
        child.wait(20)
    assert len(kept) >= 15
    await verify(tmp_path, shared_url, kept, tried=180)


@pytest.mark.postgres
async def test_the_server_crashes_under_two_writers(postgres_server: postgres.Server, tmp_path: Path) -> None:
    url = postgres_server.url()
    await provide(url)
    children = [writer(tmp_path, url, turn * 400, 400) for turn in range(2)]
    kept = [number for child in children for number in await asyncio.to_thread(lines, child, 10)]
    await asyncio.to_thread(postgres_server.stop, "immediate")  # no checkpoint: it recovers from its log
    await asyncio.to_thread(postgres_server.start)
    for child in children:
        assert child.stdout is not None
        kept += ledger(await asyncio.to_thread(child.stdout.read))
        child.stdout.close()
        assert await asyncio.to_thread(child.wait, 60) == 0  # the writers went on when the server was back
    assert {399, 799} <= set(kept)
    await verify(tmp_path, url, kept, tried=800)
