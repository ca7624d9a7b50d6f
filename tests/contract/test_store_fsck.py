"""fsck finds each kind of damage, repairs what loses nothing, and leaves a healthy store alone (F13, F14, F36)."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from mailboxes import entry_rows, fsck, upkeep
from mailboxes.blobs import FileBlobs
from mailboxes.fsck import Report
from mailboxes.sqlstore import SqlStore
from mailboxes.store import Corrupted, Delivery, FlagChange, MissingBody, NewMessage
from policies.events import Kind
from tests import stores

NOW = 4_000_000_000.0  # far ahead of the files' dates: no blob is young
LARGE = os.urandom(300_000)


@pytest.fixture
async def journal() -> stores.Recorder:
    return stores.Recorder()


@pytest.fixture
async def store(database_url: str, tmp_path: Path, journal: stores.Recorder) -> AsyncIterator[SqlStore]:
    """A mailbox with two small messages (one of them copied), two large ones, and a message in the queue."""
    with ThreadPoolExecutor(2) as pool:
        blobs = FileBlobs(tmp_path / "blobs", pool)
        async with stores.opened(database_url, blobs=blobs, journal=journal) as made:
            await made.committer.run(lambda unit: made.provision(unit, 1, 0))
            contents = [b"small one", b"small two", LARGE, LARGE[::-1]]
            await made.append(1, 1, [NewMessage(content, b"summary") for content in contents])
            await made.copy(1, 1, [1], 2)
            queued = await made.sealer.seal(b"queued", b"summary")

            def enqueue(unit):
                made.put_body(unit, [queued])
                made.hold_body(unit, queued)

            await made.committer.run(enqueue)
            made.held = {queued.body_id: 1}  # type: ignore[attr-defined]
            yield made


async def check(store: Any, **options: Any) -> Report:
    return await fsck.check(store, now=NOW, holders=[lambda connection: store.held], sample=None, **options)


async def repair(store: Any, report: Report) -> fsck.Repaired:
    return await fsck.repair(store, report, holders=[lambda connection: store.held])


async def alter(store: SqlStore, statement: str, **values: Any) -> None:
    await store.committer.run(lambda unit: unit.connection.execute(text(statement), values) and None)


async def entries(store: SqlStore):
    return (await store.snapshot(1, 1)).entries


def files(tmp_path: Path) -> list[Path]:
    return sorted(path for path in (tmp_path / "blobs").rglob("*") if path.is_file())


async def test_a_healthy_store_is_left_alone(store: SqlStore) -> None:
    report = await check(store)
    assert report.healthy
    assert report.read == 5
    assert await repair(store, report) == fsck.Repaired(0, 0, 0)


async def test_a_large_store_is_walked_through_in_parts_and_without_haste(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It held half a KiB for each message, and gave up after the patience of a session."""
    held: list[int] = []
    read_after = entry_rows.read_after

    def counted(cursor: Any, mailbox_id: int, folder_id: int, uid: int, most: int) -> list[Any]:
        time.sleep(0.02)
        found = read_after(cursor, mailbox_id, folder_id, uid, most)
        held.append(len(found))
        return found

    await store.append(1, 1, [NewMessage(b"x" * size, b"s") for size in (1, 2, 3, 200_000, 200_001)])
    everything = await check(store)
    monkeypatch.setattr(fsck, "AT_ONCE", 2)
    monkeypatch.setattr(entry_rows, "read_after", counted)
    monkeypatch.setattr(store.reading, "_patience", 0.01)
    report = await fsck.check(store, now=NOW, holders=[lambda connection: store.held], sample=0)  # type: ignore[attr-defined]
    assert report.healthy
    assert max(held) == 2
    assert sum(held) == everything.read


async def test_a_sample_is_as_large_as_asked(store: SqlStore) -> None:
    report = await fsck.check(store, now=NOW, holders=[lambda connection: store.held], sample=2)
    assert (report.read, report.healthy) == (2, True)
    report = await fsck.check(store, now=NOW, holders=[lambda connection: store.held], sample=0)
    assert (report.read, report.healthy) == (0, True)


async def test_a_blob_without_a_row_is_collected_once_it_is_old(store: SqlStore, tmp_path: Path) -> None:
    sealed = await store.sealer.seal(LARGE, b"never committed")
    young = await fsck.check(store, now=os.stat(files(tmp_path)[0]).st_mtime, holders=[lambda _: store.held])
    assert young.orphan_blobs == []
    report = await check(store)
    assert report.orphan_blobs == [sealed.blob]
    assert not report.healthy
    assert report.lost == 0
    assert (await repair(store, report)).blobs == 1
    assert (await check(store)).healthy
    assert len(files(tmp_path)) == 2


