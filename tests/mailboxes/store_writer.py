"""A process that appends numbered messages and says which are durable: the subject of the fault tests.

``python -m tests.mailboxes.store_writer DIRECTORY START COUNT [URL]`` prints ``OK n`` after append number n returned, ``NO n``
after it was refused. Small and large messages alternate, so that rows and blobs are both written.
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mailboxes.blobs import FileBlobs
from mailboxes.sqlstore import SqlStore
from mailboxes.store import NewMessage, StoreError
from tests import stores

CANARY = b"CANARY-the-patient-is-called-Testeur"
LARGE = 300_000


def content(number: int) -> bytes:
    filler = CANARY * (LARGE // len(CANARY)) if number % 3 == 2 else CANARY
    return b"message %d\r\n" % number + filler


def url(directory: Path) -> str:
    return f"sqlite:///{directory}/caducee.db"


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def write(store: SqlStore, first: int, count: int) -> None:
    for number in range(first, first + count):
        try:
            await store.append(1, 1, [NewMessage(content(number), b"summary " + CANARY)])
        except StoreError as error:
            say(f"NO {number} {type(error).__name__}")
            await asyncio.sleep(0.1)
        else:
            say(f"OK {number}")


async def main(directory: Path, first: int, count: int, database: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        blobs = FileBlobs(directory / "blobs", pool)
        async with stores.opened(database, blobs=blobs) as store:
            await write(store, first, count)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    asyncio.run(main(place, int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else url(place)))
