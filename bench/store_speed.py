"""How fast the store is by itself: `.venv/bin/python bench/store_speed.py [--dir DIR] [--messages N] [--url URL]`.

Prints one line per measure. "busy" repeats a measure while the event loop computes all the time, as a loaded server does:
threads then fight for the interpreter, and what counts is how often they let go of it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mailboxes.blobs import FileBlobs
from mailboxes.commit import Committer, NoJournal, Reading
from mailboxes.engine import open_database
from mailboxes.keys import Keyring, LocalMasterKey
from mailboxes.notices import open_notices
from mailboxes.provision import next_instance
from mailboxes.seal import BodyIds, Sealer
from mailboxes.sqlstore import SqlStore
from mailboxes.store import Delivery, FlagChange, NewMessage

SUMMARY = os.urandom(600)


def report(name: str, seconds: float, count: int = 0) -> None:
    rate = f"{count / seconds:10.0f}/s" if count else ""
    print(f"{name:55s} {seconds * 1000:9.1f} ms {rate}", flush=True)


async def build(url: str, directory: Path, pool: ThreadPoolExecutor) -> SqlStore:
    database = open_database(url)
    database.create_tables()
    committer = Committer(database, journal=NoJournal(), clock=time.time)
    keyring = Keyring(LocalMasterKey(b"k" * 32), time.monotonic)

    def start(unit):
        keyring.open(unit.connection, unit.now)
        return next_instance(unit.cursor)

    instance = await committer.run(start)
    notices = open_notices(database, instance)
    committer.announcer = notices
    notices.start()
    blobs = FileBlobs(directory / "blobs", pool)
    sealer = Sealer(keyring, blobs, BodyIds(instance), pool)
    return SqlStore(committer, Reading(database), keyring, blobs, sealer, notices, pool)


async def close(store: SqlStore) -> None:
    await store.notices.close()
    await store.committer.close()
    await store.settle()
    await store.reading.close()


async def spin(slice_seconds: float) -> None:
    """A loop that always has something to do: computes ``slice_seconds`` per turn, like a protocol server."""
    while True:
        until = time.perf_counter() + slice_seconds
        while time.perf_counter() < until:
            sum(range(100))
        await asyncio.sleep(0)


async def busy(name: str, work, count: int = 0) -> None:
    task = asyncio.create_task(spin(0.0003))
    start = time.perf_counter()
    await work()
    report(name + ", busy", time.perf_counter() - start, count)
    task.cancel()


async def best(name: str, work, count: int = 0, times: int = 3) -> None:
    seconds = []
    for _ in range(times):
        gc.collect()
        start = time.perf_counter()
        await work()
        seconds.append(time.perf_counter() - start)
    report(name, min(seconds), count)


async def writing(store: SqlStore, messages: int) -> None:
    body = os.urandom(3072)

    async def appends(count: int, clients: int) -> None:
        async def client(number: int) -> None:
            for _ in range(count // clients):
                await store.append(1, 1, [NewMessage(body, SUMMARY)])

        await asyncio.gather(*(client(number) for number in range(clients)))

    async def deliveries(count: int, clients: int, size: int) -> None:
        content = os.urandom(size)

        def accept(unit, items):
            store.put_body(unit, [sealed for sealed, _ in items])
            return store.deliver(unit, [delivery for _, delivery in items])

        async def client(number: int) -> None:
            for _ in range(count // clients):
                sealed = await store.sealer.seal(content, SUMMARY)
                await store.committer.grouped(accept, (sealed, Delivery(sealed, 2 + number % 20, 0)))

        await asyncio.gather(*(client(number) for number in range(clients)))

    async def sealing() -> None:
        for _ in range(2000):
            await store.sealer.seal(body, SUMMARY)

    await best("seal 3 KiB, x 2 000, on the event loop", sealing, 2000)
    start = time.perf_counter()
    await appends(500, 1)
    report("append 3 KiB, one client", time.perf_counter() - start, 500)
    await best("accept 2 KiB, 10 connections, 20 mailboxes", lambda: deliveries(2000, 10, 2048), 2000)
    await busy("accept 2 KiB, 10 connections, 20 mailboxes", lambda: deliveries(500, 10, 2048), 500)
    await best("accept 50 KiB, 10 connections", lambda: deliveries(1000, 10, 50 * 1024), 1000)
    await best("accept 1 MiB, 10 connections", lambda: deliveries(100, 10, 1 << 20), 100, times=2)
    await best("accept 10 MiB, 4 connections", lambda: deliveries(12, 4, 10 << 20), 12, times=1)
    have = (await store.folder(1, "INBOX")).messages
    await appends(messages - have, 32)


async def reading(store: SqlStore) -> None:
    snapshot = await store.snapshot(1, 1)
    entries = snapshot.entries
    count = len(entries)
    tail = snapshot.folder.highestmodseq - 1

    async def singles(work, number: int) -> None:
        async def client(offset: int) -> None:
            for step in range(number // 20):
                await work(entries[(offset * 37 + step * 101) % count])

        await asyncio.gather(*(client(offset) for offset in range(20)))

    await best(f"snapshot of {count}", lambda: store.snapshot(1, 1))
    await best(f"summaries of {count}", lambda: store.summaries(1, entries))
    await best(f"bodies of {count}", lambda: store.bodies(1, entries))
    await best("changes since the last one", lambda: store.changes(1, 1, tail))
    await best("one summary, 20 at once", lambda: singles(lambda one: store.summaries(1, [one]), 4000), 4000)
    await best("one body, 20 at once", lambda: singles(lambda one: store.bodies(1, [one]), 4000), 4000)
    await busy(f"snapshot of {count}", lambda: store.snapshot(1, 1))
    await busy(f"summaries of {count}", lambda: store.summaries(1, entries))
    await busy(f"bodies of {count}", lambda: store.bodies(1, entries))
    uids = [entry.uid for entry in entries]
    flag = FlagChange("add", frozenset({"\\Flagged"}))
    await best(f"store a flag on {count}", lambda: store.store_flags(1, 1, uids, flag), times=1)
    await best(f"copy {count}", lambda: store.copy(1, 1, uids, 2), times=1)
    large = os.urandom(10 << 20)
    await store.append(1, 3, [NewMessage(large, SUMMARY)])
    [entry] = (await store.snapshot(1, 3)).entries

    async def whole() -> None:
        reader = await store.open_body(1, entry)
        assert len(await reader.read(0, reader.size)) == len(large)

    await best("one body of 10 MiB", whole)


async def cold(url: str, directory: Path) -> None:
    """In a fresh process, with the page cache dropped where we may."""
    with ThreadPoolExecutor(4) as pool:
        store = await build(url, directory, pool)
        start = time.perf_counter()
        entries = (await store.snapshot(1, 1)).entries
        report(f"snapshot of {len(entries)}, cold", time.perf_counter() - start)
        start = time.perf_counter()
        await store.summaries(1, entries)
        report(f"summaries of {len(entries)}, cold", time.perf_counter() - start)
        start = time.perf_counter()
        await store.bodies(1, entries)
        report(f"bodies of {len(entries)}, cold", time.perf_counter() - start)
        await close(store)


async def main(url: str, directory: Path, messages: int) -> None:
    with ThreadPoolExecutor(4) as pool:
        store = await build(url, directory, pool)
        for mailbox_id in range(1, 23):
            await store.committer.run(lambda unit, mailbox_id=mailbox_id: store.provision(unit, mailbox_id, 0))
        await writing(store, messages)
        await reading(store)
        await close(store)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--url", default="")
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--switch", type=float, default=0.0, help="sys.setswitchinterval, seconds")
    chosen = parser.parse_args()
    if chosen.switch:
        sys.setswitchinterval(chosen.switch)
    with tempfile.TemporaryDirectory() as temporary:
        place = chosen.dir or Path(temporary)
        where = chosen.url or f"sqlite:///{place}/bench.db"
        if chosen.cold:
            asyncio.run(cold(where, place))
        else:
            asyncio.run(main(where, place, chosen.messages))
            os.sync()
            try:
                Path("/proc/sys/vm/drop_caches").write_text("1", encoding="utf-8")
            except OSError:
                print("(the page cache cannot be dropped here: cold means a fresh process)")
            subprocess.run([sys.executable, __file__, "--cold", "--dir", str(place), "--url", where], check=True)