async def test_the_daily_sweep_deletes_only_what_is_old_and_unneeded(store: Any, tmp_path: Path) -> None:
    sealed = await store.sealer.seal(LARGE, b"never committed")
    [path] = [path for path in files(tmp_path) if path.name == sealed.blob]
    half = store.blobs._path("0123.part")
    half.parent.mkdir(exist_ok=True)
    half.write_bytes(b"half")
    assert await fsck.sweep(store, now=path.stat().st_mtime) == 0
    assert await fsck.sweep(store, now=NOW) == 2
    assert len(files(tmp_path)) == 2
    assert (await check(store)).healthy


async def test_the_daily_sweep_holds_a_part_of_the_names_and_reads_their_rows_only(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A serving process does it: with millions of large messages it must hold neither all names nor all rows."""
    insert = text("INSERT INTO body (body_id, refs, size, sha256, blob) VALUES (:id, 1, 1, :digest, :blob)")
    rows = [{"id": number, "digest": b"x", "blob": f"{number:016x}"} for number in range(1, 3000)]
    await store.committer.run(lambda unit: unit.connection.execute(insert, rows) and None)
    asked: list[tuple[int, int]] = []
    find = fsck._without_row

    def counted(connection: Connection, references: Sequence[str]) -> list[str]:
        gone: list[str] = []
        cost = stores.effort(connection, lambda: gone.extend(find(connection, references)))
        asked.append((len(references), cost))
        return gone

    monkeypatch.setattr(fsck, "_without_row", counted)
    monkeypatch.setattr(fsck, "SWEPT", 2)
    await store.sealer.seal(LARGE, b"never committed")
    assert await fsck.sweep(store, now=NOW) == 1
    assert [count for count, _ in asked] == [2, 1]
    assert max(cost for _, cost in asked) < 20
    assert len(files(tmp_path)) == 2


async def test_a_blob_whose_row_came_meanwhile_is_kept(store: SqlStore) -> None:
    sealed = await store.sealer.seal(LARGE, b"late")
    report = await check(store)
    assert report.orphan_blobs == [sealed.blob]

    def accept(unit):
        store.put_body(unit, [sealed])
        return store.deliver(unit, [Delivery(sealed, 1, 0)])

    await store.committer.run(accept)
    assert (await repair(store, report)).blobs == 0
    assert (await check(store)).healthy


async def test_a_missing_blob_is_an_error_and_never_an_empty_body(
    store: SqlStore, tmp_path: Path, journal: stores.Recorder
) -> None:
    entry = (await entries(store))[2]
    [path] = [path for path in files(tmp_path) if path.name == f"{entry.body_id:016x}"]
    path.unlink()
    report = await check(store)
    assert report.missing_blobs == [entry.body_id]
    assert [one.why for one in report.damaged] == ["missing"]
    assert report.repairable == 0
    with pytest.raises(MissingBody):
        await store.bodies(1, [entry])
    assert journal.events[-1].kind is Kind.STORE_FAULT
    assert journal.events[-1].detail == {"what": "missing", "reference": f"{entry.body_id:x}"}
    reader = await store.open_body(1, entry)
    with pytest.raises(MissingBody):
        await reader.read(0, 10)


async def test_a_body_erased_while_it_was_read_is_missing_without_fault(
    store: SqlStore, journal: stores.Recorder
) -> None:
    small, _, large, _ = await entries(store)
    reader = await store.open_body(1, large)
    await store.store_flags(1, 1, [1, 3], FlagChange("add", frozenset(("\\Deleted",))))
    await store.expunge(1, 1, None)
    await store.settle()
    before = len(journal.events)
    with pytest.raises(MissingBody):
        await store.bodies(1, [large])
    with pytest.raises(MissingBody):
        await reader.read(0, 10)
    assert await store.bodies(1, [small]) == [b"small one"]  # its copy in another folder holds it
    assert len(journal.events) == before


async def test_the_faults_remembered_are_bounded(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailboxes.retrieving.FAULTS_KEPT", 2)
    seen = [store._new_fault("missing", reference) for reference in ("a", "a", "b", "c", "c")]
    assert seen == [True, False, True, True, False]


async def test_a_flipped_bit_is_never_served(store: SqlStore, tmp_path: Path, journal: stores.Recorder) -> None:
    entry = (await entries(store))[2]
    [path] = [path for path in files(tmp_path) if path.name == f"{entry.body_id:016x}"]
    data = bytearray(path.read_bytes())
    data[280_000] ^= 4
    path.write_bytes(data)
    before = len(journal.events)
    report = await check(store)
    assert [(one.uid, one.why) for one in report.damaged] == [(3, "corrupted")]
    reader = await store.open_body(1, entry)
    assert await reader.read(0, 100) == LARGE[:100]
    with pytest.raises(Corrupted):
        await reader.read(270_000, 100)
    with pytest.raises(Corrupted):
        await store.bodies(1, [entry])
    # Recorded once, however often a mail program insists.
    [fault] = journal.events[before:]
    assert fault.kind is Kind.STORE_FAULT
    assert fault.detail == {"what": "corrupted", "reference": f"{entry.body_id:x}"}


async def test_two_swapped_blobs_are_noticed(store: SqlStore, tmp_path: Path) -> None:
    one, two = files(tmp_path)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    assert [one.why for one in (await check(store)).damaged] == ["corrupted", "corrupted"]


async def test_swapped_rows_and_swapped_keys_are_noticed(store: SqlStore) -> None:
    one, two = (await entries(store))[:2]
    await alter(store, "UPDATE entry SET key = :key WHERE uid = 1 AND folder_id = 1", key=two.key)
    with pytest.raises(Corrupted):
        await store.bodies(1, [(await entries(store))[0]])
    with pytest.raises(Corrupted):
        await store.summaries(1, [(await entries(store))[0]])
    await alter(store, "UPDATE entry SET key = :key WHERE uid = 1 AND folder_id = 1", key=one.key)
    await alter(
        store,
        "UPDATE content SET data = (SELECT data FROM content WHERE body_id = :two) WHERE body_id = :one",
        one=one.body_id,
        two=two.body_id,
    )
    assert {one.why for one in (await check(store)).damaged} == {"corrupted"}


@pytest.mark.parametrize("table", ["content", "summary"])
async def test_a_row_that_is_gone_is_said_missing(store: SqlStore, table: str) -> None:
    entry = (await entries(store))[1]
    await alter(store, f"DELETE FROM {table} WHERE body_id = :body", body=entry.body_id)
    report = await check(store)
    assert report.missing_rows == [entry.body_id]
    with pytest.raises(MissingBody):
        await (store.bodies if table == "content" else store.summaries)(1, [entry])


async def test_an_entry_without_a_body_is_said_lost(store: SqlStore) -> None:
    entry = (await entries(store))[1]
    await alter(store, "DELETE FROM body WHERE body_id = :body", body=entry.body_id)
    assert (await check(store)).lost_entries == [(1, 1, 2)]


async def test_a_message_that_is_not_what_was_accepted_is_noticed(store: SqlStore) -> None:
    entry = (await entries(store))[1]
    await alter(store, "UPDATE body SET sha256 = :digest WHERE body_id = :body", body=entry.body_id, digest=b"0" * 32)
    assert [(one.uid, one.why) for one in (await check(store)).damaged] == [(2, "digest")]


@pytest.mark.parametrize("refs", [0, 1, 7])
async def test_wrong_reference_counts_are_corrected(store: SqlStore, refs: int) -> None:
    entry = (await entries(store))[0]
    await alter(store, "UPDATE body SET refs = :refs WHERE body_id = :body", body=entry.body_id, refs=refs)
    report = await check(store)
    assert report.wrong_refs == [(entry.body_id, refs, 2)]
    assert (await repair(store, report)).bodies == 1
    assert (await check(store)).healthy
    assert await store.bodies(1, [entry]) == [b"small one"]


async def test_a_body_nobody_needs_is_removed(store: SqlStore, tmp_path: Path) -> None:
    await alter(store, "DELETE FROM entry WHERE uid = 3")
    await alter(store, "UPDATE folder SET messages = 3, unseen = 3, bytes = bytes - 300000 WHERE id = 1")
    report = await check(store)
    assert len(report.wrong_refs) == 1
    await repair(store, report)
    await store.settle()
    assert (await check(store)).healthy
    assert len(files(tmp_path)) == 1


async def test_counters_that_drifted_are_counted_again(store: SqlStore) -> None:
    before = await store.folder(1, "INBOX")
    await alter(store, "UPDATE folder SET messages = 9, unseen = 0, bytes = 1, uidnext = 2, modseq = 1 WHERE id = 1")
    report = await check(store)
    assert len(report.drifts) == 1
    assert (await repair(store, report)).folders == 1
    assert await store.folder(1, "INBOX") == before
    assert (await check(store)).healthy


async def test_a_closed_mailbox_is_not_a_fault(store: SqlStore) -> None:
    await store.committer.run(lambda unit: store.destroy_key(unit, 1))
    report = await check(store)
    assert report.healthy
    assert (report.without_key, report.read) == (5, 0)


async def test_a_keyword_that_does_not_open_is_told_and_the_message_is_none_the_worse(store: SqlStore) -> None:
    await store.store_flags(1, 1, [1, 2], FlagChange("add", frozenset({"Dupont_Jean"})))
    assert (await check(store)).healthy
    await alter(store, "UPDATE entry SET flags = '\\Seen %AAAA', modseq = modseq WHERE uid = 2 AND folder_id = 1")
    await alter(store, "UPDATE folder SET unseen = unseen - 1 WHERE id = 1")
    report = await check(store)
    assert (report.lost_keywords, report.lost, report.damaged) == ([(1, 1, 2)], 1, [])
    await store.committer.run(lambda unit: store.destroy_key(unit, 1))
    assert (await check(store)).healthy  # there nothing opens


# after a restore


async def play_back(store: SqlStore) -> Callable[[], Any]:
    """Remember the tables that change with a message, as a backup does; the result puts them back."""
    tables = ("folder", "entry", "expunged", "body", "content", "summary")

    def read(connection):
        return {
            table: [dict(row) for row in connection.execute(text(f"SELECT * FROM {table}")).mappings()]
            for table in tables
        }

    kept = await store.reading.run(read)

    def write(unit):
        for table, rows in kept.items():
            unit.connection.execute(text(f"DELETE FROM {table}"))
            for row in rows:
                names = ", ".join(row)
                marks = ", ".join(f":{name}" for name in row)
                unit.connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({marks})"), row)

    return lambda: store.committer.run(write)


async def test_after_a_restore_no_uid_comes_twice_and_copies_can_follow(store: SqlStore) -> None:
    restore = await play_back(store)
    # What happened after the backup: flags, an erasure, new mail. A mail program saw all of it.
    await store.store_flags(1, 1, [1], FlagChange("add", frozenset({"\\Seen"})))
    await store.store_flags(1, 1, [2], FlagChange("add", frozenset({"\\Deleted"})))
    await store.expunge(1, 1, None)
    _, appended = await store.append(1, 1, [NewMessage(b"after the backup", b"s")])
    seen = await store.snapshot(1, 1)
    await restore()
    await store.committer.run(lambda unit: upkeep.after_restore(unit, 1))

    uidvalidity, [new] = await store.append(1, 1, [NewMessage(b"after the restore", b"s")])
    assert uidvalidity == seen.folder.uidvalidity
    assert new.uid > appended[0].uid
    changes = await store.changes(1, 1, seen.folder.highestmodseq)
    copy = {entry.uid: entry.flags for entry in seen.entries if entry.uid not in changes.vanished}
    copy |= {entry.uid: entry.flags for entry in changes.changed}
    assert copy == {entry.uid: entry.flags for entry in await entries(store)}
    assert copy == {1: "", 2: "", 3: "", 4: "", new.uid: ""}
    assert await store.committer.run(lambda unit: upkeep.mailboxes(unit.cursor)) == [1]
    assert (await check(store)).healthy


async def test_a_long_history_is_forgotten_without_lying(store: SqlStore) -> None:
    start = (await store.folder(1, "INBOX")).highestmodseq
    await store.append(1, 1, [NewMessage(b"x", b"s", "\\Deleted") for _ in range(6)])
    for uid in range(5, 11):
        await store.expunge(1, 1, [uid])
    middle = (await store.folder(1, "INBOX")).highestmodseq - 2
    await store.committer.run(lambda unit: upkeep.forget_history(unit, 1, keep=2))
    await store.committer.run(lambda unit: upkeep.forget_history(unit, 1, keep=2))
    assert (await store.changes(1, 1, middle)).vanished == [9, 10]
    assert (await store.changes(1, 1, start)).vanished == [5, 6, 7, 8, 9, 10]
    assert (await check(store)).healthy
